"""Whatever comes in, the public functions give a right result or a `ValueError` that says what is wrong.

"Right" is a property that holds for every input: a shape, a dtype, a bound, a round trip. Any other exception, a
NaN from finite input, or a wrong shape is a failure.
"""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genlib.diffusion import DDPM, MLP, Denoising, Schedule, UNet, ancestral, ddim, dpm_solver, heun, last, vlb

few = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool])
SHAPES = st.lists(st.integers(0, 5), max_size=4).map(tuple)
BETAS = st.lists(st.floats(1e-6, 0.999), min_size=1, max_size=12)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 60),
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
    seed = draw(st.integers(0, 99))
    x = torch.randn(size, generator=torch.Generator().manual_seed(seed)) * 2
    if x.numel() and not tame and draw(st.booleans()):
        x.view(-1)[0] = draw(SPECIAL)
    return x.nan_to_num(0).clamp(-9, 9).to(dtype) if dtype in (torch.int64, torch.bool) else x.to(dtype)


@st.composite
def steps_like(draw, T: int) -> torch.Tensor:
    n = draw(st.integers(0, 5))
    t = torch.tensor(draw(st.lists(st.integers(-1, T + 2), min_size=n, max_size=n)), dtype=torch.int64)
    return t.to(draw(st.sampled_from([torch.int64, torch.int64, torch.int32, torch.float32])))


@few
@given(BETAS | st.lists(ODD, max_size=4) | tensors())
def test_schedule(beta) -> None:
    try:
        s = Schedule(beta)
    except ValueError as error:
        return refused(error)
    for name in ("beta", "alpha_bar", "beta_tilde", "log_beta"):
        assert getattr(s, name)[1:].isfinite().all()
    assert (s.alpha_bar.diff() <= 0).all()
    assert (s.beta_tilde[1:] <= s.beta[1:]).all()


@few
@given(BETAS, st.data())
def test_respaced_keeps_what_is_left_of_the_signal(beta, data) -> None:
    try:
        s = Schedule(beta)
    except ValueError as error:
        return refused(error)
    steps = data.draw(st.lists(st.integers(0, s.T + 1), max_size=6) | st.just(list(range(1, s.T + 1))))
    try:
        chain = s.respaced(steps)
    except ValueError as error:
        assert not steps or min(steps) < 1 or max(steps) > s.T or steps != sorted(set(steps))
        return refused(error)
    assert torch.allclose(chain.alpha_bar[1:], s.alpha_bar[steps], rtol=1e-9)


@few
@given(st.data())
def test_q_sample_posterior_and_convert(data) -> None:
    s = Schedule.cosine(T=7)
    x_0 = data.draw(tensors())
    other = data.draw(st.just(x_0) | tensors())
    t = data.draw(steps_like(7) | st.just(torch.full((len(x_0) if x_0.dim() else 1,), 3)))
    for call in (
        lambda: s.q_sample(x_0, t, other),
        lambda: s.q_posterior(x_0, other, t)[0],
        lambda: s.convert(x_0, other, t, "v", "eps"),
        lambda: s.convert(x_0, other, t, "score", "x_0"),
    ):
        try:
            out = call()
        except ValueError as error:
            refused(error)
            continue
        assert out.shape == x_0.shape
        assert out.dtype == x_0.dtype
        if x_0.dtype != torch.float16:
            assert out.isfinite().all()


@few
@given(st.data())
def test_unet_is_built_or_refused(data) -> None:
    arguments = data.draw(
        st.fixed_dictionaries(
            {},
            optional={
                "channels": st.integers(1, 3) | ODD,
                "width": st.integers(1, 9) | st.sampled_from([0, -4, 4.0, "4", None, math.nan]),
                "mults": st.lists(st.integers(1, 3), min_size=1, max_size=3) | ODD,
                "n_blocks": st.integers(1, 2) | st.sampled_from([0, None, 1.0, "1"]),
                "attention": st.lists(st.sampled_from([1, 2, 4, 3, "2"]), max_size=2) | ODD,
                "heads": st.integers(1, 3) | ODD,
                "n_classes": st.integers(1, 4) | ODD,
                "dropout": st.floats(0, 0.9) | ODD,
                "learned_variance": st.booleans(),
            },
        )
    )
    try:
        unet = UNet(**{"width": 4, "n_blocks": 1} | arguments)
    except ValueError as error:
        return refused(error)
    x = torch.zeros(2, unet.channels, unet.fraction, 2 * unet.fraction)
    out = unet(x, torch.tensor([1, 7]), None if unet.n_classes is None else torch.tensor([-1, unet.n_classes - 1]))
    assert out.shape == (2, (1 + unet.learned_variance) * unet.channels, *x.shape[2:])
    assert out.isfinite().all()


