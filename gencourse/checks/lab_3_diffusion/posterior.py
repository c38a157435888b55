"""q(x_{t−1} | x_t, x_0): one step back, while x_0 is known. Lecture 04 (11)."""

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_3_diffusion.chain import FLOAT32_TOL, SQUARE, chain, each, normal, some_beta, steps
from gencourse.checks.spec import Exercise
from genlib.diffusion import Schedule


def posterior(x_0: Tensor, x_t: Tensor, t: Tensor, beta: Tensor, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    # one number for each example, shaped (B, 1, ..., 1)
    now, before, b = (table.view(-1, *[1] * (x_0.dim() - 1)) for table in (alpha_bar[t], alpha_bar[t - 1], beta[t]))
    # nothing is divided but by 1 − ᾱ_t, which is never 0: at t = 1 this becomes x_0, and its gradient is 1
    mean = before.sqrt() * b / (1 - now) * x_0 + (1 - b).sqrt() * (1 - before) / (1 - now) * x_t
    return mean, (1 - before) / (1 - now) * b


POSTERIOR = Exercise(
    "diffusion.posterior",
    posterior,
    returns=["mean", "var"],
    batched=["x_0", "x_t", "t"],
    per_example=["var"],
    second="First three tensors shaped (B, 1, ..., 1): ᾱ_t, ᾱ_{t−1} and β_t. Then the two formulas as they stand above "
    "the cell, with √α_t = √(1 − β_t). Try t = 1 by hand, where ᾱ_{t−1} = 1 and 1 − ᾱ_1 = β_1: the mean has to be x_0.",
    why="Put a network's guess in the place of x_0, and this is the model's own step back; the bound compares the two.",
)
Numbers = tuple[Tensor, ...]


def _numbers(shape: tuple[int, ...], T: int, g: Generator, first: int = 2) -> Numbers:
    """Arguments of the posterior: x_0, x_t, t in first..T, and the two tables."""
    beta = some_beta(T, g)
    signal, _ = chain(beta)
    t = steps(first, T, shape[0], g)
    return normal(shape, g), normal(shape, g), t, torch.cat([beta.new_zeros(1), beta]), signal**2


def bayes(x_0: Tensor, x_t: Tensor, t: Tensor, beta: Tensor, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of q(x_{t−1} | x_t, x_0) ∝ q(x_t | x_{t−1}) q(x_{t−1} | x_0), by sums over a fine grid."""
    grid = torch.linspace(-10, 10, 1001, dtype=torch.float64)
    before, b = each(alpha_bar, t - 1, x_0)[..., None], each(beta, t, x_0)[..., None]
    log_prior = -((grid - before.sqrt() * x_0[..., None]) ** 2) / (2 * (1 - before))
    log_step = -((x_t[..., None] - (1 - b).sqrt() * grid) ** 2) / (2 * b)
    weight = (log_prior + log_step).softmax(-1)
    mean = (weight * grid).sum(-1)
    return mean, (weight * (grid - mean[..., None]) ** 2).sum(-1)


@POSTERIOR.check(
    "mean and variance are those of Bayes' rule on a grid of x_{t−1}",
    "Take each factor by itself: how does x_0 enter the mean, how x_t, and what does the variance depend on?",
)
def _(answer: Answer, g: Generator) -> None:
    numbers = _numbers(SQUARE, 8, g)
    answer.gives(numbers, *bayes(*numbers), tol=1e-8)


@POSTERIOR.check(
    "at t = 1 the posterior is the point x_0: mean x_0, variance 0",
    "One step back from x_1 is x_0 itself, and x_0 is given. What does your line become with alpha_bar[0] = 1?",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, x_t, _, beta, alpha_bar = _numbers((3, 2), 4, g)
    answer.gives([x_0, x_t, torch.ones(3, dtype=torch.int64), beta, alpha_bar], x_0, torch.zeros_like(x_0))


@POSTERIOR.check(
    "averaged over x_t, the posterior gives q(x_{t−1} | x_0) back",
    "The law of total variance: the mean's variance over x_t, plus var, is 1 − ᾱ_{t−1}.",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, _, t, beta, alpha_bar = _numbers((5, 3), 9, g)
    now, before = each(alpha_bar, t, x_0), each(alpha_bar, t - 1, x_0)
    at_mean, _ = answer(x_0, now.sqrt() * x_0, t, beta, alpha_bar)
    answer.agrees("average of mean", before.sqrt() * x_0, at_mean)
    above, var = answer(x_0, now.sqrt() * x_0 + (1 - now).sqrt(), t, beta, alpha_bar)  # one deviation above
    answer.agrees("total variance", 1 - before, (above - at_mean) ** 2 + var)


@POSTERIOR.check(
    "it works whatever the shape of an example",
    "The same lines have to serve points (B, 2) and images (B, C, H, W): how many axes the data has, x_0 itself knows.",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in ((6, 2), (3, 2, 5, 7)):
        numbers = _numbers(shape, 8, g)
        answer.gives(numbers, *bayes(*numbers), tol=1e-8)


@POSTERIOR.check("gradients reach x_0 through the mean, at t = 1 as well", "Stay in torch, and detach nothing.")
def _(answer: Answer, g: Generator) -> None:
    x_0, x_t, t, beta, alpha_bar = _numbers((4, 3), 8, g)
    answer(x_0.requires_grad_(), x_t, torch.cat([torch.ones(1, dtype=torch.int64), t[1:]]), beta, alpha_bar)
    answer.passes_back(
        "x_0",
        hint="Later, x_0 is what a network guesses, and the network learns through this mean: no detach, no .data, no "
        "NumPy, no no_grad on the way.",
    )


@POSTERIOR.check("it takes float32 too", "Nothing in the formulas depends on the precision of x_0.")
def _(answer: Answer, g: Generator) -> None:
    x_0, x_t, t, beta, alpha_bar = _numbers((4, 3), 8, g)
    expected = bayes(x_0, x_t, t, beta, alpha_bar)
    answer.gives([x_0.float(), x_t.float(), t, beta.float(), alpha_bar.float()], *expected, tol=FLOAT32_TOL)


@POSTERIOR.check(
    "it agrees with genlib on the linear schedule", "Compare with diffusion.Schedule.linear().q_posterior."
)
def _(answer: Answer, g: Generator) -> None:
    s = Schedule.linear(T=1000)
    x_0, x_t, t = normal((8, 2), g), normal((8, 2), g), steps(1, 1000, 8, g)
    mean, var = s.q_posterior(x_0, x_t, t)
    answer.gives([x_0, x_t, t, s.beta, s.alpha_bar], mean, var.expand_as(mean))


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
