"""Layers one after the other. Lecture 03 (7)."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_2_flows.given import (
    FLOAT32_TOL,
    Bent,
    Linear,
    Map,
    Named,
    log_volume,
    normal,
    passes_gradients,
    random_flow,
    stack,
    through,
)
from gencourse.checks.spec import Exercise
from genlib import flows

Pair = tuple[Tensor, Tensor]


def compose(x: Tensor, layers: Sequence[Map]) -> Pair:
    log_det = x.new_zeros(len(x))
    for layer in layers:
        x, more = layer(x)  # one call gives both, at the point that this layer gets
        log_det = log_det + more
    return x, log_det


COMPOSE = Exercise(
    "flows.compose",
    compose,
    returns=["z", "log_det"],
    batched=["x"],
    second="Keep two things while you go through the layers: where x has come to, and the log-determinants so far. "
    "Every layer changes both, and is called once, with what the one before it made.",
    why="A layer that knows its own log_det can be stacked with any others: each further one costs one sum more.",
)


def _layers(g: Generator, n: int = 0) -> tuple[Map, ...]:
    """Couplings of three coordinates, each keeping one that the one before it changed, and between them bent layers."""
    n = n or int(torch.randint(4, 8, (), generator=g))
    couplings = stack([torch.arange(3) == k % 3 for k in range(n)], g)
    return tuple(Bent(f"layer {k}", 3, g) if k % 2 == 0 else layer for k, layer in enumerate(couplings))


@COMPOSE.check(
    "x goes through the layers in their order, and each gets what the one before it made",
    "The first layer gets x, the second what the first one gave, and so on.",
)
def _(answer: Answer, g: Generator) -> None:
    x, layers = normal((5, 3), g), _layers(g)
    z, _ = answer(x, layers)
    answer.agrees("z", through(layers, x), z)


@COMPOSE.check(
    "log_det is log |det| of the whole map's Jacobian, as autograd finds it",
    "The chain rule multiplies Jacobians, each at the point that its layer gets. And their determinants' logarithms?",
)
def _(answer: Answer, g: Generator) -> None:
    x, layers = normal((5, 3), g), _layers(g)
    answer.gives([x, layers], through(layers, x), log_volume(lambda v: through(layers, v), x))


@COMPOSE.check("one layer will do, and so will seven", "How many layers there are, only `layers` knows.")
def _(answer: Answer, g: Generator) -> None:
    for n in (1, 7):
        x, layers = normal((4, 3), g), _layers(g, n)
        answer.gives([x, layers], through(layers, x), log_volume(lambda v: through(layers, v), x), tol=1e-7)  # noqa: B023


@COMPOSE.check(
    "a layer's log_det may be one number that all examples share, as `affine`'s is",
    "What a layer returns is the layer's, and += writes into it. How do two tensors make a new one?",
)
def _(answer: Answer, g: Generator) -> None:
    x, layers = normal((4, 3), g), (Named("a random linear map", Linear(3, g)), *_layers(g, 2))
    answer.gives([x, layers], through(layers, x), log_volume(lambda v: through(layers, v), x))


@COMPOSE.check("gradients pass", "Stay in torch, and detach nothing.")
def _(answer: Answer, g: Generator) -> None:
    answer(normal((4, 3), g).requires_grad_(), _layers(g))
    passes_gradients(answer, "the layers")
    answer.passes_back("x")


@COMPOSE.check("it takes pictures and float32, too", "What x looks like is the layers' business.")
def _(answer: Answer, g: Generator) -> None:
    boards = [flows.masks.checkerboard((1, 2, 3), swap=swap) for swap in (False, True)]
    x, layers = normal((3, 1, 2, 3), g), (*stack(boards, g), Bent("layer 2", 6, g))
    log_det = log_volume(lambda v: through(layers, v), x)
    answer.gives([x.float(), layers], through(layers, x), log_det, tol=FLOAT32_TOL)


@COMPOSE.check("it agrees with genlib", "Compare with flows.RealNVP.for_vectors(4), and its layers.")
def _(answer: Answer, g: Generator) -> None:
    flow = random_flow(4, g)
    x = normal((5, 4), g)
    answer.gives([x, tuple(Named(f"layer {k}", layer) for k, layer in enumerate(flow.layers))], *flow(x))


def _steps(x: Tensor, layers: Sequence[Map]) -> list[Pair]:
    steps = []
    for layer in layers:
        x, log_det = layer(x)
        steps.append((x, log_det))
    return steps


def _log_dets(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return torch.stack([log_det for _, log_det in _steps(x, layers)])


@COMPOSE.mistake("The layers come in the opposite order. Forward, x meets layers[0] first.")
def order_turned(x: Tensor, layers: Sequence[Map]) -> Pair:
    return compose(x, layers[::-1])


@COMPOSE.mistake("Each log_det is taken at x. The chain rule takes it at the point that the layer gets.")
def log_dets_at_x(x: Tensor, layers: Sequence[Map]) -> Pair:
    return through(layers, x), torch.stack([layer(x)[1] for layer in layers]).sum(0)


@COMPOSE.mistake(
    "Each log_det is taken at what its layer gives. J_n belongs to the point that the layer gets.",
    "Is a layer called twice, and what is x the second time? One call gives both, z and log_det.",
)
def log_dets_at_z(x: Tensor, layers: Sequence[Map]) -> Pair:
    outputs = [z for z, _ in _steps(x, layers)]
    return outputs[-1], torch.stack([layer(z)[1] for layer, z in zip(layers, outputs, strict=True)]).sum(0)


@COMPOSE.mistake("Only the last layer's log_det is left: was the same name given to each?")
def last_only(x: Tensor, layers: Sequence[Map]) -> Pair:
    return through(layers, x), _log_dets(x, layers)[-1]


@COMPOSE.mistake("The log-determinants are multiplied. Determinants multiply; and their logarithms?")
def multiplied(x: Tensor, layers: Sequence[Map]) -> Pair:
    return through(layers, x), _log_dets(x, layers).prod(0)


@COMPOSE.mistake("The determinants are added up before the logarithm. It is their product whose logarithm we want.")
def added_before_log(x: Tensor, layers: Sequence[Map]) -> Pair:
    return through(layers, x), _log_dets(x, layers).logsumexp(0)


@COMPOSE.mistake("The average over the layers. Each of them stretches: add them up.")
def averaged(x: Tensor, layers: Sequence[Map]) -> Pair:
    return through(layers, x), _log_dets(x, layers).mean(0)


@COMPOSE.mistake("The log-determinants are subtracted: every layer that stretches adds to log_det.")
def subtracted(x: Tensor, layers: Sequence[Map]) -> Pair:
    return through(layers, x), -_log_dets(x, layers).sum(0)


@COMPOSE.mistake("Three layers have their turn, whatever is given. How many there are, only `layers` knows.")
def three_only(x: Tensor, layers: Sequence[Map]) -> Pair:
    return compose(x, layers[:3])


@COMPOSE.mistake("The first layer moves x, but its log_det is left out. Every layer's counts.")
def first_log_det_left_out(x: Tensor, layers: Sequence[Map]) -> Pair:
    return through(layers, x), _log_dets(x, layers)[1:].sum(0)


@COMPOSE.mistake("The last layer moves x, but its log_det is left out. Every layer's counts.")
def last_log_det_left_out(x: Tensor, layers: Sequence[Map]) -> Pair:
    return through(layers, x), _log_dets(x, layers)[:-1].sum(0)


@COMPOSE.mistake("The last layer is left out.")
def without_the_last(x: Tensor, layers: Sequence[Map]) -> Pair:
    return compose(x, layers[:-1])


@COMPOSE.mistake("The first layer is left out.")
def without_the_first(x: Tensor, layers: Sequence[Map]) -> Pair:
    return compose(x, layers[1:])


@COMPOSE.mistake("log_det is summed over the batch as well as over the layers. Which of the two axes is to stay?")
def summed_over_the_batch(x: Tensor, layers: Sequence[Map]) -> Pair:
    return through(layers, x), _log_dets(x, layers).sum()


@COMPOSE.mistake("One log_det for each layer. What they make together was asked for: (B,).")
def one_for_each_layer(x: Tensor, layers: Sequence[Map]) -> Pair:
    return through(layers, x), _log_dets(x, layers)


@COMPOSE.mistake("z is what the last layer makes of x itself. It should get what the layer before it made.")
def not_chained(x: Tensor, layers: Sequence[Map]) -> Pair:
    return layers[-1](x)[0], torch.stack([layer(x)[1] for layer in layers]).sum(0)


@COMPOSE.mistake("z is x as it came. What the layers make of it has another name here, or is not handed on.")
def x_itself(x: Tensor, layers: Sequence[Map]) -> Pair:
    return x, torch.stack([layer(x)[1] for layer in layers]).sum(0)


@COMPOSE.mistake("Only the first log_det is counted. Each layer brings its own.")
def first_log_det(x: Tensor, layers: Sequence[Map]) -> Pair:
    return through(layers, x), _log_dets(x, layers)[0]


@COMPOSE.mistake("Only the first layer has its turn. What ends the loop after it?")
def first_only(x: Tensor, layers: Sequence[Map]) -> Pair:
    return layers[0](x)


@COMPOSE.mistake("The determinants are added up, without a logarithm. log_det is a sum of logarithms.")
def determinants_added(x: Tensor, layers: Sequence[Map]) -> Pair:
    return through(layers, x), _log_dets(x, layers).exp().sum(0)


@COMPOSE.mistake("Only the first layer moves x; all others get what the first one made.")
def stuck_after_the_first(x: Tensor, layers: Sequence[Map]) -> Pair:
    z, log_det = layers[0](x)
    return z, log_det + sum((layer(z)[1] for layer in layers[1:]), x.new_zeros(len(x)))


@COMPOSE.mistake("The first layer has two turns: once before the loop, and once in it.")
def first_twice(x: Tensor, layers: Sequence[Map]) -> Pair:
    return compose(x, [layers[0], *layers])


@COMPOSE.mistake("What a layer gives is added to x. It takes the place of x.")
def residual(x: Tensor, layers: Sequence[Map]) -> Pair:
    log_det = x.new_zeros(len(x))
    for layer in layers:
        z, more = layer(x)
        x, log_det = x + z, log_det + more
    return x, log_det


@COMPOSE.mistake("The largest log-determinant alone. Each layer stretches: add them up.")
def largest(x: Tensor, layers: Sequence[Map]) -> Pair:
    return through(layers, x), _log_dets(x, layers).amax(0)


@COMPOSE.mistake("Every second layer is left out.")
def every_second(x: Tensor, layers: Sequence[Map]) -> Pair:
    return compose(x, layers[::2])


@COMPOSE.mistake("This is the determinant, a product; its logarithm was asked for.")
def product_of_determinants(x: Tensor, layers: Sequence[Map]) -> Pair:
    z, log_det = compose(x, layers)
    return z, log_det.exp()


@COMPOSE.mistake("log_det stays 0. Who adds to it?")
def no_log_det(x: Tensor, layers: Sequence[Map]) -> Pair:
    return through(layers, x), x.new_zeros(len(x))


@COMPOSE.mistake("Each log_det is counted twice.")
def twice(x: Tensor, layers: Sequence[Map]) -> Pair:
    z, log_det = compose(x, layers)
    return z, 2 * log_det
