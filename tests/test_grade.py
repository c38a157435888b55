"""Submissions are graded: no hostile one gets a point, harms anything or stops another; honest ones get all."""

import ast
import contextlib
import csv
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path

import grade
import nbgrader_labs
import pytest
from hostile_submissions import AFFINE, HEAD, HONEST, HOSTILE
from wrong_answers import GIVEN

from gencourse import checks
from gencourse.checks import limit
from gencourse.grade import Graded, GradeError, allowed, grade_all, guard, judge, look, points, run, take

ROOT = Path(__file__).parent.parent
for lab in run.labs():
    importlib.import_module(f"wrong_answers.{lab}")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="submissions are graded on Linux")


def notebook(*sources: str) -> bytes:
    cells = [
        {"cell_type": "code", "source": s, "metadata": {}, "outputs": [], "execution_count": None} for s in sources
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def graded(
    folder: Path, contents: Mapping[str, bytes | str], look: bool = True, guarded: bool = True
) -> dict[str, Graded]:
    """All of these, each under its name; beside a folder that none may touch."""
    victim = folder / "victim"
    victim.mkdir()
    (victim / "a.ipynb").write_text("kept")
    names = {}
    for i, (name, content) in enumerate(contents.items()):
        path = folder / f"{i}.ipynb"
        if isinstance(content, str):
            content = notebook(content.replace("VICTIM", str(victim)))
        path.write_bytes(content)
        names[path] = name
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        patch.setattr(limit, "SECONDS", 1.0)
        patch.setattr(judge, "SILENCE", 2.0)
        if not look:
            patch.setattr(take, "refusals", lambda *a: [])
        if not guarded:
            patch.setattr(judge, "rewritten", lambda statement: [statement])
            patch.setattr(guard.Guard, "names", lambda self: {})
        found = {names[one.path]: one for one in grade_all(list(names), jobs=2)}
    assert sorted(p.name for p in victim.iterdir()) == ["a.ipynb"]
    assert (victim / "a.ipynb").read_text() == "kept"
    assert set(found) == set(contents), "each gets a line, and none stops the others"
    return found


def affine(one: Graded):
    assert not one.problem
    return next(e for e in one.exercises if e.name == "flows.affine")


def refused(source: str) -> list[str]:
    """Why the code may not run, as far as can be read."""
    try:
        taken = take.read(notebook(source)).take(EXERCISE, set())
    except take.Unreadable:
        return []
    return taken.refused if taken else []


EXERCISE = next(exercise for exercise in checks.exercises() if exercise.name == "flows.affine")
READ = {name: source for name, source in HOSTILE.items() if refused(source)}
RUN = {name: source for name, source in HOSTILE.items() if name not in READ}
# What the guard refuses, had nobody read the code; that files, processes and the network are out of reach comes below.
UNREAD = {name: source for name, source in READ.items() if not name.startswith(("strings", "harm"))}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return graded(tmp_path_factory.mktemp("hostile"), RUN | {name: READ[name] for name in list(READ)[::20]})


@pytest.fixture(scope="module")
def unread(tmp_path_factory):
    return graded(tmp_path_factory.mktemp("unread"), UNREAD, look=False)


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory):
    """As if nobody had read the code, nor asked it for anything: the cage alone."""
    sources = {name: source for name, source in READ.items() if name.startswith("harm")}
    return graded(tmp_path_factory.mktemp("unguarded"), sources, look=False, guarded=False)


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    return graded(tmp_path_factory.mktemp("honest"), dict(HONEST))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_submission_gets_no_point(request, name):
    """It is refused before it runs, with the line; or it runs, and gets none."""
    if name in READ:
        assert all(why.startswith("cell 1, line ") for why in refused(READ[name]))
        return
    one = request.getfixturevalue("hostile")[name]
    assert one.points == 0, one
    assert one.problem or affine(one).status in ("refused", "wrong", "not attempted")


@pytest.mark.parametrize("name", UNREAD)
def test_nor_had_nobody_read_its_code(unread, name):
    assert unread[name].points == 0, affine(unread[name])


@pytest.mark.parametrize("name", [name for name in READ if name.startswith("harm")])
def test_nor_does_it_harm_anything_in_its_cage(unguarded, name):
    assert unguarded[name].points == 0, affine(unguarded[name])
    scratch = str(unguarded[name].path.parent / "grade-")
    assert not [p for p in Path("/proc").glob("[0-9]*/cwd") if where(p).startswith(scratch)], "a process was left"


