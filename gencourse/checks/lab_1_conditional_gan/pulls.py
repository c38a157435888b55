"""How strongly each of G's losses pulls at the logit of a fake. Lecture 02 (3)."""

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from gencourse.checks.answer import Answer
from gencourse.checks.lab_1_conditional_gan.given import FAR, FLOAT32_TOL, normal, told_as
from gencourse.checks.spec import Exercise


def _own_pulls(fake: Tensor) -> tuple[Tensor, Tensor]:
    # the slope of softplus(a) is sigmoid(a); log(1 − P) = −softplus(a), and −log P = softplus(−a)
    return -torch.sigmoid(fake), -torch.sigmoid(-fake)


PULLS = Exercise(
    "gan.pulls",
    _own_pulls,
    returns=["minimax", "non_saturating"],
    batched=["fake"],
    plain=True,
    second="log(1 − P) is −softplus(a), −log P is softplus(−a), and the slope of softplus is the sigmoid. Use the "
    "chain rule for −a. By autograd: fake asks for no gradient yet, so begin with a copy that does, a = fake.detach()."
    "requires_grad_(); add up all losses of a; torch.autograd.grad(sum, a)[0] gives each logit its own slope.",
    why="A gradient of 0.00005 is a G that stands still: that is why the second loss is the one in use.",
)
Pair = tuple[Tensor, Tensor]
SURE = 40.0  # a logit whose sigmoid is 1 in float64, and whose exp is finite


def _slopes(fake: Tensor, h: float = 1e-3) -> Pair:
    """By finite differences of fourth order."""

    def slope(f) -> Tensor:
        return (8 * (f(fake + h) - f(fake - h)) - (f(fake + 2 * h) - f(fake - 2 * h))) / (12 * h)

    return slope(lambda a: -softplus(a)), slope(lambda a: softplus(-a))


@PULLS.check(
    "they are the slopes of log(1 − P) and of −log P over the logit",
    "The slope of softplus is the sigmoid. With which signs, and of a or of −a?",
)
def _(answer: Answer, g: Generator) -> None:
    fake = 2 * normal((5,), g)
    answer.gives([fake], *_slopes(fake), tol=1e-8)


@PULLS.check(
    "their sum is −1, whatever the logit",
    "P(real) and P(fake) add up to 1: which of them is each pull, but for the sign?",
)
def _(answer: Answer, g: Generator) -> None:
    fake = 3 * normal((7,), g)
    minimax, non_saturating = answer(fake)
    answer.agrees("minimax + non_saturating", -torch.ones_like(fake), minimax + non_saturating)


@PULLS.check(
    "where D is sure that it sees a fake, one of them is gone, and the other is −1",
    "At a logit of −40, P(real) is 4e-18. Which loss has lost its slope there?",
)
def _(answer: Answer, g: Generator) -> None:
    minus_one_0 = torch.tensor([-1.0, 0.0], dtype=torch.float64)
    for far in (SURE, FAR):
        with told_as(answer, "through_logarithms", lambda found: found["mistake"] == "not_finite"):
            minimax, non_saturating = answer(torch.tensor([-far, far], dtype=torch.float64))
        for name, steep in (("minimax[1]", float(minimax[1])), ("non_saturating[0]", float(non_saturating[0]))):
            if abs(steep) < 0.5:  # in the middle, where the checks before have looked, the slopes are right
                answer.wrong(
                    "cut_off", PULLS.mistakes["cut_off"].hint, expected=f"{name} = -1", got=f"{name} = {steep:g}"
                )
        answer.agrees("minimax", minus_one_0.flip(0), minimax)
        answer.agrees("non_saturating", minus_one_0, non_saturating)


@PULLS.check(
    "it takes float32, and logits in any shape",
    "No slope depends on the precision, or on the axes. A quotient of small differences does: in float32 its digits "
    "are lost.",
)
def _(answer: Answer, g: Generator) -> None:
    fake = normal((2, 1, 3, 2), g)
    answer.gives([fake.float()], *_slopes(fake), tol=FLOAT32_TOL)


