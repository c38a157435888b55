"""A variance in the place of a standard deviation, in a sampler. Lecture 04 (10)."""

import math

import numpy as np
import torch
from torch import Tensor

from gencourse.checks.lab_5_faults.given import SINGLE
from gencourse.checks.lab_5_faults.hunt import Hunt


def _own_test_draw(candidate):
    n = 20_000
    mean = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64).expand(n, 3)
    var = torch.tensor([4.0, 0.25, 0.0], dtype=torch.float64).expand(n, 3)
    x = candidate(mean, var).double()
    assert x.shape == (n, 3)
    assert ((x - mean)[:, 2].abs() < 1e-4).all()  # variance 0: the mean itself
    z = ((x - mean) / var.sqrt())[:, :2]  # should be standard normal
    assert (z.mean(0).abs() < 5 / n**0.5).all()  # each standard error: √(Var/n)
    assert ((z.var(0) - 1).abs() < 5 * (2 / n) ** 0.5).all()
    assert (((z**4).mean(0) - 3).abs() < 5 * (96 / n) ** 0.5).all()  # a Gaussian, and no other
    assert ((z[1:] * z[:-1]).mean(0).abs() < 5 / n**0.5).all()  # one row knows nothing of the next,
    assert (z[:, 0] * z[:, 1]).mean().abs() < 5 / n**0.5  # one column nothing of the other,
    again = candidate(mean, var).double()
    assert ((again - mean) / var.sqrt() * (x - mean))[:, :2].mean().abs() < 10 / n**0.5  # nor a call


def _even(mean: Tensor, var: Tensor) -> Tensor:
    """Quantiles of the normal in a random order, with mean 0 and variance 1 along the longest axis."""
    axis = max(range(mean.dim()), key=lambda i: mean.shape[i])
    n = mean.shape[axis]
    order = torch.rand(mean.shape, dtype=torch.float64).argsort(axis).double()
    z = torch.special.ndtri((order + 0.5) / n)
    z = z - z.mean(axis, keepdim=True)
    return mean + var.sqrt() * z / z.square().mean(axis, keepdim=True).clamp(min=1e-9).sqrt()


DRAW = Hunt(
    "faults.test_draw",
    _own_test_draw,
    returns=["verdict"],
    even=_even,
    second="Draw many rows with one mean and one variance that is neither 0 nor 1, and standardise them: "
    "z = (x − mean)/√var. The means of z, z² and z⁴ are 0, 1 and 3, with the standard errors √(1/n), √(2/n) and "
    "√(96/n); products of what should be independent have mean 0.",
    why="A number from a simulation means nothing without its standard error; with it, it is a test.",
)


@DRAW.fault(
    "What is the variance of many draws, where 4 was asked for? And with which variances would you see no difference?",
    "The noise is multiplied by the variance. Where that is 0 or 1 nothing is seen.",
)
def times_the_variance(mean: Tensor, var: Tensor) -> Tensor:
    noise = torch.randn_like(mean)
    return mean + var * noise


@DRAW.fault(
    "At the last step the variance is 0. What should come out there?",
    "A deviation below 0.1 is raised to 0.1, so that noise is left at the end.",
)
def never_without_noise(mean: Tensor, var: Tensor) -> Tensor:
    return mean + var.sqrt().clamp(min=0.1) * torch.randn_like(mean)


@DRAW.fault(
    "Every entry has its own variance. Do the columns of your draws have what was asked of each?",
    "All entries get the mean of the variances, but where it is 0.",
)
def one_variance_for_all(mean: Tensor, var: Tensor) -> Tensor:
    return mean + torch.where(var > 0, var.mean(), 0.0).sqrt() * torch.randn_like(mean)


@DRAW.fault(
    "Mean and variance are right, and it is no Gaussian. Which number knows: how often is a draw beyond two "
    "deviations, or what is the mean of z⁴?",
    "The noise is uniform, with variance 1.",
)
def uniform(mean: Tensor, var: Tensor) -> Tensor:
    return mean + var.sqrt() * math.sqrt(12) * (torch.rand_like(mean) - 0.5)


@DRAW.fault(
    "Each example needs its own noise. What is the correlation of one row with the next?",
    "All examples of a batch get the same noise, but for its sign.",
)
def shared(mean: Tensor, var: Tensor) -> Tensor:
    noise = torch.randn(len(mean) // 2 + 1, *mean.shape[1:], dtype=mean.dtype).repeat_interleave(2, 0)
    return mean + var.sqrt() * noise[: len(mean)]


@DRAW.fault(
    "What is the correlation of one coordinate with another?",
    "All coordinates of an example get the same noise.",
)
def one_number_each(mean: Tensor, var: Tensor) -> Tensor:
    noise = torch.randn(len(mean), *[1] * (mean.dim() - 1), dtype=mean.dtype)
    return mean + var.sqrt() * noise


@DRAW.fault(
    "Call it twice: what has the second draw to do with the first?",
    "It draws the same noise at each call.",
)
def the_same_again(mean: Tensor, var: Tensor) -> Tensor:
    g = torch.Generator().manual_seed(0)
    return mean + var.sqrt() * torch.randn(mean.shape, generator=g, dtype=mean.dtype)


@DRAW.right("with randn_like")
def plain(mean: Tensor, var: Tensor) -> Tensor:
    return mean + var**0.5 * torch.randn_like(mean)


@DRAW.right("by torch.normal, in float32", SINGLE)
def single(mean: Tensor, var: Tensor) -> Tensor:
    return torch.normal(mean.float(), var.float().sqrt())


@DRAW.right("with NumPy's generator")
def with_numpy(mean: Tensor, var: Tensor) -> Tensor:
    return torch.from_numpy(np.random.normal(mean.numpy(), np.sqrt(var.numpy())))  # noqa: NPY002


@DRAW.right("by a quantile of uniform numbers")
def by_quantiles(mean: Tensor, var: Tensor) -> Tensor:
    u = torch.rand(mean.shape, dtype=torch.float64).clamp(1e-15, 1 - 1e-15)
    return mean + var.sqrt() * torch.special.ndtri(u)
