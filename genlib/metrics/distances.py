"""How far two distributions lie apart, which modes of a mixture a model has found, how much its answers differ."""

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from genlib.arguments import Positive, checked
from genlib.common import exactly
from genlib.data import GaussianMixture

PAIRS = 1 << 22  # distances held in memory at once
Points = Annotated[Float[Tensor, "N *S"], "[-1e100, 1e100]"]
Others = Annotated[Float[Tensor, "M *S"], "[-1e100, 1e100]"]
Samples = Annotated[Float[Tensor, "B {mixture.dim}"], "[-1e100, 1e100]"]
Neighbour = Annotated[int, "[1, 1000000]"]
Mean = Annotated[Float[Tensor, " D"], "[-1e100, 1e100]"]
Covariance = Annotated[Float[Tensor, "D D"], "[-1e100, 1e100]"]


@checked
def frechet_gaussian(mean1: Mean, cov1: Covariance, mean2: Mean, cov2: Covariance) -> float:
    """The squared Fréchet (2-Wasserstein) distance of two Gaussians; 0 only where they agree.

        d² = |μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁^½ Σ₂ Σ₁^½)^½

    Means are (D,), covariances (D, D), of any rank; d², in float64, has the squared unit of the means.
    Raises: ValueError for a matrix that is not symmetric, or has a negative eigenvalue.
    Ref: Dowson & Landau 1982; Heusel et al. 2017, eq. 6 (the FID).

    >>> eye = torch.eye(2)
    >>> round(frechet_gaussian(torch.zeros(2), eye, torch.ones(2), 4 * eye), 9)  # 1 + 1 + 2 · (2 − 1)²
    4.0
    """
    if len(mean1) == 0:
        raise ValueError("mean1: expected at least one dimension, got shape (0,)")
    R1, R2 = _root("cov1", cov1), _root("cov2", cov2)
    # The singular values of R₁ᵀ R₂ add up to the last trace: no root of a product is taken.
    traces = (R1**2).sum() + (R2**2).sum() - 2 * torch.linalg.svdvals(R1.mT @ R2).sum()
    return max(0.0, float((exactly(mean1.detach()) - exactly(mean2.detach())).square().sum() + traces))


@checked
def energy_distance(x: Points, y: Others, unbiased: bool = True) -> float:
    """The energy distance of two samples: 0 in expectation if both come from one distribution, and only then.

        2 E|x − y| − E|x − x′| − E|y − y′|

    x is (n, ...), y (m, ...); the answer, in their unit, is computed in float64. `unbiased` averages over pairs of
    different points (a U-statistic, which may fall below zero); otherwise over all pairs (a V-statistic, never below
    zero, too large by about (E|x − x′| + E|y − y′|)/n).
    Raises: ValueError for fewer than two points. Ref: Székely & Rizzo 2013.
    """
    for name, value in (("x", x), ("y", y)):
        if len(value) < 2 or value[0].numel() == 0:
            raise ValueError(f"{name}: expected at least two points of one dimension or more, got {tuple(value.shape)}")
    within = int(unbiased)  # a point's distance to itself adds nothing, so that only the count of pairs differs
    mean_within = sum(_sum_of_distances(z, z) / (len(z) * (len(z) - within)) for z in (x, y))
    return 2 * _sum_of_distances(x, y) / (len(x) * len(y)) - mean_within


@checked
def precision(made: Points, real: Others, k: Neighbour = 3) -> float:
    """The share of made points in some ball around a real one that reaches to its k-th nearest real neighbour.

    made is (n, ...), real (m, ...), usually in the features of a judge. Raises: ValueError for k ≥ m.
    Ref: Kynkäänniemi et al. 2019, eqs. 1 and 2.
    """
    radius = _radius(real, k)
    return float(torch.cat([(rows <= radius).any(1) for rows in distances(made, real)]).double().mean())


@checked
def recall(made: Points, real: Others, k: Neighbour = 3) -> float:
    """`precision` with made and real exchanged: who scatters has larger balls, and so a larger recall. k < n."""
    return precision(real, made, k)


@checked
def coverage(made: Points, real: Others, k: Neighbour = 3) -> float:
    """The share of real points that have a made one in their own ball, with the balls of `precision`.
    Ref: Naeem et al. 2020, eq. 9.
    """
    nearest = torch.cat([rows.amin(1) for rows in distances(real, made)])
    return float((nearest <= _radius(real, k)).double().mean())


