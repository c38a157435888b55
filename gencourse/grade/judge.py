"""A submission is judged: each exercise's answer is taken from it, and examined in a process of its own.

The judge never runs a student's code. It forks for each exercise, and the fork, where nothing else is left, examines
the answer with seeds that nobody knows before. What comes back names a secret of that one fork, made after the answer
was read; without it nothing counts.
"""

import ast
import contextlib
import linecache
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import torch

from gencourse import checks
from gencourse.checks import apart, limit
from gencourse.checks.answer import said
from gencourse.checks.examine import examine
from gencourse.checks.exercise import find
from gencourse.checks.panel import Result
from gencourse.checks.spec import Exercise
from gencourse.grade import cage, take
from gencourse.grade.guard import Guard, Refused, rewritten
from gencourse.grade.kept import Kept

ROUNDS = 2  # with seeds of their own
SECONDS = 60.0  # of the clock for one exercise; honest ones need less than one
SILENCE = 20.0  # beyond those of one call, in which the checks themselves may be at work
TOGETHER = 180  # seconds for a submission
MEMORY = 1 << 30  # bytes beyond what the judge itself has
LETTERS = 2000  # of each text in a result

Tell = Callable[[dict[str, Any]], None]
Told = Callable[[str], None]


def judge(content: bytes, lab: str, tell: Tell, deadline: Callable[[], float], report: int = -1) -> None:
    """Examine every exercise of the lab, and tell of each what was found.

    Args:
        content: the notebook's bytes.
        lab: whose exercises; any one's if empty.
        tell: is given {"lab": ...}, then {"result": ...} for each exercise, or {"unreadable": ...}.
        deadline: how many seconds are left.
        report: the file that `tell` writes to, which no answer may have.
    """
    try:
        notebook = take.read(content)
    except take.Unreadable as error:
        tell({"unreadable": str(error)})
        return
    if lab and notebook.lab != lab:
        tell({"unreadable": f"this is {notebook.lab}, and {lab} was to be handed in"})
        return
    tell({"lab": notebook.lab})
    apart.MEMORY, apart.SILENCE, apart.TOTAL = MEMORY, SILENCE, SECONDS
    kept = Kept()
    passed: set[str] = set()
    for exercise in checks.exercises():
        if exercise.lab != notebook.lab:
            continue
        result, why = _exercise(notebook, exercise, passed, kept, deadline(), report)
        if result.state == "passed":
            passed.add(exercise.name)
        tell({"result": asdict(_shortened(result)), "refused": why, "times": notebook.times.get(exercise.name, 0)})


def _exercise(
    notebook: take.Notebook, exercise: Exercise, passed: set[str], kept: Kept, left: float, report: int
) -> tuple[Result, list[str]]:
    """The result, and why the answer was refused, if it was."""
    name = exercise.name
    taken = notebook.take(exercise, passed)
    if taken is None and name in notebook.broken:
        return Result(name, "wrong", check="the cell is Python", error=notebook.broken[name]), []
    if taken is None:
        return Result(name, "not attempted"), []
    if taken.refused:
        return Result(name, "wrong", check="it may run"), taken.refused[:10]
    if left <= 0:
        return Result(name, "wrong", check="time", got=f"the exercises above took all of {TOGETHER} s"), []
    secret = secrets.token_hex(16)
    try:
        result = apart.apart(secret, lambda told: _answered(notebook, taken, name, secret, kept, report, told))
        genuine = result.name == secret and result.state in ("passed", "wrong", "not attempted")
    except Exception:  # whatever was written in a result's place
        genuine = False
    if not genuine:
        return Result(name, "wrong", check="it may run"), ["a result came that is not the judge's"]
    refused = result.error.splitlines() if result.mistake == "refused" else []
    return replace(result, name=name, error="" if refused else result.error), refused


def _answered(
    notebook: take.Notebook, taken: take.Taken, name: str, secret: str, kept: Kept, report: int, told: Told
) -> Result:
    """In the fork: the answer is put together, and examined."""
    with contextlib.suppress(OSError):
        os.close(report)
    exercise, guard = find(name), Guard()
    seeds = [secrets.randbits(32) for _ in range(ROUNDS)]
    torch._C._set_deterministic_algorithms(True, warn_only=True)  # empty memory is empty: it could hold the truth
    cage.watch(guard, take.CELL.partition("{")[0])
    result = Result(name, "wrong")
    try:
        told("its cells run")
        found = _function(notebook, taken, guard)
        for seed in seeds:
            result = found if isinstance(found, Result) else examine(exercise, found, seed, {}, told)
            if result.state != "passed":
                break
    except Refused:
        pass  # the guard has it
    guard.found += kept.changed()
    if guard.found:
        result = Result(name, "wrong", check="it may run", mistake="refused", error="\n".join(guard.found))
    return replace(_shortened(result), name=secret)


def _function(notebook: take.Notebook, taken: take.Taken, guard: Guard) -> Callable[..., Any] | Result:
    """The answer, made by its statements; or what went wrong with them."""
    names = guard.names()
    names |= {name.rpartition(".")[2]: find(name).own for name in taken.calls}
    error: BaseException | None = None
    try:
        with limit.limited():
            for statement in taken.statements:
                file = take.CELL.format(statement.cell)
                linecache.cache[file] = (1, None, notebook.sources[statement.cell].splitlines(True), file)
                exec(compile(ast.Module(rewritten(statement.node), []), file, "exec"), names)
    except (Refused, KeyboardInterrupt):
        raise
    except BaseException as raised:
        error = raised
    if error is None and callable(names.get(taken.name)) and not isinstance(names[taken.name], type):
        return names[taken.name]
    what = f"{type(error).__name__}: {said(error)}" if error else f"{taken.name} is no function"
    return Result(taken.name, "wrong", check="its cells run", error=what)


def _shortened(result: Result) -> Result:
    texts = {key: value[:LETTERS] for key, value in asdict(result).items() if isinstance(value, str)}
    inputs = tuple((name[:100], text[:LETTERS]) for name, text in result.inputs[:20])
    return replace(result, **texts, inputs=inputs)
