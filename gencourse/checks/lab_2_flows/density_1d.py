"""p_X from p_Z, in one dimension. Lecture 03 (2)."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_2_flows.given import FLOAT32_TOL, Named
from gencourse.checks.spec import Exercise

Function = Callable[[Tensor], Tensor]


def _own_density_1d(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return p_z(f(x)) * slope(x).abs()  # the density where x goes, times how much f stretches there


DENSITY_1D = Exercise(
    "flows.density_1d",
    _own_density_1d,
    returns=["p_x"],
    batched=["x"],
    plain=True,
    second="p_X(x) has two factors. The one is the density p_z, asked at the place to which f brings x; the other is "
    "f' at x itself, without its sign. Try f(x) = 2x by hand, at x = 0 and at x = 1.",
    why="Change of variables is all that a flow is: whatever bends space and knows its slope turns one density into "
    "another, exactly.",
)
NORMAL = Named("the density of N(0, 1)", lambda z: torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))


def _bent(sign: int, g: Generator) -> tuple[Named, Named]:
    """A map that rises (sign 1) or falls (sign −1) everywhere, unevenly; and its slope."""
    a, b, c, m = (0.5 + torch.rand(4, generator=g, dtype=torch.float64)).tolist()
    word = "rises" if sign > 0 else "falls"
    f = Named(f"a map that {word}", lambda x: sign * (a * x + b * torch.tanh(c * (x - m))))
    return f, Named("its slope", lambda x: sign * (a + b * c * (1 - torch.tanh(c * (x - m)) ** 2)))


def _mass(p: Tensor, x: Tensor) -> Tensor:
    """The area under p, by Simpson's rule; an odd number of even steps."""
    return (x[1] - x[0]) / 3 * (p[0] + p[-1] + 4 * p[1:-1:2].sum() + 2 * p[2:-1:2].sum())


@DENSITY_1D.check(
    "between a and b lies as much of x as there is of z between f(a) and f(b)",
    "A short piece dx is mapped to a piece of length |f'(x)| dx, and the mass on it stays the same.",
)
def _(answer: Answer, g: Generator) -> None:
    f, slope = _bent(1, g)
    x = torch.linspace(-1.2, 2.3, 201, dtype=torch.float64)
    z = torch.special.ndtr(f(x[[0, -1]]))
    answer.agrees(
        "area under p_x from a = −1.2 to b = 2.3", z[1] - z[0], _mass(answer(x, f, slope, NORMAL), x), tol=1e-6
    )


@DENSITY_1D.check(
    "the area under p_x is 1 for a map that falls, too",
    "Where f falls its slope is negative. Can a density be?",
)
def _(answer: Answer, g: Generator) -> None:
    f, slope = _bent(-1, g)  # |f| >= 11 at the ends
    x = torch.linspace(-24, 24, 1201, dtype=torch.float64)
    one = torch.ones((), dtype=torch.float64)
    answer.agrees("area under p_x from −24 to 24", one, _mass(answer(x, f, slope, NORMAL), x), tol=1e-6)


@DENSITY_1D.check(
    "for f(x) = log x it is the log-normal density", "p_z is asked at z = f(x), and the slope at x: where is which?"
)
def _(answer: Answer, g: Generator) -> None:
    x = 0.1 + 3 * torch.rand(7, generator=g, dtype=torch.float64)
    zero = x.new_zeros(())
    expected = torch.distributions.LogNormal(zero, zero + 1).log_prob(x).exp()
    answer.gives([x, Named("log", torch.log), Named("its slope, 1/x", lambda x: 1 / x), NORMAL], expected)


@DENSITY_1D.check("it takes any density for z, and float32", "p_z is whatever was given, and need not be a Gaussian.")
def _(answer: Answer, g: Generator) -> None:
    f, slope = _bent(-1, g)
    logistic = Named("the logistic density", lambda z: torch.sigmoid(z) * torch.sigmoid(-z))
    x = torch.randn(5, generator=g, dtype=torch.float64)
    h = 1e-4
    expected = (torch.sigmoid(f(x - h)) - torch.sigmoid(f(x + h))) / (2 * h)  # mass of a short piece, over its length
    answer.gives([x.float(), f, slope, logistic], expected, tol=FLOAT32_TOL)


