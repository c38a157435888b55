"""Candidates that no test may accept, whatever it is about, and what is said of a test that accepts them."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

FAR = 1000
ANYTHING_PASSES = (
    "No fault is refused, and not even a candidate whose numbers are all off by a thousand, nor one that gives zeros. "
    "Is what comes back compared with anything, and does an assert stand there whose condition can be false? A tuple "
    "that is not empty is always true: `assert (condition, text)` asks for nothing."
)
ONE_SIDED = (
    "It looks at one side of the difference only: of a number that is a thousand too large and one that is a thousand "
    "too small it refuses one, and accepts the other. An error has two signs."
)
NOT_A_NUMBER_PASSES = (
    "NaN passes: every comparison with it is False, so nothing is larger than your tolerance. Ask for what has to be "
    "true, and not whether something false is there."
)
TOO_NARROW = (
    "What it compares with seems right: draws that are spread out evenly, as random ones never are, it accepts. Its "
    "tolerance is narrower than luck is. A mean of n draws is off by a standard error or so, a count as well: how "
    "large is it here, and how many of them does the test allow?"
)


def moved(right: Callable[..., Any], by: float, which: int | None = None) -> Callable[..., Any]:
    """A right one, all of whose numbers are off by a number, or those of one of its outputs."""

    def off(*args: Any, **kwargs: Any) -> Any:
        raw = right(*args, **kwargs)
        if not isinstance(raw, tuple):
            return raw + by if which in (None, 0) else raw
        return tuple(out + by if which in (None, i) else out for i, out in enumerate(raw))

    return off


def zero(right: Callable[..., Any]) -> Callable[..., Any]:
    """A right one, of which only the shapes are left."""

    def nothing(*args: Any, **kwargs: Any) -> Any:
        raw = right(*args, **kwargs)
        return tuple(0 * out for out in raw) if isinstance(raw, tuple) else 0 * raw

    return nothing


def shows(right: Callable[..., Any], fault: Callable[..., Any], asked: Iterable[tuple[Any, Any]]) -> bool:
    """Whether some call gave a fault other numbers than a right one: then it was not the arguments that hid it."""
    for args, kwargs in asked:
        with suppress(Exception):
            pair = [function(*args, **kwargs) for function in (right, fault)]
            wanted, got = (raw if isinstance(raw, tuple) else (raw,) for raw in pair)
            if any(a.shape != b.shape or (a - b).abs().max() > 1e-3 for a, b in zip(wanted, got, strict=True)):
                return True
    return False
