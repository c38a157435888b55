"""A coupling that cannot reconstruct beyond two dimensions. Lecture 03 (4), (5), (6)."""

from collections.abc import Callable

import torch
from torch import Tensor

from gencourse.checks.lab_5_faults.given import DOUBLE, SINGLE
from gencourse.checks.lab_5_faults.hunt import Hunt

Net = Callable[[Tensor], tuple[Tensor, Tensor]]


def _own_test_coupling(candidate):
    for D in (2, 4, 6):
        W, V = torch.randn(2, D // 2, D // 2, dtype=torch.float64)
        net = lambda half, W=W, V=V: (0.5 + torch.tanh(half @ W), half @ V)  # noqa: E731
        x = torch.randn(3, D, dtype=torch.float64)
        z, log_det = candidate(x, net)
        back, log_det_back = candidate(z.detach(), net, inverse=True)
        assert z.shape == x.shape
        assert log_det.shape == log_det_back.shape == (3,)
        assert ((back - x).abs() < 1e-4).all()  # there and back
        assert ((log_det + log_det_back).abs() < 1e-4).all()
        for b in range(3):
            J = torch.autograd.functional.jacobian(lambda row, net=net: candidate(row[None], net)[0][0], x[b])
            assert abs(float(J.double().slogdet().logabsdet - log_det[b])) < 1e-4
        _, constant = candidate(x, lambda half: (0 * half + 0.5, 0 * half))  # it does scale a half
        assert ((constant - 0.5 * D / 2).abs() < 1e-4).all()


COUPLING = Hunt(
    "faults.test_coupling",
    _own_test_coupling,
    returns=["verdict"],
    second="Three questions to each candidate, in two, four and six dimensions, with a network whose log_s and shift "
    "depend on what they get: does the way back end at x, do the two log_dets cancel, and is log_det that of "
    "autograd's Jacobian? And a fourth, with log_s = 0.5 everywhere: is it 0.5 D/2?",
    why="What is right in two dimensions can be right by accident: the smallest case is seldom the telling one.",
)


def _coupling(x: Tensor, net: Net, inverse: bool, sign: int = 1) -> tuple[Tensor, Tensor]:
    kept, moved = x.chunk(2, dim=1)
    log_s, shift = net(kept)
    moved = (moved - shift) * (-log_s).exp() if inverse else moved * log_s.exp() + shift
    log_det = -log_s.sum(1) if inverse else log_s.sum(1)
    return torch.cat([kept, moved], dim=1), log_det


@COUPLING.fault(
    "Does the way back end where the way began? Two dimensions are not enough to say so.",
    "Every second coordinate is taken, and the halves are put one after the other: the order is another one, in more "
    "than two dimensions, and the way back takes other coordinates for the kept ones.",
)
def halves_of_another_order(x: Tensor, net: Net, inverse: bool = False) -> tuple[Tensor, Tensor]:
    kept, moved = x[:, 0::2], x[:, 1::2]
    log_s, shift = net(kept)
    if inverse:
        moved, log_det = (moved - shift) * torch.exp(-log_s), -log_s.sum(1)
    else:
        moved, log_det = moved * torch.exp(log_s) + shift, log_s.sum(1)
    return torch.cat([kept, moved], dim=1), log_det


@COUPLING.fault(
    "Where log_s or shift is 0, many orders of undoing agree. What if neither is?",
    "The way back divides first and subtracts the shift then.",
)
def undone_in_the_wrong_order(x: Tensor, net: Net, inverse: bool = False) -> tuple[Tensor, Tensor]:
    kept, moved = x.chunk(2, dim=1)
    log_s, shift = net(kept)
    if inverse:
        return torch.cat([kept, moved * (-log_s).exp() - shift], dim=1), -log_s.sum(1)
    return torch.cat([kept, moved * log_s.exp() + shift], dim=1), log_s.sum(1)


@COUPLING.fault(
    "There and back the volume is what it was. What should the two log_dets add up to?",
    "The way back gives the log_det of the way there, and not its negative.",
)
def same_log_det_on_the_way_back(x: Tensor, net: Net, inverse: bool = False) -> tuple[Tensor, Tensor]:
    out, log_det = _coupling(x, net, inverse)
    return out, -log_det if inverse else log_det


@COUPLING.fault(
    "If both log_dets have the wrong sign, they cancel all the same. What does autograd's Jacobian say?",
    "log_det has the wrong sign, there and back.",
)
def both_signs_wrong(x: Tensor, net: Net, inverse: bool = False) -> tuple[Tensor, Tensor]:
    out, log_det = _coupling(x, net, inverse)
    return out, -log_det


@COUPLING.fault(
    "Is log_det a sum over the coordinates, or a mean? In two dimensions one coordinate is moved.",
    "log_det is the mean of log_s over the coordinates.",
)
def mean_over_coordinates(x: Tensor, net: Net, inverse: bool = False) -> tuple[Tensor, Tensor]:
    out, log_det = _coupling(x, net, inverse)
    return out, log_det / (x.shape[1] // 2)


@COUPLING.fault(
    "An example should not know of the others. Do all examples of your batch get one and the same log_det?",
    "log_det is that of the whole batch, averaged.",
)
def one_log_det_for_all(x: Tensor, net: Net, inverse: bool = False) -> tuple[Tensor, Tensor]:
    out, log_det = _coupling(x, net, inverse)
    return out, log_det.mean().expand(len(x))


@COUPLING.fault(
    "What leaves x alone can be undone, and its log_det is 0, as it should be. How would you notice?",
    "It does nothing: z = x, and log_det = 0.",
)
def nothing_at_all(x: Tensor, net: Net, inverse: bool = False) -> tuple[Tensor, Tensor]:
    net(x[:, : x.shape[1] // 2])
    return x.clone(), x.new_zeros(len(x))


@COUPLING.right("the first half kept")
def first_half_kept(x: Tensor, net: Net, inverse: bool = False) -> tuple[Tensor, Tensor]:
    return _coupling(x, net, inverse)


@COUPLING.right(
    "the second half kept", "This right one keeps the second half: which one is kept the docstring leaves open."
)
def second_half_kept(x: Tensor, net: Net, inverse: bool = False) -> tuple[Tensor, Tensor]:
    half = x.shape[1] // 2
    moved, kept = x[:, :half], x[:, half:]
    log_s, shift = net(kept)
    log_s = -log_s if inverse else log_s
    moved = (moved - shift) * log_s.exp() if inverse else moved * log_s.exp() + shift
    return torch.cat([moved, kept], dim=1), log_s.sum(1)


@COUPLING.right("every second coordinate kept", "Which coordinates are kept, and where, the docstring leaves open.")
def every_second_kept(x: Tensor, net: Net, inverse: bool = False) -> tuple[Tensor, Tensor]:
    kept, moved = x[:, 0::2], x[:, 1::2]
    log_s, shift = net(kept)
    moved = (moved - shift) / log_s.exp() if inverse else moved * log_s.exp() + shift
    return torch.stack([kept, moved], dim=2).flatten(1), log_s.sum(1) * (-1 if inverse else 1)


@COUPLING.right("rounded to float32", SINGLE)
def single(x: Tensor, net: Net, inverse: bool = False) -> tuple[Tensor, Tensor]:
    out, log_det = _coupling(x, net, inverse)
    return out.float().to(x.dtype), log_det.float().to(x.dtype)


@COUPLING.right("with log_det in float64", DOUBLE)
def double(x: Tensor, net: Net, inverse: bool = False) -> tuple[Tensor, Tensor]:
    out, log_det = _coupling(x, net, inverse)
    return out, log_det.double()
