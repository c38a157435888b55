"""Whose submission a file is: what Moodle, Canvas or a person called it."""

import re
from dataclasses import dataclass
from pathlib import Path

# What Moodle calls a student's folder, or the file itself, in "Download all submissions".
MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_\w+")
# What Canvas calls a file in "Download Submissions": doejane_LATE_123_456_lab.ipynb.
CANVAS = re.compile(r"(?P<name>[^_]+)_(?:LATE_)?(?P<id>\d+)_\d+_(?P<file>.+)", re.DOTALL)
SKIPPED = {"__MACOSX", ".ipynb_checkpoints", "Thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Submission:
    """A file, whose it is, and why it is none that can be graded, if so."""

    path: Path
    student: str
    id: str = ""
    system: str = "plain"  # or "moodle", "canvas"
    problem: str = ""


def submissions(folder: Path) -> list[Submission]:
    """Every notebook below the folder; and a line, with a problem, for what holds none.

    A file of a student who has handed in a notebook as well needs no line of its own.
    """
    found: list[Submission] = []
    for top in sorted(folder.iterdir()):
        if top.name in SKIPPED or top.name.startswith("."):
            continue
        files = [top]
        if top.is_dir() and not top.is_symlink():
            files = sorted(p for p in top.rglob("*") if not _skipped(p, folder) and (p.is_symlink() or not p.is_dir()))
        notebooks = [path for path in files if path.suffix.lower() == ".ipynb"]
        for path in notebooks:
            problem = "it is a link, which is not followed" if path.is_symlink() else ""
            found.append(_whose(path, folder, problem))
        if not notebooks:
            others = ", ".join(p.name for p in files[:3])
            found.append(_whose(top, folder, f"no notebook, but {others}" if others else "an empty folder"))
    return found


def _skipped(path: Path, folder: Path) -> bool:
    return any(part in SKIPPED or part.startswith(".") for part in path.relative_to(folder).parts)


def _whose(path: Path, folder: Path, problem: str) -> Submission:
    first = path.relative_to(folder).parts[0]
    if found := MOODLE.match(first):
        return Submission(path, found["name"], found["id"], "moodle", problem)
    if found := CANVAS.match(first):
        return Submission(path, found["name"], found["id"], "canvas", problem)
    return Submission(path, Path(first).stem if path.parent == folder else first, problem=problem)
