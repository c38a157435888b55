"""Layers that move pixels about."""

import pytest
import torch
from flow_cases import check_layer, randomised, seeded  # noqa: F401
from torch import Tensor

from genlib.flows import AffineCoupling, Compose, FactorOut, Inverse, Squeeze, masks


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(1, 2, 2), (3, 4, 6), (2, 2, 8)])
def test_squeeze_is_a_permutation(shape: tuple[int, int, int]) -> None:
    C, H, W = shape
    x = normal(2, *shape)
    z = check_layer(Squeeze(), x)
    assert z.shape == (2, 4 * C, H // 2, W // 2)
    for i, (row, column) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        assert torch.equal(z[:, i * C : (i + 1) * C], x[:, :, row::2, column::2])
    assert torch.equal(Squeeze()(x)[1], torch.zeros(2, dtype=torch.float64))


def test_squeeze_takes_any_memory_layout() -> None:
    x = normal(2, 3, 4, 6)
    assert torch.equal(Squeeze()(x.to(memory_format=torch.channels_last))[0], Squeeze()(x)[0])


def test_inverse_turns_a_layer_round() -> None:
    layer = randomised(AffineCoupling(masks.halves(3)).double(), 0.3)
    z, log_det = layer(normal(2, 3))
    for a, b in zip(Inverse(layer)(z), layer.inverse(z), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(Inverse(layer).inverse(normal(2, 3)), (z, log_det), strict=True):
        assert torch.equal(a, b)
    check_layer(Inverse(layer), normal(2, 3))


@pytest.mark.parametrize("mask", [[True, False, False, True], [False, True, True, True]])
def test_factor_out_leaves_the_rest_alone(mask: list[bool]) -> None:
    on = torch.tensor(mask)
    inner = randomised(AffineCoupling(masks.checkerboard((sum(mask), 2, 3))).double(), 0.3)
    layer = FactorOut(inner, on)
    x = normal(2, 4, 2, 3)
    z = check_layer(layer, x)
    assert torch.equal(z[:, ~on], x[:, ~on])
    assert torch.equal(z[:, on], inner(x[:, on])[0])


def test_two_scales_by_hand() -> None:  # lecture 03 (19)
    inner = randomised(AffineCoupling(masks.checkerboard((2, 2, 3))).double(), 0.3)
    flow = Compose([Squeeze(), FactorOut(inner, torch.tensor([True, False, False, True])), Inverse(Squeeze())])
    x = normal(2, 1, 4, 6)
    z = check_layer(flow, x)
    odd = torch.zeros(4, 6, dtype=torch.bool)
    odd[::2, 1::2] = odd[1::2, ::2] = True
    assert torch.equal(z[:, :, odd], x[:, :, odd])  # a checkerboard is finished
    assert (z != x).any()


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: Squeeze()(torch.zeros(1, 1, 3, 4)), "x"),
        (lambda: Squeeze()(torch.zeros(1, 1, 4, 3)), "x"),
        (lambda: Squeeze()(torch.zeros(4, 4)), "x"),
        (lambda: Squeeze().inverse(torch.zeros(1, 3, 2, 2)), "z"),
        (lambda: Inverse(Squeeze())(torch.zeros(1, 3, 2, 2)), "z"),
        (lambda: FactorOut(Squeeze(), torch.tensor([True])), "mask"),
        (lambda: FactorOut(Squeeze(), masks.checkerboard((1, 2, 2))), "mask"),
        (lambda: FactorOut(torch.nn.Identity(), masks.halves(2)), "inner"),  # type: ignore
        (lambda: FactorOut(Squeeze(), masks.halves(2))(torch.zeros(1, 3, 2, 2)), "x"),
        (lambda: FactorOut(Squeeze(), masks.halves(2))(torch.zeros(1, 2, 2, 2)), "inner"),
        (lambda: FactorOut(Squeeze(), masks.halves(2))(torch.zeros(1, 2, 3, 2)), "x"),
        (lambda: FactorOut(AffineCoupling(masks.halves(2)), masks.halves(6))(torch.zeros(1, 6)), "x"),
        (lambda: FactorOut(AffineCoupling(masks.halves(2)), masks.halves(6)).inverse(torch.zeros(1, 6)), "z"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(call, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        call()
