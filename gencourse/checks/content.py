"""What a call is made of, as a key: calls with the same content give the same, and need to be made once.

The answers to an exercise meet the same arguments again and again, in tests above all; genlib's version, the known
mistakes and the slips are asked there once. Known are tensors, numbers and names, what consists of them, modules and
functions by their code and by what they hold. What notes its calls, draws numbers or steps an optimizer is unknown.
"""

import hashlib
import types
from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

LARGE = 4096  # numbers in a tensor that is looked at as a whole
PLAIN = (bool, int, float, str, bytes, torch.dtype, torch.Size, torch.device, types.NoneType, types.BuiltinFunctionType)
KNOWN = ("gencourse.", "genlib.", "torch.nn.modules.")


class Unknown(Exception):  # noqa: N818
    """Something that has a state, or is large."""


def content(args: Sequence[Any]) -> Hashable:
    """A key that two calls share only if a function that draws nothing gives the same in both; None if unknown."""
    seen: dict[int, int] = {}
    try:
        return torch.get_default_dtype(), torch.is_grad_enabled(), *(_of(arg, seen) for arg in args)
    except (Unknown, ValueError, RuntimeError):  # the last two of a closure that is not filled yet, and of odd tensors
        return None


def _of(value: Any, seen: dict[int, int]) -> Hashable:
    kind = type(value)
    if kind in PLAIN:
        return kind, repr(value) if kind is float else value
    if id(value) in seen:  # a layer and its inverse hold each other
        return "again", seen[id(value)]
    seen[id(value)] = len(seen)
    if isinstance(value, Tensor):
        return kind, _of_tensor(value), None if value.grad_fn or value.grad is None else _of_tensor(value.grad)
    if kind in (list, tuple):
        return kind, tuple(_of(part, seen) for part in value)
    if kind is types.FunctionType:
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return value.__code__, tuple(_held(part, seen) for part in (*cells, *(value.__defaults__ or ())))
    if kind.__module__.startswith(KNOWN) and hasattr(value, "__dict__"):
        return kind, tuple((name, _held(part, seen)) for name, part in vars(value).items())
    raise Unknown


def _held(value: Any, seen: dict[int, int]) -> Hashable:
    """As `_of`, of what is not handed over but held: a list there may be one that notes something."""
    if type(value) is list:
        raise Unknown
    if isinstance(value, dict):
        return tuple((repr(name), _held(part, seen)) for name, part in value.items())
    if type(value) is set and not value:
        return "nothing"
    return _of(value, seen)


def _of_tensor(value: Tensor) -> Hashable:
    if value.layout is not torch.strided or value.numel() > LARGE or value.is_meta:
        raise Unknown
    numbers = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return value.shape, value.dtype, value.device, value.requires_grad, hashlib.sha256(numbers).digest()
