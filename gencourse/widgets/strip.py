"""A strip of stored pictures to slide through: what generators make of the same maps, each trained with another λ."""

import os
from typing import Any

import numpy as np
import torch
import traitlets

from gencourse import plots
from gencourse.widgets.explorer import BadValueError, Checked, Explorer, Tables, pack
from genlib.arguments import check_int
from genlib.train.weights import check_file

BLUE, ORANGE, GREEN = plots.PALETTE[:3]
NUMBERS = ("detail", "error", "l1", "accuracy")
TEXT = (
    "λ = {lam@place}: detail {detail@place} of the real photos', error of the log-spectrum {error@place}, "
    "L1 {l1@place}; {accuracy@place} of the windows show what the map asks for."
)


class LambdaExplorer(Explorer):
    """Slide from the smallest λ to the largest, and see what L1 does. All pictures are sent at once: no kernel needed.

    Args:
        lam: λ of each generator, (L,), rising.
        pictures: what each makes of the same maps, (L, n, h, w), uint8: 0 is −1 and 255 is 1.
        numbers: detail, error, l1, accuracy: (L,) each.
        maps, real: those maps as they are to be drawn, and real photos of them, (n, h, w) each, uint8.
        place: which λ is shown first, 0..L − 1; the middle one if left out.
    Raises:
        ValueError: for anything else. `place` is a trait: it can be observed, linked and set later.
    """

    place = Checked(0, lambda name, value: check_int(name, value, 0, 255))

    def __init__(
        self, lam: Any, pictures: Any, numbers: dict[str, Any], maps: Any, real: Any, place: int | None = None
    ) -> None:
        shown = np.asarray(pictures)
        L = len(np.asarray(lam))
        if shown.dtype != np.uint8 or shown.ndim != 4 or len(shown) != L:
            raise ValueError(f"pictures: expected uint8 of shape ({L}, n, h, w), got {shown.dtype} of {shown.shape}")
        rows = {"maps": np.asarray(maps), "real": np.asarray(real)}
        for name, row in rows.items():
            if row.dtype != np.uint8 or row.shape != shown.shape[1:]:
                raise ValueError(f"{name}: expected uint8 of shape {shown.shape[1:]}, got {row.dtype} of {row.shape}")
        missing = [name for name in NUMBERS if len(np.atleast_1d(numbers.get(name, []))) != L]
        if missing:
            raise ValueError(f"numbers: expected {L} of each of {', '.join(NUMBERS)}; wrong or missing: {missing[0]}")
        self.last = L - 1
        place = check_int("place", L // 2 if place is None else place, 0, self.last)
        tables: Tables = {name: np.asarray(numbers[name], dtype=np.float32) for name in NUMBERS}
        tables |= {
            "lam": np.asarray(lam, dtype=np.float32),
            "pictures": shown,
            **{name: row[None] for name, row in rows.items()},
            "level": np.arange(L, dtype=np.uint8),
            "first": np.zeros(L, dtype=np.uint8),
        }
        spec = {"title": "Lambda explorer", "controls": _controls(L), "panels": _panels(tables), "text": TEXT,
                "columns": 2}  # fmt: skip
        super().__init__(spec, [pack({}, {})], pack(tables), place=place)

    @classmethod
    def load(cls, path: str | os.PathLike[str], place: int | None = None) -> "LambdaExplorer":
        """A strip that `make runs ONLY=textures_lambda` has stored; the path may lack its ending."""
        from safetensors.torch import load_file

        stored = load_file(check_file("path", f"{os.fspath(path).removesuffix('.safetensors')}.safetensors"))
        arrays = {name: value.to(value.dtype if value.dtype == torch.uint8 else torch.float32).numpy()
                  for name, value in stored.items()}  # fmt: skip
        numbers = {name: arrays[name] for name in NUMBERS}
        return cls(arrays["lam"], arrays["pictures"], numbers, arrays["maps"], arrays["real"], place)

    @traitlets.validate("place")
    def _check_place(self, proposal: dict[str, Any]) -> int:
        try:
            return check_int("place", proposal["value"], 0, self.last)
        except ValueError as error:
            raise BadValueError(str(error)) from None

    def picture(self) -> plots.Figure:
        tables = self.drawn()
        return plots.figure(
            plots.pictures(tables["maps"][0], span=(0, 255), title="maps"),
            plots.pictures(tables["pictures"][self.place], span=(0, 255), title=f"λ = {tables['lam'][self.place]:g}"),
            plots.pictures(tables["real"][0], span=(0, 255), title="real"),
            columns=1, alt=self.text(), title="A still picture: run this cell in Jupyter to play with it",
        )  # fmt: skip


def _controls(L: int) -> list[dict[str, Any]]:
    label = f"place in the strip (0: smallest λ, {L - 1}: largest)"
    return [{"name": "place", "label": label, "kind": "slider", "min": 0, "max": L - 1, "step": 1, "wide": True}]


def _panels(tables: Tables) -> list[dict[str, Any]]:
    n, once = tables["pictures"].shape[1], {"table": "first", "by": "place"}
    x = {"label": "place in the strip", "min": 0, "max": len(tables["lam"]) - 1}
    top = max(1.0, float(np.ceil(10 * max(tables["detail"].max(), tables["accuracy"].max())) / 10))
    most = float(np.ceil(20 * tables["l1"].max()) / 20)
    return [
        {"kind": "images", "table": "maps", "at": once, "selected": "", "wide": True,
         "alt": f"{n} maps", "label": "maps"},
        {"kind": "images", "table": "pictures", "at": {"table": "level", "by": "place"}, "selected": "", "wide": True,
         "alt": f"what the generator that was trained with λ = {{lam@place}} makes of the {n} maps",
         "label": "generated, λ = {lam@place}"},
        {"kind": "images", "table": "real", "at": once, "selected": "", "wide": True,
         "alt": f"real photos of the {n} maps", "label": "real"},
        {"kind": "curves", "marker": "place", "x": x,
         "y": {"min": 0, "max": top, "ticks": [[0, "0"], [0.5, "0.5"], [1, "1"]]},
         "alt": "detail, and the share of windows that show what the map asks for, against the place in the strip",
         "curves": [{"table": "detail", "color": BLUE, "label": "detail {detail@place}"},
                    {"table": "accuracy", "color": ORANGE, "label": "accuracy {accuracy@place}"}]},
        {"kind": "curves", "marker": "place", "x": x,
         "y": {"min": 0, "max": most, "ticks": [[0, "0"], [0.2, "0.2"], [0.4, "0.4"]]},
         "alt": "L1 against the place in the strip",
         "curves": [{"table": "l1", "color": GREEN, "label": "L1 {l1@place}"}]},
    ]  # fmt: skip
