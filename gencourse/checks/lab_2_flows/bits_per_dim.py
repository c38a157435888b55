"""From nats of a density to bits for each pixel. Lecture 03 (10)."""

import math

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_2_flows.given import CONSTANT_TOL, FLOAT32_TOL, normal, passes_gradients, random_flow
from gencourse.checks.spec import Exercise
from genlib import flows


def _own_bits_per_dim(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels) - log_p / dims) / math.log(2)


BITS = Exercise("flows.bits_per_dim", _own_bits_per_dim, returns=["bits"], batched=["log_p"])


@BITS.check(
    "where the density is flat on every level's piece, the bits are those of the discrete code",
    "P(x_int) is p(x) times the volume of its box, levels^(−D). And bits are −log₂ P, for each of D pixels.",
)
def _(answer: Answer, g: Generator) -> None:
    B, dims, levels = 5, 6, 17
    P = torch.softmax(normal((dims, levels), g), dim=1)  # each pixel has probabilities of its own
    x_int = torch.randint(levels, (B, dims), generator=g)
    each = torch.stack([P[d, x_int[:, d]] for d in range(dims)], dim=1)
    log_p = torch.log(levels * each).sum(1)  # a probability, over a width of 1/levels
    answer.gives([log_p, dims, levels], -torch.log2(each).sum(1) / dims, tol=CONSTANT_TOL)


@BITS.check(
    "whoever knows nothing pays log₂ levels for each pixel",
    "A density of 1 on all of [0, 1]^D gives every picture the same probability, levels^(−D). How many bits is that?",
)
def _(answer: Answer, g: Generator) -> None:
    for dims, levels, bits in ((3, 4, 2.0), (5, 8, 3.0), (64, 256, 8.0)):
        log_p = torch.zeros(4, dtype=torch.float64)
        answer.gives([log_p, dims, levels], torch.full_like(log_p, bits), tol=CONSTANT_TOL)


@BITS.check("gradients pass", "Stay in torch, and detach nothing.")
def _(answer: Answer, g: Generator) -> None:
    answer(normal((4,), g).requires_grad_(), 12, 17)
    passes_gradients(answer, "log_p")


@BITS.check("log_p of a picture of 784 pixels is large, and no trouble", "All of it can be computed without any exp.")
def _(answer: Answer, g: Generator) -> None:
    log_p = 2000 + 100 * normal((4,), g)
    expected = [(784 * math.log2(17) - v * math.log2(math.e)) / 784 for v in log_p.tolist()]
    answer.gives([log_p, 784, 17], torch.tensor(expected, dtype=torch.float64), tol=CONSTANT_TOL)


@BITS.check("it takes float32 too", "Nothing in the formula depends on the precision of log_p.")
def _(answer: Answer, g: Generator) -> None:
    log_p = 10 * normal((4,), g)
    expected = [-(v / 12 - math.log(17)) * math.log2(math.e) for v in log_p.tolist()]
    answer.gives([log_p.float(), 12, 17], torch.tensor(expected, dtype=torch.float64), tol=FLOAT32_TOL)


@BITS.check("it agrees with genlib", "Compare with flows.RealNVP.for_vectors(4, levels=17).bits_per_dim.")
def _(answer: Answer, g: Generator) -> None:
    layers = random_flow(4, g).layers
    flow = flows.Flow(layers, (4,), levels=17)
    x_int = torch.randint(17, (6, 4), generator=g)
    x = flows.dequantize(x_int, 17, Generator().manual_seed(0), dtype=torch.float64)
    bits = flow.bits_per_dim(x_int, generator=Generator().manual_seed(0))
    answer.gives([flow.log_prob(x), 4, 17], bits, tol=CONSTANT_TOL)


@BITS.mistake("log levels is missing: a box has the width 1/levels, and a density alone is no probability.")
def no_levels(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return -log_p / (dims * math.log(2))


@BITS.mistake("log levels counts once for the whole picture. The box is 1/levels wide in each of its D directions.")
def levels_once(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels) - log_p) / (dims * math.log(2))


@BITS.mistake("log levels has the wrong sign: the box is small, and its probability smaller than the density.")
def levels_subtracted(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (-math.log(levels) - log_p / dims) / math.log(2)


@BITS.mistake("These are nats: log 2 is missing. A bit is worth log 2 of them.")
def nats(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return math.log(levels) - log_p / dims


@BITS.mistake("Multiplied by log 2. Nats are larger than bits, so there are more bits than nats.")
def times_log_2(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels) - log_p / dims) * math.log(2)


@BITS.mistake("Only one of the two terms is in bits: both logarithms are natural ones until they are divided by log 2.")
def half_in_bits(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return math.log2(levels) - log_p / dims


@BITS.mistake("levels − 1 for levels: with levels 0 … 16 there are 17.")
def levels_less_one(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels - 1) - log_p / dims) / math.log(2)


@BITS.mistake("The sign is turned: what is likely costs few bits.")
def sign_turned(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return -_own_bits_per_dim(log_p, dims, levels)


@BITS.mistake("log_p is added: the denser the model is at x, the fewer bits x should cost.")
def log_p_added(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels) + log_p / dims) / math.log(2)


@BITS.mistake("These are bits for the whole picture. How many for each of its D pixels?")
def not_per_dim(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return dims * _own_bits_per_dim(log_p, dims, levels)


@BITS.mistake("log_p, too, has to be shared among the D pixels.")
def log_p_not_per_dim(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels) - log_p) / math.log(2)


@BITS.mistake("The average over the batch was taken already. Each picture has its own number.")
def averaged(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return _own_bits_per_dim(log_p, dims, levels).mean()


@BITS.mistake("dims and levels have changed places: which of the two has a logarithm in the formula?")
def exchanged(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(dims) - log_p / levels) / math.log(2)


@BITS.mistake("Divided by 2. From nats to bits it is log 2 that divides.")
def divided_by_2(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels) - log_p / dims) / 2


@BITS.mistake("log_p is a logarithm already. A second one has no meaning, and does not exist where log_p is negative.")
def log_of_log(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return math.log2(levels) - torch.log2(log_p) / dims


@BITS.mistake("log levels is in bits, and divided by log 2 once more.")
def levels_twice_in_bits(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log2(levels) - log_p / dims) / math.log(2)


@BITS.mistake(
    "The exp of log_p leaves what a float can hold: with many pixels a density is huge or tiny. Stay in logs."
)
def by_way_of_p(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return -torch.log2(log_p.exp() * float(levels) ** -dims) / dims
