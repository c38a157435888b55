"""What goes wrong in the loop: every mistake that has a hint of its own."""

import copy
from typing import Any

import torch
from torch import Tensor

from gencourse.checks.lab_2_flows.fit import FIT, fit


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
    "The gradients pile up: each step follows the slopes of all batches so far. backward adds to what lies in .grad: "
    "is it emptied for every batch, and is it that batch's loss alone that is differentiated, and not a total?",
    "optimizer.zero_grad() belongs into the loop, once for each batch, before its backward; and what is differentiated "
    "is made of this batch alone.",
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
    "The weights are trained, but the losses are all those of the first weights: they were noted before any step.",
    "Each loss is noted in the loop in which its batch's step is taken, before that step.",
)
def noted_before(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    losses = torch.stack([loss(x, flow).mean().detach() for x in batches])
    fit(flow, optimizer, loss, batches)
    return losses


@FIT.mistake(
    "The weights are trained, but the losses are all those of the last weights: they were noted after all steps.",
    "Each loss is noted in the loop in which its batch's step is taken, before that step.",
)
def noted_after(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    fit(flow, optimizer, loss, batches)
    return torch.stack([loss(x, flow).mean().detach() for x in batches])


@FIT.mistake(
    "The weights are where they were. backward finds the slopes, step moves, zero_grad throws the slopes away: is each "
    "of them called, on what the optimizer holds, and in an order in which step still finds slopes?",
    "zero_grad, then backward, then step. And the flow that was given is the one whose loss is asked.",
)
def stands_still(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return _loop(flow, optimizer, loss, batches, step=False)


@FIT.mistake(
    "The loss is asked about a copy, not about the flow that was given: backward finds slopes of the copy's weights, "
    "and the optimizer, which holds the given flow's, finds none."
)
def copy_without_optimizer(flow: Any, optimizer: Any, loss: Any, batches: Any) -> Tensor:
    return _loop(copy.deepcopy(flow), optimizer, loss, batches)


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
