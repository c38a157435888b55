"""What goes wrong in a term of the bound: every mistake that has a hint of its own."""

import torch
from torch import Tensor

from gencourse.checks.lab_3_diffusion.bound_term import BOUND_TERM, Numbers, bound_term
from gencourse.checks.lab_3_diffusion.chain import each


def _pieces(numbers: Numbers) -> tuple[Tensor, Tensor, Tensor]:
    """β̃_t, β_t, and the difference of the means."""
    x_0, _, t, x_0_hat, beta, alpha_bar = numbers
    b, now, before = each(beta, t, x_0), each(alpha_bar, t, x_0), each(alpha_bar, t - 1, x_0)
    return (1 - before) / (1 - now) * b, b, before.sqrt() * b / (1 - now) * (x_0 - x_0_hat)


def _kl(numbers: Numbers) -> Tensor:
    """Pixel by pixel."""
    tilde, b, apart = _pieces(numbers)
    return 0.5 * ((b / tilde).log() + tilde / b - 1 + apart**2 / b)


def _sum(terms: Tensor) -> Tensor:
    return terms.reshape(len(terms), -1).sum(1)


@BOUND_TERM.mistake("It is averaged over the pixels. log p of a picture is a sum over its pixels, and so is its bound.")
def mean_over_pixels(*numbers: Tensor) -> Tensor:
    return _sum(_kl(numbers)) / numbers[0][0].numel()


@BOUND_TERM.mistake("The batch is added up as well. Each example has a bound of its own.")
def summed_over_batch(*numbers: Tensor) -> Tensor:
    return _kl(numbers).sum()


@BOUND_TERM.mistake("Added up over the batch, axis 0, so that pixels are left. It is the other axes that are added up.")
def along_the_batch(*numbers: Tensor) -> Tensor:
    return _kl(numbers).sum(0)


@BOUND_TERM.mistake("One number for each pixel. Independent pixels: their divergences add up.")
def for_each_pixel(*numbers: Tensor) -> Tensor:
    return _kl(numbers)


@BOUND_TERM.mistake("The two Gaussians have changed places: KL(p ‖ q). The average is to be taken under q, the first.")
def turned(*numbers: Tensor) -> Tensor:
    tilde, b, apart = _pieces(numbers)
    return _sum(0.5 * ((tilde / b).log() + b / tilde - 1 + apart**2 / tilde))


@BOUND_TERM.mistake("This is in bits. Nats were asked for: the natural logarithm, as it is.")
def in_bits(*numbers: Tensor) -> Tensor:
    return _sum(_kl(numbers)) / torch.log(torch.tensor(2.0, dtype=numbers[0].dtype))


@BOUND_TERM.mistake("Only the means are compared. The variances differ too, β̃_t and β_t, and that costs something.")
def means_alone(*numbers: Tensor) -> Tensor:
    _, b, apart = _pieces(numbers)
    return _sum(0.5 * apart**2 / b)


@BOUND_TERM.mistake("The model has the posterior's variance here, β̃_t. Its own is β_t.")
def beta_tilde_for_both(*numbers: Tensor) -> Tensor:
    tilde, _, apart = _pieces(numbers)
    return _sum(0.5 * apart**2 / tilde)


@BOUND_TERM.mistake("It is twice the divergence: a ½ is missing.")
def no_half(*numbers: Tensor) -> Tensor:
    return 2 * _sum(_kl(numbers))


@BOUND_TERM.mistake("A −1 is missing. For two equal Gaussians, what should it be?")
def no_minus_1(*numbers: Tensor) -> Tensor:
    return _sum(_kl(numbers) + 0.5)


@BOUND_TERM.mistake("The logarithm has the wrong sign: swap what it divides.")
def log_turned(*numbers: Tensor) -> Tensor:
    tilde, b, apart = _pieces(numbers)
    return _sum(0.5 * ((tilde / b).log() + tilde / b - 1 + apart**2 / b))


@BOUND_TERM.mistake("The squared difference is divided by β_t², as if β_t were a standard deviation. It is a variance.")
def variance_squared(*numbers: Tensor) -> Tensor:
    tilde, b, apart = _pieces(numbers)
    return _sum(0.5 * ((b**2 / tilde**2).log() + tilde**2 / b**2 - 1 + apart**2 / b**2))


@BOUND_TERM.mistake("x_0_hat is compared with x_0 itself. It is the means of the step that are compared.")
def x_0_compared(*numbers: Tensor) -> Tensor:
    tilde, b, _ = _pieces(numbers)
    return _sum(0.5 * ((b / tilde).log() + tilde / b - 1 + (numbers[0] - numbers[3]) ** 2 / b))


@BOUND_TERM.mistake("It is the term of the step before: all tables are read one step too early.")
def one_step_early(*numbers: Tensor) -> Tensor:
    return _sum(_kl((*numbers[:2], numbers[2] - 1, *numbers[3:])))


@BOUND_TERM.mistake("The means' distance is divided by the posterior's variance. The model's, β_t, stands below it.")
def distance_over_beta_tilde(*numbers: Tensor) -> Tensor:
    tilde, b, apart = _pieces(numbers)
    return _sum(0.5 * ((b / tilde).log() + tilde / b - 1 + apart**2 / tilde))


@BOUND_TERM.mistake("The means' distance is not squared.")
def distance_not_squared(*numbers: Tensor) -> Tensor:
    tilde, b, apart = _pieces(numbers)
    return _sum(0.5 * ((b / tilde).log() + tilde / b - 1 + apart.abs() / b))


@BOUND_TERM.mistake("Only the variances are compared. The guess enters through the means: how far apart are they?")
def variances_alone(*numbers: Tensor) -> Tensor:
    x_0, x_t, t, _, beta, alpha_bar = numbers
    return bound_term(x_0, x_t, t, x_0, beta, alpha_bar)


