"""Two-dimensional densities of other shapes, known exactly: `dim`, `log_prob`, `sample`, `entropy` as of a mixture."""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from genlib.arguments import Natural, checked
from genlib.common import wide
from genlib.data.mixture import GaussianMixture, place

Points = Annotated[Float[Tensor, "B 2"], "[-1e9, 1e9]"]
Length = Annotated[float, "[0.001, 10]"]  # of a ring; steps of quadrature resolve the least over the largest


class Rings:
    """Concentric circles with Gaussian noise across and along them.

        p(x) = mean over k of  exp(−(r² + R_k²)/2σ²) I₀(r R_k/σ²) / 2πσ²,    r = |x|

    A point at any angle on a circle with one of the `radii` R_k, plus N(0, σ² I) with σ = `std`. The average over the
    angle leaves the modified Bessel function I₀ behind. Raises: ValueError without a radius.
    """

    dim = 2

    @checked
    def __init__(self, radii: Sequence[Length] = (0.35, 0.9), std: Length = 0.05) -> None:
        if not radii:
            raise ValueError("radii: expected at least one, such as (0.35, 0.9), got none")
        self.radii, self.std = radii, std

    def __repr__(self) -> str:
        return f"Rings(radii={self.radii}, std={self.std:g})"

    @checked
    def log_prob(self, x: Points) -> Tensor:
        """(B,), nats, for x of shape (B, 2)."""
        return self._log_prob_at(x.to(wide(x)).norm(dim=1)).to(x.dtype)

    def _log_prob_at(self, r: Tensor) -> Tensor:
        R, variance = r.new_tensor(self.radii), self.std**2
        # i0e(u) = exp(−u) I₀(u) does not overflow; what it takes away completes the square
        bessel = torch.special.i0e(r[:, None] * R / variance).log()
        circles = bessel - (r[:, None] - R) ** 2 / (2 * variance)
        return circles.logsumexp(1) - math.log(2 * math.pi * variance * len(self.radii))

    @checked
    def sample(self, n: Natural, generator: Generator | None = None) -> Tensor:
        """n independent draws, (n, 2), float32, on the generator's device."""
        device = place(generator)
        k = torch.randint(len(self.radii), (n,), generator=generator, device=device)
        angle = 2 * math.pi * torch.rand(n, generator=generator, device=device)
        circle = angle.new_tensor(self.radii)[k, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
        return circle + self.std * torch.randn(n, 2, generator=generator, device=device)

    def entropy(self) -> float:
        """H = −∫ p log p 2πr dr, in nats, by quadrature along the radius."""
        low = max(0.0, min(self.radii) - 12 * self.std)
        r = torch.linspace(low, max(self.radii) + 12 * self.std, 200_001, dtype=torch.float64)
        log_p = self._log_prob_at(r)
        return float(torch.trapezoid(-log_p.exp() * log_p * 2 * math.pi * r, r))


class Moons(GaussianMixture):
    """Two interleaved half-circles with Gaussian noise, scaled to about [−1, 1]².

    Each half-circle is a row of narrow Gaussians at even angles, closer together than their standard deviation `std`: a
    mixture, so its density is exact, and without a ripple that anyone could see (2 exp(−2π²) of it at most).
    """

    @checked
    def __init__(self, std: Annotated[float, "[0.01, 1)"] = 0.05) -> None:
        self.std = std
        n = max(32, math.ceil(math.pi / 1.5 / std))  # the half-circles have radius 1/1.5
        angle = (torch.arange(n, dtype=torch.float64) + 0.5) * (math.pi / n)
        upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], dim=1)
        means = torch.cat([upper, -upper]) / 1.5
        super().__init__(means, std**2 * torch.eye(2, dtype=torch.float64).expand(len(means), 2, 2))

    def __repr__(self) -> str:
        return f"Moons(std={self.std:g})"

    def entropy(self) -> float:
        """H = −∫ p log p, in nats, by the trapezoid rule on a grid with steps of σ/2."""
        edge = 1.1 + 9 * self.std
        axis = torch.linspace(-edge, edge, int(4 * edge / self.std) + 1, dtype=torch.float64)
        cell, total = float(axis[1] - axis[0]) ** 2, 0.0
        for row in axis.split(max(1, 20_000 // len(axis))):
            log_p = self.log_prob(torch.cartesian_prod(row, axis))
            total -= float((log_p.exp() * log_p).sum()) * cell
        return total
