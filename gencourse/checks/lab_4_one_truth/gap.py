"""The exact gap of a model that knows its density, and how sure we are of it. Lecture 03 (8)."""

from torch import Generator, Tensor
from torch.distributions import Normal, kl_divergence

from gencourse.checks.answer import Answer
from gencourse.checks.lab_4_one_truth.given import (
    FLOAT32_TOL,
    Pair,
    mean_and_error,
    normal,
    passes_gradients,
    scalar,
    uniform,
)
from gencourse.checks.spec import Exercise


def _own_gap(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    ratio = log_p - log_p_theta
    return ratio.mean(), ratio.std() / len(ratio) ** 0.5


GAP = Exercise("one_truth.gap", _own_gap, returns=["gap", "error"])


def _numbers(B: int, g: Generator) -> Pair:
    log_p = 2 * normal((B,), g) - 1
    return log_p, log_p - 0.3 * normal((B,), g) - 0.5


def _by_hand(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    gap, error = mean_and_error([p - model for p, model in zip(log_p.tolist(), log_p_theta.tolist(), strict=True)])
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
    "a model that is wrong by a constant has an error of 0, however much log p varies",
    "Both are measured at the same points, so what they share cancels point by point.",
)
def _(answer: Answer, g: Generator) -> None:
    log_p, shift = 5 * normal((20,), g), float(uniform(0.2, 2, g))
    answer.gives([log_p, log_p - shift], scalar(shift), scalar(0.0))


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


@GAP.check("gradients pass", "Stay in torch, and detach nothing.")
def _(answer: Answer, g: Generator) -> None:
    log_p, log_p_theta = _numbers(9, g)
    answer(log_p, log_p_theta.requires_grad_())
    passes_gradients(answer, "log_p_theta")


@GAP.check("it takes float32 too", "Nothing in the formula depends on the precision.")
def _(answer: Answer, g: Generator) -> None:
    log_p, log_p_theta = _numbers(30, g)
    answer.gives([log_p.float(), log_p_theta.float()], *_by_hand(log_p, log_p_theta), tol=FLOAT32_TOL)


@GAP.mistake("The absolute value of the average is taken. A gap may come out below 0, and that says something, too.")
def absolute_mean(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    gap, error = _own_gap(log_p, log_p_theta)
    return gap.abs(), error


@GAP.mistake("The difference is turned round. The points come from the truth, p, which is the best code for them.")
def turned_round(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    return _own_gap(log_p_theta, log_p)


@GAP.mistake("The absolute value of each difference is taken. At some points p_θ is above p, and that counts, too.")
def absolute(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    ratio = (log_p - log_p_theta).abs()
    return ratio.mean(), ratio.std() / len(ratio) ** 0.5


@GAP.mistake("Weighted with p once more. The points were drawn from p already: a plain average will do.")
def weighted_again(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    ratio = log_p.exp() * (log_p - log_p_theta)
    return ratio.mean(), ratio.std() / len(ratio) ** 0.5


@GAP.mistake("Below 0 it is cut off. KL is never below 0, but what is measured of it on a few points may be.")
def cut_at_zero(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    gap, error = _own_gap(log_p, log_p_theta)
    return gap.clamp(min=0), error


@GAP.mistake("Differences below 0 are cut off. Points where p_θ is above p make up for others: all of them count.")
def each_cut_at_zero(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    ratio = (log_p - log_p_theta).clamp(min=0)
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


@GAP.mistake("The sum over the points, and their average was asked for.")
def summed(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    ratio = log_p - log_p_theta
    return ratio.sum(), ratio.std() / len(ratio) ** 0.5


@GAP.mistake("This is how much single points vary. The average of B of them varies less: by which factor?")
def deviation(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    return (log_p - log_p_theta).mean(), (log_p - log_p_theta).std()


@GAP.mistake("A variance divided by B is the variance of the average. Its error is the root.")
def variance_of_the_mean(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    ratio = log_p - log_p_theta
    return ratio.mean(), ratio.var() / len(ratio)


@GAP.mistake("The deviation is divided by B. Variances are divided by B, so deviations are divided by less.")
def divided_by_b(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    ratio = log_p - log_p_theta
    return ratio.mean(), ratio.std() / len(ratio)


@GAP.mistake("The errors of both averages are added, as if on different points. At the same points most of it cancels.")
def not_paired(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    return (log_p - log_p_theta).mean(), ((log_p.var() + log_p_theta.var()) / len(log_p)).sqrt()


@GAP.mistake("The variance is divided by B, though the mean came from the same points: then it is B − 1.")
def biased_deviation(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    ratio = log_p - log_p_theta
    return ratio.mean(), ratio.std(correction=0) / len(ratio) ** 0.5


@GAP.mistake("There is a gap for each point. Their average was asked for.")
def per_point(log_p: Tensor, log_p_theta: Tensor) -> Pair:
    ratio = log_p - log_p_theta
    return ratio, ratio.std() / len(ratio) ** 0.5
