"""The objective and the model: targets, losses, the learned variance, labels hidden and guided towards."""

import copy
import io
import itertools
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from genlib.data import GaussianMixture
from genlib.diffusion import DDPM, MLP, Denoising, Schedule, UNet, ancestral, ddim, flow_matching, heun, last, vlb

S = Schedule.cosine(T=20)
PREDICTIONS: list[Any] = ["eps", "x_0", "v"]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


class TwoNumbers(nn.Module):
    """The smallest net with a learned variance: a · x_t, and b for v."""

    def __init__(self, a: float = 0.3, b: float = 0.4) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor(b, dtype=torch.float64))

    def forward(self, x_t: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        return torch.cat([self.a * x_t, self.b.expand_as(x_t)], dim=1)


def only_loss(model: DDPM, batch: Any, seed: int = 0, **options: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    ((name, loss, logs),) = list(Denoising(model, **options).losses(batch, generator(seed)))
    assert name == "net"
    return loss, logs


@pytest.mark.parametrize("predict", PREDICTIONS)
def test_a_net_that_knows_the_target_has_loss_zero(predict: Any) -> None:
    """It is told x_0 = 0.5 and finds what is asked from x_t alone, by the definitions of ε and v."""
    x_0 = torch.full((64, 2), 0.5, dtype=torch.float64)

    def net(x_t: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        signal, noise = S.alpha_bar[t].sqrt()[:, None], (1 - S.alpha_bar[t]).sqrt()[:, None]
        eps = (x_t - signal * 0.5) / noise
        return {"eps": eps, "x_0": x_0, "v": signal * eps - noise * 0.5}[predict]

    loss, logs = only_loss(DDPM(net, S, predict=predict), x_0)
    assert float(loss) < 1e-20
    assert logs == {}  # nothing but the loss, which `fit` notes itself
    wrong: Any = {"eps": "v", "x_0": "eps", "v": "x_0"}[predict]
    assert float(only_loss(DDPM(net, S, predict=wrong), x_0)[0]) > 0.01


@pytest.mark.parametrize("predict", PREDICTIONS)
def test_denoise_gives_x_0_and_eps_whatever_the_net_predicts(predict: Any) -> None:
    x_0, eps, t = normal(6, 3), normal(6, 3, seed=1), torch.tensor([1, 2, 5, 10, 19, 20])
    signal, noise = S.alpha_bar[t].sqrt()[:, None], (1 - S.alpha_bar[t]).sqrt()[:, None]
    answer = {"eps": eps, "x_0": x_0, "v": signal * eps - noise * x_0}[predict]
    at = DDPM(lambda *_: answer, S, predict=predict).denoise(signal * x_0 + noise * eps, t)
    assert torch.allclose(at.x_0, x_0, atol=1e-9)
    assert torch.allclose(at.eps, eps, atol=1e-9)
    assert at.v is None


def test_clipping_recomputes_eps() -> None:
    x_t, t = 3 * normal(50, 2), torch.full((50,), 7)
    at = DDPM(lambda x, *_: 0.2 * x, S).denoise(x_t, t, clip=True)
    assert at.x_0.abs().max() == 1
    back = S.alpha_bar[7].sqrt() * at.x_0 + (1 - S.alpha_bar[7]).sqrt() * at.eps
    assert torch.allclose(back, x_t, atol=1e-12)  # still the same x_t, told in other words


def test_the_loss_of_the_best_denoiser_is_the_least_there_is() -> None:
    """E‖ε − E[ε | x_t]‖² < that of any other, here of the best ones scaled, in the three parameterisations."""
    p = GaussianMixture.ring(n=4)
    x_0 = p.sample(20_000, generator=generator()).double()
    for predict in PREDICTIONS:
        losses = []
        for scale in (0.9, 1.0, 1.1):

            def net(x_t: torch.Tensor, t: torch.Tensor, label: None, scale: float = scale) -> torch.Tensor:
                eps = p.optimal_eps(x_t, t, S)
                return scale * S.convert(eps, x_t, t, "eps", predict)  # noqa: B023

            losses.append(float(only_loss(DDPM(net, S, predict=predict), x_0)[0]))
        assert losses[1] < min(losses[0], losses[2])


def test_the_mean_is_over_dimensions_and_batch() -> None:
    model = DDPM(lambda x_t, t, label: torch.zeros_like(x_t), S)
    assert float(only_loss(model, torch.zeros(500, 8, 4, 4))[0]) == pytest.approx(1, abs=0.02)  # E ε² = 1


def test_every_step_is_drawn_alike_and_none_outside() -> None:
    seen = []

    def net(x_t: torch.Tensor, t: torch.Tensor, label: None) -> torch.Tensor:
        assert t.dtype == torch.int64
        seen.append(t)
        return torch.zeros_like(x_t)

    only_loss(DDPM(net, S), torch.zeros(40_000, 1))
    counts = torch.bincount(seen[0], minlength=21)
    assert counts[0] == 0
    assert len(counts) == 21
    assert (counts[1:] / 40_000 - 0.05).abs().max() < 5 * math.sqrt(0.05 * 0.95 / 40_000)


def test_training_finds_the_best_denoiser() -> None:
    """An MLP on three points' worth of mixture comes within a few per cent of the loss that cannot be beaten."""
    torch.manual_seed(0)
    p, s = GaussianMixture.ring(n=3, std=0.2), Schedule.cosine(T=50)
    model = DDPM(MLP(2, 64, 2), s, predict="v")
    objective, g = Denoising(model), generator()
    optimizer = objective.optimizers()["net"]
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / 400)
        for _, loss, _ in objective.losses(p.sample(256, generator=g), g):
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    x_0 = p.sample(20_000, generator=g)
    best = DDPM(lambda x, t, _: s.convert(p.optimal_eps(x, t, s), x, t, "eps", "v"), s, predict="v")
    with torch.no_grad():
        got, least = (float(only_loss(m, x_0)[0]) for m in (model, best))
        start = float(only_loss(DDPM(MLP(2, 64, 2), s, predict="v"), x_0)[0])
    assert least < got < least + 0.1 * (start - least)


def test_losses_repeat_with_the_generator_and_leave_the_global_one_alone() -> None:
    model = DDPM(MLP(2, 8, n_classes=3), S)
    batch = (torch.zeros(16, 2), torch.zeros(16, dtype=torch.int64))
    before = torch.random.get_rng_state()
    with torch.no_grad():
        model.net.last.weight.fill_(0.1)
    assert torch.equal(only_loss(model, batch, 1)[0], only_loss(model, batch, 1)[0])
    assert not torch.equal(only_loss(model, batch, 1)[0], only_loss(model, batch, 2)[0])
    assert torch.equal(before, torch.random.get_rng_state())
    assert (batch[1] == 0).all()  # hidden labels are hidden in a copy


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_label_dropout(share: float) -> None:
    seen = []

    def net(x_t: torch.Tensor, t: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        seen.append(label)
        return torch.zeros_like(x_t)

    label = torch.arange(20_000) % 10
    only_loss(DDPM(net, S), (torch.zeros(20_000, 1), label), label_dropout=share)
    hidden = seen[0] == -1
    assert float(hidden.double().mean()) == pytest.approx(share, abs=0.015)
    assert torch.equal(seen[0][~hidden], label[~hidden])


def test_a_net_without_classes_learns_from_labelled_data() -> None:
    model = DDPM(MLP(2, 8), S)
    only_loss(model, (torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64)))
    with pytest.raises(ValueError, match=r"batch: .*got 1 tensors"):
        only_loss(DDPM(MLP(2, 8, n_classes=3), S), torch.zeros(4, 2))


def test_guidance_is_the_formula_in_every_parameterisation() -> None:
    """(1 + w) ε(x, label) − w ε(x, none), from the two answers taken apart."""
    for predict in PREDICTIONS:
        net = MLP(2, 8, n_classes=3).double()
        with torch.no_grad():
            for p in net.parameters():
                p.add_(0.3 * torch.randn(p.shape, generator=generator(), dtype=p.dtype))
        model = DDPM(net, S, predict=predict)
        x_t, t, label = normal(5, 2), torch.tensor([1, 5, 10, 15, 20]), torch.tensor([0, 1, 2, -1, 0])
        given, none = model.denoise(x_t, t, label).eps, model.denoise(x_t, t).eps
        for w in (0.0, 0.5, 3.0):
            guided = model.denoise(x_t, t, label, guidance=w)
            assert torch.allclose(guided.eps, (1 + w) * given - w * none, atol=1e-8)
            back = S.q_sample(guided.x_0, t, guided.eps)
            assert torch.allclose(back, x_t, atol=1e-8)


def test_guidance_on_the_mixture_sharpens_the_class() -> None:
    """With the true denoisers of one component and of both: the guided score is ∇ log p(x) + (1 + w) ∇ log p(c | x)."""
    both = GaussianMixture([[-1.0], [1.0]], [[[0.25]], [[0.25]]])
    one = GaussianMixture([[1.0]], [[[0.25]]])

    def net(x_t: torch.Tensor, t: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return torch.where(label[:, None] < 0, both.optimal_eps(x_t, t, S), one.optimal_eps(x_t, t, S))

    x, t, w = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None].requires_grad_(), torch.full((9,), 5), 1.5
    eps = DDPM(net, S).denoise(x.detach(), t, torch.ones(9, dtype=torch.int64), guidance=w).eps
    log_p, log_one = (p.noised(float(S.alpha_bar[5])).log_prob(x) for p in (both, one))
    (expected,) = torch.autograd.grad((log_p + (1 + w) * (log_one - log_p)).sum(), x)
    assert torch.allclose(S.convert(eps, x.detach(), t, "eps", "score"), expected, atol=1e-9)


@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_reverse_step_of_a_fixed_variance(variance: Any) -> None:
    x_0, x_t, t = normal(3, 2), normal(3, 2, seed=1), torch.tensor([1, 2, 20])
    mean, var = DDPM(lambda *_: x_0, S, predict="x_0", variance=variance).reverse(x_t, t)
    expected_mean, _ = S.q_posterior(x_0, x_t, t)
    assert torch.allclose(mean, expected_mean, atol=1e-12)
    expected = S.beta[t] if variance == "beta" else S.beta_tilde[[2, 2, 20]]
    assert torch.allclose(var, expected[:, None])


@pytest.mark.parametrize("v", [0.0, 0.3, 1.0])
def test_learned_variance_is_between_the_two_on_a_log_scale(v: float) -> None:
    model = DDPM(TwoNumbers(b=v), S, variance="learned")
    x_t, t = normal(3, 2), torch.tensor([1, 2, 20])
    _, var = model.reverse(x_t, t)
    beta, tilde = S.beta[t], S.beta_tilde[[2, 2, 20]]
    assert torch.allclose(var, (beta**v * tilde ** (1 - v))[:, None].expand(3, 2), rtol=1e-10)


def test_hybrid_loss_sends_the_bounds_gradient_to_the_variance_alone() -> None:
    x_0 = normal(32, 2).clamp(-1, 1)
    net = TwoNumbers()
    loss, logs = only_loss(DDPM(net, S, variance="learned"), x_0, lam=0.7)
    grad_a, grad_b = torch.autograd.grad(loss, (net.a, net.b))

    simple = DDPM(lambda x, t, _: net.a * x, S)
    (expected_a,) = torch.autograd.grad(only_loss(simple, x_0)[0], net.a)
    assert torch.allclose(grad_a, expected_a, atol=1e-12)

    h, values = 1e-5, []
    for shift in (-h, h):
        moved = DDPM(TwoNumbers(b=0.4 + shift), S, variance="learned")
        values.append(float(only_loss(moved, x_0)[1]["vlb"]))
    assert float(grad_b) == pytest.approx(0.7 * (values[1] - values[0]) / (2 * h), rel=1e-5)
    assert torch.allclose(loss.detach(), logs["simple"] + 0.7 * logs["vlb"], rtol=1e-10)


def test_hybrid_loss_adds_the_whole_sum_of_the_bound() -> None:
    """One random t stands for T terms: its mean is the bound that `vlb` adds up step by step, without L_T."""
    model = DDPM(TwoNumbers(), S, variance="learned")
    x_0 = torch.full((40_000, 2), 0.5, dtype=torch.float64)
    with torch.no_grad():
        draws = torch.stack([only_loss(model, x_0[:2000], seed)[1]["vlb"] for seed in range(20)])
    bound = vlb(model, x_0[:4000], generator=generator(), batch_size=100_000)
    expected = bound.total - bound.L_T
    error = math.sqrt(float(draws.var()) / 20 + float(expected.var()) / len(expected))
    assert abs(float(draws.mean() - expected.mean())) < 4 * error


def test_hybrid_loss_learns_the_variance_of_the_truth() -> None:
    """Data of one Gaussian, the best mean given: the best v is known, for the true reverse step is Gaussian too."""
    s, var_0 = Schedule([0.2, 0.3]), 0.25

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.v = nn.Parameter(torch.zeros(3, dtype=torch.float64))

        def forward(self, x_t: torch.Tensor, t: torch.Tensor, label: None) -> torch.Tensor:
            a = s.alpha_bar[t][:, None]
            eps = (1 - a).sqrt() * x_t / (a * var_0 + 1 - a)
            return torch.cat([eps, self.v[t][:, None]], dim=1)

    net = Net()
    model = DDPM(net, s, variance="learned")
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    x_0 = 0.5 * normal(20_000, 1)
    for step in range(150):
        optimizer.zero_grad()
        only_loss(model, x_0, seed=step)[0].backward()
        optimizer.step()
    # Var(x_{t−1} | x_t) of three jointly Gaussian variables
    var_1 = 0.8 * var_0 + 0.2
    for t, (before, beta) in {1: (var_0, 0.2), 2: (var_1, 0.3)}.items():
        exact = before * beta / ((1 - beta) * before + beta)
        _, got = model.reverse(torch.zeros(1, 1, dtype=torch.float64), torch.tensor([t]))
        assert float(got) == pytest.approx(exact, rel=0.03)


def test_optimizers() -> None:
    model = DDPM(UNet(width=4), S)
    (optimizer,) = Denoising(model, lr=0.01).optimizers().values()
    assert optimizer.defaults["lr"] == 0.01
    assert sum(p.numel() for group in optimizer.param_groups for p in group["params"]) == sum(
        p.numel() for p in model.parameters()
    )
    with pytest.raises(ValueError, match="empty parameter list"):
        Denoising(DDPM(lambda x, t, label: x, S)).optimizers()


def test_state_is_that_of_the_net_alone() -> None:
    model = DDPM(MLP(2, 8), S)
    assert all(name.startswith("net.") for name in model.state_dict() if name != "_extra_state")


def test_denoise_leaves_modes_and_gradients_as_they_were() -> None:
    model = DDPM(UNet(width=4, dropout=0.5), S)
    model.net.middle.eval()
    modes = [part.training for part in model.modules()]
    x_t, t = torch.randn(2, 1, 8, 8, generator=generator()), torch.tensor([1, 20])
    assert torch.equal(model.denoise(x_t, t).eps, model.denoise(x_t, t).eps)
    assert not model.denoise(x_t, t).eps.requires_grad
    assert torch.is_grad_enabled()
    assert [part.training for part in model.modules()] == modes

    def breaks(*_: object) -> torch.Tensor:
        raise RuntimeError("on purpose")

    model.net.last.register_forward_pre_hook(breaks)
    with pytest.raises(RuntimeError, match="on purpose"):
        model.denoise(x_t, t)
    assert [part.training for part in model.modules()] == modes


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_trains_in_any_dtype(dtype: torch.dtype) -> None:
    for net, x in (
        (UNet(width=4, learned_variance=True), torch.zeros(2, 1, 8, 8)),
        (MLP(2, 8, learned_variance=True), torch.zeros(2, 2)),
    ):
        model = DDPM(net.to(dtype), S, variance="learned", levels=17)
        loss, _ = only_loss(model, x.to(dtype))
        assert loss.dtype == torch.promote_types(dtype, torch.float32)
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"net": 3}, "net: .*got 3"),
        ({"schedule": [0.1]}, "schedule: expected a Schedule"),
        ({"predict": "epsilon"}, "predict"),
        ({"predict": "score"}, "predict"),
        ({"variance": "beta_tild"}, "variance: .* Did you mean 'beta_tilde'"),
        (
            {"variance": "beta_tilde", "schedule": Schedule([0.5])},
            "variance: 'beta_tilde' needs a schedule of at least 2",
        ),
        ({"variance": "learned", "schedule": Schedule([0.5])}, "variance: 'learned' needs"),
        (
            {"variance": "learned", "net": MLP(2, 8)},
            "variance: got 'learned' for a net with learned_variance=False",
        ),
        ({"net": MLP(2, 8, learned_variance=True)}, "learned_variance=True"),
        ({"levels": 1}, "levels"),
        ({"levels": 10**12}, "levels"),
        ({"shape": (0,)}, "shape"),
        ({"shape": 8}, "shape"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DDPM(**({"net": lambda x, t, label: x, "schedule": S} | arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ddpm": MLP(2, 8)}, "ddpm: expected a DDPM, got MLP"),
        ({"label_dropout": 1.1}, "label_dropout"),
        ({"label_dropout": float("nan")}, "label_dropout"),
        ({"lr": -1}, "lr"),
        ({"lam": -1}, "lam"),
        ({"weight": 2.0}, "weight"),
    ],
)
def test_wrong_arguments_of_the_objective(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Denoising(**({"ddpm": DDPM(MLP(2, 8), S)} | arguments))  # type: ignore


def test_wrong_inputs() -> None:
    model, x, t = DDPM(MLP(2, 8, n_classes=3), S), torch.zeros(4, 2), torch.ones(4, dtype=torch.int64)
    for bad_t in (0 * t, 21 * t, t[:3], t.double(), t.int()):
        with pytest.raises(ValueError, match="t: expected"):
            model.denoise(x, bad_t)
    with pytest.raises(ValueError, match="x_t"):
        model.denoise(x.log() * 0, t)
    with pytest.raises(ValueError, match="x_t"):
        model.denoise(torch.zeros(4, 3), t)
    for label in (3 * t, -2 * t, t[:2], t.double()):
        with pytest.raises(ValueError, match="label"):
            model.denoise(x, t, label)
    with pytest.raises(ValueError, match=r"label: .*guide"):
        model.denoise(x, t, guidance=1.0)
    with pytest.raises(ValueError, match="guidance"):
        model.denoise(x, t, t, guidance=-1.0)
    with pytest.raises(ValueError, match="label: expected None"):
        DDPM(MLP(2, 8), S).denoise(x, t, t)
    with pytest.raises(ValueError, match=r"net: .*\(4, 2,?\).*got .*\(4, 1\)"):
        DDPM(lambda x, t, label: x[:, :1], S).denoise(x, t)
    with pytest.raises(ValueError, match=r"net: .*got None"):
        DDPM(lambda x, t, label: None, S).denoise(x, t)  # type: ignore[arg-type, return-value]
    for batch, message in itertools.chain(
        [(torch.zeros(0, 2), "batch"), (torch.zeros(4, dtype=torch.int64), "batch"), ([], "batch"), (None, "batch")],
        [((x, t[:3]), "batch"), ((x, t.double()), "label")],
    ):
        with pytest.raises(ValueError, match=message):
            only_loss(model, batch)
    with pytest.raises(ValueError, match="levels"):
        only_loss(DDPM(UNet(width=4, learned_variance=True), S, variance="learned"), torch.zeros(2, 1, 8, 8))


# -- The model as it is used


def test_sample_is_the_end_of_a_walk() -> None:
    model = DDPM(awake(MLP(2, 8, n_classes=3)), S, shape=(2,))
    label = torch.tensor([0, 2, 1])
    for sampler, own in ((ddim, {"eta": 0.5}), (ancestral, {}), (heun, {})):
        options: dict[str, Any] = {"steps": 7, "guidance": 0.5, "clip": True} | own
        x_0 = model.sample(3, label, generator(), sampler=sampler, **options)
        assert torch.equal(x_0, last(sampler(model, (3, 2), label=label, generator=generator(), **options)))
    assert torch.equal(model.sample(4, 1, generator()), model.sample(4, torch.full((4,), 1), generator()))
    # 50 steps if left out, or all of a chain that has fewer, here 20
    assert torch.equal(model.sample(4, generator=generator()), model.sample(4, generator=generator(), steps=None))
    assert model.sample(5, shape=(2,)).shape == (5, 2)


def test_it_remembers_the_shape_of_what_it_was_trained_on() -> None:
    """Also in its weights, and whatever was said first stays."""
    model = DDPM(UNet.digits(), S)
    with pytest.raises(ValueError, match=r"shape: .*got None"):
        model.sample(2)
    Denoising(model).check((torch.zeros(2, 1, 8, 8), torch.tensor([0, 9])))
    assert model.shape == (1, 8, 8)
    assert model.sample(2, steps=1).shape == (2, 1, 8, 8)
    state = model.state_dict()
    assert state["_extra_state"].dtype == torch.int64
    assert state["_extra_state"].shape == DDPM(MLP(2, 8), S).state_dict()["_extra_state"].shape
    loaded = DDPM(UNet.digits(), S)
    loaded.load_state_dict(state)
    assert loaded.shape == (1, 8, 8)
    loaded.load_state_dict(DDPM(UNet.digits(), S).state_dict())  # which knows of none
    assert loaded.shape == (1, 8, 8)
    larger = DDPM(UNet.digits(), S, shape=[1, 16, 16])
    Denoising(larger).check((torch.zeros(2, 1, 8, 8), torch.tensor([0, 9])))
    assert larger.shape == (1, 16, 16)


def test_config_tells_apart_what_the_weights_do_not() -> None:
    def text(schedule: Schedule = S, net: Any = None, **arguments: Any) -> str:
        return repr(DDPM(MLP(2, 8) if net is None else net, schedule, **arguments).config())

    texts = [
        text(),
        text(Schedule.cosine(T=21)),
        text(Schedule.linear(T=20)),
        text(predict="v"),
        text(variance="beta_tilde"),
        text(levels=17),
        text(net=UNet(width=4, heads=2)),
    ]
    assert len(set(texts)) == 7
    assert text() == text(Schedule(S.beta[1:]))
    config = DDPM(UNet(width=4), S).config()
    assert config == {"predict": "eps", "variance": "beta", "levels": None, "schedule": repr(S), "heads": 1}

    def of_objective(**arguments: Any) -> str:
        return repr(Denoising(DDPM(UNet(width=4), S), **arguments).config())

    others: list[dict[str, Any]] = [{"label_dropout": 0.2}, {"lam": 1.0}, {"weight": S.snr}]
    assert len({of_objective(**arguments) for arguments in [{}, *others]}) == 4
    assert of_objective() == of_objective(lr=1.0)  # the optimizer's own
    assert of_objective() != repr(Denoising(DDPM(UNet(width=4, dropout=0.5), S)).config())


def awake(net: Any) -> Any:
    g = generator()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(0.2 * torch.randn(p.shape, generator=g, dtype=p.dtype))
    return net


T_4 = torch.tensor([1, 5, 19, 20])
POINTS, PICTURES = normal(4, 3).float(), normal(4, 1, 4, 4).float()
CLASSES, VECTORS = torch.tensor([0, -1, 2, 1]), torch.cat([normal(3, 2).float(), torch.full((1, 2), math.nan)])
NETS: dict[str, tuple[Callable[[], Any], tuple[torch.Tensor, ...]]] = {
    "mlp": (lambda: MLP(3, 8, 2), (POINTS, T_4)),
    "mlp, classes": (lambda: MLP(3, 8, 2, n_classes=3), (POINTS, T_4, CLASSES)),
    "mlp, vectors": (lambda: MLP(3, 8, 2, n_condition=2), (POINTS, T_4, VECTORS)),
    "unet, classes": (lambda: UNet(1, 4, (1, 2), 1, (1,), 2, n_classes=3), (PICTURES, T_4, CLASSES)),
    "unet, vectors": (lambda: UNet(1, 4, (1, 2), 1, n_condition=2, learned_variance=True), (PICTURES, T_4, VECTORS)),
}


def built(name: str) -> tuple[DDPM, tuple[torch.Tensor, ...]]:
    net, inputs = NETS[name]
    net = awake(net())
    return DDPM(net, S, "v", "learned" if net.learned_variance else "beta"), inputs


@pytest.mark.parametrize("name", NETS)
def test_compiled_exported_mapped_pickled_and_copied_it_answers_the_same(name: str) -> None:
    model, inputs = built(name)
    expected = model(*inputs)[0]
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(*inputs)[0], expected, atol=1e-5)
    assert torch.allclose(torch.export.export(model, inputs).module()(*inputs)[0], expected, atol=1e-5)
    mapped = torch.func.vmap(lambda *row: model(*(value[None] for value in row))[0][0])(*inputs)  # type: ignore
    assert torch.allclose(mapped, expected, atol=1e-5)
    file = io.BytesIO()
    torch.save(Denoising(model), file)
    file.seek(0)
    whole = torch.load(file, weights_only=False).model
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), whole):
        assert torch.equal(other(*inputs)[0], expected)
        assert other.config() == model.config()


