"""The objectives of GANs: against autograd, direct minimisation, and probabilities in float64."""

import math
from typing import Any

import pytest
import torch

from genlib import data, gan

NAMES = gan.OBJECTIVES


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_first_two_are_cross_entropies_of_probabilities():
    real, fake = logits(5, 1, 3, 2), logits(4, 1, 7, 1, seed=1)
    for name in ("minimax", "non_saturating"):
        expected = -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean()
        torch.testing.assert_close(gan.discriminator_loss(real, fake, name), expected, rtol=1e-10, atol=0)
    p = fake.sigmoid()
    torch.testing.assert_close(gan.generator_loss(fake, "minimax"), (1 - p).log().mean(), rtol=1e-9, atol=0)
    torch.testing.assert_close(gan.generator_loss(fake, "non_saturating"), -p.log().mean(), rtol=1e-9, atol=0)


def test_least_squares_and_hinge_on_numbers_worked_out_by_hand():
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    assert float(gan.discriminator_loss(real, fake, "least_squares")) == pytest.approx(
        (0.5 + 2.0) / 2 + (0.125 + 4.5) / 2
    )
    assert float(gan.generator_loss(fake, "least_squares")) == pytest.approx((0.125 + 8.0) / 2)
    assert float(gan.discriminator_loss(real, fake, "hinge")) == pytest.approx((0 + 2) / 2 + (1.5 + 0) / 2)
    assert float(gan.generator_loss(fake, "hinge")) == pytest.approx(1.25)


@pytest.mark.parametrize("name", NAMES)
def test_the_best_discriminator_is_where_a_direct_search_ends(name):
    """p · real(l) + q · fake(l) on a fine grid of logits, for densities p and q of every ratio."""
    grid = torch.linspace(-6, 6, 24_001, dtype=torch.float64)
    for log_ratio in (-3.0, -0.7, 0.0, 0.4, 2.5):
        if name == "hinge" and log_ratio == 0:
            continue  # every logit between −1 and 1 is as good
        p = 1 / (1 + math.exp(-log_ratio))
        value = torch.stack([_weighted(logit, p, name) for logit in grid[::20]])
        best = float(gan.best_discriminator(torch.tensor([log_ratio], dtype=torch.float64), name))
        assert float(grid[::20][value.argmin()]) == pytest.approx(best, abs=0.011)


def _weighted(logit: torch.Tensor, p: float, name: Any) -> torch.Tensor:
    """D's loss where reals have mass p and fakes 1 − p; the two parts are told apart by losses that are known."""
    logit = logit[None]
    quiet = {"least_squares": (1.0, 0.0), "hinge": (1.0, -1.0)}.get(name, (60.0, -60.0))  # logits that cost nothing
    real_alone = gan.discriminator_loss(logit, logit.new_tensor([quiet[1]]), name)
    fake_alone = gan.discriminator_loss(logit.new_tensor([quiet[0]]), logit, name)
    return p * real_alone + (1 - p) * fake_alone


def test_at_the_best_discriminator_the_value_is_a_jensen_shannon_divergence():
    p = data.GaussianMixture([[-1.0], [1.2]], [[[0.3]], [[0.1]]], [0.4, 0.6])
    q = data.GaussianMixture([[0.3]], [[[1.1]]])
    x = torch.linspace(-9, 9, 200_001, dtype=torch.float64)[:, None]
    D = gan.best_discriminator(p.optimal_discriminator(x, q))
    value = (
        -torch.nn.functional.softplus(-D) * p.log_prob(x).exp() - torch.nn.functional.softplus(D) * q.log_prob(x).exp()
    )
    assert float(torch.trapezoid(value, x[:, 0])) == pytest.approx(
        2 * float(p.jensen_shannon(q)) - 2 * math.log(2), abs=1e-7
    )


