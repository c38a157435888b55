"""What lab 3 measures when both of its trainings have another seed: its solution's own cells, run once for each."""

import json
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from build_notebooks import read_source

from genlib import metrics

ROOT = Path(__file__).parents[1]
SEEDS = (0, 1, 2)
FIRST = ("torch.manual_seed(0)", "seed=0)")  # of each training


def noting(measure: Callable[..., None], found: dict[str, list[Any]], space: dict[str, Any]) -> Callable[..., None]:
    """The lab's `measure`, which keeps what it prints."""

    def note(name: str, x_0: Any) -> None:
        report = metrics.digits_report(x_0, space["label"])
        row = {"accuracy": report.label_accuracy, "Fréchet": report.frechet_multiple, "copying": report.copying}
        found[name].append({what: round(float(value), 4) for what, value in row.items()})
        measure(name, x_0)

    return note


def lab_3_seeds(runs: Path = ROOT / "lectures" / "runs") -> None:
    """Into lab_3_seeds.json: by name, a row for each seed."""
    cells = [c.source for c in read_source(ROOT / "solutions" / "lab_3_diffusion.py").cells if c.cell_type == "code"]
    found: dict[str, list[Any]] = defaultdict(list)
    here = Path.cwd()
    os.chdir(ROOT / "solutions")
    for seed in SEEDS:
        space: dict[str, Any] = {"__name__": "__main__"}
        for cell in cells:
            if "three_seeds(" in cell or "checks.summary(" in cell:  # which show what is made here
                continue
            for first in FIRST:
                cell = cell.replace(first, first.replace("0", str(seed)))
            exec(compile(cell, "lab_3_diffusion", "exec"), space)
            if "def measure(" in cell:
                space["measure"] = noting(space["measure"], found, space)
    os.chdir(here)
    text = json.dumps({"command": "make runs ONLY=lab_3_seeds", "seeds": SEEDS, "numbers": found}, ensure_ascii=False)
    (runs / "lab_3_seeds.json").write_text(text + "\n", encoding="utf-8")