# -- Conditions


@pytest.mark.parametrize("name", ["mlp, vectors", "unet, vectors"])
def test_a_row_of_nan_is_no_condition(name: str) -> None:
    model, (x_t, t, _) = built(name)
    c = torch.ones(4, 2)
    none = model.denoise(x_t, t).x_0
    assert torch.equal(model.denoise(x_t, t, torch.full((4, 2), math.nan)).x_0, none)
    mixed = torch.cat([c[:1], torch.full((3, 2), math.nan)])
    at = model.denoise(x_t, t, mixed).x_0
    assert torch.allclose(at[1:], none[1:], atol=1e-4)
    assert torch.allclose(at[0], model.denoise(x_t, t, c).x_0[0], atol=1e-4)
    assert (at[0] - none[0]).abs().max() > 1e-3
    assert (model.denoise(x_t, t, 0 * c).x_0 - none).abs().max() > 1e-3  # zeros are a condition as any other
    given, w = model.denoise(x_t, t, c).eps, 1.5
    guided = model.denoise(x_t, t, c, guidance=w).eps
    assert torch.allclose(guided, (1 + w) * given - w * model.denoise(x_t, t).eps, atol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_vectors_are_hidden_in_training_too(share: float) -> None:
    seen = []

    class Net(nn.Module):
        n_condition = 2

        def forward(self, x_t: torch.Tensor, t: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
            seen.append(label)
            return torch.zeros_like(x_t)

    label = torch.ones(20_000, 2)
    only_loss(DDPM(Net(), S), (torch.zeros(20_000, 1), label), label_dropout=share)
    hidden = seen[0].isnan()
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    assert float(hidden[:, 0].double().mean()) == pytest.approx(share, abs=0.015)
    assert (label == 1).all()
    with pytest.raises(ValueError, match="batch"):
        only_loss(DDPM(MLP(1, 8, n_condition=2), S), torch.zeros(4, 1))


def test_training_with_hidden_vectors_has_finite_gradients() -> None:
    model, (x, _, label) = built("mlp, vectors")
    loss, _ = only_loss(model, (x, label), label_dropout=0.5)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_classes_or_vectors() -> None:
    for net in (MLP, UNet):
        with pytest.raises(ValueError, match=r"n_condition: .*got .* and 2"):
            net(n_classes=3, n_condition=2)
        with pytest.raises(ValueError, match="n_condition"):
            net(n_condition=0)


# -- The objective


@pytest.mark.parametrize("net", [MLP(2, 8, n_classes=3), MLP(2, 8, n_condition=3)], ids=["classes", "vectors"])
def test_what_is_drawn_in_which_order(net: Any) -> None:
    """The steps, the noise, and which labels are hidden: with a seed, a training is what it was."""
    asked: list[torch.Tensor] = []
    net.register_forward_pre_hook(lambda _, inputs: asked.extend(inputs))
    x_0 = normal(5, 2).float()
    label = torch.tensor([0, 1, 2, 0, 1]) if net.n_classes else normal(5, 3).float()
    only_loss(DDPM(net, S), (x_0, label), seed=7, label_dropout=0.5)
    g = generator(7)
    t = torch.randint(1, 21, (5,), generator=g)
    eps = torch.randn(5, 2, generator=g)
    hidden = torch.rand(5, generator=g) < 0.5
    assert torch.equal(asked[1], t)
    assert torch.equal(asked[0], S.q_sample(x_0, t, eps))
    assert torch.equal(asked[2] == -1 if net.n_classes else asked[2].isnan().all(1), hidden)


def test_weights_of_steps() -> None:
    """w(t) times each example's own mean of squares: against a loop; and None is w = 1."""
    net, x_0 = TwoNumbers(), normal(6, 3)
    model = DDPM(lambda x, t, _: net.a * x, S)

    def weight(t: torch.Tensor) -> torch.Tensor:
        return S.snr(t).clamp(max=5) / S.snr(t)  # min-SNR, for a net that says what ε is

    loss, logs = only_loss(model, x_0, weight=weight)
    g = generator(0)
    t = torch.randint(1, 21, (6,), generator=g)
    eps = torch.randn(6, 3, generator=g, dtype=torch.float64)
    x_t = S.q_sample(x_0, t, eps)
    rows = [float(weight(t)[i]) * float(((0.3 * x_t[i] - eps[i]) ** 2).mean()) for i in range(6)]
    assert float(loss) == pytest.approx(sum(rows) / 6, rel=1e-6)  # 0.3 is a float32
    assert logs == {}
    ones, _ = only_loss(model, x_0, weight=lambda t: torch.ones(len(t)))
    assert float(ones) == pytest.approx(float(only_loss(model, x_0)[0]), rel=1e-12)
    wrongs: list[Any] = [lambda t: torch.ones(len(t), 1), lambda t: 1.0, lambda t: t, lambda t: torch.ones(1)]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="weight: "):
            only_loss(model, x_0, weight=wrong)


def test_check_looks_at_values_once() -> None:
    x, label = torch.zeros(4, 2), torch.tensor([0, 1, 2, -1])
    objective = Denoising(DDPM(MLP(2, 8, n_classes=3), S))
    objective.check((x, label))
    grid = torch.zeros(2, 1, 8, 8)
    learned = Denoising(DDPM(UNet(width=4, learned_variance=True), S, variance="learned", levels=17))
    learned.check(grid)
    for check, batch, message in (
        (objective.check, (x * math.nan, label), "batch: .*NaN"),
        (objective.check, (x, label + 1), r"label: .*3"),
        (objective.check, (x, label - 1), r"label: .*-2"),
        (objective.check, (torch.zeros(4, 3), label), r"batch: expected shape \(B, 2\)"),
        (objective.check, (x.double(), label), "batch: .*float32.*got float64"),
        (objective.check, x, "batch: "),
        (objective.check, "x", "batch: "),
        (learned.check, grid + 0.03, "batch: expected values on the grid of 17 levels"),
        (learned.check, torch.zeros(2, 1, 6, 8), "batch: .*divisible by 4"),
    ):
        with pytest.raises(ValueError, match=message):
            check(batch)
    unseen = Denoising(DDPM(MLP(2, 8), S))
    with pytest.raises(ValueError, match="batch"):
        unseen.check(x * math.inf)
    assert unseen.model.shape is None  # nothing has changed


ODD: dict[str, Any] = {
    "sparse": POINTS.to_sparse(),
    "float8": POINTS.to(torch.float8_e4m3fn),
    "complex": POINTS.to(torch.complex64),
    "meta": POINTS.to("meta"),
    "nested": torch.nested.nested_tensor([torch.ones(3), torch.ones(2)]),
    "uint64": torch.ones(4, 3).to(torch.uint64),
    "array": POINTS.numpy(),
    "text": "x",
    "None": None,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ODD)
def test_tensors_of_other_kinds_are_refused_by_name(kind: str) -> None:
    odd, model = ODD[kind], DDPM(MLP(3, 8, n_condition=3), S)
    objective = Denoising(model)
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: model.net(odd, T_4), "x_t"),  # type: ignore
        (lambda: model.denoise(odd, T_4), "x_t"),
        (lambda: model.denoise(POINTS, odd), "t"),
        (lambda: model.reverse(odd, T_4), "x_t"),
        (lambda: vlb(model, odd), "x_0"),
        (lambda: list(objective.losses((odd, POINTS))), "batch"),
        (lambda: objective.check((odd, POINTS)), "batch"),
    ]
    if odd is not None:
        calls += [
            (lambda: model.denoise(POINTS, T_4, odd), "label"),
            (lambda: model.sample(4, odd, shape=(3,)), "label"),
            (lambda: vlb(model, POINTS, odd), "label"),
            (lambda: list(objective.losses((POINTS, odd))), "(label|batch)"),
            (lambda: objective.check((POINTS, odd)), "(label|batch)"),
        ]
    for call, name in calls:
        with pytest.raises(ValueError, match=rf"^{name}: expected"):
            call()


