"""Couplings in a row with their parts kept apart: the same numbers as one after the other."""

import pytest
import torch
from flow_cases import check_layer, jacobian, randomised, seeded  # noqa: F401
from torch import Tensor

from genlib.flows import AdditiveCoupling, AffineCoupling, Compose, ConvNet, CouplingChain, masks

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


def couplings(rows: list[Tensor], kind=AffineCoupling) -> list:
    return [randomised(kind(mask).double(), 0.2, seed=i) for i, mask in enumerate(rows)]


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("kind", [AffineCoupling, AdditiveCoupling])
def test_same_numbers_as_one_by_one(name: str, kind) -> None:
    layers = couplings(ROWS[name], kind)
    chain, plain = CouplingChain(layers), Compose(layers)
    x = normal(5, 6)
    for a, b in zip((*chain(x), *chain.inverse(x)), (*plain(x), *plain.inverse(x)), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ROWS)
def test_against_autograd(name: str) -> None:
    check_layer(CouplingChain(couplings(ROWS[name])), normal(2, 6))


def test_same_gradients_as_one_by_one() -> None:
    layers = couplings(ROWS["random pairs"])
    x, weights = normal(5, 6), [p for layer in layers for p in layer.parameters()]
    gradients = []
    for flow in (CouplingChain(layers), Compose(layers)):
        z, log_det = flow(x)
        gradients.append(torch.autograd.grad((z**2).sum() - log_det.sum(), weights))
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, atol=1e-12)


def test_channels_of_pictures() -> None:
    mask = masks.channel((3, 2, 3))
    check_layer(CouplingChain(couplings([mask, ~mask, mask])), normal(2, 3, 2, 3))


def test_its_layers_can_be_walked_through() -> None:
    chain = CouplingChain(couplings(ROWS["random pairs"]))
    x, total = normal(4, 6), torch.zeros(4, dtype=torch.float64)
    z = x
    for layer in chain.layers:
        z, log_det = layer(z)
        total = total + log_det
    assert torch.allclose(z, chain(x)[0], atol=1e-13)
    assert torch.allclose(total, chain(x)[1], atol=1e-13)


def test_stored_masks_change_the_plan() -> None:
    one, other = CouplingChain(couplings([R[0], R[1]])), CouplingChain(couplings([H, ~H]))
    other.load_state_dict(one.state_dict())
    x = normal(4, 6)
    assert torch.equal(one(x)[0], other(x)[0])


def test_forward_mode_and_vmap_work() -> None:
    chain, x = CouplingChain(couplings(ROWS["random"])), normal(6)
    by_rows = jacobian(lambda x: chain(x)[0], x)
    assert torch.allclose(torch.func.jacfwd(lambda row: chain(row[None])[0][0])(x), by_rows, atol=1e-12)
    assert torch.allclose(torch.func.jacrev(lambda row: chain(row[None])[0][0])(x), by_rows, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "moves"), [("taking turns", 0), ("random pairs", 3), ("one swapped", 0), ("random", 4)]
)
def test_coordinates_are_dealt_anew_only_where_they_have_to_be(name: str, moves: int) -> None:
    chain = CouplingChain(couplings(ROWS[name]))
    assert sum(key.endswith("_there") for key, _ in chain.named_buffers()) == moves


@pytest.mark.parametrize("sizes", [((2, 2, 2), (2, 3, 2)), ((2,), (2, 3, 2))])
def test_pictures_of_another_size_than_one_of_the_masks_are_refused(sizes: tuple) -> None:
    kept = [(torch.arange(2) < 1).view(-1, *[1] * (len(size) - 1)).expand(size) for size in sizes]
    chain = CouplingChain([AffineCoupling(mask, ConvNet(1, 2)) for mask in kept])
    for direction in (chain, chain.inverse):
        with pytest.raises(ValueError, match=r"^[xz]: expected .*\(B, 2, 3, 2\), got shape \(2, 2, 2, 2\)"):
            direction(torch.zeros(2, 2, 2, 2))


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [AffineCoupling(masks.halves(4)), AffineCoupling(masks.halves(5))],
        [AffineCoupling(masks.checkerboard((1, 2, 2)))],
        [torch.nn.Linear(2, 2)],
    ],
)
def test_what_cannot_be_kept_apart_is_refused(layers: list) -> None:
    with pytest.raises(ValueError, match=r"^couplings: expected"):
        CouplingChain(layers)
