"""A trained network under the reader's hand: what the widgets share that compute, with a kernel or without one.

A `LiveModel` holds a network, and says as `graphs()` what is computed with it: modules made of genlib's own functions,
with an example of their inputs. live.js draws noise, asks for one computation after the other, and draws what comes.

- With a kernel, `compute` answers, here.
- On a page or in a deck there is none. There onnxruntime-web runs the same graphs, which tools/live.py has exported;
  both are loaded when the reader asks for it, from the folder that the page names as `globalThis.genlibLive.base`.
- Where neither is at hand, the result that is stored with the widget stays, and a sentence says why.
"""

import base64
import hashlib
import math
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import anywidget
import torch
import traitlets
from torch import Tensor, nn

from gencourse import plots
from gencourse.widgets.explorer import HERE, show
from genlib.arguments import weight
from genlib.common import evaluating

RUNTIME_MB = 5.0  # of onnxruntime-web, as tools/live.py packs it; the button says what it loads
BASE64 = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"


class Graph(NamedTuple):
    """What is computed: a module, an example of its inputs, and the names of what it returns. All is float32,
    unless the module has another dtype."""

    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]


class LiveModel(anywidget.AnyWidget):
    """Base of the live widgets. A subclass has a trait for each control, and says what is computed, and what is drawn.

    Args:
        model: the network; its weights give the assets their name, so that no page runs another one by mistake.
        spec: title, controls, action (on the button), text (a template of the controls' values), megabytes (of its
            assets), pictures that are drawn before anything has run, each (shape, `to_text`), and whatever else its
            JavaScript is told, in plain values.
        tables: what else is drawn then, (name, float32).
    """

    kind = ""  # of network, in the names of the assets

    spec = traitlets.Dict().tag(sync=True)
    still = traitlets.Dict().tag(sync=True)

    def __init__(self, model: nn.Module, spec: dict[str, Any], tables: Mapping[str, Tensor], **values: Any) -> None:
        shapes = {
            name: {key: list(x.shape) for key, x in graph.inputs.items()} for name, graph in self.graphs().items()
        }
        told = {"asset": f"{self.kind}-{fingerprint(model)}", "runtime": RUNTIME_MB, "graphs": shapes}
        super().__init__(spec=spec | told, still=pack(tables), **values)
        self.on_msg(_answer)

    @classmethod
    def script(cls, name: str) -> str:
        """The JavaScript of a live widget."""
        return "\n".join((HERE / file).read_text(encoding="utf-8") for file in ("live.js", name))

    @classmethod
    def style(cls) -> str:
        """The style of all of them."""
        return (HERE / "live.css").read_text(encoding="utf-8")

    def graphs(self) -> dict[str, Graph]:
        """Everything that is computed, by name; the same objects at every call."""
        raise NotImplementedError

    def picture(self) -> plots.Figure:
        """What is drawn first, as a figure that does not move."""
        raise NotImplementedError

    def compute(self, graph: str, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What a graph makes of inputs like its example. Raises: ValueError for another graph, or other inputs."""
        known = self.graphs()
        if graph not in known:
            raise ValueError(f"graph: expected one of {', '.join(known)}, got {graph!r}")
        module, wanted, names = known[graph]
        for name, x in wanted.items():
            came = tuple(inputs[name].shape) if name in inputs else "nothing"
            if came != tuple(x.shape):
                raise ValueError(f"{name}: expected shape {tuple(x.shape)}, got {came}")
        own = weight(module)
        with evaluating(module):
            answers = module(*(inputs[name].to(x if own is None else own) for name, x in wanted.items()))
        return dict(zip(names, answers, strict=True))

    def tables(self) -> dict[str, Tensor]:
        """What is drawn before anything has run."""
        pictures = self.spec.get("pictures", {})
        return unpack(self.still["layout"], self.still["data"]) | {
            name: from_text(text).view(shape) for name, (shape, text) in pictures.items()
        }

    def values(self) -> dict[str, Any]:
        """The value of every control."""
        return {control["name"]: getattr(self, control["name"]) for control in self.spec["controls"]}

    def text(self) -> str:
        """What is drawn first, in words."""
        return self.spec["text"].format(**{name: show(value) for name, value in self.values().items()})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.values().items())})"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        figure = self.picture()
        text = f"{self!r}\n{self.text()}"
        data = {**data, "text/plain": text, "image/png": base64.b64encode(figure.png).decode()}
        size = {"alt": figure.alt, "width": figure.width, "height": figure.height}
        return data, {**metadata, "image/png": size}


def _answer(widget: LiveModel, content: Any, buffers: Sequence[Any]) -> None:
    """The front end asks whether a kernel is there, or for a computation; an exported page gets no answer."""
    if content == "kernel?":
        widget.send("here")
        return
    try:
        tables = widget.compute(content["graph"], unpack(content["layout"], buffers[0]))
        packed = pack(tables)
        widget.send({"id": content["id"], "layout": packed["layout"]}, [packed["data"]])
    except (ValueError, LookupError, TypeError) as error:
        widget.send({"id": content.get("id"), "error": str(error)} if isinstance(content, dict) else "not understood")


def normals(seed: int) -> Callable[..., Tensor]:
    """draw(*shape), of N(0, 1): the numbers that live.js draws for this seed, so that a stored picture is the one that
    the first press draws. Xorshift of 32 bits (Marsaglia 2003), and Box and Muller's transform."""
    stream = _normals(seed)
    return lambda *shape: torch.tensor([next(stream) for _ in range(math.prod(shape))], dtype=torch.float32).view(shape)


def _normals(seed: int) -> Iterator[float]:
    state = ((seed + 1) * 0x9E3779B1 | 1) % 2**32

    def uniform() -> float:  # in (0, 1)
        nonlocal state
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        return (state + 0.5) / 2**32

    for _ in range(20):  # near seeds part
        uniform()
    while True:
        radius, angle = math.sqrt(-2 * math.log(uniform())), 2 * math.pi * uniform()
        yield radius * math.cos(angle)
        yield radius * math.sin(angle)


def pack(tables: Mapping[str, Tensor]) -> dict[str, Any]:
    """Tables in one run of float32 bytes, and their names and shapes."""
    data = b"".join(x.detach().cpu().float().contiguous().numpy().tobytes() for x in tables.values())
    return {"layout": [[name, list(x.shape)] for name, x in tables.items()], "data": data}


def unpack(layout: Sequence[Sequence[Any]], data: Any) -> dict[str, Tensor]:
    """The tables again. Raises: ValueError where there are more bytes or fewer than the shapes say."""
    sizes = [math.prod(shape) for _, shape in layout]
    raw = bytearray(data)
    if len(raw) != 4 * sum(sizes):
        raise ValueError(f"data: expected {4 * sum(sizes)} bytes, got {len(raw)}")
    parts = torch.frombuffer(raw, dtype=torch.float32).split(sizes) if raw else []
    return {name: part.view(shape) for (name, shape), part in zip(layout, parts, strict=True)}


def to_text(pictures: Tensor) -> str:
    """Numbers in [−1, 1] in 64 levels, a character each: a fourth of the bytes that float32 takes, or a fifth in a
    notebook. live_paint.js reads them."""
    levels = ((pictures.detach().cpu().float().flatten() + 1) * 31.5).round().clamp(0, 63)
    return "".join(BASE64[int(level)] for level in levels)


def from_text(text: str) -> Tensor:
    """The numbers again, (N,)."""
    return torch.tensor([BASE64.index(character) / 31.5 - 1 for character in text], dtype=torch.float32)


def fingerprint(model: nn.Module) -> str:
    """Eight digits that tell networks apart: of their weights, in float32."""
    digest = hashlib.sha256()
    for name, x in sorted(model.named_parameters()):
        digest.update(name.encode() + x.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]


def slider(name: str, label: str, least: float, most: float, step: float = 1) -> dict[str, Any]:
    """A control that slides over numbers."""
    return {"name": name, "label": label, "kind": "slider", "min": least, "max": most, "step": step}


def select(name: str, label: str, options: Sequence[Any]) -> dict[str, Any]:
    """A control that chooses among options."""
    return {"name": name, "label": label, "kind": "select", "options": list(options)}


def seed_control() -> dict[str, Any]:
    """The control for the seed of the noise, which live.js draws, with a kernel and without one."""
    return {"name": "seed", "label": "seed", "kind": "number", "min": 0, "max": 9999, "step": 1}
