"""The plain autoencoder, a picture through a narrow place and back, and what trains it."""

from collections.abc import Iterator
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn.functional import mse_loss

from genlib.arguments import Label, Natural, NonNegative, Width, check, checked
from genlib.common import Turn, adam, draw, evaluating, n_told, told, unpack

Pictures = Annotated[Float[Tensor, "B {self.dim}"], "finite"]
Codes = Annotated[Float[Tensor, "B {self.latent}"], "finite"]
Pixels = Annotated[int, "[1, 1000000]"]
Hidden = Annotated[int, "[0, 16384]"]
Kinds = Width | None


class Autoencoder(nn.Module):
    """An encoder and a decoder, z = e(x) and x̂ = d(z), of x with `dim` = D pixels and codes z of length `latent`.

    Each has two hidden layers of `width` features, or none where it is 0: then both are linear, and the best codes are
    those of principal components. Both may be told a label, one of `n_classes`, or a vector of `n_condition` numbers.
    Raises: ValueError for labels of both kinds. Ref: Hinton & Salakhutdinov 2006.
    """

    outputs = 1  # of the encoder, for each number of a code

    @checked
    def __init__(
        self, dim: Pixels, latent: Width, width: Hidden = 128, *, n_classes: Kinds = None, n_condition: Kinds = None
    ) -> None:
        super().__init__()
        self.dim, self.latent, self.n_classes, self.n_condition = dim, latent, n_classes, n_condition
        self.n_told = n_told(n_classes, n_condition)
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
    hidden = [nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()] if width else []
    return nn.Sequential(*hidden, nn.Linear(width or inputs, outputs))


class Reconstruction(nn.Module):
    """Trains an autoencoder on batches x, (B, D), or (x, label): loss = mean over pixels of (x − d(e(x)))².
    One that is told no labels leaves them alone."""

    @checked
    def __init__(self, ae: Autoencoder, lr: NonNegative = 2e-3) -> None:
        super().__init__()
        self.model, self.lr = ae, lr

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam for both networks."""
        return {"autoencoder": adam(self.parameters(), self.lr)}

    @checked
    def losses(self, batch: Any, generator: Generator | None = None) -> Iterator[Turn]:
        """("autoencoder", the mean squared error, {}), once."""
        x, label = unpack(batch, self.model.n_told > 0)
        yield "autoencoder", mse_loss(self.model(x, label), x), {}

    def check(self, batch: Any) -> None:
        """Raise `ValueError` unless x is finite, and its labels are some that the model knows."""
        x, label = unpack(batch, self.model.n_told > 0)
        check("x", x, Pictures, self=self.model)
        check("label", label, Label, self=self.model)

    def config(self) -> dict[str, Any]:
        """What must be the same to go on."""
        return self.model.config()
