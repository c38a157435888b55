# pyright: reportCallIssue=false, reportArgumentType=false
"""Which output depends on which input, after one layer, two, three, ... Erratum 11."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_2_flows.compose import compose
from gencourse.checks.lab_2_flows.given import Linear, Map, Named, normal, stack, through
from gencourse.checks.spec import Exercise
from genlib import flows


def dependence(x: Tensor, layers: Sequence[Map]) -> Tensor:
    tables = []
    for n in range(1, len(layers) + 1):
        jacobian = torch.autograd.functional.jacobian(lambda x, n=n: compose(x, layers[:n])[0], x)
        tables.append((jacobian[0, :, 0] != 0).to(x.dtype))  # of all n layers together: two may undo each other
    return torch.stack(tables)


DEPENDENCE = Exercise(
    "flows.dependence",
    dependence,
    returns=["depends"],
    second="For each n make one function of x alone, which goes through the first n layers and returns z alone. Its "
    "Jacobian at x has the shape (1, D, 1, D): take the D × D numbers out, and ask of each whether it is 0.",
    why="An output that does not depend on an input cannot model how the two belong together: depth is what a flow of "
    "couplings pays for its cheap determinant.",
)


def _by_moving(x: Tensor, layers: Sequence[Map]) -> Tensor:
    """Move one input: which outputs move?"""
    D = x.shape[1]
    table = torch.zeros(len(layers), D, D, dtype=torch.float64)
    for n in range(len(layers)):
        before = through(layers[: n + 1], x)[0]
        for j in range(D):
            moved = x.clone()
            moved[0, j] += 0.5
            table[n, :, j] = (through(layers[: n + 1], moved)[0] != before).double()
    return table


@DEPENDENCE.check(
    "after one coupling: what is changed depends on itself, and on all that is kept",
    "Entry [0, i, j] is 1 if output i of the first layer has a derivative with respect to input j that is not 0.",
)
def _(answer: Answer, g: Generator) -> None:
    x, layers = normal((1, 8), g), stack([flows.masks.random(8, generator=g)], g)
    answer.gives([x, layers], _by_moving(x, layers))


@DEPENDENCE.check(
    "after n layers: move an input, and see which outputs move",
    "Entry [n, i, j] is about the first n + 1 layers, one after the other, as a single map.",
)
def _(answer: Answer, g: Generator) -> None:
    for masks in (
        [flows.masks.halves(4, swap=k % 2 == 1) for k in range(4)],
        [torch.tensor([True, False, False, False, False]), torch.tensor([False, True, False, False, False])],
        [flows.masks.random(5, generator=g) for _ in range(3)],
    ):
        x, layers = normal((1, len(masks[0])), g), stack(masks, g)
        answer.gives([x, layers], _by_moving(x, layers))


@DEPENDENCE.check(
    "two layers can undo each other, and negative derivatives count",
    "A derivative below 0 is a dependence as well; and what one layer mixes, the next may unmix.",
)
def _(answer: Answer, g: Generator) -> None:
    A = normal((3, 3), g).tril()
    A[range(3), range(3)] = -1 - A.diagonal().abs()
    shear = Linear(3, g)
    shear.A, shear.b = A, torch.zeros(3, dtype=torch.float64)
    x = normal((1, 3), g)
    turned = Named("coordinates in the opposite order", lambda x: (x.flip(1), x.new_zeros(len(x))))
    expected = torch.ones(3, 3, dtype=torch.float64).tril()
    answer.gives([x, (shear, turned, turned)], torch.stack([expected, expected.flip(0), expected]))


@DEPENDENCE.check(
    "what the first layer adds the second may take away again, and each layer is asked where x has come to",
    "Tables of zeros and ones cannot be multiplied: 1 − 1 is 0. Differentiate all layers together, and through them.",
)
def _(answer: Answer, g: Generator) -> None:
    def added(x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.stack([x[:, 0], x[:, 1] + x[:, 0]], 1), x.new_zeros(len(x))

    def taken_away(x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.stack([x[:, 0], x[:, 1] - x[:, 0]], 1), x.new_zeros(len(x))

    def left(x: Tensor) -> tuple[Tensor, Tensor]:
        return x - 9, x.new_zeros(len(x))

    def on_the_right(x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.stack([x[:, 0], x[:, 1] + x[:, 0].relu()], 1), x.new_zeros(len(x))

    x = torch.tensor([[0.5 + float(torch.rand(1, generator=g)), 0.0]], dtype=torch.float64)
    eye, lower = torch.eye(2, dtype=torch.float64), torch.ones(2, 2, dtype=torch.float64).tril()
    shears = Named("x_1 is added to x_2", added), Named("x_1 is taken from x_2", taken_away)
    turned = Named("coordinates in the opposite order", lambda x: (x.flip(1), x.new_zeros(len(x))))
    answer.gives([x, (*shears, turned)], torch.stack([lower, eye, eye.flip(0)]))
    right = Named("x_1 is added to x_2 where it is above 0", on_the_right)
    answer.gives([x, (Named("9 to the left", left), right)], torch.stack([eye, eye]))
    far = torch.tensor([[20 + float(torch.rand(1, generator=g)), 0.0]], dtype=torch.float64)
    answer.gives([far, (Named("9 to the left", left), right, right)], torch.stack([eye, lower, lower]))

    def a_little(x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.stack([x[:, 0], x[:, 1] + 1e-4 * x[:, 0]], 1), x.new_zeros(len(x))

    some = Named("a little of x_1 is added to x_2", a_little), turned
    answer.gives([x, some], torch.stack([lower, lower.flip(0)]))


@DEPENDENCE.check(
    "halves that take turns fill the table with the third layer, in float32 too",
    "After two layers, zeros are left between the coordinates that were changed first.",
)
def _(answer: Answer, g: Generator) -> None:
    x = normal((1, 6), g).float()
    layers = stack([flows.masks.halves(6, swap=k % 2 == 1) for k in range(3)], g)
    half = torch.ones(3, 3, dtype=torch.float64)
    eye, none = torch.eye(3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64)
    blocks = [[[eye, none], [half, eye]], [[half, half], [half, eye]], [[half, half], [half, half]]]
    answer.gives([x, layers], torch.stack([torch.cat([torch.cat(row, 1) for row in block]) for block in blocks]))
    answer.keeps_dtype("x")
