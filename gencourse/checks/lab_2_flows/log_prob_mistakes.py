"""What goes wrong in log p_X: every mistake that has a hint of its own."""

import math

import torch
from torch import Tensor

from gencourse.checks.lab_2_flows.given import Map
from gencourse.checks.lab_2_flows.log_prob import LOG_PROB, log_prob
from genlib.flows import Normal


def _base(z: Tensor) -> Tensor:
    return Normal(z.shape[1:]).log_prob(z)


def _constant(z: Tensor) -> float:
    """½ D log 2π."""
    return 0.5 * math.prod(z.shape[1:]) * math.log(2 * math.pi)


@LOG_PROB.mistake("log_det is missing: squeezing all x into the middle would make every x likely. What pays for it?")
def no_log_det(x: Tensor, flow: Map) -> Tensor:
    return _base(flow(x)[0])


@LOG_PROB.mistake("log_det is subtracted. It is that of the map from x to z: where that stretches, x is dense.")
def log_det_subtracted(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) - log_det


@LOG_PROB.mistake("The base density is asked at x. It is the density of z.")
def base_at_x(x: Tensor, flow: Map) -> Tensor:
    return _base(x) + flow(x)[1]


@LOG_PROB.mistake("The constant is missing: without log 2π the density of N(0, I) has no integral of 1.")
def no_constant(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) + _constant(z) + log_det


@LOG_PROB.mistake("½ log 2π counts once here, as in one dimension. Each of the D coordinates brings its own.")
def one_constant(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) + _constant(z) - 0.5 * math.log(2 * math.pi) + log_det


@LOG_PROB.mistake("log 2π is there without its ½: the density has a root, 1/√(2π), in each coordinate.")
def root_forgotten(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) - _constant(z) + log_det


