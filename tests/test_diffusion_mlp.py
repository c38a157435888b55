"""The denoiser for points, and the embedding that both networks share."""

import math

import pytest
import torch

from genlib.diffusion import MLP
from genlib.diffusion.mlp import time_features


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def awake(module: torch.nn.Module) -> torch.nn.Module:
    g = generator()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=g, dtype=p.dtype) / math.sqrt(p[0].numel()))
    return module


def test_time_features_by_hand() -> None:
    out = time_features(torch.tensor([1, 7, 1000]), 6, torch.float64)
    for row, t in zip(out.tolist(), (1, 7, 1000), strict=True):
        angles = [t, t / 100, t / 10000]
        assert row == pytest.approx([math.sin(a) for a in angles] + [math.cos(a) for a in angles], abs=1e-12)


def test_time_features_are_not_computed_in_bfloat16() -> None:
    """In bfloat16, 999 and 1000 are the same number."""
    out = time_features(torch.tensor([999, 1000]), 32, torch.bfloat16)
    exact = time_features(torch.tensor([999, 1000]), 32, torch.float64)
    assert out.dtype == torch.bfloat16
    assert (out.double() - exact).abs().max() < 0.01


@pytest.mark.parametrize("width", [1, 2, 5, 16])
@pytest.mark.parametrize("learned_variance", [False, True])
def test_shapes_zero_start_and_every_weight_matters(width: int, learned_variance: bool) -> None:
    mlp = MLP(3, width, 2, n_classes=4, learned_variance=learned_variance)
    x, t, label = torch.randn(5, 3, generator=generator()), torch.tensor([1, 2, 50, 999, 1000]), torch.arange(-1, 4)
    assert (mlp(x, t, label) == 0).all()
    out = awake(mlp)(x, t, label)
    assert out.shape == (5, 6 if learned_variance else 3)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in mlp.parameters())


def test_gradient_is_that_of_finite_differences() -> None:
    mlp = awake(MLP(2, 8, 2, n_classes=2)).double()
    x = torch.randn(3, 2, generator=generator(1), dtype=torch.float64, requires_grad=True)
    t, label = torch.tensor([3, 40, 700]), torch.tensor([1, -1, 0])
    assert torch.autograd.gradcheck(lambda x: mlp(x, t, label), (x,))


def test_step_class_and_none_are_heard() -> None:
    mlp = awake(MLP(2, 8, 1, n_classes=2)).double()
    x = torch.zeros(1, 2, dtype=torch.float64)
    outs = torch.cat([mlp(x, torch.tensor([t]), torch.tensor([k])) for t in (1, 2, 1000) for k in (-1, 0, 1)])
    assert len(outs.round(decimals=8).unique(dim=0)) == 9
    assert torch.equal(mlp(x, torch.tensor([2])), mlp(x, torch.tensor([2]), torch.tensor([-1])))


def test_empty_batch() -> None:
    assert MLP(2, 8)(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64)).shape == (0, 2)


@pytest.mark.parametrize("arguments", [{"dim": 0}, {"width": 0}, {"depth": 0}, {"n_classes": 0}, {"dim": 2.0}])
def test_wrong_arguments(arguments: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        MLP(**arguments)


def test_wrong_inputs() -> None:
    mlp, one = MLP(2, 8, n_classes=2), torch.ones(4, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"x_t: .*\(4, 2\).*got .*\(4, 3\)"):
        mlp(torch.zeros(4, 3), one)
    with pytest.raises(ValueError, match="x_t"):
        mlp(torch.zeros(4, 1, 8, 8), one)
    with pytest.raises(ValueError, match="t: expected"):
        mlp(torch.zeros(4, 2), one[:3])
    with pytest.raises(ValueError, match=r"label: .*0\.\.1.*2\.\.2"):
        mlp(torch.zeros(4, 2), one, 2 * one)
    with pytest.raises(ValueError, match="label: expected None"):
        MLP(2, 8)(torch.zeros(4, 2), one, one)