@DENSITY_1D.mistake(
    "Where f falls, the density comes out negative: only the size of the slope says how much is spread."
)
def no_abs(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return p_z(f(x)) * slope(x)


@DENSITY_1D.mistake("This is p_z at z = f(x) alone. Where f stretches, the same mass comes from a shorter piece of x.")
def no_slope(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return p_z(f(x))


@DENSITY_1D.mistake("p_z is asked at x here. It is the density of z, so where has it to be asked?")
def base_at_x(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return p_z(x) * slope(x).abs()


@DENSITY_1D.mistake("Divided by the slope: that is the other direction, p_z from p_x. Is x dense where f is steep?")
def divided(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return p_z(f(x)) / slope(x).abs()


@DENSITY_1D.mistake("The slope is taken at z = f(x). It belongs to the place where x is: f'(x).")
def slope_at_z(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return p_z(f(x)) * slope(f(x)).abs()


@DENSITY_1D.mistake("This is f(x), and not its slope, as the factor.")
def f_for_slope(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return p_z(f(x)) * f(x).abs()


@DENSITY_1D.mistake("Density and slope are added. It is their logarithms that add; the densities themselves multiply.")
def added(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return p_z(f(x)) + slope(x).abs()


@DENSITY_1D.mistake("This is log p_X(x). In this exercise the density itself was asked for.")
def logarithm(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return (p_z(f(x)) * slope(x).abs()).log()


@DENSITY_1D.mistake("The logarithm of the slope multiplies the density. Either both are logarithms, or none is.")
def log_slope(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return p_z(f(x)) * slope(x).abs().log()


@DENSITY_1D.mistake("Where f falls the density is cut to 0. There is as much of x there as anywhere.")
def cut(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return (p_z(f(x)) * slope(x)).clamp(min=0)


@DENSITY_1D.mistake("This is p_z of a standard normal, whatever p_z was given. It may be any density: ask it.")
def always_normal(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return NORMAL(f(x)) * slope(x).abs()


@DENSITY_1D.mistake("The slope is squared. In one dimension the length of a piece grows by the slope itself.")
def slope_squared(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return p_z(f(x)) * slope(x) ** 2


@DENSITY_1D.mistake("f and p_z have changed places: x is mapped to z first, and p_z is asked there.")
def order_turned(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return f(p_z(x)) * slope(x).abs()


@DENSITY_1D.mistake("The sum, or the mean, over all x was taken. Each x has a density of its own: (B,).")
def averaged(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return _own_density_1d(x, f, slope, p_z).mean()


@DENSITY_1D.mistake("p_z is asked at x, and divided by the slope: both belong to the other direction, from z to x.")
def divided_at_x(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return p_z(x) / slope(x).abs()


@DENSITY_1D.mistake(
    "This is the slope alone. It says how much is stretched; how much is there to be stretched, p_z says."
)
def slope_alone(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return slope(x).abs()


@DENSITY_1D.mistake("√(1 + f′²) is the length of the curve. The piece dx becomes a piece of the z axis, |f′| dx long.")
def arc_length(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return p_z(f(x)) * (1 + slope(x) ** 2).sqrt()


@DENSITY_1D.mistake("The slope multiplies what p_z is asked about. It belongs outside, as a factor of the density.")
def inside_p_z(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return p_z(f(x) * slope(x).abs())


@DENSITY_1D.mistake("exp(f′) is the factor here. Nothing is a logarithm in this exercise: the slope itself.")
def exp_of_slope(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return p_z(f(x)) * slope(x).exp()


@DENSITY_1D.mistake("The root of the slope is the factor. In one dimension it is the slope itself.")
def root_of_slope(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return p_z(f(x)) * slope(x).abs().sqrt()


@DENSITY_1D.mistake("The slope is asked at |x|. It is the slope at x, of which the magnitude is taken.")
def slope_at_magnitude(x: Tensor, f: Function, slope: Function, p_z: Function) -> Tensor:
    return p_z(f(x)) * slope(x.abs())
