"""One step of both networks: each gets the gradient of its own loss, and nothing of the other's. Lecture 02 (1)."""

from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from gencourse.checks.answer import Answer
from gencourse.checks.compare import in_short
from gencourse.checks.lab_1_conditional_gan.given import (
    FLOAT32_TOL,
    Critic,
    Painter,
    gradient,
    is_used_up,
    normal,
    slope,
    told_as,
)
from gencourse.checks.spec import Exercise


def _own_gradients(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    softplus = torch.nn.functional.softplus
    fake = G(x, z)
    # D needs the fakes' values only, so they are cut off; G's loss needs the way back, through D
    loss_D = softplus(-D(x, y)).mean() + softplus(D(x, fake.detach())).mean()
    loss_G = softplus(-D(x, fake)).mean()
    # grad, unlike backward, adds nothing to the .grad of weights on its way
    return torch.autograd.grad(loss_D, D.weight)[0], torch.autograd.grad(loss_G, G.weight)[0]


GRADIENTS = Exercise(
    "gan.gradients",
    _own_gradients,
    returns=["grad_D", "grad_G"],
    second="fake = G(x, z), once. D's loss is your discriminator_loss of D(x, y) and D(x, fake.detach()); G's is your "
    "second loss of D(x, fake), uncut. Then torch.autograd.grad(loss, weight)[0] for each, with its own weight.",
    why="Two losses, two owners: nothing raises an error if a gradient goes to the other, and the game is another one.",
)
Args = tuple[Painter, Critic, Tensor, Tensor, Tensor]
Pair = tuple[Tensor, Tensor]


def _numbers(g: Generator, stale: bool = False, shape: tuple[int, ...] = (4, 3, 2, 5)) -> Args:
    x, y, z = (normal(shape, g) for _ in range(3))
    return Painter(g, stale), Critic(g, stale), x, y, z


def _loss_of_D(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Tensor:  # noqa: N802
    return (-D(x, y).sigmoid().log() - (1 - D(x, G(x, z)).sigmoid()).log()).mean()


def _loss_of_G(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Tensor:  # noqa: N802
    return -D(x, G(x, z)).sigmoid().log().mean()


def _truth(args: Args) -> Pair:
    G, D, *_ = args
    return slope(lambda: _loss_of_D(*args), D.weight), slope(lambda: _loss_of_G(*args), G.weight)


def _gives(answer: Answer, args: Args, truth: Pair, tol: float = 1e-7) -> None:
    """The gradients are right, and no weight has moved: that is asked first, for it would move the gradients."""
    nets: list[tuple[str, Any]] = [("G", args[0]), ("D", args[1])]
    before = [net.weight.detach().clone() for _, net in nets]
    with told_as(answer, "used_up", is_used_up):
        found = answer(*args)
    for (name, net), was in zip(nets, before, strict=True):
        if not torch.equal(net.weight, was):
            answer.wrong(
                "weights_changed",
                f"{name}'s weights are others after the call. Only gradients were asked for: who takes a step here?",
                expected=f"{name}.weight unchanged: {in_short(was)}",
                got=f"{name}.weight after the call: {in_short(net.weight.detach())}",
            )
    for name, want, got in zip(answer.exercise.returns, truth, found, strict=True):
        answer.agrees(name, want, got, tol)


@GRADIENTS.check(
    "each is the slope of its own loss over its own weights",
    "D's loss asks for the fakes' values only; G's loss needs the way back, through D into G. Which of the two calls "
    "of D gets fakes that are cut off from G? torch.autograd.grad(loss, weight) gives one gradient and leaves no "
    "trace; .backward() adds to every weight on its way.",
)
def _(answer: Answer, g: Generator) -> None:
    args = _numbers(g)
    _gives(answer, args, _truth(args))


@GRADIENTS.check(
    "what lies in .grad from an earlier step does not count",
    ".backward() adds to what is there. Who empties .grad, and when?",
)
def _(answer: Answer, g: Generator) -> None:
    args = _numbers(g, stale=True)
    _gives(answer, args, _truth(args))


@GRADIENTS.check(
    "called twice it says the same",
    "Only gradients were asked for: nothing is to pile up from call to call.",
)
def _(answer: Answer, g: Generator) -> None:
    args = _numbers(g)
    truth = _truth(args)
    _gives(answer, args, truth)
    _gives(answer, args, truth)


@GRADIENTS.check(
    "it takes float32, and vectors in place of pictures", "Nothing here depends on the precision, or on the axes."
)
def _(answer: Answer, g: Generator) -> None:
    args = _numbers(g, shape=(8, 2))
    truth = _truth(args)
    G, D, x, y, z = args
    _gives(answer, (G.float(), D.float(), x.float(), y.float(), z.float()), truth, tol=100 * FLOAT32_TOL)


def _losses(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    """Both losses with nothing detached."""
    fake = D(x, G(x, z))
    return softplus(-D(x, y)).mean() + softplus(fake).mean(), softplus(-fake).mean()


@GRADIENTS.mistake(
    "grad_G holds the gradient of D's loss, too: the fakes in D's loss were still tied to G, and there G helps D to "
    "catch it. Cut them off for D, and only for D."
)
def leak(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    loss_D, loss_G = _losses(G, D, x, y, z)
    return gradient(loss_D, D.weight), gradient(loss_D, G.weight) + gradient(loss_G, G.weight)


@GRADIENTS.mistake(
    "grad_D holds the gradient of G's loss, too: on its way to G it passes through D and leaves its trace in "
    "D's .grad. There D helps G to fool it. Read D's gradient before, or do without .backward()."
)
def accumulated(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    loss_D, loss_G = _losses(G, D, x, y, z)
    return gradient(loss_D, D.weight) + gradient(loss_G, D.weight), gradient(loss_G, G.weight)


@GRADIENTS.mistake(
    "The first backward, or autograd.grad, has used up a graph that the second needs: D's loss and G's share the "
    "fakes, or what D says of them. Which of the two losses needs no way back to G?"
)
def used_up(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    loss_D, loss_G = _losses(G, D, x, y, z)
    return torch.autograd.grad(loss_D, D.weight)[0], torch.autograd.grad(loss_G, G.weight)[0]


@GRADIENTS.mistake("grad_G is 0: G's own loss, too, got fakes that are cut off from it. They are cut off for D alone.")
def cut(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    return _own_gradients(G, D, x, y, z)[0], torch.zeros_like(G.weight)


@GRADIENTS.mistake(
    "grad_D became another tensor's: D.weight.grad is one place, and what was read there changes with it when it is "
    "emptied and filled again. Keep a clone of it."
)
def overwritten(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    return gradient(_losses(G, D, x, y, z)[1], D.weight), torch.full_like(G.weight, torch.nan)


@GRADIENTS.mistake("grad_D is 0: it was emptied, in place, after it had been read. What was read is the same tensor.")
def emptied(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    return torch.zeros_like(D.weight), torch.full_like(G.weight, torch.nan)


@GRADIENTS.mistake("D was shown z in place of x. It judges whether a picture belongs to its condition, D(x, y).")
def z_for_x(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    fake = D(z, G(x, z))
    loss_D = softplus(-D(z, y)).mean() + softplus(fake).mean()
    return gradient(loss_D, D.weight), gradient(softplus(-fake).mean(), G.weight)


@GRADIENTS.mistake("G was called with z first. It is given the condition first: G(x, z).")
def z_first(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    fake = D(x, G(z, x))
    loss_D = softplus(-D(x, y)).mean() + softplus(fake).mean()
    return gradient(loss_D, D.weight), gradient(softplus(-fake).mean(), G.weight)


@GRADIENTS.mistake("D never sees a real picture: only fakes are in its loss.")
def fake_only(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    return gradient(softplus(D(x, G(x, z))).mean(), D.weight), _own_gradients(G, D, x, y, z)[1]


@GRADIENTS.mistake(
    "The signs are turned: these are the directions in which the losses fall. The gradient points uphill."
)
def downhill(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    grad_D, grad_G = _own_gradients(G, D, x, y, z)
    return -grad_D, -grad_G


@GRADIENTS.mistake(
    "Each has the gradient of D's loss and of G's, added up: by one loss for both, or by two calls of .backward() with "
    "nothing cut, and nothing emptied in between. But they are opponents: each network has a loss of its own."
)
def one_loss(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    both = sum(_losses(G, D, x, y, z), torch.zeros(()))
    return gradient(both, D.weight), gradient(both, G.weight)


@GRADIENTS.mistake("There were gradients in .grad from an earlier step, and the new ones were added to them.")
def stale(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    grad_D, grad_G = _own_gradients(G, D, x, y, z)
    return grad_D + D.stale.to(x), grad_G + G.stale.to(x)


@GRADIENTS.mistake("The two have changed places: first D's, then G's.")
def exchanged(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    grad_D, grad_G = _own_gradients(G, D, x, y, z)
    return grad_G, grad_D


@GRADIENTS.mistake("This G follows the minimax loss. The non-saturating one was asked for.")
def minimax(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    loss_G = -softplus(D(x, G(x, z))).mean()
    return _own_gradients(G, D, x, y, z)[0], gradient(loss_G, G.weight)


@GRADIENTS.mistake("This G follows D's loss: it learns to be caught.")
def helps_D(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:  # noqa: N802
    return _own_gradients(G, D, x, y, z)[0], gradient(_losses(G, D, x, y, z)[0], G.weight)


@GRADIENTS.mistake("D never sees a fake: only real pictures are in its loss.")
def real_only(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    return gradient(softplus(-D(x, y)).mean(), D.weight), _own_gradients(G, D, x, y, z)[1]


@GRADIENTS.mistake("Real and fake have changed places in D's loss.")
def swapped(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    loss_D = softplus(D(x, y)).mean() + softplus(-D(x, G(x, z))).mean()
    return gradient(loss_D, D.weight), _own_gradients(G, D, x, y, z)[1]


@GRADIENTS.mistake("Half of D's gradient: the two terms of its loss are added here, and not averaged.")
def halved(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    grad_D, grad_G = _own_gradients(G, D, x, y, z)
    return grad_D / 2, grad_G


@GRADIENTS.mistake("D was called with y first. It sees the condition first: D(x, y).")
def y_first(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    fake = D(G(x, z), x)
    loss_D = softplus(-D(y, x)).mean() + softplus(fake).mean()
    return gradient(loss_D, D.weight), gradient(softplus(-fake).mean(), G.weight)


@GRADIENTS.mistake("The losses are sums over the batch. Take averages, as in the exercises above.")
def summed(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    grad_D, grad_G = _own_gradients(G, D, x, y, z)
    return y.numel() * grad_D, y.numel() * grad_G


@GRADIENTS.mistake("Each loss was differentiated by the other network's weight: D's loss moves D, G's loss moves G.")
def others_weights(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    loss_D, loss_G = _losses(G, D, x, y, z)
    return gradient(loss_D, G.weight), gradient(loss_G, D.weight)


@GRADIENTS.mistake("G was given the real picture in place of its condition. Nobody has that when G paints: G(x, z).")
def real_for_x(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    fake = D(x, G(y, z))
    loss_D = softplus(-D(x, y)).mean() + softplus(fake).mean()
    return gradient(loss_D, D.weight), gradient(softplus(-fake).mean(), G.weight)


@GRADIENTS.mistake("D saw the fakes beside the real picture. It sees them beside their condition: D(x, G(x, z)).")
def beside_the_real(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    fake = D(y, G(x, z))
    loss_D = softplus(-D(x, y)).mean() + softplus(fake).mean()
    return gradient(loss_D, D.weight), gradient(softplus(-fake).mean(), G.weight)
