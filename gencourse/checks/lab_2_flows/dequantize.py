"""From whole numbers to an interval without gaps. Lecture 03 (9)."""

import math

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_2_flows.given import FLOAT32_TOL
from gencourse.checks.spec import Exercise
from genlib import flows


def _own_dequantize(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return (x_int + u) / levels


DEQUANTIZE = Exercise("flows.dequantize", _own_dequantize, returns=["x"], batched=["x_int", "u"])


def _numbers(levels: int, g: Generator) -> tuple[Tensor, Tensor]:
    """Two pictures of which the first pixels are 0 and levels − 1, and noise."""
    x_int = torch.randint(levels, (4, 1, 3, 4), generator=g)
    x_int[:, :, 0, 0], x_int[:, :, 0, 1] = 0, levels - 1
    return x_int, torch.rand(x_int.shape, generator=g, dtype=torch.float64)


@DEQUANTIZE.check(
    "the levels' pieces fill [0, 1], without gap or overlap",
    "Level k has the piece from k/levels to (k + 1)/levels: without noise x is at its start, with u → 1 at its end.",
)
def _(answer: Answer, g: Generator) -> None:
    levels = 5 * int(torch.randint(1, 7, (1,), generator=g))  # neither 17 nor next to it
    k = torch.arange(levels)[:, None]
    edges = torch.linspace(0, 1, levels + 1, dtype=torch.float64)[:, None]
    u = torch.rand(levels, 1, generator=g, dtype=torch.float64)
    answer.gives([k, u, levels], (1 - u) * edges[:-1] + u * edges[1:])
    answer.gives([k, 0 * u, levels], edges[:-1])


@DEQUANTIZE.check(
    "floor(levels · x) is the picture again, and what is left over is the noise",
    "Whatever u is, no pixel may end in another level's piece.",
)
def _(answer: Answer, g: Generator) -> None:
    for levels in (17, 256, 2):
        x_int, u = _numbers(levels, g)
        u[:, :, 0, 0], u[:, :, 0, 1] = 1e-9, 1 - 1e-9  # next to 0, and next to 1
        x = answer(x_int, u, levels)
        answer.agrees("floor(levels · x)", x_int.double(), (levels * x).floor())
        answer.agrees("levels · x − x_int", u, levels * x - x_int)
    dark, u = torch.randint(3, (4, 2), generator=g), torch.rand(4, 2, generator=g, dtype=torch.float64)
    answer.agrees("levels · x − x_int of dark pictures", u, 17 * answer(dark, u, 17) - dark)


@DEQUANTIZE.check("it takes float32 too", "x has the precision of the noise.")
def _(answer: Answer, g: Generator) -> None:
    x_int, u = _numbers(17, g)
    expected = [(k + v) / 17 for k, v in zip(x_int.flatten().tolist(), u.flatten().tolist(), strict=True)]
    shaped = torch.tensor(expected, dtype=torch.float64).reshape(x_int.shape)
    answer.gives([x_int, u.float(), 17], shaped, tol=FLOAT32_TOL)
    answer.keeps_dtype("u")


@DEQUANTIZE.check("it agrees with genlib", "Compare with flows.dequantize.")
def _(answer: Answer, g: Generator) -> None:
    x_int, _ = _numbers(17, g)
    seed = int(torch.randint(1000, (1,), generator=g))
    u = torch.rand(x_int.shape, generator=Generator().manual_seed(seed), dtype=torch.float64)
    genlibs = flows.dequantize(x_int, 17, Generator().manual_seed(seed), dtype=torch.float64)
    answer.gives([x_int, u, 17], genlibs)


@DEQUANTIZE.mistake(
    "Divided by levels − 1: then the top level's piece lies above 1. There are as many pieces as there are levels."
)
def levels_less_one(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return (x_int + u) / (levels - 1)


@DEQUANTIZE.mistake(
    "torch divides whole numbers in float32: x_int / levels has lost digits before u, more precise, comes in."
)
def whole_by_whole(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return x_int / levels + u / levels


@DEQUANTIZE.mistake("The noise is turned round: as a draw 1 − u is as good, but it is not what u says.")
def turned_noise(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return (x_int + (1 - u)) / levels


@DEQUANTIZE.mistake(
    "The noise is divided by levels twice, so that gaps are left. It fills the whole step of 1 before that."
)
def noise_divided_twice(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return (x_int + u / levels) / levels


@DEQUANTIZE.mistake(
    "The smallest number becomes 0 and the largest 1, whatever they are: a picture means something else beside others. "
    "How many levels there are says how to divide."
)
def by_its_extremes(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    x = x_int + u
    return (x - x.min()) / (x.max() - x.min())


@DEQUANTIZE.mistake("No noise comes in: all the mass is on a few points, and there a density can grow for ever.")
def no_noise(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return x_int.to(u) / levels


@DEQUANTIZE.mistake(
    "No noise, and levels − 1: this scales the levels to 0 … 1, and leaves them what they were, points."
)
def scaled_only(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return x_int.to(u) / (levels - 1)


@DEQUANTIZE.mistake("The noise is as large as the whole range. It has to be as wide as one level: scale both together.")
def noise_not_scaled(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return x_int.to(u) / levels + u


@DEQUANTIZE.mistake("The picture is scaled by levels − 1, the noise by levels: the pieces have gaps between them.")
def two_scales(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return x_int.to(u) / (levels - 1) + u / levels


@DEQUANTIZE.mistake("The noise is centred, u − ½: half of level 0's piece lies below 0.")
def centred(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return (x_int + u - 0.5) / levels


@DEQUANTIZE.mistake("The noise is subtracted: level k ends in the piece of level k − 1.")
def subtracted(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return (x_int - u) / levels


@DEQUANTIZE.mistake("The levels are wide enough, but x runs from 0 to levels. It is to lie in [0, 1].")
def not_scaled(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return x_int + u


@DEQUANTIZE.mistake("x runs from −1 to 1. That suits diffusion models; here it is to lie in [0, 1].")
def from_minus_1(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return 2 * (x_int + u) / levels - 1


@DEQUANTIZE.mistake("The noise is cut off again: a division without remainder, or a rounding, comes after it.")
def rounded(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return torch.floor((x_int + u) / levels)


@DEQUANTIZE.mistake("The noise became Gaussian on the way. Uniform noise fills its piece evenly, up to the edges.")
def gaussian(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return (x_int + math.sqrt(2) * torch.erfinv(2 * u - 1)) / levels


@DEQUANTIZE.mistake("Divided by levels + 1: the top level's piece ends below 1. How many pieces share [0, 1]?")
def levels_plus_one(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return (x_int + u) / (levels + 1)


@DEQUANTIZE.mistake("The number of levels is read off the picture. Its brightest pixel need not have the top level.")
def levels_of_the_picture(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return (x_int + u) / (x_int.max() + 1)


@DEQUANTIZE.mistake("Only the noise is scaled: the picture still runs from 0 to levels − 1.")
def picture_not_scaled(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return x_int + u / levels


@DEQUANTIZE.mistake(
    "Picture and noise are multiplied: level 0 stays a point. Every level gets a piece of the same length."
)
def noise_multiplied(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return x_int * u / levels


@DEQUANTIZE.mistake("Multiplied by levels. It is to shrink: levels pieces share an interval of length 1.")
def levels_multiplied(x_int: Tensor, u: Tensor, levels: int) -> Tensor:
    return (x_int + u) * levels
