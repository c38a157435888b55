"""The running average of the weights, which samples better than the last of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """An exponential moving average that forgets its start.

        ema += rate_k (θ − ema),   rate_k = max(rate, 8/(k + 8)),   k = 0, 1, 2, …

    At k = 0 it is θ itself. While 8/(k + 8) is the larger, it averages over about the last eighth of the steps so far.
    Buffers, such as running statistics, are averages or counters already: they are copied as they are.

    Args:
        task: whose trainable parameters are averaged.
        rate: the final rate, in [0, 1].
        averaged: whether to average at all; if not, only the buffers are kept.
    """

    def __init__(self, task: nn.Module, rate: float, averaged: bool) -> None:
        self.rate = rate
        self.parameters: list[Tensor] = [p for p in task.parameters() if p.requires_grad] if averaged else []
        self.mean = [p.detach().clone() for p in self.parameters]
        # Where buffers are kept, not the buffers: a module may well put a new tensor in the place of an old one.
        self._places = [(m._buffers, name) for m in task.modules() for name, b in m._buffers.items() if b is not None]
        self.buffers = [b.detach().clone() for b in self._task_buffers()]

    @torch.no_grad()
    def update(self, k: int) -> None:
        """After step k, counted from 0."""
        if self.mean:
            rate = max(self.rate, 8 / (k + 8))
            torch._foreach_lerp_(self.mean, self.parameters, rate)  # pyright: ignore
        if self.buffers:
            torch._foreach_copy_(self.buffers, self._task_buffers())  # pyright: ignore

    @torch.no_grad()
    def leave_in_task(self) -> None:
        """The task's weights become the average, for good."""
        for parameter, mean in zip(self.parameters, self.mean, strict=True):
            parameter.copy_(mean)

    @torch.no_grad()
    def restore_buffers(self) -> None:
        """The task's buffers become what they were after the last `update`."""
        for buffer, kept in zip(self._task_buffers(), self.buffers, strict=True):
            buffer.copy_(kept)

    @contextmanager
    def in_task(self) -> Iterator[None]:
        """The task's weights are the average, for as long as this lasts."""
        raw = [p.detach().clone() for p in self.parameters]
        self.leave_in_task()
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(self.parameters, raw, strict=True):
                    parameter.copy_(value)

    def state_dict(self) -> dict:
        return {"mean": [mean.cpu() for mean in self.mean]}

    @torch.no_grad()
    def load_state_dict(self, state: dict) -> None:
        """To be called once the task has its own weights and buffers back."""
        for mean, stored in zip(self.mean, state["mean"], strict=True):
            mean.copy_(stored)
        for kept, buffer in zip(self.buffers, self._task_buffers(), strict=True):
            kept.copy_(buffer)

    def _task_buffers(self) -> list[Tensor]:
        return [buffers[name] for buffers, name in self._places]  # type: ignore[misc]