@BOUND_TERM.mistake(
    "The variances are compared once for each example. β̃_t differs from β_t, and at each pixel that costs the same "
    "again."
)
def variances_once(*numbers: Tensor) -> Tensor:
    tilde, b, apart = _pieces(numbers)
    return _sum(0.5 * apart**2 / b) + 0.5 * _sum((b / tilde).log() + tilde / b - 1) / numbers[0][0].numel()


@BOUND_TERM.mistake("The ½ has not reached the last term: it stands before the whole bracket.")
def half_of_the_bracket(*numbers: Tensor) -> Tensor:
    _, b, apart = _pieces(numbers)
    return _sum(_kl(numbers) + 0.5 * apart**2 / b)


@BOUND_TERM.mistake("64 times the mean over the pixels: right for 64 of them. How many there are, x_0 knows.")
def mean_times_64(*numbers: Tensor) -> Tensor:
    return 64 * bound_term(*numbers) * len(numbers[0]) / numbers[0].numel()


@BOUND_TERM.mistake("The logarithm is that of the ratio of deviations, half as large. The formula has variances.")
def log_of_deviations(*numbers: Tensor) -> Tensor:
    tilde, b, apart = _pieces(numbers)
    return _sum(0.5 * (0.5 * (b / tilde).log() + tilde / b - 1 + apart**2 / b))


@BOUND_TERM.mistake("The logarithm has the base 10. Nats have the natural one.")
def log10(*numbers: Tensor) -> Tensor:
    tilde, b, apart = _pieces(numbers)
    return _sum(0.5 * ((b / tilde).log10() + tilde / b - 1 + apart**2 / b))


@BOUND_TERM.mistake("The logarithm has the base 2, but the other terms are in nats. All are to be in nats.")
def log2(*numbers: Tensor) -> Tensor:
    tilde, b, apart = _pieces(numbers)
    return _sum(0.5 * ((b / tilde).log2() + tilde / b - 1 + apart**2 / b))


@BOUND_TERM.mistake(
    "The ratio of the variances is turned in the second term: the first Gaussian's stands above, the second's below."
)
def ratio_turned(*numbers: Tensor) -> Tensor:
    tilde, b, apart = _pieces(numbers)
    return _sum(0.5 * ((b / tilde).log() + b / tilde - 1 + apart**2 / b))


@BOUND_TERM.mistake("The logarithm of the variances' ratio is missing.")
def no_log(*numbers: Tensor) -> Tensor:
    tilde, b, apart = _pieces(numbers)
    return _sum(0.5 * (tilde / b - 1 + apart**2 / b))


@BOUND_TERM.mistake("The ratio of the variances is missing beside its logarithm.")
def no_ratio(*numbers: Tensor) -> Tensor:
    tilde, b, apart = _pieces(numbers)
    return _sum(0.5 * ((b / tilde).log() - 1 + apart**2 / b))


@BOUND_TERM.mistake("1 is added where it should be subtracted. For two equal Gaussians, what should it be?")
def plus_1(*numbers: Tensor) -> Tensor:
    tilde, b, apart = _pieces(numbers)
    return _sum(0.5 * ((b / tilde).log() + tilde / b + 1 + apart**2 / b))


@BOUND_TERM.mistake("The squared distance of the means is subtracted. The further apart they are, the more it costs.")
def distance_subtracted(*numbers: Tensor) -> Tensor:
    tilde, b, apart = _pieces(numbers)
    return _sum(0.5 * ((b / tilde).log() + tilde / b - 1 - apart**2 / b))


@BOUND_TERM.mistake(
    "The squared distance of the means is not divided by a variance. How far is far, for this Gaussian?"
)
def distance_as_it_is(*numbers: Tensor) -> Tensor:
    tilde, b, apart = _pieces(numbers)
    return _sum(0.5 * ((b / tilde).log() + tilde / b - 1 + apart**2))


@BOUND_TERM.mistake("The ½ has reached the last term alone: it stands before the whole bracket.")
def half_of_the_distance_alone(*numbers: Tensor) -> Tensor:
    tilde, b, apart = _pieces(numbers)
    return _sum(0.5 * (2 * ((b / tilde).log() + tilde / b - 1) + apart**2 / b))


@BOUND_TERM.mistake("The model's variance is read one step too early: beta[t] is β_t.")
def beta_early(*numbers: Tensor) -> Tensor:
    tilde, _, apart = _pieces(numbers)
    b = each(numbers[4], numbers[2] - 1, numbers[0])
    return _sum(0.5 * ((b / tilde).log() + tilde / b - 1 + apart**2 / b))


@BOUND_TERM.mistake("x_0 and x_t are exchanged wherever a mean is made: in which order does exercise 3 take them?")
def exchanged(*numbers: Tensor) -> Tensor:
    x_0, x_t, *more = numbers
    return bound_term(x_t, x_0, *more)


@BOUND_TERM.mistake(
    "x_t stands where the guess x_0_hat belongs: both Gaussians are steps back from x_t, from another x_0 each."
)
def x_t_for_the_guess(*numbers: Tensor) -> Tensor:
    x_0, x_t, t, _, beta, alpha_bar = numbers
    return bound_term(x_0, x_t, t, x_t, beta, alpha_bar)


@BOUND_TERM.mistake(
    "β_t has met the last axis of the data: each column got the step of another example. Shape it (B, 1, ..., 1)."
)
def along_the_last_axis(*numbers: Tensor) -> Tensor:
    tilde, _, apart = _pieces(numbers)
    b = numbers[4][numbers[2]]
    return _sum(0.5 * ((b / tilde).log() + tilde / b - 1 + apart**2 / b))
