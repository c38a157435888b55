"""Actnorm and 1 × 1 convolutions: against autograd, and against what they promise."""

import pytest
import torch
from flow_cases import check_layer, log_abs_det, randomised, seeded  # noqa: F401
from torch import Tensor

from genlib.flows import ActNorm, InvertibleConv

SHAPES = [(1,), (5,), (1, 2, 3), (3, 2, 3)]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [ActNorm, InvertibleConv])
def test_against_autograd(shape: tuple[int, ...], kind) -> None:
    layer = randomised(kind(shape[0]).double(), std=0.3).eval()
    z = check_layer(layer, normal(2, *shape))
    assert not torch.allclose(z, normal(2, *shape))


@pytest.mark.parametrize("kind", [ActNorm, InvertibleConv])
def test_channels_are_expected_to_fit(kind) -> None:
    layer = kind(3).eval()
    for wrong in (torch.zeros(2, 4), torch.zeros(2, 4, 3, 3), torch.zeros(3), torch.zeros(2, 3, dtype=torch.int64)):
        with pytest.raises(ValueError, match=r"^x: expected"):
            layer(wrong)
    with pytest.raises(ValueError, match=r"^n: expected"):
        kind(0)


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5)])
def test_actnorm_normalises_its_first_batch_and_only_that(shape: tuple[int, ...]) -> None:
    layer = ActNorm(3).double()
    first = 5 + 3 * normal(200, *shape)
    layer.eval()
    assert torch.equal(layer(first)[0], first)  # not yet: nothing is learned in evaluation mode
    layer.train()
    z, log_det = layer(first)
    channels = z.transpose(0, 1).flatten(1)
    assert torch.allclose(channels.mean(1), torch.zeros(3, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(channels.var(1, correction=0), torch.ones(3, dtype=torch.float64), atol=1e-12)
    J = torch.autograd.functional.jacobian(lambda x: layer(x[None])[0].flatten(), first[0])
    assert isinstance(J, Tensor)
    assert float(log_det[0].detach()) == pytest.approx(log_abs_det(J.flatten(1)), abs=1e-9)
    before = layer.shift.clone()
    layer(100 + first)
    assert torch.equal(layer.shift, before)


def test_actnorm_stays_finite_where_nothing_varies() -> None:
    layer = ActNorm(2).train()
    z, log_det = layer(torch.tensor([[3.0, 1.0], [3.0, 2.0]]))
    assert torch.equal(z[:, 0], torch.zeros(2))
    assert log_det.isfinite().all()


@pytest.mark.parametrize("shape", [(0, 2), (1, 2), (0, 2, 3, 3), (1, 2, 1, 1)])
def test_actnorm_does_not_begin_with_too_little(shape: tuple[int, ...]) -> None:
    """One value has no variance, none has no mean: the layer stays as it is, and waits for a batch that has."""
    layer = ActNorm(2).train()
    with pytest.raises(ValueError, match=r"^x: expected at least two values of each channel"):
        layer(torch.ones(shape))
    assert not layer.initialised
    first = 5 + 3 * normal(50, *shape[1:]).float()
    z, _ = layer(first)
    assert float(z.detach().mean().abs()) < 1e-5
    assert layer(torch.ones(shape))[0].isfinite().all()  # it has begun: any batch will do
    assert ActNorm(2).eval()(torch.ones(shape))[0].shape == shape


def test_actnorm_begins_with_one_picture() -> None:
    z, _ = ActNorm(2).train()(5 + normal(1, 2, 8, 8).float())
    assert torch.allclose(z.detach().std((0, 2, 3), correction=0), torch.ones(2), atol=1e-5)


def test_actnorm_remembers_in_its_state_that_it_has_begun() -> None:
    layer, other = ActNorm(2).train(), ActNorm(2).train()
    layer(torch.randn(50, 2))
    other.load_state_dict(layer.state_dict())
    x = 10 + torch.randn(50, 2)
    assert torch.equal(other(x)[0], layer(x)[0])
    layer.load_state_dict(ActNorm(2).state_dict())  # and that it has not
    assert float(layer(x)[0].detach().mean().abs()) < 1e-5


def test_invertible_conv_starts_as_a_rotation() -> None:
    W = InvertibleConv(6, seed=4).double().weight().detach()
    assert torch.allclose(W @ W.T, torch.eye(6, dtype=torch.float64), atol=1e-6)
    assert not torch.allclose(W, InvertibleConv(6, seed=5).double().weight().detach())
    assert torch.allclose(InvertibleConv(6, seed=4)(torch.randn(3, 6))[1], torch.zeros(3), atol=1e-5)


def test_invertible_conv_mixes_each_pixel_alone() -> None:
    layer = randomised(InvertibleConv(3).double(), std=0.3)
    x = normal(2, 3, 4, 5)
    by_pixel = layer(x.permute(0, 2, 3, 1).reshape(-1, 3))[0].reshape(2, 4, 5, 3).permute(0, 3, 1, 2)
    assert torch.allclose(layer(x)[0], by_pixel, atol=1e-12)


def test_invertible_conv_after_steps_that_try_to_make_it_singular() -> None:
    layer = InvertibleConv(3).double()
    with torch.no_grad():
        layer.log_d.sub_(4)  # the determinant is e^−12, and still exact
    x = normal(4, 3)
    z, log_det = layer(x)
    assert torch.allclose(log_det, torch.full_like(log_det, -12), atol=1e-6)
    assert torch.allclose(layer.inverse(z)[0], x, rtol=1e-6, atol=1e-6)
