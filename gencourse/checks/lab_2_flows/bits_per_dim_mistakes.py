"""What goes wrong in bits per dimension: every mistake that has a hint of its own."""

import math

import torch
from torch import Tensor

from gencourse.checks.lab_2_flows.bits_per_dim import BITS, bits_per_dim


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


@BITS.mistake("Divided by log levels: that is the worth, in nats, of a digit that has `levels` values. And a bit's?")
def base_levels(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels) - _log_mean(log_p) / dims) / math.log(levels)


@BITS.mistake("Divided by log dims. Nats become bits by a number that has nothing to do with the size of a picture.")
def base_dims(log_p: Tensor, dims: int, levels: int) -> Tensor:
    return (math.log(levels) - _log_mean(log_p) / dims) / math.log(dims)
