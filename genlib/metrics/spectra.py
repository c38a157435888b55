"""How much detail pictures have: their power at each spatial frequency, and how far it is from the truth's."""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from genlib.arguments import checked

CHUNK = 256
Pictures = Annotated[Float[Tensor, "B C N N"], "[-1e100, 1e100]"]
Truth = Annotated[Float[Tensor, "M C N N"], "[-1e100, 1e100]"]


@checked
def spectrum(images: Pictures) -> Tensor:
    """The mean power of pictures, (B, C, n, n), on rings of spatial frequency: (n // 2,), float64, on the CPU.

        S_r = mean over pictures, channels and  r <= |k| < r + 1  of  |FFT(image)_k|²,   r = 0 .. n/2 − 1

    The FFT has no window or normalisation; k counts cycles a picture. What has |k| >= n/2 belongs to no ring, and so
    `detail` and `spectrum_error` are blind to a checkerboard. Raises: ValueError without a picture, or for one pixel.

    >>> spectrum(torch.ones(1, 1, 4, 4))
    tensor([256.,   0.], dtype=torch.float64)
    """
    B, C, _, n = images.shape
    if n < 2 or B * C == 0:
        raise ValueError(f"images: expected some of at least 2 × 2 pixels, got shape {tuple(images.shape)}")
    power = torch.zeros(n, n, dtype=torch.float64)
    for part in images.detach().split(CHUNK):
        power += torch.fft.fft2(part.cpu().double()).abs().square().sum((0, 1))
    k = torch.fft.fftfreq(n, d=1 / n, dtype=torch.float64).round()
    ring = (k[:, None] ** 2 + k**2).sqrt().floor().long()
    return torch.stack([power[ring == r].mean() for r in range(n // 2)]) / (B * C)


@checked
def detail(images: Pictures, truth: Truth) -> float:
    """The power of images, (B, C, n, n), in the upper half of the rings, over the truth's: 1 is right, 0 is a blur.

        Σ S_r(images) / Σ S_r(truth),   r = n/4 .. n/2 − 1   (32 × 32 pixels: 8 .. 15)

    Raises: ValueError for n < 4, and where the truth has no power on these rings.
    """
    if len(truth) == 0:
        raise ValueError("truth: expected at least one picture, got none")
    theirs, right = spectrum(images), spectrum(truth)
    upper = slice(len(right) // 2, None)
    if len(right) < 2:
        raise ValueError(f"images: expected at least 4 × 4 pixels, got shape {tuple(images.shape)}")
    if not bool(right[upper].sum() > 0):
        raise ValueError(f"truth: expected power on the rings from {len(right) // 2} on, got none")
    return float(theirs[upper].sum() / right[upper].sum())


@checked
def spectrum_error(images: Pictures, truth: Truth) -> float:
    """The mean over the rings of |ln S_r(images) − ln S_r(truth)|; 0 is right, ∞ where the images lack a ring.
    Raises: ValueError where the truth lacks one, such as S_0 of pictures whose mean is 0 to the last digit."""
    if len(truth) == 0:
        raise ValueError("truth: expected at least one picture, got none")
    theirs, right = spectrum(images), spectrum(truth)
    if not bool((right > 0).all()):
        ring = int((right <= 0).nonzero()[0])
        raise ValueError(f"truth: expected power on every ring, got none on ring {ring}")
    return float((theirs.log() - right.log()).abs().mean())
