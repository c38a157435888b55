"""What goes wrong on the way back through a coupling: every mistake that has a hint of its own."""

import math

import torch
from torch import Tensor

from gencourse.checks.lab_2_flows.coupling_inverse import INVERSE, Network, Pair, coupling_inverse


def _uncoupled(z: Tensor, kept: Tensor, log_s: Tensor, shift: Tensor) -> Pair:
    log_s = torch.where(kept, 0.0, log_s)
    return torch.where(kept, z, (z - shift) * torch.exp(-log_s)), -log_s.flatten(1).sum(1)


def _given(z: Tensor, mask: Tensor, net: Network) -> Pair:
    """log_s and shift, as they should be."""
    return net(torch.where(mask, z, 0.0))


@INVERSE.mistake("log_det is not a number: a logarithm is taken of something below 0. log_s is a logarithm already.")
def not_a_number(z: Tensor, mask: Tensor, net: Network) -> Pair:
    return coupling_inverse(z, mask, net)[0], torch.full_like(z.flatten(1)[:, 0], math.nan)


@INVERSE.mistake(
    "The scale is undone first, then the shift. Forward it was scale, then shift: what came last goes first."
)
def scale_first(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(z, mask, net)
    return _uncoupled(z, mask, log_s, shift * log_s.exp())


@INVERSE.mistake("The shift is added a second time. It has to be taken off.")
def shifted_again(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(z, mask, net)
    return _uncoupled(z, mask, log_s, -shift)


@INVERSE.mistake("Divided by log_s itself. It is the logarithm of the scale.")
def no_exp(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(z, mask, net)
    return torch.where(mask, z, (z - shift) / log_s), -torch.where(mask, 0.0, log_s).flatten(1).sum(1)


@INVERSE.mistake("The mask is turned round: True says what was kept, and is the same in x and in z.")
def swapped(z: Tensor, mask: Tensor, net: Network) -> Pair:
    return _uncoupled(z, ~mask, *net(torch.where(mask, 0.0, z)))


@INVERSE.mistake(
    "The network sees all of z. In the forward direction it saw the kept half and zeros: show it the same again."
)
def sees_all(z: Tensor, mask: Tensor, net: Network) -> Pair:
    return _uncoupled(z, mask, *net(z))


@INVERSE.mistake("The network sees the changed half of z. Forward it saw the half that was kept.")
def sees_the_changed(z: Tensor, mask: Tensor, net: Network) -> Pair:
    return _uncoupled(z, mask, *net(torch.where(mask, 0.0, z)))


@INVERSE.mistake("What was kept is 0 in x. It is to be handed back as it is.")
def kept_is_lost(z: Tensor, mask: Tensor, net: Network) -> Pair:
    x, log_det = coupling_inverse(z, mask, net)
    return torch.where(mask, 0.0, x), log_det


@INVERSE.mistake("This log_det is that of the forward map. What the one stretches, the other shrinks.")
def log_det_of_forward(z: Tensor, mask: Tensor, net: Network) -> Pair:
    x, log_det = coupling_inverse(z, mask, net)
    return x, -log_det


@INVERSE.mistake("log_det counts log_s where nothing is changed, too.")
def log_det_of_all(z: Tensor, mask: Tensor, net: Network) -> Pair:
    return coupling_inverse(z, mask, net)[0], -_given(z, mask, net)[0].flatten(1).sum(1)


@INVERSE.mistake(
    "log_det adds up axis 1 alone. A picture has three axes; how do you add up all but the first, however many?"
)
def axes_left(z: Tensor, mask: Tensor, net: Network) -> Pair:
    return coupling_inverse(z, mask, net)[0], -torch.where(mask, 0.0, _given(z, mask, net)[0]).sum(1)


@INVERSE.mistake("log_det is an average over the coordinates; it should be a sum.")
def mean_not_sum(z: Tensor, mask: Tensor, net: Network) -> Pair:
    x, log_det = coupling_inverse(z, mask, net)
    return x, log_det / mask.numel()


@INVERSE.mistake("log_det is summed over the batch, too. Each example has its own.")
def summed_over_the_batch(z: Tensor, mask: Tensor, net: Network) -> Pair:
    x, log_det = coupling_inverse(z, mask, net)
    return x, log_det.sum()


@INVERSE.mistake("All of z is shifted and scaled back, also what had been kept.")
def all_changed(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(z, mask, net)
    return (z - shift) * torch.exp(-log_s), -log_s.flatten(1).sum(1)


@INVERSE.mistake("This is the forward map once more. The way back takes the shift off, and divides by the scale.")
def forward(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(z, mask, net)
    log_s = torch.where(mask, 0.0, log_s)
    return torch.where(mask, z, log_s.exp() * z + shift), log_s.flatten(1).sum(1)


@INVERSE.mistake("The shift is taken off, but then x is scaled by e^log_s a second time instead of being scaled back.")
def scaled_again(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(z, mask, net)
    return _uncoupled(z, mask, -log_s, shift)


@INVERSE.mistake("log_s and shift have changed places: in which order does the network answer?")
def outputs_exchanged(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(z, mask, net)
    return _uncoupled(z, mask, shift, log_s)


@INVERSE.mistake("1/log_det. The determinant of the inverse map is 1 over the other one; and its logarithm?")
def reciprocal(z: Tensor, mask: Tensor, net: Network) -> Pair:
    x, log_det = coupling_inverse(z, mask, net)
    return x, -1 / log_det


@INVERSE.mistake("This is the determinant itself; its logarithm was asked for.")
def det_not_log(z: Tensor, mask: Tensor, net: Network) -> Pair:
    x, log_det = coupling_inverse(z, mask, net)
    return x, log_det.exp()


@INVERSE.mistake(
    "The shift is multiplied by the scale, and z divided by it. Solve z = e^log_s · x + shift for x: what divides what?"
)
def shift_scaled_up(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(z, mask, net)
    return _uncoupled(z, mask, log_s, shift * torch.exp(2 * log_s))


@INVERSE.mistake("log_det is 0. Undoing a stretch shrinks; that it leads back does not mean that nothing changes.")
def no_log_det(z: Tensor, mask: Tensor, net: Network) -> Pair:
    x, log_det = coupling_inverse(z, mask, net)
    return x, 0 * log_det


@INVERSE.mistake("The shift is undone, the scale is not.")
def shift_only(z: Tensor, mask: Tensor, net: Network) -> Pair:
    _, shift = _given(z, mask, net)
    log_det = coupling_inverse(z, mask, net)[1]
    return torch.where(mask, z, z - shift), log_det * math.nan


@INVERSE.mistake("The scale is undone, the shift is not.")
def scale_only(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(z, mask, net)
    return _uncoupled(z, mask, log_s, 0 * shift)


@INVERSE.mistake("log_det adds up log_s where z is kept. Nothing is scaled there: of which others?")
def log_det_of_the_kept(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, _ = _given(z, mask, net)
    return coupling_inverse(z, mask, net)[0], -torch.where(mask, log_s, 0.0).flatten(1).sum(1)


@INVERSE.mistake("log_det is an average over the changed coordinates; it should be a sum.")
def mean_of_the_changed(z: Tensor, mask: Tensor, net: Network) -> Pair:
    x, log_det = coupling_inverse(z, mask, net)
    return x, log_det / (~mask).sum()


@INVERSE.mistake("The scale leaves the kept half alone, the shift does not.")
def all_shifted(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(z, mask, net)
    log_s = torch.where(mask, 0.0, log_s)
    return (z - shift) * torch.exp(-log_s), -log_s.flatten(1).sum(1)


@INVERSE.mistake("|log_s| is added up: where log_s is negative this map stretches, and that counts as more.")
def absolute(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, _ = _given(z, mask, net)
    return coupling_inverse(z, mask, net)[0], -torch.where(mask, 0.0, log_s.abs()).flatten(1).sum(1)


@INVERSE.mistake("The network is shown zeros only. Forward it saw the kept half: show it the same again.")
def sees_nothing(z: Tensor, mask: Tensor, net: Network) -> Pair:
    return _uncoupled(z, mask, *net(torch.zeros_like(z)))


@INVERSE.mistake("The scales are added up. It is their logarithms that add, with a minus.")
def sum_of_scales(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, _ = _given(z, mask, net)
    return coupling_inverse(z, mask, net)[0], -torch.where(mask, 0.0, log_s.exp()).flatten(1).sum(1)


@INVERSE.mistake("What the network gives is used where z is kept, and set to 0 where it was changed: ~ is missing.")
def kept_changed(z: Tensor, mask: Tensor, net: Network) -> Pair:
    return _uncoupled(z, ~mask, *_given(z, mask, net))


@INVERSE.mistake(
    "The kept part comes in twice: in x it is z, and to that the same z is added, shifted and scaled back."
)
def kept_twice(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(z, mask, net)
    return z * mask + (z - shift) * torch.exp(-log_s), torch.full_like(z.flatten(1)[:, 0], math.nan)


@INVERSE.mistake("Where z was kept x is 2z: what is neither shifted nor scaled there is z already, and z is added.")
def kept_doubled(z: Tensor, mask: Tensor, net: Network) -> Pair:
    x, log_det = coupling_inverse(z, mask, net)
    return x + z * mask, log_det * math.nan


@INVERSE.mistake("The shift alone is scaled back. Solve z = e^log_s · x + shift for x: what all does the scale divide?")
def shift_scaled_alone(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s, shift = _given(z, mask, net)
    return torch.where(mask, z, z - shift * torch.exp(-log_s)), coupling_inverse(z, mask, net)[1]


@INVERSE.mistake("The scales are added up before the logarithm. It is their product whose logarithm we want.")
def added_before_log(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s = torch.where(mask, -math.inf, -_given(z, mask, net)[0])
    return coupling_inverse(z, mask, net)[0], log_s.flatten(1).logsumexp(1)


@INVERSE.mistake(
    "The forward map's scales are added up before the logarithm. It is a product, and its logarithm a sum."
)
def added_before_log_forward(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s = torch.where(mask, -math.inf, _given(z, mask, net)[0])
    return coupling_inverse(z, mask, net)[0], -log_s.flatten(1).logsumexp(1)


@INVERSE.mistake("This is the logarithm of the Jacobian's trace, of the sum of its diagonal. What is its determinant?")
def log_of_the_trace(z: Tensor, mask: Tensor, net: Network) -> Pair:
    log_s = torch.where(mask, 0.0, -_given(z, mask, net)[0])
    return coupling_inverse(z, mask, net)[0], log_s.flatten(1).logsumexp(1)
