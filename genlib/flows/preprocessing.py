"""From the levels of a picture to numbers that a flow can bend, and how much of log p(x) that makes.

A density is for real numbers; a picture is made of whole ones. So its levels 0..L − 1 get uniform noise, and x lies in
[0, 1]. What the density gives to the noisy picture is, on average, at most what the model gives to the picture itself:

    log P(x_int) = log ∫ p((x_int + u)/L) du − D log L  ≥  E_u[log p((x_int + u)/L)] − D log L,    u uniform on [0, 1)^D

Ref: Theis et al. 2016, §3.1.
"""

import math

import torch
from torch import Tensor

from genlib.arguments import check_int, check_number, check_tensor
from genlib.flows.layer import Layer, per_example


def dequantize(
    x_int: Tensor, levels: int, generator: torch.Generator | None = None, dtype: torch.dtype | None = None
) -> Tensor:
    """x = (x_int + u)/levels with u uniform on [0, 1), new for every pixel.

    Args:
        x_int: any shape, whole numbers in 0..levels − 1.
        levels: at least 2; 256 for most pictures, 17 for the digits.
    Returns:
        x, like x_int, float, in [0, 1].
    Raises:
        ValueError: for floats, and for values outside of 0..levels − 1.
    """
    check_levels(x_int, levels)
    return dequantized(x_int, levels, generator, dtype)


def dequantized(
    x_int: Tensor, levels: int, generator: torch.Generator | None = None, dtype: torch.dtype | None = None
) -> Tensor:
    """`dequantize` without its checks of values, which would stall a GPU at every step."""
    dtype = torch.get_default_dtype() if dtype is None else dtype
    device = x_int.device if generator is None else generator.device
    u = torch.rand(x_int.shape, dtype=dtype, device=device, generator=generator).to(x_int.device)
    return (u + x_int) / levels


def quantize(x: Tensor, levels: int) -> Tensor:
    """The picture that x is a noisy form of: floor(levels · x), between 0 and levels − 1; int64, like x."""
    check_tensor("x", x)
    levels = check_int("levels", levels, 2)
    return (x * levels).floor().clamp(0, levels - 1).long()


class Logit(Layer):
    """From (0, 1), where pixels are, to the whole line, where Gaussians are.

        z = logit(α + (1 − 2α) x),    log |det ∂z/∂x| = Σ [log(1 − 2α) − log y − log(1 − y)],  y = α + (1 − 2α) x

    α keeps 0 and 1 from going to infinity. (With 1 − α in place of 1 − 2α, as printed in the paper, 1 still does.)

    Args:
        alpha: α in (0, ½).
    Ref: Dinh et al. 2017, §4.1.
    """

    def __init__(self, alpha: float = 0.05) -> None:
        super().__init__()
        self.alpha = check_number("alpha", alpha, 0, 0.5, inside=True)

    def squeezed(self, x: Tensor) -> Tensor:
        """y = α + (1 − 2α) x, which has a logit strictly between 0 and 1."""
        return self.alpha + (1 - 2 * self.alpha) * x

    def push(self, x: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        y = self.squeezed(x)
        log_y, log_rest = y.log(), torch.log1p(-y)
        terms.append(per_example(math.log(1 - 2 * self.alpha) - log_y - log_rest))
        return log_y - log_rest

    def pull(self, z: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        log_y, log_rest = torch.nn.functional.logsigmoid(z), torch.nn.functional.logsigmoid(-z)
        terms.append(per_example(math.log(1 - 2 * self.alpha) - log_y - log_rest))
        return (z.sigmoid() - self.alpha) / (1 - 2 * self.alpha)


class Standardise(Layer):
    """A fixed scale and shift, so that x has about mean 0 and deviation 1.

        z = (x − mean)/std,    log |det ∂z/∂x| = −D log std

    Args:
        mean, std: those of x; left out, those of the uniform distribution on [0, 1].
    """

    def __init__(self, mean: float = 0.5, std: float = 12**-0.5) -> None:
        super().__init__()
        self.mean = check_number("mean", mean)
        self.std = check_number("std", std, 0, inside=True)

    def push(self, x: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        terms.append(self._count(x))
        return (x - self.mean) / self.std

    def pull(self, z: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        terms.append(self._count(z))
        return z * self.std + self.mean

    def _count(self, x: Tensor) -> Tensor:
        return x.new_full((len(x),), -math.log(self.std) * math.prod(x.shape[1:]))


def check_levels(x_int: Tensor, levels: int) -> None:
    """Raise `ValueError` unless x_int holds whole numbers in 0..levels − 1."""
    check_tensor("x_int", x_int, dtype="int")
    levels = check_int("levels", levels, 2)
    low, high = (int(x_int.min()), int(x_int.max())) if x_int.numel() else (0, 0)
    if low < 0 or high >= levels:
        raise ValueError(f"x_int: expected 0..{levels - 1}, for levels={levels}, got {low}..{high}")
