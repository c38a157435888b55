"""Distances and modes against closed forms, scipy and hand counts."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from genlib import data, metrics
from genlib.metrics import distances

SETTINGS = settings(max_examples=40, deadline=None)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_gaussian(seed: int, D: int, rank: int | None = None) -> tuple[Tensor, Tensor]:
    g = generator(seed)
    A = torch.randn(D, rank or D, generator=g, dtype=torch.float64)
    return torch.randn(D, generator=g, dtype=torch.float64), A @ A.T


# Fréchet distance of Gaussians


@SETTINGS
@given(seed=st.integers(0, 10**6), D=st.integers(1, 12))
def test_frechet_of_commuting_covariances(seed, D):
    """With common axes d² = |μ₁ − μ₂|² + Σ (σ₁ − σ₂)²."""
    g = generator(seed)
    Q, _ = torch.linalg.qr(torch.randn(D, D, generator=g, dtype=torch.float64))
    std1, std2 = torch.rand(2, D, generator=g, dtype=torch.float64).unbind()
    mean1, mean2 = torch.randn(2, D, generator=g, dtype=torch.float64).unbind()
    d2 = metrics.frechet_gaussian(mean1, Q @ torch.diag(std1**2) @ Q.T, mean2, Q @ torch.diag(std2**2) @ Q.T)
    assert d2 == pytest.approx(float(((mean1 - mean2) ** 2).sum() + ((std1 - std2) ** 2).sum()), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_frechet_agrees_with_scipy(seed):
    sqrtm = pytest.importorskip("scipy.linalg").sqrtm
    (m1, C1), (m2, C2) = random_gaussian(seed, 7), random_gaussian(seed + 100, 7)
    trace = float(sqrtm((C1 @ C2).numpy()).trace().real)
    expected = float(((m1 - m2) ** 2).sum() + C1.trace() + C2.trace()) - 2 * trace
    assert metrics.frechet_gaussian(m1, C1, m2, C2) == pytest.approx(expected, rel=1e-8)


def test_frechet_is_the_cost_of_the_best_map():
    """T = Σ₁^-½ (Σ₁^½ Σ₂ Σ₁^½)^½ Σ₁^-½ carries one Gaussian to the other; d² is how far it moves a sample."""
    (m1, C1), (m2, C2) = random_gaussian(3, 4), random_gaussian(4, 4)

    def power(C: Tensor, p: float) -> Tensor:
        values, U = torch.linalg.eigh(C)
        return U @ torch.diag(values**p) @ U.T

    half, inverse = power(C1, 0.5), power(C1, -0.5)
    T = inverse @ power(half @ C2 @ half, 0.5) @ inverse
    torch.testing.assert_close(T @ C1 @ T.T, C2)
    x = m1 + torch.randn(200_000, 4, generator=generator(), dtype=torch.float64) @ half
    moved = ((m2 + (x - m1) @ T.T - x) ** 2).sum(1).mean()
    assert metrics.frechet_gaussian(m1, C1, m2, C2) == pytest.approx(float(moved), rel=0.02)


def test_frechet_of_rank_deficient_covariances():
    """A line and a line across it: nothing in common, so the traces are all there is; and a line with itself."""
    zero, along = torch.zeros(3), torch.diag(torch.tensor([4.0, 0, 0]))
    across = torch.diag(torch.tensor([0, 9.0, 0]))
    assert metrics.frechet_gaussian(zero, along, zero, across) == pytest.approx(13)
    assert metrics.frechet_gaussian(zero, along, zero, along) == pytest.approx(0, abs=1e-12)
    m, C = random_gaussian(0, 20, rank=3)
    assert metrics.frechet_gaussian(m, C, m, C) == pytest.approx(0, abs=1e-10)
    assert metrics.frechet_gaussian(m, torch.zeros(20, 20), m, C) == pytest.approx(float(C.trace()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_frechet_in_low_precision(dtype):
    (m1, C1), (m2, C2) = random_gaussian(1, 5, rank=2), random_gaussian(2, 5)
    low = metrics.frechet_gaussian(m1.to(dtype), C1.to(dtype), m2.to(dtype), C2.to(dtype))
    assert low == pytest.approx(metrics.frechet_gaussian(m1, C1, m2, C2), rel=0.05)


@SETTINGS
@given(seed=st.integers(0, 10**6), D=st.integers(1, 8), shift=st.floats(-5, 5))
def test_frechet_is_symmetric_and_not_negative(seed, D, shift):
    (m1, C1), (m2, C2) = random_gaussian(seed, D), random_gaussian(seed + 1, D)
    there = metrics.frechet_gaussian(m1, C1, m2 + shift, C2)
    assert there >= 0
    assert metrics.frechet_gaussian(m2 + shift, C2, m1, C1) == pytest.approx(there, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("mean1", (torch.zeros(2, 2), torch.eye(2), torch.zeros(2), torch.eye(2))),
        ("mean1", (torch.zeros(0), torch.zeros(0, 0), torch.zeros(0), torch.zeros(0, 0))),
        ("mean2", (torch.zeros(2), torch.eye(2), torch.zeros(3), torch.eye(2))),
        ("mean2", (torch.zeros(2), torch.eye(2), torch.full((2,), torch.nan), torch.eye(2))),
        ("cov1", (torch.zeros(2), torch.eye(3), torch.zeros(2), torch.eye(2))),
        ("cov1", (torch.zeros(2), torch.tensor([[1.0, 0.5], [0, 1]]), torch.zeros(2), torch.eye(2))),
        ("cov2", (torch.zeros(2), torch.eye(2), torch.zeros(2), -torch.eye(2))),
        ("cov2", (torch.zeros(2), torch.eye(2), torch.zeros(2), torch.full((2, 2), torch.inf))),
    ],
)
def test_frechet_refuses(name, arguments):
    with pytest.raises(ValueError, match=rf"^{name}: "):
        metrics.frechet_gaussian(*arguments)


# precision, recall, coverage


def test_precision_and_coverage_on_a_line():
    """Whole numbers, whose nearest neighbours lie at 1: the balls are [i − 1, i + 1], their ends belong to them."""
    real = torch.arange(10.0)[:, None]
    made = torch.tensor([-1.5, -1.0, 4.5, 10.0, 10.5])[:, None]
    assert metrics.precision(made, real, k=1) == pytest.approx(3 / 5)
    assert metrics.precision(made, real, k=3) == 1  # at the ends the third nearest is 3 away
    assert metrics.coverage(made, real, k=1) == pytest.approx(4 / 10)  # 0, 4, 5 and 9
    assert metrics.recall(real, made, k=1) == metrics.precision(made, real, k=1)


def test_recall_rewards_scatter_and_coverage_does_not():
    """Points that lie ten times as far apart as the real ones have balls that hold all of these."""
    g = generator(4)
    real = torch.randn(300, 2, generator=g)
    near, far = torch.randn(300, 2, generator=g), 10 * torch.randn(300, 2, generator=g)
    assert metrics.recall(far, real) > metrics.recall(near, real) - 0.05
    assert metrics.coverage(far, real) < 0.4 < 0.8 < metrics.coverage(near, real)


@SETTINGS
@given(seed=st.integers(0, 10**6), n=st.integers(5, 30), D=st.integers(1, 4))
def test_the_three_do_not_heed_rotations_order_or_scale(seed, n, D):
    g = generator(seed)
    made, real = torch.randn(40, D, generator=g).double(), 0.5 * torch.randn(n, D, generator=g).double()
    turn = torch.linalg.qr(torch.randn(D, D, generator=g).double()).Q
    for measure in (metrics.precision, metrics.recall, metrics.coverage):
        assert measure(3 * made @ turn, 3 * real.flip(0) @ turn) == pytest.approx(measure(made, real), abs=1e-9)
        assert measure(real, real) == 1
        with pytest.raises(ValueError, match=r"^k: expected less than the"):
            measure(made, real, k=40)


def test_the_three_of_two_halves():
    """One distribution on [0, 1], the other on [1/2, 1]: all of the narrow one is held, half of the wide one."""
    g = generator(3)
    wide, narrow = torch.rand(3000, 1, generator=g), 0.5 + 0.5 * torch.rand(3000, 1, generator=g)
    assert metrics.precision(narrow, wide) == pytest.approx(1, abs=0.02)
    assert metrics.recall(narrow, wide) == pytest.approx(0.5, abs=0.03)
    assert metrics.coverage(narrow, wide) == pytest.approx(0.5, abs=0.05)


# energy distance


def mean_distance(mean: float, std: float) -> float:
    """E|Z|, Z ~ N(mean, std²): the mean of a folded normal."""
    a = mean / std
    return std * math.sqrt(2 / math.pi) * math.exp(-(a**2) / 2) + mean * math.erf(a / math.sqrt(2))


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.0, 1.0), (0.5, 2.0), (-2.0, 0.3)])
def test_energy_distance_of_two_normals(mean, std):
    """Points at even quantiles in the place of random ones: the average over all pairs is then a quadrature."""
    x = torch.special.ndtri((torch.arange(3000, dtype=torch.float64) + 0.5) / 3000)[:, None]
    y = mean + std * x[::2]
    root2 = math.sqrt(2)
    exact = 2 * mean_distance(mean, math.hypot(1, std)) - mean_distance(0, root2) - mean_distance(0, root2 * std)
    assert metrics.energy_distance(x, y, unbiased=False) == pytest.approx(exact, abs=2e-3)


def test_energy_distance_is_unbiased():
    """Small samples of one distribution: the U-statistic is 0 on average, the V-statistic 2E|x − x'|/n too large."""
    g = generator()
    pairs = [(torch.randn(8, 1, generator=g), torch.randn(8, 1, generator=g)) for _ in range(1500)]
    unbiased = torch.tensor([metrics.energy_distance(x, y) for x, y in pairs])
    error = float(unbiased.std()) / math.sqrt(len(pairs))
    assert abs(float(unbiased.mean())) < 4 * error
    biased = torch.tensor([metrics.energy_distance(x, y, unbiased=False) for x, y in pairs])
    assert float(biased.mean()) == pytest.approx(2 * mean_distance(0, math.sqrt(2)) / 8, abs=4 * error)


