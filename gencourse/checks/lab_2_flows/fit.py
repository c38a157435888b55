"""The loop that trains: a loss, its slope, a step, batch after batch. Lecture 03, section 9."""

import copy
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
    answer(flow, optimizer, loss, batches)
    moved = not torch.equal(answer.outputs[1], flow.weights())
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


Args = tuple[torch.nn.Module, torch.optim.Optimizer, Loss, Sequence[Tensor]]


def _loop(*args: Any, before: bool = True, after: bool = False, step: bool = True, **how: Any) -> Tensor:
    """`fit` with one thing changed."""
    flow, optimizer, loss, batches = args
    losses = []
    for x in batches:
        if before:
            optimizer.zero_grad()
        value = how.get("reduce", torch.mean)(loss(x, flow))
        (how.get("sign", 1) * value).backward()
        if step:
            optimizer.step()
        if after:
            optimizer.zero_grad()
        losses.append(value.detach())
    return torch.stack(losses)


@FIT.mistake(
    "The gradients pile up: .backward() adds to what lies in .grad, and nobody empties it between the batches.",
    "optimizer.zero_grad() belongs into the loop: once for each batch, before its backward.",
)
def piled_up(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return _loop(flow, optimizer, loss, batches, before=False)


@FIT.mistake(
    "The first step also takes what lay in .grad before: it is emptied after each step, and not before the first.",
    "Move zero_grad to the place before backward.",
)
def emptied_after(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return _loop(flow, optimizer, loss, batches, before=False, after=True)


@FIT.mistake(
    "The losses fall, yet the flow that was given is as it was: a copy was trained, or its old weights were put back."
)
def a_copy(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return fit(*copy.deepcopy((flow, optimizer)), loss, batches)


@FIT.mistake(
    "The weights are where they were. backward finds the slopes, step moves, zero_grad throws the slopes away: is each "
    "of them called, on what the optimizer holds, and in an order in which step still finds slopes?",
    "zero_grad, then backward, then step. And the flow that was given is the one whose loss is asked.",
)
def stands_still(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return _loop(flow, optimizer, loss, batches, step=False)


@FIT.mistake("The step comes before backward: it moves along the slopes of the batch before, and misses the last one.")
def one_behind(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    losses = []
    for x in batches:
        value = loss(x, flow).mean()
        optimizer.step()
        optimizer.zero_grad()
        loss(x, flow).mean().backward()
        losses.append(value.detach())
    return torch.stack(losses)


@FIT.mistake("The loss is added up over the batch. Then a batch twice as large takes steps twice as long: the mean.")
def summed(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return _loop(flow, optimizer, loss, batches, reduce=torch.sum)


@FIT.mistake("The mean is noted, but it is the sum that is differentiated: steps grow with the batch.")
def summed_backward(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return _loop(flow, optimizer, loss, batches, reduce=torch.sum) / len(batches[0])


@FIT.mistake("The weights climb: the loss is maximised. The optimizer goes down the slope by itself.")
def uphill(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return _loop(flow, optimizer, loss, batches, sign=-1)


@FIT.mistake("The losses have the wrong sign. `loss` is what gets small; it is noted as it is.")
def sign_turned(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return -fit(flow, optimizer, loss, batches)


@FIT.mistake("The loop ends after the first batch. Where does the return stand?")
def first_only(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return fit(flow, optimizer, loss, batches[:1])


@FIT.mistake("One number for all batches. Each batch has its own loss, noted before its step: (N,).")
def averaged(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return fit(flow, optimizer, loss, batches).mean()


@FIT.mistake("Only the last batch's loss comes back. Collect one for each batch: (N,).")
def last_loss(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return fit(flow, optimizer, loss, batches)[-1]


@FIT.mistake("The loss is measured again after the step. What was differentiated is to be noted: before the step.")
def after_the_step(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    losses = []
    for x in batches:
        fit(flow, optimizer, loss, [x])
        losses.append(loss(x, flow).mean().detach())
    return torch.stack(losses)


@FIT.mistake("It is always the first batch that is used. Every round of the loop has its own.")
def same_batch(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return fit(flow, optimizer, loss, [batches[0]] * len(batches))


@FIT.mistake("There is one step, after all batches: it belongs into the loop, with one for each batch.")
def one_step(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    optimizer.zero_grad()
    losses = _loop(flow, optimizer, loss, batches, before=False, step=False)
    optimizer.step()
    return losses


@FIT.mistake("There is one step, with the last batch's slopes alone: step belongs into the loop.")
def last_step_only(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    losses = _loop(flow, optimizer, loss, batches, step=False)
    optimizer.step()
    return losses


@FIT.mistake("Every batch takes two steps. Is step called twice, or the loop gone through again?")
def two_steps(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return torch.stack([fit(flow, optimizer, loss, [x, x])[0] for x in batches])


@FIT.mistake("The batches come in the opposite order.")
def order_turned(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return fit(flow, optimizer, loss, batches[::-1])


@FIT.mistake("The first batch is left out.")
def without_the_first(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return fit(flow, optimizer, loss, batches[1:])


@FIT.mistake("The last batch is left out.")
def without_the_last(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return fit(flow, optimizer, loss, batches[:-1])


@FIT.mistake("The weights move, but not by the optimizer that was given: it knows the learning rate, and remembers.")
def another_optimizer(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return fit(flow, torch.optim.Adam(flow.parameters()), loss, batches)


@FIT.mistake("The losses still know how they were computed: every step's graph stays in memory. Note the number alone.")
def graphs_kept(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return fit(flow, optimizer, loss, batches).requires_grad_()


@FIT.mistake("These are means over all batches so far. Each batch has its own loss.")
def running_mean(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    losses = fit(flow, optimizer, loss, batches)
    return losses.cumsum(0) / torch.arange(1, len(losses) + 1)


@FIT.mistake("One example of each batch counts. The mean over all of them is differentiated.")
def last_example(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return _loop(flow, optimizer, loss, batches, reduce=lambda v: v[-1])


@FIT.mistake("One example of each batch counts. The mean over all of them is to be differentiated.")
def first_example(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return _loop(flow, optimizer, loss, batches, reduce=lambda v: v[0])


@FIT.mistake("The worst example of each batch counts, the maximum. The mean over all is differentiated.")
def largest(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return _loop(flow, optimizer, loss, batches, reduce=torch.max)


@FIT.mistake("The median of each batch is used. The mean is asked for.")
def median(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return _loop(flow, optimizer, loss, batches, reduce=torch.median)


@FIT.mistake("Each step uses all batches at once. Every batch has a step of its own.")
def whole_data(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return fit(flow, optimizer, loss, [torch.cat(list(batches))] * len(batches))


@FIT.mistake("The loss is squared. It is to be made small as it is, below 0 too.")
def squared(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return _loop(flow, optimizer, loss, batches, reduce=lambda v: (v**2).mean())


@FIT.mistake("The gradients are emptied at every second batch only.")
def every_second(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    losses = []
    for k, x in enumerate(batches):
        if k % 2 == 0:
            optimizer.zero_grad()
        losses.append(_loop(flow, optimizer, loss, [x], before=False)[0])
    return torch.stack(losses)


@FIT.mistake("The right thing is differentiated, the mean; but the sum is noted.")
def sum_noted(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return fit(flow, optimizer, loss, batches) * len(batches[0])


@FIT.mistake("The losses are added up as they come. Each batch has its own.")
def summed_up(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return fit(flow, optimizer, loss, batches).cumsum(0)
