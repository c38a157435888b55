"""Can brick be told from gravel? A judge looks at small windows of a photo, and the map says what was asked for.

It was trained on the split "train" of `data.texture_crops`, and knows 98 % of "test".
"""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import max_pool2d

from genlib.arguments import checked
from genlib.data import TEXTURES
from genlib.metrics.classifier import SIZES, in_chunks, shared

PATCH = SIZES["textures"]["side"]  # wider than a brick; nearly every map of 32 × 32 pixels has one in one region
STRIDE = 4
Maps = Annotated[Float[Tensor, "B 3 H W"], "[0, 1]"]
Photos = Annotated[Float[Tensor, "B 1 H W"], "finite"]


def texture_accuracy(x: Maps, y: Photos) -> float:
    """The share of windows that show the texture that their map asks for; arguments are those of `texture_confusion`.

    Real photos reach about 0.99. Chance is about 1/3, and so are flat tones, all of which the judge takes for brick.
    """
    seen = texture_confusion(x, y)
    return float(seen.diagonal().sum() / seen.sum())


@checked
def texture_confusion(x: Maps, y: Photos) -> Tensor:
    """How many windows of each texture the judge takes for which: (3, 3) int64, on the CPU; rows are what the map asks.

    Looked at are the windows of 12 × 12 pixels, every fourth place down and across, that lie in one region of the maps
    x, (B, 3, H, W); photos y, (B, 1, H, W), are clamped to [−1, 1] before.
    Raises: ValueError for maps that are not one-hot, and where no window lies in one region.
    """
    if len(x) == 0 or min(x.shape[2:]) < PATCH:
        raise ValueError(f"x: expected maps of at least {PATCH} × {PATCH} pixels, got shape {tuple(x.shape)}")
    if not bool(((x == 0) | (x == 1)).all() and (x.sum(1) == 1).all()):
        raise ValueError("x: expected a one-hot map, each pixel 1 in one channel and 0 in the others")
    whole = -max_pool2d(-x.to(y.device).float(), PATCH, STRIDE)  # the least of a window: 1 where its class fills it
    picture, wanted, row, column = (whole == 1).nonzero(as_tuple=True)
    if len(picture) == 0:
        raise ValueError(f"x: expected a window of {PATCH} × {PATCH} pixels that lies in one region, found none")
    windows = y.detach().float().clamp(-1, 1)[:, 0].unfold(1, PATCH, STRIDE).unfold(2, PATCH, STRIDE)
    crops, n = windows[picture, row, column][:, None], len(TEXTURES)
    found = in_chunks(lambda part: shared("textures", y.device)(part).argmax(1), crops)
    return torch.bincount((n * wanted + found).cpu(), minlength=n * n).view(n, n)
