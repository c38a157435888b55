"""Which component a point may have come from: Bayes' rule. Lecture 01 (6a)."""

import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal

from gencourse.checks.answer import Answer
from gencourse.checks.lab_4_one_truth.given import FLOAT32_TOL, Components, components, mahalanobis, normal, uniform
from gencourse.checks.spec import Exercise
from genlib import metrics
from genlib.data import GaussianMixture


def _log_joint(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    """log w_k N(x; μ_k, Σ_k), but for the constant that all share."""
    return weights.log() - 0.5 * torch.logdet(covs) - 0.5 * distance**2


def _own_responsibilities(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    # log w_k N(x; μ_k, Σ_k), but for the constant that all k share. The softmax is Bayes' rule, and it subtracts the
    # largest before exp: something is left even where every density is 0 for the computer.
    log_joint = weights.log() - 0.5 * torch.logdet(covs) - 0.5 * distance**2
    return log_joint.softmax(dim=1)


RESPONSIBILITIES = Exercise(
    "one_truth.responsibilities",
    _own_responsibilities,
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
    expected = _own_responsibilities(*(a.double() for a in narrow))
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


@RESPONSIBILITIES.mistake("The weights are not used: of two components as far away, the heavier one is more likely.")
def no_weights(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return _own_responsibilities(distance, covs, torch.ones_like(weights))


@RESPONSIBILITIES.mistake(
    "The normalising constants are missing. A wide Gaussian is lower in its middle: what divides its density?"
)
def no_determinant(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return (weights.log() - 0.5 * distance**2).softmax(dim=1)


@RESPONSIBILITIES.mistake("The determinant of Σ_k stands there without its root.")
def determinant_without_root(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return (weights.log() - torch.logdet(covs) - 0.5 * distance**2).softmax(dim=1)


@RESPONSIBILITIES.mistake("The determinant comes in with the wrong sign: a wide Gaussian is lower in its middle.")
def determinant_turned(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return (weights.log() + 0.5 * torch.logdet(covs) - 0.5 * distance**2).softmax(dim=1)


@RESPONSIBILITIES.mistake("The exponent is −d² here. In a Gaussian it is half of that.")
def no_half(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return (weights.log() - 0.5 * torch.logdet(covs) - distance**2).softmax(dim=1)


@RESPONSIBILITIES.mistake("The distance enters as it is, and not squared.")
def not_squared(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return (weights.log() - 0.5 * torch.logdet(covs) - 0.5 * distance).softmax(dim=1)


@RESPONSIBILITIES.mistake(
    "The weights are added to log-densities as they are. What multiplies a density adds its logarithm."
)
def weights_not_logged(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return (weights - 0.5 * torch.logdet(covs) - 0.5 * distance**2).softmax(dim=1)


@RESPONSIBILITIES.mistake("Normalised over the points. For each point the numbers of its *components* add up to 1.")
def over_the_batch(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return _log_joint(distance, covs, weights).softmax(dim=0)


@RESPONSIBILITIES.mistake("These are log-probabilities. The probabilities were asked for.")
def logarithms(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return _log_joint(distance, covs, weights).log_softmax(dim=1)


@RESPONSIBILITIES.mistake(
    "Far from everything all densities are 0 for the computer, and nothing is left to compare. Their logarithms stay."
)
def nothing_left(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    densities = _log_joint(distance, covs, weights).exp()
    return (densities / densities.sum(1, keepdim=True)).nan_to_num(nan=0.0)


@RESPONSIBILITIES.mistake(
    "Far from everything all densities are 0 for the computer. What was added to them, or where they are cut, decides "
    "there alone, and all components get the same. Their logarithms stay."
)
def propped_up(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    logs = _log_joint(distance, covs, weights)
    return torch.where((logs > -700).any(1, keepdim=True), logs.softmax(1), 1 / len(weights))


@RESPONSIBILITIES.mistake(
    "Far from everything all densities are 0 for the computer, and 0/0 is no number. Their logarithms stay: which of "
    "them may be taken out before exp, since it cancels in the quotient?"
)
def zero_over_zero(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    densities = _log_joint(distance, covs, weights).exp()
    return densities / densities.sum(1, keepdim=True)


@RESPONSIBILITIES.mistake(
    "One number is taken out of all points before exp. Where a point is much further away than another, nothing is "
    "left of it: each needs the largest of its own row."
)
def largest_of_the_batch(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    logs = _log_joint(distance, covs, weights)
    densities = (logs - logs.max()).exp()
    return densities / densities.sum(1, keepdim=True)


@RESPONSIBILITIES.mistake("Not divided by the sum yet: Bayes' rule has a denominator.")
def joint(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    constant = (2 * torch.pi) ** (-covs.shape[-1] / 2)
    return constant * _log_joint(distance, covs, weights).exp()


@RESPONSIBILITIES.mistake(
    "Not divided by the sum yet, and without 2π: Bayes' rule has a denominator, where it cancels."
)
def joint_without_constant(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return _log_joint(distance, covs, weights).exp()


@RESPONSIBILITIES.mistake("The most likely component gets all. A point between two modes belongs a little to each.")
def all_to_one(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    best = _log_joint(distance, covs, weights).argmax(dim=1)
    return torch.nn.functional.one_hot(best, len(weights)).to(distance)


@RESPONSIBILITIES.mistake("The *least* likely component gets most: the exponent has lost its minus.")
def exponent_turned(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return (weights.log() - 0.5 * torch.logdet(covs) + 0.5 * distance**2).softmax(dim=1)


@RESPONSIBILITIES.mistake(
    "The volume of a component is taken from its diagonal alone. At an angle it is smaller: what is det Σ?"
)
def diagonal_determinant(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return (weights.log() - 0.5 * covs.diagonal(dim1=1, dim2=2).log().sum(1) - 0.5 * distance**2).softmax(dim=1)


@RESPONSIBILITIES.mistake("The weights come in after the division, so the numbers of a point no longer add up to 1.")
def weights_afterwards(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return weights * no_weights(distance, covs, weights)


@RESPONSIBILITIES.mistake("The weights divide, and should multiply: of two components as far away, which is likelier?")
def weights_divide(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return (-weights.log() - 0.5 * torch.logdet(covs) - 0.5 * distance**2).softmax(dim=1)


@RESPONSIBILITIES.mistake("The weights enter twice.")
def weights_twice(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return (2 * weights.log() - 0.5 * torch.logdet(covs) - 0.5 * distance**2).softmax(dim=1)


@RESPONSIBILITIES.mistake(
    "A softmax of the densities themselves. It takes exp of what it gets: what has to go in, so that they come out?"
)
def softmax_of_densities(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    constant = (2 * torch.pi) ** (-covs.shape[-1] / 2)
    return (constant * _log_joint(distance, covs, weights).exp()).softmax(dim=1)


@RESPONSIBILITIES.mistake(
    "A softmax of the densities themselves, without 2π. It takes exp of what it gets: what has to go in, so that they "
    "come out?"
)
def softmax_without_constant(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return _log_joint(distance, covs, weights).exp().softmax(dim=1)


@RESPONSIBILITIES.mistake("The determinant itself is subtracted. What divides a density subtracts its logarithm.")
def determinant_not_logged(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return (weights.log() - 0.5 * torch.det(covs) - 0.5 * distance**2).softmax(dim=1)


@RESPONSIBILITIES.mistake(
    "The logarithm of the determinant is there, and its root is not quite: log √a is half of log a."
)
def root_of_the_logarithm(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return (weights.log() - torch.logdet(covs).abs().sqrt() - 0.5 * distance**2).softmax(dim=1)


@RESPONSIBILITIES.mistake("d is divided by the determinant once more. In d, the deviations are counted already.")
def distance_scaled(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    logdet = torch.logdet(covs)
    return (weights.log() - 0.5 * logdet - 0.5 * distance**2 / logdet.exp()).softmax(dim=1)


@RESPONSIBILITIES.mistake(
    "The logarithms have a sigmoid each. The components share 1 among them: what sees all at once?"
)
def sigmoids(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return _log_joint(distance, covs, weights).sigmoid()


@RESPONSIBILITIES.mistake("Divided by the largest, so that the likeliest component has 1. The *sum* is to be 1.")
def largest_is_one(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    logs = _log_joint(distance, covs, weights)
    return (logs - logs.amax(1, keepdim=True)).exp()


@RESPONSIBILITIES.mistake("Shares of 1/d. How fast a Gaussian falls, its exponent says.")
def inverse_distances(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return (weights / distance) / (weights / distance).sum(1, keepdim=True)


@RESPONSIBILITIES.mistake(
    "The nearest component gets all. A point belongs a little to each, and the nearest need not be the likeliest."
)
def nearest_gets_all(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(distance.argmin(dim=1), len(weights)).to(distance)


@RESPONSIBILITIES.mistake(
    "The logarithms of w_k N(x; μ_k, Σ_k) as they are: what makes numbers of them that add up to 1?"
)
def not_normalised_logarithms(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return _log_joint(distance, covs, weights)


@RESPONSIBILITIES.mistake("The distance is squared twice.")
def fourth_power(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return (weights.log() - 0.5 * torch.logdet(covs) - 0.5 * distance**4).softmax(dim=1)


@RESPONSIBILITIES.mistake("Logarithms to the base 10 meet an exponential to the base e. Natural ones undo it.")
def base_ten(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return (weights.log10() - 0.5 * torch.det(covs).log10() - 0.5 * distance**2).softmax(dim=1)
