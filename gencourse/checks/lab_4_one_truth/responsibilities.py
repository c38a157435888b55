"""Which component a point may have come from: Bayes' rule. Lecture 01 (6a)."""

import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal

from gencourse.checks.answer import Answer
from gencourse.checks.lab_4_one_truth.given import FLOAT32_TOL, Components, components, mahalanobis, normal, uniform
from gencourse.checks.spec import Exercise
from genlib import metrics
from genlib.data import GaussianMixture


def responsibilities(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    # log w_k N(x; μ_k, Σ_k), but for the constant that all k share. The softmax is Bayes' rule, and it subtracts the
    # largest before exp: something is left even where every density is 0 for the computer.
    log_joint = weights.log() - 0.5 * torch.logdet(covs) - 0.5 * distance**2
    return log_joint.softmax(dim=1)


RESPONSIBILITIES = Exercise(
    "one_truth.responsibilities",
    responsibilities,
    returns=["p"],
    batched=["distance"],
    plain=True,
    second="Write the logarithm of w_k N(x; μ_k, Σ_k): three terms depend on k, of the weight, of the determinant and "
    "of the distance. e to these, divided by their sum over k, is what torch calls a softmax; over which axis?",
    why="Bayes' rule gives a point to the components even where none of them would have drawn it: so who came from "
    "where and whether it came from any are two questions.",
)


@RESPONSIBILITIES.pace
def _(g: Generator) -> tuple[Tensor, ...]:
    parts = components(7, 2, g)
    return uniform(0, 20, g, 20_000, 7), parts.covs, parts.weights


def _by_bayes(x: Tensor, parts: Components) -> Tensor:
    """p(k) p(x | k) / Σ_j p(j) p(x | j), with the densities of torch."""
    joint = torch.stack([w * MultivariateNormal(m, c).log_prob(x).exp() for m, c, w in zip(*parts, strict=True)], dim=1)
    return joint / joint.sum(1, keepdim=True)


@RESPONSIBILITIES.check(
    "it is Bayes' rule",
    "p(k | x) is w_k N(x; μ_k, Σ_k) over the sum of the same for all components. What depends on k?",
)
def _(answer: Answer, g: Generator) -> None:
    parts = components(4, 2, g)
    x = normal((6, 2), g)
    answer.gives([mahalanobis(x, parts.means, parts.covs), parts.covs, parts.weights], _by_bayes(x, parts))


@RESPONSIBILITIES.check(
    "the numbers of each point add up to 1, and far away they are still numbers",
    "At 60 deviations a density is 0 in any precision. Do not leave the logarithms before you must.",
)
def _(answer: Answer, g: Generator) -> None:
    parts = components(3, 2, g)
    distance = uniform(0, 1, g, 5, 3) + torch.tensor([[60], [61], [62], [63], [300]])  # far and farther in one batch
    p = answer(distance, parts.covs, parts.weights)
    answer.agrees("p.sum(1)", torch.ones(5, dtype=torch.float64), p.sum(1))
    # The odds of two components are e to the difference of their log-densities.
    log_odds = (parts.weights[0] / parts.weights[1]).log() - 0.5 * (
        torch.logdet(parts.covs[0]) - torch.logdet(parts.covs[1]) + distance[:, 0] ** 2 - distance[:, 1] ** 2
    )
    answer.agrees("p[:, 0] / (p[:, 0] + p[:, 1])", log_odds.sigmoid(), p[:, 0] / (p[:, 0] + p[:, 1]), tol=1e-7)


@RESPONSIBILITIES.check("it takes any dimension, and float32", "K and D are in the shapes of the arguments.")
def _(answer: Answer, g: Generator) -> None:
    parts = components(2, 5, g)
    x = normal((4, 5), g)
    distance = mahalanobis(x, parts.means, parts.covs)
    answer.gives([distance, parts.covs, parts.weights], _by_bayes(x, parts), tol=1e-8)
    narrow = [a.float() for a in (distance, parts.covs, parts.weights)]
    expected = responsibilities(*(a.double() for a in narrow))
    answer.gives(narrow, expected, tol=100 * FLOAT32_TOL)


@RESPONSIBILITIES.check(
    "it agrees with genlib", "Compare with metrics.mode_coverage: its shares are averages of these numbers."
)
def _(answer: Answer, g: Generator) -> None:
    parts = components(3, 2, g)
    x = parts.means[:2] + 0.1 * normal((2, 2), g)
    p = answer(mahalanobis(x, parts.means, parts.covs), parts.covs, parts.weights)
    share = metrics.mode_coverage(x, GaussianMixture(*parts), within=100).share
    answer.agrees("p.mean(0)", torch.tensor(share, dtype=torch.float64), p.mean(0))
