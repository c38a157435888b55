"""Levels of noise that are read or made wrongly, in a step back and in the bound that is made of two of them."""

from collections.abc import Callable

import torch
from torch import Tensor

from gencourse.checks.lab_3_diffusion.bound_term_mistakes import BOUND_TERM
from gencourse.checks.lab_3_diffusion.chain import each
from gencourse.checks.lab_3_diffusion.posterior_mistakes import POSTERIOR
from gencourse.checks.spec import Exercise

__all__ = ["BOUND_TERM", "POSTERIOR"]

Levels = Callable[..., tuple[Tensor, Tensor]]  # of β_t, ᾱ_t, ᾱ_{t−1}, β_{t−1}, β_{t+1}, ᾱ_{t+1}: ᾱ_t and ᾱ_{t−1}
WAYS: dict[str, tuple[str, Levels]] = {
    "before_by_alpha_early": (
        "ᾱ_{t−1} is got from ᾱ_t by division, but α_{t−1} is divided by, which ᾱ_{t−1} itself still holds. Which "
        "step's factor is the one too many?",
        lambda b, now, before, early, late, later: (now, now / (1 - early)),
    ),
    "before_by_alpha_late": (
        "ᾱ_{t−1} is got from ᾱ_t by division, but α_{t+1} is divided by, which ᾱ_t does not hold yet. Which step's "
        "factor is the one too many?",
        lambda b, now, before, early, late, later: (now, now / (1 - late)),
    ),
    "before_multiplied": (
        "For ᾱ_{t−1}, ᾱ_t is multiplied by α_t. ᾱ_t has one factor too many: does multiplying take it out?",
        lambda b, now, before, early, late, later: (now, now * (1 - b)),
    ),
    "before_by_beta": (
        "For ᾱ_{t−1}, ᾱ_t is divided by β_t. It is a product of the α: what does step t multiply it by?",
        lambda b, now, before, early, late, later: (now, now / b),
    ),
    "before_by_root": (
        "For ᾱ_{t−1}, ᾱ_t is divided by √α_t. A bar is a product of the α themselves, and no roots are in it.",
        lambda b, now, before, early, late, later: (now, now / (1 - b).sqrt()),
    ),
    "before_is_now": (
        "ᾱ_t stands wherever ᾱ_{t−1} belongs: the entry of the step before is never read.",
        lambda b, now, before, early, late, later: (now, now),
    ),
    "before_is_later": (
        "ᾱ_{t+1} stands where ᾱ_{t−1} belongs: the step before t lies on the other side.",
        lambda b, now, before, early, late, later: (now, later),
    ),
    "now_is_before": (
        "ᾱ_{t−1} stands wherever ᾱ_t belongs: the entry of t itself is never read.",
        lambda b, now, before, early, late, later: (before, before),
    ),
    "bars_exchanged": (
        "ᾱ_t and ᾱ_{t−1} have changed places, wherever they stand. Which of them is read at t − 1?",
        lambda b, now, before, early, late, later: (before, now),
    ),
    "now_by_beta": (
        "ᾱ_t is made of ᾱ_{t−1} by the factor β_t. What is left after a step is what it does not take.",
        lambda b, now, before, early, late, later: (before * b, before),
    ),
    "now_by_alpha_early": (
        "ᾱ_t is made of ᾱ_{t−1} by the factor α_{t−1}, which is in it already. Which step comes next?",
        lambda b, now, before, early, late, later: (before * (1 - early), before),
    ),
}


def _made(x_0: Tensor, x_t: Tensor, t: Tensor, beta: Tensor, alpha_bar: Tensor, levels: Levels) -> tuple[Tensor, ...]:
    """Mean and variance, with the levels as they are misread, and β_t."""
    after = (t + 1).clamp(max=len(beta) - 1)
    b, early, late = (each(beta, i, x_0) for i in (t, t - 1, after))
    now, before = levels(*(b, *(each(alpha_bar, i, x_0) for i in (t, t - 1)), early, late, each(alpha_bar, after, x_0)))
    mean = before.sqrt() * b / (1 - now) * x_0 + (1 - b).sqrt() * (1 - before) / (1 - now) * x_t
    return mean, (1 - before) / (1 - now) * b, b


def _add(exercise: Exercise, name: str, hint: str, function: Callable[..., object]) -> None:
    function.__name__ = name
    exercise.mistake(hint)(function)


def _both(name: str, hint: str, levels: Levels) -> None:
    def posterior(*numbers: Tensor) -> tuple[Tensor, ...]:
        return _made(*numbers, levels=levels)[:2]

    def bound_term(x_0: Tensor, x_t: Tensor, t: Tensor, x_0_hat: Tensor, beta: Tensor, alpha_bar: Tensor) -> Tensor:
        mean, var, b = _made(x_0, x_t, t, beta, alpha_bar, levels)
        guess, *_ = _made(x_0_hat, x_t, t, beta, alpha_bar, levels)
        return (0.5 * (torch.log(b / var) + var / b - 1 + (mean - guess) ** 2 / b)).flatten(1).sum(1)

    _add(POSTERIOR, name, hint, posterior)
    _add(BOUND_TERM, name, hint, bound_term)


for _name, (_hint, _levels) in WAYS.items():
    _both(_name, _hint, _levels)
