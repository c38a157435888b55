"""A flow: densities that integrate to one, samples that follow them, and code lengths that bound the truth."""

import math
from typing import Any

import pytest
import torch
from flow_cases import randomised, seeded  # noqa: F401
from torch import Tensor

from genlib import data, flows
from genlib.common import told
from genlib.flows import Flow, RealNVP


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_flow(flow: Flow, std: float = 0.2, seed: int = 0) -> Flow:
    return randomised(flow.double(), std, seed).requires_grad_(False).eval()


def uniform(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=generator(), dtype=torch.float64)


def mixture_1d() -> data.GaussianMixture:
    return data.GaussianMixture([[-1.0], [1.0]], [[[0.1]], [[0.3]]], [0.3, 0.7])


def grid(low: float, high: float, n: int) -> tuple[Tensor, float]:
    """Midpoints of n × n cells, (n², 2), and the area of one."""
    h = (high - low) / n
    axis = low + h * (torch.arange(n, dtype=torch.float64) + 0.5)
    return torch.cartesian_prod(axis, axis), h * h


FLOWS_1D = {
    "linear": lambda: Flow([flows.InvertibleConv(1), flows.ActNorm(1)], (1,)),
    "mixture as base": lambda: Flow([flows.ActNorm(1)], (1,), base=mixture_1d()),
    "logit": lambda: Flow([flows.Logit(), flows.ActNorm(1)], (1,)),
    "logit and mixture": lambda: Flow([flows.Logit(), flows.ActNorm(1)], (1,), base=mixture_1d()),
}


@pytest.mark.parametrize("name", FLOWS_1D)
def test_densities_in_1d_integrate_to_one(name: str) -> None:
    flow = random_flow(FLOWS_1D[name](), std=0.3)
    low, high = (-0.05 / 0.9, 1 + 0.05 / 0.9) if "logit" in name else (-30.0, 30.0)
    h = (high - low) / 100_000
    x = low + h * (torch.arange(100_000, dtype=torch.float64) + 0.5)
    assert float(flow.log_prob(x[:, None]).exp().sum() * h) == pytest.approx(1, abs=1e-5)


FLOWS_2D = {
    "halves": lambda: RealNVP.for_vectors(2, 4, 8),
    "actnorm": lambda: RealNVP.for_vectors(2, 3, 8, mask="random", actnorm=True),
    "given the class": lambda: RealNVP.for_vectors(2, 4, 8, n_classes=3),
    "mixture as base": lambda: RealNVP.for_vectors(2, 4, 8, base=data.GaussianMixture.ring(3, 1.0, 0.4)),
    "couplings": lambda: Flow([flows.AffineCoupling(flows.masks.halves(2, swap=s)) for s in (False, True)], (2,)),
    "mixed": lambda: Flow([flows.InvertibleConv(2), flows.BatchNorm(2), flows.AffineCoupling([True, False])], (2,)),
}


@pytest.mark.parametrize("name", FLOWS_2D)
def test_densities_in_2d_integrate_to_one(name: str) -> None:
    flow = random_flow(FLOWS_2D[name](), std=0.1)
    x, area = grid(-25, 25, 800)
    for k in range(flow.n_classes or 1):
        label = torch.full((len(x),), k) if flow.n_classes else None
        assert float(flow.log_prob(x, label).exp().sum() * area) == pytest.approx(1, abs=1e-4)


def test_the_density_of_pictures_of_two_pixels_integrates_to_one() -> None:
    flow = random_flow(RealNVP.for_images((1, 1, 2), 4, width=4, n_blocks=1), std=0.1)
    edge = 0.05 / 0.9
    x, area = grid(-edge, 1 + edge, 200)
    assert float(flow.log_prob(x.view(-1, 1, 1, 2)).exp().sum() * area) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("name", ["halves", "mixture as base", "given the class"])
