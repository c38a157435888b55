"""What a latent variable hides: the average of the log-weights, and the logarithm of their average.

Lecture 01 (3), (4).
"""

import math

import torch
from torch import Generator, Tensor
from torch.distributions import Normal

from gencourse.checks.answer import Answer
from gencourse.checks.lab_4_one_truth.given import FLOAT32_TOL, Pair, normal, scalar, uniform
from gencourse.checks.spec import Exercise


def _own_importance(log_w: Tensor) -> Pair:
    # log (1/n Σ w) = log Σ e^(log w) − log n. logsumexp takes the largest log w out of the sum before exp, and puts it
    # back after the logarithm, so that some term is e⁰ = 1, whatever the weights are.
    return log_w.mean(1), log_w.logsumexp(1) - math.log(log_w.shape[1])


IMPORTANCE = Exercise(
    "one_truth.importance",
    _own_importance,
    returns=["elbo", "log_p_theta"],
    batched=["log_w"],
    plain=True,
    second="elbo is log_w.mean over the draws, axis 1. For the other: the average of w is Σ w / n, and the logarithm "
    "of that is a logarithm of a sum of exponentials, minus log n. torch.logsumexp is the first of the two.",
    why="The difference of the two is what the encoder costs, so a VAE's ELBO can be looked behind; a chain's bound "
    "cannot, at this price.",
)


@IMPORTANCE.check(
    "elbo is the average of log w, log_p_theta the logarithm of the average of w",
    "Two averages over the n draws of each point: one after the logarithm, one before it.",
)
def _(answer: Answer, g: Generator) -> None:
    log_w = 1.5 * normal((5, 7), g)
    elbo = [math.fsum(row) / len(row) for row in log_w.tolist()]
    log_p_theta = [math.log(math.fsum(math.exp(v) for v in row) / len(row)) for row in log_w.tolist()]
    answer.gives([log_w], torch.tensor(elbo, dtype=torch.float64), torch.tensor(log_p_theta, dtype=torch.float64))


@IMPORTANCE.check(
    "for a Gaussian with a Gaussian code, log_p_theta is the log-density; elbo lies below it by the encoder's error",
    "With many draws the average of w is p(x). The encoder here is a little wrong, and elbo pays for that.",
)
def _(answer: Answer, g: Generator) -> None:
    noise = float(uniform(0.6, 1, g))
    x = normal((3, 1), g)
    # z ~ N(0, 1), x | z ~ N(z, noise²): so z | x is N(x / (1 + noise²), noise² / (1 + noise²)).
    exact = Normal(x / (1 + noise**2), noise / math.sqrt(1 + noise**2))
    encoder = Normal(exact.mean + 0.1, 1.2 * exact.stddev)
    z = encoder.mean + encoder.stddev * normal((3, 4000), g)
    log_w = Normal(0.0, 1.0).log_prob(z) + Normal(z, noise).log_prob(x) - encoder.log_prob(z)
    elbo, log_p_theta = answer(log_w)
    truth = Normal(scalar(0.0), math.sqrt(1 + noise**2)).log_prob(x[:, 0])
    wrong_by = torch.distributions.kl_divergence(encoder, exact)[:, 0]
    tol = 6 * float(log_w.std(1).max()) / math.sqrt(4000)
    answer.agrees("log_p_theta", truth, log_p_theta, tol=tol)
    answer.agrees("elbo", truth - wrong_by, elbo, tol=tol)


@IMPORTANCE.check(
    "weights as small as e^−2000, or as large as e^2000, do no harm",
    "torch has a function that adds up in logarithms. With exp, nothing would be left of such a weight.",
)
def _(answer: Answer, g: Generator) -> None:
    log_w = normal((3, 6), g)
    elbo, log_p_theta = _own_importance(log_w)
    for far in (-2000.0, 2000.0):
        shift = torch.tensor([far, 0.6 * far, 0.5 * far], dtype=torch.float64)
        answer.gives([log_w + shift[:, None]], elbo + shift, log_p_theta + shift)
    row = torch.full((2, 10), -2000.0, dtype=torch.float64)  # one draw has all the weight, the others have none
    row[0, int(torch.randint(10, (), generator=g))] = 0.0
    row[1, int(torch.randint(10, (), generator=g))] = 1.0
    answer.gives([row], row.mean(1), row.max(1).values - math.log(10))


