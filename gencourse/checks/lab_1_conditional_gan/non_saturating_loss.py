"""G's loss as it is used: with a gradient where D wins. Lecture 02 (3)."""

import math

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from gencourse.checks.answer import Answer
from gencourse.checks.lab_1_conditional_gan.given import (
    FAR,
    FLOAT32_TOL,
    logits,
    mean_log,
    normal,
    passes_gradients,
    pays_in_proportion,
    probabilities,
    scalar,
)
from gencourse.checks.spec import Exercise
from genlib import gan


def _own_non_saturating_loss(fake: Tensor) -> Tensor:
    return gan.generator_loss(fake, "non_saturating")


NON_SATURATING = Exercise("gan.non_saturating_loss", _own_non_saturating_loss, returns=["loss"])


@NON_SATURATING.check(
    "it is −E log P(real) on fakes",
    "G's fakes are scored as if they were real. How did D's loss score real pictures?",
)
def _(answer: Answer, g: Generator) -> None:
    p = probabilities(5, g)
    answer.gives([logits(p)], scalar(-mean_log(p)))


@NON_SATURATING.check(
    "it is large where D sees the fake, and every patch counts the same",
    "At a logit of 0 it is log 2; below, it grows.",
)
def _(answer: Answer, g: Generator) -> None:
    answer.gives([torch.zeros(4, 1, 2, 3, dtype=torch.float64)], scalar(math.log(2)))
    p = probabilities(12, g)
    answer.gives([logits(p).view(2, 1, 2, 3)], scalar(-mean_log(p)))


@NON_SATURATING.check(
    "where D is sure, the loss still has a slope",
    "The sigmoid of a very negative logit is 0, and log 0 is infinite. Stay with the logits.",
)
def _(answer: Answer, g: Generator) -> None:
    far = torch.full((3, 1, 1, 1), FAR, dtype=torch.float64)
    pays_in_proportion(answer, [-3 * far], 3 * FAR)
    answer.gives([far], scalar(0.0))


@NON_SATURATING.check("gradients reach the logits", "G learns through D: stay in torch, and detach nothing.")
def _(answer: Answer, g: Generator) -> None:
    answer(normal((3, 1, 2, 2), g).requires_grad_())
    passes_gradients(answer, "the logits")
    for logit in (-FAR, FAR):  # where the loss is a straight line, or 0
        answer(torch.full((3, 1, 1, 1), logit, dtype=torch.float64).requires_grad_())
        answer.passes_back("fake")


@NON_SATURATING.check("it takes float32 too", "Nothing in the formula depends on the precision of the logits.")
def _(answer: Answer, g: Generator) -> None:
    p = probabilities(6, g)
    answer.gives([logits(p).float()], scalar(-mean_log(p)), tol=FLOAT32_TOL)


@NON_SATURATING.mistake("This is the minimax loss, E log(1 − P(real)), from the exercise before.")
def minimax(fake: Tensor) -> Tensor:
    return -softplus(fake).mean()


@NON_SATURATING.mistake(
    "This is D's term for fakes: it falls where D sees through them. G wants its fakes called real."
)
def discriminators(fake: Tensor) -> Tensor:
    return softplus(fake).mean()


@NON_SATURATING.mistake("The sign is turned: log P(real) is to become large, and a loss is made small.")
def maximised(fake: Tensor) -> Tensor:
    return -softplus(-fake).mean()


@NON_SATURATING.mistake("A sum over the batch. An expectation is an average, and does not grow with the batch.")
def summed(fake: Tensor) -> Tensor:
    return softplus(-fake).sum()


@NON_SATURATING.mistake("One number for each logit. A loss is one number for the batch: their average.")
def not_averaged(fake: Tensor) -> Tensor:
    return softplus(-fake)


@NON_SATURATING.mistake(
    "A sigmoid too many: the logits became probabilities, and then were taken for logits. Softplus, logsigmoid and "
    "with_logits have the sigmoid inside."
)
def sigmoid_twice(fake: Tensor) -> Tensor:
    return softplus(-fake.sigmoid()).mean()


@NON_SATURATING.mistake(
    "The logarithm is missing: 1 − P(real) itself is flat where D wins, just where G needs a slope."
)
def no_log(fake: Tensor) -> Tensor:
    return (1 - fake.sigmoid()).mean()


@NON_SATURATING.mistake(
    "The target is 0.9. Label smoothing is for D, on real pictures; G's fakes are to be called real."
)
def smoothed(fake: Tensor) -> Tensor:
    return 0.9 * softplus(-fake).mean() + 0.1 * softplus(fake).mean()


@NON_SATURATING.mistake(
    "Infinite where D is sure: there sigmoid rounds to 0, and exp overflows. −log sigmoid(a) is softplus of what?"
)
def log_of_sigmoid(fake: Tensor) -> Tensor:
    return -fake.sigmoid().log().mean()


@NON_SATURATING.mistake("Cut off at 100: binary_cross_entropy does so with probabilities. Its sister takes logits.")
def clamped(fake: Tensor) -> Tensor:
    return -fake.sigmoid().log().clamp(min=-100).mean()


@NON_SATURATING.mistake("This is the hinge GAN's or a critic's −E D. Here it is a logarithm of a probability.")
def critic(fake: Tensor) -> Tensor:
    return -fake.mean()


@NON_SATURATING.mistake(
    "Cut off: the probability is kept away from 0, and from there on the loss has no slope, just where G needs one. On "
    "logits nothing needs to be cut: −log sigmoid(a) is softplus of what?"
)
def cut_off(fake: Tensor) -> Tensor:
    return -fake.sigmoid().clamp(1e-7, 1 - 1e-7).log().mean()


@NON_SATURATING.mistake(
    "Something small was added inside the logarithm. That changes every value a little, and where D is sure the "
    "gradient is lost. On logits nothing needs to be added."
)
def epsilon(fake: Tensor) -> Tensor:
    return -(fake.sigmoid() + 1e-8).log().mean()


@NON_SATURATING.mistake(
    "fake is taken for a probability, in log fake. It is a logit: any number, and P is its sigmoid."
)
def taken_for_probabilities(fake: Tensor) -> Tensor:
    return -fake.log().mean()


@NON_SATURATING.mistake("The logarithm is taken of the mean. It is the logarithms that are averaged.")
def log_of_mean(fake: Tensor) -> Tensor:
    return -fake.sigmoid().mean().log()