def test_samples_follow_log_prob(name: str) -> None:
    """The mass of each of 36 cells, by quadrature, against the share of 40,000 samples that fall into it."""
    flow, n = random_flow(FLOWS_2D[name](), std=0.1), 40_000
    label = torch.full((n,), 1) if flow.n_classes else None
    samples = flow.sample(n, label, generator=generator())
    assert samples.dtype == torch.float64
    assert not samples.requires_grad
    x, area = grid(-3, 3, 240)
    mass = flow.log_prob(x, None if label is None else torch.full((len(x),), 1)).exp() * area
    expected = mass.view(6, 40, 6, 40).sum((1, 3))
    cell = (samples + 3).floor().long()
    inside = ((cell >= 0) & (cell < 6)).all(1)
    found = torch.bincount((6 * cell[:, 0] + cell[:, 1])[inside], minlength=36).view(6, 6) / n
    assert float(expected.sum()) > 0.5
    assert (found - expected).abs().max() < 5 * (0.25 / n) ** 0.5


def test_samples_are_inverses_of_what_the_base_draws() -> None:
    flow = random_flow(RealNVP.for_vectors(3, 4, 8))
    z = torch.randn(7, 3, generator=generator(5)).double()
    for temperature in (1.0, 0.5, 0.0):
        x = flow.sample(7, generator=generator(5), temperature=temperature)
        assert torch.allclose(x, flow.inverse(temperature * z)[0], atol=1e-12)
    assert flow.sample(0).shape == (0, 3)


class Dropping(torch.nn.Module):
    """A network of a student's own."""

    def __init__(self, dropout: torch.nn.Module) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(2, 4)
        self.dropout: Any = dropout

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        return self.dropout(self.linear(x))


@pytest.mark.parametrize("kind", ["Dropout", "Dropout1d", "AlphaDropout", "FeatureAlphaDropout"])
@pytest.mark.parametrize("p", [0.5, 1, 0.0])
def test_every_kind_of_dropout_has_no_inverse_in_training(kind: str, p: float) -> None:
    flow = Flow([flows.AffineCoupling(flows.masks.halves(4), Dropping(getattr(torch.nn, kind)(p)))], (4,)).train()
    z = torch.zeros(3, 4)
    if p:
        with pytest.raises(ValueError, match=r"^inverse: .*in training mode"):
            flow.inverse(z)
    else:
        flow.inverse(z)
    flow.eval().inverse(z)


def test_sampling_and_measuring_put_the_mode_back_and_use_no_dropout() -> None:
    flow = random_flow(RealNVP.for_vectors(4, 2, 8, levels=5, dropout=0.5))
    flow.train()
    assert torch.equal(flow.sample(5, generator=generator(1)), flow.sample(5, generator=generator(1)))
    x_int = torch.randint(5, (6, 4), generator=generator())
    bits = [flow.bits_per_dim(x_int, generator=generator(2)) for _ in range(2)]
    assert torch.equal(*bits)
    assert flow.training
    assert not torch.equal(flow.log_prob(uniform(6, 4)), flow.log_prob(uniform(6, 4)))  # there is dropout
    with pytest.raises(ValueError, match=r"eval\(\)"):
        flow.inverse(uniform(6, 4))
    flow.eval().inverse(uniform(6, 4))


def test_a_flow_without_chance_can_be_inverted_in_training() -> None:
    flow = random_flow(RealNVP.for_vectors(4, 2, 8)).train()
    x = uniform(3, 4)
    assert torch.allclose(flow.inverse(flow(x)[0])[0], x)


