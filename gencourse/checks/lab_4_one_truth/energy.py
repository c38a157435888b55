"""How far two samples lie apart, when nobody knows a density. Lecture 04, section 11."""

import itertools

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_4_one_truth.given import FLOAT32_TOL, normal, scalar
from gencourse.checks.spec import Exercise
from genlib import metrics


def _own_energy(x: Tensor, y: Tensor) -> Tensor:
    n, m = len(x), len(y)
    # Each point's distance to itself is 0 and adds nothing to a sum, so only the number of pairs leaves it out.
    inside = torch.cdist(x, x).sum() / (n * (n - 1)) + torch.cdist(y, y).sum() / (m * (m - 1))
    return 2 * torch.cdist(x, y).mean() - inside


ENERGY = Exercise(
    "one_truth.energy",
    _own_energy,
    returns=["e"],
    second="torch.cdist(a, b) has all distances of the points of a from those of b. Between the samples its mean is "
    "right as it is. Inside a sample of n points the diagonal is 0 and is no pair, so the sum is divided by n (n − "
    "1).",
    why="It asks for samples only, so it can be had of any model, and it has a slope, so that a model can be trained "
    "on it.",
)


@ENERGY.pace
def _(g: Generator) -> tuple[Tensor, ...]:
    return normal((300, 2), g), normal((300, 2), g)


def _by_hand(x: Tensor, y: Tensor) -> Tensor:
    """2 E|x − y| − E|x − x'| − E|y − y'|, every pair of different points by itself."""

    def average(pairs: list[tuple[Tensor, Tensor]]) -> float:
        return sum(float(((a - b) ** 2).sum().sqrt()) for a, b in pairs) / len(pairs)

    between = average([(a, b) for a in x for b in y])
    return scalar(
        2 * between - average(list(itertools.combinations(x, 2))) - average(list(itertools.combinations(y, 2)))
    )


@ENERGY.check(
    "it is 2 E|x − y| − E|x − x′| − E|y − y′|, over pairs of different points",
    "Three averages of distances: between the samples, inside the one, inside the other. How many pairs has each?",
)
def _(answer: Answer, g: Generator) -> None:
    x, y = normal((6, 2), g), normal((4, 2), g) + 3
    answer.gives([x, y], _by_hand(x, y))


@ENERGY.check(
    "samples of one kind may come out below 0",
    "It is an estimate: around 0, and on either side of it. Nothing is to be cut off.",
)
def _(answer: Answer, g: Generator) -> None:
    x, y = normal((6, 2), g), normal((4, 2), g)
    while float(_by_hand(x, y)) > -0.05:
        x, y = normal((6, 2), g), normal((4, 2), g)
    answer.gives([x, y], _by_hand(x, y))


@ENERGY.check(
    "points that all lie in one place, against points in another, are twice their distance apart",
    "Inside each sample all distances are 0; between them all are the same.",
)
def _(answer: Answer, g: Generator) -> None:
    a, b = normal((2, 2), g)
    answer.gives([a.expand(5, 2).clone(), b.expand(3, 2).clone()], 2 * (a - b).norm(), tol=1e-7)
    x, y = torch.stack([a, a, b, b]), normal((3, 2), g)  # two different points in one place are a pair as well
    answer.gives([x, y], _by_hand(x, y), tol=1e-7)


@ENERGY.check(
    "if it cannot matter which point belongs to which sample, it is 0 on average",
    "Ten ways to deal five points to two samples: the average is 0 only if no point is paired with itself.",
)
def _(answer: Answer, g: Generator) -> None:
    points = normal((5, 2), g)
    values = []
    for chosen in itertools.combinations(range(5), 3):
        others = [i for i in range(5) if i not in chosen]
        values.append(answer(points[list(chosen)], points[others]))
    mean = torch.stack(values).mean()
    answer.agrees("the average", torch.zeros_like(mean), mean, tol=1e-7)


@ENERGY.check(
    "gradients pass, to both samples",
    "A generator is to learn from it: no detach, no .item(), no NumPy on the way.",
)
def _(answer: Answer, g: Generator) -> None:
    x, y = normal((5, 2), g), normal((7, 2), g)
    answer(x.requires_grad_(), y.requires_grad_())
    answer.passes_back(
        "x",
        "y",
        not_finite="The value is right, its gradient is not finite: √ has no slope at 0, where a point meets itself. "
        "norm and cdist say 0 there; or take the root of the other pairs only.",
    )


@ENERGY.check(
    "it takes any dimension and float32, and agrees with genlib", "Compare with metrics.energy_distance(x, y)."
)
def _(answer: Answer, g: Generator) -> None:
    for D in (1, 3):
        x, y = normal((7, D), g), 1.5 * normal((9, D), g)
        answer.gives([x, y], scalar(metrics.energy_distance(x, y)), tol=1e-7)
        answer.gives([x.float(), y.float()], scalar(metrics.energy_distance(x, y)), tol=100 * FLOAT32_TOL)


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
    return _own_energy(x, y) / 2


@ENERGY.mistake("The distances are squared. Then only the means of both samples count: take the root.")
def squared(x: Tensor, y: Tensor) -> Tensor:
    def average(a: Tensor, b: Tensor, pairs: int) -> Tensor:
        return (a[:, None] - b).square().sum() / pairs

    n, m = len(x), len(y)
    return 2 * average(x, y, n * m) - average(x, x, n * (n - 1)) - average(y, y, m * (m - 1))


@ENERGY.mistake("Negative values are cut off. Then two equal samples have a distance above 0 on average.")
def cut_at_zero(x: Tensor, y: Tensor) -> Tensor:
    return _own_energy(x, y).clamp(min=0)


@ENERGY.mistake("The root of the energy distance. Here it may fall below 0, and has no root.")
def root(x: Tensor, y: Tensor) -> Tensor:
    return _own_energy(x, y).clamp(min=0).sqrt()


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
    return _own_energy(x, y).abs()


@ENERGY.mistake("The sign is turned: samples that lie apart have a distance above 0.")
def turned_round(x: Tensor, y: Tensor) -> Tensor:
    return -_own_energy(x, y)


@ENERGY.mistake("Only x is paired with itself, too. Inside a sample there are n (n − 1) pairs of different points.")
def x_with_itself(x: Tensor, y: Tensor) -> Tensor:
    return 2 * _between(x, y) - _between(x, x) - _within(y)


@ENERGY.mistake("Only y is paired with itself, too. Inside a sample there are m (m − 1) pairs of different points.")
def y_with_itself(x: Tensor, y: Tensor) -> Tensor:
    return 2 * _between(x, y) - _within(x) - _between(y, y)


@ENERGY.mistake(
    "The averages inside the samples count twice, and the one between them does, too. Once each was asked for."
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
