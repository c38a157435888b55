"""x_0 clipped, and ε left as it was. Lecture 04 (12)."""

import torch
from torch import Tensor

from gencourse.checks.lab_5_faults.given import ALGEBRA, DOUBLE, SINGLE
from gencourse.checks.lab_5_faults.hunt import Hunt


def _own_test_clipped_step(candidate):
    alpha_bar = torch.linspace(1, 0.01, 11, dtype=torch.float64)
    x_0 = torch.linspace(-3, 3, 13, dtype=torch.float64)  # beyond -1, inside, and beyond 1
    eps = torch.randn(13, dtype=torch.float64)
    for t, s in ((9, 8), (9, 3), (5, 0)):
        now, then = alpha_bar[t], alpha_bar[s]
        x_t = now.sqrt() * x_0 + (1 - now).sqrt() * eps
        x_s = candidate(x_t, eps, t, s, alpha_bar)
        kept = x_0.clamp(-1, 1)
        belongs = (x_t - now.sqrt() * kept) / (1 - now).sqrt()  # x_t is what it was
        want = then.sqrt() * kept + (1 - then).sqrt() * belongs
        torch.testing.assert_close(x_s.double(), want, rtol=0, atol=1e-4)


CLIPPED_STEP = Hunt(
    "faults.test_clipped_step",
    _own_test_clipped_step,
    returns=["verdict"],
    second="Choose the guess of x_0 yourself: some entries beyond 1, some beyond −1, some inside. Make x_t of it and "
    "of an eps. Which ε belongs to x_t and the clipped x_0, if x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε is to hold?",
    why="x_t, x_0 and ε satisfy one equation: who changes one of them has to say which other one gives way.",
)


def _x_0(x_t: Tensor, eps_hat: Tensor, now: Tensor) -> Tensor:
    return (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()


def _eps(x_t: Tensor, x_0: Tensor, now: Tensor) -> Tensor:
    return (x_t - now.sqrt() * x_0) / (1 - now).sqrt()


@CLIPPED_STEP.fault(
    "Where the guess of x_0 is cut, x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε ceases to hold with the old ε. Which one makes it?",
    "x_0 is clipped and eps_hat is not made to fit. It shows where the guess lies outside [−1, 1], and s is not 0.",
)
def stale_eps(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    x_0 = x_0.clamp(-1, 1)
    return then.sqrt() * x_0 + (1 - then).sqrt() * eps_hat


@CLIPPED_STEP.fault(
    "At s = 0 the clipped x_0 itself comes out. Does it, if the guess is 3?",
    "Nothing is clipped.",
)
def nothing_clipped(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    return then.sqrt() * _x_0(x_t, eps_hat, now) + (1 - then).sqrt() * eps_hat


@CLIPPED_STEP.fault(
    "x_s itself may lie outside [−1, 1], as it holds noise. Does it, at a late s?",
    "x_s is clipped as well.",
)
def x_s_clipped(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    return fitted(x_t, eps_hat, t, s, alpha_bar).clamp(-1, 1)


@CLIPPED_STEP.fault(
    "[−1, 1] has two ends. Have you tried a guess beyond each of them?",
    "Only what is above 1 is cut.",
)
def above_only(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    x_0 = _x_0(x_t, eps_hat, now).clamp(max=1)
    return then.sqrt() * x_0 + (1 - then).sqrt() * _eps(x_t, x_0, now)


@CLIPPED_STEP.fault(
    "What becomes of a guess that lies inside [−1, 1], and in a batch with one that does not?",
    "The guess is divided by its largest entry, so that all of it shrinks.",
)
def shrunk(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    x_0 = _x_0(x_t, eps_hat, now)
    x_0 = x_0 / x_0.abs().max().clamp(min=1)
    return then.sqrt() * x_0 + (1 - then).sqrt() * _eps(x_t, x_0, now)


@CLIPPED_STEP.fault(
    "From which x, and from which ᾱ, is the new ε to be computed? Steps that lie far apart tell.",
    "The new ε is computed with ᾱ_s in the place of ᾱ_t.",
)
def eps_of_s(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    x_0 = _x_0(x_t, eps_hat, now).clamp(-1, 1)
    return then.sqrt() * x_0 + (x_t - then.sqrt() * x_0) * ((1 - then) / (1 - now)).sqrt()


@CLIPPED_STEP.blind(
    "Where do the steps end that you ask for? At s = 0 x_s is the clipped guess of x_0, and ε has no part in it.",
    "stale_eps",
    "eps_of_s",
)
def only_to_0(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> bool:
    return s == 0


@CLIPPED_STEP.blind(
    "You ask for one number at a time. What may the entries of one batch not do to each other?",
    "shrunk",
)
def one_at_a_time(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> bool:
    return x_t.numel() == 1


@CLIPPED_STEP.right("which makes ε fit")
def fitted(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    x_0 = _x_0(x_t, eps_hat, now).clamp(-1, 1)
    return then.sqrt() * x_0 + (1 - then).sqrt() * _eps(x_t, x_0, now)


@CLIPPED_STEP.right("in float32", SINGLE)
def single(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    return fitted(x_t.float(), eps_hat.float(), t, s, alpha_bar.float())


@CLIPPED_STEP.right("by what is cut off", ALGEBRA)
def by_what_is_cut_off(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    x_0 = _x_0(x_t, eps_hat, now)
    cut = x_0 - x_0.clamp(-1, 1)
    unclipped = then.sqrt() * x_0 + (1 - then).sqrt() * eps_hat
    return unclipped - (then.sqrt() - ((1 - then) * now / (1 - now)).sqrt()) * cut


@CLIPPED_STEP.right("with torch.where")
def with_where(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    x_0 = _x_0(x_t, eps_hat, now)
    inside = x_0.abs() <= 1
    eps = torch.where(inside, eps_hat, _eps(x_t, x_0.sign(), now))
    return then.sqrt() * torch.where(inside, x_0, x_0.sign()) + (1 - then).sqrt() * eps


@CLIPPED_STEP.right("in float64", DOUBLE)
def double(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    return fitted(x_t.double(), eps_hat.double(), t, s, alpha_bar.double())
