"""What an exercise is. A lab's file makes one for each function to be written, and adds to it

own        genlib's version, which stands in where nothing was attempted;
checks     in the order in which they run, each a property that holds whatever the code looks like;
mistakes   what a wrong answer would give, each with its hint, so that an answer is recognised by what it does.
"""

import inspect
import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Generator, Tensor

from gencourse.checks.compare import copies
from gencourse.checks.content import content

F = TypeVar("F", bound=Callable[..., Any])
CALLS = 2000  # whose results are remembered


class Check(NamedTuple):
    title: str
    hint: str
    function: Callable[[Any, Generator], None]  # it is given an Answer


class Mistake(NamedTuple):
    hint: str
    function: Callable[..., Any]
    second: str = ""  # what to say when it is still there; else the exercise's


@dataclass(eq=False)
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
        plain: NumPy arrays and plain numbers count as tensors, as no gradients are asked for.
        second: the second hint, more concrete than any mistake's own.
        why: one sentence that a pass is answered with: what it is good for.
    """

    name: str
    own: Callable[..., Any]
    returns: Sequence[str]
    batched: Sequence[str] = ()
    per_example: Sequence[str] = ()
    tempts_to_draw: bool = False
    plain: bool = False
    second: str = ""
    why: str = ""
    checks: list[Check] = field(default_factory=list, init=False)
    mistakes: dict[str, Mistake] = field(default_factory=dict, init=False)
    large: Callable[[Generator], tuple[Any, ...]] | None = field(default=None, init=False)
    _remembered: dict[Hashable, tuple[Tensor, ...]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.own).parameters)

    @property
    def lab(self) -> str:
        """The lab's name, which is that of the folder where `own` is written."""
        return next((part for part in self.own.__module__.split(".") if part.startswith("lab_")), "")

    def check(self, title: str, hint: str) -> Callable[[F], F]:
        """Add a check: a function (answer, generator) that calls the answer. `hint` serves unforeseen mistakes."""

        def add(function: F) -> F:
            self.checks.append(Check(title, hint, function))
            return function

        return add

    def mistake(self, hint: str, second: str = "") -> Callable[[F], F]:
        """Add a mistake, under its function's name: what an answer with this one mistake returns.

        `second` is said when the same exercise fails again, in place of the exercise's own second hint.
        """

        def add(function: F) -> F:
            self.mistakes[function.__name__] = Mistake(hint, function, second)
            return function

        return add

    def pace(self, function: F) -> F:
        """Set what makes arguments of the notebook's size: an answer far slower than `own` on them gets a warning."""
        self.large = function
        return function

    def solution(self) -> str:
        """The worked answer: `own`, under the student's name."""
        source = inspect.cleandoc("\n" + inspect.getsource(self.own))
        line = f"def {self.name.rpartition('.')[2]}({', '.join(self.parameters)}):\n"  # types are not known in the lab
        return re.sub(r"def .*?:\n", lambda _: line, source, count=1, flags=re.DOTALL)

    def results(self, function: Callable[..., Any], args: Sequence[Any]) -> tuple[Tensor, ...]:
        """What a function returns on copies of these arguments."""
        given = copies(args)
        return self.outputs(self.seen(function(*given), given))

    def truth(self, args: Sequence[Any]) -> tuple[Tensor, ...]:
        """What `own` returns on copies of these arguments."""
        return self.remembered(self.own, args)

    def remembered(self, function: Callable[..., Any], args: Sequence[Any]) -> tuple[Tensor, ...]:
        """What genlib's version or a known mistake returns on copies of these arguments; a known call is made once."""
        known = content(args)
        if known is None:
            return self.results(function, args)
        if (function, known) not in self._remembered:
            results = self.results(function, args)
            self._remembered[function, known] = tuple(o.detach() if isinstance(o, Tensor) else o for o in results)
            if len(self._remembered) > CALLS:
                del self._remembered[next(iter(self._remembered))]
        return self._remembered[function, known]

    def seen(self, raw: Any, given: Sequence[Any]) -> Any:
        """What is compared: what was returned; an exercise that trains a network adds what became of `given`."""
        return raw

    def outputs(self, raw: Any) -> tuple[Any, ...]:
        """What was returned, as a tuple; a variance given once for each example is spread over the example."""
        outputs = tuple(self.tensor(out) for out in (raw if isinstance(raw, tuple | list) else (raw,)))
        first = outputs[0]
        return tuple(
            out.expand_as(first) if name in self.per_example and _once_per_example(out, first) else out
            for name, out in zip(self.returns, outputs, strict=True)
        )

    def tensor(self, out: Any) -> Any:
        """A NumPy array or a number as a tensor, where the exercise takes them."""
        numbers = isinstance(out, np.ndarray | np.number | float | int) and not isinstance(out, bool)
        return torch.from_numpy(np.asarray(out)) if self.plain and numbers else out


class WholeNumbers(Exercise):
    """An exercise whose results are whole numbers: what dtype they have is left to the student."""

    def outputs(self, raw: Any) -> tuple[Any, ...]:
        return tuple(o.double() if isinstance(o, Tensor) else o for o in super().outputs(raw))


def _once_per_example(out: Any, first: Any) -> bool:
    if not (isinstance(out, Tensor) and isinstance(first, Tensor)) or out.dim() != first.dim() or not out.dim():
        return False
    return out.shape[0] == first.shape[0] and all(a in (1, b) for a, b in zip(out.shape, first.shape, strict=True))
