"""The samplers, walked with nets that write down what they are asked: which steps, which noise, which mode."""

import ast
import inspect
import itertools
import math
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from genlib import diffusion
from genlib.arguments import Share
from genlib.data import GaussianMixture
from genlib.diffusion import DDPM, MLP, Guidance, Schedule, UNet, ancestral, ddim, dpm_solver, heun, last

S = Schedule.cosine(T=50)
RING = GaussianMixture.ring(n=3, std=0.3)
SHAPE = (6, 2)
SAMPLERS = [ancestral, ddim, dpm_solver, heun]


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
    assert torch.equal(x_ts[0], x_T)
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
    net = MLP(2, 8, n_classes=3).double()  # the first step, out of nearly no signal, magnifies any rounding
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
    for wrong in ([], [3], "x", None, torch.tensor(1.0), range(10**12)):
        with pytest.raises(ValueError, match="x_ts: expected"):
            last(wrong)  # type: ignore[arg-type]


# -- Heun's method


def known(schedule: Schedule, p: GaussianMixture) -> DDPM:
    return DDPM(lambda x_t, t, label: p.optimal_eps(x_t, t, schedule), schedule)


def orders(sampler, model: DDPM, counts: list[int]) -> list[float]:
    """The exponents with which the error falls when the number of steps doubles, from quantiles of N(0, 1)."""
    x_T = torch.distributions.Normal(0.0, 1.0).icdf((torch.arange(40, dtype=torch.float64) + 0.5) / 40)[:, None]
    exact = last(heun(model, (40, 1), x_T=x_T))
    errors = [float((last(sampler(model, (40, 1), steps=n, x_T=x_T)) - exact).abs().mean()) for n in counts]
    return [math.log2(a / b) for a, b in itertools.pairwise(errors)]


def test_heun_is_of_second_order_and_ddim_of_first() -> None:
    """On the mixture whose score is known, with steps that are even in σ, so that all of them get smaller together."""
    sigma = torch.linspace(0, 5, 961, dtype=torch.float64)
    alpha_bar = 1 / (1 + sigma**2)
    p = GaussianMixture([[-0.5], [1.0]], [[[0.05]], [[0.04]]], [0.6, 0.4])
    model = known(Schedule(1 - alpha_bar[1:] / alpha_bar[:-1]), p)  # type: ignore
    assert orders(heun, model, [60, 120, 240]) == pytest.approx([2, 2], abs=0.2)
    assert orders(ddim, model, [60, 120, 240]) == pytest.approx([1, 1], abs=0.1)


@pytest.mark.parametrize("n", [3, 5, 10, 25])
@pytest.mark.parametrize("schedule", [Schedule.cosine(T=1000), Schedule.linear(T=1000)], ids=["cosine", "linear"])
def test_heun_is_nearer_with_as_many_steps(schedule: Schedule, n: int) -> None:
    """Also where σ comes down from 2 · 10⁴, as in the cosine schedule."""
    model = known(schedule, GaussianMixture([[-0.5], [1.0]], [[[0.05]], [[0.04]]], [0.6, 0.4]))
    x_T = torch.distributions.Normal(0.0, 1.0).icdf((torch.arange(40, dtype=torch.float64) + 0.5) / 40)[:, None]
    exact = last(heun(model, (40, 1), x_T=x_T))
    ours, ddims = ((last(f(model, (40, 1), steps=n, x_T=x_T)) - exact).abs().mean() for f in (heun, ddim))
    assert ours < 0.9 * ddims


