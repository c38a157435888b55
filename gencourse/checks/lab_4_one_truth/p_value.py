"""Could it be chance? A two-sample test that needs no table: shuffle the labels, and look again.

The distance that it tests: lecture 05, section 2.
"""

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_4_one_truth.given import normal, scalar
from gencourse.checks.spec import WholeNumbers
from genlib import metrics

Statistic = Callable[[Tensor, Tensor], Tensor]
MANY = 99  # shuffles: enough to tell the mistakes apart


def _values(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> list[float]:
    """The statistic after each shuffle."""
    pooled, n = torch.cat([x, y]), len(x)
    return [float(statistic(pooled[order[:n]], pooled[order[n:]])) for order in orders]


def _count(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> int:
    observed = float(statistic(x, y))
    return sum(value >= observed for value in _values(x, y, orders, statistic))


def _own_p_value(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((1 + _count(x, y, orders, statistic)) / (1 + len(orders)))


class Share(WholeNumbers):
    """A count over a count: float32 holds as much of it as the test says, whatever dtype the points have."""

    def outputs(self, raw: Any) -> tuple[Any, ...]:
        return tuple(o.float().double() if isinstance(o, Tensor) else o for o in super().outputs(raw))


P_VALUE = Share("one_truth.p_value", _own_p_value, returns=["p"], tempts_to_draw=True)
TOL = 1e-6  # of a share in float32


class Named:
    """A statistic with a name to be shown."""

    def __init__(self, name: str, function: Statistic) -> None:
        self.name, self.function = name, function

    def __repr__(self) -> str:
        return self.name

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return self.function(x, y)


FURTHER = Named("x.mean() - y.mean()", lambda x, y: x.mean() - y.mean())
LARGEST = Named("x.max() - y.max()", lambda x, y: x.max() - y.max())
SAME = Named("always 1", lambda x, y: x.new_ones(()))


def _orders(R: int, size: int, g: Generator) -> Tensor:
    return torch.stack([torch.randperm(size, generator=g) for _ in range(R)])


def _samples(n: int, m: int, apart: float, g: Generator) -> tuple[Tensor, Tensor]:
    return normal((n, 2), g) + apart, normal((m, 2), g)


def _by_hand(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    points, n = [*x, *y], len(x)
    observed, as_large = float(statistic(x, y)), 0
    for order in orders.tolist():
        dealt = [points[i] for i in order]
        as_large += float(statistic(torch.stack(dealt[:n]), torch.stack(dealt[n:]))) >= observed
    return scalar(float(Fraction(1 + as_large, 1 + len(orders))))


@functools.cache
def _telling(statistic: Statistic, seed: int) -> tuple[Tensor, Tensor, Tensor, Statistic]:
    """Numbers on which, if chance allows, the right answer and the known mistakes all give something else."""
    g = Generator().manual_seed(seed)
    numbers = *_samples(7, 4, 0.3, g), _orders(MANY, 11, g), statistic
    for _ in range(20):
        given = {round(float(m.function(*numbers)), 9) for m in P_VALUE.mistakes.values()}
        if len(given | {round(float(_own_p_value(*numbers)), 9)}) > len(P_VALUE.mistakes):
            break
        numbers = *_samples(7, 4, 0.3, g), _orders(MANY, 11, g), statistic
    return numbers


@P_VALUE.check(
    "it counts the shuffles that are at least as extreme as what was observed",
    "Each row of orders deals the points of both samples anew: the first n of them play x, the others play y.",
)
def _(answer: Answer, g: Generator) -> None:
    numbers = _telling(LARGEST, int(torch.randint(2**31, (), generator=g)))
    answer.gives(numbers, _by_hand(*numbers), tol=TOL)
    x, y = _samples(6, 9, 0.3, g)
    numbers = x, y, _orders(MANY, 15, g), FURTHER
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
    "it takes float32, and genlib's energy distance",
    "Whatever the statistic is, it is called on two samples: statistic(first, second).",
)
def _(answer: Answer, g: Generator) -> None:
    distance = Named("metrics.energy_distance", lambda x, y: x.new_tensor(metrics.energy_distance(x, y)))
    x, y = _samples(8, 6, 0.5, g)
    orders = _orders(19, 14, g)
    answer.gives([x, y, orders, distance], _by_hand(x, y, orders, distance), tol=TOL)
    narrow = [x.float(), y.float(), orders, distance]
    answer.gives(narrow, _by_hand(x.float(), y.float(), orders, distance), tol=TOL)


@P_VALUE.mistake(
    "count/R: with no shuffle as extreme it says 0, and nothing is impossible. The observed deal is one, too."
)
def observed_left_out(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor(_count(x, y, orders, statistic) / len(orders))


@P_VALUE.mistake("The observed deal is counted above, and not below: there are 1 + R deals in all.")
def one_above_only(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((1 + _count(x, y, orders, statistic)) / len(orders))


@P_VALUE.mistake("The observed deal is counted below, and not above: it is as extreme as itself.")
def one_below_only(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor(_count(x, y, orders, statistic) / (1 + len(orders)))


@P_VALUE.mistake("Ties are left out: a shuffle that is exactly as extreme counts.")
def ties_left_out(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    observed = float(statistic(x, y))
    count = sum(value > observed for value in _values(x, y, orders, statistic))
    return x.new_tensor((1 + count) / (1 + len(orders)))


@P_VALUE.mistake("The shuffles with a *smaller* statistic are counted. Extreme is large: far apart.")
def smaller_counted(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    observed = float(statistic(x, y))
    count = sum(value <= observed for value in _values(x, y, orders, statistic))
    return x.new_tensor((1 + count) / (1 + len(orders)))


@P_VALUE.mistake("This is 1 − p. A small p says that chance alone hardly does it.")
def one_minus(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return 1 - _own_p_value(x, y, orders, statistic)


@P_VALUE.mistake("The dealt points are split at the length of y. The first n play x: as many as x has.")
def split_at_m(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, m, observed = torch.cat([x, y]), len(y), float(statistic(x, y))
    count = sum(float(statistic(pooled[o[:m]], pooled[o[m:]])) >= observed for o in orders)
    return x.new_tensor((1 + count) / (1 + len(orders)))


@P_VALUE.mistake("The dealt points are split in the middle. The first n play x: as many as x has.")
def split_in_half(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, observed = torch.cat([x, y]), float(statistic(x, y))
    half = len(pooled) // 2
    count = sum(float(statistic(pooled[o[:half]], pooled[o[half:]])) >= observed for o in orders)
    return x.new_tensor((1 + count) / (1 + len(orders)))


@P_VALUE.mistake("The parts of each deal change places: the first n of them play x, and x comes first.")
def parts_swapped(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n, observed = torch.cat([x, y]), len(x), float(statistic(x, y))
    count = sum(float(statistic(pooled[o[n:]], pooled[o[:n]])) >= observed for o in orders)
    return x.new_tensor((1 + count) / (1 + len(orders)))


@P_VALUE.mistake("The observed statistic is taken of (y, x), the shuffled ones of (x, y).")
def observed_swapped(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    observed = float(statistic(y, x))
    count = sum(value >= observed for value in _values(x, y, orders, statistic))
    return x.new_tensor((1 + count) / (1 + len(orders)))


@P_VALUE.mistake("Absolute values are compared. What is extreme, the statistic itself says: large.")
def absolute_values(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    observed = abs(float(statistic(x, y)))
    count = sum(abs(value) >= observed for value in _values(x, y, orders, statistic))
    return x.new_tensor((1 + count) / (1 + len(orders)))


@P_VALUE.mistake("This is how many shuffles are as extreme. Their share among all deals was asked for.")
def number_only(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor(float(_count(x, y, orders, statistic)))


@P_VALUE.mistake("This is how many deals are as extreme, the observed one among them. Their share was asked for.")
def number_of_deals(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor(1.0 + _count(x, y, orders, statistic))


@P_VALUE.mistake("Twice the share, as in a test on two sides. Here only a large statistic is extreme.")
def doubled(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return 2 * _own_p_value(x, y, orders, statistic)


@P_VALUE.mistake(
    "Each shuffle deals what the one before has left. An order names places in the pool itself: x, then y."
)
def piled_up(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n, observed, count = torch.cat([x, y]), len(x), float(statistic(x, y)), 0
    for order in orders:
        pooled = pooled[order]
        count += float(statistic(pooled[:n], pooled[n:])) >= observed
    return x.new_tensor((1 + count) / (1 + len(orders)))


@P_VALUE.mistake("y stands first in the pool. An order names the points by their places, and counts with x first.")
def y_first(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n, observed = torch.cat([y, x]), len(x), float(statistic(x, y))
    count = sum(float(statistic(pooled[o[:n]], pooled[o[n:]])) >= observed for o in orders)
    return x.new_tensor((1 + count) / (1 + len(orders)))


@P_VALUE.mistake("y stays as it was, and only x is dealt anew. Both parts of a deal come from the pool.")
def y_kept(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n, observed = torch.cat([x, y]), len(x), float(statistic(x, y))
    count = sum(float(statistic(pooled[o[:n]], y)) >= observed for o in orders)
    return x.new_tensor((1 + count) / (1 + len(orders)))


@P_VALUE.mistake("Only the first shuffle is looked at. All R of them are to be counted.")
def first_only(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return _own_p_value(x, y, orders[:1], statistic)


@P_VALUE.mistake(
    "This is how many deviations the observed value lies above the shuffled ones, not how often they reach it."
)
def z_score(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    values = _values(x, y, orders, statistic)
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return x.new_tensor((float(statistic(x, y)) - mean) / deviation)
