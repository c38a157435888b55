"""What goes wrong on the way along the ODE: every mistake there that has a hint of its own."""

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gencourse.checks.lab_6_continuous_time.heun import heun_step
from gencourse.checks.lab_6_continuous_time.log_prob import ODE_LOG_PROB, Velocity, base_log_prob

Step = Callable[[Velocity, Tensor, float, float], Tensor]


def way(v: Velocity, x: Tensor, phis: Tensor, step: Step = heun_step) -> Iterator[tuple[Tensor, Tensor, float, float]]:
    """x at both ends of each step, and the angles there."""
    angles = phis.tolist()
    for phi, after in itertools.pairwise(angles):
        there = step(v, x, phi, after - phi)
        yield x, there, phi, after
        x = there


def both(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor, step: Step = heun_step) -> tuple[Tensor, Tensor]:
    """x at the end, and the integral."""
    x, total = x_0, x_0.new_zeros(len(x_0))
    for here, x, phi, after in way(v, x_0, phis, step):
        total = total + (after - phi) / 2 * (divergence(here, phi) + divergence(x, after))
    return x, total


@ODE_LOG_PROB.mistake(
    "Every step begins at x_0 again: where a step arrives is computed, and forgotten. Give x its new value."
)
def begins_again(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    total = x_0.new_zeros(len(x_0))
    for phi, after in itertools.pairwise(phis.tolist()):
        there = heun_step(v, x_0, phi, after - phi)
        total = total + (after - phi) / 2 * (divergence(x_0, phi) + divergence(there, after))
    return base_log_prob(x_0) + total


@ODE_LOG_PROB.mistake(
    "The divergences are added up without the steps' widths. An integral is a sum of heights times widths."
)
def widths_left_out(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    x, total = x_0, x_0.new_zeros(len(x_0))
    for here, x, phi, after in way(v, x_0, phis):
        total = total + (divergence(here, phi) + divergence(x, after)) / 2
    return base_log_prob(x) + total


def _one_sided(args: tuple[object, ...], term: Callable[..., Tensor], step: Step = heun_step) -> Tensor:
    v, divergence, x_0, phis = args
    x, total = x_0, x_0.new_zeros(len(x_0))  # type: ignore[attr-defined, arg-type]
    for here, x, phi, after in way(v, x_0, phis, step):  # type: ignore[arg-type]
        total = total + (after - phi) * term(divergence, here, x, phi, after)
    return base_log_prob(x) + total  # type: ignore[arg-type]


@ODE_LOG_PROB.mistake(
    "The divergence is asked at the start of each step alone: first order, though x is followed with second. The "
    "mean of "
    "both ends is wanted."
)
def at_the_start(*args: object) -> Tensor:
    return _one_sided(args, lambda d, here, x, phi, after: d(here, phi))


@ODE_LOG_PROB.mistake("The divergence is asked at the end of each step alone. The mean of both ends is wanted.")
def at_the_end(*args: object) -> Tensor:
    return _one_sided(args, lambda d, here, x, phi, after: d(x, after))


@ODE_LOG_PROB.mistake(
    "Both divergences of a step are asked at the old x: the second belongs to the point where x has arrived."
)
def both_at_the_old_x(*args: object) -> Tensor:
    return _one_sided(args, lambda d, here, x, phi, after: (d(here, phi) + d(here, after)) / 2)


@ODE_LOG_PROB.mistake(
    "Both divergences of a step are asked at the new x: has x moved on before the first of them was asked?"
)
def both_at_the_new_x(*args: object) -> Tensor:
    return _one_sided(args, lambda d, here, x, phi, after: (d(x, phi) + d(x, after)) / 2)


@ODE_LOG_PROB.mistake("Both divergences of a step are asked at its first angle. The second belongs to the second one.")
def both_at_the_old_angle(*args: object) -> Tensor:
    return _one_sided(args, lambda d, here, x, phi, after: (d(here, phi) + d(x, phi)) / 2)


@ODE_LOG_PROB.mistake("The new x is asked at the old angle: x has moved on, and phi has not.")
def new_x_old_angle(*args: object) -> Tensor:
    return _one_sided(args, lambda d, here, x, phi, after: d(x, phi))


@ODE_LOG_PROB.mistake("The divergence is asked once, in the middle of the step. The mean of both ends is wanted.")
def in_the_middle(*args: object) -> Tensor:
    return _one_sided(args, lambda d, here, x, phi, after: d((here + x) / 2, (phi + after) / 2))


def _euler(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    return x + h * v(x, phi)


@ODE_LOG_PROB.mistake("x is followed by Euler's steps. The docstring asks for Heun's: heun_step is there.")
def euler_for_x(*args: object) -> Tensor:
    x, total = both(*args, step=_euler)  # type: ignore[arg-type]
    return base_log_prob(x) + total


@ODE_LOG_PROB.mistake(
    "x and the integral both go by Euler's rule: the slope and the divergence at the start of each step alone."
)
def euler_for_both(*args: object) -> Tensor:
    return _one_sided(args, lambda d, here, x, phi, after: d(here, phi), _euler)


@ODE_LOG_PROB.mistake(
    "x stays at x_0 all the way: the divergence is integrated at one point, and the base taken there."
)
def x_never_moves(*args: object) -> Tensor:
    x, total = both(*args, step=lambda v, x, phi, h: x)  # type: ignore[arg-type]
    return base_log_prob(x) + total


@ODE_LOG_PROB.mistake("The divergence is asked at x_0 all the way: it belongs to where x is in each step.")
def divergence_at_the_data(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    x, total = x_0, x_0.new_zeros(len(x_0))
    for _, there, phi, after in way(v, x_0, phis):
        total, x = total + (after - phi) / 2 * (divergence(x_0, phi) + divergence(x_0, after)), there
    return base_log_prob(x) + total


@ODE_LOG_PROB.mistake(
    "The way is walked from its last angle to its first. x_0 are data, and belong to the first one; the noise is at "
    "the other end."
)
def the_other_way(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    x, total = both(v, divergence, x_0, phis.flip(0))
    return base_log_prob(x) + total


@ODE_LOG_PROB.mistake("x walks against v, by −h, while the angles go on.")
def against_v(*args: object) -> Tensor:
    x, total = both(*args, step=lambda v, x, phi, h: 2 * x - heun_step(v, x, phi, h))  # type: ignore[arg-type]
    return base_log_prob(x) + total


@ODE_LOG_PROB.mistake("One step is missing at the end: n + 1 angles are n steps.")
def last_step_missing(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    x, total = both(v, divergence, x_0, phis[:-1])
    return base_log_prob(x) + total


@ODE_LOG_PROB.mistake("The first step is missing: the way begins at phis[0].")
def first_step_missing(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    x, total = both(v, divergence, x_0, phis[1:])
    return base_log_prob(x) + total


@ODE_LOG_PROB.mistake(
    "Of the divergences only the last step's is left: does the sum begin anew in each round of the loop?"
)
def last_divergence_only(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    x, total = x_0, x_0.new_zeros(len(x_0))
    for here, x, phi, after in way(v, x_0, phis):
        total = (after - phi) / 2 * (divergence(here, phi) + divergence(x, after))
    return base_log_prob(x) + total


@ODE_LOG_PROB.mistake("It ends after one step: does a return, or the base, stand inside the loop?")
def one_step_only(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    x, total = both(v, divergence, x_0, phis[:2])
    return base_log_prob(x) + total


@ODE_LOG_PROB.mistake("The base is added in every round of the loop. It belongs to the end of the way, once.")
def base_in_every_step(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    _, total = both(v, divergence, x_0, phis)
    return total + torch.stack([base_log_prob(there) for _, there, _, _ in way(v, x_0, phis)]).sum(0)


@ODE_LOG_PROB.mistake("The integral is taken with one average width. Each step has its own, after − phi.")
def average_width(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    x, total, h = x_0, x_0.new_zeros(len(x_0)), float(phis[-1] - phis[0]) / (len(phis) - 1)
    for here, there, phi, after in way(v, x_0, phis):
        total, x = total + h / 2 * (divergence(here, phi) + divergence(there, after)), there
    return base_log_prob(x) + total


@ODE_LOG_PROB.mistake(
    "The entries of v itself are added up. Its divergence is what its entries change by, and is given."
)
def velocity_for_divergence(*args: object) -> Tensor:
    v = args[0]
    return _one_sided(args, lambda d, here, x, phi, after: (v(here, phi) + v(x, after)).flatten(1).sum(1) / 2)  # type: ignore[operator]


def _midpoint(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    return x + h * v(x + h / 2 * v(x, phi), phi + h / 2)


@ODE_LOG_PROB.mistake("x is followed by the midpoint rule. The docstring asks for heun_step.")
def midpoint_for_x(*args: object) -> Tensor:
    x, total = both(*args, step=_midpoint)  # type: ignore[arg-type]
    return base_log_prob(x) + total


@ODE_LOG_PROB.mistake(
    "Each step brings log(1 + h ∇·v), as if it had one dimension and were one layer of a flow. The integral takes "
    "h ∇·v itself."
)
def logarithm_of_the_step(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    x, total = x_0, x_0.new_zeros(len(x_0))
    for here, there, phi, after in way(v, x_0, phis):
        rate = (divergence(here, phi) + divergence(there, after)) / 2
        total, x = total + torch.log(1 + (after - phi) * rate), there
    return base_log_prob(x) + total


@ODE_LOG_PROB.mistake(
    "All steps have the width of the first. The angles in phis need not be even: each step has its own h."
)
def even_widths(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    h = float(phis[1] - phis[0])
    x, total = x_0, x_0.new_zeros(len(x_0))
    for phi, after in zip(phis[:-1].tolist(), phis[1:].tolist(), strict=True):
        before = divergence(x, phi)
        x = heun_step(v, x, phi, h)
        total = total + h / 2 * (before + divergence(x, after))
    return base_log_prob(x) + total


@ODE_LOG_PROB.mistake("v and the divergence are told the number of the step. They ask for the angle: phis[k], not k.")
def told_the_number(v: Velocity, divergence: Velocity, x_0: Tensor, phis: Tensor) -> Tensor:
    x, total = x_0, x_0.new_zeros(len(x_0))
    for k, h in enumerate(phis.diff().tolist()):
        there = heun_step(v, x, k, h)
        total, x = total + h / 2 * (divergence(x, k) + divergence(there, k + 1)), there
    return base_log_prob(x) + total
