"""What a training leaves behind besides the weights: curves."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from genlib.train.weights import check_file, replacing


@dataclass(repr=False)
class History:
    """The curves of one training, ready to plot: `plots.lines(history.step, {"loss": history.logs["loss"]})`.

    Attributes:
        step: how many steps were done at each entry; an entry is made every `log_every` steps, and at the end.
        logs: name: one number for each entry, the mean over the steps since the entry before, nan where there is none.
            The loss is "loss", or "loss_D" and "loss_G" where there are several optimizers; others are the task's own.
        lr: optimizer's name: its learning rate at each entry.
        time: seconds since the start at each entry, callbacks not counted.
        seconds: how long the training took in all, callbacks not counted.
        command: what to type to repeat it, for a training that is kept; empty otherwise.

    >>> history = History(step=[10, 20], logs={"loss": [0.5, 0.25]})
    >>> history
    History of loss
    """

    step: list[int] = field(default_factory=list)
    logs: dict[str, list[float]] = field(default_factory=dict)
    lr: dict[str, list[float]] = field(default_factory=dict)
    time: list[float] = field(default_factory=list)
    seconds: float = 0.0
    command: str = ""

    def __repr__(self) -> str:
        return f"History of {', '.join(self.logs) or 'nothing yet'}"  # no number that depends on the clock

    def append(self, step: int, time: float, lr: Mapping[str, float], values: Mapping[str, float]) -> None:
        """One more entry; a name without a value gets nan, so that all lists stay of one length."""
        for curves, new in ((self.logs, values), (self.lr, lr)):
            for name in new:
                curves.setdefault(name, [math.nan] * len(self.step))
            for name, curve in curves.items():
                curve.append(float(new.get(name, math.nan)))
        self.step.append(step)
        self.time.append(time)

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: object) -> "History":
        """The inverse of `to_dict`; `ValueError` for anything else."""
        names = set(cls.__dataclass_fields__)
        if not isinstance(content, dict) or set(content) != names:
            raise ValueError(f"history: expected the entries {', '.join(sorted(names))}, and no others")
        history = cls(**content)
        curves = [history.time, *history.logs.values(), *history.lr.values()]
        if any(not isinstance(curve, list) or len(curve) != len(history.step) for curve in curves):
            raise ValueError("history: expected curves of one length")
        return history

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON; nan becomes null, which JSON knows."""
        with replacing(check_file("path", path)) as part:
            part.write_text(json.dumps(_without_nan(self.to_dict()), indent=0), encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "History":
        """Read what `save` has written; `ValueError` for any other file."""
        path = check_file("path", path)
        try:
            return cls.from_dict(_with_nan(json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"path: {path} is damaged, or no history ({error})") from None


class Means:
    """Means of scalars over some steps. They are added up where they are: a GPU is asked once for all the steps."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor | float] = {}
        self.counts: dict[str, int] = {}

    def add(self, name: str, value: Tensor | float) -> None:
        if isinstance(value, Tensor):
            if value.numel() != 1:
                raise ValueError(f"logs: expected {name!r} to be a scalar, got shape {tuple(value.shape)}")
            value = value.detach().reshape(())
        self.sums[name] = self.sums.get(name, 0.0) + value
        self.counts[name] = self.counts.get(name, 0) + 1

    def pop(self) -> dict[str, float]:
        means = {name: float(value) / self.counts[name] for name, value in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means

    def state_dict(self) -> dict:
        return {"sums": {name: float(value) for name, value in self.sums.items()}, "counts": dict(self.counts)}

    def load_state_dict(self, state: dict) -> None:
        self.sums, self.counts = dict(state["sums"]), dict(state["counts"])


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _with_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_nan(item) for item in value]
    return math.nan if value is None else value
