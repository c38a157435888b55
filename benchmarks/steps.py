"""Seconds per step beside the libraries that a user would pick instead: `python benchmarks/steps.py`.

Each table is one piece of work of one size: the same arithmetic everywhere, as many parameters as widths allow. Each
library lives in a process of its own; they take turns, so that whatever else the machine does hits all of them alike,
and what is printed are medians over the rounds, of seconds and of ratios, with their quartiles.

Twice: "as used", each with the optimizer and the clipping that its users take, over ours inside `train.fit`, which also
clips, averages the weights, checks that all is finite, and keeps a history; and "equal", a fused Adam and nothing else
for all, over ours in the same bare loop. On one thread the clock is that of the processor: on a quiet machine it is the
one on the wall, on a busy one it leaves out the waiting. On two threads it is the one on the wall.

Then ours alone: the share of the best speed that a plain convolution reaches here, forward and backward; how many times
as long a step takes, by the clock on the wall, when other programs keep all processors but one busy; and how the cost
grows with size, batch, T and depth, as the slope of log seconds over the log of each.

Peers that are missing are left out; `make bench ARGS=steps` installs them, into an environment of their own.
"""

import argparse
import importlib.metadata
import importlib.util
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import step_sides as work
import torch
from racing import as_it_comes
from step_sides import Builder, Clock, Timed, ours, repeated
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

Ask = Callable[..., dict[str, Any]]

IMPORTED = {"denoising-diffusion-pytorch": "denoising_diffusion_pytorch", "plain torch": "torch"}


# -- The tables


@dataclass(frozen=True)
class Table:
    """What is compared: so many rounds, in each so many steps of each side."""

    sides: dict[str, Builder]
    steps: int
    rounds: int
    columns: tuple[str, ...] = ("as used", "equal")


LAST = {"memory_format": torch.channels_last}


def gan_table(side: int) -> Table:
    make = partial(work.gan_objective, side=side)
    sides: dict[str, Builder] = {"genlib": ours(make, work.bare), "genlib in fit": ours(make, work.in_fit)}
    if side < 256:  # there channels last is slower
        sides["genlib in fit, channels last"] = ours(make, work.in_fit, **LAST)
    return Table({**sides, "plain torch": partial(work.reference_step, side=side)}, 1, 3)


TABLES: dict[str, Table] = {
    "DDPM step, 2.6 M, 1×16×16, batch 64": Table(
        {
            "genlib": ours(work.unet_objective, work.bare),
            "genlib in fit": ours(work.unet_objective, work.in_fit),
            "genlib in fit, channels last": ours(work.unet_objective, work.in_fit, **LAST),
            "diffusers": work.diffusers_step,
            "smalldiffusion": work.small_step,
            "denoising-diffusion-pytorch": work.lucidrains_step,
        },
        1,
        3,
    ),
    "DDIM, 50 steps, 4 pictures, the same U-Nets": Table(
        {
            "genlib": work.ours_ddim,
            "genlib, channels last": partial(work.ours_ddim, **LAST),
            "diffusers": work.diffusers_ddim,
            "smalldiffusion": work.small_ddim,
            "denoising-diffusion-pytorch": work.lucidrains_ddim,
        },
        1,
        3,
        ("as used",),
    ),
    "2-D flow step, 8 couplings, width 64, batch 512": Table(
        {
            "genlib": ours(work.plane_objective, work.bare),
            "genlib in fit": ours(work.plane_objective, work.in_fit),
            "normflows": work.normflows_plane,
            "nflows": work.nflows_plane,
            "FrEIA": work.freia_plane,
            "zuko": work.zuko_plane,
        },
        20,
        9,
    ),
    "image flow step, 1×28×28, width 64, batch 32": Table(
        {
            "genlib": ours(work.image_objective, work.bare),
            "genlib in fit": ours(work.image_objective, work.in_fit),
            "genlib in fit, channels last": ours(work.image_objective, work.in_fit, **LAST),
            "normflows": work.normflows_image,
            "nflows": work.nflows_image,
            "FrEIA": work.freia_image,
        },
        1,
        5,
    ),
    "pix2pix step, 256², batch 1": gan_table(256),
    "pix2pix step, 64², batch 4": gan_table(64),
}


CROWDED = {  # and how many steps are timed at once
    "DDPM step, 2.6 M, 1×16×16, batch 64": 2,
    "2-D flow step, 8 couplings, width 64, batch 512": 200,
    "image flow step, 1×28×28, width 64, batch 32": 10,
    "pix2pix step, 64², batch 4": 3,
}


def grown(make: Callable[..., tuple[Any, Sequence[Any]]], name: str, values: Sequence[int], **fixed: Any) -> Table:
    """Bare steps of ours, of several sizes."""
    return Table({str(v): ours(partial(make, **{name: v}, **fixed), work.bare) for v in values}, 1, 5, ("equal",))


