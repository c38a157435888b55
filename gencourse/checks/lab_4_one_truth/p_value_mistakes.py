"""What goes wrong in a test by shuffles: every mistake that has a hint of its own."""

import math

import torch
from torch import Tensor

from gencourse.checks.lab_4_one_truth.p_value import P_VALUE, Statistic, as_extreme, p_value, share, shuffled


@P_VALUE.mistake(
    "count/R: with no shuffle as extreme it says 0, and nothing is impossible. The observed deal is one, too."
)
def observed_left_out(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor(as_extreme(x, y, orders, statistic) / len(orders))


@P_VALUE.mistake("The observed deal is counted above, and not below: there are 1 + R deals in all.")
def one_above_only(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((1 + as_extreme(x, y, orders, statistic)) / len(orders))


@P_VALUE.mistake("The first shuffle is left out. All R of them are to be counted.")
def first_left_out(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((1 + as_extreme(x, y, orders[1:], statistic)) / (1 + len(orders)))


@P_VALUE.mistake("The last shuffle is left out. All R of them are to be counted.")
def last_left_out(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((1 + as_extreme(x, y, orders[:-1], statistic)) / (1 + len(orders)))


@P_VALUE.mistake("The observed deal is counted below, and not above: it is as extreme as itself.")
def one_below_only(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor(as_extreme(x, y, orders, statistic) / (1 + len(orders)))


@P_VALUE.mistake("Ties are left out: a shuffle that is exactly as extreme counts.")
def ties_left_out(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    observed = float(statistic(x, y))
    count = sum(value > observed for value in shuffled(x, y, orders, statistic))
    return x.new_tensor((1 + count) / (1 + len(orders)))


@P_VALUE.mistake("The shuffles with a *smaller* statistic are counted. Extreme is large: far apart.")
def smaller_counted(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    observed = float(statistic(x, y))
    count = sum(value <= observed for value in shuffled(x, y, orders, statistic))
    return x.new_tensor((1 + count) / (1 + len(orders)))


@P_VALUE.mistake("This is 1 − p. A small p says that chance alone hardly does it.")
def one_minus(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return 1 - p_value(x, y, orders, statistic)


@P_VALUE.mistake("The dealt points are split at the length of y. The first n play x: as many as x has.")
def split_at_m(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, m = torch.cat([x, y]), len(y)
    return share([statistic(pooled[o[:m]], pooled[o[m:]]) for o in orders], statistic(x, y))


@P_VALUE.mistake("The dealt points are split in the middle. The first n play x: as many as x has.")
def split_in_half(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, half = torch.cat([x, y]), (len(x) + len(y)) // 2
    return share([statistic(pooled[o[:half]], pooled[o[half:]]) for o in orders], statistic(x, y))


@P_VALUE.mistake("The parts of each deal change places: the first n of them play x, and x comes first.")
def parts_swapped(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n = torch.cat([x, y]), len(x)
    return share([statistic(pooled[o[n:]], pooled[o[:n]]) for o in orders], statistic(x, y))


@P_VALUE.mistake("The observed statistic is taken of (y, x), the shuffled ones of (x, y).")
def observed_swapped(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return share(shuffled(x, y, orders, statistic), statistic(y, x))


@P_VALUE.mistake("Absolute values are compared. What is extreme, the statistic itself says: large.")
def absolute_values(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    observed = abs(float(statistic(x, y)))
    count = sum(abs(value) >= observed for value in shuffled(x, y, orders, statistic))
    return x.new_tensor((1 + count) / (1 + len(orders)))


@P_VALUE.mistake("This is how many shuffles are as extreme. Their share among all deals was asked for.")
def number_only(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor(float(as_extreme(x, y, orders, statistic)))


@P_VALUE.mistake("This is how many deals are as extreme, the observed one among them. Their share was asked for.")
def number_of_deals(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor(1.0 + as_extreme(x, y, orders, statistic))


@P_VALUE.mistake("Twice the share, as in a test on two sides. Here only a large statistic is extreme.")
def doubled(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return 2 * p_value(x, y, orders, statistic)


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
    return share([statistic(pooled[o[:n]], pooled[o[n:]]) for o in orders], statistic(x, y))


@P_VALUE.mistake("y stays as it was, and only x is dealt anew. Both parts of a deal come from the pool.")
def y_kept(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n = torch.cat([x, y]), len(x)
    return share([statistic(pooled[o[:n]], y) for o in orders], statistic(x, y))


@P_VALUE.mistake("Only the first shuffle is looked at. All R of them are to be counted.")
def first_only(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return p_value(x, y, orders[:1], statistic)


@P_VALUE.mistake(
    "This is how many deviations the observed value lies above the shuffled ones, not how often they reach it."
)
def z_score(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    values = shuffled(x, y, orders, statistic)
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return x.new_tensor((float(statistic(x, y)) - mean) / deviation)


@P_VALUE.mistake("x stays as it was, and only y is dealt anew. Both parts of a deal come from the pool.")
def x_kept(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n = torch.cat([x, y]), len(x)
    return share([statistic(x, pooled[o[n:]]) for o in orders], statistic(x, y))


@P_VALUE.mistake("The last n of each deal play x. The first n do.")
def last_play_x(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n = torch.cat([x, y]), len(x)
    return share([statistic(pooled[o[-n:]], pooled[o[:-n]]) for o in orders], statistic(x, y))


@P_VALUE.mistake("The same points play x and y. Those that do not play x play y.")
def same_points_twice(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n, m = torch.cat([x, y]), len(x), len(y)
    return share([statistic(pooled[o[:n]], pooled[o[:m]]) for o in orders], statistic(x, y))


@P_VALUE.mistake("The whole pool plays y. Those that do not play x play y.")
def whole_pool_plays_y(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n = torch.cat([x, y]), len(x)
    return share([statistic(pooled[o[:n]], pooled) for o in orders], statistic(x, y))


@P_VALUE.mistake("Each order is undone: where a point goes is read as where it comes from. order[:n] says who plays x.")
def orders_inverted(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return p_value(x, y, orders.argsort(1), statistic)


@P_VALUE.mistake("A deal is cut one point too early or too late: n of the points play x, and all others play y.")
def one_too_early(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n = torch.cat([x, y]), len(x) - 1
    return share([statistic(pooled[o[:n]], pooled[o[n:]]) for o in orders], statistic(x, y))


@P_VALUE.mistake("A point of each deal plays nothing, or two parts. order[:n] and order[n:] miss none.")
def one_left_out(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    pooled, n = torch.cat([x, y]), len(x)
    return share([statistic(pooled[o[:n]], pooled[o[n + 1 :]]) for o in orders], statistic(x, y))


@P_VALUE.mistake(
    "The shuffles are compared with their own average. What was observed is statistic(x, y): how many come up to "
    "*that*?"
)
def above_the_average(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    values = shuffled(x, y, orders, statistic)
    return share(values, math.fsum(values) / len(values))


@P_VALUE.mistake("The first shuffle is taken for what was observed. That is statistic(x, y), before anything is dealt.")
def first_as_observed(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    values = shuffled(x, y, orders, statistic)
    return share(values, values[0])


@P_VALUE.mistake(
    "Only 0 or 1 comes out: is it a division of whole numbers, //, or a decision? A share lies between them."
)
def whole_numbers(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return p_value(x, y, orders, statistic).floor()


@P_VALUE.mistake("Divided by the number of points. What is counted are deals, and of these there are 1 + R.")
def number_of_points(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((1 + as_extreme(x, y, orders, statistic)) / (1 + len(x) + len(y)))


@P_VALUE.mistake("The average of the shuffled statistics, or how far it is from the observed one. Count them instead.")
def average(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor(shuffled(x, y, orders, statistic)).mean()


@P_VALUE.mistake("count + 1/R + 1: the division comes before the sum. Where do brackets belong?")
def no_brackets(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor(1 + as_extreme(x, y, orders, statistic) / len(orders) + 1)


@P_VALUE.mistake("The shuffles are compared with their own median. How many come up to statistic(x, y)?")
def above_the_median(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    values = shuffled(x, y, orders, statistic)
    return share(values, sorted(values)[(len(values) - 1) // 2])


@P_VALUE.mistake("The count never passes 1: is it set to 1, where 1 was to be added?")
def never_above_one(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((1 + min(1, as_extreme(x, y, orders, statistic))) / (1 + len(orders)))


@P_VALUE.mistake("Only the first shuffle is counted, out of 1 + R. Does the return stand inside the loop?")
def returned_at_once(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((1 + as_extreme(x, y, orders[:1], statistic)) / (1 + len(orders)))


@P_VALUE.mistake("One too many above: the observed deal counts once.")
def two_above(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((2 + as_extreme(x, y, orders, statistic)) / (1 + len(orders)))


@P_VALUE.mistake("One too many below: with the observed deal there are 1 + R.")
def two_below(x: Tensor, y: Tensor, orders: Tensor, statistic: Statistic) -> Tensor:
    return x.new_tensor((1 + as_extreme(x, y, orders, statistic)) / (2 + len(orders)))
