"""What every widget shares: controls, panels and tables, described here, drawn by panels.js and explorer.js.

A widget is described by data alone, so that its JavaScript needs no formula and no kernel:

- `spec` names the controls (sliders, drop-downs), the panels (curves, pictures, ...), the text below them, how many
  panels stand side by side where there is room, `columns`, 3 if left out, and what each row of them takes of the
  height, `rows`, as CSS says it;
- a *frame* holds the tables that belong to one choice of the controls marked `key`, as float32, int16 or uint8 bytes;
- `frames` are the presets, sent once and drawn without a kernel; `live` is the frame that the kernel adds for any other
  choice;
- `shared` are tables that do not depend on the choice.

A widget may also bring `compute`, a function in JavaScript that makes the tables of any choice: then neither presets
nor a kernel are needed, and what Python computes is what the browser tests hold it against.

Texts are templates: {t} is the value of control t, {beta@t} the entry t of table beta. A control that goes through the
entries of a shared table names it, `of`: its value is a place, and what is shown and typed is the entry.
"""

import base64
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets

from gencourse import plots
from genlib.arguments import check

HERE = Path(__file__).parent
DTYPES = ("float32", "int16", "uint8")
Tables = dict[str, np.ndarray]  # of DTYPES


def script(*more: str) -> str:
    """The JavaScript of an explorer; `more` are files of panels beside curves and images, and of `compute`."""
    return joined("elements.js", "panels.js", *more, "explorer.js")


def style(*more: str) -> str:
    """The style of a widget, and of those panels."""
    return joined("explorer.css", *more)


def joined(*names: str) -> str:
    """Files in one, without indentation and whole lines of comment: a notebook stores them for each widget."""
    text = "\n".join((HERE / name).read_text(encoding="utf-8") for name in names)
    return re.sub(r"^\s*(//.*\n|/\*[\s\S]*?\*/\n)?\s*", "", text, flags=re.MULTILINE)


class BadValueError(traitlets.TraitError, ValueError):
    """A value that a trait cannot take: a `ValueError`, as everywhere in genlib, that traitlets understands too."""


class Checked(traitlets.TraitType):
    """A trait whose values fit an annotation as `genlib.arguments` reads it: `T = Checked(1000, Count)`."""

    def __init__(self, default: object, hint: Any) -> None:
        super().__init__(default_value=default)
        self.hint = hint
        self.tag(sync=True)

    def validate(self, obj: Any, value: Any) -> Any:
        with refusing():
            return check(self.name or "value", value, self.hint)


@contextmanager
def refusing() -> Iterator[None]:
    """A `ValueError` inside is one that traitlets understands, too: it leaves all values as they were."""
    try:
        yield
    except ValueError as error:
        raise BadValueError(str(error)) from None


