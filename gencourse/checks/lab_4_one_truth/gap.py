"""The exact gap of a model that knows its density, and how sure we are of it. Lecture 03 (8)."""

import math

from torch import Generator, Tensor
from torch.distributions import Normal, kl_divergence

from gencourse.checks.answer import Answer
from gencourse.checks.lab_4_one_truth.average import left_open, mistakes
from gencourse.checks.lab_4_one_truth.given import (
    FLOAT32_TOL,
    Pair,
    by_hand,
    normal,
    scalar,
    uniform,
)
from gencourse.checks.spec import Exercise


def _own_gap(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    # Both at the same points: what they share cancels in each difference, before anything is averaged.
    ratio = log_p - log_p_theta
    return ratio.mean(), ratio.std() / len(ratio) ** 0.5


GAP = Exercise(
    "one_truth.gap",
    _own_gap,
    returns=["gap", "error"],
    plain=True,
    second="Make one number for each point first, log p − log p_θ. The gap is the mean of these B numbers, and the "
    "error their deviation (with B − 1), divided by √B.",
    why="A gap without its error cannot be compared with another gap, nor with 0.",
)


def _numbers(B: int, g: Generator) -> Pair:
    log_p = 2 * normal((B,), g) - 1
    return log_p, log_p - 0.3 * normal((B,), g) - 0.5


def _by_hand(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    gap, error = by_hand([p - model for p, model in zip(log_p.tolist(), log_p_theta.tolist(), strict=True)])
    return scalar(gap), scalar(error)


@GAP.check(
    "it is the average of log p − log p_θ over the points, with its standard error",
    "Each point gives one number, log p − log p_θ. How uncertain is the average of B independent numbers?",
)
def _(answer: Answer, g: Generator) -> None:
    log_p, log_p_theta = _numbers(37, g)
    answer.gives([log_p, log_p_theta], *_by_hand(log_p, log_p_theta))


@GAP.check(
    "it is the Kullback–Leibler divergence of two Gaussians, as far as the error says",
    "The points are drawn from p, so the average over them is the expectation under p.",
)
def _(answer: Answer, g: Generator) -> None:
    p, p_theta = Normal(scalar(0.0), scalar(1.0)), Normal(uniform(0.5, 1, g), uniform(1.2, 2, g))
    x = normal((4000,), g)
    gap, error = answer(p.log_prob(x), p_theta.log_prob(x))
    answer.agrees("gap", kl_divergence(p, p_theta), gap, tol=6 * float(error))


@GAP.check(
    "a model that is wrong by nearly the same everywhere has a small error, however much log p varies",
    "Both are measured at the same points, so what they share cancels point by point.",
)
def _(answer: Answer, g: Generator) -> None:
    # Nearly: of a constant difference some right formulas leave the root of a rounding error, which may be below 0.
    log_p = 5 * normal((20,), g)
    log_p_theta = log_p - uniform(0.2, 2, g) + 0.01 * normal((20,), g)
    answer.gives([log_p, log_p_theta], *_by_hand(log_p, log_p_theta))


@GAP.check(
    "a good model may come out below 0 on a few points",
    "It is an estimate, and its error says how far it may be off, to either side. Nothing is to be cut off.",
)
def _(answer: Answer, g: Generator) -> None:
    log_p = 2 * normal((12,), g)
    log_p_theta = log_p + 0.1 + 0.3 * normal((12,), g).abs()
    answer.gives([log_p, log_p_theta], *_by_hand(log_p, log_p_theta))


@GAP.check("four times as many points halve the error, nearly", "What does the error do as B grows?")
def _(answer: Answer, g: Generator) -> None:
    log_p, log_p_theta = _numbers(50, g)
    many = log_p.repeat(4), log_p_theta.repeat(4)
    answer.gives(many, *_by_hand(*many))


@GAP.check("it takes float32 too", "Nothing in the formula depends on the precision.")
def _(answer: Answer, g: Generator) -> None:
    log_p, log_p_theta = _numbers(30, g)
    answer.gives([log_p.float(), log_p_theta.float()], *_by_hand(log_p, log_p_theta), tol=FLOAT32_TOL)


mistakes(GAP, lambda log_p, log_p_theta: log_p - log_p_theta)


@GAP.mistake("Weighted with p once more. The points were drawn from p already: a plain average will do.")
def weighted_again(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    ratio = log_p.exp() * (log_p - log_p_theta)
    return ratio.mean(), ratio.std() / len(ratio) ** 0.5


@GAP.mistake("The error is that of log p_θ alone. What is averaged is the difference: how much does that vary?")
def error_of_log_p_theta(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    return (log_p - log_p_theta).mean(), log_p_theta.std() / len(log_p_theta) ** 0.5


@GAP.mistake("This is the loss, −log p_θ, on average. The truth's own −log p has to be taken off.")
def loss(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    return -log_p_theta.mean(), log_p_theta.std() / len(log_p_theta) ** 0.5


@GAP.mistake("The ratio p/p_θ itself is averaged. The divergence is the average of its logarithm.")
def ratios(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    ratio = (log_p - log_p_theta).exp()
    return ratio.mean(), ratio.std() / len(ratio) ** 0.5


@GAP.mistake("A quotient of two logarithms. The logarithm of p/p_θ is a difference.")
def quotient(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    ratio = log_p / log_p_theta
    return ratio.mean(), ratio.std() / len(ratio) ** 0.5


@GAP.mistake("The errors of both averages are added, as if on different points. At the same points most of it cancels.")
def not_paired(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    return (log_p - log_p_theta).mean(), ((log_p.var() + log_p_theta.var()) / len(log_p)).sqrt()


@GAP.mistake("The gap is in bits here, divided by log 2. The logarithms are natural ones, and nats were asked for.")
def bits(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    return left_open((log_p - log_p_theta).mean() / math.log(2))


@GAP.mistake("Multiplied by log 2. Both logarithms are natural ones, in nats already: nothing is to be converted.")
def times_log_2(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    return left_open((log_p - log_p_theta).mean() * math.log(2))


@GAP.mistake("The error is that of log p alone. What is averaged is the difference: how much does that vary?")
def error_of_log_p(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    return (log_p - log_p_theta).mean(), log_p.std() / len(log_p) ** 0.5


@GAP.mistake(
    "The two errors are subtracted from one another. The error of a difference is no difference of errors: which "
    "numbers are averaged, and how much do *they* vary?"
)
def errors_subtracted(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    return (log_p - log_p_theta).mean(), (log_p.std() - log_p_theta.std()).abs() / len(log_p) ** 0.5


@GAP.mistake(
    "The logarithm of the average ratio p/p_θ. The average of the logarithm was asked for, and that is not the same."
)
def log_of_the_average(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    return left_open((log_p - log_p_theta).logsumexp(0) - math.log(len(log_p)))


@GAP.mistake(
    "Weighted with p_θ. The points were drawn from p, so a plain average over them is the expectation under p."
)
def weighted_with_p_theta(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    return left_open((log_p_theta.exp() * (log_p - log_p_theta)).mean())


@GAP.mistake("This is the average of log p_θ, or of log p, alone. The gap is what is between the two.")
def one_alone(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    return left_open(log_p_theta.mean())


@GAP.mistake("log p_θ is added. The gap is what lies *between* the two logarithms.")
def added(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    return left_open((log_p + log_p_theta).mean())


@GAP.mistake("The densities are subtracted. The divergence is about their ratio: the difference of the logarithms.")
def densities(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    return left_open((log_p.exp() - log_p_theta.exp()).mean())
