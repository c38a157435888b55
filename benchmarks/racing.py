"""Time to quality: several sides train the same thing within the same seconds, and the same judge looks at all.

A race is a module with `SIDES`, name → `side(setting, seed)`, whose result trains from nothing for a number of steps,
`train(steps)`, and is judged, `quality()`. Each side lives in a process of its own, on one thread; sides take turns, so
that whatever else the machine does hits all of them alike. The clock is that of the processor, and stands still while
the judge looks. A budget of seconds is a training of its own: how many steps fit into it is measured just before, so
that a learning rate which falls to zero does so at its end; a training that has missed it by a tenth is repeated.
"""

import argparse
import importlib
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

Setting = Mapping[str, Any]
WITHIN = 0.1  # of a budget
RUNS = Path(__file__).resolve().parents[1] / "build" / "bench"


class Trained(Protocol):
    """What a side makes of a setting and a seed."""

    def train(self, steps: int) -> None:
        """From nothing, with the learning rate's whole course within these steps."""

    def quality(self) -> dict[str, float]:
        """What the judge says."""
        ...


Side = Callable[[Setting, int], Trained]


# -- In the process of a side


def within(side: Side, setting: Setting, seed: int, seconds: float) -> dict[str, float]:
    """Train for so many seconds of a processor, and judge."""
    side(setting, seed).train(2)  # what is done once in a process, such as imports, is no training
    rate, steps = 0.0, 8
    while not rate:  # until a trial has taken a tenth of the budget, or a second
        begun = time.process_time()
        side(setting, seed).train(steps)
        took = time.process_time() - begun
        rate, steps = (steps / took if took > min(1.0, seconds / 10) else 0.0), 2 * steps
    for _ in range(3):  # a machine that is disturbed is as fast as before in the next try, perhaps
        trained, steps = side(setting, seed), max(1, round(rate * seconds))
        begun = time.process_time()
        trained.train(steps)
        took = time.process_time() - begun
        rate = steps / took
        if abs(took / seconds - 1) < WITHIN:
            break
    return {"seconds": round(took, 2), "steps": steps, **trained.quality()}


def serve(race: str, name: str) -> None:
    """Read jobs, a line of JSON each, and answer each with one."""
    import torch

    torch.set_num_threads(1)
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    side = importlib.import_module(race).SIDES[name]
    for line in sys.stdin:
        job = json.loads(line)
        try:
            found = within(side, job["setting"], job["seed"], job["budget"])
        except Exception as error:  # a setting that diverges is one that loses
            found = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        print(json.dumps(found), file=answers, flush=True)


# -- Outside


def run(
    race: str, jobs: Sequence[dict[str, Any]], python: str = sys.executable, lanes: int = 2
) -> list[dict[str, Any]]:
    """All jobs, with what each has found; those that are in the race's file already are not run again.

    A job: {"side", "setting", "seed", "budget"}. They begin in their order, but no side runs twice at the same time.
    """
    RUNS.mkdir(parents=True, exist_ok=True)
    path = RUNS / f"{race}.jsonl"
    known = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {key(entry): entry for entry in known}
    todo = [job for job in jobs if key(job) not in done]
    running: set[str] = set()
    turn, begun = threading.Condition(), time.perf_counter()

    def lane() -> None:
        while True:
            with turn:
                turn.wait_for(lambda: not todo or any(job["side"] not in running for job in todo))
                if not todo:
                    return
                job = next(job for job in todo if job["side"] not in running)
                todo.remove(job)
                running.add(job["side"])
            entry = {**job, **sides.answer(job)}
            with turn, path.open("a") as file:
                running.discard(job["side"])
                done[key(entry)] = entry
                file.write(json.dumps(entry) + "\n")
                share = sum(key(job) in done for job in jobs) / len(jobs)
                print(f"  {race} {share:4.0%} {time.perf_counter() - begun:5.0f} s  {entry}", file=sys.stderr)
                turn.notify_all()

    with Processes(race, python) as sides, ThreadPoolExecutor(lanes) as threads:
        for ended in [threads.submit(lane) for _ in range(lanes)]:
            ended.result()
    return [done[key(job)] for job in jobs]