@IMPORTANCE.check(
    "with one draw, or with equal weights, both are the same", "The average of equal numbers is one of them."
)
def _(answer: Answer, g: Generator) -> None:
    one = normal((4, 1), g)
    answer.gives([one], one[:, 0], one[:, 0])
    answer.gives([one.expand(4, 5).clone()], one[:, 0], one[:, 0])


@IMPORTANCE.check("it takes float32 too", "Nothing in the formulas depends on the precision.")
def _(answer: Answer, g: Generator) -> None:
    log_w = normal((5, 8), g)
    answer.gives([log_w.float()], *_own_importance(log_w), tol=FLOAT32_TOL)


@IMPORTANCE.mistake("Averages over the points. Each *point* has its own draws, in its own row.")
def over_the_points(log_w: Tensor) -> Pair:
    return log_w.mean(0), log_w.logsumexp(0) - math.log(log_w.shape[0])


@IMPORTANCE.mistake(
    "log_p_theta is the logarithm of the *sum* of the weights. More draws would make every point more likely."
)
def sum_of_weights(log_w: Tensor) -> Pair:
    return log_w.mean(1), log_w.logsumexp(1)


@IMPORTANCE.mistake("The logarithm of n is added. An average divides by n: what does its logarithm do?")
def log_n_added(log_w: Tensor) -> Pair:
    return log_w.mean(1), log_w.logsumexp(1) + math.log(log_w.shape[1])


@IMPORTANCE.mistake("The logarithm of the sum is divided by n. The sum itself was to be divided.")
def log_divided(log_w: Tensor) -> Pair:
    return log_w.mean(1), log_w.logsumexp(1) / log_w.shape[1]


@IMPORTANCE.mistake("The log-weights are summed over the draws. The ELBO is an expectation: their average.")
def sum_of_logs(log_w: Tensor) -> Pair:
    return log_w.sum(1), _own_importance(log_w)[1]


@IMPORTANCE.mistake("Both are the average of log w. For log_p_theta the weights are averaged before the logarithm.")
def twice_the_elbo(log_w: Tensor) -> Pair:
    return log_w.mean(1), log_w.mean(1)


@IMPORTANCE.mistake("Both are the logarithm of the average of w. For elbo the logarithms themselves are averaged.")
def twice_log_p_theta(log_w: Tensor) -> Pair:
    _, log_p_theta = _own_importance(log_w)
    return log_p_theta, log_p_theta


@IMPORTANCE.mistake(
    "Something else than the largest log-weight was taken out before exp. What is left may be large, and exp of it "
    "infinite."
)
def not_the_largest(log_w: Tensor) -> Pair:
    middle = log_w.mean(1, keepdim=True)
    return log_w.mean(1), middle[:, 0] + (log_w - middle).exp().mean(1).log()


@IMPORTANCE.mistake("elbo and log_p_theta have changed places: elbo is the one that is never above the other.")
def swapped(log_w: Tensor) -> Pair:
    return _own_importance(log_w)[::-1]  # type: ignore[return-value]


@IMPORTANCE.mistake("log_p_theta is the largest log-weight. It dominates the average, but the others count as well.")
def largest(log_w: Tensor) -> Pair:
    return log_w.mean(1), log_w.max(1).values


@IMPORTANCE.mistake("This is the average weight itself. Its logarithm was asked for.")
def no_logarithm(log_w: Tensor) -> Pair:
    return log_w.mean(1), log_w.exp().mean(1)


@IMPORTANCE.mistake("The points are averaged as well. Each has an elbo and a log_p_theta of its own: (B,).")
def averaged_over_the_points(log_w: Tensor) -> Pair:
    elbo, log_p_theta = _own_importance(log_w)
    return elbo.mean(), log_p_theta.mean()


