"""Run a lab as a student left it, and say how its exercises stand.

    make check NOTEBOOK=my_labs/lab_2_flows.ipynb
    python tools/course.py check my_labs/lab_2_flows.ipynb

The notebook is executed from top to bottom in a kernel of its own, with trainings cut short, and is not changed. Then
comes a table of the lab's exercises, with the check that failed and the hint for each wrong one.

Exit status: 0, all exercises passed; 1, some did not; 2, the notebook could not be read, or is no lab.
"""

import argparse
import json
import os
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

STEPS = 20  # of each training: what it takes to see that it runs
CELL_TIMEOUT = 300  # seconds
ASK = """
import json as _json
from gencourse import checks as _checks
print(_json.dumps([vars(_result) for _result in _checks.results({lab!r})]))
"""


class CheckError(Exception):
    """What keeps a notebook from being checked, in one line."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook", type=Path, help="such as my_labs/lab_2_flows.ipynb")
    try:
        path = parser.parse_args(argv).notebook
        notebook = read(path)
        lab = lab_of(notebook, path)
        print(f"{path}: running its cells, each training for {STEPS} steps at most", flush=True)
        results, errors = run(notebook, lab, path.resolve().parent)
    except CheckError as error:
        print(error, file=sys.stderr)
        return 2
    print(table(results, errors))
    return 0 if all(result["state"] == "passed" for result in results) else 1


def read(path: Path) -> Any:
    """The notebook, without its old outputs."""
    import nbformat

    if not path.is_file():
        there = ", ".join(str(p) for p in sorted(Path("my_labs").glob("*.ipynb"))) or "none yet; `make lab` copies them"
        raise CheckError(f"{path}: there is no such file. In my_labs/: {there}")
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:  # whatever nbformat says of a broken file
        raise CheckError(f"{path}: this is no notebook ({type(error).__name__})") from None


def lab_of(notebook: Any, path: Path) -> str:
    """The lab whose exercises the notebook has; found by the exercises, so a file may have any name."""
    from gencourse import checks

    source = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    named = set(re.findall(r"""checks\.exercise\(\s*["']([\w.]+)["']""", source))
    counts: dict[str, int] = {}
    for exercise in checks.exercises():
        counts[exercise.lab] = counts.get(exercise.lab, 0) + (exercise.name in named)
    lab = max(counts, key=lambda name: counts[name])
    if not counts[lab]:
        raise CheckError(f"{path}: there is no exercise in it. Is it a lab?")
    return lab


def run(notebook: Any, lab: str, folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """How each exercise stands, and the errors that other cells ended in."""
    import nbformat
    from nbclient import NotebookClient
    from tqdm import tqdm

    # The kernel's alone: whoever called this keeps the environment that they had.
    env = {"OMP_NUM_THREADS": "1"} | dict(os.environ) | {"GENLIB_MAX_STEPS": str(STEPS), "TQDM_DISABLE": "1"}
    notebook.cells.append(nbformat.v4.new_code_cell(ASK.format(lab=lab)))
    total = sum(cell.cell_type == "code" for cell in notebook.cells)
    # On a terminal there is a bar, for this takes most of a minute; every cell is drawn, however soon it is done.
    with tqdm(total=total, unit="cell", leave=False, disable=None, mininterval=0, miniters=1) as bar:
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            allow_errors=True,
            interrupt_on_timeout=True,
            # The kernel warns that its port is not encrypted: it is this machine's own.
            extra_arguments=["--IPKernelApp.log_level=ERROR", "--HistoryManager.enabled=False"],
            resources={"metadata": {"path": str(folder)}},
            on_cell_complete=lambda **_: bar.update(),
        )
        execute(client, env)
    outputs = [outputs_of(cell) for cell in notebook.cells]
    said = next((text for kind, text in reversed(outputs[-1]) if kind == "stream"), "")
    try:
        results = json.loads(said.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise CheckError("The notebook ran, but its exercises did not answer. Does it import genlib?") from None
    errors = [
        f"cell {number}: {text}"
        for number, cell in enumerate(outputs[:-1], start=1)
        for kind, text in cell
        if kind == "error"
    ]
    return results, errors


def execute(client: Any, env: dict[str, str]) -> None:
    """All cells, in order; errors in cells are kept among their outputs."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    try:
        client.execute(env=env)
    except (CellTimeoutError, DeadKernelError) as error:
        raise CheckError(f"The notebook did not come to its end: {str(error).splitlines()[0]}") from None


def outputs_of(cell: Any) -> list[tuple[str, str]]:
    """("stream", text) or ("error", its name and message), one for each output of a cell."""
    found = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            found.append(("stream", output.text))
        elif output.output_type == "error":
            found.append(("error", f"{output.ename}: {output.evalue}".splitlines()[0]))
    return found


def table(results: list[dict[str, Any]], errors: list[str]) -> str:
    """All exercises, one line each; below a wrong one, what failed and where to look."""
    width = max(len(result["name"]) for result in results)
    sign = {"passed": "✓", "wrong": "✗", "not attempted": "○"}
    lines = []
    for result in results:
        lines.append(f"{sign[result['state']]} {result['name']:<{width}}  {result['state']}")
        if result["state"] != "wrong":
            continue
        for label in ("check", "error", "expected", "got", "hint"):
            if result[label]:
                lines.append(textwrap.indent(wrapped(label, result[label]), " " * 4))
    passed = sum(result["state"] == "passed" for result in results)
    lines.append(f"{passed} of {len(results)} passed")
    if errors:
        lines += ["", "Other cells ended in an error:", *(f"    {error}" for error in errors)]
    return "\n".join(lines)


def wrapped(label: str, text: str) -> str:
    first, *rest = [line for part in text.splitlines() for line in textwrap.wrap(part, 84) or [""]]
    return "\n".join([f"{label:<10}{first}", *(" " * 10 + line for line in rest)])


if __name__ == "__main__":
    sys.exit(main())
