"""How much power pictures have at each spatial frequency. Lecture 01, section 2."""

import math

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_1_conditional_gan.given import FLOAT32_TOL, normal, uniform
from gencourse.checks.spec import Exercise
from genlib import metrics


def _own_spectrum(y: Tensor) -> Tensor:
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n, dtype=y.dtype)  # cycles a picture: 0, 1, …, −2, −1
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = torch.fft.fft2(y).abs() ** 2
    # the mask has the last two axes; the mean is over pictures, channels and the ring at once
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


SPECTRUM = Exercise(
    "gan.spectrum",
    _own_spectrum,
    returns=["power"],
    plain=True,
    second="In this order: power = |fft2(y)|², of y's shape; k from fftfreq(n, d=1/n), whole numbers; the distance of "
    "each (k_1, k_2) from 0, an n × n table, from k[:, None] and k; its floor is the ring; then for each ring r the "
    "mean of power[..., ring == r].",
    why="A number for sharpness that nobody has to look at; but noise is sharp, too, so it never comes alone.",
)


@SPECTRUM.pace
def _(g: Generator) -> tuple[Tensor]:
    return (normal((64, 1, 32, 32), g),)


def _wave(n: int, row: int, column: int, phase: float) -> Tensor:
    """cos with so many periods down and across an n × n picture."""
    position = torch.arange(n, dtype=torch.float64) * (2 * math.pi / n)
    return torch.cos(row * position[:, None] + column * position + phase)


def _ring_sizes(n: int) -> list[int]:
    """How many frequencies lie on each ring, counted one by one."""
    half = n // 2
    sizes = [0] * half
    for row in range(n - half - (n - 1), half + 1) if n % 2 else range(-half, half):
        for column in range(n - half - (n - 1), half + 1) if n % 2 else range(-half, half):
            ring = math.isqrt(row * row + column * column)
            if ring < half:
                sizes[ring] += 1
    return sizes


@SPECTRUM.check(
    "a wave has all its power on its own ring",
    "A wave of k periods shows up at k and at −k, with |FFT|² = n⁴/4 each. torch.fft.fftfreq(n, d=1/n) says how many "
    "periods each row, and each column, of the FFT stands for.",
)
def _(answer: Answer, g: Generator) -> None:
    n = 12
    sizes, expected, y = (
        _ring_sizes(n),
        torch.zeros(n // 2, dtype=torch.float64),
        torch.zeros(n, n, dtype=torch.float64),
    )
    for row, column, ring in (
        (-2, 3, 3),
        (0, 2, 2),
        (3, 0, 3),
        (1, 1, 1),
        (-3, -4, 5),
        (2, 2, 2),
        (3, 3, 4),
        (0, 0, 0),
    ):
        height, phase = uniform(0.5, 2, g), 0.0 if ring == 0 else uniform(0, 6, g)
        y += height * _wave(n, row, column, phase)
        expected[ring] += height**2 * n**4 * (1 if ring == 0 else 2 / 4) / sizes[ring]
    answer.gives([y[None, None]], expected, tol=1e-8)


@SPECTRUM.check(
    "ring 0 is the squared sum of the pixels",
    "The FFT at k = 0 adds all pixels up. Nothing is subtracted before, and nothing divided.",
)
def _(answer: Answer, g: Generator) -> None:
    y = normal((1, 1, 8, 8), g)
    power = answer(y)
    answer.agrees("power[0]", y.sum().square(), power[0])


@SPECTRUM.check(
    "a single bright pixel has the same power everywhere",
    "Average over the frequencies of a ring: outer rings have more of them, and no more power for that.",
)
def _(answer: Answer, g: Generator) -> None:
    for n in (6, 8, 16):
        y = torch.zeros(1, 1, n, n, dtype=torch.float64)
        row, column = torch.randint(n, (2,), generator=g).tolist()
        y[0, 0, row, column] = 3
        answer.gives([y], torch.full((n // 2,), 9.0, dtype=torch.float64))


@SPECTRUM.check(
    "over a batch it is the average of the pictures' spectra",
    "Pictures and channels each have a power of their own. It is powers that are averaged, not pictures.",
)
def _(answer: Answer, g: Generator) -> None:
    y = normal((3, 2, 8, 8), g)
    each = [answer(y[b : b + 1, c : c + 1]) for b in range(3) for c in range(2)]
    answer.gives([y], torch.stack(each).mean(0), tol=1e-8)


@SPECTRUM.check("it agrees with genlib, in float32 too", "Compare with metrics.spectrum.")
def _(answer: Answer, g: Generator) -> None:
    y = normal((2, 1, 32, 32), g)
    answer.gives([y], metrics.spectrum(y), tol=1e-8)
    y = normal((2, 1, 16, 16), g) / 16
    answer.gives([y.float()], metrics.spectrum(y.float()), tol=10 * FLOAT32_TOL)
    answer.keeps_dtype("y")


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
    "The frequencies start at −n/2, as if the FFT had been shifted, and it has not: fftshift one of the two, or none."
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
