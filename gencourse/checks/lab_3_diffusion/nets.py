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


PLAIN = (
    "t is no tensor here. All examples of a batch are at a step, and each has to be told its own: one number for each."
)
FLOATS = "t holds no whole numbers, and a step is one: with which dtype is this tensor made, and what was done to it?"
BELOW = (
    "There is no step below 1: t = 0 is the data, in which there is no noise left. What is the last step to be taken?"
)
ABOVE = (
    "There is no such step: the chain that was handed over is shorter. Is its length a number that is written down, "
    "where an argument should say it (T is one less than the length of a table or of z), or is t shifted?"
)


def refuse(text: str, hint: str = HINT) -> NoReturn:
    """Raise `ValueError`; for whoever called the net, it carries a hint."""
    error = ValueError(text)
    error.add_note(hint)
    raise error


def check_call(x_t: Tensor, t: object, T: int, who: str = "net") -> None:
    """Refuse the call unless a net that was trained on steps 1..T, or a step of that chain, can answer."""
    if not isinstance(t, Tensor):
        refuse(f"the {who} was called with t = {t!r}, expected a tensor, one step for each example", PLAIN)
    if t.shape != x_t.shape[:1] or t.dtype != torch.int64:
        came = f"shape {tuple(t.shape)}, {t.dtype}"
        hint = FLOATS if t.shape == x_t.shape[:1] and t.is_floating_point() else HINT
        refuse(f"the {who} was called with t of {came}, expected shape ({len(x_t)},), torch.int64", hint)
    if torch._C._functorch.peek_interpreter_stack() is not None:  # type: ignore
        return  # inside of vmap nobody may look at values
    if int(t.min()) < 1 or int(t.max()) > T:
        hint = BELOW if int(t.min()) < 1 else ABOVE
        refuse(f"the {who} was called with t = {t.tolist()}, expected steps in 1..{T}", hint)
