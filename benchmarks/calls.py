"""Calls to quality: digits from one trained network, by each sampler, against how often it is asked.

    python benchmarks/calls.py [--quick] [--choose]

A class-conditional DDPM is trained by the course's recipe for digits, three times as long as benchmarks/ddpm_digits.py
does, and then asked for sets of 300 digits, 30 of each class. Of each set there are the four numbers of
`metrics.digits_report`; a Fréchet multiple scatters from set to set, so each that stands here is a mean over several,
and all samplers begin with the same noise. With guidance a step asks the network twice, and Heun's method asks twice
without. "distilled" are students of the same network, one for each number of calls, which have learned its guidance
along; their training takes about as long again.

Where a sampler's steps lie, its noise and its guidance were chosen by `--choose` for each number of calls, among up to
twelve settings; which twelve, after some forty had been tried. All of that saw two seeds which are not reported, and no
other. The goal: in at most 10 calls within 5 % of the best of all.
"""

import argparse
import copy
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genlib import data, diffusion, metrics, train

LABEL = torch.arange(10).repeat_interleave(30)
SEEDS, CHOOSING = (20, 21, 22), (10, 11)
CALLS = (1, 2, 4, 6, 8, 10, 15, 25, 50, 100)
STUDENTS = (8, 4, 2, 1)
STEPS, STAGE_STEPS = 1500, 200  # of a training; of a student's
STUDENTS_GUIDANCE = 0.2

SAMPLERS: dict[str, Callable[..., Iterator[Tensor]]] = {
    "ddpm": diffusion.ancestral,
    "ddim": diffusion.ddim,
    "heun": diffusion.heun,
    "dpm_solver": diffusion.dpm_solver,
}
GUIDANCE = {
    "none": diffusion.Guidance(0),
    "everywhere": diffusion.Guidance(0.2),
    "between": diffusion.Guidance(0.3, low=0.5, high=1.5),
}


class Choice(NamedTuple):
    """Steps at round(T (i/n)^power), i = 1..n; which of GUIDANCE; and the sampler's η, if it has one."""

    power: float = 1.0
    guidance: str = "none"
    eta: float | None = None


PLAIN = Choice()
EVERYWHERE, BETWEEN = Choice(1.5, "everywhere"), Choice(1.5, "between")
# What `--choose` prints, the means of both seeds beside it: the numbers that a choice was made by flatter it.
CHOSEN: dict[str, dict[int, Choice]] = {
    "ddpm": {
        **{1: PLAIN, 2: PLAIN},  # 9.417, 2.604
        **{
            4: Choice(1.0, "between"),
            6: Choice(1.0, "everywhere"),
            8: Choice(1.0, "everywhere"),
        },  # 1.647, 1.273, 1.354
        **{10: Choice(1.0, "everywhere"), 15: Choice(1.0, "between")},  # 1.148, 1.125
        **{25: Choice(1.0, "everywhere"), 50: EVERYWHERE, 100: EVERYWHERE},  # 0.839, 0.685
    },
    "ddim": {
        **{1: PLAIN, 2: PLAIN, 4: Choice(1.5, "none", 0.0)},
        **{6: Choice(1.5, "none", 0.5), 8: Choice(1.0, "none", 0.5), 10: Choice(1.5, "none", 0.5)},
        **{15: Choice(1.5, "between", 0.0), 25: Choice(1.5, "between", 0.5)},
        **dict.fromkeys((50, 100), Choice(1.5, "between", 0.5)),
    },
    "heun": {
        **{1: PLAIN, 2: PLAIN, 4: Choice(1.5), 6: PLAIN},  # 9.417, 3.066, 1.160, 1.009
        **{8: BETWEEN, 10: BETWEEN, 15: BETWEEN, 25: EVERYWHERE, 50: EVERYWHERE, 100: EVERYWHERE},
    },
    "dpm_solver": {
        **{1: PLAIN, 2: PLAIN, 4: Choice(1.5)},  # 9.417, 3.066, 1.067
        **{6: Choice(1.5, "none", 1.0), 8: Choice(1.0, "none", 1.0)},  # 0.631, 0.648
        **{10: Choice(1.5, "between", 1.0), 15: Choice(1.5, "between", 1.0)},  # 0.601, 0.624
        **{25: Choice(1.5, "everywhere", 1.0)},  # 0.655
        **dict.fromkeys((50, 100), Choice(1.0, "everywhere", 1.0)),  # 0.625
    },
}


