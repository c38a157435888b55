"""A mixture that nobody has seen: drawn from a number, and hard in the same way for every number."""

import math

import torch
from torch import Tensor

from genlib.arguments import Seed, checked
from genlib.data.mixture import GaussianMixture, Numbers

APART = 5.0  # the least distance of two means, in the standard deviations of both components
LEAST = 0.04  # the least weight
MARGIN = 5.0  # standard deviations between a mean and the edge of the square
TRIES = 1000  # places for one component, before all are drawn anew


class HiddenMixture(GaussianMixture):
    """A mixture that keeps its secrets: it gives samples like any other, and its `repr` tells its number alone.

    Args:
        number: what it was drawn from.
        means, covs, weights: as for `GaussianMixture`.
    """

    @checked
    def __init__(self, number: Seed, means: Numbers, covs: Numbers, weights: Numbers) -> None:
        super().__init__(means, covs, weights)
        self.number = number

    def __repr__(self) -> str:
        return f"HiddenMixture(number={self.number})"


@checked
def hidden_mixture(number: Seed) -> HiddenMixture:
    """The mixture of 5 to 9 Gaussians in the plane that belongs to a number: always the same one.

    A component's longer axis has up to 3 times the deviation of the shorter one, and lies at any angle; the weights
    differ, and none is below 0.04. Two components are at least 5 deviations apart,

        (μ_j − μ_k)ᵀ [(Σ_j + Σ_k)/2]⁻¹ (μ_j − μ_k) ≥ 5²,

    so that each is a mode of its own. All is moved and scaled to fit [−1, 1]²: each mean stays 5 of its deviations away
    from the edge, and some mean no more than that.

    >>> hidden_mixture(7)
    HiddenMixture(number=7)
    >>> hidden_mixture(7).sample(3).shape
    torch.Size([3, 2])
    """
    g = torch.Generator().manual_seed(number)
    K = 5 + int(torch.randint(5, (1,), generator=g))
    shares = -_uniform(0, 1, g, K).log()
    means = None
    while means is None:
        covs = torch.stack([_covariance(g) for _ in range(K)])
        means = _place(covs, g)
    return HiddenMixture(number, *_fit(means, covs), LEAST + (1 - K * LEAST) * shares / shares.sum())


def _covariance(g: torch.Generator) -> Tensor:
    """Any angle; the longer axis has a standard deviation of 0.1 to 0.2, the shorter one up to three times less."""
    angle, long = float(_uniform(0, math.pi, g)), float(_uniform(0.1, 0.2, g))
    deviations = torch.tensor([long, long / float(_uniform(1, 3, g))], dtype=torch.float64)
    axes = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    return axes @ torch.diag(deviations**2) @ axes.mT


def _place(covs: Tensor, g: torch.Generator) -> Tensor | None:
    """Means in [−1, 1]², far enough apart: (K, 2), or None where no room was found for one of them."""
    means: list[Tensor] = []
    for k in range(len(covs)):
        for _ in range(TRIES):
            mean = _uniform(-1, 1, g, 2)
            if all(_distance(mean - other, covs[k], covs[j]) >= APART for j, other in enumerate(means)):
                means.append(mean)
                break
        else:
            return None
    return torch.stack(means)


def _distance(away: Tensor, cov: Tensor, other: Tensor) -> float:
    """In the standard deviations of both components: their covariances averaged."""
    return math.sqrt(float(away @ torch.linalg.solve((cov + other) / 2, away)))


def _fit(means: Tensor, covs: Tensor) -> tuple[Tensor, Tensor]:
    """Moved and scaled, alike in both directions, to the largest size that keeps the margin to the edge."""
    reach = MARGIN * covs.diagonal(dim1=1, dim2=2).sqrt()
    low, high = (means - reach).min(0).values, (means + reach).max(0).values
    scale = 2 / float((high - low).max())
    return scale * (means - (low + high) / 2), scale**2 * covs


def _uniform(low: float, high: float, g: torch.Generator, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=g, dtype=torch.float64)
