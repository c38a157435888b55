"""The variational bound, term by term: what the model's own code length for the data is at most.

    −log p_θ(x_0) ≤ E_q[ L_T + Σ_{t=2}^T L_{t−1} + L_0 ]

    L_T     = KL(q(x_T | x_0) ‖ N(0, I))                            no network in it
    L_{t−1} = KL(q(x_{t−1} | x_t, x_0) ‖ p_θ(x_{t−1} | x_t))        two Gaussians, t = 2..T
    L_0     = −log p_θ(x_0 | x_1)

Ref: Ho et al. 2020, eqs. 3 and 5.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Generator, Tensor

from genlib.arguments import Count, Levels, check, checked
from genlib.common import BITS, draw, exactly
from genlib.diffusion.ddpm import DDPM, Data
from genlib.diffusion.samplers import Denoised, Guidance
from genlib.diffusion.schedule import Schedule, q_posterior, q_sample

Between = Annotated[int, "[1, {most}]"] | Sequence[Annotated[int, "[2, {T}]"]] | None


@dataclass(frozen=True)
class Bound:
    """Every term of the bound for a batch, in bits for each dimension of x_0. Smaller is better."""

    L_T: Tensor  # (B,)
    L_t: Tensor  # (B, n): L_{t−1}, the term of step t, unweighted, for the n steps in `t`
    L_0: Tensor  # (B,)
    t: Tensor  # (n,): 2..T, or those that were evaluated
    T: int  # the steps of the chain
    dims: int  # of one x_0: one bit for each is dims · log 2 nats

    @property
    def total(self) -> Tensor:
        """L_T + Σ L_{t−1} + L_0: (B,). Where only some steps were evaluated, an unbiased estimate of it."""
        share = len(self.t) / (self.T - 1) if self.T > 1 else 1.0
        return self.L_T + self.L_t.sum(1) / share + self.L_0

    def nats(self) -> "Bound":
        """The same in nats for the whole of x_0: the unit of `log_prob` and of an entropy."""
        unit = self.dims / BITS
        return Bound(self.L_T * unit, self.L_t * unit, self.L_0 * unit, self.t, self.T, self.dims)


@checked
def vlb(
    ddpm: DDPM,
    x_0: Any,
    label: Any = None,
    *,
    levels: Levels | None = None,
    steps: Any = None,
    batch_size: Count = 256,
    generator: Generator | None = None,
) -> Bound:
    """The variational bound on −log p_θ(x_0), every term, in bits per dimension; one draw of x_t for each.

    Args:
        x_0: (B, D, ...), float, finite; pictures on the grid of their `levels` from −1 to 1, as x/8 − 1 for the digits.
        levels: instead of the model's own.
        steps: which of 2..T to evaluate, None for all; or a number of them, evenly spread from a random start.
        batch_size: pairs of an example and a step that go through the net at once.
    Raises: ValueError for what does not fit the model, pictures without `levels`, or off their grid.
    Ref: Ho et al. 2020, eq. 5; lecture 04 (16), (18).
    """
    x_0 = check("x_0", x_0, Data, self=ddpm)
    ddpm.check_shape(x_0.shape, "x_0")
    label, levels = ddpm.label_for(len(x_0), label), ddpm.levels if levels is None else levels
    exact, x_0 = on_grid("x_0", x_0, levels), x_0.to(torch.promote_types(x_0.dtype, torch.float32))
    schedule, B, unit = ddpm.schedule, len(x_0), BITS / max(1, math.prod(x_0.shape[1:]))

    # One term of every example at every step: B · (n + 1) pairs, in batches that need not end with an example.
    t = torch.cat([torch.ones(1, dtype=torch.int64), _between(schedule.T, steps, generator)])
    terms = torch.empty(B * len(t), dtype=torch.float64)
    for pair in torch.arange(len(terms)).split(batch_size):
        row, step = pair % B, t[pair // B]
        x, here = x_0[row.to(x_0.device)], step.to(x_0.device)
        x_t = q_sample(schedule, x, here, draw(x.shape, x, generator))
        guess = ddpm.guess(x_t, here, None if label is None else label[row.to(label.device)], Guidance(0))
        # The network in its own precision, the small differences that the terms are made of in double.
        x_t, guess = exactly(x_t), Denoised(*(part if part is None else exactly(part) for part in guess))  # type: ignore
        mean, log_var = ddpm.step_back(guess, x_t, step, schedule)
        terms[pair] = step_term(schedule, exact[row], x_t, step, mean, log_var, levels)
    terms = terms.view(len(t), B).T * unit
    return Bound(schedule.prior_kl(exact) * unit, terms[:, 1:], terms[:, 0], t[1:], schedule.T, x_0[:1].numel())


def _between(T: int, steps: Any, generator: Generator | None) -> Tensor:
    """Which of 2..T to evaluate; of a number of them, each is as likely as any other."""
    steps = check("steps", steps, Between, most=max(T - 1, 1), T=T)
    if isinstance(steps, int):
        start = torch.rand(1, dtype=torch.float64, generator=generator, device=generator.device if generator else "cpu")
        return 2 + ((start.cpu() + torch.arange(steps)) * ((T - 1) / steps)).long().clamp(max=T - 2)
    if steps is not None and not 0 < len(set(steps)) == len(steps):
        raise ValueError(f"steps: expected different ones of 2..{T}, at least one, got {steps}")
    return torch.arange(2, T + 1) if steps is None else torch.tensor(steps, dtype=torch.int64)


def step_term(
    schedule: Schedule, x_0: Tensor, x_t: Tensor, t: Tensor, mean: Tensor, log_var: Tensor, levels: int | None
) -> Tensor:
    """The bound's term of step t, (B,), nats, of p_θ(x_{t−1} | x_t) = N(mean, exp(log_var)): L_{t−1}; L_0 at t = 1.
    Lecture 04 (20)."""
    check_levels(x_0, levels)
    posterior_mean, _ = q_posterior(schedule, x_0, x_t, t)
    # At t = 1 this table holds β̃_2, so that the KL is finite there, and then not used.
    kl = gaussian_kl(posterior_mean, schedule._at("log_beta_tilde", t, x_t), mean, log_var)
    nll = gaussian_nll(x_0, mean, log_var) if levels is None else discretised_nll(x_0, mean, log_var, levels)
    return torch.where(t == 1, nll.flatten(1).sum(1), kl.flatten(1).sum(1))


def gaussian_kl(mean_1: Tensor, log_var_1: Tensor, mean_2: Tensor, log_var_2: Tensor) -> Tensor:
    """KL(N(μ_1, σ_1²) ‖ N(μ_2, σ_2²)) = ½ [log σ_2²/σ_1² + σ_1²/σ_2² − 1 + (μ_1 − μ_2)²/σ_2²], in nats, elementwise."""
    ratio = log_var_1 - log_var_2
    return 0.5 * (torch.expm1(ratio) - ratio + (mean_1 - mean_2) ** 2 * torch.exp(-log_var_2))


def gaussian_nll(x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """−log N(x; mean, exp(log_var)), in nats, elementwise: for x that is continuous."""
    return 0.5 * ((x - mean) ** 2 * torch.exp(-log_var) + log_var + math.log(2 * math.pi))


def discretised_nll(x: Tensor, mean: Tensor, log_var: Tensor, levels: int) -> Tensor:
    """−log of the mass that N(mean, exp(log_var)) gives to the bin of x, in nats, elementwise.

        P(x) = Φ((x + δ − μ)/σ) − Φ((x − δ − μ)/σ),   δ = 1/(levels − 1),   and ∓∞ instead of ∓1 ∓ δ at the ends

    Args: x, on the grid of `levels` values from −1 to 1. Ref: Ho et al. 2020, eq. 13; lecture 04 (19).
    """
    half_bin, scale = 1 / (levels - 1), torch.exp(-0.5 * log_var)
    # Where the bin lies above the mean, look at it from the other side: the tails of Φ are precise on the left only.
    left = torch.where(x > mean, mean - x - half_bin, x - half_bin - mean) * scale
    right = left + 2 * half_bin * scale
    tail_left, tail_right = torch.special.log_ndtr(left), torch.special.log_ndtr(right)
    inside = tail_right + torch.log((-torch.expm1(tail_left - tail_right)).clamp(min=torch.finfo(x.dtype).tiny))
    lowest = torch.special.log_ndtr((x + half_bin - mean) * scale)
    highest = torch.special.log_ndtr((mean - x + half_bin) * scale)
    return -torch.where(x < -1 + half_bin, lowest, torch.where(x > 1 - half_bin, highest, inside))


def check_levels(x: Tensor, levels: int | None) -> None:
    if levels is None and x.dim() == 4:
        raise ValueError("levels: expected the grey levels of the pictures, such as 17 or 256, got None")


def on_grid(name: str, x: Tensor, levels: int | None) -> Tensor:
    """x in float64 on the CPU; if it is made of levels, rounded to the nearest of these values from −1 to 1.
    Raises: ValueError for pictures without levels, and for x off their grid by more than its own rounding.
    """
    check_levels(x, levels)
    if levels is None:
        return exactly(x)
    level = (exactly(x) + 1) * ((levels - 1) / 2)
    near = level.round().clamp(0, levels - 1)
    if not bool(((level - near).abs() <= 0.05 + torch.finfo(x.dtype).eps * (levels - 1) / 4).all()):
        raise ValueError(f"{name}: expected values on the grid of {levels} levels from -1 to 1, got others")
    return near * (2 / (levels - 1)) - 1
