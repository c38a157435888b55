"""Each identity of lectures 04 and 04b, in float64: against simulation, quadrature, Bayes on a grid, or autograd."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from genlib.data import GaussianMixture
from genlib.diffusion import DDPM, Schedule, ancestral, ddim, last, vlb
from genlib.diffusion.bound import step_term

S = Schedule([0.02, 0.1, 0.3, 0.25, 0.6])  # no two steps alike
# The mixture of the lecture, and the chain in which its bound is computed: T = 50, σ_t² = β_t.
MIXTURE = GaussianMixture([[-0.5], [1.0]], [[[0.01]], [[0.0025]]], [0.9, 0.1])
CHAIN = Schedule(torch.linspace(1e-3, 0.3, 50, dtype=torch.float64))  # type: ignore


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def known(p: GaussianMixture, s: Schedule, **arguments: Any) -> DDPM:
    """The model with the best denoiser there is."""
    return DDPM(lambda x_t, t, label: p.optimal_eps(x_t, t, s), s, **arguments)


def points(low: float, high: float, n: int) -> tuple[Tensor, float]:
    """A grid (n, 1) and its spacing. The trapezoid rule on it is precise to rounding for densities that end inside."""
    return torch.linspace(low, high, n, dtype=torch.float64)[:, None], (high - low) / (n - 1)


def density(x: Tensor, mean: Tensor | float, var: Tensor | float) -> Tensor:
    return Normal(mean, torch.as_tensor(var, dtype=torch.float64).sqrt()).log_prob(x).exp()


def step(t: int, n: int = 1) -> Tensor:
    return torch.full((n,), t)


# The forward chain


def test_chain_equals_closed_form_by_composing_gaussians() -> None:  # lecture 04 (1), (2), (5)
    """q(x_t | x_0): mean and variance carried through x_t = √(1 − β_t) x_{t−1} + √β_t z, one step at a time."""
    x_0 = normal(4, 3)
    mean, var = x_0, 0.0
    for t in range(1, S.T + 1):
        beta = float(S.beta[t])
        mean, var = math.sqrt(1 - beta) * mean, (1 - beta) * var + beta
        assert torch.allclose(S.q_sample(x_0, step(t, 4), torch.zeros_like(x_0)), mean, atol=1e-12)
        spread = S.q_sample(torch.zeros_like(x_0), step(t, 4), torch.ones_like(x_0))
        assert torch.allclose(spread**2, torch.full_like(spread, var), atol=1e-12)


def test_chain_equals_closed_form_by_simulation() -> None:  # lecture 04 (5)
    """A hundred thousand chains from the lecture's mixture, against the density that the closed form gives x_t."""
    x = MIXTURE.sample(100_000, generator=generator()).double()
    z = normal(S.T, 100_000, 1, seed=1)
    for t in range(1, S.T + 1):
        x = (1 - S.beta[t]).sqrt() * x + S.beta[t].sqrt() * z[t - 1]
    q = MIXTURE.noised(float(S.alpha_bar[S.T]))
    grid, h = points(-6, 6, 4001)
    cdf = (q.log_prob(grid).exp() * h).cumsum(0)
    empirical = torch.searchsorted(x[:, 0].sort().values, grid[:, 0]) / len(x)
    assert (empirical - cdf).abs().max() < 1.63 / math.sqrt(len(x)) + 1e-3  # Kolmogorov–Smirnov at 1 %


def test_sum_of_two_noises_is_one_noise() -> None:  # lecture 04 (4)
    """√α_2 √β_1 z_1 + √β_2 z_2 has the variance 1 − ᾱ_2, not the square of the sum of deviations (erratum 18)."""
    z_1, z_2 = normal(2, 1_000_000)
    merged = S.alpha[2].sqrt() * S.beta[1].sqrt() * z_1 + S.beta[2].sqrt() * z_2
    exact = float(1 - S.alpha_bar[2])
    assert float(merged.var()) == pytest.approx(exact, rel=5e-3)
    assert float((S.alpha[2].sqrt() * S.beta[1].sqrt() + S.beta[2].sqrt()) ** 2) > 1.5 * exact