def test_where_d_wins_minimax_has_no_gradient_left_and_the_other_has():
    fake = torch.tensor([-20.0], dtype=torch.float64, requires_grad=True)
    (saturated,) = torch.autograd.grad(gan.generator_loss(fake, "minimax"), fake)
    (lively,) = torch.autograd.grad(gan.generator_loss(fake, "non_saturating"), fake)
    assert float(saturated) == pytest.approx(-math.exp(-20), rel=1e-6)
    assert float(lively) == pytest.approx(-1, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_huge_logits_stay_finite_and_so_do_gradients(name, dtype):
    real = torch.tensor([1e4, -1e4, 0.0], dtype=dtype, requires_grad=True)
    fake = torch.tensor([1e4, -1e4], dtype=dtype, requires_grad=True)
    loss = gan.discriminator_loss(real, fake, name) + gan.generator_loss(fake, name)
    grads = torch.autograd.grad(loss, (real, fake))
    assert loss.dtype == dtype
    assert torch.isfinite(loss)
    assert all(torch.isfinite(g).all() for g in grads)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_the_finite_differences(name):
    real, fake = logits(4, 1).requires_grad_(), logits(3, 1, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: gan.discriminator_loss(a, b, name), (real, fake))
    assert torch.autograd.gradcheck(lambda b: gan.generator_loss(b, name), (fake,))


class TestR1:
    def test_of_a_quadratic_it_is_known(self):
        """D(y) = ½ yᵀ A y has the gradient A y."""
        g = torch.Generator().manual_seed(0)
        A = torch.randn(3, 3, dtype=torch.float64, generator=g)
        A = A + A.T
        y = torch.randn(5, 3, dtype=torch.float64, generator=g).requires_grad_()
        D = 0.5 * torch.einsum("bi,ij,bj->b", y, A, y)
        expected = (y.detach() @ A).square().sum(1).mean()
        torch.testing.assert_close(gan.r1(D, y), expected)

    def test_it_can_be_differentiated_again(self):
        w = torch.tensor([1.5, -2.0], dtype=torch.float64, requires_grad=True)
        y = torch.ones(4, 2, dtype=torch.float64, requires_grad=True)
        (grad,) = torch.autograd.grad(gan.r1(y @ w, y), w)
        torch.testing.assert_close(grad, 2 * w.detach())

    def test_what_does_not_depend_on_y_is_refused(self):
        y = torch.ones(2, 2)
        w = torch.ones(2, requires_grad=True)
        with pytest.raises(ValueError, match=r"^logits: .*requires_grad"):
            gan.r1(y @ w, y)
        with pytest.raises(ValueError, match=r"^logits: .*not depend"):
            gan.r1(w, y.requires_grad_())

    def test_points_may_be_numbers(self):
        """y of shape (B,) has no axis to be flattened."""
        y = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
        torch.testing.assert_close(gan.r1(0.5 * y.square(), y), torch.tensor(14.0 / 3))


@pytest.mark.parametrize("name", NAMES)
def test_no_logits_are_refused(name):
    """A mean over none would be NaN."""
    some, none = torch.zeros(2, 1), torch.zeros(0, 1)
    for call, argument in (
        (lambda: gan.discriminator_loss(none, some, name), "real"),
        (lambda: gan.discriminator_loss(some, none, name), "fake"),
        (lambda: gan.generator_loss(none, name), "fake"),
        (lambda: gan.r1(none, none.requires_grad_()), "logits"),
    ):
        with pytest.raises(ValueError, match=f"^{argument}: expected at least one logit"):
            call()


def test_an_unknown_objective_is_refused_with_the_nearest_name():
    for call in (
        lambda: gan.discriminator_loss(torch.zeros(1), torch.zeros(1), "hinges"),  # type: ignore
        lambda: gan.generator_loss(torch.zeros(1), "hinges"),  # type: ignore
        lambda: gan.best_discriminator(torch.zeros(1), "hinges"),  # type: ignore
    ):
        with pytest.raises(ValueError, match="Did you mean 'hinge'"):
            call()
    with pytest.raises(ValueError, match="real: expected a float tensor"):
        gan.discriminator_loss(torch.zeros(1, dtype=torch.int64), torch.zeros(1))


@pytest.mark.parametrize("name", NAMES)
def test_many_logits_of_half_precision_are_averaged_in_float32(name):
    """A mean rounded to three digits would say nothing of a step; D's answers come in bf16 under autocast."""
    real, fake = logits(5000).float(), logits(4000, seed=1).float()
    for dtype in (torch.bfloat16, torch.float16):
        loss = gan.discriminator_loss(real.to(dtype), fake.to(dtype), name)
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, gan.discriminator_loss(real, fake, name), rtol=2e-3, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_losses_can_be_vmapped_and_compiled(name):
    real, fake = logits(6, 3), logits(6, 3, seed=1)
    each = torch.func.vmap(lambda a, b: gan.discriminator_loss(a, b, name) + gan.generator_loss(b, name))(real, fake)
    expected = [
        gan.discriminator_loss(a, b, name) + gan.generator_loss(b, name) for a, b in zip(real, fake, strict=True)
    ]
    torch.testing.assert_close(each, torch.stack(expected))
    whole = torch.compile(lambda a, b: gan.discriminator_loss(a, b, name), fullgraph=True, backend="eager")
    torch.testing.assert_close(whole(real, fake), gan.discriminator_loss(real, fake, name))
