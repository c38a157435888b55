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
    "log p is in the thousands there. What computes the logarithm of a sum of exp without any exp that overflows?",
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


def _log_mean(log_p: Tensor) -> Tensor:
    return log_p.logsumexp(0) - math.log(len(log_p))


@BITS.mistake(
    "The bits, or log p, are averaged over the draws: that is the bound. Here the densities are, before the logarithm.",
    "The mean of p is exp(log p), added up and divided by K. torch.logsumexp(log_p, 0) is the logarithm of the sum.",
)
def bits_averaged(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return bits_per_dim(log_p.mean(0, keepdim=True), dims, levels)


@BITS.mistake("The densities of the K draws are added up: their mean was asked for. What is a division in logarithms?")
def no_log_K(log_p: Tensor, dims: int, levels: int) -> Tensor:  # noqa: N802
    return bits_per_dim(log_p.logsumexp(0, keepdim=True), dims, levels)


@BITS.mistake("log K is added. A mean is a sum divided by K: in logarithms, is something added or taken off?")
def log_K_added(log_p: Tensor, dims: int, levels: int) -> Tensor:  # noqa: N802
    return bits_per_dim(log_p.logsumexp(0, keepdim=True) + math.log(len(log_p)), dims, levels)


@BITS.mistake("The sum's logarithm is divided by K itself. In logarithms a division by K takes off log K.")
def divided_by_K(log_p: Tensor, dims: int, levels: int) -> Tensor:  # noqa: N802
    return bits_per_dim(log_p.logsumexp(0, keepdim=True) / len(log_p), dims, levels)


@BITS.mistake("The largest of the K densities alone counts. It is near the mean only where it outweighs all others.")
def largest(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return bits_per_dim(log_p.amax(0, keepdim=True), dims, levels)


@BITS.mistake("Only the first draw is used. There are K of them for each picture.")
def first_draw(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return bits_per_dim(log_p[:1], dims, levels)


@BITS.mistake("K draws, K numbers: (K, B). For each picture one number was asked for, made of all its draws.")
def one_for_each_draw(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return torch.stack([bits_per_dim(draw[None], dims, levels) for draw in log_p])


@BITS.mistake("The average is over the pictures. The first axis of log_p is the draws, the second the pictures.")
def over_the_pictures(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return bits_per_dim(log_p.T, dims, levels)


@BITS.mistake("It is 1/p that is averaged here: the sum is taken of exp(−log p). Which of the two is a probability?")
def harmonic(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return bits_per_dim(-_log_mean(-log_p)[None], dims, levels)


@BITS.mistake("log levels is missing: a box has the width 1/levels, and a density alone is no probability.")
def no_levels(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return -_log_mean(log_p) / (dims * math.log(2))


@BITS.mistake("log levels counts once for the whole picture. The box is 1/levels wide in each of its D directions.")
def levels_once(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels) - _log_mean(log_p)) / (dims * math.log(2))


@BITS.mistake("log levels has the wrong sign: the box is small, and its probability smaller than the density.")
def levels_subtracted(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (-math.log(levels) - _log_mean(log_p) / dims) / math.log(2)


@BITS.mistake("These are nats: log 2 is missing. A bit is worth log 2 of them.")
def nats(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return math.log(levels) - _log_mean(log_p) / dims


@BITS.mistake("Multiplied by log 2. Nats are larger than bits, so there are more bits than nats.")
def times_log_2(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels) - _log_mean(log_p) / dims) * math.log(2)


@BITS.mistake("Only one of the two terms is in bits: both logarithms are natural ones until they are divided by log 2.")
def half_in_bits(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return math.log2(levels) - _log_mean(log_p) / dims


@BITS.mistake("log levels is still in nats, and log_p in bits: both are divided by log 2.")
def other_half_in_bits(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return math.log(levels) - _log_mean(log_p) / dims / math.log(2)


@BITS.mistake("levels − 1 for levels: with levels 0 … 16 there are 17.")
def levels_less_one(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels - 1) - _log_mean(log_p) / dims) / math.log(2)


@BITS.mistake("The size of the number is right, its sign is lost: below 0 it says that p(x) is no flat density.")
def absolute(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return bits_per_dim(log_p, dims, levels).abs()


@BITS.mistake("The sign is turned: what is likely costs few bits.")
def sign_turned(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return -bits_per_dim(log_p, dims, levels)


@BITS.mistake("log_p is added: the denser the model is at x, the fewer bits x should cost.")
def log_p_added(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels) + _log_mean(log_p) / dims) / math.log(2)


@BITS.mistake("These are bits for the whole picture. How many for each of its D pixels?")
def not_per_dim(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return dims * bits_per_dim(log_p, dims, levels)


@BITS.mistake("log_p, too, has to be shared among the D pixels.")
def log_p_not_per_dim(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels) - _log_mean(log_p)) / math.log(2)


@BITS.mistake("log_p is shared among the D pixels before the average. p is the density of a whole picture.")
def shared_too_early(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels) - _log_mean(log_p / dims)) / math.log(2)


@BITS.mistake("The average over the batch was taken already. Each picture has its own number.")
def averaged(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return bits_per_dim(log_p, dims, levels).mean()


@BITS.mistake("One number for all draws of all pictures. Each picture has its own number, (B,).")
def all_in_one(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return bits_per_dim(log_p.flatten(), dims, levels)


@BITS.mistake("dims and levels have changed places: which of the two has a logarithm in the formula?")
def exchanged(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return bits_per_dim(log_p, levels, dims)


@BITS.mistake("Divided by 2. From nats to bits it is log 2 that divides.")
def divided_by_2(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels) - _log_mean(log_p) / dims) / 2


@BITS.mistake("log_p is a logarithm already. A second one has no meaning, and does not exist where log_p is negative.")
def log_of_log(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return math.log2(levels) - torch.log2(log_p.mean(0)) / dims


@BITS.mistake("log levels is in bits, and divided by log 2 once more.")
def levels_twice_in_bits(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log2(levels) - _log_mean(log_p) / dims) / math.log(2)


@BITS.mistake("Cut off at 0. No code has fewer than 0 bits, true: so this number is no code length then.")
def cut(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return bits_per_dim(log_p, dims, levels).clamp(min=0)


@BITS.mistake(
    "A probability of a picture of 784 pixels is 0 to a computer: both factors of P stay in their logarithms."
)
def by_way_of_P(log_p: Tensor, dims: int, levels: int) -> Tensor:  # noqa: N802
    return -torch.log2((log_p - dims * math.log(levels)).exp().mean(0)) / dims


@BITS.mistake(
    "The exp of log_p leaves what a float can hold: with many pixels a density is huge or tiny. Stay in logs."
)
def by_way_of_p(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels) - log_p.exp().mean(0).log() / dims) / math.log(2)


@BITS.mistake("The median of the draws is used. P(x_int) is a mean, of densities.")
def median(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return bits_per_dim(log_p.median(0, keepdim=True).values, dims, levels)


@BITS.mistake(
    "log K stands outside, in bits and for every pixel. It belongs to log p of the picture, and is shared like it."
)
def log_k_outside(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return bits_per_dim(log_p.logsumexp(0, keepdim=True), dims, levels) + math.log2(len(log_p))


@BITS.mistake("The draws are weighted by their own densities. In a mean each of the K counts 1/K.")
def weighted(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return bits_per_dim((log_p.softmax(0) * log_p).sum(0, keepdim=True), dims, levels)


@BITS.mistake("Logarithms of base 10 and natural ones are mixed. Take natural ones, and divide by log 2 in the end.")
def base_10(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log10(levels) - _log_mean(log_p) / dims) / math.log10(2)


@BITS.mistake("logsumexp is taken of the bits. It is of use where a probability's logarithm stands: log p, in nats.")
def bits_through_exp(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return _log_mean((math.log(levels) - log_p / dims) / math.log(2))


@BITS.mistake("K is read off the wrong axis: log_p is (K, B), and len(log_p) is K.")
def pictures_for_k(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return bits_per_dim(log_p.logsumexp(0, keepdim=True) - math.log(log_p.shape[1]), dims, levels)


@BITS.mistake("log(levels · D) where D · log(levels) belongs: the box has the volume levels^(−D).")
def levels_of_all(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return -(_log_mean(log_p) - math.log(levels * dims)) / (dims * math.log(2))


@BITS.mistake("(log levels)^D where D · log levels belongs: a power becomes a product in logarithms.")
def levels_to_the_d(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return -(_log_mean(log_p) - math.log(levels) ** dims) / (dims * math.log(2))


@BITS.mistake("D · log levels is not shared among the D pixels, log p is.")
def not_shared_levels(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (dims * math.log(levels) - _log_mean(log_p) / dims) / math.log(2)


@BITS.mistake("levels + 1 for levels: with levels 0 … 16 there are 17.")
def levels_plus_one(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels + 1) - _log_mean(log_p) / dims) / math.log(2)
