"""What goes wrong in the energy distance: every mistake that has a hint of its own."""

import torch
from torch import Tensor

from gencourse.checks.lab_4_one_truth.energy import ENERGY, energy


def _sum(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").sum()


def _within(x: Tensor) -> Tensor:
    return _sum(x, x) / (len(x) * (len(x) - 1))


def _between(x: Tensor, y: Tensor) -> Tensor:
    return _sum(x, y) / (len(x) * len(y))


@ENERGY.mistake(
    "Each point is paired with itself, too, at distance 0, so the averages inside a sample come out too small. "
    "How many pairs of *different* points are there?"
)
def with_itself(x: Tensor, y: Tensor) -> Tensor:
    return 2 * _between(x, y) - _between(x, x) - _between(y, y)


@ENERGY.mistake(
    "Averaged over the distances above 0. Two different points may lie in one place: they are a pair, at distance 0."
)
def above_zero(x: Tensor, y: Tensor) -> Tensor:
    def within(a: Tensor) -> Tensor:
        d = torch.cdist(a, a, compute_mode="donot_use_mm_for_euclid_dist")
        return d.sum() / (d > 0).sum().clamp(min=1)

    return 2 * _between(x, y) - within(x) - within(y)


@ENERGY.mistake(
    "The distance between the samples counts once here. Each sample takes one away from it: it counts twice."
)
def no_two(x: Tensor, y: Tensor) -> Tensor:
    return _between(x, y) - _within(x) - _within(y)


@ENERGY.mistake(
    "The averages inside the samples are halved. Is each pair counted once, and divided by twice their number?"
)
def pairs_once(x: Tensor, y: Tensor) -> Tensor:
    return 2 * _between(x, y) - (_within(x) + _within(y)) / 2


@ENERGY.mistake("This is half of it. As a distance it would do as well, but the formula has 2 E|x − y|.")
def half_of_all(x: Tensor, y: Tensor) -> Tensor:
    return energy(x, y) / 2


@ENERGY.mistake("The distances are squared. Then only the means of both samples count: take the root.")
def squared(x: Tensor, y: Tensor) -> Tensor:
    def average(a: Tensor, b: Tensor, pairs: int) -> Tensor:
        return (a[:, None] - b).square().sum() / pairs

    n, m = len(x), len(y)
    return 2 * average(x, y, n * m) - average(x, x, n * (n - 1)) - average(y, y, m * (m - 1))


@ENERGY.mistake("Negative values are cut off. Then two equal samples have a distance above 0 on average.")
def cut_at_zero(x: Tensor, y: Tensor) -> Tensor:
    return energy(x, y).clamp(min=0)


@ENERGY.mistake("The root of the energy distance. Here it may fall below 0, and has no root.")
def root(x: Tensor, y: Tensor) -> Tensor:
    return energy(x, y).clamp(min=0).sqrt()


@ENERGY.mistake("The distances inside the samples are added. They are taken off.")
def added(x: Tensor, y: Tensor) -> Tensor:
    return 2 * _between(x, y) + _within(x) + _within(y)


@ENERGY.mistake("Only the distances between the samples. Wide samples would always be far apart: what is taken off?")
def between_only(x: Tensor, y: Tensor) -> Tensor:
    return 2 * _between(x, y)


@ENERGY.mistake("E|y − y′| is missing.")
def without_y(x: Tensor, y: Tensor) -> Tensor:
    return 2 * _between(x, y) - _within(x)


@ENERGY.mistake("E|x − x′| is missing.")
def without_x(x: Tensor, y: Tensor) -> Tensor:
    return 2 * _between(x, y) - _within(y)


@ENERGY.mistake("This is the distance of the two means. Samples may have one mean and be nothing alike.")
def of_the_means(x: Tensor, y: Tensor) -> Tensor:
    return (x.mean(0) - y.mean(0)).norm()


@ENERGY.mistake(
    "The coordinates' distances are added up: |x_1 − y_1| + |x_2 − y_2|. The length of the difference is meant."
)
def city_block(x: Tensor, y: Tensor) -> Tensor:
    def average(a: Tensor, b: Tensor, pairs: int) -> Tensor:
        return (a[:, None] - b).abs().sum() / pairs

    n, m = len(x), len(y)
    return 2 * average(x, y, n * m) - average(x, x, n * (n - 1)) - average(y, y, m * (m - 1))


@ENERGY.mistake("The absolute value is taken. Then two equal samples lie apart on average: below 0 is no error here.")
def absolute(x: Tensor, y: Tensor) -> Tensor:
    return energy(x, y).abs()


@ENERGY.mistake("The sign is turned: samples that lie apart have a distance above 0.")
def turned_round(x: Tensor, y: Tensor) -> Tensor:
    return -energy(x, y)


@ENERGY.mistake("Only x is paired with itself, too. Inside a sample there are n (n − 1) pairs of different points.")
def x_with_itself(x: Tensor, y: Tensor) -> Tensor:
    return 2 * _between(x, y) - _between(x, x) - _within(y)


@ENERGY.mistake("Only y is paired with itself, too. Inside a sample there are m (m − 1) pairs of different points.")
def y_with_itself(x: Tensor, y: Tensor) -> Tensor:
    return 2 * _between(x, y) - _within(x) - _between(y, y)


@ENERGY.mistake(
    "The average between the samples counts twice, and rightly; each of those inside counts twice as well, and was to "
    "count once. Is a sum over all n (n − 1) ordered pairs divided by half as many?"
)
def inside_twice(x: Tensor, y: Tensor) -> Tensor:
    return 2 * _between(x, y) - 2 * (_within(x) + _within(y))


@ENERGY.mistake("These are sums of distances. Averages were asked for: over how many pairs is each?")
def sums(x: Tensor, y: Tensor) -> Tensor:
    return 2 * _sum(x, y) - _sum(x, x) - _sum(y, y)


@ENERGY.mistake(
    "Divided by n − 1 alone: that is an average over partners. Over the points one has to be taken as well."
)
def divided_by_n_minus_1(x: Tensor, y: Tensor) -> Tensor:
    return 2 * _between(x, y) - _sum(x, x) / (len(x) - 1) - _sum(y, y) / (len(y) - 1)


@ENERGY.mistake("n and m have changed places where the pairs inside the samples are counted.")
def counts_swapped(x: Tensor, y: Tensor) -> Tensor:
    n, m = len(x), len(y)
    return 2 * _between(x, y) - _sum(x, x) / (m * (m - 1)) - _sum(y, y) / (n * (n - 1))


@ENERGY.mistake("Both samples are divided by the pairs of x. y has pairs of its own.")
def pairs_of_x(x: Tensor, y: Tensor) -> Tensor:
    n = len(x)
    return 2 * _between(x, y) - _sum(x, x) / (n * (n - 1)) - _sum(y, y) / (n * (n - 1))


@ENERGY.mistake(
    "The pairs inside count fully, and those between the samples lack the diagonal: x_1 and y_1 are a pair."
)
def diagonal_between_left_out(x: Tensor, y: Tensor) -> Tensor:
    d = torch.cdist(x, y)
    k = min(d.shape)
    return 2 * (d.sum() - d.diagonal().sum()) / (d.numel() - k) - _within(x) - _within(y)


@ENERGY.mistake("Only neighbours in the list are paired, each with the next. Every pair of different points counts.")
def next_ones_only(x: Tensor, y: Tensor) -> Tensor:
    steps = [(a[1:] - a[:-1]).norm(dim=1).mean() for a in (x, y)]
    return 2 * _between(x, y) - steps[0] - steps[1]


@ENERGY.mistake(
    "The distances are squared, averaged, and then there is a root. The root of each belongs in the average."
)
def root_of_mean_squares(x: Tensor, y: Tensor) -> Tensor:
    def average(a: Tensor, b: Tensor, pairs: int) -> Tensor:
        return ((a[:, None] - b).square().sum() / pairs).sqrt()

    n, m = len(x), len(y)
    return 2 * average(x, y, n * m) - average(x, x, n * (n - 1)) - average(y, y, m * (m - 1))


@ENERGY.mistake("The largest coordinate's distance is taken. The length of the whole difference is meant.")
def largest_coordinate(x: Tensor, y: Tensor) -> Tensor:
    def average(a: Tensor, b: Tensor, pairs: int) -> Tensor:
        return (a[:, None] - b).abs().amax(-1).sum() / pairs

    n, m = len(x), len(y)
    return 2 * average(x, y, n * m) - average(x, x, n * (n - 1)) - average(y, y, m * (m - 1))


@ENERGY.mistake("Divided by 2 E|x − y|: that is a part of it, without a unit. The distance itself was asked for.")
def relative(x: Tensor, y: Tensor) -> Tensor:
    return 1 - (_within(x) + _within(y)) / (2 * _between(x, y))


@ENERGY.mistake("Medians of the distances. An expectation is estimated by the mean.")
def medians(x: Tensor, y: Tensor) -> Tensor:
    return 2 * torch.cdist(x, y).median() - torch.pdist(x).median() - torch.pdist(y).median()


@ENERGY.mistake("E|y − y′| is added, and E|x − x′| is taken off. Both are taken off.")
def y_added(x: Tensor, y: Tensor) -> Tensor:
    return 2 * _between(x, y) - _within(x) + _within(y)


@ENERGY.mistake("For each point the nearest of the other sample is taken. E|x − y| is over all pairs.")
def nearest_only(x: Tensor, y: Tensor) -> Tensor:
    return 2 * torch.cdist(x, y).amin(1).mean() - _within(x) - _within(y)
