"""Maximum likelihood as a objective: what it asks to be minimised, and that minimising it finds the truth."""

import math
from typing import Any

import pytest
import torch
from flow_cases import randomised, seeded  # noqa: F401

from genlib import data, train
from genlib.flows import ActNorm, Flow, InvertibleConv, MaximumLikelihood, RealNVP, dequantize


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def loss_of(objective: MaximumLikelihood, batch, g: torch.Generator | None = None) -> torch.Tensor:
    ((name, loss, logs),) = objective.losses(batch, g)
    assert name == "flow"
    assert logs == {}
    return loss


def linear(n: int, seed: int = 0) -> tuple[Flow, torch.distributions.MultivariateNormal]:
    """z = W x + b, and what algebra makes of it: x ~ N(−W⁻¹ b, W⁻¹ W⁻ᵀ)."""
    flow = randomised(Flow([InvertibleConv(n), ActNorm(n)], (n,)).double(), 0.5, seed).eval()
    b = flow(torch.zeros(1, n, dtype=torch.float64))[0].detach()[0]
    W = flow(torch.eye(n, dtype=torch.float64))[0].detach().T - b[:, None]
    back = torch.linalg.inv(W)
    return flow, torch.distributions.MultivariateNormal(-back @ b, back @ back.T)


def test_points_cost_nats() -> None:
    """The mean over the batch of what torch's own Gaussian says, by examples that cost differently."""
    flow, truth = linear(3)
    x = 2 * torch.randn(9, 3, generator=generator(), dtype=torch.float64)
    costs = -truth.log_prob(x)
    assert float(costs.std()) > 1
    assert float(loss_of(MaximumLikelihood(flow), x).detach()) == pytest.approx(sum(costs.tolist()) / 9, rel=1e-9)


