"""Figures in the course's house style: safe for colour-blind readers, legible from the last row, with alt text.

A figure is made of panels, left to right: `figure(lines(...), histogram(...), alt="what there is to see")`. Panels take
arrays and tensors, and know no model. Matplotlib is used through its object interface alone, so no state is shared and
nothing is drawn twice.
"""

import base64
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas
from PIL import Image

# Okabe & Ito's colours, told apart by every kind of colour vision; each has a line style of its own besides.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINE_STYLES = ("-", "--", "-.", ":", (0, (6, 1)), (0, (3, 1, 1, 1, 1, 1)), "-")
DIVERGING = LinearSegmentedColormap.from_list("blue-orange", [PALETTE[0], "#FFFFFF", PALETTE[1]])
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 14,
    "axes.titlesize": 15,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "lines.linewidth": 2.4,
    "legend.frameon": False,
    "legend.fontsize": 13,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
}
WIDTH = 11.0  # inches on the page, at 80 px each: fits a notebook in a window of 1280
PIXELS_PER_INCH = 80
SHARPNESS = 1.6  # pixels in the file for each on the page

Values = Any  # a tensor, an array or a list of numbers


@dataclass(frozen=True)
class Panel:
    """One set of axes: what draws it, and how wide it is for a height of 1."""

    draw: Callable[[Axes], None]
    aspect: float = 1.5
    axis: bool = True
    settings: dict[str, Any] = field(default_factory=dict)


class Figure:
    """A finished picture: shown by a notebook as an image with alt text, kept on disk by `save`."""

    def __init__(self, canvas: Canvas, alt: str) -> None:
        if not alt.strip():
            raise ValueError("alt: expected a sentence for those who do not see the figure, got nothing")
        self.alt = " ".join(alt.split())
        self.width, self.height = (round(inches * PIXELS_PER_INCH) for inches in canvas.get_size_inches())
        self.png = _png(canvas)

    def __repr__(self) -> str:
        return f"figure: {self.alt}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        # HTML, since JupyterLab and nbconvert both drop the alt text of a bare image/png.
        source = base64.b64encode(self.png).decode()
        html = f'<img src="data:image/png;base64,{source}" width="{self.width}" alt="{escape(self.alt)}">'
        return {"text/html": html, "text/plain": repr(self)}

    def save(self, path: str) -> None:
        """Write the picture as a PNG file."""
        with open(path, "wb") as file:
            file.write(self.png)


def figure(*panels: Panel, alt: str, columns: int | None = None, title: str | None = None) -> Figure:
    """Put panels side by side, `columns` to a row, in one figure.

    Args:
        panels: what `lines`, `histogram`, `points`, `heatmap` and `pictures` return.
        alt: what there is to see, in a sentence; it stands in for the picture in a screen reader and in plain text.
    """
    if not panels:
        raise ValueError("panels: expected at least one, got none")
    columns = len(panels) if columns is None else columns
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    widths = [panel.aspect for panel in max(rows, key=lambda row: sum(p.aspect for p in row))]
    row_height = min(4.2, WIDTH / sum(widths))
    width = min(WIDTH, row_height * sum(widths) + 0.6)
    with rc_context(STYLE):
        canvas = Canvas(figsize=(width, row_height * len(rows) + (0.4 if title else 0)))
        axes = canvas.subplots(len(rows), columns, squeeze=False, width_ratios=widths)
        for ax, panel in zip(axes.flat, panels, strict=False):
            panel.draw(ax)
            ax.set(**{name: value for name, value in panel.settings.items() if value is not None})
            if not panel.axis:
                ax.set_axis_off()
        for ax in list(axes.flat)[len(panels) :]:
            ax.set_axis_off()
        if title:
            canvas.suptitle(title, x=0.01, ha="left", fontweight="bold")
        return Figure(canvas, alt)


def lines(
    x: Values,
    curves: Mapping[str, Values],
    *,
    points: Mapping[str, tuple[Values, Values]] | None = None,
    band: tuple[Values, Values] | None = None,
    marks: Mapping[str, float] | None = None,
    fill: bool = False,
    legend: bool = True,
    aspect: float = 1.5,
    **settings: Any,
) -> Panel:
    """Curves over one x, each with its own colour and line style, and a legend if there is more than one.

    Args:
        x: (N,), or (N, 1).
        curves: name: values, (N,) or (N, 1).
        points: name: (x, y), drawn as dots on top.
        band: (low, high), shaded.
        marks: name: x of a vertical line.
        legend: whether to name the curves, if there are several.
        fill: shade the area under each curve, as for a density.
        settings: xlabel, ylabel, title, xlim, ylim, xscale, yscale, xticks, ...: what Axes.set takes.
    """

    def draw(ax: Axes) -> None:
        if band is not None:
            ax.fill_between(_array(x).ravel(), _array(band[0]).ravel(), _array(band[1]).ravel(), color="#DDDDDD", lw=0)
        for i, (name, y) in enumerate(curves.items()):
            ax.plot(_array(x).ravel(), _array(y).ravel(), ls=LINE_STYLES[i % 7], color=PALETTE[i % 7], label=name)
            if fill:
                ax.fill_between(_array(x).ravel(), 0, _array(y).ravel(), color=PALETTE[i % 7], alpha=0.15, lw=0)
        for i, (name, (px, py)) in enumerate((points or {}).items(), start=len(curves)):
            ax.plot(_array(px), _array(py), "o", ms=6, color=PALETTE[i % 7], label=name)
        _mark(ax, marks)
        if legend and len(curves) + len(points or {}) > 1:
            ax.legend()

    return Panel(draw, aspect, settings=settings)


