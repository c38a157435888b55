"""What all layers have in common: composition, and log-determinants that add."""

import pytest
import torch
from flow_cases import check_layer, jacobian, randomised, seeded  # noqa: F401
from torch import nn

from genlib.flows import ActNorm, AffineCoupling, Compose, CouplingChain, Inverse, InvertibleConv, Squeeze, masks
from genlib.flows.layer import total


def layers() -> list:
    made = [AffineCoupling(masks.halves(3)), InvertibleConv(3), AffineCoupling(masks.random(3)), ActNorm(3)]
    return [randomised(layer.double(), 0.3, seed=i) for i, layer in enumerate(made)]


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_composition_against_autograd() -> None:
    check_layer(Compose(layers()), normal(3, 3))
    check_layer(Compose([Compose(layers()), Compose(layers()[:1])]), normal(3, 3))


def test_an_empty_composition_is_the_identity() -> None:
    x = normal(3, 2)
    z, log_det = Compose([])(x)
    assert torch.equal(z, x)
    assert torch.equal(log_det, torch.zeros(3, dtype=torch.float64))


def test_the_chain_rule_multiplies_in_this_order() -> None:
    """J of f_b ∘ f_a is J_b at f_a(x), times J_a at x; the other order is another matrix with the same determinant."""
    a, b, *_ = layers()
    x = normal(3)
    J_a, J_b = jacobian(lambda x: a(x)[0], x), jacobian(lambda x: b(x)[0], a(x[None])[0][0].detach())
    J = jacobian(lambda x: Compose([a, b])(x)[0], x)
    assert torch.allclose(J, J_b @ J_a, atol=1e-12)
    assert not torch.allclose(J, J_a @ J_b, atol=1e-3)


def test_layers_are_listed_flat() -> None:
    made = layers()
    couplings = [AffineCoupling(masks.halves(3)), AffineCoupling(masks.halves(3, swap=True))]
    nested = Compose([Compose(made[:2]), CouplingChain(couplings), *made[2:]])
    assert nested.layers == [*made[:2], *couplings, *made[2:]]


def test_what_is_no_layer_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^layers: expected"):
        Compose([nn.Linear(2, 2)])  # type: ignore
    for wrong in (torch.zeros(3), torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.int64), None):
        with pytest.raises(ValueError, match=r"^x: expected"):
            Compose([])(wrong)


@pytest.mark.parametrize(
    "layers",
    [
        [ActNorm(6), AffineCoupling(masks.halves(4))],
        [AffineCoupling(masks.halves(4)), ActNorm(6)],
        [ActNorm(6), Compose([ActNorm(6), AffineCoupling(masks.halves(4))])],
        [ActNorm(6), CouplingChain([AffineCoupling(masks.halves(4)), AffineCoupling(masks.halves(4, swap=True))])],
        [ActNorm(6), Inverse(AffineCoupling(masks.halves(4)))],
    ],
)
def test_a_layer_of_another_size_is_refused_wherever_it_stands(layers: list) -> None:
    """Of six coordinates a coupling of four would take four and drop the others."""
    for direction in (Compose(layers), Compose(layers).inverse):
        with pytest.raises(ValueError, match=r"^[xz]: expected .*got shape \(3, 6\) \(on the way through"):
            direction(torch.zeros(3, 6))


def test_a_layer_may_give_the_next_one_another_shape_which_is_checked() -> None:
    x = torch.zeros(2, 1, 4, 4)
    Compose([ActNorm(1), Squeeze(), ActNorm(4)])(x)
    for wrong in ([ActNorm(1), Squeeze(), ActNorm(1)], [Squeeze(), Squeeze(), Squeeze()]):
        with pytest.raises(ValueError, match=r"^x: expected .* \(on the way through (ActNorm|Squeeze)\)$"):
            Compose(wrong)(x)


def test_terms_add_up_for_each_example() -> None:
    x = normal(2, 3)
    terms = [torch.tensor([1.0, 2.0]), torch.tensor([[1.0, 1.0], [10.0, 0.0]]), torch.tensor(3.0).expand(2)]
    assert total([term.double() for term in terms], x).tolist() == [6.0, 15.0]
