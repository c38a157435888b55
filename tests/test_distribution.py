"""Wheel and source distribution: they hold all that is needed, and a notebook alone gets along with what pip brings."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import build_notebooks
import pytest
from packaging.requirements import Requirement

from gencourse import runs
from gencourse.runs import run_file

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
FILE = f"{PROJECT['name'].replace('-', '_')}-{PROJECT['version']}"
# What git ignores, and git's own.
UNTRACKED = shutil.ignore_patterns(
    *(
        ".git",
        ".venv*",
        "my_labs",
        "my_changes",
        "trained",
        "build",
        "dist",
        "*.egg-info",
        "*.part",
        "__pycache__",
        "*.py[co]",
    ),
    *(".ipynb_checkpoints", ".*_cache", ".hypothesis", ".jupyter", ".DS_Store"),
)


def files(folder: Path) -> set[str]:
    """The files below a folder, by their paths in it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def built(source: Path, out: Path, kind: str) -> Path:
    """What the course's own build backend makes of a source."""
    out.mkdir()
    hook = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(out)!r}))"
    subprocess.run([sys.executable, "-c", hook], cwd=source, check=True, capture_output=True)
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course as git has it; a build writes beside its sources."""
    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp("tree") / "course", ignore=UNTRACKED))


@pytest.fixture(scope="module")
def unpacked(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    before = files(tree)
    made = built(tree, folder / "out", "sdist")
    assert made.name == f"{FILE}.tar.gz"
    with tarfile.open(made) as archive:
        archive.extractall(folder, filter="data")
    assert before <= files(tree)
    return folder / FILE


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution, as pip would where there is no wheel."""
    made = built(unpacked, tmp_path_factory.mktemp("wheel") / "out", "wheel")
    assert made.name == f"{FILE}-py3-none-any.whl"
    return made


def test_the_source_distribution_is_the_whole_course(tree: Path, unpacked: Path) -> None:
    egg, made = f"{FILE.rpartition('-')[0]}.egg-info/", {"PKG-INFO", "setup.cfg"}
    course = {name for name in files(tree) if not name.startswith(egg)}
    assert {name for name in files(unpacked) if not name.startswith(egg)} - made == course
    assert all((unpacked / name).read_bytes() == (tree / name).read_bytes() for name in course)


def test_the_wheel_holds_both_packages_and_the_stored_trainings_and_nothing_else(tree: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.startswith(f"{FILE}.dist-info/")}
        lines = archive.read(f"{FILE}.dist-info/METADATA").decode().splitlines()
    ours = {f"{package}/{name}" for package in ("genlib", "gencourse") for name in files(tree / package)}
    stored = {f"gencourse/stored/{name}" for name in files(tree / "lectures" / "runs")}
    assert len(stored) > 50
    assert not ours & stored
    assert names == ours | stored
    assert {"Name: genlib-course", f"Version: {PROJECT['version']}"} <= set(lines)
    asked = {Requirement(line.partition(": ")[2]).name for line in lines if line.startswith("Requires-Dist")}
    assert asked >= {Requirement(line).name for line in PROJECT["dependencies"]}


ALONE = """
import os, sys
from pathlib import Path

import genlib, gencourse
installed = Path(sys.argv[1]).resolve()
for package in (genlib, gencourse):
    assert installed in Path(package.__file__).resolve().parents, package.__file__

exec(sys.argv[2])  # the notebooks' first cell has nothing to do: there is no get_ipython here

import torch
from gencourse import checks, plots, widgets
from gencourse.runs import run_file
from genlib import data, diffusion, metrics, train

assert run_file("moons_0.safetensors").resolve().parent == installed / "gencourse" / "stored"
checks.installation()
ddpm = diffusion.DDPM(diffusion.UNet.digits(), diffusion.Schedule.cosine(T=1000), predict="v", levels=17)
digits = train.load(ddpm, run_file("ddpm_digits.safetensors")).sample(2, label=3, steps=2)
assert digits.shape == (2, 1, 8, 8)
assert len(train.History.load(run_file("ddpm_digits.json")).step) > 10
assert data.textures(2).y.shape[:2] == (2, 1)
assert metrics.label_accuracy(*(part[:200] for part in data.digits("test"))) > 0.9
strip = widgets.LambdaExplorer.load(run_file("textures_lambda.safetensors"))
assert "render" in str(strip._esm)
assert repr(plots.lines([0, 1], {"a": [0, 1]}))
print("alone", len(checks.exercises()))
"""