def test_shrinking_keeps_the_variance_and_adding_alone_does_not() -> None:  # lecture 04 (1), (3)
    """Erratum 14: with √(1 − β) variance 1 stays 1; without, it grows by Σβ; with Σβ finite x_0 is not forgotten."""
    kept, grown = 1.0, 1.0
    for beta in S.beta[1:].tolist():
        kept, grown = (1 - beta) * kept + beta, grown + beta
    assert kept == pytest.approx(1, abs=1e-12)
    assert grown == pytest.approx(1 + float(S.beta.sum()))
    halving = Schedule([2.0**-t for t in range(1, 41)])
    assert float(halving.alpha_bar[-1]) == pytest.approx(0.289, abs=5e-4)


def test_prior_kl_equals_quadrature() -> None:  # lecture 04 (7)
    """L_T = ∫ q(x_T | x_0) log q(x_T | x_0)/N(x_T; 0, 1)."""
    grid, h = points(-12, 12, 4001)
    for x_0 in (-1.0, 0.0, 0.3, 2.0):
        bar = float(S.alpha_bar[S.T])
        q = density(grid, math.sqrt(bar) * x_0, 1 - bar)
        integral = float((q * (q / density(grid, 0.0, 1.0)).clamp(min=1e-300).log()).sum()) * h
        assert float(S.prior_kl(torch.tensor([[x_0]], dtype=torch.float64))) == pytest.approx(integral, abs=1e-10)


# One step back


def test_posterior_equals_bayes_on_a_grid() -> None:  # lecture 04 (11)
    """q(x_{t−1} | x_t, x_0) ∝ q(x_t | x_{t−1}) q(x_{t−1} | x_0): the whole density, not just its moments."""
    grid, h = points(-8, 8, 40_001)
    for t in range(2, S.T + 1):
        x_0, x_t = normal(2, 1, 1, seed=t)
        beta, bar = float(S.beta[t]), float(S.alpha_bar[t - 1])
        product = density(x_t, math.sqrt(1 - beta) * grid, beta) * density(grid, math.sqrt(bar) * x_0, 1 - bar)
        mean, var = S.q_posterior(x_0, x_t, step(t))
        assert torch.allclose(product / (product.sum() * h), density(grid, mean, var), atol=1e-9)


