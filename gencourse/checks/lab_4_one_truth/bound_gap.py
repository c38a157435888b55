"""The gap of a bound: a model that cannot say log p_θ, and says something that is not above it.

Lecture 04 (18), (25).
"""

import math

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_4_one_truth.given import (
    FLOAT32_TOL,
    Pair,
    components,
    mean_and_error,
    normal,
    scalar,
    uniform,
)
from gencourse.checks.spec import Exercise
from genlib.data import GaussianMixture
from genlib.diffusion import DDPM, Bound, Schedule, vlb


def _own_bound_gap(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    steps = torch.arange(2, 2 + L_t.shape[1])
    nats = Bound(L_T, L_t, L_0, steps, L_t.shape[1] + 1, dims).nats()
    surplus = nats.total + log_p
    return surplus.mean(), surplus.std() / len(surplus) ** 0.5


BOUND_GAP = Exercise("one_truth.bound_gap", _own_bound_gap, returns=["gap", "error"])
Numbers = tuple[Tensor, Tensor, Tensor, Tensor, int]


def _numbers(B: int, T: int, dims: int, g: Generator) -> Numbers:
    L_t = uniform(0.01, 0.3, g, B, T - 1)
    return normal((B,), g) - 2, uniform(0, 0.02, g, B), L_t, uniform(0.5, 2, g, B), dims


def _by_hand(numbers: Numbers) -> Pair:
    log_p, L_T, L_t, L_0, dims = numbers
    surplus = []
    for i in range(len(log_p)):
        bits = float(L_T[i]) + math.fsum(L_t[i].tolist()) + float(L_0[i])
        surplus.append(bits * dims * math.log(2) + float(log_p[i]))
    gap, error = mean_and_error(surplus)
    return scalar(gap), scalar(error)


@BOUND_GAP.check(
    "it is the average of the bound on −log p_θ, in nats, minus −log p",
    "Add up all terms of each point; turn bits per dimension into nats; take off what the truth itself needs.",
)
def _(answer: Answer, g: Generator) -> None:
    for numbers in (_numbers(11, 6, 2, g), _numbers(6, 11, 3, g)):
        answer.gives(numbers, *_by_hand(numbers))


@BOUND_GAP.check(
    "one bit per dimension is as many bits as there are dimensions",
    "dims says how many coordinates a point has; a bit is log 2 nats.",
)
def _(answer: Answer, g: Generator) -> None:
    for dims in (1, 5, 64):
        zeros = torch.zeros(4, dtype=torch.float64)
        numbers = zeros, zeros, torch.zeros(4, 3, dtype=torch.float64), zeros + 1, dims
        answer.gives(numbers, scalar(dims * math.log(2)), scalar(0.0))


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
    gap, error = mean_and_error((bound.nats().total + p.log_prob(x)).tolist())
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


def _with(total: Tensor, log_p: Tensor) -> Pair:
    surplus = total + log_p
    return surplus.mean(), surplus.std() / len(surplus) ** 0.5


def _nats(bits: Tensor, dims: float) -> Tensor:
    return bits * (dims * math.log(2))


@BOUND_GAP.mistake("The bound is still in bits per dimension, and log p in nats. How many nats are one bit?")
def bits_per_dimension(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return _with(L_T + L_t.sum(1) + L_0, log_p)


@BOUND_GAP.mistake("The bound is in bits for the whole point here, and log p in nats: log 2 is missing.")
def bits(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return _with(dims * (L_T + L_t.sum(1) + L_0), log_p)


@BOUND_GAP.mistake(
    "The bound is in nats per dimension, and log p is that of the whole point: how many dimensions has it?"
)
def nats_per_dimension(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return _with(_nats(L_T + L_t.sum(1) + L_0, 1), log_p)


@BOUND_GAP.mistake("Divided by log 2, as from nats to bits. This way is the other one.")
def divided_by_log_2(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return _with(dims * (L_T + L_t.sum(1) + L_0) / math.log(2), log_p)


@BOUND_GAP.mistake("Two dimensions are taken for granted. How many there are, dims says.")
def two_dimensions(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return _own_bound_gap(log_p, L_T, L_t, L_0, 2)


@BOUND_GAP.mistake("log p is subtracted. The bound is on *minus* log p_θ, so the signs of the two already differ.")
def log_p_subtracted(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return _with(_nats(L_T + L_t.sum(1) + L_0, dims), -log_p)


@BOUND_GAP.mistake("The sign is turned: a bound that holds costs more than the truth does, and the gap is above 0.")
def turned_round(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    gap, error = _own_bound_gap(log_p, L_T, L_t, L_0, dims)
    return -gap, error


@BOUND_GAP.mistake(
    "The error is that of the bound alone. It is bound and log p together that vary from point to point."
)
def error_of_the_bound(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    gap, _ = _own_bound_gap(log_p, L_T, L_t, L_0, dims)
    return gap, _nats(L_T + L_t.sum(1) + L_0, dims).std() / len(log_p) ** 0.5


@BOUND_GAP.mistake("log p is not in it: this is the bound alone. The gap is what it is above the truth's own −log p.")
def bound_alone(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return _with(_nats(L_T + L_t.sum(1) + L_0, dims), torch.zeros_like(log_p))


@BOUND_GAP.mistake("The steps are averaged. The terms of a chain add up: each step costs what it costs.")
def steps_averaged(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return _with(_nats(L_T + L_t.mean(1) + L_0, dims), log_p)


@BOUND_GAP.mistake("L_0 is missing: the last step, from x_1 to the point itself, is most of the bill.")
def no_last_step(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return _with(_nats(L_T + L_t.sum(1), dims), log_p)


@BOUND_GAP.mistake("L_T is missing: it is small, but a bound without it is none.")
def no_prior(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return _with(_nats(L_t.sum(1) + L_0, dims), log_p)


@BOUND_GAP.mistake("The L_t are missing: the chain has T − 1 steps between its two ends.")
def no_steps(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return _with(_nats(L_T + L_0, dims), log_p)


@BOUND_GAP.mistake("The L_t are summed over the points as well. Each point has its own bound.")
def summed_over_the_batch(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    return _with(_nats(L_T + L_t.sum() + L_0, dims), log_p)


@BOUND_GAP.mistake("This is how much single points vary. The average of B of them varies less: by which factor?")
def deviation(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    gap, error = _own_bound_gap(log_p, L_T, L_t, L_0, dims)
    return gap, error * len(log_p) ** 0.5


@BOUND_GAP.mistake("The deviation is divided by B. Variances are divided by B, so deviations are divided by less.")
def divided_by_b(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    gap, error = _own_bound_gap(log_p, L_T, L_t, L_0, dims)
    return gap, error / len(log_p) ** 0.5


@BOUND_GAP.mistake("Below 0 it is cut off. The expectation is above 0; its estimate on a few points need not be.")
def cut_at_zero(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    gap, error = _own_bound_gap(log_p, L_T, L_t, L_0, dims)
    return gap.clamp(min=0), error


@BOUND_GAP.mistake("What is below 0 at single points is cut off. They make up for others: all of them count.")
def each_cut_at_zero(log_p: Tensor, L_T: Tensor, L_t: Tensor, L_0: Tensor, dims: int) -> Pair:
    surplus = (_nats(L_T + L_t.sum(1) + L_0, dims) + log_p).clamp(min=0)
    return surplus.mean(), surplus.std() / len(surplus) ** 0.5
