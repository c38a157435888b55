"""A transformer in the place of the U-Net: every patch of the picture looks at every other one, in every block."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from genlib.arguments import Depth, LabelOrNone, Width, checked
from genlib.diffusion.mlp import StepEmbedding, linear, time_features
from genlib.diffusion.unet import check_pictures


class DiT(nn.Module):
    """A denoiser for pictures: `dit(x_t, t, label)`, like x_t. Before training a block does nothing, the answer is 0.

    The picture is cut into squares of patch × patch pixels, each a vector of `width` numbers, to which its place is
    added as sines and cosines. Then `depth` blocks, told the step and the label by adaLN-zero: six vectors, linear in
    what is told and 0 at first, shift, scale and gate what goes through attention, and through two dense layers:

        h ← h + g · attention((1 + c) norm(h) + s),      h ← h + g' · dense((1 + c') norm(h) + s')

    Args:
        channels: C of the pictures. H and W must be divisible by `patch`.
        width: a multiple of 4 and of `heads`.
        n_classes, n_condition, learned_variance: as for `UNet`.
    Raises: ValueError for other numbers, or both n_classes and n_condition.
    Ref: Peebles & Xie 2023; the transformer: Vaswani et al. 2017.
    """

    @checked
    def __init__(
        self,
        channels: Width = 1,
        width: Width = 64,
        depth: Depth = 4,
        heads: Width = 4,
        patch: Width = 2,
        n_classes: Width | None = None,
        learned_variance: bool = False,
        n_condition: Width | None = None,
    ) -> None:
        super().__init__()
        if width % 4 or width % heads:
            raise ValueError(f"width: expected a multiple of 4 and of the {heads} heads, got {width}")
        self.channels, self.patch, self.learned_variance = channels, patch, learned_variance
        self.n_classes, self.n_condition, self.heads = n_classes, n_condition, heads
        self.embedding = StepEmbedding(256, width, n_classes, n_condition)
        self.first = linear(patch**2 * channels, width)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.modulation = linear(width, 2 * width, gain=0.0)
        self.last = linear(width, patch**2 * (2 * channels if learned_variance else channels), gain=0.0)

    @classmethod
    @checked
    def paper(cls, size: Literal["S", "B", "L", "XL"] = "XL", **changes: Any) -> "DiT":
        """The networks of the paper for ImageNet's latents, 4 × 32 × 32, with patches of 2; XL/2 has 674,834,720
        parameters, and 294,912 numbers that say where a patch is. Args, Raises: as for `UNet.paper`.
        Ref: Peebles & Xie 2023, table 1.
        """
        width, depth, heads = {"S": (384, 12, 6), "B": (768, 12, 12), "L": (1024, 24, 16), "XL": (1152, 28, 16)}[size]
        preset = {"channels": 4, "width": width, "depth": depth, "heads": heads, "n_classes": 1000}
        return cls(**{**preset, "learned_variance": True, **changes})

    @classmethod
    def digits(cls, **changes: Any) -> "DiT":
        """A small one for the 8 × 8 digits: 146,932 parameters, 10 classes; changed as `paper`."""
        return cls(**{"channels": 1, "width": 48, "depth": 3, "heads": 4, "n_classes": 10, **changes})

    def config(self) -> dict[str, Any]:
        """What the weights do not say."""
        return {"heads": self.heads, "patch": self.patch}

    def _check_shape(self, shape: Sequence[int], name: str = "x_t") -> None:
        check_pictures(shape, name, self.channels, self.patch)

    @checked
    def forward(self, x_t: Float[Tensor, "B ..."], t: Int64[Tensor, " B"], label: LabelOrNone = None) -> Tensor:
        """The answer to x_t (B, C, H, W) at step t, (B,); label as for `sampler`. Raises: ValueError for others."""
        self._check_shape(x_t.shape)
        told = self.embedding(t, label)
        squares = functional.pixel_unshuffle(x_t, self.patch)  # (B, patch² C, rows, columns)
        rows, columns = squares.shape[2:]
        h = self.first(squares.flatten(2).mT)
        h = h + places(rows, columns, h)
        for block in self.blocks:
            h = block(h, told)
        shift, scale = self.modulation(told)[:, None].chunk(2, dim=2)
        out = self.last(_modulated(h, shift, scale)).mT
        return functional.pixel_shuffle(out.unflatten(2, (rows, columns)), self.patch)


class _Block(nn.Module):
    """Attention between all patches, and two dense layers for each of them, both modulated by what is told."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.modulation = heads, linear(width, 6 * width, gain=0.0)
        self.q_k_v, self.out = linear(width, 3 * width), linear(width, width)
        self.dense_1, self.dense_2 = linear(width, 4 * width), linear(4 * width, width)

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = self.modulation(told)[:, None].chunk(6, dim=2)
        h = h + gate_1 * self._attend(_modulated(h, shift_1, scale_1))
        return h + gate_2 * self.dense_2(functional.gelu(self.dense_1(_modulated(h, shift_2, scale_2))))

    def _attend(self, h: Tensor) -> Tensor:
        """softmax(q kᵀ/√d) v over the patches, in every head."""
        q, k, v = self.q_k_v(h).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (B, heads, N, d)
        return self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def _modulated(h: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return (1 + scale) * functional.layer_norm(h, h.shape[-1:], eps=1e-6) + shift


def places(rows: int, columns: int, like: Tensor) -> Tensor:
    """Where each patch is, (rows · columns, width): sines and cosines of its row, then of its column."""
    n = like.shape[-1] // 2
    row, column = (time_features(torch.arange(k, device=like.device), n, like.dtype) for k in (rows, columns))
    return torch.cat([row[:, None].expand(-1, columns, -1), column.expand(rows, -1, -1)], dim=2).flatten(0, 1)
