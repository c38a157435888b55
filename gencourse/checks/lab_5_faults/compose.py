"""A log-determinant of the wrong sign. Lecture 03 (7)."""

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gencourse.checks.lab_5_faults.given import DOUBLE, SINGLE
from gencourse.checks.lab_5_faults.hunt import Hunt

Layer = Callable[[Tensor], tuple[Tensor, Tensor]]


def _own_test_compose(candidate):
    def bend(a):  # stretches, by an amount that depends on where it is
        return lambda x: (x + a * torch.tanh(x), torch.log(1 + a / torch.cosh(x) ** 2).sum(1))

    def mix(x):  # mixes the coordinates, so that the order of the layers matters
        W = torch.tensor([[1.0, 2.0, 0.5], [0.0, 3.0, 1.0], [0.5, 0.0, 0.7]], dtype=x.dtype)
        return x @ W, W.slogdet().logabsdet.expand(len(x))

    x = torch.randn(4, 3, dtype=torch.float64)
    for layers in ([bend(2.0)], [bend(2.0), mix, bend(1.0)], [bend(-0.5), mix]):
        z, log_det = candidate(x, layers)
        assert log_det.shape == (4,)
        for b in range(4):
            J = torch.autograd.functional.jacobian(lambda row, f=layers: candidate(row[None], f)[0][0], x[b])
            assert abs(float(J.double().slogdet().logabsdet - log_det[b])) < 1e-4
        want = x
        for layer in layers:
            want, _ = layer(want)
        torch.testing.assert_close(z.double(), want, rtol=0, atol=1e-4)


COMPOSE = Hunt(
    "faults.test_compose",
    _own_test_compose,
    returns=["verdict"],
    second="Build layers by hand: one that stretches by an amount that depends on x, one that mixes the coordinates. "
    "Chain them, and let autograd differentiate the whole: log|det| of its Jacobian, example by example.",
    why="Autograd knows nothing of your formula: that is what makes it a witness. And a layer with log_det 0 is none.",
)


@COMPOSE.fault(
    "Is a log_det that grows a stretch or a squeeze? Autograd's Jacobian tells, if the layers' log_det is not 0.",
    "The layers' log_dets are subtracted. Layers with log_det = 0 cannot tell.",
)
def subtracted(x: Tensor, layers: Sequence[Layer]) -> tuple[Tensor, Tensor]:
    total = x.new_zeros(len(x))
    for layer in layers:
        x, log_det = layer(x)
        total = total - log_det
    return x, total


@COMPOSE.fault(
    "With one layer it is right. And with two?",
    "Only the last layer's log_det comes back.",
)
def last_only(x: Tensor, layers: Sequence[Layer]) -> tuple[Tensor, Tensor]:
    log_det = x.new_zeros(len(x))
    for layer in layers:
        x, log_det = layer(x)
    return x, log_det


@COMPOSE.fault(
    "Where is a layer's log_det to be taken, before it or behind it? Layers that stretch alike everywhere cannot tell.",
    "Each layer's log_det is taken at its output.",
)
def at_the_output(x: Tensor, layers: Sequence[Layer]) -> tuple[Tensor, Tensor]:
    total = x.new_zeros(len(x))
    for layer in layers:
        x = layer(x)[0]
        total = total + layer(x)[1]
    return x, total


@COMPOSE.fault(
    "Each example has its own log_det. Do two examples of your batch have different ones?",
    "The log_dets are averaged over the batch.",
)
def averaged(x: Tensor, layers: Sequence[Layer]) -> tuple[Tensor, Tensor]:
    z, total = summed(x, layers)
    return z, total.mean().expand(len(x))


@COMPOSE.fault(
    "Jacobian and log_det may agree with each other, and not with the layers that were given. What should z be?",
    "The layers run in the opposite order.",
)
def from_the_end(x: Tensor, layers: Sequence[Layer]) -> tuple[Tensor, Tensor]:
    return summed(x, list(layers)[::-1])


@COMPOSE.fault(
    "What does the magnitude of log_det hide? Take layers that squeeze.",
    "log_det is never negative.",
)
def never_negative(x: Tensor, layers: Sequence[Layer]) -> tuple[Tensor, Tensor]:
    z, total = summed(x, layers)
    return z, total.abs()


@COMPOSE.blind(
    "Run the layers that you hand over from the last to the first: z is the same. Which layers would mind their order?",
    "from_the_end",
)
def any_order(x: Tensor, layers: Sequence[Layer]) -> bool:
    return torch.allclose(summed(x, layers)[0], from_the_end(x, layers)[0])


@COMPOSE.right("in a loop")
def summed(x: Tensor, layers: Sequence[Layer]) -> tuple[Tensor, Tensor]:
    total = x.new_zeros(len(x))
    for layer in layers:
        x, log_det = layer(x)
        total = total + log_det
    return x, total


@COMPOSE.right("by reduction")
def reduced(x: Tensor, layers: Sequence[Layer]) -> tuple[Tensor, Tensor]:
    def join(state: tuple[Tensor, Tensor], layer: Layer) -> tuple[Tensor, Tensor]:
        z, log_det = layer(state[0])
        return z, state[1] + log_det

    return functools.reduce(join, layers, (x, x.new_zeros(len(x))))


@COMPOSE.right("by recursion")
def by_recursion(x: Tensor, layers: Sequence[Layer]) -> tuple[Tensor, Tensor]:
    if len(layers) == 0:
        return x, x.new_zeros(len(x))
    z, first = layers[0](x)
    z, rest = by_recursion(z, layers[1:])
    return z, first + rest


@COMPOSE.right("with log_det in float32", SINGLE)
def single(x: Tensor, layers: Sequence[Layer]) -> tuple[Tensor, Tensor]:
    z, total = summed(x, layers)
    return z, total.float()


@COMPOSE.right("with log_det in float64", DOUBLE)
def double(x: Tensor, layers: Sequence[Layer]) -> tuple[Tensor, Tensor]:
    z, total = summed(x, layers)
    return z, total.double()
