"""Each identity of learned losses in lectures 01 and 02, by name, in float64: against quadrature or a closed form."""

import math

import pytest
import torch
from torch import Tensor

from genlib import data, gan
from genlib.gan.objectives import Name

X = torch.linspace(-14, 14, 56_001, dtype=torch.float64)
STEP = float(X[1] - X[0])
P = data.GaussianMixture([[-1.5], [1.0]], [[[0.2]], [[0.5]]], [0.3, 0.7])


def normal(mean: float, std: float) -> data.GaussianMixture:
    return data.GaussianMixture([[mean]], [[[std**2]]])


def density(p: data.GaussianMixture) -> Tensor:
    return p.log_prob(X[:, None]).exp()


def costs(D: Tensor, name: Name) -> tuple[Tensor, Tensor]:
    """What each logit costs as a real and as a fake one: n · (a mean over n that changes with one of them)."""
    free = {"least_squares": (1.0, 0.0), "hinge": (1.0, -1.0)}.get(name, (800.0, -800.0))  # logits that cost nothing
    real = torch.stack([gan.discriminator_loss(logit, D.new_tensor(free[1]), name) for logit in D.unbind()])
    fake = torch.stack([gan.discriminator_loss(D.new_tensor(free[0]), logit, name) for logit in D.unbind()])
    return real, fake


def least_loss(p: data.GaussianMixture, q: data.GaussianMixture, name: Name) -> float:
    """D's expected loss at the best D, by the trapezoid rule on every fortieth point."""
    real, fake = costs(gan.best_discriminator(p.optimal_discriminator(X[::40, None], q), name), name)
    return float((real * density(p)[::40] + fake * density(q)[::40]).sum()) * 40 * STEP


def through_g(mean: float, std: float, D_of: data.GaussianMixture, name: Name) -> float:
    """d/dm of G's loss, G(z) = m + std · z, with D held at the best one against this very G."""
    held = normal(mean, std)
    z = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    weight = torch.exp(-(z**2) / 2)
    weight = weight / weight.sum()
    y = (mean + std * z).requires_grad_()
    logit = gan.best_discriminator(D_of.optimal_discriminator(y[:, None], held), name)
    (slope,) = torch.autograd.grad(logit.sum(), y)
    fake = logit.detach().requires_grad_()
    (pull,) = torch.autograd.grad(gan.generator_loss(fake, name) * len(fake), fake)
    return float((weight * pull * slope).sum())


def derivative(f, at: float, h: float = 1e-4) -> float:
    return (f(at + h) - f(at - h)) / (2 * h)


# What D finds, and what its loss is then


def test_the_best_d_is_the_share_of_the_data() -> None:  # lecture 01 (7)
    """sigmoid(D*) = p / (p + p_G)."""
    q = normal(0.4, 1.1)
    D = gan.best_discriminator(P.optimal_discriminator(X[:, None], q))
    p, p_G = density(P), density(q)
    seen = p + p_G > 1e-200
    torch.testing.assert_close(D.sigmoid()[seen], (p / (p + p_G))[seen], rtol=1e-9, atol=1e-12)


def test_any_other_d_is_worse() -> None:  # lecture 01 (7)
    q = normal(0.4, 1.1)
    log_ratio = P.optimal_discriminator(X[::40, None], q)
    p, p_G = density(P)[::40], density(q)[::40]
    generator = torch.Generator().manual_seed(0)
    for name in gan.OBJECTIVES:
        D = gan.best_discriminator(log_ratio, name)  # type: ignore[arg-type]
        values = []
        for size in (0.0, 0.1, 1.0):
            bump = size * torch.randn(D.shape, dtype=D.dtype, generator=generator)
            real, fake = costs(D + bump, name)  # type: ignore[arg-type]
            values.append(float((real * p + fake * p_G).sum()) * 40 * STEP)
        assert values[0] < values[1] < values[2], name


