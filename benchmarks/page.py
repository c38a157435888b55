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
OPENING = [
    "# genlib beside its peers\n",
    "Made by `make bench`, which says how each number is found; none of it comes from a timed test.",
    "Each side trains in a process of its own, on one thread, and the sides take turns.",
    "The clock is that of the processor, and stands still while the judge looks.",
    "A budget of seconds is a training of its own, with the learning rate's whole course within it.",
    "Cells are medians of three seeds, with the least and the most in brackets.\n",
    "![Quality against seconds of training for each library, a panel for each race](results.png)\n",
]


def write(found: Mapping[str, Any]) -> None:
    """Write both."""
    parts = [*OPENING, peers(found)]
    for name in UNITS:
        if name in found:
            parts.append(race(name, found[name]))
    for name, text in (("calls", calls), ("steps", steps), ("rest", rest)):
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
        f"torch {at['torch']}, load {at['load before']} before; {part['minutes']:g} minutes.*\n"
    )


# -- Races


def race(name: str, part: Mapping[str, Any]) -> str:
    """Defaults, and equal tuning."""
    found, by = part["found"], part["found"]["by"]
    title, _, about = found["title"].partition(": ")
    lines = [f"## Time to quality: {title}\n", f"{about[:1].upper()}{about[1:]}\n", measured_on(part)]
    lines += ["As each library's users train, by its own recipe:\n", reached(found["own"], by, UNITS[name])]
    lines += [
        f"Equally tuned: each with the best of the same {found['grid']} settings, which another seed has chosen:\n",
        reached(found["tuned"], by, UNITS[name]),
        sooner(found),
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
            ratio = min(theirs) / ours
            verdicts.append(f"{'met' if ratio >= GOAL else 'missed'}: {ratio:.2f} times sooner")
    head = ["seconds until", *(f"{number(goal)}" for goal in goals)]
    text = table(head, [*rows, [f"goal: {GOAL:g} times sooner", *verdicts]])
    return text + "\n" + speed(found)


def speed(found: Mapping[str, Any]) -> str:
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
            shares[side] = f"{side} {statistics.median(ratios):.2f}"
    if not shares:
        return ""
    return f"A step at equal settings takes, times ours (medians over the grid): {', '.join(shares.values())}.\n"


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
        f"{best['frechet']:.3f} (means over seeds).\nGuidance counts: where it is on, a step is two calls.\n"
    )
    return "\n".join(lines)


def steps(part: Mapping[str, Any]) -> str:
    """One table for each kind of work."""
    tables: dict[str, list[Mapping[str, Any]]] = {}
    for row in part["found"]:
        tables.setdefault(row["table"], []).append(row)
    lines = ["## Steps\n", measured_on(part)]
    for name, rows in tables.items():
        columns = list(dict.fromkeys(row["column"] for row in rows))
        sides = list(dict.fromkeys(row["side"] for row in rows))
        cells = {(row["side"], row["column"]): row for row in rows}

        def cell(row: Mapping[str, Any] | None) -> str:
            if row is None:
                return ""
            spread = row.get("spread")
            return number(row["median"]) + (f" ({number(spread[0])}–{number(spread[1])})" if spread else "")

        lines += [
            f"### {name}\n",
            table(["", *columns], [[s, *(cell(cells.get((s, c))) for c in columns)] for s in sides]),
        ]
    return "\n".join(lines)


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
    """Quality against seconds at equal tuning, medians of the seeds with all between the least and the most."""
    if not races:
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator

    figure, axes = pyplot.subplots(1, len(races), figsize=(4.2 * len(races), 3.6), squeeze=False, layout="constrained")
    for ax, (name, found) in zip(axes[0], races.items(), strict=True):
        for i, (side, curve) in enumerate(racing.curves(found["tuned"], found["by"]).items()):
            budgets = [budget for budget, _ in curve]
            colour = "black" if side == OURS else f"C{i - 1}"
            ax.plot(budgets, [middle(v) for _, v in curve], "o-", ms=3, color=colour, label=side)
            ax.fill_between(budgets, [min(v) for _, v in curve], [max(v) for _, v in curve], color=colour, alpha=0.15)
        ax.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel=UNITS[name], title=name)
        seconds = sorted({entry["budget"] for entry in found["tuned"]})
        ax.set_xticks(seconds, [f"{each:g}" for each in seconds])
        ax.set_xticks([], minor=True)
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter("")
        ax.legend(fontsize=7)
        ax.grid(alpha=0.3, which="both")
    figure.savefig(PLOT, dpi=110)
