"""What goes wrong in one step back: every mistake that has a hint of its own."""

import torch
from torch import Tensor

from gencourse.checks.lab_3_diffusion.chain import each
from gencourse.checks.lab_3_diffusion.posterior import posterior
from gencourse.checks.lab_3_diffusion.reverse_step import REVERSE_STEP, Numbers


def _parts(numbers: Numbers) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """β_t and ᾱ_t for each example, the mean, the noise, and 1 where noise is added."""
    x_t, t, eps_hat, z, beta, alpha_bar = numbers
    b, bar = each(beta, t, x_t), each(alpha_bar, t, x_t)
    mean = (x_t - b / (1 - bar).sqrt() * eps_hat) / (1 - b).sqrt()
    later = each((torch.arange(len(beta)) > 1).to(beta), t, x_t)
    return b, bar, mean, later * b.sqrt() * z, later


@REVERSE_STEP.mistake("At t = 1 noise is added as well, to the finished picture.")
def noise_at_the_end(*numbers: Tensor) -> Tensor:
    b, _, mean, _, _ = _parts(numbers)
    return mean + b.sqrt() * numbers[3]


@REVERSE_STEP.mistake("One example at t = 1, and all others lose their noise. Each has a step of its own.")
def one_for_all(*numbers: Tensor) -> Tensor:
    _, _, mean, noise, later = _parts(numbers)
    return mean + noise * later.min()


@REVERSE_STEP.mistake("No noise comes in: where does z enter, and at which steps?")
def no_noise(*numbers: Tensor) -> Tensor:
    return _parts(numbers)[2]


@REVERSE_STEP.mistake("z is multiplied by the variance β_t. What turns standard noise into noise of that variance?")
def noise_not_rooted(*numbers: Tensor) -> Tensor:
    b, _, mean, _, later = _parts(numbers)
    return mean + later * b * numbers[3]


@REVERSE_STEP.mistake("The noise has variance β̃_t. That is the other choice that can be justified; here it is β_t.")
def beta_tilde_noise(*numbers: Tensor) -> Tensor:
    _, t, _, _, _, alpha_bar = numbers
    _, bar, mean, noise, _ = _parts(numbers)
    return mean + ((1 - each(alpha_bar, t - 1, numbers[0])) / (1 - bar)).sqrt() * noise


@REVERSE_STEP.mistake("The new noise is divided by √α_t as well. It comes in last, when the mean is done.")
def noise_scaled(*numbers: Tensor) -> Tensor:
    b, _, mean, noise, _ = _parts(numbers)
    return mean + noise / (1 - b).sqrt()


@REVERSE_STEP.mistake("The guessed noise is added, so x_t gets noisier. Which sign takes it away?")
def eps_added(*numbers: Tensor) -> Tensor:
    b, bar, mean, noise, _ = _parts(numbers)
    return mean + 2 * b / (1 - bar).sqrt() * numbers[2] / (1 - b).sqrt() + noise


@REVERSE_STEP.mistake("eps_hat is divided by 1 − ᾱ_t, a variance. Follow the root through the derivation.")
def denominator_not_rooted(*numbers: Tensor) -> Tensor:
    x_t, _, eps_hat = numbers[:3]
    b, bar, _, noise, _ = _parts(numbers)
    return (x_t - b / (1 - bar) * eps_hat) / (1 - b).sqrt() + noise


@REVERSE_STEP.mistake("eps_hat has the factor √β_t/√(1 − ᾱ_t). One of the two is no root.")
def beta_rooted(*numbers: Tensor) -> Tensor:
    x_t, _, eps_hat = numbers[:3]
    b, bar, _, noise, _ = _parts(numbers)
    return (x_t - b.sqrt() / (1 - bar).sqrt() * eps_hat) / (1 - b).sqrt() + noise


@REVERSE_STEP.mistake("The mean is not scaled up. The step forward shrank the signal: by how much?")
def not_scaled(*numbers: Tensor) -> Tensor:
    b, _, mean, noise, _ = _parts(numbers)
    return mean * (1 - b).sqrt() + noise


@REVERSE_STEP.mistake("The mean is shrunk by √α_t. The step forward shrank the signal, so the step back ...?")
def shrunk_again(*numbers: Tensor) -> Tensor:
    b, _, mean, noise, _ = _parts(numbers)
    return mean * (1 - b) + noise


@REVERSE_STEP.mistake("The mean is divided by √ᾱ_t: that undoes all t steps at once. It is one step back.")
def bar_for_alpha(*numbers: Tensor) -> Tensor:
    b, bar, mean, noise, _ = _parts(numbers)
    return mean * ((1 - b) / bar).sqrt() + noise


@REVERSE_STEP.mistake("This is the guess of x_0, all steps at once. Take one step towards it.")
def all_the_way(*numbers: Tensor) -> Tensor:
    x_t, _, eps_hat = numbers[:3]
    _, bar, _, noise, _ = _parts(numbers)
    return (x_t - (1 - bar).sqrt() * eps_hat) / bar.sqrt() + noise


