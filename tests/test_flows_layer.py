"""What all layers have in common: composition, and log-determinants that add."""

import copy
import math
import pickle

import pytest
import torch
from flow_cases import check_layer, jacobian, randomised, seeded  # noqa: F401
from torch import Tensor, nn

from genlib import flows
from genlib.flows import ActNorm, AffineCoupling, Compose, Flow, Inverse, InvertibleConv, Squeeze, masks
from genlib.flows.layer import total


def layers() -> list:
    made = [AffineCoupling(masks.halves(3)), InvertibleConv(3), AffineCoupling(masks.random(3)), ActNorm(3)]
    return [randomised(layer.double(), 0.3, seed=i) for i, layer in enumerate(made)]


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Leaky(nn.Module):
    """A layer of one's own: forward and inverse, nothing else."""

    def __init__(self, slope: float = 0.5) -> None:
        super().__init__()
        self.slope = slope

    def extra_repr(self) -> str:
        return f"slope={self.slope}"

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return torch.where(x > 0, x, self.slope * x), math.log(self.slope) * (x <= 0).flatten(1).sum(1, dtype=x.dtype)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return torch.where(z > 0, z, z / self.slope), -math.log(self.slope) * (z <= 0).flatten(1).sum(1, dtype=z.dtype)


def test_a_composition_against_autograd() -> None:
    check_layer(Compose(layers()), normal(3, 3))
    check_layer(Compose([Compose(layers()), Compose(layers()[:1])]), normal(3, 3))


def test_an_empty_composition_is_the_identity() -> None:
    for x in (normal(3, 2), normal(3, 2, 4, 4), normal(3, 2, 5)):
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


def test_it_is_a_list_of_layers() -> None:
    made, x = layers(), normal(4, 3)
    flow = Compose(made)
    assert list(flow) == made
    assert list(reversed(flow)) == made[::-1]
    assert flow[-1] is made[-1]
    assert len(flow) == 4
    some = flow[:2]
    assert isinstance(some, Compose)
    assert torch.equal(some(x)[0], Compose(made[:2])(x)[0])
    assert torch.equal(Compose(flow[2:])(some(x)[0])[0], flow(x)[0])
    assert torch.equal(Compose(layer for layer in made)(x)[0], flow(x)[0])


def test_a_layer_of_ones_own_works_in_all_of_it() -> None:
    x = normal(5, 3)
    check_layer(Compose([layers()[0], Leaky(), layers()[1]]), x)
    check_layer(Inverse(Leaky()), x)
    check_layer(flows.FactorOut(Leaky(), torch.tensor([True, False, True])), x)
    flow = Flow([Leaky(), *layers(), Leaky(2.0)], (3,)).double()
    check_layer(flow, x)
    assert flow.sample(7).shape == (7, 3)
    assert flows.fused(flow).log_prob(x).shape == (5,)
    assert flow.config()["layers.0"] == "Leaky(slope=0.5)"
    for other in (pickle.loads(pickle.dumps(flow)), copy.deepcopy(flow)):
        assert torch.equal(other.log_prob(x), flow.log_prob(x))


@pytest.mark.parametrize("shape", [(), (1,), (3, 1), (3, 3)])
def test_a_log_det_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    """(B, 1) would add up to (B, B), and give each example the volumes of all."""

    class Wrong(Leaky):
        def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
            return x, x.new_zeros(shape)

    with pytest.raises(ValueError, match=r"^layers: expected log_det of shape \(3,\), got .* from number 1"):
        Compose([Leaky(), Wrong()])(normal(3, 3))


@pytest.mark.parametrize("wrong", [[nn.Linear(2, 2)], [None], ["a"], [3], "ab", None, 3, nn.Linear(2, 2), [Leaky]])
def test_what_is_no_layer_is_refused(wrong) -> None:
    for make in (Compose, lambda wrong: Flow(wrong, (2,))):
        with pytest.raises(ValueError, match=r"^layers: expected"):
            make(wrong)


@pytest.mark.parametrize("wrong", [None, 3, nn.Linear(2, 2), Leaky, [Leaky()]])
def test_the_inverse_of_what_is_no_layer_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match=r"^layer: expected"):
        Inverse(wrong)


@pytest.mark.parametrize("wrong", [torch.zeros(3), torch.tensor(1.0), torch.zeros(2, 3, dtype=torch.int64), None])
def test_x_that_is_no_batch_is_refused(wrong) -> None:
    for layer in (Compose([]), Inverse(Leaky())):
        with pytest.raises(ValueError, match=r"^x: expected"):
            layer(wrong)


@pytest.mark.parametrize(
    "layers",
    [
        [ActNorm(6), AffineCoupling(masks.halves(4))],
        [AffineCoupling(masks.halves(4)), ActNorm(6)],
        [AffineCoupling(masks.random(4))],
        [ActNorm(6), Compose([ActNorm(6), AffineCoupling(masks.halves(4))])],
        [ActNorm(6), *flows.fused(Flow([AffineCoupling(masks.halves(4, swap=s)) for s in (False, True)], (4,))).layers],
        [ActNorm(6), Inverse(AffineCoupling(masks.halves(4)))],
    ],
)
def test_a_layer_of_another_size_is_refused_wherever_it_stands(layers: list) -> None:
    """Of six coordinates a coupling of four would take four and drop the others."""
    for direction in (Compose(layers), Compose(layers).inverse, Flow(layers, (6,))):
        with pytest.raises(ValueError, match=r"^[xz]: expected a float tensor of shape .*4.*got .*\(3, 6\)"):
            direction(torch.zeros(3, 6))


def test_a_layer_may_give_the_next_one_another_shape_which_is_checked() -> None:
    x = torch.zeros(2, 1, 4, 4)
    Compose([ActNorm(1), Squeeze(), ActNorm(4)])(x)
    for wrong in ([ActNorm(1), Squeeze(), ActNorm(1)], [Squeeze(), Squeeze(), Squeeze()]):
        with pytest.raises(ValueError, match=r"^x: expected .* got"):
            Compose(wrong)(x)


def test_sums_are_those_of_each_example_in_float32_or_better() -> None:
    assert total(torch.tensor([[1.0, 2.0], [10.0, 5.0]]).double()).tolist() == [3.0, 15.0]
    assert total(torch.ones(2, 1, 3, 4)).tolist() == [12.0, 12.0]
    assert total(torch.ones(2, 1, dtype=torch.float64)).dtype == torch.float64
    half = torch.full((1, 4096), 1.0, dtype=torch.bfloat16)
    half[0, 0] = 0.25
    assert total(half).dtype == torch.float32
    assert float(total(half)) == 4095.25  # bfloat16 has eight bits
