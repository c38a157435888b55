"""The forward process of a diffusion model: how much noise there is at step t, and what follows in closed form.

Everything here follows from two lines, the step and what T of them amount to:

    q(x_t | x_{t-1}) = N(√(1 − β_t) x_{t-1}, β_t I)
    q(x_t | x_0)     = N(√ᾱ_t x_0, (1 − ᾱ_t) I),    α_t = 1 − β_t,   ᾱ_t = α_1 α_2 … α_t
"""

import inspect
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from genlib.arguments import Positive, checked
from genlib.common import exactly

Quantity = Literal["eps", "x_0", "v", "u", "score"]
Inside = Annotated[float, "(0, 1)"]
Horizon = Annotated[int, "[1, 1000000]"]
Step = Annotated[int, "[1, {self.T}]"]
Bend = Annotated[float, "[0.1, 1000]"]
Times = Annotated[Int64[Tensor, " B"], "[1, {self.T}]"]
Data = Annotated[Float[Tensor, "B *S"], "finite"]
MAX_BETA = 0.999


class Schedule:
    """The variances β_1..β_T of the chain, and every table that depends on them alone: float64, on the CPU.

    Tables have length T + 1 and are indexed by the step t itself: `alpha_bar[t]` is ᾱ_t, `beta[0]` is 0 and
    `alpha_bar[0]` is 1, the data before any noise. (Other libraries' 0-based `alphas_cumprod` is `alpha_bar[1:]`.)
    In all methods, t is (B,) int64 in 1..T; x_0, x_t and whatever goes with them are (B, ...), float, finite and alike,
    and results are like these; a ValueError is raised for others.
    Args: beta, β_1..β_T, T >= 1, each inside (0, 1). Raises: ValueError for others, and if no signal is left at all.
    Ref: Ho et al. 2020, eqs. 2 and 4; lecture 04 (1), (2).

    >>> Schedule([0.1, 0.2]).alpha_bar
    tensor([1.0000, 0.9000, 0.7200], dtype=torch.float64)
    """

    least = 1e-30  # of ᾱ_T: below, x_0 = (x_t − ...)/√ᾱ_t means nothing any more, in no precision

    @checked
    def __init__(self, beta: Sequence[Inside] | Annotated[Float[Tensor, " T"], "(0, 1)"]) -> None:
        table = torch.tensor([0.0, *beta], dtype=torch.float64, device="cpu")
        alpha_bar = (1 - table).cumprod(0)
        if len(beta) == 0 or alpha_bar[-1] < self.least:
            got = f"{alpha_bar[-1]:g}" if len(beta) else "none"
            raise ValueError(f"beta: expected ᾱ_T of at least {self.least:g}, got {got}")
        self._fill(table, 1 - table, alpha_bar, torch.log1p(-table).cumsum(0))

    def _fill(self, beta: Tensor, alpha: Tensor, alpha_bar: Tensor, log_alpha_bar: Tensor) -> None:
        """All tables, from these four, for what is small in one of them is lost in the rounding of another."""
        self.T, self.beta, self.alpha, self.alpha_bar = len(beta) - 1, beta, alpha, alpha_bar
        self.log_alpha_bar, self.one_minus_alpha_bar = log_alpha_bar, log_alpha_bar.expm1().abs()
        self.sqrt_alpha_bar, self.sqrt_one_minus_alpha_bar = alpha_bar.sqrt(), self.one_minus_alpha_bar.sqrt()
        self.sigma = self.sqrt_one_minus_alpha_bar / self.sqrt_alpha_bar  # of the noise in x_t/√ᾱ_t
        share = self.one_minus_alpha_bar.roll(1) / self.one_minus_alpha_bar  # (1 − ᾱ_{t−1})/(1 − ᾱ_t), 0 at t = 1
        share[:2] = 0
        self.beta_tilde, self.posterior_x_t = share * beta, share * alpha.sqrt()
        self.posterior_x_0 = alpha_bar.roll(1).sqrt() * beta / self.one_minus_alpha_bar
        self.posterior_x_0[:2] = 1  # exactly: at t = 1 the posterior is the point x_0
        # Variances that a *model* may have. Its σ_1² cannot be β̃_1 = 0, for then L_0 were infinite: β̃_2 stands there.
        self.log_beta, self.log_beta_tilde = beta.log(), self.beta_tilde.log()
        self.log_beta_tilde[1] = self.log_beta_tilde[min(2, self.T)]
        self._copies: dict[tuple[str, torch.device, torch.dtype], Tensor] = {}

    @classmethod
    @checked
    def linear(cls, T: Horizon = 1000, beta_1: Inside = 1e-4, beta_T: Inside = 0.02) -> "Schedule":
        """β_t = c · (β_1 + (β_T − β_1)(t − 1)/(T − 1)),   c = 1000/T,   clipped at 0.999

        The end points are those of T = 1000; c keeps ᾱ_T about the same for any other T. With T = 1 only β_T is used.
        Raises: ValueError unless T is in 1..1,000,000, β_1 and β_T are inside (0, 1), and some signal is left.
        Ref: Ho et al. 2020, §4; the factor: Nichol & Dhariwal 2021, in their code.
        """
        line = torch.linspace(beta_1 if T > 1 else beta_T, beta_T, T, dtype=torch.float64, device="cpu")
        return cls((line * (1000 / T)).clamp(max=MAX_BETA).tolist())

    @classmethod
    @checked
    def cosine(cls, T: Horizon = 1000, s: Inside = 0.008) -> "Schedule":
        """ᾱ_t = f(t)/f(0),   f(t) = cos²((t/T + s)/(1 + s) · π/2),   β_t = 1 − ᾱ_t/ᾱ_{t−1}, clipped at 0.999

        ᾱ_t is nearly straight in the middle, flat at both ends; without s, the first steps would be vanishingly small.
        Raises: ValueError unless T is in 1..1,000,000 and s inside (0, 1). Ref: Nichol & Dhariwal 2021, eq. 17.
        """
        t = torch.arange(T + 1, dtype=torch.float64, device="cpu")
        f = torch.cos((t / T + s) / (1 + s) * (math.pi / 2)) ** 2
        return cls((1 - f[1:] / f[:-1]).clamp(max=MAX_BETA).tolist())

    @classmethod
    @checked
    def karras(
        cls, T: Horizon = 1000, sigma_min: Positive = 0.002, sigma_max: Positive = 80.0, rho: Bend = 7.0
    ) -> "Schedule":
        """σ_t = (σ_min^(1/ρ) + (σ_max^(1/ρ) − σ_min^(1/ρ)) (t − 1)/(T − 1))^ρ,   ᾱ_t = 1/(1 + σ_t²)

        The noise levels of EDM. There x_0 + σ_t ε is looked at, without a factor; x_t here is √ᾱ_t times that. The
        papers' numbers are for data of standard deviation ½. With T = 1 only σ_max is used.
        Raises: ValueError unless T is in 1..1,000,000 and 0 < σ_min < σ_max, with some signal left.
        Ref: Karras et al. 2022, eq. 5.
        """
        if not sigma_min < sigma_max or sigma_max > cls.least**-0.5:
            raise ValueError(f"sigma_max: expected more than sigma_min, up to 1e15, got {sigma_min:g}, {sigma_max:g}")
        low, high = (sigma ** (1 / rho) for sigma in (sigma_min if T > 1 else sigma_max, sigma_max))
        sigma = torch.linspace(low, high, T, dtype=torch.float64, device="cpu") ** rho
        return cls._of(torch.cat([sigma.new_zeros(1), -torch.log1p(sigma**2)]))

    @classmethod
    @checked
    def straight(cls, T: Horizon = 1000) -> "Schedule":
        """ᾱ_t = (1 − s)²/((1 − s)² + s²),   s = t/T: that of flow matching, with no signal at T

        There data and noise are joined by a straight line, (1 − s) x_0 + s ε, whose slope in s is −u; x_t here is that,
        divided by √((1 − s)² + s²), so that its variance is the chain's. A model that predicts u on this schedule,
        trained by `Denoising`, is flow matching; with steps even in t `ddim` is Euler's method in s.
        Ref: Liu et al. 2023 (rectified flow); Lipman et al. 2023; lecture 05b (28).
        """
        s = torch.arange(T + 1, dtype=torch.float64, device="cpu") / T
        return cls._of(-torch.log1p((s / (1 - s)) ** 2))

    @checked
    def zero_terminal(self) -> "Schedule":
        """√ᾱ'_t = √ᾱ_1 (√ᾱ_t − √ᾱ_T)/(√ᾱ_1 − √ᾱ_T): no signal is left at T, so that N(0, I) is where x_T comes from.

        ε says nothing of x_0 there, so a model has to predict v, u or x_0. Raises: ValueError for T = 1.
        Ref: Lin et al. 2024, algorithm 1.
        """
        if self.T == 1:
            raise ValueError("zero_terminal: expected a schedule of at least 2 steps, got T = 1")
        root = self.sqrt_alpha_bar
        rescaled = torch.cat([root[:1], root[1] * (root[1:] - root[-1]) / (root[1] - root[-1])])
        log_alpha_bar = 2 * rescaled.log()
        log_alpha_bar[1] = self.log_alpha_bar[1]  # where little noise is, its digits are lost in the root
        return self._of(log_alpha_bar)

    def __repr__(self) -> str:
        """T, and the log-SNR at five steps: enough to tell schedules apart, too little to tell processors apart."""
        t = torch.linspace(1, self.T, 5, device="cpu").round().long().unique()
        levels = ", ".join(f"{level:.5g}" for level in self.snr(t).log().tolist())
        return f"Schedule(T={self.T}, log-SNR {levels} at t = {str(t.tolist())[1:-1]})"

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: no copies on devices that the reader may not have."""
        return vars(self) | {"_copies": {}}

    @checked
    def visited(self, steps: Step | Sequence[Step] | None) -> list[int]:
        """Which of 1..T a sampler visits, upwards. None: all. A number n: n of them, at round(linspace(T, 0, n + 1)),
        without the 0. Or the steps themselves, in any order. Raises: ValueError for others, twice the same, or no T.
        """
        if isinstance(steps, int | None):
            n = steps or self.T
            return [round(self.T * i / n) for i in range(1, n + 1)]
        if self.T not in steps or len(set(steps)) < len(steps):
            raise ValueError(f"steps: expected different ones of 1..{self.T}, {self.T} among them, got {steps}")
        return sorted(steps)

    @checked
    def quadratic_steps(self, n: Step) -> list[int]:
        """For a sampler's `steps=`, closer together near the data: round(T · linspace(1, 0, n + 1)²), without the 0.

        Those that coincide are taken once. Raises: ValueError unless n is in 1..T. Ref: Song et al. 2021 (DDIM), D.2.
        """
        return sorted({round(self.T * (i / n) ** 2) for i in range(1, n + 1)} - {0})

    @checked
    def respaced(self, steps: Sequence[Step]) -> "Schedule":
        """The chain that visits only some steps τ_1 < ... < τ_n: ᾱ'_i = ᾱ_{τ_i},   β'_i = 1 − ᾱ'_i/ᾱ'_{i−1}
        Raises: ValueError unless `steps` are different ones of 1..T, at least one, upwards.
        Ref: Nichol & Dhariwal 2021, eq. 19.
        """
        if not steps or list(steps) != sorted(set(steps)):
            raise ValueError(f"steps: expected different ones of 1..{self.T}, upwards, got {steps}")
        kept = [0, *steps]
        return self._of(self.log_alpha_bar[kept], self.alpha_bar[kept])

    @classmethod
    def _of(cls, log_alpha_bar: Tensor, alpha_bar: Tensor | None = None) -> "Schedule":
        """The chain of log ᾱ_0..log ᾱ_T; β may be so near 1 that it is 1, which no β that is given may be."""
        log_alpha = torch.cat([log_alpha_bar[:1], log_alpha_bar.diff()])  # that of α_0 = 1, too
        chain = cls.__new__(cls)
        alpha_bar = log_alpha_bar.exp() if alpha_bar is None else alpha_bar
        chain._fill(log_alpha.expm1().abs(), log_alpha.exp(), alpha_bar, log_alpha_bar)
        return chain

    def _at(self, table: str, t: Tensor, like: Tensor) -> Tensor:
        """The entries t of a table, shaped (B, 1, ..., 1) to multiply `like`, on its device and in its dtype."""
        key = (table, like.device, like.dtype)
        if (values := self._copies.get(key)) is None:
            values = getattr(self, table).to(like.device, like.dtype)
            in_graph = torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is not None  # type: ignore
            if type(values) is Tensor and not in_graph:  # what lives in a graph or a transform dies with it
                self._copies[key] = values
        return values[t].view(-1, *[1] * (like.dim() - 1))

    @checked
    def snr(self, t: Times) -> Tensor:
        """Signal-to-noise ratio, ᾱ_t/(1 − ᾱ_t): (B,), float64 (float32 where there is none). Lecture 04 (6)."""
        like = t.new_empty((), dtype=torch.float32 if t.device.type == "mps" else torch.float64)
        return self._at("alpha_bar", t, like) / self._at("one_minus_alpha_bar", t, like)

    @checked
    def q_sample(self, x_0: Data, t: Times, eps: Data) -> Tensor:
        """x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε,  drawn from q(x_t | x_0) if ε is from N(0, I). Lecture 04 (5)."""
        return self._at("sqrt_alpha_bar", t, x_0) * x_0 + self._at("sqrt_one_minus_alpha_bar", t, x_0) * eps

    @checked
    def q_posterior(self, x_0: Data, x_t: Data, t: Times) -> tuple[Tensor, Tensor]:
        """Mean, like x_0, and variance, (B, 1, ..., 1), of q(x_{t−1} | x_t, x_0): at t = 1 the point x_0.

        μ̃_t = √ᾱ_{t−1} β_t/(1 − ᾱ_t) x_0 + √α_t (1 − ᾱ_{t−1})/(1 − ᾱ_t) x_t
        β̃_t = (1 − ᾱ_{t−1})/(1 − ᾱ_t) β_t        Ref: Ho et al. 2020, eqs. 6 and 7; lecture 04 (11).
        """
        mean = self._at("posterior_x_0", t, x_0) * x_0 + self._at("posterior_x_t", t, x_0) * x_t
        return mean, self._at("beta_tilde", t, x_0)

    @checked
    def convert(self, value: Data, x_t: Data, t: Times, source: Quantity, target: Quantity) -> Tensor:
        """The same knowledge in another form: given x_t, each of ε, x_0, v, u and the score fixes the others; but where
        no signal is left, ε and the score say nothing of the others.

            x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε     v = √ᾱ_t ε − √(1 − ᾱ_t) x_0     u = x_0 − ε     score = −ε/√(1 − ᾱ_t)

        u is the velocity of flow matching (see `straight`). The score is ∇ log q(x_t | x_0); with E[ε | x_t] in place
        of ε it is ∇ log q(x_t), that of the marginal. Ref: v: Salimans & Ho 2022, app. D; u: Lipman et al. 2023; the
        score: Song et al. 2021, §3; lecture 04 (12), (13), (14).
        """
        if source == target:
            return value
        return self._from_both(*self._x_0_and_eps(value, x_t, t, source), t, target)

    def _from_both(self, x_0: Tensor, eps: Tensor, t: Tensor, target: str) -> Tensor:
        """Of what x_t is made of, the quantity that is asked for."""
        if target in ("x_0", "eps"):
            return x_0 if target == "x_0" else eps
        if target == "u":
            return x_0 - eps
        signal, noise = self._at("sqrt_alpha_bar", t, x_0), self._at("sqrt_one_minus_alpha_bar", t, x_0)
        return signal * eps - noise * x_0 if target == "v" else -eps / noise

    def _x_0_and_eps(self, value: Tensor, x_t: Tensor, t: Tensor, source: str) -> tuple[Tensor, Tensor]:
        signal, noise = self._at("sqrt_alpha_bar", t, x_t), self._at("sqrt_one_minus_alpha_bar", t, x_t)
        if source == "x_0":
            return value, (x_t - signal * value) / noise
        if source == "u":
            return (x_t + noise * value) / (signal + noise), (x_t - signal * value) / (signal + noise)
        if source == "v":
            return signal * x_t - noise * value, noise * x_t + signal * value
        eps = value if source == "eps" else -noise * value
        return (x_t - noise * eps) / signal, eps

    @checked
    def prior_kl(self, x_0: Data) -> Tensor:
        """L_T = KL(q(x_T | x_0) ‖ N(0, I)) = ½ Σ_i [ᾱ_T (x_0,i² − 1) − log(1 − ᾱ_T)], which no network can change.
        Returns: (B,), nats, float64, on the CPU. Ref: Ho et al. 2020, eq. 5; lecture 04 (7).
        """
        left = self.alpha_bar[-1]
        kl = 0.5 * (left * (exactly(x_0) ** 2 - 1) - torch.log1p(-left))
        return kl[:, None].flatten(1).sum(1)


# The mathematics without its checks: what a network answers, it answers.
q_sample, q_posterior, convert = map(inspect.unwrap, (Schedule.q_sample, Schedule.q_posterior, Schedule.convert))
