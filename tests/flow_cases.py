"""What the tests of flows share: random weights, and Jacobians from autograd."""

from typing import Any

import pytest
import torch
from torch import Tensor

from genlib import flows


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Networks start from the global generator: the same ones in whatever order the tests run. To be imported."""
    torch.manual_seed(0)


def randomised(module: Any, std: float = 0.05, seed: int = 0) -> Any:
    """The module with N(0, std²) added to each of its weights, and batch statistics that are no identity."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p += std * torch.randn(p.shape, dtype=torch.float64, generator=generator).to(p)
        for layer in module.modules():
            if isinstance(layer, flows.BatchNorm):
                layer.mean += 0.3 * torch.randn(layer.n, dtype=torch.float64, generator=generator).to(layer.mean)
                layer.var *= 0.5 + torch.rand(layer.n, dtype=torch.float64, generator=generator).to(layer.var)
    return module


def jacobian(f, x: Tensor) -> Tensor:
    """∂f/∂x of one example (without the batch's dimension) by autograd: (D, D)."""
    rows = torch.autograd.functional.jacobian(lambda one: f(one[None])[0].flatten(), x)
    assert isinstance(rows, Tensor)
    return rows.reshape(len(rows), -1)


def log_abs_det(J: Tensor) -> float:
    sign, log_det = torch.linalg.slogdet(J)
    assert sign != 0
    return float(log_det)


def check_layer(layer, x: Tensor, condition: Tensor | None = None, tol: float = 1e-9) -> Tensor:
    """log_det is autograd's, in both directions, for each example; the inverse gives x back. Returns z."""
    z, log_det = layer(x, condition)
    assert z.shape == x.shape or z.numel() == x.numel()
    assert log_det.shape == (len(x),)
    assert log_det.dtype == x.dtype
    back, log_det_back = layer.inverse(z, condition)
    assert back.shape == x.shape
    assert float((back - x).detach().norm()) <= tol * float(x.norm())
    for i in range(len(x)):
        one = None if condition is None else condition[i : i + 1]
        expected = log_abs_det(jacobian(lambda x, one=one: layer(x, one)[0], x[i]))
        assert abs(float(log_det[i].detach()) - expected) <= 1e-9 * max(1.0, abs(expected))
        expected = log_abs_det(jacobian(lambda z, one=one: layer.inverse(z, one)[0], z[i].detach()))
        assert abs(float(log_det_back[i].detach()) - expected) <= 1e-9 * max(1.0, abs(expected))
    return z
