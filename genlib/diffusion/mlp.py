"""The network for points, a few dense layers; and how both networks are told the step and the label."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from genlib.arguments import Depth, LabelOrNone, Width, checked
from genlib.common import n_told


class MLP(nn.Module):
    """A denoiser for points: `mlp(x_t, t, label)`, like x_t. Before training its answer is 0.

    `depth` residual blocks of two dense layers; each is told the step, and the label if there is one.

    Args:
        dim: D, the dimension of the points; `width`, features of the hidden layers.
        n_classes, n_condition, learned_variance: as for `UNet`.
    Raises: ValueError for other numbers, or both n_classes and n_condition.
    Ref: sinusoidal steps: Ho et al. 2020, app. B; residual blocks: He et al. 2016.
    """

    @checked
    def __init__(
        self,
        dim: Width = 2,
        width: Width = 128,
        depth: Depth = 3,
        n_classes: Width | None = None,
        learned_variance: bool = False,
        n_condition: Width | None = None,
    ) -> None:
        super().__init__()
        self.dim, self.learned_variance = dim, learned_variance
        self.n_classes, self.n_condition = n_classes, n_condition
        self.embedding = StepEmbedding(width, width, n_classes, n_condition)
        self.first = linear(dim, width)
        self.blocks = nn.ModuleList(map(_Block, [width] * depth))
        self.last = linear(width, 2 * dim if learned_variance else dim, gain=0.0)

    def _check_shape(self, shape: Sequence[int], name: str = "x_t") -> None:
        if len(shape) != 2 or shape[1] != self.dim:
            raise ValueError(f"{name}: expected shape (B, {self.dim}), got {tuple(shape)}")

    @checked
    def forward(self, x_t: Float[Tensor, "B {self.dim}"], t: Int64[Tensor, " B"], label: LabelOrNone = None) -> Tensor:
        """The answer to x_t (B, D) at step t (B,) int64; label as for `sampler`. Raises: ValueError for others."""
        told = self.embedding(t, label)
        h = self.first(x_t)
        for block in self.blocks:
            h = block(h, told)
        return self.last(functional.silu(h))


class _Block(nn.Module):
    """h plus two dense layers of it; the step comes in between them, as in the U-Net."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense_1, self.condition, self.dense_2 = linear(width, width), linear(width, width), linear(width, width)

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        return h + self.dense_2(functional.silu(self.dense_1(functional.silu(h)) + self.condition(told)))


class StepEmbedding(nn.Module):
    """A vector for the step t, plus one for the class or the condition: (B, n_out), after its SiLU."""

    def __init__(self, n_features: int, n_out: int, n_classes: int | None, n_condition: int | None) -> None:
        super().__init__()
        n_told(n_classes, n_condition)  # refuses both
        self.hidden, self.out = linear(2 * math.ceil(n_features / 2), n_out), linear(n_out, n_out)
        # Row 0 stands for "none", row k + 1 for class k; of vectors, the last entry says "none".
        self.classes = nn.Embedding(n_classes + 1, n_out) if n_classes else None
        self.vectors = linear(n_condition + 1, n_out) if n_condition else None

    def forward(self, t: Tensor, label: Tensor | None) -> Tensor:
        features = time_features(t, self.hidden.in_features, self.hidden.weight.dtype)
        told = self.out(functional.silu(self.hidden(features)))
        if self.classes is not None:
            told = told + self.classes(torch.zeros_like(t) if label is None else label + 1)
        if self.vectors is not None:
            c = told.new_full((len(t), self.vectors.in_features - 1), math.nan) if label is None else label
            none = c.isnan().any(1, keepdim=True)
            told = told + self.vectors(torch.cat([c.masked_fill(none, 0), none.to(c.dtype)], dim=1))
        return functional.silu(told)


def time_features(t: Tensor, n: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Sines and cosines of t, at n/2 frequencies from 1 down to 1/10000: (B, n). Ref: Vaswani et al. 2017, §3.5."""
    # In bfloat16 a step above 256 could not even be written down, so the angles are never below float32.
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    frequency = torch.exp(torch.arange(n // 2, device=t.device, dtype=exact) * (-math.log(10000) / max(n // 2 - 1, 1)))
    angle = t.to(exact)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1).to(dtype)


def linear(n_in: int, n_out: int, gain: float = 1.0) -> nn.Linear:
    linear = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(linear.weight, gain)
    nn.init.zeros_(linear.bias)
    return linear
