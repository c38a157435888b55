"""Two small networks for pictures, or points, of a class or under another condition: dense layers, for a laptop."""

import itertools
import math
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn.functional import dropout, leaky_relu, relu

from genlib.arguments import Depth, Dropout, Label, Natural, Sizes, Width, checked
from genlib.common import draw, evaluating, told

Told = Annotated[Tensor, "label"]  # see `arguments.Label`
Noise = Annotated[Float[Tensor, "B {self.latent}"], "finite"]


class Labelled(nn.Module):
    """What the two have in common: the shape of one picture, (C, H, W), and what a label is."""

    def __init__(self, shape: Sizes, n_classes: int | None, n_condition: int | None) -> None:
        super().__init__()
        if not 1 <= math.prod(shape) * len(shape) <= 1_000_000:
            raise ValueError(f"shape: expected the sizes of one picture, at most a million pixels, got {shape}")
        if n_classes and n_condition:
            raise ValueError(f"n_classes, n_condition: expected one of the two, got {n_classes} and {n_condition}")
        self.shape, self.n_condition = shape, n_condition
        self.n_classes = n_classes or (None if n_condition else 10)

    def config(self) -> dict[str, Any]:
        """What its weights do not say."""
        return {"shape": list(self.shape), "n_classes": self.n_classes, "n_condition": self.n_condition}


class MLPGenerator(Labelled):
    """G(label, z): a picture of a class, (B, *shape), in [−1, 1].

    Args:
        shape: that of one picture, (C, H, W).
        n_classes, n_condition: a label is one of so many classes, or a vector of so many numbers; without either, one
            of ten digits.
        latent: the dimension of z, which is N(0, I).
        width, depth: features and number of hidden layers; each is dense, batch norm, ReLU.
    Raises: ValueError for labels of both kinds, or over a million pixels.
    """

    @checked
    def __init__(
        self,
        shape: Sizes = (1, 8, 8),
        n_classes: Width | None = None,
        latent: Width = 32,
        width: Width = 256,
        depth: Depth = 2,
        *,
        n_condition: Width | None = None,
    ) -> None:
        super().__init__(shape, n_classes, n_condition)
        self.latent = latent
        sizes = [latent + (self.n_classes or n_condition or 0), *[width] * depth]
        self.hidden = nn.ModuleList([nn.Linear(a, b) for a, b in itertools.pairwise(sizes)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(size) for size in sizes[1:]])
        self.last = nn.Linear(width, math.prod(shape))

    @checked
    def forward(self, label: Told, z: Noise | None = None, generator: Generator | None = None) -> Tensor:
        """(B, *shape). label: (B,) int64, or (B, n_condition); z: (B, latent), drawn if left out.

        Raises: ValueError for fewer than two examples in training, for batch norm would make 0 of one.
        """
        if self.training and len(label) < 2:
            raise ValueError(f"label: expected at least two examples in training, got {len(label)}")
        h = draw((len(label), self.latent), self.last.weight, generator) if z is None else z
        h = torch.cat([h, told(label, self.n_classes, h)], dim=1)  # type: ignore[list-item]
        for layer, norm in zip(self.hidden, self.norms, strict=True):
            h = relu(norm(layer(h)))
        return torch.tanh(self.last(h)).view(len(label), *self.shape)

    @checked
    def sample(self, n: Natural, label: Label = None, generator: Generator | None = None) -> Tensor:
        """n pictures of these labels, or of the one class, in evaluation and without gradients: (n, *shape)."""
        with evaluating(self):
            return self(label, generator=generator)


class ProjectionDiscriminator(Labelled):
    """D(label, y): one logit for each picture, given its class; where a label is a vector c, V c stands for e_label.

        D(label, y) = wᵀ φ(y) + b + e_labelᵀ φ(y)

    Args:
        shape, n_classes, n_condition, width, depth: as for `MLPGenerator`.
        dropout: the share of hidden features that is dropped in training.
    Ref: Miyato & Koyama 2018, eq. 3.
    """

    @checked
    def __init__(
        self,
        shape: Sizes = (1, 8, 8),
        n_classes: Width | None = None,
        width: Width = 256,
        depth: Depth = 2,
        dropout: Dropout = 0.0,
        *,
        n_condition: Width | None = None,
    ) -> None:
        super().__init__(shape, n_classes, n_condition)
        self.dropout = dropout
        sizes = [math.prod(shape), *[width] * depth]
        self.hidden = nn.ModuleList([nn.Linear(a, b) for a, b in itertools.pairwise(sizes)])
        self.last = nn.Linear(width, 1)
        vectors = nn.Linear(n_condition, width, bias=False) if n_condition else None
        self.embedding = vectors or nn.Embedding(self.n_classes or 0, width)
        nn.init.zeros_(self.embedding.weight)

    @checked
    def forward(self, label: Told | None, y: Float[Tensor, "B {self.shape}"]) -> Tensor:
        """(B, 1) logits. label: as for `MLPGenerator`, or None for a D that is not told it; y: (B, *shape)."""
        h = y.flatten(1)
        for layer in self.hidden:
            h = dropout(leaky_relu(layer(h), 0.2), self.dropout, self.training)
        logit = self.last(h)
        return logit if label is None else logit + (self.embedding(label) * h).sum(1, keepdim=True)

    def config(self) -> dict[str, Any]:
        """What its weights do not say."""
        return {**super().config(), "dropout": self.dropout}
