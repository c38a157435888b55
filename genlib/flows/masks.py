"""Masks: which coordinates a coupling keeps, and so may look at, while it changes the others.

A mask is a bool tensor with the shape of one x, (D,) or (C, H, W): True where x is kept, False where it is changed.
`swap=True` gives the complement, for the layer after it.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from genlib.arguments import Seed, Sizes, Width, checked

Mask = Tensor | Sequence[Any]  # bools
Several = Annotated[int, "[2, 16384]"]  # of one there is nothing to keep, or nothing to change


@checked
def halves(dim: Several, swap: bool = False) -> Tensor:
    """The first half is kept, the second is changed; of an odd number of coordinates, the larger half is changed.

    Returns: (dim,) bool. Raises: ValueError for dim below 2. Ref: Dinh et al. 2015, §3.2.

    >>> halves(5)
    tensor([ True,  True, False, False, False])
    """
    return (torch.arange(dim) < dim // 2) ^ swap


@checked
def random(dim: Several, swap: bool = False, *, seed: Seed = 0, generator: torch.Generator | None = None) -> Tensor:
    """A random half of the coordinates is kept, drawn from the generator, or else the same for the same seed.

    Returns: (dim,) bool, dim // 2 of them True (with `swap`: False). Raises: ValueError for dim below 2.
    """
    generator = torch.Generator().manual_seed(seed) if generator is None else generator
    order = torch.randperm(dim, generator=generator, device=generator.device).cpu()
    return (order < dim // 2) ^ swap


@checked
def checkerboard(shape: Sizes, swap: bool = False) -> Tensor:
    """Kept where row + column is odd, as the dark squares of a board; the same in every channel.

    Args: shape, (C, H, W), or (H, W) for one channel; at least two pixels.
    Returns: (C, H, W) bool. Raises: ValueError for another shape. Ref: Dinh et al. 2017, §3.4.
    """
    C, H, W = (1, *shape)[-3:] if len(shape) in (2, 3) else (0, 0, 0)
    if H * W < 2:
        raise ValueError(f"shape: expected (C, H, W) or (H, W) with at least two pixels, got {shape}")
    board = (torch.arange(H)[:, None] + torch.arange(W)) % 2 == 1
    return (board ^ swap).expand(C, H, W).clone()


@checked
def channel(shape: tuple[Width, Width, Width], swap: bool = False) -> Tensor:
    """The first half of the channels is kept, whole, the second is changed.

    Args: shape, (C, H, W), C at least 2.
    Returns: (C, H, W) bool. Raises: ValueError for another shape. Ref: Dinh et al. 2017, §3.4.
    """
    if shape[0] < 2:
        raise ValueError(f"shape: expected (C, H, W) with at least two channels, got {shape}")
    return halves(shape[0], swap)[:, None, None].expand(shape).clone()


def as_mask(mask: Mask) -> Tensor:
    """A copy, on the CPU, of a mask, or of lists of bools. Raises: ValueError if it does not both keep and change."""
    try:
        taken = torch.as_tensor(mask).detach().cpu().to_dense().clone()
        came = f"{str(taken.dtype)[6:]} of shape {tuple(taken.shape)}"
    except (TypeError, ValueError, RuntimeError):
        taken, came = torch.empty(()), type(mask).__name__
    if taken.dtype != torch.bool or taken.dim() not in (1, 3) or taken.all() or not taken.any():
        raise ValueError(f"mask: expected bools of shape (D,) or (C, H, W), some True, some False, got {came}")
    return taken


@checked
def by_coordinate(mask: Bool[Tensor, "C ..."]) -> Tensor | None:
    """(D,) or (C,): the mask of whole coordinates or channels; None if it differs from pixel to pixel.

    Raises: ValueError for what is no mask.
    """
    rows = mask.flatten(1) if mask.dim() > 1 else mask[:, None]
    return rows.all(1) if bool((rows.all(1) | ~rows.any(1)).all()) else None


@checked
def in_short(mask: Bool[Tensor, "..."]) -> str:
    """The mask as zeros and ones, or of a long one a digest: another text for another mask. Raises: as above."""
    bits = "".join("01"[kept] for kept in mask.flatten().tolist())
    return bits if len(bits) <= 64 else hashlib.sha256(bits.encode()).hexdigest()[:16]


class Split(nn.Module):
    """x in two parts, where a mask of whole coordinates or channels is True and where it is not; and x again."""

    mask: Tensor
    order: Tensor | None
    before: Tensor | None

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self.register_buffer("mask", as_mask(mask))
        self._index()

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x_1 and x_2."""
        ordered = x if self.order is None else x.index_select(1, self.order)
        x_1, x_2 = ordered.split_with_sizes(self.halves[0], 1)[:: self.step]
        return x_1, x_2

    def _whole(self, x_1: Tensor, x_2: Tensor) -> Tensor:
        """x from its parts."""
        x = torch.cat([x_1, x_2][:: self.step], dim=1)
        return x if self.before is None else x.index_select(1, self.before)

    def extra_repr(self) -> str:
        return f"mask={'...' if self.mask.is_meta else in_short(self.mask)}"

    def _index(self) -> None:
        """Where the parts are; anew when a mask was loaded."""
        self.n, self.rest = len(self.mask), tuple(self.mask.shape[1:]) or ...  # a (C,) mask does for any pictures
        kept = by_coordinate(self.mask)
        if kept is None:
            return
        self.step = 1 if kept[0] else -1  # the part with the first coordinate stands first
        order, first = torch.argsort(kept != kept[0], stable=True), int((kept == kept[0]).sum())
        self.halves = [first, self.n - first], order.tolist()
        mixed = order.tolist() != list(range(self.n))
        self.register_buffer("order", order if mixed else None, persistent=False)
        self.register_buffer("before", torch.argsort(order) if mixed else None, persistent=False)

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._index()
