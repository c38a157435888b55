"""The page of what `make bench` has found: benchmarks/RESULTS.md, and beside it results.png."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from page_races import OURS, UNITS, measured_on, middle, number, plot, race, reached, table

HERE = Path(__file__).resolve().parent
PAGE = HERE / "RESULTS.md"
STEP_GOALS = {  # by how much ours is to be faster
    "DDPM step": {"diffusers": 1.15, "smalldiffusion": 1.15, "denoising-diffusion-pytorch": 2.0},
    "DDIM, 50 steps": {"diffusers": 1.15, "smalldiffusion": 1.15, "denoising-diffusion-pytorch": 2.5},
    "2-D flow step": {"normflows": 2.0, "nflows": 2.0, "FrEIA": 2.0},
    "image flow step": {"normflows": 1.4, "nflows": 1.4, "FrEIA": 1.4},
    "pix2pix step, 256²": {"plain torch": 1.25},
}
STEP_LIMITS = {  # whose arithmetic, in `limits.py`, is that of which table
    "DDPM, 2.6 M, 1×16×16, batch 64": "DDPM step",
    "DDIM, 50 steps, 2.6 M, 1×16×16, 4 pictures": "DDIM, 50 steps",
    "moons, batch 512": "2-D flow step",
    "image flow, 1×28×28, batch 32": "image flow step",
    "pix2pix, 256², batch 1": "pix2pix step, 256²",
}
OPENING = [
    "# genlib beside its peers\n",
    "Made by `make bench`, which says how each number is found; none of it comes from a timed test.",
    "In a race each side trains in a process of its own, on one thread, and the sides take turns.",
    "The clock is that of the processor, and stands still while the judge looks.",
    "Nobody is given settings of the allocator: genlib's `fit` has its own, a peer what its users have.",
    "A budget of seconds is a training of its own, with the learning rate's whole course within it.",
    "Cells are medians of three seeds, with the least and the most in brackets.\n",
    "![Quality against seconds of training for each library, two panels for each race](results.png)\n",
]


def write(found: Mapping[str, Any]) -> None:
    """Write both."""
    parts = [*OPENING, peers(found)]
    limits = found["limits"]["found"] if "limits" in found else []
    compiled = found["candidates"]["found"]["compiled"] if "candidates" in found else []
    for name in UNITS:
        if name in found:
            parts.append(race(name, found[name], limits, compiled))
    for name, text in (
        ("calls", calls),
        ("steps", partial(steps, limits=limits)),
        ("limits", least),
        ("candidates", candidates),
        ("rest", rest),
    ):
        if name in found:
            parts.append(text(found[name]))
    PAGE.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")
    plot({name: found[name]["found"] for name in UNITS if name in found})


def peers(found: Mapping[str, Any]) -> str:
    named = ", ".join(f"{name} {version}" for name, version in found.get("peers", {}).items())
    return f"Peers, from their published packages: {named}.\nimproved-diffusion and guided-diffusion have none.\n"


# -- The rest


def calls(part: Mapping[str, Any]) -> str:
    """Quality against calls of the network."""
    import calls as measured

    found = part["found"]
    cases = measured.verdict(found)
    lines = ["## Calls to quality: digits from one network\n", measured_on(part)]
    columns = sorted({row["calls"] for row in found if "calls" in row})
    rows = []
    for name in (*measured.SAMPLERS, "distilled"):
        cells = []
        for n in columns:
            values = [row["frechet"] for row in found if row["sampler"] == name and row.get("calls") == n]
            cells.append(f"{middle(values):.2f} ({min(values):.2f}–{max(values):.2f})" if values else "")
        rows.append([name, *cells])
    lines.append(table(["Fréchet multiple", *(f"{n} call{'s' * (n > 1)}" for n in columns)], rows))
    best, soon = cases["best"], cases["best in at most 10 calls"]
    share = soon["frechet"] / best["frechet"] - 1
    word = "met" if share <= 0.05 else "missed"
    lines.append(
        f"Goal, at most 10 calls to within 5 % of the best: {word}. {soon['sampler']} with {soon['calls']} calls has "
        f"{soon['frechet']:.3f}, {100 * share:+.1f} % against {best['sampler']} with {best['calls']}, "
        f"{best['frechet']:.3f} (means over seeds).\n"
        "Guidance counts: where it is on, a step is two calls. Where steps lie, their noise and their guidance were "
        "chosen for each sampler and number of calls among up to twelve settings, after some forty had been tried, by "
        "two seeds that are not among these.\n"
    )
    return "\n".join(lines)


def steps(part: Mapping[str, Any], limits: Sequence[Mapping[str, Any]] = ()) -> str:
    """One table for each kind of work, and under it what became of its goals, and what could at best."""
    tables: dict[str, list[Mapping[str, Any]]] = {}
    for row in part["found"]:
        tables.setdefault(row["table"], []).append(row)
    lines = ["## Steps\n", measured_on(part), measured_how()]
    for name, rows in tables.items():
        columns = list(dict.fromkeys(row["column"] for row in rows))
        sides = list(dict.fromkeys(row["side"] for row in rows))
        cells = {(row["side"], row["column"]): row for row in rows}
        shown = [[side, *(cell(cells.get((side, column))) for column in columns)] for side in sides]
        lines += [f"### {name}\n", table(["", *columns], shown)]
        goals = next((goals for start, goals in STEP_GOALS.items() if name.startswith(start)), {})
        share = next((row["arithmetic"] for row in limits if name.startswith(STEP_LIMITS.get(row["work"], "?"))), None)
        verdicts = []
        for n in ("1 thread", "2 threads"):
            ratios = {s: row["median"] for s in sides if (row := cells.get((s, f"as used, {n}: ratio")))}
            used = [side for side in ratios if side.startswith(f"{OURS} in fit")]  # not its bare loop
            used = used or [side for side in ratios if side.startswith(OURS)]
            ours = min((ratios[side] for side in used), default=math.nan)
            for side, goal in goals.items():
                if side in ratios:
                    reached = ratios[side] / ours
                    word = "met" if reached >= goal else "missed"
                    if word == "missed" and share and n == "1 thread":
                        word += f" (were all but arithmetic free, {reached / share:.2f})"
                    verdicts.append(f"{side} {n} {beside(reached, goal)} of {goal:g}, {word}")
        if verdicts:
            fastest = (
                "the fastest of ours in `fit`" if any(" in fit" in side for side in sides) else "the faster of ours"
            )
            lines.append(f"As used, over {fastest}; of its goal: {'; '.join(verdicts)}.\n")
    return "\n".join(lines)


def beside(reached: float, goal: float) -> str:
    """With a digit more where two would not say on which side of the goal it is."""
    return f"{reached:.{3 if round(reached, 2) == goal else 2}f}"


def measured_how() -> str:
    return (
        "Seconds and ratios are medians over rounds, with their quartiles. Ratios as used are over genlib in `fit`, "
        "which also clips, averages and checks; equal ones over its bare loop.\n"
        "On one thread the clock is that of the processor, on two that on the wall.\n"
    )


def cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    spread = row.get("spread")
    return number(row["median"]) + (f" ({number(spread[0])}–{number(spread[1])})" if spread else "")


def least(part: Mapping[str, Any]) -> str:
    """What of a step all libraries share."""
    rows = [
        [row["work"], f"{1e3 * row['seconds']:.3g} ms", f"{row['arithmetic']:.0%}", f"{1 / row['arithmetic']:.2f}"]
        for row in part["found"]
    ]
    lines = ["## What a step could be at best\n", measured_on(part)]
    lines.append(
        "Convolutions and matrix products are torch's in every library; by the profiler they take this share of a step "
        "of ours inside `fit`, or of sampling, on one thread, in the layout in which we are faster. No code around "
        "them could make it faster by more than the last column.\n"
    )
    return "\n".join([*lines, table(["", "a step of ours", "arithmetic", "times faster, at most"], rows)])


def candidates(part: Mapping[str, Any]) -> str:
    """What else was tried: recipes, and torch's compiler."""
    found = part["found"]
    lines = ["## What else was tried\n", measured_on(part)]
    lines.append("Our recipe for digits, and one change of it at a time, as in the race:\n")
    lines.append(reached(found["recipes"], found["by"], UNITS["digits"]))
    if before := found.get("before"):
        lines.append(f"{before['about']}:\n")
        lines.append(reached(before["recipes"], found["by"], UNITS["digits"]))
    rows = []
    for row in found["compiled"]:
        gain = row["plain"] - row["compiled"]
        after = [f"{(row[start] - row['plain start']) / gain:,.0f}" for start in ("cold start", "stored start")]
        steps = [f"{1e3 * row[name]:.3g} ms" for name in ("plain", "compiled")]
        starts = [f"{row[name]:.3g} s" for name in ("plain start", "cold start", "stored start")]
        rows.append([row["work"], *steps, *starts, *(after if gain > 0 else ["never"] * 2)])
    head = ["a step in `fit`", "plain", "compiled", "first 3 steps, plain", "compiled", "compiled, cache stored"]
    if not rows:
        return "\n".join([*lines, "torch.compile was not tried, for there is no C++ compiler here.\n"])
    lines.append("torch.compile, on one thread; seconds of a processor, C++ compiler included:\n")
    return "\n".join([*lines, table([*head, "pays after so many steps", "with the cache"], rows)])


def rest(part: Mapping[str, Any]) -> str:
    rows = []
    for row in part["found"]:
        value = "not measured" if row["value"] is None else f"{row['value']:g} {row['unit']}"
        goal = "" if row["goal"] is None else f"≤ {row['goal']:g}"
        if row["goal"] is not None and row["value"] is not None:
            goal += ", met" if row["value"] <= row["goal"] else ", missed"
        rows.append([row["name"], value, goal, row["note"]])
    return "\n".join(["## The rest\n", measured_on(part), table(["", "measured", "goal", ""], rows)])
