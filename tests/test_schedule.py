"""The forward process against the chain simulated, Bayes on a grid, and autograd; at the edges t = 1, t = T, T = 1."""

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from no_float64 import NoFloat64

from genlib import data, diffusion
from genlib.diffusion import Schedule

SCHEDULES = {
    "linear": Schedule.linear(T=1000),
    "cosine": Schedule.cosine(T=1000),
    "short": Schedule.linear(T=7),
    "one step": Schedule.cosine(T=1),
    "by hand": Schedule([0.1, 0.5, 0.9, 0.01]),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def edges(s: Schedule) -> torch.Tensor:
    return torch.tensor(sorted({1, min(2, s.T), (s.T + 1) // 2, s.T}))


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


@pytest.mark.parametrize("name", SCHEDULES)
def test_tables(name: str) -> None:
    s = SCHEDULES[name]
    for table in (s.beta, s.alpha, s.alpha_bar, s.beta_tilde):
        assert table.shape == (s.T + 1,)
        assert table.dtype == torch.float64
    assert s.beta[0] == 0
    assert s.alpha_bar[0] == 1
    product = 1.0
    for t in range(1, s.T + 1):
        product *= 1 - float(s.beta[t])
        assert float(s.alpha_bar[t]) == pytest.approx(product, rel=1e-10)


@pytest.mark.parametrize("s", [0.008, 0.2])
@pytest.mark.parametrize("T", [3, 50, 1000])
def test_cosine_by_the_double_angle(T: int, s: float) -> None:
    """cos² a = (1 + cos 2a)/2, so that ᾱ_t is a ratio of plain cosines; in the last step β is clipped."""
    t = np.arange(T)
    expected = (1 + np.cos(math.pi * (t / T + s) / (1 + s))) / (1 + math.cos(math.pi * s / (1 + s)))
    assert Schedule.cosine(T, s).alpha_bar[:-1].numpy() == pytest.approx(expected, abs=1e-12)
    assert float(Schedule.cosine(T, s).beta[-1]) == 0.999


def test_numbers_of_the_papers() -> None:
    assert float(SCHEDULES["linear"].alpha_bar[1000]) == pytest.approx(4.04e-5, rel=2e-3)  # Ho et al. 2020
    assert float(SCHEDULES["linear"].beta[1]) == pytest.approx(1e-4)
    assert float(SCHEDULES["linear"].beta[1000]) == pytest.approx(0.02)
    half = math.cos((0.5 + 0.008) / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    assert float(SCHEDULES["cosine"].alpha_bar[500]) == pytest.approx(half, rel=1e-9)
    assert float(SCHEDULES["cosine"].beta.max()) == 0.999


def test_the_linear_schedule_scales_with_the_number_of_steps() -> None:
    for T in (100, 250, 4000):
        s = Schedule.linear(T=T)
        assert float(s.beta[T]) == pytest.approx(min(0.02 * 1000 / T, 0.999))
        assert 1e-6 < float(s.alpha_bar[T]) < 1e-4
    assert float(Schedule.linear(T=2).beta[2]) == 0.999


@pytest.mark.parametrize("name", SCHEDULES)
def test_closed_form_is_the_chain(name: str) -> None:
    """The chain's mean and variance, carried through one step at a time, against q(x_t | x_0)."""
    s = SCHEDULES[name]
    x_0, mean, variance = normal(1, 3, seed=1), normal(1, 3, seed=1), 0.0
    for t in range(1, s.T + 1):
        beta = float(s.beta[t])
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        if t in edges(s):
            step = torch.tensor([t])
            assert torch.allclose(s.q_sample(x_0, step, torch.zeros_like(x_0)), mean, atol=1e-10)
            noise = s.q_sample(torch.zeros_like(x_0), step, torch.ones_like(x_0))
            assert torch.allclose(noise, torch.full_like(noise, math.sqrt(variance)), atol=1e-10)


@pytest.mark.parametrize("name", ["short", "by hand"])
def test_posterior_is_bayes_on_a_grid(name: str) -> None:
    s = SCHEDULES[name]
    grid = torch.linspace(-8, 8, 160_001, dtype=torch.float64)

    def log_normal(x: torch.Tensor | float, mean: torch.Tensor | float, variance: float) -> torch.Tensor:
        return -((torch.as_tensor(x) - mean) ** 2) / (2 * variance) - 0.5 * math.log(2 * math.pi * variance)

    for t in range(2, s.T + 1):
        x_0, x_t = float(normal(1, seed=t)), float(normal(1, seed=t + 100))
        beta, bar = float(s.beta[t]), float(s.alpha_bar[t - 1])
        likelihood = log_normal(x_t, math.sqrt(1 - beta) * grid, beta)  # q(x_t | x_{t−1})
        prior = log_normal(grid, math.sqrt(bar) * x_0, 1 - bar)  # q(x_{t−1} | x_0)
        p = (likelihood + prior).softmax(0)
        mean, var = s.q_posterior(
            torch.tensor([[x_0]], dtype=torch.float64), torch.tensor([[x_t]], dtype=torch.float64), torch.tensor([t])
        )
        exact = float((p * grid).sum())
        assert float(mean) == pytest.approx(exact, abs=1e-7)
        assert float(var) == pytest.approx(float((p * (grid - exact) ** 2).sum()), abs=1e-7)


@pytest.mark.parametrize("name", SCHEDULES)
def test_posterior_at_the_first_step_is_the_data(name: str) -> None:
    x_0, x_1 = normal(5, 1, 3, 3), normal(5, 1, 3, 3, seed=1)
    mean, var = SCHEDULES[name].q_posterior(x_0, x_1, torch.ones(5, dtype=torch.int64))
    assert torch.equal(mean, x_0)
    assert var.shape == (5, 1, 1, 1)
    assert (var == 0).all()


@pytest.mark.parametrize("name", SCHEDULES)
def test_posterior_averaged_over_x_t_gives_back_the_marginal(name: str) -> None:
    """Mean and variance of x_{t−1}, by the law of total variance, against q(x_{t−1} | x_0)."""
    s = SCHEDULES[name]
    for t in edges(s):
        one, step = torch.ones(1, 1, dtype=torch.float64), t.view(1)
        from_x_0, var = s.q_posterior(one, 0 * one, step)
        from_x_t, _ = s.q_posterior(0 * one, one, step)
        bar, before = float(s.alpha_bar[t]), float(s.alpha_bar[t - 1])
        assert float(from_x_0 + from_x_t * math.sqrt(bar)) == pytest.approx(math.sqrt(before), abs=1e-10)
        assert float(var + from_x_t**2 * (1 - bar)) == pytest.approx(1 - before, abs=1e-10)


QUANTITIES = ["eps", "x_0", "v", "u", "score"]


@pytest.mark.parametrize("source", QUANTITIES)
@pytest.mark.parametrize("target", QUANTITIES)
def test_conversions_agree_with_the_picture_they_came_from(source: str, target: str) -> None:
    s = SCHEDULES["linear"]
    t = torch.tensor([1, 2, 500, 999, 1000])
    x_0, eps = normal(5, 2, 3), normal(5, 2, 3, seed=1)
    x_t = s.q_sample(x_0, t, eps)
    a = s.alpha_bar[t].view(5, 1, 1)
    # log q(x_t | x_0) by torch's own Gaussian, its gradient by autograd
    leaf = x_t.clone().requires_grad_()
    log_q = torch.distributions.Normal(a.sqrt() * x_0, (1 - a).sqrt()).log_prob(leaf).sum()
    (score,) = torch.autograd.grad(log_q, leaf)
    truth = {"x_0": x_0, "eps": eps, "v": a.sqrt() * eps - (1 - a).sqrt() * x_0, "u": x_0 - eps, "score": score}
    got = s.convert(truth[source], x_t, t, source, target)  # type: ignore[arg-type]
    assert torch.allclose(got, truth[target], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_results_are_of_the_datas_kind(dtype: torch.dtype) -> None:
    s, t = SCHEDULES["linear"], torch.tensor([1, 1000])
    x_0, eps = normal(2, 1, 4, 4).to(dtype), normal(2, 1, 4, 4, seed=1).to(dtype)
    x_t = s.q_sample(x_0, t, eps)
    mean, var = s.q_posterior(x_0, x_t, t)
    assert x_t.dtype == mean.dtype == var.dtype == dtype
    assert s.convert(eps, x_t, t, "eps", "v").dtype == dtype
    if dtype in (torch.float32, torch.float64):
        assert torch.allclose(mean.double(), s.q_posterior(x_0.double(), x_t.double(), t)[0], atol=1e-6)


def test_tables_do_not_cancel_where_the_noise_is_tiny() -> None:
    s = Schedule([1e-12] * 3)
    zero, one, t = torch.zeros(3, 1).double(), torch.ones(3, 1).double(), torch.tensor([1, 2, 3])
    variance = s.q_sample(zero, t, one).squeeze() ** 2
    assert torch.allclose(variance, torch.tensor([1e-12, 2e-12, 3e-12], dtype=torch.float64), rtol=1e-9, atol=0)
    tilde = torch.tensor([0.5e-12, 2e-12 / 3], dtype=torch.float64)
    assert torch.allclose(s.beta_tilde[2:], tilde, rtol=1e-9, atol=0)


def test_snr_falls_and_is_signal_over_noise() -> None:
    s = SCHEDULES["cosine"]
    t = torch.arange(1, 1001)
    snr = s.snr(t)
    assert (snr[1:] < snr[:-1]).all()
    x_0 = torch.ones(1000, 1).double()
    signal = s.q_sample(x_0, t, 0 * x_0) ** 2
    noise = s.q_sample(0 * x_0, t, x_0) ** 2
    assert torch.allclose(snr, (signal / noise).squeeze(), rtol=1e-9)


@pytest.mark.parametrize("name", ["short", "by hand", "linear"])
def test_prior_kl_is_the_integral(name: str) -> None:
    s, z = SCHEDULES[name], np.linspace(-12, 12, 40_001)
    x_0 = torch.tensor([[0.7, -1.3]])
    a = float(s.alpha_bar[-1])
    expected = 0.0
    for value in (0.7, -1.3):
        log_q = -((z - math.sqrt(a) * value) ** 2) / (2 * (1 - a)) - 0.5 * math.log(2 * math.pi * (1 - a))
        log_p = -(z**2) / 2 - 0.5 * math.log(2 * math.pi)
        expected += float(np.trapezoid(np.exp(log_q) * (log_q - log_p), z))
    assert float(s.prior_kl(x_0)) == pytest.approx(expected, abs=1e-8)


def test_prior_kl_is_exact_where_hardly_any_signal_is_left() -> None:
    forgotten = Schedule([0.99] * 10)  # ᾱ_T = 1e-20: 1 − ᾱ_T is 1 in float64
    assert forgotten.prior_kl(torch.tensor([[2.0, 0.0]])).tolist() == pytest.approx([0.5e-20 * 4], rel=1e-6)
    assert forgotten.prior_kl(torch.zeros(1, 2)) >= 0


def test_nothing_is_changed_in_place_and_empty_batches_pass() -> None:
    s, x_0, eps, t = SCHEDULES["short"], normal(3, 2), normal(3, 2, seed=1), torch.tensor([1, 4, 7])
    kept = x_0.clone(), eps.clone(), t.clone()
    s.q_posterior(x_0, s.q_sample(x_0, t, eps), t)
    s.convert(eps, x_0, t, "eps", "score")
    assert all(torch.equal(a, b) for a, b in zip(kept, (x_0, eps, t), strict=True))
    none = torch.zeros(0, 2)
    assert s.q_sample(none, torch.zeros(0, dtype=torch.int64), none).shape == (0, 2)


@pytest.mark.parametrize("alpha_bar_T", [1e-16, 1.4e-17, 1e-22, 2e-30])
def test_a_chain_of_few_steps_is_exact_where_hardly_any_signal_is_left(alpha_bar_T: float) -> None:
    """Its β' is 1 − ᾱ_T, which rounds to 1: no number between 0 and 1 any more, and yet √ᾱ_T x_0 is in x_T."""
    s = Schedule([0.5, *[1 - (2 * alpha_bar_T) ** (1 / 4)] * 4])
    assert float(s.alpha_bar[5]) == pytest.approx(alpha_bar_T, rel=1e-9)
    for steps in ([5], [1, 5], [2, 3, 5]):
        chain = s.respaced(steps)
        assert torch.equal(chain.alpha_bar[1:], s.alpha_bar[steps])
        assert torch.equal(chain.one_minus_alpha_bar[1:], s.one_minus_alpha_bar[steps])
        t, one = torch.tensor([chain.T]), torch.ones(1, 1, dtype=torch.float64)
        x_T = chain.q_sample(one, t, 0 * one)
        assert float(x_T) == pytest.approx(math.sqrt(alpha_bar_T), rel=1e-9)
        assert torch.allclose(chain.alpha.cumprod(0), chain.alpha_bar, rtol=1e-9, atol=0)
        assert chain.log_beta[1:].isfinite().all()
        assert chain.respaced([chain.T]).alpha_bar[1] == s.alpha_bar[5]
    assert Schedule.linear(T=10).respaced([10]).beta[1] == 1  # as 0.1.0 refused


def test_respaced_does_not_cancel_where_the_noise_is_tiny() -> None:
    chain = Schedule([1e-12, 2e-12, 3e-12]).respaced([1, 3])
    assert torch.allclose(chain.beta[1:], torch.tensor([1e-12, 5e-12], dtype=torch.float64), rtol=1e-9, atol=0)
    assert (torch.signbit(chain.beta) == 0).all()


def test_its_text_tells_schedules_apart_and_processors_not() -> None:
    cosine = Schedule.cosine(T=1000)
    others = [
        Schedule.cosine(T=999),
        Schedule.cosine(T=1000, s=0.0081),
        Schedule.linear(T=1000),
        Schedule.linear(T=1000, beta_T=0.0201),
        Schedule(cosine.beta[1:].flip(0)),
        Schedule([0.1]),
    ]
    assert len({repr(s) for s in [cosine, *others]}) == 7
    rounded = Schedule(cosine.beta[1:] * (1 + 1e-13))
    assert repr(rounded) == repr(cosine)
    assert repr(Schedule([0.5, 0.5])) == "Schedule(T=2, log-SNR 0, -1.0986 at t = 1, 2)"


def test_copies_stay_behind_when_it_is_pickled_or_copied() -> None:
    s, t = Schedule.cosine(T=5), torch.tensor([1, 5])
    x_t = s.q_sample(torch.ones(2, 1), t, torch.ones(2, 1))
    for other in (pickle.loads(pickle.dumps(s)), copy.deepcopy(s)):
        assert not other._copies
        assert torch.equal(other.q_sample(torch.ones(2, 1), t, torch.ones(2, 1)), x_t)


def calls(s: Schedule, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
    values = (s.q_sample(x, t, y), *s.q_posterior(x, y, t), s.convert(x, y, t, "v", "score"))
    return *values, s.snr(t), s.prior_kl(x)


def test_one_example_at_a_time_under_vmap() -> None:
    s, x, t, y = Schedule.cosine(T=9), normal(5, 3).float(), torch.tensor([1, 2, 5, 8, 9]), normal(5, 3, seed=1).float()
    rows = torch.func.vmap(lambda *row: [out[0] for out in calls(s, *(v[None] for v in row))])(x, t, y)  # type: ignore
    for got, expected in zip(rows, calls(s, x, t, y), strict=True):
        assert torch.allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_it_compiles_whole(backend: str) -> None:
    s, x, t, y = Schedule.cosine(T=9), normal(5, 3).float(), torch.tensor([1, 2, 5, 8, 9]), normal(5, 3, seed=1).float()
    torch._dynamo.reset()
    compiled = torch.compile(calls, fullgraph=True, backend=backend)
    for _ in range(2):  # with no copies, and with those that were made outside
        for got, expected in zip(compiled(s, x, t, y), calls(Schedule.cosine(T=9), x, t, y), strict=True):
            assert torch.allclose(got, expected, rtol=1e-6)
        s.q_sample(x, t, y)


class Noiser(torch.nn.Module):
    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule

    def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return calls(self.schedule, x, t, y)


def test_no_tensor_of_a_graph_or_a_transform_stays_in_it() -> None:
    """Whoever comes first must not leave a tensor behind that means nothing outside."""
    x, t, y = normal(2, 3).float(), torch.tensor([1, 9]), normal(2, 3, seed=1).float()

    def transforms(s: Schedule) -> None:
        torch.func.jacrev(lambda x: s.q_sample(x[None], t[:1], y[:1])[0])(x[0])
        torch.func.vmap(torch.func.grad(lambda x, t: s.q_sample(x[None], t[None], y[:1]).sum()))(x, t)
        torch.func.jvp(lambda x: s.q_posterior(x, y, t)[0], (x,), (y,))

    users: list[Callable[[Schedule], Any]] = [
        lambda s: torch.compile(calls, fullgraph=True, backend="aot_eager")(s, x, t, y),
        lambda s: torch.export.export(Noiser(s), (x, t, y)),
        lambda s: torch.export.export(Noiser(s), (x, t, y), strict=True),
        transforms,
    ]
    for use in users:
        s = Schedule.cosine(T=9)
        torch._dynamo.reset()
        use(s)
        for copied in s._copies.values():
            assert type(copied) is torch.Tensor
            assert not torch._C._functorch.is_functorch_wrapped_tensor(copied)  # type: ignore
        assert torch.equal(s.q_sample(x, t, y), Schedule.cosine(T=9).q_sample(x, t, y))


def test_it_works_where_there_is_no_float64() -> None:
    s, t, x_0 = SCHEDULES["linear"], torch.tensor([1, 1000]), normal(2, 3).float()
    there = x_0.as_subclass(NoFloat64)
    with pytest.raises(TypeError, match="no float64"):
        there.double()
    assert torch.equal(s.prior_kl(there), s.prior_kl(x_0))
    assert torch.equal(s.q_sample(there, t, there).cpu(), s.q_sample(x_0, t, x_0))


ANY: Any = Schedule  # so that wrong types can be handed over on purpose
X = torch.zeros(2, 3)
STEPS = torch.tensor([1, 2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.q_sample(X, torch.tensor([0, 1]), X), r"t: .*1, 7.*got .*0\.\.1"),
        (lambda s: s.q_sample(X, torch.tensor([1, 8]), X), r"t: .*1, 7"),
        (lambda s: s.q_sample(X, torch.tensor([1.0, 2.0]), X), "t: .*got float32"),
        (lambda s: s.q_sample(X, STEPS.int(), X), "t: .*int64.*got int32"),
        (lambda s: s.q_sample(X, torch.tensor([1]), X), r"t: .*shape \(2,\)"),
        (lambda s: s.q_sample(X, 3, X), "t: expected .*got 3"),
        (lambda s: s.q_sample(X, STEPS, X[:1]), r"eps: .*\(2, 3\).*got .*\(1, 3\)"),
        (lambda s: s.q_sample(X, STEPS, X.double()), "eps: .*float32 .*got float64"),
        (lambda s: s.q_sample(X.long(), STEPS, X), "x_0: .*got int64"),
        (lambda s: s.q_sample(X, STEPS, X * math.nan), "eps: .*NaN"),
        (lambda s: s.q_sample(X.numpy(), STEPS, X), "x_0: .*got ndarray"),
        (lambda s: s.q_posterior(X, X[:, :2], STEPS), "x_t: .*2, 3"),
        (lambda s: s.convert(X, X, STEPS, "noise", "x_0"), "source: expected one of 'eps'"),
        (lambda s: s.convert(X, X, STEPS, "eps", "x0"), "target: .*Did you mean 'x_0'"),
        (lambda s: s.snr(torch.tensor([0])), "t: "),
        (lambda s: ANY([]), "beta: .*got none"),
        (lambda s: ANY([0.1, 1.0]), r"beta: .*got \[0.1, 1.0\]"),
        (lambda s: ANY([0.0]), r"beta: .*got \[0.0\]"),
        (lambda s: ANY([0.1, math.nan]), r"beta: .*got \[0.1, nan\]"),
        (lambda s: ANY([[0.1]]), r"beta: .*got \[\[0.1\]\]"),
        (lambda s: ANY("linear"), "beta: .*got 'linear'"),
        (lambda s: ANY.linear(T=0), "T: .*got 0"),
        (lambda s: ANY.linear(T=10.5), "T: .*got 10.5"),
        (lambda s: ANY.linear(beta_1=0), "beta_1: "),
        (lambda s: ANY.linear(beta_T=1), "beta_T: "),
        (lambda s: ANY.linear(beta_T="0.02"), "beta_T: .*got '0.02'"),
        (lambda s: ANY.cosine(s=-1), "s: "),
        (lambda s: ANY.cosine(T=True), "T: "),
        (lambda s: ANY.cosine(T=10**12), "T: "),
        (lambda s: ANY([0.5, *[1e-10] * 3]).respaced([2, 1]), "steps: .*upwards"),
        (lambda s: ANY([0.9999] * 8), "beta: expected ᾱ_T"),
        (lambda s: s.visited("3"), "steps: "),
        (lambda s: s.visited(8), r"steps: .*1, 7.*got 8"),
        (lambda s: s.quadratic_steps(0), "n: .*got 0"),
        (lambda s: s.q_sample(X.to_sparse(), STEPS, X), "x_0: .*sparse"),
        (lambda s: s.q_sample(X, STEPS, X.to(torch.float8_e4m3fn)), "eps: .*float8"),
        (lambda s: s.q_sample(X.to(torch.complex64), STEPS, X), "x_0: .*complex64"),
        (lambda s: s.q_sample(X, STEPS.to("meta"), X), "t: .*on meta|t: .*on cpu"),
        (lambda s: s.prior_kl(X.to_sparse()), "x_0: .*sparse"),
    ],
)
def test_refuses(call: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(SCHEDULES["short"])


def test_karras_is_that_of_edm() -> None:
    """The 18 levels of the paper's experiments, straight in σ^(1/7)."""
    schedule = Schedule.karras(T=18)
    assert schedule.sigma[1:].flip(0)[:4].tolist() == pytest.approx([80.0, 57.586, 40.786, 28.375], abs=1e-3)
    assert schedule.sigma[1:].flip(0)[-1].item() == pytest.approx(0.002, rel=1e-12)
    assert (schedule.sigma[1:] ** (1 / 7)).diff().numpy() == pytest.approx((80 ** (1 / 7) - 0.002 ** (1 / 7)) / 17)
    assert (1 / schedule.alpha_bar - 1).sqrt()[1:].numpy() == pytest.approx(schedule.sigma[1:].numpy(), rel=1e-6)
    assert Schedule.karras(T=1).sigma[1].item() == pytest.approx(80)
    for wrong in ((1.0, 1.0), (2.0, 1.0), (1.0, 1e16)):
        with pytest.raises(ValueError, match="sigma_max"):
            Schedule.karras(10, *wrong)


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_zero_terminal_leaves_no_signal_and_moves_all_roots_alike(name: str) -> None:
    before = getattr(Schedule, name)(T=50)
    after = before.zero_terminal()
    assert after.alpha_bar[-1] == 0
    assert after.beta[-1] == 1
    assert after.prior_kl(torch.randn(3, 2)).tolist() == [0, 0, 0]
    assert after.alpha_bar[1].item() == pytest.approx(before.alpha_bar[1].item(), rel=1e-12)
    roots, old = after.alpha_bar.sqrt()[1:], before.alpha_bar.sqrt()[1:]
    assert (roots.diff() / old.diff()).numpy() == pytest.approx(float(roots[0] / (old[0] - old[-1])), rel=1e-5)
    assert after.respaced([10, 50]).alpha_bar[-1] == 0
    x_0, eps = torch.randn(2, 4, 3, dtype=torch.float64)
    t = torch.tensor([1, 20, 49, 50])
    x_t = after.q_sample(x_0, t, eps)
    assert torch.equal(x_t[3], eps[3])
    v = after.convert(x_0, x_t, t, "x_0", "v")
    assert torch.allclose(after.convert(v, x_t, t, "v", "x_0"), x_0)
    with pytest.raises(ValueError, match="at least 2 steps"):
        Schedule.linear(T=1).zero_terminal()


def test_flow_matching_is_the_straight_line_and_ddim_its_euler() -> None:
    """In z_s = (1 − s) x_0 + s ε, from s = 1 to 0, with the mixture's own velocity by quadrature over x_0.
    Lecture 05b (28), (30)."""
    p, schedule = data.GaussianMixture([[-0.5], [1.0]], [[[0.05]], [[0.04]]], [0.6, 0.4]), Schedule.straight(T=40)
    grid = torch.linspace(-2.5, 2.5, 4001, dtype=torch.float64)
    log_p = p.log_prob(grid[:, None])

    def velocity(z: torch.Tensor, s: float) -> torch.Tensor:
        """E[x_0 − ε | z_s], for z (B, 1)."""
        eps = (z - (1 - s) * grid) / s
        return ((log_p - eps.square() / 2).softmax(1) * (grid - eps)).sum(1, keepdim=True)

    def best(x_t: torch.Tensor, t: torch.Tensor, label: None) -> torch.Tensor:
        s = float(t[0]) / 40
        return velocity(x_t * math.hypot(1 - s, s), s)

    z = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    found = list(diffusion.ddim(diffusion.DDPM(best, schedule, predict="u"), (9, 1), steps=8, x_T=z))  # type: ignore[arg-type]
    for i, x in enumerate(found):
        s = 1 - i / 8
        assert torch.allclose(x * math.hypot(1 - s, s), z, atol=1e-9)
        z = z + velocity(z, s) / 8 if i < 8 else z
    x_0, eps = torch.randn(2, 5, 3, dtype=torch.float64)
    t = torch.tensor([1, 7, 20, 39, 40])
    x_t, s = schedule.q_sample(x_0, t, eps), (t / 40).double()[:, None]
    assert torch.allclose(x_t * torch.hypot(1 - s, s), (1 - s) * x_0 + s * eps)
    assert torch.allclose(schedule.convert(x_0 - eps, x_t, t, "u", "x_0"), x_0)
    assert torch.allclose(schedule.convert(x_0 - eps, x_t, t, "u", "eps"), eps)
    assert torch.allclose(schedule.convert(x_0, x_t, t, "x_0", "u"), x_0 - eps)
