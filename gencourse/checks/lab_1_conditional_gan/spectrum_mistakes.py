"""What goes wrong in a spectrum: every mistake that has a hint of its own."""

import torch
from torch import Tensor

from gencourse.checks.lab_1_conditional_gan.spectrum import SPECTRUM


def _power(y: Tensor) -> Tensor:
    return torch.fft.fft2(y).abs().square()


def _distance(y: Tensor) -> Tensor:
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n, dtype=torch.float64).round()
    return (k[:, None] ** 2 + k**2).sqrt()


def _rings(power: Tensor, ring: Tensor) -> Tensor:
    return torch.stack([power[..., ring == r].mean() for r in range(power.shape[-2] // 2)])


def _floor(y: Tensor) -> Tensor:
    return _distance(y).floor()


@SPECTRUM.mistake("This is |FFT|, the amplitude. The power is its square.")
def amplitude(y: Tensor) -> Tensor:
    return _rings(_power(y).sqrt(), _floor(y))


@SPECTRUM.mistake("The power is summed over each ring. Outer rings have more frequencies: take the mean.")
def summed(y: Tensor) -> Tensor:
    ring, power = _floor(y), _power(y).flatten(0, 1).mean(0)
    return torch.stack([power[ring == r].sum() for r in range(y.shape[-1] // 2)])


@SPECTRUM.mistake("The distances are rounded to the nearest ring. Ring r has r ≤ |k| < r + 1: cut the decimals off.")
def rounded(y: Tensor) -> Tensor:
    return _rings(_power(y), _distance(y).round())


@SPECTRUM.mistake("The distances are rounded up. Ring r has r ≤ |k| < r + 1, so that ring 0 is k = 0 alone.")
def rounded_up(y: Tensor) -> Tensor:
    return _rings(_power(y), _distance(y).ceil())


@SPECTRUM.mistake(
    "The rings are closed on both sides: what lies at |k| = r + 1 exactly counts for two of them. Ring r ends before "
    "r + 1."
)
def closed(y: Tensor) -> Tensor:
    distance, power = _distance(y), _power(y)
    return torch.stack([power[..., (r <= distance) & (distance <= r + 1)].mean() for r in range(y.shape[-1] // 2)])


@SPECTRUM.mistake("What lies at |k| = r exactly belongs to ring r, and not to the one before: r ≤ |k| < r + 1.")
def open_below(y: Tensor) -> Tensor:
    distance, power = _distance(y), _power(y)
    return torch.stack([power[..., (r < distance) & (distance <= r + 1)].mean() for r in range(y.shape[-1] // 2)])


@SPECTRUM.mistake("Everything up to |k| = r + 1 counts, a disc. A ring leaves out what lies inside of it: r ≤ |k|.")
def discs(y: Tensor) -> Tensor:
    distance, power = _distance(y), _power(y)
    return torch.stack([power[..., distance < r + 1].mean() for r in range(y.shape[-1] // 2)])


@SPECTRUM.mistake(
    "The ring is told by |k|², not by |k|: ring 1 would be 1 ≤ k₁² + k₂² < 2. Take the root, or square r and r + 1."
)
def squared_distance(y: Tensor) -> Tensor:
    return _rings(_power(y), _distance(y).square().round())


@SPECTRUM.mistake("The rings begin at 1: entry 0 is about ring 0, the frequency 0 alone.")
def from_1(y: Tensor) -> Tensor:
    ring, power = _floor(y), _power(y)
    return torch.stack([power[..., ring == r].mean() for r in range(1, y.shape[-1] // 2 + 1)])


@SPECTRUM.mistake("The rings are diamonds: the two frequencies are added. |k| is their distance from 0, √(k₁² + k₂²).")
def diamonds(y: Tensor) -> Tensor:
    k = torch.fft.fftfreq(y.shape[-1], d=1 / y.shape[-1], dtype=torch.float64).round().abs()
    return _rings(_power(y), k[:, None] + k)


@SPECTRUM.mistake(
    "The FFT is taken to run from 0 to n − 1. Its second half are the negative frequencies, −n/2 … −1: what does "
    "fftfreq say?"
)
def not_wrapped(y: Tensor) -> Tensor:
    k = torch.arange(y.shape[-1], dtype=torch.float64)
    return _rings(_power(y), (k[:, None] ** 2 + k**2).sqrt().floor())


@SPECTRUM.mistake(
    "The power and the frequencies are in two orders: one of them starts at 0, the other at −n/2. fftshift both, or "
    "none."
)
def half_shifted(y: Tensor) -> Tensor:
    return _rings(_power(y), torch.fft.fftshift(_floor(y)))


@SPECTRUM.mistake("The rings are squares: the larger of the two frequencies. |k| is √(k₁² + k₂²).")
def squares(y: Tensor) -> Tensor:
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n, dtype=torch.float64).round().abs()
    return _rings(_power(y), torch.maximum(k[:, None].expand(n, n), k))


@SPECTRUM.mistake("These are the logarithms of the power. Take them where you plot; averages are of the power itself.")
def logarithm(y: Tensor) -> Tensor:
    return _rings(_power(y), _floor(y)).log()


@SPECTRUM.mistake("Divided by the number of pixels, as with norm='ortho'. Here the FFT is the plain one.")
def normalised(y: Tensor) -> Tensor:
    return _rings(_power(y), _floor(y)) / y[0, 0].numel()


@SPECTRUM.mistake("The mean of each picture is subtracted first, so ring 0 lacks the power at k = 0.")
def mean_removed(y: Tensor) -> Tensor:
    return _rings(_power(y - y.mean((2, 3), keepdim=True)), _floor(y))


@SPECTRUM.mistake(
    "The pictures are averaged before the FFT. Their details cancel there. Average the powers: first FFT and square."
)
def pictures_averaged(y: Tensor) -> Tensor:
    return _rings(_power(y.mean((0, 1))), _floor(y))


@SPECTRUM.mistake("Summed over the pictures or channels. A spectrum must not grow with the batch.")
def summed_over_the_batch(y: Tensor) -> Tensor:
    return y.shape[0] * y.shape[1] * _rings(_power(y), _floor(y))


@SPECTRUM.mistake("A batch of spectra, one for each picture. Their average was asked for: (n/2,).")
def not_averaged(y: Tensor) -> Tensor:
    ring, power = _floor(y), _power(y).mean(1)
    return torch.stack([power[:, ring == r].mean(1) for r in range(y.shape[-1] // 2)], dim=1)


@SPECTRUM.mistake("Only the FFT's real part is squared. The phase of a wave must not matter: |FFT|² has both parts.")
def real_part(y: Tensor) -> Tensor:
    return _rings(torch.fft.fft2(y).real.square(), _floor(y))


@SPECTRUM.mistake(
    "The rings from 1 on are empty, and the mean of nothing is no number. fftfreq gives cycles for each *pixel*, all "
    "below 1, unless d says otherwise."
)
def per_pixel(y: Tensor) -> Tensor:
    k = torch.fft.fftfreq(y.shape[-1], dtype=torch.float64)
    return _rings(_power(y), (k[:, None] ** 2 + k**2).sqrt().floor())


@SPECTRUM.mistake("fftfreq is told that pictures have 32 pixels in a row, whatever n is: y says how many there are.")
def always_32(y: Tensor) -> Tensor:
    k = torch.fft.fftfreq(y.shape[-1], d=1 / 32, dtype=torch.float64)
    return _rings(_power(y), (k[:, None] ** 2 + k**2).sqrt().floor())


@SPECTRUM.mistake("The FFT is squared as it is, a complex number. Its square turns with the phase; its size does not.")
def complex_square(y: Tensor) -> Tensor:
    return _rings((torch.fft.fft2(y) ** 2).real, _floor(y))


@SPECTRUM.mistake(
    "rfft2 leaves out half of the frequencies, mirror images of the others; but the column k_2 = 0 is all there, and "
    "counts too much then. Take the whole fft2."
)
def half_plane(y: Tensor) -> Tensor:
    return _rings(torch.fft.rfft2(y).abs().square(), _floor(y)[:, : y.shape[-1] // 2 + 1])


@SPECTRUM.mistake("The channels' powers are added. A spectrum is an average over channels, too.")
def channels_summed(y: Tensor) -> Tensor:
    return y.shape[1] * _rings(_power(y), _floor(y))


@SPECTRUM.mistake("The median of each ring. S is a mean.")
def median(y: Tensor) -> Tensor:
    ring, power = _floor(y), _power(y)
    return torch.stack([power[..., ring == r].median() for r in range(y.shape[-1] // 2)])


@SPECTRUM.mistake("The root of the mean power. S is the mean power itself.")
def root(y: Tensor) -> Tensor:
    return _rings(_power(y), _floor(y)).sqrt()


@SPECTRUM.mistake(
    "The amplitudes are averaged, and their mean is squared. It is the powers, |FFT|², that are averaged."
)
def square_of_the_mean(y: Tensor) -> Tensor:
    return _rings(_power(y).sqrt(), _floor(y)).square()


@SPECTRUM.mistake("fft transforms each row by itself. A picture has frequencies down and across: fft2.")
def rows_alone(y: Tensor) -> Tensor:
    return _rings(torch.fft.fft(y).abs().square(), _floor(y))


@SPECTRUM.mistake("Only one of the two frequencies makes the ring. |k| is √(k₁² + k₂²).")
def columns_alone(y: Tensor) -> Tensor:
    n = y.shape[-1]
    return _rings(_power(y), torch.fft.fftfreq(n, d=1 / n).round().abs().expand(n, n))


@SPECTRUM.mistake("Only k₁, the frequency down the picture, makes the ring. |k| is √(k₁² + k₂²).")
def down_alone(y: Tensor) -> Tensor:
    n = y.shape[-1]
    return _rings(_power(y), torch.fft.fftfreq(n, d=1 / n).round().abs()[:, None].expand(n, n))


@SPECTRUM.mistake("This is the spectrum of the first picture alone. Average over pictures and channels.")
def first_picture(y: Tensor) -> Tensor:
    return _rings(_power(y[:1, :1]), _floor(y))


@SPECTRUM.mistake("The largest power of each ring. S is a mean.")
def largest(y: Tensor) -> Tensor:
    ring, power = _floor(y), _power(y)
    return torch.stack([power[..., ring == r].max() for r in range(y.shape[-1] // 2)])
