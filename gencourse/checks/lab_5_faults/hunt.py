"""An exercise whose answer is a test: `test_…(candidate)` accepts right implementations, and refuses faulty ones.

It refuses by an AssertionError, and accepts by coming to its end. A faulty candidate may also fall over by itself; any
other exception is the test's own fault. All candidates look alike, so that a test can only call them.
"""

import random
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Generator

from gencourse.checks.answer import Answer, said, students_line
from gencourse.checks.spec import Exercise, F, Mistake

ROUNDS = 8  # with other random numbers, in which each right candidate comes once
ROUNDS_OF_FAULTS = 2
SECONDS = 2.0  # after which no further round begins
ALARMS = 1  # wrong verdicts among all rounds that may be bad luck


class Candidate(NamedTuple):
    """An implementation, right or faulty, with the hint for a test that judges it wrongly."""

    function: Callable[..., Any]
    title: str
    hint: str = ""

    def __repr__(self) -> str:
        return self.title


@dataclass
class Verdict:
    """What became of one candidate: how often it was called, what it raised itself, and how the test ended."""

    calls: int = 0
    raised: Exception | None = None
    error: Exception | None = None
    returned: Any = None

    @property
    def refused(self) -> bool:
        return self.error is not None and (isinstance(self.error, AssertionError) or self.error is self.raised)


@dataclass(eq=False)
class Hunt(Exercise):
    """A test to be written. `right` and `fault` add candidates, the fault that the notebook shows first."""

    rights: list[Candidate] = field(default_factory=list, init=False)
    faults: list[Candidate] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.called = self.name.rpartition("test_")[2]
        self.check(f"it accepts every right {self.called}", "")(self._rights_pass)
        self.check("it refuses the faulty one above", "")(self._shown_is_refused)
        self.check("it refuses the relatives of this fault, too", "")(self._relatives_are_refused)
        self.check("its verdicts do not depend on luck", "")(self._no_luck)

    def right(self, how: str, hint: str = "") -> Callable[[F], F]:
        """Add a right implementation. `hint` is for a test that refuses it for what it has of its own."""

        def add(function: F) -> F:
            self.rights.append(Candidate(function, f"a right {self.called}, {how}", hint))
            if hint:
                self.mistakes[function.__name__] = Mistake(hint, function)
            return function

        return add

    def fault(self, hint: str, second: str) -> Callable[[F], F]:
        """Add a faulty one. `hint` says which number would tell, `second` what is wrong with it."""

        def add(function: F) -> F:
            shown = "the one above" if not self.faults else "one that is not shown"
            self.faults.append(Candidate(function, f"a faulty {self.called}, {shown}", hint))
            self.mistakes[function.__name__] = Mistake(hint, function, second)
            return function

        return add

    def complete(self) -> "Hunt":
        """All candidates are there: what is said after a pass counts them."""
        n, m = len(self.faults), len(self.rights)
        self.why = f"{n} of {n} faults caught, and none of {m} right ones refused. {self.why}"
        return self

    def _rights_pass(self, answer: Answer, g: Generator) -> None:
        for right in self.rights:
            verdict = judged(answer, right, _seed(g))
            if verdict.calls == 0 and (verdict.error is None or verdict.refused):
                answer.wrong("never_calls", NEVER_CALLS, expected="a call of candidate", got="none")
            if verdict.error is not None:
                self._refuses(answer, right, verdict, g)

    def _refuses(self, answer: Answer, right: Candidate, verdict: Verdict, g: Generator) -> None:
        """Why a right one is refused, or the test falls over on it."""
        error = f"{type(verdict.error).__name__}: {said(verdict.error or Exception())}".strip()
        if not isinstance(verdict.error, AssertionError):
            mistake, hint = ("misuse", MISUSE) if verdict.refused else ("falls_over", FALLS_OVER)
            answer.wrong(mistake, hint, error=f"{error}\n{students_line(verdict.error or Exception()).text}".strip())
        again = [judged(answer, right, _seed(g)).refused for _ in range(ROUNDS)]
        if sum(again) < ALARMS:
            return  # once in so many
        others = [judged(answer, other, _seed(g)).refused for other in self.rights]
        answer.args = (right,)
        if not all(again):
            got = f"this one refused in {1 + sum(again)} of {1 + len(again)} runs. {_first_lines(error)}"
            answer.wrong("flaky", FLAKY, expected="no right one refused", got=got)
        got = f"{sum(others)} of {len(others)} refused. {_first_lines(error)}"
        if all(others):
            answer.wrong("refuses_all", REFUSES_ALL, expected="no right one refused", got=got)
        mistake = right.function.__name__ if right.hint else "refuses_right"
        answer.wrong(mistake, right.hint or REFUSES_RIGHT, expected="no right one refused", got=got)

    def _shown_is_refused(self, answer: Answer, g: Generator) -> None:
        self._all_refused(answer, self.faults[:1], g)

    def _relatives_are_refused(self, answer: Answer, g: Generator) -> None:
        self._all_refused(answer, self.faults[1:], g)

    def _all_refused(self, answer: Answer, faults: list[Candidate], g: Generator) -> None:
        for fault in faults:
            verdict = judged(answer, fault, _seed(g))
            if verdict.refused:
                continue
            if verdict.error is not None:
                error = f"{type(verdict.error).__name__}: {said(verdict.error)}\n{students_line(verdict.error).text}"
                answer.wrong("crashes", CRASHES, error=error.strip())
            again = [judged(answer, fault, _seed(g)).refused for _ in range(ROUNDS)]
            if all(again):
                continue  # two numbers that happened to agree
            caught = sum(judged(answer, other, _seed(g)).refused for other in self.faults)
            answer.args = (fault,)
            counts = {"expected": f"{len(self.faults)} of {len(self.faults)} caught", "got": f"{caught} caught"}
            if sum(again) > ROUNDS // 2:
                got = f"this one accepted in {1 + ROUNDS - sum(again)} of {1 + ROUNDS} runs"
                answer.wrong("sometimes", SOMETIMES, expected="every faulty one refused", got=got)
            if not caught and verdict.returned is not None:
                answer.wrong("returns", RETURNS, **counts)
            answer.wrong(fault.function.__name__, fault.hint, **counts)

    def _no_luck(self, answer: Answer, g: Generator) -> None:
        """All again with other random numbers, and in an order that nobody can count on."""
        alarms, misses, rights, faults, end = [], [], 0, 0, time.monotonic() + SECONDS
        for turn in range(ROUNDS):
            both = [*self.rights, *(self.faults if turn < ROUNDS_OF_FAULTS else [])]
            for i in torch.randperm(len(both), generator=g).tolist():
                verdict = judged(answer, both[i], _seed(g))
                is_right = i < len(self.rights)
                rights, faults = rights + is_right, faults + (not is_right)
                if is_right and verdict.error is not None:
                    alarms.append(both[i])
                if not is_right and not verdict.refused:
                    misses.append(both[i])
            if time.monotonic() > end:
                break
        if len(alarms) > ALARMS:
            answer.args = (alarms[0],)
            answer.wrong(
                "flaky", FLAKY, expected="no right one refused", got=f"refused in {len(alarms)} of {rights} runs"
            )
        if len(misses) > ALARMS:
            answer.args = (misses[0],)
            got = f"accepted in {len(misses)} of {faults} runs"
            answer.wrong("sometimes", SOMETIMES, expected="every faulty one refused", got=got)


