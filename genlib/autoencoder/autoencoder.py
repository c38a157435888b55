"""The plain autoencoder: a picture through a narrow place and back."""

from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from genlib.arguments import Label, Natural, Width, checked
from genlib.common import draw, evaluating, told

Pictures = Annotated[Float[Tensor, "B {self.dim}"], "finite"]
Codes = Annotated[Float[Tensor, "B {self.latent}"], "finite"]
Pixels = Annotated[int, "[1, 1000000]"]
Hidden = Annotated[int, "[0, 16384]"]
Kinds = Width | None


class Autoencoder(nn.Module):
    """An encoder and a decoder, z = e(x) and x̂ = d(z).

    Args:
        dim: D, the number of pixels.
        latent: length of a code.
        width: features of the two hidden layers of each network; 0 is no hidden layer, so that both are linear
            (then the best codes are those of principal components).
        n_classes, n_condition: both networks are told a label, one of so many classes or a vector of so many numbers.
    Raises: ValueError for labels of both kinds.
    Ref: Hinton & Salakhutdinov 2006.

    >>> Autoencoder(dim=64, latent=8, width=32).reconstruct(torch.zeros(5, 64)).shape
    torch.Size([5, 64])
    """

    outputs = 1  # of the encoder, for each number of a code

    @checked
    def __init__(
        self, dim: Pixels, latent: Width, width: Hidden = 128, *, n_classes: Kinds = None, n_condition: Kinds = None
    ) -> None:
        super().__init__()
        if n_classes and n_condition:
            raise ValueError(f"n_classes, n_condition: expected one of the two, got {n_classes} and {n_condition}")
        self.dim, self.latent, self.n_classes, self.n_condition = dim, latent, n_classes, n_condition
        self.n_told = n_classes or n_condition or 0
        self.encoder = _mlp(dim + self.n_told, width, self.outputs * latent)
        self.decoder = _mlp(latent + self.n_told, width, dim)

    @checked
    def encode(self, x: Pictures, label: Label = None) -> Any:
        """The codes of x, (B, D), given label, (B,) or (B, n_condition): z, (B, latent)."""
        return self._ask(self.encoder, x, label)

    @checked
    def decode(self, z: Codes, label: Label = None) -> Tensor:
        """What the decoder makes of codes z, (B, latent), given label: (B, D)."""
        return self._ask(self.decoder, z, label)

    @checked
    def forward(self, x: Pictures, label: Label = None) -> Tensor:
        """x, (B, D), through its code, a VAE's mean, and back: (B, D)."""
        return self._ask(self.decoder, self._ask(self.encoder, x, label)[:, : self.latent], label)

    reconstruct = torch.no_grad()(forward)  # the same without gradients

    @checked
    def sample(self, n: Natural, label: Label = None, generator: Generator | None = None) -> Tensor:
        """d(z), (n, D), of n codes z ~ N(0, I): nothing in the training of a plain one asked these to mean anything."""
        with evaluating(self):
            return self.decode(draw((n, self.latent), next(self.parameters()), generator), label)

    def config(self) -> dict[str, Any]:
        """What its weights do not say."""
        return {"n_classes": self.n_classes, "n_condition": self.n_condition}

    def _ask(self, network: nn.Module, value: Tensor, label: Any) -> Tensor:
        beside = told(label, self.n_classes, value)
        return network(value if beside is None else torch.cat([value, beside], dim=1))


def _mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Two hidden layers, or none."""
    hidden = [nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()] if width else []
    return nn.Sequential(*hidden, nn.Linear(width or inputs, outputs))
