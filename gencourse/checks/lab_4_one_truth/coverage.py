"""Which modes a model has found, and how much of its mass each one gets. Lecture 07, section 2."""

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_4_one_truth.given import FLOAT32_TOL, Pair, components, mahalanobis, normal, scalar, uniform
from gencourse.checks.lab_4_one_truth.responsibilities import responsibilities
from gencourse.checks.spec import WholeNumbers
from genlib import metrics
from genlib.data import GaussianMixture

Numbers = tuple[Tensor, Tensor, Tensor, float]


def _own_coverage(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share = (responsibility * near[:, None]).mean(0)  # of all B points: those astray give 0
    return share, (share >= found_at * weights).to(share)


COVERAGE = WholeNumbers(
    "one_truth.coverage",
    _own_coverage,
    returns=["share", "found"],
    plain=True,
    second="near[:, None] is (B, 1): multiplied with it, a row of a point astray becomes 0. Then take the mean over "
    "all points, axis 0, and compare it with found_at * weights, one number for each mode.",
    why="Likelihood hardly sees a light mode that is lost, and pictures do not count: this does.",
)


@COVERAGE.pace
def _(g: Generator) -> Numbers:
    return _numbers(20_000, 7, g)


def _numbers(B: int, K: int, g: Generator) -> Numbers:
    """Soft assignments, some points astray, unequal weights; which modes are found depends on the weights."""
    while True:
        responsibility = (2 * normal((B, K), g) + 2 * normal((K,), g)).softmax(1)
        near = uniform(0, 1, g, B) > 0.25
        weights, found_at = components(K, 2, g).weights, float(uniform(0.2, 0.5, g))
        share = (responsibility * near[:, None]).mean(0)
        found, equal = share >= found_at * weights, share >= found_at / K
        if 0 < found.sum() < K and 0 < near.sum() < B and not (equal == found).all() and not (equal == ~found).all():
            return responsibility, near, weights, found_at


def _telling(B: int, K: int, g: Generator) -> Numbers:
    """Such numbers on which other ways to find modes find other ones, and some at all."""
    while True:
        responsibility, near, weights, found_at = numbers = _numbers(B, K, g)
        share = (responsibility * near[:, None]).mean(0)
        equal, alone, half = share >= found_at / K, share >= found_at, share >= weights / 2
        near_alone, strays = (part.mean(0) >= found_at * weights for part in (responsibility[near], responsibility))
        ways = share >= found_at * weights, equal, alone, near_alone, strays, half, share > 0, share >= weights
        if len({tuple(found.tolist()) for found in ways}) == len(ways):
            return numbers


def _by_hand(numbers: Numbers) -> Pair:
    responsibility, near, weights, found_at = numbers
    share = [
        sum(float(p) for p, inside in zip(column, near, strict=True) if inside) / len(near)
        for column in responsibility.T
    ]
    found = [float(s >= found_at * float(w)) for s, w in zip(share, weights, strict=True)]
    return torch.tensor(share, dtype=torch.float64), torch.tensor(found, dtype=torch.float64)


@COVERAGE.check(
    "a mode's share is the average, over all points, of what the near ones give to it",
    "A point that is astray gives nothing to any mode, but it is one of the B points. And a mode is found by its own "
    "share, its own weight, and found_at.",
)
def _(answer: Answer, g: Generator) -> None:
    numbers = _telling(40, 8, g)
    answer.gives(numbers, *_by_hand(numbers))


@COVERAGE.check(
    "what is missing to 1 is the share of points astray",
    "Add up the shares: what all near points have to give is exactly 1 each.",
)
def _(answer: Answer, g: Generator) -> None:
    responsibility, near, weights, found_at = _numbers(32, 4, g)
    share, _ = answer(responsibility, near, weights, found_at)
    answer.agrees("1 − share.sum()", scalar(float((~near).double().mean())), 1 - share.sum())


@COVERAGE.check(
    "a mode is found if its share is at least found_at times its own weight",
    "A light mode needs less to be found than a heavy one; and exactly at the threshold it is found.",
)
def _(answer: Answer, g: Generator) -> None:
    weights = torch.tensor([0.5, 0.25, 0.125, 0.125], dtype=torch.float64)
    counts = torch.tensor([8, 3, 4, 1] if bool(torch.rand(1, generator=g) < 0.5) else [9, 4, 2, 1])
    hard = torch.eye(4, dtype=torch.float64)[torch.repeat_interleave(torch.arange(4), counts)]
    near = torch.ones(16, dtype=torch.bool)
    for found_at in (0.5, 1.0):
        answer.gives(
            [hard, near, weights, found_at], counts.double() / 16, (counts >= 16 * found_at * weights).double()
        )


@COVERAGE.check("a model that draws nothing but strays finds nothing", "With no point near, every share is 0.")
def _(answer: Answer, g: Generator) -> None:
    responsibility, near, weights, found_at = _numbers(12, 3, g)
    none = torch.zeros_like(near)
    zeros = torch.zeros(3, dtype=torch.float64)
    answer.gives([responsibility, none, weights, found_at], zeros, zeros)


@COVERAGE.check("it takes float32, and agrees with genlib", "Compare with metrics.mode_coverage.")
def _(answer: Answer, g: Generator) -> None:
    parts = components(6, 2, g)
    x = 1.5 * normal((50, 2), g)
    distance = mahalanobis(x, parts.means, parts.covs)
    near = distance.min(1).values <= 3
    responsibility = responsibilities(distance, parts.covs, parts.weights)
    known = metrics.mode_coverage(x, GaussianMixture(*parts), found_at=0.6, within=3)
    share, found = answer(responsibility, near, parts.weights, 0.6)
    answer.agrees("share", torch.tensor(known.share, dtype=torch.float64), share)
    answer.agrees("found.sum()", scalar(known.found), found.sum())
    narrow, _ = answer(responsibility.float(), near, parts.weights.float(), 0.6)
    answer.agrees("share", share, narrow, tol=FLOAT32_TOL)


def _open(share: Tensor) -> Pair:
    """A wrong share. It tells the mistake; what is found with it does not, for zeros and ones may agree by chance."""
    return share, torch.full_like(share, torch.nan)


@COVERAGE.mistake("A mode that has exactly found_at times its weight is not found here: at least that much is enough.")
def more_than(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share, _ = _own_coverage(responsibility, near, weights, found_at)
    return share, (share > found_at * weights).to(share)


@COVERAGE.mistake("found_at is compared with the share alone. It is a part of the mode's weight.")
def same_for_all(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share, _ = _own_coverage(responsibility, near, weights, found_at)
    return share, (share >= found_at).to(share)


@COVERAGE.mistake(
    "Found by the average over the near points alone. The share that was asked for decides: over all points."
)
def found_among_the_near(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share, _ = _own_coverage(responsibility, near, weights, found_at)
    return share, (responsibility[near].mean(0) >= found_at * weights).to(share)


@COVERAGE.mistake("The threshold takes 1/K as the weight of every mode. They have weights of their own.")
def equal_weights(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share, _ = _own_coverage(responsibility, near, weights, found_at)
    return share, (share >= found_at / len(weights)).to(share)


@COVERAGE.mistake(
    "Found with too small a share, or with any above 0. Soft assignments give every mode a little: use found_at."
)
def above_zero(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share, _ = _own_coverage(responsibility, near, weights, found_at)
    return share, (share > 0).to(share)


@COVERAGE.mistake("1 stands where a mode was missed. It was to stand where one was found.")
def missed(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share, found = _own_coverage(responsibility, near, weights, found_at)
    return share, 1 - found


@COVERAGE.mistake("This is how many modes were found. Which ones was asked for: a number for each mode.")
def counted(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share, found = _own_coverage(responsibility, near, weights, found_at)
    return share, found.sum()


@COVERAGE.mistake("Points that are astray count for the mode that is the least far away. What is near for?")
def strays_count(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share = responsibility.mean(0)
    return _open(share)


@COVERAGE.mistake(
    "The average is over the near points alone, so the shares add up to 1 and the strays are forgotten. Divide by B."
)
def of_the_near(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share = responsibility[near].mean(0)
    return _open(share)


@COVERAGE.mistake("near is turned round: it is True for the points that count.")
def near_turned(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    return _open((responsibility * ~near[:, None]).mean(0))


@COVERAGE.mistake("These are sums over the points. A share is an average.")
def summed(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share = (responsibility * near[:, None]).sum(0)
    return _open(share)


@COVERAGE.mistake("The average is over the components: one number for each point. Each *mode* was to have its share.")
def over_the_components(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share = (responsibility * near[:, None]).mean(1)
    return share, (share >= found_at).to(share)


@COVERAGE.mistake("The share is given as a multiple of the weight. It was to be the share itself.")
def relative(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    return _open((responsibility * near[:, None]).mean(0) / weights)


@COVERAGE.mistake("Each point goes to its most likely mode as a whole. Add up what it gives to each instead.")
def most_likely(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    hard = torch.nn.functional.one_hot(responsibility.argmax(1), len(weights)).to(responsibility)
    return _open((hard * near[:, None]).mean(0))


@COVERAGE.mistake("Multiplied by the weights. They are in p(k given x) already: what is left is to average it.")
def weighted_again(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    return _open((responsibility * near[:, None]).mean(0) * weights)


@COVERAGE.mistake("share and found have changed places: the shares come first.")
def swapped(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share, found = _own_coverage(responsibility, near, weights, found_at)
    return found, share


@COVERAGE.mistake(
    "near comes in twice: its points are picked or kept, and then multiplied by the share of points near once more."
)
def near_twice(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    return _open((responsibility * near[:, None]).mean(0) * near.double().mean())


@COVERAGE.mistake(
    "Points are counted that give a mode at least found_at. A share adds up what *all* near points give to it, be it "
    "much or little."
)
def points_above(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    return _open(((responsibility >= found_at) & near[:, None]).to(weights).mean(0))


@COVERAGE.mistake("Found by points that are astray as well. The share that is returned decides.")
def found_with_strays(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share, _ = _own_coverage(responsibility, near, weights, found_at)
    return share, (responsibility.mean(0) >= found_at * weights).to(share)


@COVERAGE.mistake("Found is what gets all of its weight. found_at says which part of it is enough.")
def whole_weight(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share, _ = _own_coverage(responsibility, near, weights, found_at)
    return share, (share >= weights).to(share)


@COVERAGE.mistake("found_at is divided by the weight. A heavy mode has to get more to be found, not less.")
def divided_by_the_weight(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share, _ = _own_coverage(responsibility, near, weights, found_at)
    return share, (share >= found_at / weights).to(share)


@COVERAGE.mistake("One half is taken for granted as the part that is enough. Which part it is, found_at says.")
def one_half(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share, _ = _own_coverage(responsibility, near, weights, found_at)
    return share, (share >= 0.5 * weights).to(share)


@COVERAGE.mistake("What is found keeps its share, and is not marked by 1.")
def share_where_found(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share, found = _own_coverage(responsibility, near, weights, found_at)
    return share, share * found


@COVERAGE.mistake("The largest that a point gives to each mode. A share is an average over the points.")
def largest(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    return _open((responsibility * near[:, None]).amax(0))


@COVERAGE.mistake(
    "The weight comes in on both sides of the comparison. Once is enough: share against found_at · weight."
)
def weight_on_both_sides(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    share, _ = _own_coverage(responsibility, near, weights, found_at)
    return share, (share / weights >= found_at * weights).to(share)


@COVERAGE.mistake("Responsibilities are rounded to 0 or 1. A point between two modes gives a part to each.")
def rounded(responsibility: Tensor, near: Tensor, weights: Tensor, found_at: float) -> Pair:
    return _open((responsibility.round() * near[:, None]).mean(0))