@SETTINGS
@given(seed=st.integers(0, 10**6), n=st.integers(2, 30), m=st.integers(2, 30), D=st.integers(1, 5))
def test_v_statistic_is_never_negative_and_zero_for_one_sample(seed, n, m, D):
    g = generator(seed)
    x, y = torch.randn(n, D, generator=g), torch.rand(m, D, generator=g)
    assert metrics.energy_distance(x, y, unbiased=False) >= -1e-12
    assert metrics.energy_distance(x, x, unbiased=False) == pytest.approx(0, abs=1e-12)
    assert metrics.energy_distance(x, y) == pytest.approx(metrics.energy_distance(y, x), abs=1e-12)


def test_energy_distance_by_hand_and_in_chunks(monkeypatch):
    x, y = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 0.0], [0.0, 4.0], [3.0, 0.0]])
    between = (0 + 4 + 3 + 5 + 3 + 4) / 6
    within_x, within_y = 5, (4 + 3 + 5) / 3
    assert metrics.energy_distance(x, y) == pytest.approx(2 * between - within_x - within_y)
    x, y = torch.randn(57, 3, generator=generator(0)), torch.randn(23, 3, generator=generator(1))
    whole = metrics.energy_distance(x, y)
    monkeypatch.setattr(distances, "PAIRS", 50)
    assert metrics.energy_distance(x, y) == pytest.approx(whole, rel=1e-12)