def test_heun_step_by_hand() -> None:
    """In x̄ = x/√ᾱ and σ = √((1 − ᾱ)/ᾱ): the step between the first and the last, which are DDIM's."""
    model, x_T = truth(), normal(*SHAPE)
    _, x_33, x_17, x_0 = heun(model, SHAPE, steps=3, x_T=x_T)

    def eps(x: torch.Tensor, t: int) -> torch.Tensor:
        return RING.optimal_eps(x, torch.full((6,), t), S)

    def sigma(t: int) -> torch.Tensor:
        return ((1 - S.alpha_bar[t]) / S.alpha_bar[t]).sqrt()

    bar = [math.sqrt(a) for a in S.alpha_bar.tolist()]
    assert torch.allclose(x_33 / bar[33], x_T / bar[50] + (sigma(33) - sigma(50)) * eps(x_T, 50), atol=1e-9)
    h = sigma(17) - sigma(33)
    euler = bar[17] * (x_33 / bar[33] + h * eps(x_33, 33))
    expected = x_33 / bar[33] + h * (eps(x_33, 33) + eps(euler, 17)) / 2
    assert torch.allclose(x_17 / bar[17], expected, atol=1e-9)
    assert torch.allclose(x_0, x_17 / bar[17] - sigma(17) * eps(x_17, 17), atol=1e-9)


def test_heun_asks_twice_between_the_first_step_and_the_last() -> None:
    diary = Diary()
    list(heun(DDPM(diary, S, predict="x_0"), SHAPE, steps=[50, 30, 20, 4]))
    assert diary.steps == [50, 30, 20, 20, 4, 4]


@pytest.mark.parametrize("steps", [1, 2])
def test_heun_of_two_steps_is_ddim(steps: int) -> None:
    one, other = (last(f(truth(), SHAPE, steps=steps, x_T=normal(*SHAPE))) for f in (heun, ddim))
    assert torch.equal(one, other)


def test_heun_takes_no_more_lines_than_ddim() -> None:
    def lines(sampler: Any) -> int:
        tree = ast.parse(inspect.getsource(diffusion.samplers))  # type: ignore
        (body,) = (node.body[1:] for node in tree.body if getattr(node, "name", "") == sampler.__name__)  # type: ignore
        return body[-1].end_lineno - body[0].lineno  # type: ignore[operator]

    assert lines(heun) <= lines(ddim)


# -- One of one's own


def test_a_sampler_of_ones_own() -> None:
    """It gets the spacing of steps, labels, guidance and checks for nothing."""

    @diffusion.sampler
    def halfway(chain: diffusion.Chain, share: Share = 0.5) -> Iterator[torch.Tensor]:
        """Walks to the guess, and keeps some of the noise that it had."""
        x_t = chain.x_T
        for i in chain.downwards:
            yield x_t
            x_t = share * chain.ask(x_t, i).x_0 + (1 - share) * x_t
        yield x_t

    diary = Diary(1.0)
    model = DDPM(diary, S, predict="x_0", shape=(2,))
    *_, x_0 = halfway(model, SHAPE, steps=3, label=2, share=0.75, x_T=normal(*SHAPE))
    assert diary.steps == [50, 33, 17]
    assert all(torch.equal(label, torch.full((6,), 2)) for label in diary.labels)
    assert torch.allclose(x_0, 1 + (normal(*SHAPE) - 1) / 4**3)
    assert model.sample(3, sampler=halfway, steps=3, share=1.0).tolist() == [[1, 1]] * 3
    assert halfway.__doc__ == "Walks to the guess, and keeps some of the noise that it had."
    with pytest.raises(ValueError, match=r"share: .*1\.5"):
        halfway(model, SHAPE, share=1.5)
    with pytest.raises(TypeError, match="eta"):
        halfway(model, SHAPE, eta=1.0)


# -- Precision and edges


class Best(nn.Module):
    """The best denoiser of a mixture, as precise as its weight is."""

    def __init__(self, p: GaussianMixture, schedule: Schedule) -> None:
        super().__init__()
        self.p, self.schedule, self.weight = p, schedule, nn.Parameter(torch.zeros(1))

    def forward(self, x_t: torch.Tensor, t: torch.Tensor, label: None) -> torch.Tensor:
        assert x_t.dtype == self.weight.dtype
        return self.p.optimal_eps(x_t.float(), t, self.schedule).to(x_t.dtype)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_small_steps_add_up_whatever_the_precision_of_the_net(sampler) -> None:
    """A thousand of them: x_t kept in bfloat16 ended 0.6 nats lower, on the course's ring."""
    ring, schedule = GaussianMixture.ring(), Schedule.cosine(T=1000)
    scores = []
    for dtype in (torch.float32, torch.bfloat16):
        model = DDPM(Best(ring, schedule).to(dtype), schedule)
        x_0 = last(sampler(model, (500, 2), generator=generator()))
        assert x_0.dtype == torch.float32
        scores.append(float(ring.log_prob(x_0).mean()))
    assert scores[1] == pytest.approx(scores[0], abs=0.08)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 10])
