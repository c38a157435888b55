"""p_θ(x_{t−1} | x_t): one step back, with a guess of the noise in the place of x_0. Lecture 04 (10)."""

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_3_diffusion.chain import FLOAT32_TOL, SQUARE, chain, each, normal, some_beta, steps
from gencourse.checks.lab_3_diffusion.posterior import bayes, posterior
from gencourse.checks.spec import Exercise


def reverse_step(x_t: Tensor, t: Tensor, eps_hat: Tensor, z: Tensor, beta: Tensor, alpha_bar: Tensor) -> Tensor:
    b, a, later = (values.view(-1, *[1] * (x_t.dim() - 1)) for values in (beta[t], alpha_bar[t], t > 1))
    mean = (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt()
    return mean + later * b.sqrt() * z  # `later` is 0 for examples at t = 1: their mean is the x_0 that we keep


REVERSE_STEP = Exercise(
    "diffusion.reverse_step",
    reverse_step,
    returns=["x_before"],
    batched=["x_t", "t", "eps_hat", "z"],
    second="Three tensors shaped (B, 1, ..., 1): β_t, ᾱ_t, and whether t > 1. The bracket first; all of it divided by "
    "√(1 − β_t); then √β_t z is added, times 1 where t > 1 and 0 where not.",
    why="T of these steps turn noise into pictures, and all that was learned comes in through eps_hat.",
)
Numbers = tuple[Tensor, ...]


def _numbers(shape: tuple[int, ...], g: Generator, first: int = 2, T: int = 8) -> tuple[Tensor, Numbers]:
    """x_0, and the arguments that belong to it: eps_hat is the noise that made x_t, and z is new noise."""
    beta = some_beta(T, g)
    signal, variance = chain(beta)
    x_0, eps, t = normal(shape, g), normal(shape, g), steps(first, T, shape[0], g)
    x_t = each(signal, t, x_0) * x_0 + each(variance, t, x_0).sqrt() * eps
    return x_0, (x_t, t, eps, normal(shape, g), torch.cat([beta.new_zeros(1), beta]), signal**2)


@REVERSE_STEP.check(
    "without new noise, a perfect guess lands on the mean of q(x_{t−1} | x_t, x_0)",
    "Set z to 0. Take the posterior's mean, and replace x_0 by what x_t and eps_hat say about it. t holds one step for "
    "each example, so an `if` cannot ask all of them at once.",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in (SQUARE, (5, 3)):
        x_0, (x_t, t, eps, z, beta, alpha_bar) = _numbers(shape, g)
        mean, _ = bayes(x_0, x_t, t, beta, alpha_bar)
        answer.gives([x_t, t, eps, torch.zeros_like(z), beta, alpha_bar], mean, tol=1e-8)


@REVERSE_STEP.check(
    "the new noise has variance β_t",
    "How much does the step change when z grows by 1? That is the standard deviation.",
)
def _(answer: Answer, g: Generator) -> None:
    _, (x_t, t, eps, z, beta, alpha_bar) = _numbers(SQUARE, g)
    still = answer(x_t, t, eps, torch.zeros_like(z), beta, alpha_bar)
    moved = answer(x_t, t, eps, torch.ones_like(z), beta, alpha_bar)
    answer.agrees("(change with z)²", each(beta, t, x_t), (moved - still) ** 2)
    answer.agrees("change with z", each(beta, t, x_t).sqrt(), moved - still)


@REVERSE_STEP.check(
    "at t = 1 no noise is added: a perfect guess gives x_0 itself",
    "The last step is the picture that we keep. What would noise do to it? The other examples of the batch go on.",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, (x_t, _, eps, z, beta, alpha_bar) = _numbers((4, 3), g)
    t = torch.cat([torch.ones(1, dtype=torch.int64), steps(2, 8, 3, g)])
    x_t = each(alpha_bar, t, x_0).sqrt() * x_0 + (1 - each(alpha_bar, t, x_0)).sqrt() * eps
    mean, _ = bayes(x_0, x_t, t.clamp(min=2), beta, alpha_bar)
    expected = torch.cat([x_0[:1], (mean + each(beta, t, x_0).sqrt() * z)[1:]])
    answer.gives([x_t, t, eps, z, beta, alpha_bar], expected, tol=1e-8)


@REVERSE_STEP.check(
    "it works whatever the shape of an example",
    "The same lines have to serve points (B, 2) and images (B, C, H, W): how many axes the data has, x_t itself knows.",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in ((6, 2), (3, 2, 5, 7)):
        x_0, numbers = _numbers(shape, g)
        x_t, t, _, z, beta, alpha_bar = numbers
        mean, _ = bayes(x_0, x_t, t, beta, alpha_bar)
        answer.gives(numbers, mean + each(beta, t, x_0).sqrt() * z, tol=1e-8)


@REVERSE_STEP.check("it takes float32 too", "Nothing in the formula depends on the precision of x_t.")
def _(answer: Answer, g: Generator) -> None:
    x_0, numbers = _numbers((4, 3), g)
    x_t, t, _, z, beta, alpha_bar = numbers
    mean, _ = bayes(x_0, x_t, t, beta, alpha_bar)
    floats = [a.float() if a.is_floating_point() else a for a in numbers]
    answer.gives(floats, mean + each(beta, t, x_0).sqrt() * z, tol=10 * FLOAT32_TOL)


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


@REVERSE_STEP.mistake("No noise comes in: where does z enter?")
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
