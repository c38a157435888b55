"""The ways back from noise to data, with noise and without: particles over the density that all of them are to have."""

import math
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args

import numpy as np
import torch
import traitlets
from torch import Tensor

from gencourse import plots
from gencourse.widgets.explorer import Checked, Explorer, Tables, keys, one_thread, pack, refusing, script, show, style
from genlib.arguments import check
from genlib.data import GaussianMixture

MIXTURE = GaussianMixture([[-0.8], [0.6]], [[[0.04]], [[0.09]]], [0.35, 0.65])
START = 6.0  # τ = −log ᾱ where they start: σ = 20
FINEST = 64  # steps: their noise is added up for those who take fewer
N, SHOWN = 4096, 64  # particles, and those whose paths are drawn
REACH, TOP, BINS, ROWS = 3.0, 1.0, 60, 120  # x from −3 to 3, densities from 0 to 1, bins, and pixels of the density
UNIT = 4000  # of int16: x = 3
CHANCE = math.sqrt(math.pi / 2) * math.log(2) / math.sqrt(N)  # the mean of Kolmogorov's distribution
BLUE, ORANGE, GREEN = plots.PALETTE[:3]

Number = Literal[4, 8, 16, 32, 64]
STEPS = get_args(Number)
Eta = Annotated[float, "[0, 1.5]"]

CONTROLS: list[dict[str, Any]] = [
    {"name": "taken", "label": "steps taken", "kind": "slider", "min": 0, "max": "steps", "step": 1, "wide": True},
    {"name": "eta", "label": "noise η (0: ODE, 1: SDE)", "kind": "slider", "key": True, "presets": [0.0, 0.5, 1.0, 1.5],
     "choices": [round(0.1 * i, 1) for i in range(16)], "min": 0, "max": 1.5, "step": 0.1},
    {"name": "steps", "label": "number of steps", "kind": "select", "key": True, "presets": list(STEPS)},
]  # fmt: skip

TEXT = (
    "{taken} of {steps} steps with η = {eta}: noise level σ = {sigma@taken}. Between the distribution functions of the "
    f"{N} particles and of the density the largest difference is {{difference@taken}}; as many independent draws from "
    f"the density would differ by {CHANCE:.3f} on average."
)


