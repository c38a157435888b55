"""The networks that couplings ask: sizes, zeros at the start, conditions, dropout."""

import pytest
import torch
from flow_cases import randomised, seeded  # noqa: F401

from genlib.flows import MLP, ConvNet


def test_both_say_nothing_at_first() -> None:
    x = torch.randn(3, 4, 5, 6)
    assert torch.equal(MLP(4, 7)(x[:, :, 0, 0]), torch.zeros(3, 7))
    assert torch.equal(ConvNet(4, 7, norm=True)(x), torch.zeros(3, 7, 5, 6))


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_mlp_by_hand(depth: int) -> None:
    net = randomised(MLP(3, 2, width=5, depth=depth, n_condition=2).double(), 0.5)
    x, condition = torch.randn(6, 3, dtype=torch.float64), torch.eye(2, dtype=torch.float64).repeat(3, 1)
    w = dict(net.named_parameters())
    h = x @ w["first.weight"].T + w["first.bias"] + condition @ w["condition.weight"].T
    for i in range(depth - 1):
        h = h.clamp(min=0) @ w[f"hidden.{i}.weight"].T + w[f"hidden.{i}.bias"]
    expected = h.clamp(min=0) @ w["last.weight"].T + w["last.bias"]
    assert torch.allclose(net(x, condition), expected, atol=1e-12)


def test_he_s_start_keeps_the_size_of_features_and_torch_s_does_not() -> None:
    x = 3 * torch.randn(512, 2)

    def kept(he: bool) -> float:
        """How much of the mean square is left after 30 hidden layers."""
        net = MLP(2, 1, width=256, depth=31, he=he)
        sizes: list[torch.Tensor] = []
        h = torch.relu(net.first(x))
        for layer in net.hidden:
            sizes.append(h.square().mean())
            h = torch.relu(torch.nn.functional.linear(h, layer.weight))  # type: ignore[arg-type]
        return float((h.square().mean() / sizes[0]).detach())

    assert 0.1 < kept(he=True) < 10
    assert kept(he=False) < 1e-15


def test_conv_net_sees_as_far_as_its_blocks_reach() -> None:
    net = randomised(ConvNet(1, 1, width=4, n_blocks=1).double(), 0.3)
    x = torch.randn(1, 1, 11, 11, dtype=torch.float64)
    J = torch.autograd.functional.jacobian(lambda x: net(x)[0, 0, 5, 5], x)
    assert isinstance(J, torch.Tensor)
    rows = (J[0, 0] != 0).any(1).nonzero()[:, 0].tolist()
    assert rows == list(range(2, 9))  # three 3 × 3 convolutions: 3 pixels to each side


def test_weight_norm_and_batch_norm_are_those_of_torch() -> None:
    net = randomised(ConvNet(2, 3, width=4, n_blocks=2, norm=True), 0.1)
    kinds = [type(m).__name__ for m in net.modules()]
    assert kinds.count("BatchNorm2d") == 5
    assert kinds.count("_WeightNorm") == 5
    assert "_WeightNorm" not in [type(m).__name__ for m in ConvNet(2, 3, width=4).modules()]


@pytest.mark.parametrize("net", [MLP(4, 4, dropout=0.5), ConvNet(4, 4, 8, 1, dropout=0.5)])
def test_dropout_is_for_training_only(net) -> None:
    randomised(net, 0.3)
    x = torch.randn(4, 4) if isinstance(net, MLP) else torch.randn(4, 4, 3, 3)
    net.eval()
    assert torch.equal(net(x), net(x))
    net.train()
    assert not torch.equal(net(x), net(x))


def test_the_conditions_of_pictures_move_their_maps() -> None:
    net = randomised(ConvNet(1, 2, 4, 1, n_condition=3), 0.3)
    x = torch.randn(1, 1, 4, 4).expand(3, 1, 4, 4)
    out = net(x, torch.eye(3))
    assert not torch.allclose(out[0], out[1])
    assert not torch.allclose(out[1], out[2])


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: MLP(0, 2), "n_in"),
        (lambda: MLP(2, 0), "n_out"),
        (lambda: MLP(2, 2, width=0), "width"),
        (lambda: MLP(2, 2, depth=0), "depth"),
        (lambda: MLP(2, 2, dropout=1.0), "dropout"),
        (lambda: MLP(2, 2, n_condition=-1), "n_condition"),
        (lambda: ConvNet(2, 2, n_blocks=-1), "n_blocks"),
        (lambda: ConvNet(2, 2, dropout=-0.1), "dropout"),
        (lambda: MLP(2, 2)(torch.zeros(3, 2), torch.zeros(3, 1)), "condition"),
        (lambda: MLP(2, 2, n_condition=2)(torch.zeros(3, 2)), "condition"),
        (lambda: ConvNet(2, 2, n_condition=2)(torch.zeros(3, 2, 2, 2), torch.zeros(3, 4)), "condition"),
    ],
)
def test_wrong_input_is_named(make, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        make()
