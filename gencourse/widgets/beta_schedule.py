"""How a noise schedule spends its steps: β_t, ᾱ_t and the log-SNR, and what they do to real digits."""

import math
from functools import cache
from typing import Annotated, Any, Literal, get_args

import torch
import traitlets
from torch import Tensor

from gencourse import plots
from gencourse.widgets.explorer import Checked, Explorer, Tables, pack, refusing, script
from genlib.arguments import check
from genlib.data import digits
from genlib.diffusion import Schedule
from genlib.diffusion.schedule import MAX_BETA

MAX_T = 1000  # more steps than pixels of a curve would only be slower to draw
Steps = Annotated[int, f"[1, {MAX_T}]"]
Inside = Annotated[float, "(0, 1)"]
LEVELS = 64
PIXELS = 64
BLUE, ORANGE, GREEN = plots.PALETTE[:3]

Named = Literal["linear", "cosine", "linear, unscaled"]
SCHEDULES = get_args(Named)
LINES = {"schedule": [name for name in SCHEDULES if name != "cosine"]}
_STEPS = [*range(1, 10), *range(10, 20, 2), *range(20, 100, 5), *range(100, 500, 20), *range(500, MAX_T + 1, 50)]
_BETAS = [m * 10**e for e in range(-4, -1) for m in (1, 1.5, 2, 3, 5, 7)]
_BETAS = [float(f"{beta:.1e}") for beta in _BETAS]  # 0.005, not 0.0050000000000000001
_OFFSETS = [0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5]

CONTROLS: list[dict[str, Any]] = [
    {"name": "t", "label": "step t", "kind": "slider", "min": 1, "max": "T", "step": 1, "wide": True},
    {"name": "schedule", "label": "schedule", "kind": "select", "key": True, "presets": list(SCHEDULES)},
    {"name": "T", "label": "number of steps T", "kind": "slider", "key": True, "choices": _STEPS,
     "min": 1, "max": MAX_T, "step": 1},
    {"name": "beta_1", "label": "β_1 at T = 1000", "kind": "slider", "key": True, "choices": _BETAS,
     "min": 1e-4, "max": 0.999, "step": 1e-4, "when": LINES},
    {"name": "beta_T", "label": "β_T at T = 1000", "kind": "slider", "key": True, "choices": _BETAS,
     "min": 1e-4, "max": 0.999, "step": 1e-4, "when": LINES},
    {"name": "s", "label": "offset s", "kind": "slider", "key": True, "choices": _OFFSETS,
     "min": 1e-3, "max": 0.999, "step": 1e-3, "when": {"schedule": ["cosine"]}},
    {"name": "digit", "label": "digit", "kind": "select", "presets": list(range(10))},
]  # fmt: skip

_X = {"label": "step t", "min": 0, "max": "T", "first": 1}
_DECADES = [[10.0**e, f"10{sup}"] for e, sup in ((-6, "⁻⁶"), (-4, "⁻⁴"), (-2, "⁻²"), (0, "⁰"))]
PANELS: list[dict[str, Any]] = [
    {"kind": "curves", "marker": "t", "x": _X, "y": {"scale": "log", "min": 1e-6, "max": 1, "ticks": _DECADES},
     "alt": "the variance β_t of one step, on a logarithmic axis",
     "curves": [{"table": "beta", "color": BLUE, "label": "noise added, β_t = {beta@t}"}]},
    {"kind": "curves", "marker": "t", "x": _X, "y": {"min": 0, "max": 1, "ticks": [[0, "0"], [0.5, "0.5"], [1, "1"]]},
     "alt": "ᾱ_t, the share of the signal that is left",
     "curves": [{"table": "alpha_bar", "color": ORANGE, "label": "signal left, ᾱ_t = {alpha_bar@t}"}]},
    {"kind": "curves", "marker": "t", "x": _X,
     "y": {"min": -22, "max": 12, "ticks": [[-20, "−20"], [-10, "−10"], [0, "0"], [10, "10"]]},
     "alt": "the logarithm of the signal-to-noise ratio, in nats",
     "curves": [{"table": "log_snr", "color": GREEN, "label": "log-SNR = {log_snr@t} nats"}]},
    {"kind": "images", "table": "digits", "at": {"table": "level", "by": "t"}, "selected": "digit", "wide": True,
     "alt": "ten digits noised at step {t}", "label": "x_t: digits at step {t}, pixels clipped to [−1, 1]"},
]  # fmt: skip

