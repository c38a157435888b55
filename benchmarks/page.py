"""The page and the plot of what `make bench` has found: benchmarks/RESULTS.md and benchmarks/results.png."""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import racing

HERE = Path(__file__).resolve().parent
PAGE, PLOT = HERE / "RESULTS.md", HERE / "results.png"
GOAL = 2.0  # how many times sooner than the best peer
OURS = "genlib"
UNITS = {
    "digits": "Fréchet multiple",
    "moons": "nats above the truth",
    "bits": "bits per dimension",
    "emoji": "colours",
}
STEP_GOALS = {  # by how much ours is to be faster
    "DDPM step": {"diffusers": 1.15, "smalldiffusion": 1.15, "denoising-diffusion-pytorch": 2.0},
    "DDIM, 50 steps": {"diffusers": 1.15, "smalldiffusion": 1.15, "denoising-diffusion-pytorch": 2.5},
    "2-D flow step": {"normflows": 2.0, "nflows": 2.0, "FrEIA": 2.0},
    "image flow step": {"normflows": 1.4, "nflows": 1.4, "FrEIA": 1.4},
    "pix2pix step, 256²": {"plain torch": 1.25},
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
    for name in UNITS:
        if name in found:
            parts.append(race(name, found[name], limits))
    for name, text in (("calls", calls), ("steps", steps), ("limits", least), ("rest", rest)):
        if name in found:
            parts.append(text(found[name]))
    PAGE.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")
    plot({name: found[name]["found"] for name in UNITS if name in found})


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def peers(found: Mapping[str, Any]) -> str:
    named = ", ".join(f"{name} {version}" for name, version in found.get("peers", {}).items())
    return f"Peers, from their published packages: {named}.\nimproved-diffusion and guided-diffusion have none.\n"


def measured_on(part: Mapping[str, Any]) -> str:
    at = part["machine"]
    return (
        f"*{at['date']}, {at['cores']} cores of {at['processor']}, {at['system']}, Python {at['python']}, "
        f"torch {at['torch']}, load {at['load before']} before.{part.get('note', '')}*\n"
    )


# -- Races


def race(name: str, part: Mapping[str, Any], limits: Sequence[Mapping[str, Any]]) -> str:
    """Defaults, and equal tuning; and what no code could do better, by `limits.py`."""
    found, by = part["found"], part["found"]["by"]
    title, _, about = found["title"].partition(": ")
    lines = [f"## Time to quality: {title}\n", f"{about[:1].upper()}{about[1:]}\n", measured_on(part)]
    lines += ["As each library's users train, by its own recipe:\n", reached(found["own"], by, UNITS[name])]
    lines += [
        f"Equally tuned: each with the best of the same {found['grid']} settings, which another seed has chosen:\n",
        reached(found["tuned"], by, UNITS[name]),
        sooner(found),
        speed(found, [row for row in limits if row["work"].startswith(f"{name},")]),
        chosen(found),
    ]
    return "\n".join(lines)


def reached(entries: Sequence[Mapping[str, Any]], by: str, unit: str) -> str:
    """A line for each side: what it has after each budget."""
    curves = racing.curves(list(map(dict, entries)), by)
    budgets = sorted({entry["budget"] for entry in entries})
    others = [
        key for key in entries[0] if key not in ("side", "setting", "seed", "budget", "seconds", "steps", "error", by)
    ]
    rows = []
    for side, curve in curves.items():
        values, last = dict(curve), [e for e in entries if e["side"] == side and e["budget"] == budgets[-1]]
        rest = ", ".join(f"{key} {number(middle([e.get(key, math.nan) for e in last]))}" for key in others)
        cells = [f"{number(middle(values[b]))} ({number(min(values[b]))}–{number(max(values[b]))})" for b in budgets]
        rows.append([side, *cells, rest])
    return table([unit, *(f"{budget:g} s" for budget in budgets), f"after {budgets[-1]:g} s also"], rows)


def sooner(found: Mapping[str, Any]) -> str:
    """When each is at a quality, and how much sooner we are."""
    by, goals = found["by"], found["goals"]
    curves = racing.curves(found["tuned"], by)
    times = {side: [racing.time_to(curve, goal) for goal in goals] for side, curve in curves.items()}
    rows = [[side, *("not reached" if t is None else f"{t:.1f} s" for t in row)] for side, row in times.items()]
    verdicts = []
    for i, ours in enumerate(times[OURS]):
        theirs = [t for side, row in times.items() if side != OURS and (t := row[i]) is not None]
        if ours is None:
            verdicts.append("missed: not reached")
        elif not theirs:
            verdicts.append("met: no peer reaches it")
        else:
            ratio, first = min(theirs) / ours, ours == min(entry["budget"] for entry in found["tuned"])
            word = "met" if ratio >= GOAL else "not known" if first else "missed"
            verdicts.append(f"{word}: {'at least ' if first else ''}{ratio:.2f} times sooner")
    head = ["seconds until", *(f"{number(goal)}" for goal in goals)]
    return table(head, [*rows, [f"goal: {GOAL:g} times sooner", *verdicts]])


def speed(found: Mapping[str, Any], limits: Sequence[Mapping[str, Any]]) -> str:
    """How long a step takes at the settings that both were tried with: what is code, and not recipe."""
    steps: dict[str, dict[str, float]] = {}
    for entry in found.get("tried", ()):
        if "steps" in entry:
            steps.setdefault(entry["side"], {})[racing.key({**entry, "side": ""})] = entry["seconds"] / entry["steps"]
    ours = steps.pop(OURS, {})
    shares = {}
    for side, of in steps.items():
        ratios = [of[key] / ours[key] for key in of if key in ours]
        if ratios:
            shares[side] = statistics.median(ratios)
    if not shares:
        return ""
    listed = ", ".join(f"{side} {share:.2f}" for side, share in shares.items())
    text = f"A step at equal settings takes, times ours (medians over the grid): {listed}.\n"
    for row in limits:
        most = min(shares.values()) / row["arithmetic"]
        text += (
            f"With {row['work'].split(', ')[1]}, {row['arithmetic']:.0%} of ours are torch's convolutions and matrix "
            f"products: were all the rest free, ours would be {most:.2f} times as fast as the fastest peer's.\n"
        )
    return text


def chosen(found: Mapping[str, Any]) -> str:
    """The best setting of each side, where the sides differ."""
    best = found["best"]
    keys = [key for key in next(iter(best.values())) if len({str(setting[key]) for setting in best.values()}) > 1]
    same = {key: value for key, value in next(iter(best.values())).items() if key not in keys}
    lines = [
        f"{side}: {', '.join(f'{key} {setting[key]}' for key in keys) or 'as all'}" for side, setting in best.items()
    ]
    return "Chosen: " + "; ".join(lines) + f".\nEqual for all: {', '.join(f'{k} {v}' for k, v in same.items())}.\n"


def middle(values: Sequence[float]) -> float:
    return statistics.median(values) if values else math.nan


def number(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.0e}"


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


def steps(part: Mapping[str, Any]) -> str:
    """One table for each kind of work, and under it what became of its goals."""
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
        verdicts = []
        for n in ("1 thread", "2 threads"):
            ratios = {s: row["median"] for s in sides if (row := cells.get((s, f"as used, {n}: ratio")))}
            used = [side for side in ratios if side.startswith(f"{OURS} in fit")] or [OURS]  # not its bare loop
            ours = min(ratios.get(side, math.nan) for side in used)
            for side, goal in goals.items():
                if side in ratios:
                    reached = ratios[side] / ours
                    verdicts.append(f"{side} {n} {reached:.2f} of {goal:g}, {'met' if reached >= goal else 'missed'}")
        if verdicts:
            lines.append(f"As used, over the faster of ours in `fit`; of its goal: {'; '.join(verdicts)}.\n")
    return "\n".join(lines)


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
        "of ours inside `fit`, on one thread. No code around them could make it faster by more than the last column.\n"
    )
    return "\n".join([*lines, table(["", "a step of ours", "arithmetic", "times faster, at most"], rows)])


