"""L_{t−1}: one term of the bound, a divergence of two Gaussians. Lecture 04 (20)."""

import torch
from torch import Generator, Tensor
from torch.distributions import Normal, kl_divergence

from gencourse.checks.answer import Answer
from gencourse.checks.lab_3_diffusion.chain import FLOAT32_TOL, SQUARE, chain, each, normal, some_beta, steps
from gencourse.checks.lab_3_diffusion.posterior import bayes, posterior
from gencourse.checks.spec import Exercise

Numbers = tuple[Tensor, ...]


def bound_term(x_0: Tensor, x_t: Tensor, t: Tensor, x_0_hat: Tensor, beta: Tensor, alpha_bar: Tensor) -> Tensor:
    mean, var = posterior(x_0, x_t, t, beta, alpha_bar)
    guess, _ = posterior(x_0_hat, x_t, t, beta, alpha_bar)
    b = beta[t].view(-1, *[1] * (x_0.dim() - 1))
    terms = 0.5 * (torch.log(b / var) + var / b - 1 + (mean - guess) ** 2 / b)  # one for each pixel
    return terms.flatten(1).sum(1)  # independent pixels: their divergences add up


BOUND_TERM = Exercise(
    "diffusion.bound_term",
    bound_term,
    returns=["L"],
    batched=["x_0", "x_t", "t", "x_0_hat"],
    plain=True,
    second="Mean and variance of the first Gaussian come from posterior(x_0, ...); the second has the mean of "
    "posterior(x_0_hat, ...), and the variance β_t, shaped (B, 1, ..., 1). Put the four into the formula, and add up "
    "all axes but the first.",
    why="The sum of these terms bounds how many nats a lossless code for x_0 needs: the one number by which a "
    "diffusion model and a flow can be compared.",
)


def _numbers(shape: tuple[int, ...], g: Generator, T: int = 8) -> Numbers:
    beta = some_beta(T, g)
    signal, _ = chain(beta)
    x_0, x_t, x_0_hat = (normal(shape, g) for _ in range(3))
    return x_0, x_t, steps(3, T, shape[0], g), x_0_hat, torch.cat([beta.new_zeros(1), beta]), signal**2


def _by_torch(numbers: Numbers) -> Tensor:
    """The two Gaussians by Bayes' rule on a grid, their divergence by torch."""
    x_0, x_t, t, x_0_hat, beta, alpha_bar = numbers
    (mean, var), (own, _) = (bayes(x, x_t, t, beta, alpha_bar) for x in (x_0, x_0_hat))
    kl = kl_divergence(Normal(mean, var.sqrt()), Normal(own, each(beta, t, x_0).sqrt()))
    return torch.stack([row.sum() for row in kl])


@BOUND_TERM.check(
    "it is the divergence of the two Gaussians, one number for each example",
    "Both Gaussians have the mean of exercise 3, the one with x_0, the other with x_0_hat. Their variances are β̃_t and "
    "β_t. Take the divergence for each pixel, and add up.",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in (SQUARE, (5, 3)):
        numbers = _numbers(shape, g)
        answer.gives(numbers, _by_torch(numbers), tol=1e-7)


@BOUND_TERM.check(
    "with the right x_0 only the variances differ",
    "Then what is left is ½(log β_t/β̃_t + β̃_t/β_t − 1) for each pixel, which is small, and above 0.",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, x_t, t, _, beta, alpha_bar = _numbers((4, 2), g)
    numbers = x_0, x_t, t, x_0, beta, alpha_bar
    answer.gives(numbers, _by_torch(numbers), tol=1e-7)


@BOUND_TERM.check(
    "it is the average log-ratio of the two densities",
    "Draw x_{t−1} from the posterior many times: how much more likely is it there than under the model?",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, x_t, t, x_0_hat, beta, alpha_bar = numbers = _numbers((2, 1), g)
    (mean, var), (own, _) = (bayes(x, x_t, t, beta, alpha_bar) for x in (x_0, x_0_hat))
    drawn = mean + var.sqrt() * normal((4000, 2, 1), g)
    ratio = Normal(mean, var.sqrt()).log_prob(drawn) - Normal(own, each(beta, t, x_0).sqrt()).log_prob(drawn)
    tol = float(6 * ratio.std(0).max() / 4000**0.5) + 1e-3
    answer.gives(numbers, ratio.mean(0)[:, 0], tol=tol)


@BOUND_TERM.check(
    "it works whatever the shape of an example",
    "Everything but the first axis is added up: how many axes there are, x_0 itself knows.",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in ((6, 2), (3, 2, 5, 7)):
        numbers = _numbers(shape, g)
        answer.gives(numbers, _by_torch(numbers), tol=1e-7)


@BOUND_TERM.check("it takes float32 too", "Nothing in the formula depends on the precision of x_0.")
def _(answer: Answer, g: Generator) -> None:
    numbers = _numbers((4, 3), g)
    floats = [a.float() if a.is_floating_point() else a for a in numbers]
    answer.gives(floats, _by_torch(numbers), tol=10 * FLOAT32_TOL)
