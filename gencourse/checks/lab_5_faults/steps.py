"""Steps that are never drawn. Lecture 04b, section 9."""

import random

import numpy as np
import torch
from torch import Tensor

from gencourse.checks.lab_5_faults.hunt import Hunt


def _own_test_draw_steps(candidate):
    n, T = 20_000, 10
    t = candidate(n, T)
    assert t.shape == (n,)
    assert t.dtype == torch.int64
    assert t.min() >= 1
    assert t.max() <= T
    count = torch.bincount(t, minlength=T + 1)[1:].double()
    error = (n * (1 / T) * (1 - 1 / T)) ** 0.5  # of a count: √(n p (1 − p))
    assert ((count - n / T).abs() < 5 * error).all()
    equal = (t[1:] == t[:-1]).double().mean()  # neighbours meet by chance alone
    assert (equal - 1 / T).abs() < 5 * error / n
    middle = (T + 1) / 2
    z = (t - middle) / ((T**2 - 1) / 12) ** 0.5
    assert (z[1:] * z[:-1]).mean().abs() < 5 / n**0.5
    assert (candidate(3, 1) == 1).all()


def _even(n: int, T: int) -> Tensor:
    """All steps as often as each other, in a random order."""
    return (torch.arange(n) % T + 1)[torch.randperm(n)]


DRAW_STEPS = Hunt(
    "faults.test_draw_steps",
    _own_test_draw_steps,
    returns=["verdict"],
    even=_even,
    second="Draw 20,000 steps of 10, and count each of them: n/T, give or take √(n p (1 − p)) with p = 1/T. Then look "
    "at neighbours: how often should two in a row be equal?",
    why="A step that is never drawn makes no error and no NaN: only a count knows.",
)


@DRAW_STEPS.fault(
    "Which steps are drawn at all? Count them, and mind both ends.",
    "T is never drawn: the upper end of torch.randint is left out.",
)
def never_the_last(n: int, T: int) -> Tensor:
    return torch.randint(1, max(T, 2), (n,))


@DRAW_STEPS.fault(
    "Count them, and mind both ends.",
    "The first step is never drawn.",
)
def never_the_first(n: int, T: int) -> Tensor:
    return torch.randint(min(2, T), T + 1, (n,))


@DRAW_STEPS.fault(
    "Steps count from 1. Does a 0 come up, where there is no noise to be guessed?",
    "It draws from 0 to T.",
)
def with_zero(n: int, T: int) -> Tensor:
    return torch.randint(0, T + 1, (n,))


@DRAW_STEPS.fault(
    "All steps come up. All as often? A count has a standard error.",
    "A uniform number is rounded, so that the two ends come up half as often as the others.",
)
def rounded(n: int, T: int) -> Tensor:
    return (1 + torch.rand(n) * (T - 1)).round().long()


@DRAW_STEPS.fault(
    "All steps come up. All as often? Early ones against late ones tell more than one count alone.",
    "Early steps come up a little more often: the square of a uniform number, mixed in.",
)
def early_ones_more_often(n: int, T: int) -> Tensor:
    return 1 + (torch.rand(n) ** 1.15 * T).long().clamp(max=T - 1)


@DRAW_STEPS.fault(
    "The counts are right. Is a step independent of the one before it?",
    "Steps come in pairs: each one twice in a row.",
)
def in_pairs(n: int, T: int) -> Tensor:
    return torch.randint(1, T + 1, (n // 2 + 1,)).repeat_interleave(2)[:n]


@DRAW_STEPS.fault(
    "The counts are right. In which order do they come?",
    "The steps come sorted.",
)
def in_order(n: int, T: int) -> Tensor:
    return torch.randint(1, T + 1, (n,)).sort().values


@DRAW_STEPS.fault(
    "Steps are looked up in tables. In which dtype do they come?",
    "The steps are right, and come as floats.",
)
def as_floats(n: int, T: int) -> Tensor:
    return torch.randint(1, T + 1, (n,)).float()


@DRAW_STEPS.right("with torch.randint")
def plain(n: int, T: int) -> Tensor:
    return torch.randint(1, T + 1, (n,))


@DRAW_STEPS.right("by rounding down")
def rounded_down(n: int, T: int) -> Tensor:
    return (torch.rand(n, dtype=torch.float64) * T).floor().long() + 1


@DRAW_STEPS.right("by torch.multinomial")
def by_weights(n: int, T: int) -> Tensor:
    return torch.multinomial(torch.ones(T), n, replacement=True) + 1


@DRAW_STEPS.right("with NumPy's generator, counted down")
def counted_down(n: int, T: int) -> Tensor:
    return torch.from_numpy(T - np.random.randint(0, T, n)).long()  # noqa: NPY002


@DRAW_STEPS.right("with Python's own random")
def with_random(n: int, T: int) -> Tensor:
    return torch.tensor(random.choices(range(1, T + 1), k=n))
