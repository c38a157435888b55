"""Which steps a short walk visits. Lecture 04, section 11."""

from typing import NoReturn

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer, Wrong
from gencourse.checks.spec import WholeNumbers


def ddim_steps(T: int, n: int) -> Tensor:
    return torch.linspace(T, 0, n + 1).round().long()  # n steps have n + 1 ends


DDIM_STEPS = WholeNumbers(
    "diffusion.ddim_steps",
    ddim_steps,
    returns=["t"],
    plain=True,
    second="For T = 10 and n = 3: 10, 6.67, 3.33, 0, which makes 10, 7, 3, 0. Which function of torch gives n + 1 "
    "evenly spaced numbers, and how are they rounded?",
    why="The network has seen pure noise at T alone, and data only at 0: a walk that misses one of the ends is handed "
    "the wrong noise all the way.",
)


def _spread(T: int, n: int) -> Tensor:
    """Each step by itself, in whole numbers: T(n − i)/n, rounded."""
    return torch.tensor([(2 * T * (n - i) + n) // (2 * n) for i in range(n + 1)], dtype=torch.float64)


def _in_equal_strides(t: Tensor, T: int, n: int) -> bool:
    """All strides but those at the ends are T/n, rounded down or up: however many there are, and whatever the ends."""
    strides = set(t.diff()[1:-1].abs().tolist()) if t.dim() == 1 else set()
    return len(strides) == 1 and strides <= {T // n, -(-T // n)}


def _told(answer: Answer, T: int, n: int) -> None:
    try:
        t = answer(T, n)
        if not t.equal(t.round()):
            where = int((t != t.round()).nonzero()[0])
            hint = DDIM_STEPS.mistakes["not_rounded"].hint
            answer.wrong("not_rounded", hint, expected="whole numbers", got=f"t[{where}] = {float(t[where]):.6g}")
        answer.gives([T, n], _spread(T, n))
    except Wrong as wrong:
        unnamed = wrong.found["mistake"] not in DDIM_STEPS.mistakes and answer.outputs
        if unnamed and _in_equal_strides(answer.outputs[0], T, n):
            wrong.found |= {"mistake": "stride_whole", "hint": DDIM_STEPS.mistakes["stride_whole"].hint}
        raise


@DDIM_STEPS.check(
    "n steps from T to 0, evenly spread, both ends among them",
    "n steps have n + 1 ends. Spread them evenly from T to 0, and round.",
)
def _(answer: Answer, g: Generator) -> None:
    n = (7, 13, 15)[int(torch.randint(0, 3, (1,), generator=g))]  # none divides 199, and nothing lies half-way
    _told(answer, 199, n)
    _told(answer, 1000, n)


@DDIM_STEPS.check("where n divides T, all strides are equal", "From T, in strides of T/n, down to 0.")
def _(answer: Answer, g: Generator) -> None:
    for T, n in ((1000, 50), (200, 25), (10, 10), (7, 1)):
        answer.gives([T, n], torch.tensor([float(T - i * (T // n)) for i in range(n + 1)], dtype=torch.float64))


def _line(start: float, end: float, count: int) -> Tensor:
    return torch.linspace(start, end, count, dtype=torch.float64).round()


@DDIM_STEPS.mistake("It starts at T − 1. The first point is pure noise, x_T, and T is the step that it belongs to.")
def from_T_minus_1(T: int, n: int) -> Tensor:  # noqa: N802
    return _line(T - 1, 0, n + 1)


@DDIM_STEPS.mistake("It ends at 1. The last step has to arrive at the data, and the data is t = 0.")
def ends_at_1(T: int, n: int) -> Tensor:
    return _line(T, 1, n + 1)


@DDIM_STEPS.mistake("0 is missing, so the walk stops short of the data. n steps have n + 1 ends.")
def no_0(T: int, n: int) -> Tensor:
    return _line(T, 0, n + 1)[:-1]


@DDIM_STEPS.mistake("T is missing, and the walk starts there. n steps have n + 1 ends.")
def no_T(T: int, n: int) -> Tensor:  # noqa: N802
    return _line(T, 0, n + 1)[1:]


@DDIM_STEPS.mistake("These are n points, with n − 1 steps between them.")
def n_points(T: int, n: int) -> Tensor:
    return _line(T, 0, n)


@DDIM_STEPS.mistake("It goes up from 0 to T. A walk back starts at T.")
def upwards(T: int, n: int) -> Tensor:
    return _line(0, T, n + 1)


@DDIM_STEPS.mistake("The numbers are cut, not rounded.")
def cut(T: int, n: int) -> Tensor:
    return torch.linspace(T, 0, n + 1, dtype=torch.float64).floor()


@DDIM_STEPS.mistake("These are no whole numbers, and a table has no entry 142.86. Round them.")
def not_rounded(T: int, n: int) -> Tensor:
    return torch.linspace(T, 0, n + 1, dtype=torch.float64)


@DDIM_STEPS.mistake(
    "All strides are one whole number, T/n rounded down or up, and so the walk misses an end or its number of steps. "
    "Round where each step lands, not the stride. (T // n rounds down, and -T // n away from 0.)"
)
def stride_whole(T: int, n: int) -> NoReturn:
    raise NotImplementedError("recognised by its strides")


@DDIM_STEPS.mistake("Equal strides of T // n miss 0 where n does not divide T. Round each step by itself.")
def strides_from_T(T: int, n: int) -> Tensor:  # noqa: N802
    return T - torch.arange(n + 1).double() * (T // n)


@DDIM_STEPS.mistake("The strides are rounded, and what that changes adds up. Round each step by itself.")
def strides_rounded(T: int, n: int) -> Tensor:
    return torch.tensor([T - i * round(T / n) for i in range(n)] + [0], dtype=torch.float64)


@DDIM_STEPS.mistake("Multiples of T // n, counted from 0: the first of them is not T, and pure noise is never visited.")
def strides_from_0(T: int, n: int) -> Tensor:
    return (torch.arange(n).double() * (T // n)).flip(0)


@DDIM_STEPS.mistake("Multiples of T // n, counted from 0: T is none of them, and pure noise belongs to T.")
def multiples_below_T(T: int, n: int) -> Tensor:  # noqa: N802
    return torch.arange(0, T, T // n).double().flip(0)


@DDIM_STEPS.mistake("The steps lie closer near 0: the quadratic spacing, a good one, but here they are to be even.")
def quadratic(T: int, n: int) -> Tensor:
    return (T * torch.linspace(1, 0, n + 1, dtype=torch.float64) ** 2).round()


@DDIM_STEPS.mistake("The numbers are rounded up. Each is to be the nearest whole number.")
def rounded_up(T: int, n: int) -> Tensor:
    return torch.linspace(T, 0, n + 1, dtype=torch.float64).ceil()


@DDIM_STEPS.mistake("These are n + 1 neighbours, the first steps from T on: the walk ends long before the data.")
def neighbours(T: int, n: int) -> Tensor:
    return torch.arange(T, T - n - 1, -1).double()


@DDIM_STEPS.mistake(
    "These are the last n steps before the data, and pure noise is not among them. Spread them over all of T."
)
def last_steps(T: int, n: int) -> Tensor:
    return torch.arange(n, -1, -1).double()


@DDIM_STEPS.mistake("It starts at T + 1. The table has T + 1 entries, and the last of them is T.")
def from_T_plus_1(T: int, n: int) -> Tensor:  # noqa: N802
    return _line(T + 1, 0, n + 1)


@DDIM_STEPS.mistake("From T to 1 in even strides, and then 0 as well: the last stride is shorter than the others.")
def zero_added(T: int, n: int) -> Tensor:
    return torch.cat([_line(T, 1, n), torch.zeros(1)])


@DDIM_STEPS.mistake("They are spread evenly in the logarithm. That gathers them at 0; here they are to be even.")
def logarithmic(T: int, n: int) -> Tensor:
    return ((T + 1) ** torch.linspace(1, 0, n + 1, dtype=torch.float64) - 1).round()