TEXT = (
    "Step {t} of {T}, {schedule} schedule: β_t = {beta@t}, ᾱ_t = {alpha_bar@t}, log-SNR {log_snr@t} nats. "
    "Digit {digit} after all {T} steps: L_T = {L_T@digit} nats, {L_T_bits@digit} bits/dim."
)


class BetaScheduleExplorer(Explorer):
    """Choose a schedule and walk along it: β_t, ᾱ_t, the log-SNR, and ten real digits at step t.

    All parameters are continuous, in a page or a deck, too: what is drawn there is computed there, by beta_schedule.js,
    which agrees with `diffusion.Schedule`; `drawn`, `text` and `picture` come from `Schedule` itself. L_T is the prior
    term of the chosen digit, `Schedule.prior_kl`.

    Args:
        schedule: "linear", "cosine", or "linear, unscaled".
        T: number of steps, 1..1000.
        beta_1, beta_T: end points of the linear schedule for T = 1000, inside (0, 1). With another T they are
            multiplied by 1000/T, as in `Schedule.linear`; unscaled, they stay as they are.
        s: offset of the cosine schedule, inside (0, 1).
        t: the step, 1..T; a quarter of the way if left out.
        digit: whose L_T is given, 0..9.
    Raises:
        ValueError: for anything else. All arguments are traits: they can be observed, linked and set later.
    """

    _esm, computes = script("beta_schedule.js"), True

    schedule = Checked("linear", Named)
    T = Checked(1000, Steps)
    beta_1 = Checked(1e-4, Inside)
    beta_T = Checked(0.02, Inside)  # noqa: N815
    s = Checked(0.008, Inside)
    t = Checked(250, Steps)
    digit = Checked(3, Annotated[int, "[0, 9]"])

    _computable = traitlets.validate("schedule", "T", "beta_1", "beta_T", "s")(Explorer.computable)

    def __init__(
        self,
        schedule: str = "linear",
        T: int = 1000,
        beta_1: float = 1e-4,
        beta_T: float = 0.02,
        s: float = 0.008,
        t: int | None = None,
        digit: int = 3,
    ) -> None:
        t = max(1, check("T", T, Steps) // 4) if t is None else t
        spec = {"title": "β schedule explorer", "controls": CONTROLS, "panels": PANELS, "text": TEXT,
                "rows": "1fr auto"}  # fmt: skip
        chosen = {"schedule": schedule, "T": T, "beta_1": beta_1, "beta_T": beta_T, "s": s, "t": t, "digit": digit}
        super().__init__(spec, [], _shared(), **chosen)

    def to_schedule(self) -> Schedule:
        """The schedule that is drawn now, to go on with.

        Raises:
            ValueError: where it leaves too little signal to go on with.
        """
        return Schedule(_schedule(**self.key()).beta[1:].tolist())

    def tables(self, **key: Any) -> Tables:
        return _tables(**key)

    def picture(self) -> plots.Figure:
        tables, t, steps = self.drawn(), self.t, range(1, self.T + 1)
        axes = {"xlabel": "step t", "aspect": 2.25, "marks": {f"t = {t}": t}}
        shown = tables["digits"][tables["level"][t]]
        return plots.figure(
            plots.lines(steps, {"β_t": tables["beta"][1:]}, title="noise of one step, β_t",
                        yscale="log", ylim=(1e-6, 1), **axes),
            plots.lines(steps, {"ᾱ_t": tables["alpha_bar"][1:]}, title="signal left, ᾱ_t",
                        ylim=(0, 1.02), **axes),
            plots.lines(steps, {"log-SNR": tables["log_snr"][1:]}, title="log-SNR, nats", **axes),
            plots.pictures(shown, columns=5, span=(0, 255), title=f"digits at step {t}"),
            columns=2, alt=self.text(), title="A still picture: run this cell in Jupyter to play with it",
        )  # fmt: skip

    @traitlets.validate("t")
    def _check_t(self, proposal: dict[str, Any]) -> int:
        with refusing():
            return check("t", proposal["value"], Annotated[int, "[1, {T}]"], T=self.T)

    @traitlets.observe("T")
    def _hold_t(self, change: object) -> None:
        self.t = min(self.t, self.T)


class Shown(Schedule):
    """A schedule to look at, however little signal it leaves."""

    least = 0.0


def _schedule(schedule: str, T: int, **ends: float) -> Schedule:
    if schedule == "linear, unscaled":
        first, last = ends["beta_1" if T > 1 else "beta_T"], ends["beta_T"]
        return Shown(torch.linspace(first, last, T, dtype=torch.float64).clamp(max=MAX_BETA))
    return {"linear": Shown.linear, "cosine": Shown.cosine}[schedule](T=T, **ends)


def _tables(**key: Any) -> Tables:
    """Everything that is drawn for one schedule, indexed by t, or by the digit."""
    schedule = _schedule(**key)
    log_snr = schedule.log_alpha_bar[1:] - schedule.one_minus_alpha_bar[1:].log()
    L_T = schedule.prior_kl(_digits())
    return {
        "beta": schedule.beta.float().numpy(),
        "alpha_bar": schedule.alpha_bar.float().numpy(),
        "log_snr": torch.cat([log_snr.new_full((1,), math.inf), log_snr]).float().numpy(),
        "L_T": L_T.float().numpy(),
        "L_T_bits": (L_T / (PIXELS * math.log(2))).float().numpy(),
        "level": _level(schedule.alpha_bar).byte().numpy(),
    }


@cache
def _digits() -> Tensor:
    """The first digit of every class, (10, 1, 8, 8)."""
    x, label = digits("train")
    return torch.stack([x[label == c][0] for c in range(10)])


# The digits are noised once, at 64 levels of ᾱ that lie evenly in the angle φ, where x_t = cos φ x_0 + sin φ ε. All
# schedules share them: each of their steps shows the nearest level. One ε for all, so that the strip moves smoothly.
def _angle(alpha_bar: Tensor) -> Tensor:
    return torch.arccos(alpha_bar.sqrt()) / (math.pi / 2) * (LEVELS + 1)


def _level(alpha_bar: Tensor) -> Tensor:
    return (_angle(alpha_bar).round() - 1).clamp(0, LEVELS - 1)


@cache
def _shared() -> dict[str, Any]:
    """digits: (64 levels, 10 digits, 8, 8), uint8: 0 is −1 and 255 is 1, beyond which pixels are clipped; power: of
    each digit the sum of its squared pixels, from which L_T follows."""
    angle = torch.arange(LEVELS + 1, dtype=torch.float64) / (LEVELS + 1) * (math.pi / 2)
    alpha_bar = angle.cos() ** 2
    levels = Schedule((1 - alpha_bar[1:] / alpha_bar[:-1]).tolist())
    x_0 = _digits()
    eps = torch.randn(x_0.shape, dtype=x_0.dtype, generator=torch.Generator().manual_seed(0))
    x_t = torch.stack([levels.q_sample(x_0, torch.full((10,), t), eps) for t in range(1, LEVELS + 1)])
    power = x_0.double().square().flatten(1).sum(1)
    pictures = ((x_t[:, :, 0].clamp(-1, 1) + 1) * 127.5).round().byte()
    return pack({"digits": pictures.numpy(), "power": power.float().numpy()})
