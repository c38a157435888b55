"""Could it be chance? A two-sample test that needs no table: shuffle the labels, and look again.

The distance that it tests: lecture 07, section 2.
"""

import functools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_4_one_truth.energy import energy
from gencourse.checks.lab_4_one_truth.given import normal, scalar
from gencourse.checks.spec import WholeNumbers

Statistic = Callable[[Tensor, Tensor], Tensor]
MANY = 99  # shuffles: enough to tell the mistakes apart


def shuffled(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> list[float]:
    """The statistic after each shuffle."""
    pooled, n = torch.cat([x, y]), len(x)
    return [float(statistic(pooled[order[:n]], pooled[order[n:]])) for order in orders]


def as_extreme(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> int:
    observed = float(statistic(x, y))
    return sum(value >= observed for value in shuffled(x, y, orders, statistic))


def p_value(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n, observed = torch.cat([x, y]), len(x), statistic(x, y)
    shuffled = torch.stack([statistic(pooled[order[:n]], pooled[order[n:]]) for order in orders])
    return (1 + (shuffled >= observed).sum()) / (1 + len(orders))  # the observed deal is one of them


class Share(WholeNumbers):
    """A count over a count: float32 holds as much of it as the test says, whatever dtype the points have."""

    def outputs(self, raw: Any) -> tuple[Any, ...]:
        return tuple(o.double().round(decimals=6) if isinstance(o, Tensor) else o for o in super().outputs(raw))


P_VALUE = Share(
    "one_truth.p_value",
    p_value,
    returns=["p"],
    tempts_to_draw=True,
    plain=True,
    second="Put x and y into one pool with torch.cat, x first. For each row `order`, pool[order[:n]] plays x and "
    "pool[order[n:]] plays y. Count how often the statistic is at least the observed one, add 1, and divide by R + 1.",
    why="It asks for no formula and no table: whatever number you compare two samples with, this says what chance "
    "does.",
)
TOL = 1e-6  # of a share in float32


@P_VALUE.pace
def _(g: Generator) -> "Numbers":
    return *_samples(100, 100, 0.3, g), _orders(99, 200, g), ENERGY


class Named:
    """A statistic with a name to be shown."""

    def __init__(self, name: str, function: Statistic) -> None:
        self.name, self.function = name, function

    def __repr__(self) -> str:
        return self.name

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        for sample in (x, y):
            if not isinstance(sample, Tensor):
                error = TypeError(f"it takes two tensors, and got a {type(sample).__name__}")
                error.add_note("What measures two samples takes tensors: stay in torch until it has been called.")
                raise error
        return self.function(x, y)


FURTHER = Named("x.mean() - y.mean()", lambda x, y: x.mean() - y.mean())
LARGEST = Named("x.max() - y.max()", lambda x, y: x.max() - y.max())
WIDER = Named("x.var() - y.var()", lambda x, y: x.var() - y.var())
SAME = Named("always 1", lambda x, y: 1 + 0 * (x.sum() + y.sum()))
ENERGY = Named("the energy distance", energy)
Numbers = tuple[Tensor, Tensor, Tensor, Statistic]


def _orders(R: int, size: int, g: Generator) -> Tensor:
    return torch.stack([torch.randperm(size, generator=g) for _ in range(R)])


def _samples(n: int, m: int, apart: float, g: Generator) -> tuple[Tensor, Tensor]:
    return normal((n, 2), g) + apart, normal((m, 2), g)


def share(values: Sequence[Tensor] | Sequence[float], observed: Tensor | float) -> Tensor:
    """How many deals are as extreme as the observed one, which is one of them."""
    return torch.tensor((1 + sum(float(value) >= float(observed) for value in values)) / (1 + len(values)))


def _by_hand(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    points, n = [*x, *y], len(x)
    observed, as_large = float(statistic(x, y)), 0
    for order in orders.tolist():
        dealt = [points[i] for i in order]
        as_large += float(statistic(torch.stack(dealt[:n]), torch.stack(dealt[n:]))) >= observed
    return scalar(float(Fraction(1 + as_large, 1 + len(orders))))


@functools.cache
def _telling(seed: int) -> list[Numbers]:
    """Numbers of several kinds: none of the known mistakes gives what is right on all of them."""
    g = Generator().manual_seed(seed)
    while True:
        kinds = (8, 5, FURTHER, (0, 0)), (7, 4, LARGEST, (1, 0)), (6, 9, WIDER, (0, 1))
        numbers = [_placed((*_samples(n, m, 0.3, g), _orders(MANY, n + m, g), s), ends) for n, m, s, ends in kinds]
        truth = [p_value(*args) for args in numbers]
        wrong = [mistake.function for mistake in P_VALUE.mistakes.values()]
        if all(0.1 < p < 0.9 for p in truth) and all(_somewhere_else(truth, function, numbers) for function in wrong):
            return numbers


def _placed(numbers: Numbers, ends: tuple[int, int]) -> Numbers:
    """The shuffles in an order where the first and the last are as extreme as the observed deal (1), or not (0)."""
    x, y, orders, statistic = numbers
    extreme = torch.tensor(shuffled(*numbers)) >= float(statistic(x, y))
    for place, wanted in zip((0, -1), ends, strict=True):
        if (extreme == bool(wanted)).any():
            i = int((extreme == bool(wanted)).nonzero()[place])
            orders[[place, i]], extreme[[place, i]] = orders[[i, place]], extreme[[i, place]]
    return x, y, orders, statistic


def _somewhere_else(truth: list[Tensor], function: Callable[..., Tensor], numbers: list[Numbers]) -> bool:
    return any(abs(float(p) - float(function(*args))) > TOL for p, args in zip(truth, numbers, strict=True))


@P_VALUE.check(
    "it counts the shuffles that are at least as extreme as what was observed",
    "Each row of orders deals the points of both samples anew: the first n of them play x, the others play y.",
)
def _(answer: Answer, g: Generator) -> None:
    for numbers in _telling(int(torch.randint(2**31, (), generator=g))):
        answer.gives(numbers, _by_hand(*numbers), tol=TOL)


@P_VALUE.check(
    "samples that lie far apart give 1/(1 + R), the least that R shuffles can say",
    "What was observed is one of the 1 + R ways to deal the points, and it counts: p is never 0.",
)
def _(answer: Answer, g: Generator) -> None:
    for R in (9, 99):
        x, y = _samples(12, 10, 20.0, g)
        answer.gives([x, y, _orders(R, 22, g), FURTHER], scalar(1 / (1 + R)), tol=TOL)


@P_VALUE.check(
    "a statistic that is always the same gives 1",
    "A shuffle that ties with what was observed is as extreme as it.",
)
def _(answer: Answer, g: Generator) -> None:
    x, y = _samples(5, 6, 0.0, g)
    answer.gives([x, y, _orders(9, 11, g), SAME], scalar(1.0), tol=TOL)


@P_VALUE.check(
    "it takes float32, and your energy distance",
    "Whatever the statistic is, it is called on two samples, both tensors: statistic(first, second).",
)
def _(answer: Answer, g: Generator) -> None:
    x, y = _samples(8, 6, 0.5, g)
    orders = _orders(19, 14, g)
    answer.gives([x, y, orders, ENERGY], _by_hand(x, y, orders, ENERGY), tol=TOL)
    narrow = [x.float(), y.float(), orders, ENERGY]
    answer.gives(narrow, _by_hand(x.float(), y.float(), orders, ENERGY), tol=TOL)