def test_where_hardly_any_signal_is_left(sampler, steps: int) -> None:
    """ᾱ_10 = 1.4e-17: the chain of one step has a β' that is 1 in float64."""
    s = Schedule.linear(T=10)
    model = DDPM(lambda x_t, t, label: RING.optimal_eps(x_t, t, s), s)
    x_T = normal(400, 2)
    x_0 = last(sampler(model, (400, 2), steps=steps, x_T=x_T, generator=generator()))
    assert x_0.isfinite().all()
    if steps == 1:  # E[x_0 | x_T], which x_T hardly changes
        assert torch.allclose(x_0, RING.means.T.double() @ RING.weights.double() + 0 * x_0, atol=1e-6)


def test_gradients_do_not_pass_in_part() -> None:
    x_T = normal(*SHAPE).requires_grad_()
    assert not any(x_t.requires_grad for x_t in ddim(truth(), SHAPE, steps=3, x_T=x_T))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_class_for_all_and_vectors(sampler) -> None:
    for net, label, same in (
        (MLP(2, 8, n_classes=3), 1, torch.full((6,), 1)),
        (MLP(2, 8, n_condition=3), torch.ones(6, 3), torch.ones(6, 3)),
    ):
        nn.init.normal_(net.last.weight, generator=generator())
        for w in (0.0, 2.0):
            one, other, free = (
                last(
                    sampler(DDPM(net, S), SHAPE, steps=4, label=c, guidance=w * (c is not None), generator=generator())
                )
                for c in (label, same, None)
            )
            assert torch.equal(one, other)
            assert not torch.equal(one, free)


def test_it_says_what_it_takes() -> None:
    for sampler in SAMPLERS:
        assert list(inspect.signature(sampler).parameters)[:3] == ["model", "shape", "steps"]
        assert pickle.loads(pickle.dumps(sampler)) is sampler


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
    ({"shape": (10**12, 2)}, "shape"),
    ({"x_T": torch.zeros(6, 2).to_sparse()}, "x_T: .*sparse"),
    ({"label": torch.zeros(6, dtype=torch.int64).to_sparse()}, "label"),
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


# -- DPM-Solver++(2M)


def even_in_log_snr(n: int = 960) -> Schedule:
    alpha_bar = torch.cat([torch.ones(1), torch.sigmoid(2 * torch.linspace(4, -2.5, n))]).double()
    return Schedule(1 - alpha_bar[1:] / alpha_bar[:-1])  # type: ignore[arg-type]


def test_dpm_solver_is_of_second_order_with_one_call_a_step() -> None:
    """With steps that are even in λ: so that all of them, but for the last, get smaller together."""
    p = GaussianMixture([[-0.5], [1.0]], [[[0.05]], [[0.04]]], [0.6, 0.4])
    model = known(even_in_log_snr(), p)
    assert orders(dpm_solver, model, [30, 60, 120]) == pytest.approx([2, 2], abs=0.25)
    assert orders(ddim, model, [30, 60, 120]) == pytest.approx([1, 1], abs=0.1)
    diary = Diary()
    list(dpm_solver(DDPM(diary, S, predict="x_0"), SHAPE, steps=[50, 30, 20, 4]))
    assert diary.steps == [50, 30, 20, 4]


