"""Couplings whose gradient is written out: the same values and gradients as autograd's, where it is used at all."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from flow_cases import randomised, seeded  # noqa: F401
from torch import Tensor, nn
from torch.nn.utils import prune

from genlib.flows import AffineCoupling, Flow, RealNVP, fused, masks
from genlib.flows.nets import MLP
from genlib.flows.straight import Straight

UNEQUAL = torch.arange(5) < 2
VECTORS = {
    "plane": lambda: RealNVP.for_vectors(2, 8, 64),
    "deep": lambda: RealNVP.for_vectors(4, 4, 16, depth=4),
    "one hidden layer": lambda: RealNVP.for_vectors(3, 5, 16, depth=1, bound=3.0),
    "told": lambda: RealNVP.for_vectors(6, 4, 16, n_condition=3, actnorm=True),
    "dropout": lambda: RealNVP.for_vectors(6, 4, 16, n_condition=3, mask="random", dropout=0.4),
    "the same twice": lambda: Flow([AffineCoupling(mask) for mask in (UNEQUAL, UNEQUAL, ~UNEQUAL)], (5,)),
}


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many couplings were computed at once, each time that some were."""
    calls, apply = [], Straight.apply
    monkeypatch.setattr(Straight, "apply", lambda *args: calls.append(len(args[3])) or apply(*args))  # type: ignore
    return calls


def made(name: str) -> tuple[Any, Tensor, Tensor | None]:
    """A flow with weights at random, x, and what it is told."""
    flow, generator = randomised(VECTORS[name]().double(), 0.3).train(), torch.Generator().manual_seed(0)
    for layer in flow.layers:
        layer.waits = False  # actnorm's first batch
    x = torch.randn(7, *flow.shape, dtype=torch.float64, generator=generator)
    c = torch.randn(7, flow.n_condition, dtype=torch.float64, generator=generator) if flow.n_condition else None
    return flow, x, c


def found(flow: Flow, x: Tensor, c: Tensor | None) -> list[Tensor]:
    """z, log |det|, and the gradients of a function of both by x, the condition and all weights."""
    inputs = [part.clone().requires_grad_() for part in (x, c) if part is not None]
    torch.manual_seed(1)  # of dropout
    z, log_det = flow(*inputs)
    loss = (z.sin() * torch.arange(1.0, z.shape[1] + 1)).sum() + (log_det * torch.arange(1.0, len(x) + 1)).sum()
    return [z, log_det, *torch.autograd.grad(loss, [*inputs, *flow.parameters()])]


@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.parametrize("B", [1, 7])
def test_same_values_and_gradients_as_autograd(name: str, B: int, used: list[int]) -> None:
    flow, x, c = made(name)
    x, c = x[:B], c if c is None else c[:B]
    expected = found(flow, x, c)
    assert not used
    for a, b in zip(found(fused(flow), x, c), expected, strict=True):
        assert a.dtype == torch.float64
        assert float((a - b).detach().abs().max()) <= 1e-13 * max(1.0, float(b.detach().abs().max()))
    assert used


def test_half_a_loss_will_do(used: list[int]) -> None:
    """z alone, or log |det| alone."""
    flow, x, _ = made("plane")
    weight = flow.layers[3].net.first.weight
    for part in (0, 1):
        (a,), (b,) = (torch.autograd.grad(f(x)[part].square().sum(), weight) for f in (flow, fused(flow)))
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-12)
    assert used == [8, 8]


def test_float32_agrees_within_1e_6(used: list[int]) -> None:
    flow, x = randomised(RealNVP.for_vectors(2, 8, 64)), torch.randn(512, 2)
    both = [torch.autograd.grad(-f.log_prob(x).mean(), list(flow.parameters())) for f in (flow, fused(flow))]
    for a, b in zip(*both, strict=True):
        assert float((a - b).abs().max()) <= 1e-6 * max(1.0, float(b.abs().max()))
    assert used == [8]


def halves(net: Callable[[], Any] | None = None, **options: Any) -> Flow:
    mask = masks.halves(2)
    return Flow([AffineCoupling(m, net and net(), **options) for m in (mask, ~mask)], (2,))


class Other(MLP):
    pass


def hooked(kind: str) -> Flow:
    flow = halves()
    getattr(flow.layers[1].net, f"register_{kind}_hook")(lambda *_: None)
    return flow


