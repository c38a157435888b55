"""Whatever comes in, the public functions give a right result or a `ValueError` that says what is wrong."""

import math

import pytest
import torch
from flow_cases import jacobian, log_abs_det, randomised
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genlib import flows
from genlib.flows import AffineCoupling, Flow, MaximumLikelihood, RealNVP, fused, masks

few = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool])
SHAPES = st.lists(st.integers(0, 5), max_size=4).map(tuple)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 20),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=3),
    st.just([]),
    st.just(object()),
    st.just(torch.zeros(2)),
)
SPECIAL = st.sampled_from([0.0, 1.0, -1.0, 1e4, -1e4, math.nan, math.inf, -math.inf])


def refused(error: ValueError) -> None:
    """The message names an argument: a word, a colon, what was expected."""
    name, _, rest = str(error).partition(":")
    assert name.replace("_", "").replace(" ", "").isalnum(), error
    assert rest, error


@st.composite
def tensors(draw, shape=SHAPES) -> torch.Tensor:
    tame = draw(st.booleans())
    size, dtype = draw(shape), torch.float32 if tame else draw(DTYPES)
    x = torch.randn(size, generator=torch.Generator().manual_seed(draw(st.integers(0, 99))))
    if x.numel() and not tame and draw(st.booleans()):
        x.view(-1)[0] = draw(SPECIAL)
    return x.nan_to_num(0).clamp(-9, 9).to(dtype) if dtype in (torch.int64, torch.bool) else x.to(dtype)


@st.composite
def any_mask(draw) -> torch.Tensor:
    return torch.tensor(draw(st.lists(st.booleans(), min_size=1, max_size=7)))


POINTS = tensors(st.tuples(st.integers(0, 4), st.integers(2, 4)) | SHAPES)
PICTURES = tensors(st.tuples(st.integers(0, 3), st.just(1), st.sampled_from([2, 4]), st.just(4)) | SHAPES)


@few
@given(any_mask(), st.integers(0, 99), st.booleans())
def test_a_coupling_with_any_mask_is_a_bijection_or_refused(mask: torch.Tensor, seed: int, apart: bool) -> None:
    if mask.all() or not mask.any():
        with pytest.raises(ValueError, match=r"^mask: expected"):
            AffineCoupling(mask)
        return
    torch.manual_seed(seed)
    layer = randomised(AffineCoupling(mask, apart=apart).double(), 0.3, seed)
    x = torch.randn(2, len(mask), dtype=torch.float64)
    z, log_det = layer(x)
    assert torch.allclose(layer.inverse(z)[0], x, rtol=1e-9, atol=1e-9)
    expected = log_abs_det(jacobian(lambda x: layer(x)[0], x[0]))
    assert float(log_det[0].detach()) == pytest.approx(expected, abs=1e-9)


@few
@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=5), st.integers(0, 99))
def test_a_fused_flow_of_any_masks_is_its_couplings_one_by_one(rows: list[list[bool]], seed: int) -> None:
    rows = [row for row in rows if any(row) and not all(row)] or [[True, False, True, False, False]]
    torch.manual_seed(seed)
    layers = [randomised(AffineCoupling(row).double(), 0.2, seed) for row in rows]
    plain = Flow(layers, (5,))
    fast, x = fused(plain), torch.randn(3, 5, dtype=torch.float64)
    for a, b in zip((*fast(x), *fast.inverse(x)), (*plain(x), *plain.inverse(x)), strict=True):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-12)


VECTORS = RealNVP.for_vectors(3, 2, 8)
LEVELS = RealNVP.for_vectors(3, 2, 8, levels=4, n_classes=2)
IMAGES = RealNVP.for_images((1, 4, 4), 4, n_scales=2, width=4, n_blocks=1)
for made in (VECTORS, LEVELS, IMAGES):
    randomised(made, 0.1).requires_grad_(False)


