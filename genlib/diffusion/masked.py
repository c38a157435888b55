"""Diffusion on whole numbers: pixels are masked one by one, and a network learns to say what stood there.

q(x_t | x_0): each pixel is masked with probability t/T, by itself, and otherwise as it was;   t = 1..T
back: each masked pixel is uncovered with probability (t − s)/t on the way from t to s, from p_θ(x_i | x_t)
"""

import math
from collections.abc import Iterator
from typing import Annotated, Any

import torch
from jaxtyping import Int64
from torch import Generator, Tensor, nn
from torch.nn import functional

from genlib.arguments import Count, LabelOrNone, Levels, NonNegative, Share, Sizes, check, checked
from genlib.common import BITS, Turn, evaluating, unpack, wide
from genlib.diffusion.ddpm import hidden
from genlib.memory import freed_memory_kept
from genlib.optimizers import adam

Pixels = Annotated[Int64[Tensor, "B {self.shape}"], "[0, {self.most}]"]
Steps = Annotated[int, "[1, {self.T}]"] | None
Horizon = Annotated[int, "[1, 1000000]"]


class MaskedDiffusion(nn.Module):
    """A model of pictures of whole numbers. `Unmasking` trains it, `bits_per_dim` bounds its code length.

    The network sees each pixel as one of levels + 1 numbers, one-hot; the last one is the mask:

        p_θ(x_i = k | x_t) = softmax over k of net(one-hot x_t, t, label)

    Args:
        net: a `UNet` or a `DiT` of (levels + 1) · C channels; `shape`, (C, H, W), of one picture.
        levels: L, such as 17; x is int64 in 0..L − 1.
        T: of how many steps the chain is; at T all is masked.
    Raises: ValueError for a net of other channels. Ref: Austin et al. 2021, §3 (absorbing); Sahoo et al. 2024 (MDLM).
    """

    @checked
    def __init__(self, net: nn.Module, levels: Levels, shape: Sizes, T: Horizon = 1000) -> None:
        super().__init__()
        self.net, self.levels, self.most, self.shape, self.T = net, levels, levels - 1, tuple(shape), T
        self.n_classes, self.n_condition = getattr(net, "n_classes", None), getattr(net, "n_condition", None)
        wanted = (levels + 1) * self.shape[0]
        if getattr(net, "channels", wanted) != wanted:
            raise ValueError(f"net: expected one of {wanted} channels, got {net.channels}")

    def _log_p(self, x_t: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        """log p_θ(x_i = k | x_t), (B, C, L, H, W); x_t (B, C, H, W) int64, L where it is masked."""
        seen = functional.one_hot(x_t, self.levels + 1).movedim(-1, 2)  # (B, C, L + 1, H, W)
        like = next(self.net.parameters(), torch.zeros(()))
        logits = self.net(seen.flatten(1, 2).to(like.dtype), t, label).view(seen.shape)
        return logits[:, :, : self.levels].to(wide(logits)).log_softmax(dim=2)

    def _masked(self, x_0: Tensor, t: Tensor, generator: Generator | None) -> Tensor:
        """x_t, drawn from q(x_t | x_0): L where it is masked."""
        where = x_0.device if generator is None else generator.device
        draws = torch.rand(x_0.shape, generator=generator, device=where).to(x_0.device)
        return x_0.masked_fill(draws < (t / self.T).view(-1, *[1] * (x_0.dim() - 1)), self.levels)

    def _terms(self, x_0: Tensor, t: Tensor, label: Tensor | None, generator: Generator | None) -> Tensor:
        """T times the bound's term of step t, (B,), nats: Σ over masked pixels of −log p_θ(x_i | x_t), times T/t."""
        x_t = self._masked(x_0, t, generator)
        surprise = -self._log_p(x_t, t, label).gather(2, x_0[:, :, None])[:, :, 0]
        return (surprise * (x_t == self.levels)).flatten(1).sum(1) * self.T / t

    @checked
    def bits_per_dim(
        self, x_0: Pixels, label: LabelOrNone = None, generator: Generator | None = None, *, draws: Count = 50
    ) -> Tensor:
        """A bound on −log₂ p_θ(x_0)/D, (B,): on average at least that; from `draws` steps, spread evenly over 1..T.

            −log p_θ(x_0) ≤ Σ_t (1/t) E[ Σ over masked i of −log p_θ(x_i | x_t) ]

        Ref: Austin et al. 2021; in the limit of many steps Sahoo et al. 2024 (MDLM).
        """
        total = torch.zeros(len(x_0), device=x_0.device)
        with evaluating(self):
            every = torch.stack([spread(draws, self.T, generator) for _ in range(len(x_0))], dim=1)  # each its own
            for t in every.to(x_0.device):
                total = total + self._terms(x_0, t, label, generator)  # type: ignore[arg-type]
        return total / draws * BITS / math.prod(self.shape)

    @checked
    def sample(
        self, n: Count, label: LabelOrNone = None, generator: Generator | None = None, *, steps: Steps = None
    ) -> Tensor:
        """n samples, (n, C, H, W) int64 in 0..L − 1: from all masked, in so many steps, T if left out.

        The steps are even in t; where they fall between two of 1..T the network is told the nearest.
        """
        like = next(self.net.parameters(), torch.zeros(()))
        where = like.device if generator is None else generator.device
        x_t = torch.full((n, *self.shape), self.levels, device=like.device)
        count = steps or self.T
        with evaluating(self), freed_memory_kept():
            for i in range(count, 0, -1):
                t = torch.full((n,), round(self.T * i / count), device=like.device)
                p = self._log_p(x_t, t, label).movedim(2, -1).exp()  # type: ignore[arg-type]
                drawn = torch.multinomial(p.flatten(0, -2).to(where), 1, generator=generator).view(x_t.shape)
                uncovered = torch.rand(x_t.shape, generator=generator, device=where) < 1 / i
                open_now = (x_t == self.levels) & uncovered.to(x_t.device)
                x_t = torch.where(open_now, drawn.to(x_t.device), x_t)
        return x_t

    def config(self) -> dict[str, Any]:
        """What the weights do not say."""
        return {"levels": self.levels, "T": self.T} | (self.net.config() if hasattr(self.net, "config") else {})  # type: ignore[operator]


class Unmasking(nn.Module):
    """The objective of a `MaskedDiffusion`: its bound, in bits per dimension, with steps spread evenly over the batch.

    Args: lr, of Adam; label_dropout, as for `Denoising`. Raises: ValueError for other arguments.
    """

    @checked
    def __init__(self, model: MaskedDiffusion, lr: NonNegative = 2e-3, label_dropout: Share = 0.0) -> None:
        super().__init__()
        self.model, self.lr, self.label_dropout = model, lr, label_dropout

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam for the net."""
        return {"net": adam(self.parameters(), self.lr)}

    @checked
    def losses(self, batch: Any, generator: Generator | None = None) -> Iterator[Turn]:
        """("net", the bound, {}), once. Args: batch, x_0 or (x_0, label). Raises: ValueError for what does not fit."""
        x_0, label = self._parts(batch, Annotated[Int64[Tensor, "B {self.shape}"], ""])
        if label is not None and self.label_dropout:
            label = hidden(label, self.label_dropout, generator)
        t = spread(len(x_0), self.model.T, generator).to(x_0.device)
        yield "net", self.model._terms(x_0, t, label, generator).mean() * BITS / math.prod(self.model.shape), {}

    def check(self, batch: Any) -> None:
        """Look at a batch once. Raises: ValueError for one that does not fit the model."""
        self._parts(batch, Pixels)

    def _parts(self, batch: Any, kind: Any) -> tuple[Tensor, Tensor | None]:
        model = self.model
        x_0, label = unpack(batch, bool(model.n_classes or model.n_condition))
        x_0 = check("batch", x_0, kind, self=model)
        return x_0, check("label", label, LabelOrNone, self=model, n=len(x_0))

    def config(self) -> dict[str, Any]:
        """What must be the same to go on with a training."""
        return self.model.config() | {"label_dropout": self.label_dropout}


def spread(n: int, T: int, generator: Generator | None) -> Tensor:
    """n steps of 1..T, each as likely as the others, but all together as even as they can be; in random order."""
    where = torch.device("cpu") if generator is None else generator.device
    start, order = (
        torch.rand(1, generator=generator, device=where),
        torch.randperm(n, generator=generator, device=where),
    )
    return (((start + order / n) % 1) * T).long().clamp(max=T - 1) + 1