NETS = {
    "unet": UNet(1, 4, (1, 2), 1, (2,), n_classes=3),
    "mlp": MLP(2, 4, 1, n_classes=3),
    "free": MLP(3, 4, 1),
    "formula": lambda x_t, t, label: 0.5 * x_t,
}
for net in NETS.values():
    if isinstance(net, torch.nn.Module):
        torch.nn.init.normal_(net.last.weight, 0, 0.1, generator=torch.Generator().manual_seed(0))  # type: ignore[union-attr]
FITS = {
    "unet": [(2, 1, 4, 4), (1, 1, 2, 6)],
    "mlp": [(2, 2), (1, 2)],
    "free": [(2, 3)],
    "formula": [(2, 3), (2, 1, 4, 4)],
}
OTHERS = [(3, 2), (1, 1, 3, 4), (0, 2), (0, 1, 4, 4), (2,), (2, 0)]


@st.composite
def cases(draw) -> tuple[str, tuple[int, ...], object]:
    """A net, a shape and labels: in half of the cases such that they go together."""
    name = draw(st.sampled_from(sorted(NETS)))
    if draw(st.booleans()):
        shape = draw(st.sampled_from(FITS[name]))
        label = torch.tensor(draw(st.lists(st.integers(-1, 2), min_size=shape[0], max_size=shape[0])))
        return name, shape, None if name == "free" else label
    labels = st.none() | st.lists(st.integers(-2, 4), min_size=1, max_size=3).map(torch.tensor) | ODD
    return name, draw(st.sampled_from(FITS[name] + OTHERS)), draw(labels)


@few
@given(cases(), st.data(), st.floats(0, 3) | ODD, st.booleans())
def test_denoise_and_reverse(case, data, guidance, clip) -> None:
    name, shape, label = case
    x_t = data.draw(tensors(st.just(shape)))
    model = DDPM(NETS[name], Schedule.linear(T=6), predict="v")
    t = data.draw(st.just(torch.full((len(x_t),), 6)) | steps_like(6))
    try:
        at = model.denoise(x_t, t, label, guidance=guidance, clip=clip)
        mean, var = model.reverse(x_t, t, label)
    except ValueError as error:
        return refused(error)
    assert at.x_0.shape == at.eps.shape == mean.shape == x_t.shape
    assert at.x_0.dtype == x_t.dtype
    assert (var > 0).all()
    if x_t.dtype != torch.float16 and guidance < 1e6:
        assert at.x_0.isfinite().all()
    if clip and x_t.numel():
        assert not at.x_0.abs().max() > 1


@few
@given(cases(), st.sampled_from([ancestral, ddim, dpm_solver, heun]), st.data())
def test_samplers(case, sampler, data) -> None:
    name, shape, label = case
    s = data.draw(st.sampled_from([Schedule.cosine(T=5), Schedule([0.4]), Schedule.linear(T=1000)]))
    subset = st.lists(st.integers(0, 6), max_size=3).map(lambda k: [*k, s.T])
    own = {"steps": st.integers(1, 5) | subset | ODD.filter(lambda k: k is not None)}  # None: all thousand of them
    optional = {"eta": st.floats(0, 1) | ODD} if sampler in (ddim, dpm_solver) else {}
    optional |= {"guidance": st.floats(0, 3) | ODD, "clip": st.booleans(), "generator": st.none() | ODD}
    arguments = data.draw(st.fixed_dictionaries(own, optional=optional | {"x_T": tensors(st.just(shape)) | ODD}))
    model = DDPM(NETS[name], s, predict="v")
    try:
        x_ts = sampler(model, shape, label=label, **arguments)
    except ValueError as error:
        return refused(error)
    x_0 = last(x_ts)  # whatever is wrong was said before
    assert x_0.shape == shape
    if x_0.dtype != torch.float16 and arguments.get("guidance", 0) < 1e6:
        assert x_0.isfinite().all()


