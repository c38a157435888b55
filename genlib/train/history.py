"""What a training leaves behind besides the weights: curves, or the reason why it has ended."""

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from torch import Tensor

from genlib.arguments import checked
from genlib.train.files import file_at, write_whole


@dataclass(repr=False)
class History:
    """The curves of one training, ready to plot: `plots.lines(history.step, {"loss": history.logs["loss"]})`.

    An entry is made every `log_every` steps, and at the end. `logs` are means over the steps since the entry before,
    nan where there is nothing: "loss", or "loss_D" and "loss_G" for several optimizers, and what the objective tells.
    """

    step: list[int] = field(default_factory=list)  # how many were done at each entry
    logs: dict[str, list[float]] = field(default_factory=dict)  # by name
    lr: dict[str, list[float]] = field(default_factory=dict)  # by the optimizer's name, of its first group
    time: list[float] = field(default_factory=list)  # seconds since the start, callbacks not counted
    seconds: float = 0.0  # in all
    command: str = ""  # what to type to repeat it, for a training that is kept
    # The state_dict before the average came into it; None where there was none, and in a history from the disk.
    raw: dict[str, Tensor] | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return f"History of {', '.join(self.logs) or 'nothing yet'}"  # no number that depends on the clock

    def append(self, step: int, time: float, lr: Mapping[str, float], values: Mapping[str, float]) -> None:
        """One more entry; a name without a value gets nan, so that all lists stay of one length."""
        for curves, new in ((self.logs, values), (self.lr, lr)):
            for name in {**curves, **new}:
                curves.setdefault(name, [math.nan] * len(self.step)).append(float(new.get(name, math.nan)))
        self.step.append(step)
        self.time.append(time)
        self.seconds = time

    def to_dict(self) -> dict[str, Any]:
        """All but the weights."""
        return {name: value for name, value in vars(self).items() if name != "raw"}

    @classmethod
    def from_dict(cls, content: Any) -> "History":
        """The inverse of `to_dict`; `ValueError` for anything else."""
        names = cls.__dataclass_fields__.keys() - {"raw"}
        known = isinstance(content, dict) and content.keys() == names
        known = known and isinstance(content["logs"], dict) and isinstance(content["lr"], dict)
        curves = [content["step"], content["time"], *content["logs"].values(), *content["lr"].values()] if known else []
        if not curves or any(not isinstance(curve, list) or len(curve) != len(curves[0]) for curve in curves):
            raise ValueError(f"content: expected curves of one length, in {', '.join(sorted(names))} and nothing else")
        return cls(**content)

    @checked
    def save(self, path: str | os.PathLike) -> None:
        """Write it as JSON; nan becomes null, which JSON knows. `ValueError` for a path that is no file's."""
        plain = _changed(self.to_dict(), lambda x: None if isinstance(x, float) and not math.isfinite(x) else x)
        write_whole(file_at("path", path), json.dumps(plain, indent=0).encode())

    @classmethod
    @checked
    def load(cls, path: str | os.PathLike) -> "History":
        """Read what `save` has written; `ValueError` for any other file."""
        file = file_at("path", path)
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            return cls.from_dict(_changed(content, lambda x: math.nan if x is None else x))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"path: {file} is damaged, or no history ({error})") from None


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during `fit`. The step was finished, the state saved; `history` has the curves so far."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


class NotFiniteError(FloatingPointError):
    """A loss or a gradient is NaN or infinite: training has stopped, the objective is as the last good step left it."""


def scalar(what: str, name: Any, value: Any) -> Any:
    """A number, or a tensor of one, where it is."""
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        value = value.detach().reshape(())
    elif not isinstance(value, Real) or not isinstance(name, str):
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{what}: expected {name!r} to be a scalar, got {got}")
    return value


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """JSON's values with each leaf changed."""
    if isinstance(value, dict):
        return {key: _changed(item, change) for key, item in value.items()}
    return [_changed(item, change) for item in value] if isinstance(value, list) else change(value)