SMALL = {"width": 32, "batch": 16}
SLOPES: dict[str, Table] = {
    "U-Net step over the side of a picture": grown(work.unet_objective, "side", (8, 16, 32), **SMALL),
    "U-Net step over the batch": grown(work.unet_objective, "batch", (16, 32, 64), width=32),
    "U-Net step over T": grown(work.unet_objective, "T", (100, 1000, 4000), **SMALL),
    "U-Net step over the blocks of a level": grown(work.unet_objective, "n_blocks", (1, 2, 4), **SMALL),
    "DDIM over its steps": Table(
        {str(k): partial(work.ours_ddim, steps=k) for k in (5, 10, 20)}, steps=1, rounds=5, columns=("equal",)
    ),
    "2-D flow step over the batch": grown(work.plane_objective, "batch", (128, 512, 2048)),
    "2-D flow step over the couplings": grown(work.plane_objective, "n_couplings", (4, 8, 16, 32)),
}


# -- In the process of a library


def worker() -> None:
    """Read jobs, a line of JSON each, and answer each with one."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    built: dict[str, tuple[Timed, dict[str, float]]] = {}
    cell = None
    for line in sys.stdin:
        job = json.loads(line)
        torch.set_num_threads(job["threads"])
        clock = time.process_time if job["threads"] == 1 and not job.get("on the wall") else time.perf_counter
        if job["do"] == "limit":
            print(json.dumps({"flops": limit(clock, job["quick"])}), file=answers, flush=True)
            continue
        if cell != (job["table"], job["column"]):  # the models of one cell at a time
            built, cell = {}, (job["table"], job["column"])
        if job["side"] not in built:
            table = (TABLES | SLOPES)[job["table"]]
            torch.manual_seed(0)
            model, timed = table.sides[job["side"]](job["column"] == "equal", job["quick"])
            with FlopCounterMode(display=False) as counter:
                timed(1, clock)  # and warms up
            n = sum(p.numel() for p in model.parameters())
            counts: dict[str, float] = {"parameters": n, "flops": counter.get_total_flops()}
            built[job["side"]] = timed, counts
        timed, counts = built[job["side"]]
        seconds = timed(job["steps"], clock) / job["steps"] if job["do"] == "time" else 0.0
        print(json.dumps({"seconds": seconds, **counts}), file=answers, flush=True)


def limit(clock: Clock, quick: bool) -> float:
    """FLOP/s of a plain 3 × 3 convolution, forward and backward: the best of some shapes and tries."""
    best = 0.0
    for batch, width, side in ((4, 16, 8),) if quick else ((64, 64, 16), (64, 128, 8), (16, 128, 32), (8, 256, 32)):
        conv, x = nn.Conv2d(width, width, 3, padding=1), torch.randn(batch, width, side, side, requires_grad=True)
        for layout in (torch.contiguous_format, torch.channels_last):
            conv, x = conv.to(memory_format=layout), x.detach().to(memory_format=layout).requires_grad_()  # type: ignore
            step = repeated(lambda conv=conv, x=x: conv(x).sum().backward())
            step(1, clock)
            seconds = min(step(1, clock) for _ in range(1 if quick else 5))
            best = max(best, 3 * 2 * 9 * width**2 * batch * side**2 / seconds)
    return best


# -- Outside


@contextmanager
def workers() -> Iterator[Ask]:
    """A process for each library, started when it is first asked."""
    running: dict[str, Any] = {}

    def ask(library: str, **job: Any) -> dict[str, Any]:
        if library not in running:
            command = [sys.executable, str(Path(__file__).resolve()), "--worker"]
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            quiet = as_it_comes() | {"TQDM_DISABLE": "1"}
            running[library] = subprocess.Popen(command, env=quiet, **pipes)
        process = running[library]
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{library} has ended with {job}")
        return json.loads(answer)

    try:
        yield ask
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def library(side: str) -> str:
    """Which process a side lives in; those of ours, also those that are named by a size, in one."""
    return "genlib" if side.startswith("genlib") or side.isdecimal() else side


def present(table: Table) -> list[str]:
    names = {side: library(side) for side in table.sides}
    return [side for side, name in names.items() if importlib.util.find_spec(IMPORTED.get(name, name))]


def in_turn(ask: Ask, name: str, table: Table, column: str, threads: int, quick: bool) -> dict[str, list[float]]:
    """Seconds a step, for each side in each round."""
    sides, seconds = present(table), {side: [] for side in present(table)}
    steps, rounds = (1, 2) if quick else (table.steps, table.rounds)
    job = {"table": name, "column": column, "threads": threads, "quick": quick, "steps": steps}
    for side in sides:
        ask(library(side), do="build", side=side, **job)
    for r in range(rounds):
        for side in sides if r % 2 else reversed(sides):
            seconds[side].append(ask(library(side), do="time", side=side, **job)["seconds"])
    return seconds


def beside_others(ask: Ask, name: str, threads: int, quick: bool) -> list[float]:
    """How many times as long a step in `fit` takes on the wall's clock where one processor is free, in each round."""
    steps, rounds = (1, 2) if quick else (CROWDED[name], 5)
    job = {"table": name, "column": "as used", "threads": threads, "quick": quick, "steps": steps, "on the wall": True}
    ask("genlib", do="build", side="genlib in fit", **job)
    ratios = []
    for _ in range(rounds):
        alone, crowded = (
            beside(ask, busy, side="genlib in fit", **job) for busy in (0, max(1, (os.cpu_count() or 2) - 1))
        )
        ratios.append(crowded / alone)
    return ratios


