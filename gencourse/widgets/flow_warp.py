"""What a trained flow does to the plane, layer by layer, from data to base: a grid, samples, and the density."""

import math
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from gencourse import plots
from gencourse.widgets.explorer import Checked, Explorer, Tables, pack, refusing, script, style
from genlib import train
from genlib.arguments import check, checked, weight
from genlib.common import evaluating
from genlib.data import Moons
from genlib.flows import Flow, Logit, RealNVP

WEIGHTS = Path(__file__).with_name("warp.safetensors")  # made by tools/train_warp.py
MOONS = Moons(std=0.1)
MAX_LAYERS = 32
BYTES = 110_000  # for all steps together; with more layers, each gets fewer pixels, lines and samples
UNIT = 2**15 // 4  # of int16: as far as four times the edge of the picture, beyond which lines may run
Shown = Literal["everything", "grid", "samples", "density"]
SHOWN = get_args(Shown)
Layer = Annotated[int, f"[0, {MAX_LAYERS}]"]
Samples = Annotated[Float[Tensor, "N 2"], "[-1e9, 1e9]"]
BLUE, ORANGE, GREEN, PINK, YELLOW = plots.PALETTE[:5]
QUARTERS = ((ORANGE, "z_1, z_2 > 0"), (YELLOW, "z_1 < 0 < z_2"), (PINK, "z_1, z_2 < 0"), (GREEN, "z_2 < 0 < z_1"))

TEXT = (
    "After {layer} of {n_layers@layer} layers (0: data, {n_layers@layer}: base). The samples have mean "
    "({mean_1@layer}, {mean_2@layer}), deviations {std_1@layer} and {std_2@layer}, correlation {correlation@layer}. "
    "Log-determinants so far: {log_det@layer} nats on average. If the flow ended here, log p would be "
    "{log_p@layer} nats on average. The density's peak is {peak@layer}."
)


