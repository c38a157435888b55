"""A mixture of Gaussians, whose every truth is known: each family can be held against it before training anything."""

import math
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import Float, Int64, Real
from torch import Generator, Tensor
from torch.nn.functional import logsigmoid

from genlib.arguments import LONGEST, Natural, Share, Width, check, checked
from genlib.common import wide

Numbers = Any  # a tensor, an array, or lists of numbers
Shares = Annotated[Float[Tensor, " N"], "[0, 1]"]
Steps = Annotated[Int64[Tensor, " B"], "[1, {T}]"]
Points = Annotated[Float[Tensor, "B {self.dim}"], "[-1e9, 1e9]"]  # what float32 can square
Spread = Annotated[float, "[1e-6, 1000000]"]  # a standard deviation; its square is to stay away from 0


class GaussianMixture:
    """p(x) = Σ_k w_k N(x; μ_k, Σ_k), with any number K of components in any dimension D.

    Args:
        means, covs: μ_k, (K, D), and Σ_k, (K, D, D), symmetric and positive definite.
        weights: w_k, (K,), positive, adding up to 1; equal ones if left out.
    Raises: ValueError for a singular or asymmetric covariance, and for weights that do not sum to one.

    >>> p = GaussianMixture([[0.0]], [[[1.0]]])
    >>> p.log_prob(torch.zeros(1, 1))
    tensor([-0.9189])
    """

    def __init__(self, means: Numbers, covs: Numbers, weights: Numbers = None) -> None:
        means = _float64("means", means, Real[Tensor, "K D"])
        K, D = means.shape
        if K == 0 or D == 0:
            raise ValueError(f"means: expected at least one component and one dimension, got shape {(K, D)}")
        covs = _float64("covs", covs, Real[Tensor, "{K} {D} {D}"], K=K, D=D)
        weights = _float64("weights", [1 / K] * K if weights is None else weights, Real[Tensor, " {K}"], K=K)
        if not torch.allclose(covs, covs.mT, rtol=1e-8, atol=1e-12):
            raise ValueError("covs: expected symmetric matrices, got one that is not")
        if (weights <= 0).any() or abs(float(weights.sum()) - 1) > 1e-6:
            raise ValueError(f"weights: expected positive numbers that sum to 1, got {weights.tolist()}")
        self.means, self.covs, self.weights = means, covs, weights / weights.sum()
        # Σ_k = U_k diag(λ_k) U_kᵀ. Noise adds to every λ alike and leaves U as it is.
        self._lambda, self._U = torch.linalg.eigh(covs)
        if (self._lambda[:, 0] <= 1e-12 * self._lambda[:, -1].clamp(min=1e-300)).any():
            k = int((self._lambda[:, 0] / self._lambda[:, -1]).argmin())
            raise ValueError(f"covs: expected positive definite matrices, got a singular one (component {k})")

    @property
    def dim(self) -> int:
        """D, the dimension of x."""
        return self.means.shape[1]

    @staticmethod
    @checked
    def ring(n: Width = 8, radius: Annotated[float, "[0, 1000000]"] = 1.0, std: Spread = 0.1) -> "GaussianMixture":
        """n round components, evenly spaced on a circle, in 2-D."""
        angle = torch.arange(n, dtype=torch.float64) * (2 * math.pi / n)
        means = radius * torch.stack([angle.cos(), angle.sin()], dim=1)
        return GaussianMixture(means, std**2 * torch.eye(2, dtype=torch.float64).expand(n, 2, 2))

    def __repr__(self) -> str:
        return f"GaussianMixture(components={len(self.weights)}, dim={self.dim})"

    @checked
    def log_prob(self, x: Points) -> Tensor:
        """log p(x) = log Σ_k w_k N(x; μ_k, Σ_k): (B,), nats, for x of shape (B, D)."""
        return self._log_joint(x, x.new_ones(len(x)), x.new_zeros(len(x)))[0].logsumexp(dim=1).to(x.dtype)

    @checked
    def score(self, x: Points) -> Tensor:
        """∇_x log p(x) = −Σ_k p(k | x) Σ_k⁻¹ (x − μ_k): like x, (B, D)."""
        return self._score(x, x.new_ones(len(x)), x.new_zeros(len(x))).to(x.dtype)

    @checked
    def sample(self, n: Natural, generator: Generator | None = None) -> Tensor:
        """n independent draws, (n, D), float32, on the generator's device."""
        device = place(generator)
        exact = torch.float32 if device.type == "mps" else torch.float64  # which Apple's GPUs do not have
        tables = (self.means, self._U, self._lambda.sqrt(), self.weights)
        means, U, deviations, weights = (table.to(exact).to(device) for table in tables)
        k = weights.new_zeros(0).long() if n == 0 else weights.multinomial(n, replacement=True, generator=generator)
        normal = torch.randn(n, self.dim, dtype=exact, device=device, generator=generator)
        return (means[k] + torch.einsum("nde,ne->nd", U[k], deviations[k] * normal)).float()

    @checked
    def noised(self, alpha_bar: Share) -> "GaussianMixture":
        """The marginal of a chain, lecture 04 (5): q(x_t) = Σ_k w_k N(x_t; √ᾱ_t μ_k, ᾱ_t Σ_k + (1 − ᾱ_t) I)."""
        a, eye = alpha_bar, torch.eye(self.dim, dtype=torch.float64)
        return GaussianMixture(math.sqrt(a) * self.means, a * self.covs + (1 - a) * eye, self.weights)

    @checked
    def optimal_eps(self, x_t: Points, t: Int64[Tensor, " B"], schedule: Any) -> Tensor:
        """E[ε | x_t] = −√(1 − ᾱ_t) ∇ log q(x_t), the minimiser of the mean squared error in ε: like x_t, (B, D).

        t is (B,), in 1..T; schedule is anything with `alpha_bar`, ᾱ_0..ᾱ_T, or that tensor itself.
        Ref: Efron 2011 (Tweedie's formula); Ho et al. 2020, §3.2; lecture 04 (15).
        """
        table = check("schedule", getattr(schedule, "alpha_bar", schedule), Shares)
        check("t", t, Steps, T=len(table) - 1)
        # Of ᾱ near 1, float32 would leave few digits of 1 − ᾱ: they are taken before.
        signal, noise = (part.to(wide(x_t)).to(x_t.device)[t] for part in (table, 1 - table))
        return (-noise.sqrt()[:, None] * self._score(x_t, signal, noise)).to(x_t.dtype)

    def entropy(self) -> float:
        """H = −∫ p log p, in nats, by quadrature; in one and two dimensions.
        Raises: ValueError in more dimensions, and where quadrature does not reach 1e-9.

        >>> round(GaussianMixture([[0.0]], [[[1.0]]]).entropy(), 6)  # ½ log 2πe
        1.418939
        """
        return self._quadrature("entropy", lambda x: -self.log_prob(x))

    @checked
    def optimal_discriminator(self, x: Points, other: "GaussianMixture") -> Tensor:
        """The logits, (B,), of the best discriminator between this mixture, p, and a generator's p_G, for x (B, D).

            logit D*(x) = log p(x) − log p_G(x),   so that   sigmoid(logit D*) = p / (p + p_G)

        Raises: ValueError if the dimensions differ. Ref: Goodfellow et al. 2014, proposition 1; lecture 01 (7).

        >>> p, p_G = GaussianMixture([[1.0]], [[[1.0]]]), GaussianMixture([[-1.0]], [[[1.0]]])
        >>> p.optimal_discriminator(torch.tensor([[0.0], [3.0]]), p_G)  # 2x
        tensor([0., 6.])
        """
        if other.dim != self.dim:
            raise ValueError(f"other: expected a mixture in {self.dim} dimensions, got one in {other.dim}")
        return self.log_prob(x) - other.log_prob(x)

    @checked
    def jensen_shannon(self, other: "GaussianMixture") -> float:
        """The Jensen–Shannon divergence from another mixture, in nats, by quadrature; in one and two dimensions.

            JS(p, q) = ½ KL(p ‖ m) + ½ KL(q ‖ m) = log 2 + ½ E_p[log D*(x)] + ½ E_q[log(1 − D*(x))],   m = (p + q)/2

        From 0 where they are equal to log 2 where they do not overlap. Goodfellow et al. 2014, thm. 1; lecture 01 (8).
        Raises: ValueError if the dimensions differ or are more than two, and where quadrature does not reach 1e-9.

        >>> p = GaussianMixture([[0.0]], [[[1.0]]])
        >>> round(p.jensen_shannon(GaussianMixture([[100.0]], [[[1.0]]])), 6)  # log 2
        0.693147
        """
        right = self._quadrature("jensen_shannon", lambda x: logsigmoid(self.optimal_discriminator(x, other)), other)
        wrong = other._quadrature("jensen_shannon", lambda x: logsigmoid(other.optimal_discriminator(x, self)), self)
        return min(max(0.0, math.log(2) + (right + wrong) / 2), math.log(2))

    def _quadrature(self, name: str, function: Callable[[Tensor], Tensor], *others: "GaussianMixture") -> float:
        """E[function(x)], each component in its own axes, on grids that are refined until two of them agree to 1e-9."""
        if self.dim > 2:
            raise ValueError(f"{name}: by quadrature in 1 and 2 dimensions only, this mixture has {self.dim}")
        # The first step is no wider than the narrowest component: what lies between two points is seen by neither grid.
        narrowest = min(float(p._lambda.min()) for p in (self, *others))
        wanted, last = 18 * math.sqrt(float(self._lambda.max()) / narrowest), 20 if self.dim == 1 else 11
        previous = math.inf
        for n in (2**k for k in range(min(max(6, math.ceil(math.log2(wanted))), last - 1), last + 1)):
            value = sum(float(w) * self._mean(function, k, n) for k, w in enumerate(self.weights))
            if abs(value - previous) < 1e-9:
                return value
            previous = value
        raise ValueError(f"{name}: the components' scales differ too much for the quadrature to converge")

    def _mean(self, function: Callable[[Tensor], Tensor], k: int, n: int) -> float:
        """E[function(x)] under component k: the trapezoid rule on n points an axis, in its standard deviations."""
        u = torch.linspace(-9, 9, n, dtype=torch.float64)
        weight = torch.softmax(-(u**2) / 2, 0)
        grid, mass = (torch.cartesian_prod(*[axis] * self.dim).view(-1, self.dim) for axis in (u, weight))
        x = self.means[k] + (self._lambda[k].sqrt() * grid) @ self._U[k].T
        parts = zip(mass.prod(1).split(1 << 18), x.split(1 << 18), strict=True)
        return sum(float(share @ function(part)) for share, part in parts)

    def _log_joint(self, x: Tensor, signal: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """log w_k N(x; ...) of the mixture noised to ᾱ, (B, K); and Σ_k⁻¹ (x − μ_k), (B, K, D). ᾱ and 1 − ᾱ: (B,)."""
        tables = (self.means, self._lambda, self._U, self.weights.log())
        means, eigenvalues, U, log_weights = (table.to(wide(x)).to(x.device) for table in tables)
        a = signal.to(wide(x))[:, None, None]
        variance = a * eigenvalues + noise.to(a)[:, None, None]
        y = torch.einsum("bkd,kde->bke", x.to(a)[:, None] - a.sqrt() * means, U)
        log_normal = -0.5 * (y**2 / variance + variance.log() + math.log(2 * math.pi)).sum(-1)
        return log_normal + log_weights, torch.einsum("bke,kde->bkd", y / variance, U)

    def _score(self, x: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
        log_joint, pull = self._log_joint(x, signal, noise)
        return -(log_joint.softmax(dim=1)[..., None] * pull).sum(dim=1)


def place(generator: Generator | None) -> torch.device:
    """Where samples are drawn: where their generator lives."""
    return torch.device("cpu") if generator is None else generator.device


def _float64(name: str, value: Numbers, hint: Any, **sizes: int) -> Tensor:
    """A copy of numbers of any kind, on the CPU."""
    if not isinstance(value, Tensor):
        try:  # by numpy, since torch reads lists of numbers as float32
            value = torch.as_tensor(np.asarray(None if len(value) > LONGEST else value))
        except (TypeError, ValueError, RuntimeError, OverflowError):
            raise ValueError(f"{name}: expected numbers, got {type(value).__name__}") from None
    return check(name, value, Annotated[hint, "finite"], **sizes).detach().cpu().double().clone()
