"""The densities against quadrature, simulation and autograd; the digits against their source."""

import copy
import math
import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from genlib import data
from genlib.data import densities, mixture
from genlib.diffusion import Schedule


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_mixture(K: int, D: int, seed: int = 0) -> data.GaussianMixture:
    g = generator(seed)
    A = torch.randn(K, D, D, generator=g, dtype=torch.float64)
    covs = A @ A.mT + 0.3 * torch.eye(D, dtype=torch.float64)
    weights = torch.rand(K, generator=g, dtype=torch.float64) + 0.1
    return data.GaussianMixture(torch.randn(K, D, generator=g).double(), covs, weights / weights.sum())


RING = data.GaussianMixture.ring(8)
DENSITIES = {
    "mixture": random_mixture(3, 2),
    "ring": RING,
    "moons": data.Moons(std=0.1),
    "rings": data.Rings(std=0.1),
}


def on_grid(name: str) -> tuple[torch.Tensor, torch.Tensor, float]:
    """The centres of 240 × 240 cells that hold all of the density, its logarithm there, and a cell's area."""
    edge = 16.0 if name == "mixture" else 2.0
    axis = torch.linspace(-edge, edge, 241, dtype=torch.float64)[:-1] + edge / 240
    grid = torch.cartesian_prod(axis, axis)
    log_p = torch.cat([DENSITIES[name].log_prob(part) for part in grid.split(20_000)])
    return grid, log_p, (2 * edge / 240) ** 2


@pytest.mark.parametrize(("K", "D"), [(1, 1), (3, 1), (2, 3), (5, 7)])
def test_mixture_log_prob_is_scipys(K: int, D: int) -> None:
    p = random_mixture(K, D)
    x = torch.randn(20, D, generator=generator(1)).double()
    density = sum(
        float(w) * stats.multivariate_normal.pdf(x.numpy(), m.numpy(), c.numpy())  # pyright: ignore[reportArgumentType]
        for w, m, c in zip(p.weights, p.means, p.covs, strict=True)
    )
    assert torch.allclose(p.log_prob(x), torch.as_tensor(density).log().view(-1), atol=1e-10, rtol=0)


@pytest.mark.parametrize("D", [1, 2, 5])
def test_mixture_score_is_the_gradient(D: int) -> None:
    p = random_mixture(4, D)
    x = (3 * torch.randn(30, D, generator=generator(1))).double().requires_grad_()
    (gradient,) = torch.autograd.grad(p.log_prob(x).sum(), x)
    assert torch.allclose(p.score(x.detach()), gradient, atol=1e-10)


def test_mixture_far_away_stays_finite() -> None:
    p = data.GaussianMixture.ring(8)
    x = torch.tensor([[1e4, -1e4]])
    assert torch.isfinite(p.log_prob(x)).all()
    assert torch.isfinite(p.score(x)).all()


@pytest.mark.parametrize("name", DENSITIES)
def test_density_integrates_to_one_and_entropy_is_minus_its_mean(name: str) -> None:
    p = DENSITIES[name]
    _, log_p, cell = on_grid(name)
    assert float(log_p.exp().sum()) * cell == pytest.approx(1, abs=1e-6)
    inside = log_p[torch.isfinite(log_p)]
    assert -float((inside.exp() * inside).sum()) * cell == pytest.approx(p.entropy(), abs=1e-5)


@pytest.mark.parametrize("name", DENSITIES)
def test_samples_follow_the_density(name: str) -> None:
    p = DENSITIES[name]
    x = p.sample(40_000, generator=generator(3)).double()
    # The mean of −log p over samples is the entropy, and its error is known.
    surprise = -p.log_prob(x)
    error = float(surprise.std()) / math.sqrt(len(x))
    assert float(surprise.mean()) == pytest.approx(p.entropy(), abs=4 * error + 1e-6)
    # The mass in each quadrant, against quadrature
    grid, log_p, cell = on_grid(name)
    density = log_p.exp() * cell
    for right in (False, True):
        for top in (False, True):
            expected = float(density[((grid[:, 0] > 0) == right) & ((grid[:, 1] > 0) == top)].sum())
            got = float((((x[:, 0] > 0) == right) & ((x[:, 1] > 0) == top)).double().mean())
            assert got == pytest.approx(expected, abs=0.012)


