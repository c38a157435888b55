"""One step of a generator that learns from a distance of samples, with no discriminator. Lecture 07, section 2."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from gencourse.checks.answer import Answer
from gencourse.checks.lab_4_one_truth.energy import energy
from gencourse.checks.lab_4_one_truth.given import FLOAT32_TOL, normal, scalar
from gencourse.checks.lab_4_one_truth.p_value import Named
from gencourse.checks.spec import Exercise

Optimizer = torch.optim.Optimizer
Distance = Callable[[Tensor, Tensor], Tensor]
Numbers = tuple[nn.Module, Optimizer, Tensor, Tensor, Distance]


def _own_step(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Tensor:
    loss = distance(G(z), y)  # of the weights as they are now
    optimizer.zero_grad()  # .backward() adds to what is in .grad
    loss.backward()
    optimizer.step()
    return loss.detach()


class Net(nn.Sequential):
    """A network that notes whether slopes have come back to what it gave, and knows its weights from before."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.reached, self.before = False, torch.empty(0)

    def forward(self, input: Tensor) -> Tensor:
        out = super().forward(input)
        if out.requires_grad:
            out.register_hook(self._note)
        return out

    def _note(self, slopes: Tensor) -> None:
        self.reached = True

    def idle(self, weights: Tensor) -> bool:
        """No slopes have come back, and no weight has moved."""
        return not self.reached and torch.equal(weights, self.before.to(weights))


class Step(Exercise):
    """What counts: the loss, G's weights, the optimizer's steps; and, if no weight has moved, whether slopes came."""

    def seen(self, raw: Any, given: Sequence[Any]) -> Any:
        G, optimizer, *_ = given
        weights = nn.utils.parameters_to_vector(G.parameters()).detach().clone()
        steps, idle = float(optimizer.param_groups[0]["steps"]), float(G.idle(weights))
        return raw.detach() if isinstance(raw, Tensor) else raw, weights, steps, idle


STEP = Step(
    "one_truth.step",
    _own_step,
    returns=["loss", "G's weights afterwards", "the optimizer's steps", "without slopes"],
    plain=True,
    second="Five lines: samples from G, their distance from y, optimizer.zero_grad(), loss.backward(), "
    "optimizer.step(). The loss that is returned is the one from before the step.",
    why="This is all there is to a training loop; what differs between the families is the line that makes the loss.",
)

ENERGY = Named("the energy distance", energy)
ONE_SIDED = Named("(x.mean(0) - 2 * y.mean(0)).square().sum()", lambda x, y: (x.mean(0) - 2 * y.mean(0)).square().sum())


