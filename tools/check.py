"""Run a lab as a student left it, and say how its exercises stand.

    make check NOTEBOOK=my_labs/lab_2_flows.ipynb
    python tools/course.py check my_labs/lab_2_flows.ipynb

The notebook is executed from top to bottom in a kernel of its own, with trainings cut short, and is not changed. Then
comes a table of the lab's exercises, with the check that failed and the hint for each wrong one. What the notebook's
cells do they do with your rights: a notebook of somebody else's is for `make grade`.

Exit status: 0, all exercises passed; 1, some did not; 2, the notebook could not be read, is no lab, or did not come to
its end.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = 20  # of each training: what it takes to see that it runs
CELL_TIMEOUT = 300  # seconds, after which a cell is interrupted
SECOND_TIMEOUT = 20  # seconds, after which a kernel that does not react is killed
LONGEST = 300  # letters of an error
# Into a file: whatever the notebook has made of print and of standard output, it is another one.
ASK = """
import io as _io, json as _json
from gencourse import checks as _checks
with _io.open({answer!r}, "w", encoding="utf-8") as _file:
    _json.dump([vars(_result) for _result in _checks.results({lab!r})], _file)
"""
PANEL = re.compile(r"(passed|wrong|not attempted): ([\w.]+)$", re.MULTILINE)


class CheckError(Exception):
    """What keeps a notebook from being checked, in one line."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook", type=Path, help="such as my_labs/lab_2_flows.ipynb")
    try:
        path = parser.parse_args(argv).notebook
        notebook = read(path)
        lab = lab_of(notebook, path)
        told = f"running its cells with your rights, each training for {STEPS} steps at most"
        print(f"{path}: {told}", flush=True)
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
        notebook = nbformat.read(path, as_version=4)
        assert all(isinstance(cell.source, str) and cell.cell_type for cell in notebook.cells)
    except Exception as error:  # whatever nbformat says of a broken file
        raise CheckError(f"{path}: this is no notebook ({type(error).__name__})") from None
    return notebook


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
    """How each exercise stands, and the errors that other cells ended in.

    Raises:
        CheckError: if the notebook does not come to its end; says at which cell, and how the exercises stood there.
    """
    import nbformat
    from tqdm import tqdm

    # The kernel's alone: whoever called this keeps the environment that they had.
    env = {"OMP_NUM_THREADS": "1"} | dict(os.environ) | {"GENLIB_MAX_STEPS": str(STEPS), "TQDM_DISABLE": "1"}
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch) / "results.json"
        notebook.cells.append(nbformat.v4.new_code_cell(ASK.format(lab=lab, answer=str(answer))))
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        # On a terminal there is a bar, for this takes most of a minute; every cell is drawn, however soon it is done.
        with tqdm(total=len(code), unit="cell", leave=False, disable=None, mininterval=0, miniters=1) as bar:
            client = _client(notebook, folder, lambda **_: bar.update())
            execute(client, env, code)
        try:
            results = json.loads(answer.read_text("utf-8"))
        except (ValueError, OSError):
            said = [text for kind, text in outputs_of(code[-1]) if kind == "error"]
            why = said[0] if said else "does it import genlib?"
            raise CheckError(f"The notebook ran, but its exercises did not answer: {why}") from None
    errors = [
        f"cell {number}: {text}"
        for number, cell in enumerate(code[:-1], start=1)
        for kind, text in outputs_of(cell)
        if kind == "error"
    ]
    return results, errors


def _client(notebook: Any, folder: Path, done: Callable[..., object]) -> Any:
    from nbclient import NotebookClient
    from nbclient.util import ensure_async

    class Client(NotebookClient):
        """A cell that takes too long is interrupted; a kernel that goes on even then is killed."""

        begun: Any = None  # the cell at work
        killed = False

        async def _async_handle_timeout(self, timeout: int, cell: Any = None) -> None:
            assert self.km is not None
            await ensure_async(self.km.interrupt_kernel())
            self._later = asyncio.ensure_future(self._kill(self.task_poll_for_reply))

        async def _kill(self, waiting: Any) -> None:
            await asyncio.sleep(SECOND_TIMEOUT)
            if not waiting.done():
                assert self.km is not None
                self.killed = True
                await ensure_async(self.km.shutdown_kernel(now=True))
                waiting.cancel()

    client = Client(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        allow_errors=True,
        interrupt_on_timeout=True,
        # The kernel warns that its port is not encrypted: it is this machine's own.
        extra_arguments=["--IPKernelApp.log_level=ERROR", "--HistoryManager.enabled=False"],
        resources={"metadata": {"path": str(folder)}},
        on_cell_start=lambda cell, cell_index: setattr(client, "begun", cell),
        on_cell_complete=done,
    )
    return client


def execute(client: Any, env: dict[str, str], code: list[Any]) -> None:
    """All cells, in order; errors in cells are kept among their outputs."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    try:
        client.execute(env=env)
    except (CellTimeoutError, DeadKernelError):
        raise CheckError(_died(client, code)) from None


def _died(client: Any, code: list[Any]) -> str:
    """At which cell the kernel died, and what was done before."""
    number = next((n for n, cell in enumerate(code, start=1) if cell is client.begun), 0)
    if not number:
        return "The notebook did not begin: its kernel did not start."
    first = next((line.strip() for line in code[number - 1].source.splitlines() if line.strip()), "")
    what = f"cell {number} of {len(code) - 1} ({first[:60]!r})" if number < len(code) else "the end"
    if client.killed:
        why = f"The kernel was killed: {what} took more than {CELL_TIMEOUT:g} s, and nothing could interrupt it."
    else:
        why = f"The kernel died in {what}: does it leave Python, or ask for more memory than there is?"
    stood = [
        found.group()
        for cell in code[: number - 1]
        for output in cell.get("outputs", [])
        if (found := PANEL.match(str(output.get("data", {}).get("text/plain", ""))))
    ]
    before = f"The {number - 1} cells before it ran" if number > 2 else f"{number - 1} cell ran before it"
    return "\n".join(
        [why, before + (", and their exercises stood so:" if stood else "."), *(f"    {s}" for s in stood)]
    )


def outputs_of(cell: Any) -> list[tuple[str, str]]:
    """("stream", text) or ("error", its name and message), one for each output of a cell."""
    found = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            found.append(("stream", output.text))
        elif output.output_type == "error":
            line = f"{output.ename}: {output.evalue}".partition("\n")[0]
            found.append(("error", line if len(line) <= LONGEST else f"{line[:LONGEST]} …"))
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
