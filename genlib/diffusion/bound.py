"""The variational bound, term by term: what the model's own code length for the data is at most.

    −log p_θ(x_0) ≤ E_q[ L_T + Σ_{t=2}^T L_{t−1} + L_0 ]

    L_T     = KL(q(x_T | x_0) ‖ N(0, I))                            no network in it
    L_{t−1} = KL(q(x_{t−1} | x_t, x_0) ‖ p_θ(x_{t−1} | x_t))        two Gaussians, t = 2..T
    L_0     = −log p_θ(x_0 | x_1)

Ref: Ho et al. 2020, eqs. 3 and 5.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genlib.arguments import check_finite, check_int, check_tensor
from genlib.common import draw
from genlib.diffusion.schedule import Schedule

if TYPE_CHECKING:
    from genlib.diffusion.ddpm import DDPM

BITS = 1 / math.log(2)  # bits in a nat


@dataclass(frozen=True)
class Bound:
    """Every term of the bound for a batch, in bits for each dimension of x_0. Smaller is better.

    Attributes:
        L_T: (B,).
        L_t: (B, T − 1): column t − 2 is L_{t−1}, the term of step t, for t = 2..T. If only some steps were evaluated,
            (B, n), the terms of those steps, unweighted.
        L_0: (B,).
        t: the steps of the columns of L_t, (T − 1,) or (n,).
        T: the number of steps of the chain.
        dims: the dimensions of one x_0, so that one bit per dimension is `dims` · log 2 nats.
    """

    L_T: Tensor
    L_t: Tensor
    L_0: Tensor
    t: Tensor
    T: int
    dims: int

    @property
    def total(self) -> Tensor:
        """L_T + Σ L_{t−1} + L_0: (B,). Where only some steps were evaluated, an unbiased estimate of it."""
        share = len(self.t) / (self.T - 1) if self.T > 1 else 1.0
        return self.L_T + self.L_t.sum(1) / share + self.L_0

    def nats(self) -> "Bound":
        """The same in nats for the whole of x_0: the unit of `log_prob` and of an entropy."""
        unit = self.dims / BITS
        return Bound(self.L_T * unit, self.L_t * unit, self.L_0 * unit, self.t, self.T, self.dims)


def vlb(
    model: "DDPM",
    x_0: Tensor,
    label: Tensor | None = None,
    *,
    levels: int | None = None,
    n_steps: int | None = None,
    batch_size: int = 256,
    generator: torch.Generator | None = None,
) -> Bound:
    """See `DDPM.vlb`."""
    schedule, B, T = model.schedule, len(x_0), model.schedule.T
    levels = check_levels(x_0, model.levels if levels is None else levels)
    L_T = schedule.prior_kl(x_0)  # checks x_0
    model.check(x_0.shape, label)
    batch_size = check_int("batch_size", batch_size)
    if n_steps is not None:
        n_steps = check_int("n_steps", n_steps, 1, max(T - 1, 1))

    # One term of every example at every step: B · (n + 1) pairs, in batches that need not end with an example.
    t = torch.cat([torch.ones(1, dtype=torch.int64), _spread(T, n_steps, generator)])
    terms = torch.empty(B * len(t), dtype=torch.float64)
    for pair in torch.arange(len(terms)).split(batch_size):
        x, step = x_0[(pair % B).to(x_0.device)], t[pair // B].to(x_0.device)
        x_t = schedule._q_sample(x, step, draw(x.shape, x, generator))
        at = model.denoised(x_t, step, None if label is None else label[(pair % B).to(label.device)])
        # The network in its own precision, the small differences that the terms are made of in double.
        x, x_t, guess, step = _exact(x), _exact(x_t), _exact(at.x_0), step.cpu()
        mean, _ = schedule._q_posterior(guess, x_t, step)
        log_var = model.log_variance(None if at.v is None else _exact(at.v), step, x_t)
        terms[pair] = step_term(schedule, x, x_t, step, mean, log_var, levels)
    dims = x_0[0].numel() if B else math.prod(x_0.shape[1:])
    unit = BITS / dims
    terms = terms.view(len(t), B).T * unit
    return Bound(L_T.cpu() * unit, terms[:, 1:], terms[:, 0], t[1:], T, dims)


def step_term(
    schedule: Schedule, x_0: Tensor, x_t: Tensor, t: Tensor, mean: Tensor, log_var: Tensor, levels: int | None
) -> Tensor:
    """The bound's term of step t, given p_θ(x_{t−1} | x_t) = N(mean, exp(log_var)): L_{t−1}, or L_0 where t = 1.

    (B,), nats, summed over the dimensions.
    """
    if x_0.dtype in (torch.float16, torch.bfloat16):
        x_0, x_t, mean, log_var = x_0.float(), x_t.float(), mean.float(), log_var.float()
    posterior_mean, _ = schedule._q_posterior(x_0, x_t, t)
    # At t = 1 this table holds β̃_2, so that the KL is finite there, and then not used.
    kl = gaussian_kl(posterior_mean, schedule.at("log_beta_tilde", t, x_t), mean, log_var)
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

    Args:
        x: on the grid of `levels` values from −1 to 1.
    Ref: Ho et al. 2020, eq. 13.
    """
    half_bin, scale = 1 / (levels - 1), torch.exp(-0.5 * log_var)
    # Where the bin lies above the mean, look at it from the other side: the tails of Φ are precise on the left only.
    left = torch.where(x > mean, mean - x - half_bin, x - half_bin - mean) * scale
    right = left + 2 * half_bin * scale
    tail_left, tail_right = torch.special.log_ndtr(left), torch.special.log_ndtr(right)
    smallest = torch.finfo(x.dtype).tiny
    inside = tail_right + torch.log((-torch.expm1(tail_left - tail_right)).clamp(min=smallest))
    lowest = torch.special.log_ndtr((x + half_bin - mean) * scale)
    highest = torch.special.log_ndtr((mean - x + half_bin) * scale)
    log_p = torch.where(x < -1 + half_bin, lowest, torch.where(x > 1 - half_bin, highest, inside))
    return -log_p


def check_levels(x_0: Tensor, levels: int | None) -> int | None:
    """The number of grey levels, if x_0 is made of them; raise `ValueError` if it is not, or if a picture has none."""
    check_tensor("x_0", x_0, ("B", "D", "..."))
    check_finite("x_0", x_0)
    if levels is None:
        if x_0.dim() == 4:
            raise ValueError("levels: expected the grey levels of the pictures, such as 17 or 256, got None")
        return None
    levels = check_int("levels", levels, 2)
    level = (x_0.double().cpu() + 1) * ((levels - 1) / 2)
    if x_0.numel() and not bool(((level - level.round()).abs() < 0.05).all() and (x_0.abs() < 1.001).all()):
        raise ValueError(f"x_0: expected values on the grid of {levels} levels from -1 to 1, got others")
    return levels


def _spread(T: int, n: int | None, generator: torch.Generator | None) -> Tensor:
    """Steps 2..T, or n of them: evenly spread, from a random start, each as likely as any other."""
    if n is None or T == 1:
        return torch.arange(2, T + 1)
    start = torch.rand(1, dtype=torch.float64, generator=generator, device=generator.device if generator else "cpu")
    return 2 + ((start.cpu() + torch.arange(n)) * ((T - 1) / n)).long().clamp(max=T - 2)


def _exact(x: Tensor) -> Tensor:
    return x.to("cpu", torch.float64)
