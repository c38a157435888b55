"""What sets the course up, and runs it: without one real installation."""

import ast
import contextlib
import json
import os
import re
import shutil
import signal
import site
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

import build_notebooks
import course
import course_commands
import course_run
import course_setup
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "tools"
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals and process groups")
House = tuple[Path, list[str]]


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    """An empty house, and the list of the commands that its set-up ran instead of running them."""
    for name in (*course_setup.LOCKS, course_setup.SITE_LOCK, "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    venv = tmp_path / ".venv"
    paths = {
        "ROOT": tmp_path,
        "VENV": venv,
        "STAMP": venv / "course-stamp.txt",
        "SITE_STAMP": venv / "course-site-stamp.txt",
        "LOG": tmp_path / "build" / "setup.log",
        "LOCK": tmp_path / "build" / "setup.lock",
    }
    for name, path in paths.items():
        monkeypatch.setattr(course_setup, name, str(path))
    monkeypatch.setattr(course_setup, "works", os.path.exists)
    ran: list[str] = []

    def run(command: list[str], log: TextIO, failure: str, env: object = None) -> None:
        ran.append(" ".join(command))
        if "venv" in command:
            python = Path(course_setup.venv_python())
            python.parent.mkdir(parents=True)
            python.touch()
            Path(course_setup.VENV, "pyvenv.cfg").write_text(
                f"version = {course_setup.version()}.1\n", encoding="utf-8"
            )
            Path(course_setup.packages()).mkdir(parents=True)
        for name in INSTALLED.get(command[-1].rpartition(os.sep)[2], ()):
            install(name)

    monkeypatch.setattr(course_setup, "run", run)
    yield tmp_path, ran
    os.close(course_run._held)
    course_run._held = -1


INSTALLED = {"requirements-torch.lock": ["torch"], "requirements.lock": ["numpy"], "requirements-site.lock": ["sphinx"]}


def install(name: str) -> Path:
    """What pip leaves of a package: the package, and the record of its files."""
    package, record = (Path(course_setup.packages()) / folder for folder in (name, f"{name}-1.dist-info"))
    for folder in (package, record):
        folder.mkdir(exist_ok=True)
    (package / "__init__.py").write_text("1\n", encoding="utf-8")
    (record / "RECORD").write_text(f"{name}/__init__.py,sha256=x,2\n{name}/x.pyc,,\n", encoding="utf-8")
    return package


def kinds(ran: list[str]) -> list[str]:
    """What the commands of a set-up were for."""
    words = [re.search(r"-m venv|[\w-]+\.lock$|-c import", command) for command in ran]
    return [word[0] if word else "?" for word in words]


LINUX = sys.platform == "linux"
PIP = ["requirements-torch.lock", "requirements.lock"] + ["requirements-cuda.lock"] * LINUX
FRESH = ["-m venv", *PIP, "-c import"]


# -- The first file that is read


def test_the_first_file_is_in_words_that_python_2_knows() -> None:
    text = (TOOLS / "course.py").read_text("utf-8")
    assert text.isascii()
    modern = (ast.JoinedStr, ast.AnnAssign, ast.Starred, ast.Nonlocal, ast.NamedExpr, ast.AsyncFunctionDef, ast.Match)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):  # format(*(1, 2)) is as old as it
            assert not isinstance(node.func, ast.Name) or node.func.id != "print"
            continue
        if isinstance(node, ast.FunctionDef):
            assert node.returns is None
            assert not node.args.kwonlyargs
            assert not [a for a in node.args.args if a.annotation]
        if isinstance(node, ast.List | ast.Tuple):
            assert not [e for e in node.elts if isinstance(e, ast.Starred)]
        assert not isinstance(node, modern) or isinstance(node, ast.Starred), ast.unparse(node)


OLD = [
    path
    for name in ("python2.7", "python3.6", "python3.8")
    for path in [shutil.which(name), *map(str, Path.home().glob(f".pyenv/versions/{name[6:]}*/bin/python"))]
    if path and not subprocess.call([path, "-c", ""], stderr=subprocess.DEVNULL)
]


