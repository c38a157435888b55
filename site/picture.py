"""The course in one picture, drawn: four families over one truth. Wide for a screen, tall for a phone."""

import math
import re
from collections.abc import Iterator
from html import escape

FAMILIES = (
    ("01  Learned losses, VAE", "a bound", "ELBO ≤ log p(x)", "code"),
    ("02  Conditional GAN", "a ratio", "D = log p(x) − log p_G(x)", "game"),
    ("03  Normalizing flow", "the density", "log p(x), exactly", "warp"),
    ("04  Diffusion", "the slope", "ε ~ −∇ log p(x_t)", "chain"),
)
ABOVE = "05  Side by side: the same data, one table, every number with its spread"
TRUTH = ("One truth", "a mixture of Gaussians: its density, its slope and its", "samples are known in closed form")
ALT = (
    "The course in one picture. At the bottom one truth, the density of a mixture of Gaussians that is known in "
    "closed form. On it stand four families, and each learns something of it: the autoencoder a bound of log p of x, "
    "the GAN a ratio of two densities, the flow the density itself, diffusion its slope. Above them all is a "
    "comparison, side by side."
)


def picture() -> str:
    """Both drawings; the page's style shows one of them. Colours are the page's own."""
    return (
        f'<figure class="genlib-picture" role="img" aria-label="{escape(ALT)}">'
        f"{drawing(980, 4, 'wide')}{drawing(380, 1, 'tall')}</figure>"
    )


def drawing(width: int, columns: int, name: str) -> str:
    gap, high, top = 16, 150, 62
    box = (width - gap * (columns - 1)) / columns
    rows = len(FAMILIES) // columns
    ground = top + rows * (high + gap) + 14
    parts = [*above(width)]
    for i, family in enumerate(FAMILIES):
        x, y = (i % columns) * (box + gap), top + (i // columns) * (high + gap)
        parts += panel(x, y, box, high, *family)
    parts += truth(width, ground, columns)
    height = ground + (132 if columns > 1 else 196)
    return f'<svg class="{name}" viewBox="0 0 {width} {height}" aria-hidden="true">{"".join(parts)}</svg>'


def above(width: int) -> Iterator[str]:
    yield f'<rect class="above" x="1" y="1" width="{width - 2}" height="44" rx="8"/>'
    said = ABOVE if width > 500 else ABOVE.split(":")[0]
    yield text(width / 2, 29, said, "middle strong")


def panel(
    x: float, y: float, width: float, height: float, title: str, learns: str, what: str, kind: str
) -> Iterator[str]:
    yield f'<rect class="family" x="{x + 1}" y="{y}" width="{width - 2}" height="{height}" rx="8"/>'
    yield text(x + 14, y + 26, title, "strong")
    yield from GLYPHS[kind](x + width / 2, y + 66)
    yield text(x + 14, y + 116, f"learns {learns}", "")
    yield text(x + 14, y + 138, what, "math")
    yield f'<path class="arrow" d="M{x + width / 2} {y + height + 2}v12m-4 -5l4 5l4 -5"/>'


def truth(width: int, y: float, columns: int) -> Iterator[str]:
    """The density of lecture 04's mixture, and what is known of it."""
    wide = width * (0.45 if columns > 1 else 0.9)
    tall = columns == 1
    yield f'<rect class="truth" x="1" y="{y}" width="{width - 2}" height="{130 if not tall else 194}" rx="8"/>'
    left, floor = 20.0, y + 112
    points = []
    for i in range(121):
        u = -1.2 + 2.6 * i / 120
        p = sum(w * math.exp(-((u - m) ** 2) / 2 / s**2) / s for w, m, s in ((0.68, -0.5, 0.19), (0.32, 0.75, 0.13)))
        points.append(f"{left + wide * i / 120:.1f} {floor - 25 * p:.1f}")
    yield f'<path class="density" d="M{" L".join(points)} Z"/>'
    x, line = (left + wide + 24, y + 44) if not tall else (20, y + 136)
    yield text(x, line, TRUTH[0], "strong")
    said = TRUTH[1:] if not tall else ("a mixture known in closed form:", "density, slope, samples")
    for i, each in enumerate(said):
        yield text(x, line + 22 * (i + 1), each, "")
    if not tall:
        yield text(x, line + 66, "every family is held against it", "")


def text(x: float, y: float, said: str, kind: str) -> str:
    lower = r'<tspan dy="4" font-size="11">\1</tspan><tspan dy="-4">​</tspan>'  # an index; then the line again
    said = re.sub(r"_(\w)", lower, escape(said))
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}">{said}</text>'


def code(x: float, y: float) -> Iterator[str]:  # wide, narrow, wide
    for dx, half in ((-58, 20), (0, 9), (58, 20)):
        yield f'<rect class="glyph" x="{x + dx - 9}" y="{y - half}" width="18" height="{2 * half}" rx="3"/>'
    yield f'<path class="line" d="M{x - 44} {y}h28m-6 -4l6 4l-6 4M{x + 14} {y}h28m-6 -4l6 4l-6 4"/>'


def game(x: float, y: float) -> Iterator[str]:  # two that answer each other
    for dx, name in ((-40, "G"), (40, "D")):
        yield f'<circle class="glyph" cx="{x + dx}" cy="{y}" r="19"/>'
        yield text(x + dx, y + 5, name, "middle strong")
    yield f'<path class="line" d="M{x - 17} {y - 7}h32m-6 -4l6 4l-6 4M{x + 17} {y + 7}h-32m6 -4l-6 4l6 4"/>'


def warp(x: float, y: float) -> Iterator[str]:  # a square grid, and the same bent
    for i in range(4):
        yield f'<path class="line" d="M{x - 76 + 12 * i} {y - 18}v36M{x - 76} {y - 18 + 12 * i}h36"/>'
        yield f'<path class="line" d="M{x + 40 + 12 * i} {y - 18}q9 18 0 36M{x + 40} {y - 18 + 12 * i}q18 7 36 0"/>'
    yield f'<path class="line" d="M{x - 24} {y - 6}h48m-6 -4l6 4l-6 4M{x + 24} {y + 6}h-48m6 -4l-6 4l6 4"/>'


def chain(x: float, y: float) -> Iterator[str]:  # noise becomes one place
    for i in range(5):
        style = f'style="fill-opacity: {0.1 + 0.2 * i:.1f}"'
        yield f'<circle class="glyph" cx="{x - 72 + 36 * i}" cy="{y}" r="{17 - 3 * i}" {style}/>'
    yield f'<path class="line" d="M{x - 80} {y + 27}h160m-6 -4l6 4l-6 4"/>'


GLYPHS = {"code": code, "game": game, "warp": warp, "chain": chain}
