"""pix2pix: an image that belongs to a picture, learned from pairs; D is shown the pair, G also pays for L1.

G* = arg min_G max_D L_cGAN(G, D) + λ L_L1(G)
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from genlib.arguments import check_choice, check_finite, check_number, check_same_shape, check_tensor
from genlib.common import adam, evaluating
from genlib.gan.objectives import OBJECTIVES, Name, generator_loss, loss_on_fakes
from genlib.gan.turns import Turn, check_betas, check_images, check_network, discriminator_turn


class Pix2Pix(nn.Module):
    """G and D on pairs (x, y): a task for `train.fit`.

        D    ½ [ E real(D(x, y)) + E fake(D(x, G(x, z))) ] + γ/2 R1
        G    adversarial · E fool(D(x, G(x, z))) + λ L1,     L1 = E|y − G(x, z)|, a mean over pixels and channels

    With `mismatched` = m, D is also shown real images under another example's x', and is to call those pairs fake:

        D    ½ [ E real(D(x, y)) + E fake(D(x, G(x, z))) + m E fake(D(x', y)) ] + γ/2 R1

    Without L1 the game then rests at p_G = max(0, c p − m p(x) p(y)), c such that it is a density for each x: at p
    itself if no two x share an answer, else further from the answers to other x than p is.

    With `variety` = v, G also pays where its answers to one x are closer than `apart` on average, z' being other noise:

        G    ... + v max(0, apart − E|G(x, z) − G(x, z')|)

    Args:
        G: a callable Module, `G(x, z=None, generator=None)`.
        D: a callable Module, `D(x, y)`, giving logits.
        lam: λ, the weight of L1, >= 0; the paper takes 100.
        objective: one of `OBJECTIVES`; the paper takes "non_saturating".
        lr, betas: of Adam, for both; `lr_D` for D alone.
        adversarial: the weight of G's loss against D, >= 0; at 0, L1 is all there is, and D is not trained.
        gamma: γ, the weight of R1; 0 for none.
        conditional: whether D is shown x; False only to see what happens then.
        mismatched: m, the weight of D's loss on real images under another x, >= 0; 0, as in the paper, for none.
        variety, apart: v and the distance that is enough, both >= 0, a mean over pixels and channels; v = 0, as in the
            paper, for none.
    Raises:
        ValueError: for an unknown objective, λ < 0, no loss at all, mismatched pairs without a D that is shown x; in
            the first batch, for x that is not finite or y outside [−1, 1]; with mismatched pairs, for a batch of one.
    Ref: Isola et al. 2017, eqs. 1–4, §3.3; R1: Mescheder et al. 2018; mismatched pairs: Reed et al. 2016, §4.2;
        variety: Yang et al. 2019, eq. 2, without its division by the distance of the noise.
    """

    averaged = False  # the two follow each other; an average of either has lost the other

    def __init__(
        self,
        G: nn.Module,
        D: nn.Module,
        lam: float = 100.0,
        objective: Name = "non_saturating",
        *,
        lr: float = 2e-4,
        lr_D: float | None = None,
        betas: tuple[float, float] = (0.5, 0.999),
        adversarial: float = 1.0,
        gamma: float = 0.0,
        conditional: bool = True,
        mismatched: float = 0.0,
        variety: float = 0.0,
        apart: float = 0.35,
    ) -> None:
        super().__init__()
        self.G, self.D = check_network("G", G), check_network("D", D)
        self.lam = check_number("lam", lam, 0)
        self.objective: Name = check_choice("objective", objective, OBJECTIVES)  # type: ignore[assignment]
        self.lr, self.lr_D = check_number("lr", lr, 0), check_number("lr_D", lr if lr_D is None else lr_D, 0)
        self.betas = check_betas(betas)
        self.adversarial = check_number("adversarial", adversarial, 0)
        self.gamma = check_number("gamma", gamma, 0)
        if self.lam == self.adversarial == 0:
            raise ValueError("lam, adversarial: expected at least one above 0, or G has nothing to learn from")
        self.conditional = bool(conditional)
        self.mismatched = check_number("mismatched", mismatched, 0)
        if self.mismatched and not self.conditional:
            raise ValueError(f"mismatched: expected 0 for a D that is not shown x, got {mismatched:g}")
        self.variety, self.apart = check_number("variety", variety, 0), check_number("apart", apart, 0)
        self._seen = False  # whether the values of a first batch were looked at

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam for each network."""
        nets = {"G": (self.G, self.lr)} if not self.adversarial else {"D": (self.D, self.lr_D), "G": (self.G, self.lr)}
        return {name: adam(network.parameters(), lr, self.betas) for name, (network, lr) in nets.items()}

    def losses(self, batch: Sequence[Tensor], generator: torch.Generator | None = None) -> Iterator[Turn]:
        """("D", its loss, logs), then ("G", its loss, logs), which share one forward pass of G.

        Args:
            batch: (x, y): x (B, C, H, W), y (B, C', H, W) in [−1, 1], both float.
        """
        x, y = self._unpack(batch)
        fake = self.G(x, generator=generator)
        check_same_shape("y", y, "what G makes", fake)
        l1 = (fake - y).abs().mean()
        if not self.adversarial:
            yield "G", self.lam * l1, {"l1": l1.detach()}
            return
        shown = x if self.conditional else None
        yield "D", *self._discriminator_turn(shown, y, fake.detach())
        fooled = generator_loss(self.D(shown, fake), self.objective)
        loss, logs = self.adversarial * fooled + self.lam * l1, {"l1": l1.detach(), "fool": fooled.detach()}
        if self.variety:
            distance = (fake - self.G(x, generator=generator)).abs().mean()
            loss = loss + self.variety * (self.apart - distance).clamp(min=0)
            logs["apart"] = distance.detach()
        yield "G", loss, logs

    def generate(self, x: Tensor, z: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """G(x, z), without gradients, G in evaluation: (B, C', H, W), in [−1, 1]. z is drawn if left out."""
        check_finite("x", check_tensor("x", x, ("B", "C", "H", "W")))
        if z is not None:
            check_finite("z", check_tensor("z", z))
        with evaluating(self.G):
            return self.G(x, z, generator)

    def _discriminator_turn(self, x: Tensor | None, y: Tensor, fake: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        loss, logs = discriminator_turn(self.D, x, y, fake, self.objective, self.gamma)
        if self.mismatched and x is not None:
            if len(x) == 1:
                raise ValueError("batch: expected at least two pairs, to mismatch them, got one")
            wrong = self.D(x.roll(1, 0), y)  # each y under its neighbour's x
            loss = loss + 0.5 * self.mismatched * loss_on_fakes(wrong, self.objective)
            logs["D_mismatched"] = wrong.detach().mean()
        return loss, logs

    def _unpack(self, batch: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        if isinstance(batch, Tensor) or len(batch) != 2:
            raise ValueError(f"batch: expected a pair (x, y), got {type(batch).__name__}")
        x, y = batch
        check_tensor("x", x, ("B", "C", "H", "W"))
        check_tensor("y", y, (len(x), "C", "H", "W"))
        if not self._seen:  # once: to look at values makes a GPU wait
            check_finite("x", x)
            check_images("y", y)
        self._seen = True
        return x, y
