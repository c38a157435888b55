"""A penalty on the slope of D where the pictures are real. Lecture 01, section 12."""

from typing import Any

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.compare import in_short, same
from gencourse.checks.lab_1_conditional_gan.given import (
    FLOAT32_TOL,
    BlurredCritic,
    Critic,
    gradient,
    normal,
    passes_gradients,
    scalar,
)
from gencourse.checks.spec import Exercise


def _own_r1(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    y = y.detach().requires_grad_()
    # pictures do not touch each other: the sum of all logits has each one's own gradient
    (slope,) = torch.autograd.grad(D(x, y).sum(), y, create_graph=True)
    return slope.square().sum((1, 2, 3)).mean()


R1 = Exercise(
    "gan.r1",
    _own_r1,
    returns=["penalty"],
    second="Four steps: a y that asks for gradients (y.detach().requires_grad_()); the sum of all logits D(x, y); its "
    "gradient over y by torch.autograd.grad(..., create_graph=True), which comes in a tuple; the squares, summed over "
    "the axes 1, 2, 3, and averaged over the batch.",
    why="Where p_G = p the best D is flat, so the penalty costs nothing there, and calms the way to it.",
)


def _slopes(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    """∂D(x, y)/∂y of each picture, the sum of its patches' logits, with the way back to D's weights."""
    y = y.detach().requires_grad_()
    return torch.autograd.grad(D(x, y).sum(), y, create_graph=True)[0]


def _by_hand(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    """The critic is a·tanh(x + ½) + b·y + c·x·y², so its slope over y is b + 2·c·x·y."""
    _, b, c = D.weight.detach().tolist()
    pictures = [sum((b + 2 * c * u * v) ** 2 for u, v in zip(p.flatten().tolist(), q.flatten().tolist(), strict=True))
                for p, q in zip(x, y, strict=True)]  # fmt: skip
    return scalar(sum(pictures) / len(pictures))


def _numbers(g: Generator) -> tuple[Critic, Tensor, Tensor]:
    return Critic(g), normal((4, 3, 5, 7), g), normal((4, 3, 5, 7), g)


@R1.check(
    "it is the squared length of D's gradient over y, averaged over the batch",
    "Make y a tensor that asks for gradients; D's logits, summed, have a gradient over it, one for each picture. "
    "Its squared length is a sum over the picture's pixels.",
)
def _(answer: Answer, g: Generator) -> None:
    D, x, y = _numbers(g)
    answer.gives([D, x, y], _by_hand(D, x, y))


@R1.check(
    "the batch may be of any size, and pictures have three axes",
    "Sum over the pixels of a picture, average over the pictures.",
)
def _(answer: Answer, g: Generator) -> None:
    D = Critic(g)
    for shape in ((1, 1, 2, 2), (5, 2, 3, 4)):
        x, y = normal(shape, g), normal(shape, g)
        answer.gives([D, x, y], _by_hand(D, x, y))


@R1.check(
    "a pixel that several patches see has one slope, the sum of theirs",
    "All logits of a picture are added before the gradient is taken.",
)
def _(answer: Answer, g: Generator) -> None:
    D, (_, x, y) = BlurredCritic(g), _numbers(g)
    _, b, c = D.weight.detach().tolist()
    slopes = 1.7 * (b + 2 * c * x * y)  # a pixel's own logit, and 0.7 of the next one
    answer.gives([D, x, y], slopes.square().sum() / len(x))


@R1.check(
    "D can learn from it",
    "The penalty is itself made of a gradient, and is to be differentiated again, by D's weights: see create_graph.",
)
def _(answer: Answer, g: Generator) -> None:
    D, (_, x, y) = Critic(g, stale=True), _numbers(g)
    penalty = answer(D, x, y)
    passes_gradients(
        answer,
        "D's weights",
        "D is to learn from this number, so the gradient itself has to stay differentiable. What does create_graph do?",
    )
    found = gradient(penalty, D.weight)
    expected = gradient(_own_r1(D, x, y), D.weight)
    answer.agrees("∂penalty/∂weight", expected, found, tol=1e-8)
    left: Any = D.weight.grad
    if not (isinstance(left, Tensor) and same(left, D.stale)):
        answer.wrong(
            "leaves_a_trace",
            "backward adds to .grad of every weight on its way, and D's next step would find it there. "
            "torch.autograd.grad gives the one gradient that is asked for, and leaves nothing behind.",
            expected=f"D.weight.grad as it was: {in_short(D.stale)}",
            got=f"D.weight.grad after the call: {in_short(left)}",
        )


@R1.check(
    "where D is flat the penalty is 0, and so is its slope",
    "In the end D is flat, and learns on: is there a root whose slope is infinite at 0?",
)
def _(answer: Answer, g: Generator) -> None:
    D, (_, x, y) = Critic(g), _numbers(g)
    with torch.no_grad():
        D.weight[1:] = 0
    answer.gives([D, x, y], scalar(0.0))
    found = gradient(answer.outputs[0], D.weight)
    if not found.isfinite().all():
        answer.wrong(
            "nan_gradient",
            "The value is right, 0, and its gradient is not: the root of 0 has an infinite slope, and 0 · ∞ is no "
            "number. D would lose all its weights at once. The squared length needs no root.",
            expected="∂penalty/∂weight = 0 where D is flat",
            got=f"∂penalty/∂weight = {in_short(found)}",
        )
    answer.agrees("∂penalty/∂weight", torch.zeros_like(found), found)


@R1.check("it takes float32 too", "Nothing in it depends on the precision.")
def _(answer: Answer, g: Generator) -> None:
    D, x, y = _numbers(g)
    expected = _by_hand(D, x, y)
    answer.gives([D.float(), x.float(), y.float()], expected, tol=100 * FLOAT32_TOL)


@R1.mistake("The length is not squared: the penalty is ‖∇D‖².")
def not_squared(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return _slopes(D, x, y).flatten(1).norm(dim=1).mean()


@R1.mistake("Averaged over the pixels as well. The squared length of a gradient is a sum over its entries.")
def mean_over_pixels(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return _slopes(D, x, y).square().mean()


@R1.mistake("Averaged over the channels as well. A picture has one gradient, and all its channels' entries are in it.")
def mean_over_channels(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    if y.shape[1] == 1:
        raise ValueError("one channel is no mean")
    return _slopes(D, x, y).square().sum((2, 3)).mean()


@R1.mistake(
    "The square is summed along the last axis only, and averaged over the others. A picture has one gradient, with all "
    "its channels, rows and columns in it."
)
def last_axis_only(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return _slopes(D, x, y).square().sum(-1).mean()


@R1.mistake("Summed over the channels alone, and averaged over the pixels. All entries of a gradient make its length.")
def channels_only(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return _slopes(D, x, y).square().sum(1).mean()


@R1.mistake("The lengths are averaged first, and squared then. Each picture's length is squared by itself.")
def square_of_the_mean(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return _slopes(D, x, y).flatten(1).norm(dim=1).mean().square()


@R1.mistake("The length of one gradient of all pictures together, not squared.")
def one_length(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return _slopes(D, x, y).norm()


@R1.mistake("Summed over the batch. Each picture has its own length; average them.")
def summed_over_the_batch(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return _slopes(D, x, y).square().sum()


@R1.mistake(
    "The logits were averaged before the gradient was taken, so it is smaller by their number, and its square by "
    "the square of that. Sum them: pictures do not touch each other."
)
def logits_averaged(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return _own_r1(D, x, y) / y.numel() ** 2


@R1.mistake("This pulls the length of the gradient towards 1, as WGAN-GP does. R1 pulls it towards 0.")
def towards_1(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return (_slopes(D, x, y).flatten(1).norm(dim=1) - 1).square().mean()


@R1.mistake("The gradient over x. D must be flat where it moves along *pictures*: take it over y.")
def over_x(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(D(x, y).sum(), x, create_graph=True)[0].square().flatten(1).sum(1).mean()


@R1.mistake("Half of it. The factor γ/2 comes outside, where the penalty is added to D's loss.")
def halved(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return 0.5 * _own_r1(D, x, y)


@R1.mistake("The entries' sizes are added. The length of a vector has squares.")
def absolute(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return _slopes(D, x, y).abs().flatten(1).sum(1).mean()


@R1.mistake("The gradients of all pictures are added up before squaring, where they cancel.")
def batch_first(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return _slopes(D, x, y).sum(0).square().sum()


@R1.mistake("The square of D's logits. It is the square of D's *slope* that counts.")
def of_the_logits(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return D(x, y).square().flatten(1).sum(1).mean()


@R1.mistake("One number for each picture, and their average was asked for.")
def per_picture(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return _slopes(D, x, y).square().flatten(1).sum(1)


@R1.mistake("Each patch's slope was squared by itself. They are added first: a picture has one gradient.")
def patch_by_patch(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    y = y.detach().requires_grad_()
    slopes = [torch.autograd.grad(logit, y, create_graph=True)[0] for logit in D(x, y).flatten()]
    return torch.stack([slope.square().sum() for slope in slopes]).sum() / len(y)


def _penalty(of: Tensor, over: Tensor) -> Tensor:
    return torch.autograd.grad(of, over, create_graph=True)[0].square().flatten(1).sum(1).mean()


@R1.mistake("The slope of the sigmoid of D. R1 asks for that of the logits: where D is sure, the sigmoid hides it.")
def of_probabilities(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    y = y.detach().requires_grad_()
    return _penalty(D(x, y).sigmoid().sum(), y)


@R1.mistake("The slope of a loss of D. R1 asks for that of the logits themselves.")
def of_the_loss(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    y = y.detach().requires_grad_()
    return _penalty(torch.nn.functional.softplus(-D(x, y)).sum(), y)


@R1.mistake("The slope of D's loss, an average. R1 asks for that of the logits themselves, added up.")
def of_the_mean_loss(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    y = y.detach().requires_grad_()
    return _penalty(torch.nn.functional.softplus(-D(x, y)).mean(), y)


@R1.mistake("The patches of a picture were averaged before the gradient was taken. They are to be added up.")
def patches_averaged(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    y = y.detach().requires_grad_()
    return _penalty(D(x, y).flatten(1).mean(1).sum(), y)


@R1.mistake("The gradient over D's weights. It is to be flat along *pictures*: take it over y.")
def over_the_weights(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return torch.autograd.grad(D(x, y).sum(), D.weight, create_graph=True)[0].square().sum()


@R1.mistake("The entries of the gradient are added, and the sum is squared: they cancel. Square each, then add.")
def summed_first(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return _slopes(D, x, y).flatten(1).sum(1).square().mean()


@R1.mistake("The squared length is squared once more.")
def fourth_power(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return _slopes(D, x, y).square().flatten(1).sum(1).square().mean()


@R1.mistake("Only the largest entry of each gradient counts. Its length has all of them.")
def largest(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return _slopes(D, x, y).square().flatten(1).max(1).values.mean()


@R1.mistake("The squared length is pulled towards 1. R1 pulls it towards 0: it is the penalty itself.")
def squares_towards_1(D: Critic, x: Tensor, y: Tensor) -> Tensor:
    return (_slopes(D, x, y).square().flatten(1).sum(1) - 1).square().mean()
