"""Many submissions at a time, each judged in a process of its own; none can stop the others."""

import contextlib
import gc
import json
import os
import re
import selectors
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from gencourse import checks
from gencourse.checks.examine import examine
from gencourse.checks.panel import Result
from gencourse.grade import cage
from gencourse.grade.judge import SECONDS, TOGETHER, judge
from gencourse.grade.take import LARGEST

POINTS = cage.ROOT / "teach" / "points.toml"
MEMORY = 3 << 30  # bytes for a judge and what it starts, beyond what this process has
OUTPUT = 4_000_000  # bytes that a judge may tell
Status = Literal["passed", "wrong", "not attempted", "refused"]


class GradeError(Exception):
    """What keeps anything from being graded, in one line."""


@dataclass(frozen=True)
class Scored:
    """One exercise: its points, what was found, why the answer was refused, and how often there was one."""

    name: str
    status: Status
    points: float
    most: float
    result: Result
    refused: tuple[str, ...] = ()
    times: int = 0


@dataclass
class Graded:
    """One submission. `problem` says why it has no points at all, where that is so."""

    path: Path
    lab: str = ""
    exercises: list[Scored] = field(default_factory=list)
    problem: str = ""
    seconds: float = 0.0

    @property
    def points(self) -> float:
        return sum(exercise.points for exercise in self.exercises)

    @property
    def most(self) -> float:
        return sum(exercise.most for exercise in self.exercises)


def grade(path: str | Path, lab: str = "") -> Graded:
    """Grade one notebook: path -> Graded, whose `points` is a number.

    Args:
        lab: refuse notebooks of other labs; any lab's are graded if empty.
    Raises:
        GradeError: if this system cannot, or there is no such lab.
    """
    return next(grade_all([Path(path)], lab, jobs=1))


def grade_all(paths: Sequence[Path], lab: str = "", jobs: int = 0) -> Iterator[Graded]:
    """Grade notebooks, `jobs` at a time (0: one for each processor), and give each as soon as it is done.

    Whatever a file is, it comes back, with a `problem` where it is no submission.
    """
    if sys.platform != "linux":
        raise GradeError("Submissions are graded on Linux, which can lock them in; WSL, or a container, is one.")
    if lab and lab not in {exercise.lab for exercise in checks.exercises()}:
        raise GradeError(f"There is no {lab}; the labs are {', '.join(labs())}.")
    torch.set_num_threads(1)
    worth = points()
    _warm({lab} if lab else {named(path) for path in paths})
    jobs = jobs or len(os.sched_getaffinity(0))
    todo, running = list(paths)[::-1], selectors.DefaultSelector()
    try:
        while todo or running.get_map():
            while todo and len(running.get_map()) < jobs:
                one = _Running(todo.pop(), lab)
                running.register(one.read, selectors.EVENT_READ, one)
            for key, _ in running.select(timeout=0.2):
                key.data.hear()
            for key in list(running.get_map().values()):
                one = key.data
                if one.done():
                    running.unregister(one.read)
                    one.end()
                    yield one.graded(worth)
    finally:
        for key in list(running.get_map().values()):
            key.data.end()
        running.close()


def labs() -> list[str]:
    return list(dict.fromkeys(exercise.lab for exercise in checks.exercises()))


def points(path: Path = POINTS) -> dict[str, float]:
    """What each exercise is worth; one that the file does not list has its default.

    Raises:
        GradeError: if the file cannot be read, or has something else than numbers from 0.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise GradeError(f"{path}: {error}") from None
    default = table.pop("default", 1)
    listed = {f"{family}.{name}": value for family, names in table.items() for name, value in dict(names).items()}
    for name, value in {**listed, "default": default}.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise GradeError(f"{path}: {name} is to have a number of points, from 0, and has {value!r}")
    return {exercise.name: listed.get(exercise.name, default) for exercise in checks.exercises()}


def named(path: Path) -> str:
    """The lab whose exercises a file names; "" if none. What else is in it means nothing here."""
    labs = {exercise.name: exercise.lab for exercise in checks.exercises()}
    names = re.findall(rb"checks\.exercise\(\s*\\?[\"']([\w.]{1,80})", content(path))
    theirs = Counter(labs[name.decode()] for name in names if name.decode() in labs)
    return theirs.most_common(1)[0][0] if theirs else ""


def content(path: Path) -> bytes:
    """A file's bytes, and one more than are allowed of a larger one; nothing of a link, a pipe or a device."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            return file.read(LARGEST + 1)
    except OSError:
        return b""


