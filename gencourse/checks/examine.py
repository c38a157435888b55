"""An answer is examined: the checks of its exercise, one after another, until one fails.

While that lasts the answer's own name means the answer, so that one that calls itself is asked itself, and not what
the cell above it left. Other exercises' answers that it calls and that are wrong are noted: they are blamed first.
"""

import functools
import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Generator

from gencourse.checks import limit
from gencourse.checks.answer import Answer, Unattempted, Wrong
from gencourse.checks.panel import Result
from gencourse.checks.spec import Exercise

CALLS_A_WRONG_ONE = "calls_a_wrong_one"
SLOW = 50  # times genlib's own time: a lab's training would take minutes
NOTICED = 0.05  # seconds, under which nobody minds
INSTANT = 1e-4  # seconds: for so short a time some clocks stand still
clock = time.process_time  # what other programs take is not counted


def examine(
    exercise: Exercise,
    function: Callable[..., Any],
    seed: int,
    wrong: Mapping[str, Callable[..., Any]] | None = None,
    told: Callable[[str], None] = lambda title: None,
) -> Result:
    """The first check that fails, or "passed".

    Args:
        exercise, function: the exercise and the answer.
        seed: repeats the numbers; every check has its own.
        wrong: answers to other exercises that are wrong so far, by their exercises' names.
        told: hears each check's title before it begins.
    """
    problem = _signature_problem(exercise, function)
    if problem is not None:
        return problem
    answer = Answer(exercise, function)
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), _names(function, wrong or {}) as asked:
        for i, check in enumerate(exercise.checks):
            told(check.title)
            torch.manual_seed(seed + i)
            answer.begins(check)
            try:
                check.function(answer, Generator().manual_seed(seed + i))
            except Unattempted:
                return Result(exercise.name, "not attempted")
            except Wrong as wrong_one:
                known = exercise.mistakes.get(wrong_one.found["mistake"])
                second = (known.second if known else "") or exercise.second
                result = Result(exercise.name, "wrong", check=check.title, seed=seed, second=second, **wrong_one.found)
                return _blamed(result, asked) if asked else result
        told("its pace")
        return Result(exercise.name, "passed", why=exercise.why, warning=_pace(exercise, function, seed))


@contextmanager
def _names(function: Callable[..., Any], wrong: Mapping[str, Callable[..., Any]]) -> Iterator[list[str]]:
    """The answer's own name means the answer; gives the list of the wrong exercises that were called meanwhile."""
    asked: list[str] = []
    names = getattr(function, "__globals__", {})
    bound = {}
    for name, other in wrong.items():
        called = name.rpartition(".")[2]
        if names.get(called) is other and other is not function:
            bound[called] = _noted(name, other, asked)
    if getattr(function, "__qualname__", "").isidentifier():
        bound[function.__name__] = function
    before = {name: names[name] for name in bound if name in names}
    names.update(bound)
    try:
        yield asked
    finally:
        for name in bound:
            names.pop(name, None)
        names.update(before)


def _noted(name: str, function: Callable[..., Any], asked: list[str]) -> Callable[..., Any]:
    @functools.wraps(function)
    def noted(*args: Any, **kwargs: Any) -> Any:
        if name not in asked:
            asked.append(name)
        return function(*args, **kwargs)

    return noted


def _blamed(result: Result, asked: list[str]) -> Result:
    names = " and ".join(asked)
    is_, it = ("is", "it") if len(asked) == 1 else ("are", "them")
    return replace(
        result,
        check=f"{names}, which this calls, {is_} still wrong: mend {it} first",
        mistake=CALLS_A_WRONG_ONE,
        hint=f"What this function adds cannot be judged as long as {names} {is_} wrong. Mend {it}, or put `raise "
        f"NotImplementedError` back there for now, and run this cell again.",
        second="",
    )


def _pace(exercise: Exercise, function: Callable[..., Any], seed: int) -> str:
    """A warning, if on arguments of the notebook's size the answer takes `SLOW` times as long as genlib's."""
    if exercise.large is None:
        return ""
    args = exercise.large(Generator().manual_seed(seed))
    ours = max(INSTANT, min(_seconds(exercise, exercise.own, args) for _ in range(3)))
    theirs = _seconds(exercise, function, args)
    if theirs < NOTICED or theirs < SLOW * ours:
        return ""
    return (
        f"Right, but {theirs / ours:.0f} times slower than genlib's on arguments of the notebook's size: cells that "
        "train with it take as much longer. Is there a loop that torch could do at once?"
    )


def _seconds(exercise: Exercise, function: Callable[..., Any], args: tuple[Any, ...]) -> float:
    start = clock()
    try:
        with torch.no_grad():
            limit.called(exercise.results, function, args)
    except limit.Stopped:
        return limit.SECONDS
    except Exception:  # the checks have said that it is right
        return 0.0
    return clock() - start


def _signature_problem(exercise: Exercise, function: Callable[..., Any]) -> Result | None:
    """The parameters' names, in order; further ones are fine if they have defaults."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a builtin that does not tell
        return None
    names, wanted = tuple(p.name for p in parameters), exercise.parameters
    extra = parameters[len(wanted) :]
    if names[: len(wanted)] == wanted and all(p.default is not p.empty for p in extra):
        return None
    called = exercise.name.rpartition(".")[2]
    return Result(
        exercise.name,
        "wrong",
        check="the function takes what the cells below will give it",
        mistake="signature",
        hint="Keep the first line of the function as it was: names and order.",
        second=f"It begins with def {called}({', '.join(wanted)}):",
        expected=f"{called}({', '.join(wanted)})",
        got=f"{called}{inspect.signature(function)}",
    )
