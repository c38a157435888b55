"""pix2pix in colour, on an outline that the reader draws: 32 × 32 pixels, and what the generator makes of them."""

import copy
from typing import Annotated, Literal, get_args

import torch
from torch import Tensor, nn

from gencourse import plots
from gencourse.widgets.explorer import Checked, joined
from gencourse.widgets.live import Graph, LiveModel, from_text, normals, seed_control, select, to_text
from genlib import data, gan
from genlib.arguments import checked

SIDE, BATCH = 32, 16
BLANK = "a blank sheet"
Outline = Literal[
    "crying cat", "angry face", "beating heart", "cow face", "beer mug", "sun behind small cloud", "a blank sheet"
]  # fmt: skip
Seed = Annotated[int, "[0, 9999]"]
TEXT = "An outline, and the colours that the generator gives it"


class OutlinePainter(LiveModel):
    """Draw an outline, and see it in colour.

    Args:
        G: a generator of colours from outlines, `gan.UNetGenerator(1, 3, ...)`, as in lecture 02. Its norms look at a
            batch, so the outline goes through it among fifteen others, always the same. With `noise` one outline has
            many answers, a seed each. Dropout is off here, so that without noise it has one.
        drawing: the outline that one starts from, of `data.emoji("test")`; `seed`: of the noise, which the front end
            draws.
    Raises: ValueError for anything else. Both are traits: they can be observed, linked and set later.
    """

    kind = "outline"
    _esm, _css = joined("live.js", "live_paint.js", "live_outline.js"), joined("live.css", "live_outline.css")
    drawing, seed = Checked("crying cat", Outline), Checked(0, Seed)

    @checked
    def __init__(self, G: gan.UNetGenerator, drawing: Outline = "crying cat", seed: Seed = 0) -> None:
        if G.in_channels != 1 or G.last.out_channels != 3:
            raise ValueError(f"G: expected one channel and three, got {G.in_channels} and {G.last.out_channels}")
        drawings = {name: to_text(outline(name)) for name in get_args(Outline)}
        inputs = {"x": from_text(drawings[drawing]).view(1, 1, SIDE, SIDE)}
        del drawings[BLANK]  # which needs no text
        if G.noise:
            inputs["z"] = normals(seed)(BATCH, G.noise, SIDE, SIDE)
        self._graphs = {"answer": Graph(Colours(G).eval(), inputs, ("y",))}
        y = self.compute("answer", inputs)["y"]
        noise = ", with noise of seed {seed}." if G.noise else "; without noise it has one answer."
        dropout = " Its dropout, which is on elsewhere, is off here." if G.dropout else ""
        spec = {
            "title": "Draw an outline, and see it in colour",
            "action": "Colour it",
            "megabytes": 2.8,
            "controls": [select("drawing", "start from", get_args(Outline)), *([seed_control()] if G.noise else ())],
            "text": TEXT + noise + dropout,
            "drawings": drawings,
            "pictures": {"y": (list(y.shape), to_text(y))},
        }
        super().__init__(G, spec, {}, drawing=drawing, seed=seed)

    def graphs(self) -> dict[str, Graph]:
        return self._graphs

    def picture(self) -> plots.Figure:
        y = self.tables()["y"]
        x = self.graphs()["answer"].inputs["x"]
        return plots.image_rows(
            columns=["outline", "in colour"],
            alt=f"An outline, {self.drawing}, and the same in the colours that the generator gives it.",
            **{"A still picture: run this cell in Jupyter to draw": torch.cat([x.expand_as(y), y])},  # type: ignore
        )


class Colours(nn.Module):
    """G's answer to one outline, among others as in training: y, (1, 3, SIDE, SIDE)."""

    company: Tensor

    def __init__(self, G: gan.UNetGenerator) -> None:
        super().__init__()
        self.G = copy.deepcopy(G)
        self.G.dropout = 0.0  # it would draw numbers of its own
        others = data.emoji("train").x
        self.register_buffer("company", others[:: len(others) // (BATCH - 1)][: BATCH - 1])

    def forward(self, x: Tensor, z: Tensor | None = None) -> tuple[Tensor]:
        return (self.G(torch.cat([x, self.company.to(x)]), z)[:1],)


def outline(name: str) -> Tensor:
    """A held-out outline by its name, (1, SIDE, SIDE)."""
    if name == BLANK:
        return torch.ones(1, SIDE, SIDE)
    names = [each.name for each in data.emoji_names("test")]
    return data.emoji("test").x[names.index(name)]
