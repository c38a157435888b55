"""Digits from their outlines: pairs with one right answer, where a loss that compares pixel by pixel does well."""

import torch
from torch import Tensor, nn

from genlib.data.digits import LEVELS, Split, digits
from genlib.data.textures import Pairs


def outlines(split: Split = "train") -> Pairs:
    """The outline of each handwritten digit, and the digit.

        outline = max over a pixel and its four neighbours of the ink − the ink of the pixel

    The outline is strong where a light pixel touches a dark one. Among the course's 1797 digits no two have the same
    outline, so a map can be right about every one of them: there is nothing to draw at random.

    Args:
        split: "train" (1500 digits), "test" (the other 297) or "all", as in `digits`.
    Returns:
        x, the outlines, (N, 1, 8, 8), and y, the digits, likewise; both float32 in [−1, 1], −1 is background.
    Ref: Rivest, Soille & Beucher 1993, "Morphological gradients": the external one.

    >>> x, y = outlines("test")
    >>> x.shape, y.shape, float(x.min()), float(x.max())
    (torch.Size([297, 1, 8, 8]), torch.Size([297, 1, 8, 8]), -1.0, 1.0)
    """
    ink = digits(split, integers=True).x
    half = (LEVELS - 1) / 2
    return Pairs((_thicker(ink) - ink) / half - 1, ink / half - 1)


def _thicker(ink: Tensor) -> Tensor:
    """The most ink in each pixel and its four neighbours; there is none beyond the edge."""
    wide = nn.functional.pad(ink, (1, 1, 1, 1))
    above, below = wide[..., :-2, 1:-1], wide[..., 2:, 1:-1]
    left, right = wide[..., 1:-1, :-2], wide[..., 1:-1, 2:]
    return torch.stack([ink, above, below, left, right]).amax(0)
