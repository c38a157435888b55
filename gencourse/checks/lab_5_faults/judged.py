"""One candidate before a test: how often it was called, with what, and how the test ended."""

import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from gencourse.checks.answer import Answer, Wrong, students_line


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
    asked: list[tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)  # with what it was called

    @property
    def refused(self) -> bool:
        return self.error is not None and (isinstance(self.error, AssertionError) or self.error is self.raised)


class Blind(NamedTuple):
    """What the arguments of all calls have in common, so that some faults cannot show."""

    name: str
    hint: str
    holds: Callable[..., Any]
    faults: tuple[str, ...]

    def explains(self, fault: Candidate, verdict: Verdict) -> bool:
        if fault.function.__name__ not in self.faults or not verdict.asked:
            return False
        with suppress(Exception):  # arguments that nobody foresaw
            return all(self.holds(*args, **kwargs) for args, kwargs in verdict.asked)
        return False


def judged(answer: Answer, candidate: Candidate, seed: int) -> Verdict:
    """The test's verdict on a candidate, with what is random beginning at a seed."""
    verdict, test, called = Verdict(), answer.function, answer.exercise.name.rpartition("test_")[2]

    def disguised(*args: Any, **kwargs: Any) -> Any:
        verdict.calls += 1
        verdict.asked.append((args, kwargs))
        try:
            return candidate.function(*args, **kwargs)
        except Exception as error:
            verdict.raised = error
            raise

    def asked(candidate: Any) -> None:
        try:
            verdict.returned = test(candidate)
        except Exception as error:
            if isinstance(error, NotImplementedError) and students_line(error).by_raise:
                raise  # not attempted; torch throws some of its own
            verdict.error = error

    disguised.__name__ = disguised.__qualname__ = called
    answer.args, answer.given, answer.function = (candidate,), (disguised,), asked
    try:
        with _seeded(seed):
            answer._call()
    except Wrong as error:
        if candidate.title:
            raise
        verdict.error = error  # a slip may never end, and the test cannot help it
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
