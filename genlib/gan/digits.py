"""Two small networks for pictures of a class: dense layers, for a laptop."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from genlib.arguments import check_int, check_label, check_number, check_tensor
from genlib.common import draw
from genlib.gan.layers import check_batch


class MLPGenerator(nn.Module):
    """G(label, z): a picture of a class, (B, *shape), in [−1, 1].

    Args:
        shape: that of one picture, (C, H, W).
        n_classes: classes 0..n_classes − 1.
        latent: the dimension of z, which is N(0, I).
        width, depth: features and number of hidden layers; each is dense, batch norm, ReLU.
    """

    def __init__(
        self, shape: Sequence[int] = (1, 8, 8), n_classes: int = 10, latent: int = 32, width: int = 256, depth: int = 2
    ) -> None:
        super().__init__()
        self.shape = _sizes(shape)
        self.n_classes, self.latent = check_int("n_classes", n_classes), check_int("latent", latent)
        sizes = [self.latent + self.n_classes, *[check_int("width", width)] * check_int("depth", depth)]
        self.hidden = nn.ModuleList([nn.Linear(a, b) for a, b in itertools.pairwise(sizes)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(size) for size in sizes[1:]])
        self.last = nn.Linear(sizes[-1], math.prod(self.shape))

    def forward(self, label: Tensor, z: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """(B, *shape). label: (B,) int64; z: (B, latent), float, drawn if left out."""
        _check_label(label, self.n_classes)
        if z is None:
            z = draw((len(label), self.latent), self.last.weight, generator)
        check_tensor("z", z, (len(label), self.latent))
        check_batch("z", z, self)
        h = torch.cat([z, functional.one_hot(label, self.n_classes).to(z)], dim=1)
        for layer, norm in zip(self.hidden, self.norms, strict=True):
            h = functional.relu(norm(layer(h)))
        return torch.tanh(self.last(h)).view(len(label), *self.shape)


class ProjectionDiscriminator(nn.Module):
    """D(label, y): one logit for each picture, given its class.

        D(label, y) = wᵀ φ(y) + b + e_labelᵀ φ(y)

    Args:
        shape, n_classes, width, depth: as for `MLPGenerator`.
        dropout: the share of hidden features that is dropped in training.
    Ref: Miyato & Koyama 2018, eq. 3.
    """

    def __init__(
        self,
        shape: Sequence[int] = (1, 8, 8),
        n_classes: int = 10,
        width: int = 256,
        depth: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.shape = _sizes(shape)
        self.n_classes = check_int("n_classes", n_classes)
        self.dropout = check_number("dropout", dropout, 0, 1, inside="high")
        sizes = [math.prod(self.shape), *[check_int("width", width)] * check_int("depth", depth)]
        self.hidden = nn.ModuleList([nn.Linear(a, b) for a, b in itertools.pairwise(sizes)])
        self.last = nn.Linear(sizes[-1], 1)
        self.embedding = nn.Embedding(self.n_classes, sizes[-1])
        nn.init.zeros_(self.embedding.weight)

    def forward(self, label: Tensor | None, y: Tensor) -> Tensor:
        """(B, 1) logits. label: (B,) int64, or None for a D that is not told the class; y: (B, *shape), float."""
        check_tensor("y", y, ("B", *self.shape))
        check_batch("y", y, self)
        h = y.flatten(1)
        for layer in self.hidden:
            h = functional.leaky_relu(layer(h), 0.2)
            if self.dropout:
                h = functional.dropout(h, self.dropout, self.training)
        logit = self.last(h)
        if label is None:
            return logit
        _check_label(label, self.n_classes, len(y))
        return logit + (self.embedding(label) * h).sum(1, keepdim=True)


def _sizes(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, Sequence) or isinstance(shape, str) or not shape:
        raise ValueError(f"shape: expected the sizes of one picture, such as (1, 8, 8), got {shape!r}")
    return tuple(check_int("shape", size) for size in shape)


def _check_label(label: object, n_classes: int, batch: int | None = None) -> None:
    """Values are looked at on the CPU alone, where nothing waits for that."""
    check_label(label, n_classes, batch, values=isinstance(label, Tensor) and label.device.type == "cpu")
