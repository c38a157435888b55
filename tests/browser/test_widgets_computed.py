"""What a page computes where no kernel is: for any choice, the tables that Python computes with genlib."""

import base64
import itertools
from typing import Any

import numpy as np

from gencourse import widgets
from gencourse.widgets import beta_schedule, coupling_mask
from gencourse.widgets.explorer import Explorer

# `compute` as the widget's module has it, called for many choices: name -> [shape, numbers].
COMPUTE = """async ([script, shared, choices]) => {
  const bytes = Uint8Array.from(atob(shared.data), (c) => c.charCodeAt());
  const source = `${script}\\nexport { compute, unpack };`;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { compute, unpack } = await import(url);
  const tables = unpack({ layout: shared.layout, data: bytes });
  const plain = (x) => (Number.isFinite(x) ? x : String(x));
  return choices.map((key) => Object.fromEntries(Object.entries(compute(key, tables)).map(
    ([name, { data, shape }]) => [name, [data.constructor.name, shape, Array.from(data, plain)]])));
}"""


def computed(page: Any, widget: Explorer, choices: list[dict[str, Any]]) -> list[dict[str, np.ndarray]]:
    shared = {"layout": widget.shared["layout"], "data": base64.b64encode(widget.shared["data"]).decode()}
    answers = page.evaluate(COMPUTE, [str(widget._esm), shared, choices])
    dtypes = {"Float32Array": "float32", "Uint8Array": "uint8"}
    return [
        {
            name: np.array([float(x) for x in numbers], dtype=dtypes[kind]).reshape(shape)
            for name, (kind, shape, numbers) in tables.items()
        }
        for tables in answers
    ]


def random_schedules(many: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(14)

    def between(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    linear = [
        {
            "schedule": "linear",
            "T": int(between(1, 1001)),
            "beta_1": between(1e-4, 0.999),
            "beta_T": between(1e-4, 0.999),
        }
        for _ in range(many)
    ]
    cosine = [{"schedule": "cosine", "T": int(between(1, 1001)), "s": between(1e-3, 0.999)} for _ in range(many)]
    ends = itertools.product((1, 2, 1000), (1e-4, 0.999), (1e-4, 0.999))
    lines = ("linear", "linear, unscaled")
    corners = [{"schedule": s, "T": T, "beta_1": a, "beta_T": b} for s in lines for T, a, b in ends]
    return [*linear, *cosine, *corners, *({"schedule": "cosine", "T": T, "s": 0.008} for T in (1, 2, 1000))]


def test_a_schedule_of_any_choice_is_that_of_python(open_page: Any) -> None:
    widget, choices = widgets.BetaScheduleExplorer(), random_schedules(30)
    for key, tables in zip(choices, computed(open_page("about:blank"), widget, choices), strict=True):
        wanted = beta_schedule._tables(**key)
        assert tables.keys() == wanted.keys()
        for name, table in wanted.items():
            assert tables[name].dtype == table.dtype
            floor = (
                1e-6 if name == "log_snr" else 1e-12
            )  # log-SNR goes through 0; L_T is a difference of numbers near 1
            np.testing.assert_allclose(tables[name], table, rtol=1e-6, atol=floor, err_msg=f"{name} of {key}")


def some_masks() -> list[dict[str, Any]]:
    """Thirty of the 230 choices, among them the largest; the others take minutes, by autograd."""
    fixed = itertools.product(("halves", "checkerboard", "channel"), (True, False), (2, 3, 5, 6))
    drawn = itertools.product((True, False), ((2, 19), (4, 7), (6, 0)))
    return [
        *({"mask": mask, "swap": swap, "size": size} for mask, swap, size in fixed),
        *({"mask": "random", "swap": swap, "size": size, "seed": seed} for swap, (size, seed) in drawn),
    ]


def test_masks_of_any_choice_are_those_of_python(open_page: Any) -> None:
    """To the byte, though Python's patterns come from autograd."""
    widget, choices = widgets.CouplingMaskExplorer(), some_masks()
    for key, tables in zip(choices, computed(open_page("about:blank"), widget, choices), strict=True):
        wanted = coupling_mask._tables(**key)
        assert tables.keys() == wanted.keys()
        for name, table in wanted.items():
            assert tables[name].dtype == table.dtype
            np.testing.assert_array_equal(tables[name], table, err_msg=f"{name} of {key}")
