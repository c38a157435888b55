"""G's loss, as the game has it and as it is used: one wish, two logarithms. Lecture 02 (3)."""

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


def _own_generator_losses(fake: Tensor) -> tuple[Tensor, Tensor]:
    softplus = torch.nn.functional.softplus
    # log(1 − P) is D's own term for fakes with the other sign; −log P is its term for real pictures, asked of fakes
    return -softplus(fake).mean(), softplus(-fake).mean()


G_LOSSES = Exercise(
    "gan.generator_losses",
    _own_generator_losses,
    returns=["minimax", "non_saturating"],
    second="Look at the first table: −log P = softplus(−a), and −log(1 − P) = softplus(a). The first loss is E log(1 − "
    "P): mind its sign. The second is −E log P. Each ends in a .mean().",
    why="Both fall as D is fooled, so both want the same; how much each fake counts is where they part.",
)
Pair = tuple[Tensor, Tensor]


@G_LOSSES.pace
def _(g: Generator) -> tuple[Tensor]:
    return (normal((8, 1, 7, 7), g),)


@G_LOSSES.check(
    "the first is E log(1 − P(real)), the second −E log P(real), on fakes",
    "What D pays for a fake is −log(1 − P), and for a real picture −log P. You have written both on logits: which of "
    "them is each loss here, and with which sign?",
)
@double()
def _(answer: Answer, g: Generator) -> None:
    p = probabilities(30, g)
    expected = scalar(mean_log([1 - v for v in p])), scalar(-mean_log(p))
    answer.gives([logits(p).view(5, 1, 2, 3)], *expected)


@G_LOSSES.check(
    "at a logit of 0 they are −log 2 and log 2, whatever the shape",
    "Logits of 0 are probabilities of one half. What are log ½ and −log ½, and how many numbers is an average?",
)
@double()
def _(answer: Answer, g: Generator) -> None:
    for shape in ((1, 1, 1, 1), (4, 1, 2, 3), (7,)):
        log_2 = scalar(math.log(2))
        answer.gives([torch.zeros(shape, dtype=torch.float64)], -log_2, log_2)


@G_LOSSES.check(
    "logits of any size are fine",
    "The sigmoid of a large logit is exactly 1, and 1 − 1 has no logarithm; that of a very negative one is 0. Stay "
    "with the logits.",
)
@double()
def _(answer: Answer, g: Generator) -> None:
    far = torch.full((3, 1, 1, 1), FAR, dtype=torch.float64)
    pays_in_proportion(answer, [far], -FAR, 0.0)
    pays_in_proportion(answer, [-3 * far], 0.0, 3 * FAR)


@G_LOSSES.check("gradients reach the logits", "G learns through D: stay in torch, and detach nothing.")
@double()
def _(answer: Answer, g: Generator) -> None:
    answer(normal((3, 1, 2, 2), g).requires_grad_())
    passes_gradients(answer, "the logits")
    for logit in (-FAR, FAR):  # where the losses are straight lines, or 0
        answer(torch.full((3, 1, 1, 1), logit, dtype=torch.float64).requires_grad_())
        answer.passes_back("fake")


@G_LOSSES.check("it takes float32 too", "Nothing in the formulas depends on the precision of the logits.")
def _(answer: Answer, g: Generator) -> None:
    p = probabilities(6, g)
    expected = scalar(mean_log([1 - v for v in p])), scalar(-mean_log(p))
    answer.gives([logits(p).float()], *expected, tol=FLOAT32_TOL)


def _open(like: Tensor) -> Tensor:
    """What a mistake in the other loss says of this one: nothing; but where NaN may come of itself it is impossible."""
    if like.abs().max() >= FAR:
        raise ValueError("far out nothing is left open")
    return like.new_tensor(torch.nan)


@G_LOSSES.mistake("Both are the game's loss, E log(1 − P). The second asks that the fakes be called real: −E log P.")
def twice_minimax(fake: Tensor) -> Pair:
    return -softplus(fake).mean(), -softplus(fake).mean()


@G_LOSSES.mistake("Both are −E log P. The first is what D loses by fakes: E log(1 − P).")
def twice_non_saturating(fake: Tensor) -> Pair:
    return softplus(-fake).mean(), softplus(-fake).mean()


@G_LOSSES.mistake("They have changed places: first the game's log(1 − P), then −log P.")
def exchanged(fake: Tensor) -> Pair:
    return softplus(-fake).mean(), -softplus(fake).mean()


@G_LOSSES.mistake(
    "The first is D's own term, −E log(1 − P): small where D sees the fakes. What G wants is the opposite."
)
def first_is_the_discriminators(fake: Tensor) -> Pair:
    return softplus(fake).mean(), _open(fake)


@G_LOSSES.mistake(
    "The first is E log P: to make that small G would have to be caught. The game has the logarithm of 1 − P."
)
def first_is_log_of_p(fake: Tensor) -> Pair:
    return -softplus(-fake).mean(), _open(fake)


@G_LOSSES.mistake(
    "The second is D's term for fakes: it falls where D sees through them. In the second loss the fakes are scored as "
    "real pictures were."
)
def second_is_the_discriminators(fake: Tensor) -> Pair:
    return _open(fake), softplus(fake).mean()


@G_LOSSES.mistake("The second's sign is turned: log P is to become large, and what an optimizer gets is made small.")
def second_turned(fake: Tensor) -> Pair:
    return _open(fake), -softplus(-fake).mean()


