"""Noise with a variance where its deviation should stand. Lecture 04 (5)."""

import torch
from torch import Tensor

from gencourse.checks.lab_5_faults.given import ALGEBRA, DOUBLE, SINGLE
from gencourse.checks.lab_5_faults.hunt import Hunt


def _own_test_q_sample(candidate):
    alpha_bar = torch.linspace(1, 0.01, 11, dtype=torch.float64)
    t = torch.tensor([10, 1, 4, 7, 2])
    for shape in ((5,), (5, 3), (5, 1, 4, 6)):  # sizes that all differ
        x_0, eps = torch.randn(2, *shape, dtype=torch.float64)
        x_t = candidate(x_0, t, eps, alpha_bar)
        a = [float(alpha_bar[step]) for step in t]
        want = torch.stack([a[b] ** 0.5 * x_0[b] + (1 - a[b]) ** 0.5 * eps[b] for b in range(5)])
        torch.testing.assert_close(x_t.double(), want, rtol=0, atol=1e-4)


Q_SAMPLE = Hunt(
    "faults.test_q_sample",
    _own_test_q_sample,
    returns=["verdict"],
    second="Write it a second time, for one example after the other, with plain numbers for √ᾱ_t and √(1 − ᾱ_t); and "
    "take examples of several shapes, each with a step of its own.",
    why="A second implementation may be slow and plain: it has to be right, not fast.",
)


def _at(alpha_bar: Tensor, t: Tensor, like: Tensor) -> Tensor:
    return alpha_bar[t].view(-1, *[1] * (like.dim() - 1))


@Q_SAMPLE.fault(
    "If x_0 and eps have variance 1, what is the variance of x_t? In the middle of the schedule it tells most.",
    "√ is forgotten on 1 − ᾱ_t. With ᾱ = 0 or 1 nothing is seen: take steps in between.",
)
def no_root(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    a = alpha_bar[t].view(-1, *[1] * (x_0.dim() - 1))
    return a.sqrt() * x_0 + (1 - a) * eps


@Q_SAMPLE.fault(
    "Noise alone is not enough: what becomes of x_0 where eps is 0?",
    "√ is forgotten on ᾱ_t.",
)
def no_root_on_the_signal(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    a = _at(alpha_bar, t, x_0)
    return a * x_0 + (1 - a).sqrt() * eps


@Q_SAMPLE.fault(
    "At which steps do √(1 − ᾱ) and 1 − √ᾱ agree, and at which do they not?",
    "The noise is multiplied by 1 − √ᾱ_t.",
)
def one_minus_the_root(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    a = _at(alpha_bar, t, x_0).sqrt()
    return a * x_0 + (1 - a) * eps


@Q_SAMPLE.fault(
    "Where ᾱ is one half, signal and noise have the same factor. At which steps do they not?",
    "The two factors have changed places.",
)
def exchanged(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    a = _at(alpha_bar, t, x_0)
    return (1 - a).sqrt() * x_0 + a.sqrt() * eps


@Q_SAMPLE.fault(
    "A table of T + 1 entries is read with the step itself. Which entry is read? Neighbours have to differ by more "
    "than your tolerance.",
    "ᾱ_{t−1} is read instead of ᾱ_t.",
)
def a_step_early(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    a = _at(alpha_bar, t - 1, x_0)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


@Q_SAMPLE.fault(
    "Each example has its own step. Are there two in your batch that differ?",
    "The first example's step is used for all.",
)
def first_step_for_all(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    a = alpha_bar[t[0]]
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


@Q_SAMPLE.fault(
    "Examples may have any shape. Which have you tried: numbers (B,), points (B, D), pictures (B, C, H, W)?",
    "It is right for points (B, D) alone: ᾱ is shaped (B, 1), and meets another axis of anything else.",
)
def points_only(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    a = alpha_bar[t].view(-1, 1)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


@Q_SAMPLE.blind(
    "eps is 0 in all that you ask for. Which part of the formula does not show then?",
    "no_root",
    "one_minus_the_root",
)
def eps_is_0(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> bool:
    return not eps.any()


@Q_SAMPLE.right("in float32", SINGLE)
def single(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    a = _at(alpha_bar.float(), t, x_0)
    return a.sqrt() * x_0.float() + (1 - a).sqrt() * eps.float()


@Q_SAMPLE.right("with angles", ALGEBRA)
def angles(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    angle = torch.arccos(_at(alpha_bar, t, x_0).sqrt())
    return torch.cos(angle) * x_0 + torch.sin(angle) * eps


@Q_SAMPLE.right("step by step")
def step_by_step(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    x_t = torch.zeros_like(x_0)
    for step in t.unique():
        a, at = float(alpha_bar[step]), t == step
        x_t[at] = a**0.5 * x_0[at] + (1 - a) ** 0.5 * eps[at]
    return x_t


@Q_SAMPLE.right("by its log-SNR")
def by_log_snr(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    log_snr = torch.logit(_at(alpha_bar, t, x_0).clamp(1e-12, 1 - 1e-12))
    return torch.sigmoid(log_snr).sqrt() * x_0 + torch.sigmoid(-log_snr).sqrt() * eps


@Q_SAMPLE.right("in float64", DOUBLE)
def double(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    a = _at(alpha_bar.double(), t, x_0)
    return a.sqrt() * x_0.double() + (1 - a).sqrt() * eps.double()
