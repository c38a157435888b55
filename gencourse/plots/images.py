"""Pictures: in a grid, and in named rows."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from gencourse.plots.arrays import Interval, Values, as_array, few, words
from gencourse.plots.figures import STYLE, WIDTH, Columns, Figure, Panel
from genlib.arguments import checked


@checked
def pictures(images: Values, *, columns: Columns | None = None, span: Interval = (-1, 1), **settings: Any) -> Panel:
    """A grid of pictures: (N, 1 or 3, H, W), or (N, H, W); `span` gives the values shown as black and white.

    Raises:
        ValueError: for another shape, or a span that does not rise.
    """
    tiles = _tiles("images", images, columns, span)

    def draw(ax: Axes) -> None:
        ax.imshow(tiles, cmap="gray", vmin=0, vmax=1, interpolation="nearest")

    aspect = min(max(0.05, tiles.shape[1] / tiles.shape[0]), 50)
    return Panel(draw, aspect, axis=False, settings=settings, shades=True)


@checked
def image_rows(
    *, alt: str | None = None, columns: Sequence[str] | None = None, span: Interval = (-1, 1), **rows: Values
) -> Figure:
    """Rows of pictures under one another, each row named: `image_rows(input=x, output=G(x), target=y, alt=...)`.

    Args:
        alt: what there is to see; if left out, the names of the rows.
        columns: a heading over each picture.
        rows: name (underscores become spaces): (N, C, H, W), pictures in a row.
    Raises:
        ValueError: without a row, for another shape, or a span that does not rise.
    """
    if not rows:
        raise ValueError("rows: expected at least one row of pictures, got none")
    # Underscores are spaces, but for that of a symbol, x_t.
    names = {name: name if re.fullmatch(r"[^\W\d_]_\w", name) else name.replace("_", " ") for name in rows}
    strips = {words(name, names[name]): _tiles(name, images, None, span) for name, images in rows.items()}
    few("rows", rows)
    few("columns", columns or ())
    headings = [words("columns", text) for text in columns or ()]
    margin = 0.3 + 0.115 * max(len(name) for name in strips)  # inches, for the names
    heights = [(WIDTH - margin) * strip.shape[0] / strip.shape[1] for strip in strips.values()]
    scale = min(1.0, 1.6 * len(rows) / sum(heights))
    gap, top = 0.12, 0.35 if headings else 0.05
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
        for i, text in enumerate(headings):
            x = (margin + (i + 0.5) * (width - margin) / len(headings)) / width
            canvas.text(x, 1 - top / height, text, ha="center", va="bottom", fontsize=13)
        said = ", ".join(strips).replace("_", " ")
        return Figure(canvas, alt or f"rows of pictures: {said}", shades=True)


def _tiles(name: str, images: Values, columns: int | None, span: Interval) -> np.ndarray:
    """Pictures in a grid with a light gap between them, all in one row if left out, as one array in [0, 1]."""
    if span[0] >= span[1]:
        raise ValueError(f"span: expected two rising numbers, black and white, got {span}")
    x = as_array(name, images)
    if x.ndim == 3:
        x = x[:, None]
    if x.ndim != 4 or x.shape[1] not in (1, 3) or x.size == 0:
        raise ValueError(f"{name}: expected shape (N, 1 or 3, H, W) or (N, H, W), got {x.shape}")
    x = np.clip((x - span[0]) / (span[1] - span[0]), 0, 1)
    n, channels, height, width = x.shape
    wide = columns or n
    gap, rows = max(1, height // 8), math.ceil(n / wide)
    sheet = np.ones((rows * (height + gap) - gap, wide * (width + gap) - gap, channels))
    for i, image in enumerate(x):
        top, left = (i // wide) * (height + gap), (i % wide) * (width + gap)
        sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return sheet[..., 0] if channels == 1 else sheet