def test_layers_one_by_one_give_the_whole() -> None:
    flow = random_flow(RealNVP.for_vectors(5, 6, 8, levels=4, n_classes=2, mask="random", actnorm=True))
    x, label = uniform(4, 5), torch.tensor([0, 1, 1, 0])
    condition, z, total = told(label, 2, x), x, torch.zeros(4, dtype=x.dtype)
    assert len(flow.layers) == 1 + 6 + 3
    for layer in flow.layers:
        z, log_det = layer(z, condition)
        total = total + log_det
    for a, b in zip((z, total), flow(x, label), strict=True):
        assert torch.allclose(a, b, atol=1e-12)
    for layer in reversed(flow.layers):
        z, _ = layer.inverse(z, condition)  # type: ignore[operator]
    assert torch.allclose(z, x, atol=1e-12)


class Uniform:
    """A base that is uniform on the unit cube: with no layers, all levels are equally likely."""

    def log_prob(self, z: Tensor) -> Tensor:
        return torch.where(((z >= 0) & (z <= 1)).flatten(1).all(1), 0.0, -math.inf)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.rand(n, 3, generator=generator)


@pytest.mark.parametrize("levels", [2, 17])
def test_the_uniform_flow_needs_log2_levels_bits(levels: int) -> None:
    flow = Flow([], (3,), base=Uniform(), levels=levels)
    bits = flow.bits_per_dim(torch.randint(levels, (9, 3)), n_importance=3)
    assert bits.dtype == torch.float64
    assert torch.allclose(bits, torch.full((9,), math.log2(levels), dtype=torch.float64))


def test_bits_per_dim_bounds_the_truth_and_importance_sampling_comes_closer() -> None:
    """P(x_int) by quadrature over its cell. In expectation K = 1 lies above, K = 8 between, K = 1024 all but there."""
    flow = random_flow(RealNVP.for_vectors(2, 4, 8, levels=3), std=0.3)
    x_int = torch.tensor([[0, 0], [2, 1], [1, 2]])
    offsets, area = grid(0, 1, 200)
    cells = (x_int[:, None] + offsets) / 3
    log_p = flow.log_prob(cells.flatten(0, 1)).view(3, -1)
    truth = -((log_p.exp().sum(1) * area / 9).log()) / (2 * math.log(2))
    expected_bound = -(log_p.mean(1) - 2 * math.log(3)) / (2 * math.log(2))

    def measured(K: int, n: int) -> Tensor:
        x = x_int.repeat_interleave(n, 0)
        return flow.bits_per_dim(x, n_importance=K, generator=generator(), batch_size=1000).view(3, n).mean(1)

    noise = log_p.std(1) / (2 * math.log(2)) / 4000**0.5
    once, eight, many = measured(1, 4000), measured(8, 500), measured(1024, 4)
    assert ((once - expected_bound).abs() < 5 * noise).all()
    assert (once > eight).all()
    assert (eight > truth).all()
    assert torch.allclose(many, truth, atol=0.02)


def test_bits_per_dim_does_not_depend_on_the_batch_size_but_for_its_noise() -> None:
    flow = random_flow(RealNVP.for_vectors(4, 2, 8, levels=5, n_classes=2))
    x_int, label = torch.randint(5, (7, 4), generator=generator()), torch.tensor([0, 1, 0, 1, 1, 0, 0])
    whole = flow.bits_per_dim(x_int, label, generator=generator(1), n_importance=300)
    parts = flow.bits_per_dim(x_int, label, generator=generator(1), n_importance=300, batch_size=3)
    assert torch.allclose(whole, parts, atol=0.05)
    assert not torch.allclose(whole, flow.bits_per_dim(x_int, 1 - label, n_importance=300), atol=0.05)


def test_nothing_is_changed_in_place() -> None:
    flow = random_flow(RealNVP.for_vectors(3, 4, 8, levels=4))
    x = uniform(5, 3)
    before = x.clone()
    flow.inverse(flow(x)[0])
    flow.log_prob(x)
    assert torch.equal(x, before)


def test_log_prob_has_gradients_in_x() -> None:
    flow = random_flow(RealNVP.for_vectors(2, 4, 8))
    x = uniform(3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: flow.log_prob(x), x)


