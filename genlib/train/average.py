"""The running average of the weights, which samples better than the last of them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from genlib.train.together import Together

EMA_DECAY = 0.996  # the final decay, where `fit` is not told another
YOUNG = 8  # steps; the decay of an average of k steps is at most k/(k + 8), which is .996 for k = 1992


class Average:
    """An exponential moving average that forgets its start.

        ema ← decay_k · ema + (1 − decay_k) θ,   decay_k = min(ema_decay, k/(k + 8)),   k = 0, 1, 2, …

    At k = 0 it is θ itself. While k/(k + 8) is the smaller, it averages over about the last eighth of the steps so far.
    Buffers, such as running statistics, are averages or counters already: a copy of the last good ones is kept.
    An objective whose `averaged` is False has no average.
    """

    def __init__(self, objective: nn.Module, ema_decay: float) -> None:
        self.least = round(1 - ema_decay, 15)  # of the rates 1 − decay_k: .004, not .0040000000000000036
        averaged = getattr(objective, "averaged", True)
        self.parameters = {name: p for name, p in objective.named_parameters() if averaged and p.requires_grad}
        self.mean = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.means: list[Tensor] = [*self.mean.values()]  # the same in fewer pieces, where parameters are together
        self.values: list[Tensor] = [*self.parameters.values()]
        self.together: list[Together] = []
        # Where buffers are, and copies: a module may well put a new tensor in the place of an old one.
        owners: list[Any] = [module._buffers for module in objective.modules()]
        self.buffers = [(own, name, x.clone()) for own in owners for name, x in own.items() if x is not None]

    @torch.no_grad()
    def join(self, together: Iterable[Together]) -> None:
        """Parameters that are trained together are averaged together."""
        names = {id(p): name for name, p in self.parameters.items()}
        self.together = [small for small in together if small.lasts and self.mean]
        self.means = []
        for small in self.together:
            own = [names.pop(id(p)) for p in small.parameters]
            self.means.append(small.flat([self.mean[name] for name in own]))
            self.mean.update(zip(own, small.views(self.means[-1]), strict=True))
        self.values = [small.vector for small in self.together]
        self.means += [self.mean[name] for name in names.values()]
        self.values += [self.parameters[name] for name in names.values()]

    @torch.no_grad()
    def update(self, k: int) -> None:
        """After step k, counted from 0."""
        if self.mean:
            rate = max(self.least, YOUNG / (k + YOUNG))
            if not all(small.lasts for small in self.together):
                self.means, self.values = [*self.mean.values()], [*self.parameters.values()]
            torch._foreach_lerp_(self.means, self.values, rate)  # pyright: ignore
        if self.buffers:
            kept = [copy for *_, copy in self.buffers]
            torch._foreach_copy_(kept, [own[name] for own, name, _ in self.buffers])  # pyright: ignore

    @torch.no_grad()
    def put(self, values: dict[str, Tensor]) -> None:
        """These values into the objective's parameters."""
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The objective has the averaged weights, for as long as this lasts."""
        raw = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.put(self.mean)
        try:
            yield
        finally:
            self.put(raw)

    @torch.no_grad()
    def restore_buffers(self) -> None:
        """The objective's buffers become what they were after the last `update`."""
        for own, name, kept in self.buffers:
            own[name].copy_(kept)
