"""The patch discriminator: its size to the digit, what one logit sees, bad input."""

import pytest
import torch

from genlib import gan

FIELDS = {0: 1, 1: 16, 2: 34, 3: 70, 4: 142, 5: 286}


def test_the_papers_discriminator_has_its_parameters_to_the_digit():
    D = gan.PatchDiscriminator.paper()
    assert sum(p.numel() for p in D.parameters()) == 2_768_705
    assert D(torch.zeros(1, 3, 256, 256), torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)


@pytest.mark.parametrize("n_layers", FIELDS)
def test_the_receptive_field_is_what_the_gradient_reaches(n_layers):
    torch.manual_seed(0)
    D = gan.PatchDiscriminator(2, width=2, n_layers=n_layers, norm="none").double()
    assert D.receptive_field == FIELDS[n_layers]
    size = FIELDS[n_layers] + 40
    y = torch.randn(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    x = torch.randn_like(y)
    logits = D(x, y)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert y.grad is not None
    rows = y.grad[0, 0].abs().sum(1).nonzero()[:, 0]
    columns = y.grad[0, 0].abs().sum(0).nonzero()[:, 0]
    assert len(rows) == len(columns) == int(rows[-1] - rows[0]) + 1 == FIELDS[n_layers]


def test_it_sees_x_beside_y():
    D = gan.PatchDiscriminator(4, width=4, n_layers=1).double()
    x, y = torch.randn(2, 3, 16, 16, dtype=torch.float64), torch.randn(2, 1, 16, 16, dtype=torch.float64)
    assert not torch.equal(D(x, y), D(-x, y))
    blind = gan.PatchDiscriminator(1, width=4, n_layers=1).double()
    assert blind(None, y).shape == D(x, y).shape == (2, 1, 6, 6)


@pytest.mark.parametrize("n_layers", [0, 1, 2])
def test_a_projected_x_is_a_factor_and_none_is_zero(n_layers):
    """The logit is linear in x beside a part that x does not touch."""
    D = gan.PatchDiscriminator(1, width=4, n_layers=n_layers, projection=3).double()
    x, other = (torch.randn(2, 3, 32, 32, dtype=torch.float64) for _ in range(2))
    y = torch.randn(2, 1, 32, 32, dtype=torch.float64)
    alone = D(None, y)
    assert not torch.allclose(D(x, y), alone)
    torch.testing.assert_close(D(0 * x, y), alone)
    torch.testing.assert_close(D(2 * x - 3 * other, y) - alone, 2 * (D(x, y) - alone) - 3 * (D(other, y) - alone))


def test_a_map_of_one_class_adds_that_class_s_last_filter_to_the_first():
    """v_0 · φ + v_c · φ = (v_0 + v_c) · φ: an ordinary D whose last filter is the sum of the two."""
    D = gan.PatchDiscriminator(1, width=4, n_layers=1, projection=3).double()
    y = torch.randn(2, 1, 32, 32, dtype=torch.float64)
    for c in range(3):
        plain = gan.PatchDiscriminator(1, width=4, n_layers=1).double()
        state = D.state_dict()
        last = f"layers.{len(D.layers) - 1}"
        for name in (f"{last}.weight", f"{last}.bias"):
            state[name] = state[name][:1] + state[name][1 + c : 2 + c]
        plain.load_state_dict(state)
        x = torch.zeros(2, 3, 32, 32, dtype=torch.float64)
        x[:, c] = 1
        torch.testing.assert_close(D(x, y), plain(None, y))


def test_a_projected_map_counts_where_it_lies():
    """A class in the left half of the map changes logits there, and not at the right edge."""
    D = gan.PatchDiscriminator(1, width=4, n_layers=1, projection=2).double()
    x, y = torch.zeros(1, 2, 32, 32, dtype=torch.float64), torch.randn(1, 1, 32, 32, dtype=torch.float64)
    x[..., :16] = 1
    changed = (D(x, y) - D(None, y))[0, 0].abs().sum(0) > 0
    middle = len(changed) // 2
    assert changed[: middle - 1].all()
    assert not changed[middle + 1 :].any()


def test_train_and_eval_are_one_function():
    D, y = gan.PatchDiscriminator(1, width=4, n_layers=2), torch.randn(3, 1, 32, 32)
    assert torch.equal(D.train()(None, y), D.eval()(None, y))


@pytest.mark.parametrize("shape", [(16, 21), (33, 18)])
def test_odd_sizes(shape):
    """The odd last row or column is seen by the last patches: all others answer as without it."""
    D = gan.PatchDiscriminator(1, width=2, n_layers=1, norm="none").double()
    y = torch.randn(1, 1, *shape, dtype=torch.float64)
    logits = D(None, y)
    assert logits.shape == (1, 1, shape[0] // 2 - 2, shape[1] // 2 - 2)
    even = D(None, y[..., : shape[0] // 2 * 2, : shape[1] // 2 * 2])
    torch.testing.assert_close(logits[..., :-3, :-3], even[..., :-3, :-3])
    assert not torch.allclose(logits, even)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda D: D(None, torch.zeros(1, 1, 32, 32)), "^x, y: expected 0 and 4 channels, got 0 and 1$"),
        (
            lambda D: D(torch.zeros(1, 2, 32, 32), torch.zeros(1, 1, 32, 32)),
            "^x, y: expected 2 and 2 channels, got 2 and 1$",
        ),
        (
            lambda D: D(torch.zeros(1, 3, 32, 30), torch.zeros(1, 1, 32, 32)),
            r"^y: .*\(1, ., 32, 30\).*\(1, 1, 32, 32\)",
        ),
        (
            lambda D: D(torch.zeros(2, 3, 32, 32), torch.zeros(1, 1, 32, 32)),
            r"^y: .*\(2, ., 32, 32\).*\(1, 1, 32, 32\)",
        ),
        (
            lambda D: D(torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)),
            r"^y: .*12 × 12 or larger.*, got \(1, 1, 8, 8\)",
        ),
        (lambda D: D(torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 32, 32).long()), "y: expected a float tensor"),
        (lambda D: gan.PatchDiscriminator(4, projection=-1), "projection: expected a whole number"),
        (lambda D: gan.PatchDiscriminator(4, width=10**12), "width: expected a whole number"),
        (
            lambda D: gan.PatchDiscriminator(1, 2, 1, projection=3)(torch.zeros(1, 2, 8, 8), torch.zeros(1, 1, 8, 8)),
            "^x, y: expected 3 and 1 channels, got 2 and 1$",
        ),
        (lambda D: gan.PatchDiscriminator(4, n_layers=6), r"n_layers: expected a whole number in \[0, 5\], got 6"),
        (lambda D: gan.PatchDiscriminator(4, norm="group"), "norm: expected one of"),  # type: ignore
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(gan.PatchDiscriminator(4, width=2, n_layers=2))