def areas(
    x: Values, density: Values, intervals: Sequence[tuple[float, float]], *, aspect: float = 1.5, **settings: Any
) -> Panel:
    """A density over x with the areas above some intervals in colours of their own; interval i has colour i."""

    def draw(ax: Axes) -> None:
        at, height = _array(x).ravel(), _array(density).ravel()
        ax.plot(at, height, color="black")
        for i, (low, high) in enumerate(intervals):
            inside = (at >= low) & (at <= high)
            hatch = ("//", "..", "\\\\", "xx", "||", "--", "++")[i % 7]
            ax.fill_between(
                at[inside], height[inside], facecolor=PALETTE[i % 7], alpha=0.6, hatch=hatch, edgecolor="white"
            )

    return Panel(draw, aspect, settings={"ylim": (0, None), **settings})


def histogram(
    samples: Mapping[str, Values],
    *,
    x: Values | None = None,
    density: Mapping[str, Values] | None = None,
    bins: int = 60,
    span: tuple[float, float] | None = None,
    marks: Mapping[str, float] | None = None,
    aspect: float = 1.5,
    **settings: Any,
) -> Panel:
    """Histograms of samples, scaled to densities, with curves of known densities over x on top."""

    def draw(ax: Axes) -> None:
        count = len(samples)
        for i, (name, values) in enumerate(samples.items()):
            ax.hist(
                _array(values).ravel(), bins=bins, range=span, density=True, color=PALETTE[i % 7],
                alpha=0.4, label=name, histtype="stepfilled",
            )  # fmt: skip
        for i, (name, y) in enumerate((density or {}).items()):
            style, colour = LINE_STYLES[i % 7], "black" if count == 1 and i == 0 else PALETTE[(i + count) % 7]
            ax.plot(_array(x).ravel(), _array(y).ravel(), ls=style, color=colour, label=name)
        _mark(ax, marks)
        ax.legend()
        ax.set_ylabel("density")

    return Panel(draw, aspect, settings=settings)


def points(
    sets: Mapping[str, Values], *, size: float = 6, alpha: float = 0.5, aspect: float = 1.0, **settings: Any
) -> Panel:
    """Clouds of points in the plane, each (N, 2), on axes of equal scale."""

    def draw(ax: Axes) -> None:
        for i, (name, xy) in enumerate(sets.items()):
            xy = _array(xy)
            marker = "osD^v*P"[i % 7]
            ax.scatter(xy[:, 0], xy[:, 1], s=size, alpha=alpha, color=PALETTE[i % 7], label=name, marker=marker, lw=0)
        ax.set_aspect("equal")
        if len(sets) > 1:
            ax.legend(markerscale=max(1.0, 6 / math.sqrt(size)))

    return Panel(draw, aspect, settings=settings)


def arrows(
    at: Values,
    vectors: Values,
    *,
    sets: Mapping[str, Values] | None = None,
    longest: float = 0.3,
    legend: bool = True,
    aspect: float = 1.0,
    **settings: Any,
) -> Panel:
    """A field of arrows in the plane, over clouds of points. A stronger vector has a longer arrow, up to a limit.

        length = longest · |v| / (|v| + m),   m the median of |v|

    Args:
        at, vectors: (N, 2) each: where an arrow starts, and what it shows.
        sets: name: points (M, 2), as for `points`.
        longest: in the units of the axes.
    """

    def draw(ax: Axes) -> None:
        points(sets or {}, alpha=0.35).draw(ax)
        names = ax.get_legend()
        if names is not None:
            names.set(frame_on=True, zorder=5, visible=legend)
        v = _array(vectors)
        norm = np.linalg.norm(v, axis=1, keepdims=True)
        shown = longest * v / np.maximum(norm + np.median(norm), 1e-300)
        xy = _array(at)
        ax.quiver(xy[:, 0], xy[:, 1], *shown.T, angles="xy", scale_units="xy", scale=1, width=0.009, zorder=3)
        ax.set_aspect("equal")

    return Panel(draw, aspect, settings=settings)