@PULLS.mistake("Both are the pull of the minimax loss. What is the slope of −log P?")
def twice_minimax(fake: Tensor) -> Pair:
    return -fake.sigmoid(), -fake.sigmoid()


@PULLS.mistake("The second has the wrong sign: −log P falls as the logit grows, so its slope is negative.")
def second_turned(fake: Tensor) -> Pair:
    return -fake.sigmoid(), (-fake).sigmoid()


@PULLS.mistake("The first is the slope of −log P here. Which of the two slopes vanishes where D sees the fake?")
def exchanged(fake: Tensor) -> Pair:
    return -(-fake).sigmoid(), -fake.sigmoid()


@PULLS.mistake(
    "The sign: both losses fall as the logit grows, so both slopes are negative. Descent goes the other way."
)
def downhill(fake: Tensor) -> Pair:
    return fake.sigmoid(), (-fake).sigmoid()


@PULLS.mistake("These are the losses, and not their slopes over the logit.")
def losses(fake: Tensor) -> Pair:
    return -softplus(fake), softplus(-fake)


@PULLS.mistake("Divided by the number of logits: that is the slope of an average. Here each logit stands for itself.")
def averaged(fake: Tensor) -> Pair:
    return -fake.sigmoid() / fake.numel(), -(-fake).sigmoid() / fake.numel()


@PULLS.mistake("These are slopes over the probability P. The logit is what D outputs: what is dP/da of the sigmoid?")
def over_the_probability(fake: Tensor) -> Pair:
    p = fake.sigmoid()
    return -1 / (1 - p), -1 / p


@PULLS.mistake(
    "P(1 − P) is the slope of the sigmoid itself. Asked for is that of its logarithm: what has to be divided by?"
)
def slope_of_sigmoid(fake: Tensor) -> Pair:
    if fake.abs().max() >= SURE:
        raise ValueError("far out it is 0, as other slopes are")
    p = fake.sigmoid()
    return -p * (1 - p), torch.full_like(p, torch.nan)  # with either sign


@PULLS.mistake("1 − P in place of P − 1, or the other way round, in the second: the slope of −log P is negative.")
def one_too_many(fake: Tensor) -> Pair:
    return -fake.sigmoid(), -1 - fake.sigmoid()


@PULLS.mistake("exp of a large logit is infinite, and ∞/∞ is no number. torch.sigmoid knows how to avoid that.")
def overflowing(fake: Tensor) -> Pair:
    return -fake.exp() / (1 + fake.exp()), -1 / (1 + fake.exp())


@PULLS.mistake("These are the logarithms of the two probabilities. A slope of −softplus(a) is a probability itself.")
def logarithms(fake: Tensor) -> Pair:
    return -softplus(fake), -softplus(-fake)


def _by_autograd(fake: Tensor, lowest: float) -> Pair:
    """Through the logarithms of probabilities, kept away from 0 and 1 by so much."""
    with torch.enable_grad():
        a = fake.detach().requires_grad_()
        p = a.sigmoid().clamp(lowest, 1 - lowest)
        losses = (1 - p).log().sum(), -p.log().sum()
        return tuple(torch.autograd.grad(loss, a, retain_graph=True)[0] for loss in losses)  # type: ignore[return-value]


@PULLS.mistake(
    "Far out the sigmoid is exactly 0 or 1, and exp is infinite: 0 · ∞, 0/0 and ∞/∞ are no numbers. What has a slope "
    "everywhere is a function that never leaves the logit: is there one for the two losses, or for the slope itself?"
)
def through_logarithms(fake: Tensor) -> Pair:
    return _by_autograd(fake, 0.0)


@PULLS.mistake(
    "Far out the slope is gone where it should be −1: the probability, or its logarithm, is kept away from 0 there, as "
    "by clamp, by something small that is added, or inside of binary_cross_entropy. On logits nothing needs to be cut."
)
def cut_off(fake: Tensor) -> Pair:
    return _by_autograd(fake, 1e-7)
