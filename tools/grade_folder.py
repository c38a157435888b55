"""A folder of submissions is graded: errors before anything starts, progress, tables and pages, a summary."""

import os
import time
from collections import Counter
from pathlib import Path

from grade_people import Submission, submissions
from grade_report import Row, best, number, page_name, write_exercises, write_index, write_page, write_table

from gencourse.grade import Graded, GradeError, cage, grade_all
from gencourse.grade.run import content, labs, named


def run(folder: Path, out: Path, lab: str, system: str | None, jobs: int) -> int:
    """The exit status: 1 where something could not be graded.

    Raises:
        GradeError: if nothing can be graded.
    """
    rows, system, lab = _grade(folder, out, lab, system, jobs)
    pages = _folder(out)
    write_table(out, rows, system, lab)
    write_exercises(pages / "exercises.csv", rows)
    write_index(pages / "index.html", rows)
    _tell(rows)
    print(f"\n{out}: the table, in the form of {system}; {pages / 'index.html'}: a page for each student")
    return 1 if any(graded.problem for _, graded in rows) else 0


def _grade(folder: Path, out: Path, lab: str, system: str | None, jobs: int) -> tuple[list[Row], str, str]:
    """All rows, in the students' order; and whose form and which lab it is."""
    if not folder.is_dir():
        raise GradeError(f"{folder}: there is no such folder.")
    if jobs < 0:
        raise GradeError(f"--jobs: expected a number from 1, got {jobs}.")
    if out.is_dir() or not out.absolute().parent.is_dir() or not os.access(out.absolute().parent, os.W_OK):
        raise GradeError(f"{out}: a table cannot be written there.")
    if lab and lab not in labs():
        raise GradeError(f"There is no {lab}; the labs are {', '.join(labs())}.")
    handed = submissions(folder)
    if not any(not one.problem for one in handed):
        raise GradeError(f"{folder}: there is no notebook in it, nor in its folders.")
    theirs = Counter(found for one in handed if not one.problem and (found := named(one.path)))
    lab = lab or (theirs.most_common(1)[0][0] if theirs else "")
    system = system or Counter(one.system for one in handed).most_common(1)[0][0]
    try:
        _folder(out).mkdir(exist_ok=True)
    except OSError as error:
        raise GradeError(f"{_folder(out)}: {error.strerror}.") from None

    to_do = {one.path: one for one in handed if not one.problem}
    print(f"{len(to_do)} notebooks, {lab or 'no lab in sight'}; each has: {_walls(cage.walls())}", flush=True)
    done: dict[Path, Graded] = {one.path: Graded(one.path, problem=one.problem) for one in handed if one.problem}
    start = time.monotonic()
    for graded in grade_all(list(to_do), lab, jobs):
        done[graded.path] = graded
        _write(out, to_do[graded.path], graded)
        _progress(
            len(done) - len(handed) + len(to_do), len(to_do), to_do[graded.path], graded, time.monotonic() - start
        )
    for one in handed:
        if one.problem:
            _write(out, one, done[one.path])
    return [(one, done[one.path]) for one in handed], system, lab


def _folder(out: Path) -> Path:
    return out.with_name(out.stem + "_reports")


def _write(out: Path, submission: Submission, graded: Graded) -> None:
    write_page(_folder(out) / page_name(submission), submission, graded)


def _walls(walls: list[str]) -> str:
    always = "its own process, bounds on time, memory and output"
    if len(walls) == 4:
        return ", ".join([always, *walls])
    missing = (
        "this system gives it no network, processes or files of its own to be locked in: Python alone refuses them"
    )
    return ", ".join([always, *walls]) + f" ({missing})"


def _progress(done: int, total: int, submission: Submission, graded: Graded, seconds: float) -> None:
    left = seconds / done * (total - done)
    line = f"{done}/{total}  {_shown(submission.student)}: {number(graded.points)} of {number(graded.most)}"
    print(f"{line}   ({graded.seconds:.1f} s; {left / 60:.0f} min left)" if left > 60 else line, flush=True)


def _shown(name: str) -> str:
    """A name that a terminal can print: a file may be called anything."""
    return "".join(c if c.isprintable() else "?" for c in name.encode(errors="replace").decode())[:40]


def _tell(rows: list[Row]) -> None:
    """The summary: what could not be graded, what was refused, which exercises were hard."""
    counted = best(rows)
    graded = [row for row in counted if not row[1].problem]
    print(f"\n{len(counted)} students, {len(rows)} files, {len(graded)} graded")
    if graded:
        points = sorted(one.points for _, one in graded)
        print(f"points: {number(points[0])} to {number(points[-1])}, median {number(points[len(points) // 2])}")
    for submission, one in rows:
        refused = [e.name for e in one.exercises if e.status == "refused"]
        if one.problem:
            print(f"  {_shown(submission.student)}: {one.problem}")
        elif refused:
            print(f"  {_shown(submission.student)}: refused: {', '.join(refused)}")
    for number_of, names in _same_files(rows):
        print(f"  {number_of} students have handed in one and the same file: {names}")
    statuses: dict[str, Counter[str]] = {}
    for _, one in graded:
        for exercise in one.exercises:
            statuses.setdefault(exercise.name, Counter())[exercise.status] += 1
    for name, counts in statuses.items():
        print(f"  {name:<28} {', '.join(f'{n} {status}' for status, n in counts.most_common())}")


def _same_files(rows: list[Row]) -> list[tuple[int, str]]:
    contents: dict[bytes, set[str]] = {}
    for submission, graded in rows:
        if not graded.problem and graded.points:
            contents.setdefault(content(submission.path), set()).add(_shown(submission.student))
    return [(len(names), ", ".join(sorted(names)[:9])) for names in contents.values() if len(names) > 1]
