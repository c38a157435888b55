"""The terms of the bound against quadrature and torch's own distributions; that rare cases stay finite."""

import itertools
import math
from typing import Any

import pytest
import torch
from no_float64 import NoFloat64
from torch.distributions import Normal, kl_divergence

from genlib.data import GaussianMixture, digits
from genlib.diffusion import DDPM, MLP, Bound, Schedule, UNet, vlb
from genlib.diffusion.bound import discretised_nll, gaussian_kl, gaussian_nll, on_grid, step_term

LINEAR = Schedule.linear(T=10)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def knows(x_0: torch.Tensor, schedule: Schedule = LINEAR, **arguments: Any) -> DDPM:
    """A model that knows the answer, which is the same for every example."""
    return DDPM(lambda x_t, t, label: x_0.expand_as(x_t).to(x_t), schedule, predict="x_0", **arguments)


def test_kl_and_nll_are_those_of_torch() -> None:
    a, b, c, d = normal(4, 50)
    one, two = Normal(a, torch.exp(c / 2)), Normal(b, torch.exp(d / 2))
    assert torch.allclose(gaussian_kl(a, c, b, d), kl_divergence(one, two), atol=1e-12)
    assert torch.allclose(gaussian_nll(b, a, c), -one.log_prob(b), atol=1e-12)


def test_kl_of_nearly_equal_gaussians_is_precise_in_float32() -> None:
    """½ (r² / 2) for a log-ratio r, where log r + 1/r − 1 would cancel."""
    r = torch.tensor([1e-2, 1e-3])
    zero = torch.zeros(2)
    assert torch.allclose(gaussian_kl(zero, r, zero, zero), r**2 / 4, rtol=0.01)


@pytest.mark.parametrize("levels", [2, 3, 17, 256])
@pytest.mark.parametrize(
    ("mean", "sigma"), [(0.0, 0.1), (0.03, 1e-3), (-1.0, 0.02), (1.7, 0.3), (-40.0, 1.0), (0.2, 50.0)]
)
def test_the_decoders_masses_sum_to_one(levels: int, mean: float, sigma: float) -> None:
    x = torch.linspace(-1, 1, levels, dtype=torch.float64)
    nll = discretised_nll(x, torch.full_like(x, mean), torch.full_like(x, 2 * math.log(sigma)), levels)
    assert nll.isfinite().all()
    assert float(torch.exp(-nll).sum()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("mean", "sigma"), [(0.0, 0.1), (-0.9, 0.004), (3.0, 0.05), (-2.5, 0.1)])
def test_the_decoders_mass_by_quadrature(mean: float, sigma: float) -> None:
    """A density integrated over the bin, in the logarithm: far out in the tails, on both sides."""
    x = torch.linspace(-1, 1, 17, dtype=torch.float64)
    nll = discretised_nll(x, torch.full_like(x, mean), torch.full_like(x, 2 * math.log(sigma)), 17)
    n = 200_001
    for centre, got in zip(x[1:-1].tolist(), nll[1:-1].tolist(), strict=True):
        grid = torch.linspace(centre - 1 / 16, centre + 1 / 16, n, dtype=torch.float64)
        weight = torch.full((n,), math.log(0.125 / (n - 1)), dtype=torch.float64)
        weight[[0, -1]] -= math.log(2)
        exact = torch.logsumexp(Normal(mean, sigma).log_prob(grid) + weight, 0)
        assert -got == pytest.approx(float(exact), rel=1e-6, abs=1e-6)