def heatmap(
    values: Values,
    *,
    extent: tuple[float, float, float, float] | None = None,
    diverging: bool = False,
    colorbar: bool = True,
    aspect: float = 1.2,
    **settings: Any,
) -> Panel:
    """A matrix or a function on a grid, (rows, columns). With `extent`, row 0 is at the bottom, as on axes.

    Args:
        extent: left, right, bottom, top.
        diverging: colours centred on 0, for signed values.
    """

    def draw(ax: Axes) -> None:
        image = _array(values)
        limit = np.abs(image).max() or 1.0
        shown = ax.imshow(
            image,
            extent=extent,
            origin="lower" if extent else "upper",
            cmap=DIVERGING if diverging else "viridis",
            vmin=-limit if diverging else None,
            vmax=limit if diverging else None,
            aspect="auto" if extent else "equal",
            interpolation="nearest",
        )
        ax.grid(False)
        if colorbar and ax.figure is not None:
            ax.figure.colorbar(shown, ax=ax, shrink=0.9)

    return Panel(draw, aspect, settings=settings)


def pictures(
    images: Values, *, columns: int | None = None, span: tuple[float, float] = (-1, 1), **settings: Any
) -> Panel:
    """A grid of pictures: (N, 1 or 3, H, W), or (N, H, W); `span` gives the values shown as black and white."""
    tiles = _tiles(images, columns or len(images), span)

    def draw(ax: Axes) -> None:
        ax.imshow(tiles, cmap="gray", vmin=0, vmax=1, interpolation="nearest")

    return Panel(draw, tiles.shape[1] / tiles.shape[0], axis=False, settings=settings)


def image_rows(
    *, alt: str | None = None, columns: Sequence[str] | None = None, span: tuple[float, float] = (-1, 1), **rows: Any
) -> Figure:
    """Rows of pictures under one another, each row named: `image_rows(input=x, output=G(x), target=y, alt=...)`.

    Args:
        alt: what there is to see; if left out, the names of the rows.
        columns: a heading over each picture.
        rows: name (underscores become spaces): (N, C, H, W), pictures in a row.
    """
    if not rows:
        raise ValueError("rows: expected at least one row of pictures, got none")
    strips = {name.replace("_", " "): _tiles(images, len(images), span) for name, images in rows.items()}
    margin = 0.3 + 0.115 * max(len(name) for name in strips)  # inches, for the names
    heights = [(WIDTH - margin) * strip.shape[0] / strip.shape[1] for strip in strips.values()]
    scale = min(1.0, 1.6 * len(rows) / sum(heights))
    gap, top = 0.12, 0.35 if columns else 0.05
    height = scale * sum(heights) + gap * len(rows) + top
    with rc_context({**STYLE, "figure.constrained_layout.use": False}):
        canvas = Canvas(figsize=(WIDTH * scale + margin * (1 - scale), height))
        width, y = canvas.get_size_inches()[0], height - top
        for (name, strip), row_height in zip(strips.items(), heights, strict=True):
            y -= scale * row_height
            ax = canvas.add_axes((margin / width, y / height, 1 - margin / width, scale * row_height / height))
            ax.imshow(strip, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            ax.set_axis_off()
            canvas.text((margin - 0.12) / width, (y + scale * row_height / 2) / height, name, ha="right", va="center")
            y -= gap
        for i, text in enumerate(columns or ()):
            x = (margin + (i + 0.5) * (width - margin) / len(columns or ())) / width
            canvas.text(x, 1 - top / height, text, ha="center", va="bottom", fontsize=13)
        return Figure(canvas, alt or f"rows of pictures: {', '.join(strips)}")


def _mark(ax: Axes, marks: Mapping[str, float] | None) -> None:
    for name, value in (marks or {}).items():
        ax.axvline(value, color="#555555", lw=1.4, ls=":")
        ax.annotate(
            name, (value, 1), xycoords=("data", "axes fraction"), xytext=(4, -2),
            textcoords="offset points", va="top", color="#333333", fontsize=13,
        )  # fmt: skip


def _tiles(images: Values, columns: int, span: tuple[float, float]) -> np.ndarray:
    """Pictures in a grid with a light gap between them, as one array in [0, 1]."""
    x = _array(images)
    if x.ndim == 3:
        x = x[:, None]
    if x.ndim != 4 or x.shape[1] not in (1, 3) or len(x) == 0:
        raise ValueError(f"images: expected shape (N, 1 or 3, H, W) or (N, H, W), got {x.shape}")
    x = np.clip((x - span[0]) / (span[1] - span[0]), 0, 1)
    n, channels, height, width = x.shape
    gap, rows = max(1, height // 8), math.ceil(n / columns)
    sheet = np.ones((rows * (height + gap) - gap, columns * (width + gap) - gap, channels))
    for i, image in enumerate(x):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return sheet[..., 0] if channels == 1 else sheet


def _array(values: Values) -> np.ndarray:
    return np.asarray(values.detach().cpu().double() if hasattr(values, "detach") else values, dtype=float)


def _png(canvas: Canvas) -> bytes:
    """Sharp on the page and on a projector, in 64 colours, which a plot does not exceed: a notebook keeps many."""
    raw, small = io.BytesIO(), io.BytesIO()
    canvas.savefig(raw, format="png", dpi=SHARPNESS * PIXELS_PER_INCH, metadata={"Software": None})
    picture = Image.open(raw).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    picture.save(small, format="png", optimize=True)
    return small.getvalue()
