# pyright: reportCallIssue=false, reportArgumentType=false
"""Which output depends on which input, after one layer, two, three, ... Erratum 11."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_2_flows.compose import compose
from gencourse.checks.lab_2_flows.given import Linear, Map, Named, jacobian, normal, stack, through
from gencourse.checks.spec import Exercise
from genlib import flows


def _own_dependence(x: Tensor, layers: Sequence[Map]) -> Tensor:
    tables = []
    for n in range(1, len(layers) + 1):
        jacobian = torch.autograd.functional.jacobian(lambda x, n=n: compose(x, layers[:n])[0], x)
        tables.append((jacobian[0, :, 0] != 0).to(x.dtype))  # of all n layers together: two may undo each other
    return torch.stack(tables)


def _jacobians(x: Tensor, layers: Sequence[Map]) -> Tensor:
    """That of the first layer, of the first two, ...: (N, D, D)."""
    firsts = [layers[: n + 1] for n in range(len(layers))]
    return torch.stack([jacobian(lambda v: through(first, v), x)[0] for first in firsts])  # noqa: B023


DEPENDENCE = Exercise(
    "flows.dependence",
    _own_dependence,
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


@DEPENDENCE.mistake("These are the last n + 1 layers. Entry n is about the first n + 1.")
def last_layers(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return torch.cat([_own_dependence(x, layers[-n:])[-1:] for n in range(1, len(layers) + 1)])


@DEPENDENCE.mistake("Rows and columns have changed places: [n, i, j] is about output i and input j.")
def transposed(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _own_dependence(x, layers).mT


@DEPENDENCE.mistake("Each layer is looked at by itself. Entry n is about the first n + 1 layers, one after the other.")
def each_alone(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return torch.cat([_own_dependence(through(layers[:n], x), layers[n : n + 1]) for n in range(len(layers))])


@DEPENDENCE.mistake(
    "The layers' tables of zeros and ones are multiplied. Whether two ways cancel, 1 − 1, only the derivatives know."
)
def tables_multiplied(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _products(each_alone(x, layers))


@DEPENDENCE.mistake("All layers are asked at x. The second one gets what the first one made of it, and so on.")
def all_at_x(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _products(torch.cat([_jacobians(x, [layer]) for layer in layers]))


def _products(each: Tensor) -> Tensor:
    """Where the product of the first one, the first two, ... is not 0."""
    products = [each[0]]
    for one in each[1:]:
        products.append(one @ products[-1])
    return (torch.stack(products) != 0).to(each)


@DEPENDENCE.mistake("These are unions: what any layer alone mixes. Through two layers an input can go two steps far.")
def unions(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return each_alone(x, layers).cumsum(0).clamp(max=1)


@DEPENDENCE.mistake("These are the derivatives. Only whether each is 0 was asked for: 0. or 1.")
def derivatives(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _jacobians(x, layers)


@DEPENDENCE.mistake("Only derivatives above 0 count here. Below 0 an output depends on its input just as well.")
def only_positive(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return (_jacobians(x, layers) > 0).to(x)


@DEPENDENCE.mistake("0 and 1 have changed places: 1 says that the output depends on the input.")
def turned_round(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return 1 - _own_dependence(x, layers)


@DEPENDENCE.mistake("The layers come in the opposite order.")
def order_turned(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _own_dependence(x, layers[::-1])


@DEPENDENCE.mistake(
    "It starts before the first layer, and misses the last. Entry 0 is about one layer, not about none."
)
def one_early(x: Tensor, layers: Sequence[Map]) -> Tensor:
    eye = torch.eye(x.shape[1], dtype=x.dtype)[None]
    return torch.cat([eye, _own_dependence(x, layers)[:-1]])


@DEPENDENCE.mistake("The table of all layers together only. Each number of layers was asked for: (N, D, D).")
def all_layers_only(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _own_dependence(x, layers)[-1]


@DEPENDENCE.mistake(
    "All outputs were added up before the derivative was taken, so only the inputs are left. Ask for each output."
)
def outputs_added(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return (_jacobians(x, layers).sum(1) != 0).to(x)


@DEPENDENCE.mistake("The diagonal is 0: that each output depends on its own input counts, too.")
def without_the_diagonal(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _own_dependence(x, layers) * (1 - torch.eye(x.shape[1], dtype=x.dtype))


@DEPENDENCE.mistake("These are the derivatives' signs. A negative one is a dependence as well: 1.")
def signs(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _jacobians(x, layers).sign()


@DEPENDENCE.mistake("This says which outputs differ from the input. Which output depends on which input was asked for.")
def changed(x: Tensor, layers: Sequence[Map]) -> Tensor:
    D = x.shape[1]
    return torch.stack([(through(layers[: n + 1], x) != x).to(x).T.expand(D, D) for n in range(len(layers))])


@DEPENDENCE.mistake("Every entry n is about all layers together. Entry n is about the first n + 1 of them.")
def all_layers_each(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _own_dependence(x, layers)[-1:].expand(len(layers), -1, -1)


@DEPENDENCE.mistake("All is 1, as if every output depended on every input from the first layer on.")
def ones(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return torch.ones_like(_own_dependence(x, layers))


@DEPENDENCE.mistake("These are the sizes of the derivatives. Only whether each is 0 was asked for: 0. or 1.")
def sizes(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _jacobians(x, layers).abs()


@DEPENDENCE.mistake(
    "Once dependent, always dependent: but what one layer mixes the next may unmix. Ask each n by itself."
)
def ever(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _own_dependence(x, layers).cumsum(0).clamp(max=1)


@DEPENDENCE.mistake("Small derivatives are taken for 0, by a threshold or by rounding. Only 0 itself is no dependence.")
def rounded(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return (_jacobians(x, layers).abs() > 0.1).to(x)


@DEPENDENCE.mistake("These are counts or sums. Each entry is 0. or 1.")
def counts(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _own_dependence(x, layers).cumsum(0)