class Explorer(anywidget.AnyWidget):
    """Base of all widgets. A subclass has `Checked` traits, one for each control, and says what to compute.

    A subclass defines `tables(**key)`, the tables of one frame, and `picture()`, which stands in where no front end is
    at hand; it passes the spec, the preset frames and the shared tables to `super().__init__`, both made by `pack`.
    One whose script brings `compute` says so, `computes`: then no frame is sent.
    """

    computes = False

    _esm = script()
    _css = style()

    spec = traitlets.Dict().tag(sync=True)
    frames = traitlets.List().tag(sync=True)
    live = traitlets.Dict().tag(sync=True)
    shared = traitlets.Dict().tag(sync=True)
    _latest: Mapping[str, Any] = {}  # the frame that was computed last

    def __init__(self, spec: dict, frames: list[dict], shared: dict, **values: Any) -> None:
        super().__init__(spec=spec, frames=frames, shared=shared, **values)
        self.on_msg(_answer)
        self.observe(self._follow, names=[control["name"] for control in spec["controls"] if control.get("key")])
        self._follow()

    def tables(self, **key: Any) -> Tables:
        """The tables of one frame, for one choice of the key controls."""
        raise NotImplementedError

    def picture(self) -> plots.Figure:
        """What is drawn now, as a figure that does not move."""
        raise NotImplementedError

    def values(self) -> dict[str, Any]:
        """The value of every control."""
        return {control["name"]: getattr(self, control["name"]) for control in self.spec["controls"]}

    def key(self, **changed: Any) -> dict[str, Any]:
        """The values that choose the frame: those of the key controls in use. They may be looked at before a change."""
        values = self.values() | changed
        return {c["name"]: values[c["name"]] for c in self.spec["controls"] if c.get("key") and in_use(c, values)}

    def frame(self, key: Mapping[str, Any]) -> Mapping[str, Any]:
        """The tables of a choice: a preset, the one computed last, or one that is computed now."""
        known = (frame for frame in (*self.frames, self._latest) if frame.get("key") == key)
        frame = next(known, None)
        if frame is None:
            with refusing():
                self._latest = frame = pack(self.tables(**key), key)
        return frame

    def drawn(self) -> Tables:
        """The tables that are drawn now, and the shared ones."""
        return {**unpack(self.shared), **unpack(self.frame(self.key()))}

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """What the front end has chosen; where that is refused, it is told what holds still."""
        try:
            super().set_state(sync_data)
        except traitlets.TraitError:
            self.send_state(list(sync_data))
            raise

    def text(self) -> str:
        """What is drawn now, in words."""
        return fill(self.spec["text"], self.values(), self.drawn())

    def __repr__(self) -> str:
        values = self.values()
        shown = (f"{c['name']}={values[c['name']]!r}" for c in self.spec["controls"] if in_use(c, values))
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        figure, text = self.picture(), self.text()
        data = {**data, "text/plain": f"{self!r}\n{text}", "image/png": base64.b64encode(figure.png).decode()}
        size = {"alt": figure.alt, "width": figure.width, "height": figure.height}
        return data, {**metadata, "image/png": size}

    def computable(self, proposal: dict[str, Any]) -> Any:
        """A value of a key control, if it has a frame. Subclasses put `traitlets.validate(*keys)` around it."""
        self.frame(self.key(**{proposal["trait"].name: proposal["value"]}))
        return proposal["value"]

    def _follow(self, change: object = None) -> None:
        """Send the frame of the present choice, unless it is a preset, there already, or computed where it is drawn."""
        if self.computes:
            return
        frame = self.frame(self.key())
        if frame is self._latest and self.live.get("key") != frame["key"]:
            self.live = frame


def _answer(widget: Explorer, content: object, buffers: object) -> None:
    """The front end asks whether a kernel is there; an exported page gets no answer."""
    if content == "kernel?":
        widget.send("here")


def in_use(control: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether a control applies: `when` names the values of other controls that it needs."""
    return all(values[name] in allowed for name, allowed in control.get("when", {}).items())


def keys(controls: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every choice among the presets of the key controls, each once, without those that are not in use."""
    chosen = [control for control in controls if control.get("key")]
    seen = []
    for choice in itertools.product(*(control["presets"] for control in chosen)):
        values = dict(zip((control["name"] for control in chosen), choice, strict=True))
        key = {control["name"]: values[control["name"]] for control in chosen if in_use(control, values)}
        if key not in seen:
            seen.append(key)
            yield key


def pack(tables: Tables, key: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A frame as explorer.js reads it: its key, its tables in one run of bytes, and their names, types and shapes."""
    for name, table in tables.items():
        if table.dtype.name not in DTYPES:
            raise ValueError(f"{name}: expected dtype {', '.join(DTYPES)}, got {table.dtype}")
    layout = [[name, table.dtype.name, list(table.shape)] for name, table in tables.items()]
    return {"key": dict(key or {}), "layout": layout, "data": b"".join(table.tobytes() for table in tables.values())}


def unpack(frame: Mapping[str, Any]) -> Tables:
    """The tables again."""
    tables, start = {}, 0
    for name, dtype, shape in frame["layout"]:
        tables[name] = np.frombuffer(frame["data"], dtype, math.prod(shape), start).reshape(shape)
        start += tables[name].nbytes
    return tables


def fill(template: str, values: Mapping[str, Any], tables: Tables) -> str:
    """A template with its numbers in place, to the letter what explorer.js writes."""

    def number(match: re.Match) -> str:
        name, at = match.groups()
        return show(tables[name][values[at]] if at else values[name])

    return re.sub(r"\{(\w+)(?:@(\w+))?\}", number, template)


def show(value: Any) -> str:
    """Three significant digits; whole numbers and words as they are; yes or no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    number = float(value)
    if not math.isfinite(number):
        text = "undefined" if math.isnan(number) else "∞" if number > 0 else "-∞"
    elif number.is_integer() and abs(number) < 1e6:
        text = str(int(number))
    elif 1e-3 <= abs(number) < 999.5:
        text = f"{number:#.3g}".rstrip(".")
    else:
        digits, exponent = f"{number:.2e}".split("e")
        text = f"{digits}e{int(exponent):+d}"
    return text.replace("-", "−")


@contextmanager
def one_thread() -> Iterator[None]:
    """For matrices this small several threads only wait for each other: on busy cores, ten times as long."""
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(threads)