@pytest.mark.parametrize("name", DENSITIES)
def test_a_density_says_what_it_is(name: str) -> None:
    assert "0x" not in repr(DENSITIES[name])
    assert repr(DENSITIES[name]).startswith(f"{type(DENSITIES[name]).__name__}(")


@pytest.mark.parametrize("name", DENSITIES)
def test_all_that_a_sample_is_made_of_lies_on_one_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that computes nothing stands in for a GPU: what is left on the CPU cannot be added to it."""
    for module in (densities, mixture):
        monkeypatch.setattr(module, "place", lambda _: torch.device("meta"))
    for n in (0, 5):
        x = DENSITIES[name].sample(n)
        assert (x.device.type, x.dtype, x.shape) == ("meta", torch.float32, (n, 2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", DENSITIES)
def test_samples_are_drawn_where_the_generator_lives(name: str) -> None:
    p = DENSITIES[name]
    x = p.sample(40_000, torch.Generator("cuda").manual_seed(3))
    assert x.device.type == "cuda"
    surprise = -p.log_prob(x.cpu().double())
    assert float(surprise.mean()) == pytest.approx(p.entropy(), abs=4 * float(surprise.std()) / 200 + 1e-6)
    assert p.sample(0, torch.Generator("cuda")).shape == (0, 2)


def test_entropy_in_one_dimension_is_scipys() -> None:
    p = data.GaussianMixture([[-0.5], [1.0]], [[[0.01]], [[0.0025]]], [0.9, 0.1])

    def integrand(x: float) -> float:
        log_p = float(p.log_prob(torch.tensor([[x]], dtype=torch.float64)))
        return -math.exp(log_p) * log_p

    value, _ = integrate.quad(integrand, -3, 3, points=[-0.5, 1.0], limit=200)
    assert p.entropy() == pytest.approx(value, abs=1e-7)
    assert p.entropy() == pytest.approx(-0.628, abs=1e-3)  # targets.md


def test_entropy_of_one_gaussian_is_the_closed_form() -> None:
    p = random_mixture(1, 2)
    expected = 0.5 * float(torch.logdet(2 * math.pi * math.e * p.covs[0]))
    assert p.entropy() == pytest.approx(expected, abs=1e-9)
    with pytest.raises(ValueError, match="1 and 2 dimensions"):
        random_mixture(1, 3).entropy()


@pytest.mark.parametrize("D", [1, 2, 4])
def test_optimal_discriminator_has_the_least_loss(D: int) -> None:
    """Each point's share of the loss, −p log σ(ℓ) − q log(1 − σ(ℓ)), is least at ℓ = D*: found by bisection."""
    p, q = random_mixture(3, D), random_mixture(2, D, seed=1)
    x = torch.randn(25, D, generator=generator(2)).double()
    here, there = p.log_prob(x).exp(), q.log_prob(x).exp()
    low, high = torch.full((25,), -60.0).double(), torch.full((25,), 60.0).double()
    for _ in range(80):
        middle = (low + high) / 2
        rising = there * middle.sigmoid() > here * (-middle).sigmoid()
        low, high = torch.where(rising, low, middle), torch.where(rising, middle, high)
    torch.testing.assert_close(p.optimal_discriminator(x, q), low, rtol=0, atol=1e-9)
    torch.testing.assert_close(p.optimal_discriminator(x, q), -q.optimal_discriminator(x, p))


def test_optimal_discriminator_of_two_gaussians_of_one_covariance_is_linear() -> None:
    p, q = random_mixture(1, 3), random_mixture(1, 3, seed=1)
    q = data.GaussianMixture(q.means, p.covs)
    x = torch.randn(9, 3, generator=generator(2)).double()
    slope = torch.linalg.solve(p.covs[0], (p.means - q.means)[0])
    expected = (x - (p.means + q.means) / 2) @ slope
    torch.testing.assert_close(p.optimal_discriminator(x, q), expected)


def test_optimal_discriminator_pulls_along_the_difference_of_the_scores() -> None:
    p, q = random_mixture(3, 2), random_mixture(2, 2, seed=1)
    x = torch.randn(9, 2, generator=generator(2)).double().requires_grad_()
    (gradient,) = torch.autograd.grad(p.optimal_discriminator(x, q).sum(), x)
    torch.testing.assert_close(gradient, p.score(x.detach()) - q.score(x.detach()))


