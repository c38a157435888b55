"""Whatever comes in, the public functions of `gan` give a right result or a `ValueError` that says what is wrong."""

import json
import math
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genlib import gan

few = settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool])
SHAPES = st.lists(st.integers(0, 5), max_size=4).map(tuple)
OBJECTIVES = st.sampled_from(gan.OBJECTIVES)
X = torch.zeros(2, 2, 8, 8)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 6),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=3),
    st.just([]),
    st.just(object()),
    st.just(torch.zeros(2)),
    st.sampled_from([10**12, 10**400, -(10**30), 1j, [1, 2], {"a": 1}, (0.5, "x"), "False", torch.Generator, float]),
    st.sampled_from(
        [X.to("meta"), X.to_sparse(), X.to(torch.float8_e4m3fn), X.to(torch.complex64), X.to(torch.uint64)]
    ),
)


def refused(error: ValueError) -> None:
    """The message names an argument: a word, a colon, what was expected."""
    name, _, rest = str(error).partition(":")
    assert name.replace("_", "").replace(" ", "").replace(",", "").isalnum(), error
    assert rest, error


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@st.composite
def tensors(draw, shape=SHAPES) -> torch.Tensor:
    dtype = torch.float32 if draw(st.booleans()) else draw(DTYPES)
    x = 2 * torch.randn(draw(shape), generator=seeded(draw(st.integers(0, 99))))
    return x.clamp(-9, 9).to(dtype)


PICTURES = tensors(
    st.tuples(st.integers(0, 3), st.integers(1, 3), *[st.sampled_from([1, 4, 7, 8, 16, 20])] * 2) | SHAPES
)
LABELS = tensors(st.tuples(st.integers(0, 4))) | st.lists(st.integers(-1, 10), max_size=4).map(torch.tensor)


# Objectives


@few
@given(
    st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=6),
    st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=6),
    OBJECTIVES,
    st.sampled_from([torch.float32, torch.float64]),
)
def test_any_logits_give_a_finite_loss_and_a_finite_gradient(real, fake, objective, dtype) -> None:
    logits = [torch.tensor(values, dtype=dtype, requires_grad=True) for values in (real, fake)]
    before = [value.detach().clone() for value in logits]
    losses = gan.discriminator_loss(logits[0], logits[1], objective), gan.generator_loss(logits[1], objective)
    for loss in losses:
        assert loss.dtype == dtype
        assert loss.dim() == 0
        assert math.isfinite(float(loss.detach()))
    assert float(losses[0].detach()) >= 0
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(losses[0] + losses[1], logits))
    assert all(torch.equal(a, b) for a, b in zip(before, logits, strict=True))


@few
@given(st.lists(st.floats(-50, 50), min_size=2, max_size=6), OBJECTIVES)
def test_the_best_d_rises_with_the_evidence(log_ratio, objective) -> None:
    ratio = torch.tensor(log_ratio, dtype=torch.float64).sort().values
    D = gan.best_discriminator(ratio, objective)
    assert D.shape == ratio.shape
    assert (D.diff() >= 0).all()


@few
@given(tensors() | ODD, tensors() | ODD, OBJECTIVES | st.text(max_size=5))
def test_objectives_take_tensors_of_logits_or_refuse(real, fake, objective) -> None:
    for call in (
        lambda: gan.discriminator_loss(real, fake, objective),
        lambda: gan.generator_loss(fake, objective),
        lambda: gan.best_discriminator(real, objective),
        lambda: gan.r1(real, fake),
    ):
        try:
            value = call()
            assert value.is_floating_point()
            assert torch.isfinite(value).all()
        except ValueError as error:
            refused(error)


# Networks


@few
@given(st.integers(1, 3), st.integers(1, 2), st.integers(2, 4), st.integers(0, 2), st.floats(0, 0.9), st.integers(0, 9))
def test_a_unet_of_any_depth_gives_pictures_and_repeats_itself(C, out, depth, noise, dropout, seed) -> None:
    dropout = dropout if depth > 2 else 0.0  # at depth 2 there is no block to drop in
    G: Any = gan.UNetGenerator(C, out, width=2, depth=depth, noise=noise, dropout=dropout).double()
    x = torch.randn(2, C, 2**depth, 2 * 2**depth, dtype=torch.float64, generator=seeded(seed))
    before = x.clone()
    one, two = G(x, generator=seeded(seed)), G(x, generator=seeded(seed))
    assert torch.equal(one, two)
    assert torch.equal(x, before)
    assert one.shape == (2, out, *x.shape[2:])
    assert one.dtype == torch.float64
    assert float(one.detach().abs().max()) <= 1


@few
@given(PICTURES | ODD, st.none() | PICTURES)
def test_a_unet_takes_what_it_can_halve_or_refuses(x, z) -> None:
    G = gan.UNetGenerator(2, 1, width=2, depth=2, noise=1)
    try:
        y = G(x, z)
    except ValueError as error:
        return refused(error)
    assert y.shape == (len(x), 1, *x.shape[2:])
    assert torch.isfinite(y).all()


