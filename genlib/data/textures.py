"""Scenes made of real textures (see textures.md): a label map, and a photo, all of which but its place the map tells.

The best answer in absolute or squared error is a flat tone for each class: no texture is learned from such an error.
"""

from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from genlib.arguments import Count, Seed, checked
from genlib.data.digits import Images, Pairs, Split

FILE = Path(__file__).with_name("textures.npz")
TEXTURES = ("brick", "grass", "gravel")
STD = 0.35
SIDE = 128
TRAIN_ROWS = 88  # of a texture; the other 40 are held out
CHUNK, MOST = 1 << 22, 1 << 26  # pixels that are made at once, and in all
Side = Annotated[int, "[1, 4096]"]  # of a picture, in pixels
Cells = Annotated[int, "[1, 10000]"]


@checked
def textures(n: Count, size: Side = 32, seed: Seed = 0, *, cells: Cells = 4) -> Pairs:
    """Label maps x, (n, 3, size, size), one-hot in `TEXTURES`, and photos y, (n, 1, size, size), in [−1, 1].

        y[i] = Σ_c x[c, i] · texture_c[place_c + i],    i a pixel, c a class

    The map: each pixel belongs to the nearest of so many random points (Voronoi `cells`), and each point is of a random
    class. The photo: places are random and independent of the map. Up to 64 pixels a photo lies inside the texture,
    which goes on as its mirror image. Grey textures have mean 0 and standard deviation 0.35, so a tone gives no class
    away. Raises: ValueError for more than 2²⁶ pixels in all.

    >>> x, y = textures(2, size=33)
    >>> x.shape, y.shape, float(x.sum(1).min()), float(x.sum(1).max())
    (torch.Size([2, 3, 33, 33]), torch.Size([2, 1, 33, 33]), 1.0, 1.0)
    """
    _refuse_too_many(n, size, cells)
    generator = torch.Generator().manual_seed(seed)
    points = size * torch.rand(n, cells, 2, generator=generator, dtype=torch.float32)
    classes = torch.randint(3, (n, cells), generator=generator)
    place = _places((n, 3), size, generator)
    x, y = points.new_zeros(n, 3, size, size), points.new_zeros(n, 1, size, size)
    for part in torch.arange(n).split(max(1, CHUNK // size**2)):
        label = classes[part].gather(1, _nearest(points[part], size).flatten(1)).view(-1, size, size)
        x[part] = one_hot(label, 3).movedim(3, 1).to(x.dtype)
        for c in range(3):
            y[part] += x[part, c : c + 1] * _cut(torch.full((len(part),), c), place[part, c], size)[:, None]
    return Pairs(x, y)


@checked
def texture_crops(n: Count, size: Side = 16, seed: Seed = 0, split: Split = "all") -> Images:
    """Cuttings of the textures, (n, 1, size, size) in [−1, 1], and their indices in `TEXTURES`, (n,) int64.

    They are from the upper 88 rows of the 128 × 128 pixels ("train"), the other 40 ("test") or anywhere ("all").
    Raises: ValueError for a size that the split has no room for, and for more than 2²⁶ pixels in all.

    >>> x, label = texture_crops(5, size=8)
    >>> x.shape, label.shape
    (torch.Size([5, 1, 8, 8]), torch.Size([5]))
    """
    first, last = {"train": (0, TRAIN_ROWS), "test": (TRAIN_ROWS, SIDE), "all": (0, SIDE)}[split]
    if size > last - first:
        raise ValueError(f"size: expected at most {last - first} for the split {split!r}, got {size}")
    _refuse_too_many(n, size)
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(3, (n,), generator=generator)
    row = torch.randint(first, last - size + 1, (n,), generator=generator)
    column = torch.randint(SIDE - size + 1, (n,), generator=generator)
    return Images(_cut(label, torch.stack([row, column], dim=1), size)[:, None], label)


def _refuse_too_many(n: int, size: int, cells: int = 1) -> None:
    if n * max(size**2, cells) > MOST:
        raise ValueError(f"n: expected fewer pictures of {size} × {size} pixels and {cells} cells, got {n}")


def _places(shape: tuple[int, ...], size: int, generator: torch.Generator) -> Tensor:
    """Rows and columns of the upper left corners: inside the texture if half of it is free to choose."""
    return torch.randint(SIDE - size + 1 if size <= SIDE // 2 else 2 * SIDE, (*shape, 2), generator=generator)


def _nearest(points: Tensor, size: int) -> Tensor:
    """The index of the point that is nearest to the middle of each pixel, (n, size, size)."""
    middle = torch.arange(size) + 0.5
    down, right = ((points[..., axis, None] - middle) ** 2 for axis in (0, 1))  # (n, cells, size)
    nearest = down.new_zeros(len(points), size, size, dtype=torch.int64)
    least = down.new_full(nearest.shape, float("inf"))
    for k in range(points.shape[1]):
        distance = down[:, k, :, None] + right[:, k, None, :]
        nearest[distance < least] = k
        least = torch.minimum(least, distance)
    return nearest


def _cut(label: Tensor, place: Tensor, size: int) -> Tensor:
    """The square at `place` of each wanted texture, (n, size, size); beyond its edge a texture is mirrored."""
    index = (place[:, :, None] + torch.arange(size)) % (2 * SIDE)  # (n, 2, size)
    index = torch.minimum(index, 2 * SIDE - 1 - index)
    return _textures()[label[:, None, None], index[:, 0, :, None], index[:, 1, None, :]]


@cache
def _textures() -> Tensor:
    """The textures, (3, 128, 128), float32: mean 0 and standard deviation 0.35 each, after clipping to [−1, 1]."""
    with np.load(FILE, allow_pickle=False) as file:
        levels = torch.stack([torch.from_numpy(file[name]).double() for name in TEXTURES])
    for _ in range(50):  # clipping moves both a little, so it is done again until they stay
        std, mean = torch.std_mean(levels, dim=(1, 2), keepdim=True, correction=0)
        levels = (STD / std * (levels - mean)).clamp(-1, 1)
    return levels.float()