class ModeCoverage(NamedTuple):
    """The share of samples at each mode, (K,), how many modes were found, and the share of samples near none."""

    share: tuple[float, ...]
    found: int
    outside: float

    def __repr__(self) -> str:
        shares = " ".join(f"{share:.3f}" for share in self.share)
        return f"{self.found} of {len(self.share)} modes found; shares {shares}; {self.outside:.3f} near no mode"


@checked
def mode_coverage(
    x: Samples, mixture: GaussianMixture, found_at: Annotated[float, "(0, 1]"] = 0.5, *, within: Positive = 3.0
) -> ModeCoverage:
    """How the samples x, (B, D), are spread over a mixture's components.

        share_k = mean over x of  p(k | x) = w_k N(x; μ_k, Σ_k) / p(x)

    What lies further than `within` standard deviations from every mean, along the axes of its component, belongs to no
    mode, and counts in `outside` alone: shares and `outside` add up to 1. In the plane a Gaussian has e^(−within²/2) of
    its own mass there, 0.011 for 3; in many dimensions its mass lies about √D away, so take √D + 3. A mode is found if
    its share is at least `found_at` of its weight w_k. Raises: ValueError without a sample.
    """
    if len(x) == 0:
        raise ValueError("x: expected at least one sample, got none")
    away = exactly(x.detach())[:, None] - mixture.means
    L = torch.linalg.cholesky(mixture.covs)
    squared = torch.linalg.solve_triangular(L, away[..., None], upper=False).squeeze(-1).square().sum(-1)  # (B, K)
    log_det = 2 * torch.diagonal(L, dim1=-2, dim2=-1).log().sum(-1)
    responsibility = (mixture.weights.log() - 0.5 * (squared + log_det)).softmax(dim=1)
    near = squared.min(dim=1).values.sqrt() <= within
    share = (responsibility * near[:, None]).mean(0)
    found = int((share >= found_at * mixture.weights).sum())
    return ModeCoverage(tuple(share.tolist()), found, float((~near).double().mean()))


@checked
def diversity(samples: Annotated[Float[Tensor, "K B ..."], "[-1e100, 1e100]"]) -> float:
    """The standard deviation of a pixel over draws given the same input, averaged over pixels and inputs.

        mean over b, c, i of  ( Σ_k (y_kbci − mean over k)² / (K − 1) )^½

    Samples are (K, B, ...): K >= 2 draws for each of B inputs. In the unit of the pixels; from few draws a little too
    small (Gaussian pixels: by 20 % from 2, by 3 % from 8). 0: the noise is ignored; `data.textures` have 0.35.
    Raises: ValueError for fewer than two draws.
    """
    if len(samples) < 2 or samples.numel() == 0:
        raise ValueError(f"samples: expected at least two draws of at least one input, got {tuple(samples.shape)}")
    return float(exactly(samples.detach()).std(0, correction=1).mean())


def _root(name: str, cov: Tensor) -> Tensor:
    """R with R Rᵀ = Σ, from the symmetric eigenvalue problem; eigenvalues that only rounding made negative are 0."""
    rounding = 1e-3 if cov.dtype in (torch.float16, torch.bfloat16) else 1e-5
    cov = exactly(cov.detach())
    size = float(cov.abs().max())
    if float((cov - cov.mT).abs().max()) > rounding * size:
        raise ValueError(f"{name}: expected a symmetric matrix, got one that is not")
    eigenvalues, U = torch.linalg.eigh((cov + cov.mT) / 2)
    if float(eigenvalues[0]) < -rounding * len(cov) * size:
        raise ValueError(f"{name}: expected no negative eigenvalue, got {float(eigenvalues[0]):g}")
    return U * eigenvalues.clamp(min=0).sqrt()


def _radius(points: Tensor, k: int) -> Tensor:
    """The distance of each point from its k-th nearest neighbour, (n,)."""
    if k >= len(points):
        raise ValueError(f"k: expected less than the {len(points)} points that have balls, got {k}")
    return torch.cat([rows.kthvalue(k + 1, dim=1).values for rows in distances(points, points)])  # the first is itself


def _sum_of_distances(x: Tensor, y: Tensor) -> float:
    return sum(float(part.sum()) for part in distances(x, y))


def distances(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """|x_i − y_j|, some rows at a time, from differences: the expanded square would lose small ones to rounding."""
    x, y = (exactly(z.detach()).reshape(len(z), -1) for z in (x, y))
    for part in x.split(max(1, PAIRS // len(y))):
        yield torch.cdist(part, y, compute_mode="donot_use_mm_for_euclid_dist")
