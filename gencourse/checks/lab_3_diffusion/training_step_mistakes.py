"""What goes wrong in a step of the training: every mistake that has a hint of its own."""

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from gencourse.checks.lab_3_diffusion.chain import many
from gencourse.checks.lab_3_diffusion.training_step import TRAINING_STEP, training_step


def _apart(net: Any, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, *_: Any) -> Tensor:
    """The net's answer minus the noise, as it should be."""
    bar = many(alpha_bar, t, x_0)
    return net(bar.sqrt() * x_0 + (1 - bar).sqrt() * eps, t) - eps


def _mean_square(*numbers: Any) -> Tensor:
    return (_apart(*numbers) ** 2).mean()


def _stepped(numbers: Any, value: Tensor, *, sign: int = 1) -> Tensor:
    """The step, on a loss of one's own."""
    optimizer = numbers[-1]
    optimizer.zero_grad()
    (sign * value).backward()
    optimizer.step()
    return value


def _reduced(numbers: Any, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """The step, with another loss made of the errors."""
    return _stepped(numbers, reduce(_apart(*numbers)))


def _compared(numbers: Any, shown: Callable[..., Tensor], wanted: Callable[..., Tensor], early: int = 0) -> Tensor:
    """The step, with another input or target; both are made of x_0, eps, and the table's entries."""
    net, x_0, t, eps, alpha_bar, _ = numbers
    bar = many(alpha_bar, t, x_0)
    return _stepped(numbers, ((net(shown(x_0, eps, bar), t - early) - wanted(x_0, eps, bar)) ** 2).mean())


def _x_t(x_0: Tensor, eps: Tensor, bar: Tensor) -> Tensor:
    return bar.sqrt() * x_0 + (1 - bar).sqrt() * eps


def _eps(x_0: Tensor, eps: Tensor, bar: Tensor) -> Tensor:
    return eps


# first those with one thing wrong and the rest right: where more is wrong, they do not fit
@TRAINING_STEP.mistake(
    "The weights are right here, but the optimizer that was given has taken no step: a line of your own has. Others "
    "than plain gradient descent remember earlier slopes, so let it step."
)
def own_line(*numbers: Any) -> Tensor:
    net, *_, optimizer = numbers
    value = _mean_square(*numbers)
    optimizer.zero_grad()
    value.backward()
    torch.optim.SGD(net.parameters(), lr=optimizer.param_groups[0]["lr"]).step()
    return value


@TRAINING_STEP.mistake("The step is right. What comes back is the sum of the squares, and the mean was asked for.")
def sum_returned(*numbers: Any) -> Tensor:
    return training_step(*numbers) * numbers[1].numel()


@TRAINING_STEP.mistake("The mean comes back, but it is the sum that is differentiated: steps grow with the batch.")
def summed_backward(*numbers: Any) -> Tensor:
    return summed(*numbers) / numbers[1].numel()


@TRAINING_STEP.mistake(
    "The slopes pile up: .backward() adds to what lies in .grad, and an earlier step has left something there. Who "
    "empties it, and when?",
    "optimizer.zero_grad() stands before .backward(). After the step it comes too late for what lay there before.",
)
def piled_up(*numbers: Any) -> Tensor:
    value = _mean_square(*numbers)
    value.backward()
    numbers[-1].step()
    return value


@TRAINING_STEP.mistake(
    "The optimizer steps, and finds no slopes to go by. What finds them, and does zero_grad throw them away before the "
    "step?",
    "zero_grad, then .backward(), then step: nothing may stand between the last two.",
)
def no_slopes(*numbers: Any) -> Tensor:
    value = _mean_square(*numbers)
    numbers[-1].zero_grad()
    numbers[-1].step()
    return value


@TRAINING_STEP.mistake(
    "No weight has moved, and the optimizer that was given was never asked to step. .backward() finds the slopes, and "
    "moves nothing.",
    "After .backward() comes optimizer.step(); and the net that was given is the one that learns, no copy of it.",
)
def no_step(*numbers: Any) -> Tensor:
    return _mean_square(*numbers)


@TRAINING_STEP.mistake(
    "The step comes before .backward(): it uses the slopes that an earlier step has left.",
    "The order: the loss, zero_grad, .backward(), step.",
)
def step_first(*numbers: Any) -> Tensor:
    numbers[-1].step()
    return _mean_square(*numbers) * torch.nan  # of the weights before, or after


@TRAINING_STEP.mistake(
    "The step goes uphill. An optimizer makes small what .backward() is called on: it needs no minus."
)
def uphill(*numbers: Any) -> Tensor:
    return _stepped(numbers, _mean_square(*numbers), sign=-1)


@TRAINING_STEP.mistake("The step goes uphill, and the sign of the loss is turned. Small is good: it needs no minus.")
def loss_negated(*numbers: Any) -> Tensor:
    return -uphill(*numbers)


@TRAINING_STEP.mistake(
    "The loss is added up over batch and pixels. Then a batch twice as large takes steps twice as long: the mean.",
    "Your loss of exercise 5 is a mean already, over everything: .mean() without arguments.",
)
def summed(*numbers: Any) -> Tensor:
    return _reduced(numbers, lambda apart: (apart**2).sum())


@TRAINING_STEP.mistake(
    "The squares are added up over the pixels, and averaged over the batch alone. Average over both."
)
def summed_over_pixels(*numbers: Any) -> Tensor:
    return _reduced(numbers, lambda apart: (apart**2).sum() / len(apart))


@TRAINING_STEP.mistake("The squares are averaged over the pixels, and added up over the batch. Average over both.")
def summed_over_batch(*numbers: Any) -> Tensor:
    return _reduced(numbers, lambda apart: (apart**2).mean() * len(apart))


@TRAINING_STEP.mistake("The loss is halved. Half the square has a nicer derivative, but its mean was asked for.")
def halved(*numbers: Any) -> Tensor:
    return _reduced(numbers, lambda apart: (apart**2).mean() / 2)


@TRAINING_STEP.mistake("These are absolute values: their best guess is a median. The derivation needs squares.")
def absolute(*numbers: Any) -> Tensor:
    return _reduced(numbers, lambda apart: apart.abs().mean())


@TRAINING_STEP.mistake(
    "This is the root of the mean square, and so are its slopes. The mean square itself is the loss."
)
def rooted(*numbers: Any) -> Tensor:
    return _reduced(numbers, lambda apart: (apart**2).mean().sqrt())


@TRAINING_STEP.mistake(
    'The net is compared with x_0. Here it is to find the noise: what is the target, with predict = "eps"?'
)
def target_x_0(*numbers: Any) -> Tensor:
    return _compared(numbers, _x_t, lambda x_0, eps, bar: x_0)


@TRAINING_STEP.mistake("The net is compared with the velocity. Here it is to find the noise.")
def target_v(*numbers: Any) -> Tensor:
    return _compared(numbers, _x_t, lambda x_0, eps, bar: bar.sqrt() * eps - (1 - bar).sqrt() * x_0)


@TRAINING_STEP.mistake("The net's answer is compared with x_t, which it was given. What was it to say?")
def target_x_t(*numbers: Any) -> Tensor:
    return _compared(numbers, _x_t, _x_t)


@TRAINING_STEP.mistake(
    "The net is compared with the noise as it stands in x_t, times √(1 − ᾱ_t). It is to find ε itself."
)
def target_scaled(*numbers: Any) -> Tensor:
    return _compared(numbers, _x_t, lambda x_0, eps, bar: (1 - bar).sqrt() * eps)


@TRAINING_STEP.mistake(
    "The net is shown x_0 itself: there is no noise in it to be found. What does it see when it samples?"
)
def shown_x_0(*numbers: Any) -> Tensor:
    return _compared(numbers, lambda x_0, eps, bar: x_0, _eps)


@TRAINING_STEP.mistake("x_0 and eps are exchanged in x_t: in which order does exercise 2 take them?")
def exchanged(*numbers: Any) -> Tensor:
    return _compared(numbers, lambda x_0, eps, bar: _x_t(eps, x_0, bar), _eps)


@TRAINING_STEP.mistake("ᾱ_t and 1 − ᾱ_t are variances. What multiplies x_0 and eps in x_t are their roots.")
def no_roots(*numbers: Any) -> Tensor:
    return _compared(numbers, lambda x_0, eps, bar: bar * x_0 + (1 - bar) * eps, _eps)


@TRAINING_STEP.mistake("x_t is x_0 with noise on top: it does not shrink. Which factor does exercise 2 give to x_0?")
def not_shrunk(*numbers: Any) -> Tensor:
    return _compared(numbers, lambda x_0, eps, bar: x_0 + (1 - bar).sqrt() * eps, _eps)


@TRAINING_STEP.mistake("The net is told t − 1, and shown x_t. Which step does the noise that it sees belong to?")
def told_t_minus_1(*numbers: Any) -> Tensor:
    return _compared(numbers, _x_t, _eps, early=1)


@TRAINING_STEP.mistake(
    "What the net is shown is one step too early: alpha_bar[t] needs no shift, for entry 0 is t = 0."
)
def one_step_early(*numbers: Any) -> Tensor:
    net, x_0, t, eps, alpha_bar, _ = numbers
    shown = _x_t(x_0, eps, many(alpha_bar, t - 1, x_0))
    return _stepped(numbers, ((net(shown, t) - eps) ** 2).mean())


@TRAINING_STEP.mistake("All examples are taken at the first one's step. t holds one for each.")
def first_step_for_all(*numbers: Any) -> Tensor:
    net, x_0, t, eps, alpha_bar, optimizer = numbers
    return training_step(net, x_0, t[:1].expand(len(t)), eps, alpha_bar, optimizer)


@TRAINING_STEP.mistake(
    "The noise is drawn anew. In the training that is so for every batch, but it happens outside: use the eps given."
)
def noise_drawn(*numbers: Any) -> NoReturn:
    raise NotImplementedError("recognised by what the net is shown")


@TRAINING_STEP.mistake(
    "The steps are drawn anew. In the training that is so for every batch, but it happens outside: use the t given."
)
def steps_drawn(*numbers: Any) -> NoReturn:
    raise NotImplementedError("recognised by what the net is told")


@TRAINING_STEP.mistake(
    "The loss that comes back is the one after the step. The one before it was asked for, and costs no more."
)
def loss_afterwards(*numbers: Any) -> Tensor:
    training_step(*numbers)
    return _mean_square(*numbers)


@TRAINING_STEP.mistake("Two steps are taken. One was asked for: the loop stands outside.")
def two_steps(*numbers: Any) -> Tensor:
    value = training_step(*numbers)
    training_step(*numbers)
    return value


@TRAINING_STEP.mistake("The optimizer steps twice with the same slopes. One step was asked for.")
def stepped_twice(*numbers: Any) -> Tensor:
    value = training_step(*numbers)
    numbers[-1].step()
    return value


@TRAINING_STEP.mistake("There is a step for each example. A batch takes one, with the slopes of its mean loss.")
def step_for_each(*numbers: Any) -> Tensor:
    net, x_0, t, eps, alpha_bar, optimizer = numbers
    values = [
        training_step(net, x_0[i : i + 1], t[i : i + 1], eps[i : i + 1], alpha_bar, optimizer) for i in range(len(t))
    ]
    return torch.stack(values).mean() * torch.nan  # their mean, or the last one


@TRAINING_STEP.mistake(
    "The optimizer that was given takes no step: another one does, which forgets what earlier steps have told. One is "
    "made for the whole training."
)
def another_optimizer(*numbers: Any) -> Tensor:
    value = _mean_square(*numbers)
    with torch.no_grad():
        for weight in numbers[0].parameters():
            weight.fill_(torch.nan)  # wherever it steps
    return value


@TRAINING_STEP.mistake(
    "The slopes are cut to a largest length before the step. Larger trainings do so; here the step is as long as it is."
)
def clipped(*numbers: Any) -> Tensor:
    value = _mean_square(*numbers)
    numbers[-1].zero_grad()
    value.backward()
    nn.utils.clip_grad_norm_(numbers[0].parameters(), 1.0)
    numbers[-1].step()
    return value


@TRAINING_STEP.mistake(
    "The loss still knows how it was computed: whoever collects such losses keeps every step's graph. Return the "
    "number alone.",
    ".detach() gives a tensor without its history, .item() a plain number.",
)
def graph_kept(*numbers: Any) -> Tensor:
    return training_step(*numbers).requires_grad_()
