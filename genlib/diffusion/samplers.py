"""Samplers: from noise to data, one step back after the other.

Each is a generator. It yields x_T first and x_0 last, and holds on to the newest only:

    *x_ts, x_0 = ddim(model, shape=(16, 1, 8, 8), n_steps=25)      the whole trajectory
    x_0 = last(ddim(model, shape=(16, 1, 8, 8), n_steps=25))       its end alone

Both walk down steps T = τ_n > ... > τ_1 > τ_0 = 0 of the model's chain: all of them or some. The chain that visits only
those is a chain again, with ᾱ'_i = ᾱ_{τ_i}, and its own β'_i and β̃'_i: `Schedule.respaced`.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from genlib.arguments import check_choice, check_finite, check_int, check_number, check_tensor
from genlib.common import draw
from genlib.diffusion.ddpm import DDPM, Denoised

# x_{τ_{i−1}} from x_{τ_i}, what the model makes of it, i, and noise (None in the last step)
Step = Callable[[Tensor, Denoised, int, Callable[[], Tensor]], Tensor]


def ancestral(
    model: DDPM,
    shape: Sequence[int],
    *,
    steps: int | Sequence[int] | None = None,
    label: Tensor | None = None,
    guidance: float = 0.0,
    clip: bool = False,
    generator: torch.Generator | None = None,
    x_T: Tensor | None = None,
) -> Iterator[Tensor]:
    """Sample by the model's own chain: draw x_{t−1} from p_θ(x_{t−1} | x_t), T times. No noise in the last step.

        x_{t−1} = μ̃_t(x_0-guess, x_t) + σ_t z

    Args:
        model: a `DDPM`.
        shape: of the samples, (B, ...).
        steps: which of 1..T to visit. None: all. A number n: n of them, at round(linspace(T, 0, n + 1)). Or the steps
            themselves, T among them, in any order. β' and β̃' are those of the chain that visits only these.
        label: (B,) int64, −1 for none; or None.
        guidance: w >= 0: ε = (1 + w) ε(x_t, label) − w ε(x_t, none).
        clip: clamp the guess of x_0 to [−1, 1] in every step.
        generator: for x_T and for the noise.
        x_T: where to start, of that shape; N(0, I) if left out.
    Returns:
        an iterator over x_T, ..., x_0.
    Ref: Ho et al. 2020, algorithm 2; fewer steps: Nichol & Dhariwal 2021, §4.
    """
    T = _check_model(model).schedule.T
    if steps is None:
        visited = list(range(1, T + 1))
    elif isinstance(steps, Sequence | Tensor | range):
        visited = sorted(check_int("steps", step, 1, T) for step in steps)
        if len(set(visited)) < len(visited) or T not in visited:
            raise ValueError(f"steps: expected different ones of 1..{T}, {T} among them, got {list(steps)}")
    else:
        visited = _spaced(T, check_int("steps", steps, 1, T), "linear")
    chain = model.schedule.respaced(visited)
    from_x_0, from_x_t = chain.table("posterior_x_0"), chain.table("posterior_x_t")
    log_beta, log_beta_tilde = chain.table("log_beta"), chain.table("log_beta_tilde")

    def step(x_t: Tensor, at: Denoised, i: int, noise: Callable[[], Tensor]) -> Tensor:
        mean = from_x_0[i] * at.x_0 + from_x_t[i] * x_t
        if i == 1:
            return mean
        if at.v is not None:
            return mean + (0.5 * (at.v * log_beta[i] + (1 - at.v) * log_beta_tilde[i])).exp() * noise()
        return mean + math.exp(0.5 * (log_beta if model.variance == "beta" else log_beta_tilde)[i]) * noise()

    return _start(model, shape, visited, step, label, guidance, clip, generator, x_T)


def ddim(
    model: DDPM,
    shape: Sequence[int],
    n_steps: int = 50,
    *,
    eta: float = 0.0,
    spacing: Literal["linear", "quadratic"] = "linear",
    label: Tensor | None = None,
    guidance: float = 0.0,
    clip: bool = False,
    generator: torch.Generator | None = None,
    x_T: Tensor | None = None,
) -> Iterator[Tensor]:
    """Sample in few steps, with little noise or none: the same marginals, another path between them.

        x_s = √ᾱ_s x_0-guess + √(1 − ᾱ_s − σ²) ε + σ z,   σ² = η² (1 − ᾱ_s)/(1 − ᾱ_t) (1 − ᾱ_t/ᾱ_s)

    s is the step visited after t, and x_0-guess and ε are what the model makes of x_t.
    η = 0 is a fixed map from x_T to x_0; η = 1 is `ancestral` with the variance β̃. No noise in the last step.

    Args:
        model: a `DDPM`.
        shape: of the samples, (B, ...).
        n_steps: n, from 1 to T.
        eta: η, from 0 to 1.
        spacing: "linear": t = round(linspace(T, 0, n + 1)); "quadratic": t = round(T · linspace(1, 0, n + 1)²), closer
            near the data. Steps that coincide are taken once, so it may be fewer than n.
        label, guidance, clip, generator, x_T: as for `ancestral`.
    Returns:
        an iterator over x_T, ..., x_0.
    Ref: Song et al. 2021 (DDIM), eq. 12 and app. D.2.
    """
    T = _check_model(model).schedule.T
    n_steps = check_int("n_steps", n_steps, 1, T)
    eta = check_number("eta", eta, 0, 1)
    check_choice("spacing", spacing, ("linear", "quadratic"))
    visited = _spaced(T, n_steps, spacing)
    chain = model.schedule.respaced(visited)
    signal, variance = chain.table("sqrt_alpha_bar"), chain.table("one_minus_alpha_bar")
    sigma_2 = [eta**2 * value for value in chain.table("beta_tilde")]

    def step(x_t: Tensor, at: Denoised, i: int, noise: Callable[[], Tensor]) -> Tensor:
        mean = signal[i - 1] * at.x_0 + math.sqrt(max(variance[i - 1] - sigma_2[i], 0)) * at.eps
        return mean if i == 1 or eta == 0 else mean + math.sqrt(sigma_2[i]) * noise()

    return _start(model, shape, visited, step, label, guidance, clip, generator, x_T)


def last(x_ts: Iterable[Tensor]) -> Tensor:
    """The last of the tensors, x_0, without keeping the others: `x_0 = last(ddim(...))`."""
    end = deque(x_ts, maxlen=1)
    if not end:
        raise ValueError("x_ts: expected at least one tensor, got none")
    return end.pop()


def _start(
    model: DDPM,
    shape: Sequence[int],
    visited: list[int],
    step: Step,
    label: Tensor | None,
    guidance: float,
    clip: bool,
    generator: torch.Generator | None,
    x_T: Tensor | None,
) -> Iterator[Tensor]:
    """Check what both samplers have in common. `_walk` is apart: a generator would check at its first `next` only."""
    if not isinstance(shape, Sequence) or isinstance(shape, str) or len(shape) < 2:
        raise ValueError(f"shape: expected (B, ...), such as (16, 1, 8, 8) or (500, 2), got {shape!r}")
    shape = tuple(check_int("shape", n) for n in shape)
    if generator is not None and not isinstance(generator, torch.Generator):
        raise ValueError(f"generator: expected a torch.Generator, got {type(generator).__name__}")
    guidance = model.check(shape, label, guidance)
    weight = model.weight()
    if x_T is None:
        x_T = draw(shape, torch.empty(0) if weight is None else weight, generator)
    else:
        check_tensor("x_T", x_T, shape)
        check_finite("x_T", x_T)
        if weight is not None and (x_T.dtype, x_T.device) != (weight.dtype, weight.device):
            expected = f"{weight.dtype} on {weight.device}, as the net"
            raise ValueError(f"x_T: expected {expected}, got {x_T.dtype} on {x_T.device}")
    return _walk(model, x_T, visited, step, None if label is None else label.to(x_T.device), guidance, clip, generator)


def _walk(
    model: DDPM,
    x_t: Tensor,
    visited: list[int],
    step: Step,
    label: Tensor | None,
    guidance: float,
    clip: bool,
    generator: torch.Generator | None,
) -> Iterator[Tensor]:
    def noise() -> Tensor:
        return draw(x_t.shape, x_t, generator)

    yield x_t
    for i in range(len(visited), 0, -1):
        t = torch.full((len(x_t),), visited[i - 1], device=x_t.device)
        with torch.no_grad():
            x_t = step(x_t, model.denoised(x_t, t, label, guidance, clip), i, noise)
        yield x_t


def _spaced(T: int, n: int, spacing: str) -> list[int]:
    """Steps to visit, upwards, T among them: n or, where some coincide, fewer."""
    if spacing == "linear":
        steps = torch.linspace(T, 0, n + 1, dtype=torch.float64).round().long()
    else:
        steps = (T * torch.linspace(1, 0, n + 1, dtype=torch.float64) ** 2).round().long()
    return [step for step in steps.unique().tolist() if step > 0]


def _check_model(model: DDPM) -> DDPM:
    if not isinstance(model, DDPM):
        raise ValueError(f"model: expected a DDPM, got {type(model).__name__}")
    return model
