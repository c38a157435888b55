"""From levels to real numbers and back: nothing lost, nothing forgotten in log_det."""

import pytest
import torch
from flow_cases import check_layer

from genlib.flows import Logit, dequantize, quantize


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("layer", [Logit(), Logit(1e-3)])
@pytest.mark.parametrize("shape", [(5,), (2, 3, 1)])
def test_against_autograd(layer, shape: tuple[int, ...]) -> None:
    check_layer(layer, torch.rand(3, *shape, generator=generator(), dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logit_is_finite_at_black_and_at_white(dtype: torch.dtype) -> None:
    """Which the paper's printed form is not: α + (1 − α) x reaches 1."""
    x = torch.tensor([[0.0, 1.0]], dtype=dtype)
    z, log_det = Logit()(x)
    assert z.isfinite().all()
    assert log_det.isfinite().all()
    assert torch.allclose(z[0, 1].exp() / (1 + z[0, 1].exp()), torch.tensor(0.95, dtype=dtype))
    assert torch.allclose(z[0, 0], -z[0, 1])
    assert torch.allclose(Logit().inverse(z)[0], x, atol=1e-6)


def test_logit_s_inverse_is_finite_far_out() -> None:
    z = torch.tensor([[-500.0, 500.0]])
    x, log_det = Logit().inverse(z)
    assert x.isfinite().all()
    assert log_det.isfinite().all()


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_dequantized_pictures_can_be_quantized_again(levels: int, dtype: torch.dtype) -> None:
    x_int = torch.randint(levels, (50, 3, 4, 4), generator=generator()).to(dtype)
    before = x_int.clone()
    x = dequantize(x_int, levels, generator(), dtype=torch.float64)
    assert torch.equal(x_int, before)
    assert ((x >= 0) & (x < 1)).all()
    assert torch.equal(quantize(x, levels), x_int.long())
    noise = x * levels - x_int
    assert float(noise.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(noise.var()) == pytest.approx(1 / 12, abs=0.01)
    assert len(noise.unique()) == noise.numel()  # each pixel has its own


def test_dequantize_follows_its_generator() -> None:
    x_int = torch.randint(17, (4, 5), generator=generator())
    assert torch.equal(dequantize(x_int, 17, generator(1)), dequantize(x_int, 17, generator(1)))
    assert not torch.equal(dequantize(x_int, 17, generator(1)), dequantize(x_int, 17, generator(2)))


def test_quantize_keeps_inside_the_levels() -> None:
    assert quantize(torch.tensor([-0.05, 0.0, 0.5, 0.999, 1.0, 1.05]), 4).tolist() == [0, 0, 2, 3, 3, 3]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: Logit(0.0), "alpha"),
        (lambda: Logit(0.5), "alpha"),
        (lambda: Logit()(torch.zeros(3, 2, dtype=torch.int64)), "x"),
        (lambda: dequantize(torch.zeros(3, 2), 17), "x_int"),
        (lambda: dequantize(torch.tensor([[17]]), 17), "x_int"),
        (lambda: dequantize(torch.tensor([[-1]]), 17), "x_int"),
        (lambda: dequantize(torch.tensor([[0]]), 1), "levels"),
        (lambda: quantize(torch.tensor([[0]]), 17), "x"),
        (lambda: quantize(torch.tensor([[0.5]]), 0), "levels"),
        (lambda: quantize(torch.tensor([[float("nan")]]), 17), "x"),
        (lambda: dequantize(torch.tensor([[0]]), "many"), "levels"),  # type: ignore
        (lambda: dequantize(torch.tensor([[0]]), 17, dtype=torch.int64), "dtype"),
    ],
)
def test_wrong_input_is_named(call, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        call()