def test_dpm_solver_step_by_hand() -> None:
    """The exact solution in λ, by quadrature, of what a straight line through the last two guesses gives."""
    model, x_T, s = truth(), normal(*SHAPE), S
    _, x_33, x_17, _ = dpm_solver(model, SHAPE, steps=3, x_T=x_T)
    assert torch.allclose(x_33, list(ddim(model, SHAPE, steps=3, x_T=x_T))[1], atol=1e-12)
    lam = (0.5 * (s.alpha_bar / (1 - s.alpha_bar)).log()).tolist()
    at_50, at_33 = (model.denoise(x, torch.full((6,), t)).x_0 for x, t in ((x_T, 50), (x_33, 33)))
    slope = (at_33 - at_50) / (lam[33] - lam[50])
    # d(x/σ)/dλ = e^λ x_0-guess. The straight line is taken at the middle of the step, as the method does.
    middle = at_33 + slope * (lam[17] - lam[33]) / 2
    grown = torch.linspace(lam[33], lam[17], 20001).double().exp()
    integral = torch.trapezoid(grown, dx=(lam[17] - lam[33]) / 20000)
    sigma = (1 - s.alpha_bar).sqrt()
    assert torch.allclose(x_17, sigma[17] * (x_33 / sigma[33] + integral * middle), atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2])
def test_dpm_solver_of_two_steps_is_ddim(steps: int) -> None:
    one, other = (last(f(truth(), SHAPE, steps=steps, x_T=normal(*SHAPE))) for f in (dpm_solver, ddim))
    assert torch.allclose(one, other, atol=1e-10)


def test_with_noise_a_first_step_of_dpm_solver_is_one_of_ancestral() -> None:
    x_T = normal(*SHAPE)
    one, other = (
        list(f(truth(), SHAPE, steps=5, x_T=x_T, eta=1.0, generator=generator()))[1] for f in (dpm_solver, ddim)
    )
    assert torch.allclose(one, other, atol=1e-10)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_dpm_solver_keeps_the_marginals_whatever_the_noise(eta: float) -> None:
    """Of a Gaussian, step by step: mean and variance of x_s are those of the chain, up to the error of its steps."""
    p = GaussianMixture([[0.8]], [[[0.09]]])
    s = even_in_log_snr(200)
    x_T = s.alpha_bar[-1].sqrt() * 0.8 + (1 - 0.91 * s.alpha_bar[-1]).sqrt() * normal(40_000, 1)
    walk = list(dpm_solver(known(s, p), (40_000, 1), steps=100, x_T=x_T, eta=eta, generator=generator(1)))
    for x, step in zip(walk[20::20], s.visited(100)[::-1][20::20], strict=False):
        marginal = p.noised(float(s.alpha_bar[step]))
        assert float(x.mean()) == pytest.approx(float(marginal.means[0, 0]), abs=0.02)
        assert float(x.var()) == pytest.approx(float(marginal.covs[0, 0, 0]), rel=0.04)


def test_without_noise_a_step_in_v_is_a_rotation() -> None:
    """With cos φ = √ᾱ: x_s = cos(φ_t − φ_s) x_t − sin(φ_t − φ_s) v; on the cosine schedule φ is nearly even in t."""
    model, x_T = truth(), normal(*SHAPE)
    walk = list(ddim(model, SHAPE, steps=7, x_T=x_T))
    steps = [*S.visited(7)[::-1], 0]
    phi = S.alpha_bar.sqrt().clamp(max=1).acos()
    for x, then, (t, s) in zip(walk, walk[1:], itertools.pairwise(steps), strict=False):
        at = torch.full((6,), t)
        v = S.convert(model.denoise(x, at).eps, x, at, "eps", "v")
        turn = phi[t] - phi[s]
        assert torch.allclose(then, turn.cos() * x - turn.sin() * v, atol=1e-7)
    assert phi[1:-1].diff().std() < 0.01 * phi.diff().mean()


# -- guidance in a part of the walk, and rescaled; gradients


