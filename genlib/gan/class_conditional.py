"""A GAN that is told what to draw: pictures given their class, or another condition."""

from collections.abc import Iterator
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from genlib.arguments import Dropout, Label, NonNegative, check, checked
from genlib.common import Turn, unpack
from genlib.gan.objectives import Name, generator_loss
from genlib.gan.pix2pix import LIKE_G, Pix2Pix


class ClassConditional(Pix2Pix):
    """Trains G and D on pictures with their labels, (y, label): the game of `Pix2Pix`, without L1 and its kin.

        D    ½ [ E real(D(label, y)) + E fake(D(label, G(label, z))) ] + γ/2 R1
        G    E fool(D(label, G(label, z)))

    Args:
        G, D: called as G(label, z=None, generator=None) and, for logits, D(label, y).
        lr, betas: of Adam; `lr_D` is D's own learning rate, three times as high if left out.
        objective, gamma: one of `OBJECTIVES`, and γ, the weight of R1.
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
    def losses(self, batch: Any, generator: torch.Generator | None = None) -> Iterator[Turn]:
        """("D", its loss, logs), then ("G", its loss, {}), which share one forward pass of G."""
        y, label = unpack(batch, pair=True)
        fake = self.G(label, generator=generator)
        check("y", y, LIKE_G, self=self, fake=fake)
        yield "D", *self._discriminator_turn(label, y, fake.detach())
        yield "G", generator_loss(self.D(label, fake), self.objective), {}

    def check(self, batch: Any) -> None:
        """Raise `ValueError` unless y lies in [−1, 1], as what G makes does, and G knows all labels."""
        y, label = unpack(batch, pair=True)
        check("y", y, Annotated[Float[Tensor, "B ..."], "[-1, 1]"], self=self)
        check("label", label, Label if hasattr(self.G, "n_classes") else Any, self=self.G)
