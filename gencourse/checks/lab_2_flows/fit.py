"""The loop that trains: a loss, its slope, a step, batch after batch. Lecture 03, section 9."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_2_flows.given import Named, normal
from gencourse.checks.spec import Exercise

Loss = Callable[[Tensor, torch.nn.Module], Tensor]
TOL = 1e-6  # losses may be Python's numbers, made a float32 tensor


def fit(flow: torch.nn.Module, optimizer: torch.optim.Optimizer, loss: Loss, batches: Sequence[Tensor]) -> Tensor:
    losses = []
    for x in batches:
        optimizer.zero_grad()  # backward adds to what lies in .grad
        value = loss(x, flow).mean()
        value.backward()  # finds the slopes, and moves nothing
        optimizer.step()  # moves the weights, and asks for no slopes
        losses.append(value.detach())  # the number alone: else every step's graph is kept
    return torch.stack(losses)


class Training(Exercise):
    """Compared are the losses, and the weights as they are afterwards."""

    def seen(self, raw: Any, given: Sequence[Any]) -> Any:
        return None if raw is None else (raw, given[0].weights())

    def outputs(self, raw: Any) -> tuple[Any, ...]:
        losses, weights = super().outputs(raw)
        return losses.float() if isinstance(losses, Tensor) and losses.is_floating_point() else losses, weights


FIT = Training(
    "flows.fit",
    fit,
    returns=["losses", "weights"],
    plain=True,
    second="For each batch, in this order: empty the gradients (optimizer.zero_grad()), compute one number, the "
    "mean of loss(x, flow), ask for its slopes (.backward()), take the step (optimizer.step()), and note the number.",
    why="Every model of this course is trained by these five lines; genlib's `fit` adds what a long training needs: a "
    "falling learning rate, averaged weights, checkpoints.",
)


class Learner(torch.nn.Module):
    """z = exp(log_s) x + shift, with weights of its own."""

    def __init__(self, D: int, g: Generator, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.log_s = torch.nn.Parameter((0.3 * normal((D,), g)).to(dtype))
        self.shift = torch.nn.Parameter(normal((D,), g).to(dtype))

    def __repr__(self) -> str:
        return f"a flow with weights log_s and shift, ({len(self.shift)},) each"

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.log_s.exp() * x + self.shift, self.log_s.sum().expand(len(x))

    def weights(self) -> Tensor:
        return torch.cat([self.log_s, self.shift]).detach().clone()


def _loss(x: Tensor, flow: torch.nn.Module) -> Tensor:
    z, log_det = flow(x)
    return 0.5 * (z**2).sum(1) - log_det


LOSS = Named("−log p of each example, without its constant", _loss)


def _batches(g: Generator, N: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    return tuple((0.5 + normal((4, 3), g)).to(dtype) for _ in range(N))


def _slope(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The mean loss of a batch, and its derivatives, by hand."""
    log_s, shift = weights.chunk(2)
    z = log_s.exp() * x + shift
    return (0.5 * (z**2).sum(1) - log_s.sum()).mean(), torch.cat([(z * log_s.exp() * x).mean(0) - 1, z.mean(0)])


def _by_hand(flow: Learner, batches: Sequence[Tensor], lr: float, momentum: float, moves: Tensor) -> Sequence[Tensor]:
    weights, velocity, losses = flow.weights(), torch.zeros_like(flow.weights()), []
    for x in batches:
        value, slope = _slope(x, weights)
        velocity = momentum * velocity + slope
        weights = weights - lr * velocity * moves
        losses.append(value)
    return torch.stack(losses), weights


ALL = torch.ones(6, dtype=torch.float64)


def _numbers(g: Generator, N: int = 0) -> tuple[Learner, torch.optim.Optimizer, Loss, tuple[Tensor, ...]]:
    flow = Learner(3, g)
    optimizer = torch.optim.SGD(flow.parameters(), lr=0.05, momentum=0.5)
    return flow, optimizer, LOSS, _batches(g, N or int(torch.randint(5, 8, (), generator=g)))


