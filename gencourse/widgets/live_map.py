"""pix2pix on a map that the reader paints: brick, grass and gravel, and four photos of it."""

from typing import Annotated, Literal, get_args

import torch
from torch import Tensor, nn

from gencourse import plots
from gencourse.widgets.explorer import Checked, joined
from gencourse.widgets.live import Graph, LiveModel, normals, seed_control, select, to_text
from genlib import data, gan
from genlib.arguments import checked
from genlib.data.textures import TEXTURES

CELLS, PIXELS = 8, 4  # the map is painted in 8 × 8 cells, each of 4 × 4 pixels
SIDE = CELLS * PIXELS
ANSWERS, BATCH = 4, 16
Drawing = Literal["a wall", "a path in the grass", "three strips", "an island"]
Seed = Annotated[int, "[0, 9999]"]
DRAWINGS: dict[str, str] = {  # b brick, g grass, s gravel (stones)
    "a wall": "gggggggg gggggggg bbbbbbbb bbbbbbbb bbbbbbbb bbbbbbbb ssssssss ssssssss",
    "a path in the grass": "gggssggg gggssggg gggsssgg ggggssgg ggggssgg gggsssgg gggssggg gggssggg",
    "three strips": "bbbgggss bbbgggss bbbgggss bbbgggss bbbgggss bbbgggss bbbgggss bbbgggss",
    "an island": "ssssssss ssssssss ssbbbbss ssbbbbss ssbbbbss ssbbbbss ssssssss ssssssss",
}
TEXT = "Four photos of one map: the same question with four kinds of noise, seed {seed}."


class MapPainter(LiveModel):
    """Paint a map of brick, grass and gravel, and see four photos that the generator makes of it.

    Args:
        G: a generator of photos from maps, `gan.UNetGenerator(3, 1, noise=...)`, as in lecture 02. Its norms look at a
            batch, so the map goes through it four times, among twelve others, always the same.
        drawing: what is on the map at first; `seed`: of the noise, which the front end draws.
    Raises: ValueError for anything else. Both are traits: they can be observed, linked and set later.
    """

    kind = "map"
    _esm, _css = joined("live.js", "live_paint.js", "live_map.js"), joined("live.css")
    drawing, seed = Checked("a wall", Drawing), Checked(0, Seed)

    @checked
    def __init__(self, G: gan.UNetGenerator, drawing: Drawing = "a wall", seed: Seed = 0) -> None:
        if G.in_channels != len(TEXTURES) or not G.noise:
            raise ValueError(f"G: expected 3 channels and noise, got {G.in_channels} and noise={G.noise}")
        x, z = to_map(DRAWINGS[drawing]), torch.zeros(BATCH, G.noise, SIDE, SIDE, dtype=torch.float32)
        self._graphs = {"answer": Graph(Answer(G).eval(), {"x": x, "z": z}, ("y",))}
        y = self.compute("answer", {"x": x, "z": normals(seed)(*z.shape)})["y"]
        spec = {
            "title": "Paint a map, and see photos of it",
            "action": "Make four photos",
            "megabytes": 0.7,
            "controls": [select("drawing", "start from", get_args(Drawing)), seed_control()],
            "text": TEXT,
            "textures": TEXTURES,
            "drawings": {name: classes(rows) for name, rows in DRAWINGS.items()},
            "pixels": PIXELS,
            "pictures": {"y": (list(y.shape), to_text(y))},
        }
        super().__init__(G, spec, {}, drawing=drawing, seed=seed)

    def graphs(self) -> dict[str, Graph]:
        return self._graphs

    def picture(self) -> plots.Figure:
        x = to_map(DRAWINGS[self.drawing])
        tones = (x * x.new_tensor([0.8, 0.0, -0.8])[:, None, None]).sum(1, keepdim=True)  # as in lecture 02
        return plots.figure(
            plots.pictures(tones, title="map"), plots.pictures(self.tables()["y"], title="four photos"),
            alt=f"A map, {self.drawing}, and four photos of it: brick, grass and gravel where the map asks for them.",
            title="A still picture: run this cell in Jupyter to paint",
        )  # fmt: skip


class Answer(nn.Module):
    """G's answers to one map with several z, among other maps as in training: y, (ANSWERS, 1, SIDE, SIDE)."""

    company: Tensor

    def __init__(self, G: gan.UNetGenerator) -> None:
        super().__init__()
        self.G = G
        self.register_buffer("company", data.textures(BATCH - ANSWERS, SIDE, seed=999).x)

    def forward(self, x: Tensor, z: Tensor) -> tuple[Tensor]:
        maps = torch.cat([x.expand(ANSWERS, -1, -1, -1), self.company.to(x)])
        return (self.G(maps, z)[:ANSWERS],)


def classes(rows: str) -> list[int]:
    """Of a drawing's cells, row by row."""
    return ["bgs".index(letter) for letter in rows.replace(" ", "")]


def to_map(rows: str) -> Tensor:
    """A drawing as a label map, (1, 3, SIDE, SIDE), one-hot."""
    cells = torch.tensor(classes(rows)).view(CELLS, CELLS)
    pixels = cells.repeat_interleave(PIXELS, 0).repeat_interleave(PIXELS, 1)
    return nn.functional.one_hot(pixels, len(TEXTURES)).movedim(2, 0)[None].float()
