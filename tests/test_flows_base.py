"""The base density."""

import pytest
import torch

from genlib.flows import Normal


@pytest.mark.parametrize("shape", [(1,), (4,), (2, 3, 3)])
def test_normal_is_torch_s(shape: tuple[int, ...]) -> None:
    z = torch.randn(6, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.distributions.Normal(torch.zeros(shape, dtype=z.dtype), 1.0).log_prob(z).flatten(1).sum(1)
    assert torch.allclose(Normal(shape).log_prob(z), expected, atol=1e-12)


def test_normal_samples() -> None:
    base, g = Normal((3, 2, 2)), torch.Generator().manual_seed(0)
    z = base.sample(20_000, generator=g)
    assert z.shape == (20_000, 3, 2, 2)
    flat = z.flatten(1)
    assert float(flat.mean(0).abs().max()) < 5 / 20_000**0.5
    assert float((flat.T.cov() - torch.eye(12)).abs().max()) < 5 * (2 / 20_000) ** 0.5
    assert torch.equal(
        base.sample(2, torch.Generator().manual_seed(5)), base.sample(2, torch.Generator().manual_seed(5))
    )


def test_z_of_another_shape_is_refused() -> None:
    for wrong in (torch.zeros(3, 5), torch.zeros(3, 2, 1), torch.zeros(2), torch.zeros(3, 1, 1, 2)):
        with pytest.raises(ValueError, match=r"^z: expected a float tensor of shape .*, 2\), got"):
            Normal((2,)).log_prob(wrong)


def test_shape_is_checked() -> None:
    for shape in ((2, 0), 3, "3"):
        with pytest.raises(ValueError, match=r"^shape: expected"):
            Normal(shape)  # pyright: ignore[reportArgumentType]