def rest(part: Mapping[str, Any]) -> str:
    rows = []
    for row in part["found"]:
        value = "not measured" if row["value"] is None else f"{row['value']:g} {row['unit']}"
        goal = "" if row["goal"] is None else f"≤ {row['goal']:g}"
        if row["goal"] is not None and row["value"] is not None:
            goal += ", met" if row["value"] <= row["goal"] else ", missed"
        rows.append([row["name"], value, goal, row["note"]])
    return "\n".join(["## The rest\n", measured_on(part), table(["", "measured", "goal", ""], rows)])


# -- The plot


def plot(races: Mapping[str, Mapping[str, Any]]) -> None:
    """Quality against seconds, by own recipes and equally tuned: medians of the seeds, from the least to the most."""
    if not races:
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    size = (4.2 * len(races), 6.4)
    figure, axes = pyplot.subplots(2, len(races), figsize=size, squeeze=False, layout="constrained")
    for column, (name, found) in enumerate(races.items()):
        for ax, kind, title in zip(axes[:, column], ("own", "tuned"), ("own recipes", "equally tuned"), strict=True):
            for i, (side, curve) in enumerate(racing.curves(found[kind], found["by"]).items()):
                budgets = [budget for budget, _ in curve]
                colour = "black" if side == OURS else f"C{i - 1}"
                ax.plot(budgets, [middle(v) for _, v in curve], "o-", ms=3, color=colour, label=side)
                low, high = ([f(v) for _, v in curve] for f in (min, max))
                ax.fill_between(budgets, low, high, color=colour, alpha=0.15)
            ax.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel=UNITS[name])
            ax.set_title(f"{name}, {title}")
            on_scale(ax, sorted({entry["budget"] for entry in found[kind]}))
    figure.savefig(PLOT, dpi=100)


def on_scale(ax: Any, seconds: Sequence[float]) -> None:
    """Marks at the budgets, and numbers that are not powers."""
    from matplotlib.ticker import LogLocator

    ax.set_xticks(seconds, [f"{each:g}" for each in seconds])
    ax.set_xticks([], minor=True)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter("")
    ax.legend(fontsize=7)
    ax.grid(alpha=0.3, which="both")
