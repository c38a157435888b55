"""The network for points: no pixels, no neighbours, a few dense layers."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from genlib.arguments import check_int, check_tensor
from genlib.diffusion.embedding import StepEmbedding, linear


class MLP(nn.Module):
    """A denoiser for points: `mlp(x_t, t, label)`, like x_t.

    `depth` residual blocks of two dense layers; each is told the step, and the class if there is one. Its last layer
    starts at zero, so before training the answer is 0.

    Args:
        dim: D, the dimension of the points.
        width: features of the hidden layers.
        depth: the number of blocks.
        n_classes: classes 0..n_classes − 1; None is a network without labels.
        learned_variance: give 2D numbers, the second half for `DDPM(variance="learned")`.
    Ref: sinusoidal steps: Ho et al. 2020, app. B; residual blocks: He et al. 2016.

    >>> import torch
    >>> MLP(dim=2, width=16)(torch.zeros(5, 2), torch.full((5,), 3)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        dim: int = 2,
        width: int = 128,
        depth: int = 3,
        n_classes: int | None = None,
        learned_variance: bool = False,
    ) -> None:
        super().__init__()
        self.dim = check_int("dim", dim)
        width, depth = check_int("width", width), check_int("depth", depth)
        self.n_classes = None if n_classes is None else check_int("n_classes", n_classes)
        self.learned_variance = bool(learned_variance)
        self.embedding = StepEmbedding(width, width, self.n_classes)
        self.first = linear(self.dim, width)
        self.blocks = nn.ModuleList([_Block(width) for _ in range(depth)])
        self.last = linear(width, 2 * self.dim if learned_variance else self.dim)
        nn.init.zeros_(self.last.weight)

    def check_shape(self, shape: Sequence[int]) -> None:
        """Raise `ValueError` unless points of this shape, (B, D), can go through."""
        if len(shape) != 2 or shape[1] != self.dim:
            raise ValueError(f"x_t: expected shape (B, {self.dim}), got {tuple(shape)}")

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """What the network says about x_t.

        Args:
            x_t: (B, D), float.
            t: (B,) int64, the step.
            label: (B,) int64, −1 where there is none; or None, for none at all.
        Returns:
            (B, D), or (B, 2D) with `learned_variance`.
        """
        check_tensor("x_t", x_t, ("B", "..."))
        self.check_shape(x_t.shape)
        condition = self.embedding(t, label, x_t)
        h = self.first(x_t)
        for block in self.blocks:
            h = block(h, condition)
        return self.last(functional.silu(h))


class _Block(nn.Module):
    """h plus two dense layers of it; the step comes in between them, as in the U-Net."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense_1, self.condition, self.dense_2 = linear(width, width), linear(width, width), linear(width, width)

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        return h + self.dense_2(functional.silu(self.dense_1(functional.silu(h)) + self.condition(condition)))
