"""Adam as in torch. Muon: its steps against a singular value decomposition, Adam for the rest, and resuming."""

from typing import Any

import pytest
import torch
from flow_cases import seeded  # noqa: F401
from torch import Tensor, nn

from genlib import data, train
from genlib.flows import MaximumLikelihood, RealNVP
from genlib.optimizers import Muon, adam, fusible, orthogonal


def with_grads(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    parameters: list[Tensor] = [nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in shapes]
    for p in parameters:
        p.grad = torch.randn_like(p)
    return parameters


@pytest.mark.parametrize("shape", [(7, 7), (3, 9), (9, 3), (1, 5), (4, 6, 6)])
def test_orthogonal_keeps_the_directions_and_levels_the_sizes(shape: tuple[int, ...]) -> None:
    """Against the decomposition: U and V stay, and the singular values come to about 1."""
    n = min(shape[-2:])
    U, _, Vh = torch.linalg.svd(torch.randn(shape, dtype=torch.float64), full_matrices=False)
    S = torch.logspace(0, -1.5, n, dtype=torch.float64) * 40
    inner = U.mT @ orthogonal(U @ torch.diag(S) @ Vh) @ Vh.mT
    sizes = inner.diagonal(dim1=-2, dim2=-1)
    assert torch.allclose(inner, torch.diag_embed(sizes), atol=1e-9)
    assert float(sizes.min()) > 0.5
    assert float(sizes.max()) < 1.25


def test_a_gradient_of_zero_is_no_step_and_not_nan() -> None:
    assert torch.equal(orthogonal(torch.zeros(2, 4, 4)), torch.zeros(2, 4, 4))


def test_it_steps_as_torch_s_own_muon_does() -> None:
    """Which computes in bfloat16, so to two digits; and one matrix after the other."""
    shapes = [(8, 8), (8, 8), (12, 4)]
    ours = with_grads(*shapes, dtype=torch.float32)
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    before = [p.detach().clone() for p in ours]
    muon = Muon(ours, [], lr=0.1, momentum=0.9)
    reference = torch.optim.Muon(theirs, lr=0.1, momentum=0.9, weight_decay=0.0, adjust_lr_fn="original")
    for _ in range(4):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        muon.step()
        reference.step()
    for p, q, start in zip(ours, theirs, before, strict=True):
        assert float((p - q).detach().norm()) < 0.05 * float((p - start).detach().norm())


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_all_else_is_adam_s(weight_decay: float) -> None:
    matrix, *ours = with_grads((4, 4), (5,), (2, 3))
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    muon = Muon([matrix], ours, lr_adam=0.01, weight_decay=weight_decay)
    adam = torch.optim.AdamW(theirs, lr=0.01, weight_decay=weight_decay)
    for _ in range(5):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        kept = None if matrix.grad is None else matrix.grad.clone()
        muon.step()
        adam.step()
        assert kept is not None
        assert matrix.grad is not None
        assert torch.equal(matrix.grad, kept)
    for p, q in zip(ours, theirs, strict=True):
        assert torch.allclose(p, q, atol=1e-12)


def test_decay_pulls_matrices_to_zero() -> None:
    (matrix,) = with_grads((4, 4))
    matrix.grad = torch.zeros_like(matrix)
    before = matrix.detach().clone()
    Muon([matrix], [], lr=0.1, weight_decay=0.5).step()
    assert torch.allclose(matrix, 0.95 * before)


def test_it_learns_rare_directions_as_fast_as_frequent_ones() -> None:
    """Least squares with inputs of sizes 1 to 0.001: of those near 0.01, Adam leaves more."""
    sizes = torch.logspace(0, -3, 8, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))[0]
    target = torch.randn(8, 8, dtype=torch.float64)

    def left(optimizer: torch.optim.Optimizer, W: Tensor) -> float:
        for _ in range(300):
            optimizer.zero_grad()
            (((W - target) @ rotation * sizes).square().sum() / 2).backward()
            optimizer.step()
        return float(((W - target) @ rotation)[:, 3:6].detach().norm())

    W, V = (nn.Parameter(torch.zeros(8, 8, dtype=torch.float64)) for _ in range(2))
    assert left(Muon([W], [], lr=0.02), W) < 0.75 * left(torch.optim.Adam([V], lr=0.02), V)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"matrices": [torch.zeros(3)]}, "matrices: expected tensors with two axes"),
        ({"momentum": 1.0}, "momentum"),
        ({"lr": -1.0}, "lr"),
        ({"lr_adam": -1.0}, "lr_adam"),
        ({"rounds": 0}, "rounds"),
        ({"weight_decay": -1.0}, "weight_decay"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    given = {"matrices": [nn.Parameter(torch.zeros(3, 3))], "others": [], **arguments}
    with pytest.raises(ValueError, match=message):
        Muon(**given)


def test_maximum_likelihood_hands_it_the_hidden_matrices_and_nothing_else() -> None:
    flow = RealNVP.for_vectors(3, 4, 16, depth=3, actnorm=True)
    (optimizer,) = MaximumLikelihood(flow, lr=1e-3, muon=0.04).optimizers().values()
    names = {p: name for name, p in flow.named_parameters()}
    matrices, others = ([names[p] for p in group["params"]] for group in optimizer.param_groups)
    assert len(matrices) == 4 * 2
    assert all("hidden" in name and name.endswith("weight") for name in matrices)
    assert sorted(matrices + others) == sorted(names.values())
    assert [group["lr"] for group in optimizer.param_groups] == [0.04, 1e-3]
    with pytest.raises(ValueError, match="muon: expected 0"):
        MaximumLikelihood(RealNVP.for_vectors(3, 4, 16, depth=1), muon=0.04)
    with pytest.raises(ValueError, match="muon"):
        MaximumLikelihood(flow, muon=-1.0)


def test_a_resumed_training_is_the_one_that_never_stopped(tmp_path) -> None:
    x = data.Moons().sample(500, torch.Generator().manual_seed(0))

    def trained(stop: int | None) -> list[Tensor]:
        torch.manual_seed(0)
        objective = MaximumLikelihood(RealNVP.for_vectors(2, 2, 8), muon=0.03)
        options = {"steps": 6, "seed": 3, "progress": False, "checkpoint": tmp_path / f"{stop}.pt"}

        def interrupt(step: int, _: nn.Module) -> None:
            if step == stop:
                raise RuntimeError("stopped here")

        if stop is not None:
            with pytest.raises(RuntimeError, match="stopped here"):
                train.fit(objective, x, log_every=1, checkpoint_every=1, callback=interrupt, **options)
            torch.manual_seed(1)
            objective = MaximumLikelihood(RealNVP.for_vectors(2, 2, 8), muon=0.03)
        train.fit(objective, x, log_every=1, resume=stop is not None, **options)
        return [p.detach() for p in objective.parameters()]

    for whole, resumed in zip(trained(None), trained(4), strict=True):
        assert torch.equal(whole, resumed)


@pytest.mark.parametrize(("weight_decay", "kind"), [(0.0, torch.optim.Adam), (0.1, torch.optim.AdamW)])
def test_adam_steps_as_torchs_own_does(weight_decay: float, kind: type[torch.optim.Optimizer]) -> None:
    ours, theirs = nn.Linear(3, 2).double(), nn.Linear(3, 2).double()
    theirs.load_state_dict(ours.state_dict())
    options = {"weight_decay": weight_decay} if weight_decay else {}
    pairs = [
        (ours, adam(ours.parameters(), 0.01, (0.5, 0.9), weight_decay)),
        (theirs, kind(theirs.parameters(), lr=0.01, betas=(0.5, 0.9), **options)),  # pyright: ignore
    ]
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        for layer, optimizer in pairs:
            optimizer.zero_grad()
            layer(x).square().sum().backward()
            optimizer.step()
    assert isinstance(pairs[0][1], torch.optim.Adam)
    assert pairs[0][1].defaults["fused"]
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-12)


