"""Bring a newer version of the course, without a conflict: `make update`.

    make update                                     fetch it, and say which labs have changed
    make update ARGS="--beside lab_3_diffusion"     put the new lab beside yours in my_labs/, under another name

What was changed here and is in the way is kept in my_changes/, in a folder named after the version that it was.
Nothing in my_labs/ is ever changed.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
from typing import Any

import course_setup
from course_run import SetupError

MINE, KEPT, RECORD = "my_labs", "my_changes", ".copied.json"
NO_CHECKOUT = (
    "This copy of the course is no git checkout: download the new version into a folder of its own, "
    f"and copy your {MINE}/ there."
)


def update(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser("make update", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--beside", metavar="LAB", action="append", default=[], help="a lab, such as lab_3_diffusion")
    wanted = parser.parse_args(arguments).beside
    for name in wanted:
        print(f"The new lab is {put_beside(name)}.")
    if not wanted:
        bring()
        for line in labs_changed():
            print(line)
    return 0


# -- The new version


def bring() -> None:
    """Fetch the branch that this one follows, and go on to it, where that is possible without a merge."""
    root = course_setup.ROOT
    if not shutil.which("git"):
        raise SetupError("`make update` needs git (git-scm.com).")
    if not os.path.lexists(os.path.join(root, ".git")):  # a folder, or the file of a worktree
        raise SetupError(NO_CHECKOUT)
    try:
        upstream = git("rev-parse", "--abbrev-ref", "@{upstream}").strip()
    except SetupError:
        raise SetupError("This branch follows no other: `git checkout main` first, or another that does.") from None
    git("fetch", "--quiet")
    before, new = version("HEAD"), version(upstream)
    if contains("HEAD", upstream):
        print(f"The course is up to date ({before}).")
        return
    if not contains(upstream, "HEAD"):
        raise SetupError(f"This branch has commits that {upstream} lacks: `git pull --rebase` keeps both.")
    kept, folder = set_aside(upstream, before)
    try:
        git("merge", "--ff-only", "--quiet", upstream)
    except SetupError:
        for path in kept:  # as it was
            shutil.copy(os.path.join(folder, path), os.path.join(root, path))
        raise
    print(f"Updated from {before} to {new}.")
    if kept:
        print(f"What you had changed lies in {os.path.relpath(folder, root)}:", *sorted(kept), sep="\n  ")


def set_aside(upstream: str, before: str) -> tuple[list[str], str]:
    """Keep what is in the new version's way, and put back what was there; the paths, and the folder that keeps them."""
    root = course_setup.ROOT
    comes = set(paths(git("diff", "--name-only", "--no-renames", "-z", "HEAD", upstream)))
    changed = comes & set(paths(git("diff", "--name-only", "--no-renames", "-z", "HEAD")))
    tracked = set(paths(git("ls-tree", "-r", "--name-only", "-z", "HEAD")))
    strange = {path for path in comes - tracked if os.path.lexists(os.path.join(root, path))}
    folder, number = os.path.join(root, KEPT, before), 1
    while os.path.lexists(folder):
        number += 1
        folder = os.path.join(root, KEPT, f"{before}-{number}")
    kept = []
    for path in sorted(changed | strange):
        mine = os.path.join(root, path)
        if os.path.lexists(mine) and not (path in changed & tracked and only_opened(path)):
            os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
            shutil.copy(mine, os.path.join(folder, path))
            kept.append(path)
    for path in strange:
        os.remove(os.path.join(root, path))
    if changed - tracked:  # added, but never committed
        git("rm", "--cached", "--quiet", "--", *sorted(changed - tracked))
    if changed & tracked:
        git("checkout", "--quiet", "HEAD", "--", *sorted(changed & tracked))
    return kept, folder


def only_opened(path: str) -> bool:
    """Whether a notebook differs from the old version's by no more than an editor and a kernel note in it."""
    try:
        with open(os.path.join(course_setup.ROOT, path), encoding="utf-8") as file:
            mine, was = json.load(file), json.loads(git("show", f"HEAD:{path}"))
        for notebook in (mine, was):
            for key in ("kernelspec", "language_info"):
                notebook["metadata"].pop(key, None)
        return mine == was
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False


