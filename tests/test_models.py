"""What a researcher does first, with every model alike: gradients, saving, pickling, copying, `torch.func`, compiling,
exporting, other dtypes, other devices, odd batches."""

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from genlib import autoencoder, diffusion, flows, gan, train

B, D, K, N = 3, 5, 4, 2  # examples, coordinates, classes, entries of a condition
STEPS = diffusion.Schedule.linear(T=20)


class Case(NamedTuple):
    """A model, how to ask it, and how to train it."""

    model: nn.Module
    ask: Callable[..., Any]  # ask(model, *inputs): a tensor or a tuple of them, one row for each example
    inputs: tuple[Tensor, ...]
    objective: nn.Module
    batch: Tensor | tuple[Tensor, ...]
    label: Any = None  # what `sample` is given
    draws: dict[str, Any] = {}  # noqa: RUF012


def numbers(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


X, PICTURES = numbers(B, D), numbers(B, 1, 8, 8).clamp(-1, 1)
LABEL, CONDITION = torch.tensor([0, 3, 1]), numbers(B, N, seed=2)
T = torch.tensor([1, 7, 20])


def points(flow: flows.Flow, label: Tensor | None = None) -> Case:
    inputs = (X,) if label is None else (X, label)
    batch = X if label is None else (X, label)
    objective = flows.MaximumLikelihood(flow)
    return Case(flow, lambda model, *given: (model.log_prob(*given), *model(*given)), inputs, objective, batch, label)


def levels(flow: flows.Flow, shape: tuple[int, ...]) -> Case:
    x_int = torch.randint(17, shape, generator=torch.Generator().manual_seed(0))
    inputs = ((x_int + 0.5) / 17,)
    objective = flows.MaximumLikelihood(flow)
    return Case(flow, lambda model, x: (model.log_prob(x), *model(x)), inputs, objective, x_int)


def chain(predict: Any, variance: Any, label: Tensor | None = None, pictures: bool = False, other: Any = None) -> Case:
    told = {} if label is None else {"n_condition": N} if label.is_floating_point() else {"n_classes": K}
    learned = variance == "learned"
    x = PICTURES if pictures else X
    net: Any = diffusion.MLP(D, width=8, depth=2, learned_variance=learned, **told)
    if pictures:
        net = diffusion.UNet(1, width=8, mults=(1, 2), n_blocks=1, learned_variance=learned, **told)  # type: ignore
    net = net if other is None else other
    ddpm = diffusion.DDPM(net, STEPS, predict, variance, levels=17 if pictures else None, shape=tuple(x.shape[1:]))
    inputs = (x, T) if label is None else (x, T, label)

    def ask(model: diffusion.DDPM, *given: Tensor) -> Any:
        eps = torch.ones_like(given[0])
        return model.net(*given), model.schedule.q_sample(given[0], given[1], eps)

    batch = x if label is None else (x, label)
    return Case(ddpm, ask, inputs, diffusion.Denoising(ddpm), batch, label, {"steps": 3})


def vae(label: Tensor | None = None, **options: Any) -> Case:
    told = {} if label is None else {"n_condition": N} if label.is_floating_point() else {"n_classes": K}
    model = autoencoder.VAE(D, latent=2, width=8, **told, **options)
    given = (X,) if label is None else (X, label)
    batch = X if label is None else (X, label)
    return Case(model, lambda m, *i: (m.kl(*i), m.encode(*i)[0]), given, autoencoder.ELBO(model), batch, label)


def plain() -> Case:
    model = autoencoder.Autoencoder(D, latent=2, width=8)
    return Case(model, lambda m, x: m.decode(m.encode(x)), (X,), autoencoder.Reconstruction(model), X)


def classes(label: Tensor) -> Case:
    told = {"n_condition": N, "n_classes": None} if label.is_floating_point() else {"n_classes": K}
    G = gan.MLPGenerator((1, 8, 8), latent=3, width=8, **told)
    D = gan.ProjectionDiscriminator((1, 8, 8), width=8, **told)
    z = numbers(B, 3)
    return Case(G, lambda m, c, z: m(c, z), (label, z), gan.ClassConditional(G, D), (PICTURES, label), label)


def pairs(norm: Any) -> Case:
    G = gan.UNetGenerator(1, 1, width=4, depth=2, noise=1, norm=norm)
    D = gan.PatchDiscriminator(2, width=4, n_layers=1, norm=norm)
    z = numbers(B, 1, 8, 8, seed=5)
    objective = gan.Pix2Pix(G, D, lam=5.0)
    return Case(G, lambda m, x, z: m(x, z), (PICTURES, z), objective, (PICTURES, PICTURES), PICTURES)


HALVES = flows.masks.halves(D)
CASES: dict[str, Callable[[], Case]] = {
    "flow": lambda: points(flows.RealNVP.for_vectors(D, 3, width=8)),
    "flow, classes": lambda: points(flows.RealNVP.for_vectors(D, 2, width=8, n_classes=K, mask="random"), LABEL),
    "flow, vectors": lambda: points(flows.RealNVP.for_vectors(D, 2, width=8, n_condition=N), CONDITION),
    "flow, actnorm": lambda: points(flows.RealNVP.for_vectors(D, 2, width=8, actnorm=True)),
    "flow, layers": lambda: points(
        flows.Flow(
            [
                flows.InvertibleConv(D),
                flows.AffineCoupling(HALVES),
                flows.BatchNorm(D),
                flows.Inverse(flows.ActNorm(D)),
            ],
            (D,),
        )
    ),
    "flow, levels": lambda: levels(flows.RealNVP.for_vectors(D, 2, width=8, levels=17), (B, D)),
    "flow, pictures": lambda: levels(flows.RealNVP.for_images((1, 8, 8), 17, width=4, n_blocks=1), (B, 1, 8, 8)),
    **{
        f"ddpm, {predict}, {variance}": lambda predict=predict, variance=variance: chain(predict, variance)
        for predict in ("eps", "x_0", "v", "u")
        for variance in ("beta", "beta_tilde", "learned")
    },
    "ddpm, classes": lambda: chain("v", "beta", LABEL),
    "ddpm, vectors": lambda: chain("v", "beta", CONDITION),
    "ddpm, pictures": lambda: chain("v", "learned", LABEL, pictures=True),
    "ddpm, transformer": lambda: chain(
        "v", "learned", LABEL, True, diffusion.DiT(1, 8, 2, 2, n_classes=K, learned_variance=True)
    ),
    "ddpm, preconditioned": lambda: chain(
        "x_0", "beta", other=diffusion.Preconditioned(diffusion.MLP(D, width=8, depth=2), STEPS)
    ),
    "autoencoder": plain,
    "vae": vae,
    "vae, classes": lambda: vae(LABEL, learn_std=True),
    "vae, vectors": lambda: vae(CONDITION),
    "gan, classes": lambda: classes(LABEL),
    "gan, vectors": lambda: classes(CONDITION),
    "gan, pairs": lambda: pairs("instance"),
    "gan, pairs, no norm": lambda: pairs("none"),
}
MIXES = {"gan, classes", "gan, vectors"}  # batch norm in training; not asked example by example there
KEEPS = {"autoencoder", "gan, pairs", "gan, pairs, no norm"}


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    """Weights away from their start, where many layers do nothing."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        case = CASES[request.param]()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in case.objective.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    case.objective.eval()
    return case


def answer(case: Case, model: Any = None, inputs: tuple[Tensor, ...] | None = None) -> list[Tensor]:
    got = case.ask(case.model if model is None else model, *(case.inputs if inputs is None else inputs))
    return [got] if isinstance(got, Tensor) else list(got)


def cast(inputs: tuple[Tensor, ...], dtype: torch.dtype) -> tuple[Tensor, ...]:
    return tuple(x.to(dtype) if x.is_floating_point() else x for x in inputs)


def assert_close(these: list[Tensor], those: list[Tensor], tol: float = 1e-5) -> None:
    for one, other in zip(these, those, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=tol, atol=tol)


def test_every_parameter_gets_a_finite_gradient(case: Case) -> None:
    case.objective.train()
    owned = case.objective.optimizers()  # type: ignore
    for name, loss, _ in case.objective.losses(case.batch, torch.Generator().manual_seed(0)):  # type: ignore[operator]
        parameters = [p for group in owned.pop(name).param_groups for p in group["params"]]
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        assert all(g is not None and bool(torch.isfinite(g).all()) for g in gradients)
        assert any(bool(g.ne(0).any()) for g in gradients if g is not None)
    assert not owned, "an optimizer without a turn"


def test_saved_and_loaded_it_answers_the_same(case: Case, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    train.save(case.model, tmp_path / "weights.safetensors")
    other = CASES[request.node.callspec.params["case"]]().model
    train.load(other, tmp_path / "weights.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(answer(case), answer(case, other), strict=True))


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deep", "pickle"]
)
def test_a_copy_answers_the_same_and_is_apart(case: Case, copied: Callable[[Any], Any]) -> None:
    before = answer(case)
    other = copied(case.model)
    assert all(torch.equal(a, b) for a, b in zip(before, answer(case, other), strict=True))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert all(torch.equal(a, b) for a, b in zip(before, answer(case), strict=True))


def test_torch_saves_it_whole(case: Case) -> None:
    file = io.BytesIO()
    torch.save(case.objective, file)
    file.seek(0)
    other = torch.load(file, weights_only=False)
    assert all(torch.equal(a, b) for a, b in zip(answer(case), answer(case, other.model), strict=True))


def test_one_example_at_a_time_under_vmap(case: Case) -> None:
    def one(*inputs: Tensor) -> list[Tensor]:
        return [x[0] for x in answer(case, inputs=tuple(x[None] for x in inputs))]

    assert_close(torch.func.vmap(one)(*case.inputs), answer(case))


def test_the_score_by_vmap_is_that_by_autograd(case: Case) -> None:
    if not hasattr(case.model, "log_prob"):
        pytest.skip("no density")
    x, *rest = case.inputs

    def log_p(x: Tensor, *rest: Tensor) -> Tensor:
        return case.model.log_prob(x[None], *(c[None] for c in rest))[0]  # type: ignore[operator]

    scores = torch.func.vmap(torch.func.grad(log_p))(x, *rest)
    x = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(case.model.log_prob(x, *rest).sum(), x)  # type: ignore[operator]
    assert_close([scores], [expected])


def test_it_compiles_whole(case: Case) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(case.ask, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        got = compiled(case.model, *case.inputs)
    assert_close([got] if isinstance(got, Tensor) else list(got), answer(case))


class Asked(nn.Module):
    """The question as a module, which is what `torch.export` takes."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.model, self.ask = case.model, case.ask

    def forward(self, *inputs: Tensor) -> Any:
        return self.ask(self.model, *inputs)


def test_it_can_be_exported(case: Case) -> None:
    got = torch.export.export(Asked(case), case.inputs).module()(*case.inputs)
    assert_close([got] if isinstance(got, Tensor) else list(got), answer(case))


def test_in_float64_it_is_float64_throughout(case: Case) -> None:
    single = answer(case)
    double = answer(case, case.model.double(), cast(case.inputs, torch.float64))
    assert all(x.dtype == torch.float64 for x in double)
    assert_close(single, double, tol=1e-4)


def test_in_bfloat16_it_answers_nearly_the_same(case: Case) -> None:
    single = answer(case)
    half = answer(case, case.model.bfloat16(), cast(case.inputs, torch.bfloat16))
    assert_close(half, single, tol=0.5)


def test_draws_are_float32_or_better_in_any_dtype(case: Case) -> None:
    for dtype, wanted in ((torch.bfloat16, torch.float32), (torch.float64, torch.float64)):
        generator = torch.Generator().manual_seed(0)
        (label,) = cast((case.label,), dtype) if isinstance(case.label, Tensor) else (case.label,)
        drawn = case.model.to(dtype).sample(B, label, generator, **case.draws)  # type: ignore[operator]
        assert len(drawn) == B
        assert bool(torch.isfinite(drawn).all())
        if isinstance(case.model, diffusion.DDPM):  # a state that many steps add to
            assert drawn.dtype == wanted


def test_draws_follow_their_generator(case: Case) -> None:
    def drawn() -> Tensor:
        return case.model.sample(B, case.label, torch.Generator().manual_seed(4), **case.draws)  # type: ignore[operator]

    before = torch.get_rng_state()
    assert torch.equal(drawn(), drawn())
    assert torch.equal(before, torch.get_rng_state())


def test_memory_may_lie_in_any_order(case: Case) -> None:
    inputs = tuple(x.t().contiguous().t() if x.dim() == 2 else torch.stack([x, x], -1)[..., 0] for x in case.inputs)
    assert any(not x.is_contiguous() for x in inputs)
    assert_close(answer(case, inputs=inputs), answer(case))


def test_a_batch_of_one_is_that_row(case: Case) -> None:
    one = answer(case, inputs=tuple(x[:1] for x in case.inputs))
    assert_close(one, [x[:1] for x in answer(case)])


def test_to_another_device_and_back(case: Case) -> None:
    before, weights = answer(case), copy.deepcopy(case.model.state_dict())
    if torch.cuda.is_available():
        case.model.cuda()
        assert all(x.is_cuda for x in answer(case, inputs=tuple(x.cuda() for x in case.inputs)))
        case.model.cpu()
    else:
        case.model.to("meta")
        assert all(x.is_meta for x in answer(case, inputs=tuple(x.to("meta") for x in case.inputs)))
        case.model.to_empty(device="cpu").load_state_dict(weights)
    assert all(torch.equal(a, b) for a, b in zip(before, answer(case), strict=True))


def test_what_it_is_told_is_its_own_kind_of_condition(case: Case) -> None:
    """Classes where it was built for classes, vectors where for vectors, and nothing where for neither."""
    for name in ("n_classes", "n_condition"):
        assert getattr(case.model, name, None) is None or case.label is not None
    wrong = [torch.tensor([0, 99, 1]), numbers(B, 7)] if case.label is not None else [LABEL]
    if "gan, pairs" in type(case.model).__name__ or isinstance(case.model, gan.UNetGenerator):
        wrong = [numbers(B, 3, 8, 8), LABEL]
    for label in wrong:
        with pytest.raises(ValueError, match="label"):
            case.model.sample(B, label, **case.draws)  # type: ignore[operator]
