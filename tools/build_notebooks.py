"""Notebooks from their sources: lectures and solutions executed, labs blank; or check that they still agree.

    build_notebooks.py                  build every notebook
    build_notebooks.py --only NAME      build one (and, for a solution, its lab); may be repeated
    build_notebooks.py --check          build nothing; fail where a notebook's cells differ from its source

A source is a jupytext py:percent file, `lectures/NAME.py` or `solutions/lab_NAME.py`.  In a solution, the lines
between `### BEGIN SOLUTION` and `### END SOLUTION` are the answer; in the lab made from it they are a stub.
Built twice on one machine, a notebook has the same bytes outside cells tagged `nbval-ignore-output`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
import sys
import tempfile
import time
import tokenize
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent

BEGIN, END, STUB = "### BEGIN SOLUTION", "### END SOLUTION", "raise NotImplementedError"
ALMOST_A_MARK = re.compile(r"#+\s*(BEGIN|END)[\s_]*(SOLUTION|ANSWER)S?\b", re.IGNORECASE)

IGNORED_OUTPUT = "nbval-ignore-output"  # nbval does not compare the outputs of cells with this tag
OUTPUT_LIMIT = 400_000  # bytes of one output, with the widget it shows
NOTEBOOK_LIMIT = 1_000_000  # bytes of a whole notebook
CELL_TIMEOUT = 180.0  # seconds

# What a kernel sees while building; `make test` gives the same, so that outputs can be compared.
KERNEL_ENV = {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}
WIDGET_STATE, WIDGET_VIEW = (f"application/vnd.jupyter.widget-{kind}+json" for kind in ("state", "view"))


class NotebookError(Exception):
    """A source or a notebook that must be mended; says which file and which cell."""

    def __init__(self, path: Path, why: str, index: int | None = None, cell: NotebookNode | None = None) -> None:
        where = name_of(path)
        if index is not None and cell is not None:
            first = next((line for line in cell.source.splitlines() if line.strip()), "")
            where += f", cell {index + 1} ({first.strip()[:60]!r})"
        super().__init__(f"{where}: {why}")


def name_of(path: Path) -> str:
    """The path as people write it: relative to the repository, where it lies inside."""
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


# -- From a source to cells


def read_source(path: Path) -> NotebookNode:
    """The notebook, without outputs, that a py:percent file describes; its ids and metadata depend on nothing else."""
    try:
        read = jupytext.read(path, fmt="py:percent")
    except Exception as error:
        raise NotebookError(path, f"jupytext cannot read it: {error}") from error
    for index, cell in enumerate(read.cells):
        # What jupytext keeps in order to write the .py back is of no interest here.
        cell.metadata = NotebookNode(
            {k: v for k, v in cell.metadata.items() if k not in ("lines_to_next_cell", "cell_marker")}
        )
        if not cell.source.strip():
            raise NotebookError(path, "is empty", index, cell)
        if cell.cell_type == "code" and ends_in_semicolon(cell.source):
            raise NotebookError(path, "ends in `;`: nbval would see another output", index, cell)
        for tag in cell.metadata.get("tags", []):
            if tag.startswith("nbval") and tag != IGNORED_OUTPUT:
                raise NotebookError(
                    path, f"has the tag {tag!r}; the only one for nbval is {IGNORED_OUTPUT!r}", index, cell
                )
        check_marks(path, index, cell)
    if not read.cells:
        raise NotebookError(path, "has no cells")
    return number_cells(to_node({"cells": read.cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}))


def to_node(notebook: dict[str, Any]) -> NotebookNode:
    """A copy that shares nothing with its original."""
    node = nbformat.from_dict(json.loads(json.dumps(notebook)))
    assert isinstance(node, NotebookNode)
    return node


def number_cells(notebook: NotebookNode) -> NotebookNode:
    """Give every cell an id made from its content, so that a change elsewhere leaves it alone."""
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return notebook


def ends_in_semicolon(source: str) -> bool:
    """Whether IPython would swallow the cell's value: its last token, comments aside, is `;`."""
    trivia = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.DEDENT}
    try:
        tokens = [t for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type not in trivia]
    except (tokenize.TokenError, SyntaxError):  # a magic, perhaps
        return source.rstrip().endswith(";")
    return bool(tokens) and tokens[-1].string == ";"


