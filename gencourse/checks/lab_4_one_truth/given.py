"""Mixtures and numbers that the exercises of lab 4 are tried on."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

FLOAT32_TOL = 1e-5
Pair = tuple[Tensor, Tensor]


def normal(shape: Sequence[int], g: Generator) -> Tensor:
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def uniform(low: float, high: float, g: Generator, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=g, dtype=torch.float64)


def scalar(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


class Components(NamedTuple):
    """What a mixture is made of: means (K, D), covs (K, D, D), weights (K,)."""

    means: Tensor
    covs: Tensor
    weights: Tensor


def components(K: int, D: int, g: Generator) -> Components:
    """At random places; elongated, at random angles, and of unequal weights."""
    axes, _ = torch.linalg.qr(normal((K, D, D), g))
    deviations = uniform(0.2, 1.5, g, K, D)
    covs = axes @ torch.diag_embed(deviations**2) @ axes.mT
    weights = uniform(0.2, 1.0, g, K)
    return Components(normal((K, D), g), (covs + covs.mT) / 2, weights / weights.sum())


def mahalanobis(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    """√((x − μ_k)ᵀ Σ_k⁻¹ (x − μ_k)), (B, K), with each inverse written out."""
    rows = []
    for point in x:
        away = point - means
        rows.append(torch.stack([(a @ torch.linalg.inv(cov) @ a).sqrt() for a, cov in zip(away, covs, strict=True)]))
    return torch.stack(rows)


def by_hand(values: Sequence[float]) -> tuple[float, float]:
    """The average of independent numbers, and its standard error, each number by itself."""
    n = len(values)
    mean = math.fsum(values) / n
    variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
    return mean, math.sqrt(variance / n)
