"""Weights of the loss, and how often a step is drawn."""

import pytest
import torch

from genlib.diffusion import DDPM, MLP, Denoising, Schedule, log_normal, min_snr

S = Schedule.cosine(T=100)
T = torch.arange(1, 101)


def test_min_snr_is_one_weighting_whatever_is_predicted() -> None:
    x_0, eps, guess = torch.randn(3, 100, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x_t = S.q_sample(x_0, T, eps)
    losses = []
    for predict in ("x_0", "eps", "v", "u"):
        apart = S.convert(x_0, x_t, T, "x_0", predict) - S.convert(guess, x_t, T, "x_0", predict)
        losses.append(min_snr(S, predict)(T) * apart.square().mean(1))
    for loss in losses[1:]:
        assert torch.allclose(loss, losses[0], rtol=1e-4)


def test_min_snr_is_the_snr_up_to_gamma() -> None:
    snr, w = S.snr(T).float(), min_snr(S, "x_0", gamma=2.0)(T)
    assert torch.equal(w[snr < 2], snr[snr < 2])
    assert (w[snr >= 2] == 2).all()
    assert bool((snr >= 2).any())


def test_min_snr_where_no_signal_is_left() -> None:
    zero = S.zero_terminal()
    assert min_snr(zero, "v")(T)[-1] == 0
    assert min_snr(zero, "u")(T)[-1] == 0
    assert min_snr(zero, "eps")(T)[-1] == 1


@pytest.mark.parametrize("rho", [3.0, 7.0])
def test_log_sigma_is_normal_however_the_steps_are_spread(rho: float) -> None:
    schedule = Schedule.karras(T=4000, sigma_min=1e-4, sigma_max=1e4, rho=rho)
    p, log_sigma = log_normal(schedule).double(), schedule.sigma[1:].log()
    mean = float((p * log_sigma).sum())
    assert float(p.sum()) == pytest.approx(1, abs=1e-5)
    assert mean == pytest.approx(-1.2, abs=5e-3)
    assert float((p * (log_sigma - mean) ** 2).sum()) == pytest.approx(1.44, abs=0.02)


def test_a_step_without_signal_is_never_drawn_and_disturbs_no_other() -> None:
    zero = Schedule.straight(T=10)
    p = log_normal(zero)
    assert p[-1] == 0
    log_sigma = zero.sigma[1:10].log()
    expected = torch.exp(-0.5 * ((log_sigma + 1.2) / 1.2) ** 2) * torch.gradient(log_sigma)[0]
    assert torch.allclose(p[:9].double(), expected / expected.sum(), rtol=1e-5)
    with pytest.raises(ValueError, match="mean, std: expected"):
        log_normal(zero, mean=100, std=0.1)


def test_with_a_learned_variance_the_bound_is_the_same_however_steps_are_drawn() -> None:
    """An estimate of Σ L_t by other shares of the steps is weighted by them."""
    torch.manual_seed(0)
    ddpm = DDPM(MLP(1, width=4, depth=1, learned_variance=True), Schedule.cosine(T=20), "v", "learned")
    x_0, shares = torch.zeros(60_000, 1), torch.linspace(1, 3, 20)
    vlb = [
        float(next(Denoising(ddpm, steps=steps).losses(x_0, torch.Generator().manual_seed(0)))[2]["vlb"])
        for steps in (None, shares)
    ]
    assert vlb[0] == pytest.approx(vlb[1], rel=0.05)


def test_steps_are_drawn_as_often_as_asked() -> None:
    class Diary(torch.nn.Module):
        def forward(self, x_t: torch.Tensor, t: torch.Tensor, label: None) -> torch.Tensor:
            seen.append(t)
            return torch.zeros_like(x_t)

    seen: list[torch.Tensor] = []
    shares = torch.tensor([1.0, 0.0, 3.0, 0.0])
    objective = Denoising(DDPM(Diary(), Schedule.linear(T=4)), steps=shares)
    list(objective.losses(torch.zeros(8000, 2), torch.Generator().manual_seed(0)))
    assert (torch.cat(seen).bincount(minlength=5)[1:] / 8000).tolist() == pytest.approx([0.25, 0, 0.75, 0], abs=0.02)


@pytest.mark.parametrize("steps", [torch.zeros(4), torch.ones(3), -torch.ones(4), torch.ones(4, dtype=torch.int64)])
def test_shares_that_say_nothing_are_refused(steps: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="steps: expected"):
        Denoising(DDPM(MLP(2, width=4, depth=1), Schedule.linear(T=4)), steps=steps)


def test_a_training_with_other_shares_is_another_one() -> None:
    ddpm = DDPM(MLP(2, width=4, depth=1), Schedule.linear(T=4))
    s = ddpm.schedule
    asked = [
        (None, None),
        (None, torch.ones(4)),
        (None, torch.tensor([4.0, 0, 0, 0])),
        (min_snr(s), None),
        (min_snr(s, gamma=1), None),
    ]
    configs = [Denoising(ddpm, weight=weight, steps=steps).config() for weight, steps in asked]
    assert all(a != b for i, a in enumerate(configs) for b in configs[:i])
