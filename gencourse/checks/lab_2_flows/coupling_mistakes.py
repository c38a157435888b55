"""What goes wrong in a coupling: every mistake that has a hint of its own."""

import math

import torch
from torch import Tensor

from gencourse.checks.lab_2_flows.coupling import COUPLING, Network, Pair, coupling


def _coupled(x: Tensor, kept: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    log_s = torch.where(kept, 0.0, log_s)
    return torch.where(kept, x, log_s.exp() * x + shift), log_s.flatten(1).sum(1)


def _given(x: Tensor, mask: Tensor, net: Network) -> Pair:
    """log_s and shift, as they should be."""
    return net(torch.where(mask, x, 0.0))


@COUPLING.mistake("log_det is not a number: a logarithm is taken of something below 0. log_s is a logarithm already.")
def not_a_number(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return coupling(x, mask, net)[0], torch.full_like(x.flatten(1)[:, 0], math.nan)


@COUPLING.mistake("The mask is turned round: True says that x is kept, and may be looked at.")
def swapped(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return _coupled(x, ~mask, *net(torch.where(mask, 0.0, x)))


@COUPLING.mistake(
    "The network sees all of x, also what it changes. Then the Jacobian is not triangular, and nobody can go back. "
    "Give it zeros there."
)
def sees_all(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return _coupled(x, mask, *net(x))


@COUPLING.mistake("The network sees the half that is changed. On the way back only the half that is kept is known.")
def sees_the_changed(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return _coupled(x, mask, *net(torch.where(mask, 0.0, x)))


@COUPLING.mistake(
    "The right half is changed, but with what the network says about x = 0. What does x_1 decide, if it never gets in?"
)
def sees_nothing(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return _coupled(x, mask, *net(torch.zeros_like(x)))


@COUPLING.mistake("The shift came first, and was scaled with x: (x + shift) · e^log_s. First scale, then shift.")
def shift_first(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return _coupled(x, mask, log_s, shift * log_s.exp())


@COUPLING.mistake("log_det takes the logarithm of |log_s|. log_s is a logarithm already, as its name says.")
def log_of_log_s(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, _ = _given(x, mask, net)
    log_det = torch.where(mask, 0.0, log_s.abs().log()).flatten(1).sum(1)
    return coupling(x, mask, net)[0], log_det


@COUPLING.mistake(
    "x is multiplied by log_s itself. Where that is 0, all x become the same z, and there is no way back."
)
def no_exp(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return torch.where(mask, x, log_s * x + shift), torch.where(mask, 0.0, log_s.abs().log()).flatten(1).sum(1)


@COUPLING.mistake("What is kept is 0 in z. Nothing may get lost: the kept half has to be handed on.")
def kept_is_lost(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, log_det = coupling(x, mask, net)
    return torch.where(mask, 0.0, z), log_det


@COUPLING.mistake("The scale leaves the kept half alone, but the shift does not.")
def all_shifted(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return torch.where(mask, x, log_s.exp() * x) + shift, torch.where(mask, 0.0, log_s).flatten(1).sum(1)


@COUPLING.mistake("log_det adds up all of log_s. Where x is kept nothing is stretched, whatever the network says.")
def log_det_of_all(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return coupling(x, mask, net)[0], _given(x, mask, net)[0].flatten(1).sum(1)


@COUPLING.mistake("log_det adds up log_s of the kept coordinates, which are not stretched. Of which others?")
def log_det_of_the_kept(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, _ = _given(x, mask, net)
    return coupling(x, mask, net)[0], torch.where(mask, log_s, 0.0).flatten(1).sum(1)


@COUPLING.mistake(
    "log_det adds up axis 1 alone. A picture has three axes; how do you add up all but the first, however many?"
)
def axes_left(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return coupling(x, mask, net)[0], torch.where(mask, 0.0, _given(x, mask, net)[0]).sum(1)


@COUPLING.mistake("x_2 is divided by exp(log_s) here. Forward it is multiplied; the division belongs to the way back.")
def scaled_back(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return _coupled(x, mask, -log_s, shift)[0], coupling(x, mask, net)[1]


@COUPLING.mistake("log_det has the wrong sign: log_s > 0 stretches.")
def log_det_negative(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, log_det = coupling(x, mask, net)
    return z, -log_det


@COUPLING.mistake("This is the whole way back, from z to x: the next exercise. Forward x is scaled, then shifted.")
def inverse(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return _coupled(x, mask, -log_s, -shift * torch.exp(-log_s))


@COUPLING.mistake("log_det is an average over all coordinates. Volumes multiply, so the logarithms add up: the sum.")
def mean_not_sum(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, log_det = coupling(x, mask, net)
    return z, log_det / mask.numel()


@COUPLING.mistake("log_det is an average over the changed coordinates. Each of them stretches: add them up.")
def mean_of_the_changed(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, log_det = coupling(x, mask, net)
    return z, log_det / (~mask).sum()


@COUPLING.mistake("The scales themselves are added up. What is the logarithm of their product?")
def sum_of_scales(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, _ = coupling(x, mask, net)
    return z, torch.where(mask, 0.0, _given(x, mask, net)[0].exp()).flatten(1).sum(1)


@COUPLING.mistake("This is the determinant itself; its logarithm was asked for.")
def det_not_log(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, log_det = coupling(x, mask, net)
    return z, log_det.exp()


@COUPLING.mistake("log_det is summed over the batch. Each example is stretched in its own way: which axes are its own?")
def summed_over_the_batch(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, log_det = coupling(x, mask, net)
    return z, log_det.sum()


@COUPLING.mistake("log_s is summed along the wrong axis, over the examples. log_det has one entry for each example.")
def along_the_batch(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, _ = coupling(x, mask, net)
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
    z, _ = coupling(x, mask, net)
    return z, torch.where(mask, 0.0, _given(x, mask, net)[0].abs()).flatten(1).sum(1)


@COUPLING.mistake(
    "What the network gives is set to 0 where x is to be changed, and is used where x is to be kept: ~ is missing."
)
def mask_inverted_late(x: Tensor, mask: Tensor, net: Network) -> Pair:
    return _coupled(x, ~mask, *_given(x, mask, net))


@COUPLING.mistake("The shift counts in log_det. It moves, and stretches nothing.")
def shift_counted(x: Tensor, mask: Tensor, net: Network) -> Pair:
    _, shift = _given(x, mask, net)
    z, log_det = coupling(x, mask, net)
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
    z, log_det = coupling(x, mask, net)
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
    z, log_det = coupling(x, mask, net)
    return z, log_det / len(x)


@COUPLING.mistake("The kept part comes in twice: in z it is x, and to that the same x is added, scaled and shifted.")
def kept_twice(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return x * mask + log_s.exp() * x + shift, torch.full_like(x.flatten(1)[:, 0], math.nan)


@COUPLING.mistake("Where x is kept z is 2x: what is neither scaled nor shifted there is x already, and x is added.")
def kept_doubled(x: Tensor, mask: Tensor, net: Network) -> Pair:
    z, log_det = coupling(x, mask, net)
    return z + x * mask, log_det * math.nan


@COUPLING.mistake("The scale multiplies the shift, and x_2 is left as it was. Which of the two is scaled?")
def shift_scaled(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(x, mask, net)
    return torch.where(mask, x, x + log_s.exp() * shift), coupling(x, mask, net)[1]


@COUPLING.mistake("The scales are added up before the logarithm. It is their product whose logarithm we want.")
def added_before_log(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s = torch.where(mask, -math.inf, _given(x, mask, net)[0])
    return coupling(x, mask, net)[0], log_s.flatten(1).logsumexp(1)


@COUPLING.mistake("This is the logarithm of the Jacobian's trace, of the sum of its diagonal. What is its determinant?")
def log_of_the_trace(x: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s = torch.where(mask, 0.0, _given(x, mask, net)[0])
    return coupling(x, mask, net)[0], log_s.flatten(1).logsumexp(1)
