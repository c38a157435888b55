"""Panels: curves, areas, histograms, clouds, arrows, heat maps."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

from gencourse.plots.arrays import Values, as_array
from gencourse.plots.figures import DIVERGING, LINE_STYLES, PALETTE, Panel


def lines(
    x: Values,
    curves: Mapping[str, Values],
    *,
    points: Mapping[str, tuple[Values, Values]] | None = None,
    band: tuple[Values, Values] | None = None,
    marks: Mapping[str, float] | None = None,
    notes: Sequence[tuple[str, float, float]] = (),
    fill: bool = False,
    legend: bool | Literal["below"] = True,
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
        notes: (text, x, y), written beside that place.
        legend: whether to name the curves, if there are several: where there is room, or "below" the axes.
        fill: shade the area under each curve, as for a density.
        settings: xlabel, ylabel, title, xlim, ylim, xscale, yscale, xticks, ...: what Axes.set takes.
    """

    def draw(ax: Axes) -> None:
        if band is not None:
            ax.fill_between(
                as_array(x).ravel(), as_array(band[0]).ravel(), as_array(band[1]).ravel(), color="#DDDDDD", lw=0
            )
        for i, (name, y) in enumerate(curves.items()):
            ax.plot(as_array(x).ravel(), as_array(y).ravel(), ls=LINE_STYLES[i % 7], color=PALETTE[i % 7], label=name)
            if fill:
                ax.fill_between(as_array(x).ravel(), 0, as_array(y).ravel(), color=PALETTE[i % 7], alpha=0.15, lw=0)
        for i, (name, (px, py)) in enumerate((points or {}).items(), start=len(curves)):
            ax.plot(as_array(px), as_array(py), "o", ms=6, color=PALETTE[i % 7], label=name)
        _mark(ax, marks)
        for text, at, height in notes:
            ax.annotate(text, (at, height), xytext=(6, 5), textcoords="offset points", color="#333333", fontsize=12)
        if legend and len(curves) + len(points or {}) > 1:
            _name(ax, legend, settings)

    return Panel(draw, aspect, settings=settings)


def areas(
    x: Values, density: Values, intervals: Sequence[tuple[float, float]], *, aspect: float = 1.5, **settings: Any
) -> Panel:
    """A density over x with the areas above some intervals in colours of their own; interval i has colour i."""

    def draw(ax: Axes) -> None:
        at, height = as_array(x).ravel(), as_array(density).ravel()
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
                as_array(values).ravel(), bins=bins, range=span, density=True, color=PALETTE[i % 7],
                alpha=0.4, label=name, histtype="stepfilled",
            )  # fmt: skip
        for i, (name, y) in enumerate((density or {}).items()):
            style, colour = LINE_STYLES[i % 7], "black" if count == 1 and i == 0 else PALETTE[(i + count) % 7]
            ax.plot(as_array(x).ravel(), as_array(y).ravel(), ls=style, color=colour, label=name)
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
            xy = as_array(xy)
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
    legend: bool | Literal["below"] = True,
    aspect: float = 1.0,
    **settings: Any,
) -> Panel:
    """A field of arrows in the plane, over clouds of points. A stronger vector has a longer arrow, up to a limit.

        length = longest · |v| / (|v| + m),   m the median of |v|

    Args:
        at, vectors: (N, 2) each: where an arrow starts, and what it shows.
        sets: name: points (M, 2), as for `points`.
        longest: in the units of the axes.
        legend: whether to name the sets, if there are several: over the arrows, or "below" the axes.
    """

    def draw(ax: Axes) -> None:
        points(sets or {}, alpha=0.35).draw(ax)
        names = ax.get_legend()
        if names is not None:
            names.set(frame_on=True, zorder=5, visible=bool(legend))
        if names is not None and legend == "below":
            _name(ax, legend, settings, markerscale=names.markerscale)
        v = as_array(vectors)
        norm = np.linalg.norm(v, axis=1, keepdims=True)
        shown = longest * v / np.maximum(norm + np.median(norm), 1e-300)
        xy = as_array(at)
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
        image = as_array(values)
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

    return Panel(draw, aspect, settings=settings, shades=True)


def _name(ax: Axes, where: bool | Literal["below"], settings: Mapping[str, Any], **look: Any) -> None:
    """A legend: where there is room, or in one line below the axes and what is written there."""
    if where == "below":
        canvas = ax.get_figure(root=True)
        assert canvas is not None
        down = ScaledTranslation(0, -(46 if settings.get("xlabel") else 26) / 72, canvas.dpi_scale_trans)
        look |= {"loc": "upper center", "ncols": 9, "bbox_to_anchor": (0.5, 0)}
        look |= {"bbox_transform": ax.transAxes + down, "borderaxespad": 0, "columnspacing": 1.2, "handlelength": 1.8}
    ax.legend(**look)


def _mark(ax: Axes, marks: Mapping[str, float] | None) -> None:
    for name, value in (marks or {}).items():
        ax.axvline(value, color="#555555", lw=1.4, ls=":")
        ax.annotate(
            name, (value, 1), xycoords=("data", "axes fraction"), xytext=(4, -2),
            textcoords="offset points", va="top", color="#333333", fontsize=13,
        )  # fmt: skip
