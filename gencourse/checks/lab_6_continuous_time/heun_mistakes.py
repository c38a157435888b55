"""What goes wrong in a step of Heun's method: every mistake that has a hint of its own."""

import math
from typing import NoReturn

from torch import Tensor

from gencourse.checks.lab_6_continuous_time.heun import HEUN_STEP, Velocity


@HEUN_STEP.mistake(
    "This is Euler's step: the slope at the start alone. The slope at the other end is asked, too.",
    "Ask v once more, at the point where Euler's step ends and at the angle that belongs to it, and average.",
)
def euler(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    return x + h * v(x, phi)


@HEUN_STEP.mistake(
    "This is the midpoint rule: one slope, in the middle. It is of second order, too, but it is not what is asked for: "
    "the mean of the slopes at both *ends*."
)
def midpoint(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    return x + h * v(x + h / 2 * v(x, phi), phi + h / 2)


@HEUN_STEP.mistake("Only the slope at the far end is used. Both ends count alike.")
def far_end_only(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    return x + h * v(x + h * v(x, phi), phi + h)


@HEUN_STEP.mistake(
    "The second slope is asked at the new angle, but at the old x. Where will x be at phi + h?",
    "By Euler's step x will be at x + h · slope: ask v there.",
)
def at_the_old_x(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    return x + h / 2 * (v(x, phi) + v(x, phi + h))


@HEUN_STEP.mistake(
    "The second slope is asked at the new x, but at the old angle. Both have moved on.",
    "At the end of the step the angle is phi + h.",
)
def at_the_old_angle(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    return x + h / 2 * (v(x, phi) + v(x + h * v(x, phi), phi))


@HEUN_STEP.mistake(
    "x goes twice as far: the two slopes are added, or two whole steps are taken. Of two slopes the mean is wanted."
)
def summed(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x + h * (slope + v(x + h * slope, phi + h))


@HEUN_STEP.mistake(
    "The last line goes the other way: it takes h times the mean slope away. The sign of h says all about the "
    "direction."
)
def backwards(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x - h / 2 * (slope + v(x + h * slope, phi + h))


@HEUN_STEP.mistake("The whole step goes to phi − h. h carries its own sign: towards the data it is negative already.")
def the_other_way(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x - h / 2 * (slope + v(x - h * slope, phi - h))


@HEUN_STEP.mistake("For the second slope x is moved the wrong way, by −h, while phi is moved by +h.")
def x_the_other_way(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x + h / 2 * (slope + v(x - h * slope, phi + h))


@HEUN_STEP.mistake("For the second slope phi is moved the wrong way, by −h, while x is moved by +h.")
def phi_the_other_way(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x + h / 2 * (slope + v(x + h * slope, phi - h))


@HEUN_STEP.mistake("For the second slope both x and phi go back by h. The far end of the step lies at phi + h.")
def looks_back(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x + h / 2 * (slope + v(x - h * slope, phi - h))


@HEUN_STEP.mistake(
    "The second slope is asked half-way, and averaged with the first: that is two steps of Euler's of half the "
    "width, and "
    "of first order. The second slope belongs to the end of the whole step."
)
def half_way_and_averaged(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x + h / 2 * (slope + v(x + h / 2 * slope, phi + h / 2))


@HEUN_STEP.mistake("For the second slope x has gone half a step, and phi a whole one. Both go all the way.")
def x_half_way(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x + h / 2 * (slope + v(x + h / 2 * slope, phi + h))


@HEUN_STEP.mistake("For the second slope phi has gone half a step, and x a whole one. Both go all the way.")
def phi_half_way(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x + h / 2 * (slope + v(x + h * slope, phi + h / 2))


@HEUN_STEP.mistake("This is what is to be added to x, without x itself.")
def change_alone(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return h / 2 * (slope + v(x + h * slope, phi + h))


@HEUN_STEP.mistake("The mean slope is right, and it is not multiplied by h and added to x.")
def slope_alone(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return (slope + v(x + h * slope, phi + h)) / 2


@HEUN_STEP.mistake("In the last line the mean slope is added whole. How far does x go in a step of width h?")
def width_forgotten(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x + (slope + v(x + h * slope, phi + h)) / 2


@HEUN_STEP.mistake("For the second slope x is moved by the whole slope, and not by h times it.")
def width_forgotten_first(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x + h / 2 * (slope + v(x + slope, phi + h))


@HEUN_STEP.mistake("The second slope is asked at the angle h. h is how far phi moves, not where it is then.")
def at_the_angle_h(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x + h / 2 * (slope + v(x + h * slope, h))


@HEUN_STEP.mistake(
    "The mean is added where Euler's step has ended. It takes the place of the first slope: start from x again."
)
def from_where_euler_ends(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    there = x + h * slope
    return there + h / 2 * (slope + v(there, phi + h))


@HEUN_STEP.mistake("This is half of Euler's step: the first slope is halved, and the second one is missing.")
def half_of_euler(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    return x + h / 2 * v(x, phi)


@HEUN_STEP.mistake("A half too many: the mean of two slopes has one half in it, and only one.")
def halved_twice(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x + h / 4 * (slope + v(x + h * slope, phi + h))


@HEUN_STEP.mistake(
    "Only one of the two slopes is halved. Are brackets missing, or are two points averaged, of which the second is "
    "two "
    "steps away?"
)
def second_halved(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x + h * (slope + v(x + h * slope, phi + h) / 2)


@HEUN_STEP.mistake("The slopes are subtracted. Their mean is half of their sum.")
def subtracted(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x + h / 2 * (v(x + h * slope, phi + h) - slope)


@HEUN_STEP.mistake(
    "This turns x by h, cos(h) x + sin(h) v: DDIM's step, which takes the guesses for constant, and is of first order."
)
def rotated(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    return math.cos(h) * x + math.sin(h) * v(x, phi)


@HEUN_STEP.mistake(
    "The second slope is asked half-way between the two points, at the new angle, and used alone. Average the slopes, "
    "not the points."
)
def points_averaged(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    return x + h * v(x + h / 2 * v(x, phi), phi + h)


@HEUN_STEP.mistake("The end is corrected twice. Heun's method corrects Euler's step once, and asks twice in all.")
def corrected_twice(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    there = x + h / 2 * (slope + v(x + h * slope, phi + h))
    return x + h / 2 * (slope + v(there, phi + h))


@HEUN_STEP.mistake(
    "This is the method of Runge and Kutta with four slopes, of fourth order: a good one, and not the one that is "
    "asked "
    "for, which asks twice."
)
def four_slopes(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    first = v(x, phi)
    second = v(x + h / 2 * first, phi + h / 2)
    third = v(x + h / 2 * second, phi + h / 2)
    return x + h / 6 * (first + 2 * second + 2 * third + v(x + h * third, phi + h))


@HEUN_STEP.mistake("h multiplies the first slope alone: brackets. Both slopes are halved, and both times h.")
def width_for_the_first(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x + h * slope + v(x + h * slope, phi + h) / 2


@HEUN_STEP.mistake(
    "h multiplies the second slope alone: brackets. The mean of both slopes is taken first, then times h."
)
def width_for_the_second(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x + slope + h / 2 * v(x + h * slope, phi + h)


@HEUN_STEP.mistake("The first slope is asked at the far angle already. It belongs to where the step begins, phi.")
def both_at_the_far_angle(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi + h)
    return x + h / 2 * (slope + v(x + h * slope, phi + h))


@HEUN_STEP.mistake("The two angles are exchanged: phi is where the step begins, phi + h where it ends.")
def angles_exchanged(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi + h)
    return x + h / 2 * (slope + v(x + h * slope, phi))


@HEUN_STEP.mistake("Only the first slope is halved: brackets. The mean is half of the whole sum, and times h.")
def first_halved(v: Velocity, x: Tensor, phi: float, h: float) -> Tensor:
    slope = v(x, phi)
    return x + h / 2 * slope + v(x + h * slope, phi + h)


@HEUN_STEP.mistake(
    "Right, and too dear: v is a network, and each call of it costs as much as all the rest. Keep the first slope "
    "under "
    "a name, and use it twice."
)
def asks_too_often(v: Velocity, x: Tensor, phi: float, h: float) -> NoReturn:
    raise NotImplementedError("recognised by counting the calls")