@pytest.mark.parametrize("python", OLD or [pytest.param("", marks=pytest.mark.skip(reason="no old Python here"))])
def test_a_python_that_is_much_too_old_ends_in_one_line(python: str) -> None:
    done = subprocess.run(
        [python, "-E", str(TOOLS / "course.py"), "lab"], env={"PATH": ""}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert re.fullmatch(
        r"The course needs Python 3\.11 to 3\.14, and this is [\d.]+: install one .*\n", done.stdout + done.stderr
    )


@pytest.mark.parametrize("arguments", [["lab"], ["test", "--no-venv"]])
def test_a_python_that_is_too_old_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 8, 18))
    monkeypatch.setattr(course.platform, "python_version", lambda: "3.8.18")
    monkeypatch.setenv("PATH", "")
    assert course.main(arguments) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "needs Python 3.11 to 3.14, and this is 3.8.18: install one" in said


@POSIX
def test_a_python_that_is_too_old_hands_over_to_one_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (2, 7, 18))
    monkeypatch.setattr(course, "find_python", lambda: "/better/python")
    monkeypatch.setenv("PYTHONPATH", "/lib/python2.7")
    ran: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *call: ran.extend(call))
    course.main(["lab", "--no-browser"])
    python, command, env = ran
    assert [python, *command[1:]] == ["/better/python", str(TOOLS / "course.py"), "lab", "--no-browser"]
    assert "PYTHONPATH" not in env


# -- .venv


def test_set_up_twice_the_second_time_does_nothing(house: House) -> None:
    _, ran = house
    python = course_setup.setup()
    assert kinds(ran) == FRESH
    assert all("--no-deps" in c for c in ran if c.endswith(".lock"))
    assert [c.rpartition(os.sep)[2] for c in ran if c.endswith(".lock") and "--require-hashes" not in c] == PIP[:1]
    assert Path(python).exists()
    assert "downloads" not in os.listdir(course_setup.VENV)
    ran.clear()
    assert course_setup.setup() == python
    assert course_setup.setup(every_file=True) == python
    assert ran == []