@G_LOSSES.mistake("Sums over the batch. An expectation is an average, and does not grow with the batch.")
def summed(fake: Tensor) -> Pair:
    return -softplus(fake).sum(), softplus(-fake).sum()


@G_LOSSES.mistake("Summed over each picture's patches, and averaged over pictures alone. Patches are averaged, too.")
def summed_over_patches(fake: Tensor) -> Pair:
    return -softplus(fake).flatten(1).sum(1).mean(), softplus(-fake).flatten(1).sum(1).mean()


@G_LOSSES.mistake("One number for each logit. A loss is one number for the batch: their average.")
def not_averaged(fake: Tensor) -> Pair:
    return -softplus(fake), softplus(-fake)


@G_LOSSES.mistake("An average for each picture is left. A loss is one number, for all pictures and patches.")
def per_picture(fake: Tensor) -> Pair:
    return -softplus(fake).flatten(1).mean(1), softplus(-fake).flatten(1).mean(1)


@G_LOSSES.mistake("Half of each. The ½ of the JS divergence stays outside; here nothing is halved.")
def halved(fake: Tensor) -> Pair:
    return -softplus(fake).mean() / 2, softplus(-fake).mean() / 2


@G_LOSSES.mistake(
    "A sigmoid too many: the logits became probabilities, and then were taken for logits. Softplus, logsigmoid and "
    "with_logits have the sigmoid inside."
)
def sigmoid_twice(fake: Tensor) -> Pair:
    return -softplus(fake.sigmoid()).mean(), softplus(-fake.sigmoid()).mean()


@G_LOSSES.mistake("The logarithm is missing: 1 − P is a probability itself, and −P differs from it by 1 alone.")
def no_log(fake: Tensor) -> Pair:
    return (1 - fake.sigmoid()).mean(), -fake.sigmoid().mean()


@G_LOSSES.mistake(
    "The second is the mean of 1 − P, without a logarithm: flat where D wins, just where G needs a slope."
)
def second_without_log(fake: Tensor) -> Pair:
    return _open(fake), (1 - fake.sigmoid()).mean()


@G_LOSSES.mistake(
    "Infinite at logits far out: there the sigmoid is exactly 0 or 1, and exp overflows. Which function of the logit "
    "is −log sigmoid(a)?"
)
def log_of_sigmoid(fake: Tensor) -> Pair:
    return (1 - fake.sigmoid()).log().mean(), -fake.sigmoid().log().mean()


@G_LOSSES.mistake("The logarithm is taken of the mean. It is the logarithms that are averaged.")
def log_of_mean(fake: Tensor) -> Pair:
    return (1 - fake.sigmoid()).mean().log(), -fake.sigmoid().mean().log()


@G_LOSSES.mistake("The logits are averaged before the loss is taken. It is the losses that are averaged.")
def loss_of_mean(fake: Tensor) -> Pair:
    return -softplus(fake.mean()), softplus(-fake.mean())


@G_LOSSES.mistake("Logarithms to the base 2: bits. Losses are in nats here, with the natural logarithm.")
def in_bits(fake: Tensor) -> Pair:
    return -softplus(fake).mean() / math.log(2), softplus(-fake).mean() / math.log(2)


@G_LOSSES.mistake("Cut off at 100: binary_cross_entropy does so with probabilities. Its sister takes logits.")
def clamped(fake: Tensor) -> Pair:
    p = fake.sigmoid()
    return (1 - p).log().clamp(min=-100).mean(), -p.log().clamp(min=-100).mean()


@G_LOSSES.mistake(
    "Cut off: the probability is kept away from 0 and 1, and from there on the loss has no slope, just where G needs "
    "one. On logits nothing needs to be cut."
)
def cut_off(fake: Tensor) -> Pair:
    p = fake.sigmoid().clamp(1e-7, 1 - 1e-7)
    return (1 - p).log().mean(), -p.log().mean()


@G_LOSSES.mistake(
    "Something small was added inside the logarithm. That changes every value a little, and far out the gradient is "
    "lost. On logits nothing needs to be added."
)
def epsilon(fake: Tensor) -> Pair:
    p = fake.sigmoid()
    return (1 - p + 1e-8).log().mean(), -(p + 1e-8).log().mean()


@G_LOSSES.mistake("fake is taken for a probability. It is a logit: any number, and P is its sigmoid.")
def taken_for_probabilities(fake: Tensor) -> Pair:
    return (1 - fake).log().mean(), -fake.log().mean()


@G_LOSSES.mistake("The target is 0.9. Label smoothing is for D, on real pictures; G's fakes are to be called real.")
def smoothed(fake: Tensor) -> Pair:
    return _open(fake), 0.9 * softplus(-fake).mean() + 0.1 * softplus(fake).mean()


@G_LOSSES.mistake("The second is a critic's −E D, a hinge GAN's. Here it is the logarithm of a probability.")
def critic(fake: Tensor) -> Pair:
    return _open(fake), -fake.mean()


@G_LOSSES.mistake("The second is a squared distance to 1, the least-squares GAN's. Here it is a logarithm.")
def least_squares(fake: Tensor) -> Pair:
    return _open(fake), (fake - 1).square().mean()


@G_LOSSES.mistake("The first has both terms in it. They are two losses, to choose from; each stands alone.")
def added(fake: Tensor) -> Pair:
    return softplus(-fake).mean() - softplus(fake).mean(), _open(fake)
