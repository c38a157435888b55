"""Run a blank lab; then every cell twice, and the Look cells again at the end: what is shown has to stay the same.

    python tools/rerun.py                  all labs
    python tools/rerun.py lab_2_flows      some

The blank lab has to run from top to bottom, as its first reader lets it. Then it is filled in with the solution's
answers. Trainings take a few steps. A student comes back to an exercise and runs a cell again: no cell may have changed
what an earlier one needs. Cells whose output depends on trained weights or the clock (`nbval-ignore-output`) have to
run, and no more.
"""

import argparse
import multiprocessing
import os
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
SETTINGS = {"GENLIB_MAX_STEPS": "20", "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
TIMEOUT = 300  # seconds for a cell
QUIET = ["--IPKernelApp.log_level=ERROR", "--HistoryManager.enabled=False"]
IGNORED = "nbval-ignore-output"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labs", nargs="*", help="names such as lab_2_flows")
    every = sorted(path.stem for path in (ROOT / "labs").glob("lab_*.ipynb"))
    names = parser.parse_args(argv).labs or every
    if unknown := set(names) - set(every):
        parser.error(f"expected some of {', '.join(every)}, got {', '.join(sorted(unknown))}")
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1), maxtasksperchild=1) as pool:
        found = []
        for name, faults in zip(names, pool.imap(run, names, chunksize=1), strict=True):
            print(f"{name}: {len(faults)} faults", *faults, sep="\n  ", flush=True)
            found += faults
    return bool(found)


def run(name: str) -> list[str]:
    """What changed when a cell ran again, in words."""
    os.environ.update(SETTINGS)
    blank = kernel_for(nbformat.read(ROOT / "labs" / f"{name}.ipynb", 4))
    faults: list[str] = []
    with blank.setup_kernel():
        for index, cell in enumerate(blank.nb.cells):
            if cell.cell_type == "code":
                shown(blank, cell, index, faults, "blank")
    lab = filled(
        nbformat.read(ROOT / "labs" / f"{name}.ipynb", 4), nbformat.read(ROOT / "solutions" / f"{name}.ipynb", 4)
    )
    client = kernel_for(lab)
    with client.setup_kernel():
        first: dict[int, Any] = {}
        for index, cell in enumerate(lab.cells):
            if cell.cell_type == "code":
                first[index] = shown(client, cell, index, faults, "at first")
                compare(client, cell, index, first[index], faults, "twice in a row")
        for index in looks(lab):
            compare(client, lab.cells[index], index, first[index], faults, "again at the end")
    return faults


def kernel_for(notebook: Any) -> NotebookClient:
    """A kernel of its own."""
    where = {"metadata": {"path": str(ROOT / "labs")}}
    return NotebookClient(notebook, timeout=TIMEOUT, extra_arguments=QUIET, resources=where)


def filled(blank: Any, solution: Any) -> Any:
    """The blank lab with the solution's answers in its exercises."""
    for mine, theirs in zip(blank.cells, solution.cells, strict=True):
        if "raise NotImplementedError" in mine.source:
            mine.source = theirs.source
    return blank


def looks(lab: Any) -> list[int]:
    """The code cells that belong to a **Look.**, **Look again.** or **Measure.**."""
    found, looking = [], False
    for index, cell in enumerate(lab.cells):
        if cell.cell_type == "markdown":
            looking = any(line.startswith(("**Look", "**Measure")) for line in cell.source.splitlines())
        elif looking:
            found.append(index)
    return found


def shown(client: NotebookClient, cell: Any, index: int, faults: list[str], when: str) -> Any:
    """What a cell shows: its texts and pictures."""
    try:
        client.execute_cell(cell, index)
    except Exception as error:  # whatever the cell raised
        faults.append(f"cell {index}, {when}: {type(error).__name__}: {plain(error)}")
        return None
    printed, outputs = "", []  # what is printed comes in pieces, as the clock will have it
    for output in cell.outputs:
        data = output.get("data", {})
        printed += output.get("text", "")
        outputs.append(data.get("image/png") or data.get("text/plain"))
    return printed, [output for output in outputs if output]


def plain(error: Exception) -> str:
    """The last line of an error, without colours."""
    return re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip().splitlines()[-1][:200]


def compare(client: NotebookClient, cell: Any, index: int, before: Any, faults: list[str], when: str) -> None:
    after = shown(client, cell, index, faults, when)
    if after is not None and after != before and IGNORED not in cell.metadata.get("tags", []):
        faults.append(f"cell {index}, {when}: shows something else: {cell.source.strip().splitlines()[0][:80]}")


if __name__ == "__main__":
    sys.exit(main())
