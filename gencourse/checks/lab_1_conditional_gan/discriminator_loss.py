"""What D is trained to do, on logits. Lecture 01 (6)."""

import math

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from gencourse.checks.answer import Answer
from gencourse.checks.lab_1_conditional_gan.given import (
    FAR,
    FLOAT32_TOL,
    double,
    logits,
    mean_log,
    normal,
    passes_gradients,
    pays_in_proportion,
    probabilities,
    scalar,
)
from gencourse.checks.spec import Exercise


def _own_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    # −log P is softplus(−a) of the logit a, and −log(1 − P) is softplus(a): no sigmoid, nothing to round to 0
    return torch.nn.functional.softplus(-real).mean() + torch.nn.functional.softplus(fake).mean()


D_LOSS = Exercise(
    "gan.discriminator_loss",
    _own_discriminator_loss,
    returns=["loss"],
    second="Take one logit a first. −log P(real) is softplus(−a), −log(1 − P(real)) is softplus(a). Which of the two "
    "belongs to `real`, which to `fake`? Then one .mean() for each, and a plus between them.",
    why="D is trained like any classifier; what is new is that its second class is made by another network.",
)


@D_LOSS.pace
def _(g: Generator) -> tuple[Tensor, Tensor]:
    return normal((8, 1, 7, 7), g), normal((8, 1, 7, 7), g)


@D_LOSS.check(
    "it is −E log P(real) on real pictures, and −E log(1 − P(real)) on fakes",
    "Each expectation is an average by itself, taken before the two are added. And D's logit is log P/(1 − P): what is "
    "−log of a sigmoid, and of 1 − a sigmoid, as one function of the logit?",
)
@double()
def _(answer: Answer, g: Generator) -> None:
    p, q = probabilities(5, g), probabilities(3, g)
    expected = -mean_log(p) - mean_log([1 - v for v in q])
    answer.gives([logits(p), logits(q)], scalar(expected))


@D_LOSS.check(
    "a D that knows nothing pays log 2 for each of the two",
    "Logits of 0 are probabilities of one half. What is −log ½ − log ½?",
)
@double()
def _(answer: Answer, g: Generator) -> None:
    for shape in ((1, 1, 1, 1), (4, 1, 2, 3), (7,)):
        zeros = torch.zeros(shape, dtype=torch.float64)
        answer.gives([zeros, zeros], scalar(2 * math.log(2)))


@D_LOSS.check(
    "every patch of every picture counts the same",
    "Average over everything: pictures and patches. Real and fake each have an average of their own.",
)
@double()
def _(answer: Answer, g: Generator) -> None:
    p, q = probabilities(12, g), probabilities(24, g)
    expected = -mean_log(p) - mean_log([1 - v for v in q])
    answer.gives([logits(p).view(2, 1, 2, 3), logits(q).view(4, 1, 3, 2)], scalar(expected))


@D_LOSS.check(
    "logits of any size are fine: a D that errs by far pays for it in proportion",
    "The sigmoid of a large logit is exactly 1, and 1 − 1 has no logarithm. Is there a function that never leaves "
    "the logits? Look for softplus, logsigmoid, or binary_cross_entropy_with_logits.",
)
@double()
def _(answer: Answer, g: Generator) -> None:
    far = torch.full((2, 1, 1, 1), FAR, dtype=torch.float64)
    pays_in_proportion(answer, [-far, far], 2 * FAR)
    answer.gives([far, -far], scalar(0.0))


@D_LOSS.check("gradients reach the logits", "D learns from this number: stay in torch, and detach nothing.")
@double()
def _(answer: Answer, g: Generator) -> None:
    for name, asks in (("real", (True, False)), ("fake", (False, True))):
        answer(*(normal((3, 1, 2, 2), g).requires_grad_(ask) for ask in asks))
        passes_gradients(
            answer,
            f"the logits `{name}`",
            "D learns from both terms. It is the *pictures* that are cut off from G, before D sees them; D's logits, "
            "real and fake, stay as they are.",
        )
    for logit in (-FAR, FAR):  # where the loss is a straight line, or 0
        far = torch.full((3, 1, 1, 1), logit, dtype=torch.float64)
        answer((-far).requires_grad_(), far.requires_grad_())
        answer.passes_back("real", "fake")


