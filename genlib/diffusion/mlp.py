"""The network for points: no pixels, no neighbours, a few dense layers."""

from collections.abc import Sequence

from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from genlib.arguments import Depth, LabelOrNone, Width, checked
from genlib.diffusion.embedding import StepEmbedding, linear


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
        self.last = linear(width, 2 * dim if learned_variance else dim)
        nn.init.zeros_(self.last.weight)

    def _check_shape(self, shape: Sequence[int], name: str = "x_t") -> None:
        if len(shape) != 2 or shape[1] != self.dim:
            raise ValueError(f"{name}: expected shape (B, {self.dim}), got {tuple(shape)}")

    @checked
    def forward(self, x_t: Float[Tensor, "B ..."], t: Int64[Tensor, " B"], label: LabelOrNone = None) -> Tensor:
        """What the network says about x_t (B, D), float, at step t, (B,) int64.

        Args: label, as for `sampler`. Returns: (B, D), or (B, 2D) with `learned_variance`.
        Raises: ValueError for tensors of other kinds or shapes.
        """
        self._check_shape(x_t.shape)
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
