"""One step of a training: D's turn, then G's, each with its own loss and its own optimizer. Lecture 02 (1)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus
from torch.nn.utils import parameters_to_vector

from gencourse.checks.answer import Answer
from gencourse.checks.lab_1_conditional_gan.given import Critic, Painter, normal, slope, uniform
from gencourse.checks.spec import Exercise

Optimizer = torch.optim.Optimizer
Args = tuple[Any, Any, Optimizer, Optimizer, Tensor, Tensor, Tensor, float]


def _own_step(
    G: nn.Module,
    D: nn.Module,
    G_optimizer: Optimizer,
    D_optimizer: Optimizer,
    x: Tensor,
    y: Tensor,
    z: Tensor,
    lam: float,
) -> None:
    softplus = torch.nn.functional.softplus
    fake = G(x, z)

    # D's turn: it sees the fakes' values, cut off from G
    loss_D = softplus(-D(x, y)).mean() + softplus(D(x, fake.detach())).mean()
    D_optimizer.zero_grad()
    loss_D.backward()
    D_optimizer.step()

    # G's turn, before the D that has just moved. What this leaves in D's .grad is emptied at D's next turn
    loss_G = softplus(-D(x, fake)).mean() + lam * (y - fake).abs().mean()
    G_optimizer.zero_grad()
    loss_G.backward()
    G_optimizer.step()


class Step(Exercise):
    """What counts is what has become of the weights."""

    def seen(self, raw: Any, given: Sequence[Any]) -> Any:
        return tuple(parameters_to_vector(net.parameters()).detach() for net in given[:2])


STEP = Step(
    "gan.step",
    _own_step,
    returns=["G's weights", "D's weights"],
    second="Two blocks of four lines. A loss; optimizer.zero_grad(); loss.backward(); optimizer.step(). In D's block "
    "the fakes are detached; in G's, which comes after D's step, D is called anew on the fakes as they are.",
    why="That is all of GAN training: what other recipes add are penalties, averages of weights, and schedules.",
)


class Descent(torch.optim.SGD):
    def __repr__(self) -> str:
        return f"gradient descent, lr {self.param_groups[0]['lr']:g}"


class Adam(torch.optim.Adam):
    def __repr__(self) -> str:
        return f"Adam, lr {self.param_groups[0]['lr']:g}"


class Tinted(nn.Module):
    """A network with a second weight of another shape, as real ones have many."""

    def __init__(self, net: nn.Module, g: Generator) -> None:
        super().__init__()
        self.net, self.tint = net, nn.Parameter(normal((3, 1, 1), g))

    def __repr__(self) -> str:
        return f"{self.net!r} with one more weight"

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        return self.net(x, other) + self.tint * torch.tanh(other)


def _numbers(g: Generator, stale: bool = False) -> Args:
    G, D = Painter(g, stale), Critic(g, stale)
    optimizers = Descent(G.parameters(), lr=uniform(0.2, 0.3, g)), Descent(D.parameters(), lr=uniform(0.4, 0.5, g))
    x, y, z = (normal((4, 3, 2, 5), g) for _ in range(3))
    return G, D, *optimizers, x, y, z, round(uniform(2, 4, g), 3)


def _by_hand(args: Args) -> tuple[Tensor, Tensor]:
    """Two steps of gradient descent, each slope by finite differences; the networks are put back."""
    G, D, G_optimizer, D_optimizer, x, y, z, lam = args

    def loss_D() -> Tensor:  # noqa: N802
        return (-D(x, y).sigmoid().log() - (1 - D(x, G(x, z)).sigmoid()).log()).mean()

    def loss_G() -> Tensor:  # noqa: N802
        return -D(x, G(x, z)).sigmoid().log().mean() + lam * (y - G(x, z)).abs().mean()

    before = D.weight.detach().clone()
    D_after = before - D_optimizer.param_groups[0]["lr"] * slope(loss_D, D.weight)
    with torch.no_grad():
        D.weight.copy_(D_after)
        G_after = G.weight.detach() - G_optimizer.param_groups[0]["lr"] * slope(loss_G, G.weight)
        D.weight.copy_(before)
    return G_after, D_after


@STEP.check(
    "D goes down the slope of its own loss, then G down that of its own, before the D that has moved",
    "Eight lines, two turns. In each: a loss, zero_grad(), backward(), step(). Which loss, whose optimizer, and which "
    "of the calls of D gets fakes that are cut off from G?",
)
def _(answer: Answer, g: Generator) -> None:
    args = _numbers(g)
    answer.gives(args, *_by_hand(args), tol=1e-7)


@STEP.check(
    "what lies in .grad from an earlier step does not count",
    ".backward() adds to what is there. Who empties .grad, and when?",
)
def _(answer: Answer, g: Generator) -> None:
    args = _numbers(g, stale=True)
    answer.gives(args, *_by_hand(args), tol=1e-7)


@STEP.check(
    "three steps in a row are genlib's, with Adam and networks of more weights",
    "An optimizer knows all weights of its network: let it move them. Is something left over from the step before?",
)
def _(answer: Answer, g: Generator) -> None:
    G, D = Tinted(Painter(g), g), Tinted(Critic(g), g)
    optimizers = Adam(G.parameters(), lr=0.03), Adam(D.parameters(), lr=0.05)
    args: Any = (G, D, *optimizers, *(normal((4, 3, 2, 5), g) for _ in range(3)), 3.0)
    for _ in range(3):
        own = answer.exercise.results(answer.exercise.own, args)
        answer.gives(args, *own)
        args = (*answer.given[:4], *(normal((4, 3, 2, 5), g) for _ in range(3)), 3.0)


def _loss_D(D: Any, x: Tensor, y: Tensor, fake: Tensor) -> Tensor:  # noqa: N802
    return softplus(-D(x, y)).mean() + softplus(D(x, fake)).mean()


def _loss_G(D: Any, x: Tensor, y: Tensor, fake: Tensor, lam: float) -> Tensor:  # noqa: N802
    return softplus(-D(x, fake)).mean() + lam * (y - fake).abs().mean()


def _turn(optimizer: Optimizer, loss: Tensor, empty: bool = True) -> None:
    if empty:
        optimizer.zero_grad()
    loss.backward(retain_graph=True)
    optimizer.step()


@STEP.mistake(
    "G's step holds the gradient of D's loss, too: the fakes in D's loss were still tied to G, and what came back "
    "along that way lay in G's .grad. Cut them off in D's turn."
)
def leak(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    G_optimizer.zero_grad()
    _turn(D_optimizer, _loss_D(D, x, y, fake))
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam), empty=False)


@STEP.mistake(
    "G was judged by D as it was before its step. The order: D's turn to its end, then call D again on the fakes, and "
    "G's turn."
)
def old_D(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    fake = G(x, z)
    G_optimizer.zero_grad()
    _loss_G(D, x, y, fake, lam).backward()
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    G_optimizer.step()


@STEP.mistake("G's turn came first, and D saw fakes of the new G. D's turn comes first, on the fakes of both turns.")
def G_first(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    _turn(G_optimizer, _loss_G(D, x, y, G(x, z), lam))
    _turn(D_optimizer, _loss_D(D, x, y, G(x, z).detach()))


@STEP.mistake(
    "D moved with the gradient of G's loss, too, as if it were to be fooled: on its way to G that loss passes through "
    "D, and leaves its trace in D's .grad. Let D take its step before."
)
def accumulated(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    G_optimizer.zero_grad()
    D_optimizer.zero_grad()
    (_loss_D(D, x, y, fake.detach()) + _loss_G(D, x, y, fake, lam)).backward()
    G_optimizer.step()
    D_optimizer.step()


@STEP.mistake("One loss for both: each network moved with the gradients of D's loss and of G's. They are opponents.")
def joint(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    G_optimizer.zero_grad()
    D_optimizer.zero_grad()
    (_loss_D(D, x, y, fake) + _loss_G(D, x, y, fake, lam)).backward()
    G_optimizer.step()
    D_optimizer.step()


@STEP.mistake(
    "Nobody emptied .grad: D's and G's steps hold the gradients of an earlier step, too. Each turn begins with "
    "zero_grad."
)
def stale(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()), empty=False)
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam), empty=False)


@STEP.mistake(
    "D's .grad was not emptied before its backward: gradients of an earlier step, and G's last one, are in it."
)
def stale_D(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()), empty=False)
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))


@STEP.mistake("G's .grad was not emptied before its backward: the gradient of an earlier step was added to it.")
def stale_G(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam), empty=False)


@STEP.mistake(
    "Only D has moved. Is G's optimizer called, and is there a way back from G's loss to G: are its fakes uncut?"
)
def only_D(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    _turn(D_optimizer, _loss_D(D, x, y, G(x, z).detach()))


@STEP.mistake("D has not moved, G has. Whose step() is called at the end of D's turn?")
def only_G(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    _turn(G_optimizer, _loss_G(D, x, y, G(x, z), lam))


@STEP.mistake(
    "No weight has moved. Is each optimizer's step() called, after backward(), and with the gradients still there?"
)
def nothing_moves(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    pass


@STEP.mistake(
    "G moved by the distance alone: what D judges in G's turn is cut off from G, or is no fake. Cut the fakes in D's "
    "turn only."
)
def cut(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, lam * (y - fake).abs().mean())


@STEP.mistake(
    "In G's turn D moved as well, towards being fooled. Each optimizer takes one step, at the end of its turn."
)
def D_twice(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    G_optimizer.zero_grad()
    D_optimizer.zero_grad()
    _loss_G(D, x, y, fake, lam).backward()
    G_optimizer.step()
    D_optimizer.step()


@STEP.mistake("Each network is moved by the other's loss: its optimizer steps in the other's turn.")
def exchanged(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    G_optimizer.zero_grad()
    D_optimizer.zero_grad()
    _turn(G_optimizer, _loss_D(D, x, y, fake), empty=False)
    D_optimizer.zero_grad()
    _turn(D_optimizer, _loss_G(D, x, y, fake.detach(), lam))


@STEP.mistake("λ and the distance are missing in G's loss.")
def no_distance(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, softplus(-D(x, fake)).mean())


@STEP.mistake("λ is missing: the distance counts once.")
def no_lam(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, _loss_G(D, x, y, fake, 1.0))


@STEP.mistake("G follows the minimax loss. The non-saturating one is in the objective.")
def minimax(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, -softplus(D(x, fake)).mean() + lam * (y - fake).abs().mean())


@STEP.mistake("G goes down D's loss: it learns to be caught.")
def helps_D(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, softplus(D(x, fake)).mean() + lam * (y - fake).abs().mean())


@STEP.mistake("D never saw a fake: only real pictures are in its loss.")
def real_only(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, softplus(-D(x, y)).mean())
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))


@STEP.mistake("Real and fake have changed places in D's loss.")
def swapped(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, softplus(D(x, y)).mean() + softplus(-D(x, fake.detach())).mean())
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))


@STEP.mistake("D climbs: the sign of its loss is turned, and an optimizer makes a loss small.")
def uphill(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, -_loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))


@STEP.mistake("D's loss is halved. Here its two terms are added.")
def halved(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()) / 2)
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))


@STEP.mistake("λ weighs both terms of G's loss. It belongs to the distance.")
def lam_on_both(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, lam * _loss_G(D, x, y, fake, 1.0))


@STEP.mistake("The distance in G's loss is squared. In the objective it is the mean absolute value.")
def squared(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, softplus(-D(x, fake)).mean() + lam * (y - fake).square().mean())


@STEP.mistake("The distance in G's loss is summed over the pixels. It is a mean.")
def summed(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, softplus(-D(x, fake)).mean() + lam * (y - fake).abs().sum())


@STEP.mistake("The distance is subtracted in G's loss: G is paid for going away from the target.")
def subtracted(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, _loss_G(D, x, y, fake, -lam))


@STEP.mistake("D never saw a real picture: only fakes are in its loss.")
def fake_only(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, softplus(D(x, fake.detach())).mean())
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))


@STEP.mistake("D's loss is summed over the batch. Each of its terms is an average.")
def summed_D(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    fake = G(x, z)
    _turn(D_optimizer, y.numel() * _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))


@STEP.mistake("λ is on what D says. It belongs to the distance.")
def lam_on_the_other(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, lam * softplus(-D(x, fake)).mean() + (y - fake).abs().mean())


@STEP.mistake("D was called with y first. It sees the condition first: D(x, y).")
def y_first(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    def turned(x, y):
        return D(y, x)

    fake = G(x, z)
    _turn(D_optimizer, _loss_D(turned, x, y, fake.detach()))
    _turn(G_optimizer, _loss_G(turned, x, y, fake, lam))


@STEP.mistake("G took two steps. Each network takes one, with one backward before it.")
def G_twice(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    _turn(D_optimizer, _loss_D(D, x, y, G(x, z).detach()))
    for _ in range(2):
        _turn(G_optimizer, _loss_G(D, x, y, G(x, z), lam))


@STEP.mistake("D took two steps before G's turn. Some recipes do so; here each network takes one.")
def two_steps_of_D(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    fake = G(x, z)
    for _ in range(2):
        _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))


@STEP.mistake("D's loss is the least-squares GAN's. Here it is that of the first exercise.")
def least_squares(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, (D(x, y) - 1).square().mean() + D(x, fake.detach()).square().mean())
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))
