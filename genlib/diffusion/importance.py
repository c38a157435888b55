"""Training on the bound itself, with its steps drawn by importance: the terms that vary much are looked at often."""

from collections.abc import Iterator
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from genlib.arguments import Dropout, NonNegative, Share, checked
from genlib.common import BITS, Turn
from genlib.diffusion.bound import step_term
from genlib.diffusion.ddpm import DDPM
from genlib.diffusion.denoising import Denoising
from genlib.diffusion.samplers import Denoised
from genlib.diffusion.schedule import convert

Kept = Annotated[int, "[1, 1000]"]


class VariationalBound(Denoising):
    """Minimise what a network changes in the bound, in bits per dimension, with step t drawn with probability p_t:

        L_0 + Σ_{t=2}^T L_{t−1} = E_{t ~ p} [ L_{t−1} / p_t ],    p_t ∝ √mean(L²) over the last terms seen at step t

    Whatever p is, the mean is the same; this p makes its noise least. Until every step has been seen `history` times,
    t is uniform. In several processes each has a history of its own.

    Args:
        lr, label_dropout: as for `Denoising`.
        history: how many terms are remembered of each step.
        uniform: the share of draws that stay uniform, so that no step is forgotten.
    Raises: ValueError for other arguments.
    Ref: Nichol & Dhariwal 2021, eq. 18 and §3.3. The terms: lecture 04 (16).
    """

    latest: Tensor  # (T, history): nats of whole pictures
    seen: Tensor  # (T,)

    @checked
    def __init__(
        self,
        ddpm: DDPM,
        lr: NonNegative = 1e-4,
        label_dropout: Share = 0.1,
        *,
        history: Kept = 10,
        uniform: Dropout = 1e-3,
    ) -> None:
        super().__init__(ddpm, lr, label_dropout)
        self.uniform, T = uniform, ddpm.schedule.T
        like = next(ddpm.parameters(), torch.zeros(()))
        self.register_buffer("latest", like.new_zeros(T, history, dtype=torch.float32))
        self.register_buffer("seen", like.new_zeros(T, dtype=torch.int64))

    def probabilities(self) -> Tensor:
        """p_1..p_T, (T,), whose sum is 1."""
        size = self.latest.square().mean(1).sqrt()
        if not bool((self.seen >= self.latest.shape[1]).all()) or not float(size.sum()) > 0:
            return torch.full_like(size, 1 / len(size))
        return (1 - self.uniform) * size / size.sum() + self.uniform / len(size)

    @checked
    def losses(self, batch: Any, generator: Generator | None = None) -> Iterator[Turn]:
        """("net", an estimate of the bound less L_T, {}), once; batch, errors: as for `Denoising`."""
        x_0, label = self._parts(batch, Float[Tensor, "B D ..."])
        x_0 = x_0.to(torch.promote_types(x_0.dtype, torch.float32))
        model, schedule, p = self.model, self.model.schedule, self.probabilities()
        where = x_0.device if generator is None else generator.device
        t = 1 + torch.multinomial(p.to(where), len(x_0), replacement=True, generator=generator).to(x_0.device)
        x_0, x_t, eps, label = self._noised(x_0, label, t, generator)
        value, v = model(x_t, t, label)
        guess = Denoised(convert(schedule, value, x_t, t, model.predict, "x_0"), eps, v)
        mean, log_var = model.step_back(guess, x_t, t, schedule)  # which looks at no ε
        term = step_term(schedule, x_0, x_t, t, mean, log_var, model.levels)
        self._remember(t - 1, term.detach())
        yield "net", (term / p.to(term)[t - 1]).mean() * (BITS / x_0[0].numel()), {}

    def _remember(self, place: Tensor, term: Tensor) -> None:
        """The newest terms of each step, in the place of its oldest; of a step that was drawn several times, all."""
        place, order = place.sort(stable=True)
        before = torch.arange(len(place), device=place.device) - torch.searchsorted(place, place)  # of the same step
        self.latest[place, (self.seen[place] + before) % self.latest.shape[1]] = term[order].float()
        self.seen.index_add_(0, place, torch.ones_like(place))

    def config(self) -> dict[str, Any]:
        """That of `Denoising`, and what is drawn."""
        return super().config() | {"history": self.latest.shape[1], "uniform": self.uniform}
