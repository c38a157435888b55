"""Layers that move pixels about: they stretch nothing, and make pictures of several scales possible."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from genlib.arguments import checked
from genlib.flows.layer import Condition, Pair, wide
from genlib.flows.masks import Mask, Split


class Squeeze(nn.Module):
    """Every 2 × 2 square of pixels becomes one pixel of four times the channels: (B, C, H, W) to (B, 4C, H/2, W/2).

    Channel i·C + c of the result is channel c of the i-th corner: top left, top right, bottom left, bottom right. A
    permutation, so log |det| = 0.

    Raises: ValueError for a height or width that is odd; for the inverse, for channels that are not divisible by 4.
    Ref: Dinh et al. 2017, §3.6.
    """

    @checked
    def forward(self, x: Float[Tensor, "B C H W"], condition: Condition = None) -> Pair:
        B, C, H, W = x.shape
        if H % 2 or W % 2:
            raise ValueError(f"x: expected an even height and width, to be halved, got shape {tuple(x.shape)}")
        z = x.reshape(B, C, H // 2, 2, W // 2, 2).permute(0, 3, 5, 1, 2, 4)
        return z.reshape(B, 4 * C, H // 2, W // 2), x.new_zeros(B, dtype=wide(x))

    @checked
    def inverse(self, z: Float[Tensor, "B C H W"], condition: Condition = None) -> Pair:
        B, C, H, W = z.shape
        if C % 4:
            raise ValueError(f"z: expected channels divisible by 4, got shape {tuple(z.shape)}")
        x = z.reshape(B, 2, 2, C // 4, H, W).permute(0, 3, 4, 1, 5, 2)
        return x.reshape(B, C // 4, 2 * H, 2 * W), z.new_zeros(B, dtype=wide(z))


class FactorOut(Split):
    """Some channels go on through further layers, the others are finished: they are part of z as they are.

        z = (inner(x_1), x_2),    log |det ∂z/∂x| = that of `inner`

    Args:
        inner: the layer that the channels that go on go through; it must leave their shape as it is.
        mask: (C,) bool, True for the channels that go on.
    Raises: ValueError for what is no layer or no such mask; in use, for an inner layer that changes shapes.
    Ref: Dinh et al. 2017, eqs. 13–16.
    """

    @checked
    def __init__(self, inner: nn.Module, mask: Mask) -> None:
        super().__init__(mask)
        if not hasattr(inner, "inverse"):
            raise ValueError(f"inner: expected a Module with an inverse, got a {type(inner).__name__}")
        if self.mask.dim() != 1:
            raise ValueError(f"mask: expected shape (C,), got {tuple(self.mask.shape)}")
        self.inner: Any = inner

    @checked
    def forward(self, x: Float[Tensor, "B {self.n} ..."], condition: Condition = None) -> Pair:
        return self._through(self.inner, x, condition)

    @checked
    def inverse(self, z: Float[Tensor, "B {self.n} ..."], condition: Condition = None) -> Pair:
        return self._through(self.inner.inverse, z, condition)

    def _through(self, inner: Callable[..., Pair], x: Tensor, condition: Tensor | None) -> Pair:
        goes_on, finished = self._parts(x)
        out, log_det = inner(goes_on, condition)
        if out.shape != goes_on.shape:
            came = f"{tuple(goes_on.shape)} to {tuple(out.shape)}"
            raise ValueError(f"inner: expected a layer that leaves shapes as they are, got one from {came}")
        return self._whole(out, finished), log_det
