"""From the levels of a picture, 0..L − 1, to real numbers that a flow can bend, and how much of log p(x) that makes.

    log P(x_int) = log ∫ p((x_int + u)/L) du − D log L  ≥  E_u[log p((x_int + u)/L)] − D log L,    u uniform on [0, 1)^D

Ref: Theis et al. 2016, §3.1.
"""

import math
from typing import Annotated

import torch
from jaxtyping import Float, Integer
from torch import Generator, Tensor, nn
from torch.nn.functional import logsigmoid

from genlib.arguments import Levels, checked
from genlib.common import wide
from genlib.flows.layer import Condition, Pair, X, total


@checked
def dequantize(
    x_int: Annotated[Integer[Tensor, "..."], "[0, {levels})"],
    levels: Levels,
    generator: Generator | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """x = (x_int + u)/levels with u uniform on [0, 1), new for every pixel: like x_int, in [0, 1].
    Args: levels, 256 for most pictures, 17 for the digits; dtype, a float type, or None for torch's default.
    Raises: ValueError for floats, and for values outside of 0..levels − 1. Lecture 03 (9).
    """
    like = torch.empty(0, dtype=dtype)
    if not like.is_floating_point():
        raise ValueError(f"dtype: expected a float type, got {dtype}")
    device = x_int.device if generator is None else generator.device
    u = torch.rand(x_int.shape, dtype=wide(like), device=device, generator=generator).to(x_int.device)
    return ((u + x_int) / levels).to(like.dtype)


@checked
def quantize(x: Annotated[Float[Tensor, "..."], "finite"], levels: Levels) -> Tensor:
    """floor(levels · x), between 0 and levels − 1, int64: x's levels. Raises: ValueError for NaN, ±∞, integers."""
    return (x.to(wide(x)) * levels).floor().clamp(0, levels - 1).long()


class Logit(nn.Module):
    """From (0, 1), where pixels are, to the whole line, where Gaussians are.

        z = logit(α + (1 − 2α) x),    log |det ∂z/∂x| = Σ [log(1 − 2α) − log y − log(1 − y)],  y = α + (1 − 2α) x

    α in (0, ½) keeps 0 and 1 from going to infinity. (With 1 − α for 1 − 2α, as printed in the paper, 1 still does.)
    Raises: ValueError for α out of range; for x far outside of [0, 1], where z has no value.
    Ref: Dinh et al. 2017, §4.1; lecture 03 (11).
    """

    @checked
    def __init__(self, alpha: Annotated[float, "(0, 0.5)"] = 0.05) -> None:
        super().__init__()
        self.alpha, self.slope = alpha, 1 - 2 * alpha
        room = (alpha - min(alpha / 2, 1e-6)) / self.slope  # at the very ends, y would be rounded to 0 or 1
        self.low, self.high = -room, 1 + room

    @checked
    def forward(self, x: Annotated[X, "({self.low}, {self.high})"], condition: Condition = None) -> Pair:
        y = self.alpha + self.slope * x.to(wide(x))
        log_y, log_rest = y.log(), torch.log1p(-y)
        return (log_y - log_rest).to(x.dtype), total(math.log(self.slope) - log_y - log_rest)

    @checked
    def inverse(self, z: X, condition: Condition = None) -> Pair:
        log_y, log_rest = logsigmoid(z), logsigmoid(-z)
        return (z.sigmoid() - self.alpha) / self.slope, -total(math.log(self.slope) - log_y - log_rest)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"