def test_the_decoder_is_symmetric() -> None:
    x, mean, log_var = torch.linspace(-1, 1, 17, dtype=torch.float64), normal(17), normal(17, seed=1) - 3
    assert torch.allclose(discretised_nll(x, mean, log_var, 17), discretised_nll(-x, -mean, log_var, 17), rtol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_decoders_gradient_is_finite_at_the_ends_and_in_the_tails(dtype: torch.dtype) -> None:
    x = torch.tensor([-1.0, 1, 0, 0, 0, -1, 1], dtype=dtype)
    mean = torch.tensor([5.0, -5, 9, -9, 0, -1, 1], dtype=dtype, requires_grad=True)
    log_var = torch.tensor([-8.0, -8, -9, -9, 8, 8, -20], dtype=dtype, requires_grad=True)
    for value in torch.autograd.grad(discretised_nll(x, mean, log_var, 256).sum(), (mean, log_var)):
        assert value.isfinite().all()
    if dtype == torch.float64:
        assert torch.autograd.gradcheck(
            lambda m, v: discretised_nll(x.double(), m, v, 17),
            (mean.detach().requires_grad_(), log_var * 0.1),
            atol=1e-5,
        )


@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_every_term_for_a_model_that_knows_x_0(variance: str) -> None:
    """The means agree, so L_t is the KL between two variances alone, and 0 for β̃."""
    x_0 = torch.tensor([[0.3, -0.7, 0.1]], dtype=torch.float64)
    bound = vlb(knows(x_0, variance=variance), x_0.expand(5, 3), generator=generator()).nats()
    beta, tilde = LINEAR.beta[2:], LINEAR.beta_tilde[2:]
    L_t = 3 * 0.5 * (torch.log(beta / tilde) + tilde / beta - 1) if variance == "beta" else torch.zeros(9)
    assert torch.allclose(bound.L_t, L_t.double().expand(5, 9), atol=1e-12)
    var_1 = float(LINEAR.beta[1] if variance == "beta" else LINEAR.beta_tilde[2])  # β̃_2 stands in for β̃_1 = 0
    assert torch.allclose(bound.L_0, torch.full((5,), 1.5 * math.log(2 * math.pi * var_1)).double(), atol=1e-12)
    assert bound.t.tolist() == list(range(2, 11))


def test_bits_per_dimension_and_nats() -> None:
    x_0 = normal(4, 3).clamp(-1, 1)
    bound = vlb(knows(torch.zeros(1, 3)), x_0, generator=generator())
    nats = bound.nats()
    assert torch.allclose(nats.total, bound.total * 3 * math.log(2), atol=1e-12)
    assert torch.allclose(nats.L_T, LINEAR.prior_kl(x_0), atol=1e-12)
    assert torch.allclose(nats.total, nats.L_T + nats.L_t.sum(1) + nats.L_0, atol=1e-12)
    assert bound.total.shape == bound.L_T.shape == bound.L_0.shape == (4,)
    assert bound.L_t.shape == (4, 9)


def test_digits_cost_fewer_bits_than_uniform_ones_for_a_model_that_knows_them() -> None:
    """And for one that guesses grey, more than log2(17) = 4.09."""
    x, _ = digits("test")
    s = Schedule.linear(T=50)
    known = vlb(
        knows(x[:1], s, levels=17, variance="beta_tilde"), x[:1].expand(8, 1, 8, 8), generator=generator()
    ).total
    grey = vlb(knows(torch.zeros(1, 1, 8, 8), s, levels=17), x[:8], generator=generator()).total
    assert (known < 0.6).all()
    assert (grey > math.log2(17)).all()


@pytest.mark.parametrize("levels", [17, 256])
def test_the_decoders_bin_is_that_of_the_levels(levels: int) -> None:
    """L_0 of a model that knows x_0 = 0-ish, from the normal distribution's own cdf."""
    s = Schedule([0.001, 0.002])
    x = torch.full((1, 1, 2, 2), (levels // 2) / (levels - 1) * 2 - 1, dtype=torch.float64)
    got = vlb(knows(x, s, levels=levels), x, generator=generator()).nats().L_0
    cdf = Normal(torch.tensor(0.0, dtype=torch.float64), math.sqrt(0.001)).cdf
    delta = torch.tensor(1 / (levels - 1), dtype=torch.float64)
    assert float(got) == pytest.approx(-4 * math.log(float(cdf(delta) - cdf(-delta))), rel=1e-9)


def test_some_of_the_steps_estimate_the_same_total() -> None:
    p = GaussianMixture.ring(n=3)
    s = Schedule.cosine(T=30)
    model = DDPM(lambda x_t, t, label: p.optimal_eps(x_t, t, s), s)
    x_0 = p.sample(1, generator=generator()).double().expand(20_000, 2)
    every = vlb(model, x_0, generator=generator(1), batch_size=100_000).total
    seen = set()
    means = []
    for seed in range(20):
        some = vlb(model, x_0[:2000], steps=4, generator=generator(seed), batch_size=100_000)
        assert some.L_t.shape == (2000, 4)
        assert len(set(some.t.tolist())) == 4
        seen |= set(some.t.tolist())
        means.append(some.total.mean())
    assert seen <= set(range(2, 31))
    assert len(seen) > 20
    estimates = torch.stack(means)
    error = math.sqrt(float(estimates.var()) / 20 + float(every.var()) / len(every))
    assert abs(float(estimates.mean() - every.mean())) < 4 * error


def test_each_step_is_as_likely_as_any_other_to_be_evaluated() -> None:
    from genlib.diffusion.bound import _between

    counts = torch.zeros(12)
    for seed in range(3000):
        counts[_between(11, 3, generator(seed))] += 1
    assert (counts[:2] == 0).all()
    share = counts[2:] / 3000
    assert (share - 0.3).abs().max() < 4 * math.sqrt(0.3 * 0.7 / 3000)


def test_batches_may_cut_anywhere() -> None:
    seen = []

    def net(x_t: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        assert label is not None
        seen.extend(zip(t.tolist(), label.tolist(), strict=True))
        return torch.zeros_like(x_t)

    vlb(DDPM(net, LINEAR), torch.zeros(3, 2), torch.tensor([5, 6, 7]), batch_size=4)
    assert sorted(seen) == list(itertools.product(range(1, 11), (5, 6, 7)))


def test_terms_land_in_their_own_row_and_column() -> None:
    """Examples of very different size, a model that says 0: L_t grows with x_0², and at each t by a known factor."""
    x_0 = torch.tensor([[0.0], [1e3], [2e3]], dtype=torch.float64)
    bound = vlb(knows(torch.zeros(1, 1)), x_0, batch_size=2, generator=generator()).nats()
    weight = LINEAR.posterior_x_0[2:]
    expected = 0.5 * (weight * x_0) ** 2 / LINEAR.beta[2:]
    assert torch.allclose(bound.L_t[1:], expected[1:], rtol=1e-3)


def test_one_step_has_no_term_between() -> None:
    s = Schedule([0.9])
    bound = vlb(knows(torch.zeros(1, 2), s), torch.zeros(4, 2))
    assert bound.L_t.shape == (4, 0)
    assert torch.allclose(bound.total, bound.L_T + bound.L_0)


def test_empty_batch() -> None:
    bound = vlb(knows(torch.zeros(1, 2)), torch.zeros(0, 2))
    assert bound.total.shape == (0,)
    assert bound.L_t.shape == (0, 9)


def test_single_and_double_precision_agree() -> None:
    """The same noise, drawn in double precision: a net of random weights, seen by both."""

    class Rounded(torch.nn.Module):
        """A float32 net behind a float64 door, which shows none of its weights."""

        def __init__(self, net: torch.nn.Module) -> None:
            super().__init__()
            self.inner = [net]

        def forward(self, x_t: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
            return self.inner[0](x_t.float(), t, label).double()

    x = digits("test").x[:2].double()
    for net, data in ((UNet(width=8, mults=(1, 2)), x), (MLP(64, 16), x.flatten(1))):
        with torch.no_grad():
            net.last.weight.normal_(0, 0.1, generator=generator(1))
        single = vlb(DDPM(Rounded(net), LINEAR, "v", levels=17), data, generator=generator(3))
        double = vlb(DDPM(net.double(), LINEAR, "v", levels=17), data, generator=generator(3))
        assert isinstance(single, Bound)
        assert torch.allclose(single.L_t, double.L_t, rtol=1e-4, atol=1e-6)
        assert torch.allclose(single.L_0, double.L_0, rtol=1e-4)
        assert vlb(DDPM(net.float(), LINEAR, "v", levels=17), data.float()).total.dtype == torch.float64


def test_no_gradient_and_modes_restored() -> None:
    model = DDPM(MLP(2, 8), LINEAR)
    model.net.blocks[0].eval()
    before = [part.training for part in model.modules()]
    assert not vlb(model, torch.zeros(3, 2)).total.requires_grad
    assert [part.training for part in model.modules()] == before


def test_step_term_takes_each_examples_own_step() -> None:
    x_0, x_t, mean = normal(3, 2), normal(3, 2, seed=1), normal(3, 2, seed=2)
    t, log_var = torch.tensor([1, 5, 10]), torch.full((3, 1), -2.0, dtype=torch.float64)
    got = step_term(LINEAR, x_0, x_t, t, mean, log_var, None)
    p = Normal(mean, math.exp(-1))
    q_mean, q_var = LINEAR.q_posterior(x_0, x_t, t)
    q = Normal(q_mean, q_var.clamp(min=1e-9).sqrt())
    expected = torch.where(t == 1, -p.log_prob(x_0).sum(1), kl_divergence(q, p).sum(1))
    assert torch.allclose(got, expected, atol=1e-10)


@pytest.mark.parametrize(("dtype", "levels"), [(torch.bfloat16, 17), (torch.float16, 17), (torch.bfloat16, 256)])
def test_pictures_in_half_precision(dtype: torch.dtype, levels: int) -> None:
    """Where rounding has moved them off the grid, they are what was meant: the bound is near that in float32."""
    x = torch.randint(levels, (4, 1, 8, 8), generator=generator()) / ((levels - 1) / 2) - 1
    s = Schedule([0.01, 0.1, 0.5])

    class Shrinks(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(0.5))

        def forward(self, x_t: torch.Tensor, t: torch.Tensor, label: None) -> torch.Tensor:
            return self.scale * x_t

    half, single = (
        vlb(DDPM(Shrinks().to(kind), s, "x_0", levels=levels), x.to(kind), generator=generator(1)).total
        for kind in (dtype, torch.float32)
    )
    assert half.dtype == torch.float64
    assert torch.allclose(half.mean(), single.mean(), rtol=0.15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("levels", [2, 17, 64])
def test_the_grid_is_found_again_whatever_the_rounding(dtype: torch.dtype, levels: int) -> None:
    exact = torch.linspace(-1, 1, levels, dtype=torch.float64)
    assert torch.allclose(on_grid("x", exact.to(dtype), levels), exact, atol=1e-12)
    with pytest.raises(ValueError, match="x: expected values on the grid"):
        on_grid("x", (exact + 0.5 / (levels - 1)).to(dtype), levels)


def test_some_steps_by_name() -> None:
    x_0 = normal(3, 2)
    all_of_them = vlb(knows(torch.zeros(1, 2)), x_0, generator=generator())
    some = vlb(knows(torch.zeros(1, 2)), x_0, steps=[2, 7], generator=generator())
    assert some.t.tolist() == [2, 7]
    assert some.L_t.shape == (3, 2)
    assert torch.allclose(some.L_0, all_of_them.L_0)  # t = 1 is drawn first, in both
    assert torch.allclose(some.total, some.L_T + some.L_t.sum(1) * 9 / 2 + some.L_0)


@pytest.mark.parametrize("variance", ["beta", "learned"])
def test_it_works_where_there_is_no_float64(variance: Any) -> None:
    x_0 = normal(3, 2).float()
    model = DDPM(MLP(2, 8, learned_variance=variance == "learned"), LINEAR, "v", variance)
    there, here = (vlb(model, x, generator=generator()) for x in (x_0.as_subclass(NoFloat64), x_0))
    assert type(there.total) is torch.Tensor
    assert torch.equal(there.total, here.total)


def test_no_dimensions_no_bits() -> None:
    assert (vlb(DDPM(lambda x_t, t, label: x_t, LINEAR), torch.zeros(2, 0)).total == 0).all()


@pytest.mark.parametrize(
    ("x_0", "arguments", "message"),
    [
        (torch.zeros(2, 1, 8, 8), {}, "levels: expected the grey levels"),
        (torch.full((2, 1, 8, 8), 0.3), {"levels": 17}, "x_0: expected values on the grid of 17 levels"),
        (torch.full((2, 1, 8, 8), 2.0), {"levels": 17}, "x_0: expected values on the grid"),
        (torch.zeros(2, 1, 8, 8), {"levels": 1}, "levels"),
        (torch.full((2, 2), float("nan")), {}, "x_0: .*NaN"),
        (torch.zeros(2, 2, dtype=torch.int64), {}, "x_0: .*got int64"),
        (torch.zeros(2), {}, "x_0"),
        (torch.zeros(2, 2), {"steps": 10}, "steps: .*1, 9.*got 10"),
        (torch.zeros(2, 2), {"steps": 0}, "steps"),
        (torch.zeros(2, 2), {"steps": [1, 2]}, r"steps: .*2, 10.*got"),
        (torch.zeros(2, 2), {"steps": [3, 3]}, "steps: expected different ones"),
        (torch.zeros(2, 2), {"steps": []}, "steps: expected different ones"),
        (torch.zeros(2, 2), {"batch_size": 10**12}, "batch_size"),
        (torch.zeros(2, 2), {"generator": 0}, "generator"),
        (torch.zeros(2, 2), {"batch_size": 0}, "batch_size"),
        (torch.zeros(2, 2), {"label": torch.zeros(3, dtype=torch.int64)}, "label"),
        (torch.zeros(2, 2), {"label": torch.zeros(2)}, "label"),
    ],
)
def test_wrong_arguments(x_0: torch.Tensor, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vlb(knows(torch.zeros(1)), x_0, **arguments)
