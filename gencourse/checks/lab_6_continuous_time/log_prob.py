"""The density of what an ODE makes of N(0, I): the divergence, added up on the way. Lecture 05 (13), (14)."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.compare import same
from gencourse.checks.lab_3_diffusion.chain import FLOAT32_TOL, normal, piece, recognised
from gencourse.checks.lab_6_continuous_time.fields import Clock, Divergence, Field, Known, some_field
from gencourse.checks.lab_6_continuous_time.heun import heun_step
from gencourse.checks.spec import Exercise
from genlib import data

Velocity = Callable[[Tensor, float], Tensor]


def ode_log_prob(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    x, total = x_0, x_0.new_zeros(len(x_0))
    for phi, after in zip(phis[:-1].tolist(), phis[1:].tolist(), strict=True):
        h, before = after - phi, divergence(x, phi)
        x = heun_step(v, x, phi, h)
        total = total + h / 2 * (before + divergence(x, after))
    base = -0.5 * (x**2 + math.log(2 * math.pi))  # of N(0, I), entry by entry
    return base.flatten(1).sum(1) + total


ODE_LOG_PROB = Exercise(
    "continuous.ode_log_prob",
    ode_log_prob,
    returns=["log_p"],
    batched=["x_0"],
    second="A loop over pairs of neighbours in phis, with h their difference: the divergence here, x by heun_step, the "
    "divergence there, and h times the mean of both into a sum. After the loop, −½ (x² + log 2π) added up over the "
    "entries "
    "of each example, plus that sum.",
    why="So a diffusion model has an exact density, as a flow has, and no layer had to be built for it.",
)

Numbers = tuple[Velocity, Velocity, Tensor, Tensor]


def predicted(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    """Right as well: the second divergence at the end of Euler's step, as genlib takes it, for x and log p in one."""
    x, total = x_0, x_0.new_zeros(len(x_0))
    for phi, after in zip(phis[:-1].tolist(), phis[1:].tolist(), strict=True):
        h, slope = after - phi, v(x, phi)
        total = total + h / 2 * (divergence(x, phi) + divergence(x + h * slope, after))
        x = x + h / 2 * (slope + v(x + h * slope, after))
    return base_log_prob(x) + total


def base_log_prob(x: Tensor) -> Tensor:
    return torch.distributions.Normal(0.0, 1.0).log_prob(x.double()).to(x.dtype).flatten(1).sum(1)


def gives(answer: Answer, numbers: Numbers, expected: Tensor, tol: float) -> None:
    """As `Answer.gives`, but that both ways to take the second divergence are right."""
    got = answer(*numbers)
    if not same(got.detach(), predicted(*numbers).to(got.dtype), 1e-8 if got.dtype is torch.float64 else tol):
        answer.agrees("log_p", expected, got, tol)


def _numbers(shape: tuple[int, ...], g: Generator, n: int = 3) -> Numbers:
    """A field, its divergence, points, and n uneven steps."""
    widths = 0.15 + 0.2 * torch.rand(n, generator=g, dtype=torch.float64)
    phis = torch.cat([widths.new_tensor([0.1]), 0.1 + widths.cumsum(0)])
    v = some_field(shape, g)
    return v, Divergence(v), normal(shape, g), phis


