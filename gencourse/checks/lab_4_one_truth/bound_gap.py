"""The gap of a bound: a model that cannot say log p_θ, and says something that is not above it.

Lecture 04 (18), (25).
"""

import math

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_4_one_truth.average import left_open, mean_and_error, mistakes
from gencourse.checks.lab_4_one_truth.given import (
    FLOAT32_TOL,
    Pair,
    by_hand,
    components,
    normal,
    scalar,
    uniform,
)
from gencourse.checks.spec import Exercise
from genlib.data import GaussianMixture
from genlib.diffusion import DDPM, Schedule, vlb


def _own_bound_gap(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    bits_per_dim = L_T + L_t.sum(1) + L_0
    nats = bits_per_dim * dims * math.log(2)  # of the whole point, as log p is
    surplus = nats + log_p  # the bound is on −log p_θ
    return surplus.mean(), surplus.std() / len(surplus) ** 0.5


BOUND_GAP = Exercise(
    "one_truth.bound_gap",
    _own_bound_gap,
    returns=["gap", "error"],
    plain=True,
    second="First one bound for each point, in bits per dimension: its L_T, all of its L_t, its L_0. Times dims, "
    "times log 2, it is in nats for the whole point; add log p to it. Mean and standard error are as in exercise 4.",
    why="A bound says on which side of it the truth lies, and not how far away: a small gap of it is good news, a "
    "large one may be the bound's own fault.",
)
Numbers = tuple[Tensor, Tensor, Tensor, Tensor, int]


def _numbers(B: int, T: int, dims: int, g: Generator) -> Numbers:
    L_t = uniform(0.01, 0.3, g, B, T - 1)
    return normal((B,), g) - 1, uniform(0, 0.02, g, B), L_t, uniform(0.5, 2, g, B), dims


def _by_hand(numbers: Numbers) -> Pair:
    log_p, L_T, L_t, L_0, dims = numbers
    surplus = []
    for i in range(len(log_p)):
        bits = float(L_T[i]) + math.fsum(L_t[i].tolist()) + float(L_0[i])
        surplus.append(bits * dims * math.log(2) + float(log_p[i]))
    gap, error = by_hand(surplus)
    return scalar(gap), scalar(error)


@BOUND_GAP.check(
    "it is the average of the bound on −log p_θ, in nats, minus −log p",
    "Add up all terms of each point; turn bits per dimension into nats; take off what the truth itself needs.",
)
def _(answer: Answer, g: Generator) -> None:
    for numbers in (_numbers(11, 6, 3, g), _numbers(6, 11, 5, g)):
        answer.gives(numbers, *_by_hand(numbers))


@BOUND_GAP.check(
    "one bit per dimension is as many bits as there are dimensions",
    "dims says how many coordinates a point has; a bit is log 2 nats.",
)
def _(answer: Answer, g: Generator) -> None:
    for dims in (1, 5, 64):
        zeros, apart = torch.zeros(4, dtype=torch.float64), uniform(0.1, 0.4, g)
        # One bit on average: of equal numbers some right formulas leave the root of a rounding error.
        L_0 = 1 + apart * torch.tensor([1, -1, 2, -2], dtype=torch.float64)
        numbers = zeros, zeros, torch.zeros(4, 3, dtype=torch.float64), L_0, dims
        answer.gives(numbers, scalar(dims * math.log(2)), _by_hand(numbers)[1])


@BOUND_GAP.check(
    "it agrees with genlib's bound, for a denoiser that cannot be beaten",
    "Compare with bound = diffusion.vlb(ddpm, x); bound.nats().total is the bound on −log p_θ(x), in nats.",
)
def _(answer: Answer, g: Generator) -> None:
    parts = components(3, 2, g)
    p, schedule = GaussianMixture(*parts), Schedule.cosine(T=5)
    perfect = DDPM(lambda x_t, t, label: p.optimal_eps(x_t, t, schedule), schedule)
    x = p.sample(20, g).double()
    bound = vlb(perfect, x, generator=g)
    gap, error = by_hand((bound.nats().total + p.log_prob(x)).tolist())
    answer.gives([p.log_prob(x), bound.L_T, bound.L_t, bound.L_0, 2], scalar(gap), scalar(error))


@BOUND_GAP.check(
    "on points that are less likely than expected it may come out below 0",
    "It is an estimate, and its error says how far it may be off, to either side. Nothing is to be cut off.",
)
def _(answer: Answer, g: Generator) -> None:
    log_p, L_T, L_t, L_0, dims = _numbers(9, 5, 2, g)
    for lower in (20, 2):
        numbers = log_p - lower, L_T, L_t, L_0, dims
        answer.gives(numbers, *_by_hand(numbers))


@BOUND_GAP.check("it takes float32 too", "Nothing in the formula depends on the precision.")
def _(answer: Answer, g: Generator) -> None:
    numbers = _numbers(9, 5, 2, g)
    *tensors, dims = numbers
    answer.gives([*(a.float() for a in tensors), dims], *_by_hand(numbers), tol=FLOAT32_TOL)


def _nats(bits: Tensor, dims: float) -> Tensor:
    return bits * (dims * math.log(2))


def _surplus(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Tensor:
    return _nats(L_T + L_t.sum(1) + L_0, dims) + log_p


mistakes(BOUND_GAP, _surplus)


@BOUND_GAP.mistake(
    "The error is that of a bound in bits still: point by point, bound and log p have to be in one unit."
)
def error_in_bits(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return _own_bound_gap(log_p, L_T, L_t, L_0, dims)[0], mean_and_error(L_T + L_t.sum(1) + L_0 + log_p)[1]


@BOUND_GAP.mistake("The bound is still in bits per dimension, and log p in nats. How many nats are one bit?")
def bits_per_dimension(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return mean_and_error(L_T + L_t.sum(1) + L_0 + log_p)


@BOUND_GAP.mistake("The bound is in bits for the whole point here, and log p in nats: log 2 is missing.")
def bits(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return mean_and_error(dims * (L_T + L_t.sum(1) + L_0) + log_p)


@BOUND_GAP.mistake(
    "The bound is in nats per dimension, and log p is that of the whole point: how many dimensions has it?"
)
def nats_per_dimension(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return mean_and_error(_nats(L_T + L_t.sum(1) + L_0, 1) + log_p)


@BOUND_GAP.mistake("Divided by log 2, as from nats to bits. This way is the other one.")
def divided_by_log_2(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return mean_and_error(dims * (L_T + L_t.sum(1) + L_0) / math.log(2) + log_p)


@BOUND_GAP.mistake("Two dimensions are taken for granted. How many there are, dims says.")
def two_dimensions(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return _own_bound_gap(log_p, L_T, L_t, L_0, 2)


@BOUND_GAP.mistake("log p is subtracted. The bound is on *minus* log p_θ, so the signs of the two already differ.")
def log_p_subtracted(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return mean_and_error(_nats(L_T + L_t.sum(1) + L_0, dims) - log_p)


@BOUND_GAP.mistake(
    "The error is that of the bound alone. It is bound and log p together that vary from point to point."
)
def error_of_the_bound(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    gap, _ = _own_bound_gap(log_p, L_T, L_t, L_0, dims)
    return gap, _nats(L_T + L_t.sum(1) + L_0, dims).std() / len(log_p) ** 0.5


@BOUND_GAP.mistake("log p is not in it: this is the bound alone. The gap is what it is above the truth's own −log p.")
def bound_alone(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return mean_and_error(_nats(L_T + L_t.sum(1) + L_0, dims))


@BOUND_GAP.mistake("The steps are averaged. The terms of a chain add up: each step costs what it costs.")
def steps_averaged(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return mean_and_error(_nats(L_T + L_t.mean(1) + L_0, dims) + log_p)


@BOUND_GAP.mistake("L_0 is missing: the last step, from x_1 to the point itself, is most of the bill.")
def no_last_step(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return mean_and_error(_nats(L_T + L_t.sum(1), dims) + log_p)


@BOUND_GAP.mistake("L_T is missing: it is small, but a bound without it is none.")
def no_prior(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return mean_and_error(_nats(L_t.sum(1) + L_0, dims) + log_p)


@BOUND_GAP.mistake("The L_t are missing: the chain has T − 1 steps between its two ends.")
def no_steps(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return mean_and_error(_nats(L_T + L_0, dims) + log_p)


@BOUND_GAP.mistake("The L_t are summed over the points as well. Each point has its own bound.")
def summed_over_the_batch(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return mean_and_error(_nats(L_T + L_t.sum() + L_0, dims) + log_p)


@BOUND_GAP.mistake(
    "The bound stands where log p_θ would: log p minus the bound. It is a bound on −log p_θ, so it "
    "has that sign already."
)
def bound_as_log_p_theta(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return left_open((log_p - _nats(L_T + L_t.sum(1) + L_0, dims)).mean())


@BOUND_GAP.mistake(
    "log p minus the bound, and the bound in bits per dimension still. It is a bound on −log p_θ, so it has that sign "
    "already; and how many nats is it for the whole point?"
)
def bits_as_log_p_theta(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return left_open((log_p - (L_T + L_t.sum(1) + L_0)).mean())


@BOUND_GAP.mistake("Multiplied by 2 where log 2 is meant: one bit is log 2 = 0.693 nats.")
def two_for_log_2(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return left_open((2.0 * dims * (L_T + L_t.sum(1) + L_0) + log_p).mean())


@BOUND_GAP.mistake("A logarithm to another base stands there, of 10 or 2. One bit is log 2 nats with the natural one.")
def log_to_another_base(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return left_open((dims * math.log10(2) * (L_T + L_t.sum(1) + L_0) + log_p).mean())


@BOUND_GAP.mistake("Divided by the dimensions. The bound comes *per* dimension: what does the whole point cost?")
def divided_by_dims(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return left_open((_nats(L_T + L_t.sum(1) + L_0, 1) / dims + log_p).mean())


@BOUND_GAP.mistake("The gap is in bits in the end. In nats it was asked for, so it is the bound that is converted.")
def in_bits(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return left_open(_own_bound_gap(log_p, L_T, L_t, L_0, dims)[0] / math.log(2))


@BOUND_GAP.mistake("The gap is in bits per dimension in the end. It was asked for in nats, of the whole point.")
def in_bits_per_dimension(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return left_open(_own_bound_gap(log_p, L_T, L_t, L_0, dims)[0] / (dims * math.log(2)))


@BOUND_GAP.mistake("The gap is in nats per dimension in the end. It was asked for of the whole point.")
def in_nats_per_dimension(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return left_open(_own_bound_gap(log_p, L_T, L_t, L_0, dims)[0] / dims)


@BOUND_GAP.mistake("log p is converted as well, as if it came in bits per dimension. It is in nats already.")
def log_p_converted(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return left_open(_nats(L_T + L_t.sum(1) + L_0 + log_p, dims).mean())


@BOUND_GAP.mistake("log p is multiplied by log 2, as if it came in bits. It is in nats already.")
def log_p_from_bits(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return left_open((_nats(L_T + L_t.sum(1) + L_0, dims) + log_p * math.log(2)).mean())


@BOUND_GAP.mistake("log p is multiplied by the dimensions, as if it came per dimension. It is that of the whole point.")
def log_p_per_dimension(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return left_open((_nats(L_T + L_t.sum(1) + L_0, dims) + dims * log_p).mean())


@BOUND_GAP.mistake("The first column of L_t is left out. All T − 1 of them are steps of the chain.")
def first_column_left_out(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return left_open((_nats(L_T + L_t[:, 1:].sum(1) + L_0, dims) + log_p).mean())


@BOUND_GAP.mistake("The last column of L_t is left out. All T − 1 of them are steps of the chain.")
def last_column_left_out(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return left_open((_nats(L_T + L_t[:, :-1].sum(1) + L_0, dims) + log_p).mean())


@BOUND_GAP.mistake(
    "L_T and L_0 count once for every step. They are the two ends of the chain, and come once for each point."
)
def ends_at_every_step(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return left_open((_nats((L_T[:, None] + L_t + L_0[:, None]).sum(1), dims) + log_p).mean())


@BOUND_GAP.mistake("Only one of the terms is turned into nats. All of them come in bits per dimension.")
def one_term_converted(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return left_open((L_T + L_t.sum(1) + _nats(L_0, dims) + log_p).mean())


@BOUND_GAP.mistake("The error is that of log p alone. It is bound and log p together that vary from point to point.")
def error_of_log_p(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return _own_bound_gap(log_p, L_T, L_t, L_0, dims)[0], log_p.std() / len(log_p) ** 0.5


@BOUND_GAP.mistake(
    "The errors of both averages are added, as if on different points. Add bound and log p point by point."
)
def not_paired(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    variance = _nats(L_T + L_t.sum(1) + L_0, dims).var() + log_p.var()
    return _own_bound_gap(log_p, L_T, L_t, L_0, dims)[0], (variance / len(log_p)).sqrt()