@FIT.check(
    "every batch in its turn: its mean loss is noted, and then the weights take one step",
    "loss(x, flow) gives a number for each example; their mean is differentiated, and the optimizer that was given "
    "takes one step for each batch.",
)
def _(answer: Answer, g: Generator) -> None:
    flow, optimizer, loss, batches = _numbers(g)
    asked: list[torch.nn.Module] = []

    def noting(x: Tensor, about: torch.nn.Module) -> Tensor:
        asked.append(about)
        return loss(x, about)

    answer(flow, optimizer, Named(LOSS.name, noting), batches)
    moved = not torch.equal(answer.outputs[1], flow.weights())
    at_first = torch.stack([_slope(x, flow.weights())[0] for x in batches])
    stuck = torch.allclose(answer.outputs[0].double(), at_first, atol=TOL)
    if stuck and not moved and all(about is not answer.given[0] for about in asked):
        known = FIT.mistakes["copy_without_optimizer"]
        answer.wrong(
            "copy_without_optimizer", known.hint, expected="loss(x, flow) of the flow given", got="that of another one"
        )
    if moved and not answer.given[1].state:
        known = FIT.mistakes["another_optimizer"]
        answer.wrong(
            "another_optimizer", known.hint, expected="steps of the optimizer given", got="the weights moved without it"
        )
    answer.agrees("losses", _by_hand(flow, batches, 0.05, 0.5, ALL)[0], answer.outputs[0], TOL)
    answer.agrees("weights, log_s and shift, after the last step", _by_hand(flow, batches, 0.05, 0.5, ALL)[1],
                  answer.outputs[1], TOL)  # fmt: skip


@FIT.check("a single batch is one step", "How many batches there are, only `batches` knows.")
def _(answer: Answer, g: Generator) -> None:
    flow, optimizer, loss, batches = _numbers(g, 1)
    answer.gives([flow, optimizer, loss, batches], *_by_hand(flow, batches, 0.05, 0.5, ALL), tol=TOL)


@FIT.check(
    "what lies in .grad from before does not count",
    "Somebody called backward on this flow before. Who empties .grad, and is that before your first step?",
)
def _(answer: Answer, g: Generator) -> None:
    flow, optimizer, loss, batches = _numbers(g)
    for weight in flow.parameters():
        weight.grad = torch.ones_like(weight)
    answer.gives([flow, optimizer, loss, batches], *_by_hand(flow, batches, 0.05, 0.5, ALL), tol=TOL)


@FIT.check(
    "the optimizer decides which weights move, and how",
    "One of the flow's weights is not the optimizer's here: who moves it?",
)
def _(answer: Answer, g: Generator) -> None:
    flow, _, loss, batches = _numbers(g)
    only = torch.optim.SGD([flow.shift], lr=0.1)
    moves = torch.cat([torch.zeros(3), torch.ones(3)]).double()
    answer.gives([flow, only, loss, batches], *_by_hand(flow, batches, 0.1, 0.0, moves), tol=TOL)


@FIT.check("it agrees with genlib, with Adam and in float32 too", "Compare with torch.optim.Adam in train.fit.")
def _(answer: Answer, g: Generator) -> None:
    flow, batches = Learner(3, g, torch.float32), _batches(g, 6, torch.float32)
    adam = torch.optim.Adam(flow.parameters(), lr=0.02)
    losses, weights = FIT.results(fit, [flow, adam, LOSS, batches])
    answer.gives([flow, adam, LOSS, batches], losses, weights, tol=1e-4)


@FIT.check(
    "the losses are numbers alone",
    "Each of them still knows the way it was computed, and keeps all of that step in memory: detach, or item().",
)
def _(answer: Answer, g: Generator) -> None:
    answer(*_numbers(g))
    if answer.outputs[0].requires_grad:
        known = FIT.mistakes["graphs_kept"]
        answer.wrong("graphs_kept", known.hint, expected="losses.requires_grad = False", got="True")
