"""What goes wrong in the loss: every mistake that has a hint of its own."""

import torch
from torch import Tensor

from gencourse.checks.lab_3_diffusion.chain import each
from gencourse.checks.lab_3_diffusion.loss import LOSS, loss
from gencourse.checks.lab_3_diffusion.nets import Net


def _apart(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    """Answer minus target, as it should be."""
    bar = each(alpha_bar, t, x_0)
    v = bar.sqrt() * eps - (1 - bar).sqrt() * x_0
    return net(bar.sqrt() * x_0 + (1 - bar).sqrt() * eps, t) - {"eps": eps, "x_0": x_0, "v": v}[predict]


@LOSS.mistake("The squares are added up over everything. A mean does not change when the batch or the pictures grow.")
def summed(*args: object) -> Tensor:
    return (_apart(*args) ** 2).sum()  # type: ignore[arg-type]


@LOSS.mistake("The squares are added up over the pixels, and averaged over the batch alone. Average over both.")
def summed_over_pixels(*args: object) -> Tensor:
    apart = _apart(*args)  # type: ignore[arg-type]
    return (apart**2).sum() / len(apart)


@LOSS.mistake("The squares are averaged over the pixels, and added up over the batch. Average over both.")
def summed_over_batch(*args: object) -> Tensor:
    apart = _apart(*args)  # type: ignore[arg-type]
    return (apart**2).mean() * len(apart)


@LOSS.mistake("One number for each example. The optimiser wants a single one: how is it made from B of them?")
def for_each_example(*args: object) -> Tensor:
    return (_apart(*args) ** 2).flatten(1).mean(1)  # type: ignore[arg-type]


@LOSS.mistake("One number for each pixel. The optimiser wants a single one.")
def for_each_pixel(*args: object) -> Tensor:
    return _apart(*args) ** 2  # type: ignore[arg-type]


@LOSS.mistake("The differences are averaged without a square: positive and negative ones cancel.")
def not_squared(*args: object) -> Tensor:
    return _apart(*args).mean()  # type: ignore[arg-type]


@LOSS.mistake("These are absolute values: their best guess is a median. The derivation needs the mean of squares.")
def absolute(*args: object) -> Tensor:
    return _apart(*args).abs().mean()  # type: ignore[arg-type]


@LOSS.mistake("This is the root of the mean square. The mean square itself is asked for.")
def rooted(*args: object) -> Tensor:
    return (_apart(*args) ** 2).mean().sqrt()  # type: ignore[arg-type]


@LOSS.mistake("The target is the noise, whatever the net predicts. Exercise 4 knows what it should be.")
def always_eps(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    return (_apart(net, x_0, t, eps, alpha_bar, "eps") ** 2).mean()


@LOSS.mistake("The net is shown x_0 itself: there is no noise in it to be found. What does it see when it samples?")
def shown_x_0(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    bar = each(alpha_bar, t, x_0)
    target = {"eps": eps, "x_0": x_0, "v": bar.sqrt() * eps - (1 - bar).sqrt() * x_0}[predict]
    return ((net(x_0, t) - target) ** 2).mean()


@LOSS.mistake("The net is told t − 1, and shown x_t. Which step does the noise that it sees belong to?")
def told_t_minus_1(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    return (_apart(lambda x_t, t: net(x_t, t - 1), x_0, t, eps, alpha_bar, predict) ** 2).mean()


@LOSS.mistake("What the net is shown is one step too early: alpha_bar[t] needs no shift, for entry 0 is t = 0.")
def one_step_early(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    shown, bar = each(alpha_bar, t - 1, x_0), each(alpha_bar, t, x_0)
    target = {"eps": eps, "x_0": x_0, "v": bar.sqrt() * eps - (1 - bar).sqrt() * x_0}[predict]
    return ((net(shown.sqrt() * x_0 + (1 - shown).sqrt() * eps, t) - target) ** 2).mean()


@LOSS.mistake("The loss is halved. Half the square has a nicer derivative, but the mean of the squares was asked for.")
def halved(*args: object) -> Tensor:
    return (_apart(*args) ** 2).mean() / 2  # type: ignore[arg-type]


@LOSS.mistake("The errors are averaged first, and squared then. Positive and negative ones cancel before they count.")
def squared_too_late(*args: object) -> Tensor:
    return _apart(*args).mean() ** 2  # type: ignore[arg-type]


@LOSS.mistake("This is the length of all errors together, the root of their sum. The mean of the squares is asked for.")
def length(*args: object) -> Tensor:
    return _apart(*args).norm()  # type: ignore[arg-type]


@LOSS.mistake("The sum is divided by 64, as for one digit. How many numbers there are, x_0 knows; mean counts them.")
def divided_by_64(*args: object) -> Tensor:
    return (_apart(*args) ** 2).sum() / 64  # type: ignore[arg-type]


@LOSS.mistake("The target is the data, whatever the net predicts. Exercise 4 knows what it should be.")
def always_x_0(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    return (_apart(net, x_0, t, eps, alpha_bar, "x_0") ** 2).mean()


@LOSS.mistake("The target is the velocity, whatever the net predicts: hand `predict` on.")
def always_v(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    return (_apart(net, x_0, t, eps, alpha_bar, "v") ** 2).mean()


def _made(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> tuple[Tensor, Tensor]:
    """x_t and the target."""
    bar = each(alpha_bar, t, x_0)
    v = bar.sqrt() * eps - (1 - bar).sqrt() * x_0
    return bar.sqrt() * x_0 + (1 - bar).sqrt() * eps, {"eps": eps, "x_0": x_0, "v": v}[predict]


@LOSS.mistake("x_0 and eps are exchanged in the target: in which order does exercise 4 take them?")
def target_exchanged(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    x_t, _ = _made(x_0, t, eps, alpha_bar, predict)
    _, wanted = _made(eps, t, x_0, alpha_bar, predict)
    return ((net(x_t, t) - wanted) ** 2).mean()


@LOSS.mistake("x_t itself is compared with the target. Where is the net's answer?")
def net_not_asked(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    x_t, wanted = _made(x_0, t, eps, alpha_bar, predict)
    return ((x_t - wanted) ** 2).mean()


@LOSS.mistake(
    "Answer and target are added, or the target has a minus too much. How far apart two numbers are is a difference."
)
def target_added(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    x_t, wanted = _made(x_0, t, eps, alpha_bar, predict)
    return ((net(x_t, t) + wanted) ** 2).mean()


@LOSS.mistake(
    "These are lengths, averaged over the batch: one root for each example. The squares themselves are averaged."
)
def lengths_averaged(*args: object) -> Tensor:
    return _apart(*args).flatten(1).norm(dim=1).mean()  # type: ignore[arg-type]


@LOSS.mistake("All is turned into noise before it is compared. The net is asked for `predict`: compare that.")
def in_eps(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    bar = each(alpha_bar, t, x_0)
    factor = {"eps": 1 + 0 * bar, "x_0": (bar / (1 - bar)).sqrt(), "v": bar.sqrt()}[predict]
    return ((factor * _apart(net, x_0, t, eps, alpha_bar, predict)) ** 2).mean()


@LOSS.mistake("This is Huber's loss: a square near 0, straight beyond. The derivation needs the square everywhere.")
def huber(*args: object) -> Tensor:
    apart = _apart(*args)  # type: ignore[arg-type]
    return torch.nn.functional.smooth_l1_loss(apart, torch.zeros_like(apart))


@LOSS.mistake("The net's answer is compared with x_t, which it was given. What was it to say?")
def copies_x_t(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    x_t, _ = _made(x_0, t, eps, alpha_bar, predict)
    return ((net(x_t, t) - x_t) ** 2).mean()


@LOSS.mistake("x_0 and eps are exchanged in x_t: in which order does exercise 2 take them?")
def x_t_exchanged(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    x_t, _ = _made(eps, t, x_0, alpha_bar, predict)
    _, wanted = _made(x_0, t, eps, alpha_bar, predict)
    return ((net(x_t, t) - wanted) ** 2).mean()


@LOSS.mistake("Each step has a weight of its own, ᾱ_t/(1 − ᾱ_t). L_simple is simple because it leaves the weights out.")
def weighted(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    bar = each(alpha_bar, t, x_0)
    return (_apart(net, x_0, t, eps, alpha_bar, predict) ** 2 * bar / (1 - bar)).mean()


@LOSS.mistake("It is divided by the size of the target. The mean of the squares is asked for, as it is.")
def relative(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    _, wanted = _made(x_0, t, eps, alpha_bar, predict)
    return (_apart(net, x_0, t, eps, alpha_bar, predict) ** 2).mean() / (wanted**2).mean()


@LOSS.mistake("All examples are taken at the first one's step. t holds one for each.")
def first_step_for_all(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    return loss(net, x_0, t[:1].expand(len(t)), eps, alpha_bar, predict)


@LOSS.mistake("The net is told the first example's step for all of them. What it sees has a step of its own each.")
def told_first_step(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    return loss(lambda x_t, t: net(x_t, t[:1].expand(len(t))), x_0, t, eps, alpha_bar, predict)


@LOSS.mistake("This is the variance of the errors: their mean is taken away first. An error that all share counts too.")
def variance(*args: object) -> Tensor:
    return _apart(*args).var()  # type: ignore[arg-type]
