"""Answers to the labs, as students write them: wrong ones, each with the mistake it is known for, and right ones.

One file a lab; test_labs.py runs them all.
"""

from collections.abc import Callable
from typing import Any, NamedTuple


class Given(NamedTuple):
    exercise: str
    mistake: str  # what the checks should recognise; empty for a right answer
    function: Callable[..., Any]


GIVEN: list[Given] = []


def wrong(exercise: str, mistake: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The answer below is wrong, and the checks call its mistake by this name."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        GIVEN.append(Given(exercise, mistake, function))
        return function

    return add


def right(exercise: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The answer below is right, however it looks."""
    return wrong(exercise, "")
