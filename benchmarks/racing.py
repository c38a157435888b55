"""Time to quality: several sides train the same thing within the same seconds, and the same judge looks at all.

A race is a module with `SIDES`, name → `side(setting, seed)`, whose result trains from nothing for a number of steps,
`train(steps)`, and is judged, `quality()`. Each side lives in a process of its own, on one thread; sides take turns, so
that whatever else the machine does hits all of them alike. The clock is that of the processor, and stands still while
the judge looks. A budget of seconds is a training of its own: how many steps fit into it is measured just before, so
that a learning rate which falls to zero does so at the end of the budget.
"""

import argparse
import importlib
import itertools
import json
import queue
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

Setting = Mapping[str, Any]
RUNS = Path(__file__).resolve().parents[1] / "build" / "bench"


class Trained(Protocol):
    """What a side makes of a setting and a seed."""

    def train(self, steps: int) -> None:
        """From nothing, with the learning rate's whole course within these steps."""

    def quality(self) -> dict[str, float]:
        """What the judge says."""


Side = Callable[[Setting, int], Trained]


# -- In the process of a side


def within(side: Side, setting: Setting, seed: int, seconds: float) -> dict[str, float]:
    """Train for so many seconds of a processor, and judge."""
    rate, steps = 0.0, 8
    while not rate:  # until a trial has taken a tenth of the budget, or a second
        begun = time.process_time()
        side(setting, seed).train(steps)
        took = time.process_time() - begun
        rate, steps = (steps / took if took > min(1.0, seconds / 10) else 0.0), 2 * steps
    trained = side(setting, seed)
    steps, begun = max(1, round(rate * seconds)), time.process_time()
    trained.train(steps)
    took = time.process_time() - begun
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

    A job: {"side", "setting", "seed", "budget"}. No side runs twice at the same time.
    """
    RUNS.mkdir(parents=True, exist_ok=True)
    path = RUNS / f"{race}.jsonl"
    known = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {key(entry): entry for entry in known}
    todo = [job for job in jobs if key(job) not in done]
    waiting: dict[str, queue.SimpleQueue[dict[str, Any]]] = {job["side"]: queue.SimpleQueue() for job in todo}
    for job in todo:
        waiting[job["side"]].put(job)
    lock, running, begun = threading.Lock(), threading.Semaphore(lanes), time.perf_counter()

    def lane(name: str) -> None:
        command = [python, str(Path(__file__).resolve()), "--race", race, "--side", name]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            while not waiting[name].empty():
                job = waiting[name].get()
                with running:
                    process.stdin.write(json.dumps(job) + "\n")
                    process.stdin.flush()
                    answer = process.stdout.readline()
                if not answer:
                    raise SystemExit(f"{race}: {name} has ended with {job}")
                entry = {**job, **json.loads(answer)}
                with lock:
                    done[key(entry)] = entry
                    with path.open("a") as file:
                        file.write(json.dumps(entry) + "\n")
                    share = sum(key(j) in done for j in jobs) / len(jobs)
                    print(f"  {race} {share:4.0%} {time.perf_counter() - begun:5.0f} s  {entry}", file=sys.stderr)
            process.stdin.close()

    threads = [threading.Thread(target=lane, args=(name,)) for name in waiting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [done[key(job)] for job in jobs if key(job) in done]


def key(job: Mapping[str, Any]) -> str:
    return json.dumps([job["side"], job["setting"], job["seed"], job["budget"]], sort_keys=True)


def grid(**choices: Sequence[Any]) -> list[dict[str, Any]]:
    """Every combination."""
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def best(entries: Sequence[dict[str, Any]], by: str) -> dict[str, dict[str, Any]]:
    """For each side the setting with the smallest of this measure; what failed or is no number comes last."""

    def rank(entry: Mapping[str, Any]) -> float:
        value = entry.get(by, float("inf"))
        return value if value == value else float("inf")

    sides = dict.fromkeys(entry["side"] for entry in entries)
    return {side: min((e for e in entries if e["side"] == side), key=rank)["setting"] for side in sides}


def curves(entries: Sequence[dict[str, Any]], by: str) -> dict[str, list[tuple[float, list[float]]]]:
    """For each side: budget, and what its seeds reached, in order."""
    found: dict[str, dict[float, list[float]]] = {}
    for entry in entries:
        found.setdefault(entry["side"], {}).setdefault(entry["budget"], []).append(entry.get(by, float("nan")))
    return {side: sorted(budgets.items()) for side, budgets in found.items()}


def time_to(curve: Sequence[tuple[float, Sequence[float]]], goal: float) -> float | None:
    """The seconds after which the median of the seeds is at the goal or below, between two budgets by interpolation.

    Linear in the logarithms of both; the first budget, if that is enough; None, if none is.
    """
    import math

    points: Iterator[tuple[float, float]] = ((budget, statistics.median(values)) for budget, values in curve)
    before: tuple[float, float] | None = None
    for budget, value in points:
        if value <= goal:
            if before is None or before[1] <= 0 or value <= 0:
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
