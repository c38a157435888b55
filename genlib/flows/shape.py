"""Layers that move pixels about: they stretch nothing, and make pictures of several scales possible."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from genlib.arguments import checked
from genlib.common import wide
from genlib.flows.layer import Condition, Pair, as_layer
from genlib.flows.masks import as_mask, in_short

X = Float[Tensor, "B {self.n} ..."]
Pictures = Float[Tensor, "B C H W"]


class Squeeze(nn.Module):
    """Every 2 × 2 square of pixels becomes one pixel of four times the channels: (B, C, H, W) to (B, 4C, H/2, W/2).

    Channel i·C + c is channel c of the i-th corner: top left, top right, bottom left, bottom right. log |det| = 0.
    Raises: ValueError for a height or width that is odd; for the inverse, for channels that are not divisible by 4.
    Ref: Dinh et al. 2017, §3.6.
    """

    @checked
    def forward(self, x: Pictures, condition: Condition = None) -> Pair:
        B, C, H, W = x.shape
        if H % 2 or W % 2:
            raise ValueError(f"x: expected an even height and width, to be halved, got shape {tuple(x.shape)}")
        z = x.reshape(B, C, H // 2, 2, W // 2, 2).permute(0, 3, 5, 1, 2, 4)
        return z.reshape(B, 4 * C, H // 2, W // 2), x.new_zeros(B, dtype=wide(x))

    @checked
    def inverse(self, z: Pictures, condition: Condition = None) -> Pair:
        B, C, H, W = z.shape
        if C % 4:
            raise ValueError(f"z: expected channels divisible by 4, got shape {tuple(z.shape)}")
        x = z.reshape(B, 2, 2, C // 4, H, W).permute(0, 3, 4, 1, 5, 2)
        return x.reshape(B, C // 4, 2 * H, 2 * W), z.new_zeros(B, dtype=wide(z))


class FactorOut(nn.Module):
    """Some channels go on through further layers, the others are finished: they are part of z as they are.

        z = (inner(x_1), x_2),    log |det ∂z/∂x| = that of `inner`

    Args: inner, a layer that leaves shapes as they are; mask, (C,) bool, True for the channels that go on.
    Raises: ValueError for what is no layer or no such mask; in use, for an inner layer that changes shapes.
    Ref: Dinh et al. 2017, eqs. 13–16; lecture 03 (19).
    """

    mask: Tensor

    @checked
    def __init__(self, inner: nn.Module, mask: Bool[Tensor, " C"] | Sequence[bool]) -> None:
        super().__init__()
        self.inner = as_layer("inner", inner)
        self.register_buffer("mask", as_mask(mask))
        self.n, self.n_on = len(self.mask), int(self.mask.sum())

    @checked
    def forward(self, x: X, condition: Condition = None) -> Pair:
        return self._through(self.inner, x, condition)

    @checked
    def inverse(self, z: X, condition: Condition = None) -> Pair:
        return self._through(self.inner.inverse, z, condition)

    def _through(self, inner: Callable[..., Pair], x: Tensor, condition: Tensor | None) -> Pair:
        order = torch.argsort(~self.mask, stable=True)  # what goes on stands first
        goes_on, finished = x.index_select(1, order).split_with_sizes([self.n_on, self.n - self.n_on], 1)
        out, log_det = inner(goes_on, condition)
        if out.shape != goes_on.shape:
            came = f"{tuple(goes_on.shape)} to {tuple(out.shape)}"
            raise ValueError(f"inner: expected a layer that leaves shapes as they are, got one from {came}")
        return torch.cat([out, finished], dim=1).index_select(1, torch.argsort(order)), log_det

    def extra_repr(self) -> str:
        return f"mask={'...' if self.mask.is_meta else in_short(self.mask)}"