@D_LOSS.check("it takes float32 too", "Nothing in the formula depends on the precision of the logits.")
def _(answer: Answer, g: Generator) -> None:
    p, q = probabilities(6, g), probabilities(6, g)
    expected = -mean_log(p) - mean_log([1 - v for v in q])
    answer.gives([logits(p).float(), logits(q).float()], scalar(expected), tol=FLOAT32_TOL)


@D_LOSS.mistake("Real and fake have changed places: this D is paid for calling real pictures fake.")
def swapped(real: Tensor, fake: Tensor) -> Tensor:
    return _own_discriminator_loss(fake, real)


@D_LOSS.mistake("The sign is turned. The paper's D maximises; an optimizer makes its loss small.")
def maximised(real: Tensor, fake: Tensor) -> Tensor:
    return -_own_discriminator_loss(real, fake)


@D_LOSS.mistake("Half of it. That slows D down, as the paper does on purpose; here the two terms are just added.")
def halved(real: Tensor, fake: Tensor) -> Tensor:
    return 0.5 * _own_discriminator_loss(real, fake)


@D_LOSS.mistake("These are sums over the batch. Expectations are averages, and do not grow with the batch.")
def summed(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-real).sum() + softplus(fake).sum()


@D_LOSS.mistake("What D says of one picture's patches is added up. Each expectation is one average, over patches, too.")
def patches_summed(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-real).flatten(1).sum(1).mean() + softplus(fake).flatten(1).sum(1).mean()


@D_LOSS.mistake(
    "Squares of probabilities: that is the loss of a least-squares GAN. Which function of P is asked for here?"
)
def squares(real: Tensor, fake: Tensor) -> Tensor:
    return (1 - real.sigmoid()).square().mean() + fake.sigmoid().square().mean()


@D_LOSS.mistake("Only real pictures count here. What keeps D from calling everything real?")
def real_only(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-real).mean()