def where(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # it is gone
        return ""


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_submission_gets_its_points(honest, name):
    one = affine(honest[name])
    assert one.status == "passed", (one.result, one.refused)
    assert one.points == one.most > 0


@pytest.mark.parametrize("lab", run.labs())
def test_no_solution_is_refused(lab):
    solution = take.read((ROOT / "solutions" / f"{lab}.ipynb").read_bytes())
    assert solution.lab == lab
    for exercise in checks.exercises():
        taken = solution.take(exercise, {e.name for e in checks.exercises()}) if exercise.lab == lab else None
        assert taken is None or not taken.refused, taken.refused


@pytest.mark.parametrize("given", [given for given in GIVEN if not given.mistake], ids=lambda given: given.exercise)
def test_no_right_answer_is_refused_however_it_is_written(given):
    """Of this one's exercise no more than the function itself is read: its helpers stand in the tests' file."""
    source = textwrap.dedent(inspect.getsource(given.function))
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    function.decorator_list = []
    assert not look.refusals(take._Bare().visit(function))


# -- What else may be handed in


def test_whatever_is_handed_in_has_a_line_and_stops_no_other(tmp_path):
    deep = b'{"cells": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    right = HONEST["plain"]
    found = graded(
        tmp_path,
        {
            "empty": b"",
            "broken": notebook(right)[:-40],
            "binary": bytes(range(256)) * 99,
            "deep": deep,
            "too large": b" " * (take.LARGEST + 1),
            "a list": b"[]",
            "no cells": b'{"cells": []}',
            "cells of numbers": b'{"cells": [1, {"cell_type": "code", "source": 5}, {"cell_type": 3}]}',
            "no exercise": notebook("1 + 1"),
            "very old": b'{"worksheets": []}',
            "right": notebook(right),
            "source as lines": notebook(right).replace(
                json.dumps(right).encode(), json.dumps(right.splitlines(True)).encode()
            ),
            "an unknown exercise": notebook(right, '@checks.exercise("flows.nothing")\ndef f():\n    pass'),
        },
    )
    assert {name: one.points > 0 for name, one in found.items() if one.points} == dict.fromkeys(
        ["right", "source as lines", "an unknown exercise"], True
    )
    for name in ("empty", "broken", "binary", "deep", "too large", "a list", "no cells", "no exercise", "very old"):
        assert found[name].problem, name
    assert "exercise" in found["cells of numbers"].problem


def test_a_pipe_and_a_link_are_not_read(tmp_path):
    pipe, link = tmp_path / "pipe.ipynb", tmp_path / "link.ipynb"
    os.mkfifo(pipe)
    (tmp_path / "real").write_bytes(notebook(HONEST["plain"]))
    link.symlink_to(tmp_path / "real")
    assert [one.points for one in grade_all([pipe, link, tmp_path, tmp_path / "nothing"])] == [0, 0, 0, 0]


def test_another_lab_than_the_one_asked_for_has_no_points(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_bytes(notebook(HONEST["plain"]))
    (one,) = grade_all([path], "lab_3_diffusion")
    assert "lab_2_flows" in one.problem
    with pytest.raises(GradeError, match="lab_2_flows"):
        next(grade_all([path], "lab_9"))


def test_an_exercise_above_that_is_wrong_or_blank_is_stood_in_for(tmp_path):
    """As in the notebook, where genlib's version stands in; but for none below: two may not lean on each other."""
    found = graded(
        tmp_path,
        {
            "uses a wrong one": HEAD + AFFINE + "    return x, x\n\n" + TWICE,
            "uses itself in a ring": HEAD + AFFINE + "    return compose(x, [])\n\n" + RING,
            "uses a blank one": HEAD + AFFINE + "    raise NotImplementedError\n\n" + TWICE,
        },
    )
    states = {name: {e.name: e.status for e in one.exercises} for name, one in found.items()}
    assert states["uses a wrong one"]["flows.affine"] == "wrong"
    assert states["uses a wrong one"]["flows.compose"] == "passed"
    assert states["uses itself in a ring"]["flows.affine"] == "wrong"
    assert states["uses itself in a ring"]["flows.compose"] == "wrong"
    assert states["uses a blank one"]["flows.affine"] == "not attempted"
    assert states["uses a blank one"]["flows.compose"] == "passed"


# compose, by affine with nothing to do
TWICE = (
    '@checks.exercise("flows.compose")\ndef compose(x, layers):\n    d = x.new_zeros(len(x))\n'
    "    for layer in layers:\n        x, more = layer(x)\n        d = d + more\n"
    "    y, zero = affine(x, x.new_zeros(x[0].shape), x.new_zeros(x[0].shape))\n    return y, d + zero\n"
)
RING = '@checks.exercise("flows.compose")\ndef compose(x, layers):\n    return affine(x, x, x)\n'


# -- What can be reached


def test_no_name_that_is_allowed_leads_to_a_file_a_process_or_code():
    """From the modules that an answer may import, by all names that it may ask for, to whatever is found."""
    wrong = {
        "os",
        "sys",
        "io",
        "subprocess",
        "shutil",
        "pickle",
        "importlib",
        "ctypes",
        "inspect",
        "builtins",
        "socket",
    }
    wrong |= {"threading", "multiprocessing", "pathlib", "tempfile", "types", "gc", "linecache", "code", "signal"}
    seen: dict[int, str] = {}
    todo = [(importlib.import_module(name), name) for name in sorted(allowed.MODULES | set(allowed.PARTS))]
    modules = set()
    while todo:
        thing, path = todo.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = path
        if isinstance(thing, types.ModuleType):
            modules.add(thing.__name__)
            assert thing.__name__.partition(".")[0] not in wrong, path
            assert not thing.__name__.startswith(("genlib", "gencourse")), path
        elif getattr(thing, "__module__", None) in ("os", "posix", "subprocess", "io", "_io", "pickle", "importlib"):
            raise AssertionError(path)
        if isinstance(thing, types.ModuleType | type):
            for name in allowed.ATTRIBUTES:
                with contextlib.suppress(Exception):
                    todo.append((getattr(thing, name), f"{path}.{name}"))
    assert "torch.nn.functional" in modules
    known = set(seen.values())
    assert not [path for path in known if path.endswith((".load", ".save", ".open", ".system", ".eval_", ".compile"))]


# -- The points


def test_each_exercise_has_points():
    table = tomllib.loads(run.POINTS.read_text("utf-8"))
    assert table.pop("default") > 0
    listed = {f"{family}.{name}" for family, names in table.items() for name in names}
    known = {exercise.name for exercise in checks.exercises()}
    assert listed == known, "teach/points.toml lists every exercise"


def test_an_exercise_that_is_not_listed_has_the_default(tmp_path):
    path = tmp_path / "points.toml"
    path.write_text("default = 4\n[flows]\naffine = 2.5\n")
    assert points(path)["flows.affine"] == 2.5
    assert points(path)["flows.compose"] == 4
    for text in ("[flows]\naffine = -1", "[flows]\naffine = true", "default = 'x'", "[flows", "[flows]\naffine = nan"):
        path.write_text(text)
        with pytest.raises(GradeError, match=re.escape(str(path))):
            points(path)


# -- The command


def download(folder: Path) -> Path:
    """As Moodle, Canvas and people make it, with all that may be in it."""
    right, wrong = notebook(HONEST["plain"]), notebook(HEAD + AFFINE + "    return x, x\n")
    files = {
        "Ann Ähre_11_assignsubmission_file_/lab_2_flows.ipynb": right,
        "Ann Ähre_11_assignsubmission_file_/again.ipynb": wrong,
        "<b>Bob<i>_12_assignsubmission_file_/lab.ipynb": notebook(HOSTILE["strings: eval"]),
        "=cmd()_13_assignsubmission_file_/lab.ipynb": right,
        "Eve_14_assignsubmission_file_/lab.zip": b"PK",
        "Fay_15_assignsubmission_file_/lab.ipynb": b"{",
        "Gus_16_assignsubmission_file_lab.ipynb": wrong,
        "Hal_17_assignsubmission_file_/.ipynb_checkpoints/lab-checkpoint.ipynb": right,
        "__MACOSX/x.ipynb": right,
        ".hidden.ipynb": right,
        "notes.txt": b"",
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "Ida_18_assignsubmission_file_").mkdir()
    (folder / "Jan_19_assignsubmission_file_.ipynb").symlink_to("/etc/passwd")
    return folder


def test_a_folder_becomes_a_table_for_moodle_and_a_page_for_each_student(tmp_path, capsys):
    folder, out = download(tmp_path / "all"), tmp_path / "grades.csv"
    assert grade.main([str(folder), "--out", str(out)]) == 1
    lines = list(csv.DictReader(out.read_text("utf-8").splitlines()))
    assert list(lines[0])[:3] == ["Identifier", "Full name", "Grade"]
    grades = {line["Identifier"]: line for line in lines}
    assert len(grades) == len(lines), "one line for each student"
    most = grades["Participant 11"]["Maximum Grade"]
    assert float(most) == sum(p for name, p in points().items() if name.startswith("flows."))
    worth = f"{points()['flows.affine']:g}"
    assert {id: line["Grade"] for id, line in grades.items()} == {
        "Participant 11": worth, "Participant 12": "0", "Participant 13": worth, "Participant 14": "0",
        "Participant 15": "0", "Participant 16": "0", "Participant 17": "0", "Participant 18": "0",
        "Participant 19": "0", "": "0",
    }  # fmt: skip
    assert grades["Participant 13"]["Full name"] == "'=cmd()"
    assert "eval reaches beyond mathematics" in grades["Participant 12"]["Feedback comments"]
    assert "lab.zip" in grades["Participant 14"]["Feedback comments"]
    assert "link" in grades["Participant 19"]["Feedback comments"]

    pages = tmp_path / "grades_reports"
    texts = {path.name: path.read_text("utf-8") for path in pages.glob("*.html")}
    assert len(texts) == 12  # 11 lines, and the index
    page = next(text for name, text in texts.items() if name.startswith("b_Bob_i"))
    assert "<b>Bob" not in page
    assert "eval reaches beyond mathematics" in page
    assert not re.search(r"(?:src|href)=['\"]?https?:", "".join(texts.values()))
    ann = [text for name, text in texts.items() if name.startswith("Ann")]
    assert any("hint" in text and "expected" in text for text in ann), "numbers and a hint"
    exercises = list(csv.DictReader((pages / "exercises.csv").read_text("utf-8").splitlines()))
    assert {line["Status"] for line in exercises} == {"passed", "wrong", "not attempted", "refused"}
    said = capsys.readouterr().out
    assert "6/6" in said
    assert "refused: flows.affine" in said
    assert "one and the same file" in said


def test_canvas_has_its_own_columns_and_names(tmp_path):
    for name in ("doejane_101_555_lab_2_flows.ipynb", "roejohn_LATE_102_556_lab_2_flows-1.ipynb"):
        (tmp_path / name).write_bytes(notebook(HONEST["plain"]))
    out = tmp_path / "grades.csv"
    assert grade.main([str(tmp_path), "--out", str(out)]) == 0
    head, most, *lines = csv.reader(out.read_text("utf-8").splitlines())
    assert head == ["Student", "ID", "Section", "lab_2_flows"]
    assert most[0] == "Points Possible"
    assert [line[:2] for line in lines] == [["doejane", "101"], ["roejohn", "102"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["NOWHERE"], "there is no such folder"),
        (["EMPTY"], "there is no notebook"),
        (["FOLDER", "--lab", "lab_9"], "There is no lab_9"),
        (["FOLDER", "--out", "NOWHERE/grades.csv"], "cannot be written"),
        (["FOLDER", "--out", "EMPTY"], "cannot be written"),
        (["FOLDER", "--jobs", "-1"], "--jobs"),
    ],
)
def test_what_cannot_be_graded_is_said_in_one_line_before_anything_starts(tmp_path, capsys, arguments, message):
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "FOLDER").mkdir()
    (tmp_path / "FOLDER" / "a.ipynb").write_bytes(notebook(HONEST["plain"]))
    before = sorted(tmp_path.rglob("*"))
    arguments = [str(tmp_path / a) if a[0].isupper() else a for a in arguments]
    if "--out" not in arguments:
        arguments += ["--out", str(tmp_path / "grades.csv")]
    assert grade.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_help_says_what_to_give():
    said = subprocess.run([sys.executable, grade.__file__, "--help"], capture_output=True, text=True, check=True).stdout
    assert "SUBMISSIONS" in said
    assert "--for" in said


# -- For nbgrader


@pytest.mark.parametrize("lab", run.labs())
def test_labs_for_nbgrader_have_its_metadata(lab, tmp_path):
    assert nbgrader_labs.main([lab], tmp_path) == 0
    made = json.loads((tmp_path / "build" / "nbgrader" / "source" / lab / f"{lab}.ipynb").read_text("utf-8"))
    cells = [(cell, cell["metadata"]["nbgrader"]) for cell in made["cells"]]
    ids = [meta["grade_id"] for _, meta in cells]
    assert len(set(ids)) == len(ids)
    assert {meta["schema_version"] for _, meta in cells} == {3}
    tests = {meta["grade_id"]: meta["points"] for _, meta in cells if meta["grade"]}
    names = [exercise.name for exercise in checks.exercises() if exercise.lab == lab]
    assert tests == {f"test_{name.replace('.', '_')}": points()[name] for name in names}
    for cell, meta in cells:
        source = "".join(cell["source"])
        assert meta["solution"] == ("### BEGIN SOLUTION" in source)
        assert meta["locked"] != meta["solution"]
        assert meta["cell_type"] == cell["cell_type"]
        assert not (meta["grade"] and cell["cell_type"] == "markdown")
