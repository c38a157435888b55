"""Exercises: a student's function is checked the moment it is defined.

A lab's file of checks makes one `Exercise` for each function to be written, and adds to it

    own        genlib's version, which stands in where nothing was attempted;
    checks     in the order in which they run, each a property that holds whatever the code looks like;
    mistakes   what a wrong answer would give, each with its hint, so that an answer is recognised by what it does.
"""

import importlib
import inspect
import os
import pkgutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer, Unattempted, Wrong
from gencourse.checks.panel import Result, Summary, publish
from genlib.arguments import check_choice

F = TypeVar("F", bound=Callable[..., Any])


class Check(NamedTuple):
    title: str
    hint: str
    function: Callable[[Answer, Generator], None]


class Mistake(NamedTuple):
    hint: str
    function: Callable[..., Any]


class Exercise:
    """One function to be written.

    Args:
        name: "family.function", as students see it.
        own: genlib's version; its parameters' names are the student's.
        returns: the names of what is returned, one tensor each.
        batched: the parameters whose first axis is the batch; examples must not influence each other.
        per_example: those of `returns` that may be shaped (B, 1, ..., 1) instead of like the first one.
        tempts_to_draw: what is given was drawn, and a student may draw instead: whether an answer is random is asked
            before its mistakes are compared, for it may agree with any of them by chance.
    """

    def __init__(
        self,
        name: str,
        own: Callable[..., Any],
        returns: Sequence[str],
        batched: Sequence[str] = (),
        per_example: Sequence[str] = (),
        tempts_to_draw: bool = False,
    ) -> None:
        self.name, self.own = name, own
        self.lab = next((part for part in own.__module__.split(".") if part.startswith("lab_")), "")
        self.parameters = tuple(inspect.signature(own).parameters)
        self.returns, self.batched, self.per_example = tuple(returns), tuple(batched), tuple(per_example)
        self.tempts_to_draw = tempts_to_draw
        self.checks: list[Check] = []
        self.mistakes: dict[str, Mistake] = {}
        _exercises[name] = self

    def check(self, title: str, hint: str) -> Callable[[F], F]:
        """Add a check: a function (answer, generator) that calls the answer. `hint` serves unforeseen mistakes."""

        def add(function: F) -> F:
            self.checks.append(Check(title, hint, function))
            return function

        return add

    def mistake(self, hint: str) -> Callable[[F], F]:
        """Add a mistake, under its function's name: what an answer with this one mistake returns."""

        def add(function: F) -> F:
            self.mistakes[function.__name__] = Mistake(hint, function)
            return function

        return add

    def outputs(self, raw: Any) -> tuple[Any, ...]:
        """What was returned, as a tuple; a variance given once for each example is spread over the example."""
        outputs = raw if isinstance(raw, tuple | list) else (raw,)
        first = outputs[0]
        spread = [
            out.expand_as(first) if name in self.per_example and _once_per_example(out, first) else out
            for name, out in zip(self.returns, outputs, strict=True)
        ]
        return tuple(spread)


class WholeNumbers(Exercise):
    """An exercise whose results are whole numbers: what dtype they have is left to the student."""

    def outputs(self, raw: Any) -> tuple[Any, ...]:
        return tuple(o.double() if isinstance(o, Tensor) else o for o in super().outputs(raw))


def exercise(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Check the decorated function at once and show what was found.

    The name stays bound to the student's function, right or wrong; only where nothing was attempted (the function
    raises NotImplementedError before it has returned anything) is it bound to genlib's own version.

    Raises:
        ValueError: if there is no such exercise, or if a class is decorated.
    """
    found = find(name)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        result = run(name, function)
        _results[name] = result
        publish(result)
        return found.own if result.state == "not attempted" else function

    return decorate


def run(name: str, function: Callable[..., Any], seed: int | None = None) -> Result:
    """Check an answer without showing anything: (name, function) -> Result.

    The numbers are fresh each time; `seed` repeats those of an earlier result. The global random state is left alone.
    """
    exercise = find(name)
    if inspect.isclass(function) or not callable(function):
        what = "a class" if inspect.isclass(function) else type(function).__name__
        raise ValueError(f"function: expected a function for {name!r}, got {what}")
    if seed is None:
        seed = int.from_bytes(os.urandom(4), "little")
    problem = _signature_problem(exercise, function)
    if problem is not None:
        return problem

    answer = Answer(exercise, function)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        for i, check in enumerate(exercise.checks):
            torch.manual_seed(seed + i)
            answer.fallback = check.hint
            try:
                check.function(answer, Generator().manual_seed(seed + i))
            except Unattempted:
                return Result(name, "not attempted")
            except Wrong as wrong:
                return Result(name, "wrong", check=check.title, seed=seed, **wrong.found)
    return Result(name, "passed")


def summary(lab: str | None = None) -> None:
    """Show the state of every exercise of a lab: of `lab`, or of those from which an exercise has run."""
    _load_labs()
    labs = {_exercises[name].lab for name in _results}
    if lab is not None:
        labs = {lab}
    publish(Summary([result for lab in sorted(labs) for result in results(lab)]))


def results(lab: str) -> list[Result]:
    """The latest result of every exercise of a lab, in its order; "not attempted" where none has run."""
    _load_labs()
    check_choice("lab", lab, {e.lab for e in _exercises.values()})
    listed = [name for name, e in _exercises.items() if e.lab == lab]
    return [_results.get(name, Result(name, "not attempted")) for name in listed]


def find(name: str) -> Exercise:
    """The exercise of this name; ValueError with the nearest names where there is none."""
    _load_labs()
    return _exercises[check_choice("name", name, _exercises)]


def exercises() -> list[Exercise]:
    """Every exercise of every lab, in the labs' order."""
    _load_labs()
    return list(_exercises.values())


_exercises: dict[str, Exercise] = {}
_results: dict[str, Result] = {}  # the latest of each exercise that has run


def _load_labs() -> None:
    """Import every lab's file of checks; each adds its exercises."""
    for module in sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)])):
        if module.startswith("lab_"):
            importlib.import_module(f"gencourse.checks.{module}")


def _once_per_example(out: Any, first: Any) -> bool:
    if not (isinstance(out, Tensor) and isinstance(first, Tensor)) or out.dim() != first.dim() or not out.dim():
        return False
    return out.shape[0] == first.shape[0] and all(a in (1, b) for a, b in zip(out.shape, first.shape, strict=True))


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