@D_LOSS.mistake("Only fakes count here. What keeps D from calling everything fake?")
def fake_only(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(fake).mean()


@D_LOSS.mistake("Fakes count as real, too: both terms ask for large logits. Which one should ask for small ones?")
def both_real(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-real).mean() + softplus(-fake).mean()


@D_LOSS.mistake(
    "A sigmoid too many: D's outputs became probabilities, and then were taken for logits. Functions that end in "
    "with_logits, softplus and logsigmoid have the sigmoid inside."
)
def sigmoid_twice(real: Tensor, fake: Tensor) -> Tensor:
    return _own_discriminator_loss(real.sigmoid(), fake.sigmoid())


@D_LOSS.mistake("One average over real and fake together. Each has its own, however many there are.")
def one_mean(real: Tensor, fake: Tensor) -> Tensor:
    return torch.cat([softplus(-real).flatten(), softplus(fake).flatten()]).mean()


@D_LOSS.mistake("One average over real and fake together, doubled: right only where there are as many of both.")
def one_mean_doubled(real: Tensor, fake: Tensor) -> Tensor:
    return 2 * one_mean(real, fake)


@D_LOSS.mistake("The target of real pictures is 0.9 here: label smoothing, with another best D. We want D* itself: 1.")
def smoothed(real: Tensor, fake: Tensor) -> Tensor:
    return 0.9 * softplus(-real).mean() + 0.1 * softplus(real).mean() + softplus(fake).mean()


@D_LOSS.mistake(
    "The targets are 0.9 and 0.1. Smoothing fakes, too, praises D for seeing something real in what is fake; here the "
    "targets are 1 and 0."
)
def smoothed_both(real: Tensor, fake: Tensor) -> Tensor:
    return smoothed(real, fake) + 0.1 * (softplus(-fake).mean() - softplus(fake).mean())


@D_LOSS.mistake(
    "Infinite where D is sure and wrong: the sigmoid of a large logit is exactly 1, and 1 − 1 has no logarithm; "
    "and exp overflows. Never leave the logits: −log sigmoid(a) is softplus of what?"
)
def log_of_sigmoid(real: Tensor, fake: Tensor) -> Tensor:
    return -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean()


@D_LOSS.mistake(
    "Something small was added inside the logarithm. That changes every value a little, and where D is sure and wrong "
    "the gradient is lost. On logits nothing needs to be added."
)
def epsilon(real: Tensor, fake: Tensor) -> Tensor:
    return -(real.sigmoid() + 1e-8).log().mean() - (1 - fake.sigmoid() + 1e-8).log().mean()


@D_LOSS.mistake(
    "Cut off at 100: binary_cross_entropy does so with probabilities that round to 0 or 1. Its sister takes logits."
)
def clamped(real: Tensor, fake: Tensor) -> Tensor:
    return -real.sigmoid().log().clamp(min=-100).mean() - (1 - fake.sigmoid()).log().clamp(min=-100).mean()


@D_LOSS.mistake("These are squared distances to 1 and 0, the least-squares GAN. Here the loss is a logarithm.")
def least_squares(real: Tensor, fake: Tensor) -> Tensor:
    return (real - 1).square().mean() + fake.square().mean()


@D_LOSS.mistake("A difference of averages, without a logarithm: D could make it as small as it likes by larger logits.")
def wasserstein(real: Tensor, fake: Tensor) -> Tensor:
    return fake.mean() - real.mean()


@D_LOSS.mistake(
    "Cut off: the probabilities are kept away from 0 and 1, and from there on the loss has no slope: a D that is sure "
    "and wrong learns nothing. On logits nothing needs to be cut."
)
def cut_off(real: Tensor, fake: Tensor) -> Tensor:
    p, q = (a.sigmoid().clamp(1e-7, 1 - 1e-7) for a in (real, fake))
    return -p.log().mean() - (1 - q).log().mean()


@D_LOSS.mistake("D's outputs are taken for probabilities. They are logits: any number, and P is the sigmoid of one.")
def taken_for_probabilities(real: Tensor, fake: Tensor) -> Tensor:
    return -real.log().mean() - (1 - fake).log().mean()


@D_LOSS.mistake("A minus stands between the two terms. D pays for both kinds of errors: the costs are added.")
def subtracted(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-real).mean() - softplus(fake).mean()


@D_LOSS.mistake("Logarithms to the base 2: bits. Losses are in nats here, with the natural logarithm.")
def in_bits(real: Tensor, fake: Tensor) -> Tensor:
    return _own_discriminator_loss(real, fake) / math.log(2)


@D_LOSS.mistake("Real pictures count as fake, too: both terms ask for small logits. Which should ask for large ones?")
def both_fake(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(real).mean() + softplus(fake).mean()


@D_LOSS.mistake("This is the hinge loss, which stops at a margin of 1. Here the loss is a logarithm.")
def hinge(real: Tensor, fake: Tensor) -> Tensor:
    return (1 - real).relu().mean() + (1 + fake).relu().mean()


@D_LOSS.mistake("The logarithm is taken of the mean probability. It is the logarithms that are averaged.")
def log_of_mean(real: Tensor, fake: Tensor) -> Tensor:
    return -real.sigmoid().mean().log() - (1 - fake.sigmoid()).mean().log()


@D_LOSS.mistake("The loss of the mean logit. Each logit has its own loss; those are averaged.")
def loss_of_mean(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-real.mean()) + softplus(fake.mean())


@D_LOSS.mistake("The logarithms are missing: these are the probabilities of an error themselves.")
def no_log(real: Tensor, fake: Tensor) -> Tensor:
    return (1 - real.sigmoid()).mean() + fake.sigmoid().mean()
