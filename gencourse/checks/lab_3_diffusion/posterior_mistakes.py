"""What goes wrong in one step back with x_0 known: every mistake that has a hint of its own."""

import torch
from torch import Tensor

from gencourse.checks.lab_3_diffusion.chain import each
from gencourse.checks.lab_3_diffusion.posterior import POSTERIOR, Numbers


def _made(
    numbers: Numbers, of_x_0: Tensor | None = None, of_x_t: Tensor | None = None, var: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance, with another factor or variance than the right one."""
    parts = [own if other is None else other for own, other in zip(_parts(numbers), (of_x_0, of_x_t, var), strict=True)]
    return parts[0] * numbers[0] + parts[1] * numbers[1], parts[2].expand_as(numbers[0])


def _levels(numbers: Numbers) -> tuple[Tensor, Tensor, Tensor]:
    """β_t, ᾱ_t and ᾱ_{t−1}, for each example."""
    x_0, _, t, beta, alpha_bar = numbers
    return each(beta, t, x_0), each(alpha_bar, t, x_0), each(alpha_bar, t - 1, x_0)


def _parts(numbers: Numbers) -> tuple[Tensor, Tensor, Tensor]:
    """The weights of x_0 and of x_t in the mean, and the variance, as they should be."""
    x_0, _, t, beta, alpha_bar = numbers
    b, now, before = each(beta, t, x_0), each(alpha_bar, t, x_0), each(alpha_bar, t - 1, x_0)
    return before.sqrt() * b / (1 - now), (1 - b).sqrt() * (1 - before) / (1 - now), (1 - before) / (1 - now) * b


def _mean(numbers: Numbers) -> Tensor:
    of_x_0, of_x_t, _ = _parts(numbers)
    return of_x_0 * numbers[0] + of_x_t * numbers[1]


def _var(numbers: Numbers) -> Tensor:
    return _parts(numbers)[2]


@POSTERIOR.mistake("The mean's two factors have changed places. For small β_t, x_{t−1} is close to which of the two?")
def swapped(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    of_x_0, of_x_t, var = _parts(numbers)
    return of_x_t * numbers[0] + of_x_0 * numbers[1], var


@POSTERIOR.mistake("Mean and variance come in the wrong order.")
def var_first(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    return _var(numbers), _mean(numbers)


@POSTERIOR.mistake("x_t counts against x_0 in the mean: a sign is turned.")
def sign_turned(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    of_x_0, of_x_t, var = _parts(numbers)
    return of_x_0 * numbers[0] - of_x_t * numbers[1], var


@POSTERIOR.mistake(
    "The factor of x_0 holds ᾱ_{t−1} as it is. Which of the two is it that x_0 is multiplied by, signal or variance?"
)
def x_0_not_rooted(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    x_0, x_t, t, _, alpha_bar = numbers
    of_x_0, of_x_t, var = _parts(numbers)
    return of_x_0 * each(alpha_bar, t - 1, x_0).sqrt() * x_0 + of_x_t * x_t, var


@POSTERIOR.mistake("The factor of x_t holds α_t as it is. Which power of α_t does a step multiply x_{t−1} by?")
def x_t_not_rooted(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    x_0, x_t, t, beta, _ = numbers
    of_x_0, of_x_t, var = _parts(numbers)
    return of_x_0 * x_0 + of_x_t * (1 - each(beta, t, x_0)).sqrt() * x_t, var


@POSTERIOR.mistake("The factor of x_t holds ᾱ_t, the product of all steps up to t. From x_{t−1} to x_t it is one step.")
def bar_for_alpha(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    x_0, x_t, t, beta, alpha_bar = numbers
    of_x_0, of_x_t, var = _parts(numbers)
    return of_x_0 * x_0 + of_x_t * (each(alpha_bar, t, x_0) / (1 - each(beta, t, x_0))).sqrt() * x_t, var


@POSTERIOR.mistake(
    "The factor of x_0 holds √ᾱ_t, what t steps leave. How many steps has x_0 gone when x_{t−1} is reached?"
)
def x_0_one_step_late(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    x_0, x_t, t, beta, _ = numbers
    of_x_0, of_x_t, var = _parts(numbers)
    return of_x_0 * (1 - each(beta, t, x_0)).sqrt() * x_0 + of_x_t * x_t, var


@POSTERIOR.mistake("The mean lacks its denominator: the two precisions add up to more than 1.")
def not_normalised(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    return _mean(numbers) * (1 - each(numbers[4], numbers[2], numbers[0])), _var(numbers)


@POSTERIOR.mistake(
    "At t = 1, 1 − ᾱ_{t−1} is 0, and something is divided by it. Which form of the fraction divides by 1 − ᾱ_t alone?"
)
def nan_at_t_1(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    x_0, x_t, t, beta, alpha_bar = numbers
    b, before = each(beta, t, x_0), each(alpha_bar, t - 1, x_0)
    var = 1 / ((1 - b) / b + 1 / (1 - before))
    return var * ((1 - b).sqrt() / b * x_t + before.sqrt() / (1 - before) * x_0), var


@POSTERIOR.mistake("All tables are read one step too early. Their entry 0 belongs to t = 0, so beta[t] is β_t.")
def one_step_early(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    x_0, x_t, t, beta, alpha_bar = numbers
    early = x_0, x_t, t - 1, beta, alpha_bar
    return _mean(early), _var(early)


@POSTERIOR.mistake(
    "The variance is β_t, that of the step forward. x_0 is known as well here: knowing more, is one as unsure?"
)
def beta_for_var(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    return _mean(numbers), each(numbers[3], numbers[2], numbers[0])


@POSTERIOR.mistake("This is the standard deviation. The variance was asked for.")
def deviation(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    return _mean(numbers), _var(numbers).sqrt()


@POSTERIOR.mistake("This is the logarithm of the variance. The variance was asked for (at t = 1 it has no logarithm).")
def log_var(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    return _mean(numbers), _var(numbers).log()


@POSTERIOR.mistake("This is the precision, 1 over the variance. The variance was asked for.")
def precision(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    return _mean(numbers), 1 / _var(numbers)


@POSTERIOR.mistake("In the variance, numerator and denominator have changed places: it would be larger than β_t.")
def ratio_turned(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    b = each(numbers[3], numbers[2], numbers[0])
    return _mean(numbers), b**2 / _var(numbers)


@POSTERIOR.mistake(
    "var has shape (B,), which meets the last axis of the data. Which shape puts B first, and multiplies x_0?"
)
def var_without_axes(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    return _mean(numbers), _var(numbers).reshape(len(numbers[0]), -1)[:, 0]


@POSTERIOR.mistake(
    "The tables' entries met the last axis of x_0: each column got the step of another example. "
    "Shape them (B, 1, ..., 1)."
)
def along_the_last_axis(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    x_0, x_t, t, beta, alpha_bar = numbers
    b, now, before = beta[t], alpha_bar[t], alpha_bar[t - 1]
    mean = before.sqrt() * b / (1 - now) * x_0 + (1 - b).sqrt() * (1 - before) / (1 - now) * x_t
    return mean, (1 - before) / (1 - now) * b


@POSTERIOR.mistake("beta is read one step too early, ᾱ is not. Both tables begin at t = 0.")
def beta_one_step_early(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    x_0, x_t, t, beta, alpha_bar = numbers
    b, now, before = each(beta, t - 1, x_0), each(alpha_bar, t, x_0), each(alpha_bar, t - 1, x_0)
    mean = before.sqrt() * b / (1 - now) * x_0 + (1 - b).sqrt() * (1 - before) / (1 - now) * x_t
    return mean, (1 - before) / (1 - now) * b


@POSTERIOR.mistake("The factor of x_t holds √β_t where √α_t belongs: how much of x_{t−1} does a step keep?")
def beta_for_alpha(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    x_0, x_t, t, beta, _ = numbers
    of_x_0, of_x_t, var = _parts(numbers)
    b = each(beta, t, x_0)
    return of_x_0 * x_0 + of_x_t * (b / (1 - b)).sqrt() * x_t, var


@POSTERIOR.mistake("Parentheses are missing: a/1 − b divides by 1 alone, and subtracts b afterwards.")
def parentheses(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    x_0, x_t, t, beta, alpha_bar = numbers
    b, now, before = each(beta, t, x_0), each(alpha_bar, t, x_0), each(alpha_bar, t - 1, x_0)
    mean = before.sqrt() * b / 1 - now * x_0 + (1 - b).sqrt() * (1 - before) / (1 - now) * x_t
    return mean, 1 - before / 1 - now * b


@POSTERIOR.mistake(
    "Both factors of the mean lack their roots: a step multiplies x by √α_t, and t − 1 of them by √ᾱ_{t−1}."
)
def no_roots(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    x_0, x_t, t, beta, alpha_bar = numbers
    of_x_0, of_x_t, var = _parts(numbers)
    a, before = 1 - each(beta, t, x_0), each(alpha_bar, t - 1, x_0)
    return of_x_0 * before.sqrt() * x_0 + of_x_t * a.sqrt() * x_t, var


@POSTERIOR.mistake("The factor of x_0 holds √β_t. One of its three parts has a root, and that is not the one.")
def x_0_beta_rooted(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    b, _, _ = _levels(numbers)
    return _made(numbers, of_x_0=_parts(numbers)[0] / b.sqrt())


@POSTERIOR.mistake("In the mean, 1 − ᾱ_{t−1} stands below the line. What adds up to the whole is 1 − ᾱ_t.")
def over_the_step_before(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    _, now, before = _levels(numbers)
    of_x_0, of_x_t, _ = _parts(numbers)
    turn = (1 - now) / (1 - before)
    return _made(numbers, turn * of_x_0, turn * of_x_t)


@POSTERIOR.mistake("The mean's denominator has a root: √(1 − ᾱ_t). Both weights are ratios of variances.")
def denominator_rooted(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    _, now, _ = _levels(numbers)
    of_x_0, of_x_t, _ = _parts(numbers)
    return _made(numbers, (1 - now).sqrt() * of_x_0, (1 - now).sqrt() * of_x_t)


@POSTERIOR.mistake("The variance lacks its β_t: the fraction alone says by how much it is smaller than which variance?")
def var_without_beta(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    return _made(numbers, var=_parts(numbers)[2] / _levels(numbers)[0])


@POSTERIOR.mistake("The variance has ᾱ where 1 − ᾱ belongs: signal for noise.")
def var_of_signals(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    b, now, before = _levels(numbers)
    return _made(numbers, var=before / now * b)


@POSTERIOR.mistake("The variance is 1 − ᾱ_{t−1}, what x_0 alone says about x_{t−1}. x_t is known as well.")
def var_given_x_0(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    return _made(numbers, var=1 - _levels(numbers)[2])


@POSTERIOR.mistake("The variance is 1 − ᾱ_t, that of x_t given x_0. Which variable is this distribution one of?")
def var_of_x_t(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    return _made(numbers, var=1 - _levels(numbers)[1])


@POSTERIOR.mistake("The variance holds α_t = 1 − β_t where β_t belongs.")
def var_alpha_for_beta(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    b, now, before = _levels(numbers)
    return _made(numbers, var=(1 - before) / (1 - now) * (1 - b))


@POSTERIOR.mistake("The factor of x_t lacks 1 − ᾱ_{t−1} above its line: the less x_0 says, the more x_t counts.")
def x_t_without_noise(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    b, now, _ = _levels(numbers)
    return _made(numbers, of_x_t=(1 - b).sqrt() / (1 - now))


@POSTERIOR.mistake("The factor of x_0 lacks β_t: the noisier the step, the less x_t says, and the more x_0 counts.")
def x_0_without_beta(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    return _made(numbers, of_x_0=_parts(numbers)[0] / _levels(numbers)[0])


@POSTERIOR.mistake("The factor of x_t holds 1 − √β_t. A step keeps √(1 − β_t): the root comes last.")
def root_too_early(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    b, now, before = _levels(numbers)
    return _made(numbers, of_x_t=(1 - b.sqrt()) * (1 - before) / (1 - now))


@POSTERIOR.mistake("x_0 stands where the formula of another exercise has the noise. Here x_0 itself is given.")
def x_0_for_eps(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    b, now, _ = _levels(numbers)
    return _made(numbers, -b / (1 - now).sqrt() / (1 - b).sqrt(), 1 / (1 - b).sqrt())


@POSTERIOR.mistake("Only the second term of the mean is divided by 1 − ᾱ_t: where do the parentheses end?")
def x_0_not_divided(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    return _made(numbers, of_x_0=_parts(numbers)[0] * (1 - _levels(numbers)[1]))


@POSTERIOR.mistake("All tables are read one step too late: ᾱ_t is alpha_bar[t], without any shift.")
def one_step_late(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    x_0, x_t, t, beta, alpha_bar = numbers
    later = x_0, x_t, (t + 1).clamp(max=len(beta) - 1), beta, alpha_bar
    return _mean(later), _var(later)


@POSTERIOR.mistake("One example is at t = 1, and all are answered as if they were. Each has a step of its own.")
def one_for_all(*numbers: Tensor) -> tuple[Tensor, Tensor]:
    if not (numbers[2] == 1).any():
        raise ValueError("nobody is at t = 1")
    return numbers[0], torch.zeros_like(numbers[0])
