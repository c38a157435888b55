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


def _own_coupling(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = net(x * mask)  # zeros where x is changed: there the network must not look
    log_s, shift = log_s * ~mask, shift * ~mask  # scale 1 and shift 0 where x is kept
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


COUPLING = Exercise(
    "flows.coupling",
    _own_coupling,
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


def _coupled(x: Tensor, kept: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    log_s = torch.where(kept, 0.0, log_s)
    return torch.where(kept, x, log_s.exp() * x + shift), log_s.flatten(1).sum(1)


def _given(x: Tensor, mask: Tensor, net: Network) -> Pair:
    """log_s and shift, as they should be."""
    return net(torch.where(mask, x, 0.0))


@COUPLING.mistake("The mask is turned round: True says that x is kept, and may be looked at.")
def swapped(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return _coupled(x, ~mask, *net(torch.where(mask, 0.0, x)))


@COUPLING.mistake(
    "The network sees all of x, also what it changes. Then the Jacobian is not triangular, and nobody can go back. "
    "Give it zeros there."
)
def sees_all(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return _coupled(x, mask, *net(x))


@COUPLING.mistake(
    "The network sees the half that is changed, and not the half that is kept. On the way back only the kept half is "
    "known."
)
def sees_the_changed(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return _coupled(x, mask, *net(torch.where(mask, 0.0, x)))


@COUPLING.mistake(
    "The right half is changed, but with what the network says about x = 0. What does x_1 decide, if it never gets in?"
)
def sees_nothing(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return _coupled(x, mask, *net(torch.zeros_like(x)))


@COUPLING.mistake(
    "The shift came first, and was scaled with x: (x + shift) · e^log_s. The equation scales, then shifts."
)
def shift_first(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return _coupled(x, mask, log_s, shift * log_s.exp())


@COUPLING.mistake("log_det takes the logarithm of |log_s|. log_s is a logarithm already, as its name says.")
def log_of_log_s(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, _ = _given(x, mask, net)
    log_det = torch.where(mask, 0.0, log_s.abs().log()).flatten(1).sum(1)
    return _own_coupling(x, mask, net)[0], log_det


@COUPLING.mistake(
    "x is multiplied by log_s itself. Where that is 0, all x become the same z, and there is no way back."
)
def no_exp(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return torch.where(mask, x, log_s * x + shift), torch.where(mask, 0.0, log_s.abs().log()).flatten(1).sum(1)


@COUPLING.mistake("What is kept is 0 in z. Nothing may get lost: the kept half has to be handed on.")
def kept_is_lost(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, log_det = _own_coupling(x, mask, net)
    return torch.where(mask, 0.0, z), log_det


@COUPLING.mistake("The scale leaves the kept half alone, but the shift does not.")
def all_shifted(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return torch.where(mask, x, log_s.exp() * x) + shift, torch.where(mask, 0.0, log_s).flatten(1).sum(1)


@COUPLING.mistake("log_det adds up all of log_s. Where x is kept nothing is stretched, whatever the network says.")
def log_det_of_all(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return _own_coupling(x, mask, net)[0], _given(x, mask, net)[0].flatten(1).sum(1)


@COUPLING.mistake("log_det adds up log_s of the kept coordinates, which are not stretched. Of which others?")
def log_det_of_the_kept(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, _ = _given(x, mask, net)
    return _own_coupling(x, mask, net)[0], torch.where(mask, log_s, 0.0).flatten(1).sum(1)


@COUPLING.mistake(
    "log_det adds up axis 1 alone. A picture has three axes; how do you add up all but the first, however many?"
)
def axes_left(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return _own_coupling(x, mask, net)[0], torch.where(mask, 0.0, _given(x, mask, net)[0]).sum(1)


@COUPLING.mistake("x_2 is divided by exp(log_s) here. Forward it is multiplied; the division belongs to the way back.")
def scaled_back(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return _coupled(x, mask, -log_s, shift)[0], _own_coupling(x, mask, net)[1]


@COUPLING.mistake("log_det has the wrong sign: log_s > 0 stretches.")
def log_det_negative(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, log_det = _own_coupling(x, mask, net)
    return z, -log_det


@COUPLING.mistake("This is the whole way back, from z to x: the next exercise. Forward x is scaled, then shifted.")
def inverse(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return _coupled(x, mask, -log_s, -shift * torch.exp(-log_s))


@COUPLING.mistake("log_det is an average over all coordinates. Volumes multiply, so the logarithms add up: the sum.")
def mean_not_sum(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, log_det = _own_coupling(x, mask, net)
    return z, log_det / mask.numel()


@COUPLING.mistake("log_det is an average over the changed coordinates. Each of them stretches: add them up.")
def mean_of_the_changed(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, log_det = _own_coupling(x, mask, net)
    return z, log_det / (~mask).sum()


@COUPLING.mistake("The scales themselves are added up. What is the logarithm of their product?")
def sum_of_scales(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, _ = _own_coupling(x, mask, net)
    return z, torch.where(mask, 0.0, _given(x, mask, net)[0].exp()).flatten(1).sum(1)


@COUPLING.mistake("This is the determinant itself; its logarithm was asked for.")
def det_not_log(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, log_det = _own_coupling(x, mask, net)
    return z, log_det.exp()


@COUPLING.mistake("log_det is summed over the batch. Each example is stretched in its own way: which axes are its own?")
def summed_over_the_batch(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, log_det = _own_coupling(x, mask, net)
    return z, log_det.sum()


@COUPLING.mistake("log_s is summed along the wrong axis, over the examples. log_det has one entry for each example.")
def along_the_batch(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, _ = _own_coupling(x, mask, net)
    return z, torch.where(mask, 0.0, _given(x, mask, net)[0]).sum(0)


@COUPLING.mistake("All of x is scaled and shifted, also what is kept. The way back needs the kept half as it was.")
def all_changed(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


@COUPLING.mistake("log_s and shift have changed places: in which order does the network answer?")
def outputs_exchanged(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return _coupled(x, mask, shift, log_s)


@COUPLING.mistake(
    "The first half is kept, whatever the mask says. It may keep any places, and more or fewer than half."
)
def first_half(x: Tensor, mask: Tensor, net: Network) -> Pair:
    half = (torch.arange(mask.numel()) < mask.numel() // 2).reshape(mask.shape)
    return _coupled(x, half, *_given(x, mask, net))


@COUPLING.mistake("x_2 has got lost: z_2 is the shift alone. Which x is scaled, and is anything left of it there?")
def changed_is_lost(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return torch.where(mask, x, shift), torch.where(mask, 0.0, log_s).flatten(1).sum(1)


@COUPLING.mistake("|log_s| is added up: where log_s is negative the map shrinks, and that counts as less.")
def absolute(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, _ = _own_coupling(x, mask, net)
    return z, torch.where(mask, 0.0, _given(x, mask, net)[0].abs()).flatten(1).sum(1)


@COUPLING.mistake(
    "What the network gives is set to 0 where x is to be changed, and is used where x is to be kept: ~ is missing."
)
def mask_inverted_late(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return _coupled(x, ~mask, *_given(x, mask, net))


@COUPLING.mistake("The shift counts in log_det. It moves, and stretches nothing.")
def shift_counted(x: Tensor, mask: Tensor, net: Network) -> Pair:
    _, shift = _given(x, mask, net)
    z, log_det = _own_coupling(x, mask, net)
    return z, log_det + torch.where(mask, 0.0, shift).flatten(1).sum(1)


@COUPLING.mistake(
    "The network gets ones where x is changed. Zeros were agreed on; on the way back it has to see the same."
)
def sees_ones(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return _coupled(x, mask, *net(torch.where(mask, x, 1.0)))


@COUPLING.mistake("The network gets the mask, and not x under the mask: then nothing depends on x_1.")
def sees_the_mask(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return _coupled(x, mask, *net(mask.to(x).expand_as(x)))


@COUPLING.mistake("The shift is taken off. Forward it is added.")
def shift_subtracted(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return _coupled(x, mask, log_s, -shift)


@COUPLING.mistake("The scale is a sigmoid of log_s. log_s is its logarithm: what undoes that?")
def sigmoid_scale(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return _coupled(x, mask, torch.nn.functional.logsigmoid(log_s), shift)


@COUPLING.mistake("log_s goes through another tanh. It is to be used as the network gives it.")
def tanh_again(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return _coupled(x, mask, log_s.tanh(), shift)


@COUPLING.mistake(
    "log_s is right, but the shift comes from a network that saw all of x. Ask once, with zeros, and take both."
)
def shift_sees_all(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return _coupled(x, mask, _given(x, mask, net)[0], net(x)[1])


@COUPLING.mistake(
    "The shift is right, but log_s comes from a network that saw all of x. Ask once, with zeros, and take both."
)
def scale_sees_all(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return _coupled(x, mask, net(x)[0], _given(x, mask, net)[1])


@COUPLING.mistake("log_det is 0, as if nothing were stretched. What do the scales do to volumes?")
def no_log_det(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, log_det = _own_coupling(x, mask, net)
    return z, 0 * log_det


@COUPLING.mistake("The scale is missing: x_2 is shifted alone, and no volume changes.")
def additive(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return _coupled(x, mask, 0 * log_s, shift)


@COUPLING.mistake("The shift is missing: z_2 = exp(log_s) · x_2 + shift.")
def no_shift(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return _coupled(x, mask, log_s, 0 * shift)


@COUPLING.mistake("log_det is divided by the number of examples. Each has its own, and all of it.")
def log_det_of_one(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, log_det = _own_coupling(x, mask, net)
    return z, log_det / len(x)
