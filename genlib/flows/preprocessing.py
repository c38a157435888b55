"""From the levels of a picture to numbers that a flow can bend, and how much of log p(x) that makes.

A density is for real numbers; a picture is made of whole ones. So its levels 0..L − 1 get uniform noise, and x lies in
[0, 1]. What the density gives to the noisy picture is, on average, at most what the model gives to the picture itself:

    log P(x_int) = log ∫ p((x_int + u)/L) du − D log L  ≥  E_u[log p((x_int + u)/L)] − D log L,    u uniform on [0, 1)^D

Ref: Theis et al. 2016, §3.1.
"""

import math
from typing import Annotated

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from genlib.arguments import Levels, Number, Positive, checked
from genlib.flows.layer import Condition, Pair, X, total, wide


@checked
def dequantize(
    x_int: Annotated[Integer[Tensor, "..."], "[0, {levels})"],
    levels: Levels,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """x = (x_int + u)/levels with u uniform on [0, 1), new for every pixel: like x_int, float, in [0, 1].

    Args: x_int, whole numbers in 0..levels − 1, of any shape; levels, 256 for most pictures, 17 for the digits; dtype,
        a float type, or None for torch's default.
    Raises: ValueError for floats, and for values outside of 0..levels − 1.
    """
    dtype = torch.get_default_dtype() if dtype is None else dtype
    if not dtype.is_floating_point:
        raise ValueError(f"dtype: expected a float type, got {dtype}")
    exact = torch.promote_types(dtype, torch.float32)
    device = x_int.device if generator is None else generator.device
    u = torch.rand(x_int.shape, dtype=exact, device=device, generator=generator).to(x_int.device)
    return ((u + x_int) / levels).to(dtype)


@checked
def quantize(x: Annotated[Float[Tensor, "..."], "finite"], levels: Levels) -> Tensor:
    """The picture that x is a noisy form of: floor(levels · x), between 0 and levels − 1; int64, like x.

    Raises: ValueError for whole numbers, and for NaN or infinite values.
    """
    return (x.to(wide(x)) * levels).floor().clamp(0, levels - 1).long()


class Logit(nn.Module):
    """From (0, 1), where pixels are, to the whole line, where Gaussians are.

        z = logit(α + (1 − 2α) x),    log |det ∂z/∂x| = Σ [log(1 − 2α) − log y − log(1 − y)],  y = α + (1 − 2α) x

    α keeps 0 and 1 from going to infinity. (With 1 − α in place of 1 − 2α, as printed in the paper, 1 still does.)

    Args:
        alpha: α in (0, ½).
    Raises: ValueError for α out of range; for x that has no value: there is some room beside [0, 1], for samples that
        lie there, but none for whole numbers or for [−1, 1].
    Ref: Dinh et al. 2017, §4.1.
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


class Standardise(nn.Module):
    """A fixed scale and shift, so that x has about mean 0 and standard deviation 1.

        z = (x − mean)/std,    log |det ∂z/∂x| = −D log std

    Args:
        mean, std: those of x, std > 0; left out, those of the uniform distribution on [0, 1].
    Raises: ValueError for numbers out of range.
    """

    @checked
    def __init__(self, mean: Number = 0.5, std: Positive = 12**-0.5) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    @checked
    def forward(self, x: X, condition: Condition = None) -> Pair:
        return (x - self.mean) / self.std, total(x.new_full(x.shape, -math.log(self.std)))

    @checked
    def inverse(self, z: X, condition: Condition = None) -> Pair:
        return z * self.std + self.mean, total(z.new_full(z.shape, math.log(self.std)))

    def extra_repr(self) -> str:
        return f"mean={self.mean}, std={self.std}"