class WaysBack(Explorer):
    """Take particles from noise back to data, with noise (η > 0) and without (η = 0), in many steps or in few.

    All begin at the same places, spread as the mixture's own density at σ = 20, and each keeps its Brownian path, so
    that two choices differ by η and by the steps alone. The score is the mixture's own. What is drawn behind them, and
    over their histogram, is the density in closed form.

    Args:
        eta: η in 0..1.5: 0 is the probability-flow ODE, 1 Anderson's reverse SDE.
        steps: 4, 8, 16, 32 or 64, by Euler's rule, even in √τ with τ = −log ᾱ.
        taken: how many of them have been taken, 0..steps; all if left out.
    Raises:
        ValueError: for anything else. All arguments are traits: they can be observed, linked and set later.
    Ref: Anderson 1982; Song et al. 2021 (score SDE), §4.3; lecture 05 (10).
    """

    _esm, _css = script("ways_back.js"), style("ways_back.css")

    taken = Checked(16, Annotated[int, f"[0, {FINEST}]"])
    eta = Checked(1.0, Eta)
    steps = Checked(16, Number)

    _computable = traitlets.validate("eta", "steps")(Explorer.computable)

    def __init__(self, eta: float = 1.0, steps: int = 16, taken: int | None = None) -> None:
        taken = check("steps", steps, Number) if taken is None else taken
        spec = {"title": "Ways back explorer", "controls": CONTROLS, "panels": _panels(), "text": TEXT, "columns": 1,
                "rows": "1fr"}  # fmt: skip
        super().__init__(spec, _frames(), pack(_shared()), steps=steps, eta=eta, taken=taken)

    def tables(self, **key: Any) -> Tables:
        return _tables([key["eta"]], key["steps"])[0]

    def picture(self) -> plots.Figure:
        tables, k = self.drawn(), self.taken
        paths = tables["paths"][: k + 1] * (REACH / UNIT)
        at, below = np.arange(k + 1) / self.steps, paths[0] < 0
        level = tables["density"][k * FINEST // self.steps] * (TOP / 255)

        def ways(ax: Any) -> None:
            ax.grid(False)
            shades = tables["density"].T[::-1]
            ax.imshow(shades, extent=(0, 1, -REACH, REACH), cmap="Blues", interpolation="bilinear", aspect="auto")
            for i, path in enumerate(paths.T):
                ax.plot(at, path, color=GREEN if below[i] else ORANGE, lw=0.7, alpha=0.7)
                ax.plot(at[-1:], path[-1:], "o", ms=3, color=GREEN if below[i] else ORANGE)

        def beside(ax: Any) -> None:
            ax.barh(_middles(BINS), tables["counts"][k] * (TOP / 255), 2 * REACH / BINS, color="#BBBBBB", lw=0)
            ax.plot(level, _middles(ROWS), color=BLUE)

        ticks, names = zip(*sorted(_levels()), strict=True)
        y, title = {"ylim": (-REACH, REACH)}, f"at σ = {show(tables['sigma'][k])}"
        axes = {"xlabel": "noise level σ", "ylabel": "x", "xlim": (0, 1), "xticks": ticks, **y}
        density = {"title": title, "xlabel": "density", "xlim": (0, TOP), "xticks": (0, TOP / 2, TOP), **y}
        return plots.figure(
            plots.Panel(_named(ways, names), 1.7, settings={"title": f"η = {self.eta:g}, {self.steps} steps", **axes},
                        shades=True),
            plots.Panel(beside, 0.7, settings=density),
            alt=self.text(), title="A still picture: run this cell in Jupyter to play with it",
        )  # fmt: skip

    @traitlets.validate("taken")
    def _check_taken(self, proposal: dict[str, Any]) -> int:
        with refusing():
            return check("taken", proposal["value"], Annotated[int, "[0, {steps}]"], steps=self.steps)

    @traitlets.observe("steps")
    def _hold_taken(self, change: object) -> None:
        self.taken = min(self.taken, self.steps)


def _named(draw: Any, names: tuple[str, ...]) -> Any:
    def both(ax: Any) -> None:
        draw(ax)
        ax.xaxis.set_major_formatter(lambda _, i: names[i] if i is not None and i < len(names) else "")

    return both


def _levels() -> list[tuple[float, str]]:
    """Where noise levels stand on the axis, which is even in √τ: first the ends, which have to be named."""
    return [(1 - math.sqrt(math.log1p(sigma**2) / START), f"{sigma:g}") for sigma in (20, 0, 1, 5, 0.5, 2, 0.2)]


def _panels() -> list[dict[str, Any]]:
    return [
        {"kind": "ways", "taken": "taken", "steps": "steps", "reach": REACH, "unit": UNIT, "top": TOP,
         "levels": [[max(at, 0.0), text] for at, text in _levels()],
         "label": "noise level σ = √((1 − ᾱ)/ᾱ)",
         "legend": [[BLUE, "density q at σ = {sigma@taken}"], ["var(--bars)", f"{N} particles"],
                    [ORANGE, f"{SHOWN} of them: began above 0"], [GREEN, "below 0"]],
         "alt": f"the paths of {SHOWN} particles over the density at every noise level, after {{taken}} of {{steps}} "
                f"steps with η = {{eta}}; beside them the histogram of {N} at σ = {{sigma@taken}}, and the density"},
    ]  # fmt: skip


def _times(n: int) -> Tensor:
    """τ from START down to 0, n + 1 of them, even in √τ."""
    return torch.linspace(math.sqrt(START), 0, FINEST + 1, dtype=torch.float64)[:: FINEST // n] ** 2


@cache
def _noise() -> tuple[Tensor, Tensor]:
    """Where the particles start, (N, 1): quantiles, with next to no chance in them; and dw, (FINEST, N, 1)."""
    generator = torch.Generator().manual_seed(0)
    many = MIXTURE.noised(math.exp(-START)).sample(100 * N, generator).double()
    dw = torch.randn(FINEST, N, 1, dtype=torch.float64, generator=generator)
    return many.sort(dim=0).values[50::100], dw * (-_times(FINEST).diff()).sqrt()[:, None, None]


def walk(eta: Tensor, n: int) -> Tensor:
    """The particles for each of E values of η: (n + 1, E, N), by Euler's rule in n steps for lecture 05 (10)

        dx = [x/2 + (1 + η²)/2 ∇log q_τ(x)] dτ_back + η dw

    Ref: Anderson 1982; Song et al. 2021 (score SDE), §4.3.
    """
    x_T, fine = _noise()
    dw = fine.view(n, FINEST // n, N).sum(1)
    eta = eta[:, None]
    x = x_T[:, 0].expand(len(eta), N)
    walked = [x]
    for k, (tau, after) in enumerate(pairwise(_times(n).tolist())):
        score = MIXTURE.noised(math.exp(-tau)).score(x.reshape(-1, 1)).view_as(x)
        x = x + (tau - after) * (x / 2 + (1 + eta**2) / 2 * score) + eta * dw[k]
        walked.append(x)
    return torch.stack(walked)


def apart(x: Tensor, q: GaussianMixture) -> float:
    """The largest difference between the distribution functions of numbers x, (N,), and of a mixture on the line."""
    x, i = x.sort().values[:, None], torch.arange(len(x)) / len(x)
    share = torch.special.ndtr((x - q.means[:, 0]) / q.covs[:, 0, 0].sqrt()) @ q.weights
    return float(torch.maximum(share - i, i + 1 / len(x) - share).max())


@one_thread()
def _tables(etas: list[float], steps: int) -> list[Tables]:
    """Everything that is drawn for some η and one number of steps, indexed by the steps taken."""
    tau = _times(steps)
    levels = [MIXTURE.noised(math.exp(-t)) for t in tau.tolist()]
    sigma = torch.expm1(tau).sqrt().float().numpy()
    frames = []
    for x in walk(torch.tensor(etas, dtype=torch.float64), steps).unbind(1):
        counts = torch.stack([row.histc(BINS, -REACH, REACH) for row in x]) * (BINS / (2 * REACH * N))
        difference = [apart(row, q) for row, q in zip(x, levels, strict=True)]
        frames.append({
            "paths": _int16(x[:, N // SHOWN // 2 :: N // SHOWN]),
            "counts": _bytes(counts / TOP),
            "sigma": sigma,
            "difference": np.array(difference, np.float32),
        })  # fmt: skip
    return frames


def _middles(n: int) -> np.ndarray:
    """Of n equal parts of the x axis."""
    return (np.arange(n) + 0.5) * (2 * REACH / n) - REACH


def _int16(x: Tensor) -> np.ndarray:
    return (x * (UNIT / REACH)).round().clamp(1 - 2**15, 2**15 - 1).short().numpy()


def _bytes(share: Tensor) -> np.ndarray:
    return (255 * share).round().clamp(0, 255).byte().numpy()


@cache
def _frames() -> list[dict[str, Any]]:
    etas = next(control["presets"] for control in CONTROLS if control["name"] == "eta")
    tables = {(eta, n): frame for n in STEPS for eta, frame in zip(etas, _tables(etas, n), strict=True)}
    return [pack(tables[key["eta"], key["steps"]], key) for key in keys(CONTROLS)]


@cache
def _shared() -> Tables:
    x = torch.from_numpy(_middles(ROWS))[:, None]
    q = torch.stack([MIXTURE.noised(math.exp(-tau)).log_prob(x).exp() for tau in _times(FINEST).tolist()])
    return {"density": _bytes(q / TOP)}
