"""Write the labs as nbgrader's instructor versions: build/nbgrader/source/LAB/LAB.ipynb.

    make nbgrader
    python tools/course.py nbgrader [LAB ...]

Each is a lab's solution, with the marks ### BEGIN SOLUTION and ### END SOLUTION that nbgrader knows, and the metadata
of its schema 3: a cell with an exercise is a solution cell, after it comes a locked cell with the exercise's points
(teach/points.toml) that asks the course's checks, and all other cells are locked. `nbgrader generate_assignment LAB`,
run in build/nbgrader, makes the students' version of it.

nbgrader runs what students hand in; where that is not to be trusted, use `make grade`.
"""

import argparse
import copy
import re
import sys
from pathlib import Path
from typing import Any

import build_notebooks
import nbformat

from gencourse import checks
from gencourse.checks.spec import Exercise
from gencourse.grade import GradeError, points
from gencourse.grade.take import NAMED

ROOT = Path(__file__).resolve().parent.parent
TEST = """# {points:g} points for {name}, which its own cell has examined
from gencourse import checks

result = next(result for result in checks.results("{lab}") if result.name == "{name}")
assert result.state == "passed", str(result)"""


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labs", nargs="*", help="such as lab_2_flows; all of them if not given")
    args = parser.parse_args(argv)
    known = [path.stem for path in sorted((ROOT / "solutions").glob("lab_*.py"))]
    if unknown := [lab for lab in args.labs if lab not in known]:
        print(f"There is no {unknown[0]}; the labs are {', '.join(known)}.", file=sys.stderr)
        return 2
    try:
        worth = points()
        for lab in args.labs or known:
            path = root / "build" / "nbgrader" / "source" / lab / f"{lab}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            notebook = with_metadata(build_notebooks.read_source(ROOT / "solutions" / f"{lab}.py"), worth)
            path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
            tests = [cell for cell in notebook.cells if cell.metadata["nbgrader"]["grade"]]
            total = sum(cell.metadata["nbgrader"]["points"] for cell in tests)
            print(f"{path.relative_to(root)}: {len(tests)} exercises, {total:g} points")
    except (GradeError, build_notebooks.NotebookError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def with_metadata(notebook: Any, worth: dict[str, float]) -> Any:
    """The notebook with nbgrader's metadata, and a cell that asks for the result after each exercise."""
    known = {exercise.name: exercise for exercise in checks.exercises()}
    cells: list[Any] = []
    for cell in notebook.cells:
        cell = copy.deepcopy(cell)
        named = re.findall(NAMED, cell.source) if cell.cell_type == "code" else []
        solution = build_notebooks.BEGIN in cell.source
        mark(cell, "answer_" + _plain(named[0]) if solution and named else f"cell_{cell.id}", solution=solution)
        cells.append(cell)
        cells += [_test(known[name], worth[name]) for name in named if name in known]
    notebook.cells = cells
    return notebook


def _test(exercise: Exercise, points: float) -> Any:
    source = TEST.format(name=exercise.name, lab=exercise.lab, points=points)
    cell = nbformat.v4.new_code_cell(source, id=f"test-{exercise.name.replace('.', '-')}"[:64])
    mark(cell, f"test_{_plain(exercise.name)}", grade=True, points=points)
    return cell


def mark(cell: Any, name: str, *, grade: bool = False, solution: bool = False, points: float | None = None) -> None:
    """nbgrader's metadata: its schema 3."""
    cell.metadata["nbgrader"] = {
        "schema_version": 3,
        "grade_id": name,
        "grade": grade,
        "solution": solution,
        "locked": not solution,
        "task": False,
        "cell_type": cell.cell_type,
        **({} if points is None else {"points": points}),
    }


def _plain(name: str) -> str:
    return name.replace(".", "_")


if __name__ == "__main__":
    sys.exit(main())
