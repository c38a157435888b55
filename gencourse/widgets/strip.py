"""A strip of stored pictures to slide through: what generators make of the same maps, each trained with another λ."""

import os
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import traitlets

from gencourse import plots
from gencourse.plots.arrays import as_array
from gencourse.widgets.explorer import Checked, Explorer, Tables, pack, refusing
from genlib.arguments import check, checked
from genlib.train.files import file_at

BLUE, ORANGE, GREEN = plots.PALETTE[:3]
PARTS = ("lam", "pictures", "maps", "real")
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

    place = Checked(0, Annotated[int, "[0, 255]"])

    def __init__(
        self, lam: Any, pictures: Any, numbers: Mapping[str, Any], maps: Any, real: Any, place: int | None = None
    ) -> None:
        lam = as_array("lam", lam, None, finite=True)
        L = len(lam)
        if not 1 <= L <= 256 or (np.diff(lam) <= 0).any():
            raise ValueError(f"lam: expected 1 to 256 rising numbers, got {L}: {lam.tolist()[:8]}")
        tables: Tables = {"lam": lam.astype(np.float32)}
        for name in NUMBERS:
            if name not in check("numbers", numbers, Mapping):
                raise ValueError(f"numbers: expected {', '.join(NUMBERS)}, got no {name}")
            tables[name] = as_array("numbers", numbers[name], L, finite=True).astype(np.float32)
        shown = _bytes("pictures", pictures, L, None, None, None)
        tables["pictures"] = shown
        for name, row in (("maps", maps), ("real", real)):
            tables[name] = _bytes(name, row, *shown.shape[1:])[None]
        tables |= {"level": np.arange(L, dtype=np.uint8), "first": np.zeros(L, dtype=np.uint8)}
        self.last = L - 1
        place = check("place", L // 2 if place is None else place, Annotated[int, "[0, {last}]"], last=self.last)
        spec = {"title": "Lambda explorer", "controls": _controls(L), "panels": _panels(tables), "text": TEXT,
                "columns": 2, "rows": "auto auto auto 1fr"}  # fmt: skip
        super().__init__(spec, [pack({}, {})], pack(tables), place=place)

    @classmethod
    @checked
    def load(cls, path: str | os.PathLike, place: int | None = None) -> "LambdaExplorer":
        """A strip that `make runs ONLY=textures_lambda` has stored; the path may lack its ending.

        Raises:
            ValueError: for another file, and for a place outside of the strip.
            FileNotFoundError: if there is none.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        file = file_at("path", os.fspath(path).removesuffix(".safetensors") + ".safetensors")
        try:
            stored = load_file(file)
            missing = [name for name in (*NUMBERS, *PARTS) if name not in stored]
        except SafetensorError:
            missing = ["all of a strip"]
        if missing:
            raise ValueError(f"path: expected a strip, {file} lacks {missing[0]}")
        lam, pictures, maps, real = (stored[name] for name in PARTS)
        return cls(lam, pictures, {name: stored[name] for name in NUMBERS}, maps, real, place)

    @traitlets.validate("place")
    def _check_place(self, proposal: dict[str, Any]) -> int:
        with refusing():
            return check("place", proposal["value"], Annotated[int, "[0, {last}]"], last=self.last)

    def picture(self) -> plots.Figure:
        tables = self.drawn()
        return plots.figure(
            plots.pictures(tables["maps"][0], span=(0, 255), title="maps"),
            plots.pictures(tables["pictures"][self.place], span=(0, 255), title=f"λ = {tables['lam'][self.place]:g}"),
            plots.pictures(tables["real"][0], span=(0, 255), title="real"),
            columns=1, alt=self.text(), title="A still picture: run this cell in Jupyter to play with it",
        )  # fmt: skip


def _bytes(name: str, values: Any, *shape: int | None) -> np.ndarray:
    """Pictures of whole numbers 0..255."""
    pictures = as_array(name, values, *shape)
    if str(getattr(values, "dtype", "")).removeprefix("torch.") != "uint8" or pictures.size == 0:
        raise ValueError(
            f"{name}: expected pictures of uint8, got {getattr(values, 'dtype', 'others')} {pictures.shape}"
        )
    return pictures.astype(np.uint8)


def _controls(L: int) -> list[dict[str, Any]]:
    return [{"name": "place", "label": "λ, weight of L1", "kind": "slider", "of": "lam", "min": 0, "max": L - 1,
             "step": 1, "wide": True}]  # fmt: skip


def _panels(tables: Tables) -> list[dict[str, Any]]:
    n, once = tables["pictures"].shape[1], {"table": "first", "by": "place"}
    x = {"label": "λ, weight of L1", "of": "lam", "min": 0, "max": len(tables["lam"]) - 1}
    top = max(1.0, float(np.ceil(10 * max(tables["detail"].max(), tables["accuracy"].max())) / 10))
    most = float(np.ceil(20 * tables["l1"].max()) / 20)
    return [
        {"kind": "images", "table": "maps", "at": once, "selected": "", "wide": True, "beside": True,
         "alt": f"{n} maps", "label": "maps"},
        {"kind": "images", "table": "pictures", "at": {"table": "level", "by": "place"}, "selected": "",
         "wide": True, "beside": True,
         "alt": f"what the generator that was trained with λ = {{lam@place}} makes of the {n} maps",
         "label": "generated, λ = {lam@place}"},
        {"kind": "images", "table": "real", "at": once, "selected": "", "wide": True, "beside": True,
         "alt": f"real photos of the {n} maps", "label": "real"},
        {"kind": "curves", "marker": "place", "x": x,
         "y": {"min": 0, "max": top, "ticks": [[0, "0"], [0.5, "0.5"], [1, "1"]]},
         "alt": "detail, and the share of windows that show what the map asks for, against λ",
         "curves": [{"table": "detail", "color": BLUE, "label": "detail {detail@place}"},
                    {"table": "accuracy", "color": ORANGE, "label": "accuracy {accuracy@place}"}]},
        {"kind": "curves", "marker": "place", "x": x,
         "y": {"min": 0, "max": most, "ticks": [[0, "0"], [0.2, "0.2"], [0.4, "0.4"]]},
         "alt": "L1 against λ",
         "curves": [{"table": "l1", "color": GREEN, "label": "L1 {l1@place}"}]},
    ]  # fmt: skip
