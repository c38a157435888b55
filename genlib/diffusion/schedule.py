"""The forward process of a diffusion model: how much noise there is at step t, and what follows in closed form.

Everything here follows from two lines, the step and what T of them amount to:

    q(x_t | x_{t-1}) = N(√(1 − β_t) x_{t-1}, β_t I)
    q(x_t | x_0)     = N(√ᾱ_t x_0, (1 − ᾱ_t) I),    α_t = 1 − β_t,   ᾱ_t = α_1 α_2 … α_t
"""

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from genlib.arguments import (
    check_choice,
    check_finite,
    check_int,
    check_number,
    check_same_shape,
    check_tensor,
)

Quantity = Literal["eps", "x_0", "v", "score"]
QUANTITIES = ("eps", "x_0", "v", "score")
MAX_BETA = 0.999
MIN_ALPHA_BAR = 1e-30  # below, x_0 = (x_t − ...)/√ᾱ_t means nothing any more, in no precision


class Schedule:
    """The variances β_1..β_T of the chain, and every table that depends on them alone.

    Tables have length T + 1 and are indexed by the step t itself: `alpha_bar[t]` is ᾱ_t, `beta[0]` is 0 and
    `alpha_bar[0]` is 1, the data before any noise. (Other libraries' 0-based `alphas_cumprod` is `alpha_bar[1:]`.)
    They are float64, on the CPU; `at` hands out copies on the device and in the dtype of the data.

    Args:
        beta: β_1..β_T, shape (T,), T >= 1, each inside (0, 1). A tensor, an array or a list.
    Raises:
        ValueError: if `beta` is empty, not one-dimensional, has a value outside (0, 1), or leaves no signal at all.
    Ref: Ho et al. 2020, eqs. 2 and 4.

    >>> s = Schedule([0.1, 0.2])
    >>> s.alpha_bar
    tensor([1.0000, 0.9000, 0.7200], dtype=torch.float64)
    """

    def __init__(self, beta: Tensor | list[float]) -> None:
        try:
            beta = torch.as_tensor(beta, dtype=torch.float64, device="cpu").detach()
        except (TypeError, ValueError, RuntimeError):
            raise ValueError(f"beta: expected T numbers, got {type(beta).__name__}") from None
        if beta.dim() != 1 or len(beta) == 0:
            raise ValueError(f"beta: expected shape (T,) with T >= 1, got shape {tuple(beta.shape)}")
        wrong = ~((beta > 0) & (beta < 1))  # also true where beta is NaN
        if wrong.any():
            t = int(wrong.nonzero()[0]) + 1
            raise ValueError(f"beta: expected every β_t inside (0, 1), got β_{t} = {beta[t - 1]:g}")

        self.T = len(beta)
        self.beta = torch.cat([beta.new_zeros(1), beta])
        self.alpha = 1 - self.beta
        self.alpha_bar = self.alpha.cumprod(0)
        if self.alpha_bar[-1] < MIN_ALPHA_BAR:
            t = int((self.alpha_bar < MIN_ALPHA_BAR).nonzero()[0])
            raise ValueError(f"beta: expected ᾱ_t of at least {MIN_ALPHA_BAR:g}, too little signal is left at t = {t}")
        # 1 − ᾱ_t without the cancellation where ᾱ_t is nearly 1
        one_minus_alpha_bar = -torch.expm1(torch.log1p(-self.beta).cumsum(0))
        before = torch.roll(one_minus_alpha_bar, 1)  # before[t] = 1 − ᾱ_{t−1}, and 0 at t = 1
        before[:2] = 0
        bar_before = torch.roll(self.alpha_bar, 1)
        ratio = torch.cat([beta.new_zeros(1), before[1:] / one_minus_alpha_bar[1:]])

        self.beta_tilde = ratio * self.beta  # the variance of q(x_{t−1} | x_t, x_0); 0 at t = 1
        weight_x_0 = torch.cat([beta.new_ones(1), bar_before[1:].sqrt() * beta / one_minus_alpha_bar[1:]])
        weight_x_0[1] = 1  # exactly: at t = 1 the posterior is the point x_0
        self._tables = {
            "beta": self.beta,
            "alpha": self.alpha,
            "alpha_bar": self.alpha_bar,
            "one_minus_alpha_bar": one_minus_alpha_bar,
            "sqrt_alpha_bar": self.alpha_bar.sqrt(),
            "sqrt_one_minus_alpha_bar": one_minus_alpha_bar.sqrt(),
            "beta_tilde": self.beta_tilde,
            "posterior_x_0": weight_x_0,
            "posterior_x_t": self.alpha.sqrt() * ratio,
        }
        # Variances that a *model* may have. Its σ_1² cannot be β̃_1 = 0, for then L_0 were infinite: β̃_2 stands there.
        of_model = self.beta_tilde.clone()
        of_model[1] = self.beta_tilde[min(2, self.T)]
        self._tables |= {"log_beta": self.beta.log(), "log_beta_tilde": of_model.log()}
        self._copies: dict[tuple[str, torch.device, torch.dtype], Tensor] = {}

    @classmethod
    def linear(cls, T: int = 1000, beta_1: float = 1e-4, beta_T: float = 0.02) -> "Schedule":
        """β_t on a straight line from β_1 to β_T.

            β_t = c · (β_1 + (β_T − β_1)(t − 1)/(T − 1)),   c = 1000/T,   clipped at 0.999

        The end points are those of T = 1000; c keeps ᾱ_T about the same for any other T. With T = 1 only β_T is used.

        Args:
            T: number of steps, at least 1.
            beta_1, beta_T: the end points, each inside (0, 1), before the factor c.
        Ref: Ho et al. 2020, §4; the factor: Nichol & Dhariwal 2021, in their code.

        >>> Schedule.linear(T=1000).alpha_bar[1000]
        tensor(4.0358e-05, dtype=torch.float64)
        """
        T = check_int("T", T)
        beta_1 = check_number("beta_1", beta_1, 0, 1, inside=True)
        beta_T = check_number("beta_T", beta_T, 0, 1, inside=True)
        line = torch.linspace(beta_1 if T > 1 else beta_T, beta_T, T, dtype=torch.float64)
        return cls((line * (1000 / T)).clamp(max=MAX_BETA))

    @classmethod
    def cosine(cls, T: int = 1000, s: float = 0.008) -> "Schedule":
        """ᾱ_t falls as a squared cosine: nearly straight in the middle, flat at both ends.

            ᾱ_t = f(t)/f(0),   f(t) = cos²((t/T + s)/(1 + s) · π/2),   β_t = 1 − ᾱ_t/ᾱ_{t−1}, clipped at 0.999

        Args:
            T: number of steps, at least 1.
            s: an offset, 0 < s < 1, so that the first steps are not vanishingly small.
        Ref: Nichol & Dhariwal 2021, eq. 17.

        >>> Schedule.cosine(T=1000).beta[1000]
        tensor(0.9990, dtype=torch.float64)
        """
        T = check_int("T", T)
        s = check_number("s", s, 0, 1, inside=True)
        t = torch.arange(T + 1, dtype=torch.float64)
        f = torch.cos((t / T + s) / (1 + s) * (math.pi / 2)) ** 2
        return cls((1 - f[1:] / f[:-1]).clamp(max=MAX_BETA))

    def __repr__(self) -> str:
        return f"Schedule(T={self.T}, alpha_bar_T={self.alpha_bar[-1]:.3g})"

    def respaced(self, steps: Sequence[int]) -> "Schedule":
        """The chain that visits only some steps τ_1 < ... < τ_n of this one; its step i is this one's τ_i.

            ᾱ'_i = ᾱ_{τ_i},   β'_i = 1 − ᾱ'_i/ᾱ'_{i−1}

        Args:
            steps: different ones of 1..T, at least one, upwards.
        Ref: Nichol & Dhariwal 2021, eq. 19.

        >>> Schedule([0.1, 0.2, 0.3]).respaced([1, 3]).beta
        tensor([0.0000, 0.1000, 0.4400], dtype=torch.float64)
        """
        steps = [0, *(check_int("steps", step, 1, self.T) for step in steps)]
        if len(steps) == 1 or any(a >= b for a, b in itertools.pairwise(steps)):
            raise ValueError(f"steps: expected different ones of 1..{self.T}, upwards, got {steps[1:]}")
        log_alpha_bar = torch.log1p(-self.beta).cumsum(0)[steps]
        return Schedule(-torch.expm1(log_alpha_bar.diff()))

    def table(self, name: str) -> list[float]:
        """A table as plain numbers, by t: for loops in which all examples are at the same step."""
        return self._tables[name].tolist()

    def at(self, table: str, t: Tensor, like: Tensor) -> Tensor:
        """The entries t of a table, shaped (B, 1, ..., 1) to multiply `like`, on its device and in its dtype."""
        key = (table, like.device, like.dtype)
        if key not in self._copies:
            self._copies[key] = self._tables[table].to(like.device, like.dtype)
        return self._copies[key][t].view(-1, *[1] * (like.dim() - 1))

    def snr(self, t: Tensor) -> Tensor:
        """Signal-to-noise ratio, ᾱ_t/(1 − ᾱ_t): (B,), float64; its logarithm is the log-SNR, in nats.

        Args:
            t: (B,) int64 in 1..T.

        >>> Schedule([0.1, 0.2]).snr(torch.tensor([2]))
        tensor([2.5714], dtype=torch.float64)
        """
        self.check_t(t)
        t = t.cpu()
        return self.alpha_bar[t] / self._tables["one_minus_alpha_bar"][t]

    def q_sample(self, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t, drawn from q(x_t | x_0) in one go.

            x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε

        Args:
            x_0: data, (B, ...), float, finite.
            t: steps, (B,) int64 in 1..T.
            eps: standard normal noise, like x_0.
        Returns:
            x_t, like x_0.
        Ref: Ho et al. 2020, eq. 4.
        """
        self._check(x_0=x_0, eps=eps)
        self.check_t(t, len(x_0))
        return self._q_sample(x_0, t, eps)

    def _q_sample(self, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        return self.at("sqrt_alpha_bar", t, x_0) * x_0 + self.at("sqrt_one_minus_alpha_bar", t, x_0) * eps

    def q_posterior(self, x_0: Tensor, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of q(x_{t−1} | x_t, x_0), a Gaussian.

            μ̃_t = √ᾱ_{t−1} β_t/(1 − ᾱ_t) x_0 + √α_t (1 − ᾱ_{t−1})/(1 − ᾱ_t) x_t
            β̃_t = (1 − ᾱ_{t−1})/(1 − ᾱ_t) β_t

        At t = 1 it is the point x_0: mean x_0, variance 0.

        Args:
            x_0, x_t: (B, ...), float, finite, of one shape.
            t: (B,) int64 in 1..T.
        Returns:
            mean, like x_0; var, (B, 1, ..., 1), one number for each example.
        Ref: Ho et al. 2020, eqs. 6 and 7.
        """
        self._check(x_0=x_0, x_t=x_t)
        self.check_t(t, len(x_0))
        return self._q_posterior(x_0, x_t, t)

    def _q_posterior(self, x_0: Tensor, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.at("posterior_x_0", t, x_0) * x_0 + self.at("posterior_x_t", t, x_0) * x_t
        return mean, self.at("beta_tilde", t, x_0)

    def convert(self, value: Tensor, x_t: Tensor, t: Tensor, source: Quantity, target: Quantity) -> Tensor:
        """The same knowledge in another form: given x_t, each of ε, x_0, v and the score fixes the other three.

            x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε      v = √ᾱ_t ε − √(1 − ᾱ_t) x_0      score = −ε/√(1 − ᾱ_t)

        The score is ∇ log q(x_t | x_0); with E[ε | x_t] in place of ε it is ∇ log q(x_t), that of the marginal.

        Args:
            value: what is known, like x_t.
            x_t: (B, ...), float, finite.
            t: (B,) int64 in 1..T.
            source, target: the names of what is given and what is wanted: "eps", "x_0", "v" or "score".
        Ref: v: Salimans & Ho 2022, app. D; the score: Song et al. 2021, §3.
        """
        check_choice("source", source, QUANTITIES)
        check_choice("target", target, QUANTITIES)
        self._check(x_t=x_t, value=value)
        self.check_t(t, len(x_t))
        return self._convert(value, x_t, t, source, target)

    def _convert(self, value: Tensor, x_t: Tensor, t: Tensor, source: Quantity, target: Quantity) -> Tensor:
        if source == target:
            return value
        signal = self.at("sqrt_alpha_bar", t, x_t)
        noise = self.at("sqrt_one_minus_alpha_bar", t, x_t)

        if source == "x_0":
            x_0, eps = value, (x_t - signal * value) / noise
        elif source == "v":
            x_0, eps = signal * x_t - noise * value, noise * x_t + signal * value
        else:
            eps = value if source == "eps" else -noise * value
            x_0 = (x_t - noise * eps) / signal

        if target == "v":
            return signal * eps - noise * x_0
        return {"x_0": x_0, "eps": eps}[target] if target != "score" else -eps / noise

    def prior_kl(self, x_0: Tensor) -> Tensor:
        """L_T, the part of the bound that no network can change: how far q(x_T | x_0) is from N(0, I).

            L_T = KL(q(x_T | x_0) ‖ N(0, I)) = ½ Σ_i [ᾱ_T (x_0,i² − 1) − log(1 − ᾱ_T)]

        Args:
            x_0: (B, ...), float, finite.
        Returns:
            (B,), nats, float64.
        Ref: Ho et al. 2020, eq. 5.
        """
        self._check(x_0=x_0)
        signal = float(self.alpha_bar[-1])
        noise = float(self._tables["one_minus_alpha_bar"][-1])
        return (0.5 * (signal * (x_0.double() ** 2 - 1) - math.log(noise))).flatten(1).sum(1)

    def check_t(self, t: Tensor, batch: int | None = None) -> None:
        """Raise `ValueError` unless t is (B,) int64 with values in 1..T. Step 0 is the data itself, and is refused."""
        check_tensor("t", t, ("B" if batch is None else batch,), dtype="int")
        if t.dtype != torch.int64:
            raise ValueError(f"t: expected dtype torch.int64, got {t.dtype}")
        if t.numel() and not (int(t.min()) >= 1 and int(t.max()) <= self.T):
            raise ValueError(f"t: expected steps in 1..{self.T}, got {int(t.min())}..{int(t.max())}")

    def _check(self, **tensors: Tensor) -> None:
        """All float, finite, and of the first one's shape and dtype, (B, ...)."""
        first_name, first = next(iter(tensors.items()))
        for name, value in tensors.items():
            check_tensor(name, value, ("B", "..."))
            check_same_shape(name, value, first_name, first)
            if value.dtype != first.dtype:
                raise ValueError(f"{name}: expected the dtype of {first_name}, {first.dtype}, got {value.dtype}")
            check_finite(name, value)
