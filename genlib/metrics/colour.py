"""Which colours pictures have: how saturated they are, and how their distribution lies beside the truth's."""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from genlib.arguments import checked

Colour = Annotated[Float[Tensor, "B 3 H W"], "[-1e4, 1e4]"]
Truth = Annotated[Float[Tensor, "M 3 K L"], "[-1e4, 1e4]"]
# Bins of the histograms: lightness from 0 to 100, green to red and blue to yellow from −115 to 115. Grey is the middle
# of a bin: on the edge of two, rounding would decide.
AXES = {"L": (-2.5, 102.5, 21), "a": (-115.0, 115.0, 23), "b": (-115.0, 115.0, 23)}
# Of sRGB's linear red, green and blue: CIE's X, Y, Z, each over that of white (IEC 61966-2-1; D65).
XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))


@checked
def saturation(images: Colour) -> Tensor:
    """How colourful each picture, (B, 3, H, W) in [−1, 1], is: (B,), float64, in [0, 1].

        mean over pixels of  max_c v − min_c v,   v = (image + 1)/2 of red, green and blue

    which is HSV's saturation times its value: 0 for grey, black and white, 1 for a pure colour.

    >>> saturation(torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1))
    tensor([1.], dtype=torch.float64)
    """
    v = (images.detach().cpu().double().clamp(-1, 1) + 1) / 2
    return (v.amax(1) - v.amin(1)).flatten(1).mean(1)


@checked
def lab(images: Colour) -> Tensor:
    """CIE L*a*b*, (B, 3, H, W), float64, of pictures in sRGB from −1 to 1: lightness, green to red, blue to yellow.

        L = 116 f(Y) − 16,  a = 500 (f(X) − f(Y)),  b = 200 (f(Y) − f(Z)),   f(u) = ∛u,  or u/(3 δ²) + 4/29 up to δ³

    with δ = 6/29. Distances are about as large as the eye finds them. Ref: CIE 15:2004; sRGB: IEC 61966-2-1.
    """
    v = (images.detach().cpu().double().clamp(-1, 1) + 1) / 2
    linear = torch.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    matrix = torch.tensor(XYZ, dtype=torch.float64)
    u = torch.einsum("kc,bchw->bkhw", matrix / matrix.sum(1, keepdim=True), linear)
    delta = 6 / 29
    x, y, z = torch.where(u > delta**3, u.clamp(min=0) ** (1 / 3), u / (3 * delta**2) + 4 / 29).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


@checked
def colour_intersection(images: Colour, truth: Truth) -> dict[str, float]:
    """What two sets of pictures share of the distribution of each of "L", "a", "b": 1 if all, 0 if nothing.

        Σ over bins of min(p, q),   p, q the shares of all pixels in a bin of `lab`: 21 of L, 23 of a and of b

    Raises: ValueError without a pixel. Ref: Isola et al. 2017, §4.3 and fig. 7, where an L1 loss narrows a and b.
    """
    if not images.numel() or not truth.numel():
        raise ValueError("images, truth: expected at least one pixel in each")
    shares = [_histograms(lab(pictures)) for pictures in (images, truth)]
    return {axis: float(torch.minimum(shares[0][axis], shares[1][axis]).sum()) for axis in AXES}


def _histograms(values: Tensor) -> dict[str, Tensor]:
    found = {}
    for (axis, (low, high, bins)), v in zip(AXES.items(), values.unbind(1), strict=True):
        place = ((v - low) / (high - low) * bins).floor().clamp(0, bins - 1).long()
        found[axis] = torch.bincount(place.flatten(), minlength=bins).double() / place.numel()
    return found