def test_what_pip_installs_is_enough_for_a_notebook_alone(wheel: Path, tmp_path: Path) -> None:
    bare, empty = tmp_path / "bare", tmp_path / "empty"
    empty.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    python = bare / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", str(wheel)], check=True, capture_output=True)
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    ours, theirs = (subprocess.check_output([p, "-I", "-c", ask], text=True).strip() for p in (sys.executable, python))
    # The packages of others come from here; a path in such a file does not lead on to the course's folder.
    Path(theirs, "others.pth").write_text(f"{ours}\n", encoding="utf-8")
    command = [str(python), "-I", "-c", ALONE, theirs, cell(build_notebooks.sources(ROOT)[0]).source]
    done = subprocess.run(command, cwd=empty, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split()[0] == "alone"
    assert not list(empty.iterdir())


# -- The first cell


def cell(source: Path) -> Any:
    """A notebook's first cell of code, which is its second of all."""
    cells = build_notebooks.read_source(source).cells
    assert [cell.cell_type for cell in cells[:2]] == ["markdown", "code"], source.name
    return cells[1]


def test_each_notebook_begins_with_the_same_cell_folded() -> None:
    sources = build_notebooks.sources(ROOT)
    first = {source.name: cell(source) for source in sources}
    assert len(first) > 10
    assert len({(c.source, str(c.metadata)) for c in first.values()}) == 1
    (one, *_) = first.values()
    assert one.metadata == {"jupyter": {"source_hidden": True}, "tags": ["remove-cell"]}
    assert len(one.source.splitlines()) <= 7
    (named,) = re.findall(r'"(genlib-course\[.*?)"', one.source)
    requirement = Requirement(named)
    assert requirement.name == PROJECT["name"]
    assert requirement.extras <= set(PROJECT["optional-dependencies"])
    assert str(requirement.specifier) == f"=={PROJECT['version']}"


@pytest.fixture
def pipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """In an empty folder in an empty folder: what the first cell hands to pip."""
    (tmp_path / "lectures").mkdir()
    monkeypatch.chdir(tmp_path / "lectures")
    return []


def run(asked: list[str]) -> None:
    class Shell:
        @staticmethod
        def run_line_magic(magic: str, line: str) -> None:
            asked.append(f"{magic} {line}")

    exec(cell(build_notebooks.sources(ROOT)[0]).source, {"get_ipython": Shell})


def test_the_first_cell_does_nothing_where_the_course_is_installed(pipped: list[str]) -> None:
    run(pipped)
    assert pipped == []


def test_the_first_cell_installs_what_is_missing(monkeypatch: pytest.MonkeyPatch, pipped: list[str]) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    run(pipped)
    assert pipped == [f"pip install --quiet genlib-course[notebooks]=={PROJECT['version']}"]
    Path("../gencourse").mkdir()
    run(pipped)
    assert pipped[1:] == ["pip install --quiet ..[notebooks]"]


# -- The stored trainings


def test_each_stored_training_that_a_notebook_names_is_there() -> None:
    named = {
        name
        for source in build_notebooks.sources(ROOT)
        for name in re.findall(r'run_file\("([^"]+)"\)', source.read_text("utf-8"))
    }
    assert len(named) >= 6
    for name in named:
        assert run_file(name) == ROOT / "lectures" / "runs" / name
    for source in build_notebooks.sources(ROOT):
        assert not re.search(r'"(?:\.\./lectures/)?runs/', source.read_text("utf-8")), source.name


def test_a_stored_training_that_is_nowhere_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"name: no stored training has a file nothing\.json"):
        run_file("nothing.json")
    monkeypatch.setattr(runs, "_FOLDERS", (tmp_path / "a", tmp_path / "b"))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "one.json").touch()
    assert run_file("one.json") == tmp_path / "b" / "one.json"
