"""What the measures are given: any plain float tensor, however it lies in memory; nothing else passes in silence."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from genlib import data, metrics

RING = data.GaussianMixture.ring(4)
DIGITS, LABEL = data.digits("test")
X, Y = RING.sample(40, torch.Generator().manual_seed(0)), RING.sample(30, torch.Generator().manual_seed(1))
MAPS, PHOTOS = data.textures(4)
MEASURES: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
    "x": (lambda x, y: metrics.energy_distance(x, y), (X, Y)),
    "mean1": (metrics.frechet_gaussian, (X.mean(0), X.T.cov(), Y.mean(0), Y.T.cov())),
    "samples": (metrics.diversity, (X.view(5, 8, 2),)),
    "images": (metrics.detail, (DIGITS[:20], DIGITS[20:50])),
    "truth": (lambda truth, images: metrics.spectrum_error(images, truth), (DIGITS[:20], DIGITS[20:50])),
    "reference": (lambda reference, x: metrics.frechet_distance(x, reference), (DIGITS[:99], DIGITS[99:198])),
    "train": (lambda train, x: metrics.copying(x, train), (DIGITS[:99], DIGITS[99:198])),
    "y": (lambda y, x: metrics.texture_accuracy(x, y), (PHOTOS, MAPS)),
}
ODD: dict[str, Callable[[Tensor], Any]] = {
    "complex": lambda x: x + 1j,
    "sparse": lambda x: x.to_sparse(),
    "meta": lambda x: x.to("meta"),
    "float8": lambda x: x.to(torch.float8_e5m2),
    "quantized": lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8),
    "nested": lambda x: torch.nested.nested_tensor([x, x]),
    "uint64": lambda x: x.abs().to(torch.uint64),
    "bool": lambda x: x > 0,
    "a list": lambda x: x.tolist(),
    "an array": lambda x: x.numpy(),
    "infinite": lambda x: x / 0,
    "of another shape": lambda x: x.sum(),
}


def mode_shares(x: Tensor) -> tuple[float, ...]:
    return metrics.mode_coverage(x, RING).share


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_plain_float_tensor_is_refused_by_name(name: str, odd: str) -> None:
    measure, (first, *others) = MEASURES[name]
    wrong = ODD[odd](first)
    with pytest.raises(ValueError, match=r"^(x|y): expected" if name == "x" else rf"^{name}: expected"):
        measure(wrong, *others)


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_does_not_ask_how_numbers_lie_in_memory(name: str) -> None:
    measure, tensors = MEASURES[name]
    scattered = [x.mT.contiguous().mT if x.dim() > 1 else x.repeat_interleave(2)[::2] for x in tensors]
    assert not all(x.is_contiguous() for x in scattered)
    assert measure(*scattered) == pytest.approx(measure(*tensors), rel=1e-6)
    followed = [x.clone().requires_grad_() for x in tensors]
    assert measure(*followed) == measure(*tensors)
    assert measure(*(x.double() for x in tensors)) == pytest.approx(measure(*tensors), rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_measured_in_full(dtype: torch.dtype) -> None:
    x, y = X.to(dtype), Y.to(dtype)
    assert metrics.energy_distance(x, y) == metrics.energy_distance(x.double(), y.double())
    assert mode_shares(x) == mode_shares(x.double())
    assert metrics.diversity(x.view(5, 8, 2)) == metrics.diversity(x.view(5, 8, 2).double())


@pytest.mark.parametrize("unbiased", [2.5, 0, 1, "False", None, torch.tensor(True)])
def test_the_statistic_is_unbiased_or_not(unbiased: Any) -> None:
    """2.5 gave −1.357, where the answer is −0.312."""
    with pytest.raises(ValueError, match=r"^unbiased: expected True or False"):
        metrics.energy_distance(X, Y, unbiased)


def test_numbers_whose_squares_overflow_are_refused() -> None:
    huge = X.double() * 1e200
    for measure, name in ((lambda: metrics.energy_distance(huge, huge), "x"), (lambda: mode_shares(huge), "x")):
        with pytest.raises(ValueError, match=rf"^{name}: "):
            measure()


@pytest.mark.parametrize(
    "sizes", [{"width": 10**6}, {"n_features": 10**12}, {"side": 7}, {"side": 10**5}, {"classes": 0}]
)
def test_a_judge_has_the_size_of_a_small_network(sizes: dict) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(sizes))}: "):
        metrics.Judge(**sizes)


def test_a_judge_refuses_what_is_no_picture() -> None:
    for wrong in (DIGITS[:2, 0], DIGITS[:2, :, :7], DIGITS[:2].double(), LABEL, "digit"):
        with pytest.raises(ValueError, match=r"^x: expected a float tensor"):
            metrics.judge()(wrong)
    for device in (None, 3.5, ["cpu"]):
        with pytest.raises(ValueError, match=r"^device: "):
            metrics.judge("digits", device)  # type: ignore[arg-type]


def test_reading_the_judges_draws_no_random_numbers() -> None:
    from genlib.metrics.classifier import shared

    shared.cache_clear()
    state = torch.get_rng_state()
    metrics.classify(DIGITS[:2])
    metrics.judge("textures")
    assert torch.equal(torch.get_rng_state(), state)
