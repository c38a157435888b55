"""The probability-flow ODE: sampling without noise, in steps so small that it can be run backwards, with a density.

With cos φ = √ᾱ and sin φ = √(1 − ᾱ) a point x = cos φ x_0 + sin φ ε moves, once x_0 and ε are the means given x, by

    dx/dφ = v(x, φ),     v = cos φ E[ε | x] − sin φ E[x_0 | x]

from the data at φ = 0, where v = 0, to N(0, I) near φ = π/2. Its points are distributed as the chain's at every φ.
Ref: Song et al. 2021 (score SDE), §4.3; v as the slope in φ: Salimans & Ho 2022, app. D.
"""

import math
from typing import Annotated, Any

import torch
from torch import Generator, Tensor

from genlib.arguments import check, checked
from genlib.common import wide
from genlib.diffusion.ddpm import DDPM, Data
from genlib.diffusion.samplers import Guidance

Probes = Annotated[int, "[1, 100000]"] | None


@checked
def ode_log_prob(
    ddpm: DDPM,
    x_0: Any,
    label: Any = None,
    *,
    steps: Any = None,
    probes: Probes = None,
    generator: Generator | None = None,
) -> Tensor:
    """log p(x_0) of the model that samples along the ODE: (B,), nats, by Heun's method over the visited steps.

        log p(x_0) = log N(x_T; 0, I) + ∫ tr(∂v/∂x) dφ

    The trace takes a backward pass for each of the D dimensions; or one for each of a few random vectors of signs, so
    that it is right on average (and the density then too large on average). The error falls as 1/n² with n steps,
    down to what the chain leaves: that x_T is not quite N(0, I), and the noise of its first step.
    This is a density: of pixels with levels, dequantize them first, and add D log of the distance between two levels.

    Args:
        x_0: (B, D, ...), float, finite; label and steps: as for every `sampler`.
        probes: how many random vectors estimate the trace, the same along the whole path; None: the exact trace.
    Raises: ValueError for what does not fit the model.
    Ref: Chen et al. 2018 (the change of variables); Grathwohl et al. 2019 (Hutchinson's estimator).
    """
    x_0 = check("x_0", x_0, Data, self=ddpm)
    ddpm.check_shape(x_0.shape, "x_0")
    label, x = ddpm.label_for(len(x_0), label), x_0.detach().to(wide(x_0))
    where = x.device if generator is None else generator.device
    coins = (torch.randint(0, 2, x.shape, generator=generator, device=where) for _ in range(probes or 0))
    signs = [2 * coin.to(x) - 1 for coin in coins]
    visited, tables = ddpm.schedule.visited(steps), ddpm.schedule
    angle = torch.atan2(tables.sqrt_one_minus_alpha_bar, tables.sqrt_alpha_bar)[[0, *visited]].diff().tolist()

    total, before = x.new_zeros(len(x)), None
    for step, h in zip(visited, angle, strict=True):
        t = torch.full((len(x),), step, device=x.device)
        v, trace = (0 * x, 0 * total) if before is None else _velocity(ddpm, x, before, label, signs)
        v_next, trace_next = _velocity(ddpm, x + h * v, t, label, signs)
        x, total, before = x + h / 2 * (v + v_next), total + h / 2 * (trace + trace_next), t
    return total - 0.5 * (x.square() + math.log(2 * math.pi)).flatten(1).sum(1)


def _velocity(ddpm: DDPM, x: Tensor, t: Tensor, label: Tensor | None, signs: list[Tensor]) -> tuple[Tensor, Tensor]:
    """v, and the trace of ∂v/∂x, (B,): of each example's own, for no example looks at another."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        guess = ddpm.guess(x, t, label, Guidance(0), gradients=True)
        v = ddpm.schedule._from_both(guess.x_0, guess.eps, t, "v")
        flat, trace = v.flatten(1), x.new_zeros(len(x))
        for d in range(0 if signs else flat.shape[1]):
            (row,) = torch.autograd.grad(flat[:, d].sum(), x, retain_graph=True)
            trace = trace + row.flatten(1)[:, d]
        for sign in signs:
            (product,) = torch.autograd.grad((v * sign).sum(), x, retain_graph=True)
            trace = trace + (product * sign).flatten(1).sum(1) / len(signs)
    return v.detach(), trace
