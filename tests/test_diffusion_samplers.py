"""The samplers, walked with nets that write down what they are asked: which steps, which noise, which mode."""

import itertools
import math
from typing import Any

import pytest
import torch

from genlib.data import GaussianMixture
from genlib.diffusion import DDPM, MLP, Schedule, UNet, ancestral, ddim, heun, last

S = Schedule.cosine(T=50)
RING = GaussianMixture.ring(n=3, std=0.3)
SHAPE = (6, 2)
SAMPLERS = [ancestral, ddim, heun]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def truth(schedule: Schedule = S, **arguments: Any) -> DDPM:
    return DDPM(lambda x_t, t, label: RING.optimal_eps(x_t, t, schedule), schedule, **arguments)


class Diary:
    """A net that says x_0 = `answer` and notes the steps and labels it was asked about."""

    def __init__(self, answer: float = 0.0) -> None:
        self.answer, self.steps, self.labels = answer, [], []

    def __call__(self, x_t: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        assert t.shape == (len(x_t),)
        assert t.dtype == torch.int64
        assert len(set(t.tolist())) == 1
        self.steps.append(int(t[0]))
        self.labels.append(label)
        return torch.full_like(x_t, self.answer)


def visited(sampler, schedule: Schedule, **arguments: Any) -> list[int]:
    diary = Diary()
    x_ts = list(sampler(DDPM(diary, schedule, predict="x_0"), SHAPE, **arguments))
    assert len(x_ts) == len(diary.steps) + 1
    return diary.steps


def test_all_steps_once_and_downwards() -> None:
    assert visited(ancestral, S) == list(range(50, 0, -1))


@pytest.mark.parametrize(("T", "n"), [(50, 1), (50, 7), (50, 49), (50, 50), (1000, 25), (1000, 50), (3, 2), (1, 1)])
def test_linear_spacing_starts_at_the_top(T: int, n: int) -> None:
    """round(linspace(T, 0, n + 1)), in whole numbers: the nearest to T (n − i)/n, ties to the even one."""
    s = Schedule.linear(T=T)
    expected = [round(T * (n - i) / n) for i in range(n)]
    assert expected[0] == T
    assert visited(ddim, s, steps=n) == expected
    assert visited(ancestral, s, steps=n) == expected


@pytest.mark.parametrize(("T", "n"), [(1000, 10), (1000, 50), (1000, 1000), (50, 25), (1, 1)])
def test_quadratic_spacing_takes_coinciding_steps_once(T: int, n: int) -> None:
    s = Schedule.linear(T=T)
    steps = visited(ddim, s, steps=s.quadratic_steps(n))
    assert steps[0] == T
    assert steps == sorted(set(steps), reverse=True)
    assert set(steps) == {round(T * ((n - i) / n) ** 2) for i in range(n)} - {0}


@pytest.mark.parametrize("steps", [[50], [1, 50], [50, 3, 17], range(2, 51, 3), torch.tensor([50, 20, 10])])
def test_any_subset_in_any_order(steps) -> None:
    assert visited(ancestral, S, steps=steps) == sorted((int(k) for k in steps), reverse=True)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_it_begins_with_noise_and_ends_with_data(sampler) -> None:
    x_T = normal(*SHAPE)
    x_ts = list(sampler(DDPM(Diary(0.25), S, predict="x_0"), SHAPE, x_T=x_T, generator=generator()))
    assert x_ts[0] is x_T
    assert (x_ts[-1] == 0.25).all()  # exactly: no noise in the last step
    assert all((x_t != 0.25).any() for x_t in x_ts[:-1])


def test_noise_is_standard_normal() -> None:
    x_T = next(ancestral(truth(), (20_000, 2), generator=generator()))
    assert x_T.mean(0).abs().max() < 0.03
    assert (x_T.std(0) - 1).abs().max() < 0.03


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_the_last_step_draws_no_noise(eta: float) -> None:
    """Seen in the generator: as many numbers are drawn as there are steps with noise."""
    g, reference = generator(3), generator(3)
    list(ddim(truth(), SHAPE, steps=5, eta=eta, generator=g))
    for _ in range(1 + (4 if eta else 0)):
        torch.randn(SHAPE, generator=reference)
    assert torch.equal(g.get_state(), reference.get_state())
    g, reference = generator(3), generator(3)
    list(ancestral(truth(), SHAPE, steps=5, generator=g))
    for _ in range(5):
        torch.randn(SHAPE, generator=reference)
    assert torch.equal(g.get_state(), reference.get_state())


@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_ancestral_step_is_the_models_reverse_step(variance: str) -> None:
    """With all steps: mean and variance of x_{t−1} given x_t, over many draws, are those that `reverse` gives."""
    model = truth(variance=variance)
    x_T = normal(1, 2).expand(40_000, 2)
    steps = ancestral(model, (40_000, 2), x_T=x_T, generator=generator(1))
    next(steps)
    x = next(steps)
    mean, var = model.reverse(x_T[:1], torch.tensor([50]))
    assert torch.allclose(x.mean(0), mean[0], atol=5 * math.sqrt(float(var) / 40_000))
    assert float(x.var(0).mean() / var) == pytest.approx(1, abs=0.03)


def test_ddim_step_by_hand() -> None:
    model, x_T = truth(), normal(*SHAPE)
    _, x_30, x_10, x_0 = ddim(model, SHAPE, steps=3, x_T=x_T, eta=0)  # steps 50, 33, 17
    for x_t, x_s, t, s in ((x_T, x_30, 50, 33), (x_30, x_10, 33, 17), (x_10, x_0, 17, 0)):
        eps = RING.optimal_eps(x_t, torch.full((6,), t), S)
        a, b = S.alpha_bar[t], S.alpha_bar[s]
        expected = b.sqrt() * (x_t - (1 - a).sqrt() * eps) / a.sqrt() + (1 - b).sqrt() * eps
        assert torch.allclose(x_s, expected, atol=1e-9)


@pytest.mark.parametrize("steps", [50, 13, 2, 1])
@pytest.mark.parametrize("clip", [False, True])
def test_ddim_of_eta_one_is_ancestral_with_beta_tilde(steps: int, clip: bool) -> None:
    model = truth(variance="beta_tilde")
    for a, b in zip(
        ancestral(model, SHAPE, steps=steps, clip=clip, x_T=normal(*SHAPE), generator=generator()),
        ddim(model, SHAPE, steps=steps, eta=1.0, clip=clip, x_T=normal(*SHAPE), generator=generator()),
        strict=True,
    ):
        assert a.dtype == torch.float64
        assert (a - b).abs().max() < 1e-10


@pytest.mark.parametrize("v", [0.0, 1.0])
@pytest.mark.parametrize("steps", [None, 7])
def test_learned_variance_at_its_ends_is_the_fixed_one(v: float, steps: int | None) -> None:
    def net(x_t: torch.Tensor, t: torch.Tensor, label: None) -> torch.Tensor:
        return torch.cat([RING.optimal_eps(x_t, t, S), torch.full_like(x_t, v)], dim=1)

    learned = ancestral(DDPM(net, S, variance="learned"), SHAPE, steps=steps, x_T=normal(*SHAPE), generator=generator())
    fixed = truth(variance="beta" if v else "beta_tilde")
    assert torch.allclose(
        last(learned), last(ancestral(fixed, SHAPE, steps=steps, x_T=normal(*SHAPE), generator=generator())), atol=1e-10
    )


def test_clipping_bounds_every_guess() -> None:
    """A net that shouts: without clipping the sample is out of bounds, with it the last guess is inside."""
    shouting = DDPM(Diary(5.0), S, predict="x_0")
    for sampler in (ancestral, ddim):
        assert (last(sampler(shouting, SHAPE, generator=generator())) == 5).all()
        assert (last(sampler(shouting, SHAPE, clip=True, generator=generator())) == 1).all()


def test_labels_and_guidance_reach_the_net() -> None:
    label = torch.tensor([0, 1, 2, 0, -1, 2])
    diary = Diary()
    last(ddim(DDPM(diary, S, predict="x_0"), SHAPE, steps=3, label=label))
    assert all(torch.equal(got, label) for got in diary.labels)
    diary = Diary()
    last(ddim(DDPM(diary, S, predict="x_0"), SHAPE, steps=3, label=label, guidance=0.5))
    assert all(torch.equal(got, torch.cat([label, torch.full_like(label, -1)])) for got in diary.labels)


def test_guidance_zero_is_the_conditional_model() -> None:
    net = MLP(2, 8, n_classes=3)
    with torch.no_grad():
        net.last.weight.normal_(generator=generator())
    model, label = DDPM(net, S), torch.tensor([0, 1, 2, 0, 1, 2])
    plain, guided = (
        last(ddim(model, SHAPE, steps=5, label=label, guidance=w, generator=generator())) for w in (0.0, 1e-12)
    )
    assert torch.allclose(plain, guided, atol=1e-5)
    assert not torch.allclose(
        plain, last(ddim(model, SHAPE, steps=5, label=label, guidance=2.0, generator=generator()))
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_generator_gives_the_same_samples_and_the_global_one_is_left_alone(sampler) -> None:
    before = torch.random.get_rng_state()
    one, same, other = (last(sampler(truth(), SHAPE, generator=generator(seed))) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_modes_and_gradients_are_the_callers_between_the_steps(sampler) -> None:
    model = DDPM(UNet(width=4, mults=(1, 2), n_blocks=1, dropout=0.5), S)
    model.net.middle.eval()
    modes = [part.training for part in model.modules()]
    inside = []
    model.net.last.register_forward_pre_hook(
        lambda *_: inside.append((model.net.last.training, torch.is_grad_enabled()))
    )
    for x_t in itertools.islice(sampler(model, (2, 1, 4, 4)), 5):
        assert torch.is_grad_enabled()
        assert [part.training for part in model.modules()] == modes
        assert not x_t.requires_grad
    assert set(inside) == {(False, False)}


def test_it_is_lazy() -> None:
    diary = Diary()
    x_ts = ancestral(DDPM(diary, S, predict="x_0"), SHAPE)
    assert diary.steps == []
    next(x_ts)
    assert diary.steps == []
    next(x_ts)
    assert diary.steps == [50]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_samples_have_the_dtype_of_the_net_or_better(dtype: torch.dtype) -> None:
    for net, shape in ((UNet(width=4), (2, 1, 8, 8)), (MLP(2, 8), (3, 2))):
        x_0 = last(ddim(DDPM(net.to(dtype), S, predict="v"), shape, steps=3, generator=generator()))
        assert x_0.dtype == torch.promote_types(dtype, torch.float32)
        assert x_0.shape == shape


def test_a_formula_samples_in_the_dtype_of_its_noise() -> None:
    assert last(ddim(truth(), SHAPE, steps=3)).dtype == torch.float32
    assert last(ddim(truth(), SHAPE, steps=3, x_T=normal(*SHAPE))).dtype == torch.float64


def test_last() -> None:
    assert last(iter([torch.zeros(1), torch.ones(1)])) == 1
    with pytest.raises(ValueError, match="x_ts: expected at least one"):
        last([])


BAD = [
    ({"shape": (6,)}, "shape"),
    ({"shape": 6}, "shape"),
    ({"shape": "62"}, "shape"),
    ({"shape": (0, 2)}, "shape: "),
    ({"shape": (6, 2.0)}, "shape"),
    ({"label": torch.zeros(5, dtype=torch.int64)}, "label"),
    ({"label": torch.zeros(6)}, "label"),
    ({"label": torch.full((6,), -2)}, "label: expected classes"),
    ({"guidance": 1.0}, "label: .*guide"),
    ({"guidance": -1.0, "label": torch.zeros(6, dtype=torch.int64)}, "guidance"),
    ({"guidance": math.inf, "label": torch.zeros(6, dtype=torch.int64)}, "guidance"),
    ({"generator": 0}, "generator"),
    ({"x_T": torch.zeros(5, 2)}, "x_T"),
    ({"x_T": torch.zeros(6, 2, dtype=torch.int64)}, "x_T"),
    ({"x_T": torch.full((6, 2), math.nan)}, "x_T: .*NaN"),
    ({"model": lambda x, t, label: x}, "model: expected a DDPM"),
    ({"model": torch.nn.Linear(2, 2)}, "model: expected a DDPM, got Linear"),
    ({"steps": 0}, "steps: .*got 0"),
    ({"steps": 51}, "steps: .*50.*got 51"),
    ({"steps": 10**12}, "steps"),
    ({"steps": 2.5}, "steps"),
    ({"steps": []}, "steps"),
    ({"steps": [50, 0]}, "steps"),
    ({"steps": [50, 50]}, "steps: expected different ones"),
    ({"steps": [10, 20]}, "steps: expected different ones of 1..50, 50 among them"),
    ({"steps": "50"}, "steps"),
    ({"clip": 1}, "clip"),
]


@pytest.mark.parametrize(
    ("sampler", "arguments", "message"),
    [(sampler, *bad) for sampler, bad in itertools.product(SAMPLERS, BAD)]
    + [
        (ddim, {"eta": 1.1}, "eta"),
        (ddim, {"eta": -0.1}, "eta"),
        (ddim, {"eta": math.nan}, "eta"),
    ],
)
def test_wrong_arguments_are_refused_at_once(sampler, arguments: dict, message: str) -> None:
    """At the call, not at the first `next`."""
    with pytest.raises(ValueError, match=message):
        sampler(**({"model": truth(), "shape": SHAPE} | arguments))


def test_what_the_net_cannot_take_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="divisible by 4"):
        ddim(DDPM(UNet(width=4), S), (1, 1, 6, 6))
    with pytest.raises(ValueError, match=r"expected shape \(B, 2\)"):
        ddim(DDPM(MLP(2, 4), S), (1, 3))
    with pytest.raises(ValueError, match=r"label: expected classes 0\.\.2"):
        ddim(DDPM(MLP(2, 4, n_classes=3), S), (1, 2), label=torch.tensor([3]))
    with pytest.raises(ValueError, match="label: expected None"):
        ddim(DDPM(MLP(2, 4), S), (1, 2), label=torch.tensor([0]))
    with pytest.raises(ValueError, match=r"x_T: .*float32.*got float64"):
        ddim(DDPM(MLP(2, 4), S), (1, 2), x_T=torch.zeros(1, 2, dtype=torch.float64))
