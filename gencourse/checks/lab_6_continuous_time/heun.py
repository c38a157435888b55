"""One step of Heun's method for dx/dφ = v(x, φ): the mean of the slopes at both ends. Lecture 05 (11), 05b."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_3_diffusion.chain import FLOAT32_TOL, SQUARE, normal, piece, recognised
from gencourse.checks.lab_6_continuous_time.fields import Clock, Counted, Field, Known, some_field
from gencourse.checks.limit import called
from gencourse.checks.spec import Exercise

Velocity = Callable[[Tensor, float], Tensor]


def heun_step(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    there = v(x + h * slope, phi + h)  # where a step of Euler's method ends
    return x + h / 2 * (slope + there)


HEUN_STEP = Exercise(
    "continuous.heun_step",
    heun_step,
    returns=["x at phi + h"],
    batched=["x"],
    second="Three lines: the slope here, v(x, phi); the slope at the end of Euler's step, for which both x and phi "
    "have "
    "moved on by h; then x plus h times the mean of the two.",
    why="The same two lines make any solver of second order: two calls a step, and an error that falls as 1/n².",
)

Numbers = tuple[Velocity, Tensor, float, float]


def _numbers(shape: tuple[int, ...], g: Generator) -> tuple[Field, Tensor, float, float]:
    """A field, points, an angle, and a step back, towards the data."""
    phi, h = (float(u) for u in torch.rand(2, generator=g, dtype=torch.float64))
    return some_field(shape, g), normal(shape, g), 0.6 + 0.6 * phi, -0.2 - 0.3 * h


@HEUN_STEP.check(
    "x moves by h times the mean of two slopes, here and at the end of Euler's step",
    "Which two slopes are averaged? The second one is asked at the other end: at which x, and at which angle?",
)
def _(answer: Answer, g: Generator) -> None:
    v, x, phi, h = _numbers(SQUARE, g)
    guess = torch.stack([one + h * v(one[None], phi)[0] for one in x])
    slopes = torch.stack([v(x, phi), v(guess, phi + h)])
    recognised(answer, [v, x, phi, h], x + h * slopes.mean(0))


@HEUN_STEP.check(
    "a velocity that changes evenly with φ is followed exactly",
    "Here v depends on the angle alone. Of a straight line the mean over an interval is the mean of its two ends: phi, "
    "and phi + h.",
)
def _(answer: Answer, g: Generator) -> None:
    _, x, phi, h = _numbers((4, 3), g)
    v = Clock(0.7, -1.3, (4, 3))
    for step in (h, -h):
        moved = 0.7 * step - 1.3 * ((phi + step) ** 2 - phi**2) / 2  # the integral
        piece(answer, "x at phi + h", x + moved, answer(v, x, phi, step))


@HEUN_STEP.check(
    "where v = a x, the factor is 1 + a h + (a h)²/2",
    "The solution's factor is e^(a h). Euler's step has the first two terms of its series; the second slope brings "
    "one more.",
)
def _(answer: Answer, g: Generator) -> None:
    _, x, phi, h = _numbers((4, 3), g)
    a = 1.4
    expected = x * (1 + a * h + (a * h) ** 2 / 2)
    piece(answer, "x at phi + h", expected, answer(Known(a, 0.0, (4, 3)), x, phi, h))


@HEUN_STEP.check(
    "it is the mean of two slopes for any velocity, and points of any shape",
    "Alone, x and the angle are followed rightly. The second slope is asked where both have moved on, in one call.",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in (SQUARE, (5, 3), (3, 2, 5, 7)):
        v, x, phi, h = _numbers(shape, g)
        answer.gives([v, x, phi, h], x + h * (v(x, phi) + v(x + h * v(x, phi), phi + h)) / 2, tol=1e-8)


@HEUN_STEP.check(
    "there and back again, with ever smaller steps, ends where it began",
    "h may have either sign: towards the data it is negative. Nothing but h says which way the step goes.",
)
def _(answer: Answer, g: Generator) -> None:
    v, x, phi, _ = _numbers((4, 3), g)
    for h in (0.02, -0.02):
        back = answer(v, answer(v, x, phi, h), phi + h, -h)
        answer.agrees("x after a step and its reverse", x, back, tol=1e-4)


@HEUN_STEP.check("it takes float32 too", "Nothing in the formula depends on the precision of x.")
def _(answer: Answer, g: Generator) -> None:
    v, x, phi, h = _numbers((4, 3), g)
    expected = x + h * (v(x, phi) + v(x + h * v(x, phi), phi + h)) / 2
    answer.gives([v, x.float(), phi, h], expected, tol=FLOAT32_TOL)


@HEUN_STEP.check("it asks for the velocity twice", "A call of v is a call of the network, and all that a step costs.")
def _(answer: Answer, g: Generator) -> None:
    v, x, phi, h = _numbers((4, 3), g)
    counted = Counted(v)
    called(answer.function, counted, x.clone(), phi, h)
    if counted.calls != 2:
        answer.wrong(
            "asks_too_often",
            answer.exercise.mistakes["asks_too_often"].hint,
            expected="v called twice",
            got=f"v called {counted.calls} times",
        )


@HEUN_STEP.pace
def _(g: Generator) -> Numbers:
    return Field(0.7, 0.9, (2000, 2)), normal((2000, 2), g), 1.0, -0.1