@settings(few, max_examples=200)  # few pictures of the right size come, and fewer outside of [0, 1]
@given(POINTS | PICTURES, st.sampled_from(["forward", "inverse", "log_prob", "layers"]), st.booleans(), st.booleans())
def test_flows_map_or_refuse(x: torch.Tensor, method: str, images: bool, inside: bool) -> None:
    flow = IMAGES if images else VECTORS
    if images and x.is_floating_point() and inside:
        x = x.abs() / (1 + x.abs())
    try:
        if method == "log_prob":
            assert flow.log_prob(x).shape == (len(x),)
            assert flow.log_prob(x).isfinite().all()
            return
        if method == "layers":
            layer = flow.layers[-1]
            z, log_det = layer(x)
        else:
            z, log_det = getattr(flow, method)(x)
    except ValueError as error:
        refused(error)
        return
    assert z.shape == x.shape
    assert log_det.shape == (len(x),)
    if x.isfinite().all() and method != "inverse":
        assert z.isfinite().all()
        assert log_det.isfinite().all()


@few
@given(POINTS, tensors(st.tuples(st.integers(0, 4)) | SHAPES), st.integers(-1, 3) | ODD)
def test_bits_per_dim_is_a_number_for_each_or_refused(x: torch.Tensor, label: torch.Tensor, n) -> None:
    x = x.abs() if x.dtype != torch.bool else x
    try:
        bits = LEVELS.bits_per_dim(x, label, n_importance=n)
    except ValueError as error:
        refused(error)
        return
    assert bits.shape == (len(x),)
    assert bits.isfinite().all()


@few
@given(ODD | st.integers(0, 5), ODD | st.floats(0, 2), st.booleans())
def test_samples_have_the_shape_asked_for_or_are_refused(n, temperature, images: bool) -> None:
    flow = IMAGES if images else VECTORS
    try:
        x = flow.sample(n, temperature=temperature, generator=torch.Generator().manual_seed(0))
    except ValueError as error:
        refused(error)
        return
    assert x.shape == (int(n), *flow.shape)
    assert x.isfinite().all()


@few
@given(POINTS, st.booleans())
def test_losses_are_finite_or_refused(x: torch.Tensor, labelled: bool) -> None:
    task = MaximumLikelihood(LEVELS if labelled else VECTORS)
    try:
        x = x.abs() if labelled and x.dtype == torch.int64 else x
        batch = (x, torch.zeros(len(x) if x.dim() else 0, dtype=torch.int64)) if labelled else x
        ((_, loss, _),) = task.losses(batch)
    except ValueError as error:
        refused(error)
        return
    assert loss.shape == ()
    assert loss.isfinite() or not x.isfinite().all()


@few
@given(
    st.integers(-1, 6) | ODD,
    st.integers(0, 3) | ODD,
    st.integers(0, 5) | ODD,
    st.none() | st.integers(0, 4) | ODD,
    st.sampled_from(["halves", "random", "channel", 3]),
    st.floats(-0.5, 1.5) | ODD,
)
def test_for_vectors_builds_or_refuses(dim, n_couplings, width, levels, mask, dropout) -> None:
    try:
        flow = RealNVP.for_vectors(dim, n_couplings, width, levels=levels, mask=mask, dropout=dropout)
    except ValueError as error:
        refused(error)
        return
    x = torch.rand(2, int(dim))
    assert torch.allclose(flow.inverse(flow(x)[0])[0], x, atol=1e-5)


@few
@given(
    st.lists(st.integers(0, 8), max_size=4).map(tuple) | ODD,
    st.none() | st.integers(0, 4) | ODD,
    st.integers(1, 5) | ODD,
)
def test_for_images_builds_or_refuses(shape, n_scales, levels) -> None:
    try:
        flow = RealNVP.for_images(shape, levels, n_scales=n_scales, width=2, n_blocks=0)
    except ValueError as error:
        refused(error)
        return
    x = torch.rand(2, *shape)
    assert torch.allclose(flow.inverse(flow(x)[0])[0], x, atol=1e-5)


@few
@given(st.integers(2, 9), st.integers(0, 2**40))
def test_random_masks_keep_half(dim: int, seed: int) -> None:
    assert int(masks.random(dim, seed=seed).sum()) == dim // 2


@few
@given(tensors(), st.integers(2, 300))
def test_dequantize_stays_in_its_cell_or_refuses(x_int: torch.Tensor, levels: int) -> None:
    try:
        x = flows.dequantize(x_int, levels, dtype=torch.float64)
    except ValueError as error:
        refused(error)
        return
    assert torch.equal(flows.quantize(x, levels), x_int.long())
