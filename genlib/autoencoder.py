"""Autoencoders: a picture through a narrow place and back. The plain one, and the one that is a model of the data.

autoencoder   z = e(x),  x̂ = d(z)                     trained on |x − x̂|²
VAE           z ~ N(0, I),  x | z ~ N(d(z), std² I)   trained on a lower bound of log p(x), the ELBO
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from genlib.arguments import check_finite, check_int, check_number, check_tensor

Turns = Iterator[tuple[str, Tensor, dict[str, Tensor]]]


class Autoencoder(nn.Module):
    """An encoder and a decoder that are trained to give back what came in: a task for `train.fit`.

        loss = mean over pixels of (x − d(e(x)))²

    A batch is x, (B, D), or (x, label); the labels are left alone. It has no distribution over codes, so it draws no
    samples of its own.

    Args:
        dim: D, the number of pixels.
        latent: length of a code.
        width: features of the two hidden layers of each network; 0 is no hidden layer, so that both are linear
            (then the best codes are those of principal components).
        lr: learning rate of Adam.
    Ref: Hinton & Salakhutdinov 2006.

    >>> Autoencoder(dim=64, latent=8, width=32).reconstruct(torch.zeros(5, 64)).shape
    torch.Size([5, 64])
    """

    averaged = True  # train.fit leaves the averaged weights in it

    def __init__(self, dim: int, latent: int, width: int = 128, *, lr: float = 2e-3) -> None:
        super().__init__()
        self.dim, self.latent = check_int("dim", dim), check_int("latent", latent)
        width = check_int("width", width, low=0)
        self.lr = check_number("lr", lr, 0)
        self.encoder = _mlp(self.dim, width, self._code_size())
        self.decoder = _mlp(self.latent, width, self.dim)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam for both networks."""
        parameters = list(self.parameters())
        fused = all(p.device.type in ("cpu", "cuda", "mps") for p in parameters)
        return {"autoencoder": torch.optim.Adam(parameters, lr=self.lr, fused=fused)}

    def losses(self, batch: Tensor | Sequence[Tensor], generator: torch.Generator | None = None) -> Turns:
        """("autoencoder", the mean squared error, {}), once."""
        x = self._unpack(batch)
        yield "autoencoder", functional.mse_loss(self.decoder(self.encoder(x)), x), {}

    def encode(self, x: Tensor) -> Tensor:
        """The codes of x, (B, D): z, (B, latent)."""
        return self.encoder(self._checked(x))

    def decode(self, z: Tensor) -> Tensor:
        """What the decoder makes of codes z, (B, latent): (B, D)."""
        check_tensor("z", z, ("B", self.latent))
        check_finite("z", z)
        return self.decoder(z)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """x, (B, D), through the code and back, without gradients: (B, D)."""
        return self.decoder(self.encoder(self._checked(x)))

    def _code_size(self) -> int:
        """How many numbers the encoder gives."""
        return self.latent

    def _checked(self, x: Tensor) -> Tensor:
        check_tensor("x", x, ("B", self.dim))
        check_finite("x", x)
        return x

    def _unpack(self, batch: Tensor | Sequence[Tensor]) -> Tensor:
        x = batch if isinstance(batch, Tensor) else batch[0]
        check_tensor("batch", x, ("B", self.dim))
        if len(x) == 0:
            raise ValueError("batch: expected at least one example, got none")
        return x


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
        lr: learning rate of Adam.
    Ref: Kingma & Welling 2014, eqs. 3 and 10; Rezende et al. 2014; beta: Higgins et al. 2017.

    >>> VAE(dim=64, latent=8, width=32).sample(3).shape
    torch.Size([3, 64])
    """

    def __init__(
        self, dim: int, latent: int, width: int = 128, beta: float = 1.0, std: float = 0.3, *, lr: float = 2e-3
    ) -> None:
        super().__init__(dim, latent, width, lr=lr)
        self.beta = check_number("beta", beta, 0)
        self.std = check_number("std", std, 0, inside=True)

    def losses(self, batch: Tensor | Sequence[Tensor], generator: torch.Generator | None = None) -> Turns:
        """("autoencoder", the loss, {"reconstruction", "kl"}), once; the logs are −E_q[log p(x|z)] and KL, in nats."""
        x = self._unpack(batch)
        mean, log_std = self.encoder(x).chunk(2, dim=1)
        z = mean + log_std.exp() * _noise(mean, generator)
        reconstruction, kl = -self._log_likelihood(x, z).mean(), _kl(mean, log_std).mean()
        loss = (reconstruction + self.beta * kl) / self.dim
        yield "autoencoder", loss, {"reconstruction": reconstruction.detach(), "kl": kl.detach()}

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """The distribution of codes q(z | x) of x, (B, D): its mean and log-deviation, (B, latent) each."""
        mean, log_std = self.encoder(self._checked(x)).chunk(2, dim=1)
        return mean, log_std

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """x, (B, D), through the mean of its codes and back, without gradients: (B, D)."""
        return self.decoder(self.encode(x)[0])

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) = log N(x; d(z), std² I) for x (B, D) and z (B, latent): (B,), nats."""
        check_tensor("z", z, (len(self._checked(x)), self.latent))
        check_finite("z", z)
        return self._log_likelihood(x, z)

    def kl(self, x: Tensor) -> Tensor:
        """How far the codes of x are from the prior, in closed form: (B,), nats, >= 0.

            KL(q(z | x) ‖ N(0, I)) = ½ Σ_i (m_i² + s_i² − 1 − log s_i²)

        Args:
            x: (B, D).
        Ref: Kingma & Welling 2014, appendix B.
        """
        return _kl(*self.encode(x))

    def elbo(self, x: Tensor, generator: torch.Generator | None = None, n_draws: int = 1) -> Tensor:
        """The evidence lower bound: (B,), nats; its expectation over the draws of z is at most log p(x).

            ELBO(x) = E_q[log p(x | z)] − KL(q(z | x) ‖ p(z))

        Args:
            x: (B, D).
            n_draws: how many z to average over for each x.
        Ref: Kingma & Welling 2014, eq. 3.
        """
        n_draws = check_int("n_draws", n_draws)
        mean, log_std = self.encode(x)
        total = torch.zeros_like(x[:, 0])
        for _ in range(n_draws):
            total = total + self._log_likelihood(x, mean + log_std.exp() * _noise(mean, generator))
        return total / n_draws - _kl(mean, log_std)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None, noise: bool = False) -> Tensor:
        """Draw codes from the prior and decode them, without gradients: (n, D).

        z ~ N(0, I),   x = d(z), or with `noise`  x = d(z) + std · ε, a draw of p(x)
        """
        n = check_int("n", n, low=0)
        like = next(self.parameters())
        x = self.decoder(_noise(like.new_empty(n, self.latent), generator))
        return x + self.std * _noise(x, generator) if noise else x

    def _code_size(self) -> int:
        return 2 * self.latent

    def _log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        error = (x - self.decoder(z)) / self.std
        return -0.5 * error.square().sum(1) - self.dim * (math.log(self.std) + 0.5 * math.log(2 * math.pi))


def _mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Two hidden layers, or none."""
    if width == 0:
        return nn.Sequential(nn.Linear(inputs, outputs))
    hidden = [nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()]
    return nn.Sequential(*hidden, nn.Linear(width, outputs))


def _kl(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(mean, exp(log_std)²) ‖ N(0, I)), summed over coordinates."""
    return 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).sum(1)


def _noise(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal noise of the shape of `like`, drawn where the generator lives, then moved."""
    device = like.device if generator is None else generator.device
    return torch.randn(like.shape, dtype=like.dtype, device=device, generator=generator).to(like.device)
