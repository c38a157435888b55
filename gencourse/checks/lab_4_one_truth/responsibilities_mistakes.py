"""What goes wrong in Bayes' rule: every mistake that has a hint of its own."""

import torch
from torch import Tensor

from gencourse.checks.lab_4_one_truth.responsibilities import RESPONSIBILITIES, responsibilities


def _log_joint(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    """log w_k N(x; μ_k, Σ_k), but for the constant that all share."""
    return weights.log() - 0.5 * torch.logdet(covs) - 0.5 * distance**2


@RESPONSIBILITIES.mistake("The weights are not used: of two components as far away, the heavier one is more likely.")
def no_weights(distance: Tensor, covs: Tensor, weights: Tensor) -> Tensor:
    return responsibilities(distance, covs, torch.ones_like(weights))


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