class Uniform:
    """Uniform on the cube of edge 1 that begins at 0: −∞ outside of it."""

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        return torch.where(((z >= 0) & (z <= 1)).all(1), 0.0, -math.inf)

    def sample(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        return torch.rand(n, 3, generator=generator)


@pytest.mark.parametrize("levels", [2, 16, 17])
def test_whole_numbers_cost_log2_levels_bits_for_each_number_where_all_are_equally_likely(levels: int) -> None:
    """Also the largest one, whose noise must not leave the cube."""
    objective = MaximumLikelihood(Flow([], (3,), base=Uniform(), levels=levels))
    x_int = torch.randint(levels, (50, 3), generator=generator())
    x_int[0], x_int[1] = levels - 1, 0
    assert float(loss_of(objective, x_int, generator(3))) == pytest.approx(math.log2(levels), rel=1e-6)


def test_whole_numbers_cost_the_bits_of_their_probabilities() -> None:
    """A density on [0, 1]² that is 1.6 in one half and 0.4 in the other: P is 0.4, 0.4, 0.1, 0.1, by the first number.

    0.4 = 1.6 / 4 and 0.1 = 0.4 / 4; the second number has four values, all equally likely.
    """

    class Halves:
        def log_prob(self, z: torch.Tensor) -> torch.Tensor:
            return torch.where(z[:, 0] < 0.5, math.log(1.6), math.log(0.4))

        def sample(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
            raise NotImplementedError

    objective = MaximumLikelihood(Flow([], (2,), base=Halves(), levels=4))
    x_int = torch.tensor([[0, 3], [1, 0], [2, 1], [1, 2]])
    bits = -sum(math.log2(P / 4) for P in (0.4, 0.4, 0.1, 0.4)) / 4
    assert float(loss_of(objective, x_int, generator())) == pytest.approx(bits / 2, rel=1e-6)


def test_each_example_costs_what_it_costs_under_its_own_label() -> None:
    """Two classes that a bias tells apart: by z = x − label, each batch costs what N(label, 1) says."""
    flow = RealNVP.for_vectors(2, 2, 8, n_classes=2).double().requires_grad_(False)
    for layer in flow.layers:
        net: Any = layer.net
        net.first.bias.zero_()
        net.first.weight.zero_()
        net.condition.weight.copy_(torch.eye(8, 2))
        net.hidden[0].weight.copy_(torch.eye(8))
        net.hidden[0].bias.zero_()
        net.last.weight[1, 1] = -1.0  # shift = −1 for class 1, log_s = 0
    x, label = torch.randn(9, 2, generator=generator(), dtype=torch.float64), torch.arange(9) % 2
    truth = torch.distributions.Normal(label[:, None].double(), 1.0).log_prob(x).sum(1)
    assert float(loss_of(MaximumLikelihood(flow), (x, label))) == pytest.approx(-float(truth.mean()), rel=1e-9)


def test_every_step_has_new_noise_from_the_generator() -> None:
    flow = randomised(RealNVP.for_vectors(3, 2, 8, levels=5), 0.2)
    objective, x_int, g = MaximumLikelihood(flow), torch.randint(5, (9, 3), generator=generator()), generator(3)
    first, second = (float(loss_of(objective, x_int, g).detach()) for _ in range(2))
    assert first != second
    assert first == float(loss_of(objective, x_int, generator(3)).detach())


def test_labels_are_left_alone_by_a_flow_without_classes() -> None:
    flow = RealNVP.for_vectors(2, 2, 8)
    x = torch.randn(9, 2, generator=generator())
    assert torch.equal(
        loss_of(MaximumLikelihood(flow), (x, torch.zeros(9, dtype=torch.int64))), loss_of(MaximumLikelihood(flow), x)
    )


def test_the_gap_to_the_entropy_closes() -> None:
    """A correlated Gaussian: after training, the loss on new points is its entropy, and not below."""
    truth = data.GaussianMixture([[1.0, -1.0]], [[[1.0, 0.8], [0.8, 1.0]]])
    torch.manual_seed(0)
    flow = RealNVP.for_vectors(2, 4, 16)
    history = train.fit(
        MaximumLikelihood(flow, lr=5e-3), truth.sample(4000, generator()), steps=250, batch_size=200, progress=False
    )
    new = truth.sample(20_000, generator(1))
    gap = float((truth.log_prob(new) - flow.log_prob(new).detach()).mean())
    assert 0 < gap < 0.02
    assert history.step[-1] == 250
    assert not flow.training


def test_actnorm_is_set_from_the_first_batch_and_averaged_like_the_rest() -> None:
    x = 50 + 7 * torch.randn(2000, 3, generator=generator())
    flow = RealNVP.for_vectors(3, 4, 8, actnorm=True)
    history = train.fit(MaximumLikelihood(flow, lr=1e-3), x, steps=30, batch_size=200, log_every=1, progress=False)
    assert history.logs["loss"][0] < 3 * (0.5 + math.log(7 * (2 * math.pi) ** 0.5)) + 0.3
    z, _ = flow(x)
    assert float(z.detach().mean(0).abs().max()) < 0.3


def test_batch_norm_trains_and_can_be_inverted_afterwards() -> None:
    x_int = torch.randint(4, (64, 1, 4, 4), generator=generator())
    flow = RealNVP.for_images((1, 4, 4), 4, n_scales=2, width=4, n_blocks=1, norm=True)
    train.fit(MaximumLikelihood(flow, lr=1e-3), x_int, steps=10, batch_size=32, progress=False)
    x = dequantize(x_int, 4, generator())
    assert torch.allclose(flow.inverse(flow(x)[0])[0], x, atol=1e-4)
    assert flow.bits_per_dim(x_int).isfinite().all()


def test_the_same_seed_gives_the_same_weights() -> None:
    weights = []
    for _ in range(2):
        torch.manual_seed(3)
        flow = RealNVP.for_vectors(4, 2, 8, levels=5, dropout=0.3)
        x_int = torch.randint(5, (100, 4), generator=generator())
        train.fit(MaximumLikelihood(flow), x_int, steps=5, seed=1, progress=False)
        weights.append(torch.cat([p.detach().flatten() for p in flow.parameters()]))
    assert torch.equal(*weights)


def test_weights_are_stored_and_read(tmp_path) -> None:
    flow = randomised(RealNVP.for_vectors(6, 4, 8, mask="random", actnorm=True, seed=1), 0.2)
    train.save(flow, tmp_path / "flow.safetensors")
    other = train.load(RealNVP.for_vectors(6, 4, 8, mask="random", actnorm=True, seed=1), tmp_path / "flow.safetensors")
    x = torch.randn(5, 6, generator=generator())
    assert torch.equal(flow.eval()(x)[0], other(x)[0])
    mixture = data.GaussianMixture([[0.0] * 6], [torch.eye(6).tolist()])
    for changes, name in (({"seed": 2}, "mask"), ({"bound": 3.0}, "bound"), ({"base": mixture}, "base")):
        wrong = RealNVP.for_vectors(6, 4, 8, mask="random", actnorm=True, **{"seed": 1, **changes})
        with pytest.raises(ValueError, match=rf"^path: .*{name}"):
            train.load(wrong, tmp_path / "flow.safetensors")


def test_weight_decay_makes_weights_smaller() -> None:
    norms = []
    for decay in (0.0, 10.0):
        torch.manual_seed(0)
        flow = RealNVP.for_vectors(2, 2, 8)
        train.fit(
            MaximumLikelihood(flow, weight_decay=decay),
            torch.randn(64, 2, generator=generator()),
            steps=50,
            progress=False,
        )
        norms.append(float(torch.cat([p.detach().flatten() for p in flow.parameters()]).norm()))
    assert norms[1] < 0.8 * norms[0]


LEVELS, CLASSES = RealNVP.for_vectors(4, 2, 8, levels=5), RealNVP.for_vectors(4, 2, 8, n_classes=3)
X, X_INT = torch.zeros(2, 4), torch.zeros(2, 4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: MaximumLikelihood(torch.nn.Linear(2, 2)), "flow"),  # type: ignore
        (lambda: MaximumLikelihood(LEVELS, lr=-1.0), "lr"),
        (lambda: MaximumLikelihood(LEVELS, weight_decay=-1.0), "weight_decay"),
        (lambda: MaximumLikelihood(None), "flow"),  # type: ignore
        (lambda: MaximumLikelihood(LEVELS, lr=math.nan), "lr"),
        (lambda: MaximumLikelihood(LEVELS, muon="fast"), "muon"),  # type: ignore
        (lambda: loss_of(MaximumLikelihood(LEVELS), None), "batch"),
        (lambda: loss_of(MaximumLikelihood(LEVELS), "ab"), "batch"),
        (lambda: loss_of(MaximumLikelihood(LEVELS), X), "x_int"),
        (lambda: loss_of(MaximumLikelihood(LEVELS), []), "batch"),
        (lambda: loss_of(MaximumLikelihood(LEVELS), X_INT + 5), "x_int"),
        (lambda: loss_of(MaximumLikelihood(LEVELS), X_INT[:, :2]), "x"),
        (lambda: loss_of(MaximumLikelihood(CLASSES), X), "label"),
        (lambda: loss_of(MaximumLikelihood(CLASSES), (X, torch.tensor([0, 3]))), "label"),
        (lambda: loss_of(MaximumLikelihood(CLASSES), (X_INT, torch.tensor([0, 1]))), "x"),
        (lambda: loss_of(MaximumLikelihood(CLASSES), (X[:, :3], torch.tensor([0, 1]))), "x"),
    ],
)
def test_wrong_input_is_named(call, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        call()


VECTORS = RealNVP.for_vectors(4, 2, 8, n_condition=3)
LABEL = torch.tensor([0, 2])


@pytest.mark.parametrize(
    ("flow", "batch", "name"),
    [
        (LEVELS, X, "x"),
        (LEVELS, X_INT + 5, "x"),
        (LEVELS, X_INT - 1, "x"),
        (LEVELS, X_INT[:, :2], "x"),
        (LEVELS, [], "batch"),
        (LEVELS, None, "batch"),
        (LEVELS, X_INT[:0], "batch"),
        (CLASSES, X, "label"),
        (CLASSES, (X * math.nan, LABEL), "x"),
        (CLASSES, (X_INT, LABEL), "x"),
        (CLASSES, (X, LABEL + 1), "label"),
        (CLASSES, (X, LABEL.float()), "label"),
        (CLASSES, (X, LABEL, LABEL), "batch"),
        (CLASSES, (X, LABEL[:1]), "batch"),
        (VECTORS, (X, LABEL), "label"),
        (VECTORS, (X, torch.zeros(2, 4)), "label"),
        (VECTORS, (X, torch.full((2, 3), math.nan)), "label"),
    ],
)
def test_a_first_batch_is_looked_at_before_anything_is_trained(flow: Flow, batch, name: str) -> None:
    before = [p.detach().clone() for p in flow.parameters()]
    for call in (MaximumLikelihood(flow).check, lambda batch: train.fit(MaximumLikelihood(flow), batch, steps=1)):
        with pytest.raises(ValueError, match=rf"^({name}|data)\b.*: "):
            call(batch)
    assert all(map(torch.equal, before, flow.parameters()))


def test_a_first_batch_that_fits_is_left_alone() -> None:
    for flow, batch in (
        (LEVELS, X_INT),
        (LEVELS, (X_INT, LABEL + 100)),
        (LEVELS, X_INT.to(torch.uint8)),
        (CLASSES, (X, LABEL)),
        (CLASSES, [X, LABEL]),
        (VECTORS, (X, torch.ones(2, 3))),
    ):
        objective = MaximumLikelihood(flow)
        objective.check(batch)
        assert loss_of(objective, batch, generator()).isfinite()


def test_vectors_are_told_as_they_are() -> None:
    """x = c + noise: given c, the loss comes to the entropy of the noise; shuffled, far above."""
    c = torch.randn(4000, 2, generator=generator())
    x = 2 * c + 0.5 * torch.randn(4000, 2, generator=generator(1))
    flow = RealNVP.for_vectors(2, 4, 16, n_condition=2)
    objective = MaximumLikelihood(flow, lr=1e-2)
    optimizer = objective.optimizers()["flow"]
    for i in range(300):
        rows = torch.arange(200) + 200 * (i % 20)
        optimizer.zero_grad()
        loss_of(objective, (x[rows], c[rows])).backward()
        optimizer.step()
    entropy = math.log(2 * math.pi * math.e * 0.25)
    assert float(loss_of(objective, (x, c)).detach()) == pytest.approx(entropy, abs=0.1)
    assert float(loss_of(objective, (x, c.flip(0))).detach()) > entropy + 1
    assert flow.sample(4000, c, generator()).sub(2 * c).std() == pytest.approx(0.5, abs=0.15)


def test_a_loop_by_hand_trains_what_the_layers_have_of_chance_and_of_first_batches() -> None:
    """A new flow is in training mode, as any Module: actnorm begins with the first batch, and dropout drops."""
    x_int = torch.randint(12, 17, (64, 6), generator=generator())
    flow = RealNVP.for_vectors(6, 4, 8, levels=17, dropout=0.5, actnorm=True)
    objective = MaximumLikelihood(flow)
    optimizer = objective.optimizers()["flow"]
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        loss = loss_of(objective, x_int, generator())
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    first: Any = flow.layers[1]
    assert first.initialised
    assert float(first.log_s.detach().abs().min()) > 0
    assert losses[0] < math.log2(17)  # more than the uniform distribution's, had actnorm not begun
    assert float(loss_of(objective, x_int, generator()).detach()) != float(
        loss_of(objective, x_int, generator()).detach()
    )
    assert flow.training


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_a_flow_adds_up_in_float32(dtype: torch.dtype) -> None:
    """Its log-probabilities are those of float32 within what its numbers are rounded to, and not rounded themselves."""
    flow = randomised(RealNVP.for_vectors(16, 8, 16, levels=17, actnorm=True), 0.02).eval()
    x_int = torch.randint(17, (64, 16), generator=generator())
    exact = flow.bits_per_dim(x_int, generator=generator())
    half = RealNVP.for_vectors(16, 8, 16, levels=17, actnorm=True).eval()
    half.load_state_dict(flow.state_dict())
    half = half.to(dtype)
    x = dequantize(x_int, 17, generator(), dtype)
    z, log_det = half(x)
    assert (z.dtype, log_det.dtype, half.log_prob(x).dtype) == (dtype, torch.float32, torch.float32)
    assert half.sample(3).dtype == dtype
    assert float((half.bits_per_dim(x_int, generator=generator()) - exact).abs().mean()) < 0.05
    loss = loss_of(MaximumLikelihood(half), x_int, generator())
    assert loss.dtype == torch.float32
    assert all(g.isfinite().all() for g in torch.autograd.grad(loss, list(half.parameters())))


def test_the_objective_says_what_it_is() -> None:
    objective = MaximumLikelihood(RealNVP.for_vectors(4, 2, 8, levels=5, dropout=0.25, bound=1.5, n_classes=3))
    config = objective.config()
    assert config == {
        **objective.model.config(),
        "dropout": [0.25, 0.25],
        "layers.0": "Logit(alpha=0.05)",
        "layers.1": "AffineCoupling(mask=1100, apart=True, bound=1.5)",
        "layers.2": "AffineCoupling(mask=0011, apart=True, bound=1.5)",
        "base": "Normal(4,)",
        "levels": 5,
        "n_classes": 3,
        "n_condition": None,
    }
    assert config == MaximumLikelihood(objective.model, lr=1.0, weight_decay=0.1, muon=0.1).config()


RING = data.GaussianMixture.ring(8)


@pytest.mark.parametrize(
    ("changes", "name"), [({"bound": 3.0}, "layers.0"), ({"dropout": 0.5}, "dropout"), ({"base": RING}, "base")]
)
def test_training_goes_on_with_the_same_settings_alone(tmp_path, changes: dict, name: str) -> None:
    options: dict[str, Any] = {"steps": 4, "checkpoint": tmp_path / "flow.pt", "progress": False}
    x = torch.randn(64, 2, generator=generator())
    base = data.GaussianMixture.ring(8, radius=2.0)
    train.fit(MaximumLikelihood(RealNVP.for_vectors(2, 2, 8, base=base)), x, **options)
    with pytest.raises(ValueError, match=name):
        train.fit(
            MaximumLikelihood(RealNVP.for_vectors(2, 2, 8, **{"base": base, **changes})), x, resume=True, **options
        )
