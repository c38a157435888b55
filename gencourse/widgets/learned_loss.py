"""A loss that is learned: what the best discriminator says of a generator, and where it pushes generated points."""

import math
from functools import cache
from typing import Annotated, Any, Literal

import torch
import traitlets
from torch import Tensor

from gencourse import plots
from gencourse.widgets.explorer import Checked, Explorer, Tables, keys, pack, show
from genlib import gan
from genlib.data import GaussianMixture

BLUE, ORANGE, GREEN, PINK = plots.PALETTE[:4]
LOW, HIGH, N = -4.0, 4.0, 81
REACH = 6.0  # the largest push that is drawn

DATA = {
    "two modes": GaussianMixture([[-1.5], [1.5]], [[[0.09]], [[0.09]]]),
    "one mode": GaussianMixture([[1.0]], [[[0.25]]]),
    "a rare mode": GaussianMixture([[-1.5], [1.5]], [[[0.09]], [[0.09]]], [0.9, 0.1]),
}
_MEANS = [round(-3 + 0.1 * i, 1) for i in range(61)]
_STDS = [0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0]

CONTROLS: list[dict[str, Any]] = [
    {"name": "mean", "label": "mean of the generator", "kind": "slider", "key": True,
     "presets": [-3.0, -1.5, 0.0, 1.5, 3.0], "choices": _MEANS, "min": -3, "max": 3, "step": 0.1},
    {"name": "std", "label": "its standard deviation", "kind": "slider", "key": True, "presets": [0.5, 1.5],
     "choices": _STDS, "min": 0.2, "max": 2, "step": 0.1},
    {"name": "data", "label": "data", "kind": "select", "key": True, "presets": list(DATA)},
    {"name": "place", "label": "generated point y", "kind": "slider", "of": "y", "min": 0, "max": N - 1,
     "step": 1},
]  # fmt: skip

_Y = {"label": "point y", "of": "y", "min": 0, "max": N - 1}
PANELS: list[dict[str, Any]] = [
    {"kind": "curves", "marker": "place", "x": _Y,
     "y": {"min": 0, "max": 1.4, "ticks": [[0, "0"], [0.5, "0.5"], [1, "1"]]},
     "alt": "the densities of the data and of the generator",
     "curves": [{"table": "p", "color": BLUE, "label": "data, p = {p@place}"},
                {"table": "p_G", "color": ORANGE, "label": "generator, p_G = {p_G@place}"}]},
    {"kind": "curves", "marker": "place", "x": _Y,
     "y": {"min": 0, "max": 1, "ticks": [[0, "0"], [0.5, "½"], [1, "1"]]},
     "alt": "the best discriminator's probability that y is real",
     "curves": [{"table": "D", "color": GREEN, "label": "D* = P(real) = {D@place}"}]},
    {"kind": "curves", "marker": "place", "x": _Y,
     "y": {"min": -20, "max": 20, "ticks": [[-20, "−20"], [-10, "−10"], [0, "0"], [10, "10"], [20, "20"]]},
     "alt": "the logarithm of the ratio of the densities, the best discriminator's logit",
     "curves": [{"table": "log_ratio", "color": GREEN, "label": "logit of D*, log p − log p_G = {log_ratio@place}"}]},
    {"kind": "curves", "marker": "place", "x": _Y,
     "y": {"min": -REACH, "max": REACH, "ticks": [[-6, "−6"], [-3, "−3"], [0, "0"], [3, "3"], [6, "6"]]},
     "alt": "where each loss pushes a generated point: minus its gradient; above 0 it is pushed to the right",
     "curves": [{"table": "squared", "color": PINK, "label": "push, squared error {squared@place}"},
                {"table": "minimax", "color": BLUE, "label": "minimax {minimax@place}"},
                {"table": "non_saturating", "color": ORANGE, "label": "non-saturating {non_saturating@place}"}]},
]  # fmt: skip

TEXT = (
    "Generator N({mean}, {std}²), data with {data}. Jensen–Shannon divergence {js@place} nats "
    "(at most log 2 = 0.693); with D* the game is worth {value@place}. At y = {y@place}: D* = {D@place}. A point there "
    "is pushed by {squared@place} under squared error, {minimax@place} under minimax, {non_saturating@place} under the "
    "non-saturating loss (plus: to the right)."
)


