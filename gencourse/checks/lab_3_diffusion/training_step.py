"""One step of the training: noised data, the network's answer, the loss, its slopes, a step. Lecture 04 (20)."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from gencourse.checks import limit
from gencourse.checks.answer import Answer
from gencourse.checks.compare import same
from gencourse.checks.lab_3_diffusion.chain import FLOAT32_TOL, chain, each, normal, some_beta, steps
from gencourse.checks.lab_3_diffusion.loss import loss
from gencourse.checks.lab_3_diffusion.nets import Net, check_call
from gencourse.checks.spec import Exercise

Optimizer = torch.optim.Optimizer
T = 8


def training_step(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, optimizer: Optimizer) -> Tensor:
    value = loss(net, x_0, t, eps, alpha_bar, "eps")  # of the weights as they are now
    optimizer.zero_grad()  # .backward() adds to what lies in .grad
    value.backward()  # finds the slopes, and moves nothing
    optimizer.step()  # moves the weights, and asks for no slopes
    return value.detach()  # the number alone: else every step's graph is kept


class Training(Exercise):
    """What counts is the loss, what has become of the weights, and how often the optimizer was asked to step."""

    def seen(self, raw: Any, given: Sequence[Any]) -> Any:
        if raw is None:
            return None
        weights = nn.utils.parameters_to_vector(given[0].parameters()).detach().clone()
        return raw, weights, float(given[-1].param_groups[0]["steps"])


TRAINING_STEP = Training(
    "diffusion.training_step",
    training_step,
    returns=["loss", "the net's weights afterwards", "the optimizer's steps"],
    plain=True,
    second='Five lines: loss(net, x_0, t, eps, alpha_bar, "eps"); optimizer.zero_grad(); .backward() on that loss; '
    "optimizer.step(); and the loss from before the step comes back, as .detach() or .item() gives it.",
    why="Ho et al. repeat this step 800,000 times for CIFAR-10, with t and ε drawn anew for every batch, and keep an "
    "average of the weights; there is no more to it.",
)


class Pupil(nn.Module):
    """A net with a weight of its own for each step, and two for all; it notes what it is shown."""

    def __init__(self, g: Generator) -> None:
        super().__init__()
        self.of_t = nn.Parameter(0.5 * normal((T + 1,), g))
        self.slope, self.shift = nn.Parameter(normal((), g)), nn.Parameter(normal((), g))
        self.shown: list[tuple[Tensor, Tensor]] = []

    def __repr__(self) -> str:
        left = "" if self.shift.grad is None else "; in their .grad lies what an earlier step has left"
        return f"a small net with {T + 3} weights{left}"

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        check_call(x_t, t, T)
        if torch._C._functorch.peek_interpreter_stack() is None:  # type: ignore
            self.shown.append((x_t.detach().clone(), t.clone()))
        return self.of_t[t].view(-1, *[1] * (x_t.dim() - 1)) * x_t + torch.tanh(self.slope * x_t) + self.shift


class Counted(torch.optim.Optimizer):
    """Counts its steps. Its methods are torch's own, but for what prepares them to be compiled: that takes seconds."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        self.param_groups[0]["steps"] = self.param_groups[0].get("steps", 0) + 1
        return inspect.unwrap(super().step.__func__)(self, closure)


class SGD(Counted, torch.optim.SGD):
    def __repr__(self) -> str:
        group = self.param_groups[0]
        momentum = f", momentum {group['momentum']:g}" if group["momentum"] else ""
        return f"gradient descent, lr {group['lr']:g}{momentum}"


class Adam(Counted, torch.optim.Adam):
    def __repr__(self) -> str:
        return f"Adam, lr {self.param_groups[0]['lr']:g}"


Numbers = tuple[Pupil, Tensor, Tensor, Tensor, Tensor, Optimizer]


def _batch(shape: tuple[int, ...], g: Generator) -> tuple[Tensor, Tensor, Tensor]:
    return 1 + normal(shape, g), steps(2, T, shape[0], g), normal(shape, g)


def _numbers(g: Generator, shape: tuple[int, ...] = (4, 3), kind: str = "SGD", stale: bool = True) -> Numbers:
    """A net, in whose .grad an earlier step may have left something, and an optimizer that remembers that step."""
    net = Pupil(g)
    optimizer: Optimizer = {
        "SGD": lambda: SGD(net.parameters(), lr=0.3),
        "momentum": lambda: SGD(net.parameters(), lr=0.1, momentum=0.9),
        "Adam": lambda: Adam(net.parameters(), lr=0.05),
    }[kind]()
    if stale:
        for weight in net.parameters():
            weight.grad = 0.3 * normal(tuple(weight.shape), g)
        optimizer.step()
    optimizer.param_groups[0]["steps"] = 0
    signal, _ = chain(some_beta(T, g))
    return net, *_batch(shape, g), signal**2, optimizer


