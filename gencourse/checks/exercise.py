"""A student's function is checked the moment it is defined, and what was found is shown."""

import functools
import importlib
import inspect
import os
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from gencourse.checks.apart import apart, possible
from gencourse.checks.examine import CALLS_A_WRONG_ONE, examine
from gencourse.checks.panel import Note, Result, Summary, publish
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
        failures = _results[name].step if name in _results else 0
        _results[name] = Result(name, "wrong", check=INTERRUPTED, step=failures)  # should the next line not come back
        _answers[name] = function
        result = run(name, function)
        blames_another = result.mistake == CALLS_A_WRONG_ONE  # whose panel has the hints and the answer
        if result.state == "wrong" and not blames_another:
            result = replace(result, step=failures + 1, solution=find(name).solution())
        _results[name] = result if result.state == "passed" or result.step else replace(result, step=failures)
        publish(result)
        return own if result.state == "not attempted" else function

    return decorate


@checked
def run(name: str, function: Callable[..., Any], seed: Seed | None = None) -> Result:
    """Check an answer without showing anything: (name, function) -> Result.

    The numbers are fresh each time; `seed` repeats those of an earlier result. The global random state is left alone,
    and, where the answer runs in a process of its own, all else that it might change.

    Raises:
        ValueError: if there is no such exercise, if that is no function, or no seed.
    """
    exercise = find(name)
    if inspect.isclass(function):
        raise ValueError(f"function: expected a function for {name!r}, got a class")
    if seed is None:
        seed = int.from_bytes(os.urandom(4), "little")
    wrong = {other: _answers[other] for other in _answers if other in _results and _results[other].state == "wrong"}
    work = functools.partial(examine, exercise, function, seed, wrong)
    return apart(name, work) if possible() else work()


@checked
def hint(name: str) -> None:
    """Show the second, more concrete hint for an exercise.

    Raises:
        ValueError: if there is no such exercise.
    """
    last = _results.get(find(name).name)
    publish(Note(name, "hint", (last.second if last else "") or find(name).second))


@checked
def solution(name: str) -> None:
    """Show a worked answer to an exercise, and why it is so.

    Raises:
        ValueError: if there is no such exercise.
    """
    exercise = find(name)
    publish(Note(name, "a worked answer", exercise.solution(), exercise.why))


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


INTERRUPTED = "the checks came to their end"
_results: dict[str, Result] = {}  # the latest of each exercise that has run
_answers: dict[str, Callable[..., Any]] = {}  # the function that it is about


@functools.cache
def _known() -> dict[str, Exercise]:
    """The exercises that the labs' folders list, by their names."""
    folders = sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if m.name.startswith("lab_"))
    labs = [importlib.import_module(f"gencourse.checks.{folder}") for folder in folders]
    return {exercise.name: exercise for lab in labs for exercise in lab.EXERCISES}