@REVERSE_STEP.mistake("ᾱ is read one step too early, as if the table began at t = 1: its entry 0 belongs to t = 0.")
def one_step_early(*numbers: Tensor) -> Tensor:
    x_t, t, eps_hat, _, _, alpha_bar = numbers
    b, _, _, noise, _ = _parts(numbers)
    return (x_t - b / (1 - each(alpha_bar, t - 1, x_t)).sqrt() * eps_hat) / (1 - b).sqrt() + noise


@REVERSE_STEP.mistake(
    "The tables' entries met the last axis of x_t: each column got the step of another example. "
    "Shape them (B, 1, ..., 1)."
)
def along_the_last_axis(*numbers: Tensor) -> Tensor:
    x_t, t, eps_hat, _, beta, alpha_bar = numbers
    b, bar = beta[t], alpha_bar[t]
    return (x_t - b / (1 - bar).sqrt() * eps_hat) / (1 - b).sqrt() + (t > 1) * b.sqrt() * numbers[3]


@REVERSE_STEP.mistake("beta and alpha_bar have changed places. Which of the two belongs to one step, which to all?")
def tables_exchanged(*numbers: Tensor) -> Tensor:
    x_t, t, eps_hat, z, beta, alpha_bar = numbers
    bar, b, later = each(beta, t, x_t), each(alpha_bar, t, x_t), _parts(numbers)[4]
    return (x_t - b / (1 - bar).sqrt() * eps_hat) / (1 - b).sqrt() + later * b.sqrt() * z


@REVERSE_STEP.mistake("The guess and the new noise have changed places: eps_hat is taken out, z comes in.")
def noises_exchanged(*numbers: Tensor) -> Tensor:
    x_t, t, eps_hat, z, beta, alpha_bar = numbers
    _, _, mean, noise, _ = _parts((x_t, t, z, eps_hat, beta, alpha_bar))
    return mean + noise


@REVERSE_STEP.mistake("x_{t−1} is cut to [−1, 1]. Until t = 0 there is noise in it, which goes beyond.")
def clamped(*numbers: Tensor) -> Tensor:
    _, _, mean, noise, _ = _parts(numbers)
    return mean.clamp(-1, 1) + noise


@REVERSE_STEP.mistake("Only the guess is divided by √α_t, and x_t is not: where do the parentheses end?")
def parentheses(*numbers: Tensor) -> Tensor:
    x_t, _, eps_hat = numbers[:3]
    b, bar, _, noise, _ = _parts(numbers)
    return x_t - b / (1 - bar).sqrt() * eps_hat / (1 - b).sqrt() + noise


@REVERSE_STEP.mistake("Only x_t is divided by √α_t, and the guess is not: where do the parentheses begin?")
def guess_not_scaled(*numbers: Tensor) -> Tensor:
    x_t, _, eps_hat = numbers[:3]
    b, bar, _, noise, _ = _parts(numbers)
    return x_t / (1 - b).sqrt() - b / (1 - bar).sqrt() * eps_hat + noise


@REVERSE_STEP.mistake("The new noise is subtracted. As a draw that is as good, but it is not what z says.")
def noise_subtracted(*numbers: Tensor) -> Tensor:
    _, _, mean, noise, _ = _parts(numbers)
    return mean - noise


@REVERSE_STEP.mistake("The mean is divided by √β_t. What did the step forward multiply x_{t−1} by?")
def beta_for_alpha(*numbers: Tensor) -> Tensor:
    b, _, mean, noise, _ = _parts(numbers)
    return mean * ((1 - b) / b).sqrt() + noise


@REVERSE_STEP.mistake("Both tables are read one step too early: their entry 0 belongs to t = 0.")
def tables_early(*numbers: Tensor) -> Tensor:
    x_t, t, eps_hat, z, beta, alpha_bar = numbers
    b, bar, later = each(beta, t - 1, x_t), each(alpha_bar, t - 1, x_t), _parts(numbers)[4]
    return (x_t - b / (1 - bar).sqrt() * eps_hat) / (1 - b).sqrt() + later * b.sqrt() * z


@REVERSE_STEP.mistake("The mean is divided by α_t. By what did the step forward multiply, α_t or its root?")
def alpha_not_rooted(*numbers: Tensor) -> Tensor:
    b, _, mean, noise, _ = _parts(numbers)
    return mean / (1 - b).sqrt() + noise


@REVERSE_STEP.mistake("beta is read one step too early, ᾱ is not. Both tables begin at t = 0, so beta[t] is β_t.")
def beta_early(*numbers: Tensor) -> Tensor:
    x_t, t, eps_hat, z, beta, alpha_bar = numbers
    b, bar, later = each(beta, t - 1, x_t), each(alpha_bar, t, x_t), _parts(numbers)[4]
    return (x_t - b / (1 - bar).sqrt() * eps_hat) / (1 - b).sqrt() + later * b.sqrt() * z


@REVERSE_STEP.mistake(
    "The guess of x_0 is cut to [−1, 1] on the way. Many do so for pictures, but this formula does not."
)
def x_0_clamped(*numbers: Tensor) -> Tensor:
    x_t, t, eps_hat, _, beta, alpha_bar = numbers
    _, bar, _, noise, _ = _parts(numbers)
    x_0 = (x_t - (1 - bar).sqrt() * eps_hat) / bar.sqrt()
    mean, _ = posterior(x_0.clamp(-1, 1), x_t, t, beta, alpha_bar)
    return mean + noise