@IMPORTANCE.mistake("The largest log-weight was taken out first, and is not put back at the end.")
def largest_left_out(log_w: Tensor) -> Pair:
    elbo, log_p_theta = _own_importance(log_w)
    return elbo, log_p_theta - log_w.max(1).values


@IMPORTANCE.mistake("log_p_theta is log n below what it should be: n is divided out twice.")
def n_twice(log_w: Tensor) -> Pair:
    return log_w.mean(1), log_w.logsumexp(1) - 2 * math.log(log_w.shape[1])


_VANISH = (
    "exp of −2000 is 0 for the computer, and exp of 2000 infinite: nothing is left of such a weight, and its logarithm "
    "is ∓∞. Which number may be taken out of the whole row before exp, and put back after the logarithm?"
)


@IMPORTANCE.mistake(_VANISH)
def naive(log_w: Tensor) -> Pair:
    return log_w.mean(1), log_w.exp().mean(1).log()


@IMPORTANCE.mistake(
    "One number is taken out of all rows before exp, the largest of the whole batch. Rows far below it vanish: each "
    "point needs the largest of its own row."
)
def largest_of_the_batch(log_w: Tensor) -> Pair:
    return log_w.mean(1), log_w.max() + (log_w - log_w.max()).exp().mean(1).log()


@IMPORTANCE.mistake("n itself is subtracted. Divided by n below the logarithm: what is that above it?")
def n_subtracted(log_w: Tensor) -> Pair:
    return log_w.mean(1), log_w.logsumexp(1) - log_w.shape[1]


@IMPORTANCE.mistake("log n takes the number of points for n. How many draws has each point?")
def number_of_points(log_w: Tensor) -> Pair:
    return log_w.mean(1), log_w.logsumexp(1) - math.log(len(log_w))


@IMPORTANCE.mistake("Divided by n − 1 below the logarithm. An average of n weights is their sum divided by n.")
def n_minus_1(log_w: Tensor) -> Pair:
    return log_w.mean(1), log_w.logsumexp(1) - math.log(log_w.shape[1] - 1)


@IMPORTANCE.mistake("Divided by log n. The logarithm of a quotient is a difference.")
def divided_by_log_n(log_w: Tensor) -> Pair:
    return log_w.mean(1), log_w.logsumexp(1) / math.log(log_w.shape[1])


@IMPORTANCE.mistake(
    "log_p_theta is an average of log w in which heavy draws count more. It is the logarithm of the plain average of w."
)
def self_weighted(log_w: Tensor) -> Pair:
    return log_w.mean(1), (log_w.softmax(1) * log_w).sum(1)


@IMPORTANCE.mistake("elbo is the median of log w. An expectation is estimated by the mean.")
def median(log_w: Tensor) -> Pair:
    return log_w.median(1).values, _own_importance(log_w)[1]


@IMPORTANCE.mistake("The weights are averaged for elbo, and not their logarithms.")
def elbo_of_weights(log_w: Tensor) -> Pair:
    return log_w.exp().mean(1), _own_importance(log_w)[1]


@IMPORTANCE.mistake("The sign is turned: these are losses, −elbo and −log p_θ. The numbers themselves were asked for.")
def losses(log_w: Tensor) -> Pair:
    elbo, log_p_theta = _own_importance(log_w)
    return -elbo, -log_p_theta


@IMPORTANCE.mistake("log_p_theta is what it has *more* than elbo. It was to be the whole of it.")
def difference(log_w: Tensor) -> Pair:
    elbo, log_p_theta = _own_importance(log_w)
    return elbo, log_p_theta - elbo


@IMPORTANCE.mistake("log_p_theta is in bits, a logarithm to the base 2. Natural logarithms, nats, were asked for.")
def bits(log_w: Tensor) -> Pair:
    return torch.full_like(log_w[:, 0], torch.nan), _own_importance(log_w)[1] / math.log(2)