@few
@given(st.none() | PICTURES | ODD, PICTURES | ODD, st.integers(0, 2), st.sampled_from(["batch", "instance", "none"]))
def test_a_patch_discriminator_gives_logits_or_refuses(x, y, n_layers, norm) -> None:
    D = gan.PatchDiscriminator(2, width=2, n_layers=n_layers, norm=norm)
    try:
        logits = D(x, y)
    except ValueError as error:
        return refused(error)
    assert logits.shape[:2] == (len(y), 1)
    assert min(logits.shape[2:]) >= 1
    assert torch.isfinite(logits).all()


@few
@given(st.integers(1, 5), st.integers(0, 30), st.integers(0, 30))
def test_odd_sizes_give_as_many_logits_as_patches_fit(n_layers, more_h, more_w) -> None:
    """With padding p = 1 in each of n + 2 layers of 4 × 4: halve (rounding down) n times, then take 1 twice."""
    least = 3 * 2**n_layers
    h, w = least + more_h, least + more_w
    D = gan.PatchDiscriminator(1, width=1, n_layers=n_layers)
    logits = D(None, torch.zeros(1, 1, h, w))
    assert logits.shape == (1, 1, h // 2**n_layers - 2, w // 2**n_layers - 2)


@few
@given(LABELS | ODD, st.none() | tensors(st.tuples(st.integers(0, 4), st.sampled_from([3, 4]))))
def test_digits_are_made_for_any_labels_or_refused(label, z) -> None:
    try:
        y = gan.MLPGenerator((1, 2, 2), latent=3, width=4)(label, z)
    except ValueError as error:
        return refused(error)
    assert y.shape == (len(label), 1, 2, 2)
    assert torch.isfinite(y).all()


@few
@given(LABELS | ODD, tensors(st.tuples(st.integers(0, 4), st.just(1), st.just(2), st.just(2)) | SHAPES) | ODD)
def test_a_projection_gives_one_logit_each_or_refuses(label, y) -> None:
    try:
        logits = gan.ProjectionDiscriminator((1, 2, 2), width=4)(label, y)
    except ValueError as error:
        return refused(error)
    assert logits.shape == (len(y), 1)
    assert torch.isfinite(logits).all()


@few
@given(ODD, st.integers(0, 4))
def test_networks_are_built_or_refused(odd, which) -> None:
    builders = {
        0: lambda: gan.UNetGenerator(odd, 1, width=2, depth=2),
        1: lambda: gan.UNetGenerator(1, 1, width=2, depth=2, noise=odd, dropout=odd, norm="none"),
        2: lambda: gan.PatchDiscriminator(odd, width=odd, n_layers=1),
        3: lambda: gan.MLPGenerator(odd, width=2),
        4: lambda: gan.ProjectionDiscriminator((1, 2, 2), n_classes=odd, dropout=odd),
    }
    try:
        assert list(builders[which]().parameters())
    except ValueError as error:
        refused(error)


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_no_example_another_dtype_and_a_single_pixel_are_told_apart(norm) -> None:
    """Torch would answer in its own words, without an argument's name."""
    G, D = gan.UNetGenerator(2, 1, width=2, depth=2, norm=norm), gan.PatchDiscriminator(1, 2, 0, norm=norm)
    none, double = torch.zeros(0, 2, 4, 4), torch.zeros(1, 2, 4, 4, dtype=torch.float64)
    for call, message in (
        (lambda: G(none), "x: expected at least one example"),
        (lambda: G(double), "x: expected .*float32 .*got float64"),
        (lambda: D(None, none[:, :1]), "y: expected at least one example"),
        (lambda: D(None, double[:, :1]), "y: expected .*float32 .*got float64"),
        (lambda: gan.MLPGenerator(width=2)(torch.zeros(0).long()), "label: expected at least two examples"),
        (lambda: gan.MLPGenerator(width=2)(torch.zeros(1).long()), "label: expected at least two examples"),
        (
            lambda: gan.MLPGenerator(width=2, latent=1)(torch.zeros(1).long(), double[0, :1, 0, :1]),
            "z: expected .*float32 .*got float64",
        ),
        (
            lambda: gan.ProjectionDiscriminator((2, 4, 4), width=2)(None, double),
            "y: expected .*float32 .*got float64",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    pixel = torch.zeros(1, 1, 1, 1)
    if norm == "none":
        assert D(None, pixel).shape == (1, 1, 1, 1)
    else:
        with pytest.raises(ValueError, match=r"^y: expected .*more than one pixel"):
            D(None, pixel)


@pytest.mark.parametrize("dtype", [torch.bfloat16])
def test_under_autocast_halves_may_come_in(dtype) -> None:
    with torch.autocast("cpu", dtype=dtype):
        losses = [loss for _, loss, _ in pix2pix().losses((torch.zeros(2, 2, 8, 8), torch.zeros(2, 1, 8, 8)))]
    assert all(torch.isfinite(loss) for loss in losses)


# Objectives


def pix2pix(**changes) -> Any:
    torch.manual_seed(0)
    G = gan.UNetGenerator(2, 1, width=2, depth=2, noise=1)
    return gan.Pix2Pix(G, gan.PatchDiscriminator(3, width=2, n_layers=1), **changes)


def digits(**changes) -> Any:
    torch.manual_seed(0)
    G = gan.MLPGenerator((1, 2, 2), latent=3, width=4)
    return gan.ClassConditional(G, gan.ProjectionDiscriminator((1, 2, 2), width=4), **changes)


SETTINGS = ("objective", "lr", "lr_D", "betas", "gamma")
PIX2PIX_ONLY = ("lam", "adversarial", "mismatched", "variety", "apart")


@few
@given(ODD | OBJECTIVES | st.floats(0, 9), st.sampled_from([*SETTINGS, *PIX2PIX_ONLY]))
def test_objectives_take_their_settings_or_refuse(odd, name) -> None:
    for make in (pix2pix, digits):
        if make is digits and name in PIX2PIX_ONLY:
            continue
        try:
            training = make(**{name: odd})
        except ValueError as error:
            refused(error)
        else:
            assert name == "lr_D" or getattr(training, name) == (tuple(odd) if name == "betas" else odd)
            assert json.loads(json.dumps(training.config())) == training.config()


@few
@given(PICTURES | ODD, PICTURES | ODD)
def test_a_batch_of_pairs_is_learned_from_or_refused(x, y) -> None:
    try:
        pix2pix().check((x, y))
        turns = list(pix2pix().losses((x, y), seeded(0)))
    except ValueError as error:
        return refused(error)
    assert float(y.abs().max()) <= 1
    assert [name for name, _, _ in turns] == ["D", "G"]
    assert all(torch.isfinite(loss) for _, loss, _ in turns)


@few
@given(OBJECTIVES, st.sampled_from([0.0, 2.0]), st.sampled_from([torch.float32, torch.float64]), st.integers(0, 99))
def test_no_gradient_leaks_and_nothing_given_is_changed(objective, gamma, dtype, seed) -> None:
    """D's loss leaves G alone; G's turn asks for G's gradients only, and the batch stays what it was."""
    g = seeded(seed)
    label = torch.randint(0, 10, (4,), generator=g)
    x, y = torch.randn(4, 2, 12, 8, dtype=dtype, generator=g), torch.rand(4, 1, 12, 8, dtype=dtype, generator=g)
    for training, batch in (
        (pix2pix(objective=objective, gamma=gamma), (x, y)),
        (digits(objective=objective, gamma=gamma), (y[:, :, :2, :2].contiguous(), label)),
    ):
        training = training.to(dtype)
        before = [value.clone() for value in batch]
        turns = training.losses(batch, seeded(seed))
        G, D = list(training.G.parameters()), list(training.D.parameters())
        _, loss_D, _ = next(turns)
        assert all(p is None for p in torch.autograd.grad(loss_D, G, allow_unused=True, retain_graph=True))
        assert all(torch.isfinite(p).all() for p in torch.autograd.grad(loss_D, D))
        _, loss_G, _ = next(turns)
        assert all(torch.isfinite(p).all() for p in torch.autograd.grad(loss_G, G))
        assert all(p.grad is None for p in training.parameters())
        assert all(torch.equal(a, b) and not b.requires_grad for a, b in zip(before, batch, strict=True))
        assert loss_D.dtype == loss_G.dtype == dtype


@pytest.mark.parametrize("value", [1.5, -1.01, math.nan, math.inf])
def test_values_are_looked_at_where_a_batch_is_checked(value) -> None:
    x, good = torch.zeros(2, 2, 8, 8), torch.zeros(2, 1, 8, 8)
    bad = torch.full_like(good, value)
    training = pix2pix()
    with pytest.raises(ValueError, match=r"^y: expected .*in \[-1, 1\]"):
        training.check((x, bad))
    training.check((x, good))
    next(training.losses((x, bad)))  # a look at every step would make a GPU wait


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_x_may_be_anything_finite(value) -> None:
    x, y = torch.zeros(2, 2, 8, 8), torch.zeros(2, 1, 8, 8)
    training, bad = pix2pix(), x.clone()
    bad[0, 0, 0, 0] = value
    with pytest.raises(ValueError, match=r"x: expected .*NaN or infinite"):
        training.check((bad, y))
    training.check((x + 7, y))
    next(training.losses((x + 7, y)))


@pytest.mark.gpu
def test_on_a_gpu_it_is_the_same_function() -> None:
    x, y = torch.randn(2, 2, 8, 8), torch.rand(2, 1, 8, 8)
    z = torch.randn(2, 1, 8, 8)
    training = pix2pix()
    here = gan.generate(training.G, x, z)
    training = training.cuda()
    torch.testing.assert_close(gan.generate(training.G, x.cuda(), z.cuda()).cpu(), here, rtol=1e-3, atol=1e-4)
    training.check((x.cuda(), y.cuda()))
    with pytest.raises(ValueError, match="y: expected"):
        training.check((x.cuda(), 3 * y.cuda()))
    assert [loss.device.type for _, loss, _ in training.losses((x.cuda(), y.cuda()))] == ["cuda", "cuda"]
    assert gan.generate(training.G, x.cuda(), generator=seeded(0)).is_cuda
    assert digits().cuda().G.sample(3, 7, seeded(0)).is_cuda
