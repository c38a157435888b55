"""The wrong one of x_1 and x_t. Lecture 05b (28), with time the other way."""

from collections.abc import Callable

import torch
from torch import Tensor

from gencourse.checks.lab_5_faults.given import DOUBLE, SINGLE
from gencourse.checks.lab_5_faults.hunt import Hunt

Net = Callable[[Tensor, Tensor], Tensor]


def _own_test_flow_loss(candidate):
    x_0, x_1 = torch.randn(2, 5, 3, dtype=torch.float64)
    t = torch.tensor([0.1, 0.9, 0.3, 0.5, 0.75], dtype=torch.float64)
    w = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    loss = candidate(lambda x, t: w * x**2 + 2 * t[:, None], x_0, x_1, t)
    total, slope = 0.0, 0.0  # a second implementation, number by number
    for b in range(5):
        for i in range(3):
            start, end, time = float(x_0[b, i]), float(x_1[b, i]), float(t[b])
            x_t = start + time * (end - start)
            error = 0.7 * x_t**2 + 2 * time - (end - start)
            total, slope = total + error**2 / 15, slope + 2 * error * x_t**2 / 15
    assert loss.shape == ()
    assert loss.requires_grad
    assert abs(float(loss) - total) < 1e-4
    (found,) = torch.autograd.grad(loss, w)
    assert abs(float(found) - slope) < 1e-4


FLOW_LOSS = Hunt(
    "faults.test_flow_loss",
    _own_test_flow_loss,
    returns=["verdict"],
    second="Be the network: hand over a function of x and t that you can compute by hand, as w x² + 2t, and compute "
    "the loss a second time, number by number. And what is its derivative in w?",
    why="A network is an argument: a test may be the network, and see what it is shown.",
)


def _line(x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    return x_0 + t[:, None] * (x_1 - x_0)


@FLOW_LOSS.fault(
    "Which point is the network shown? A network that gives 0, or that gives t, cannot tell.",
    "The network is shown x_1 instead of x_t.",
)
def shown_the_end(net: Net, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    velocity = x_1 - x_0
    return ((net(x_1, t) - velocity) ** 2).mean()


@FLOW_LOSS.fault(
    "Into which direction should the velocity point: from x_0 to x_1, or back?",
    "The target is x_0 − x_1.",
)
def backwards(net: Net, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    return ((net(_line(x_0, x_1, t), t) - (x_0 - x_1)) ** 2).mean()


@FLOW_LOSS.fault(
    "Where is x_t for t near 0: near x_0, or near x_1? t = 1/2 cannot tell.",
    "x_t runs from x_1 to x_0.",
)
def from_the_end(net: Net, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    return ((net(_line(x_1, x_0, t), t) - (x_1 - x_0)) ** 2).mean()


@FLOW_LOSS.fault(
    "What time is the network told? One that ignores t cannot say.",
    "The network is told 1 − t.",
)
def the_other_time(net: Net, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    return ((net(_line(x_0, x_1, t), 1 - t) - (x_1 - x_0)) ** 2).mean()


@FLOW_LOSS.fault(
    "Each example has its own time. Are there two in your batch that differ?",
    "The first example's time is used for all.",
)
def one_time_for_all(net: Net, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    t = t[:1].expand(len(t))
    return ((net(_line(x_0, x_1, t), t) - (x_1 - x_0)) ** 2).mean()


@FLOW_LOSS.fault(
    "Is it a mean over all numbers, or a sum over some? Examples of more than one coordinate tell.",
    "The squares are added up over the coordinates.",
)
def summed_over_coordinates(net: Net, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    return ((net(_line(x_0, x_1, t), t) - (x_1 - x_0)) ** 2).sum(1).mean()


@FLOW_LOSS.fault(
    "The number is right. Does the network learn from it?",
    "The network's answer is detached.",
)
def nothing_learned(net: Net, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    return ((net(_line(x_0, x_1, t), t).detach() - (x_1 - x_0)) ** 2).mean()


@FLOW_LOSS.fault(
    "A loss is one number. Which axes has what comes back?",
    "The value is right, and comes in the shape (1,) instead of ().",
)
def kept_as_a_row(net: Net, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    return ((net(_line(x_0, x_1, t), t) - (x_1 - x_0)) ** 2).flatten().mean(0, keepdim=True)


@FLOW_LOSS.blind(
    "t is 1 in all that you ask for: there x_t is x_1. Where are they apart?",
    "shown_the_end",
)
def only_t_1(net: Net, x_0: Tensor, x_1: Tensor, t: Tensor) -> bool:
    return bool((t == 1).all())


@FLOW_LOSS.right("as the lecture writes it")
def as_written(net: Net, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    x_t = (1 - t[:, None]) * x_0 + t[:, None] * x_1
    return torch.nn.functional.mse_loss(net(x_t, t), x_1 - x_0)


@FLOW_LOSS.right("in float32", SINGLE)
def single(net: Net, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    error = net(_line(x_0, x_1, t), t) - (x_1 - x_0)
    return error.float().square().mean()


@FLOW_LOSS.right("in float64", DOUBLE)
def double(net: Net, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    error = net(_line(x_0, x_1, t), t) - (x_1 - x_0)
    return error.double().square().mean()


@FLOW_LOSS.right("with torch.lerp, by a dot product")
def by_lerp(net: Net, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    x_t = torch.lerp(x_0, x_1, t[:, None].expand_as(x_0))
    error = (net(x_t, t) - x_1 + x_0).flatten()
    return error @ error / error.numel()
