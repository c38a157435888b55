"""Couplings in a row with their parts kept apart: the same numbers as one after the other, on the same parameters."""

import pytest
import torch
from flow_cases import check_layer, jacobian, randomised, seeded  # noqa: F401
from torch import Tensor

from genlib.flows import AffineCoupling, Flow, MaximumLikelihood, RealNVP, fused, masks

R = [masks.random(6, seed=s) for s in (0, 1, 3)]
H = masks.halves(6)
ROWS = {
    "one": [H],
    "one swapped": [~H],
    "taking turns": [H, ~H, H, ~H],
    "the same twice": [H, H, ~H, ~H],
    "random": [R[0], R[1], R[2]],
    "random pairs": [R[0], ~R[0], R[1], ~R[1], H],
    "unequal": [torch.arange(6) < 2, torch.arange(6) < 4, torch.arange(6) >= 2, torch.arange(6) < 1],
}


def flow_of(rows: list[Tensor]) -> Flow:
    layers = [randomised(AffineCoupling(mask).double(), 0.2, seed=i) for i, mask in enumerate(rows)]
    return Flow(layers, rows[0].shape)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def names(flow: Flow) -> list[str]:
    return [type(layer).__name__ for layer in flow.layers]


@pytest.mark.parametrize("name", ROWS)
def test_same_numbers_as_one_by_one(name: str) -> None:
    plain, x = flow_of(ROWS[name]), normal(5, 6)
    fast = fused(plain)
    for a, b in zip((*fast(x), *fast.inverse(x)), (*plain(x), *plain.inverse(x)), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ROWS)
def test_against_autograd(name: str) -> None:
    check_layer(fused(flow_of(ROWS[name])), normal(2, 6))


@pytest.mark.parametrize("name", ["taking turns", "random pairs"])
def test_same_gradients_as_one_by_one(name: str) -> None:
    plain, x = flow_of(ROWS[name]), normal(5, 6)
    weights, gradients = list(plain.parameters()), []
    for flow in (fused(plain), plain):
        gradients.append(torch.autograd.grad(-flow.log_prob(x).mean(), weights))
    for a, b in zip(*gradients, strict=True):
        assert float((a - b).abs().max()) <= 1e-14 * float(b.abs().max())


@pytest.mark.parametrize(
    "make",
    [
        lambda: RealNVP.for_vectors(2, 8, 64),
        lambda: RealNVP.for_vectors(64, 4, 24, levels=17, n_classes=10, mask="random", actnorm=True),
        lambda: RealNVP.for_images((1, 4, 4), 17, n_scales=2, width=4, n_blocks=1),
    ],
)
def test_float32_agrees_within_1e_6(make) -> None:
    plain = randomised(make(), 0.05).eval()
    fast, x = fused(plain), torch.rand(64, *plain.shape, generator=torch.Generator().manual_seed(0))
    label = torch.arange(64) % 10 if plain.n_classes else None
    results = []
    for flow in (plain, fast):
        z, log_det = flow(x, label)
        loss = -flow.log_prob(x, label).mean()
        results.append((z, log_det, flow.inverse(z, label)[0], *torch.autograd.grad(loss, list(plain.parameters()))))
    for a, b in zip(*results, strict=True):
        assert float((a - b).detach().abs().max()) <= 1e-6 * max(1.0, float(a.detach().abs().max()))
    assert "Run" in names(fast)


def test_channels_of_pictures() -> None:
    mask = masks.channel((3, 2, 3))
    check_layer(fused(flow_of([mask, ~mask, mask])), normal(2, 3, 2, 3))


def test_to_train_it_is_to_train_the_flow() -> None:
    plain, x = RealNVP.for_vectors(2, 4, 8), normal(64, 2).float()
    other = RealNVP.for_vectors(2, 4, 8)
    other.load_state_dict(plain.state_dict())
    for flow in (fused(plain), other):
        objective = MaximumLikelihood(flow)
        optimizer = objective.optimizers()["flow"]
        for _ in range(5):
            optimizer.zero_grad()
            next(objective.losses(x))[1].backward()
            optimizer.step()
    for a, b in zip(plain.parameters(), other.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-6)
    assert fused(plain.eval()).training is False
    assert plain.train().layers[0].training


def test_another_mask_is_not_taken_for_the_one_that_was_fused() -> None:
    plain = flow_of([R[0], ~R[0]])
    fast = fused(plain)
    plain.load_state_dict(flow_of([R[1], ~R[1]]).state_dict())
    with pytest.raises(ValueError, match=r"^couplings: another mask"):
        fast(normal(4, 6))
    assert torch.equal(fused(plain)(normal(4, 6))[0], plain(normal(4, 6))[0])


def test_forward_mode_and_vmap_work() -> None:
    fast, x = fused(flow_of(ROWS["random pairs"])), normal(6)
    by_rows = jacobian(lambda x: fast(x)[0], x)
    assert torch.allclose(torch.func.jacfwd(lambda row: fast(row[None])[0][0])(x), by_rows, atol=1e-12)
    assert torch.allclose(torch.func.jacrev(lambda row: fast(row[None])[0][0])(x), by_rows, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("taking turns", ["Run"]),
        ("the same twice", ["Run"]),
        ("random pairs", ["Run", "Run", "AffineCoupling"]),
        ("one swapped", ["AffineCoupling"]),
        ("random", ["AffineCoupling"] * 3),
        ("unequal", ["AffineCoupling"] * 4),
    ],
)
def test_couplings_are_fused_where_parts_trade_places(name: str, layers: list[str]) -> None:
    assert names(fused(flow_of(ROWS[name]))) == layers


def test_what_is_no_coupling_stays_as_it_is() -> None:
    plain = RealNVP.for_images((1, 4, 4), 17, n_scales=2, width=4, n_blocks=1)
    fast = fused(plain)
    assert names(fast) == ["Logit", *["AffineCoupling"] * 3, "Squeeze", "Run", "FactorOut", "Inverse"]
    assert (fast.levels, fast.shape, fast.base) == (plain.levels, plain.shape, plain.base)


@pytest.mark.parametrize("wrong", [None, 3, torch.nn.Linear(2, 2), [AffineCoupling(H)]])
def test_what_is_no_flow_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match=r"^flow: expected"):
        fused(wrong)


@pytest.mark.parametrize("x", [torch.zeros(3, 5), torch.zeros(6), torch.zeros(3, 6, 1), torch.zeros(3, 6).half(), None])
def test_x_of_another_shape_is_refused(x) -> None:
    fast = fused(flow_of(ROWS["taking turns"]).float())
    for call, name in ((fast, "x"), (fast.log_prob, "x"), (fast.inverse, "z"), (fast.layers[0], "x")):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            call(x)


def test_fusing_leaves_every_layer_in_its_mode() -> None:
    flow = RealNVP.for_vectors(4, 4, width=8, dropout=0.5).train()
    flow.layers[1].eval()
    before = [part.training for part in flow.modules()]
    assert fused(flow).training
    assert [part.training for part in flow.modules()] == before
