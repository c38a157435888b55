"""Nets whose every answer is known, for exercises that are given one. They refuse what a real net would misread."""

from collections.abc import Callable
from typing import NoReturn

import torch
from torch import Tensor

Net = Callable[[Tensor, Tensor], Tensor]


HINT = (
    "What was handed over does not fit; the error says what came and what was expected. Are the arguments in their "
    "order, and is each of them what it should be, t one whole number for each example?"
)


def refuse(text: str) -> NoReturn:
    """Raise `ValueError`; for whoever called the net, it carries a hint."""
    error = ValueError(text)
    error.add_note(HINT)
    raise error


def check_call(x_t: Tensor, t: object, T: int, who: str = "net") -> None:
    """Refuse the call unless a net that was trained on steps 1..T, or a step of that chain, can answer."""
    if not isinstance(t, Tensor):
        refuse(f"the {who} was called with t = {t!r}, expected a tensor, one step for each example")
    if t.shape != x_t.shape[:1] or t.dtype != torch.int64:
        came = f"shape {tuple(t.shape)}, {t.dtype}"
        refuse(f"the {who} was called with t of {came}, expected shape ({len(x_t)},), torch.int64")
    if torch._C._functorch.peek_interpreter_stack() is not None:  # type: ignore
        return  # inside of vmap nobody may look at values
    if int(t.min()) < 1 or int(t.max()) > T:
        refuse(f"the {who} was called with t = {t.tolist()}, expected steps in 1..{T}")
