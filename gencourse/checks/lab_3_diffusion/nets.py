"""Nets whose every answer is known, for exercises that are given one. They refuse what a real net would misread."""

from collections.abc import Callable

import torch
from torch import Tensor

Net = Callable[[Tensor, Tensor], Tensor]


def check_call(x_t: Tensor, t: object, T: int, who: str = "net") -> None:
    """Raise `ValueError` unless a net that was trained on steps 1..T, or a step of that chain, can answer."""
    if not isinstance(t, Tensor):
        raise ValueError(f"the {who} was called with t = {t!r}, expected a tensor, one step for each example")
    if t.shape != x_t.shape[:1] or t.dtype != torch.int64:
        came = f"shape {tuple(t.shape)}, {t.dtype}"
        raise ValueError(f"the {who} was called with t of {came}, expected shape ({len(x_t)},), torch.int64")
    if int(t.min()) < 1 or int(t.max()) > T:
        raise ValueError(f"the {who} was called with t = {t.tolist()}, expected steps in 1..{T}")
