"""From nats of a density to bits for each pixel, with several draws of the noise. Lecture 03 (9), (10)."""

import math

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_2_flows.given import CONSTANT_TOL, FLOAT32_TOL, normal, passes_gradients, random_flow
from gencourse.checks.spec import Exercise
from genlib import flows


def bits_per_dim(log_p: Tensor, dims: int, levels: int) -> Tensor:
    log_mean = torch.logsumexp(log_p, 0) - math.log(len(log_p))  # of the K densities; none of them leaves the logarithm
    log_P = log_mean - dims * math.log(levels)  # times the volume of the box: a probability
    return -log_P / (dims * math.log(2))


BITS = Exercise(
    "flows.bits_per_dim",
    bits_per_dim,
    returns=["bits"],
    second="Three steps, all in logarithms. The mean of K densities: torch.logsumexp over the draws, less log K. "
    "Times the volume of the box, levels^(−D). Then nats to bits, with a minus, shared among D pixels.",
    why="Bits per dimension compare models of any kind, and a code of that length exists. Averaging probabilities "
    "before the logarithm is what importance-weighted bounds do, for VAEs too.",
)


@BITS.check(
    "with one draw: where the density is flat on every level's piece, the bits are those of the discrete code",
    "P(x_int) is p(x) times the volume of its box, levels^(−D). And bits are −log₂ P, for each of D pixels.",
)
def _(answer: Answer, g: Generator) -> None:
    B, dims, levels = 5, 6, 17
    P = torch.softmax(normal((dims, levels), g), dim=1)  # each pixel has probabilities of its own
    x_int = torch.randint(levels, (B, dims), generator=g)
    each = torch.stack([P[d, x_int[:, d]] for d in range(dims)], dim=1)
    log_p = torch.log(levels * each).sum(1)  # a probability, over a width of 1/levels
    answer.gives([log_p[None], dims, levels], -torch.log2(each).sum(1) / dims, tol=CONSTANT_TOL)


@BITS.check(
    "whoever knows nothing pays log₂ levels for each pixel, however often he is asked",
    "A density of 1 on all of [0, 1]^D gives every picture the same probability, levels^(−D). How many bits is that?",
)
def _(answer: Answer, g: Generator) -> None:
    for K, dims, levels, bits in ((1, 3, 4, 2.0), (2, 5, 8, 3.0), (3, 64, 256, 8.0)):
        log_p = torch.zeros(K, 4, dtype=torch.float64)
        answer.gives([log_p, dims, levels], torch.full_like(log_p[0], bits), tol=CONSTANT_TOL)


@BITS.check(
    "with K draws: the densities are averaged, and the logarithm comes after that",
    "P(x_int) is the mean of p over the box, times its volume: an average of densities, and not of their logarithms.",
)
def _(answer: Answer, g: Generator) -> None:
    dims, levels = 5, 7
    for K, B in ((2, 6), (7, 3), (4, 4)):
        log_p = 1.5 * normal((K, B), g)
        P = [sum(math.exp(v) for v in column) / K * float(levels) ** -dims for column in log_p.T.tolist()]
        bits = torch.tensor([-math.log2(p) / dims for p in P], dtype=torch.float64)
        answer.gives([log_p, dims, levels], bits, tol=CONSTANT_TOL)


@BITS.check(
    "a density may be so high that the number is below 0",
    "Nothing bounds a density from above. What would a negative number of bits tell you, if you let it through?",
)
def _(answer: Answer, g: Generator) -> None:
    log_p = 40 + 3 * normal((3, 5), g)
    expected = [math.log(sum(math.exp(v) for v in column) / 3) for column in log_p.T.tolist()]
    bits = (math.log(17) - torch.tensor(expected, dtype=torch.float64) / 6) * math.log2(math.e)
    answer.gives([log_p, 6, 17], bits, tol=CONSTANT_TOL)


@BITS.check(
    "784 pixels are no trouble, though p(x) and P(x_int) are no numbers that a computer knows",
    "log p is in the thousands there. What computes the logarithm of a sum of exp without "
    "any exp that overflows? And 17^784 is no number either: what is its logarithm?",
)
def _(answer: Answer, g: Generator) -> None:
    for centre in (2000, -3000):
        log_p = centre + 3 * normal((4, 3), g)
        nats = [centre + math.log(sum(math.exp(v - centre) for v in column) / 4) for column in log_p.T.tolist()]
        expected = [(784 * math.log2(17) - v * math.log2(math.e)) / 784 for v in nats]
        answer.gives([log_p, 784, 17], torch.tensor(expected, dtype=torch.float64), tol=CONSTANT_TOL)


@BITS.check("gradients pass", "Stay in torch, and detach nothing.")
def _(answer: Answer, g: Generator) -> None:
    answer(normal((3, 4), g).requires_grad_(), 12, 17)
    passes_gradients(answer, "log_p")
    answer.passes_back("log_p")


@BITS.check("it takes float32 too", "Nothing in the formula depends on the precision of log_p.")
def _(answer: Answer, g: Generator) -> None:
    log_p = 10 * normal((2, 4), g)
    nats = [math.log(sum(math.exp(v) for v in column) / 2) for column in log_p.T.tolist()]
    expected = [-(v / 12 - math.log(17)) * math.log2(math.e) for v in nats]
    answer.gives([log_p.float(), 12, 17], torch.tensor(expected, dtype=torch.float64), tol=FLOAT32_TOL)


@BITS.check("it agrees with genlib", "Compare with flows.RealNVP.for_vectors(4, levels=17).bits_per_dim.")
def _(answer: Answer, g: Generator) -> None:
    layers = random_flow(4, g).layers
    flow = flows.Flow(layers, (4,), levels=17)
    x_int = torch.randint(17, (6, 4), generator=g)
    x = flows.dequantize(x_int, 17, Generator().manual_seed(0), dtype=torch.float64)
    bits = flow.bits_per_dim(x_int, generator=Generator().manual_seed(0))
    answer.gives([flow.log_prob(x)[None], 4, 17], bits, tol=CONSTANT_TOL)