def test_jensen_shannon_in_one_dimension_is_scipys() -> None:
    p = data.GaussianMixture([[-0.5], [1.0]], [[[0.01]], [[0.0025]]], [0.9, 0.1])
    q = data.GaussianMixture([[0.2]], [[[0.5]]])

    def integrand(x: float) -> float:
        here, there = (float(r.log_prob(torch.tensor([[x]], dtype=torch.float64)).exp()) for r in (p, q))
        middle = (here + there) / 2
        return sum(0.5 * a * math.log(a / middle) for a in (here, there) if a > 0)

    value, _ = integrate.quad(integrand, -8, 8, points=[-0.9, -0.5, -0.1, 0.8, 1.0, 1.2], limit=500)
    assert p.jensen_shannon(q) == pytest.approx(value, abs=1e-7)
    assert q.jensen_shannon(p) == pytest.approx(value, abs=1e-7)


def test_jensen_shannon_in_two_dimensions_is_a_sum_over_a_grid() -> None:
    p, q = DENSITIES["ring"], data.GaussianMixture([[0.2, 0.1]], [[[0.3, 0.1], [0.1, 0.2]]])
    assert isinstance(p, data.GaussianMixture)
    axis = torch.linspace(-4, 4, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    here, there = (r.log_prob(grid).exp() for r in (p, q))
    middle = (here + there) / 2
    value = 0.5 * sum(float(torch.special.xlogy(a, a / middle).sum()) for a in (here, there)) * 0.02**2
    assert p.jensen_shannon(q) == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize("D", [1, 2])
def test_jensen_shannon_of_equal_and_of_disjoint_mixtures(D: int) -> None:
    p, q = random_mixture(3, D), random_mixture(2, D, seed=1)
    same = data.GaussianMixture(p.means.flip(0), p.covs.flip(0), p.weights.flip(0))
    assert p.jensen_shannon(same) == pytest.approx(0, abs=1e-12)
    far = data.GaussianMixture(q.means + 300, q.covs, q.weights)
    assert p.jensen_shannon(far) == pytest.approx(math.log(2), abs=1e-12)
    assert 0.001 < p.jensen_shannon(q) < math.log(2)
    assert p.jensen_shannon(q) == pytest.approx(q.jensen_shannon(p), abs=1e-9)


def test_jensen_shannon_does_not_change_under_an_affine_map() -> None:
    p, q = random_mixture(2, 2), random_mixture(2, 2, seed=1)
    A = torch.tensor([[2.0, 0.5], [-1.0, 0.7]], dtype=torch.float64)
    p_A, q_A = (data.GaussianMixture(r.means @ A.mT - 3, A @ r.covs @ A.mT, r.weights) for r in (p, q))
    assert p_A.jensen_shannon(q_A) == pytest.approx(p.jensen_shannon(q), abs=1e-8)


def test_jensen_shannon_sees_a_spike_between_the_points_of_a_coarse_grid() -> None:
    """q = p but for a spike of weight w, 3000 times narrower, where p has next to nothing: JS has a closed form."""
    w = 0.1
    p = data.GaussianMixture([[0.0]], [[[1.0]]])
    q = data.GaussianMixture([[0.0], [5.3217]], [[[1.0]], [[1e-7]]], [1 - w, w])
    # on p's bulk the ratio q/p is 1 − w, on the spike it is infinite
    expected = 0.5 * (math.log(2 / (2 - w)) + (1 - w) * math.log(2 * (1 - w) / (2 - w)) + w * math.log(2))
    assert p.jensen_shannon(q) == pytest.approx(expected, abs=1e-6)


def test_the_best_discriminator_and_jensen_shannon_refuse() -> None:
    p = random_mixture(2, 2)
    with pytest.raises(ValueError, match="other: expected a GaussianMixture, got Rings"):
        p.jensen_shannon(data.Rings())  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="other: expected a mixture in 2 dimensions, got one in 1"):
        p.optimal_discriminator(torch.zeros(1, 2), random_mixture(1, 1))
    with pytest.raises(ValueError, match="x: "):
        p.optimal_discriminator(torch.zeros(1, 3), p)
    with pytest.raises(ValueError, match=r"jensen_shannon: .*1 and 2 dimensions"):
        random_mixture(1, 3).jensen_shannon(random_mixture(1, 3))


