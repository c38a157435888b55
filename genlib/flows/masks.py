"""Masks: which coordinates a coupling keeps, and so may look at, while it changes the others.

A mask is a bool tensor with the shape of one x, (D,) or (C, H, W): True where x is kept, False where it is changed.
`swap=True` gives the complement, for the layer after it.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated

import torch
from jaxtyping import Bool
from torch import Generator, Tensor

from genlib.arguments import Seed, Sizes, Width, checked

Mask = Bool[Tensor, " D"] | Bool[Tensor, "C H W"] | Sequence[bool]
Several = Annotated[int, "[2, 16384]"]  # of one there is nothing to keep, or nothing to change


@checked
def halves(dim: Several, swap: bool = False) -> Tensor:
    """(dim,): the first half is kept; of an odd number of coordinates, the larger half is changed.
    Raises: ValueError for dim below 2. Ref: Dinh et al. 2015, §3.2.

    >>> halves(5)
    tensor([ True,  True, False, False, False])
    """
    return (torch.arange(dim) < dim // 2) ^ swap


@checked
def random(dim: Several, swap: bool = False, *, seed: Seed = 0, generator: Generator | None = None) -> Tensor:
    """(dim,): a random half is kept, drawn from the generator, or the seed. Raises: ValueError for dim below 2."""
    generator = torch.Generator().manual_seed(seed) if generator is None else generator
    order = torch.randperm(dim, generator=generator, device=generator.device).cpu()
    return (order < dim // 2) ^ swap


@checked
def checkerboard(shape: Sizes, swap: bool = False) -> Tensor:
    """(C, H, W): kept where row + column is odd, as the dark squares of a board; the same in every channel.
    Args: shape, (C, H, W), or (H, W) for one channel; at least two pixels.
    Raises: ValueError for another shape. Ref: Dinh et al. 2017, §3.4.
    """
    C, H, W = (1, *shape)[-3:] if len(shape) in (2, 3) else (0, 0, 0)
    if H * W < 2:
        raise ValueError(f"shape: expected (C, H, W) or (H, W) with at least two pixels, got {shape}")
    board = (torch.arange(H)[:, None] + torch.arange(W)) % 2 == 1
    return (board ^ swap).expand(C, H, W).clone()


@checked
def channel(shape: tuple[Width, Width, Width], swap: bool = False) -> Tensor:
    """(C, H, W), C at least 2: the first half of the channels is kept, whole.
    Raises: ValueError for another shape. Ref: Dinh et al. 2017, §3.4.
    """
    if shape[0] < 2:
        raise ValueError(f"shape: expected (C, H, W) with at least two channels, got {shape}")
    return halves(shape[0], swap)[:, None, None].expand(shape).clone()


@checked
def as_mask(mask: Mask) -> Tensor:
    """A copy of a mask, on the CPU. Raises: ValueError for what is none, or does not both keep and change."""
    taken = torch.as_tensor(mask).cpu().clone()
    if taken.all() or not taken.any():
        raise ValueError(f"mask: expected some True and some False, got {int(taken.sum())} True of {taken.numel()}")
    return taken


@checked
def in_short(mask: Bool[Tensor, "..."]) -> str:
    """The mask as zeros and ones, or of a long one a digest: another text for another mask. Raises: as above."""
    bits = "".join("01"[kept] for kept in mask.flatten().tolist())
    return bits if len(bits) <= 64 else hashlib.sha256(bits.encode()).hexdigest()[:16]