def test_cuda_is_left_out_where_torch_is_a_build_for_the_cpu(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _, ran = house
    monkeypatch.setattr(course_setup, "LINUX", True)
    works = course_setup.run

    def run(command: list[str], *rest: Any) -> None:
        works(command, *rest)
        if command[-1].endswith("requirements-torch.lock"):
            (Path(course_setup.packages()) / "torch-2.13.0+cpu.dist-info").mkdir()

    monkeypatch.setattr(course_setup, "run", run)
    course_setup.setup()
    assert kinds(ran) == ["-m venv", "requirements-torch.lock", "requirements.lock", "-c import"]


def test_what_the_site_needs_comes_when_it_is_asked_for(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, ran = house
    monkeypatch.setattr(os, "environ", dict(os.environ))
    commands: list[list[str]] = []
    monkeypatch.setattr(course_commands, "call", lambda command: commands.append(command) or 0)
    monkeypatch.chdir(root)
    assert course.main(["check", "a.ipynb"]) == 0
    assert kinds(ran) == FRESH
    for command, script in (("slides", "slides.py"), ("site", "build_site.py"), ("handouts", "handouts.py")):
        ran.clear()
        assert course.main([command, "x"]) == 0
        assert commands[-1][1:] == [os.path.join("tools", script), "x"]
        assert kinds(ran) == (["requirements-site.lock", "-c import"] if command == "slides" else [])
    assert course.main(["test-browser", "-x"]) == 0
    assert commands[-1][-2:] == [os.path.join("tests", "browser"), "-x"]
    assert course.main(["check", "a.ipynb"]) == 0
    assert ran == []
    # A new lock, or a package that went, is put there by the next that needs it, and by no other.
    (root / course_setup.SITE_LOCK).write_text("# another\n", encoding="utf-8")
    course_setup.setup(every_file=True)
    assert ran == []
    assert course.main(["setup", "site"]) == 0
    assert kinds(ran) == ["requirements-site.lock", "-c import"]
    shutil.rmtree(Path(course_setup.packages()) / "sphinx")
    ran.clear()
    course_setup.setup(site=True)
    assert kinds(ran)[-2:] == ["requirements-site.lock", "-c import"]
    assert (Path(course_setup.packages()) / "sphinx").exists()
    capsys.readouterr()


def test_what_the_site_needs_is_asked_for_anew_where_it_failed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _, ran = house
    course_setup.setup()
    works = course_setup.run

    def fails(command: list[str], *rest: Any) -> None:
        works(command, *rest)
        if command[-1].endswith(course_setup.SITE_LOCK):
            raise course_run.SetupError("no network")

    monkeypatch.setattr(course_setup, "run", fails)
    with pytest.raises(course_run.SetupError):
        course_setup.setup(site=True)
    monkeypatch.setattr(course_setup, "run", works)
    ran.clear()
    course_setup.setup(site=True)
    assert kinds(ran) == ["requirements-site.lock", "-c import"]


def test_a_file_that_is_not_the_locks_is_an_error(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], log: TextIO, failure: str, env: object = None) -> None:
        if command[-1].endswith(".lock"):
            words = ["THESE PACKAGES DO NOT MATCH THE HASHES", course_run.NO_SUCH_FILE]
            course_run.run([sys.executable, "-c", f"print({words!r}); raise SystemExit(1)"], log, failure)

    monkeypatch.setattr(course_setup, "run", run)
    with pytest.raises(course_run.SetupError, match="not the one that the lock names"):
        course_setup.setup()


def test_genlib_is_found_from_venv_as_pip_would_have_it(house: House) -> None:
    root, _ = house
    course_setup.setup()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (found,) = metadata.distributions(name=project["name"], path=[course_setup.packages()])
    assert found.version == project["version"]
    asked = {(r.name, r.specifier, str(r.marker)) for r in map(Requirement, found.requires or [])}
    wanted = [(line, "None") for line in project["dependencies"]]
    for extra, lines in project["optional-dependencies"].items():
        wanted += [(line, f'extra == "{extra}"') for line in lines]
    assert asked == {(Requirement(line).name, Requirement(line).specifier, marker) for line, marker in wanted}
    record = f"{project['name'].replace('-', '_')}-{found.version}.dist-info"
    assert sorted(map(str, found.files or [])) == sorted(
        ["genlib.pth", *(f"{record}/{name}" for name in ("INSTALLER", "METADATA", "RECORD"))]
    )
    assert all(Path(str(file.locate())).is_file() for file in found.files or [])
    paths = list(sys.path)
    try:
        site.addsitedir(course_setup.packages())
        assert sys.path[-1] == str(root)
    finally:
        sys.path[:] = paths


@pytest.mark.parametrize("name", [*course_setup.LOCKS, "pyproject.toml"])
def test_a_new_lock_is_installed_over_the_old_one(house: House, name: str) -> None:
    root, ran = house
    course_setup.setup()
    kept = root / ".venv" / "kept"
    kept.touch()
    with open(root / name, "a", encoding="utf-8") as file:
        file.write("# another\n")
    ran.clear()
    course_setup.setup()
    assert kinds(ran) == FRESH[1:]
    assert kept.exists()


@pytest.mark.parametrize("case", ["interrupted", "another Python", "moved", "no pyvenv.cfg", "no pip"])
def test_half_or_foreign_set_ups_are_made_anew(house: House, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    root, ran = house
    course_setup.setup()
    left = root / ".venv" / "left"
    left.touch()
    if case == "interrupted":
        (root / ".venv" / "unfinished.txt").touch()
    elif case == "no pyvenv.cfg":
        (root / ".venv" / "pyvenv.cfg").unlink()
    elif case == "no pip":
        shutil.rmtree(Path(course_setup.packages()) / "torch")
        monkeypatch.setattr(course_setup, "works", lambda python: False)
    else:
        old, new = ("Python 3.", "Python 2.") if case == "another Python" else (str(root), str(root) + "-old")
        stamp = Path(course_setup.STAMP)
        stamp.write_text(stamp.read_text("utf-8").replace(old, new), encoding="utf-8")
    ran.clear()
    course_setup.setup()
    assert kinds(ran) == FRESH
    assert not left.exists()
    assert not (root / ".venv-old").exists()


@pytest.mark.parametrize("config", [None, "version = 3.9.1", f"version = {course_setup.version()}.0"])
def test_a_venv_that_somebody_else_made_is_never_removed(house: House, config: str | None) -> None:
    root, ran = house
    (root / ".venv").mkdir()
    (root / ".venv" / "work").touch()
    if config:
        (root / ".venv" / "pyvenv.cfg").write_text(config, encoding="utf-8")
    with pytest.raises(course_run.SetupError, match="remove it and try again"):
        course_setup.setup()
    assert (root / ".venv" / "work").exists()
    assert not ran


def test_a_package_that_went_is_put_back(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    _, ran = house
    course_setup.setup()
    torch = Path(course_setup.packages()) / "torch"
    shutil.rmtree(torch)
    ran.clear()
    capsys.readouterr()
    course_setup.setup()
    assert kinds(ran) == FRESH[1:]
    assert "Mending .venv, which lacks torch\n" in capsys.readouterr().out
    assert (torch / "__init__.py").exists()


@pytest.mark.parametrize("how", ["gone", "half"])
def test_a_file_that_went_is_put_back_by_setup(house: House, how: str) -> None:
    _, ran = house
    course_setup.setup()
    file = Path(course_setup.packages()) / "numpy" / "__init__.py"
    if how == "gone":
        file.unlink()
    else:
        file.write_text("", encoding="utf-8")
    assert course_setup.damaged() == ["numpy-1.dist-info"]
    ran.clear()
    course_setup.setup()  # what each start looks at is each package, not each file
    assert not ran
    course_setup.setup(every_file=True)
    assert kinds(ran) == FRESH[1:]
    assert file.read_text("utf-8") == "1\n"


@pytest.mark.parametrize("step", range(len(FRESH)))
def test_a_failed_set_up_is_not_taken_for_a_whole_one(house: House, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    _root, ran = house
    works = course_setup.run

    def fails(*arguments: Any) -> None:
        with contextlib.suppress(course_run.SetupError):
            works(*arguments)
        if len(ran) == step + 1:
            raise course_run.SetupError("no network")

    monkeypatch.setattr(course_setup, "run", fails)
    with pytest.raises(course_run.SetupError):
        course_setup.setup()
    monkeypatch.setattr(course_setup, "run", works)
    ran.clear()
    course_setup.setup()
    assert kinds(ran) == FRESH


@pytest.mark.parametrize("unfit", [os.pathsep, "\n", "\udcff"])
def test_a_folder_in_which_no_venv_can_lie_is_refused_in_one_line(
    house: House, monkeypatch: pytest.MonkeyPatch, unfit: str
) -> None:
    _, ran = house
    monkeypatch.setattr(course_setup, "ROOT", f"/home/a{unfit}b")
    with pytest.raises(course_run.SetupError, match="in its name") as caught:
        course_setup.setup()
    assert str(caught.value).isprintable()
    assert not ran
    course_run.hold(course_setup.LOCK, shared=True)


@pytest.mark.parametrize(
    "name", ["a $x", "it's", '"q" #h', "%s {k} \\n [x]", "naïve 日本", "`id` & ;"[: None if os.pathsep == ":" else 4]]
)
def test_other_folders_are_as_good_as_any(house: House, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    root, ran = house
    if os.name == "nt" and re.search(r'["\\]', name):
        pytest.skip("no name on Windows")
    odd = root / name
    odd.mkdir()
    for path in [*root.glob("*.lock"), root / "pyproject.toml"]:
        shutil.copy(path, odd)
    for attribute, part in (("ROOT", ""), ("VENV", ".venv"), ("STAMP", ".venv/course-stamp.txt")):
        monkeypatch.setattr(course_setup, attribute, str(odd / part))
    course_setup.setup()
    ran.clear()
    course_setup.setup(every_file=True)
    assert not ran
    (odd / "labs").mkdir()
    (odd / "labs" / "a.ipynb").touch()
    assert course_commands.notebooks("labs") == [os.path.join("labs", "a.ipynb")]


# -- Cut off from what a shell passes on


def test_what_leads_python_elsewhere_is_not_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    led = {"PYTHONPATH": "/x", "PYTHONHOME": "/x", "PYTHONSTARTUP": "/x", "PYTHONOPTIMIZE": "2", "PYTHONSAFEPATH": "1"}
    monkeypatch.setattr(os, "environ", {**os.environ, **led, "PYTHONUTF8": "1", "VIRTUAL_ENV": "/another"})
    course_run.isolate(str(tmp_path))
    assert not led.keys() & os.environ.keys()
    assert os.environ["PYTHONUTF8"] == "1"
    assert os.environ["VIRTUAL_ENV"] == str(tmp_path)


def test_pip_is_told_only_where_packages_come_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = tmp_path / "pip.conf"
    settings.write_text(
        f"""[global]
find-links =
    {tmp_path}
    /more
index-url = file:///global
no-deps = true
user = true
[install]
target = /elsewhere
index-url = file:///install
[download]
proxy = no
""",
        encoding="utf-8",
    )
    set_here = {"PIP_TARGET": "/x", "PIP_USER": "1", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_CERT": "/a=b.crt"}
    set_here |= {"PIP_CONFIG_FILE": str(settings), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in set_here.items():
        monkeypatch.setenv(name, value)
    env = course_run.pip_environment(sys.executable)
    pip = {name: value for name, value in env.items() if name.startswith("PIP_")}
    assert pip["PIP_FIND_LINKS"].split() == [str(tmp_path), "/more"]
    assert pip["PIP_INDEX_URL"] == "file:///install"
    assert pip["PIP_CERT"] == "/a=b.crt"
    assert pip["PIP_CONFIG_FILE"] == os.devnull
    assert not pip.keys() & {"PIP_TARGET", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_NO_DEPS", "PIP_PROXY"}
    assert "PYTHONDONTWRITEBYTECODE" not in env


def test_python_itself_is_asked_for_nothing_of_the_shells(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _, ran = house
    course_setup.setup()
    assert all(command.split(" -")[1] == "I" for command in ran)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "\nCOURSE = $(PYTHON) -E tools/course.py\n" in makefile
    assert {"PYTHONPATH", "PYTHONHOME"} <= set(re.findall(r"^unexport (.*)", makefile, re.MULTILINE)[0].split())


# -- One at a time


def start(tmp_path: Path, code: str) -> "subprocess.Popen[str]":
    """Another process that runs code beside a house's lock."""
    first = f"import sys, time; sys.path.insert(0, {str(TOOLS)!r}); LOCK = {str(tmp_path / 'build' / 'setup.lock')!r}"
    command = [sys.executable, "-u", "-c", f"{first}\n{code}"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line(process: "subprocess.Popen[str]") -> str:
    """The next line that a process prints."""
    assert process.stdout
    return process.stdout.readline().rstrip("\n")


HOLD = "import course_run; course_run.hold(LOCK, shared={}); print('held'); sys.stdin.read()"


@pytest.mark.parametrize("shared", [False, True])
def test_who_waits_says_for_whom(house: House, shared: bool) -> None:
    root, _ = house
    course_run.hold(course_setup.LOCK, shared=False)
    with start(root, HOLD.format(shared)) as other:
        assert line(other).startswith(f"Waiting for process {os.getpid()}, which sets the course up in .venv (Ctrl-C")
        course_run.hold(course_setup.LOCK, shared=True)
        if not shared:  # it goes on waiting for who uses .venv
            os.close(course_run._held)
            course_run._held = -1
        assert line(other) == "held"
        other.communicate("")
    course_run.hold(course_setup.LOCK, shared=True)


@POSIX
def test_a_lab_that_runs_keeps_its_venv(house: House) -> None:
    root, _ = house
    course_run.hold(course_setup.LOCK, shared=True)
    with start(root, HOLD.format(True)) as another:
        assert line(another) == "held"
        another.communicate("")
    with start(root, HOLD.format(False)) as other:
        assert "a lab or tests, which use .venv, to end" in line(other)
        course_run.hold(course_setup.LOCK + "-2", shared=True)
        assert line(other) == "held"
        other.communicate("")


def test_who_was_killed_holds_nothing(house: House) -> None:
    root, _ = house
    with start(root, HOLD.format(False)) as other:
        assert line(other) == "held"
        other.kill()
    course_run.hold(course_setup.LOCK, shared=False)


def test_of_two_set_ups_at_once_one_builds(house: House) -> None:
    root, _ = house
    course_setup.setup()  # as the fixture does it; the others only see what it leaves
    (root / ".venv" / "unfinished.txt").touch()
    code = f"""
import os, course_setup
course_setup.ROOT = {str(root)!r}
course_setup.VENV, course_setup.LOCK = os.path.join(course_setup.ROOT, ".venv"), LOCK
course_setup.STAMP = os.path.join(course_setup.VENV, "course-stamp.txt")
def build(lacks):
    print("builds")
    sys.stdin.readline()
    os.remove(os.path.join(course_setup.VENV, "unfinished.txt"))
course_setup.build = build
course_setup.setup()
print("ready")
"""
    with start(root, code) as one:
        course_run.hold(course_setup.LOCK + "-2", shared=True)  # this process is out of the way
        assert line(one) == "builds"
        with start(root, code) as two:
            assert line(two).startswith(f"Waiting for process {one.pid}, ")
            assert one.communicate("\n")[0] == "ready\n"
            assert line(two) == "ready"
            two.communicate("")


# -- Commands of the set-up


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("ERROR: No matching distribution found for torch==2.13.0", "check the connection"),
        ("NewConnectionError: Connection refused", "a download failed"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("The virtual environment was not created: ensurepip is not available.", "apt install python3-venv"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "not the one that the lock names"),
        ("something new", "see what it says"),
    ],
)
def test_a_failed_download_ends_in_one_line(tmp_path: Path, words: str, remedy: str) -> None:
    command = [sys.executable, "-c", f"import sys; print({words!r}); sys.exit(1)"]
    with (tmp_path / "setup.log").open("w") as log, pytest.raises(course_run.SetupError, match=remedy) as caught:
        course_run.run(command, log, "No luck")
    assert "\n" not in str(caught.value)
    assert "run the same command again" in str(caught.value)


def test_words_that_come_before_anybody_waits_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    begun = subprocess.Popen

    def slow(*args: Any, **kwargs: Any) -> Any:
        process = begun(*args, **kwargs)
        process.wait()  # it has said all before `run` goes on
        return process

    command = [sys.executable, "-c", "import sys; print('No space left on device'); sys.exit(1)"]
    monkeypatch.setattr(course_run.subprocess, "Popen", slow)
    with (tmp_path / "setup.log").open("w") as log, pytest.raises(course_run.SetupError, match="the disk is full"):
        course_run.run(command, log, "No luck")


def test_a_disk_too_full_for_the_words_that_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with (tmp_path / "setup.log").open("w") as log, pytest.raises(course_run.SetupError, match="the disk is full"):
        course_run.run([sys.executable, "-c", "raise SystemExit(1)"], log, "No luck")


def gone(pid: int) -> bool:
    """Whether a process ends, or is but a name that nobody asked after; it has half a minute, and takes none of it."""
    for _ in range(300):
        state = Path(f"/proc/{pid}/stat")
        with contextlib.suppress(OSError):
            if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def sleepers(pids: Path) -> str:
    """Code of two processes, one below the other, that write their numbers to a pipe and sleep."""
    below = "[sys.executable, '-c', 'import time; time.sleep(600)']"
    return f"""
import os, subprocess, sys, time
below = subprocess.Popen({below})
open({str(pids)!r}, "w").write(f"{{os.getpid()}} {{below.pid}}")
try:
    time.sleep(600)
finally:
    below.kill()
"""


@POSIX
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda s: s.name)
def test_a_killed_set_up_leaves_nobody(tmp_path: Path, how: signal.Signals) -> None:
    pids = tmp_path / "pids"
    os.mkfifo(pids)
    code = f"""
import course_run
with open({str(tmp_path / "setup.log")!r}, "w") as log:
    course_run.run([sys.executable, "-c", {sleepers(pids)!r}], log, "No luck")
"""
    with start(tmp_path, code) as setting_up:
        below = [int(pid) for pid in pids.read_text().split()]
        assert len(below) == 2
        setting_up.send_signal(how)
        assert setting_up.wait() != 0
    assert all(gone(pid) for pid in below)


@POSIX
def test_who_ends_the_course_ends_what_it_runs(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    os.mkfifo(pids)
    waits = f"import os; open({str(pids)!r}, 'w').write(str(os.getpid())); input()"
    code = f"""
import course_commands, course_setup
course_setup.ROOT = {str(tmp_path)!r}
course_commands.call([sys.executable, "-c", {waits!r}])
print("a next command")
"""
    with start(tmp_path, code) as running:
        below = int(pids.read_text())
        running.terminate()
        running.wait()
        assert running.stdout
        assert running.stdout.read() == ""
        assert running.returncode == 128 + signal.SIGTERM
    assert gone(below)


# -- The commands


def test_labs_are_copied_once_and_never_overwritten(house: House) -> None:
    root, _ = house
    (root / "labs").mkdir()
    for name in ("lab_1.ipynb", "lab_2.ipynb"):
        (root / "labs" / name).write_text("blank", encoding="utf-8")
    (root / "my_labs").mkdir()
    (root / "my_labs" / "lab_1.ipynb").write_text("my work", encoding="utf-8")
    course_commands.copy_labs()
    assert (root / "my_labs" / "lab_1.ipynb").read_text("utf-8") == "my work"
    assert (root / "my_labs" / "lab_2.ipynb").read_text("utf-8") == "blank"
    assert sorted(os.listdir(root / "my_labs")) == [".copied.json", "lab_1.ipynb", "lab_2.ipynb"]
    course_run.hold(course_setup.LOCK, shared=True)


def test_a_full_disk_leaves_no_half_of_a_lab(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    root, _ = house
    course_run.hold(course_setup.LOCK, shared=True)
    (root / "labs").mkdir()
    (root / "labs" / "lab_1.ipynb").write_text("blank", encoding="utf-8")
    copy = shutil.copy

    def full(source: str, target: str) -> None:
        Path(target).write_text("bla", encoding="utf-8")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy", full)
    with pytest.raises(OSError, match="No space"):
        course_commands.copy_labs()
    assert not os.listdir(root / "my_labs")
    monkeypatch.setattr(shutil, "copy", copy)
    course_commands.copy_labs()
    assert (root / "my_labs" / "lab_1.ipynb").read_text("utf-8") == "blank"


def test_lab_opens_the_first_page_of_the_whole_course_quietly(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    root, _ = house
    course_run.hold(course_setup.LOCK, shared=True)
    ran: list[list[str]] = []
    monkeypatch.setattr(os, "environ", dict(os.environ))  # what lab sets for its kernels stays here
    monkeypatch.setattr(course_commands, "call", lambda command: ran.append(command) or 0)
    monkeypatch.setattr(course_commands.subprocess, "Popen", lambda command, **_: ran.append(command))
    assert course_commands.lab("python", ["--no-browser"]) == 0
    assert ran[0][:3] == ["python", "-m", "nbformat.sign"]
    assert ran[1][-1] == "--no-browser"
    options = dict(option.split("=") for option in ran[1] if "=" in option)
    assert options["--ServerApp.root_dir"] == str(root)
    first_page = options["--LabApp.default_url"].removeprefix("/lab/tree/")
    assert (ROOT / first_page).with_suffix(".py").exists()
    assert options["--LabApp.app_settings_dir"] == str(root / "tools" / "lab_settings")
    settings = json.loads((ROOT / "tools" / "lab_settings" / "overrides.json").read_text("utf-8"))
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
    assert "--CourseContents.folded" not in options
    assert course_commands.lab("python", ["--present"]) == 0
    presented = dict(option.split("=") for option in ran[3] if "=" in option)
    assert "--present" not in ran[3]  # JupyterLab would refuse it
    assert presented["--CourseContents.folded"] == "True"
    extensions = Path(presented["--LabApp.extra_labextensions_path"]).relative_to(root)
    assert os.listdir(ROOT / extensions) == ["genlib-present"]
    assert presented["--LabApp.default_url"] == "/lab/workspaces/present/tree/" + first_page


@pytest.mark.parametrize("bare", [True, False])
def test_a_lab_is_checked_with_and_without_make(house: House, monkeypatch: pytest.MonkeyPatch, bare: bool) -> None:
    root, ran = house
    course_run.hold(course_setup.LOCK, shared=True)
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(course_commands, "call", lambda command: commands.append(command) or 1)
    (root / "my_labs").mkdir()
    (root / "my_labs" / "a.ipynb").touch()
    monkeypatch.chdir(root / "my_labs")
    assert course.main(["check", "a.ipynb", *(["--no-venv"] if bare else [])]) == 1
    assert bool(ran) != bare  # no .venv is made for a Python that has all that it needs
    (command,) = commands
    assert (command[0] == sys.executable) == bare
    assert command[1:] == [os.path.join("tools", "check.py"), str(root / "my_labs" / "a.ipynb")]
    recipe = (ROOT / "Makefile").read_text("utf-8").split("\ncheck:")[1].split("\n\n")[0]
    assert "$(COURSE) check" in recipe
    assert "setup" not in recipe


@pytest.mark.skipif(not shutil.which("make") or os.name == "nt", reason="no make here")
@pytest.mark.parametrize("name", ["my_labs/lab 1.ipynb", "`touch x`", "a $x $(id) $$", 'it\'s "q" #h \\n'])
def test_make_hands_a_name_on_as_it_is(name: str) -> None:
    command = ["make", "-s", "-f", str(ROOT / "Makefile"), "check", "PYTHON=printf '<%s>'", f"NOTEBOOK={name}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == f"<-E><tools/course.py><check><{name}>"


def run_tests(
    house: House, monkeypatch: pytest.MonkeyPatch, statuses: list[int], arguments: list[str]
) -> tuple[int, list[list[str]], list[dict[str, str]]]:
    """The status of `test` where its commands end in these statuses; the commands, and what they were run in."""
    root, _ = house
    course_run.hold(course_setup.LOCK, shared=True)
    for folder in ("lectures", "labs", "solutions"):
        (root / folder).mkdir()
        (root / folder / "a.ipynb").touch()
    environments: list[dict[str, str]] = []
    commands: list[list[str]] = []

    def call(command: list[str]) -> int:
        environments.append(dict(os.environ))
        commands.append(command)
        return statuses[len(commands) - 1]

    monkeypatch.setattr(os, "environ", dict(os.environ, GENLIB_MAX_STEPS="3"))
    monkeypatch.setattr(course_commands, "call", call)
    return course_commands.test("python", arguments), commands, environments


def test_the_tests_see_what_the_builder_saw(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    status, commands, environments = run_tests(house, monkeypatch, [1, 0], ["-x"])
    assert status == 1  # later successes do not hide a failure
    assert [env.get("GENLIB_MAX_STEPS") for env in environments] == [None, None]
    for env in environments:
        assert env.items() >= build_notebooks.KERNEL_ENV.items()
    assert commands[0][-1] == "--check"
    assert {os.path.join(folder, "a.ipynb") for folder in ("lectures", "solutions")} < set(commands[1])
    assert commands[1][-1] == "-x"


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [([0, 0], 0), ([0, 1], 1), ([0, 2], 1), ([0, 5], 1), ([0, -9], 1), ([1, 0], 1), ([1, 5], 1)],
)
def test_a_run_without_a_test_is_a_failure_and_says_so(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    statuses: list[int],
    expected: int,
) -> None:
    assert run_tests(house, monkeypatch, statuses, ["-k", "schedule"])[0] == expected
    assert ("No test was run: none is selected by -k schedule." in capsys.readouterr().err) == (statuses[1] == 5)
