"""Autoencoders: a picture through a narrow place and back. The plain one, and the one that is a model of the data."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn.functional import mse_loss

from genlib.arguments import Count, Label, Natural, NonNegative, Positive, Width, check, checked
from genlib.common import Turn, draw, evaluating, n_told, told, unpack, wide
from genlib.optimizers import adam

__all__ = ["ELBO", "VAE", "Autoencoder", "Reconstruction"]

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


class VAE(Autoencoder):
    """A model of the data, with the arguments of an `Autoencoder`.

        model      p(z) = N(0, I),   p(x | z) = N(d(z), std² I)
        encoder    q(z | x) = N(m(x), diag(s(x))²),   log s(x) is the second half of what the network gives
        ELBO(x)    = E_q[log p(x | z)] − KL(q(z | x) ‖ p(z)) = log p(x) − KL(q(z | x) ‖ p(z | x)) ≤ log p(x)

    With `width` 0 it is a Gaussian, and all of it has a closed form. All densities are given the label, with the same
    p(z). `std` is in the units of x; with `learn_std` one is trained for each pixel, from `std` on.
    Ref: Kingma & Welling 2014, eqs. 3 and 10; Rezende et al. 2014; Sohn et al. 2015 (labels); Rybkin et al. 2021 (std).
    """

    outputs = 2

    @checked
    def __init__(
        self,
        dim: Pixels,
        latent: Width,
        width: Hidden = 128,
        std: Positive = 0.3,
        *,
        n_classes: Kinds = None,
        n_condition: Kinds = None,
        learn_std: bool = False,
    ) -> None:
        super().__init__(dim, latent, width, n_classes=n_classes, n_condition=n_condition)
        self.std, self.log_std = std, nn.Parameter(torch.full((dim,), math.log(std))) if learn_std else None

    @checked
    def encode(self, x: Pictures, label: Label = None) -> tuple[Tensor, Tensor]:
        """The distribution of codes q(z | x) of x, (B, D): its mean and log standard deviation, (B, latent) each."""
        return self._ask(self.encoder, x, label).chunk(2, dim=1)  # type: ignore[return-value]

    @checked
    def log_likelihood(self, x: Pictures, z: Codes, label: Label = None) -> Tensor:
        """log p(x | z) = log N(x; d(z), std² I) for x (B, D) and z (B, latent): (B,), nats."""
        std = self._std(x)
        error = (x - self._ask(self.decoder, z, label)) / std
        return -0.5 * error.square().sum(1) - std.log().sum() - 0.5 * self.dim * math.log(2 * math.pi)

    @checked
    def kl(self, x: Pictures, label: Label = None) -> Tensor:
        """KL(q(z | x) ‖ p(z)) of x, (B, D), in closed form: (B,), nats, >= 0. Lecture 01 (5)."""
        return _kl(*self.encode(x, label))

    @checked
    def elbo(
        self, x: Pictures, label: Label = None, *, n_draws: Count = 1, generator: Generator | None = None
    ) -> Tensor:
        """ELBO(x) of x, (B, D), or of x given its label: (B,), nats. E_q is a mean over n_draws codes z = m + s · ε, so
        that only its expectation is at most log p(x). Ref: Kingma & Welling 2014, eq. 3; lecture 01 (3), (4)."""
        mean, log_std = self.encode(x, label)
        draws = (mean + log_std.exp() * draw(mean.shape, mean, generator) for _ in range(n_draws))
        return sum(self.log_likelihood(x, z, label) for z in draws) / n_draws - _kl(mean, log_std)

    @checked
    def sample(
        self, n: Natural, label: Label = None, generator: Generator | None = None, *, noise: bool = False
    ) -> Tensor:
        """d(z), (n, D), of n codes z ~ N(0, I), without gradients; with `noise` d(z) + std · ε, a draw of p(x)."""
        x = super().sample(n, label, generator)
        return x + (self._std(x).detach() * draw(x.shape, x, generator)).to(x.dtype) if noise else x

    def config(self) -> dict[str, Any]:
        """What its weights do not say."""
        return {**super().config(), "std": self.std if self.log_std is None else None}

    def _std(self, like: Tensor) -> Tensor:
        """Of the decoder's noise, for each pixel, (D,): in float32 at least, as sums over pixels are then."""
        if self.log_std is None:
            return like.new_full((self.dim,), self.std, dtype=wide(like))
        return self.log_std.to(wide(self.log_std)).exp()


def _kl(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(m, s²) ‖ N(0, I)) = ½ Σ_i (m_i² + s_i² − 1 − log s_i²). Ref: Kingma & Welling 2014, appendix B."""
    log_std = log_std.to(wide(log_std))
    return 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).sum(1)


class ELBO(Reconstruction):
    """Trains a VAE, on batches as those of `Reconstruction`.

        loss = −(log p(x | z) − beta · KL(q(z | x) ‖ p(z))) / D,   z = m + s · ε, the mean over the batch: nats a pixel

    With beta = 1 its expectation is −ELBO/D; with less it is no bound.
    Ref: Kingma & Welling 2014, eq. 10; beta: Higgins et al. 2017.
    """

    model: VAE

    @checked
    def __init__(self, vae: VAE, lr: NonNegative = 2e-3, beta: NonNegative = 1.0) -> None:
        super().__init__(vae, lr)
        self.beta = beta

    @checked
    def losses(self, batch: Any, generator: Generator | None = None) -> Iterator[Turn]:
        """("autoencoder", the loss, {"reconstruction", "kl"}), once; the logs are −E_q[log p(x|z)] and KL, in nats."""
        x, label = unpack(batch, self.model.n_told > 0)
        mean, log_std = self.model.encode(x, label)
        z = mean + log_std.exp() * draw(mean.shape, mean, generator)
        reconstruction, kl = -self.model.log_likelihood(x, z, label).mean(), _kl(mean, log_std).mean()
        loss = (reconstruction + self.beta * kl) / self.model.dim
        yield "autoencoder", loss, {"reconstruction": reconstruction.detach(), "kl": kl.detach()}

    def config(self) -> dict[str, Any]:
        """What must be the same to go on."""
        return {**super().config(), "beta": self.beta}
