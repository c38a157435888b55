"""What the families share, since none imports another: batches, conditions, noise, a network only asked."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor, nn

BITS = 1 / math.log(2)  # bits in a nat
Turn = tuple[str, Tensor, dict[str, Tensor]]  # whose turn, its loss, logs: what an objective yields to `train.fit`


def unpack(batch: Any, pair: bool | None = None) -> tuple[Tensor, Tensor | None]:
    """The tensors of a batch: x, and its label or its y, or None.

    The second is needed where `pair` is True, left alone where it is False, and may be there where it is None.
    Raises: ValueError for anything but a tensor, or one or two of as many examples each, at least one.
    """
    parts = (batch,) if isinstance(batch, Tensor) else batch
    if not isinstance(parts, Sequence) or not all(isinstance(x, Tensor) and x.dim() and not x.is_nested for x in parts):
        raise ValueError(f"batch: expected tensors of examples, x or (x, label or y), got {type(batch).__name__}")
    if len(parts) not in ((2,) if pair else (1, 2)):
        raise ValueError(f"batch: expected {'' if pair else 'x or '}(x, label or y), got {len(parts)} tensors")
    sizes = [len(x) for x in parts]
    if min(sizes) == 0 or min(sizes) != max(sizes):
        raise ValueError(f"batch: expected as many of each, at least one example, got {sizes}")
    return parts[0], None if len(parts) == 1 or pair is False else parts[1]


def n_told(n_classes: int | None, n_condition: int | None) -> int:
    """How many numbers networks are told of a label: one of so many classes, or a vector of so many."""
    if n_classes and n_condition:
        raise ValueError(f"n_classes, n_condition: expected one of the two, got {n_classes} and {n_condition}")
    return n_classes or n_condition or 0


def told(label: Any, n_classes: int | None, like: Tensor) -> Tensor | None:
    """What networks are told of a label, (B, n), in the dtype of `like`: one-hot classes, or the vectors themselves."""
    if label is None or not n_classes:
        return label
    return like.new_zeros(len(label), n_classes).scatter(1, label[:, None], 1.0)  # one_hot cannot be mapped by vmap


def draw(shape: tuple[int, ...], like: Tensor, generator: Generator | None) -> Tensor:
    """N(0, I) of this shape, in the dtype and on the device of `like`; drawn where the generator lives, then moved."""
    device = like.device if generator is None else generator.device
    return torch.randn(shape, dtype=like.dtype, device=device, generator=generator).to(like.device)


def wide(x: Tensor) -> torch.dtype:
    """What many numbers are added up in: float32, or better where x is."""
    return torch.promote_types(x.dtype, torch.float32)


def exactly(x: Tensor) -> Tensor:
    """x in float64; moved to the CPU first, for not every device has it."""
    return (x if x.is_meta else x.cpu()).double()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """No gradients, no dropout, no batch statistics; afterwards every part is in the mode that it had. Never around
    a `yield` to a caller, who would find gradients switched off."""
    training = [part for part in module.modules() if part.training]
    try:
        _train(training, False)
        with torch.no_grad():
            yield
    finally:
        _train(training, True)


def _train(parts: list[nn.Module], mode: bool) -> None:
    """`part.training = mode`, past what nn.Module does for any attribute: samplers switch in every step."""
    for part in parts:
        if "training" in vars(part):
            vars(part)["training"] = mode
        else:  # TorchScript keeps it elsewhere
            part.training = mode
