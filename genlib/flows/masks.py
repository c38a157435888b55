"""Masks: which coordinates a coupling keeps, and so may look at, while it changes the others.

A mask is a bool tensor with the shape of one x, (D,) or (C, H, W): True where x is kept, False where it is changed.
`swap=True` gives the complement, for the layer after it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from genlib.arguments import check_int


def halves(dim: int, swap: bool = False) -> Tensor:
    """The first half is kept, the second is changed; of an odd number of coordinates, the larger half is changed.

    Args:
        dim: D, at least 2.
    Returns:
        (D,) bool.
    Ref: Dinh et al. 2015, §3.2.

    >>> halves(5)
    tensor([ True,  True, False, False, False])
    """
    dim = _check_dim(dim)
    return (torch.arange(dim) < dim // 2) ^ bool(swap)


def random(dim: int, swap: bool = False, *, seed: int | None = 0, generator: torch.Generator | None = None) -> Tensor:
    """Half of the coordinates are kept, a random half.

    Args:
        dim: D, at least 2.
        seed: the same seed, the same mask.
        generator: draw from it instead; then `seed` is not used.
    Returns:
        (D,) bool, D // 2 of them True (with `swap`: False).
    """
    dim = _check_dim(dim)
    if generator is None:
        generator = torch.Generator().manual_seed(check_int("seed", seed, 0))
    order = torch.randperm(dim, generator=generator, device=generator.device).cpu()
    return (order < dim // 2) ^ bool(swap)


def checkerboard(shape: Sequence[int], swap: bool = False) -> Tensor:
    """Kept where row + column is odd, as the dark squares of a board; the same in every channel.

    Args:
        shape: (C, H, W), or (H, W) for one channel; at least two pixels.
    Returns:
        (C, H, W) bool.
    Ref: Dinh et al. 2017, §3.4.

    >>> checkerboard((2, 3)).int()
    tensor([[[0, 1, 0],
             [1, 0, 1]]], dtype=torch.int32)
    """
    C, H, W = check_shape("shape", (1, *shape) if len(shape) == 2 else shape)
    if H * W < 2:
        raise ValueError(f"shape: expected at least two pixels, {(C, H, W)} leaves nothing to transform")
    board = (torch.arange(H)[:, None] + torch.arange(W)) % 2 == 1
    return (board ^ bool(swap)).expand(C, H, W).clone()


def channel(shape: Sequence[int], swap: bool = False) -> Tensor:
    """The first half of the channels is kept, whole, the second is changed.

    Args:
        shape: (C, H, W), C at least 2.
    Returns:
        (C, H, W) bool.
    Ref: Dinh et al. 2017, §3.4.
    """
    C, H, W = check_shape("shape", shape)
    if C < 2:
        raise ValueError(f"shape: expected at least 2 channels, {(C, H, W)} leaves nothing to transform")
    return halves(C, swap)[:, None, None].expand(C, H, W).clone()


def check_mask(mask: object) -> Tensor:
    """A mask that keeps something and changes something; a list of bools will do."""
    try:
        mask = torch.as_tensor(mask).detach().cpu().clone()
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"mask: expected bools of shape (D,) or (C, H, W), got {type(mask).__name__}") from None
    if mask.dtype != torch.bool or mask.dim() not in (1, 3):
        raise ValueError(f"mask: expected bools of shape (D,) or (C, H, W), got {mask.dtype}, {tuple(mask.shape)}")
    if not bool((~mask).any()):
        raise ValueError("mask: expected some False, this one leaves nothing to transform")
    if not bool(mask.any()):
        raise ValueError("mask: expected some True, this one leaves nothing to condition on")
    return mask


def by_coordinate(mask: Tensor) -> Tensor | None:
    """(D,) or (C,): the mask of whole coordinates or channels; None if it differs from pixel to pixel."""
    if mask.dim() == 1:
        return mask
    first = mask[:, 0, 0]
    return first if bool((mask == first[:, None, None]).all()) else None


def check_shape(name: str, shape: Sequence[int]) -> tuple[int, int, int]:
    """(C, H, W), each at least 1."""
    if isinstance(shape, str) or not isinstance(shape, Sequence) or len(shape) != 3:
        raise ValueError(f"{name}: expected (C, H, W), got {shape!r}")
    C, H, W = (check_int(name, size) for size in shape)
    return C, H, W


def _check_dim(dim: int) -> int:
    dim = check_int("dim", dim)
    if dim < 2:
        raise ValueError(f"dim: expected at least 2, a mask of {dim} leaves nothing to transform or to condition on")
    return dim
