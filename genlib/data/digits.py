"""The 1797 handwritten digits that come with scikit-learn: real, 8 × 8 pixels, 17 levels of grey, quick to train on."""

import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from genlib.arguments import checked

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
    """Handwritten digits 0..9: x, (N, 1, 8, 8), and label, (N,) int64; always split alike, 1500 to train, 297 to test.

    With `integers` x is int64 in 0..16, as scanned, 0 the background; otherwise x/8 − 1 of these, float32 in [−1, 1].
    Ref: Alpaydin & Kaynak 1998, "Optical recognition of handwritten digits", UCI (CC BY 4.0).

    >>> x, label = digits("test")
    >>> x.shape, x.dtype, float(x.min()), float(x.max())
    (torch.Size([297, 1, 8, 8]), torch.float32, -1.0, 1.0)
    """
    x, label = _scanned()
    rows = {"train": slice(0, 1500), "test": slice(1500, None), "all": slice(None)}[split]
    x, label = x[rows].clone(), label[rows].clone()
    return Images(x if integers else x.float() / 8 - 1, label)


@cache
def _scanned() -> tuple[Tensor, Tensor]:
    """The levels and classes, in a fixed random order. From scikit-learn's file: to import it would take a second."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("the digits are scikit-learn's, which is not installed", name="sklearn")
    with gzip.open(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", "rt") as file:
        table = torch.as_tensor(np.loadtxt(file, delimiter=",", dtype=np.int64))
    table = table[torch.randperm(len(table), generator=torch.Generator().manual_seed(0))]
    return table[:, :-1].reshape(-1, 1, 8, 8), table[:, -1].clone()


def outlines(split: Split = "train") -> Pairs:
    """The outline of each handwritten digit, x, and the digit, y; both (N, 1, 8, 8), float32 in [−1, 1], split alike.

        outline = max over a pixel and its four neighbours of the ink − the ink of the pixel

    No two digits have the same outline, so a map can be right about every one: there is nothing to draw at random, and
    a loss that compares pixels does well. Ref: Rivest, Soille & Beucher 1993, "Morphological gradients": the external.
    """
    y = digits(split).x
    ink = y + 1
    thicker = torch.maximum(max_pool2d(ink, (3, 1), 1, (1, 0)), max_pool2d(ink, (1, 3), 1, (0, 1)))
    return Pairs(thicker - ink - 1, y)