class FlowWarpExplorer(Explorer):
    """Walk through the layers of a flow on the plane and see the data become normal.

    At layer n: samples, pushed through the first n layers; the density that the flow gives them there,
    p_Z(z) |det ∂z/∂h|, where z is what the other layers make of h; and a square grid of the base, pulled back through
    those other layers. All steps are sent at once: nothing here needs a kernel.

    Args:
        flow: any flow on the plane without classes, such as `flows.RealNVP.for_vectors(dim=2)`, of at most 32 layers;
            left out, one that was trained on `data.Moons` and comes with the package.
        x: the samples, (N, 2), of which those that fit are shown; left out, draws from the flow, or for the flow of the
            package from what it was trained on.
        layer: after how many layers: 0 is data, the last is base.
        show: "everything", "grid", "samples" or "density".
    Raises:
        ValueError: for anything else. `layer` and `show` are traits: they can be observed, linked and set later.
    """

    _esm, _css = script("flow_panels.js"), style("flow_panels.css")

    layer = Checked(0, Layer)
    show = Checked("everything", Shown)

    @checked
    def __init__(
        self, flow: Flow | None = None, x: Samples | None = None, layer: Layer = 0, show: Shown = "everything"
    ) -> None:
        self.flow = _moons_flow() if flow is None else _drawable(flow)
        self.n_layers = len(self.flow.layers)
        check("layer", layer, Annotated[int, "[0, {last}]"], last=self.n_layers)
        if x is not None and len(x) < 2:
            raise ValueError(f"x: expected at least 2 samples, got {len(x)}")
        tables, self.limit = _moons_tables() if flow is None and x is None else _tables(self.flow, x)
        spec = {"title": "Flow warp explorer", "controls": _controls(self.n_layers), "text": TEXT, "columns": 2,
                "rows": "1fr", "panels": _panels(self.limit, tables)}  # fmt: skip
        super().__init__(spec, [pack({}, {})], pack(tables), layer=layer, show=show)

    def picture(self) -> plots.Figure:
        """The plane at the data, half-way, and at the base: a still picture cannot be walked through."""
        tables, edge = self.drawn(), self.limit
        grid, samples = (tables[name] * (edge / UNIT) for name in ("grid", "samples"))
        colours = [QUARTERS[c][0] for c in tables["colour"]]

        def plane(n: int) -> plots.Panel:
            def draw(ax: Any) -> None:
                ax.grid(False)
                if self.show in ("density", "everything"):
                    extent = (-edge, edge, -edge, edge)
                    ax.imshow(tables["density"][n], extent=extent, cmap="Blues", interpolation="bilinear")
                if self.show in ("grid", "everything"):
                    for line in grid[n]:
                        ax.plot(*line.T, color="#555555", lw=0.4)
                if self.show in ("samples", "everything"):
                    ax.scatter(*samples[n].T, s=3, lw=0, color=colours)

            title = {0: "0: data", self.n_layers: f"{n}: base"}.get(n, f"{n} layers")
            axes = {"xlim": (-edge, edge), "ylim": (-edge, edge), "aspect": "equal"}
            return plots.Panel(draw, 1.0, settings={"title": title, **axes})

        steps = sorted({0, self.n_layers // 2, self.layer, self.n_layers})
        return plots.figure(
            *(plane(n) for n in steps),
            alt=f"The plane after {', '.join(map(str, steps))} layers. {self.text()}",
            title="A still picture: run this cell in Jupyter to play with it",
        )

    @traitlets.validate("layer")
    def _check_layer(self, proposal: dict[str, Any]) -> int:
        with refusing():
            return check("layer", proposal["value"], Annotated[int, "[0, {last}]"], last=self.n_layers)


def untrained() -> RealNVP:
    """The flow of the package as it was before training."""
    return RealNVP.for_vectors(dim=2, n_couplings=8, width=32)


@cache
def _moons_flow() -> RealNVP:
    with torch.random.fork_rng(devices=[]):  # its first weights are drawn, then overwritten
        return train.load(untrained(), WEIGHTS)


@cache
def _moons_tables() -> tuple[Tables, float]:
    return _tables(_moons_flow(), MOONS.sample(2000, torch.Generator().manual_seed(0)))


def _drawable(flow: Flow) -> Flow:
    """A flow on the plane that asks for no condition."""
    if flow.shape != (2,) or flow.n_classes is not None or flow.n_condition is not None:
        came = f"shape {flow.shape}" + ("" if flow.n_classes is None else f" and {flow.n_classes} classes")
        raise ValueError(f"flow: expected one on the plane, of shape (2,), and without classes, got {came}")
    if not 1 <= len(flow.layers) <= MAX_LAYERS:
        raise ValueError(f"flow: expected 1 to {MAX_LAYERS} layers, got {len(flow.layers)}")
    return flow


def _controls(n_layers: int) -> list[dict[str, Any]]:
    return [
        {
            "name": "layer",
            "label": f"layer (0: data, {n_layers}: base)",
            "kind": "slider",
            "min": 0,
            "max": n_layers,
            "step": 1,
            "wide": True,
        },
        {"name": "show", "label": "show", "kind": "select", "presets": list(SHOWN)},
    ]


def _panels(limit: float, tables: Tables) -> list[dict[str, Any]]:
    sums = np.stack([tables[name] for name in ("log_p_base", "log_det", "log_p")])
    low, high = math.floor(sums.min()), math.ceil(sums.max())
    step = max(1, math.ceil((high - low) / 5))
    marks = [[v, f"{v}".replace("-", "−")] for v in range(low, high + 1, step)]
    return [
        {"kind": "plane", "by": "layer", "show": "show", "limit": limit, "unit": UNIT / limit, "ink": BLUE,
         "legend": QUARTERS, "alt": "the plane after {layer} layers: {show}"},
        {"kind": "curves", "marker": "layer", "x": {"label": "layer", "min": 0, "max": len(sums[0]) - 1},
         "y": {"min": low, "max": high, "ticks": marks},
         "alt": "means over the samples in nats, had the flow ended after each layer",
         "curves": [{"table": "log_p_base", "color": BLUE, "label": "log p_Z = {log_p_base@layer}"},
                    {"table": "log_det", "color": ORANGE, "label": "+ log-det {log_det@layer}"},
                    {"table": "log_p", "color": GREEN, "label": "= log p {log_p@layer} nats"}]},
    ]  # fmt: skip


def _tables(flow: Flow, x: Tensor | None) -> tuple[Tables, float]:
    """Everything that is drawn, indexed by the layer, and where the picture ends: |h_1|, |h_2| <= limit."""
    layers: Any = flow.layers
    own = weight(flow)
    like = torch.zeros(0) if own is None else own
    share = BYTES // (len(layers) + 1)
    side, n_samples, n_points = math.isqrt(int(0.4 * share)), int(0.25 * share / 4), math.isqrt(int(0.35 * share / 8))
    n_lines, n_points = n_points // 2, 2 * n_points
    x = flow.sample(n_samples, generator=torch.Generator().manual_seed(0)) if x is None else x[:n_samples]
    with evaluating(flow):
        path, log_dets = [x.to(like)], [_wide(like.new_zeros(len(x)))]
        for layer in layers:
            h, term = layer(path[-1])
            path, log_dets = [*path, h], [*log_dets, log_dets[-1] + term]
        samples = _wide(torch.stack(path))
        if not bool(samples.isfinite().all()):
            raise ValueError("flow: expected finite numbers after every layer, got NaN or infinite ones")
        limit = max(1.0, math.ceil(4 * float(samples.abs().flatten(1).quantile(0.99, dim=1).max())) / 4)
        grid = [_grid(limit, n_lines, n_points).to(like)]
        for layer in reversed(layers):
            grid.insert(0, layer.inverse(grid[0])[0])
        density = torch.stack([_density(flow, like, n, limit, side) for n in range(len(layers) + 1)])
        base, det = (torch.stack(terms).mean(1) for terms in (list(map(flow.base.log_prob, samples)), log_dets))
    h = samples[-1]
    quarter = torch.where(h[:, 1] > 0, torch.where(h[:, 0] > 0, 0, 1), torch.where(h[:, 0] > 0, 3, 2))
    std = samples.std(1)
    centred = samples - samples.mean(1, keepdim=True)
    correlation = centred.prod(2).sum(1) / (len(x) - 1) / std.prod(1)
    peaks = density.amax((1, 2))
    numbers = {
        "mean_1": samples.mean(1)[:, 0], "mean_2": samples.mean(1)[:, 1], "std_1": std[:, 0], "std_2": std[:, 1],
        "correlation": correlation, "log_p_base": base, "log_det": det, "log_p": base + det, "peak": peaks,
        "n_layers": torch.full((len(layers) + 1,), len(layers)),
    }  # fmt: skip
    lines = torch.stack(grid).view(len(grid), 2 * n_lines, n_points, 2)
    return {
        **{name: value.float().cpu().numpy() for name, value in numbers.items()},
        "density": (255 * density / peaks.clamp(min=1e-30)[:, None, None]).round().byte().cpu().numpy(),
        "grid": _int16(lines, limit),
        "samples": _int16(samples, limit),
        "colour": quarter.byte().cpu().numpy(),
    }, limit


def _grid(limit: float, n_lines: int, n_points: int) -> Tensor:
    """Level lines of a square grid, as points: (2 · lines · points, 2)."""
    levels, along = torch.linspace(-limit, limit, n_lines), torch.linspace(-limit, limit, n_points)
    level, place = (part.flatten() for part in torch.meshgrid(levels, along, indexing="ij"))
    return torch.cat([torch.stack([level, place], dim=1), torch.stack([place, level], dim=1)])


def _density(flow: Flow, like: Tensor, n: int, limit: float, side: int) -> Tensor:
    """The density after n layers, the mean over each of side × side pixels, the top row first."""
    fine = (torch.arange(2 * side, dtype=torch.float64) + 0.5) * (limit / side) - limit  # two by two to a pixel
    height, width = torch.meshgrid(fine.flip(0), fine, indexing="ij")
    h = torch.stack([width.flatten(), height.flatten()], dim=1).to(like)
    log_det, inside = _wide(h.new_zeros(len(h))), True
    for layer in flow.layers[n:]:
        if isinstance(layer, Logit):  # there are no levels beyond its ends
            inside = ((h > layer.low) & (h < layer.high)).all(1)
            h = torch.where(inside[:, None], h, 0.5)
        h, term = layer(h)
        log_det = log_det + term
    p = (flow.base.log_prob(_wide(h)) + log_det).exp() * inside
    return p.view(side, 2, side, 2).mean((1, 3))


def _wide(h: Tensor) -> Tensor:
    """In float32, or better where it is."""
    return h.to(torch.promote_types(h.dtype, torch.float32))


def _int16(h: Tensor, limit: float) -> np.ndarray:
    return (h.cpu().double() * (UNIT / limit)).clamp(1 - 2**15, 2**15 - 1).round().numpy().astype(np.int16)
