"""pix2pix: an image that belongs to a picture, learned from pairs: arg min_G max_D L_cGAN(G, D) + λ L_L1(G)."""

from collections.abc import Iterator
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from genlib.arguments import Dropout, NonNegative, check, checked
from genlib.common import Turn, unpack
from genlib.gan.objectives import Name, discriminator_loss, generator_loss, mean_cost, r1
from genlib.optimizers import adam

LIKE_G = Float[Tensor, "{fake.shape}"]  # what is compared with what G makes


class Pix2Pix(nn.Module):
    """Trains G and D on pairs (x, y): pictures x, (B, C, H, W), and images y, (B, C', H, W), in [−1, 1].

        D    ½ [ E real(D(x, y)) + E fake(D(x, G(x, z))) + m E fake(D(x', y)) ] + γ/2 R1
        G    adversarial · E fool(D(x, G(x, z))) + λ E|y − G(x, z)| + v max(0, apart − E|G(x, z) − G(x, z')|)

    |·| is a mean over pixels and channels, z' other noise, x' another example's x. Without L1 the game with mismatched
    pairs rests at p_G = max(0, c p − m p(x) p(y)), a density for each x: at p itself if no two x share an answer.
    G and D are called as G(x, z=None, generator=None) and, for logits, D(x, y), or D(None, y) where not `conditional`.
    λ is `lam`; γ, `gamma`, m, `mismatched`, and v, `variety`, are 0 in the paper. With `adversarial` 0, L1 is all there
    is, and D is not trained. `lr` and `betas` are Adam's, `lr_D` is D's own learning rate.
    Raises: ValueError for no loss at all, and for mismatched pairs without a D that is shown x, or of one example.
    Ref: Isola et al. 2017, eqs. 1–4, §3.3; x': Reed et al. 2016, §4.2; z': Yang et al. 2019, eq. 2, without |z − z'|.
    Lecture 02 (1), (5).
    """

    averaged = False  # the two follow each other; an average of either has lost the other
    model = property(lambda self: self.G)

    @checked
    def __init__(
        self,
        G: nn.Module,
        D: nn.Module,
        lam: NonNegative = 100.0,
        objective: Name = "non_saturating",
        *,
        lr: NonNegative = 2e-4,
        lr_D: NonNegative | None = None,
        betas: tuple[Dropout, Dropout] = (0.5, 0.999),
        adversarial: NonNegative = 1.0,
        gamma: NonNegative = 0.0,
        conditional: bool = True,
        mismatched: NonNegative = 0.0,
        variety: NonNegative = 0.0,
        apart: NonNegative = 0.35,
    ) -> None:
        super().__init__()
        self.G, self.D, self.conditional, self.betas = G, D, conditional, betas
        self.objective: Name = objective
        self.lr, self.lr_D, self.lam, self.adversarial = lr, lr if lr_D is None else lr_D, lam, adversarial
        self.gamma, self.mismatched, self.variety, self.apart = gamma, mismatched, variety, apart
        if lam == adversarial == 0:
            raise ValueError("lam, adversarial: expected at least one above 0, or G has nothing to learn from")
        if mismatched and not conditional:
            raise ValueError(f"mismatched: expected 0 for a D that is not shown x, got {mismatched:g}")

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam for each network that is trained."""
        rates = {"D": self.lr_D, "G": self.lr} if self.adversarial else {"G": self.lr}
        return {name: adam(getattr(self, name).parameters(), lr, self.betas) for name, lr in rates.items()}

    @checked
    def losses(self, batch: Any, generator: Generator | None = None) -> Iterator[Turn]:
        """("D", its loss, logs), then ("G", its loss, logs), which share one forward pass of G."""
        x, y = self._pair(batch)
        shown, fake = x if self.conditional else None, self._made(x, y, generator)
        l1 = (fake - y).abs().mean()
        loss, logs = self.lam * l1, {"l1": l1.detach()}
        if self.adversarial:
            yield "D", *self._discriminator_turn(shown, y, fake.detach())
            fooled = generator_loss(self.D(shown, fake), self.objective)
            loss, logs["fool"] = self.adversarial * fooled + loss, fooled.detach()
            if self.variety:
                distance = (fake - self.G(x, generator=generator)).abs().mean()
                loss, logs["apart"] = loss + self.variety * (self.apart - distance).clamp(min=0), distance.detach()
        yield "G", loss, logs

    def _made(self, given: Tensor, y: Tensor, generator: Generator | None) -> Tensor:
        fake = self.G(given, generator=generator)
        check("y", y, LIKE_G, self=self, fake=fake)
        return fake

    def _discriminator_turn(self, x: Tensor | None, y: Tensor, fake: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        y = y.detach().requires_grad_(self.gamma > 0)
        real_logits, fake_logits = self.D(x, y), self.D(x, fake)
        loss = 0.5 * discriminator_loss(real_logits, fake_logits, self.objective)
        logs = {"D_real": real_logits.detach().mean(), "D_fake": fake_logits.detach().mean()}
        if self.gamma:
            penalty = r1(real_logits, y)
            loss, logs["r1"] = loss + 0.5 * self.gamma * penalty, penalty.detach()
        if self.mismatched and x is not None:
            wrong = self.D(x.roll(1, 0), y)  # each y under its neighbour's x
            loss = loss + 0.5 * self.mismatched * mean_cost("fake", wrong, self.objective)
            logs["D_mismatched"] = wrong.detach().mean()
        return loss, logs

    def check(self, batch: Any) -> None:
        """Raise `ValueError` unless x is finite and y in [−1, 1], as what G makes is."""
        x, y = self._pair(batch)
        check("x", x, Annotated[Float[Tensor, "B C H W"], "finite"], self=self)
        check("y", y, Annotated[Float[Tensor, "B C H W"], "[-1, 1]"], self=self)

    def config(self) -> dict[str, Any]:
        """What must be the same to go on: the settings of G and D, and those of the losses."""
        names = "objective", "conditional", "lam", "adversarial", "gamma", "mismatched", "variety", "apart"
        nets = {f"{n}.{k}": v for n, net in self.named_children() for k, v in getattr(net, "config", dict)().items()}
        return nets | {name: getattr(self, name) for name in names}

    def _pair(self, batch: Any) -> tuple[Tensor, Tensor]:
        x, y = unpack(batch, pair=True)
        if self.mismatched and len(x) == 1:
            raise ValueError("batch: expected at least two pairs, to mismatch them, got one")
        return x, y  # type: ignore[return-value]