def test_bayes_holds_between_the_three_kernels() -> None:  # lecture 04 (11)
    """log q(x_t | x_{t−1}) + log q(x_{t−1} | x_0) = log q(x_{t−1} | x_t, x_0) + log q(x_t | x_0), at any point."""

    def log_q(x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        return Normal(mean, var.sqrt()).log_prob(x)

    x_0, before, x_t = normal(3, 100, 2)
    for t in range(2, S.T + 1):
        left = log_q(x_t, S.alpha[t].sqrt() * before, S.beta[t])
        left += log_q(before, S.alpha_bar[t - 1].sqrt() * x_0, 1 - S.alpha_bar[t - 1])
        mean, var = S.q_posterior(x_0, x_t, step(t, 100))
        right = log_q(before, mean, var) + log_q(x_t, S.alpha_bar[t].sqrt() * x_0, 1 - S.alpha_bar[t])
        assert torch.allclose(left, right, atol=1e-10)


def test_the_true_reverse_step_is_no_gaussian_unless_beta_is_small() -> None:  # lecture 04 (8), (9)
    """Erratum 30: the total variation between q(x_{t−1} | x_t) and the Gaussian of its moments, small β and large."""
    grid, h = points(-4, 4, 8001)
    x_t = 0.1

    def distance(alpha_bar: float, beta: float) -> float:
        before = MIXTURE.noised(alpha_bar).log_prob(grid).exp()
        p = before * density(torch.tensor(x_t).double(), math.sqrt(1 - beta) * grid[:, 0], beta)
        p = p / (p.sum() * h)
        mean = float((p * grid[:, 0]).sum()) * h
        var = float((p * (grid[:, 0] - mean) ** 2).sum()) * h
        return 0.5 * float((p - density(grid[:, 0], mean, var)).abs().sum()) * h

    assert distance(0.9, 1e-3) < 0.02 < 0.2 < distance(0.9, 0.5)


def test_mean_in_terms_of_eps() -> None:  # lecture 04 (10), (12)
    """μ = (x_t − β_t/√(1 − ᾱ_t) ε)/√α_t, Ho et al. eq. 11, from the posterior at the x_0 that ε gives."""
    x_t, eps = normal(2, 5, 3)
    for t in range(1, S.T + 1):
        model = DDPM(lambda *_: eps, S)
        mean, _ = model.reverse(x_t, step(t, 5))
        expected = (x_t - S.beta[t] / (1 - S.alpha_bar[t]).sqrt() * eps) / S.alpha[t].sqrt()
        assert torch.allclose(mean, expected, atol=1e-12)


# Four ways to say the same


@pytest.mark.parametrize("source", ["eps", "x_0", "v", "score"])
@pytest.mark.parametrize("target", ["eps", "x_0", "v", "score"])
def test_round_trips(source: str, target: str) -> None:  # lecture 04 (12), (13), (14)
    x_0, eps = normal(2, 5, 3)
    t = torch.arange(1, 6)
    x_t = S.q_sample(x_0, t, eps)
    a = S.alpha_bar[t][:, None]
    truth = {"eps": eps, "x_0": x_0, "v": a.sqrt() * eps - (1 - a).sqrt() * x_0}
    truth["score"] = -(x_t - a.sqrt() * x_0) / (1 - a)  # ∇ log N(x_t; √ᾱ x_0, (1 − ᾱ) I)
    there = S.convert(truth[source], x_t, t, source, target)  # type: ignore[arg-type]
    assert torch.allclose(there, truth[target], atol=1e-10)
    assert torch.allclose(S.convert(there, x_t, t, target, source), truth[source], atol=1e-9)  # type: ignore[arg-type]


def test_best_eps_is_the_score_of_the_marginal() -> None:  # lecture 04 (15)
    """E[ε | x_t] = −√(1 − ᾱ_t) ∇ log q(x_t): the left by quadrature over x_0, the right by autograd."""
    grid, h = points(-2, 2, 8001)
    p_0 = MIXTURE.log_prob(grid).exp() * h
    for t in (1, 3, 5):
        bar = float(S.alpha_bar[t])
        x_t = torch.tensor([[-0.9], [0.1], [0.7]], dtype=torch.float64, requires_grad=True)
        weight = p_0 * density(x_t, math.sqrt(bar) * grid[:, 0], 1 - bar)  # (3, n), ∝ q(x_0 | x_t)
        eps = (x_t - math.sqrt(bar) * grid[:, 0]) / math.sqrt(1 - bar)
        expected = (weight * eps).sum(1) / weight.sum(1)
        (score,) = torch.autograd.grad(weight.sum(1).log().sum(), x_t)
        assert torch.allclose(expected, -math.sqrt(1 - bar) * score[:, 0], atol=1e-8)
        assert torch.allclose(MIXTURE.optimal_eps(x_t.detach(), step(t, 3), S)[:, 0], expected, atol=1e-8)


# The bound


@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_sum_of_terms_equals_the_bound(variance: Any) -> None:  # lecture 04 (17), (18)
    """∫ q(x_{1:3} | x_0) log q(x_{1:3} | x_0)/p(x_{0:3}), all three at once, with the *forward* kernels in q; against
    L_T + L_2 + L_1 + L_0, each by a quadrature of its own over x_t."""
    s = Schedule([0.3, 0.4, 0.5])
    model = DDPM(lambda x_t, t, label: 0.5 * x_t.tanh() + 0.1 * t[:, None], s, variance=variance)  # any net will do
    x_0 = 0.4
    grid, h = points(-6.5, 6.5, 151)
    line = grid[:, 0]

    def back(t: int) -> tuple[Tensor, Tensor]:
        mean, var = model.reverse(grid, step(t, len(grid)))
        return mean[:, 0], var[:, 0]

    def log_normal(x: Tensor | float, mean: Tensor | float, var: Tensor | float) -> Tensor:
        var = torch.as_tensor(var, dtype=torch.float64)
        return -((torch.as_tensor(x) - mean) ** 2) / (2 * var) - 0.5 * torch.log(2 * math.pi * var)

    beta = s.beta.tolist()
    log_q = log_normal(line, math.sqrt(1 - beta[1]) * x_0, beta[1])[:, None, None]
    log_q = log_q + log_normal(line[:, None], math.sqrt(1 - beta[2]) * line, beta[2]).T[:, :, None]
    log_q = log_q + log_normal(line[:, None], math.sqrt(1 - beta[3]) * line, beta[3]).T[None]
    (m_1, v_1), (m_2, v_2), (m_3, v_3) = back(1), back(2), back(3)
    log_p = log_normal(x_0, m_1, v_1)[:, None, None] + log_normal(line, 0.0, 1.0)
    log_p = log_p + log_normal(line[:, None], m_2, v_2)[:, :, None] + log_normal(line[:, None], m_3, v_3)[None]
    whole = float((log_q.exp() * (log_q - log_p)).sum()) * h**3

    point = torch.tensor([[x_0]], dtype=torch.float64)
    terms = float(s.prior_kl(point))
    for t in (1, 2, 3):
        mean, var = model.reverse(grid, step(t, len(grid)))
        term = step_term(s, point.expand_as(grid), grid, step(t, len(grid)), mean, var.log(), None)
        bar = float(s.alpha_bar[t])
        terms += float((density(line, math.sqrt(bar) * x_0, 1 - bar) * term).sum()) * h
    assert terms == pytest.approx(whole, abs=1e-8)

    # and `vlb` draws these terms at random: the same in expectation
    drawn = vlb(model, point.expand(20_000, 1), generator=generator(), batch_size=100_000).nats().total
    assert float(drawn.mean()) == pytest.approx(whole, abs=4 * float(drawn.std()) / math.sqrt(len(drawn)))


def expected_bound(p: GaussianMixture, s: Schedule, log_var: list[float]) -> float:
    """The bound in expectation over x_0 ~ p, 1-D, with the best denoiser, by quadrature: each term needs only
    E Var(x_0 | x_t), and that follows from the Fisher information of q(x_t) (Tweedie's formula, twice)."""

    def under(q: GaussianMixture, f: Callable[[Tensor], Tensor]) -> float:
        """E_q f, each component on a grid of its own."""
        u, _ = points(-9, 9, 1501)
        mass = torch.exp(-(u[:, 0] ** 2) / 2)
        parts = [
            float(w) * float((mass / mass.sum()) @ f(m + c[0, 0].sqrt() * u))
            for m, c, w in zip(q.means, q.covs, q.weights, strict=True)
        ]
        return sum(parts)

    def error(t: int) -> float:
        bar = float(s.alpha_bar[t])
        q = p.noised(bar)
        fisher = under(q, lambda x: q.score(x)[:, 0] ** 2)
        return (1 - bar) / bar * (1 - (1 - bar) * fisher)

    bar = float(s.alpha_bar[-1])
    total = 0.5 * (bar * (under(p, lambda x: x[:, 0] ** 2) - 1) - math.log(1 - bar))
    total += 0.5 * (math.log(2 * math.pi) + log_var[1] + error(1) / math.exp(log_var[1]))
    for t in range(2, s.T + 1):
        tilde = float((1 - s.alpha_bar[t - 1]) / (1 - s.alpha_bar[t]) * s.beta[t])
        weight = float(s.alpha_bar[t - 1].sqrt() * s.beta[t] / (1 - s.alpha_bar[t]))
        ratio = tilde / math.exp(log_var[t])
        total += 0.5 * (ratio - 1 - math.log(ratio) + weight**2 * error(t) / math.exp(log_var[t]))
    return total


def code_length(model: DDPM, p: GaussianMixture, grid: Tensor, h: float) -> tuple[float, Tensor]:
    """E_p[−log p_θ(x_0)] and −log p_θ on a grid (n, 1): N(0, 1) carried back through the chain, step by step."""
    q = density(grid[:, 0], 0.0, 1.0)
    for t in range(model.schedule.T, 0, -1):
        mean, var = model.reverse(grid, step(t, len(grid)))
        q = (q * h) @ density(grid[:, 0], mean, var)
    assert float(q.sum()) * h == pytest.approx(1, abs=1e-6)  # nothing was lost at the ends of the grid
    nll = -q.clamp(min=1e-300).log()
    return float((p.log_prob(grid).exp() * nll).sum()) * h, nll


def test_bound_is_above_the_models_own_code_length_and_that_above_the_entropy() -> None:  # lecture 04 (16), (25)
    """In expectation, on the lecture's mixture with the best denoiser: −0.299 ≥ −0.575 ≥ −0.628."""
    model = known(MIXTURE, CHAIN, variance="beta")
    bound = expected_bound(MIXTURE, CHAIN, CHAIN.beta.log().tolist())
    grid, h = points(-7, 7, 1401)
    own, nll = code_length(model, MIXTURE, grid, h)
    entropy = MIXTURE.entropy()
    assert bound == pytest.approx(-0.299, abs=1e-3)
    assert own == pytest.approx(-0.575, abs=1e-3)
    assert entropy == pytest.approx(-0.628, abs=1e-3)
    assert bound > own > entropy

    # `vlb` gives that expectation, and for any x_0 it is above −log p_θ(x_0): here for five of them
    x_0 = MIXTURE.sample(4000, generator=generator()).double()
    drawn = vlb(model, x_0, generator=generator(1), batch_size=100_000).nats().total
    assert float(drawn.mean()) == pytest.approx(bound, abs=4 * float(drawn.std()) / math.sqrt(len(drawn)))
    for i in (600, 650, 700, 750, 800):  # x_0 = −1, −0.5, 0, 0.5, 1
        at = vlb(model, grid[i].expand(1000, 1), generator=generator(i), batch_size=100_000).nats().total
        assert float(at.mean()) + 4 * float(at.std()) / math.sqrt(1000) > float(nll[i])


def test_bound_may_lie_below_the_true_code_length_at_a_point() -> None:
    """The bound is one on p_θ, not on the data's density: at x_0 = 0.5 it lies 23.8 nats below −log p."""
    x_0 = torch.full((20_000, 1), 0.5, dtype=torch.float64)
    bound = vlb(known(MIXTURE, CHAIN), x_0, generator=generator(), batch_size=100_000).nats().total
    assert float(bound.mean() + MIXTURE.log_prob(x_0)[0]) == pytest.approx(-23.8, abs=0.3)


def test_bound_closes_as_steps_get_smaller() -> None:
    """With σ_t² = β_t, right for data that has a density; β̃_t is right for a single point, and a gap stays."""
    gaps, stays = [], []
    for T in (20, 80, 320):
        s = Schedule.cosine(T=T)
        tilde = s.beta_tilde.clone()
        tilde[1] = tilde[2]
        gaps.append(expected_bound(MIXTURE, s, s.beta.log().tolist()) - MIXTURE.entropy())
        stays.append(expected_bound(MIXTURE, s, tilde.log().tolist()) - MIXTURE.entropy())
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2] > 0
    assert min(stays) > 0.2 > 5 * gaps[2]


