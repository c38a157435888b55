"""One step of a training: D's turn, then G's, each with its own loss and its own optimizer. Lecture 02 (1)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils import parameters_to_vector

from gencourse.checks.answer import Answer
from gencourse.checks.lab_1_conditional_gan.given import Critic, Painter, is_used_up, normal, slope, told_as, uniform
from gencourse.checks.spec import Exercise

Optimizer = torch.optim.Optimizer
KINK = 0.01  # so far fakes stay from y, which finite differences must not step across
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
    with torch.no_grad():
        fake = G(x, z)
        y = torch.where((y - fake).abs() < KINK, fake + KINK, y)  # |y - fake| has no slope where it is 0
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

    def has_lost_its_numbers(found: dict[str, Any]) -> bool:
        """D's weights, single numbers, have moved between what D said of the fakes and the backward of G's loss."""
        changed = found["mistake"] == "error" and "Tensor []], which is output 0 of" in found["error"]
        return changed and not torch.equal(answer.given[1].weight, args[1].weight)

    with told_as(answer, "old_D", has_lost_its_numbers), told_as(answer, "used_up", is_used_up):
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
