"""From step t to any earlier step s, with as much new noise as one likes. Lecture 04 (27)."""

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
from genlib import data, diffusion

Numbers = tuple[Tensor, Tensor, Tensor, Tensor, float, Tensor, Tensor]


def ddim_step(x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor) -> Tensor:
    now, then = (a.view(-1, *[1] * (x_t.dim() - 1)) for a in (alpha_bar[t], alpha_bar[s]))
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    variance = eta**2 * (1 - then) / (1 - now) * (1 - now / then)
    old = (1 - then - variance).clamp(min=0)  # never negative but by rounding, of which a root would make NaN
    return then.sqrt() * x_0 + old.sqrt() * eps_hat + variance.sqrt() * z


DDIM_STEP = Exercise(
    "diffusion.ddim_step",
    ddim_step,
    returns=["x_s"],
    batched=["x_t", "eps_hat", "t", "s", "z"],
    second="Four lines: ᾱ_t and ᾱ_s, shaped (B, 1, ..., 1); the guess of x_0 from x_t and eps_hat, with ᾱ_t; σ² as it "
    "stands above the cell; then x_s, where ᾱ_s says how much of x_0 is left and the three variances add up to 1.",
    why="One formula for every walk: η = 0 makes x_T a code for the picture, η = 1 is the ancestral sampler.",
)


def _numbers(shape: tuple[int, ...], g: Generator, T: int = 12) -> tuple[Tensor, Numbers]:
    """x_0, and the arguments that belong to it: eps_hat is the noise that made x_t. 2 <= s <= t − 2."""
    signal, variance = chain(some_beta(T, g) / 2)
    x_0, eps = normal(shape, g), normal(shape, g)
    s, t = steps(2, 6, shape[0], g), steps(8, T, shape[0], g)
    x_t = each(signal, t, x_0) * x_0 + each(variance, t, x_0).sqrt() * eps
    eta = 0.3 + 0.4 * float(torch.rand(1, generator=g))
    return x_0, (x_t, eps, t, s, eta, normal(shape, g), signal**2)


