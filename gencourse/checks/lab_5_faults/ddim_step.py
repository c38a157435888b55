"""A step of DDIM with another ᾱ. Lecture 04b (27)."""

import math

import torch
from torch import Tensor

from gencourse.checks.lab_5_faults.given import ALGEBRA, DOUBLE, SINGLE
from gencourse.checks.lab_5_faults.hunt import Hunt


def _own_test_ddim_step(candidate):
    alpha_bar = torch.linspace(1, 0.01, 11, dtype=torch.float64)
    x_0, eps = torch.randn(2, 4, 3, dtype=torch.float64)
    noised = {t: a.sqrt() * x_0 + (1 - a).sqrt() * eps for t, a in enumerate(alpha_bar)}
    for t, s in ((10, 9), (10, 3), (7, 2), (4, 0), (1, 0)):
        x_s = candidate(noised[t], eps, t, s, alpha_bar)  # the noise is guessed without an error,
        torch.testing.assert_close(x_s.double(), noised[s], rtol=0, atol=1e-4)  # so it has to arrive


DDIM_STEP = Hunt(
    "faults.test_ddim_step",
    _own_test_ddim_step,
    returns=["verdict"],
    second="Take an x_0 and an eps, and make x_t and x_s of them in a closed form. A network that guesses the noise "
    "without an error has to lead from one to the other, for every pair of steps.",
    why="A perfect guess turns a sampler into something with a closed form, and a closed form can be tested.",
)


@DDIM_STEP.fault(
    "Where should a step from t to s arrive, if eps_hat is the noise that is in x_t? Where does it arrive?",
    "It reads ᾱ_{s−1}. Make x_s of the same x_0 and eps, and compare; with s = 0 alone nothing is seen.",
)
def one_entry_early(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[max(s - 1, 0)]
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return then.sqrt() * x_0 + (1 - then).sqrt() * eps_hat


@DDIM_STEP.fault(
    "Steps of length 1 are not enough: DDIM skips. Which longer ones have you tried?",
    "It goes to t − 1, wherever s is.",
)
def to_the_neighbour(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    return _step(x_t, eps_hat, alpha_bar[t], alpha_bar[t - 1])


@DDIM_STEP.fault(
    "The last step ends at s = 0. What should be left of the noise there?",
    "At the end it reads ᾱ_1 instead of ᾱ_0 = 1, and leaves a little noise.",
)
def never_clean(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    return _step(x_t, eps_hat, alpha_bar[t], alpha_bar[max(s, 1)])


@DDIM_STEP.fault(
    "Into x_s goes x_0, and what else? Look where eps_hat and s are not 0.",
    "The noise is left out: it gives √ᾱ_s x_0.",
)
def without_noise(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    return then.sqrt() * (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()


@DDIM_STEP.fault(
    "How much noise should x_s hold: as much as x_t, or less?",
    "It puts as much noise in as x_t had.",
)
def as_much_noise(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return then.sqrt() * x_0 + (1 - now).sqrt() * eps_hat


@DDIM_STEP.fault(
    "Where ᾱ_t is near 1 a division by √ᾱ_t makes no difference. Where does it?",
    "x_0 is guessed without the division by √ᾱ_t.",
)
def undivided(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    return then.sqrt() * (x_t - (1 - now).sqrt() * eps_hat) + (1 - then).sqrt() * eps_hat


@DDIM_STEP.blind(
    "Where do the steps end that you ask for? At s = 0 x_s is the guess of x_0, whatever is done with the noise.",
    "one_entry_early",
    "without_noise",
)
def only_to_0(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> bool:
    return s == 0


@DDIM_STEP.blind(
    "eps_hat is 0 in all steps that you ask for. Which part of the formula does not show then?",
    "without_noise",
    "as_much_noise",
)
def eps_is_0(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> bool:
    return not eps_hat.any()


def _step(x_t: Tensor, eps_hat: Tensor, now: Tensor, then: Tensor) -> Tensor:
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return then.sqrt() * x_0 + (1 - then).sqrt() * eps_hat


@DDIM_STEP.right("by its guess of x_0")
def by_x_0(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    return _step(x_t, eps_hat, alpha_bar[t], alpha_bar[s])


@DDIM_STEP.right("in float32", SINGLE)
def single(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    return _step(x_t.float(), eps_hat.float(), alpha_bar[t].float(), alpha_bar[s].float())


@DDIM_STEP.right("as a step of a differential equation", ALGEBRA)
def as_an_ode(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    sigma = ((1 - alpha_bar) / alpha_bar).sqrt()  # in x/√ᾱ the step is a straight line
    return alpha_bar[s].sqrt() * (x_t / alpha_bar[t].sqrt() + (sigma[s] - sigma[t]) * eps_hat)


@DDIM_STEP.right("with plain numbers")
def plain_numbers(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    a, b = float(alpha_bar[t]), float(alpha_bar[s])
    return math.sqrt(b / a) * x_t + (math.sqrt(1 - b) - math.sqrt(b * (1 - a) / a)) * eps_hat


@DDIM_STEP.right("in float64", DOUBLE)
def double(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    return _step(x_t.double(), eps_hat.double(), alpha_bar[t].double(), alpha_bar[s].double())