def test_the_value_at_the_best_d_is_twice_the_divergence_less_two_log_two() -> None:  # lecture 01 (8)
    q = normal(0.4, 1.1)
    value = -least_loss(P, q, "minimax")
    assert value == pytest.approx(2 * P.jensen_shannon(q) - 2 * math.log(2), abs=1e-8)


def test_equal_densities_leave_d_two_log_two_and_the_loss_of_a_coin() -> None:
    assert P.jensen_shannon(P) == pytest.approx(0, abs=1e-9)
    D = gan.best_discriminator(P.optimal_discriminator(X[:100, None], P))
    assert float(D.abs().max()) == 0
    assert float(gan.discriminator_loss(D, D)) == pytest.approx(2 * math.log(2), abs=1e-12)


@pytest.mark.parametrize(("shift", "std"), [(0.5, 1.0), (3.0, 0.8)])
def test_the_hinge_measures_total_variation(shift: float, std: float) -> None:
    """D's least loss is 2 ∫ min(p, p_G) = 2 (1 − TV); for two normals of one width TV = 2 Φ(shift / 2 std) − 1."""
    p, q = normal(0, std), normal(shift, std)
    overlap = 2 * float(torch.distributions.Normal(0.0, 1.0).cdf(torch.tensor(-shift / (2 * std)).double()))
    assert least_loss(p, q, "hinge") == pytest.approx(2 * overlap, abs=1e-4)


def test_least_squares_measure_the_distance_from_the_mixture() -> None:
    """At D* the loss is ½ ∫ p p_G / (p + p_G) = ¼ − ⅛ ∫ (p − p_G)² / (p + p_G), a Pearson χ² of the mixture."""
    q = normal(0.4, 1.1)
    p, p_G = density(P)[::40], density(q)[::40]
    seen = p + p_G > 0
    chi = float(((p - p_G).square()[seen] / (p + p_G)[seen]).sum()) * 40 * STEP
    assert least_loss(P, q, "least_squares") == pytest.approx(0.25 - chi / 8, abs=1e-9)


# What G is told


@pytest.mark.parametrize("mean", [-2.0, 0.3, 4.0])
def test_under_the_best_d_minimax_is_the_gradient_of_twice_the_divergence(mean: float) -> None:  # lecture 01 (9)
    """That D moves as G does changes nothing to first order: D* is stationary."""
    expected = 2 * derivative(lambda m: P.jensen_shannon(normal(m, 0.9)), mean)
    assert through_g(mean, 0.9, P, "minimax") == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("mean", [-1.0, 0.3, 2.0])
def test_under_the_best_d_the_non_saturating_loss_is_another_divergence(mean: float) -> None:
    """∇ (KL(p_G ‖ p) − 2 JS). Ref: Arjovsky & Bottou 2017, theorem 2.5."""
    p, std = normal(0.5, 1.2), 0.9
    kl = (mean - 0.5) / 1.2**2  # d/dm of the KL of two normals
    expected = kl - 2 * derivative(lambda m: p.jensen_shannon(normal(m, std)), mean)
    assert through_g(mean, std, p, "non_saturating") == pytest.approx(expected, abs=1e-5)


def test_the_two_gradients_differ_by_a_factor_of_the_odds() -> None:  # lecture 02 (3)
    """d minimax / d logit = e^logit · d non-saturating / d logit: the first is lost where D is sure, logit → −∞."""
    logit = torch.linspace(-30, 5, 36, dtype=torch.float64).requires_grad_()
    saturating, lively = (
        torch.autograd.grad(gan.generator_loss(logit, name) * len(logit), logit)[0]  # type: ignore[arg-type]
        for name in ("minimax", "non_saturating")
    )
    torch.testing.assert_close(saturating, logit.detach().exp() * lively, rtol=1e-9, atol=0)
    torch.testing.assert_close(saturating, -logit.detach().sigmoid(), rtol=1e-9, atol=0)


def test_both_point_the_same_way_and_rest_at_the_same_place() -> None:
    p = normal(0.5, 0.9)
    for mean in (-2.0, 0.0, 0.5, 3.0):
        a, b = (through_g(mean, 0.9, p, name) for name in ("minimax", "non_saturating"))
        assert (abs(a) < 1e-9 and abs(b) < 1e-9) if mean == 0.5 else a * b > 0