class Processes(AbstractContextManager["Processes"]):
    """Of the sides, each with one of its own, from its first job on."""

    def __init__(self, race: str, python: str) -> None:
        self.command = [python, str(Path(__file__).resolve()), "--race", race, "--side"]
        self.started: dict[str, subprocess.Popen[str]] = {}

    def answer(self, job: Mapping[str, Any]) -> dict[str, Any]:
        side = job["side"]
        if side not in self.started:
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self.started[side] = subprocess.Popen([*self.command, side], env=as_it_comes(), **pipes)
        process = self.started[side]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:  # the next job gets a new one
            del self.started[side]
            return {"error": f"its process has ended, with {process.wait()}"}
        return json.loads(answer)

    def __exit__(self, *_: object) -> None:
        for process in self.started.values():
            process.kill()
            process.wait()


def as_it_comes() -> dict[str, str]:
    """The environment without the Makefile's settings of the allocator, which no peer's user has: nor have ours, but
    `fit` sets it while it trains."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}


def key(job: Mapping[str, Any]) -> str:
    return json.dumps([job["side"], job["setting"], job["seed"], job["budget"]], sort_keys=True)


def grid(**choices: Sequence[Any]) -> list[dict[str, Any]]:
    """Every combination."""
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def value_of(entry: Mapping[str, Any], by: str) -> float:
    """What the judge said; infinity for a training that failed, or whose value is no number."""
    value = entry.get(by, math.inf)
    return math.inf if math.isnan(value) else value


def best(entries: Sequence[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    """For each side, and each budget that was tried, the setting with the smallest mean over its seeds."""
    values: dict[tuple[str, float], dict[str, list[float]]] = {}
    for entry in entries:
        settings = values.setdefault((entry["side"], entry["budget"]), {})
        settings.setdefault(json.dumps(entry["setting"]), []).append(value_of(entry, by))
    return [
        {"side": side, "budget": budget, "setting": json.loads(min(of, key=lambda each: statistics.fmean(of[each])))}
        for (side, budget), of in values.items()
    ]


def nearest(budget: float, tried: Collection[float]) -> float:
    """Of the budgets that were tried that which is least times as long, or as short."""
    return min(tried, key=lambda each: abs(math.log(each / budget)))


def chosen(best: Sequence[dict[str, Any]], side: str, budget: float) -> dict[str, Any]:
    """The setting that a side is given for a budget."""
    own = {entry["budget"]: entry["setting"] for entry in best if entry["side"] == side}
    return own[nearest(budget, own)]


def curves(entries: Sequence[dict[str, Any]], by: str) -> dict[str, list[tuple[float, list[float]]]]:
    """For each side: budget, and what its seeds reached, in order."""
    found: dict[str, dict[float, list[float]]] = {}
    for entry in entries:
        found.setdefault(entry["side"], {}).setdefault(entry["budget"], []).append(value_of(entry, by))
    return {side: sorted(budgets.items()) for side, budgets in found.items()}


def time_to(curve: Sequence[tuple[float, Sequence[float]]], goal: float) -> float | None:
    """The seconds after which the median of the seeds is at the goal or below, between two budgets by interpolation.

    Linear in the logarithms of both; the first budget, if that is enough; None, if none is.
    """
    before: tuple[float, float] | None = None
    for budget, values in curve:
        value = statistics.median(values)
        if value <= goal:
            if before is None or not (before[1] > 0 and value > 0):
                return budget
            share = math.log(before[1] / goal) / math.log(before[1] / value)
            return math.exp(math.log(before[0]) + share * math.log(budget / before[0]))
        before = (budget, value)
    return None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--race", required=True)
    parser.add_argument("--side", required=True)
    arguments = parser.parse_args()
    serve(arguments.race, arguments.side)
