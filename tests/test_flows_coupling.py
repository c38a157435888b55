"""Couplings, for every mask and both ways to obey it: against autograd's Jacobian."""

import math
from typing import Any

import pytest
import torch
from flow_cases import check_layer, jacobian, randomised, seeded  # noqa: F401
from torch import Tensor

from genlib.flows import MLP, AffineCoupling, ConvNet, Flow, fused, masks

MASKS = {
    "halves 2": masks.halves(2),
    "halves 5": masks.halves(5),
    "halves 5 swapped": masks.halves(5, swap=True),
    "random 7": masks.random(7, seed=1),
    "one kept": torch.tensor([False, False, True, False]),
    "checkerboard": masks.checkerboard((2, 3, 4)),
    "checkerboard swapped": masks.checkerboard((1, 3, 5), swap=True),
    "channel": masks.channel((3, 2, 3)),
    "channel swapped": masks.channel((3, 2, 3), swap=True),
}


def inputs(mask: Tensor, n: int = 2) -> Tensor:
    return torch.randn(n, *mask.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def affine(mask: Tensor, std: float = 0.3, **arguments) -> Any:
    return randomised(AffineCoupling(mask, **arguments).double(), std=std)


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("apart", [None, False])
def test_against_autograd(name: str, apart: bool | None) -> None:
    mask = MASKS[name]
    layer = affine(mask, std=0.2, apart=apart)
    x = inputs(mask)
    z = check_layer(layer, x)
    assert torch.equal(z[:, mask], x[:, mask])  # to the bit: the inverse has to see the same numbers
    assert (z[:, ~mask] != x[:, ~mask]).all()


@pytest.mark.parametrize("name", ["halves 5", "random 7", "checkerboard", "channel"])
def test_what_is_changed_depends_on_itself_and_on_what_is_kept_alone(name: str) -> None:
    mask = MASKS[name].flatten()
    layer = affine(MASKS[name])
    J = jacobian(lambda x: layer(x)[0], inputs(MASKS[name])[0])
    assert torch.equal(J[mask], torch.eye(len(J), dtype=J.dtype)[mask])
    among_changed = J[~mask][:, ~mask]
    assert torch.equal(among_changed, torch.diag(among_changed.diagonal()))
    assert (among_changed.diagonal() > 0).all()


@pytest.mark.parametrize("learned", [False, True])
def test_apart_and_by_mask_are_one_map(learned: bool) -> None:
    """The net of the masked way, told all of x, is the other one's with columns and rows of zeros put in."""
    mask = masks.random(5, seed=2)
    apart = affine(mask, net=MLP(2, 6, width=8), learned=learned)
    whole: Any = AffineCoupling(mask, MLP(5, 10, width=8), apart=False, learned=learned).double()
    kept, changed = mask.nonzero()[:, 0], (~mask).nonzero()[:, 0]
    with torch.no_grad():
        whole.net.first.weight.zero_()[:, kept] = apart.net.first.weight
        whole.net.first.bias.copy_(apart.net.first.bias)
        whole.net.hidden.load_state_dict(apart.net.hidden.state_dict())
        rows = torch.cat([changed, 5 + changed])
        whole.net.last.weight[rows] = apart.net.last.weight
        whole.net.last.bias[rows] = apart.net.last.bias
        if learned:
            assert whole.scale is not None
            assert apart.scale is not None
            whole.scale[changed] = apart.scale
    x = inputs(mask, 6)
    for a, b in zip(apart(x), whole(x), strict=True):
        assert torch.allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("mask", [masks.halves(3), masks.checkerboard((2, 3, 4)), masks.channel((2, 2, 2))])
def test_told_a_condition(mask: Tensor) -> None:
    n_in, n_out = AffineCoupling.sizes(mask)
    make = MLP if mask.dim() == 1 else ConvNet
    layer = affine(mask, net=make(n_in, 2 * n_out, 8, n_condition=3))
    condition = torch.eye(3, dtype=torch.float64)[:2]
    x = inputs(mask)
    z = check_layer(layer, x, condition)
    assert not torch.allclose(z, layer(x, condition.flip(0))[0])
    with pytest.raises(ValueError, match="condition"):
        layer(x)
    with pytest.raises(ValueError, match="condition"):
        layer(x, condition[:1])
    with pytest.raises(ValueError, match="condition"):
        affine(mask)(x, condition)


def test_a_new_coupling_changes_nothing() -> None:
    x = inputs(masks.halves(4))
    z, log_det = AffineCoupling(masks.halves(4)).double()(x)
    assert torch.equal(z, x)
    assert torch.equal(log_det, torch.zeros_like(log_det))


@pytest.mark.parametrize("huge", [1e3, 1e30, math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_scale_that_would_overflow_stays_finite(huge: float, dtype: torch.dtype) -> None:
    """Raw numbers that no exp survives: log_s ends at ±bound, there and back, and in its gradient."""

    def net(kept: Tensor, condition: Tensor | None) -> Tensor:
        return torch.cat([kept * 0 + huge, kept], dim=1)

    layer = AffineCoupling(masks.halves(2), net, bound=3.0)
    x = torch.tensor([[0.5, 2.0], [-0.5, -1.0]], dtype=dtype, requires_grad=True)
    z, log_det = layer(x)
    assert torch.allclose(log_det, torch.full_like(log_det, 3.0))
    assert torch.allclose(layer.inverse(z)[0], x)
    (gradient,) = torch.autograd.grad(z.sum() + log_det.sum(), x)
    assert gradient.isfinite().all()


def test_the_largest_bound_is_finite_in_float32_and_a_learned_scale_cannot_leave_it() -> None:
    """exp(1000) is infinite; a scale that was learned to be 1000 counts as 80, for log_s and for log_det alike."""
    for learned, scale in ((False, 80.0), (True, 80.0), (True, 1000.0), (True, -1000.0)):
        layer = AffineCoupling(masks.halves(2), lambda kept, _: 50 * kept.repeat(1, 2), bound=80.0, learned=learned)
        if layer.scale is not None:
            layer.scale.data.fill_(scale)
        x = torch.tensor([[1.0, 1.0], [-1.0, 1.0]], requires_grad=True)
        z, log_det = layer(x)
        assert log_det.abs().tolist() == [80.0, 80.0]
        back, log_det_back = layer.inverse(z)
        (gradient,) = torch.autograd.grad(z.sum(), x)
        for numbers in (z, back, log_det_back, gradient):
            assert numbers.isfinite().all()


def test_a_coupling_can_expand_and_contract_by_its_bound() -> None:
    """Not by a factor of 1.001 at most, as a sigmoid that is capped too early would have it."""
    for sign in (-1, 1):
        layer = AffineCoupling(
            masks.halves(2), lambda kept, _, s=sign: torch.cat([kept * 0 + 50 * s, kept], dim=1), bound=2.0
        )
        assert float(layer(torch.ones(1, 2))[1]) == pytest.approx(2 * sign, abs=1e-6)


def test_the_learned_scale_bounds_log_s() -> None:
    layer = affine(masks.halves(3), learned=True, bound=1.5)
    assert layer.scale is not None
    assert layer.scale.shape == (2,)
    log_s, _ = layer.log_s_and_shift(torch.randn(64, 1, dtype=torch.float64) * 1e6)
    assert (log_s.abs() <= layer.scale.detach().abs()).all()
    assert (log_s.abs() > 0.9 * layer.scale.detach().abs()).any()


def test_masks_are_stored_with_the_weights() -> None:
    """A flow built with another seed becomes the stored one: the same numbers, by the stored mask."""
    mask = masks.random(6, seed=0)
    one, other = affine(mask), AffineCoupling(masks.random(6, seed=9)).double()
    assert not torch.equal(one.mask, other.mask)
    other.load_state_dict(one.state_dict())
    x = inputs(mask)
    assert torch.equal(one(x)[0], other(x)[0])


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: AffineCoupling([True, True]), "mask"),
        (lambda: AffineCoupling([False, False]), "mask"),
        (lambda: AffineCoupling(masks.halves(2), "mlp"), "net"),  # type: ignore
        (lambda: AffineCoupling(masks.checkerboard((1, 2, 2)), apart=True), "apart"),
        (lambda: AffineCoupling(masks.halves(2), bound=0.0), "bound"),
        (lambda: AffineCoupling(masks.halves(2), bound=math.inf), "bound"),
        (lambda: AffineCoupling(masks.halves(2), bound=81.0, learned=True), "bound"),
        (lambda: AffineCoupling(masks.halves(4))(torch.zeros(3, 5)), "x"),
        (lambda: AffineCoupling(masks.halves(4))(torch.zeros(4)), "x"),
        (lambda: AffineCoupling(masks.halves(4))(torch.zeros(3, 4, dtype=torch.int64)), "x"),
        (lambda: AffineCoupling(masks.halves(4)).inverse(torch.zeros(3, 5)), "z"),
        (lambda: AffineCoupling(masks.checkerboard((1, 2, 2)))(torch.zeros(3, 1, 2, 3)), "x"),
        (lambda: AffineCoupling(masks.halves(4))([[0.0] * 4]), "x"),
    ],
)
def test_wrong_input_is_named(make, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        make()


BOARD, X_BOARD = masks.checkerboard((1, 2, 2)), torch.zeros(3, 1, 2, 2)


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (AffineCoupling(masks.halves(4), MLP(2, 2)), torch.zeros(3, 4)),  # log_s alone
        (AffineCoupling(masks.halves(4), MLP(2, 3)), torch.zeros(3, 4)),
        (AffineCoupling(masks.halves(4), MLP(2, 8)), torch.zeros(3, 4)),
        (AffineCoupling(masks.halves(4), MLP(4, 4), apart=False), torch.zeros(3, 4)),
        (AffineCoupling(masks.halves(4), lambda kept, _: torch.zeros(1, 4)), torch.zeros(3, 4)),
        (AffineCoupling(masks.halves(4), lambda kept, _: (kept, kept)), torch.zeros(3, 4)),  # type: ignore
        (AffineCoupling(masks.halves(4), lambda kept, _: torch.zeros(3, 4, 1, 1)), torch.zeros(3, 4, 2, 2)),
        (AffineCoupling(BOARD, ConvNet(1, 1)), X_BOARD),
        (AffineCoupling(masks.halves(4), MLP(2, 1)), torch.zeros(3, 4)),
        (AffineCoupling(BOARD, ConvNet(1, 4)), X_BOARD),
    ],
)
def test_a_net_that_answers_another_number_of_numbers_is_refused(layer: Any, x: Tensor) -> None:
    """Broadcasting would let it pass: z is changed as if it were right, and log_det counts each log_s once."""
    for direction in (layer, layer.inverse, fused(Flow([layer, layer], x.shape[1:]))):
        with pytest.raises(ValueError, match=r"^net: expected shape \(3, "):
            direction(x)