# Why D must see x


def test_a_d_without_x_cannot_tell_a_generator_that_ignores_it() -> None:  # lecture 02 (4)
    """(x, y) with correlation .8 against independent ones of the same marginals: y alone carries no evidence."""
    joint = data.GaussianMixture([[0.0, 0.0]], [[[1.0, 0.8], [0.8, 1.0]]])
    ignoring = data.GaussianMixture([[0.0, 0.0]], [[[1.0, 0.0], [0.0, 1.0]]])
    y, x = torch.linspace(-6, 6, 25, dtype=torch.float64), torch.linspace(-12, 12, 2401, dtype=torch.float64)
    pairs = torch.cartesian_prod(x, y)
    of_y = [  # the densities of y alone, x integrated out
        torch.trapezoid(p.log_prob(pairs).exp().view(len(x), len(y)), x, dim=0) for p in (joint, ignoring)
    ]
    D = gan.best_discriminator(of_y[0].log() - of_y[1].log())
    torch.testing.assert_close(D.sigmoid(), torch.full_like(D, 0.5), rtol=0, atol=1e-9)
    assert joint.jensen_shannon(ignoring) > 0.1
    pair = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    log_ratio = joint.optimal_discriminator(pair, ignoring)
    quadratic = (1 / (1 - 0.64)) * (pair.square().sum(1) - 1.6 * pair.prod(1))  # pairᵀ Σ⁻¹ pair
    torch.testing.assert_close(log_ratio, -0.5 * math.log(1 - 0.64) - 0.5 * (quadratic - pair.square().sum(1)))
    assert log_ratio[0] > 0 > log_ratio[1]


# What one logit sees


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_the_receptive_field_in_closed_form(n: int) -> None:  # lecture 02 (7)
    """r ← 2 r + 2 for each of n strides, from 7: r = 9 · 2ⁿ − 2."""
    assert gan.PatchDiscriminator(1, width=1, n_layers=n).receptive_field == 9 * 2**n - 2


@pytest.mark.parametrize("n", [1, 2, 3])
def test_neighbouring_logits_see_patches_that_are_two_to_the_n_apart(n: int) -> None:
    D = gan.PatchDiscriminator(1, width=2, n_layers=n, norm="none").double()
    size = D.receptive_field + 4 * 2**n + 8
    y = torch.randn(1, 1, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y.requires_grad_()
    logits = D(None, y)
    middle = logits.shape[2] // 2
    tops = []
    for row in (middle, middle + 1):
        (grad,) = torch.autograd.grad(logits[0, 0, row, middle], y, retain_graph=True)
        tops.append(int(grad[0, 0].abs().sum(1).nonzero()[-1]))
    assert tops[1] - tops[0] == 2**n


def test_a_patch_discriminator_is_a_convolution() -> None:
    """Move the picture by 2ⁿ pixels, and the logits away from the border move by one."""
    D = gan.PatchDiscriminator(1, width=4, n_layers=1, norm="none").double()
    y = torch.randn(1, 1, 48, 48, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    here, moved = D(None, y), D(None, y.roll(2, dims=2))
    torch.testing.assert_close(moved[:, :, 6:-6, 6:-6], here[:, :, 5:-7, 6:-6])


# R1


def test_r1_is_the_squared_slope_by_finite_differences() -> None:
    D = gan.PatchDiscriminator(1, width=2, n_layers=1).double()  # batch norm: examples depend on each other
    y = torch.randn(1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    leaf = y.clone().requires_grad_()
    penalty = float(gan.r1(D(None, leaf), leaf).detach())
    total, h = 0.0, 1e-6
    for i in range(64):
        bump = torch.zeros(64, dtype=torch.float64)
        bump[i] = h
        bump = bump.view_as(y)
        total += float((D(None, y + bump) - D(None, y - bump)).sum().detach() / (2 * h)) ** 2
    assert penalty == pytest.approx(total, rel=1e-5)
