"""The live widgets without a browser: what they compute is genlib's, and what a front end asks is answered."""

import copy
import json
import random
import sys
from typing import Any

import pytest
import torch
from ipywidgets.embed import dependency_state

from gencourse import widgets
from gencourse.widgets.live import LiveModel, fingerprint, from_text, normals, pack, to_text, unpack
from gencourse.widgets.live_digits import STEPS, DDIMStep
from gencourse.widgets.live_map import ANSWERS, BATCH, DRAWINGS, to_map
from gencourse.widgets.live_outline import BLANK
from genlib import data, diffusion, flows, gan

T = 60


@pytest.fixture(scope="module")
def ddpm() -> diffusion.DDPM:
    """One whose answers are not 0, as those of an untrained net are."""
    torch.manual_seed(0)
    net = diffusion.UNet.digits(width=8).float()
    for weights in net.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    return diffusion.DDPM(net, diffusion.Schedule.cosine(T=T), predict="v").eval()


@pytest.fixture(scope="module")
def generator() -> gan.UNetGenerator:
    torch.manual_seed(0)
    return gan.UNetGenerator(3, 1, width=4, depth=3, noise=2).float().eval()


@pytest.fixture(scope="module")
def colours() -> gan.UNetGenerator:
    torch.manual_seed(0)
    return gan.UNetGenerator(1, 3, width=4, depth=4, noise=2).float().eval()


@pytest.fixture(scope="module")
def flow() -> flows.Flow:
    torch.manual_seed(0)
    flow = flows.RealNVP.for_vectors(dim=2, n_couplings=4, width=8, actnorm=True).float().eval()
    for weights in flow.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    return flow


@pytest.fixture(params=["digits", "map", "outline", "flow"])
def widget(request: Any, ddpm: Any, generator: Any, colours: Any, flow: Any) -> LiveModel:
    made = {"digits": lambda: widgets.DigitSampler(ddpm), "map": lambda: widgets.MapPainter(generator)}
    made["outline"] = lambda: widgets.OutlinePainter(colours)
    return made.get(request.param, lambda: widgets.FlowBothWays(flow))()


