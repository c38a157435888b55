"""Pictures: in a grid, and in named rows."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from gencourse.plots.arrays import Values, as_array
from gencourse.plots.figures import STYLE, WIDTH, Figure, Panel


def pictures(
    images: Values, *, columns: int | None = None, span: tuple[float, float] = (-1, 1), **settings: Any
) -> Panel:
    """A grid of pictures: (N, 1 or 3, H, W), or (N, H, W); `span` gives the values shown as black and white."""
    tiles = _tiles(images, columns or len(images), span)

    def draw(ax: Axes) -> None:
        ax.imshow(tiles, cmap="gray", vmin=0, vmax=1, interpolation="nearest")

    return Panel(draw, tiles.shape[1] / tiles.shape[0], axis=False, settings=settings, shades=True)


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
        return Figure(canvas, alt or f"rows of pictures: {', '.join(strips)}", shades=True)


def _tiles(images: Values, columns: int, span: tuple[float, float]) -> np.ndarray:
    """Pictures in a grid with a light gap between them, as one array in [0, 1]."""
    x = as_array(images)
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
