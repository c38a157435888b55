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
