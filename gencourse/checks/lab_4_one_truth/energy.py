"""How far two samples lie apart, when nobody knows a density. Lecture 04, section 11."""

import itertools

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_4_one_truth.given import FLOAT32_TOL, normal, scalar
from gencourse.checks.spec import Exercise
from genlib import metrics


def energy(x: Tensor, y: Tensor) -> Tensor:
    n, m = len(x), len(y)
    # Each point's distance to itself is 0 and adds nothing to a sum, so only the number of pairs leaves it out.
    inside = torch.cdist(x, x).sum() / (n * (n - 1)) + torch.cdist(y, y).sum() / (m * (m - 1))
    return 2 * torch.cdist(x, y).mean() - inside


ENERGY = Exercise(
    "one_truth.energy",
    energy,
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
    x, y = torch.stack([a, a, b, b]), normal((3, 2), g)  # two different points in one place are a pair as well
    answer.gives([x, y], _by_hand(x, y), tol=1e-7)
    answer.gives([a.expand(5, 2).clone(), b.expand(3, 2).clone()], 2 * (a - b).norm(), tol=1e-7)


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