def test_simple_loss_is_the_bound_reweighted() -> None:  # lecture 04 (20)
    """L_{t−1} = β_t²/(2 σ_t² α_t (1 − ᾱ_t)) ‖ε − ε_θ‖² + what the variances alone make, Ho et al. eq. 12."""
    x_0, eps, guess = normal(3, 4, 2)
    kinds: list[Any] = ["beta", "beta_tilde"]
    for variance in kinds:
        for t in range(2, S.T + 1):
            x_t = S.q_sample(x_0, step(t, 4), eps)
            mean, var = DDPM(lambda *_: guess, S, variance=variance).reverse(x_t, step(t, 4))
            term = step_term(S, x_0, x_t, step(t, 4), mean, var.log(), None)
            beta, alpha, bar = S.beta[t], S.alpha[t], S.alpha_bar[t]
            weight = beta**2 / (2 * var[0, 0] * alpha * (1 - bar))
            ratio = (1 - S.alpha_bar[t - 1]) / (1 - bar) * beta / var[0, 0]
            constant = 2 * 0.5 * (ratio - 1 - ratio.log())
            assert torch.allclose(term, weight * ((eps - guess) ** 2).sum(1) + constant, atol=1e-10)


# Sampling


@pytest.mark.parametrize("n_steps", [50, 12, 5, 1])
@pytest.mark.parametrize("clip", [False, True])
def test_ddim_with_eta_one_equals_ancestral_with_beta_tilde(n_steps: int, clip: bool) -> None:  # lecture 04 (27)
    p = GaussianMixture.ring(n=5)
    model = known(p, CHAIN, variance="beta_tilde")
    x_T = normal(20, 2)
    one = ddim(model, (20, 2), steps=n_steps, eta=1.0, clip=clip, x_T=x_T, generator=generator(1))
    other = ancestral(model, (20, 2), steps=n_steps, clip=clip, x_T=x_T, generator=generator(1))
    for a, b in zip(one, other, strict=True):
        assert (a - b).abs().max() < 1e-10


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_ddim_keeps_the_marginals_for_any_eta(eta: float) -> None:  # lecture 04 (26)
    """With x_0 known, one step from q(x_t | x_0) lands in q(x_s | x_0): mean and variance, composed exactly."""
    s = Schedule([0.1, 0.3, 0.5])
    x_0 = 0.7

    def linear_map(model: DDPM, x: float) -> float:
        """The step's mean at x, for it is affine in x."""
        x_T = torch.full((1, 1), x, dtype=torch.float64)
        return float(list(ddim(model, (1, 1), steps=3, x_T=x_T))[1]) if eta == 0 else mean_of(model, x_T)

    def mean_of(model: DDPM, x_T: Tensor) -> float:
        g = generator(5)
        z = torch.randn(1, 1, generator=generator(5), dtype=torch.float64)
        x_s = list(ddim(model, (1, 1), steps=3, eta=eta, x_T=x_T, generator=g))[1]
        return float(x_s - math.sqrt(sigma_2) * z)

    a, b = float(s.alpha_bar[3]), float(s.alpha_bar[2])
    sigma_2 = eta**2 * (1 - b) / (1 - a) * (1 - a / b)
    model = DDPM(lambda x_t, *_: torch.full_like(x_t, x_0), s, predict="x_0")
    at_0, at_1 = linear_map(model, 0.0), linear_map(model, 1.0)
    slope = at_1 - at_0
    assert at_0 + slope * math.sqrt(a) * x_0 == pytest.approx(math.sqrt(b) * x_0, abs=1e-10)
    assert slope**2 * (1 - a) + sigma_2 == pytest.approx(1 - b, abs=1e-10)


