"""The networks that couplings ask: sizes, zeros at the start, conditions, dropout."""

import pytest
import torch
from flow_cases import randomised, seeded  # noqa: F401

from genlib.flows import MLP, ConvNet
from genlib.flows.nets import dropped


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


@pytest.mark.parametrize("p", [1e-9, 1e-4, 0.3, 0.5, 0.97])
def test_a_share_of_the_features_is_dropped_and_the_mean_stays(p: float) -> None:
    """Each of the four numbers that share 64 random bits by itself, and each neighbour's fate is no hint of another's.

    Bounds: five standard errors of a mean of coins, and 2⁻¹⁷ for rounding p.
    """
    x = torch.ones(4 * 250_000 + 3, dtype=torch.float64, requires_grad=True)
    y = dropped(x, p)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, y.detach())  # linear in x, which is 1
    kept = (y > 0).double()[:-3].view(-1, 4)
    error = 5 * (p * (1 - p) / 250_000) ** 0.5 + 2**-17
    assert (kept.mean(0) - (1 - p)).abs().max() < error
    assert abs(float(y.detach().mean()) - 1) < error / (1 - p)
    together = (kept[:, :-1] * kept[:, 1:]).mean(0) - kept.mean(0)[:-1] * kept.mean(0)[1:]
    assert together.abs().max() < 5 * p * (1 - p) / 500 + 1e-12


def test_dropout_follows_torch_s_seed() -> None:
    x = torch.randn(3, 5)
    torch.manual_seed(1)
    first = dropped(x, 0.5)
    assert not torch.equal(dropped(x, 0.5), first)
    torch.manual_seed(1)
    assert torch.equal(dropped(x, 0.5), first)


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
