"""p_θ(x_{t−1} | x_t): one step back, with a guess of the noise in the place of x_0. Lecture 04 (10)."""

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
from gencourse.checks.lab_3_diffusion.posterior import bayes
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
    "it is a draw from q(x_{t−1} | x_t, x_0) with variance β_t, if the guess is perfect",
    "How does x_t enter, how the guess, and how the new noise?",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, numbers = _numbers(SQUARE, g)
    x_t, t, _, z, beta, alpha_bar = numbers
    mean, _ = bayes(x_0, x_t, t, beta, alpha_bar)
    recognised(answer, numbers, mean + each(beta, t, x_0).sqrt() * z)


@REVERSE_STEP.check(
    "without new noise, a perfect guess lands on the mean of q(x_{t−1} | x_t, x_0)",
    "Set z to 0. Take the posterior's mean, and replace x_0 by what x_t and eps_hat say about it. t holds one step for "
    "each example, so an `if` cannot ask all of them at once.",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in (SQUARE, (5, 3)):
        x_0, (x_t, t, eps, z, beta, alpha_bar) = _numbers(shape, g)
        mean, _ = bayes(x_0, x_t, t, beta, alpha_bar)
        piece(answer, "x_before", mean, answer(x_t, t, eps, torch.zeros_like(z), beta, alpha_bar))


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
