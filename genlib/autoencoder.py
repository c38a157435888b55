"""Autoencoders: a picture through a narrow place and back. The plain one, and the one that is a model of the data.

autoencoder   z = e(x),  x̂ = d(z)                     trained on |x − x̂|²
VAE           z ~ N(0, I),  x | z ~ N(d(z), std² I)   trained on a lower bound of log p(x), the ELBO

Both may be told the class of x; then every network and every density above is one given the class.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from genlib.arguments import check_finite, check_int, check_label, check_number, check_tensor
from genlib.common import adam, draw

Turns = Iterator[tuple[str, Tensor, dict[str, Tensor]]]


class Autoencoder(nn.Module):
    """An encoder and a decoder that are trained to give back what came in: a task for `train.fit`.

        loss = mean over pixels of (x − d(e(x)))²

    A batch is x, (B, D), or (x, label); without `n_classes` the labels are left alone. It has no distribution over
    codes, so it draws no samples of its own.

    Args:
        dim: D, the number of pixels.
        latent: length of a code.
        width: features of the two hidden layers of each network; 0 is no hidden layer, so that both are linear
            (then the best codes are those of principal components).
        lr: learning rate of Adam.
        n_classes: classes 0..n_classes − 1, told to both networks; None is one without labels.
    Ref: Hinton & Salakhutdinov 2006.

    >>> Autoencoder(dim=64, latent=8, width=32).reconstruct(torch.zeros(5, 64)).shape
    torch.Size([5, 64])
    """

    averaged = True  # train.fit leaves the averaged weights in it

    def __init__(
        self, dim: int, latent: int, width: int = 128, *, lr: float = 2e-3, n_classes: int | None = None
    ) -> None:
        super().__init__()
        self.dim, self.latent = check_int("dim", dim), check_int("latent", latent)
        width = check_int("width", width, low=0)
        self.lr = check_number("lr", lr, 0)
        self.n_classes = None if n_classes is None else check_int("n_classes", n_classes)
        self.n_told = self.n_classes or 0  # features that say which class it is
        self.encoder = _mlp(self.dim + self.n_told, width, self._code_size())
        self.decoder = _mlp(self.latent + self.n_told, width, self.dim)
        self._seen = False  # whether the values of a first batch were looked at

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam for both networks."""
        return {"autoencoder": adam(self.parameters(), self.lr)}

    def losses(self, batch: Tensor | Sequence[Tensor], generator: torch.Generator | None = None) -> Turns:
        """("autoencoder", the mean squared error, {}), once."""
        x, label = self._unpack(batch)
        yield "autoencoder", functional.mse_loss(self._decode(self._encode(x, label), label), x), {}

    def encode(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The codes of x, (B, D), with label (B,) int64 where there are classes: z, (B, latent)."""
        return self._encode(*self._checked(x, label))

    def decode(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """What the decoder makes of codes z, (B, latent), with label (B,) where there are classes: (B, D)."""
        self._check_dtype("z", check_tensor("z", z, ("B", self.latent)))
        check_finite("z", z)
        return self._decode(z, self._checked_label(label, len(z)))

    @torch.no_grad()
    def reconstruct(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """x, (B, D), through the code and back, without gradients: (B, D)."""
        return self._decode(self.encode(x, label), label)

    def _code_size(self) -> int:
        """How many numbers the encoder gives."""
        return self.latent

    def _encode(self, x: Tensor, label: Tensor | None) -> Tensor:
        return self.encoder(self._told(x, label))

    def _decode(self, z: Tensor, label: Tensor | None) -> Tensor:
        return self.decoder(self._told(z, label))

    def _told(self, value: Tensor, label: Tensor | None) -> Tensor:
        """With the class beside it, one-hot, if there are classes."""
        if label is None:
            return value
        return torch.cat([value, functional.one_hot(label, self.n_told).to(value)], dim=1)

    def _checked(self, x: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor | None]:
        self._check_dtype("x", check_tensor("x", x, ("B", self.dim)))
        check_finite("x", x)
        return x, self._checked_label(label, len(x))

    def _checked_label(self, label: Tensor | None, B: int) -> Tensor | None:
        if self.n_classes is None:
            if label is not None:
                raise ValueError("label: expected None, for it was built without classes")
            return None
        if label is None:
            raise ValueError(f"label: expected classes 0..{self.n_classes - 1} for each example, got None")
        return check_label(label, self.n_classes, B)

    def _unpack(self, batch: Tensor | Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        x, label = (batch, None) if isinstance(batch, Tensor) else (*batch, None, None)[:2]
        x = check_tensor("batch", x, ("B", self.dim))
        if len(x) == 0:
            raise ValueError("batch: expected at least one example, got none")
        self._check_dtype("batch", x)
        if self.n_classes is None:
            return x, None
        if label is None:
            raise ValueError("batch: expected (x, label), for it was built with classes; got x alone")
        check_label(label, self.n_classes, len(x), values=not self._seen)  # once: to look at values makes a GPU wait
        self._seen = True
        return x, label

    def _check_dtype(self, name: str, value: Tensor) -> None:
        dtype = next(self.parameters()).dtype
        if value.dtype != dtype and not torch.is_autocast_enabled(value.device.type):
            raise ValueError(f"{name}: expected {dtype}, the dtype of the weights, got {value.dtype}")


class VAE(Autoencoder):
    """A decoder with noise, and an encoder that guesses which codes could have led to x: a task for `train.fit`.

        model      p(z) = N(0, I),   p(x | z) = N(d(z), std² I)
        encoder    q(z | x) = N(m(x), diag(s(x))²),   log s(x) is the second half of what the network gives
        ELBO(x)    = E_q[log p(x | z)] − KL(q(z | x) ‖ p(z)) = log p(x) − KL(q(z | x) ‖ p(z | x)) ≤ log p(x)
        loss       = −(E_q[log p(x | z)] − beta · KL(q(z | x) ‖ p(z))) / D, the mean over the batch: nats a pixel

    The expectation is taken with one draw z = m + s · ε. With beta = 1 the loss is −ELBO/D; any other beta is a
    different objective, and no bound if it is less than 1. `elbo` is always the bound.

    Args:
        dim: D, the number of pixels.
        latent: length of a code.
        width: as for `Autoencoder`; with 0 the model is a Gaussian, and all of it has a closed form.
        beta: weight of the KL in the loss, >= 0.
        std: deviation of the decoder's noise, > 0, in the units of x. Small values ask for exact reconstructions.
        lr, n_classes: as for `Autoencoder`; with classes all densities are given the class, and p(z) is the same for
            all of them.
        learn_std: train one deviation for each pixel, from `std` on; the bound then says how much noise there is.
    Ref: Kingma & Welling 2014, eqs. 3 and 10; Rezende et al. 2014; beta: Higgins et al. 2017; classes: Sohn et al.
        2015, with the prior of their eq. 5 fixed; deviations: Rybkin et al. 2021.

    >>> VAE(dim=64, latent=8, width=32).sample(3).shape
    torch.Size([3, 64])
    """

    def __init__(
        self,
        dim: int,
        latent: int,
        width: int = 128,
        beta: float = 1.0,
        std: float = 0.3,
        *,
        lr: float = 2e-3,
        n_classes: int | None = None,
        learn_std: bool = False,
    ) -> None:
        super().__init__(dim, latent, width, lr=lr, n_classes=n_classes)
        self.beta = check_number("beta", beta, 0)
        self.std = check_number("std", std, 0, inside=True)
        self.log_std = nn.Parameter(torch.full((self.dim,), math.log(self.std))) if learn_std else None

    def losses(self, batch: Tensor | Sequence[Tensor], generator: torch.Generator | None = None) -> Turns:
        """("autoencoder", the loss, {"reconstruction", "kl"}), once; the logs are −E_q[log p(x|z)] and KL, in nats."""
        x, label = self._unpack(batch)
        mean, log_std = self._encode(x, label).chunk(2, dim=1)
        z = mean + log_std.exp() * draw(mean.shape, mean, generator)
        reconstruction, kl = -self._log_likelihood(x, z, label).mean(), _kl(mean, log_std).mean()
        loss = (reconstruction + self.beta * kl) / self.dim
        yield "autoencoder", loss, {"reconstruction": reconstruction.detach(), "kl": kl.detach()}

    def encode(self, x: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """The distribution of codes q(z | x) of x, (B, D): its mean and log-deviation, (B, latent) each."""
        mean, log_std = self._encode(*self._checked(x, label)).chunk(2, dim=1)
        return mean, log_std

    @torch.no_grad()
    def reconstruct(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """x, (B, D), through the mean of its codes and back, without gradients: (B, D)."""
        return self._decode(self.encode(x, label)[0], label)

    def log_likelihood(self, x: Tensor, z: Tensor, label: Tensor | None = None) -> Tensor:
        """log p(x | z) = log N(x; d(z), std² I) for x (B, D) and z (B, latent): (B,), nats."""
        self._checked(x, label)
        self._check_dtype("z", check_tensor("z", z, (len(x), self.latent)))
        check_finite("z", z)
        return self._log_likelihood(x, z, label)

    def kl(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """How far the codes of x are from the prior, in closed form: (B,), nats, >= 0.

            KL(q(z | x) ‖ N(0, I)) = ½ Σ_i (m_i² + s_i² − 1 − log s_i²)

        Args:
            x: (B, D).
        Ref: Kingma & Welling 2014, appendix B.
        """
        return _kl(*self.encode(x, label))

    def elbo(
        self,
        x: Tensor,
        label: Tensor | None = None,
        *,
        n_draws: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The evidence lower bound: (B,), nats; its expectation over the draws of z is at most log p(x).

            ELBO(x) = E_q[log p(x | z)] − KL(q(z | x) ‖ p(z))

        Args:
            x: (B, D).
            label: (B,) int64, where there are classes; it is then a bound of log p(x | label).
            n_draws: how many z to average over for each x.
        Ref: Kingma & Welling 2014, eq. 3.
        """
        n_draws = check_int("n_draws", n_draws)
        mean, log_std = self.encode(x, label)
        total = torch.zeros_like(x[:, 0])
        for _ in range(n_draws):
            z = mean + log_std.exp() * draw(mean.shape, mean, generator)
            total = total + self._log_likelihood(x, z, label)
        return total / n_draws - _kl(mean, log_std)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        label: Tensor | None = None,
        *,
        noise: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw codes from the prior and decode them, with label (n,) where there are classes; no gradients: (n, D).

        z ~ N(0, I),   x = d(z), or with `noise`  x = d(z) + std · ε, a draw of p(x)
        """
        n = check_int("n", n, low=0)
        label = self._checked_label(label, n)
        x = self._decode(draw((n, self.latent), next(self.parameters()), generator), label)
        return x + self._deviation(x) * draw(x.shape, x, generator) if noise else x

    def _code_size(self) -> int:
        return 2 * self.latent

    def _log_likelihood(self, x: Tensor, z: Tensor, label: Tensor | None) -> Tensor:
        std = self._deviation(x)
        error = (x - self._decode(z, label)) / std
        return -0.5 * error.square().sum(1) - std.log().sum() - 0.5 * self.dim * math.log(2 * math.pi)

    def _deviation(self, like: Tensor) -> Tensor:
        """Of the decoder's noise, for each pixel: (D,)."""
        return like.new_full((self.dim,), self.std) if self.log_std is None else self.log_std.exp()


def _mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Two hidden layers, or none."""
    if width == 0:
        return nn.Sequential(nn.Linear(inputs, outputs))
    hidden = [nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()]
    return nn.Sequential(*hidden, nn.Linear(width, outputs))


def _kl(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(mean, exp(log_std)²) ‖ N(0, I)), summed over coordinates."""
    return 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).sum(1)
