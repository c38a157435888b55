"""Could it be chance? A two-sample test that needs no table: shuffle the labels, and look again.

The distance that it tests: lecture 05, section 2.
"""

import functools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_4_one_truth.energy import _own_energy
from gencourse.checks.lab_4_one_truth.given import normal, scalar
from gencourse.checks.spec import WholeNumbers

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
    pooled, n, observed = torch.cat([x, y]), len(x), statistic(x, y)
    shuffled = torch.stack([statistic(pooled[order[:n]], pooled[order[n:]]) for order in orders])
    return (1 + (shuffled >= observed).sum()) / (1 + len(orders))  # the observed deal is one of them


class Share(WholeNumbers):
    """A count over a count: float32 holds as much of it as the test says, whatever dtype the points have."""

    def outputs(self, raw: Any) -> tuple[Any, ...]:
        return tuple(o.double().round(decimals=6) if isinstance(o, Tensor) else o for o in super().outputs(raw))


P_VALUE = Share(
    "one_truth.p_value",
    _own_p_value,
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
        return self.function(x, y)


FURTHER = Named("x.mean() - y.mean()", lambda x, y: x.mean() - y.mean())
LARGEST = Named("x.max() - y.max()", lambda x, y: x.max() - y.max())
WIDER = Named("x.var() - y.var()", lambda x, y: x.var() - y.var())
SAME = Named("always 1", lambda x, y: 1 + 0 * (x.sum() + y.sum()))
ENERGY = Named("the energy distance", _own_energy)
Numbers = tuple[Tensor, Tensor, Tensor, Statistic]


def _orders(R: int, size: int, g: Generator) -> Tensor:
    return torch.stack([torch.randperm(size, generator=g) for _ in range(R)])


def _samples(n: int, m: int, apart: float, g: Generator) -> tuple[Tensor, Tensor]:
    return normal((n, 2), g) + apart, normal((m, 2), g)


def _share(values: Sequence[Tensor] | Sequence[float], observed: Tensor | float) -> Tensor:
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
        truth = [_own_p_value(*args) for args in numbers]
        wrong = [mistake.function for mistake in P_VALUE.mistakes.values()]
        if all(0.1 < p < 0.9 for p in truth) and all(_somewhere_else(truth, function, numbers) for function in wrong):
            return numbers


def _placed(numbers: Numbers, ends: tuple[int, int]) -> Numbers:
    """The shuffles in an order where the first and the last are as extreme as the observed deal (1), or not (0)."""
    x, y, orders, statistic = numbers
    extreme = torch.tensor(_values(*numbers)) >= float(statistic(x, y))
    for place, wanted in zip((0, -1), ends, strict=True):
        if (extreme == bool(wanted)).any():
            i = int((extreme == bool(wanted)).nonzero()[1 if place else 0])
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
    "Whatever the statistic is, it is called on two samples: statistic(first, second).",
)
def _(answer: Answer, g: Generator) -> None:
    x, y = _samples(8, 6, 0.5, g)
    orders = _orders(19, 14, g)
    answer.gives([x, y, orders, ENERGY], _by_hand(x, y, orders, ENERGY), tol=TOL)
    narrow = [x.float(), y.float(), orders, ENERGY]
    answer.gives(narrow, _by_hand(x.float(), y.float(), orders, ENERGY), tol=TOL)


