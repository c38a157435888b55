"""Batch norm as a layer of a flow: against autograd, and against what it promises."""

import pytest
import torch
from flow_cases import check_layer, randomised, seeded  # noqa: F401
from torch import Tensor

from genlib.flows import BatchNorm


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(1,), (5,), (1, 2, 3), (3, 2, 3)])
def test_against_autograd(shape: tuple[int, ...]) -> None:
    layer = randomised(BatchNorm(shape[0]).double(), std=0.3).eval()
    z = check_layer(layer, normal(2, *shape))
    assert not torch.allclose(z, normal(2, *shape))


def test_channels_are_expected_to_fit() -> None:
    layer = BatchNorm(3).eval()
    for wrong in (torch.zeros(2, 4), torch.zeros(2, 4, 3, 3), torch.zeros(3), torch.zeros(2, 3, dtype=torch.int64)):
        with pytest.raises(ValueError, match=r"^x: expected"):
            layer(wrong)


@pytest.mark.parametrize(
    ("arguments", "name"), [((0,), "n"), ((2, 0.0), "momentum"), ((2, 1.1), "momentum"), ((2, 0.1, 0.0), "eps")]
)
def test_wrong_arguments_are_named(arguments: tuple, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        BatchNorm(*arguments)


@pytest.mark.parametrize("shape", [(0, 2), (1, 2), (0, 2, 3, 3), (1, 2, 1, 1)])
def test_too_little_for_statistics_is_refused_before_the_averages_move(shape: tuple[int, ...]) -> None:
    layer = BatchNorm(2).train()
    with pytest.raises(ValueError, match=r"^x: expected at least two values of each channel"):
        layer(torch.ones(shape))
    assert torch.equal(layer.mean, torch.zeros(2))
    assert layer.eval()(torch.ones(shape))[0].shape == shape


def test_batch_norm_in_training_is_the_batch_s_own() -> None:
    layer = BatchNorm(2, eps=1e-12).double().train()
    x = 3 + 2 * normal(100, 2, 3, 4)
    z, log_det = layer(x)
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(2, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(z.var((0, 2, 3), correction=0), torch.ones(2, dtype=torch.float64), atol=1e-9)
    expected = -12 * x.std((0, 2, 3), correction=0).log().sum()
    assert torch.allclose(log_det, expected.expand(100), atol=1e-9)


def test_batch_norm_follows_running_averages() -> None:
    layer = BatchNorm(2, momentum=0.25).double().train()
    mean, var = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    for seed in range(3):
        x = 3 + 2 * normal(50, 2, seed=seed)
        layer(x)
        mean, var = 0.75 * mean + 0.25 * x.mean(0), 0.75 * var + 0.25 * x.var(0, correction=0)
    assert torch.allclose(layer.mean, mean)
    assert torch.allclose(layer.var, var)
    x = normal(4, 2)
    assert torch.allclose(layer.eval()(x)[0], (x - mean) / (var + layer.eps).sqrt())


def test_batch_norm_has_no_inverse_in_training() -> None:
    with pytest.raises(ValueError, match="eval"):
        BatchNorm(2).train().inverse(torch.randn(3, 2))