def wasserstein(x: Tensor) -> float:
    """The distance W_1 between numbers and the lecture's mixture: the mean difference between their quantiles."""
    grid, h = points(-2, 2, 40_001)
    cdf = (MIXTURE.log_prob(grid).exp() * h).cumsum(0)
    at = (torch.arange(len(x), dtype=torch.float64) + 0.5) / len(x)
    quantile = grid[:, 0][torch.searchsorted(cdf, at).clamp(max=len(grid) - 1)]
    return float((x.flatten().sort().values - quantile).abs().mean())


def test_ddim_with_the_known_denoiser_converges_to_the_truth() -> None:
    """Without noise: from evenly spread quantiles of N(0, 1), so the error is that of the steps alone. It falls about
    as 1/n, the order of Euler's method."""
    s = Schedule.cosine(T=1000)
    n = 2000
    x_T = Normal(0.0, 1.0).icdf((torch.arange(n, dtype=torch.float64) + 0.5) / n)[:, None]
    errors = [wasserstein(last(ddim(known(MIXTURE, s), (n, 1), steps=k, x_T=x_T))) for k in (10, 40, 160)]
    assert errors[0] > 2.5 * errors[1] > 2.5 * 2.5 * errors[2]
    assert errors[2] < 0.01


def test_ancestral_sampling_with_the_known_denoiser_is_the_models_own_density() -> None:
    """Its samples against p_θ carried back on a grid (Kolmogorov–Smirnov at 1 %), and near the truth in W_1."""
    model = known(MIXTURE, CHAIN)
    n = 10_000
    x = last(ancestral(model, (n, 1), x_T=normal(n, 1), generator=generator(1)))
    grid, h = points(-7, 7, 1401)
    _, nll = code_length(model, MIXTURE, grid, h)
    cdf = (torch.exp(-nll) * h).cumsum(0) - torch.exp(-nll) * h / 2
    empirical = torch.searchsorted(x[:, 0].sort().values, grid[:, 0]) / n
    assert (empirical - cdf).abs().max() < 1.63 / math.sqrt(n) + 1e-3
    assert wasserstein(x) < 0.05


def test_guided_score_is_that_of_the_sharpened_class() -> None:  # lecture 04 (28)
    """∇ log p(x) + (1 + w) ∇ log p(c | x), with p(c | x) by Bayes and its gradient by autograd."""
    one = GaussianMixture([[1.0]], [[[0.0025]]])

    def net(x_t: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        assert label is not None
        return torch.where(label[:, None] < 0, MIXTURE.optimal_eps(x_t, t, S), one.optimal_eps(x_t, t, S))

    x, t, w = torch.linspace(-1, 1.5, 7, dtype=torch.float64)[:, None], step(4, 7), 2.0
    eps = DDPM(net, S).denoise(x, t, torch.ones(7, dtype=torch.int64), guidance=w).eps
    x.requires_grad_()
    log_p = MIXTURE.noised(float(S.alpha_bar[4])).log_prob(x)
    log_class = math.log(0.1) + one.noised(float(S.alpha_bar[4])).log_prob(x) - log_p
    (expected,) = torch.autograd.grad((log_p + (1 + w) * log_class).sum(), x)
    assert torch.allclose(S.convert(eps, x.detach(), t, "eps", "score"), expected, atol=1e-9)