def test_guidance_between_two_noise_levels() -> None:
    """Above and below them the walk is that without guidance, step by step."""
    torch.manual_seed(0)
    net = MLP(2, width=8, depth=1, n_classes=3).double()
    torch.nn.init.normal_(net.last.weight)
    model, steps, x_T = DDPM(net, S, predict="v"), [50, 40, 30, 20, 10], normal(*SHAPE)
    low, high = float(S.sigma[20]), float(S.sigma[40])  # the upper end guides, the lower one does not
    found = list(ddim(model, SHAPE, steps=steps, label=1, guidance=Guidance(3.0, low, high), x_T=x_T))
    for i, (t, s) in enumerate(itertools.pairwise([*steps, 0])):
        w = 3.0 if t in (40, 30) else 0.0
        guess = model.denoise(found[i], torch.full((6,), t), 1, guidance=w)
        expected = S.alpha_bar[s].sqrt() * guess.x_0 + (1 - S.alpha_bar[s]).sqrt() * guess.eps
        assert torch.allclose(found[i + 1], expected, atol=1e-10)
    plain, number = (last(ddim(model, SHAPE, steps=steps, label=1, guidance=g, x_T=x_T)) for g in (Guidance(3.0), 3.0))
    assert torch.equal(plain, number)


def test_it_guides_where_no_signal_is_left_and_in_one_dimension() -> None:
    """σ is infinite at T there; and one number has no deviation to keep."""
    seen: list[int] = []

    def net(x_t: torch.Tensor, t: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        seen.append(len(x_t))
        return 0.1 * x_t + label[:, None]

    model = DDPM(net, Schedule.straight(T=10), predict="u")
    x = last(ddim(model, (3, 1), steps=5, label=1, guidance=Guidance(2.0, rescale=0.7), generator=generator()))
    assert seen == [6] * 5
    assert x.isfinite().all()


def test_rescaled_guidance_keeps_the_deviation_of_the_guess() -> None:
    torch.manual_seed(0)
    net = MLP(5, width=8, depth=1, n_classes=3).double()
    torch.nn.init.normal_(net.last.weight)
    model, x_t, t = DDPM(net, S, predict="v"), normal(4, 5), torch.tensor([5, 20, 30, 45])
    alone, guided = (model.denoise(x_t, t, 1, guidance=w).x_0 for w in (0.0, 4.0))
    assert ((guided.std(1) - alone.std(1)).abs() > 0.01).all()
    for phi in (0.3, 1.0):
        found = model.denoise(x_t, t, 1, guidance=Guidance(4.0, rescale=phi))
        assert torch.allclose(found.x_0.std(1), phi * alone.std(1) + (1 - phi) * guided.std(1))
        assert torch.allclose(torch.nn.functional.cosine_similarity(found.x_0, guided), torch.ones(4).double())
        assert torch.allclose(S.q_sample(found.x_0, t, found.eps), x_t)


@pytest.mark.parametrize("arguments", [{"w": -1}, {"w": 1, "low": 2, "high": 1}, {"w": 1, "rescale": 2}, {"w": "x"}])
def test_guidance_refuses(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Guidance(**arguments)
    with pytest.raises(ValueError, match="label: expected one to guide towards"):
        last(ddim(truth(), SHAPE, guidance=Guidance(1.0)))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_gradients_through_the_walk_if_asked(sampler: Any) -> None:
    torch.manual_seed(0)
    net = MLP(2, width=8, depth=1).double()
    torch.nn.init.normal_(net.last.weight)
    model, x_T = DDPM(net, S, predict="v"), normal(3, 2).requires_grad_()

    def end(x_T: torch.Tensor) -> torch.Tensor:
        return last(sampler(model, (3, 2), steps=4, x_T=x_T, generator=generator(), gradients=True))

    assert torch.autograd.gradcheck(end, (x_T,), atol=1e-6)
    (by_weight,) = torch.autograd.grad(end(x_T).sum(), net.last.weight)
    assert by_weight.abs().max() > 0
    assert not last(sampler(model, (3, 2), steps=4, x_T=x_T)).requires_grad
