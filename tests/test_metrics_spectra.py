"""Spectra against waves whose frequency is known, Parseval's theorem, and white noise."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from genlib import metrics


def wave(across: int, down: int, n: int = 32, amplitude: float = 1.0) -> Tensor:
    """A sine with so many periods across and down the picture, (1, 1, n, n)."""
    i = torch.arange(n, dtype=torch.float64)
    return amplitude * torch.sin(2 * math.pi * (across * i + down * i[:, None]) / n + 0.3)[None, None]


def pixels_in_ring(r: int, n: int) -> int:
    k = [j if j < (n + 1) // 2 else j - n for j in range(n)]
    return sum(r * r <= a * a + b * b < (r + 1) ** 2 for a in k for b in k)


def noise(B: int, n: int = 32, seed: int = 0) -> Tensor:
    return torch.randn(B, 1, n, n, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("across", "down", "ring"), [(0, 1, 1), (5, 0, 5), (3, 4, 5), (-3, 4, 5), (7, 7, 9), (15, 0, 15), (11, 11, 15)]
)
def test_a_wave_sits_in_its_ring(across, down, ring):
    """Two coefficients ±k of (amplitude n²/2)² each, averaged over the pixels of the ring: |k| decides."""
    power = metrics.spectrum(wave(across, down, amplitude=0.7))
    expected = torch.zeros(16, dtype=torch.float64)
    expected[ring] = 2 * (0.7 * 32**2 / 2) ** 2 / pixels_in_ring(ring, 32)
    torch.testing.assert_close(power, expected, rtol=1e-9, atol=1e-15 * 32**4)


def test_corners_belong_to_no_ring():
    assert float(metrics.spectrum(wave(12, 12)).max()) < 1e-12 * 32**4


@pytest.mark.parametrize("n", [2, 7, 8, 16, 33])
def test_parseval(n):
    """Pictures without corner frequencies: the rings hold all the power, n² times the sum of the squared pixels."""
    x = noise(3, n).double()
    k = torch.tensor([j if j < (n + 1) // 2 else j - n for j in range(n)])
    inside = (k[:, None] ** 2 + k**2) < (n // 2) ** 2
    x = torch.fft.ifft2(torch.fft.fft2(x) * inside).real
    total = sum(float(s) * pixels_in_ring(r, n) for r, s in enumerate(metrics.spectrum(x)))
    assert total == pytest.approx(n**2 * float((x**2).sum((1, 2, 3)).mean()), rel=1e-9)


def test_white_noise_is_flat():
    power = metrics.spectrum(noise(400))
    assert power.shape == (16,)
    torch.testing.assert_close(power, torch.full_like(power, 32.0**2), rtol=0.2, atol=0)


def test_pictures_and_channels_are_averaged():
    many = torch.cat([wave(3, 0), wave(0, 6)])
    mean = (metrics.spectrum(many[:1]) + metrics.spectrum(many[1:])) / 2
    torch.testing.assert_close(metrics.spectrum(many), mean)
    torch.testing.assert_close(metrics.spectrum(many.view(1, 2, 32, 32)), mean)
    x = noise(600, 8)
    torch.testing.assert_close(
        metrics.spectrum(x),
        torch.stack([metrics.spectrum(p) for p in x.split(7)]).T
        @ (torch.tensor([len(p) / 600 for p in x.split(7)], dtype=torch.float64)),
    )


def test_detail_and_error_of_scaled_pictures():
    """Half the amplitude is a quarter of the power on each ring."""
    x = noise(4)
    assert metrics.detail(x, x) == 1
    assert metrics.spectrum_error(x, x) == 0
    assert metrics.detail(0.5 * x, x) == pytest.approx(0.25)
    assert metrics.spectrum_error(0.5 * x, x) == pytest.approx(math.log(4))
    assert metrics.spectrum_error(2 * x, x) == pytest.approx(math.log(4))


def test_detail_looks_at_rings_8_to_15():
    x = noise(4).double()
    assert metrics.detail(x + wave(5, 5), x) == pytest.approx(1, rel=0.01)  # |k| = 7.07
    low, high = wave(7, 3), wave(8, 0)  # 7.6 and 8
    expected = 1 + float(metrics.spectrum(high).sum() / metrics.spectrum(x)[8:].sum())
    assert metrics.detail(x + low, x) == pytest.approx(1, rel=0.05)
    assert metrics.detail(x + high, x) == pytest.approx(expected, rel=0.05)
    assert expected > 2


def test_a_blur_loses_its_detail():
    x = noise(16)
    blur = nn.functional.avg_pool2d(nn.functional.pad(x, (2, 2, 2, 2), mode="circular"), 5, 1)
    assert metrics.detail(blur, x) < 0.1
    assert metrics.spectrum_error(blur, x) > 1


@settings(max_examples=30, deadline=None)
@given(
    B=st.integers(1, 4), C=st.integers(1, 3), n=st.integers(2, 20), shift=st.integers(0, 20), seed=st.integers(0, 999)
)
def test_moving_and_turning_pictures_changes_nothing(B, C, n, shift, seed):
    x = torch.randn(B, C, n, n, generator=torch.Generator().manual_seed(seed))
    power = metrics.spectrum(x)
    assert power.shape == (n // 2,)
    torch.testing.assert_close(metrics.spectrum(x.roll(shift, dims=-1)), power)
    torch.testing.assert_close(metrics.spectrum(x.mT), power)
    torch.testing.assert_close(metrics.spectrum(-x), power)


def test_blank_pictures():
    x = noise(2)
    assert metrics.detail(torch.zeros_like(x), x) == 0
    assert metrics.spectrum_error(torch.zeros_like(x), x) == math.inf
    with pytest.raises(ValueError, match=r"^truth: expected power on the rings from 8 on, got none"):
        metrics.detail(x, torch.zeros_like(x))
    with pytest.raises(ValueError, match=r"^truth: expected power on every ring, got none on ring 0"):
        metrics.spectrum_error(x, torch.zeros_like(x))


def test_a_truth_without_a_mean_has_detail_all_the_same():
    """Its ring 0 is empty to the last digit; detail looks at the upper half of the rings alone."""
    x = (1024 * noise(4)).round()  # whole numbers, whose sums are exact
    x[..., 0] -= x.sum(3)
    assert float(metrics.spectrum(x)[0]) == 0
    assert metrics.detail(0.5 * x, x) == pytest.approx(0.25)
    with pytest.raises(ValueError, match=r"^truth: expected power on every ring, got none on ring 0"):
        metrics.spectrum_error(x, x)


BAD = {
    "shape": torch.zeros(4, 8, 8),
    "not square": torch.zeros(4, 1, 8, 9),
    "one pixel": torch.zeros(4, 1, 1, 1),
    "empty": torch.zeros(0, 1, 8, 8),
    "no channels": torch.zeros(4, 0, 8, 8),
    "dtype": torch.zeros(4, 1, 8, 8, dtype=torch.uint8),
    "NaN": torch.full((4, 1, 8, 8), torch.nan),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_pictures_are_refused(fault):
    with pytest.raises(ValueError, match=r"^images: "):
        metrics.spectrum(BAD[fault])
    for measure in (metrics.detail, metrics.spectrum_error):
        with pytest.raises(ValueError, match=r"^images: |^truth: "):
            measure(BAD[fault], noise(2, 8))
        with pytest.raises(ValueError, match=r"^truth: "):
            measure(noise(2, 8), BAD[fault])


def test_too_small_for_detail():
    with pytest.raises(ValueError, match=r"^images: expected at least 4"):
        metrics.detail(noise(1, 3), noise(1, 3))
