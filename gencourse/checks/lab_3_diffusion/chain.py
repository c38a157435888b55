"""The chain itself, one step after the other: what the exercises of lab 3 are held against, and their random inputs."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.compare import at, difference, two_numbers
from gencourse.checks.diagnose import diagnose

FLOAT32_TOL = 1e-4
SQUARE = (4, 1, 4, 4)  # as many examples as rows and columns: a broadcast along the wrong axis raises no error here


def some_beta(T: int, g: Generator) -> Tensor:
    """β_1..β_T, each between 0.05 and 0.5: large enough that every mistake shows."""
    return 0.05 + 0.45 * torch.rand(T, generator=g, dtype=torch.float64)


def chain(beta: Tensor) -> tuple[Tensor, Tensor]:
    """What t steps do to a signal of 1, and the variance of the noise they bring: both (T + 1,), step by step.

    x_t = √(1 − β_t) x_{t−1} + √β_t z_t: the signal shrinks; the noise shrinks as well, and more is added.
    """
    signal, variance = [1.0], [0.0]
    for b in beta.tolist():
        signal.append(math.sqrt(1 - b) * signal[-1])
        variance.append((1 - b) * variance[-1] + b)
    return beta.new_tensor(signal), beta.new_tensor(variance)


def recognised(answer: Answer, args: Sequence[Any], *expected: Tensor, tol: float = 1e-8) -> None:
    """Wrong, if it is a mistake that is known: on all numbers at once no two look alike. Else other checks follow."""
    answer(*args)
    if diagnose(answer)[0]:
        answer.gives(args, *expected, tol=tol)


def piece(answer: Answer, name: str, expected: Tensor, got: Tensor, tol: float = 1e-8) -> None:
    """One part of the latest output is as expected. Nothing is recognised: where numbers are 0, mistakes look alike."""
    found = difference(expected, got, tol)
    if found is not None:
        want, have = two_numbers(found.expected, found.got)
        where = at(name, found.index)
        answer.wrong("", answer.fallback, expected=f"{where} = {want}", got=f"{where} = {have}")


def steps(low: int, T: int, B: int, g: Generator) -> Tensor:
    """B different steps in low..T."""
    return low + torch.randperm(T + 1 - low, generator=g)[:B]


def normal(shape: tuple[int, ...], g: Generator) -> Tensor:
    return torch.randn(shape, generator=g, dtype=torch.float64)


def each(table: Tensor, t: Tensor, like: Tensor) -> Tensor:
    """table[t] spread over the data, example by example."""
    return torch.stack([torch.full_like(x, float(table[s])) for x, s in zip(like, t.tolist(), strict=True)])


def many(table: Tensor, t: Tensor, like: Tensor) -> Tensor:
    """table[t], (B, 1, ..., 1): `each` without its loop, for genlib's own answers, which meet hundreds of examples."""
    return table.to(like)[t].view(-1, *[1] * (like.dim() - 1))
