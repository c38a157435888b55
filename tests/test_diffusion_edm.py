"""EDM: what its preconditioning is for, and where it is what we have under another name."""

import math
from typing import Any

import pytest
import torch

from genlib import train
from genlib.data import GaussianMixture
from genlib.diffusion import DDPM, MLP, Denoising, Preconditioned, Schedule, UNet, heun, last, log_normal

S = Schedule.karras(T=50)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def at(t: int, n: int) -> torch.Tensor:
    return torch.full((n,), t)


def answers(value: float, x_t: torch.Tensor, t: int, std: float) -> torch.Tensor:
    """What it makes of a network F that always says this."""
    net = Preconditioned(lambda x, t, label: torch.full_like(x, value), S, std)
    return net(x_t, at(t, len(x_t)))


@pytest.mark.parametrize("std", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("t", [1, 20, 35, 50])
def test_inputs_and_targets_have_variance_one(t: int, std: float) -> None:
    n, seen = 100_000, []
    x_0, eps = std * normal(n, 1), normal(n, 1, seed=1)
    x_t = S.q_sample(x_0, at(t, n), eps)
    Preconditioned(lambda x, t, label: seen.append(x) or x, S, std)(x_t, at(t, n))
    skipped = answers(0.0, x_t, t, std)
    scale = answers(1.0, x_t, t, std) - skipped
    for values in (seen[0], (x_0 - skipped) / scale):  # what F is given, and what it has to say
        assert float(values.var()) == pytest.approx(1, abs=4 * math.sqrt(2 / n))
    assert torch.allclose(Preconditioned(UNet(1), S, std).weight(at(t, 1)).double(), scale[0] ** -2, rtol=1e-5)
    left = torch.stack([x_0 - skipped, skipped]).squeeze().corrcoef()[0, 1]  # of any other share more would be left
    assert abs(left) < 4 / math.sqrt(n)


def test_with_data_of_deviation_one_it_predicts_v() -> None:
    torch.manual_seed(0)
    F = MLP(2, width=8, depth=1).double()
    torch.nn.init.normal_(F.last.weight)
    x_t, t = normal(6, 2), torch.tensor([1, 2, 10, 30, 49, 50])
    edm = DDPM(Preconditioned(F, S, 1.0), S, predict="x_0").denoise(x_t, t)
    v = DDPM(lambda x, t, label: -F(x, t), S, predict="v").denoise(x_t, t)
    assert torch.allclose(edm.x_0, v.x_0, atol=1e-9)
    assert torch.allclose(edm.eps, v.eps, atol=1e-6)


def test_heun_is_edms_sampler() -> None:
    """Karras et al. 2022, algorithm 1, in their own variables, on the mixture; but for the first step, Euler's here."""
    p, s = GaussianMixture.ring(n=5, std=0.2), Schedule.karras(T=18)
    sigma = [0.0, *s.sigma[1:].tolist()]

    def slope(x: torch.Tensor, i: int) -> torch.Tensor:
        """(x − D(x; σ))/σ, with D by Tweedie's formula."""
        noisy = GaussianMixture(p.means, p.covs + sigma[i] ** 2 * torch.eye(2).double(), p.weights)
        return -sigma[i] * noisy.score(x)

    x_T = normal(20, 2)
    x = sigma[18] / math.sqrt(s.one_minus_alpha_bar[18]) * x_T  # x̄ = x/√ᾱ
    for i in range(18, 0, -1):
        d = slope(x, i)
        euler = x + (sigma[i - 1] - sigma[i]) * d
        x = euler if i in (18, 1) else x + (sigma[i - 1] - sigma[i]) * (d + slope(euler, i - 1)) / 2
    model = DDPM(lambda x_t, t, label: p.optimal_eps(x_t, t, s), s)
    assert torch.allclose(last(heun(model, (20, 2), x_T=x_T)), x, atol=1e-8)


def test_it_trains_and_its_deviation_travels_with_the_weights(tmp_path: Any) -> None:
    def model(std: float) -> DDPM:
        torch.manual_seed(0)
        return DDPM(Preconditioned(MLP(2, width=32, depth=1), S, std), S, predict="x_0", shape=(2,))

    edm, points = model(0.7), GaussianMixture.ring(std=0.05).sample(500, torch.Generator().manual_seed(0))
    objective = Denoising(edm, weight=edm.net.weight, steps=log_normal(S))  # type: ignore[union-attr, arg-type]
    train.fit(objective, points, steps=1000, seed=0, progress=False)
    x_t, t = S.q_sample(points, at(15, 500), normal(500, 2).float()), at(15, 500)
    left = (edm.denoise(x_t, t).x_0 - points).square().mean(1) * edm.net.weight(t)  # type: ignore[union-attr, operator]
    assert left.mean() < 0.8  # of 1; the best denoiser leaves 0.61
    assert edm.sample(5, sampler=heun, steps=10).isfinite().all()
    train.save(edm, tmp_path / "edm.safetensors")
    train.load(model(0.7), tmp_path / "edm.safetensors")
    with pytest.raises(ValueError, match="std"):
        train.load(model(0.5), tmp_path / "edm.safetensors")


def test_what_it_is_around_is_known() -> None:
    net = Preconditioned(MLP(2, width=4, depth=1, n_classes=3), S)
    with pytest.raises(ValueError, match="label"):
        DDPM(net, S, predict="x_0").sample(2, label=5, shape=(2,))
    with pytest.raises(ValueError, match="shape"):
        DDPM(net, S, predict="x_0").sample(2, shape=(3,))
    with pytest.raises(ValueError, match="net: expected predict"):
        DDPM(net, S)
    with pytest.raises(ValueError, match="net: expected predict"):
        DDPM(net, Schedule.cosine(T=50), predict="x_0")
    with pytest.raises(ValueError, match="learned variance"):
        Preconditioned(MLP(2, width=4, depth=1, learned_variance=True), S)
    with pytest.raises(ValueError, match="std"):
        Preconditioned(MLP(2, width=4, depth=1), S, std=0)
