"""G's loss as the game has it: the opposite of D's. Lecture 02 (3)."""

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


def _own_minimax_loss(fake: Tensor) -> Tensor:
    return gan.generator_loss(fake, "minimax")


MINIMAX = Exercise("gan.minimax_loss", _own_minimax_loss, returns=["loss"])


@MINIMAX.check(
    "it is E log(1 − P(real)) on fakes",
    "This is the term of D's loss that G can move, with the other sign. What was it, on logits?",
)
def _(answer: Answer, g: Generator) -> None:
    p = probabilities(5, g)
    answer.gives([logits(p)], scalar(mean_log([1 - v for v in p])))


@MINIMAX.check(
    "what D loses by a fake, G wins",
    "At a logit of 0 D pays log 2 for a fake. What does G pay?",
)
def _(answer: Answer, g: Generator) -> None:
    answer.gives([torch.zeros(4, 1, 2, 3, dtype=torch.float64)], scalar(-math.log(2)))
    p = probabilities(12, g)
    answer.gives([logits(p).view(2, 1, 2, 3)], scalar(mean_log([1 - v for v in p])))


@MINIMAX.check(
    "logits of any size are fine",
    "The sigmoid of a large logit is exactly 1, and 1 − 1 has no logarithm. Stay with the logits.",
)
def _(answer: Answer, g: Generator) -> None:
    far = torch.full((3, 1, 1, 1), FAR, dtype=torch.float64)
    pays_in_proportion(answer, [far], -FAR)
    answer.gives([-far], scalar(0.0))


@MINIMAX.check("gradients reach the logits", "G learns through D: stay in torch, and detach nothing.")
def _(answer: Answer, g: Generator) -> None:
    answer(normal((3, 1, 2, 2), g).requires_grad_())
    passes_gradients(answer, "the logits")
    for logit in (-FAR, FAR):  # where the loss is a straight line, or 0
        answer(torch.full((3, 1, 1, 1), logit, dtype=torch.float64).requires_grad_())
        answer.passes_back("fake")


@MINIMAX.check("it takes float32 too", "Nothing in the formula depends on the precision of the logits.")
def _(answer: Answer, g: Generator) -> None:
    p = probabilities(6, g)
    answer.gives([logits(p).float()], scalar(mean_log([1 - v for v in p])), tol=FLOAT32_TOL)


@MINIMAX.mistake(
    "This is the non-saturating loss, −E log P(real): the next exercise. Here G minimises what D maximises."
)
def non_saturating(fake: Tensor) -> Tensor:
    return softplus(-fake).mean()


@MINIMAX.mistake("The sign is D's: this number falls where D sees through the fakes. G wants the opposite.")
def maximised(fake: Tensor) -> Tensor:
    return softplus(fake).mean()


@MINIMAX.mistake(
    "This is E log P(real), and G would make it small: then D sees its fakes. Which logarithm has the game?"
)
def log_of_p(fake: Tensor) -> Tensor:
    return -softplus(-fake).mean()


@MINIMAX.mistake("A sum over the batch. An expectation is an average, and does not grow with the batch.")
def summed(fake: Tensor) -> Tensor:
    return -softplus(fake).sum()


@MINIMAX.mistake("One number for each logit. A loss is one number for the batch: their average.")
def not_averaged(fake: Tensor) -> Tensor:
    return -softplus(fake)


@MINIMAX.mistake("An average for each picture is left. A loss is one number, for all pictures and patches.")
def per_picture(fake: Tensor) -> Tensor:
    return -softplus(fake).flatten(1).mean(1)


@MINIMAX.mistake(
    "A sigmoid too many: the logits became probabilities, and then were taken for logits. Softplus, logsigmoid and "
    "with_logits have the sigmoid inside."
)
def sigmoid_twice(fake: Tensor) -> Tensor:
    return -softplus(fake.sigmoid()).mean()


@MINIMAX.mistake("The logarithm is missing: this is the mean of 1 − P(real) itself.")
def no_log(fake: Tensor) -> Tensor:
    return (1 - fake.sigmoid()).mean()


@MINIMAX.mistake(
    "Infinite where D is fooled completely: 1 − sigmoid is exactly 0 there, and exp overflows. log(1 − sigmoid(a)) is "
    "−softplus of what?"
)
def log_of_sigmoid(fake: Tensor) -> Tensor:
    return (1 - fake.sigmoid()).log().mean()


@MINIMAX.mistake("The logarithm is taken of the mean. It is the logarithms that are averaged.")
def log_of_mean(fake: Tensor) -> Tensor:
    return (1 - fake.sigmoid()).mean().log()


@MINIMAX.mistake(
    "Cut off: the probability is kept away from 1, and from there on the loss has no slope. On logits nothing needs to "
    "be cut: log(1 − sigmoid(a)) is −softplus of what?"
)
def cut_off(fake: Tensor) -> Tensor:
    return (1 - fake.sigmoid().clamp(1e-7, 1 - 1e-7)).log().mean()


@MINIMAX.mistake(
    "Something small was added inside the logarithm. That changes every value a little, and where D is fooled the "
    "gradient is lost. On logits nothing needs to be added."
)
def epsilon(fake: Tensor) -> Tensor:
    return (1 - fake.sigmoid() + 1e-8).log().mean()


@MINIMAX.mistake("fake is taken for a probability in 1 − fake. It is a logit: any number, and P is its sigmoid.")
def taken_for_probabilities(fake: Tensor) -> Tensor:
    return (1 - fake).log().mean()