def contains(later: str, commit: str) -> bool:
    """Whether a commit is the other one, or came before it."""
    return not git("rev-list", "--max-count=1", commit, f"^{later}")


def version(commit: str) -> str:
    """A name for a commit that people and folders can bear."""
    return re.sub(r"[^\w.-]", "_", git("describe", "--tags", "--always", commit).strip())


def paths(text: str) -> list[str]:
    return [path for path in text.split("\0") if path]


def git(*arguments: str) -> str:
    """What git says; raises SetupError with its last words where it fails."""
    command, env = ["git", "-C", course_setup.ROOT, *arguments], {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", errors="surrogateescape")
    if done.returncode:
        words = done.stderr.strip().split("\n")[-1]
        raise SetupError(f"The course could not be updated; git {arguments[0]} says: {words}")
    return done.stdout


# -- The labs


def note(name: str, source: str) -> None:
    """Write down, beside the labs, which cells a lab had when it was copied from `source` to my_labs/`name`."""
    record = recorded()
    record[name] = {"from": os.path.basename(source), "cells": list(cells(source))}
    path = os.path.join(course_setup.ROOT, MINE, RECORD)
    with contextlib.suppress(OSError):  # without it, a copy's own cells tell
        with open(path + ".part", "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
        os.replace(path + ".part", path)


def recorded() -> dict[str, Any]:
    """What `note` has written."""
    try:
        with open(os.path.join(course_setup.ROOT, MINE, RECORD), encoding="utf-8") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def cells(path: str) -> dict[str, str]:
    """A notebook's cells, by their ids: in a blank lab, an id stands for what is in the cell."""
    try:
        with open(path, encoding="utf-8") as file:
            return {cell["id"]: "".join(cell["source"]) for cell in json.load(file)["cells"]}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def labs_changed() -> list[str]:
    """In words: which labs have changed since they were copied to my_labs/, and in what."""
    root, record, lines = course_setup.ROOT, recorded(), []
    folder = os.path.join(root, "labs")
    for lab in sorted(name for name in os.listdir(folder) if name.endswith(".ipynb")):
        new = cells(os.path.join(folder, lab))
        copies = [name for name, entry in record.items() if entry["from"] == lab] or [lab]
        there = [name for name in copies if os.path.exists(os.path.join(root, MINE, name))]
        if not there or not new:
            continue
        # A copy from before there was a record has kept the ids of its cells, whatever became of them.
        olds = [set(record[n]["cells"] if n in record else cells(os.path.join(root, MINE, n))) for n in there]
        fresh = [source for key, source in new.items() if key not in olds[-1]]
        gone = len(olds[-1] - set(new)) if there[-1] in record else 0
        if any(old == set(new) for old in olds) or not (fresh or gone):
            continue
        exercises = [name for source in fresh for name in re.findall(r"^@checks\.exercise\(\"([\w.]+)\"", source, re.M)]
        what = f"{len(fresh)} of its {len(new)} cells are new or changed" if fresh else f"cells that are gone: {gone}"
        lines.append(f"  {lab.removesuffix('.ipynb')}: {what}" + f" ({', '.join(exercises)})" * bool(exercises))
    if lines:
        example = lines[0].split(":")[0].strip()
        lines.insert(0, f"Labs that have changed since you copied them; yours, in {MINE}/, stay as they are:")
        lines.append(f'To have a new one beside yours: make update ARGS="--beside {example}"')
    return lines


def put_beside(name: str) -> str:
    """Copy a blank lab to my_labs/ under a name that is free; the path from the course's folder."""
    root = course_setup.ROOT
    stem = os.path.basename(name).removesuffix(".ipynb")
    source, number = os.path.join(root, "labs", f"{stem}.ipynb"), 2
    if not os.path.exists(source):
        known = sorted(lab.removesuffix(".ipynb") for lab in os.listdir(os.path.join(root, "labs")))
        raise SetupError(f"There is no lab {stem}; there are: {', '.join(known)}.")
    os.makedirs(os.path.join(root, MINE), exist_ok=True)
    while os.path.lexists(os.path.join(root, MINE, f"{stem}-{number}.ipynb")):
        number += 1
    copy = f"{stem}-{number}.ipynb"
    shutil.copy(source, os.path.join(root, MINE, copy))
    note(copy, source)
    return os.path.join(MINE, copy)
