"""The whole objective of G: what D says, and λ times the distance from the target. Lecture 02 (5)."""

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
    pays_in_proportion,
    probabilities,
    scalar,
    uniform,
)
from gencourse.checks.spec import Exercise


def _own_objective(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    # what D says, and λ times how far a pixel is from its target; λ weighs the distance alone
    return torch.nn.functional.softplus(-fake).mean() + lam * (y - output).abs().mean()


OBJECTIVE = Exercise(
    "gan.objective",
    _own_objective,
    returns=["loss"],
    second="Two numbers and a plus: the non-saturating loss of `fake`, which you have written; and lam times one mean, "
    "over everything, of the absolute value of y − output.",
    why="L1 says where a region ends, and its tone; whether it looks like brick only D can say.",
)


@OBJECTIVE.pace
def _(g: Generator) -> tuple[Tensor, Tensor, Tensor, float]:
    return normal((8, 1, 7, 7), g), normal((8, 1, 32, 32), g), normal((8, 1, 32, 32), g), 5.0


def _numbers(g: Generator) -> tuple[list[float], Tensor, Tensor, float]:
    """P(real), output and target, and λ, which is neither 0 nor 1; the output is brighter on average."""
    a, b = normal((3, 2, 4, 3), g), normal((3, 2, 4, 3), g)
    output, y = (a, b) if a.mean() > b.mean() else (b, a)
    return probabilities(6, g), output, y, round(uniform(2, 9, g), 3)


def _distance(output: Tensor, y: Tensor) -> float:
    pairs = zip(output.flatten().tolist(), y.flatten().tolist(), strict=True)
    return sum(abs(a - b) for a, b in pairs) / y.numel()


@OBJECTIVE.check(
    "it is the non-saturating loss plus λ times the mean distance of a pixel",
    "Two terms: what D says of the fakes, and how far each number of the output is from its target, on average.",
)
@double()
def _(answer: Answer, g: Generator) -> None:
    p, output, y, lam = _numbers(g)
    expected = -mean_log(p) + lam * _distance(output, y)
    answer.gives([logits(p).view(3, 1, 2, 1), output, y, lam], scalar(expected))


@OBJECTIVE.check(
    "with λ = 0 D alone counts, and where the output is the target, too",
    "λ belongs to the distance only.",
)
@double()
def _(answer: Answer, g: Generator) -> None:
    p, output, y, lam = _numbers(g)
    answer.gives([logits(p), output, y, 0.0], scalar(-mean_log(p)))
    answer.gives([logits(p), y, y, lam], scalar(-mean_log(p)))


@OBJECTIVE.check(
    "larger pictures of the same kind cost the same",
    "With a sum over pixels λ would mean something else for every size. Take an average over all of them.",
)
@double()
def _(answer: Answer, g: Generator) -> None:
    p, output, y, lam = _numbers(g)
    expected = scalar(-mean_log(p) + lam * _distance(output, y))
    large = [v.repeat_interleave(2, 2).repeat_interleave(3, 3) for v in (output, y)]
    answer.gives([logits(p), *large, lam], expected)


@OBJECTIVE.check(
    "where D is sure, the loss is large, and finite",
    "Neither the sigmoid nor exp can take such logits. Which function never leaves them?",
)
@double()
def _(answer: Answer, g: Generator) -> None:
    _, output, y, lam = _numbers(g)
    far = torch.full((3, 1, 1, 1), FAR, dtype=torch.float64)
    pays_in_proportion(answer, [-far, output, y, lam], FAR + lam * _distance(output, y))


@OBJECTIVE.check("gradients reach the logits and the output", "G learns through both: detach nothing.")
@double()
def _(answer: Answer, g: Generator) -> None:
    p, output, y, lam = _numbers(g)
    for name, part in (("fake", 0), ("output", 1)):
        args = [logits(p), output.clone(), y, lam]
        args[part] = args[part].requires_grad_()  # type: ignore[union-attr]
        if not answer(*args).requires_grad:
            answer.wrong(
                "detached",
                f"The loss does not depend on {name} for autograd. G learns through both terms: detach nothing.",
                expected=f"loss depends on {name} for autograd",
                got="loss.requires_grad = False",
            )
    for logit in (-FAR, FAR):
        far = torch.full((3, 1, 1, 1), logit, dtype=torch.float64)
        answer(far.requires_grad_(), output.clone().requires_grad_(), y, lam)
        answer.passes_back("fake", "output")


@OBJECTIVE.check("it takes float32 too", "Nothing in the formula depends on the precision.")
def _(answer: Answer, g: Generator) -> None:
    p, output, y, lam = _numbers(g)
    expected = -mean_log(p) + lam * _distance(output, y)
    answer.gives([logits(p).float(), output.float(), y.float(), lam], scalar(expected), tol=FLOAT32_TOL)


def _l1(output: Tensor, y: Tensor) -> Tensor:
    return (y - output).abs().mean()


@OBJECTIVE.mistake(
    "The distance is summed over the pixels. The formula has an expectation: a mean over pictures, channels and pixels."
)
def summed(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake).mean() + lam * (y - output).abs().sum()


@OBJECTIVE.mistake("Summed over each picture, and averaged over the batch alone. Average over the pixels as well.")
def summed_over_the_picture(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake).mean() + lam * (y - output).abs().flatten(1).sum(1).mean()


@OBJECTIVE.mistake("The distance is squared. That is L2, and its best answer is a mean; here it is the absolute value.")
def squared(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake).mean() + lam * (y - output).square().mean()


@OBJECTIVE.mistake("Differences above and below 0 cancel. A distance is never negative.")
def no_abs(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake).mean() + lam * (y - output).mean()


@OBJECTIVE.mistake("The absolute value is taken after averaging, when the differences have cancelled.")
def abs_of_the_mean(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake).mean() + lam * (y - output).mean().abs()


@OBJECTIVE.mistake("λ is missing.")
def no_lam(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake).mean() + _l1(output, y)


@OBJECTIVE.mistake("λ weighs both terms. It is the weight of the distance against the other.")
def lam_on_both(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return lam * (softplus(-fake).mean() + _l1(output, y))


@OBJECTIVE.mistake("λ is on what D says. It belongs to the distance.")
def lam_on_the_other(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return lam * softplus(-fake).mean() + _l1(output, y)


@OBJECTIVE.mistake("The terms are blended with 1 − λ and λ: for λ above 1 G would try to be caught. λ is no share.")
def blended(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return (1 - lam) * softplus(-fake).mean() + lam * _l1(output, y)


@OBJECTIVE.mistake("The distance is subtracted: G would be paid for going away from the target.")
def subtracted(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake).mean() - lam * _l1(output, y)


@OBJECTIVE.mistake("The minimax term is in it. The objective in use has the non-saturating one.")
def minimax(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return -softplus(fake).mean() + lam * _l1(output, y)


@OBJECTIVE.mistake("The first term is D's: it falls where D sees the fakes. G wants the opposite.")
def discriminators(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(fake).mean() + lam * _l1(output, y)


@OBJECTIVE.mistake("The distance alone. What D says of the fakes has to come in.")
def distance_alone(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return lam * _l1(output, y)


@OBJECTIVE.mistake("A sigmoid too many: the logits became probabilities, and then were taken for logits.")
def sigmoid_twice(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake.sigmoid()).mean() + lam * _l1(output, y)


@OBJECTIVE.mistake(
    "Infinite where D is sure: the sigmoid of such a logit is exactly 0, which has no logarithm; and exp overflows. "
    "Never leave the logits."
)
def log_of_sigmoid(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return -fake.sigmoid().log().mean() + lam * _l1(output, y)


@OBJECTIVE.mistake("Cut off at 100: binary_cross_entropy does so with probabilities. Its sister takes logits.")
def clamped(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return -fake.sigmoid().log().clamp(min=-100).mean() + lam * _l1(output, y)


@OBJECTIVE.mistake(
    "Cut off: the probability is kept away from 0, and from there on the first term has no slope, just where G needs "
    "one. On logits nothing needs to be cut."
)
def cut_off(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return -fake.sigmoid().clamp(1e-7, 1 - 1e-7).log().mean() + lam * _l1(output, y)


@OBJECTIVE.mistake(
    "Something small was added inside the logarithm. That changes every value a little, and where D is sure the "
    "gradient is lost. On logits nothing needs to be added."
)
def epsilon(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return -(fake.sigmoid() + 1e-8).log().mean() + lam * _l1(output, y)


@OBJECTIVE.mistake("λ is squared, or counts twice. It weighs the distance once.")
def lam_squared(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake).mean() + lam**2 * _l1(output, y)


@OBJECTIVE.mistake("The distance is divided by λ. A larger λ is to make it count more.")
def divided(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake).mean() + _l1(output, y) / lam


@OBJECTIVE.mistake("What D says is summed over the batch. It is an average, as the distance is.")
def summed_logits(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake).sum() + lam * _l1(output, y)


@OBJECTIVE.mistake("The root of a mean square. Here each pixel's distance is an absolute value, without squares.")
def root_mean_square(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake).mean() + lam * (y - output).square().mean().sqrt()


@OBJECTIVE.mistake("torch.norm is the root of a sum of squares. Here it is a mean of absolute values.")
def norm(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake).mean() + lam * (y - output).norm()


@OBJECTIVE.mistake("This distance is rounded off near 0: smooth_l1_loss, Huber's. Here it is the plain absolute value.")
def smooth(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake).mean() + lam * torch.nn.functional.smooth_l1_loss(output, y)


@OBJECTIVE.mistake("Everything is halved. Both terms count in full.")
def halved(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return (softplus(-fake).mean() + lam * _l1(output, y)) / 2


@OBJECTIVE.mistake("The two terms are multiplied. They are added: either alone is to count, too.")
def multiplied(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake).mean() * lam * _l1(output, y)


@OBJECTIVE.mistake("The distance is summed over the channels. It is an average over them, too.")
def summed_over_channels(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake).mean() + lam * (y - output).abs().sum(1).mean()


@OBJECTIVE.mistake("Only the pixel that is furthest off counts. The distance is a mean over all of them.")
def largest(fake: Tensor, output: Tensor, y: Tensor, lam: float) -> Tensor:
    return softplus(-fake).mean() + lam * (y - output).abs().max()