def _by_hand(numbers: Numbers) -> tuple[Tensor, Tensor, Tensor]:
    """One step of plain gradient descent, each slope by finite differences."""
    net, x_0, t, eps, alpha_bar, optimizer = numbers
    lr, h, bar = optimizer.param_groups[0]["lr"], 1e-5, each(alpha_bar, t, x_0)
    x_t = bar.sqrt() * x_0 + (1 - bar).sqrt() * eps
    before, slopes = nn.utils.parameters_to_vector(net.parameters()).detach(), []

    def value(weights: Tensor) -> Tensor:
        of_t, slope, shift = weights[:-2], weights[-2], weights[-1]
        says = each(of_t, t, x_t) * x_t + torch.tanh(slope * x_t) + shift
        return torch.stack([d**2 for d in (says - eps).flatten()]).sum() / eps.numel()

    for unit in torch.eye(len(before), dtype=torch.float64):
        slopes.append((value(before + h * unit) - value(before - h * unit)) / (2 * h))
    return value(before), before - lr * torch.stack(slopes), torch.tensor(1.0, dtype=torch.float64)


def _drawn(answer: Answer) -> None:
    """Wrong, if noise or steps are drawn anew: it answers twice in two ways, and the net was shown something else."""
    _, _, t, *_ = answer.args
    again = limit.called(answer.exercise.results, answer.function, answer.args)
    shown = answer.given[0].shown
    if not shown or all(same(a, b) for a, b in zip(again, answer.outputs, strict=True)):
        return
    known = "steps_drawn" if shown[0][1].shape == t.shape and not torch.equal(shown[0][1], t) else "noise_drawn"
    answer.wrong(
        known,
        TRAINING_STEP.mistakes[known].hint,
        expected="one answer, whenever it is called with these arguments",
        got="called twice, two answers",
    )


@TRAINING_STEP.check(
    "each weight moves by lr times its slope, downhill, and the loss is the one before the step",
    "What makes the loss, what makes the slopes, what takes the step, and in which order? In .grad lies what an "
    "earlier step has left.",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in ((4, 3), (3, 2, 4, 5)):
        numbers = _numbers(g, shape)
        answer(*numbers)
        _drawn(answer)
        for name, want, got in zip(answer.exercise.returns, _by_hand(numbers), answer.outputs, strict=True):
            answer.agrees(name, want, got, tol=1e-6)


@TRAINING_STEP.check(
    "three steps in a row: each begins with empty gradients, and has a batch of its own",
    "The first step is right, a later one is not: what is left over from one to the next?",
)
def _(answer: Answer, g: Generator) -> None:
    net, x_0, t, eps, alpha_bar, optimizer = _numbers(g, stale=False)
    for step in range(3):
        numbers = (net, x_0, t, eps, alpha_bar, optimizer)
        loss, weights, _ = _by_hand(numbers)
        answer.gives(numbers, loss, weights, torch.tensor(step + 1.0, dtype=torch.float64), tol=1e-6)
        (net, *_, optimizer), (x_0, t, eps) = answer.given, _batch((4, 3), g)


@TRAINING_STEP.check(
    "it is the optimizer that was given which takes the step, with all that it remembers",
    "An optimizer keeps averages of earlier slopes: it is made once, and every step uses the same one.",
)
def _(answer: Answer, g: Generator) -> None:
    for kind in ("momentum", "Adam"):
        numbers = _numbers(g, kind=kind)
        answer.gives(numbers, *TRAINING_STEP.results(training_step, numbers))


@TRAINING_STEP.check("it takes float32 too", "Nothing here depends on the precision of x_0.")
def _(answer: Answer, g: Generator) -> None:
    net, *batch, alpha_bar, optimizer = _numbers(g)
    expected = TRAINING_STEP.results(training_step, (net, *batch, alpha_bar, optimizer))
    single = (a.float() if a.is_floating_point() else a for a in (*batch, alpha_bar))
    answer.gives((net.float(), *single, optimizer), *expected, tol=100 * FLOAT32_TOL)


@TRAINING_STEP.check(
    "the loss is a number alone",
    "It still knows the way it was computed, and keeps all of that step in memory: detach, or item().",
)
def _(answer: Answer, g: Generator) -> None:
    answer(*_numbers(g))
    if answer.outputs[0].requires_grad:
        known = TRAINING_STEP.mistakes["graph_kept"]
        answer.wrong("graph_kept", known.hint, expected="loss.requires_grad = False", got="True")