@pytest.mark.parametrize("predict", ["v", "x_0", "u"])
def test_where_no_signal_is_left_it_trains_and_samples(predict: Any) -> None:
    torch.manual_seed(0)
    schedule = Schedule.cosine(T=3).zero_terminal()
    model = DDPM(MLP(2, width=8, depth=1), schedule, predict=predict)
    for _, loss, _ in Denoising(model).losses(torch.ones(300, 2), torch.Generator().manual_seed(0)):
        assert loss.isfinite()
        assert loss > 0.1
    for sampler in (ancestral, ddim, heun):
        assert last(sampler(model, (3, 2), steps=3)).isfinite().all()
    assert vlb(model, torch.ones(3, 2)).total.isfinite().all()
    with pytest.raises(ValueError, match="no signal is left"):
        DDPM(MLP(2, width=8, depth=1), schedule)


def test_flow_matching_asks_for_the_velocity_of_straight_lines() -> None:
    """From what the net is shown follow s, ε and the target, and so the loss; and best is a net that knows x_0."""
    x_0, seen = normal(500, 2), []

    def net(x_t: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        seen.append((x_t, t))
        return torch.sin(x_t)

    ((_, loss, _),) = flow_matching(net, T=50).losses(x_0, generator())
    ((x_t, t),) = seen
    s = (t / 50)[:, None].double()
    eps = (torch.hypot(1 - s, s) * x_t - (1 - s) * x_0) / s
    assert eps.mean(0).abs().max() < 0.2
    assert eps.var(0) == pytest.approx([1, 1], abs=0.3)
    assert float(loss) == pytest.approx(float((torch.sin(x_t) - (x_0 - eps)).square().mean()))

    def knows(x_t: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        s = (t / 50)[:, None].double()
        return (x_0 - torch.hypot(1 - s, s) * x_t) / s  # along the line, from here to x_0

    objective = flow_matching(knows, T=50, shape=(2,))
    ((_, loss, _),) = objective.losses(x_0, generator())
    assert float(loss) == pytest.approx(0, abs=1e-12)
    assert torch.allclose(last(ddim(objective.model, (500, 2), steps=1, x_T=normal(500, 2, seed=1))), x_0)  # one step
