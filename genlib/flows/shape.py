"""Layers that move pixels about: they stretch nothing, and make pictures of several scales possible."""

import torch
from torch import Tensor

from genlib.arguments import check_tensor
from genlib.flows.layer import Layer, check_part
from genlib.flows.masks import check_mask


class Squeeze(Layer):
    """Every 2 × 2 square of pixels becomes one pixel of four times the channels: (B, C, H, W) to (B, 4C, H/2, W/2).

    Channel i·C + c of the result is channel c of the i-th corner: top left, top right, bottom left, bottom right. A
    permutation, so log |det| = 0.

    Raises:
        ValueError: for a height or width that is odd.
    Ref: Dinh et al. 2017, §3.6.
    """

    def check(self, name: str, x: Tensor) -> None:
        check_tensor(name, x, ("B", "C", "H", "W"))
        if name == "z" and x.shape[1] % 4:
            raise ValueError(f"z: expected channels divisible by 4, got shape {tuple(x.shape)}")
        if name == "x" and (x.shape[2] % 2 or x.shape[3] % 2):
            raise ValueError(f"x: expected an even height and width, to be halved, got shape {tuple(x.shape)}")

    def push(self, x: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        B, C, H, W = x.shape
        x = x.reshape(B, C, H // 2, 2, W // 2, 2)
        return x.permute(0, 3, 5, 1, 2, 4).reshape(B, 4 * C, H // 2, W // 2)

    def pull(self, z: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        B, C, H, W = z.shape
        return z.reshape(B, 2, 2, C // 4, H, W).permute(0, 3, 4, 1, 5, 2).reshape(B, C // 4, 2 * H, 2 * W)


class FactorOut(Layer):
    """Some channels go on through further layers, the others are finished: they are part of z as they are.

        z = (inner(x_1), x_2),    log |det ∂z/∂x| = that of `inner`

    Args:
        inner: what the channels that go on go through; it must leave their shape as it is.
        mask: (C,) bool, True for the channels that go on.
    Ref: Dinh et al. 2017, eqs. 13–16.
    """

    order: Tensor
    back: Tensor

    def __init__(self, inner: Layer, mask: Tensor) -> None:
        super().__init__()
        if not isinstance(inner, Layer):
            raise ValueError(f"inner: expected a Layer, got {type(inner).__name__}")
        mask = check_mask(mask)
        if mask.dim() != 1:
            raise ValueError(f"mask: expected shape (C,), got {tuple(mask.shape)}")
        self.inner, self.n_on = inner, int(mask.sum())
        self.register_buffer("order", torch.argsort(~mask, stable=True), persistent=False)
        self.register_buffer("back", torch.argsort(self.order), persistent=False)

    def check(self, name: str, x: Tensor) -> None:
        super().check(name, x)
        check_tensor(name, x, ("B", len(self.order), "..."))

    def push(self, x: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        return self._through("x", x, condition, terms)

    def pull(self, z: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        return self._through("z", z, condition, terms)

    def _through(self, name: str, x: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        x = x.index_select(1, self.order)
        goes_on, finished = x[:, : self.n_on], x[:, self.n_on :]
        check_part(self.inner, name, goes_on)
        out = (self.inner.push if name == "x" else self.inner.pull)(goes_on, condition, terms)
        if out.shape != goes_on.shape:
            came = f"{tuple(goes_on.shape)} to {tuple(out.shape)}"
            raise ValueError(f"inner: expected a layer that leaves shapes as they are, got one from {came}")
        return torch.cat([out, finished], dim=1).index_select(1, self.back)
