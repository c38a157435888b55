"""The flows' widgets without a browser: patterns against Boolean algebra, frames against the flow itself."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from test_widgets import state_size

from gencourse import widgets
from gencourse.widgets.coupling_mask import MASKS, MAX_LAYERS
from gencourse.widgets.explorer import Explorer, unpack
from gencourse.widgets.flow_warp import MOONS, UNIT
from genlib import flows

CHOICES = [(mask, swap, size) for mask in MASKS for swap in (True, False) for size in (2, 3)]


def bit(table: np.ndarray, n: int) -> np.ndarray:
    return table >> n & 1 == 1


@pytest.mark.parametrize(("mask", "swap", "size"), [*CHOICES, ("random", True, 6)])
def test_patterns_are_what_the_masks_allow(mask: str, swap: bool, size: int) -> None:
    # No derivative is needed to know them: row i of a coupling sees x_i, and if it is changed, all that is kept. What
    # several see is the Boolean product.
    drawn = widgets.CouplingMaskExplorer(mask, size, swap=swap, seed=3).drawn()
    D = 3 * size**2
    together, pixels = np.eye(D, dtype=bool), (drawn["masks"] & 1) == 0
    untouched = np.ones(D, dtype=bool)
    for n in range(1, MAX_LAYERS + 1):
        picture = bit(drawn["masks"], n)[:, pixels[0]]
        kept = picture.reshape(size, 3, size).transpose(1, 0, 2).flatten()
        layer = np.eye(D, dtype=bool) | (~kept[:, None] & kept)
        before, together = together, layer @ together
        untouched &= kept
        np.testing.assert_array_equal(bit(drawn["layers"], n), layer)
        np.testing.assert_array_equal(bit(drawn["composed"], n), together)
        row = {name: drawn[name][n] for name in drawn if drawn[name].ndim == 1}
        assert row["kept"] == kept.sum() == D - row["changed"]
        assert row["own"] == layer.sum()
        assert row["filled"] == together.sum()
        assert row["new"] == together.sum() - before.sum()
        assert row["untouched"] == untouched.sum()
        assert row["full"] == together.all(1).sum()
        assert row["most"] == pytest.approx(100 * together.mean(1).max())
        assert row["least"] == pytest.approx(100 * together.mean(1).min())


@pytest.mark.parametrize("mask", MASKS)
def test_the_couplings_can_be_taken_away(mask: str) -> None:
    widget = widgets.CouplingMaskExplorer(mask, 3, n_layers=3)
    layers = flows.Compose(widget.to_couplings())
    x = torch.randn(27, dtype=torch.float64, generator=torch.Generator().manual_seed(5))  # another point than drawn
    J = torch.autograd.functional.jacobian(lambda x: layers(x[None])[0][0], x)
    np.testing.assert_array_equal(J != 0, bit(widget.drawn()["composed"], 3))  # type: ignore[operator]


def test_the_masks_are_those_of_genlib_in_turn() -> None:
    for mask, kept in (
        ("halves", flows.masks.halves(48).view(3, 4, 4)),
        ("checkerboard", flows.masks.checkerboard((3, 4, 4))),
        ("channel", flows.masks.channel((3, 4, 4))),
    ):
        for swap in (True, False):
            drawn = widgets.CouplingMaskExplorer(mask, swap=swap).drawn()["masks"]
            for n in range(1, MAX_LAYERS + 1):
                channels = [bit(drawn, n)[:, 5 * c : 5 * c + 4] for c in range(3)]
                np.testing.assert_array_equal(np.stack(channels), kept if n % 2 or not swap else ~kept)
    drawn = widgets.CouplingMaskExplorer("random", swap=True).drawn()["masks"]
    pixels = drawn & 1 == 0
    first, second, third = (bit(drawn, n)[pixels] for n in (1, 2, 3))
    assert (first ^ second).all()
    assert not (first == third).all()
    other = bit(widgets.CouplingMaskExplorer("random", seed=1).drawn()["masks"], 1)[pixels]
    assert not (first == other).all()


def test_one_two_and_three_layers() -> None:
    texts = [widgets.CouplingMaskExplorer("halves", n_layers=n).text() for n in (1, 2, 3)]
    assert "Layers 1 to 1 together: 624 are filled" in texts[0]
    assert "24 numbers are changed by no layer, and 0 depend on all of x" in texts[0]
    assert "Layers 1 to 2 together: 1752 are filled" in texts[1]
    assert "Layers 1 to 3 together: 2304 are filled" in texts[2]
    assert "Layers 1 to 6 together: 624" in widgets.CouplingMaskExplorer("halves", n_layers=6, swap=False).text()


def test_masks_are_sent_for_every_choice_and_no_frame_is() -> None:
    widget = widgets.CouplingMaskExplorer()
    sent = unpack(widget.shared)
    assert list(sent) == [f"{mask}_{size}" for mask in MASKS for size in range(2, 7)]
    widget.set_state({"mask": "random", "size": 5, "seed": 7})
    assert (widget.frames, widget.live) == ([], {})
    drawn = widget.drawn()["masks"]
    pixels = drawn & 1 == 0
    for n in range(1, MAX_LAYERS + 1):
        kept = bit(sent["random_5"][7], (n - 1) // 2).transpose(1, 0, 2).reshape(5, 15).flatten()
        np.testing.assert_array_equal(bit(drawn, n)[pixels], kept if n % 2 else ~kept)
    computed = widget._latest
    widget.n_layers = 5
    assert widget.text()
    assert widget._latest is computed, "the number of layers must compute nothing"


@pytest.mark.parametrize(
    "widget",
    [
        widgets.CouplingMaskExplorer("random", 6),
        widgets.FlowWarpExplorer(),
        widgets.FlowWarpExplorer(flows.RealNVP.for_vectors(2, n_couplings=1)),
        widgets.FlowWarpExplorer(flows.RealNVP.for_vectors(2, n_couplings=32, width=8)),
    ],
    ids=["masks", "shipped", "1 layer", "32 layers"],
)
def test_a_widget_stays_below_200_kilobytes(widget: Any) -> None:
    assert state_size(widget) <= 200_000


# ---- FlowWarpExplorer ----


def random_flow(**settings: Any) -> flows.RealNVP:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        flow = flows.RealNVP.for_vectors(**{"dim": 2, "n_couplings": 4, "width": 16, "he": False, **settings})
        with torch.no_grad():
            for parameter in flow.parameters():
                parameter.add_(0.2 * torch.randn(parameter.shape))
    return flow.eval()


@pytest.fixture(params=["shipped", "random", "actnorm"])
def warp(request: pytest.FixtureRequest) -> widgets.FlowWarpExplorer:
    flow = {"shipped": lambda: None, "random": random_flow, "actnorm": lambda: random_flow(actnorm=True)}
    return widgets.FlowWarpExplorer(flow[request.param]())


def test_the_shipped_flow_has_learned_the_moons() -> None:
    x = MOONS.sample(5000, torch.Generator().manual_seed(11))
    with torch.no_grad():
        gap = (MOONS.log_prob(x) - widgets.FlowWarpExplorer().flow.log_prob(x)).mean()
    assert 0 < gap < 0.03  # nats


@torch.no_grad()
def test_samples_and_grid_go_through_the_flow(warp: widgets.FlowWarpExplorer) -> None:
    # From any layer on, the layers that are left lead to z: to that of the samples, and to straight lines.
    drawn, layers, unit = warp.drawn(), warp.flow.layers, warp.limit / UNIT
    samples, grid = (torch.tensor(drawn[name] * unit).float() for name in ("samples", "grid"))
    inside = torch.tensor((np.abs(drawn["grid"].astype(int)) < 2**15 - 1).all((0, 2, 3)))  # lines that never are cut
    assert inside.sum() > len(inside) / 2
    level = torch.linspace(-warp.limit, warp.limit, grid.shape[1] // 2)
    for n in range(len(layers) + 1):
        h, lines = samples[n], grid[n, inside].flatten(0, 1)
        for layer in layers[n:]:
            h, lines = layer(h)[0], layer(lines)[0]
        lines = lines.view(-1, *grid.shape[2:])
        torch.testing.assert_close(h, samples[-1], atol=0.02, rtol=0.02)
        torch.testing.assert_close(lines, grid[-1, inside], atol=0.02, rtol=0.02)
    vertical, horizontal = grid[-1].split(len(level))
    torch.testing.assert_close(vertical[..., 0], level[:, None].expand_as(vertical[..., 0]), atol=unit, rtol=0)
    torch.testing.assert_close(horizontal[..., 1], level[:, None].expand_as(horizontal[..., 1]), atol=unit, rtol=0)
    right, up = samples[-1, :, 0] > 0, samples[-1, :, 1] > 0
    assert drawn["colour"].tolist() == [{3: 0, 2: 1, 0: 2, 1: 3}[int(r) + 2 * int(u)] for r, u in zip(right, up)]  # noqa: B905


@torch.no_grad()
def test_densities_are_those_of_the_pushed_samples(warp: widgets.FlowWarpExplorer) -> None:
    # No formula for a density is used here: new samples go through the layers and are counted, in every pixel of a
    # coarse picture. Pixels of the table are averaged to it.
    drawn, flow, edge = warp.drawn(), warp.flow, warp.limit
    side, cells = drawn["density"].shape[1], 6
    h = flow.sample(40_000, generator=torch.Generator().manual_seed(9))
    for n in range(len(flow.layers) + 1):
        p = drawn["density"][n].astype(float) * drawn["peak"][n] / 255 * (2 * edge / side) ** 2
        assert p.sum() <= 1.02
        rows = (np.arange(side) + 0.5) * cells // side
        coarse = np.zeros((cells, cells))
        np.add.at(coarse, (rows[:, None].astype(int), rows.astype(int)), p)
        width, height = h.double().numpy().T
        lines = np.concatenate(
            [[-edge], -edge + 2 * edge / side * (1 + np.flatnonzero(np.diff(rows.astype(int)))), [edge]]
        )
        counted = np.histogram2d(-height, width, bins=(lines, lines))[0] / len(h)
        assert np.abs(coarse - counted).max() < 0.02
        h = flow.layers[n](h)[0] if n < len(flow.layers) else h


@torch.no_grad()
def test_the_numbers_add_up(warp: widgets.FlowWarpExplorer) -> None:
    drawn = warp.drawn()
    samples = torch.tensor(drawn["samples"] * (warp.limit / UNIT)).float()
    exact = widgets.FlowWarpExplorer(warp.flow, samples[0]).drawn()
    assert drawn["log_p"][-1] == pytest.approx(float(warp.flow.log_prob(samples[0]).mean()), abs=0.02)
    normal = -0.5 * samples.square().sum(2) - math.log(2 * math.pi)
    np.testing.assert_allclose(drawn["log_p_base"], normal.mean(1), atol=0.02)
    np.testing.assert_allclose(drawn["log_p"], drawn["log_p_base"] + drawn["log_det"], atol=1e-5)
    for i, name in enumerate(("1", "2")):
        np.testing.assert_allclose(drawn[f"mean_{name}"], samples[..., i].mean(1), atol=1e-3)
        np.testing.assert_allclose(drawn[f"std_{name}"], samples[..., i].std(1), atol=1e-2)
    wanted = [np.corrcoef(step.numpy().T)[0, 1] for step in samples]
    np.testing.assert_allclose(drawn["correlation"], wanted, atol=1e-2)
    assert drawn["log_det"][0] == 0
    np.testing.assert_allclose(exact["log_p"], drawn["log_p"], atol=0.02)


def test_integer_data_and_short_samples_are_drawn_too() -> None:
    widget = widgets.FlowWarpExplorer(random_flow(levels=16))
    drawn = widget.drawn()
    assert all(np.isfinite(table).all() for table in drawn.values())
    x = drawn["samples"][0] * (widget.limit / UNIT)
    assert -0.06 < x.min() < x.max() < 1.06  # what the logit can give back
    x = torch.randn(10, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert widgets.FlowWarpExplorer(random_flow(), x).drawn()["samples"].shape == (5, 10, 2)
    assert widgets.FlowWarpExplorer(random_flow().double(), x).drawn()["samples"].shape == (5, 10, 2)


def test_a_flow_of_half_precision_is_drawn_in_full_and_one_that_diverges_is_refused() -> None:
    whole, half = random_flow(), random_flow().bfloat16()
    x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    numbers = [widgets.FlowWarpExplorer(flow, x).drawn() for flow in (whole, half)]
    for name in ("mean_1", "std_2", "log_det", "log_p", "peak"):
        np.testing.assert_allclose(numbers[1][name], numbers[0][name], atol=0.05)
    with torch.no_grad():
        next(whole.parameters()).fill_(math.nan)
    with pytest.raises(ValueError, match=r"^flow: .*NaN"):
        widgets.FlowWarpExplorer(whole, x)


def test_a_widget_leaves_generators_weights_and_threads_alone() -> None:
    flow, state, threads = random_flow(), torch.random.get_rng_state(), torch.get_num_threads()
    before = {name: value.clone() for name, value in flow.state_dict().items()}
    flow.train()
    widget = widgets.FlowWarpExplorer(flow)
    widgets.CouplingMaskExplorer("random", 5, seed=4)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert flow.training
    assert all(torch.equal(value, before[name]) for name, value in flow.state_dict().items())
    assert all(parameter.grad is None for parameter in flow.parameters())
    assert widget.shared == widgets.FlowWarpExplorer(flow).shared


# ---- Both ----


@pytest.mark.parametrize(
    ("kind", "name", "value", "message"),
    [
        (widgets.CouplingMaskExplorer, "mask", "halfs", "mask: expected one of .* Did you mean 'halves'"),
        (widgets.CouplingMaskExplorer, "size", 1, "size: .*got 1"),
        (widgets.CouplingMaskExplorer, "size", 7, "size: .*got 7"),
        (widgets.CouplingMaskExplorer, "n_layers", 0, "n_layers: .*got 0"),
        (widgets.CouplingMaskExplorer, "swap", 1, "swap: .*got 1"),
        (widgets.CouplingMaskExplorer, "seed", -1, "seed: .*got -1"),
        (widgets.FlowWarpExplorer, "layer", 9, "layer: .*8.*got 9"),
        (widgets.FlowWarpExplorer, "layer", 0.5, "layer: .*got 0.5"),
        (widgets.FlowWarpExplorer, "show", "sample", "show: expected one of .* Did you mean 'samples'"),
    ],
)
def test_wrong_values_are_refused(kind: type[Explorer], name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**{name: value})
    widget = kind()  # type: ignore[call-arg]
    before = widget.values()
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(widget, name, value)
    assert widget.values() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"flow": "moons"}, "flow: .*got 'moons'"),
        ({"flow": flows.RealNVP.for_vectors(3)}, r"flow: expected one on the plane, .* got shape \(3,\)"),
        ({"flow": flows.RealNVP.for_vectors(2, n_classes=2)}, r"without classes, got shape \(2,\) and 2 classes"),
        ({"flow": flows.RealNVP.for_vectors(2, n_couplings=33)}, "flow: expected 1 to 32 layers, got 33"),
        ({"x": torch.zeros(5, 3)}, r"x: expected .*2.*, got .*\(5, 3\)"),
        ({"x": torch.zeros(1, 2)}, "x: expected at least 2 samples, got 1"),
        ({"x": torch.full((5, 2), math.nan)}, "x: .*NaN"),
        ({"x": [[0.0, 1.0]]}, "x: expected .* got"),
    ],
)
def test_wrong_flows_and_samples_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        widgets.FlowWarpExplorer(**arguments)


@pytest.mark.parametrize(
    ("kind", "chosen", "name"),
    [
        (
            widgets.CouplingMaskExplorer,
            {"n_layers": 5},
            "CouplingMaskExplorer(n_layers=5, mask='checkerboard', swap=True, size=4)",
        ),
        (widgets.FlowWarpExplorer, {"layer": 3, "show": "grid"}, "FlowWarpExplorer(layer=3, show='grid')"),
        (widgets.FlowWarpExplorer, {}, "FlowWarpExplorer(layer=0, show='everything')"),
    ],
)
def test_the_stand_in_is_fixed(kind: type[Explorer], chosen: dict[str, Any], name: str) -> None:
    first, second = kind(**chosen), kind(**chosen)
    (one, about), (two, _) = first._repr_mimebundle_(), second._repr_mimebundle_()
    assert repr(first) == name
    assert one["text/plain"] == two["text/plain"] == f"{name}\n{first.text()}"
    assert one["image/png"] == two["image/png"]
    assert about["image/png"]["alt"].endswith(first.text())