class LearnedLossExplorer(Explorer):
    """Move and scale a generator's density: the best discriminator, the divergence, and each loss's push follow.

        logit D* = log p − log p_G        push = −∂loss/∂y at a generated point y, with D* held fixed

    Densities, D* and the divergence come from `data.GaussianMixture`, the losses from `genlib.gan`, their gradients
    from autograd. Squared error is E (y − y')² over the data y': it knows their mean, and nothing else of them. With a
    kernel mean and standard deviation are continuous; without one, in a page or a deck, the presets stay alive.

    Args:
        mean, std: of the generator's Gaussian, in [−3, 3] and [0.2, 2].
        data: "two modes", "one mode" or "a rare mode".
        place: which of 81 points from −4 to 4 is looked at, 0..80.
    Raises:
        ValueError: for anything else. All arguments are traits: they can be observed, linked and set later.
    Ref: Goodfellow et al. 2014, prop. 1 and theorem 1.
    """

    mean = Checked(0.0, Annotated[float, "[-3, 3]"])
    std = Checked(0.5, Annotated[float, "[0.2, 2]"])
    data: traitlets.TraitType = Checked("two modes", Literal["two modes", "one mode", "a rare mode"])
    place = Checked(30, Annotated[int, "[0, 80]"])

    _computable = traitlets.validate("mean", "std", "data")(Explorer.computable)

    def __init__(self, mean: float = 0.0, std: float = 0.5, data: str = "two modes", place: int = 30) -> None:
        spec = {"title": "Learned loss explorer", "controls": CONTROLS, "panels": PANELS, "text": TEXT, "columns": 2,
                "rows": "1fr 1fr"}  # fmt: skip
        super().__init__(spec, _frames(), pack(_shared()), mean=mean, std=std, data=data, place=place)

    def to_densities(self) -> tuple[GaussianMixture, GaussianMixture]:
        """The data's density and the generator's, as they are drawn now, to go on with."""
        return DATA[self.data], _generator(self.mean, self.std)

    def tables(self, **key: Any) -> Tables:
        return _tables(**key)

    def picture(self) -> plots.Figure:
        tables, y = self.drawn(), self.drawn()["y"]
        here = {f"y = {show(y[self.place])}": float(y[self.place])}
        axes = {"xlabel": "point y", "aspect": 1.8, "marks": here, "legend": "below"}
        pushes = {"squared error": tables["squared"], "minimax": tables["minimax"],
                  "non-saturating": tables["non_saturating"]}  # fmt: skip
        return plots.figure(
            plots.lines(y, {"data, p": tables["p"], "generator, p_G": tables["p_G"]}, title="densities",
                        ylim=(0, 1.5), **axes),
            plots.lines(y, {"D*": tables["D"]}, title="best discriminator, P(real)", ylim=(0, 1.02), **axes),
            plots.lines(y, {"logit of D*": tables["log_ratio"]}, title="log p − log p_G", ylim=(-20, 20), **axes),
            plots.lines(y, pushes, title="push on a point, −∂loss/∂y", ylim=(-REACH, REACH), **axes),
            columns=2, alt=self.text(), title="A still picture: run this cell in Jupyter to play with it",
        )  # fmt: skip


def _generator(mean: float, std: float) -> GaussianMixture:
    return GaussianMixture([[mean]], [[[std**2]]])


def _push(loss: Tensor, y: Tensor) -> Tensor:
    """−∂loss/∂y for each point, where the loss is the sum over the points."""
    return -torch.autograd.grad(loss, y, retain_graph=True)[0][:, 0]


def _tables(mean: float, std: float, data: str) -> Tables:
    """Everything that is drawn for one generator, indexed by the place; what has no place stands at all of them."""
    p, p_G = DATA[data], _generator(mean, std)
    y = _positions().requires_grad_()
    logit = gan.best_discriminator(p.optimal_discriminator(y, p_G))
    pushes = {name: _push(N * gan.generator_loss(logit, name), y) for name in ("minimax", "non_saturating")}
    pushes["squared"] = _push((y - p.weights @ p.means).square().sum(), y)
    js = p.jensen_shannon(p_G)
    everywhere = {"js": js, "value": 2 * js - 2 * math.log(2)}
    columns = {
        "p": p.log_prob(y).exp(),
        "p_G": p_G.log_prob(y).exp(),
        "D": logit.sigmoid(),
        "log_ratio": torch.where(logit.abs() < 1e-9, 0.0, logit),  # rounding is not to be read
        **pushes,
        **{name: y.new_full((N,), value) for name, value in everywhere.items()},
    }
    return {name: column.detach().float().numpy() for name, column in columns.items()}


@cache
def _frames() -> list[dict[str, Any]]:
    return [pack(_tables(**key), key) for key in keys(CONTROLS)]


def _positions() -> Tensor:
    return torch.arange(N, dtype=torch.float64)[:, None] / ((N - 1) / (HIGH - LOW)) + LOW  # 0 exactly in the middle


def _shared() -> Tables:
    return {"y": _positions()[:, 0].float().numpy()}