def choices(name: str) -> list[Choice]:
    """What `--choose` tries."""
    etas = {"ddim": (0.0, 0.5), "dpm_solver": (0.0, 1.0)}.get(name, (None,))
    return [Choice(*values) for values in itertools.product((1.0, 1.5), GUIDANCE, etas)]


def trained(seed: int, steps: int) -> diffusion.DDPM:
    """The network, by the recipe ddpm-digits."""
    torch.manual_seed(seed)
    net, schedule = diffusion.UNet.digits(), diffusion.Schedule.cosine()
    ddpm = diffusion.DDPM(net, schedule, predict="v", levels=17, shape=(1, 8, 8))
    train.fit(diffusion.Denoising(ddpm), data.digits(), steps=steps, seed=seed, progress=False)
    return ddpm


def students(teacher: diffusion.DDPM, seed: int, steps: int) -> Iterator[tuple[int, diffusion.DDPM, float]]:
    """Each learns to go in n steps where its teacher goes in 2n, the first one with guidance, and teaches the next.
    Yields n, the student, and the seconds of a processor that it and those before have taken."""
    w, seconds = STUDENTS_GUIDANCE, 0.0
    for n in STUDENTS:
        begun = time.process_time()
        student = copy.deepcopy(teacher)
        objective = diffusion.Progressive(student, teacher, n, guidance=w)
        train.fit(objective, data.digits(), steps=steps, seed=seed, progress=False)
        seconds += time.process_time() - begun
        yield n, student, seconds
        teacher, w = student, 0.0


def visited(name: str, choice: Choice, calls: int, schedule: diffusion.Schedule) -> list[int] | None:
    """As many steps as so many calls are enough for; None if not for one."""
    guidance = GUIDANCE[choice.guidance]
    for n in range(calls, 0, -1):
        steps = sorted({max(1, round(schedule.T * (i / n) ** choice.power)) for i in range(1, n + 1)})
        asked = [1 + bool(guidance.w and guidance.low < schedule.sigma[t] <= guidance.high) for t in steps]
        again = asked[:-2] if name == "heun" else []  # not in the first step down, and there is no ε to ask for at 0
        if sum(asked) + sum(again) <= calls:
            return steps
    return None


def measured(model: diffusion.DDPM, calls: int, sets: Sequence[int], **how: Any) -> dict[str, Any]:
    """The four numbers, as means over sets of samples, each from a seed; spread is the Fréchet multiple's deviation."""
    asked: list[int] = []
    hook = model.net.register_forward_hook(lambda net, given, answer: asked.append(len(given[0])))
    made = [model.sample(300, LABEL, torch.Generator().manual_seed(seed), clip=True, **how) for seed in sets]
    hook.remove()
    used = sum(asked) / sum(map(len, made))
    if used > calls:
        raise RuntimeError(f"the network was asked {used:g} times, not {calls}")
    reports = [metrics.digits_report(x, LABEL) for x in made]
    multiples = [report.frechet_multiple for report in reports]
    numbers = {
        "frechet": statistics.mean(multiples),
        "accuracy": statistics.mean(report.label_accuracy or 0.0 for report in reports),
        "copying": statistics.mean(report.copying for report in reports),
        "farthest class": statistics.mean(max(abs(k - 30) for k in report.class_histogram) for report in reports),
        "spread": statistics.stdev(multiples) if len(sets) > 1 else None,
    }
    rounded = {name: None if value is None else round(value, 4) for name, value in numbers.items()}
    return {"calls": calls, "asked": used, "sets": len(sets), **rounded}


