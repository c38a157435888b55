"""A place for a prediction: a number, a choice, an order, a curve drawn by hand. It is kept, and shown with the result.

    volume = Prediction.choice("By what factor do volumes grow?", ["about 1.1", "about 6", "about 600"])
    volume                          # in a cell of its own: here the reader answers
    volume.compare("about 600")     # in a later cell: the answer beside what came out

The kernel keeps what was answered, under the question: a cell that runs again does not forget it. A page without a
kernel keeps it in the page.
"""

import math
from collections.abc import Sequence
from typing import Any, Self

import anywidget
import torch
import traitlets
from torch import Tensor

from gencourse.widgets.explorer import joined, refusing

POINTS = 41  # of a curve, evenly spaced
Result = float | str | Sequence[str] | Sequence[float] | Tensor

_kept: dict[str, Any] = {}  # the latest answer to each question, or None


class Prediction(anywidget.AnyWidget):
    """One question and its answer.

    Args:
        kind: "number", "choice", "order" or "curve".
        question: what is asked; also the key under which the answer is kept.
        spec: unit of a number; options of a choice or an order; x and y = (least, largest, label) of a curve.
    `value` is None until there is an answer: then a number, one of the options, all of them in an order, or a curve's
    heights at `POINTS` places, None where nothing was drawn.
    """

    _css = joined("prediction.css")
    kind = traitlets.Enum(["number", "choice", "order", "curve"]).tag(sync=True)
    question = traitlets.Unicode().tag(sync=True)
    spec = traitlets.Dict().tag(sync=True)
    value = traitlets.Any(allow_none=True).tag(sync=True)
    result = traitlets.Any(allow_none=True).tag(sync=True)  # what came out; None as long as it is asked

    def __init__(self, kind: str, **values: Any) -> None:
        self._esm = script(kind)
        super().__init__(kind=kind, **values)

    @classmethod
    def number(cls, question: str, unit: str = "") -> Self:
        """A number, in a unit."""
        return cls._asked("number", question, {"unit": unit})

    @classmethod
    def choice(cls, question: str, options: Sequence[str]) -> Self:
        """One of several answers. Raises: ValueError for fewer than two, or two alike."""
        return cls._asked("choice", question, {"options": _options(options)})

    @classmethod
    def order(cls, question: str, options: Sequence[str]) -> Self:
        """Several things, to be put in order. Raises: ValueError for fewer than two, or two alike."""
        return cls._asked("order", question, {"options": _options(options)})

    @classmethod
    def curve(cls, question: str, x: tuple[float, float, str], y: tuple[float, float, str]) -> Self:
        """A curve, drawn with the mouse or the arrow keys: x and y are (least, largest, label).

        Raises: ValueError where the largest is not above the least.
        """
        for name, (least, largest, _) in {"x": x, "y": y}.items():
            if not (math.isfinite(largest - least) and least < largest):
                raise ValueError(f"{name}: expected the least below the largest, got {least} and {largest}")
        return cls._asked("curve", question, {"x": list(x), "y": list(y)})

    @classmethod
    def _asked(cls, kind: str, question: str, spec: dict[str, Any]) -> Self:
        if not (isinstance(question, str) and question.strip()):
            raise ValueError(f"question: expected one, in words, got {question!r}")
        widget = cls(kind=kind, question=question, spec=spec, value=_kept.get(question))
        widget.observe(lambda change: _kept.update({question: change["new"]}), names="value")
        return widget

    def compare(self, result: Result) -> "Prediction":
        """The answer beside what came out, in the same form; of a curve the heights at its `places`.

        Raises: ValueError for a result that is no possible answer.
        """
        beside = Prediction(kind=self.kind, question=self.question, spec=self.spec, value=self.value)
        with refusing():
            beside.result = self._possible(result)
        return beside

    def _possible(self, result: Any) -> Any:
        options, several = self.spec.get("options", []), isinstance(result, list | tuple | Tensor)
        if self.kind == "number" and not several and isinstance(result, int | float):
            return float(result)
        if self.kind == "number" and isinstance(result, Tensor) and result.numel() == 1:
            return float(result)
        if self.kind == "choice" and not several and result in options:
            return result
        if self.kind == "order" and several and len(result) == len(options) and all(o in result for o in options):
            return list(result)
        if self.kind == "curve" and several and len(result) == POINTS:
            return [float(height) for height in result]
        wanted = {"number": "a number", "choice": "one of the options", "order": "all options, in an order"}
        raise ValueError(f"result: expected {wanted.get(self.kind, f'{POINTS} heights')}, got {result!r}")

    @property
    def places(self) -> Tensor:
        """The x of a curve's heights, (POINTS,)."""
        first, last = self.spec["x"][:2]
        return first + (last - first) * torch.arange(POINTS, dtype=torch.float64) / (POINTS - 1)  # 0 is 0 exactly

    def __repr__(self) -> str:
        yours = "no prediction was made" if self.value is None else f"predicted {self._said(self.value)}"
        if self.result is None:
            return f"{self.question}\n  {yours}"
        return f"{self.question}\n  {yours}; it is {self._said(self.result)}"

    def _said(self, value: Any) -> str:
        if self.kind == "number":
            return f"{value:.4g} {self.spec['unit']}".strip()
        if self.kind == "order":
            return ", ".join(value)
        if self.kind == "choice":
            return str(value)
        drawn = [(float(x), y) for x, y in zip(self.places, value, strict=True) if y is not None]
        shown = drawn[:: max(1, len(drawn) // 4)]
        return "a curve through " + ", ".join(f"({x:.3g}, {y:.3g})" for x, y in shown)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        return {**data, "text/plain": repr(self)}, metadata


def script(kind: str) -> str:
    """The JavaScript of one kind: a notebook has many predictions, and stores it for each."""
    return joined("elements.js", *["prediction.js", "prediction_curve.js"][: 1 + (kind == "curve")])


def _options(options: Sequence[str]) -> list[str]:
    words = isinstance(options, list | tuple) and all(isinstance(option, str) for option in options)
    if not words or len(options) < 2 or len(set(options)) < len(options):
        raise ValueError(f"options: expected two strings at least, no two alike, got {options!r}")
    return list(options)
