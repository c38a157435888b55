"""What a panel of a figure shows: curves, areas, histograms, clouds, arrows, heat maps."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

from gencourse.plots.arrays import Interval, Named, Place, Values, as_array, few, named, row, words
from gencourse.plots.figures import DIVERGING, LINE_STYLES, PALETTE, Aspect, Panel
from genlib.arguments import Share, check, checked

Legend = bool | Literal["below"]


@checked
def lines(
    x: Values,
    curves: Named,
    *,
    points: Mapping[str, tuple[Values, Values]] | None = None,
    band: tuple[Values, Values] | None = None,
    marks: Mapping[str, float] | None = None,
    notes: Sequence[tuple[Any, Any, Any]] = (),
    fill: bool = False,
    legend: Legend = True,
    aspect: Aspect = 1.5,
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
        settings: xlabel, ylabel, title, xlim, ylim, xscale, yscale, xticks, ...: those of `Panel`.
    Raises:
        ValueError: where there are not as many numbers as in x.
    """
    x = row("x", x)
    ys = {name: row("curves", y, len(x)) for name, y in named("curves", curves).items()}
    dots = {name: _pair("points", pair) for name, pair in named("points", points).items()}
    shaded = [row("band", end, len(x)) for end in band or ()]
    few("notes", notes)
    texts = [(words("notes", text), tuple(check("notes", end, Place) for end in at)) for text, *at in notes]
    places = _places(marks)

    def draw(ax: Axes) -> None:
        if shaded:
            ax.fill_between(x, shaded[0], shaded[1], color="#DDDDDD", lw=0)
        for i, (name, y) in enumerate(ys.items()):
            ax.plot(x, y, ls=LINE_STYLES[i % 7], color=PALETTE[i % 7], label=name)
            if fill:
                ax.fill_between(x, 0, y, color=PALETTE[i % 7], alpha=0.15, lw=0)
        for i, (name, (px, py)) in enumerate(dots.items(), start=len(ys)):
            ax.plot(px, py, "o", ms=6, color=PALETTE[i % 7], label=name)
        _mark(ax, places)
        for text, at in texts:
            ax.annotate(text, at, xytext=(6, 5), textcoords="offset points", color="#333333", fontsize=12)
        if legend and len(ys) + len(dots) > 1:
            _name(ax, legend, settings)

    return Panel(draw, aspect, settings=settings)


@checked
def areas(x: Values, density: Values, intervals: Sequence[Interval], *, aspect: Aspect = 1.5, **settings: Any) -> Panel:
    """A density over x with the areas above some intervals in colours of their own; interval i has colour i.

    Raises:
        ValueError: where there are not as many numbers as in x.
    """
    at = row("x", x)
    height = row("density", density, len(at))
    few("intervals", intervals)

    def draw(ax: Axes) -> None:
        ax.plot(at, height, color="black")
        for i, (low, high) in enumerate(intervals):
            inside = (at >= low) & (at <= high)
            hatch = ("//", "..", "\\\\", "xx", "||", "--", "++")[i % 7]
            ax.fill_between(
                at[inside], height[inside], facecolor=PALETTE[i % 7], alpha=0.6, hatch=hatch, edgecolor="white"
            )

    return Panel(draw, aspect, settings={"ylim": (0, None), **settings})


@checked
def histogram(
    samples: Named,
    *,
    x: Values | None = None,
    density: Named | None = None,
    bins: Annotated[int, "[1, 10000]"] = 60,
    span: Interval | None = None,
    marks: Mapping[str, float] | None = None,
    aspect: Aspect = 1.5,
    **settings: Any,
) -> Panel:
    """Histograms of samples, scaled to densities, with curves of known densities over x on top.

    Raises:
        ValueError: where the samples have no histogram, or there are not as many numbers as in x.
    """
    if span is not None and span[0] >= span[1]:
        raise ValueError(f"span: expected two rising numbers, got {span}")
    drawn = {name: row("samples", values, finite=True) for name, values in named("samples", samples).items()}
    for values in drawn.values():
        try:
            np.histogram_bin_edges(values, bins, span)
        except ValueError as error:
            raise ValueError(f"samples: {error}") from None
    if x is None and density:
        raise ValueError("x: expected where the densities are known, got None")
    at = row("x", 0.0 if x is None else x)
    curves = {name: row("density", y, len(at)) for name, y in named("density", density).items()}
    places = _places(marks)

    def draw(ax: Axes) -> None:
        count = len(drawn)
        for i, (name, values) in enumerate(drawn.items()):
            ax.hist(
                values, bins=bins, range=span, density=True, color=PALETTE[i % 7],
                alpha=0.4, label=name, histtype="stepfilled",
            )  # fmt: skip
        for i, (name, y) in enumerate(curves.items()):
            style, colour = LINE_STYLES[i % 7], "black" if count == 1 and i == 0 else PALETTE[(i + count) % 7]
            ax.plot(at, y, ls=style, color=colour, label=name)
        _mark(ax, places)
        ax.legend()
        ax.set_ylabel("density")

    return Panel(draw, aspect, settings=settings)