def test_noised_mixture_is_what_the_chain_makes() -> None:
    p, schedule = random_mixture(3, 2), Schedule.linear(T=10)
    g = generator(5)
    x = p.sample(200_000, generator=g).double()
    for t in range(1, 7):
        beta = float(schedule.beta[t])
        x = math.sqrt(1 - beta) * x + math.sqrt(beta) * torch.randn(x.shape, generator=g, dtype=torch.float64)
    q = p.noised(float(schedule.alpha_bar[6]))
    surprise = -q.log_prob(x)
    assert float(surprise.mean()) == pytest.approx(q.entropy(), abs=4 * float(surprise.std()) / math.sqrt(len(x)))
    mean = (q.weights[:, None] * q.means).sum(0)
    assert torch.allclose(x.mean(0), mean, atol=0.02)


def test_optimal_eps_is_the_posterior_mean_of_the_noise() -> None:
    """E[ε | x_t] by quadrature over x_0, in one dimension."""
    p, schedule = random_mixture(3, 1), Schedule.cosine(T=20)
    x_0 = torch.linspace(-12, 12, 40_001, dtype=torch.float64)
    x_t, t = torch.tensor([[-1.0], [0.3], [2.0]], dtype=torch.float64), torch.tensor([1, 10, 20])
    got = p.optimal_eps(x_t, t, schedule)
    for i in range(3):
        a = float(schedule.alpha_bar[t[i]])
        eps = (float(x_t[i]) - math.sqrt(a) * x_0) / math.sqrt(1 - a)
        joint = p.log_prob(x_0[:, None]).exp() * torch.exp(-(eps**2) / 2)
        assert float(got[i]) == pytest.approx(float((joint * eps).sum() / joint.sum()), abs=1e-8)


@pytest.mark.parametrize("schedule", [Schedule.linear(T=1000), Schedule.cosine(T=4000)], ids=["linear", "cosine"])
def test_optimal_eps_keeps_its_digits_in_float32(schedule: Schedule) -> None:
    """At t = 1 nearly all of the signal is left; 1 − ᾱ taken in float32 would have four digits, or three."""
    p = data.GaussianMixture.ring(8)
    t = torch.tensor([1, 2, 10, schedule.T]).repeat_interleave(200)
    x_t = p.sample(len(t), generator=generator())
    exact = p.optimal_eps(x_t.double(), t, schedule)
    error = (p.optimal_eps(x_t, t, schedule) - exact).abs().amax(1) / exact.abs().amax(1).clamp(min=0.01)
    assert float(error.max()) < 2e-5


def test_same_seed_same_samples_and_no_global_state() -> None:
    state = torch.get_rng_state()
    for p in DENSITIES.values():
        assert torch.equal(p.sample(7, generator=generator(1)), p.sample(7, generator=generator(1)))
        assert p.sample(0, generator=generator(1)).shape == (0, 2)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.0]], [[[0.0]]]), "covs: .*singular"),
        (([[0.0, 0.0]], [[[1.0, 1.0], [1.0, 1.0]]]), "covs: .*singular"),
        (([[0.0, 0.0]], [[[1.0, 0.5], [0.0, 1.0]]]), "covs: .*symmetric"),
        (([[0.0], [1.0]], [[[1.0]], [[1.0]]], [0.5, 0.6]), "weights: .*sum to 1"),
        (([[0.0], [1.0]], [[[1.0]], [[1.0]]], [1.5, -0.5]), "weights: .*positive"),
        (([[0.0], [1.0]], [[[1.0]], [[1.0]]], [1.0]), r"weights: .*shape \(2,\)"),
        (([[float("nan")]], [[[1.0]]]), "means: .*NaN"),
        (([0.0], [[[1.0]]]), "means: .*shape"),
        (([[0.0]], [[1.0]]), "covs: .*shape"),
        (("abc", [[1.0]]), "means: expected numbers"),
        ((torch.zeros(0, 2), torch.zeros(0, 2, 2)), "means: .*at least one"),
    ],
)
def test_mixture_refuses(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.GaussianMixture(*arguments)


@pytest.mark.parametrize(
    "x", [torch.zeros(3), torch.zeros(3, 3), torch.zeros(3, 2).long(), torch.full((1, 2), math.nan), None]
)
@pytest.mark.parametrize("name", DENSITIES)
def test_log_prob_refuses(name: str, x: object) -> None:
    with pytest.raises(ValueError, match="x: "):
        DENSITIES[name].log_prob(x)  # type: ignore[arg-type]


def test_densities_refuse() -> None:
    with pytest.raises(ValueError, match="std: "):
        data.Moons(std=0)
    with pytest.raises(ValueError, match="radii: "):
        data.Rings(radii=(0.5, -1))
    for radii in ((), 0.5, "0.5"):
        with pytest.raises(ValueError, match=r"radii: expected .*got"):
            data.Rings(radii=radii)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="n: "):
        data.Moons().sample(-1)
    for t in (0, 6):
        with pytest.raises(ValueError, match=rf"t: .*1, 5.*got .*{t}\.\.{t}"):
            RING.optimal_eps(torch.zeros(1, 2), torch.tensor([t]), Schedule.linear(T=5))