def check_marks(path: Path, index: int, cell: NotebookNode) -> None:
    """Marks come in pairs, in this order, inside one code cell of a solution, with an answer between them."""
    begun = answered = False
    for line in cell.source.splitlines():
        mark = line.strip()
        if mark not in (BEGIN, END):
            if ALMOST_A_MARK.search(line):
                raise NotebookError(path, f"{mark!r} is not a mark: write {BEGIN!r} or {END!r}, alone", index, cell)
            answered |= begun and bool(mark)
            continue
        if cell.cell_type != "code" or path.parent.name != "solutions":
            raise NotebookError(path, f"{mark!r} belongs in a code cell of a solution", index, cell)
        if (mark == BEGIN) == begun:
            raise NotebookError(
                path, f"{mark!r} twice in a row" if begun else f"{END!r} without {BEGIN!r}", index, cell
            )
        if begun and not answered:
            raise NotebookError(path, "no answer between the marks", index, cell)
        begun, answered = not begun, False
    if begun:
        raise NotebookError(path, f"{BEGIN!r} without {END!r}", index, cell)


def blank(source: NotebookNode, path: Path) -> NotebookNode:
    """The lab of a solution: each answer is a stub, and nothing else differs."""
    lab = to_node(source)
    for cell in lab.cells:
        lines: list[str] = []
        inside = False
        for line in cell.source.splitlines():
            if line.strip() == BEGIN:
                inside = True
                lines.append(line[: len(line) - len(line.lstrip())] + STUB)
            elif line.strip() == END:
                inside = False
            elif not inside:
                lines.append(line)
        cell.source = "\n".join(lines)
    if all(mine.source == theirs.source for mine, theirs in zip(lab.cells, source.cells, strict=True)):
        raise NotebookError(path, f"has no answer between {BEGIN!r} and {END!r}, so its lab has no exercise")
    return number_cells(lab)


# -- Execution


def execute(notebook: NotebookNode, path: Path, timeout: float) -> NotebookNode:
    """Run every cell in a fresh kernel, in the notebook's own folder, and keep outputs and widgets."""
    notebook = to_node(notebook)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=ERROR", "--HistoryManager.enabled=False"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    env = {k: v for k, v in os.environ.items() if k != "GENLIB_MAX_STEPS"} | KERNEL_ENV
    with tempfile.TemporaryDirectory() as profile, client.setup_kernel(env=env | {"IPYTHONDIR": profile}):
        for index, cell in enumerate(notebook.cells):
            try:
                client.execute_cell(cell, index)
            except CellTimeoutError as error:
                raise NotebookError(path, f"took more than {timeout:g} s", index, cell) from error
            except DeadKernelError as error:
                raise NotebookError(path, "the kernel died", index, cell) from error
            except CellExecutionError as error:
                raise NotebookError(path, f"raised\n{error.traceback}", index, cell) from error
        client.set_widgets_metadata()
    return notebook


def tidy(notebook: NotebookNode, name: str) -> NotebookNode:
    """Take out what differs from one machine or run to the next: versions, time stamps, random widget ids."""
    widgets = notebook.metadata.get("widgets")
    notebook.metadata = to_node(METADATA | ({"widgets": widgets} if widgets else {}))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
    text = json.dumps(notebook)
    for number, model_id in enumerate(widget_models(notebook)):  # in the order of their creation
        text = text.replace(model_id, hashlib.sha256(f"{name} {number}".encode()).hexdigest()[:32])
    return to_node(json.loads(text))


def joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs in which a text that the kernel happened to send in pieces is one again."""
    result: list[NotebookNode] = []
    for output in outputs:
        if result and output.output_type == "stream" and result[-1].get("name") == output.name:
            result[-1].text += output.text
        else:
            result.append(output)
    return result


def widget_models(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """The stored state of every widget model, by its id."""
    return notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})


# -- What a stored notebook must be


def check_outputs(notebook: NotebookNode, path: Path) -> None:
    """Raise where an output is too large, names this machine, changes with every run, shows a picture unnamed, or says
    that the worked answer is wrong."""
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        ignored = IGNORED_OUTPUT in cell.metadata.get("tags", [])
        for output in cell.outputs:
            for why in output_faults(output, ignored):
                raise NotebookError(path, why, index, cell)
            size = len(json.dumps(output)) + widget_size(notebook, output)
            if size > OUTPUT_LIMIT:
                raise NotebookError(
                    path, f"has an output of {size:,} bytes; the limit is {OUTPUT_LIMIT:,}", index, cell
                )
    size = len(to_text(notebook).encode())
    if size > NOTEBOOK_LIMIT:
        raise NotebookError(path, f"would have {size:,} bytes; the limit is {NOTEBOOK_LIMIT:,}")


def output_faults(output: NotebookNode, ignored: bool) -> Iterator[str]:
    """What is wrong with one output, in words; nbval ignores the text of some cells, where it may change."""
    if output.output_type == "error":
        yield f"raised {output.ename}: {output.evalue}"
    if output.output_type == "stream" and output.name == "stderr" and not ignored:
        yield f"writes to stderr: {output.text.strip()[:200]!r}"
    data = output.get("data", {})
    texts = [output.get("text", "")] + [v for k, v in data.items() if k.startswith("text/")]
    for text in texts:
        if (found := re.search(r"\b0x[0-9a-f]{6,}\b", text)) and not ignored:
            yield f"prints a memory address, {found[0]}: give that object a fixed repr"
        if found := re.search(re.escape(str(ROOT)) + r"|/tmp/ipykernel_\d+|/(?:home|Users)/\w+", text):
            yield f"prints a path of this machine, {found[0]!r}"
    if found := re.match(r"(wrong|not attempted): .*(?:\n.*)?", data.get("text/plain", "")):
        yield f"holds an answer that does not pass, {found[0]!r}"
    for kind in data:
        if kind.startswith("image/") and kind != "image/png":
            yield f"shows a figure as {kind}; figures are image/png"
    for image in re.findall(r"<img\b[^>]*>", data.get("text/html", "")):
        if not re.search(r'\balt="[^"]*\w', image):
            yield "shows a figure without alt text"
        if 'src="data:image/png;base64,' not in image:
            yield "shows a figure that is no image/png of its own"
    if "image/png" in data and not output.metadata.get("image/png", {}).get("alt", "").strip():
        yield "shows a figure without alt text"


def widget_size(notebook: NotebookNode, output: NotebookNode) -> int:
    """Bytes of the widget that an output shows, with every model it refers to."""
    models, size, seen = widget_models(notebook), 0, set()
    todo = [output.get("data", {}).get(WIDGET_VIEW, {}).get("model_id")]
    while todo:
        model_id = todo.pop()
        if model_id in models and model_id not in seen:
            seen.add(model_id)
            text = json.dumps(models[model_id])
            size += len(text)
            todo += re.findall(r"IPY_MODEL_(\w+)", text)
    return size


def differences(stored: NotebookNode, source: NotebookNode, *, executed: bool) -> Iterator[str]:
    """In what, in words, a stored notebook differs from what its source says."""
    for number, (mine, theirs) in enumerate(zip(stored.cells, source.cells, strict=False), start=1):
        for key in ("cell_type", "source", "metadata", "id", "attachments"):
            if mine.get(key) != theirs.get(key):
                yield f"cell {number}: {key} is {shorten(mine.get(key))}, the source says {shorten(theirs.get(key))}"
        if mine.cell_type == "code" and not executed and (mine.outputs or mine.execution_count is not None):
            yield f"cell {number}: a blank lab is stored without outputs"
    if len(stored.cells) != len(source.cells):
        yield f"it has {len(stored.cells)} cells, the source {len(source.cells)}"
    counts = [cell.execution_count for cell in stored.cells if cell.cell_type == "code"]
    if executed and counts != list(range(1, len(counts) + 1)):
        yield f"its code cells were not executed once, in order, in a fresh kernel: {shorten(counts)}"
    if {k: v for k, v in stored.metadata.items() if k != "widgets"} != METADATA:
        yield "its metadata is not what build_notebooks.py writes"


def shorten(value: object) -> str:
    """A value as one short line."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def to_text(notebook: NotebookNode) -> str:
    """The notebook as it is stored, which is as JupyterLab would store it: reading it there changes nothing."""
    nbformat.validate(notebook)
    return nbformat.writes(to_node(as_browsers_write(notebook))) + "\n"


