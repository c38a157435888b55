"""The density of the probability-flow ODE: against mixtures that are known, and as a density, whose integral is 1."""

import itertools
import math
from typing import Any

import pytest
import torch

from genlib.data import GaussianMixture
from genlib.diffusion import DDPM, MLP, Schedule, UNet, ode_log_prob

PAIR = GaussianMixture([[-0.5], [1.0]], [[[0.05]], [[0.04]]], [0.6, 0.4])
RING = GaussianMixture.ring(n=3, std=0.3)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def known(p: GaussianMixture, schedule: Schedule) -> DDPM:
    return DDPM(lambda x_t, t, label: p.optimal_eps(x_t, t, schedule), schedule)


def random_mlp(dim: int, **arguments: Any) -> MLP:
    torch.manual_seed(3)
    net = MLP(dim, width=8, depth=1, **arguments).double()
    torch.nn.init.normal_(net.last.weight, std=0.2)
    return net


@pytest.mark.parametrize("p", [PAIR, RING], ids=["1-D", "2-D"])
@pytest.mark.parametrize("schedule", [Schedule.cosine(T=800), Schedule.linear(T=800)], ids=["cosine", "linear"])
def test_it_is_the_mixtures_own_and_the_error_falls_as_the_square_of_the_steps(
    p: GaussianMixture, schedule: Schedule
) -> None:
    x_0 = p.sample(40, generator()).double()
    errors = [(ode_log_prob(known(p, schedule), x_0, steps=n) - p.log_prob(x_0)).abs().mean() for n in (40, 80, 160)]
    assert errors[-1] < 3e-3
    assert [math.log2(a / b) for a, b in itertools.pairwise(errors)] == pytest.approx([2, 2], abs=0.35)


@pytest.mark.parametrize(
    ("predict", "schedule"), [("v", Schedule.cosine(T=400)), ("eps", Schedule.karras(400, 0.002, 5))]
)
def test_of_a_network_it_is_a_density(predict: Any, schedule: Schedule) -> None:
    model = DDPM(random_mlp(1), schedule, predict=predict)
    x_0 = torch.linspace(-40, 40, 6001, dtype=torch.float64)
    density = ode_log_prob(model, x_0[:, None]).exp()
    assert density.std() > 0.001
    assert float(torch.trapezoid(density, x_0)) == pytest.approx(1, abs=2e-3)


def test_of_one_step_it_is_the_determinant_of_that_step() -> None:
    """From the slope 0 at the data: x_T = x_0 + φ/2 v(x_0, T), and half the trace at the end."""
    net, schedule = random_mlp(3), Schedule.cosine(T=20)
    model = DDPM(net, schedule, predict="v")
    x_0 = torch.randn(5, 3, generator=generator(), dtype=torch.float64)
    phi = math.acos(math.sqrt(schedule.alpha_bar[-1]))
    t = torch.full((1,), 20)
    for x, found in zip(x_0, ode_log_prob(model, x_0, steps=1), strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda one: net(one[None], t)[0], x).detach()
        x_T = x + phi / 2 * net(x[None], t)[0].detach()
        expected = torch.distributions.Normal(0.0, 1.0).log_prob(x_T).sum() + phi / 2 * jacobian.trace()
        assert float(found) == pytest.approx(float(expected), abs=1e-9)


def test_random_signs_give_the_trace_on_average() -> None:
    model, x_0 = known(RING, Schedule.cosine(T=50)), RING.sample(4, generator()).double()
    exact = ode_log_prob(model, x_0, steps=10)
    found = torch.stack([ode_log_prob(model, x_0, steps=10, probes=1, generator=generator(k)) for k in range(200)])
    off = (found.mean(0) - exact) / (found.std(0) / math.sqrt(200)).clamp(min=1e-9)
    assert found.std(0).max() > 0.01
    assert off.abs().max() < 4
    many = ode_log_prob(model, x_0, steps=10, probes=64, generator=generator())
    assert (many - exact).abs().max() < 0.6 * found.std(0).max()


def test_in_one_dimension_one_sign_is_exact() -> None:
    model, x_0 = known(PAIR, Schedule.cosine(T=50)), PAIR.sample(4, generator()).double()
    assert torch.allclose(ode_log_prob(model, x_0, probes=1), ode_log_prob(model, x_0))


def test_pictures_labels_and_precision() -> None:
    torch.manual_seed(0)
    net = UNet(1, width=4, mults=(1,), n_blocks=1, n_classes=3).train()
    torch.nn.init.normal_(net.last.weight)
    model, x_0 = DDPM(net, Schedule.cosine(T=10), predict="v"), torch.randn(2, 1, 4, 4, generator=generator())
    first, second = (ode_log_prob(model, x_0, torch.tensor([k, k]), steps=3, probes=2) for k in (0, 1))
    assert first.shape == (2,)
    assert first.dtype == torch.float32
    assert not first.requires_grad
    assert net.training
    assert not torch.allclose(first, second)
    assert all(weight.grad is None for weight in net.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x_0": torch.zeros(3, 4)}, "x_0: expected shape"),
        ({"x_0": torch.full((3, 1), math.nan)}, "x_0: expected"),
        ({"steps": [3, 4]}, "steps: expected"),
        ({"probes": 0}, "probes: expected"),
        ({"label": torch.tensor([0, 1, 2])}, "label"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict[str, Any], message: str) -> None:
    model = DDPM(MLP(1, width=4, depth=1), Schedule.cosine(T=10))
    with pytest.raises(ValueError, match=message):
        ode_log_prob(model, **{"x_0": torch.zeros(3, 1), **arguments})
