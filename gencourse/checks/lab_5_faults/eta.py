"""A variance that is negative, behind a clamp. Lecture 04b (26), (27)."""

import torch
from torch import Tensor

from gencourse.checks.lab_5_faults.given import DOUBLE, SINGLE
from gencourse.checks.lab_5_faults.hunt import Hunt


def _own_test_noisy_step(candidate):
    alpha_bar = torch.linspace(1, 0.01, 11, dtype=torch.float64)
    one = torch.ones(3, dtype=torch.float64)
    for t, s, eta in ((10, 9, 1.0), (10, 4, 1.0), (7, 2, 0.5), (7, 6, 0.0), (3, 0, 1.0)):
        now, then = alpha_bar[t], alpha_bar[s]
        # the step is linear: one of x_0, eps and z is 1, and the two others are 0
        signal = candidate(now.sqrt() * one, 0 * one, 0 * one, t, s, eta, alpha_bar)
        noise = candidate((1 - now).sqrt() * one, one, 0 * one, t, s, eta, alpha_bar)
        fresh = candidate(0 * one, 0 * one, one, t, s, eta, alpha_bar)
        beta_tilde = (1 - then) / (1 - now) * (1 - now / then)  # the posterior's variance
        wanted = (signal, then.sqrt()), (fresh, eta * beta_tilde.sqrt()), (noise**2 + fresh**2, 1 - then)
        for got, want in wanted:
            torch.testing.assert_close(got.double(), want * one, rtol=0, atol=1e-4)
        assert (noise > -1e-6).all()


NOISY_STEP = Hunt(
    "faults.test_noisy_step",
    _own_test_noisy_step,
    returns=["verdict"],
    second="The step is linear in x_0, eps and z. Set two of them to 0 and the third to 1, and its factor comes out. "
    "The squares of the factors of eps and z have to add up to 1 − ᾱ_s, and z's is known in a closed form.",
    why="A clamp under a root turns an impossible number into a possible one: what must hold has to be asked for.",
)


def _parts(
    x_t: Tensor, eps_hat: Tensor, z: Tensor, now: Tensor, then: Tensor, var: Tensor, left: Tensor | None = None
) -> Tensor:
    """The step with a variance of the fresh noise, and with what is left for the old one."""
    left = (1 - then - var).clamp(min=0) if left is None else left
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return then.sqrt() * x_0 + left.sqrt() * eps_hat + var.sqrt() * z


@NOISY_STEP.fault(
    "How much noise should x_s hold, whatever η is? Add the squares of the factors of eps and z.",
    "σ² is η²(1 − ᾱ_t), which is more than all of 1 − ᾱ_s; the root of the rest is saved by a clamp. With η = 0 "
    "nothing is seen.",
)
def clamped(x_t: Tensor, eps_hat: Tensor, z: Tensor, t: int, s: int, eta: float, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    direction = (1 - then - eta**2 * (1 - now)).clamp(min=0).sqrt()
    return then.sqrt() * x_0 + direction * eps_hat + eta * (1 - now).sqrt() * z


@NOISY_STEP.fault(
    "If fresh noise comes in, old noise has to go. Does their sum of squares stay 1 − ᾱ_s for η = 1?",
    "The fresh noise is added to what DDIM has anyway: too much in all.",
)
def added_on_top(x_t: Tensor, eps_hat: Tensor, z: Tensor, t: int, s: int, eta: float, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    return _parts(x_t, eps_hat, z, now, then, eta**2 * _beta_tilde(now, then), 1 - then)


@NOISY_STEP.fault(
    "The sum of the squares is right. Is z's share of it, too? Between neighbours and with η = 1 it is β̃.",
    "σ² is η²β, and not η²β̃: the factor (1 − ᾱ_s)/(1 − ᾱ_t) is missing.",
)
def beta_for_beta_tilde(
    x_t: Tensor, eps_hat: Tensor, z: Tensor, t: int, s: int, eta: float, alpha_bar: Tensor
) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    return _parts(x_t, eps_hat, z, now, then, eta**2 * (1 - now / then).clamp(max=1 - then))


@NOISY_STEP.fault(
    "Between neighbours it is right. And where s lies further away?",
    "β_t of the single step to t − 1 is used, however far the step goes.",
)
def one_step_s_beta(x_t: Tensor, eps_hat: Tensor, z: Tensor, t: int, s: int, eta: float, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    return _parts(x_t, eps_hat, z, now, then, eta**2 * (1 - then) / (1 - now) * (1 - now / alpha_bar[t - 1]))


@NOISY_STEP.fault(
    "Is DDIM among its steps? Which η asks for it?",
    "η is ignored: it always takes 1.",
)
def always_one(x_t: Tensor, eps_hat: Tensor, z: Tensor, t: int, s: int, eta: float, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    return _parts(x_t, eps_hat, z, now, then, _beta_tilde(now, then))


@NOISY_STEP.fault(
    "0² = 0 and 1² = 1. Which η can tell η from η²?",
    "The variance grows with η and not with η².",
)
def eta_not_squared(x_t: Tensor, eps_hat: Tensor, z: Tensor, t: int, s: int, eta: float, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    return _parts(x_t, eps_hat, z, now, then, eta * _beta_tilde(now, then))


@NOISY_STEP.fault(
    "A square forgets a sign. Does the old noise point where it did?",
    "eps_hat comes in with the wrong sign.",
)
def against_eps(x_t: Tensor, eps_hat: Tensor, z: Tensor, t: int, s: int, eta: float, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    var = eta**2 * _beta_tilde(now, then)
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return then.sqrt() * x_0 - (1 - then - var).clamp(min=0).sqrt() * eps_hat + var.sqrt() * z


@NOISY_STEP.blind(
    "η is 0 in all steps that you ask for, and then there is no fresh noise. What does its amount depend on?",
    "clamped",
    "added_on_top",
)
def eta_is_0(x_t: Tensor, eps_hat: Tensor, z: Tensor, t: int, s: int, eta: float, alpha_bar: Tensor) -> bool:
    return eta == 0


def _beta_tilde(now: Tensor, then: Tensor) -> Tensor:
    return (1 - then) / (1 - now) * (1 - now / then)


@NOISY_STEP.right("as the paper writes it")
def as_written(x_t: Tensor, eps_hat: Tensor, z: Tensor, t: int, s: int, eta: float, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    return _parts(x_t, eps_hat, z, now, then, eta**2 * _beta_tilde(now, then))


@NOISY_STEP.right("in float32", SINGLE)
def single(x_t: Tensor, eps_hat: Tensor, z: Tensor, t: int, s: int, eta: float, alpha_bar: Tensor) -> Tensor:
    return as_written(x_t.float(), eps_hat.float(), z.float(), t, s, eta, alpha_bar.float())


@NOISY_STEP.right("in float64", DOUBLE)
def double(x_t: Tensor, eps_hat: Tensor, z: Tensor, t: int, s: int, eta: float, alpha_bar: Tensor) -> Tensor:
    return as_written(x_t.double(), eps_hat.double(), z.double(), t, s, eta, alpha_bar.double())


@NOISY_STEP.right("by an angle between old and fresh noise")
def by_the_factors(x_t: Tensor, eps_hat: Tensor, z: Tensor, t: int, s: int, eta: float, alpha_bar: Tensor) -> Tensor:
    now, then = alpha_bar[t], alpha_bar[s]
    share = eta * (1 - now / then).sqrt() / (1 - now).sqrt()  # σ/√(1 − ᾱ_s), the sine of an angle
    left = (1 - share**2).sqrt()
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return then.sqrt() * x_0 + (1 - then).sqrt() * (left * eps_hat + share * z)
