"""Digits from noise by DDIM: class, number of steps, η and guidance under the reader's hand, drawn step by step."""

from typing import Annotated, Literal, get_args

import torch
from torch import Tensor, nn

from gencourse import plots
from gencourse.widgets.explorer import Checked
from gencourse.widgets.live import Graph, LiveModel, normals, seed_control, select, slider
from genlib import diffusion
from genlib.arguments import checked

N = 16  # digits
STEPS = (1, 2, 5, 10, 20, 50)
Digit = Literal["0 to 9 in turn", "none", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
StepCount = Literal[1, 2, 5, 10, 20, 50]
Eta = Annotated[float, "[0, 1]"]
Weight = Annotated[float, "[0, 5]"]
Seed = Annotated[int, "[0, 9999]"]
TEXT = (
    "16 digits from noise, class: {label}; {steps} steps of DDIM with η = {eta}, guidance w = {guidance}, seed {seed}."
)


class DigitSampler(LiveModel):
    """Draw 16 digits by DDIM, and watch x_t and the network's guess of x_0 on the way.

    Args:
        ddpm: a model of 8 × 8 digits with ten classes and T steps, such as lecture 04b's; guesses of x_0 are clipped.
        label: "0 to 9 in turn", a class, or "none"; `steps`, η and the weight of guidance w: as for `diffusion.ddim`.
        seed: of the noise, which the front end draws.
    Raises: ValueError for anything else. All but ddpm are traits: they can be observed, linked and set later.
    """

    kind = "digits"
    _esm, _css = LiveModel.script("live_digits.js"), LiveModel.style()
    label, steps = Checked("0 to 9 in turn", Digit), Checked(10, StepCount)
    eta, guidance, seed = Checked(0.0, Eta), Checked(1.0, Weight), Checked(0, Seed)

    @checked
    def __init__(
        self,
        ddpm: diffusion.DDPM,
        label: Digit = "0 to 9 in turn",
        steps: StepCount = 10,
        eta: Eta = 0.0,
        guidance: Weight = 1.0,
        seed: Seed = 0,
    ) -> None:
        if ddpm.n_classes != 10 or max(STEPS) > ddpm.schedule.T:
            raise ValueError(
                f"ddpm: expected ten classes and at least {max(STEPS)} steps, got {ddpm.n_classes} classes"
            )
        ddpm.check_shape((N, 1, 8, 8), "ddpm")
        values = {"label": label, "steps": steps, "eta": eta, "guidance": guidance, "seed": seed}
        self._graphs = {"step": _step(ddpm)}
        spec = {
            "title": "Digits from noise, step by step",
            "action": "Draw 16 digits",
            "megabytes": 0.6,
            "controls": [
                select("label", "class", get_args(Digit)), select("steps", "steps", STEPS),
                slider("eta", "η, noise in each step", 0, 1, 0.1), slider("guidance", "w, guidance", 0, 5, 0.5),
                seed_control(),
            ],
            "text": TEXT,
            "labels": {name: _labels(name) for name in get_args(Digit)},
            "chains": {str(n): chain(ddpm.schedule, n) for n in STEPS},
        }  # fmt: skip
        x_0, guess = self._sample(spec["chains"][str(steps)], _labels(label), eta, guidance, seed)
        super().__init__(ddpm, spec, {"x_t": x_0, "guess": guess}, **values)

    def _sample(
        self, chain: list[list[float]], label: list[int], eta: float, w: float, seed: int
    ) -> tuple[Tensor, Tensor]:
        """What live_digits.js draws: x_0, and the last guess of it."""
        draw = normals(seed)
        x_t = guess = draw(N, 1, 8, 8)
        fixed = {"label": torch.tensor(label), "eta": torch.tensor(eta), "guidance": torch.tensor(w)}
        for row in chain:
            inputs = fixed | {"x_t": x_t, "chain": torch.tensor(row), "noise": draw(N, 1, 8, 8)}
            x_t, guess = self.compute("step", inputs).values()
        return x_t, guess

    def graphs(self) -> dict[str, Graph]:
        return self._graphs

    def picture(self) -> plots.Figure:
        alt = f"16 drawn digits. {self.text()}"
        title = "A still picture: run this cell in Jupyter to draw others"
        return plots.figure(plots.pictures(self.tables()["x_t"], columns=8), alt=alt, title=title)


class DDIMStep(nn.Module):
    """One step of DDIM, (27), from the model's own guess: (x_s, x_0-guess), as `diffusion.ddim` goes from t to s.

    `chain` holds t, √ᾱ_s, 1 − ᾱ_s and ρ, the share of the last that is no new noise even with η = 1: σ² is the rest of
    it, η² (1 − ρ) (1 − ᾱ_s). Where ᾱ_t is nearly 0, so is ρ, and in float32 a difference would lose it.
    """

    def __init__(self, ddpm: diffusion.DDPM) -> None:
        super().__init__()
        self.ddpm = ddpm

    def forward(
        self, x_t: Tensor, label: Tensor, chain: Tensor, eta: Tensor, guidance: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        t, signal, variance, kept = chain.unbind()
        each = t.long().expand(len(x_t))
        guess = self.ddpm.guess(x_t, each, label.long(), _Always(guidance), clip=True)  # type: ignore[arg-type]
        of_eps = variance * ((1 - eta) * (1 + eta) + eta.square() * kept)
        sigma = eta * (variance * (1 - kept)).sqrt()
        return signal * guess.x_0 + of_eps.sqrt() * guess.eps + sigma * noise, guess.x_0


class _Always:
    """Guidance in a graph, where the value of w is not known: true, so that both guesses are always made."""

    def __init__(self, value: Tensor) -> None:
        self.value, self.w, self.rescale = value, self, 0.0

    def __radd__(self, one: float) -> Tensor:
        return one + self.value

    def __mul__(self, other: Tensor) -> Tensor:
        return self.value * other


def chain(schedule: diffusion.Schedule, n: int) -> list[list[float]]:
    """Of the n steps that a sampler visits, first T: [t, √ᾱ_s, 1 − ᾱ_s, 1 − β̃/(1 − ᾱ_s)], s the next one."""
    visited = schedule.visited(n)
    few = schedule.respaced(visited)
    variance = few.one_minus_alpha_bar[:-1]  # 0 at the end, where nothing is left to share
    kept = ((variance - few.beta_tilde[1:]) / variance).nan_to_num(0.0).clamp(min=0.0)
    rows = zip(visited, few.sqrt_alpha_bar[:-1], variance, kept, strict=True)
    return [[float(value) for value in row] for row in rows][::-1]


def _labels(name: str) -> list[int]:
    return [i % 10 for i in range(N)] if name == "0 to 9 in turn" else [-1 if name == "none" else int(name)] * N


def _step(ddpm: diffusion.DDPM) -> Graph:
    first = torch.tensor(chain(ddpm.schedule, 10)[0], dtype=torch.float32)
    shapes = {"x_t": (N, 1, 8, 8), "label": (N,), "chain": None, "eta": (), "guidance": (), "noise": (N, 1, 8, 8)}
    zeros = {name: first if shape is None else first.new_zeros(shape) for name, shape in shapes.items()}
    return Graph(DDIMStep(ddpm).eval(), zeros, ("x_s", "x_0"))