@DDIM_STEP.check(
    "x_s has the signal of step s, and old and new noise in the proportions that η asks for",
    "x_0 first, then its three terms.",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, (x_t, eps, t, s, eta, z, alpha_bar) = _numbers(SQUARE, g)
    now, then = each(alpha_bar, t, x_0), each(alpha_bar, s, x_0)
    room = (1 - then) / ((1 - now) * (1 - now / then)).sqrt()
    eta *= min(1.0, float(room.min()))  # so small that σ² leaves room for the old noise even where its ratio is turned
    sigma = eta * ((1 - now / then) * (1 - then) / (1 - now)).sqrt()  # times η: the deviation of q(x_s | x_t, x_0)
    expected = then.sqrt() * x_0 + (1 - then - sigma**2).sqrt() * eps + sigma * z
    recognised(answer, [x_t, eps, t, s, eta, z, alpha_bar], expected)


@DDIM_STEP.check(
    "with η = 0 and a perfect guess, x_s is the same x_0 under the same noise, at level s",
    "First x_0 from x_t and eps_hat. Then put the two together again, in the proportions of step s.",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in (SQUARE, (5, 3)):
        x_0, (x_t, eps, t, s, _, z, alpha_bar) = _numbers(shape, g)
        bar = each(alpha_bar, s, x_0)
        expected = bar.sqrt() * x_0 + (1 - bar).sqrt() * eps
        piece(answer, "x_s", expected, answer(x_t, eps, t, s, 0.0, z, alpha_bar))


@DDIM_STEP.check(
    "for any η, old and new noise have the variance 1 − ᾱ_s together",
    "New noise of variance σ² comes in. The old noise has to make room for it.",
)
def _(answer: Answer, g: Generator) -> None:
    _, (x_t, _, t, s, eta, z, alpha_bar) = _numbers(SQUARE, g)
    noise = (1 - each(alpha_bar, t, x_t)).sqrt()  # x_t of x_0 = 0, under a noise of 1
    one, zero = torch.ones_like(z), torch.zeros_like(z)
    old = answer(noise, one, t, s, eta, zero, alpha_bar)
    both = answer(noise, one, t, s, eta, -one, alpha_bar)
    answer.agrees("old² + new²", 1 - each(alpha_bar, s, x_t), old**2 + (both - old) ** 2)


@DDIM_STEP.check(
    "with η = 1 it is the posterior of a chain that goes from s to t in one step",
    "Then σ² is the variance of q(x_s | x_t, x_0). η stands for the share of that standard deviation.",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, (x_t, eps, t, s, eta, z, alpha_bar) = _numbers((4, 3), g)
    for b in range(len(x_0)):
        one = slice(b, b + 1)
        now, before = alpha_bar[t[b]], alpha_bar[s[b]]
        beta, table = torch.stack([0 * now, 1 - before, 1 - now / before]), torch.stack([0 * now + 1, before, now])
        mean, var = bayes(x_0[one], x_t[one], torch.tensor([2]), beta, table)
        args = x_t[one], eps[one], t[one], s[one]
        answer.gives([*args, 1.0, torch.ones_like(z[one]), alpha_bar], mean + var.sqrt(), tol=1e-6)
        still = answer(*args, 1.0, torch.zeros_like(z[one]), alpha_bar)
        answer.agrees("x_s without z", mean, still, tol=1e-7)
        moved = answer(*args, 1.0, torch.ones_like(z[one]), alpha_bar)
        answer.agrees("(change with z)²", var, (moved - still) ** 2, tol=1e-7)
        answer.agrees("change with z", var.sqrt(), moved - still, tol=1e-6)
    zero = torch.zeros_like(z)
    whole = answer(x_t, eps, t, s, 1.0, z, alpha_bar) - answer(x_t, eps, t, s, 1.0, zero, alpha_bar)
    part = answer(x_t, eps, t, s, eta, z, alpha_bar) - answer(x_t, eps, t, s, eta, zero, alpha_bar)
    answer.agrees("new noise with η, over new noise with 1", torch.full_like(z, eta), part / whole)


@DDIM_STEP.check(
    "the step to s = 0 gives x_0, without noise",
    "What is alpha_bar[0], and what does it make of σ?",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in ((3, 3, 5, 2), (5,)):
        x_0, (x_t, eps, t, s, eta, z, alpha_bar) = _numbers(shape, g)
        answer.gives([x_t, eps, t, 0 * s, eta, z, alpha_bar], x_0, tol=1e-8)
    x_0, (x_t, eps, t, s, _, z, alpha_bar) = _numbers((4, 3), g)
    s = torch.cat([0 * s[:1], s[1:]])  # one arrives, the others go on
    bar = each(alpha_bar, s, x_0)
    answer.gives([x_t, eps, t, s, 0.0, z, alpha_bar], bar.sqrt() * x_0 + (1 - bar).sqrt() * eps, tol=1e-8)


@DDIM_STEP.check("it takes float32 too", "Nothing in the formula depends on the precision of x_t.")
def _(answer: Answer, g: Generator) -> None:
    x_0, (x_t, eps, t, s, _, z, alpha_bar) = _numbers((4, 3), g)
    bar = each(alpha_bar, s, x_0)
    args = [x_t.float(), eps.float(), t, s, 0.0, z.float(), alpha_bar.float()]
    answer.gives(args, bar.sqrt() * x_0 + (1 - bar).sqrt() * eps, tol=10 * FLOAT32_TOL)


@DDIM_STEP.check("it agrees with genlib, step by step", "Compare with diffusion.ddim, on points.")
def _(answer: Answer, g: Generator) -> None:
    points, schedule = data.GaussianMixture.ring(n=4), diffusion.Schedule.cosine(T=12)
    model = diffusion.DDPM(lambda x_t, t, label: points.optimal_eps(x_t, t, schedule), schedule)
    way = list(diffusion.ddim(model, (6, 2), steps=3, x_T=normal((6, 2), g)))
    for i, x_t in enumerate(way[:-1]):
        t = torch.full((6,), 12 - 4 * i)
        args = [x_t, points.optimal_eps(x_t, t, schedule), t, t - 4, 0.0, normal((6, 2), g), schedule.alpha_bar]
        answer.gives(args, way[i + 1], tol=1e-8)