@few
@given(cases(), st.data())
def test_vlb(case, data) -> None:
    name, shape, label = case
    x_0 = data.draw(tensors(st.just(shape)))
    model = DDPM(NETS[name], Schedule.linear(T=6), predict="v")
    levels, steps = data.draw(st.sampled_from([2, 17, 256]) | ODD), data.draw(st.none() | st.integers(1, 5) | ODD)
    if data.draw(st.booleans()) and x_0.is_floating_point():
        x_0 = x_0.clamp(-1, 1).sign()  # on every grid, but for a 0 on those of 2 and 256 levels
    try:
        bound = vlb(model, x_0, label, levels=levels, steps=steps, batch_size=data.draw(st.integers(1, 9)))
    except ValueError as error:
        return refused(error)
    assert bound.L_t.shape == (len(x_0), 5 if steps is None else steps)
    if x_0.dtype != torch.float16:
        assert bound.total.isfinite().all()
    assert (bound.L_t >= 0).all()
    assert (bound.L_T >= 0).all()
    if levels is not None:
        assert (bound.L_0 >= 0).all()


@few
@given(cases(), st.data(), st.booleans())
def test_losses(case, data, alone) -> None:
    name, shape, label = case
    x_0 = data.draw(tensors(st.just(shape)))
    model = DDPM(NETS[name], Schedule.linear(T=6), predict="v")
    try:
        ((_, loss, logs),) = Denoising(model).losses(x_0 if alone else (x_0, label), torch.Generator().manual_seed(0))
    except ValueError as error:
        return refused(error)
    assert loss.shape == ()
    assert logs == {}
    assert not loss < 0


@few
@given(st.dictionaries(st.sampled_from(["net", "schedule", "predict", "variance", "levels", "shape"]), ODD))
def test_ddpm_is_built_or_refused(arguments) -> None:
    try:
        DDPM(**{"net": NETS["mlp"], "schedule": Schedule.linear(T=3)} | arguments)
    except ValueError as error:
        refused(error)


@few
@given(st.dictionaries(st.sampled_from(["ddpm", "label_dropout", "lr", "lam", "weight"]), ODD))
def test_denoising_is_built_or_refused(arguments) -> None:
    try:
        Denoising(**{"ddpm": DDPM(NETS["mlp"], Schedule.linear(T=3))} | arguments)
    except ValueError as error:
        refused(error)


@few
@given(st.sampled_from([torch.float32, torch.float64]), st.integers(1, 40), st.data())
def test_ddim_of_eta_one_is_ancestral_with_beta_tilde(dtype, T, data) -> None:
    """For any schedule, any number of steps, any linear denoiser."""
    T = max(T, 2)
    s = Schedule(data.draw(st.lists(st.floats(1e-4, 0.6), min_size=T, max_size=T)))
    n, slope, clip = data.draw(st.integers(1, T)), data.draw(st.floats(-1, 1)), data.draw(st.booleans())
    model = DDPM(lambda x_t, t, label: slope * x_t, s, "v", "beta_tilde")
    x_T = torch.randn(4, 3, dtype=dtype, generator=torch.Generator().manual_seed(0))
    one, other = (
        last(x_ts)
        for x_ts in (
            ancestral(model, (4, 3), steps=n, clip=clip, x_T=x_T, generator=torch.Generator().manual_seed(1)),
            ddim(model, (4, 3), steps=n, eta=1.0, clip=clip, x_T=x_T, generator=torch.Generator().manual_seed(1)),
        )
    )
    scale = max(1.0, float(one.abs().max()))
    assert float((one - other).abs().max()) < scale * (1e-9 if dtype == torch.float64 else 1e-3)


def test_this_file_would_notice_another_exception() -> None:
    with pytest.raises(AssertionError):
        refused(ValueError("something is wrong"))