@ODE_LOG_PROB.check(
    "log N(x; 0, I) at the end of the way, plus the integral of the divergence",
    "With one single step you can follow the numbers by hand.",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in ((4, 4), (3, 2, 5, 7)):
        numbers = _numbers(shape, g)
        if not same(answer(*numbers).detach(), predicted(*numbers), 1e-8):
            recognised(answer, numbers, ode_log_prob(*numbers))


@ODE_LOG_PROB.check(
    "a velocity that only shifts all points leaves their density as it is",
    "Its divergence is 0, and nothing may come of it. What is left is log N where x arrives: after every step of phis, "
    "from the first angle to the last, and no others.",
)
def _(answer: Answer, g: Generator) -> None:
    _, _, x_0, phis = _numbers((4, 3), g)
    v = Clock(0.7, -1.3, (4, 3))
    moved = 0.7 * (phis[-1] - phis[0]) - 1.3 * (phis[-1] ** 2 - phis[0] ** 2) / 2
    piece(answer, "log_p", base_log_prob(x_0 + moved), answer(v, Divergence(v), x_0, phis))


@ODE_LOG_PROB.check(
    "where v = a x, the points at the start are a Gaussian of standard deviation e^(−a Φ)",
    "On the way to the noise all distances grow by e^(a Φ), and log p at the start is larger by a Φ for each "
    "dimension.",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, phis = normal((4, 3), g), torch.linspace(0.2, 1.2, 41).double()
    for a in (0.8, -0.8):
        v = Known(a, 0.0, (4, 3))
        normal_there = torch.distributions.Normal(0.0, math.exp(-a))
        gives(answer, (v, Divergence(v), x_0, phis), normal_there.log_prob(x_0).sum(1), tol=1e-3)


@ODE_LOG_PROB.check(
    "the density integrates to 1",
    "Every term counts, those too that do not depend on x: log 2π has a place in N(0, I) for each dimension. And each "
    "divergence belongs to where x is at that angle.",
)
def _(answer: Answer, g: Generator) -> None:
    v = some_field((1, 1), g)
    line, phis = torch.linspace(-14, 14, 701).double()[:, None], torch.linspace(0.1, 1.1, 21).double()
    density = answer(v, Divergence(v), line, phis).exp()
    answer.agrees("∫ p(x) dx", density.new_tensor(1.0), torch.trapezoid(density, line[:, 0]), tol=1e-3)


class Best(Field):
    """The velocity of a mixture of round Gaussians, N(μ_k, d_k² I): −tan φ (x + score of the noised mixture)."""

    def __init__(self, means: Tensor, deviations: Tensor, shape: tuple[int, ...]) -> None:
        super().__init__(0.0, 0.0, shape)
        self.means, self.deviations = means, deviations

    def __repr__(self) -> str:
        return "the velocity of a mixture of two Gaussians"

    def __call__(self, x: Tensor, phi: float) -> Tensor:
        phi = self._phi(x, phi)
        var = (math.cos(phi) * self.deviations) ** 2 + math.sin(phi) ** 2
        away = math.cos(phi) * self.means - x[:, None]
        share = (-away.square().sum(-1) / (2 * var) - var.log()).softmax(1)  # in the plane
        return -math.tan(phi) * (x + ((share / var)[..., None] * away).sum(1))

    def divergence(self, x: Tensor, phi: float) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            columns = self(x, phi).sum(0)
            rows = [torch.autograd.grad(column, x, retain_graph=True)[0][:, i] for i, column in enumerate(columns)]
        return torch.stack(rows).sum(0)


@ODE_LOG_PROB.check(
    "along the ODE of a mixture it is the mixture's own log p",
    "All parts are right for simple velocities. Does the path end where the noise is, and is every step of phis taken?",
)
def _(answer: Answer, g: Generator) -> None:
    means, deviations = torch.tensor([[-0.6, 0.2], [0.7, -0.3]]).double(), torch.tensor([0.5, 0.35]).double()
    mixture = data.GaussianMixture(means, deviations[:, None, None] ** 2 * torch.eye(2).double())
    x_0, v = mixture.sample(6, g).double(), Best(means, deviations, (6, 2))
    phis = torch.linspace(0, math.pi / 2 - 0.01, 41).double()
    gives(answer, (v, Divergence(v), x_0, phis), mixture.log_prob(x_0), tol=2e-2)


@ODE_LOG_PROB.check(
    "each step brings its own width times the mean of the divergences at its two ends",
    "For simple velocities all is right. Here v and its divergence change with x and with phi: at which points, and at "
    "which angles, are they asked? With one single step you can follow the numbers by hand.",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in ((4, 4), (3, 2, 5, 7)):
        v, divergence, x_0, phis = _numbers(shape, g)
        x, total = x_0, 0.0
        for k in range(3):
            phi, after = float(phis[k]), float(phis[k + 1])
            slope, ends = v(x, phi), divergence(x, phi)
            x = x + (after - phi) * (slope + v(x + (after - phi) * slope, after)) / 2
            total = total + (after - phi) * (ends + divergence(x, after)) / 2
        gives(answer, (v, divergence, x_0, phis), base_log_prob(x) + total, tol=1e-8)


@ODE_LOG_PROB.check("it takes float32 too", "Nothing in the formula depends on the precision of x_0.")
def _(answer: Answer, g: Generator) -> None:
    v, divergence, x_0, phis = _numbers((4, 3), g)
    expected = ode_log_prob(v, divergence, x_0, phis)
    gives(answer, (v, divergence, x_0.float(), phis.float()), expected, tol=10 * FLOAT32_TOL)


@ODE_LOG_PROB.pace
def _(g: Generator) -> Numbers:
    v = Field(0.7, 0.9, (500, 2))
    return v, Divergence(v), normal((500, 2), g), torch.linspace(0, 1.5, 101).double()
