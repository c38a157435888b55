"""Of the page of what `make bench` has found: the tables and the plot of the races, time to quality."""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import racing

PLOT = Path(__file__).resolve().parent / "results.png"
GOAL = 2.0  # how many times sooner than the best peer
OURS = "genlib"
UNITS = {
    "digits": "Fréchet multiple",
    "moons": "nats above the truth",
    "bits": "bits per dimension",
    "emoji": "colours",
}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def measured_on(part: Mapping[str, Any]) -> str:
    at = part["machine"]
    return (
        f"*{at['date']}, {at['cores']} cores of {at['processor']}, {at['system']}, Python {at['python']}, "
        f"torch {at['torch']}, load {at['load before']} before.{part.get('note', '')}*\n"
    )


def middle(values: Sequence[float]) -> float:
    return statistics.median(values) if values else math.nan


def number(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.0e}"


# -- Races


def race(
    name: str, part: Mapping[str, Any], limits: Sequence[Mapping[str, Any]], compiled: Sequence[Mapping[str, Any]]
) -> str:
    """Defaults, and equal tuning; and what code could do better at most, by `limits.py` and by torch's compiler."""
    found, by = part["found"], part["found"]["by"]
    title, _, about = found["title"].partition(": ")
    lines = [f"## Time to quality: {title}\n", f"{about[:1].upper()}{about[1:]}\n", measured_on(part)]
    if found.get("seeds", 3) != 3:
        lines.append(f"Cells are medians of {found['seeds']} seeds here.\n")
    lines += ["As each library's users train, by its own recipe:\n", reached(found["own"], by, UNITS[name])]
    lines.append(sooner(found, "own"))
    others = "a seed" if found.get("choosing", 1) == 1 else f"the mean of {found['choosing']} seeds"
    lines += [
        f"Equally tuned: each with the best of the same {found['grid']} settings, chosen by {others} not shown:\n",
        reached(found["tuned"], by, UNITS[name]),
        sooner(found),
        speed(found, *([row for row in rows if row["work"].startswith(f"{name},")] for rows in (limits, compiled))),
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


def sooner(found: Mapping[str, Any], kind: str = "tuned") -> str:
    """When each is at a quality, and how much sooner we are; the goal is one of equal tuning."""
    by, goals = found["by"], found["goals"]
    curves = racing.curves(found[kind], by)
    times = {side: [racing.time_to(curve, goal) for goal in goals] for side, curve in curves.items()}
    rows = [[side, *("not reached" if t is None else f"{t:.1f} s" for t in row)] for side, row in times.items()]
    verdicts = []
    for i, ours in enumerate(times[OURS]):
        theirs = [t for side, row in times.items() if side != OURS and (t := row[i]) is not None]
        if ours is None:
            word, text = "missed", "not reached"
        elif not theirs:
            word, text = "met", "no peer reaches it"
        else:
            ratio, first = min(theirs) / ours, ours == min(entry["budget"] for entry in found[kind])
            word = "met" if ratio >= GOAL else "not known" if first else "missed"
            text = f"{'at least ' if first else ''}{ratio:.2f} times sooner"
        verdicts.append(f"{word}: {text}" if kind == "tuned" else text)
    last = f"goal: {GOAL:g} times sooner" if kind == "tuned" else "genlib, by recipe and code together"
    return table(["seconds until", *(f"{number(goal)}" for goal in goals)], [*rows, [last, *verdicts]])


def speed(
    found: Mapping[str, Any], limits: Sequence[Mapping[str, Any]], compiled: Sequence[Mapping[str, Any]] = ()
) -> str:
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
    for row in compiled:
        most = min(shares.values()) * row["plain"] / row["compiled"]
        text += (
            f"With {row['work'].split(', ')[1]}, compiled by torch, {most:.2f} times as fast as the fastest peer's, "
            f"but its first three steps take {row['stored start']:.3g} s, with the compiler's cache stored, and "
            f"{row['cold start']:.3g} s without.\n"
        )
    return text


def chosen(found: Mapping[str, Any]) -> str:
    """The best settings of each side, where they differ, and for which budgets they were taken."""
    best, budgets = found["best"], sorted({entry["budget"] for entry in found["tuned"]})
    tried, settings = sorted({entry["budget"] for entry in best}), [entry["setting"] for entry in best]
    keys = [key for key in settings[0] if len({str(setting[key]) for setting in settings}) > 1]
    lines = []
    for at in tried:
        taken = ", ".join(f"{b:g}" for b in budgets if racing.nearest(b, tried) == at)
        sides = []
        for one in best:
            if one["budget"] == at:
                own = ", ".join(f"{key} {one['setting'][key]}" for key in keys)
                sides.append(f"{one['side']}: {own or 'as all'}")
        lines.append(f"Chosen after {at:g} s, for budgets of {taken} s: {'; '.join(sides)}.\n")
    same = ", ".join(f"{key} {value}" for key, value in settings[0].items() if key not in keys)
    return "".join([*lines, f"Equal for all: {same}.\n"])


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
