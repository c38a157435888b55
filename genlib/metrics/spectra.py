"""How much detail pictures have: their power at each spatial frequency, and how far it is from the truth's."""

import torch
from torch import Tensor

from genlib.arguments import check_finite, check_tensor

CHUNK = 256


def spectrum(images: Tensor) -> Tensor:
    """The mean power of pictures on rings of spatial frequency.

        S_r = mean over pictures, channels and  r <= |k| < r + 1  of  |FFT(image)_k|²,   r = 0 .. n/2 − 1

    The FFT is the plain one, without window or normalisation; k counts cycles a picture, and S_0 is the squared sum of
    the pixels. What has |k| >= n/2 belongs to no ring: the corners, and so all of a grid of period 2, a checkerboard.

    Args:
        images: (B, C, n, n), float, n >= 2.
    Returns:
        S_0 .. S_{n//2 − 1}, (n // 2,), float64, on the CPU.

    >>> spectrum(torch.ones(1, 1, 4, 4))
    tensor([256.,   0.], dtype=torch.float64)
    """
    return _spectrum("images", images)


def detail(images: Tensor, truth: Tensor) -> float:
    """The power of the images in the upper half of the rings, over the truth's: 1 is right, 0 is a blur.

        Σ S_r(images) / Σ S_r(truth),   r = n/4 .. n/2 − 1   (32 × 32 pixels: 8 .. 15)

    It is blind to a grid of period 2, which lies on no ring.

    Args:
        images, truth: (B, C, n, n), float, n >= 4; B may differ.
    Raises:
        ValueError: also where the truth has no power on these rings.
    """
    theirs, right = _both(images, truth)
    upper = slice(len(right) // 2, None)
    if len(right) < 2:
        raise ValueError(f"images: expected at least 4 × 4 pixels, got shape {tuple(images.shape)}")
    if not bool(right[upper].sum() > 0):
        raise ValueError(f"truth: expected power on the rings from {len(right) // 2} on, got none")
    return float(theirs[upper].sum() / right[upper].sum())


def spectrum_error(images: Tensor, truth: Tensor) -> float:
    """The mean over the rings of |ln S_r(images) − ln S_r(truth)|; 0 is right, ∞ where the images lack a ring.

    It is blind to a grid of period 2, which lies on no ring.

    Args:
        images, truth: (B, C, n, n), float, n >= 2; B may differ.
    Raises:
        ValueError: also where the truth lacks a ring, such as S_0 of pictures whose mean is 0 to the last digit.
    """
    theirs, right = _both(images, truth)
    if not bool((right > 0).all()):
        ring = int((right <= 0).nonzero()[0])
        raise ValueError(f"truth: expected power on every ring, got none on ring {ring}")
    return float((theirs.log() - right.log()).abs().mean())


def _both(images: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    check_tensor("images", images, ("B", "C", "n", "n"))
    check_tensor("truth", truth, ("B", *images.shape[1:]))
    return _spectrum("images", images), _spectrum("truth", truth)


@torch.no_grad()
def _spectrum(name: str, images: Tensor) -> Tensor:
    check_tensor(name, images, ("B", "C", "n", "n"))
    B, C, height, n = images.shape
    if height != n or n < 2 or B * C == 0:
        raise ValueError(f"{name}: expected square pictures of at least 2 × 2 pixels, got shape {tuple(images.shape)}")
    check_finite(name, images)
    power = torch.zeros(n, n, dtype=torch.float64)
    for part in images.detach().split(CHUNK):
        power += torch.fft.fft2(part.cpu().double()).abs().square().sum((0, 1))
    k = torch.fft.fftfreq(n, d=1 / n, dtype=torch.float64).round()
    ring = (k[:, None] ** 2 + k**2).sqrt().floor().long()
    return torch.stack([power[ring == r].mean() for r in range(n // 2)]) / (B * C)