class CountedSGD(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        self.param_groups[0]["steps"] = self.param_groups[0].get("steps", 0) + 1
        return super().step(closure)


class CountedAdam(torch.optim.Adam):
    def step(self, closure: Any = None) -> Any:
        self.param_groups[0]["steps"] = self.param_groups[0].get("steps", 0) + 1
        return super().step(closure)


OPTIMIZERS: dict[str, Callable[[Any], Optimizer]] = {
    "SGD": lambda weights: CountedSGD(weights, lr=0.3),
    "momentum": lambda weights: CountedSGD(weights, lr=0.1, momentum=0.9),
    "Adam": lambda weights: CountedAdam(weights, lr=0.05),
}


def _numbers(g: Generator, kind: str = "SGD", distance: Distance = ENERGY, n: int = 6) -> Numbers:
    """A small G, in whose .grad an earlier step has left something, and an optimizer that remembers that step."""
    G = Net(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    optimizer = OPTIMIZERS[kind](G.parameters())
    with torch.no_grad():
        for weight in G.parameters():
            weight.copy_(normal(weight.shape, g))
            weight.grad = 0.3 * normal(weight.shape, g)
    optimizer.step()
    G.before = nn.utils.parameters_to_vector(G.parameters()).detach()
    optimizer.param_groups[0]["steps"] = 0
    return G, optimizer, normal((n, 3), g), normal((5, 2), g) + 1, distance


def _by_hand(numbers: Numbers) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One step of plain gradient descent, each slope by finite differences."""
    G, optimizer, z, y, distance = numbers
    lr, h = optimizer.param_groups[0]["lr"], 1e-5
    before, after = nn.utils.parameters_to_vector(G.parameters()).detach(), []

    def loss(weights: Tensor) -> Tensor:
        nn.utils.vector_to_parameters(weights, G.parameters())
        return distance(G(z), y)

    with torch.no_grad():
        for unit in torch.eye(len(before), dtype=torch.float64):
            after.append((loss(before + h * unit) - loss(before - h * unit)) / (2 * h))
        return loss(before), before - lr * torch.stack(after), scalar(1.0), scalar(0.0)


@STEP.check(
    "every weight of G moves by lr times its slope, downhill, and the loss is the one before the step",
    "What makes the loss, what makes the slopes, what takes the step, and in which order? In .grad lies what an "
    "earlier step has left.",
)
def _(answer: Answer, g: Generator) -> None:
    for distance in (ONE_SIDED, ENERGY):
        numbers = _numbers(g, "SGD", distance)
        answer.gives(numbers, *_by_hand(numbers), tol=1e-6)


@STEP.check(
    "it is the optimizer that was given which takes the step, with all that it remembers",
    "An optimizer keeps averages of earlier slopes: it is made once, and every step uses the same one.",
)
def _(answer: Answer, g: Generator) -> None:
    for kind in ("momentum", "Adam"):
        numbers = _numbers(g, kind)
        answer.gives(numbers, *STEP.results(_own_step, numbers))


@STEP.check(
    "many steps bring the samples to the points",
    "One step is right, and many are not: what is left over from one to the next?",
)
def _(answer: Answer, g: Generator) -> None:
    numbers = _numbers(g, "Adam", n=40)
    G, optimizer, z, y, distance = numbers
    for _ in range(30):
        answer.gives((G, optimizer, z, y, distance), *STEP.results(_own_step, (G, optimizer, z, y, distance)))
        G, optimizer = answer.given[:2]
    with torch.no_grad():
        farther, nearer = (float(distance(net(z), y)) for net in (numbers[0], G))
    if not nearer < farther:
        answer.wrong("no_progress", answer.fallback, expected=f"less than {farther:.4g}", got=f"{nearer:.4g}")


@STEP.check("it takes float32", "Nothing here depends on the precision.")
def _(answer: Answer, g: Generator) -> None:
    G, optimizer, z, y, distance = _numbers(g)
    expected = STEP.results(_own_step, (G, optimizer, z, y, distance))
    answer.gives((G.float(), optimizer, z.float(), y.float(), distance), *expected, tol=100 * FLOAT32_TOL)


def _slopes(optimizer: Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()


@STEP.mistake("The slopes pile up: .backward() adds to what is in .grad. Who empties it, and when?")
def piled_up(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Tensor:
    loss = distance(G(z), y)
    loss.backward()
    optimizer.step()
    return loss


@STEP.mistake(
    "Slopes have come to G, and at the step .grad is empty: is it emptied after .backward(), or never filled with them?"
)
def emptied_too_late(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Tensor:
    loss = distance(G(z), y)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss


@STEP.mistake(
    "The weights are right here, but the optimizer that was given has taken no step: a line of your own has. Others "
    "than plain gradient descent remember earlier slopes, so let it step."
)
def own_line(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Tensor:
    loss = distance(G(z), y)
    _slopes(optimizer, loss)
    torch.optim.SGD(G.parameters(), lr=optimizer.param_groups[0]["lr"]).step()
    return loss


@STEP.mistake("The slopes are there, and no weight has moved. Who takes the step?")
def no_step(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Tensor:
    loss = distance(G(z), y)
    _slopes(optimizer, loss)
    return loss


@STEP.mistake(
    "No slope has come to G, so the step has none to go by. Is what G gives, or the loss, cut off from its weights "
    "(detach, no_grad, a new tensor), or does nobody call .backward()?"
)
def cut_off(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Tensor:
    optimizer.zero_grad()
    optimizer.step()
    return distance(G(z), y)


@STEP.mistake(
    "The loss is there, and no slope has come to G, nor is a step taken. What follows once the loss is known?"
)
def loss_only(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Tensor:
    return distance(G(z), y)


@STEP.mistake("The step uses the slopes that an earlier step has left: new ones come after it, or never come to G.")
def step_first(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Tensor:
    optimizer.step()
    return distance(G(z), y) * torch.nan  # of the weights before, or after


@STEP.mistake("The step goes uphill. Small is near, and an optimizer makes small what .backward() is called on.")
def uphill(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Tensor:
    loss = distance(G(z), y)
    _slopes(optimizer, -loss)
    optimizer.step()
    return loss


@STEP.mistake("The step goes uphill, and the sign of the loss is turned. Small is near: it needs no minus.")
def loss_negated(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Tensor:
    return -uphill(G, optimizer, z, y, distance)


@STEP.mistake("The loss that comes back is the one after the step. The one before it was asked for, and costs no more.")
def loss_afterwards(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Tensor:
    _own_step(G, optimizer, z, y, distance)
    return distance(G(z), y)


@STEP.mistake("Two steps are taken. One was asked for: the loop stands outside.")
def two_steps(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Tensor:
    loss = _own_step(G, optimizer, z, y, distance)
    _own_step(G, optimizer, z, y, distance)
    return loss


@STEP.mistake(
    "The optimizer that was given takes no step: another one does, which forgets what earlier steps have told. One is "
    "made for the whole training."
)
def another_optimizer(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Any:
    loss = distance(G(z), y)
    with torch.no_grad():
        for weight in G.parameters():
            weight.fill_(torch.nan)  # wherever it steps
    return loss


@STEP.mistake("y and the samples have changed places: distance(samples, y).")
def places_changed(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Tensor:
    return _own_step(G, optimizer, z, y, lambda x, y: distance(y, x))


@STEP.mistake("The loss is squared before the step. The distance itself is to become small.")
def squared(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Tensor:
    return _own_step(G, optimizer, z, y, lambda x, y: distance(x, y).square())


@STEP.mistake("The optimizer steps twice with the same slopes. One step was asked for.")
def stepped_twice(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Tensor:
    loss = _own_step(G, optimizer, z, y, distance)
    optimizer.step()
    return loss


@STEP.mistake("The loss is divided by the number of samples before .backward(). The distance is an average already.")
def divided_by_n(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Tensor:
    loss = distance(G(z), y)
    _slopes(optimizer, loss / len(z))
    optimizer.step()
    return loss


@STEP.mistake("The optimizer steps again and again. One step was asked for: the loop stands outside.")
def whole_training(G: nn.Module, optimizer: Optimizer, z: Tensor, y: Tensor, distance: Distance) -> Any:
    for _ in range(100):
        loss = _own_step(G, optimizer, z, y, distance)
    return loss