def judged(answer: Answer, candidate: Candidate, seed: int) -> Verdict:
    """The test's verdict on a candidate, with what is random beginning at a seed."""
    verdict, test, called = Verdict(), answer.function, answer.exercise.name.rpartition("test_")[2]

    def disguised(*args: Any, **kwargs: Any) -> Any:
        verdict.calls += 1
        try:
            return candidate.function(*args, **kwargs)
        except Exception as error:
            verdict.raised = error
            raise

    def asked(candidate: Any) -> None:
        try:
            verdict.returned = test(candidate)
        except NotImplementedError:
            raise
        except Exception as error:
            verdict.error = error

    disguised.__name__ = disguised.__qualname__ = called
    answer.args, answer.given, answer.function = (candidate,), (disguised,), asked
    try:
        with _seeded(seed):
            answer._call()
    finally:
        answer.function = test
    return verdict


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Random numbers begin at a seed, and what a test may set is put back."""
    dtype = torch.get_default_dtype()
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (what a test may draw from)
    torch.default_generator.manual_seed(seed)  # of the processor: no device has to be asked
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_default_dtype(dtype)


def _seed(g: Generator) -> int:
    return int(torch.randint(2**31, (), generator=g))


def _first_lines(text: str, lines: int = 4) -> str:
    kept = [line for line in text.splitlines() if line.strip()]
    return "\n".join([*kept[:lines], "…"] if len(kept) > lines else kept)


NEVER_CALLS = (
    "It comes to its verdict without calling candidate once. Names and texts say nothing about what a function does: "
    "call it, on numbers for which you know the answer."
)
REFUSES_ALL = (
    "It refuses every right one. Is what it compares with right itself? Work one example out by hand, and look at "
    "which of the two numbers is yours."
)
REFUSES_RIGHT = (
    "It refuses a right one. What does it ask for that the docstring does not: a dtype, the last digit, one way of "
    "writing it?"
)
MISUSE = (
    "A right one fell over when it was called. The docstring says which shapes and numbers it takes: does the test "
    "keep to them?"
)
FALLS_OVER = (
    "On a right one the test itself fell over, before it came to a verdict. Look at the line above: the candidate has "
    "done what it should."
)
CRASHES = (
    "On a faulty one the test itself fell over, and not by an assert: nobody who runs it could tell a finding from a "
    "broken test. A faulty result may have any shape and any dtype; compare the shape before you compute with it."
)
RETURNS = (
    "It returns its verdict, and nobody looks at what a test returns: it refuses by `assert`, and accepts by coming to "
    "its end."
)
FLAKY = (
    "With other random numbers it refuses right ones. A mean of n draws is off by a standard error or so, and by three "
    "of them once in 370 times: allow five, and let n be large enough that a fault stands out."
)
SOMETIMES = (
    "With other random numbers it lets faulty ones pass. A verdict needs numbers on which the fault always shows: more "
    "draws, or fixed numbers that you have chosen."
)
