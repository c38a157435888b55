"""What trains an autoencoder: the error of its reconstructions, or a bound of log p(x)."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from genlib.arguments import Label, NonNegative, check, checked
from genlib.autoencoder.autoencoder import Autoencoder, Pictures
from genlib.autoencoder.vae import VAE, kl_from_prior
from genlib.common import Turn, adam, draw, unpack


class Reconstruction(nn.Module):
    """Trains an autoencoder: loss = mean over pixels of (x − d(e(x)))².

    A batch is x, (B, D), or (x, label); an autoencoder that is told no labels leaves them alone.
    """

    averaged = True  # train.fit leaves the averaged weights in the model

    @checked
    def __init__(self, ae: Autoencoder, lr: NonNegative = 2e-3) -> None:
        super().__init__()
        self.model, self.lr = ae, lr

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam for both networks."""
        return {"autoencoder": adam(self.parameters(), self.lr)}

    @checked
    def losses(self, batch: Any, generator: torch.Generator | None = None) -> Iterator[Turn]:
        """("autoencoder", the mean squared error, {}), once."""
        x, label = self._unpack(batch)
        yield "autoencoder", mse_loss(self.model(x, label), x), {}

    def check(self, batch: Any) -> None:
        """Raise `ValueError` unless x is finite, and its labels are some that the model knows."""
        x, label = self._unpack(batch)
        check("x", x, Pictures, self=self.model)
        check("label", label, Label, self=self.model)

    def config(self) -> dict[str, Any]:
        """What must be the same to go on."""
        return self.model.config()

    def _unpack(self, batch: Any) -> tuple[Tensor, Tensor | None]:
        return unpack(batch, pair=self.model.n_told > 0)


class ELBO(Reconstruction):
    """Trains a VAE, on batches as those of `Reconstruction`.

        loss = −(log p(x | z) − beta · KL(q(z | x) ‖ p(z))) / D,   z = m + s · ε, the mean over the batch: nats a pixel

    With beta = 1 its expectation is −ELBO/D; any other beta is another objective, and no bound if it is less than 1.
    Ref: Kingma & Welling 2014, eq. 10; beta: Higgins et al. 2017.
    """

    model: VAE

    @checked
    def __init__(self, vae: VAE, lr: NonNegative = 2e-3, beta: NonNegative = 1.0) -> None:
        super().__init__(vae, lr)
        self.beta = beta

    @checked
    def losses(self, batch: Any, generator: torch.Generator | None = None) -> Iterator[Turn]:
        """("autoencoder", the loss, {"reconstruction", "kl"}), once; the logs are −E_q[log p(x|z)] and KL, in nats."""
        x, label = self._unpack(batch)
        mean, log_std = self.model.encode(x, label)
        z = mean + log_std.exp() * draw(mean.shape, mean, generator)
        reconstruction = -self.model.log_likelihood(x, z, label).mean()
        kl = kl_from_prior(mean, log_std).mean()
        loss = (reconstruction + self.beta * kl) / self.model.dim
        yield "autoencoder", loss, {"reconstruction": reconstruction.detach(), "kl": kl.detach()}

    def config(self) -> dict[str, Any]:
        """What must be the same to go on."""
        return {**super().config(), "beta": self.beta}
