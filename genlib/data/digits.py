"""The 1797 handwritten digits that come with scikit-learn: real, 8 × 8 pixels, 17 levels of grey, quick to train on."""

from functools import cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from genlib.arguments import checked

N_TRAIN = 1500
LEVELS = 17
Split = Literal["train", "test", "all"]


class Images(NamedTuple):
    """Pictures and their classes: `x, label = data.digits()`."""

    x: Tensor
    label: Tensor


class Pairs(NamedTuple):
    """Input and target pictures: `x, y = data.textures(100)`."""

    x: Tensor
    y: Tensor


@checked
def digits(split: Split = "train", integers: bool = False) -> Images:
    """Handwritten digits 0..9, always split in the same way.

    Args:
        split: "train" (1500 digits), "test" (the other 297) or "all" (those of "train", then those of "test").
        integers: pixels as int64 levels 0..16, as scanned; otherwise x/8 − 1, float32 in [−1, 1].
    Returns:
        x, (N, 1, 8, 8), 0 is background; label, (N,) int64.
    Ref: Alpaydin & Kaynak 1998, "Optical recognition of handwritten digits", UCI (CC BY 4.0).

    >>> x, label = digits("test")
    >>> x.shape, x.dtype, float(x.min()), float(x.max())
    (torch.Size([297, 1, 8, 8]), torch.float32, -1.0, 1.0)
    """
    x, label = _scanned()
    rows = {"train": slice(0, N_TRAIN), "test": slice(N_TRAIN, None), "all": slice(None)}[split]
    x, label = x[rows].clone(), label[rows].clone()
    return Images(x if integers else x.float() / 8 - 1, label)


@cache
def _scanned() -> tuple[Tensor, Tensor]:
    """The levels and classes in the order of the split: the first 1500 of a fixed permutation train."""
    from sklearn.datasets import load_digits  # slow to import, so only once it is wanted

    pixels, classes = load_digits(return_X_y=True)
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(0))
    x = torch.as_tensor(pixels).to(torch.int64).view(-1, 1, 8, 8)
    return x[order], torch.as_tensor(classes).to(torch.int64)[order]


def outlines(split: Split = "train") -> Pairs:
    """The outline of each handwritten digit, x, and the digit, y; both (N, 1, 8, 8), float32 in [−1, 1], split alike.

        outline = max over a pixel and its four neighbours of the ink − the ink of the pixel

    It is strong where a light pixel touches a dark one. No two of the digits have the same outline, so a map can be
    right about every one of them: there is nothing to draw at random, and a loss that compares pixels does well.
    Ref: Rivest, Soille & Beucher 1993, "Morphological gradients": the external one.

    >>> x, y = outlines("test")
    >>> x.shape, y.shape, float(x.min()), float(x.max())
    (torch.Size([297, 1, 8, 8]), torch.Size([297, 1, 8, 8]), -1.0, 1.0)
    """
    y = digits(split).x
    ink = y + 1
    thicker = torch.maximum(max_pool2d(ink, (3, 1), 1, (1, 0)), max_pool2d(ink, (1, 3), 1, (0, 1)))
    return Pairs(thicker - ink - 1, y)
