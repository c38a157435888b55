"""What goes wrong in the two terms of log p along the ODE: every mistake there that has a hint of its own."""

import math

import torch
from torch import Tensor

from gencourse.checks.lab_6_continuous_time.log_prob import Velocity, base_log_prob
from gencourse.checks.lab_6_continuous_time.log_prob_way_mistakes import ODE_LOG_PROB, both

LOG_2_PI = math.log(2 * math.pi)


@ODE_LOG_PROB.mistake(
    "The divergence has the wrong sign. Where the way to the noise spreads points out, were they denser before, or "
    "less dense?",
    "d log q/dφ = −∇·v on the way to the noise; from the noise back to x_0 the integral is therefore added.",
)
def divergence_subtracted(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return base_log_prob(x) - total


@ODE_LOG_PROB.mistake(
    "The divergence is left out: this is log N at the end of the way. Stretching and squeezing change a density."
)
def divergence_left_out(*args: object) -> Tensor:
    return base_log_prob(both(*args)[0])  # type: ignore[arg-type]


@ODE_LOG_PROB.mistake("The base's log-density is left out: this is the integral alone.")
def base_left_out(*args: object) -> Tensor:
    return both(*args)[1]  # type: ignore[arg-type]


@ODE_LOG_PROB.mistake("log 2π is missing in N(0, I): there is one for each dimension, with a half.")
def no_constant(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return -0.5 * (x**2).flatten(1).sum(1) + total


@ODE_LOG_PROB.mistake(
    "log 2π is there once. N(0, I) in D dimensions is a product of D Gaussians: how often is it in the sum?"
)
def constant_once(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return -0.5 * ((x**2).flatten(1).sum(1) + LOG_2_PI) + total


@ODE_LOG_PROB.mistake("log 2π has lost its half: 1/√(2π) is the factor of one Gaussian.")
def constant_not_halved(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return base_log_prob(x) - 0.5 * LOG_2_PI * x[0].numel() + total


@ODE_LOG_PROB.mistake("log 2π is added, and belongs to what is taken away: 1/√(2π) is below 1.")
def constant_added(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return base_log_prob(x) + LOG_2_PI * x[0].numel() + total


@ODE_LOG_PROB.mistake("The square has lost its half: log N(x; 0, 1) = −½ x² − ½ log 2π.")
def square_not_halved(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return base_log_prob(x) - 0.5 * (x**2).flatten(1).sum(1) + total


@ODE_LOG_PROB.mistake("The base's log-density has the wrong sign: N(0, I) is largest at 0, and falls from there.")
def base_turned(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return total - base_log_prob(x)


@ODE_LOG_PROB.mistake("Everything has the wrong sign: this is −log p, the code length.")
def all_turned(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return -base_log_prob(x) - total


@ODE_LOG_PROB.mistake("N(0, I) is taken at x_0, the data's end. Which end of the way is distributed like that?")
def base_at_the_data(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    return base_log_prob(x_0) + both(v, divergence, x_0, phis)[1]


@ODE_LOG_PROB.mistake(
    "The base's log-density is averaged over the entries of an example. Logarithms of a product add up."
)
def base_averaged(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return base_log_prob(x) / x[0].numel() + total


@ODE_LOG_PROB.mistake("The base's log-density is still one number for each entry: an example has one. Add them up.")
def base_not_summed(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return torch.distributions.Normal(0.0, 1.0).log_prob(x) + total.view(-1, *[1] * (x.dim() - 1))


@ODE_LOG_PROB.mistake(
    "The base's log-density is added up over the batch as well. Every example has a density of its own."
)
def base_of_the_batch(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return base_log_prob(x).sum() + total


@ODE_LOG_PROB.mistake("One number for the whole batch: every example has a density of its own.")
def one_for_all(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return (base_log_prob(x) + total).sum()


@ODE_LOG_PROB.mistake(
    "The base is added up along the last axis only. An example may have several axes: all but the first."
)
def last_axis_only(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    if x.dim() == 2:
        raise ValueError("there it is right")
    return torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(-1) + total.view(-1, *[1] * (x.dim() - 2))


@ODE_LOG_PROB.mistake("This is the density itself. Its logarithm is asked for: stay in it, e^(−2000) is 0.")
def density(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return (base_log_prob(x) + total).exp()


@ODE_LOG_PROB.mistake("This is in bits. log p is asked for in nats, by the natural logarithm.")
def in_bits(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return (base_log_prob(x) + total) / math.log(2)


@ODE_LOG_PROB.mistake("The two divergences of a step are added, not averaged: the integral is twice as large.")
def divergences_summed(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return base_log_prob(x) + 2 * total


@ODE_LOG_PROB.mistake("The integral is halved once too often.")
def halved_twice(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return base_log_prob(x) + total / 2


@ODE_LOG_PROB.mistake("The divergence is divided by the number of dimensions. A trace is a sum, and so is log p.")
def divergence_averaged(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return base_log_prob(x) + total / x[0].numel()


@ODE_LOG_PROB.mistake("The integral is added up over the batch: every example has a divergence of its own.")
def divergence_of_the_batch(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return base_log_prob(x) + total.sum()


@ODE_LOG_PROB.mistake("The integral is averaged over the batch: every example has a divergence of its own.")
def divergence_mean_of_the_batch(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return base_log_prob(x) + total.mean()


@ODE_LOG_PROB.mistake("The integral is multiplied by the number of dimensions. ∇·v is the whole trace already.")
def divergence_times_dimension(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return base_log_prob(x) + total * x[0].numel()


@ODE_LOG_PROB.mistake("One number for the whole batch, a mean: every example has a density of its own.")
def mean_of_the_batch(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return (base_log_prob(x) + total).mean()


@ODE_LOG_PROB.mistake("D is taken from one axis. How many entries an example has, all its axes say together.")
def dimension_of_one_axis(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    if x.dim() == 2:
        raise ValueError("there it is right")
    return total - 0.5 * (x**2).flatten(1).sum(1) - 0.5 * x.shape[1] * LOG_2_PI


@ODE_LOG_PROB.mistake("log 2π is written as (log 2) π. The logarithm is taken of the whole product.")
def constant_without_brackets(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return total - 0.5 * (x**2 + math.log(2) * math.pi).flatten(1).sum(1)


@ODE_LOG_PROB.mistake("The base has the length of x, and not its square: is a root too much?")
def length_not_squared(*args: object) -> Tensor:
    x, total = both(*args)  # type: ignore[arg-type]
    return total - 0.5 * x.flatten(1).norm(dim=1) - 0.5 * x[0].numel() * LOG_2_PI


@ODE_LOG_PROB.mistake("N(0, I) at x_0 is subtracted. log p has one base, at the end of the way.")
def base_of_both_ends(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    x, total = both(v, divergence, x_0, phis)
    return base_log_prob(x) - base_log_prob(x_0) + total