def beside(ask: Ask, busy: int, **job: Any) -> float:
    """Seconds a step of ours, while so many programs do nothing but count."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        return ask("genlib", do="time", **job)["seconds"]
    finally:
        for other in others:
            other.kill()
            other.wait()


def row(table: str, side: str, column: str, values: Sequence[float]) -> dict[str, Any]:
    """Median, and the quartiles if there are several values."""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else (0.0, 0.0, 0.0)
    spread = [low, high] if len(values) > 1 else None
    return {"table": table, "side": side, "column": column, "median": statistics.median(values), "spread": spread}


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Of log y over log x, by least squares."""
    return statistics.linear_regression([math.log(a) for a in x], [math.log(b) for b in y]).slope


def counted(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """All that is measured, seconds, ratios, shares and slopes: {"table", "side", "column", "median", "spread"}.

    With `quick` the models are tiny and each is timed twice, on one thread: the numbers mean nothing.
    """
    found, n_threads = [], (1,) if quick else (1, 2)
    with workers() as ask:
        best = {n: ask("genlib", do="limit", threads=n, quick=quick)["flops"] for n in n_threads}
        for n in n_threads:
            found.append(row("convolution", "plain torch", f"GFLOP/s, {counted(n)}", [best[n] / 1e9]))
        for name, table in TABLES.items():
            job = {"do": "build", "table": name, "column": table.columns[0], "threads": 1, "quick": quick}
            counts = {side: ask(library(side), side=side, **job) for side in present(table)}
            found += [row(name, side, "parameters", [count["parameters"]]) for side, count in counts.items()]
            for column, n in itertools.product(table.columns, n_threads):
                seconds = in_turn(ask, name, table, column, n, quick)
                over = seconds["genlib in fit" if column == "as used" and "genlib in fit" in seconds else "genlib"]
                for side, values in seconds.items():
                    found.append(row(name, side, f"{column}, {counted(n)}: seconds", values))
                    ratios = [a / b for a, b in zip(values, over, strict=True)]
                    found.append(row(name, side, f"{column}, {counted(n)}: ratio", ratios))
                if column == table.columns[-1] and "2-D" not in name:
                    shares = [counts["genlib"]["flops"] / best[n] / s for s in seconds["genlib"]]
                    found.append(row("share of the convolution's speed", name, counted(n), shares))
        for name, n in itertools.product(CROWDED, n_threads):
            ratios = beside_others(ask, name, n, quick)
            found.append(row("beside other programs, one processor free", name, f"{counted(n)}: ratio", ratios))
        for name, table in SLOPES.items():
            seconds = in_turn(ask, name, table, "equal", 1, quick)
            x = [float(side) for side in seconds]
            slopes = [slope(x, y) for y in zip(*seconds.values(), strict=True)]
            found.append(row("cost of ours", f"{name}, {x[0]:g} to {x[-1]:g}", "slope", slopes))
    return found


def version(side: str) -> str:
    try:
        return f"{side} {importlib.metadata.version(side)}"
    except importlib.metadata.PackageNotFoundError:
        return side


def show(found: Sequence[dict[str, Any]]) -> None:
    """Under each title a line for each side: medians, each with its quartiles."""
    tables: dict[str, dict[str, dict[str, str]]] = {}
    for r in found:
        cells = tables.setdefault(r["table"], {}).setdefault(version(r["side"]), {})
        column, _, what = r["column"].partition(": ")
        scale, unit = (1e3, " ms") if what == "seconds" else (1, "")
        text = f"{r['median']:,.0f}" if column == "parameters" else f"{scale * r['median']:.3g}{unit}"
        if r["spread"]:
            text += f" ({scale * r['spread'][0]:.3g}–{scale * r['spread'][1]:.3g})"
        cells[column] = f"{cells[column]}, × {text}" if what == "ratio" else text
    for title, sides in tables.items():
        columns = list(dict.fromkeys(column for cells in sides.values() for column in cells))
        lines = [["", *columns], *([side, *(cells.get(c, "") for c in columns)] for side, cells in sides.items())]
        widths = [max(map(len, texts)) for texts in zip(*lines, strict=True)]
        print(f"\n{title}")
        for line in lines:
            print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny models, to see that all of it runs")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each row")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker()
        return
    names = dict.fromkeys(library(side) for table in TABLES.values() for side in table.sides)
    missing = [name for name in names if not importlib.util.find_spec(IMPORTED.get(name, name))]
    for name in missing:
        print(f"{name} is not installed and left out; make bench installs it", file=sys.stderr)
    found = rows(arguments.quick)
    if arguments.json:
        print(*map(json.dumps, found), sep="\n")
    else:
        print(f"torch {torch.__version__}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
        show(found)


if __name__ == "__main__":
    main()
