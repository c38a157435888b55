"""From an interval to the whole line, pixel by pixel: a layer with nothing to learn. Lecture 03, section 10."""

import math

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_2_flows.given import FLOAT32_TOL, log_volume
from gencourse.checks.spec import Exercise

Pair = tuple[Tensor, Tensor]


def logit(x: Tensor, alpha: float) -> Pair:
    p = alpha + (1 - 2 * alpha) * x  # inside (0, 1), the ends too
    z = torch.log(p) - torch.log(1 - p)
    log_slope = math.log(1 - 2 * alpha) - torch.log(p) - torch.log(1 - p)  # dz/dx = (1 − 2α) / (p (1 − p)), each pixel
    return z, log_slope.flatten(1).sum(1)


LOGIT = Exercise(
    "flows.logit",
    logit,
    returns=["z", "log_det"],
    batched=["x"],
    second="Call p = alpha + (1 − 2 alpha) x. Then z = log p − log(1 − p), and the chain rule has two factors: the "
    "slope of z over p, 1/p + 1/(1 − p), and that of p over x. The Jacobian is diagonal: what is the logarithm of its "
    "determinant?",
    why="A layer with no weights at all can be worth more than many with: it gives data the range that the base has. "
    "RealNVP and Glow begin with it.",
)


def _pixels(shape: tuple[int, ...], g: Generator) -> Tensor:
    return torch.rand(*shape, generator=g, dtype=torch.float64)


def _alpha(g: Generator) -> float:
    return round(0.02 + 0.3 * float(torch.rand(1, generator=g)), 3)


def _by_hand(x: Tensor, alpha: float) -> Tensor:
    """z by the inverse of a sigmoid, which is 2 artanh(2p − 1)."""
    return 2 * torch.atanh((1 - 2 * alpha) * (2 * x - 1))


@LOGIT.check(
    "z is the logit of alpha + (1 − 2 alpha) x: a sigmoid brings it back",
    "x is squeezed a little first, into alpha … 1 − alpha. Then: which p has sigmoid(z) = p, solved for z?",
)
def _(answer: Answer, g: Generator) -> None:
    x, alpha = _pixels((4, 5), g), _alpha(g)
    z, _ = answer(x, alpha)
    answer.agrees("z", _by_hand(x, alpha), z)


@LOGIT.check(
    "log_det is log |det| of the Jacobian that autograd finds",
    "Each pixel is mapped by itself. Its slope dz/dx has two factors, one for each step; their logarithms add up.",
)
def _(answer: Answer, g: Generator) -> None:
    for B, D in ((4, 5), (3, 3), (1, 7), (5, 2)):
        x, alpha = _pixels((B, D), g), _alpha(g)
        answer.gives([x, alpha], _by_hand(x, alpha), log_volume(lambda v: _by_hand(v, alpha), x))  # noqa: B023


@LOGIT.check("it takes pictures, too", "All axes but the first belong to one example; log_det stays (B,).")
def _(answer: Answer, g: Generator) -> None:
    x, alpha = _pixels((4, 3, 2, 5), g), _alpha(g)
    answer.gives([x, alpha], _by_hand(x, alpha), log_volume(lambda v: _by_hand(v, alpha), x))


@LOGIT.check(
    "black and white, 0 and 1, stay finite",
    "With alpha above 0 no pixel reaches an end. Is it still so after what you compute first?",
)
def _(answer: Answer, g: Generator) -> None:
    x, alpha = _pixels((3, 4), g).round(), _alpha(g)
    answer.gives([x, alpha], _by_hand(x, alpha), log_volume(lambda v: _by_hand(v, alpha), x))


@LOGIT.check("it takes float32 too", "Nothing in the formulas depends on the precision of x.")
def _(answer: Answer, g: Generator) -> None:
    x, alpha = _pixels((3, 4), g), _alpha(g)
    log_det = log_volume(lambda v: _by_hand(v, alpha), x)
    answer.gives([x.float(), alpha], _by_hand(x, alpha), log_det, tol=FLOAT32_TOL)
