"""A student's function is checked the moment it is defined, and what was found is shown."""

import functools
import importlib
import inspect
import os
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Generator

from gencourse.checks.answer import Answer, Unattempted, Wrong
from gencourse.checks.panel import Result, Summary, publish
from gencourse.checks.spec import Exercise
from genlib.arguments import Seed, check, checked


def exercise(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Check the decorated function at once and show what was found.

    The name stays bound to the student's function, right or wrong; only where nothing was attempted (the function
    raises NotImplementedError before it has returned anything) is it bound to genlib's own version.

    Raises:
        ValueError: if there is no such exercise, or if something other than a function is decorated.
    """
    own = find(name).own

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        result = run(name, function)
        _results[name] = result
        publish(result)
        return own if result.state == "not attempted" else function

    return decorate


@checked
def run(name: str, function: Callable[..., Any], seed: Seed | None = None) -> Result:
    """Check an answer without showing anything: (name, function) -> Result.

    The numbers are fresh each time; `seed` repeats those of an earlier result. The global random state is left alone.

    Raises:
        ValueError: if there is no such exercise, if that is no function, or no seed.
    """
    exercise = find(name)
    if inspect.isclass(function):
        raise ValueError(f"function: expected a function for {name!r}, got a class")
    if seed is None:
        seed = int.from_bytes(os.urandom(4), "little")
    problem = _signature_problem(exercise, function)
    if problem is not None:
        return problem

    answer = Answer(exercise, function)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        for i, (title, hint, holds) in enumerate(exercise.checks):
            torch.manual_seed(seed + i)
            answer.fallback = hint
            try:
                holds(answer, Generator().manual_seed(seed + i))
            except Unattempted:
                return Result(name, "not attempted")
            except Wrong as wrong:
                return Result(name, "wrong", check=title, seed=seed, **wrong.found)
    return Result(name, "passed")


def summary(lab: str | None = None) -> None:
    """Show the state of every exercise of a lab: of `lab`, or of those from which an exercise has run.

    Raises:
        ValueError: if there is no such lab.
    """
    labs = sorted({find(name).lab for name in _results}) if lab is None else [lab]
    publish(Summary([result for lab in labs for result in results(lab)]))


def results(lab: str) -> list[Result]:
    """The latest result of every exercise of a lab, in its order; "not attempted" where none has run.

    Raises:
        ValueError: if there is no such lab.
    """
    check("lab", lab, Literal[tuple(sorted({e.lab for e in exercises()}))])
    return [_results.get(e.name, Result(e.name, "not attempted")) for e in exercises() if e.lab == lab]


def find(name: str) -> Exercise:
    """The exercise of this name; ValueError with the nearest names where there is none."""
    return _known()[check("name", name, Literal[tuple(_known())])]


def exercises() -> list[Exercise]:
    """Every exercise of every lab, in the labs' order."""
    return list(_known().values())


_results: dict[str, Result] = {}  # the latest of each exercise that has run


@functools.cache
def _known() -> dict[str, Exercise]:
    """The exercises that the labs' folders list, by their names."""
    folders = sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if m.name.startswith("lab_"))
    labs = [importlib.import_module(f"gencourse.checks.{folder}") for folder in folders]
    return {exercise.name: exercise for lab in labs for exercise in lab.EXERCISES}


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
        expected=f"{called}({', '.join(wanted)})",
        got=f"{called}{inspect.signature(function)}",
    )