PLAIN, LEVELS = RealNVP.for_vectors(4, 2, 8), RealNVP.for_vectors(4, 2, 8, levels=5)
CLASSES = RealNVP.for_vectors(4, 2, 8, n_classes=3)
MIXTURE = RealNVP.for_vectors(2, 2, 8, base=data.GaussianMixture.ring())
X, X_INT, LABEL = torch.zeros(2, 4), torch.zeros(2, 4, dtype=torch.int64), torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: Flow([], (0,)), "shape"),
        (lambda: Flow([], (2, 3)), "shape"),
        (lambda: Flow([], 3), "shape"),  # type: ignore
        (lambda: Flow([], "ab"), "shape"),  # type: ignore
        (lambda: Flow([], (2,), n_classes=2, n_condition=2), "n_classes, n_condition"),
        (lambda: PLAIN(None), "x"),  # type: ignore
        (lambda: PLAIN(X.bfloat16()), "x"),
        (lambda: PLAIN(X.to_sparse()), "x"),
        (lambda: PLAIN(X.to("meta")), "x"),
        (lambda: PLAIN.log_prob(X + 0j), "x"),
        (lambda: PLAIN.sample(10**12), "n"),
        (lambda: PLAIN.sample(2, generator=0), "generator"),  # type: ignore
        (lambda: Flow([], (2,), base=3), "base"),  # type: ignore
        (lambda: Flow([], (2,), levels=1), "levels"),
        (lambda: Flow([], (2,), n_classes=0), "n_classes"),
        (lambda: PLAIN(torch.zeros(2, 5)), "x"),
        (lambda: PLAIN(torch.zeros(4)), "x"),
        (lambda: PLAIN(X_INT), "x"),
        (lambda: PLAIN(X.double()), "x"),
        (lambda: PLAIN.inverse(torch.zeros(2, 5)), "z"),
        (lambda: PLAIN(X, LABEL), "label"),
        (lambda: PLAIN.bits_per_dim(X_INT), "levels"),
        (lambda: PLAIN.sample(-1), "n"),
        (lambda: PLAIN.sample(2, temperature=-1.0), "temperature"),
        (lambda: MIXTURE.sample(2, temperature=0.7), "temperature"),
        (lambda: LEVELS(X_INT), "x"),
        (lambda: LEVELS.log_prob(X_INT), "x"),
        (lambda: LEVELS.bits_per_dim(X), "x_int"),
        (lambda: LEVELS.bits_per_dim(X_INT + 5), "x_int"),
        (lambda: LEVELS.bits_per_dim(X_INT - 1), "x_int"),
        (lambda: LEVELS.bits_per_dim(X_INT[:, :3]), "x_int"),
        (lambda: LEVELS.bits_per_dim(X_INT, n_importance=0), "n_importance"),
        (lambda: CLASSES(X), "label"),
        (lambda: CLASSES(X, LABEL[:1]), "label"),
        (lambda: CLASSES(X, LABEL + 3), "label"),
        (lambda: CLASSES(X, LABEL - 1), "label"),
        (lambda: CLASSES(X, LABEL.float()), "label"),
        (lambda: CLASSES.sample(2), "label"),
        (lambda: CLASSES.sample(3, LABEL), "label"),
    ],
)
def test_wrong_input_is_named(call, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        call()


def test_values_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^x: .*NaN"):
        PLAIN.log_prob(X + math.nan)


@pytest.mark.parametrize(
    "x",
    [
        torch.arange(17.0)[:16].view(4, 4),  # whole numbers as floats
        torch.linspace(-1, 1, 16).view(4, 4),  # as diffusion has them
        torch.full((2, 4), 1 + 0.05 / 0.9),  # the end of what the logit takes: +∞
        torch.full((2, 4), -0.06),
    ],
)
def test_x_where_the_logit_has_no_value_is_refused(x: Tensor) -> None:
    """It was NaN, or infinite."""
    for flow in (RealNVP.for_vectors(4, 2, 8, levels=17), Flow([flows.Logit()], (4,))):
        for call in (flow, flow.log_prob):
            with pytest.raises(ValueError, match=r"^x: expected .* in \(-0\.0555.*, 1\.0555.*\), got .*\.\."):
                call(x)


def test_dequantized_x_and_a_flow_s_own_samples_have_a_finite_density() -> None:
    """Both ends of [0, 1] belong to it; samples of an untrained flow lie a little beyond them."""
    flow = RealNVP.for_vectors(4, 2, 8, levels=17)
    samples = flow.sample(1000, generator=generator())
    assert float(samples.min()) < 0
    for x in (torch.zeros(1, 4), torch.ones(1, 4), samples, torch.zeros(0, 4)):
        assert flow.log_prob(x).isfinite().all()
        assert flow(x)[0].isfinite().all()


RING = data.GaussianMixture.ring()


@pytest.mark.parametrize(
    "call",
    [
        lambda: RealNVP.for_vectors(2, base=flows.Normal((5,))),
        lambda: RealNVP.for_images((1, 4, 4), base=flows.Normal((16,))),
        lambda: RealNVP.for_vectors(3, base=RING).sample(2),
        lambda: RealNVP.for_vectors(3, base=RING).log_prob(torch.zeros(4, 3)),
        lambda: flows.MaximumLikelihood(RealNVP.for_vectors(3, base=RING)).losses(torch.zeros(4, 3)).__next__(),
        # one number for each coordinate, which two examples of two coordinates would add up as if it were right
        lambda: RealNVP.for_vectors(2, base=torch.distributions.Normal(0.0, 1.0)).log_prob(torch.zeros(2, 2)),  # type: ignore
    ],
)
def test_a_base_of_another_shape_is_refused(call) -> None:
    with pytest.raises(ValueError, match=r"^base: expected"):
        call()


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([flows.AffineCoupling(flows.masks.halves(4))], (6,)),
        ([flows.AffineCoupling(flows.masks.halves(4)), flows.AffineCoupling(flows.masks.halves(4))], (6,)),
        ([flows.Squeeze()], (1, 3, 4)),
        ([flows.ActNorm(1), flows.Squeeze()], (1, 3, 4)),
    ],
)
def test_layers_that_do_not_fit_the_flow_s_shape_are_refused(layers: list, shape: tuple[int, ...]) -> None:
    flow = Flow(layers, shape)
    for call in (flow, flow.log_prob, lambda x: next(flows.MaximumLikelihood(flow).losses(x))):
        with pytest.raises(ValueError, match=r"^x: expected .*got .*shape \(2, .*(6|3, 4)\)"):
            call(torch.zeros(2, *shape))


def test_whole_numbers_have_no_density_themselves() -> None:
    for call in (LEVELS, LEVELS.log_prob):
        with pytest.raises(ValueError, match=r"^x: expected a float tensor .*got int64"):
            call(X_INT)


def test_data_on_a_device_without_float64_are_measured_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers go to the CPU first, and then to float64."""
    seen: list[str] = []
    double, cpu = Tensor.double, Tensor.cpu
    monkeypatch.setattr(Tensor, "double", lambda x: (seen.append("double"), double(x))[1])
    monkeypatch.setattr(Tensor, "cpu", lambda x: (seen.append("cpu"), cpu(x))[1])
    LEVELS.bits_per_dim(X_INT)
    assert seen[-2:] == ["cpu", "double"]


def test_one_class_stands_for_all_that_are_drawn() -> None:
    """And generators draw the same, whether a class comes as a number or as a tensor."""
    flow = random_flow(RealNVP.for_vectors(4, 2, 8, n_classes=3))
    one = flow.sample(5, 2, generator())
    assert torch.equal(one, flow.sample(5, torch.full((5,), 2), generator()))
    assert not torch.equal(one, flow.sample(5, 0, generator()))