@checked
def points(
    sets: Named,
    *,
    size: Annotated[float, "(0, 10000]"] = 6,
    alpha: Share = 0.5,
    aspect: Aspect = 1.0,
    **settings: Any,
) -> Panel:
    """Clouds of points in the plane, each (N, 2), on axes of equal scale; size is a dot's area, in points²."""
    clouds = {name: as_array("sets", xy, None, 2) for name, xy in named("sets", sets).items()}

    def draw(ax: Axes) -> None:
        for i, (name, xy) in enumerate(clouds.items()):
            marker = "osD^v*P"[i % 7]
            ax.scatter(xy[:, 0], xy[:, 1], s=size, alpha=alpha, color=PALETTE[i % 7], label=name, marker=marker, lw=0)
        ax.set_aspect("equal")
        if len(clouds) > 1:
            ax.legend(markerscale=max(1.0, 6 / math.sqrt(size)))

    return Panel(draw, aspect, settings=settings)


@checked
def arrows(
    at: Values,
    vectors: Values,
    *,
    sets: Named | None = None,
    longest: Annotated[float, "(0, 1000000]"] = 0.3,
    legend: Legend = True,
    aspect: Aspect = 1.0,
    **settings: Any,
) -> Panel:
    """A field of arrows in the plane, over clouds of points. A stronger vector has a longer arrow, up to a limit.

        length = longest · |v| / (|v| + m),   m the median of |v|

    Args:
        at, vectors: (N, 2) each: where an arrow starts, and what it shows.
        sets: name: points (M, 2), as for `points`.
        longest: in the units of the axes.
        legend: whether to name the sets, if there are several: over the arrows, or "below" the axes.
    Raises:
        ValueError: where there are not as many vectors as places.
    """
    xy = as_array("at", at, None, 2, finite=True)
    v = as_array("vectors", vectors, len(xy), 2, finite=True)
    if len(xy) == 0 or np.abs(xy).max() > 1e9:
        raise ValueError("at: expected at least one place, in [-1e9, 1e9], got none or another")
    clouds = points(sets or {}, alpha=0.35)
    norm = np.linalg.norm(v, axis=1, keepdims=True)
    shown = longest * v / np.maximum(norm + np.median(norm), 1e-300)

    def draw(ax: Axes) -> None:
        clouds.draw(ax)
        names = ax.get_legend()
        if names is not None:
            names.set(frame_on=True, zorder=5, visible=bool(legend))
        if names is not None and legend == "below":
            _name(ax, legend, settings, markerscale=names.markerscale)
        ax.quiver(xy[:, 0], xy[:, 1], *shown.T, angles="xy", scale_units="xy", scale=1, width=0.009, zorder=3)
        ax.set_aspect("equal")

    return Panel(draw, aspect, settings=settings)


@checked
def heatmap(
    values: Values,
    *,
    extent: tuple[Place, Place, Place, Place] | None = None,
    diverging: bool = False,
    colorbar: bool = True,
    aspect: Aspect = 1.2,
    **settings: Any,
) -> Panel:
    """A matrix or a function on a grid, (rows, columns). With `extent`, row 0 is at the bottom, as on axes.

    Args:
        extent: left, right, bottom, top.
        diverging: colours centred on 0, for signed values.
    Raises:
        ValueError: without a value, or for an extent without an area.
    """
    image = as_array("values", values, None, None)
    if image.size == 0:
        raise ValueError(f"values: expected at least one row and one column, got shape {image.shape}")
    if extent is not None and (extent[0] == extent[1] or extent[2] == extent[3]):
        raise ValueError(f"extent: expected left, right, bottom, top with an area between them, got {extent}")
    limit = np.abs(image[np.isfinite(image)]).max(initial=0) or 1.0

    def draw(ax: Axes) -> None:
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


def _pair(name: str, pair: Any) -> tuple[np.ndarray, np.ndarray]:
    """As many x as y."""
    x, y = check(name, pair, tuple[Any, Any])
    x = row(name, x)
    return x, row(name, y, len(x))


def _places(marks: Mapping[str, float] | None) -> dict[str, float]:
    return {name: check("marks", value, Place) for name, value in named("marks", marks).items()}


def _name(ax: Axes, where: Legend, settings: Mapping[str, Any], **look: Any) -> None:
    """A legend: where there is room, or in one line below the axes and what is written there."""
    if where == "below":
        canvas = ax.get_figure(root=True)
        assert canvas is not None
        down = ScaledTranslation(0, -(46 if settings.get("xlabel") else 26) / 72, canvas.dpi_scale_trans)
        look |= {"loc": "upper center", "ncols": 9, "bbox_to_anchor": (0.5, 0)}
        look |= {"bbox_transform": ax.transAxes + down, "borderaxespad": 0, "columnspacing": 1.2, "handlelength": 1.8}
    ax.legend(**look)


def _mark(ax: Axes, marks: Mapping[str, float]) -> None:
    for name, value in marks.items():
        ax.axvline(value, color="#555555", lw=1.4, ls=":")
        ax.annotate(
            name, (value, 1), xycoords=("data", "axes fraction"), xytext=(4, -2),
            textcoords="offset points", va="top", color="#333333", fontsize=13,
        )  # fmt: skip