@pytest.mark.parametrize("seed", range(8))
def test_the_steps_in_a_row_are_ddim(ddpm: diffusion.DDPM, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ddpm = copy.deepcopy(ddpm).double()
    widget, choose, g = widgets.DigitSampler(ddpm), random.Random(seed), torch.Generator().manual_seed(seed)
    n, eta, w = choose.choice(STEPS), choose.choice([0.0, 0.3, 1.0]), choose.choice([0.0, 0.5, 4.0])
    name = choose.choice(list(widget.spec["labels"]))
    label = torch.tensor(widget.spec["labels"][name])
    x_T, *noises = (torch.randn(16, 1, 8, 8, generator=g).double() for _ in range(n + 1))

    x_t, path = x_T, []
    for row, noise in zip(widget.spec["chains"][str(n)], noises, strict=True):
        inputs = {"x_t": x_t, "label": label, "chain": torch.tensor(row, dtype=torch.float64), "noise": noise}
        weights = {"eta": torch.tensor(eta, dtype=torch.float64), "guidance": torch.tensor(w, dtype=torch.float64)}
        answer = widget.compute("step", inputs | weights)
        x_t = answer["x_s"]
        path.append(x_t)

    left = iter(noises)
    monkeypatch.setattr("genlib.diffusion.samplers.draw", lambda *_: next(left))
    _, *wanted = diffusion.ddim(ddpm, x_T.shape, steps=n, eta=eta, label=label, guidance=w, clip=True, x_T=x_T)
    assert len(path) == len(wanted) == n
    torch.testing.assert_close(torch.stack(path), torch.stack(wanted), atol=1e-9, rtol=1e-9)


def test_the_guess_is_the_model_s_own(ddpm: diffusion.DDPM) -> None:
    widget, x_t = widgets.DigitSampler(ddpm), torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    label, row = torch.arange(16) % 10, torch.tensor(widget.spec["chains"]["5"][2])
    inputs = {"x_t": x_t, "label": label, "chain": row, "eta": torch.zeros(()), "guidance": torch.tensor(2.0)}
    guess = widget.compute("step", inputs | {"noise": torch.zeros_like(x_t)})["x_0"]
    t = torch.full((16,), int(row[0]))
    torch.testing.assert_close(guess, ddpm.denoise(x_t, t, label, guidance=2.0, clip=True).x_0)


def test_a_digit_of_any_class_has_no_label(ddpm: diffusion.DDPM) -> None:
    labels = widgets.DigitSampler(ddpm).spec["labels"]
    assert labels["none"] == [-1] * 16
    assert labels["7"] == [7] * 16
    assert labels["0 to 9 in turn"] == [*range(10), *range(6)]


def test_a_map_goes_through_among_others(generator: gan.UNetGenerator) -> None:
    widget, G = widgets.MapPainter(generator), generator
    x, z = to_map(DRAWINGS["three strips"]), torch.randn(BATCH, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    batch = torch.cat([x.expand(ANSWERS, -1, -1, -1), data.textures(BATCH - ANSWERS, seed=999).x])
    y = widget.compute("answer", {"x": x, "z": z})["y"]
    torch.testing.assert_close(y, gan.generate(G, batch, z)[:ANSWERS])
    assert not torch.allclose(y, gan.generate(G, batch[:ANSWERS], z[:ANSWERS]), atol=1e-3), "its norms look at a batch"


def test_a_drawing_is_a_map() -> None:
    for rows in DRAWINGS.values():
        x = to_map(rows)
        assert x.shape == (1, 3, 32, 32)
        assert torch.equal(x.sum(1), torch.ones(1, 32, 32))
    wall = to_map(DRAWINGS["a wall"])[0]
    assert [int(wall[:, row, 0].argmax()) for row in (0, 7, 8, 23, 24, 31)] == [1, 1, 0, 0, 2, 2]


def test_an_outline_goes_through_among_others(colours: gan.UNetGenerator) -> None:
    widget = widgets.OutlinePainter(colours, drawing="beer mug", seed=3)
    x = from_text(widget.spec["drawings"]["beer mug"]).view(1, 1, 32, 32)
    answer: Any = widget.graphs()["answer"].module
    company = answer.company
    assert company.shape == (15, 1, 32, 32)
    assert all(any(torch.equal(one, other) for other in data.emoji("train").x) for one in company)
    z = normals(3)(16, 2, 32, 32)
    wanted = gan.generate(colours, torch.cat([x, company]), z)[:1]
    torch.testing.assert_close(widget.compute("answer", {"x": x, "z": z})["y"], wanted)
    torch.testing.assert_close(widget.tables()["y"], wanted, atol=1 / 63 + 1e-6, rtol=0)
    assert not torch.equal(widget.tables()["y"], widgets.OutlinePainter(colours, drawing="beer mug").tables()["y"])


def test_outlines_to_start_from_are_held_out(colours: gan.UNetGenerator) -> None:
    names = [each.name for each in data.emoji_names("test")]
    widget = widgets.OutlinePainter(colours)
    for name, text in widget.spec["drawings"].items():
        wanted = data.emoji("test").x[names.index(name)]
        torch.testing.assert_close(from_text(text).view(1, 32, 32), wanted, atol=1 / 63 + 1e-6, rtol=0)
    assert {*widget.spec["drawings"], BLANK} == {*widget.spec["controls"][0]["options"]}
    blank = widgets.OutlinePainter(colours, drawing=BLANK)
    assert torch.equal(blank.graphs()["answer"].inputs["x"], torch.ones(1, 1, 32, 32))


def test_without_noise_an_outline_has_one_answer() -> None:
    """Dropout that is left on would be drawn inside the graph, so it is off here, and that is said."""
    torch.manual_seed(0)
    dropping = gan.UNetGenerator(1, 3, width=4, depth=4, dropout=0.5).float().eval()
    widget = widgets.OutlinePainter(dropping)
    assert [control["name"] for control in widget.spec["controls"]] == ["drawing"]
    assert "dropout" in widget.text()
    assert "dropout" not in widgets.OutlinePainter(gan.UNetGenerator(1, 3, width=4, depth=4).float()).text()
    x = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(*(widget.compute("answer", {"x": x})["y"] for _ in range(2)))
    assert dropping.dropout == 0.5, "the reader's own is left alone"


def test_a_picture_as_text_comes_back_in_64_levels() -> None:
    x = torch.linspace(-1.2, 1.2, 1000)
    torch.testing.assert_close(from_text(to_text(x)), x.clamp(-1, 1), atol=1 / 63 + 1e-6, rtol=0)
    assert to_text(torch.tensor([[-1.0, 1.0], [1 / 31.5 - 1, 0.999]])) == "A/B/"


def test_points_go_both_ways(flow: flows.Flow) -> None:
    widget, points = widgets.FlowBothWays(flow), torch.randn(601, 2, generator=torch.Generator().manual_seed(0))
    there, here = (widget.compute(way, {"points": points}) for way in ("forward", "inverse"))
    with torch.no_grad():
        torch.testing.assert_close(there["to"], flow(points)[0])
        torch.testing.assert_close(here["to"], flow.inverse(points)[0])
    again = widget.compute("inverse", {"points": there["to"]})["to"]
    torch.testing.assert_close(again, points, atol=1e-4, rtol=1e-4)


def test_what_a_front_end_asks_is_answered(widget: LiveModel, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: sent.append((content, buffers)))
    widget._handle_custom_msg("kernel?", [])
    assert sent.pop() == ("here", None)

    name, graph = next(iter(widget.graphs().items()))
    inputs = {key: torch.rand_like(x) for key, x in graph.inputs.items()}
    if "chain" in inputs:
        inputs["chain"] = graph.inputs["chain"]
    asked = pack(inputs)
    widget._handle_custom_msg({"id": 5, "graph": name, "layout": asked["layout"]}, [memoryview(asked["data"])])
    content, (buffer,) = sent.pop()
    assert content["id"] == 5
    for key, x in unpack(content["layout"], buffer).items():
        assert torch.equal(x, widget.compute(name, inputs)[key])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"graph": "other"}, "graph: expected one of"),
        ({"layout": [["points", [2]]]}, "bytes"),
        ({"layout": []}, "bytes"),
        ({"layout": [["other", [601, 2]]]}, "points: expected shape (601, 2), got nothing"),
        ({"layout": [["points", [2, 601]]]}, "points: expected shape (601, 2), got (2, 601)"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(
    flow: Any, change: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget, sent = widgets.FlowBothWays(flow), []
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: sent.append(content))
    asked = {"id": 1, "graph": "forward", "layout": [["points", [601, 2]]]} | change
    widget._handle_custom_msg(asked, [bytes(601 * 2 * 4)])
    assert sent[0]["id"] == 1
    assert why in sent[0]["error"]


def test_it_says_what_is_drawn_and_stays_small(widget: LiveModel) -> None:
    data, metadata = widget._repr_mimebundle_()
    assert data["text/plain"] == f"{widget!r}\n{widget.text()}"
    assert "{" not in widget.text()
    assert metadata["image/png"]["alt"]
    assert all(f"{name}=" in repr(widget) for name in widget.values())
    assert len(json.dumps(dependency_state([widget], drop_defaults=False)).encode()) <= 200_000
    assert all(bool(x.isfinite().all()) for x in widget.tables().values())


def test_traits_refuse_what_no_control_offers(widget: LiveModel) -> None:
    for control in widget.spec["controls"]:
        before = getattr(widget, control["name"])
        with pytest.raises(ValueError, match=control["name"]):
            setattr(
                widget, control["name"], "nothing of the kind" if control["kind"] == "select" else control["max"] + 1
            )
        assert getattr(widget, control["name"]) == before
        for value in control.get("options", (control.get("min"), control.get("max"))):
            setattr(widget, control["name"], value)


def test_an_asset_is_named_after_its_weights(ddpm: diffusion.DDPM, flow: flows.Flow) -> None:
    before, widget = fingerprint(flow), widgets.FlowBothWays(flow)
    assert widget.spec["asset"] == f"flow-{before}"
    weights = next(flow.parameters())
    with torch.no_grad():
        weights[0] += 1e-3
        assert fingerprint(flow) != before
        weights[0] -= 1e-3
    assert fingerprint(flow.double()) == fingerprint(flow.float()), "of the numbers, whatever their dtype"
    assert fingerprint(ddpm) != before


def test_networks_that_do_not_fit_are_refused(flow: flows.Flow) -> None:
    unlabelled = diffusion.DDPM(diffusion.UNet.digits(n_classes=None).float(), diffusion.Schedule.cosine(T=T))
    with pytest.raises(ValueError, match="ddpm: expected ten classes"):
        widgets.DigitSampler(unlabelled)
    short = diffusion.DDPM(diffusion.UNet.digits().float(), diffusion.Schedule.cosine(T=20))
    with pytest.raises(ValueError, match="at least 50 steps, got"):
        widgets.DigitSampler(short)
    with pytest.raises(ValueError, match="G: expected 3 channels and noise"):
        widgets.MapPainter(gan.UNetGenerator(1, 1, width=4, depth=2, noise=1))
    with pytest.raises(ValueError, match="G: expected one channel and three, got 3 and 3"):
        widgets.OutlinePainter(gan.UNetGenerator(3, 3, width=4, depth=2))
    with pytest.raises(ValueError, match="flow: expected one of the plane"):
        widgets.FlowBothWays(flows.RealNVP.for_vectors(dim=3, n_couplings=2, width=4))
    with pytest.raises(ValueError, match="x: expected"):
        widgets.FlowBothWays(flow, torch.zeros(10, 2))


def test_a_step_keeps_to_the_graph_that_is_exported(ddpm: diffusion.DDPM) -> None:
    """torch.export sees no choice that depends on a value: w = 0 and w > 0 are one graph."""
    graph = widgets.DigitSampler(ddpm).graphs()["step"]
    assert isinstance(graph.module, DDIMStep)
    exported = torch.export.export(graph.module, tuple(graph.inputs.values())).module()
    generator = torch.Generator().manual_seed(0)
    for w in (0.0, 3.0):
        inputs = graph.inputs | {"x_t": torch.randn(16, 1, 8, 8, generator=generator), "guidance": torch.tensor(w)}
        for mine, wanted in zip(exported(*inputs.values()), graph.module(*inputs.values()), strict=True):
            torch.testing.assert_close(mine, wanted)


def test_points_are_stored_as_they_went(flow: flows.Flow) -> None:
    tables = widgets.FlowBothWays(flow, direction="from base to data", temperature=0.5, seed=2).tables()
    assert torch.equal(tables["z"], 0.5 * normals(2)(600, 2))
    with torch.no_grad():
        torch.testing.assert_close(tables["x"], flow.inverse(tables["z"])[0])
    data = widgets.FlowBothWays(flow).tables()
    assert set(data) == {"x", "z"}
    assert torch.equal(tables["data"], data["x"])


@pytest.mark.parametrize("seed", [0, 1, 9999])
def test_noise_of_a_seed_is_normal(seed: int) -> None:
    """Numbers that fit N(0, 1), by Kolmogorov and Smirnov; seeds next to each other have nothing in common."""
    x, other = normals(seed)(100, 50).flatten(), normals(seed + 1)(5000)
    gap = torch.distributions.Normal(0.0, 1.0).cdf(x.sort().values) - torch.arange(1, 5001) / 5000
    assert float(gap.abs().max()) < 2 / 5000**0.5
    assert abs(float(torch.corrcoef(torch.stack([x, other]))[0, 1])) < 4 / 5000**0.5


def test_the_widgets_need_nothing_that_only_pages_need() -> None:
    assert "onnxscript" not in sys.modules
