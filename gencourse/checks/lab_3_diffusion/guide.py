"""Guidance: exaggerate what the label changes. Lecture 04 (28)."""

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_3_diffusion.chain import FLOAT32_TOL, SQUARE, normal
from gencourse.checks.spec import Exercise
from genlib import data, diffusion


def guide(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return (
        1 + w
    ) * eps_label - w * eps_none  # or eps_label + w * (eps_label - eps_none): w times what the label changes


GUIDE = Exercise(
    "diffusion.guide",
    guide,
    returns=["eps"],
    batched=["eps_label", "eps_none"],
    second="At w = 0 it is eps_label; at w = 1 the difference of the two guesses is added once, at w = 2 twice.",
    why="Two calls of one network and a single number trade variety for clarity, after the training is over.",
)


def _w(g: Generator) -> float:
    """Between 0.2 and 0.8, or above 1.2: not 0, ½ or 1, where different formulas agree."""
    return 0.2 + 0.2 * float(torch.rand(1, generator=g)) + (1.0 if torch.rand(1, generator=g) < 0.5 else 0.0)


@GUIDE.check(
    "it follows the score of q(x_t | label), and w times that of p(label | x_t)",
    "The label's influence is the difference of the two guesses. w of it comes on top of the guess with the label.",
)
def _(answer: Answer, g: Generator) -> None:
    means, bar, w = normal((2, 3), g), 0.5, _w(g)
    covs = torch.eye(3, dtype=torch.float64).expand(1, 3, 3)
    label = data.GaussianMixture(means[:1], covs).noised(bar)
    both = data.GaussianMixture(means, covs.expand(2, 3, 3)).noised(bar)
    x_t = normal((5, 3), g).requires_grad_()
    log_label, log_both = label.log_prob(x_t), both.log_prob(x_t)
    follows = torch.autograd.grad((log_label + w * (log_label - log_both)).sum(), x_t)[0]
    eps_label, eps_none = (-((1 - bar) ** 0.5) * p.score(x_t.detach()) for p in (label, both))
    answer.gives([eps_label, eps_none, w], -((1 - bar) ** 0.5) * follows, tol=1e-8)


@GUIDE.check(
    "w = 0 is the guess with the label, and where both agree w does nothing",
    "Without guidance the model is asked for the label, and follows it.",
)
def _(answer: Answer, g: Generator) -> None:
    eps_label, eps_none = normal(SQUARE, g), normal(SQUARE, g)
    answer.gives([eps_label, eps_none, 0.0], eps_label)
    answer.gives([eps_label, eps_label, _w(g)], eps_label)


@GUIDE.check("it is one line in w", "Small w or large: (1 + w) times the one guess, minus w times the other.")
def _(answer: Answer, g: Generator) -> None:
    eps_label, eps_none = normal((3, 2), g), normal((3, 2), g)
    for w in (0.3, 0.9, 4.0):
        answer.gives([eps_label, eps_none, w], eps_label + w * (eps_label - eps_none))


@GUIDE.check("it takes float32 too", "Nothing in the formula depends on the precision of the guesses.")
def _(answer: Answer, g: Generator) -> None:
    eps_label, eps_none = normal(SQUARE, g).float(), normal(SQUARE, g).float()
    expected = eps_label.double() + 1.5 * (eps_label.double() - eps_none.double())
    answer.gives([eps_label, eps_none, 1.5], expected, tol=FLOAT32_TOL)


@GUIDE.check("it agrees with genlib", "Compare with DDPM.denoise(x_t, t, label, guidance=w).")
def _(answer: Answer, g: Generator) -> None:
    guesses, w = normal((11, 2), g), _w(g)
    model = diffusion.DDPM(lambda x_t, t, label: guesses[label], diffusion.Schedule.cosine(T=10))
    t, label = torch.full((4,), 5), torch.randint(0, 10, (4,), generator=g)
    expected = model.denoise(normal((4, 2), g), t, label, guidance=w).eps
    answer.gives([guesses[label], guesses[torch.full((4,), -1)], w], expected, tol=1e-7)


@GUIDE.mistake("At w = 0 it gives the guess without the label. There is no guidance then, and yet a label.")
def no_label_at_0(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    if w != 0:
        raise ValueError("right elsewhere")
    return eps_none


@GUIDE.mistake("This is the other convention, none + w (label − none): there w = 1 is no guidance. Here that is w = 0.")
def from_none(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return eps_none + w * (eps_label - eps_none)


@GUIDE.mistake("The two guesses are exchanged: it flees the label, and follows none.")
def exchanged(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return (1 + w) * eps_none - w * eps_label


@GUIDE.mistake("It goes w towards the guess without the label. Guidance goes the other way, beyond the label's guess.")
def blended(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return (1 - w) * eps_label + w * eps_none


@GUIDE.mistake("Both are added. Their weights, 1 + w and w, should differ by a sign and add up to 1.")
def added(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return (1 + w) * eps_label + w * eps_none


@GUIDE.mistake(
    "The weights are 1 and −w, which add up to 1 − w: where both guesses agree, the noise would be too small."
)
def not_normalised(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return eps_label - w * eps_none


@GUIDE.mistake("(1 + w) times the difference alone: what the label changes, but not from where. Something must stay.")
def difference_alone(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return (1 + w) * (eps_label - eps_none)


@GUIDE.mistake("w does nothing here: the answer is that of w = 1.")
def w_is_1(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return 2 * eps_label - eps_none


@GUIDE.mistake("This is the guess with the label alone: where do w and the other guess enter?")
def no_guidance(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return eps_label


@GUIDE.mistake("1 + w · eps_label adds 1 to every pixel: * comes before +. Where do parentheses belong?")
def parentheses(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return 1 + w * eps_label - w * eps_none


@GUIDE.mistake("1 + w multiplies both guesses: where do the parentheses end?")
def both_multiplied(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return (1 + w) * (eps_label - w * eps_none)


@GUIDE.mistake("The guess is cut to [−1, 1]. Noise goes beyond.")
def clamped(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return guide(eps_label, eps_none, w).clamp(-1, 1)


@GUIDE.mistake("w is subtracted in both weights. Together they have to be 1, so one of them grows.")
def both_subtracted(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return (1 - w) * eps_label - w * eps_none


@GUIDE.mistake("It is the mean of both guesses: halfway between. Guidance goes beyond the label's guess, w further.")
def averaged(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return (eps_label + eps_none) / 2


@GUIDE.mistake(
    "It is divided by 1 + 2w, as if both weights were added. One of them is negative: their sum is 1 as it is."
)
def normalised_by_both(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return ((1 + w) * eps_label - w * eps_none) / (1 + 2 * w)


@GUIDE.mistake("This is the guess without the label: the label is lost.")
def none_alone(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return eps_none


@GUIDE.mistake("This is w times the difference alone: what the label changes. To which guess is it added?")
def w_times_the_difference(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return w * (eps_label - eps_none)


@GUIDE.mistake("The weights are w and −1. At w = 0 the guess with the label should be left: what are they then?")
def w_and_minus_1(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return w * eps_label - eps_none


@GUIDE.mistake("The guess without the label is subtracted whole, whatever w is. Do the weights add up to 1?")
def whole_none(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return (1 + w) * eps_label - eps_none


@GUIDE.mistake("The weights are 1 + w and −(1 − w). They should add up to 1 for every w.")
def one_minus_w_of_none(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return (1 + w) * eps_label - (1 - w) * eps_none


@GUIDE.mistake("The difference is added 2w times. At w = 1, how often should it be?")
def twice(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return eps_label + 2 * w * (eps_label - eps_none)


@GUIDE.mistake("w is squared. The formula is a line in w.")
def w_squared(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return eps_label + w**2 * (eps_label - eps_none)


@GUIDE.mistake("w is cut at 1. It may be any number from 0 on.")
def w_at_most_1(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return guide(eps_label, eps_none, min(w, 1.0))


@GUIDE.mistake("w is made a whole number. It may be any number from 0 on.")
def w_whole(eps_label: Tensor, eps_none: Tensor, w: float) -> Tensor:
    return guide(eps_label, eps_none, int(w))
