"""The variational autoencoder: a decoder with noise, and an encoder that guesses which codes could have led to x."""

import math
from typing import Any

import torch
from torch import Generator, Tensor, nn

from genlib.arguments import Count, Label, Natural, Positive, Width, checked
from genlib.autoencoder.autoencoder import Autoencoder, Codes, Hidden, Kinds, Pictures, Pixels
from genlib.common import draw


class VAE(Autoencoder):
    """A model of the data.

        model      p(z) = N(0, I),   p(x | z) = N(d(z), std² I)
        encoder    q(z | x) = N(m(x), diag(s(x))²),   log s(x) is the second half of what the network gives
        ELBO(x)    = E_q[log p(x | z)] − KL(q(z | x) ‖ p(z)) = log p(x) − KL(q(z | x) ‖ p(z | x)) ≤ log p(x)

    Args:
        dim, latent: as for `Autoencoder`.
        width: as for `Autoencoder`; with 0 the model is a Gaussian, and all of it has a closed form.
        std: standard deviation of the decoder's noise, in the units of x. Small values ask for exact reconstructions.
        n_classes, n_condition: as for `Autoencoder`; all densities are then given the label, with the same p(z).
        learn_std: train one for each pixel, from `std` on; the bound then says how much noise there is.
    Ref: Kingma & Welling 2014, eqs. 3 and 10; Rezende et al. 2014; classes: Sohn et al. 2015, with the prior of their
        eq. 5 fixed; standard deviations: Rybkin et al. 2021.

    >>> VAE(dim=64, latent=8, width=32).sample(3).shape
    torch.Size([3, 64])
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
        self.std = std
        self.log_std = nn.Parameter(torch.full((dim,), math.log(std))) if learn_std else None

    @checked
    def encode(self, x: Pictures, label: Label = None) -> tuple[Tensor, Tensor]:
        """The distribution of codes q(z | x) of x, (B, D): its mean and log standard deviation, (B, latent) each."""
        mean, log_std = self._ask(self.encoder, x, label).chunk(2, dim=1)
        return mean, log_std

    @checked
    def log_likelihood(self, x: Pictures, z: Codes, label: Label = None) -> Tensor:
        """log p(x | z) = log N(x; d(z), std² I) for x (B, D) and z (B, latent): (B,), nats."""
        std = self._std(x)
        error = (x - self._ask(self.decoder, z, label)) / std
        return -0.5 * error.square().sum(1) - std.log().sum() - 0.5 * self.dim * math.log(2 * math.pi)

    @checked
    def kl(self, x: Pictures, label: Label = None) -> Tensor:
        """KL(q(z | x) ‖ p(z)) of x, (B, D), in closed form: (B,), nats, >= 0."""
        return kl_from_prior(*self.encode(x, label))

    @checked
    def elbo(
        self, x: Pictures, label: Label = None, *, n_draws: Count = 1, generator: Generator | None = None
    ) -> Tensor:
        """The evidence lower bound of x, (B, D): (B,), nats; its expectation over the draws is at most log p(x).

            ELBO(x) = E_q[log p(x | z)] − KL(q(z | x) ‖ p(z)),   a mean over n_draws codes z = m + s · ε

        With a label it is a bound of log p(x | label). Ref: Kingma & Welling 2014, eq. 3.
        """
        mean, log_std = self.encode(x, label)
        log_likelihood = 0.0
        for _ in range(n_draws):
            z = mean + log_std.exp() * draw(mean.shape, mean, generator)
            log_likelihood = log_likelihood + self.log_likelihood(x, z, label)
        return log_likelihood / n_draws - kl_from_prior(mean, log_std)

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
        return wide(like).new_full((self.dim,), self.std) if self.log_std is None else wide(self.log_std).exp()


def kl_from_prior(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(m, s²) ‖ N(0, I)) = ½ Σ_i (m_i² + s_i² − 1 − log s_i²). Ref: Kingma & Welling 2014, appendix B."""
    log_std = wide(log_std)
    return 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).sum(1)


def wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