@REVERSE_STEP.mistake(
    "√(1 − ᾱ_t) multiplies the guess. The more noise there is, the smaller is this step's share of it."
)
def denominator_above(*numbers: Tensor) -> Tensor:
    b, bar, _, noise, _ = _parts(numbers)
    return (numbers[0] - b * (1 - bar).sqrt() * numbers[2]) / (1 - b).sqrt() + noise


@REVERSE_STEP.mistake(
    "√ᾱ_t stands below β_t. The guess is of noise, so which of the two sizes belongs there, signal or noise?"
)
def signal_below(*numbers: Tensor) -> Tensor:
    b, bar, _, noise, _ = _parts(numbers)
    return (numbers[0] - b / bar.sqrt() * numbers[2]) / (1 - b).sqrt() + noise


@REVERSE_STEP.mistake("α_t stands above the line where β_t belongs: what did this step bring?")
def alpha_above(*numbers: Tensor) -> Tensor:
    b, bar, _, noise, _ = _parts(numbers)
    return (numbers[0] - (1 - b) / (1 - bar).sqrt() * numbers[2]) / (1 - b).sqrt() + noise


@REVERSE_STEP.mistake("The noise of all t steps is taken out, √(1 − ᾱ_t) of it. One step back takes out its own share.")
def all_noise_out(*numbers: Tensor) -> Tensor:
    b, bar, _, noise, _ = _parts(numbers)
    return (numbers[0] - (1 - bar).sqrt() * numbers[2]) / (1 - b).sqrt() + noise


@REVERSE_STEP.mistake("The guess is subtracted at its full size. How much of the noise in x_t does one step take out?")
def whole_guess_out(*numbers: Tensor) -> Tensor:
    b, _, _, noise, _ = _parts(numbers)
    return (numbers[0] - numbers[2]) / (1 - b).sqrt() + noise


@REVERSE_STEP.mistake(
    "The guess is taken out with √β_t, as this step's noise came in. But eps_hat is that of all steps together."
)
def as_it_came_in(*numbers: Tensor) -> Tensor:
    b, _, _, noise, _ = _parts(numbers)
    return (numbers[0] - b.sqrt() * numbers[2]) / (1 - b).sqrt() + noise


@REVERSE_STEP.mistake("z has the factor √α_t. What is the variance of the new noise?")
def noise_of_alpha(*numbers: Tensor) -> Tensor:
    b, _, mean, _, later = _parts(numbers)
    return mean + later * (1 - b).sqrt() * numbers[3]


@REVERSE_STEP.mistake("z comes in at full size. What is the variance of the new noise, and what is the factor then?")
def noise_at_full_size(*numbers: Tensor) -> Tensor:
    _, _, mean, _, later = _parts(numbers)
    return mean + later * numbers[3]


@REVERSE_STEP.mistake("z has the factor √(1 − ᾱ_t), the noise of all t steps. It is the noise of one.")
def noise_of_all_steps(*numbers: Tensor) -> Tensor:
    _, bar, mean, _, later = _parts(numbers)
    return mean + later * (1 - bar).sqrt() * numbers[3]


@REVERSE_STEP.mistake("This puts the guess of x_0 under new noise alone, at level t − 1. It is another walk.")
def noised_again(*numbers: Tensor) -> Tensor:
    x_t, t, eps_hat, z, _, alpha_bar = numbers
    bar, before = each(alpha_bar, t, x_t), each(alpha_bar, t - 1, x_t)
    return before.sqrt() * (x_t - (1 - bar).sqrt() * eps_hat) / bar.sqrt() + (1 - before).sqrt() * z


@REVERSE_STEP.mistake(
    "This is a walk without new noise, which comes later in the lab. Here z comes in, with variance β_t."
)
def ddim(*numbers: Tensor) -> Tensor:
    x_t, t, eps_hat, _, beta, alpha_bar = numbers
    return noised_again(x_t, t, eps_hat, eps_hat, beta, alpha_bar)


@REVERSE_STEP.mistake("eps_hat stands where the posterior's mean has x_0. First make the guess of x_0 of it.")
def eps_for_x_0(*numbers: Tensor) -> Tensor:
    x_t, t, eps_hat, _, beta, alpha_bar = numbers
    return posterior(eps_hat, x_t, t, beta, alpha_bar)[0] + _parts(numbers)[3]


@REVERSE_STEP.mistake("ᾱ is read one step too late: alpha_bar[t] needs no shift.")
def one_step_late(*numbers: Tensor) -> Tensor:
    x_t, t, eps_hat, _, _, alpha_bar = numbers
    b, _, _, noise, _ = _parts(numbers)
    late = each(alpha_bar, (t + 1).clamp(max=len(alpha_bar) - 1), x_t)
    return (x_t - b / (1 - late).sqrt() * eps_hat) / (1 - b).sqrt() + noise