def normed() -> Flow:
    flow: Any = halves()
    nn.utils.parametrizations.weight_norm(flow.layers[0].net.last)
    return flow


def pruned() -> Flow:
    flow: Any = halves()
    prune.random_unstructured(flow.layers[0].net.first, "weight", 0.5)
    return flow


def without_bias() -> Flow:
    flow: Any = halves()
    flow.layers[1].net.last.bias = None
    return flow


@pytest.mark.parametrize(
    "make",
    [
        lambda: halves(lambda: Other(1, 2)),
        lambda: halves(learned=True),
        normed,
        pruned,
        without_bias,
        *(lambda kind=kind: hooked(kind) for kind in ("forward", "forward_pre", "full_backward", "full_backward_pre")),
    ],
)
def test_what_asks_for_more_goes_the_ordinary_way(make: Callable[[], Flow], used: list[int]) -> None:
    fused(make())(torch.randn(4, 2))[1].sum().backward()
    assert not used


def test_a_hook_of_what_is_told_is_called(used: list[int]) -> None:
    flow: Any = RealNVP.for_vectors(2, 2, 8, n_condition=3)
    flow.layers[1].net.condition.register_forward_hook(lambda *_: None)
    fused(flow)(torch.randn(4, 2), torch.randn(4, 3))[1].sum().backward()
    assert not used


def test_where_no_gradient_is_wanted_or_another_kind(used: list[int]) -> None:
    flow, x = fused(halves()), torch.randn(4, 2)
    with torch.no_grad():
        flow(x)
    flow.inverse(flow(x.requires_grad_())[0])
    assert used == [2]
    with torch.autocast("cpu", torch.bfloat16):
        flow.log_prob(x)
    torch.func.jacrev(lambda x: flow(x)[0])(x)
    with torch.autograd.forward_ad.dual_level():
        flow(torch.autograd.forward_ad.make_dual(x.detach(), torch.ones_like(x)))
    assert used == [2]


@pytest.mark.parametrize("which", ["weight", "x", "condition"])
def test_a_change_before_the_gradient_is_noticed(which: str) -> None:
    flow: Any = fused(RealNVP.for_vectors(2, 2, 8, n_condition=3))
    parts = {
        "weight": flow.layers[0].couplings[0].net.first.weight,
        "x": torch.randn(4, 2),
        "condition": torch.randn(4, 3),
    }
    loss = flow(parts["x"], parts["condition"])[1].sum()
    with torch.no_grad():
        parts[which].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_gradient_has_no_gradient() -> None:
    flow, x = fused(halves()), torch.randn(4, 2, requires_grad=True)
    (g,) = torch.autograd.grad(flow(x)[0].square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


def test_a_gradient_can_be_asked_for_twice() -> None:
    flow, x = fused(randomised(halves(), 0.5)), torch.randn(4, 2)
    loss, weights = flow.log_prob(x).mean(), list(flow.parameters())
    first = torch.autograd.grad(loss, weights, retain_graph=True)
    assert all(map(torch.equal, first, torch.autograd.grad(loss, weights)))


def test_what_was_computed_is_let_go_at_once() -> None:
    """Not only when Python looks for what holds itself."""
    flow: Any = fused(halves())
    gc.disable()
    try:
        z, log_det = flow.layers[0](torch.randn(4, 2))
        kept = [weakref.ref(part) for seen in log_det.grad_fn.seen for part in seen[:2]]
        assert all(part() is not None for part in kept)
        del z, log_det
        assert [part() for part in kept] == [None] * 4
    finally:
        gc.enable()


def test_what_does_not_fit_is_refused_by_name() -> None:
    flow = fused(halves(lambda: MLP(2, 2)))
    with pytest.raises(ValueError, match=r"^x: expected"):
        flow(torch.randn(4, 2))
    flow = fused(RealNVP.for_vectors(2, 4, 8, n_condition=3))
    with pytest.raises(ValueError, match=r"^label: expected"):
        flow(torch.randn(4, 2))
    for c in (None, torch.randn(4, 2), torch.randn(4, 3).double()):
        with pytest.raises(ValueError, match=r"^condition: expected"):
            flow.layers[0](torch.randn(4, 2), c)
