"""One step of both networks: each gets the gradient of its own loss, and nothing of the other's. Lecture 02 (1)."""

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from gencourse.checks.answer import Answer
from gencourse.checks.compare import in_short
from gencourse.checks.lab_1_conditional_gan.given import FLOAT32_TOL, Critic, Painter, gradient, normal
from gencourse.checks.spec import Exercise
from genlib import gan


def _own_gradients(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    fake = G(x, z)
    loss_D = gan.discriminator_loss(D(x, y), D(x, fake.detach()))
    loss_G = gan.generator_loss(D(x, fake))
    return gradient(loss_D, D.weight), gradient(loss_G, G.weight)


GRADIENTS = Exercise("gan.gradients", _own_gradients, returns=["grad_D", "grad_G"])
Args = tuple[Painter, Critic, Tensor, Tensor, Tensor]
Pair = tuple[Tensor, Tensor]


def _numbers(g: Generator, stale: bool = False) -> Args:
    x, y, z = (normal((4, 1, 2, 3), g) for _ in range(3))
    return Painter(g, stale), Critic(g, stale), x, y, z


def _slope(f, weight: Tensor, h: float = 1e-4) -> Tensor:
    """∂f()/∂weight by finite differences; the weight is put back."""
    before, slopes = weight.detach().clone(), []
    with torch.no_grad():
        for i in range(len(weight)):
            values = []
            for step in (h, -h, 2 * h, -2 * h):
                weight.copy_(before)
                weight[i] += step
                values.append(f())
            slopes.append((8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * h))
        weight.copy_(before)
    return torch.stack(slopes)


def _loss_of_D(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Tensor:  # noqa: N802
    return (-D(x, y).sigmoid().log() - (1 - D(x, G(x, z)).sigmoid()).log()).mean()


def _loss_of_G(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Tensor:  # noqa: N802
    return -D(x, G(x, z)).sigmoid().log().mean()


def _truth(args: Args) -> Pair:
    G, D, *_ = args
    return _slope(lambda: _loss_of_D(*args), D.weight), _slope(lambda: _loss_of_G(*args), G.weight)


@GRADIENTS.check(
    "each is the slope of its own loss over its own weights",
    "D's loss asks for the fakes' values only; G's loss needs the way back, through D into G. Which of the two calls "
    "of D gets fakes that are cut off from G? torch.autograd.grad(loss, weight) gives one gradient and leaves no "
    "trace; .backward() adds to every weight on its way.",
)
def _(answer: Answer, g: Generator) -> None:
    args = _numbers(g)
    answer.gives(args, *_truth(args), tol=1e-7)


@GRADIENTS.check(
    "what lies in .grad from an earlier step does not count",
    ".backward() adds to what is there. Who empties .grad, and when?",
)
def _(answer: Answer, g: Generator) -> None:
    args = _numbers(g, stale=True)
    answer.gives(args, *_truth(args), tol=1e-7)


@GRADIENTS.check(
    "no weight is changed, and called twice it says the same",
    "Only gradients were asked for: no optimizer steps here, and nothing piles up.",
)
def _(answer: Answer, g: Generator) -> None:
    args = _numbers(g)
    G, D, *_ = args
    truth, before = _truth(args), [G.weight.detach().clone(), D.weight.detach().clone()]
    answer.gives(args, *truth, tol=1e-7)
    for name, net, was in (("G", G, before[0]), ("D", D, before[1])):
        if not torch.equal(net.weight, was):
            answer.wrong(
                "weights_changed",
                f"{name}'s weights are others after the call. Only gradients were asked for: who takes a step here?",
                expected=f"{name}.weight unchanged: {in_short(was)}",
                got=f"{name}.weight after the call: {in_short(net.weight.detach())}",
            )
    answer.gives(args, *truth, tol=1e-7)


@GRADIENTS.check("it takes float32 too", "Nothing here depends on the precision.")
def _(answer: Answer, g: Generator) -> None:
    args = _numbers(g)
    truth = _truth(args)
    G, D, x, y, z = args
    answer.gives([G.float(), D.float(), x.float(), y.float(), z.float()], *truth, tol=100 * FLOAT32_TOL)


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
    return gradient(loss_D, D.weight) + gradient(loss_G, D.weight), torch.full_like(G.weight, torch.nan)


@GRADIENTS.mistake("grad_G is 0: G's own loss, too, got fakes that are cut off from it. They are cut off for D alone.")
def cut(G: Painter, D: Critic, x: Tensor, y: Tensor, z: Tensor) -> Pair:
    return _own_gradients(G, D, x, y, z)[0], torch.zeros_like(G.weight)


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