def test_a_mask_of_channels_does_for_pictures_with_a_network_for_pictures() -> None:
    kept = [True, False, True]
    net = randomised(ConvNet(*AffineCoupling.sizes(kept)[:1], 2, width=4).double(), 0.3)
    for height in (2, 5):
        layer, x = AffineCoupling(kept, net), torch.randn(2, 3, height, 4, dtype=torch.float64)
        assert torch.allclose(layer.inverse(layer(x)[0])[0], x, atol=1e-9)
    for name in ("forward", "inverse"):
        with pytest.raises(ValueError, match=r"^x: expected a float tensor of shape \(2, 2\).* got .*\(2, 2, 4, 4\)"):
            getattr(AffineCoupling(kept), name)(torch.zeros(2, 3, 4, 4))


def test_sizes_take_what_a_coupling_takes() -> None:
    assert (
        AffineCoupling.sizes([True, False, True]) == AffineCoupling.sizes(torch.tensor([True, False, True])) == (2, 1)
    )
    with pytest.raises(ValueError, match=r"^mask: expected"):
        AffineCoupling.sizes([1.0, 0.0])  # pyright: ignore[reportArgumentType]


def test_no_argument_is_changed_in_place() -> None:
    for mask in MASKS.values():
        x = inputs(mask)
        before = x.clone()
        affine(mask).inverse(affine(mask)(x)[0])
        assert torch.equal(x, before)


def test_it_can_be_shown_wherever_it_is() -> None:
    layer = AffineCoupling([True, False, False], bound=1.5)
    assert "mask=100, apart=True, bound=1.5" in repr(layer)
    assert "mask=..." in repr(layer.to("meta"))
    assert repr(AffineCoupling(masks.checkerboard((1, 16, 16)))).count("mask=") == 1
