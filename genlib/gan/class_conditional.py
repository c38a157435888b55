"""A GAN that is told what to draw: pictures, or points, given their class or another condition; for a laptop."""

import itertools
import math
from collections.abc import Iterator
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn.functional import dropout, leaky_relu, relu

from genlib.arguments import Depth, Dropout, Label, Natural, NonNegative, Sizes, Width, check, checked
from genlib.common import Turn, draw, n_told, told, unpack
from genlib.gan.networks import generate
from genlib.gan.objectives import Name, generator_loss
from genlib.gan.pix2pix import Pix2Pix

Told = Annotated[Tensor, "label"]  # see `arguments.Label`
Noise = Annotated[Float[Tensor, "B {self.latent}"], "finite"]


class Labelled(nn.Module):
    """What the two have in common: the shape of one picture, (C, H, W), and what a label is."""

    def __init__(self, shape: Sizes, n_classes: int | None, n_condition: int | None) -> None:
        super().__init__()
        if not 1 <= math.prod(shape) * len(shape) <= 1_000_000:
            raise ValueError(f"shape: expected the sizes of one picture, at most a million pixels, got {shape}")
        self.shape, self.n_condition = shape, n_condition
        self.n_classes = n_classes or (None if n_condition else 10)
        self.n_told = n_told(n_classes, n_condition) or 10

    def config(self) -> dict[str, Any]:
        """What its weights do not say."""
        return {"shape": list(self.shape), "n_classes": self.n_classes, "n_condition": self.n_condition}


class MLPGenerator(Labelled):
    """G(label, z): a picture of a class, (B, *shape), in [−1, 1], from z ~ N(0, I) with `latent` dimensions.

    Each of `depth` hidden layers of `width` features is dense, batch norm, ReLU. A label is one of `n_classes`, 10 if
    nothing is said, or a vector of `n_condition` numbers. Raises: ValueError for both, or over a million pixels.
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
        sizes = [latent + self.n_told, *[width] * depth]
        self.hidden = nn.ModuleList([nn.Linear(a, b) for a, b in itertools.pairwise(sizes)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(size) for size in sizes[1:]])
        self.last = nn.Linear(width, math.prod(shape))

    @checked
    def forward(self, label: Told, z: Noise | None = None, generator: Generator | None = None) -> Tensor:
        """(B, *shape). label: (B,) int64, or (B, n_condition); z: (B, latent), drawn if left out.
        Raises: ValueError for fewer than two examples in training, for batch norm would make 0 of one."""
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
        return generate(self, label, None, generator)  # type: ignore[arg-type]


class ProjectionDiscriminator(Labelled):
    """D(label, y): one logit for each picture, given its class; where a label is a vector c, V c stands for e_label.

        D(label, y) = wᵀ φ(y) + b + e_labelᵀ φ(y)

    Arguments are those of `MLPGenerator`; `dropout` is of hidden features. Ref: Miyato & Koyama 2018, eq. 3;
    lecture 02 (8).
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
        self.embedding = nn.Linear(self.n_told, width, bias=False) if n_condition else nn.Embedding(self.n_told, width)
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


class ClassConditional(Pix2Pix):
    """Trains G and D on pictures with their labels, (y, label): the game of `Pix2Pix`, without L1 and its kin.

        D    ½ [ E real(D(label, y)) + E fake(D(label, G(label, z))) ] + γ/2 R1
        G    E fool(D(label, G(label, z)))

    G and D are called as G(label, z=None, generator=None) and, for logits, D(label, y). D's own learning rate `lr_D` is
    three times as high as G's if left out; γ is `gamma`, the weight of R1.
    Ref: Mirza & Osindero 2014, eq. 2; two learning rates: Heusel et al. 2017.
    """

    @checked
    def __init__(
        self,
        G: nn.Module,
        D: nn.Module,
        objective: Name = "hinge",
        *,
        lr: NonNegative = 1.5e-3,
        lr_D: NonNegative | None = None,
        betas: tuple[Dropout, Dropout] = (0.5, 0.9),
        gamma: NonNegative = 0.0,
    ) -> None:
        super().__init__(G, D, 0.0, objective, lr=lr, lr_D=3 * lr if lr_D is None else lr_D, betas=betas, gamma=gamma)

    @checked
    def losses(self, batch: Any, generator: Generator | None = None) -> Iterator[Turn]:
        """("D", its loss, logs), then ("G", its loss, {}), which share one forward pass of G."""
        y, label = unpack(batch, pair=True)
        fake = self._made(label, y, generator)  # type: ignore[arg-type]
        yield "D", *self._discriminator_turn(label, y, fake.detach())
        yield "G", generator_loss(self.D(label, fake), self.objective), {}

    def check(self, batch: Any) -> None:
        """Raise `ValueError` unless y lies in [−1, 1], as what G makes does, and G knows all labels."""
        y, label = unpack(batch, pair=True)
        check("y", y, Annotated[Float[Tensor, "B ..."], "[-1, 1]"], self=self)
        check("label", label, Label if hasattr(self.G, "n_classes") else Any, self=self.G)
