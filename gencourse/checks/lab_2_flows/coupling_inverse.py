"""The way back through a coupling, with the same network. Lecture 03 (6)."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_2_flows.coupling import by_hand, genlibs, some_mask
from gencourse.checks.lab_2_flows.given import FLOAT32_TOL, Net, log_volume, normal, passes_gradients
from gencourse.checks.spec import Exercise

Network = Callable[[Tensor], tuple[Tensor, Tensor]]
Pair = tuple[Tensor, Tensor]


def coupling_inverse(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = net(z * mask)  # what is kept is the same in z and in x: the network says what it said then
    log_s, shift = log_s * ~mask, shift * ~mask
    return (z - shift) * torch.exp(-log_s), -log_s.flatten(1).sum(1)


INVERSE = Exercise(
    "flows.coupling_inverse",
    coupling_inverse,
    returns=["x", "log_det"],
    batched=["z"],
    second="Start from z = exp(log_s) · x + shift, and solve it for x, with log_s and shift as they were: the network "
    "gets the same numbers as on the way there. Then take the logarithm of each scale of this map.",
    why="Samples cost what likelihoods cost, one pass: an autoregressive flow has the same formula and needs D passes "
    "for the one or for the other.",
)


@INVERSE.pace
def _(g: Generator) -> tuple[Tensor, Tensor, Network]:
    return normal((2000, 2), g), torch.tensor([True, False]), Net((2,), g)


@INVERSE.check(
    "it brings z back to the x that it came from",
    "Undo the steps of the forward map in the opposite order. What does the network have to be shown, to say the same "
    "as it said then?",
)
def _(answer: Answer, g: Generator) -> None:
    x, mask, net = normal((7, 6), g), some_mask((6,), g), Net((6,), g)
    back, _ = answer(by_hand(x, mask, net), mask, net)
    answer.agrees("x", x, back)


@INVERSE.check(
    "log_det is that of the map from z to x: minus the forward one's, as autograd finds it",
    "What the one map stretches, the other shrinks by as much: what is that in logarithms?",
)
def _(answer: Answer, g: Generator) -> None:
    x, mask, net = normal((7, 6), g), some_mask((6,), g), Net((6,), g)
    forward = log_volume(lambda v: by_hand(v, mask, net), x)
    answer.gives([by_hand(x, mask, net), mask, net], x, -forward)


@INVERSE.check("it takes pictures, too", "Only the first axis is the batch; log_det stays (B,).")
def _(answer: Answer, g: Generator) -> None:
    for shape in ((1, 2, 3), (2, 2, 2), (5,)):
        x, mask, net = normal((3, *shape), g), some_mask(shape, g), Net(shape, g)
        forward = log_volume(lambda v: by_hand(v, mask, net), x)  # noqa: B023
        answer.gives([by_hand(x, mask, net), mask, net], x, -forward)


@INVERSE.check("gradients pass", "Stay in torch, and detach nothing.")
def _(answer: Answer, g: Generator) -> None:
    answer(normal((4, 5), g).requires_grad_(), some_mask((5,), g), Net((5,), g))
    passes_gradients(answer, "the network")
    answer.passes_back("z", hint="Who trains through the way back needs log_s and shift in both outputs: detach none.")


@INVERSE.check("it takes float32 too", "Nothing in the formulas depends on the precision of z.")
def _(answer: Answer, g: Generator) -> None:
    x, mask, net = normal((4, 5), g), some_mask((5,), g), Net((5,), g)
    forward = log_volume(lambda v: by_hand(v, mask, net), x)
    answer.gives([by_hand(x, mask, net).float(), mask, net], x, -forward, tol=FLOAT32_TOL)


@INVERSE.check("it agrees with genlib", "Compare with flows.AffineCoupling(mask, net, apart=False).inverse.")
def _(answer: Answer, g: Generator) -> None:
    z, layer, net = genlibs(g)
    answer.gives([z, layer.mask, net], *layer.inverse(z))