def test_energy_distance_takes_pictures_and_small_differences():
    x = torch.rand(5, 1, 4, 4, generator=generator())
    assert metrics.energy_distance(x, x + 1) == pytest.approx(metrics.energy_distance(x.flatten(1), x.flatten(1) + 1))
    far = 1e4 + torch.tensor([[0.0], [0.0]], dtype=torch.float64)
    assert metrics.energy_distance(far, far + 1e-6) == pytest.approx(2e-6, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("x", torch.zeros(1, 2), torch.zeros(3, 2)),
        ("x", torch.zeros(3, 0), torch.zeros(3, 0)),
        ("x", torch.tensor(1.0), torch.zeros(3)),
        ("x", torch.zeros(3, 2, dtype=torch.int64), torch.zeros(3, 2)),
        ("y", torch.zeros(3, 2), torch.zeros(3, 3)),
        ("y", torch.zeros(3, 2), torch.zeros(0, 2)),
        ("y", torch.zeros(3, 2), torch.full((3, 2), torch.nan)),
    ],
)
def test_energy_distance_refuses(name, x, y):
    with pytest.raises(ValueError, match=rf"^{name}: "):
        metrics.energy_distance(x, y)


# modes


def test_all_modes_of_own_samples():
    mixture = data.GaussianMixture([[0.0, 0], [3, 0], [0, 3]], torch.eye(2).expand(3, 2, 2) * 0.1, [0.5, 0.3, 0.2])
    coverage = metrics.mode_coverage(mixture.sample(20_000, generator()), mixture)
    assert coverage.found == 3
    assert coverage.share == pytest.approx((0.5, 0.3, 0.2), abs=0.015)
    assert coverage.outside == pytest.approx(math.exp(-9 / 2), abs=3e-3)


def test_shares_are_the_responsibilities():
    """Two overlapping components in 1-D, by Bayes' rule on the densities of torch.distributions."""
    mixture = data.GaussianMixture([[0.0], [1.0]], [[[1.0]], [[0.25]]], [0.25, 0.75])
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    parts = [w * torch.distributions.Normal(m, s).log_prob(x).exp() for w, m, s in ((0.25, 0.0, 1.0), (0.75, 1.0, 0.5))]
    expected = float((parts[0] / (parts[0] + parts[1])).mean())
    coverage = metrics.mode_coverage(x[:, None], mixture)
    assert coverage.share == pytest.approx((expected, 1 - expected))


