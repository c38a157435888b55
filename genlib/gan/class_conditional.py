"""A GAN that is told what to draw: pictures given their class."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from genlib.arguments import check_choice, check_finite, check_number, check_same_shape, check_tensor
from genlib.common import adam, evaluating
from genlib.gan.objectives import OBJECTIVES, Name, generator_loss
from genlib.gan.turns import Turn, check_betas, check_images, check_network, discriminator_turn


class ClassConditional(nn.Module):
    """G and D on pictures with their classes: a task for `train.fit`.

        D    ½ [ E real(D(label, y)) + E fake(D(label, G(label, z))) ] + γ/2 R1
        G    E fool(D(label, G(label, z)))

    Args:
        G: a callable Module, `G(label, z=None, generator=None)`.
        D: a callable Module, `D(label, y)`, giving logits.
        objective: one of `OBJECTIVES`.
        lr, betas: of Adam; `lr_D` is D's own learning rate, three times as high if left out.
        gamma: γ, the weight of R1; 0 for none.
    Ref: Mirza & Osindero 2014, eq. 2; two learning rates: Heusel et al. 2017.
    """

    averaged = False

    def __init__(
        self,
        G: nn.Module,
        D: nn.Module,
        objective: Name = "hinge",
        *,
        lr: float = 1.5e-3,
        lr_D: float | None = None,
        betas: tuple[float, float] = (0.5, 0.9),
        gamma: float = 0.0,
    ) -> None:
        super().__init__()
        self.G, self.D = check_network("G", G), check_network("D", D)
        self.objective: Name = check_choice("objective", objective, OBJECTIVES)  # type: ignore[assignment]
        self.lr = check_number("lr", lr, 0)
        self.lr_D = check_number("lr_D", 3 * self.lr if lr_D is None else lr_D, 0)
        self.betas = check_betas(betas)
        self.gamma = check_number("gamma", gamma, 0)
        self._seen = False  # whether the values of a first batch were looked at

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam for each network."""
        nets = {"D": (self.D, self.lr_D), "G": (self.G, self.lr)}
        return {name: adam(network.parameters(), lr, self.betas) for name, (network, lr) in nets.items()}

    def losses(self, batch: Sequence[Tensor], generator: torch.Generator | None = None) -> Iterator[Turn]:
        """("D", its loss, logs), then ("G", its loss, logs), which share one forward pass of G.

        Args:
            batch: (y, label), as `data.digits` gives: y (B, ...) in [−1, 1], float; label (B,) int64.
        """
        if isinstance(batch, Tensor) or len(batch) != 2:
            raise ValueError(f"batch: expected a pair (y, label), got {type(batch).__name__}")
        y, label = batch
        check_tensor("y", y, ("B", "..."))
        if not self._seen:  # once: to look at values makes a GPU wait
            check_images("y", y)
        self._seen = True
        fake = self.G(label, generator=generator)
        check_same_shape("y", y, "what G makes", fake)
        yield "D", *discriminator_turn(self.D, label, y, fake.detach(), self.objective, self.gamma)
        fooled = generator_loss(self.D(label, fake), self.objective)
        yield "G", fooled, {}

    def generate(self, label: Tensor, z: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """G(label, z), without gradients, G in evaluation: (B, ...), in [−1, 1]. z is drawn if left out."""
        if z is not None:
            check_finite("z", check_tensor("z", z))
        with evaluating(self.G):
            return self.G(label, z, generator)
