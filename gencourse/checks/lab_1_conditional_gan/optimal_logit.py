"""The best discriminator between two Gaussians, in closed form. Lecture 01 (7)."""

import math

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.diagnose import diagnose
from gencourse.checks.lab_1_conditional_gan.given import FLOAT32_TOL, normal, scalar, uniform
from gencourse.checks.spec import Exercise
from genlib import data


def _own_optimal_logit(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    # log p − log p_G; log √(2π) is the same in both, and cancels
    log_p = -0.5 * ((y - mean) / std) ** 2 - std.log()
    log_p_G = -0.5 * ((y - mean_G) / std_G) ** 2 - std_G.log()
    return log_p - log_p_G


OPTIMAL = Exercise(
    "gan.optimal_logit",
    _own_optimal_logit,
    returns=["logit"],
    batched=["y"],
    plain=True,
    second="Write log p(y) of a Gaussian in full: −½ ((y − μ)/σ)² − log σ − ½ log 2π. The logit is this for the data, "
    "minus this for G. Which part cancels, and which does not?",
    why="D knows a ratio of densities and no density: at its best it is all that G can ever learn from.",
)
Five = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def _numbers(g: Generator) -> Five:
    """y, and two Gaussians that differ in mean and deviation; no deviation is 1."""
    mean, mean_G = uniform(0.2, 1.0, g), uniform(-1.0, -0.2, g)
    std, std_G = uniform(0.4, 0.8, g), uniform(1.3, 1.9, g)
    return normal((6,), g), scalar(mean), scalar(std), scalar(mean_G), scalar(std_G)


def _density(y: float, mean: Tensor, std: Tensor) -> float:
    return math.exp(-0.5 * ((y - float(mean)) / float(std)) ** 2) / (float(std) * math.sqrt(2 * math.pi))


@OPTIMAL.check(
    "its sigmoid is p_data / (p_data + p_G)",
    "If sigmoid(a) = p / (p + p_G), what is a? Write it with log p and log p_G, and put the two Gaussians in.",
)
def _(answer: Answer, g: Generator) -> None:
    y, mean, std, mean_G, std_G = _numbers(g)
    share = []
    for v in y.tolist():
        p, p_G = _density(v, mean, std), _density(v, mean_G, std_G)
        share.append(p / (p + p_G))
    logit = answer(y, mean, std, mean_G, std_G)
    answer.agrees("sigmoid(logit)", torch.tensor(share, dtype=torch.float64), logit.sigmoid())


@OPTIMAL.check(
    "where G has found the data, D knows nothing; with equal deviations the logit is a straight line",
    "Two equal Gaussians have the ratio 1. Which powers of y are left where only the means differ?",
)
def _(answer: Answer, g: Generator) -> None:
    y, mean, std, mean_G, _ = _numbers(g)
    answer.gives([y, mean, std, mean, std], torch.zeros_like(y))
    middle = (mean + mean_G) / 2
    answer.gives([y, mean, std, mean_G, std], (mean - mean_G) * (y - middle) / std**2)


@OPTIMAL.check(
    "far away, too, it is a finite number",
    "Far from both Gaussians their densities are 0 on a computer, and 0/0 says nothing. Subtract the logarithms.",
)
def _(answer: Answer, g: Generator) -> None:
    _, mean, std, mean_G, std_G = _numbers(g)
    y = torch.tensor([-200.0, 150.0], dtype=torch.float64)
    expected = [
        0.5 * ((v - float(mean_G)) / float(std_G)) ** 2
        - 0.5 * ((v - float(mean)) / float(std)) ** 2
        + math.log(float(std_G) / float(std))
        for v in y.tolist()
    ]
    logit = answer(y, mean, std, mean_G, std_G)
    known, _ = diagnose(answer, named_only=True)
    if not known and logit[0] == logit[1]:
        answer.wrong(
            "clamped",
            OPTIMAL.mistakes["clamped"].hint,
            expected=f"logit = {expected[0]:.4g}, {expected[1]:.4g}",
            got=f"logit = {float(logit[0]):.4g} for both",
        )
    answer.agrees("logit", torch.tensor(expected, dtype=torch.float64), logit)


@OPTIMAL.check("it takes float32 too", "Nothing in the formula depends on the precision of y.")
def _(answer: Answer, g: Generator) -> None:
    numbers = _numbers(g)
    answer.gives([v.float() for v in numbers], _own_optimal_logit(*numbers), tol=10 * FLOAT32_TOL)


@OPTIMAL.check("it agrees with genlib's mixtures", "Compare with data.GaussianMixture(...).optimal_discriminator.")
def _(answer: Answer, g: Generator) -> None:
    y, mean, std, mean_G, std_G = _numbers(g)
    p, p_G = (data.GaussianMixture(m.view(1, 1), s.square().view(1, 1, 1)) for m, s in ((mean, std), (mean_G, std_G)))
    answer.gives([y, mean, std, mean_G, std_G], p.optimal_discriminator(y[:, None], p_G))


def _quadratic(y: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return ((y - mean) / std).square()


@OPTIMAL.mistake("The two Gaussians have changed places: D is to say how likely y is *real*, so p_data comes first.")
def swapped(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return -_own_optimal_logit(y, mean, std, mean_G, std_G)


@OPTIMAL.mistake(
    "Something small was added to the densities. Far from both it decides alone, and the logit is wrong. Do not go "
    "through p at all: subtract logarithms, and nothing needs to be added."
)
def epsilon(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    p, p_G = torch.distributions.Normal(mean, std), torch.distributions.Normal(mean_G, std_G)
    return (p.log_prob(y).exp() + 1e-12).log() - (p_G.log_prob(y).exp() + 1e-12).log()


@OPTIMAL.mistake("This is the ratio p/p_G. The logit is its logarithm.")
def ratio(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return _own_optimal_logit(y, mean, std, mean_G, std_G).exp()


@OPTIMAL.mistake("This is D* as a probability. Its logit was asked for: what comes before the sigmoid.")
def probability(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return _own_optimal_logit(y, mean, std, mean_G, std_G).sigmoid()


@OPTIMAL.mistake("This is log D*, the logarithm of a probability. The logit is log D* − log(1 − D*).")
def log_probability(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return torch.nn.functional.logsigmoid(_own_optimal_logit(y, mean, std, mean_G, std_G))


@OPTIMAL.mistake("The factors 1/σ are missing: a wide Gaussian is lower than a narrow one. √(2π) cancels; do they?")
def no_log_std(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return 0.5 * _quadratic(y, mean_G, std_G) - 0.5 * _quadratic(y, mean, std)


@OPTIMAL.mistake("The logarithms of the two deviations have the wrong sign: a narrow p_data is a high one.")
def log_std_turned(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return no_log_std(y, mean, std, mean_G, std_G) + (std / std_G).log()


@OPTIMAL.mistake("The ½ of the exponents is missing.")
def no_half(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return _quadratic(y, mean_G, std_G) - _quadratic(y, mean, std) + (std_G / std).log()


@OPTIMAL.mistake("The quadratic terms have changed their signs: far from the data's mean y should look fake.")
def quadratic_turned(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return -no_log_std(y, mean, std, mean_G, std_G) + (std_G / std).log()


@OPTIMAL.mistake("The deviations stand in the exponents as if they were variances: (y − μ)²/σ. What is missing?")
def std_as_variance(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    narrow, wide = (y - mean).square() / std, (y - mean_G).square() / std_G
    return 0.5 * wide - 0.5 * narrow + (std_G / std).log()


@OPTIMAL.mistake("The variances' logarithms enter without their ½: log σ counts twice.")
def log_variance(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return no_log_std(y, mean, std, mean_G, std_G) + 2 * (std_G / std).log()


@OPTIMAL.mistake("The distances are not squared.")
def not_squared(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return 0.5 * (y - mean_G).abs() / std_G - 0.5 * (y - mean).abs() / std + (std_G / std).log()


@OPTIMAL.mistake("This is log p_data alone. D compares it with something.")
def data_alone(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return torch.distributions.Normal(mean, std).log_prob(y)


@OPTIMAL.mistake(
    "Far away both densities round to 0, and 0/0 is left. Do not go through p at all: subtract logarithms."
)
def through_densities(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    p = torch.exp(-_quadratic(y, mean, std) / 2) / std
    p_G = torch.exp(-_quadratic(y, mean_G, std_G) / 2) / std_G
    return torch.log(p / p_G)


@OPTIMAL.mistake("Normal takes a standard deviation, and got its square. What is given here, σ or σ²?")
def variance_for_std(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return _own_optimal_logit(y, mean, std.square(), mean_G, std_G.square())


@OPTIMAL.mistake("std is read as a variance, below the square and in the logarithm. What is given here, σ or σ²?")
def variance_throughout(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return _own_optimal_logit(y, mean, std.sqrt(), mean_G, std_G.sqrt())


@OPTIMAL.mistake(
    "std is read as a variance below the square, and its logarithm is missing: a wide Gaussian is lower than a narrow "
    "one."
)
def std_as_variance_alone(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return no_log_std(y, mean, std.sqrt(), mean_G, std_G.sqrt())


@OPTIMAL.mistake("The logarithms are added. Which sign has that of what stands below in p/p_G?")
def added(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    p, p_G = torch.distributions.Normal(mean, std), torch.distributions.Normal(mean_G, std_G)
    return p.log_prob(y) + p_G.log_prob(y)


@OPTIMAL.mistake("One σ stands below both distances. Each Gaussian has its own.")
def one_std(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return _own_optimal_logit(y, mean, std, mean_G, std)


@OPTIMAL.mistake("Cut off: far out all y have the same logit here. A logit may be as large as it likes.")
def clamped(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return _own_optimal_logit(y, mean, std, mean_G, std_G).clamp(-30, 30)


@OPTIMAL.mistake("log σ counts half. log σ² counts half, and that is log σ once.")
def half_log_std(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return no_log_std(y, mean, std, mean_G, std_G) + 0.5 * (std_G / std).log()


@OPTIMAL.mistake("The two means have changed places, the deviations have not.")
def means_swapped(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    return _own_optimal_logit(y, mean_G, std, mean, std_G)


@OPTIMAL.mistake("One logarithm is divided by the other. The logarithm of a ratio is a difference.")
def divided(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    p, p_G = torch.distributions.Normal(mean, std), torch.distributions.Normal(mean_G, std_G)
    return p.log_prob(y) / p_G.log_prob(y)


@OPTIMAL.mistake("This is p − p_G. The best D knows the ratio of the two, and its logit is the ratio's logarithm.")
def densities_subtracted(y: Tensor, mean: Tensor, std: Tensor, mean_G: Tensor, std_G: Tensor) -> Tensor:
    p, p_G = torch.distributions.Normal(mean, std), torch.distributions.Normal(mean_G, std_G)
    return p.log_prob(y).exp() - p_G.log_prob(y).exp()
