"""log p_X(x), of a flow whose base is N(0, I). Lecture 03 (3)."""

import math

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_2_flows.given import (
    CONSTANT_TOL,
    FLOAT32_TOL,
    Linear,
    Map,
    Named,
    normal,
    passes_gradients,
    random_flow,
)
from gencourse.checks.spec import Exercise


def log_prob(x: Tensor, flow: Map) -> Tensor:
    z, log_det = flow(x)
    log_p_z = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)  # of each coordinate: they are independent
    return log_p_z.flatten(1).sum(1) + log_det


LOG_PROB = Exercise(
    "flows.log_prob",
    log_prob,
    returns=["log_p"],
    batched=["x"],
    second="Begin with one coordinate: the log-density of N(0, 1) at z is −z²/2 − ½ log 2π. Add that up over all "
    "coordinates of an example, and over nothing else; then comes what the flow said about volumes.",
    why="This number is exact. A GAN has none, a VAE or a diffusion model has a bound; flows are trained "
    "and compared by what they think of data that they never saw.",
)


@LOG_PROB.pace
def _(g: Generator) -> tuple[Tensor, Map]:
    return normal((2000, 2), g).float(), random_flow(2, g, n_couplings=8).float()


def _truth(flow: Linear) -> torch.distributions.MultivariateNormal:
    """If A x + b is N(0, I), then x is N(−A⁻¹ b, A⁻¹ A⁻ᵀ)."""
    back = torch.linalg.inv(flow.A)
    return torch.distributions.MultivariateNormal(-back @ flow.b, back @ back.T)


def _curved(g: Generator) -> Named:
    """z_1 = x_1, z_2 = exp(a cos x_1) x_2 + b sin 2x_1: no Gaussian any more."""
    a, b = (0.3 + 0.3 * torch.rand(2, generator=g, dtype=torch.float64)).tolist()

    def flow(x: Tensor) -> tuple[Tensor, Tensor]:
        log_s = a * x[:, 0].cos()
        return torch.stack([x[:, 0], log_s.exp() * x[:, 1] + b * torch.sin(2 * x[:, 0])], dim=1), log_s

    return Named("a flow in the plane", flow)


@LOG_PROB.check(
    "it is log N(z; 0, I), and log_det as the flow gives it, example by example",
    "Two terms: how likely z is under N(0, I), and how much the flow stretched space around x.",
)
def _(answer: Answer, g: Generator) -> None:
    flow, x = _curved(g), 1.5 * normal((6, 2), g)
    x[:2, 0] = torch.tensor([0.2, 2.5])  # it stretches here, and shrinks there
    z, log_det = flow(x)
    base = torch.distributions.Normal(torch.zeros_like(z), torch.ones_like(z)).log_prob(z)
    answer.gives([x, flow], base[:, 0] + base[:, 1] + log_det, tol=CONSTANT_TOL)


@LOG_PROB.check(
    "a linear flow makes N(0, I) of the Gaussian that algebra predicts",
    "Two terms: how likely z is under N(0, I), and how much the flow stretched space around x.",
)
def _(answer: Answer, g: Generator) -> None:
    flow = Linear(3, g)
    x = normal((5, 3), g)
    answer.gives([x, flow], _truth(flow).log_prob(x), tol=CONSTANT_TOL)


@LOG_PROB.check(
    "exp(log_p) of a flow in the plane has an integral of 1",
    "Is the determinant of each x its own, and the Gaussian's constant that of D dimensions?",
)
def _(answer: Answer, g: Generator) -> None:
    x_1, x_2 = torch.linspace(-8, 8, 97, dtype=torch.float64), torch.linspace(-16, 16, 193, dtype=torch.float64)
    log_p = answer(torch.cartesian_prod(x_1, x_2), _curved(g))
    mass = log_p.exp().sum() * (x_1[1] - x_1[0]) * (x_2[1] - x_2[0])
    answer.agrees("mass", torch.ones_like(mass), mass, tol=CONSTANT_TOL)


@LOG_PROB.check(
    "it takes pictures, too",
    "All axes but the first belong to one example: C · H · W of them count as D.",
)
def _(answer: Answer, g: Generator) -> None:
    x, scale = normal((4, 3, 2, 4), g), float(0.5 + torch.rand(1, generator=g))
    flow = Named(f"x times {scale:.3f}", lambda x: (scale * x, x.new_full((len(x),), 24 * math.log(scale))))
    pixels = torch.distributions.Normal(0.0, torch.tensor(1 / scale, dtype=torch.float64)).log_prob(x)
    answer.gives([x, flow], torch.stack([picture.sum() for picture in pixels]), tol=CONSTANT_TOL)


@LOG_PROB.check(
    "784 pixels are no problem, though the density itself is 0 on a computer",
    "A product of 784 small numbers is none that a computer knows. What becomes of products in a logarithm?",
)
def _(answer: Answer, g: Generator) -> None:
    x = normal((3, 1, 28, 28), g)
    flow = Named("x times 2", lambda x: (2 * x, x.new_full((len(x),), 784 * math.log(2))))
    pixels = torch.distributions.Normal(0.0, torch.tensor(0.5, dtype=torch.float64)).log_prob(x)
    answer.gives([x, flow], torch.stack([picture.sum() for picture in pixels]), tol=CONSTANT_TOL)


@LOG_PROB.check("gradients pass", "Stay in torch, and detach nothing.")
def _(answer: Answer, g: Generator) -> None:
    for flow, D in ((Linear(3, g), 3), (_curved(g), 2)):
        answer(normal((4, D), g).requires_grad_(), flow)
        passes_gradients(answer, "the flow")
        answer.passes_back("x", hint="The flow learns from both terms, how likely z is and log_det: detach neither.")


@LOG_PROB.check("it takes float32 too", "Nothing in the formula depends on the precision of x.")
def _(answer: Answer, g: Generator) -> None:
    flow = Linear(3, g)
    x = normal((5, 3), g)
    answer.gives([x.float(), flow], _truth(flow).log_prob(x), tol=FLOAT32_TOL)


@LOG_PROB.check("it agrees with genlib", "Compare with flows.RealNVP.for_vectors(3).log_prob(x).")
def _(answer: Answer, g: Generator) -> None:
    flow = random_flow(3, g)
    x = normal((6, 3), g)
    answer.gives([x, Named("a RealNVP", flow)], flow.log_prob(x), tol=CONSTANT_TOL)