def walked(model: diffusion.DDPM, name: str, choice: Choice, calls: int, sets: Sequence[int]) -> dict[str, Any] | None:
    """What a sampler reaches; None where its guidance needs more calls."""
    steps = visited(name, choice, calls, model.schedule)
    if steps is None:
        return None
    own = {} if choice.eta is None else {"eta": choice.eta}
    found = measured(model, calls, sets, sampler=SAMPLERS[name], steps=steps, guidance=GUIDANCE[choice.guidance], **own)
    return {"sampler": name, "steps": len(steps), **choice._asdict(), **found}


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """One for each seed, sampler and number of calls, one for each student, and one for real digits."""
    found = [real()]
    steps, stage_steps, seeds, calls = (60, 10, SEEDS[:1], (1, 4, 10)) if quick else (STEPS, STAGE_STEPS, SEEDS, CALLS)
    for seed in seeds:
        begun = time.process_time()
        model = trained(seed, steps)
        seconds = time.process_time() - begun
        for name, n in itertools.product(SAMPLERS, calls):
            sets = range(1 if quick or n > 50 else 2 if n > 25 else 3)
            row = walked(model, name, CHOSEN[name][n], n, sets)
            found += [] if row is None else [{"seed": seed, "training seconds": round(seconds, 1), **row}]
        for n, student, more in students(model, seed, stage_steps):
            about = {"seed": seed, "training seconds": round(seconds + more, 1), "sampler": "distilled", "steps": n}
            found.append({**about, **measured(student, n, range(1 if quick else 3), steps=n)})
    return found


def real(sets: int = 10) -> dict[str, Any]:
    """What sets of 300 digits from those trained on have, 30 of each class: there is hardly less to reach."""
    x, label = data.digits()
    values = []
    for seed in range(sets):
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
        rows = torch.cat([order[label[order] == k][:30] for k in range(10)])
        values.append(metrics.digits_report(x[rows], label[rows]).frechet_multiple)
    numbers = {"frechet": statistics.mean(values), "spread": statistics.stdev(values)}
    return {"sampler": "real digits", "sets": sets, **{name: round(value, 4) for name, value in numbers.items()}}


def verdict(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The best mean over seeds of the Fréchet multiple; the best in at most 10 calls; and how few are enough."""
    values: dict[tuple[str, int], list[float]] = {}
    for row in found:
        if "calls" in row:
            values.setdefault((row["sampler"], row["calls"]), []).append(row["frechet"])
    means = {key: statistics.mean(of_seeds) for key, of_seeds in values.items()}
    best, soon = min(means, key=means.__getitem__), min((key for key in means if key[1] <= 10), key=means.__getitem__)
    enough = min((key for key in means if means[key] <= 1.05 * means[best]), key=lambda key: (key[1], means[key]))
    cases = {"best": best, "best in at most 10 calls": soon, "fewest calls within 5 % of the best": enough}
    return {name: {"sampler": key[0], "calls": key[1], "frechet": round(means[key], 4)} for name, key in cases.items()}


def table(found: Sequence[dict[str, Any]]) -> str:
    """Fréchet multiples against calls, means over seeds, with the deviation between them where there are several."""
    calls = sorted({row["calls"] for row in found if "calls" in row})
    lines = ["Fréchet multiple".ljust(18) + "".join(f"{n:>12}" for n in calls) + "   calls"]
    for name in (*SAMPLERS, "distilled"):
        cells = []
        for n in calls:
            values = [row["frechet"] for row in found if row["sampler"] == name and row.get("calls") == n]
            spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.2f}{spread}" if values else "")
        lines.append(name.ljust(18) + "".join(cell.rjust(12) for cell in cells))
    return "\n".join(lines)


def choose() -> None:
    """Print what is best of all `choices`, for each number of calls, as `CHOSEN` has it. 100 calls: as 50."""
    models = [trained(seed, STEPS) for seed in CHOOSING]
    for name in SAMPLERS:
        print(f'"{name}": {{', flush=True)
        for calls in CALLS[:-1]:
            found: dict[Choice, float] = {}
            for choice in choices(name):
                tried = [walked(model, name, choice, calls, range(2)) for model in models]
                found |= {choice: statistics.mean(row["frechet"] for row in tried if row)} if all(tried) else {}
            best = min(found, key=found.__getitem__)
            print(f"    {calls}: Choice{tuple(best)},  # {found[best]:.3f}", flush=True)
        print("},")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, hardly trained")
    parser.add_argument("--choose", action="store_true", help="rank what a sampler can be given")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.choose:
        choose()
        return
    found = rows(arguments.quick)
    print(table(found))
    for name, case in verdict(found).items():
        print(f"{name}: {case['frechet']:.3f}, {case['sampler']} in {case['calls']}")
    scatter = [row["spread"] for row in found if row.get("calls") and row["spread"] is not None]
    if scatter:
        print(f"one set of 300 scatters by {statistics.median(scatter):.3f}")
    print(f"real digits of the training set: {found[0]['frechet']:.2f} ± {found[0]['spread']:.2f}")


if __name__ == "__main__":
    main()