@pytest.mark.parametrize("number", [1e-300, 1e300, 0, math.nan, True, "0.1", None])
def test_scales_that_cannot_be_computed_with_are_refused(number: object) -> None:
    for make in (data.Moons, data.Rings, data.GaussianMixture.ring):
        with pytest.raises(ValueError, match=r"^std: "):
            make(std=number)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [10**9, 10**12, 10**400])
def test_counts_that_fill_the_memory_are_refused(n: int) -> None:
    for p in DENSITIES.values():
        with pytest.raises(ValueError, match=r"^n: "):
            p.sample(n)
    with pytest.raises(ValueError, match=r"^n: "):
        data.GaussianMixture.ring(n)


@pytest.mark.parametrize("schedule", [None, "linear", Schedule, SimpleNamespace(alpha_bar=[1.0, 0.5])])
def test_a_schedule_is_what_has_alpha_bar(schedule: Any) -> None:
    with pytest.raises(ValueError, match=r"^schedule: "):
        RING.optimal_eps(torch.zeros(1, 2), torch.tensor([1]), schedule)


def test_no_part_of_a_number_is_lost_in_silence() -> None:
    """Complex means lost their imaginary part, and numbers in a list all but seven digits."""
    covs = torch.eye(2)[None]
    for means in (torch.ones(1, 2) * 1j, np.ones((1, 2)) * 1j, [[1j, 1j]]):
        with pytest.raises(ValueError, match=r"^means: .*complex"):
            data.GaussianMixture(means, covs)
    with pytest.raises(ValueError, match=r"^weights: .*complex"):
        data.GaussianMixture([[0.0, 0.0]], covs, torch.ones(1) + 0j)
    assert data.GaussianMixture([[1 / 3]], [[[1 / 7]]]).means.item() == 1 / 3