_warmed: set[str] = set()


def _warm(labs: set[str]) -> None:
    """What torch and the checks import and prepare when they are first used, they do here, and not in every fork."""
    for exercise in checks.exercises():
        if exercise.lab in labs - _warmed:
            examine(exercise, exercise.own, seed=0)
    _warmed.update(labs)


class _Running:
    """A judge at work."""

    def __init__(self, path: Path, lab: str) -> None:
        self.path, self.lab = path, lab
        self.scratch = tempfile.mkdtemp(prefix="grade-")
        self.started = time.monotonic()
        self.told, self._ended = b"", False
        self.read, write = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            _judge(path.absolute(), lab, self.scratch, write)
        os.close(write)

    def hear(self) -> None:
        piece = os.read(self.read, 1 << 16)
        self.told += piece
        self._ended = not piece

    def done(self) -> bool:
        late = time.monotonic() - self.started > TOGETHER + SECONDS + 10
        return self._ended or late or len(self.told) > OUTPUT

    def end(self) -> None:
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        os.close(self.read)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def graded(self, worth: dict[str, float]) -> Graded:
        """What was told, as long as it makes sense."""
        graded = Graded(self.path, seconds=time.monotonic() - self.started)
        scored: dict[str, Scored] = {}
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):  # a judge that was ended in a line
            for line in self.told.decode("utf-8", "replace").splitlines():
                said = json.loads(line)
                graded.problem = said.get("unreadable", graded.problem)
                graded.lab = said.get("lab", graded.lab)
                if "result" in said:
                    one = _scored(said, worth)
                    scored.setdefault(one.name, one)
        if not graded.lab and not graded.problem:
            graded.problem = "it could not be read: the process that tried to ended"
        for exercise in checks.exercises() if graded.lab else []:
            if exercise.lab == graded.lab:
                ended = Result(exercise.name, "wrong", check="the examination came to its end")
                missing = Scored(exercise.name, "wrong", 0.0, worth[exercise.name], ended)
                graded.exercises.append(scored.get(exercise.name, missing))
        return graded


def _scored(said: dict[str, Any], worth: dict[str, float]) -> Scored:
    inputs = tuple((str(name), str(text)) for name, text in said["result"]["inputs"])
    result = Result(**said["result"] | {"inputs": inputs})
    refused = tuple(str(why) for why in said["refused"])
    status: Status = "refused" if refused else result.state
    most = worth[result.name]
    return Scored(result.name, status, most if status == "passed" else 0.0, most, result, refused, int(said["times"]))


def _judge(path: Path, lab: str, scratch: str, write: int) -> None:
    """In a fork: it never returns. The notebook is read while files are there, and parsed when they are not."""

    def work() -> None:
        ends = time.monotonic() + TOGETHER
        submission = content(path)
        cage.confine()
        judge(submission, lab, tell, lambda: ends - time.monotonic(), write)

    def tell(what: dict[str, Any]) -> None:
        text = json.dumps(what).encode() + b"\n"
        while text:
            text = text[os.write(write, text) :]

    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(scratch)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        os.dup2(write, 3)
        os.closerange(4, 4096)
        write = 3
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (as long as the process lives)
        os.environ["TQDM_DISABLE"] = "1"
        gc.disable()
        cage.limit(TOGETHER, MEMORY)
        cage.inner(work)
    finally:
        os._exit(1)
