"""A flow in both directions: data becomes noise, noise becomes data, and every point keeps its colour."""

from typing import Annotated, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gencourse import plots
from gencourse.widgets.explorer import Checked
from gencourse.widgets.live import Graph, LiveModel, normals, seed_control, select, slider
from genlib import data
from genlib.arguments import check, checked
from genlib.flows import Flow
from genlib.flows.flow import Normal

N = 600  # points; of each direction one more, the reader's own
Direction = Literal["from data to base", "from base to data"]
Temperature = Annotated[float, "[0, 2]"]
Seed = Annotated[int, "[0, 9999]"]
Points = Annotated[Float[Tensor, "N 2"], "[-1e4, 1e4]"]
TEXT = "600 points {direction}, temperature {temperature}, seed {seed}."


class FlowBothWays(LiveModel):
    """Send points through a flow of the plane: data to the base, or the base, scaled by a temperature, to data.

    A point is coloured by its quarter of the base. One more is the reader's: moved in either picture, it shows where
    the flow takes it in the other.

    Args:
        flow: on the plane, without classes, with base N(0, I), such as lecture 03's of the moons.
        x: the data, (600, 2); draws from `data.Moons(std=0.1)` if left out.
        direction; temperature, by which z is multiplied, only from base to data; seed, of z, drawn by the front end.
    Raises: ValueError for anything else. The last three are traits: they can be observed, linked and set later.
    """

    kind = "flow"
    _esm, _css = LiveModel.script("live_flow.js"), LiveModel.style()
    direction, temperature = Checked("from data to base", Direction), Checked(1.0, Temperature)
    seed = Checked(0, Seed)

    @checked
    def __init__(
        self,
        flow: Flow,
        x: Points | None = None,
        direction: Direction = "from data to base",
        temperature: Temperature = 1.0,
        seed: Seed = 0,
    ) -> None:
        if flow.shape != (2,) or flow.n_told or not isinstance(flow.base, Normal):
            raise ValueError(f"flow: expected one of the plane, without classes, with base N(0, I), got {flow.shape}")
        if x is None:
            x = data.Moons(std=0.1).sample(N, generator=torch.Generator().manual_seed(1))
        points: Tensor = check("x", x.to(flow.like()), Annotated[Float[Tensor, "{N} 2"], "finite"], N=N)
        example = {"points": torch.zeros(N + 1, 2, dtype=torch.float32)}
        ways = {"forward": Way(flow, inverse=False), "inverse": Way(flow, inverse=True)}
        self._graphs = {name: Graph(way.eval(), example, ("to",)) for name, way in ways.items()}
        spec = {
            "title": "A flow in both directions",
            "action": "Send 600 points through",
            "megabytes": 0.3,
            "controls": [
                select("direction", "direction", get_args(Direction)),
                slider("temperature", "temperature of the base", 0, 2, 0.1), seed_control(),
            ],
            "text": TEXT,
            "colours": plots.PALETTE[1:5],
        }  # fmt: skip
        tables = {"x": points, "z": self._sent("forward", points)}
        if direction == "from base to data":
            z = temperature * normals(seed)(N, 2)
            tables = {"x": self._sent("inverse", z), "z": z, "data": points}
        super().__init__(flow, spec, tables, direction=direction, temperature=temperature, seed=seed)

    def graphs(self) -> dict[str, Graph]:
        return self._graphs

    def _sent(self, way: str, points: Tensor) -> Tensor:
        """Where the flow takes the points that are not the reader's."""
        return self.compute(way, {"points": torch.cat([points, points.new_zeros(1, 2)])})["to"][:N]

    def picture(self) -> plots.Figure:
        tables = self.tables()
        return plots.figure(
            plots.points({"points": tables["x"]}, title="data x", xlim=(-2, 2), ylim=(-2, 2)),
            plots.points({"points": tables["z"]}, title="base z", xlim=(-4, 4), ylim=(-4, 4)),
            alt=f"Left: 600 points as data. Right: the same points in the base. They went {self.direction}.",
            title="A still picture: run this cell in Jupyter to send points through",
        )


class Way(nn.Module):
    """A flow in one direction: (where the points go,)."""

    def __init__(self, flow: Flow, inverse: bool) -> None:
        super().__init__()
        self.flow, self.inverse = flow, inverse

    def forward(self, points: Tensor) -> tuple[Tensor]:
        to, _ = self.flow.inverse(points) if self.inverse else self.flow(points)
        return (to,)