def as_browsers_write(value: Any) -> Any:
    """The same, its whole numbers without a point: JavaScript knows one kind of number, and writes 1.0 as 1."""
    if isinstance(value, dict):
        return {key: as_browsers_write(part) for key, part in value.items()}
    if isinstance(value, list):
        return [as_browsers_write(part) for part in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(Decimal(repr(value)))
    return value


def write(path: Path, notebook: NotebookNode) -> None:
    """Store a notebook; whoever reads meanwhile sees the old one or the new one, whole."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    try:
        part.write_text(to_text(notebook), encoding="utf-8", newline="\n")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


# -- The two commands


def sources(root: Path) -> list[Path]:
    """Every source, lectures first."""
    return sorted((root / "lectures").glob("*.py")) + sorted((root / "solutions").glob("*.py"))


def lab_of(path: Path) -> Path | None:
    """Where the lab of a solution lies; None for a lecture."""
    return path.parent.parent / "labs" / f"{path.stem}.ipynb" if path.parent.name == "solutions" else None


def build(path: Path, timeout: float = CELL_TIMEOUT) -> None:
    """Write the notebook of a source and, for a solution, its lab."""
    source = read_source(path)
    lab_path = lab_of(path)
    lab = blank(source, path) if lab_path else None
    executed = tidy(execute(source, path, timeout), path.stem)
    check_outputs(executed, path)
    write(path.with_suffix(".ipynb"), executed)
    if lab_path and lab:
        write(lab_path, lab)


def faults(root: Path) -> list[str]:
    """Everything in which the stored notebooks differ from their sources; empty if nothing does."""
    found: list[str] = []
    expected: set[Path] = set()
    for path in sources(root):
        try:
            source = read_source(path)
            wanted = [(path.with_suffix(".ipynb"), source, True)]
            if lab_path := lab_of(path):
                wanted.append((lab_path, blank(source, path), False))
        except NotebookError as error:
            found.append(str(error))
            expected.update(filter(None, (path.with_suffix(".ipynb"), lab_of(path))))
            continue
        for stored_path, cells, executed in wanted:
            expected.add(stored_path)
            name = name_of(stored_path)
            if not stored_path.exists():
                found.append(f"{name}: is missing")
                continue
            try:
                text = stored_path.read_text(encoding="utf-8")
                stored = nbformat.reads(text, as_version=4)
                found += [f"{name}: {why}" for why in differences(stored, cells, executed=executed)]
                check_outputs(stored, stored_path)
                if text != to_text(stored):
                    found.append(f"{name}: is not written as JupyterLab would write it")
            except NotebookError as error:
                found.append(str(error))
            except (nbformat.reader.NotJSONError, nbformat.ValidationError, AttributeError) as error:
                found.append(f"{name}: is no notebook: {shorten(error)}")
    for folder in ("lectures", "labs", "solutions"):
        for path in sorted((root / folder).glob("*.ipynb")):
            if path not in expected:
                found.append(f"{name_of(path)}: has no source")
    return found


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, build nothing")
    parser.add_argument(
        "--only", metavar="NAME", action="append", help="such as 04_diffusion_models or lab_3_diffusion"
    )
    parser.add_argument("--timeout", type=float, default=CELL_TIMEOUT, help="seconds a cell may take")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    root: Path = args.root.resolve()

    if args.check:
        found = faults(root)
        print(*found, sep="\n", file=sys.stderr, end="\n" if found else "")
        if found:
            print("Mend the source, then run `make notebooks`.", file=sys.stderr)
        return bool(found)

    # A user's own kernel named python3 must not take the place of this environment's.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    names = None if args.only is None else {Path(name).stem for name in args.only}
    chosen = [path for path in sources(root) if names is None or path.stem in names]
    if names is not None and (unknown := names - {path.stem for path in chosen}):
        known = ", ".join(path.stem for path in sources(root)) or "none"
        print(f"--only {sorted(unknown)[0]}: no such source; there are: {known}", file=sys.stderr)
        return 2
    for path in chosen:
        start = time.perf_counter()
        try:
            build(path, args.timeout)
        except NotebookError as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{name_of(path)}: built in {time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
