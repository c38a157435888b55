"""Samplers: from noise to data, one step back after the other. They yield x_T first and x_0 last.

    *x_ts, x_0 = ddim(model, shape=(16, 1, 8, 8), steps=25)

All walk down steps T = τ_n > ... > τ_1 > τ_0 = 0 of the model's chain, all of them or some: a chain again, with
ᾱ'_i = ᾱ_{τ_i} (`Schedule.respaced`).
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from genlib.arguments import Count, NonNegative, Share, check, checked, weight
from genlib.common import draw

Weight = Annotated[float, "[0, 1000]"]  # far beyond, ε overflows, and x_0 is NaN
Generator = torch.Generator | None
Noise = Annotated[Float[Tensor, "{shape}"], "finite"] | None


class Guidance:
    """How a sampler is guided, where w alone does not say it:  ε = (1 + w) ε(x_t, label) − w ε(x_t, none)

    Args:
        w: the weight, in 0..1000.
        low, high: the noise levels σ = √((1 − ᾱ)/ᾱ) between which it guides, `high` included (None: up to T);
            elsewhere w = 0.
        rescale: φ in 0..1. The guess of x_0 is multiplied by φ s/s' + 1 − φ: s' is its standard deviation, over all
            dimensions of one example, and s that of the guess without guidance, by the label alone.
    Raises: ValueError for others, and unless low < high.
    Ref: Ho & Salimans 2022, eq. 6; low, high: Kynkäänniemi et al. 2024; φ: Lin et al. 2024, §3.4.
    """

    @checked
    def __init__(
        self, w: Weight, low: NonNegative = 0.0, high: NonNegative | None = None, rescale: Share = 0.0
    ) -> None:
        high = math.inf if high is None else high
        if not low < high:
            raise ValueError(f"low, high: expected low < high, got {low:g} and {high:g}")
        self.w, self.low, self.high, self.rescale = w, low, high, rescale

    def _at(self, sigma: float) -> "Guidance":
        """What it is at this noise level."""
        return self if self.low < sigma <= self.high else Guidance(0)

    def __repr__(self) -> str:
        return f"Guidance({self.w:g}, low={self.low:g}, high={self.high:g}, rescale={self.rescale:g})"


class Denoised(NamedTuple):
    """What a model makes of x_t: its guess of x_0, of ε, and v of the learned variance (None if it is fixed)."""

    x_0: Tensor
    eps: Tensor
    v: Tensor | None


class Chain:
    """The steps that a sampler visits, `downwards` from i = n to 1 in a `schedule` of their own, with tables for these
    alone; `steps[i]` is the model's step there. x_T is where to start: float32 where the net has half precision, in
    which many small steps do not add up. Raises: ValueError as every `sampler`."""

    @checked
    def __init__(
        self,
        model,
        shape: Sequence[Count],
        steps,
        label,
        guidance: Weight | Guidance,
        clip: bool,
        generator: Generator,
        x_T,
        gradients: bool = False,
    ) -> None:
        if not hasattr(model, "step_back"):
            raise ValueError(f"model: expected a DDPM, got {type(model).__name__}")
        if len(shape) < 2:
            raise ValueError(f"shape: expected (B, ...), such as (16, 1, 8, 8) or (500, 2), got {shape}")
        self.guidance = guidance if isinstance(guidance, Guidance) else Guidance(guidance)
        self.model, self.clip, self.generator, self.gradients = model, clip, generator, gradients
        model.check_shape(shape, "shape")
        self.label, self.steps = model.label_for(shape[0], label, self.guidance.w), [0, *model.schedule.visited(steps)]
        self.schedule, self.downwards = model.schedule.respaced(self.steps[1:]), range(len(self.steps) - 1, 0, -1)
        x_T, own = check("x_T", x_T, Noise, self=model, shape=shape), weight(model)
        if x_T is None:
            x_T = draw(tuple(shape), torch.empty(0) if own is None else own, generator)
        x_T = x_T if gradients else x_T.detach()
        self.x_T: Tensor = x_T.to(torch.promote_types(x_T.dtype, torch.float32))

    def ask(self, x_t: Tensor, i: int) -> Denoised:
        """What the model makes of x_t, at step i."""
        guidance = self.guidance._at(float(self.schedule.sigma[i]))
        return self.model.guess(x_t, self.at(self.steps[i]), self.label, guidance, self.clip, self.gradients)

    def at(self, step: int) -> Tensor:
        """The step, for each example."""
        return torch.full((len(self.x_T),), step, device=self.x_T.device)

    def noise(self) -> Tensor:
        """z ~ N(0, I), like x_T."""
        return draw(self.x_T.shape, self.x_T, self.generator)


def sampler(walk: Callable[..., Iterator[Tensor]]) -> Callable[..., Iterator[Tensor]]:
    """A decorator: a sampler, from a generator function of a `Chain` and of options of its own, such as `eta`.

    Args of every sampler:
        model: a `DDPM`; `shape`, of the samples, (B, ...).
        steps: which of 1..T to visit, as for `Schedule.visited`: all if left out, a number, or the steps themselves.
        label: (B,) int64, −1 for none; (B, n_condition) float, a row of NaN for none; one class for all; or None.
        guidance: w in 0..1000: ε = (1 + w) ε(x_t, label) − w ε(x_t, none); or a `Guidance`.
        clip: clamp the guess of x_0 to [−1, 1] in every step.
        generator: of x_T and of all noise.
        x_T: where to start, of that shape; N(0, I) if left out.
        gradients: whether x_0 can be differentiated, by the net's weights and by x_T; the walk is kept in memory.
    Returns: an iterator over x_T, ..., x_0. Raises: ValueError for what does not fit the model, at the call.
    """
    walk = checked(walk)

    def start(
        model,
        shape,
        *,
        steps=None,
        label=None,
        guidance=0.0,
        clip=False,
        generator=None,
        x_T=None,
        gradients=False,
        **own,
    ):
        return walk(Chain(model, shape, steps, label, guidance, clip, generator, x_T, gradients), **own)

    for name in ("__module__", "__name__", "__qualname__", "__doc__"):  # not the arguments, which are those of `start`
        setattr(start, name, getattr(walk, name))
    return start


@sampler
def ancestral(chain: Chain) -> Iterator[Tensor]:
    """Sample by the model's own chain: draw x_{t−1} from p_θ(x_{t−1} | x_t), in each step. No noise in the last.

        x_{t−1} = μ̃_t(x_0-guess, x_t) + σ_t z

    Where only some steps are visited, both are those of the chain that visits only these. Args: see `sampler`.
    Ref: Ho et al. 2020, algorithm 2; fewer steps: Nichol & Dhariwal 2021, §4; lecture 04 (10).
    """
    x_t = chain.x_T
    for i in chain.downwards:
        yield x_t
        x_t, log_var = chain.model.step_back(chain.ask(x_t, i), x_t, chain.at(i), chain.schedule)
        if i > 1:
            x_t = x_t + torch.exp(0.5 * log_var) * chain.noise()
    yield x_t


@sampler
def ddim(chain: Chain, eta: Share = 0.0) -> Iterator[Tensor]:
    """Sample in few steps, with little noise or none: on another path, of the same marginals if ε is exact.

        x_s = √ᾱ_s x_0-guess + √(1 − ᾱ_s − σ²) ε + σ z,   σ² = η² (1 − ᾱ_s)/(1 − ᾱ_t) (1 − ᾱ_t/ᾱ_s)

    s is the step visited after t, and x_0-guess and ε are what the model makes of x_t. No noise in the last step.
    η = 0 is a fixed map from x_T to x_0; η = 1 is `ancestral` with the variance β̃. Args: η in 0..1; see `sampler`.
    Ref: Song et al. 2021 (DDIM), eq. 12; lecture 04 (26), (27).
    """
    signal, variance = chain.schedule.sqrt_alpha_bar.tolist(), chain.schedule.one_minus_alpha_bar.tolist()
    sigma_2 = (eta**2 * chain.schedule.beta_tilde).tolist()
    x_t = chain.x_T
    for i in chain.downwards:
        yield x_t
        guess = chain.ask(x_t, i)
        x_t = signal[i - 1] * guess.x_0 + math.sqrt(max(variance[i - 1] - sigma_2[i], 0)) * guess.eps
        if i > 1 and eta:
            x_t = x_t + math.sqrt(sigma_2[i]) * chain.noise()
    yield x_t


@sampler
def heun(chain: Chain) -> Iterator[Tensor]:
    """Sample without noise by Heun's method, which asks the network twice a step: the error falls as 1/n², not 1/n.

    In x̄ = x/√ᾱ and σ = √((1 − ᾱ)/ᾱ), sampling without noise is to solve dx̄/dσ = ε(x, t), down to σ = 0:

        x̄' = x̄_t + (σ_s − σ_t) ε(x_t, t)                      Euler's method: DDIM with η = 0
        x̄_s = x̄_t + (σ_s − σ_t) (ε(x_t, t) + ε(x', s))/2      the mean of the slopes at both ends

    The last step is one of Euler's, for there is no ε to ask for at t = 0; so is the first, in which σ may come down
    from 10⁴: the slope hardly changes all the way, and a mean with that at the end is worse. Args: see `sampler`.
    Ref: Karras et al. 2022, algorithm 1; the equation: Song et al. 2021 (DDIM), eq. 14.
    """
    signal, noise = chain.schedule.sqrt_alpha_bar.tolist(), chain.schedule.sqrt_one_minus_alpha_bar.tolist()
    x_t = chain.x_T
    for i in chain.downwards:
        yield x_t
        guess = chain.ask(x_t, i)
        x_t = signal[i - 1] * guess.x_0 + noise[i - 1] * guess.eps
        if 1 < i < len(noise) - 1:
            h = noise[i - 1] - signal[i - 1] * noise[i] / signal[i]  # √ᾱ_s (σ_s − σ_t)
            x_t = x_t + h / 2 * (chain.ask(x_t, i - 1).eps - guess.eps)
    yield x_t


@sampler
def dpm_solver(chain: Chain, eta: Share = 0.0) -> Iterator[Tensor]:
    """Sample by DPM-Solver++(2M): without noise of second order, though the network is asked once a step.

    In λ = log √(ᾱ/(1 − ᾱ)) the way back, an ODE or with η > 0 an SDE of the same marginals, is solved but for the guess
    of x_0; of that the last two steps know a straight line. With h = λ_s − λ_t, and h' that of the step before:

        x_s = √((1 − ᾱ_s)/(1 − ᾱ_t)) e^(−η² h) x_t + √ᾱ_s (1 − e^(−(1 + η²) h)) D + √((1 − ᾱ_s)(1 − e^(−2 η² h))) z
        D   = x_0-guess + h/(2h') (x_0-guess − that of the step before)

    The first step knows one guess alone, in the last one h is infinite, and in the second h' is where no signal is left
    at T: there D = x_0-guess, with which η = 0 is DDIM, and η = 1 DDIM with η = 1. Args: η in 0..1; see `sampler`.
    Ref: Lu et al. 2022, *DPM-Solver++*, algorithm 2; with noise it is known as 2M SDE.
    """
    signal, noise = chain.schedule.sqrt_alpha_bar.tolist(), chain.schedule.sqrt_one_minus_alpha_bar.tolist()
    half_log_snr = (-chain.schedule.sigma.log()).tolist()
    x_t, before = chain.x_T, None
    for i in chain.downwards:
        yield x_t
        guess = D = chain.ask(x_t, i).x_0
        if before is not None and i > 1:
            h, h_before = half_log_snr[i - 1] - half_log_snr[i], half_log_snr[i] - half_log_snr[i + 1]
            D = guess + (h / (2 * h_before) if h_before else 0.0) * (guess - before)
        before, shrunk = guess, noise[i - 1] * signal[i] / (noise[i] * signal[i - 1])  # e^(−h)
        x_t = noise[i - 1] / noise[i] * shrunk**eta**2 * x_t + signal[i - 1] * (1 - shrunk ** (1 + eta**2)) * D
        if i > 1 and eta:
            x_t = x_t + noise[i - 1] * math.sqrt(1 - shrunk ** (2 * eta**2)) * chain.noise()
    yield x_t


@checked
def last(x_ts: Iterator[Tensor] | Sequence[Tensor]) -> Tensor:
    """The last of the tensors, x_0, without keeping the others. Raises: ValueError if there is none."""
    end = deque(x_ts, maxlen=1)
    if not end or not isinstance(end[0], Tensor):
        raise ValueError(f"x_ts: expected tensors, at least one, got {type(end[0]).__name__ if end else 'none'}")
    return end[0]
