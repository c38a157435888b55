"""The generator of pix2pix: its size to the digit, what it sees, its two kinds of noise, bad input."""

from typing import Any

import pytest
import torch
from torch import nn

from genlib import gan


def small(**changes) -> Any:
    torch.manual_seed(0)
    return gan.UNetGenerator(**{"in_channels": 3, "out_channels": 1, "width": 4, "depth": 3, **changes})


def test_the_papers_generator_has_its_parameters_to_the_digit():
    G: Any = gan.UNetGenerator.paper()
    assert sum(p.numel() for p in G.parameters()) == 54_413_955


def test_where_the_paper_has_biases_norms_and_dropout():
    G: Any = gan.UNetGenerator.paper()
    convs = [m for m in G.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert [conv.bias is not None for conv in convs].count(True) == 1
    assert G.last.bias is not None
    assert len([m for m in G.modules() if isinstance(m, nn.BatchNorm2d)]) == 6 + 7  # down 2..7; up 8..2
    assert len(G.dropped) == 3
    assert [G.up[i].out_channels for i in G.dropped] == [512, 512, 512]


@pytest.mark.parametrize(("depth", "size"), [(2, (4, 12)), (3, (8, 16)), (3, (24, 8)), (4, (16, 48))])
def test_any_depth_and_any_size_that_can_be_halved(depth, size):
    y = small(depth=depth, noise=2)(torch.randn(2, 3, *size))
    assert y.shape == (2, 1, *size)
    assert float(y.detach().abs().max()) <= 1


def test_one_example_of_the_least_size():
    assert small()(torch.randn(1, 3, 8, 8)).isfinite().all()


def test_float64_and_a_seed_give_the_same_picture():
    G, x = small(noise=2, dropout=0.4, depth=4).double(), torch.randn(2, 3, 16, 16, dtype=torch.float64)
    one, two = (G(x, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert one.dtype == torch.float64
    assert torch.equal(one, two)
    assert not torch.equal(one, G(x, generator=torch.Generator().manual_seed(4)))


def test_dropout_is_on_in_evaluation_too():
    """It is the paper's z. The share that survives, and its scale, are those of dropout."""
    G = small(dropout=0.5, depth=4).eval()
    x = torch.randn(1, 3, 16, 16)
    assert not torch.equal(G(x), G(x))
    u = torch.ones(200, 100)
    dropped = G._drop(u, torch.Generator().manual_seed(0))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert float(dropped.mean()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("depth", [3, 4, 6])
def test_what_is_dropped_depends_on_the_seed(depth):
    G, x = small(dropout=0.5, depth=depth, width=2), torch.randn(1, 3, 2**depth, 2**depth)
    one, same, other = (G(x, generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_training_and_evaluation_are_one_function():
    G, x = small(), torch.randn(3, 3, 8, 8)
    assert torch.equal(G.train()(x), G.eval()(x))


def test_skips_carry_activated_features():
    """At depth 2 the whole network, written out with convolutions alone."""
    G, x = small(depth=2).double(), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    F = nn.functional
    a_1 = F.conv2d(x, G.down[0].weight, stride=2, padding=1)
    a_2 = F.conv2d(F.leaky_relu(a_1, 0.2), G.down[1].weight, stride=2, padding=1)
    u_2 = F.conv_transpose2d(F.relu(a_2), G.up[0].weight, stride=2, padding=1)
    mean, var = u_2.mean((0, 2, 3), keepdim=True), u_2.var((0, 2, 3), keepdim=True, correction=0)
    norm = G.up_norms[0]
    u_2 = (u_2 - mean) / (var + 1e-5).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]
    joined = torch.cat([F.leaky_relu(a_1, 0.2), u_2], dim=1)
    y = torch.tanh(F.conv_transpose2d(F.relu(joined), G.last.weight, G.last.bias, stride=2, padding=1))
    torch.testing.assert_close(G(x), y, rtol=1e-9, atol=1e-12)


def test_without_noise_the_same_x_gives_the_same_y_and_with_it_the_given_z_counts():
    G, x = small(noise=3), torch.randn(2, 3, 8, 8)
    z = torch.randn(2, 3, 8, 8)
    assert torch.equal(G(x, z), G(x, z))
    assert not torch.equal(G(x, z), G(x, -z))
    assert torch.equal(small()(x), small()(x))


def test_arguments_are_left_as_they_were():
    G, x, z = small(noise=3), torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    before = x.clone(), z.clone()
    G(x, z)
    assert torch.equal(x, before[0])
    assert torch.equal(z, before[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: small()(torch.zeros(1, 3, 12, 8)), r"^x: .*height and width divisible by 8, got .*12, 8\]"),
        (lambda: small()(torch.zeros(1, 2, 8, 8)), r"^x: .*\(1, 3, H, W\).*got float32 of shape \(1, 2, 8, 8\)"),
        (lambda: small()(torch.zeros(1, 3, 8, 8, dtype=torch.int64)), "x: expected a float tensor"),
        (lambda: small()(torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)), r"^z: .*\(1, 0, 8, 8\).*\(1, 1, 8, 8\)"),
        (lambda: small(noise=2)(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)), "z: expected a float tensor"),
        (lambda: small(depth=1), r"^depth: expected a whole number in \[2, 14\], got 1"),
        (lambda: small(depth=10**12), "^depth: expected a whole number"),
        (lambda: small(width=10**12), "^width: expected a whole number"),
        (lambda: small(noise=True), "^noise: expected a whole number"),
        (lambda: small()(torch.zeros(1, 3, 8, 8), generator=0), "^generator: expected a Generator, got 0"),
        (lambda: small()(torch.zeros(1, 3, 8, 8).to_sparse()), "^x: .*sparse"),
        (lambda: small()(torch.zeros(1, 3, 8, 8, device="meta")), "^x: .*meta"),
        (lambda: small()(torch.full((1, 3, 8, 8), torch.nan)), "^x: .*NaN"),
        (
            lambda: small().sample(3, torch.zeros(2, 3, 8, 8)),
            "^label: expected one picture, or as many as n = 3, got 2",
        ),
        (lambda: small().sample(3, torch.zeros(3)), "^label: expected a float tensor"),
        (lambda: small().sample(0, torch.zeros(1, 3, 8, 8)), "^n: expected a whole number"),
        (lambda: small().sample(10**12, torch.zeros(1, 3, 8, 8)), "^n: expected a whole number"),
        (lambda: small(dropout=1.0), r"dropout: expected a finite number in \[0, 1\), got 1"),
        (lambda: small(dropout=0.5, depth=2), "dropout: expected 0 at depth 2, which has no inner decoder block"),
        (lambda: small(norm="layer"), "norm: expected one of"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
