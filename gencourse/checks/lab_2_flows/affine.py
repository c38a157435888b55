"""Scale and shift, the same for every example, and what they do to volumes. Lecture 03 (3)."""

import math

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_2_flows.given import FLOAT32_TOL, log_volume, normal, passes_gradients
from gencourse.checks.spec import Exercise
from genlib import flows


def _own_affine(x: Tensor, log_s: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    z = log_s.exp() * x + shift
    return z, log_s.sum().expand(len(x))  # the product of D scales, in logarithms: one number, the same for each x


AFFINE = Exercise(
    "flows.affine",
    _own_affine,
    returns=["z", "log_det"],
    batched=["x"],
    second="Write down the Jacobian for D = 2: exp(s_1) and exp(s_2) on the diagonal, zeros elsewhere. Take the "
    "logarithm of its determinant, and then ask how often you need that number: once for each of the B examples.",
    why="A scale written as exp(log_s) is never 0, and its log-determinant is a sum: that is the whole trick of the "
    "layers to come.",
)
Pair = tuple[Tensor, Tensor]


def _numbers(B: int, D: int, g: Generator) -> tuple[Tensor, Tensor, Tensor]:
    return normal((B, D), g), normal((D,), g), normal((D,), g)


def _by_hand(x: Tensor, log_s: Tensor, shift: Tensor) -> Tensor:
    numbers = zip(log_s.tolist(), shift.tolist(), strict=True)
    columns = [x[:, d] * math.exp(s) + t for d, (s, t) in enumerate(numbers)]
    return torch.stack(columns, dim=1)


@AFFINE.check(
    "z is x, scaled by exp(log_s) and then shifted",
    "Take one coordinate and log_s = 0: then z = x + shift. And with shift = 0?",
)
def _(answer: Answer, g: Generator) -> None:
    x, log_s, shift = _numbers(4, 4, g)
    z, _ = answer(x, log_s, shift)
    answer.agrees("z", _by_hand(x, log_s, shift), z)


@AFFINE.check(
    "log_det is log |det| of the Jacobian that autograd finds",
    "The Jacobian is diagonal, with exp(log_s) on it. What is the logarithm of the product of those?",
)
def _(answer: Answer, g: Generator) -> None:
    for B, D in ((3, 5), (4, 7), (1, 3), (5, 2)):
        x, log_s, shift = _numbers(B, D, g)
        answer.gives([x, log_s, shift], _by_hand(x, log_s, shift), log_volume(lambda v: _by_hand(v, log_s, shift), x))  # noqa: B023


@AFFINE.check("gradients reach log_s", "Stay in torch, and detach nothing.")
def _(answer: Answer, g: Generator) -> None:
    x, log_s, shift = _numbers(4, 3, g)
    answer(x, log_s.requires_grad_(), shift)
    passes_gradients(answer, "log_s")
    answer(x, log_s.requires_grad_(), shift.requires_grad_())
    answer.passes_back("log_s", "shift")


@AFFINE.check("it takes float32 too", "Nothing in the formulas depends on the precision of x.")
def _(answer: Answer, g: Generator) -> None:
    x, log_s, shift = _numbers(4, 3, g)
    log_det = log_volume(lambda v: _by_hand(v, log_s, shift), x)
    answer.gives([x.float(), log_s.float(), shift.float()], _by_hand(x, log_s, shift), log_det, tol=FLOAT32_TOL)


@AFFINE.check("it agrees with genlib", "Compare with flows.ActNorm.")
def _(answer: Answer, g: Generator) -> None:
    x, log_s, shift = _numbers(6, 3, g)
    layer = flows.ActNorm(3).double().requires_grad_(False).eval()
    layer.log_s.copy_(log_s)
    layer.shift.copy_(shift)
    answer.gives([x, log_s, shift], *layer(x))


@AFFINE.mistake("log_det is not a number: a logarithm is taken of something below 0. log_s is a logarithm already.")
def not_a_number(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], torch.full_like(x[:, 0], math.nan)


@AFFINE.mistake("log_det takes the logarithm of |log_s|. log_s is a logarithm already, as its name says.")
def log_of_log_s(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], log_s.abs().log().sum().expand(len(x))


@AFFINE.mistake("x is multiplied by log_s itself. It is the logarithm of the scale: what undoes a logarithm?")
def no_exp(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return log_s * x + shift, log_s.abs().log().sum().expand(len(x))


@AFFINE.mistake("The shift came first, and was scaled with x: (x + shift) · e^log_s. The equation scales, then shifts.")
def shift_first(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return (x + shift) * log_s.exp(), log_s.sum().expand(len(x))


@AFFINE.mistake("log_det has the wrong sign: where log_s > 0 the map stretches, and log_det counts that as more.")
def log_det_negative(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], -log_s.sum().expand(len(x))


@AFFINE.mistake("This is the determinant. Its logarithm was asked for (a product of 64 scales would soon overflow).")
def det_not_log(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], log_s.exp().prod().expand(len(x))


@AFFINE.mistake("The scales themselves are added up. Their product counts, and its logarithm is a sum: of what?")
def sum_of_scales(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], log_s.exp().sum().expand(len(x))


@AFFINE.mistake("log_s is averaged over the coordinates. Volumes multiply over all of them, so log_s is added up.")
def mean_not_sum(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], log_s.mean().expand(len(x))


@AFFINE.mistake("log_det has an entry for each coordinate. It is asked for each example: (B,), all D of them together.")
def per_coordinate(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], log_s


@AFFINE.mistake("log_det is one number. It is the same for every example here, yet each is to have it: shape (B,).")
def one_for_all(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], log_s.sum()


@AFFINE.mistake("log_det is summed over the batch: every example stands for itself, and is stretched once.")
def summed_over_the_batch(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], log_s.expand_as(x).sum().expand(len(x))


@AFFINE.mistake("log_det is summed over the batch, and no axis of it is left.")
def all_summed(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], log_s.expand_as(x).sum()


@AFFINE.mistake("This is the way back, from z to x. Here x is given, and z asked for.")
def backwards(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return (x - shift) * torch.exp(-log_s), -log_s.sum().expand(len(x))


@AFFINE.mistake("log_s and shift have changed places: which of the two is the logarithm of a scale?")
def roles_exchanged(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, shift, log_s)


@AFFINE.mistake("x is added, and the shift scaled. In the equation the scale stands in front of which of the two?")
def shift_scaled(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return torch.addcmul(x, shift, log_s.exp()), log_s.sum().expand(len(x))


@AFFINE.mistake("Two of the log_s are counted, as in the plane. How many coordinates there are, log_s itself knows.")
def two_coordinates(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], (log_s[0] + log_s[1]).expand(len(x))


@AFFINE.mistake("log_s is averaged, and multiplied by 2, as in the plane. How many coordinates there are, x knows.")
def twice_the_mean(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], 2 * log_s.mean().expand(len(x))


@AFFINE.mistake("The scales are added up before the logarithm. It is their product whose logarithm we want.")
def added_before_log(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], log_s.logsumexp(0).expand(len(x))


@AFFINE.mistake("The log_s are multiplied. It is the scales that multiply; what do their logarithms do?")
def multiplied(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], log_s.prod().expand(len(x))


@AFFINE.mistake("The shift counts in log_det. It moves all of space by the same amount: what does that stretch?")
def shift_counted(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], (log_s + shift).sum().expand(len(x))


@AFFINE.mistake("The shift goes through an exp, too. Only the scale was given by its logarithm.")
def exp_of_both(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return log_s.exp() * x + shift.exp(), log_s.sum().expand(len(x))


@AFFINE.mistake("|log_s| is added up: where log_s is negative the map shrinks, and that counts as less.")
def absolute(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], log_s.abs().sum().expand(len(x))


@AFFINE.mistake("x is divided by exp(log_s). Where log_s is positive, should x grow or shrink?")
def divided(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return x * torch.exp(-log_s) + shift, log_s.sum().expand(len(x))


@AFFINE.mistake("The shift is taken off. That belongs to the way back; here it is added.")
def shift_subtracted(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return log_s.exp() * x - shift, log_s.sum().expand(len(x))


@AFFINE.mistake("log_det is 0, as if the map stretched nothing. What does exp(log_s) do to a small square?")
def no_log_det(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], x.new_zeros(len(x))


@AFFINE.mistake("log_det is in bits here. It is asked for in nats: the natural logarithm, and log_s is one.")
def log_det_in_bits(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], log_s.sum().expand(len(x)) / math.log(2)


@AFFINE.mistake(
    "log_s is multiplied by x before it is added up. The Jacobian holds derivatives over x: is x still in them?"
)
def times_x(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return _own_affine(x, log_s, shift)[0], (log_s * x).sum(1)


@AFFINE.mistake("The scale is 2^log_s. log_s is a natural logarithm: whose inverse is it?")
def base_2(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return 2**log_s * x + shift, log_s.sum().expand(len(x))


@AFFINE.mistake("The scale is 1 + log_s: that is exp(log_s) only as long as log_s is small.")
def one_plus(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return (1 + log_s) * x + shift, torch.full_like(x[:, 0], math.nan)


@AFFINE.mistake("The shift comes in twice.")
def shift_twice(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return log_s.exp() * x + 2 * shift, log_s.sum().expand(len(x))


@AFFINE.mistake("The shift is missing: z = exp(log_s) · x + shift.")
def no_shift(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return log_s.exp() * x, log_s.sum().expand(len(x))


@AFFINE.mistake("All coordinates have one scale here, that of their sum or mean. Each has its own log_s.")
def one_scale(x: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    return log_s.sum().exp() * x + shift, log_s.sum().expand(len(x))