def odd_tensors(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What is no plain tensor of numbers that can be computed with."""
    return {
        "sparse": x.to_sparse(),
        "meta": x.to("meta"),
        "float8": x.to(torch.float8_e4m3fn),
        "quantized": torch.quantize_per_tensor(x, 0.1, 0, torch.quint8),
        "uint64": x.abs().to(torch.uint64),
        "complex": x + 1j,
        "nested": torch.nested.nested_tensor(list(x)),
        "bool": x > 0,
    }


@pytest.mark.parametrize("kind", odd_tensors(torch.zeros(1)))
def test_odd_tensors_are_refused_by_name(kind: str) -> None:
    odd = odd_tensors(torch.ones(3, 2))[kind]
    functions = [p.log_prob for p in DENSITIES.values()]
    for function in (*functions, RING.score, lambda x: RING.optimal_discriminator(x, RING)):
        if kind == "meta":  # which computes nothing, and says so
            assert function(odd).is_meta
        else:
            with pytest.raises(ValueError, match=r"^x: "):
                function(odd)
    with pytest.raises(ValueError, match=r"^means: "):
        data.GaussianMixture(odd, torch.eye(2).expand(3, 2, 2))


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    """Points that half precision holds exactly: what it gives is what float32 gives, rounded once."""
    p, x = DENSITIES[name], torch.tensor([[0.25, 0.75], [-0.5, 0.125], [0.0, 1.0]])
    torch.testing.assert_close(p.log_prob(x.to(dtype)), p.log_prob(x).to(dtype), rtol=0, atol=0)
    if isinstance(p, data.GaussianMixture):
        torch.testing.assert_close(p.score(x.to(dtype)), p.score(x).to(dtype), rtol=0, atol=0)
        t, s = torch.tensor([1, 3, 5]), Schedule.linear(T=5)
        torch.testing.assert_close(p.optimal_eps(x.to(dtype), t, s), p.optimal_eps(x, t, s).to(dtype), rtol=0, atol=0)


@pytest.mark.parametrize("name", DENSITIES)
def test_points_need_not_lie_in_order(name: str) -> None:
    x = torch.randn(2, 12, generator=generator()).T[::2]
    torch.testing.assert_close(DENSITIES[name].log_prob(x), DENSITIES[name].log_prob(x.contiguous()))


@pytest.mark.parametrize("name", DENSITIES)
def test_a_density_is_mapped_over_points_and_compiled_whole(name: str) -> None:
    p, x = DENSITIES[name], torch.rand(5, 2, generator=generator()) - 0.5
    each = torch.func.vmap(lambda point: p.log_prob(point[None])[0])
    torch.testing.assert_close(each(x), p.log_prob(x))
    torch.testing.assert_close(torch.compile(p.log_prob, fullgraph=True, backend="eager")(x), p.log_prob(x))


def test_the_mixtures_truths_are_mapped_over_points_and_compiled_whole() -> None:
    s, x, t = Schedule.cosine(T=5), torch.randn(5, 2, generator=generator()), torch.arange(1, 6)
    for function in (RING.score, lambda x: RING.optimal_eps(x, t[: len(x)], s)):
        torch.testing.assert_close(torch.compile(function, fullgraph=True, backend="eager")(x), function(x))
    each = torch.func.vmap(lambda point, step: RING.optimal_eps(point[None], step[None], s)[0])
    torch.testing.assert_close(each(x, t), RING.optimal_eps(x, t, s))
    score = torch.func.vmap(torch.func.grad(lambda point: RING.log_prob(point[None])[0]))
    torch.testing.assert_close(score(x), RING.score(x))


@pytest.mark.parametrize("name", DENSITIES)
def test_a_density_is_pickled_and_copied(name: str) -> None:
    p = DENSITIES[name]
    for other in (pickle.loads(pickle.dumps(p)), copy.deepcopy(p)):
        assert repr(other) == repr(p)
        assert torch.equal(other.sample(5, generator()), p.sample(5, generator()))


def test_digits_are_scikit_learns_in_a_fixed_split() -> None:
    from sklearn.datasets import load_digits

    pixels, classes = load_digits(return_X_y=True)
    x, label = data.digits("all", integers=True)
    assert x.shape == (1797, 1, 8, 8)
    assert x.dtype == label.dtype == torch.int64
    assert x.min() == 0
    assert x.max() == data.LEVELS - 1
    torch.manual_seed(0)
    order = torch.randperm(1797)  # targets.md: randperm with seed 0, the first 1500 train
    assert torch.equal(label, torch.as_tensor(classes)[order])
    assert torch.equal(x[:, 0], torch.as_tensor(pixels).view(-1, 8, 8).long()[order])
    train, test = data.digits("train"), data.digits("test")
    assert (len(train.x), len(test.x)) == (1500, 297)
    assert torch.equal(torch.cat([train.x, test.x]), x.float() / 8 - 1)
    assert torch.equal(torch.cat([train.label, test.label]), label)


def test_digits_hands_out_copies_and_knows_its_splits() -> None:
    data.digits("test").x.zero_()
    assert data.digits("test").x.min() == -1
    with pytest.raises(ValueError, match=r"split: .*Did you mean 'train'"):
        data.digits("trian")  # type: ignore[arg-type]


@pytest.mark.parametrize("integers", ["False", 1, None, torch.tensor(True)])
def test_a_flag_is_true_or_false(integers: Any) -> None:
    with pytest.raises(ValueError, match=r"^integers: expected True or False"):
        data.digits("test", integers)
