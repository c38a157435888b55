"""A coupling: what is kept decides how the rest is scaled and shifted. Lecture 03 (4), (5)."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_2_flows.given import FLOAT32_TOL, Named, Net, log_volume, normal, passes_gradients
from gencourse.checks.spec import Exercise
from genlib import flows

Network = Callable[[Tensor], tuple[Tensor, Tensor]]
Pair = tuple[Tensor, Tensor]


def coupling(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = net(x * mask)  # zeros where x is changed: there the network must not look
    log_s, shift = log_s * ~mask, shift * ~mask  # scale 1 and shift 0 where x is kept
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


COUPLING = Exercise(
    "flows.coupling",
    coupling,
    returns=["z", "log_det"],
    batched=["x"],
    second="Three steps. Show the network x with zeros where mask is False. Make what it says 0 where mask is True: "
    "exp(0) = 1 scales nothing. Then it is the map of `affine`, with other numbers for each example.",
    why="The determinant costs a sum, whatever the network is: it may be as deep as you like, and is never inverted.",
)


@COUPLING.pace
def _(g: Generator) -> tuple[Tensor, Tensor, Network]:
    return normal((2000, 2), g), torch.tensor([True, False]), Net((2,), g)


def some_mask(shape: tuple[int, ...], g: Generator) -> Tensor:
    """A random mask that keeps a third or so; at least two are kept and two more are changed than kept."""
    D = math.prod(shape)
    kept = max(2, D // 3)
    return (torch.randperm(D, generator=g) < kept).reshape(shape)


def by_hand(x: Tensor, mask: Tensor, net: Network) -> Tensor:
    """z, one number after the other."""
    log_s, shift = (out.flatten(1) for out in net(torch.stack([torch.where(mask, one, 0.0) for one in x])))
    columns = [
        x.flatten(1)[:, d] if kept else x.flatten(1)[:, d] * log_s[:, d].exp() + shift[:, d]
        for d, kept in enumerate(mask.flatten().tolist())
    ]
    return torch.stack(columns, dim=1).reshape(x.shape)


@COUPLING.check(
    "what the mask keeps stays, the rest is scaled and shifted",
    "Where mask is True, z is x. Elsewhere z = exp(log_s) · x + shift; the network sees x with zeros there.",
)
def _(answer: Answer, g: Generator) -> None:
    x, mask, net = normal((7, 6), g), some_mask((6,), g), Net((6,), g)
    z, _ = answer(x, mask, net)
    answer.agrees("z", by_hand(x, mask, net), z)


@COUPLING.check(
    "log_det is log |det| of the Jacobian that autograd finds",
    "Which log_s stand on the diagonal of the Jacobian, and which 1s? Add up what is left of each after the logarithm.",
)
def _(answer: Answer, g: Generator) -> None:
    x, mask, net = normal((7, 6), g), some_mask((6,), g), Net((6,), g)
    answer.gives([x, mask, net], by_hand(x, mask, net), log_volume(lambda v: by_hand(v, mask, net), x))


@COUPLING.check(
    "it takes pictures, too",
    "Only the first axis is the batch. How many others there are, x itself knows; log_det stays (B,).",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in ((1, 2, 3), (2, 2, 2), (5,)):
        x, mask, net = normal((3, *shape), g), some_mask(shape, g), Net(shape, g)
        answer.gives([x, mask, net], by_hand(x, mask, net), log_volume(lambda v: by_hand(v, mask, net), x))  # noqa: B023


@COUPLING.check("gradients reach the network", "Stay in torch, and detach nothing.")
def _(answer: Answer, g: Generator) -> None:
    answer(normal((4, 5), g).requires_grad_(), some_mask((5,), g), Net((5,), g))
    passes_gradients(answer, "the network")
    answer.passes_back("x", hint="The network learns through z and log_det, through log_s and shift: detach none.")


@COUPLING.check("it takes float32 too", "Nothing in the formulas depends on the precision of x.")
def _(answer: Answer, g: Generator) -> None:
    x, mask, net = normal((4, 5), g), some_mask((5,), g), Net((5,), g)
    log_det = log_volume(lambda v: by_hand(v, mask, net), x)
    answer.gives([x.float(), mask, net], by_hand(x, mask, net), log_det, tol=FLOAT32_TOL)


@COUPLING.check("it agrees with genlib", "Compare with flows.AffineCoupling(mask, net, apart=False).")
def _(answer: Answer, g: Generator) -> None:
    x, layer, net = genlibs(g)
    answer.gives([x, layer.mask, net], *layer(x))


def genlibs(g: Generator) -> tuple[Tensor, flows.AffineCoupling, Named]:
    """x, one of genlib's layers with random weights, and its network as the exercise wants it."""
    layer = flows.AffineCoupling(some_mask((5,), g), flows.MLP(5, 10, 8), apart=False).double().requires_grad_(False)
    for p in layer.parameters():
        p.copy_(0.5 * normal(p.shape, g))
    return normal((4, 5), g), layer, Named("its network", lambda x: layer.log_s_and_shift(x))