@LOG_PROB.mistake("The exponent is −z² here. In a standard normal density it is half of that.")
def no_half(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return 2 * _base(z) + _constant(z) + log_det


@LOG_PROB.mistake("The length of z enters as it is, and not squared.")
def not_squared(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return -0.5 * z.flatten(1).norm(dim=1) - _constant(z) + log_det


@LOG_PROB.mistake(
    "The base's log-density is averaged over the coordinates. They are independent: what do logs do then?"
)
def mean_over_coordinates(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) / math.prod(z.shape[1:]) + log_det


@LOG_PROB.mistake("The squares are averaged over the coordinates. What is the squared length of z made of?")
def mean_of_squares(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return -0.5 * z.flatten(1).square().mean(1) - _constant(z) + log_det


@LOG_PROB.mistake(
    "Only axis 1 is added up. A picture has three axes; how do you add up all but the first, however many?"
)
def axes_left(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return (-0.5 * z**2 - 0.5 * math.log(2 * math.pi)).sum(1) + log_det


@LOG_PROB.mistake("This is p_X(x) itself. Its logarithm was asked for (in 64 dimensions p itself would underflow).")
def not_log(x: Tensor, flow: Map) -> Tensor:
    return log_prob(x, flow).exp()


@LOG_PROB.mistake(
    "The average over the batch was taken already. That is the loss; here each example has its own log_p."
)
def averaged(x: Tensor, flow: Map) -> Tensor:
    return log_prob(x, flow).mean()


@LOG_PROB.mistake("The base's log-densities are summed over the batch, too. Each example has its own.")
def summed_over_the_batch(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z).sum() + log_det


@LOG_PROB.mistake("The sign is turned: this is the loss, −log p_X(x).")
def loss(x: Tensor, flow: Map) -> Tensor:
    return -log_prob(x, flow)


@LOG_PROB.mistake("The constant is log 2π once, which is right for two coordinates. How many has z here?")
def plane(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) + _constant(z) - math.log(2 * math.pi) + log_det


@LOG_PROB.mistake("D is taken to be 64, as for the digits. z itself knows how many coordinates it has.")
def always_64(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) + _constant(z) - 32 * math.log(2 * math.pi) + log_det


@LOG_PROB.mistake("D is the number of channels here. All axes but the first count, multiplied.")
def channels_for_D(x: Tensor, flow: Map) -> Tensor:  # noqa: N802
    z, log_det = flow(x)
    return _base(z) + _constant(z) - 0.5 * z.shape[1] * math.log(2 * math.pi) + log_det


@LOG_PROB.mistake("D is the length of the last axis alone. All axes but the first count, multiplied.")
def width_for_D(x: Tensor, flow: Map) -> Tensor:  # noqa: N802
    z, log_det = flow(x)
    return _base(z) + _constant(z) - 0.5 * z.shape[-1] * math.log(2 * math.pi) + log_det


@LOG_PROB.mistake("D is the number of examples here. It is the number of coordinates that one example has.")
def batch_for_D(x: Tensor, flow: Map) -> Tensor:  # noqa: N802
    z, log_det = flow(x)
    return _base(z) + _constant(z) - 0.5 * len(z) * math.log(2 * math.pi) + log_det


@LOG_PROB.mistake("D counts the numbers of the whole batch. It is the number of coordinates that one example has.")
def all_for_D(x: Tensor, flow: Map) -> Tensor:  # noqa: N802
    z, log_det = flow(x)
    return _base(z) + _constant(z) - 0.5 * z.numel() * math.log(2 * math.pi) + log_det


@LOG_PROB.mistake("The constant is added. Where does (2π)^(D/2) stand in the density, above or below?")
def constant_added(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) + 2 * _constant(z) + log_det


@LOG_PROB.mistake("The coordinates are added up first, and squared then. The length of z is a sum of squares.")
def squared_too_late(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return -0.5 * z.flatten(1).sum(1) ** 2 - _constant(z) + log_det


@LOG_PROB.mistake("The squares are added up over the whole batch. Each example has a length of its own.")
def length_of_the_batch(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return -0.5 * z.square().sum() - _constant(z) + log_det


@LOG_PROB.mistake("log_det comes in once for each coordinate. It speaks of all D of them already.")
def log_det_for_each_coordinate(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) + math.prod(z.shape[1:]) * log_det


@LOG_PROB.mistake("log_det is made positive. Where the flow shrinks space log_det is below 0, and x is less dense.")
def absolute(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) + log_det.abs()


@LOG_PROB.mistake(
    "The logarithm of |log_det|. log_det is log |det ∂z/∂xᵀ| already: nothing is left to be done with it."
)
def log_of_absolute(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) + log_det.abs().log()


@LOG_PROB.mistake(
    "All the densities are multiplied, and their logarithm comes last: the product rounds to 0 on the way."
)
def through_densities(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return torch.distributions.Normal(0.0, 1.0).log_prob(z).exp().flatten(1).prod(1).log() + log_det


@LOG_PROB.mistake("The logarithm of log_det: it is a logarithm already, as its name says.")
def log_of_log_det(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) + log_det.log()


@LOG_PROB.mistake("+½ z² instead of −½ z²: far from the middle, z would be ever more likely.")
def square_added(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return -_base(z) - 2 * _constant(z) + log_det


@LOG_PROB.mistake("exp(log_det) is added. All terms are logarithms here, log_det as well.")
def exp_of_log_det(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) + log_det.exp()


@LOG_PROB.mistake(
    "log_det is divided by the number of coordinates. It speaks of the volume of all of them, and so does log p."
)
def log_det_shared(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) + log_det / math.prod(z.shape[1:])


@LOG_PROB.mistake(
    "Mean and deviation are those of the batch. The base is N(0, I), chosen once: what z has, the flow must see to."
)
def batch_statistics(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    z = z.flatten(1)
    return torch.distributions.Normal(z.mean(0), z.std(0)).log_prob(z).sum(1) + log_det


@LOG_PROB.mistake("The two terms are multiplied. The densities multiply; and their logarithms?")
def multiplied(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) * log_det


@LOG_PROB.mistake("This is log_det alone. How likely z is under the base is missing.")
def log_det_alone(x: Tensor, flow: Map) -> Tensor:
    return flow(x)[1]


@LOG_PROB.mistake("The determinant and the constant are missing: this is −½ z² alone.")
def square_alone(x: Tensor, flow: Map) -> Tensor:
    z, _ = flow(x)
    return _base(z) + _constant(z)


@LOG_PROB.mistake("All of log p is divided by the number of coordinates. It was asked for the example as a whole.")
def shared(x: Tensor, flow: Map) -> Tensor:
    return log_prob(x, flow) / math.prod(flow(x)[0].shape[1:])


@LOG_PROB.mistake("½ D · 2π is taken off, without a logarithm: the density has 1/√(2π), and you compute its logarithm.")
def no_log_of_2_pi(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) + _constant(z) - math.pi * math.prod(z.shape[1:]) + log_det


@LOG_PROB.mistake("log π where log 2π belongs: the density has 1/√(2π).")
def log_pi(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) + 0.5 * math.prod(z.shape[1:]) * math.log(2) + log_det


@LOG_PROB.mistake("A parenthesis ends too early: log 2 · π, or π · log 2, stands where the logarithm of 2π belongs.")
def log_2_times_pi(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    return _base(z) + _constant(z) - 0.5 * math.prod(z.shape[1:]) * math.log(2) * math.pi + log_det


@LOG_PROB.mistake("Neither z nor log_det comes in: this is log N(x; 0, I), as if the flow did nothing.")
def at_x_without(x: Tensor, flow: Map) -> Tensor:
    return _base(x)


@LOG_PROB.mistake("This is log p in bits. It was asked for in nats.")
def in_bits(x: Tensor, flow: Map) -> Tensor:
    return log_prob(x, flow) / math.log(2)


@LOG_PROB.mistake("The coordinates' densities are added up before the logarithm. The density of all is their product.")
def added_before_log(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    each = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
    return each.flatten(1).logsumexp(1) + log_det
