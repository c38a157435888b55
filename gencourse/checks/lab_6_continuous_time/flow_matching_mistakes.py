"""What goes wrong in what the net of flow matching is shown and asked for."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gencourse.checks.lab_6_continuous_time.flow_matching import FLOW_MATCHING_LOSS, Net

Way = Callable[[Tensor, Tensor, Tensor], Tensor]


def _shaped(s: Tensor, like: Tensor) -> Tensor:
    return s.view(-1, *[1] * (like.dim() - 1))


def _line(x_0: Tensor, eps: Tensor, s: Tensor) -> Tensor:
    return (1 - s) * x_0 + s * eps


def _towards_data(x_0: Tensor, eps: Tensor, s: Tensor) -> Tensor:
    return x_0 - eps


def _apart(net: Net, x_0: Tensor, eps: Tensor, s: Tensor, shown: Way = _line, target: Way = _towards_data) -> Tensor:
    """Answer minus target."""
    each = _shaped(s, x_0)
    return net(shown(x_0, eps, each), s) - target(x_0, eps, each)


def mistake(hint: str, second: str = "", shown: Way = _line, target: Way = _towards_data) -> Callable[..., None]:
    """Add a mistake in what the net is shown or asked for, or in what is done with the errors: the function below."""

    def add(function: Callable[[Tensor], Tensor]) -> None:
        def gives(net: Net, x_0: Tensor, eps: Tensor, s: Tensor) -> Tensor:
            return function(_apart(net, x_0, eps, s, shown, target))

        gives.__name__ = function.__name__
        FLOW_MATCHING_LOSS.mistake(hint, second)(gives)

    return add


def _mean_square(error: Tensor) -> Tensor:
    return (error**2).mean()


@mistake(
    "The target points from the data to the noise, or the net's answer has a minus. u is the velocity towards the "
    "data.",
    "u = x_0 − ε, and dx = −u ds: as s grows, x goes the other way.",
    target=lambda x_0, eps, s: eps - x_0,
)
def target_turned(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "The target is the noise, as in a DDPM. On this line the net is asked for a velocity.",
    target=lambda x_0, eps, s: eps,
)
def target_is_the_noise(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "The target is the data. On this line the net is asked for a velocity.",
    target=lambda x_0, eps, s: x_0,
)
def target_is_the_data(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "The target is x_s, the place on the line. The net is asked for the velocity there.",
    target=_line,
)
def target_is_the_place(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "The target is x_0 − x_s, the way that is left to the data. The velocity is the same on the whole line.",
    target=lambda x_0, eps, s: x_0 - _line(x_0, eps, s),
)
def target_is_what_is_left(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "The target is x_s − ε. The velocity leads from one end of the line to the other, wherever x_s is.",
    target=lambda x_0, eps, s: _line(x_0, eps, s) - eps,
)
def target_is_what_is_done(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "The target is x_0 + ε. A velocity is a difference of two places.",
    target=lambda x_0, eps, s: x_0 + eps,
)
def target_added(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "The target is the v of the circle, from lab 3. On a straight line the velocity does not depend on the time.",
    target=lambda x_0, eps, s: (1 - s) * eps - s * x_0,
)
def target_of_the_circle(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "The target is x_0 − ε, times s or 1 − s. On a straight line the velocity does not depend on the time.",
    target=lambda x_0, eps, s: (1 - s) * x_0 - s * eps,
)
def target_weighted(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "The ends are exchanged in x_s: at s = 0 it is to be the data, at s = 1 the noise.",
    shown=lambda x_0, eps, s: s * x_0 + (1 - s) * eps,
)
def ends_exchanged(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "Ends and target are both turned round: that is flow matching with time from noise to data, as many papers have "
    "it. "
    "Here s = 0 is the data.",
    shown=lambda x_0, eps, s: s * x_0 + (1 - s) * eps,
    target=lambda x_0, eps, s: eps - x_0,
)
def x_0_and_eps_exchanged(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "The net is shown the data. It has to answer on the whole way: show it x_s.",
    shown=lambda x_0, eps, s: x_0,
)
def shown_the_data(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "The net is shown the noise. It has to answer on the whole way: show it x_s.",
    shown=lambda x_0, eps, s: eps,
)
def shown_the_noise(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "x_s has √(1 − s) and √s for factors: a chain whose variances add up to 1. On a straight line the factors do.",
    shown=lambda x_0, eps, s: (1 - s).sqrt() * x_0 + s.sqrt() * eps,
)
def rooted_factors(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "x_s moves on a circle, with cosine and sine. On a straight line the factors are 1 − s and s.",
    shown=lambda x_0, eps, s: torch.cos(math.pi / 2 * s) * x_0 + torch.sin(math.pi / 2 * s) * eps,
)
def on_the_circle(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "The data keep their full size in x_s, and noise is added. At s = 1 nothing of the data should be left.",
    shown=lambda x_0, eps, s: x_0 + s * eps,
)
def data_not_scaled(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "The noise has its full size in x_s at every time. At s = 0 there should be none.",
    shown=lambda x_0, eps, s: (1 - s) * x_0 + eps,
)
def noise_not_scaled(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "From the data x_s goes away from the noise: x_0 + s (x_0 − ε). u points towards the data, and s grows the other "
    "way.",
    shown=lambda x_0, eps, s: x_0 + s * (x_0 - eps),
)
def away_from_the_noise(error: Tensor) -> Tensor:
    return _mean_square(error)


@FLOW_MATCHING_LOSS.mistake("The net is told 1 − s, and shown x_s. Which time belongs to what it sees?")
def told_the_other_time(net: Net, x_0: Tensor, eps: Tensor, s: Tensor) -> Tensor:
    return _mean_square(_apart(lambda x_s, s: net(x_s, 1 - s), x_0, eps, s))


@FLOW_MATCHING_LOSS.mistake(
    "All examples are at the time of the first one. Each has its own, and the batch shows the net many times at once."
)
def one_time_for_all(net: Net, x_0: Tensor, eps: Tensor, s: Tensor) -> Tensor:
    return _mean_square(_apart(net, x_0, eps, s[:1].expand(len(s))))


@FLOW_MATCHING_LOSS.mistake(
    "All examples are at the first one's time in x_s, while the net is told each example's own."
)
def one_time_in_x_s(net: Net, x_0: Tensor, eps: Tensor, s: Tensor) -> Tensor:
    return _mean_square(net(_line(x_0, eps, s[0]), s) - (x_0 - eps))


@FLOW_MATCHING_LOSS.mistake("All examples are at the mean of the times. Each has its own: s[b] belongs to example b.")
def the_mean_time(net: Net, x_0: Tensor, eps: Tensor, s: Tensor) -> Tensor:
    return _mean_square(net(_line(x_0, eps, s.mean()), s) - (x_0 - eps))


@FLOW_MATCHING_LOSS.mistake(
    "s has shape (B,), and met the last axis of the data: each column got the time of another example."
)
def along_the_last_axis(net: Net, x_0: Tensor, eps: Tensor, s: Tensor) -> Tensor:
    return _mean_square(net(_line(x_0, eps, s), s) - (x_0 - eps))


@FLOW_MATCHING_LOSS.mistake("x_s itself is compared with the target. Where is the net's answer?")
def net_not_asked(net: Net, x_0: Tensor, eps: Tensor, s: Tensor) -> Tensor:
    return _mean_square(_line(x_0, eps, _shaped(s, x_0)) - (x_0 - eps))


@FLOW_MATCHING_LOSS.mistake("The squares are weighted by s. Here every time counts alike.")
def weighted_by_s(net: Net, x_0: Tensor, eps: Tensor, s: Tensor) -> Tensor:
    return (_shaped(s, x_0) * _apart(net, x_0, eps, s) ** 2).mean()


@FLOW_MATCHING_LOSS.mistake("The squares are weighted by 1 − s. Here every time counts alike.")
def weighted_by_1_minus_s(net: Net, x_0: Tensor, eps: Tensor, s: Tensor) -> Tensor:
    return ((1 - _shaped(s, x_0)) * _apart(net, x_0, eps, s) ** 2).mean()


@FLOW_MATCHING_LOSS.mistake(
    "A step of width s from x_s is compared with the data: that is the error in u times s, which hardly counts near "
    "the "
    "data. Compare the velocities."
)
def compared_at_the_data(net: Net, x_0: Tensor, eps: Tensor, s: Tensor) -> Tensor:
    return _mean_square(_shaped(s, x_0) * _apart(net, x_0, eps, s))


@mistake(
    "The target is ε − x_s. The velocity leads from one end of the line to the other, wherever x_s is, and to the "
    "data.",
    target=lambda x_0, eps, s: eps - _line(x_0, eps, s),
)
def target_to_the_noise(error: Tensor) -> Tensor:
    return _mean_square(error)


@mistake(
    "x_s has √(1 − s²) and s for factors, whose squares add up to 1. On a straight line the factors themselves do.",
    shown=lambda x_0, eps, s: (1 - s**2).sqrt() * x_0 + s * eps,
)
def squares_add_up(error: Tensor) -> Tensor:
    return _mean_square(error)