def test_one_mode_of_eight_and_stray_samples():
    ring = data.GaussianMixture.ring(n=8)
    collapsed = ring.means[:1].repeat(90, 1).float()
    stray = torch.full((10, 2), 50.0)
    coverage = metrics.mode_coverage(torch.cat([collapsed, stray]), ring)
    assert coverage.found == 1
    assert coverage.share[0] == pytest.approx(0.9, abs=1e-6)
    assert coverage.outside == pytest.approx(0.1)
    assert sum(coverage.share) + coverage.outside == pytest.approx(1)
    assert repr(coverage).startswith("1 of 8 modes found")


def test_full_covariances_decide_what_is_near():
    """A long, tilted component: far along its axis is near, a tenth as far across it is not."""
    tilted = torch.tensor([[1.0, 0.99], [0.99, 1.0]])
    mixture = data.GaussianMixture([[0.0, 0.0]], tilted[None])
    along, across = torch.tensor([[2.9, 2.9]]), torch.tensor([[0.29, -0.29]])
    assert metrics.mode_coverage(along, mixture).outside == 0
    assert metrics.mode_coverage(across, mixture).outside == 1


@pytest.mark.parametrize("D", [1, 2, 10, 64])
def test_almost_no_sample_of_the_mixture_is_outside(D):
    mixture = data.GaussianMixture(torch.zeros(1, D), torch.eye(D)[None])
    assert metrics.mode_coverage(mixture.sample(5000, generator()), mixture, within=D**0.5 + 3).outside < 1e-3


@pytest.mark.parametrize("within", [1.0, 2.0, 3.0])
def test_outside_is_what_a_gaussian_has_beyond_the_radius(within):
    mixture = data.GaussianMixture.ring(n=1, std=0.2)
    outside = metrics.mode_coverage(mixture.sample(20_000, generator()), mixture, within=within).outside
    assert outside == pytest.approx(math.exp(-(within**2) / 2), abs=0.01)


def test_a_mode_is_found_from_half_its_weight_on():
    """Four equal modes of 0.25: shares of 0.125 and 0.12."""
    ring = data.GaussianMixture.ring(n=4, std=0.01)
    x = ring.means[torch.repeat_interleave(torch.arange(4), torch.tensor([405, 350, 125, 120]))]
    assert metrics.mode_coverage(x, ring).found == 3
    assert metrics.mode_coverage(x, ring, found_at=0.48).found == 4


@pytest.mark.parametrize(
    ("name", "x", "found_at"),
    [
        ("x", torch.zeros(0, 2), 0.1),
        ("x", torch.zeros(3, 3), 0.1),
        ("x", torch.full((3, 2), torch.nan), 0.1),
        ("found_at", torch.zeros(3, 2), 0),
        ("found_at", torch.zeros(3, 2), 1.5),
    ],
)
def test_mode_coverage_refuses(name, x, found_at):
    with pytest.raises(ValueError, match=rf"^{name}: "):
        metrics.mode_coverage(x, data.GaussianMixture.ring(), found_at)


@pytest.mark.parametrize("within", [0, -1.0, math.nan, math.inf])
def test_mode_coverage_refuses_a_radius_of_nothing(within):
    with pytest.raises(ValueError, match=r"^within: "):
        metrics.mode_coverage(torch.zeros(3, 2), data.GaussianMixture.ring(), within=within)


# any arguments at all: a number, or a ValueError that names the argument


@SETTINGS
@given(
    shape_x=st.lists(st.integers(0, 5), max_size=4),
    shape_y=st.lists(st.integers(0, 5), max_size=4),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.bool]),
    poison=st.sampled_from([0.5, math.nan, math.inf, 1e4]),
)
def test_a_finite_number_or_a_clear_error(shape_x, shape_y, dtype, poison):
    def filled(shape: list[int]) -> Tensor:
        value = torch.rand(shape, generator=generator())
        if value.numel() and dtype.is_floating_point:
            value.view(-1)[-1] = poison
        return value.to(dtype)

    x, y = filled(shape_x), filled(shape_y)
    calls = [
        lambda: metrics.energy_distance(x, y),
        lambda: metrics.frechet_gaussian(x, y, x, y),
        lambda: metrics.mode_coverage(x, data.GaussianMixture.ring()).outside,
        lambda: metrics.detail(x, y),
        lambda: metrics.spectrum_error(x, y),
        lambda: float(metrics.spectrum(x).sum()),
        lambda: metrics.copying(x, y),
        lambda: metrics.frechet_distance(x, y),
    ]
    names = ("x:", "y:", "mean1:", "mean2:", "cov1:", "cov2:", "images:", "truth:", "train:", "reference:")
    for call in calls:
        answer = number_or_complaint(call)
        if isinstance(answer, str):
            assert answer.startswith(names)
        else:
            assert math.isfinite(answer)


def number_or_complaint(call: Callable[[], float]) -> float | str:
    try:
        return call()
    except ValueError as error:
        return str(error)
