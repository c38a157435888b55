"""q(x_{t−1} | x_t, x_0): one step back, while x_0 is known. Lecture 04 (11)."""

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_3_diffusion.chain import (
    FLOAT32_TOL,
    SQUARE,
    chain,
    each,
    normal,
    piece,
    recognised,
    some_beta,
    steps,
)
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
    recognised(answer, numbers, *bayes(*numbers))


@POSTERIOR.check(
    "of x_t = 0, the mean is as much of x_0 as Bayes' rule says",
    "x_t is 0 here, so it is the factor of x_0 that is wrong. What stands above its line, what below, and at which "
    "step is each of them read?",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, x_t, *tables = _numbers(SQUARE, 8, g)
    mean, _ = bayes(x_0, 0 * x_t, *tables)
    piece(answer, "mean", mean, answer(x_0, 0 * x_t, *tables)[0])


@POSTERIOR.check(
    "of x_0 = 0, the mean is as much of x_t as Bayes' rule says",
    "x_0 is 0 here, so it is the factor of x_t that is wrong; that of x_0 is right. What stands above its line, what "
    "below, and at which step is each of them read?",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, x_t, *tables = _numbers(SQUARE, 8, g)
    mean, _ = bayes(0 * x_0, x_t, *tables)
    piece(answer, "mean", mean, answer(0 * x_0, x_t, *tables)[0])


@POSTERIOR.check(
    "the variance is that of Bayes' rule",
    "The mean is right, the variance is not: β_t, times a fraction of two variances. Which of them is above?",
)
def _(answer: Answer, g: Generator) -> None:
    numbers = _numbers(SQUARE, 8, g)
    answer.gives(numbers, *bayes(*numbers), tol=1e-8)


@POSTERIOR.check(
    "at t = 1 the posterior is the point x_0: mean x_0, variance 0",
    "One step back from x_1 is x_0 itself, and x_0 is given. What does your line become with alpha_bar[0] = 1?",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, x_t, t, beta, alpha_bar = _numbers((3, 2), 4, g)
    mean, var = bayes(x_0, x_t, t, beta, alpha_bar)
    t[0], mean[0], var[0] = 1, x_0[0], 0  # the other examples go on
    answer.gives([x_0, x_t, t, beta, alpha_bar], mean, var, tol=1e-8)


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