CONTIGUOUS, LAST = torch.contiguous_format, torch.channels_last


@pytest.mark.parametrize("of_means", [CONTIGUOUS, LAST])
@pytest.mark.parametrize("of_gradients", [CONTIGUOUS, LAST])
@pytest.mark.parametrize("of_weights", [CONTIGUOUS, LAST])
def test_how_numbers_lie_in_memory_makes_no_difference(of_weights: Any, of_gradients: Any, of_means: Any) -> None:
    """torch's fused kernel, left alone, would pair the numbers of different pixels."""
    weight, gradient = torch.randn(2, 4, 3, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    p = nn.Parameter(weight.clone().contiguous(memory_format=of_weights))
    plain = nn.Parameter(weight.clone())
    ours, theirs = adam([p], 0.1), torch.optim.Adam([plain], 0.1, fused=False)
    for k in range(1, 4):
        p.grad, plain.grad = (k * gradient).contiguous(memory_format=of_gradients), k * gradient
        ours.step()
        theirs.step()
        for name in ("exp_avg", "exp_avg_sq"):
            ours.state[p][name] = ours.state[p][name].contiguous(memory_format=of_means)
    assert torch.allclose(p, plain, atol=1e-12)
    assert p.is_contiguous(memory_format=of_weights)


def test_a_step_takes_a_closure() -> None:
    p = nn.Parameter(torch.ones(3))
    optimizer = adam([p], 0.1)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = p.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == 3.0
    assert torch.allclose(p, torch.full((3,), 0.9))


def test_a_device_without_the_kernel_is_not_asked_for_it() -> None:
    there = [nn.Parameter(torch.empty(2, device="meta"))]
    assert not fusible([*there, nn.Parameter(torch.empty(2))])
    assert not adam(there, 0.01).defaults["fused"]