@P_VALUE.mistake(
    "count/R: with no shuffle as extreme it says 0, and nothing is impossible. The observed deal is one, too."
)
def observed_left_out(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor(_count(x, y, orders, statistic) / len(orders))


@P_VALUE.mistake("The observed deal is counted above, and not below: there are 1 + R deals in all.")
def one_above_only(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((1 + _count(x, y, orders, statistic)) / len(orders))


@P_VALUE.mistake("The first shuffle is left out. All R of them are to be counted.")
def first_left_out(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((1 + _count(x, y, orders[1:], statistic)) / (1 + len(orders)))


@P_VALUE.mistake("The last shuffle is left out. All R of them are to be counted.")
def last_left_out(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((1 + _count(x, y, orders[:-1], statistic)) / (1 + len(orders)))


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
    pooled, m = torch.cat([x, y]), len(y)
    return _share([statistic(pooled[o[:m]], pooled[o[m:]]) for o in orders], statistic(x, y))


@P_VALUE.mistake("The dealt points are split in the middle. The first n play x: as many as x has.")
def split_in_half(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, half = torch.cat([x, y]), (len(x) + len(y)) // 2
    return _share([statistic(pooled[o[:half]], pooled[o[half:]]) for o in orders], statistic(x, y))


@P_VALUE.mistake("The parts of each deal change places: the first n of them play x, and x comes first.")
def parts_swapped(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n = torch.cat([x, y]), len(x)
    return _share([statistic(pooled[o[n:]], pooled[o[:n]]) for o in orders], statistic(x, y))


@P_VALUE.mistake("The observed statistic is taken of (y, x), the shuffled ones of (x, y).")
def observed_swapped(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return _share(_values(x, y, orders, statistic), statistic(y, x))


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
    pooled, n = torch.cat([y, x]), len(x)
    return _share([statistic(pooled[o[:n]], pooled[o[n:]]) for o in orders], statistic(x, y))


@P_VALUE.mistake("y stays as it was, and only x is dealt anew. Both parts of a deal come from the pool.")
def y_kept(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n = torch.cat([x, y]), len(x)
    return _share([statistic(pooled[o[:n]], y) for o in orders], statistic(x, y))


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


@P_VALUE.mistake("x stays as it was, and only y is dealt anew. Both parts of a deal come from the pool.")
def x_kept(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n = torch.cat([x, y]), len(x)
    return _share([statistic(x, pooled[o[n:]]) for o in orders], statistic(x, y))


@P_VALUE.mistake("The last n of each deal play x. The first n do.")
def last_play_x(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n = torch.cat([x, y]), len(x)
    return _share([statistic(pooled[o[-n:]], pooled[o[:-n]]) for o in orders], statistic(x, y))


@P_VALUE.mistake("The same points play x and y. Those that do not play x play y.")
def same_points_twice(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n, m = torch.cat([x, y]), len(x), len(y)
    return _share([statistic(pooled[o[:n]], pooled[o[:m]]) for o in orders], statistic(x, y))


@P_VALUE.mistake("The whole pool plays y. Those that do not play x play y.")
def whole_pool_plays_y(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n = torch.cat([x, y]), len(x)
    return _share([statistic(pooled[o[:n]], pooled) for o in orders], statistic(x, y))


@P_VALUE.mistake("Each order is undone: where a point goes is read as where it comes from. order[:n] says who plays x.")
def orders_inverted(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return _own_p_value(x, y, orders.argsort(1), statistic)


@P_VALUE.mistake("A deal is cut one point too early or too late: n of the points play x, and all others play y.")
def one_too_early(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n = torch.cat([x, y]), len(x) - 1
    return _share([statistic(pooled[o[:n]], pooled[o[n:]]) for o in orders], statistic(x, y))


@P_VALUE.mistake("A point of each deal plays nothing, or two parts. order[:n] and order[n:] miss none.")
def one_left_out(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n = torch.cat([x, y]), len(x)
    return _share([statistic(pooled[o[:n]], pooled[o[n + 1 :]]) for o in orders], statistic(x, y))


@P_VALUE.mistake(
    "The shuffles are compared with their own average. What was observed is statistic(x, y): how many come up to "
    "*that*?"
)
def above_the_average(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    values = _values(x, y, orders, statistic)
    return _share(values, math.fsum(values) / len(values))


@P_VALUE.mistake("The first shuffle is taken for what was observed. That is statistic(x, y), before anything is dealt.")
def first_as_observed(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    values = _values(x, y, orders, statistic)
    return _share(values, values[0])


@P_VALUE.mistake(
    "Only 0 or 1 comes out: is it a division of whole numbers, //, or a decision? A share lies between them."
)
def whole_numbers(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return _own_p_value(x, y, orders, statistic).floor()


@P_VALUE.mistake("Divided by the number of points. What is counted are deals, and of these there are 1 + R.")
def number_of_points(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((1 + _count(x, y, orders, statistic)) / (1 + len(x) + len(y)))


@P_VALUE.mistake("The average of the shuffled statistics, or how far it is from the observed one. Count them instead.")
def average(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor(_values(x, y, orders, statistic)).mean()


@P_VALUE.mistake("count + 1/R + 1: the division comes before the sum. Where do brackets belong?")
def no_brackets(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor(1 + _count(x, y, orders, statistic) / len(orders) + 1)


@P_VALUE.mistake("The shuffles are compared with their own median. How many come up to statistic(x, y)?")
def above_the_median(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    values = _values(x, y, orders, statistic)
    return _share(values, sorted(values)[(len(values) - 1) // 2])


@P_VALUE.mistake("The count never passes 1: is it set to 1, where 1 was to be added?")
def never_above_one(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((1 + min(1, _count(x, y, orders, statistic))) / (1 + len(orders)))


@P_VALUE.mistake("Only the first shuffle is counted, out of 1 + R. Does the return stand inside the loop?")
def returned_at_once(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((1 + _count(x, y, orders[:1], statistic)) / (1 + len(orders)))


@P_VALUE.mistake("One too many above: the observed deal counts once.")
def two_above(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((2 + _count(x, y, orders, statistic)) / (1 + len(orders)))


@P_VALUE.mistake("One too many below: with the observed deal there are 1 + R.")
def two_below(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((1 + _count(x, y, orders, statistic)) / (2 + len(orders)))
