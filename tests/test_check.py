"""A lab checked from the command line: one exercise right, one wrong, the others blank; and files that are no lab."""

import io
import sys

import check
import nbformat
import pytest

RIGHT = """
import torch
from gencourse import checks
@checks.exercise("flows.density_1d")
def density_1d(x, f, slope, p_z):
    return p_z(f(x)) * slope(x).abs()
"""
WRONG = """
@checks.exercise("flows.affine")
def affine(x, log_s, shift):
    return x * log_s + shift, log_s.sum(1)
"""


class Terminal(io.StringIO):
    """Where a bar is shown."""

    def isatty(self) -> bool:
        return True


def lab(*sources: str):
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


def test_a_lab_is_run_and_its_exercises_are_listed(tmp_path, capfd, monkeypatch):
    path = tmp_path / "mine.ipynb"
    nbformat.write(lab(RIGHT, WRONG, "1 / 0"), path)
    before = path.read_bytes()
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    assert check.main([str(path)]) == 1
    assert "4/4" in terminal.getvalue()  # cells done; the fourth asks how the exercises stand
    out, error = capfd.readouterr()
    assert error == ""  # the kernel writes there past sys.stderr
    assert "✓ flows.density_1d" in out
    assert "✗ flows.affine" in out
    assert "hint      " in out
    assert "○ flows.bits_per_dim" in out
    assert "1 of 11 passed" in out
    assert "cell 3: ZeroDivisionError: division by zero" in out
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        ("not json", "this is no notebook"),
        (nbformat.writes(lab("1 + 1")), "there is no exercise in it"),
        (nbformat.writes(lab("1 + 1")).replace('"1 + 1"', "5"), "this is no notebook"),
        (nbformat.writes(lab("1 + 1")).replace('"1 + 1"', "null"), "this is no notebook"),
        (nbformat.writes(lab("1 + 1")).replace('"code"', "7"), "this is no notebook"),
        (nbformat.writes(lab("1 + 1")).replace('"source"', '"sauce"'), "this is no notebook"),
        (nbformat.writes(lab(RIGHT)).replace('"cells"', '"sells"'), "this is no notebook"),
        ('{"cells": 3, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "this is no notebook"),
    ],
)
def test_what_is_no_lab_is_refused_in_one_line(tmp_path, capsys, content, message):
    path = tmp_path / "x.ipynb"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert check.main([str(path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


HOSTILE = """
import sys, builtins, json
print = lambda *a, **k: None
json.dumps = json.dump = open = None
get_ipython().run_line_magic("config", "InteractiveShell.ast_node_interactivity = 'none'")
"""


def test_a_hostile_notebook_is_reported_all_the_same(tmp_path, capfd):
    path = tmp_path / "`touch x`; $(touch y).ipynb"
    silent = "_io = _json = _checks = checks = 1"
    nbformat.write(
        lab(RIGHT, HOSTILE.replace("json.dumps = json.dump = ", ""), "raise ValueError('x' * 900_000)", silent), path
    )
    assert check.main([str(path)]) == 1
    out, _ = capfd.readouterr()
    assert "with your rights" in out.splitlines()[0]
    assert "✓ flows.density_1d" in out
    assert "cell 3: ValueError: xxx" in out
    assert len(out) < 4000
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_it_is_said_which_cell_killed_the_kernel_and_what_was_done_before(tmp_path, capsys):
    path = tmp_path / "mine.ipynb"
    nbformat.write(lab(RIGHT, WRONG, "\nimport os\nos._exit(0)", "1"), path)
    assert check.main([str(path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "The kernel died in cell 3 of 4 ('import os'): does it leave Python, or ask for more memory than there is?",
        "The 2 cells before it ran, and their exercises stood so:",
        "    passed: flows.density_1d",
        "    wrong: flows.affine",
    ]


def test_a_kernel_that_does_not_react_is_killed(tmp_path, capsys, monkeypatch):
    path = tmp_path / "mine.ipynb"
    deaf = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True:\n    time.sleep(1)"
    nbformat.write(lab(deaf, RIGHT), path)
    monkeypatch.setattr(check, "CELL_TIMEOUT", 3)
    monkeypatch.setattr(check, "SECOND_TIMEOUT", 1)
    assert check.main([str(path)]) == 2
    assert "The kernel was killed: cell 1 of 2 ('import signal, time') took more than 3 s" in capsys.readouterr().err


def test_the_table_is_all_passed():
    results = [{"name": "a.b", "state": "passed", "check": "", "error": "", "expected": "", "got": "", "hint": ""}]
    assert check.table(results, []) == "✓ a.b  passed\n1 of 1 passed"
