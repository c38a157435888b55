"""The house around the course: what is pinned, what sets it up, and that its papers agree."""

import ast
import functools
import json
import operator
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import TextIO

import build_notebooks
import course
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCK = [
    Requirement(line)
    for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    if not line.startswith("#")
]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
MACHINES = [
    {"sys_platform": system, "platform_system": name, "os_name": kind, "platform_machine": machine}
    | {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.5", "implementation_name": "cpython"}
    for system, name, kind, machine in (
        ("linux", "Linux", "posix", "x86_64"),
        ("darwin", "Darwin", "posix", "arm64"),
        ("win32", "Windows", "nt", "AMD64"),
    )
    for minor in range(course.OLDEST[1], course.NEWEST[1] + 1)
]


def requirements() -> dict[str, SpecifierSet]:
    """Everything pyproject.toml asks for, by name."""
    lines = [*PROJECT["dependencies"], *functools.reduce(operator.iadd, PROJECT["optional-dependencies"].values(), [])]
    return {r.name: r.specifier for r in map(Requirement, lines) if r.name != "genlib"}


# -- What is pinned


def test_conda_has_the_names_and_bounds_of_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    assert environment[-1] == {"pip": ["-e ."]}
    theirs = {r.name: r.specifier for r in map(Requirement, environment[:-1])}
    assert theirs.pop("python") == SpecifierSet(PROJECT["requires-python"])
    assert theirs.pop("pip") == SpecifierSet()
    assert theirs == {CONDA_NAMES.get(name, name): bounds for name, bounds in requirements().items()}


def test_the_lock_is_exact_and_names_no_host_nor_build() -> None:
    for requirement in LOCK:
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), requirement
        assert requirement.url is None
    text = (ROOT / "requirements.lock").read_text("utf-8")
    assert not re.search(r"://|\+|^-", text, re.MULTILINE)
    assert "torch==2.13.0\n" in text


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: f"{m['sys_platform']}-{m['python_version']}")
def test_the_lock_pins_each_requirement_once_and_within_bounds(machine: dict[str, str]) -> None:
    here = [r for r in LOCK if r.marker is None or r.marker.evaluate(machine)]
    pins = {r.name: str(r.specifier).removeprefix("==") for r in here}
    assert len(pins) == len(here), "a package is pinned twice"
    for name, bounds in requirements().items():
        assert pins[name] in bounds, f"{name}=={pins[name]} is outside {bounds}"
    if machine["sys_platform"] != "linux":
        assert not [name for name in pins if re.match("nvidia|cuda|triton", name)]
    assert ("colorama" in pins) == (machine["sys_platform"] == "win32")


def test_the_lock_holds_what_builds_genlib() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    setuptools = Requirement(build[0])
    assert [str(r.specifier).removeprefix("==") in setuptools.specifier for r in LOCK if r.name == "setuptools"] == [
        True
    ]


def extra(name: str) -> set[str]:
    """What the library needs, and with the extra "course" or "dev" what notebooks, or tools and tests, need besides."""
    extras = PROJECT["optional-dependencies"]
    lines = PROJECT["dependencies"] + (extras["course"] if name else []) + (extras["dev"] if name == "dev" else [])
    return {Requirement(line).name for line in lines}


RUN_BY_STUDENTS = ("course.py", "check.py")
IMPORTERS = {
    "": [*(ROOT / "genlib").rglob("*.py")],
    "course": [
        *(ROOT / "gencourse").rglob("*.py"),
        *(ROOT / "tools" / name for name in RUN_BY_STUDENTS),
        *(p for folder in ("lectures", "solutions") for p in (ROOT / folder).glob("*.py")),
    ],
    "dev": [p for folder in ("tools", "tests") for p in (ROOT / folder).rglob("*.py")],
}
OTHER_NAMES = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}


@pytest.mark.parametrize("name", IMPORTERS)
def test_what_is_imported_is_asked_for(name: str) -> None:
    """By each part's own list: whoever uses the library alone has none of what notebooks or tests need."""
    own = {path.stem for folder in ("tools", "tests") for path in (ROOT / folder).glob("*.py")}
    own |= {"genlib", "gencourse", "wrong_answers", *sys.stdlib_module_names}
    own |= {"slow_to_load"}  # a test writes it, and imports it
    missing: dict[str, set[str]] = {}
    for path in IMPORTERS[name]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                modules = [node.module]
            for top in {module.split(".")[0] for module in modules} - own:
                if OTHER_NAMES.get(top, top).lower() not in extra(name):
                    missing.setdefault(top, set()).add(path.relative_to(ROOT).as_posix())
    assert len(IMPORTERS[name]) > 5
    assert not missing


# -- What sets it up


def test_the_script_parses_on_a_python_that_is_too_old() -> None:
    ast.parse((ROOT / "tools" / "course.py").read_text("utf-8"), feature_version=(3, 6))


def test_a_python_that_is_too_old_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 8, 18))
    monkeypatch.setattr(course.platform, "python_version", lambda: "3.8.18")
    monkeypatch.setattr(sys, "argv", ["course.py", "lab"])
    monkeypatch.setenv("PATH", "")
    assert course.main() == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "needs Python 3.11 to 3.14, and this is 3.8.18: install one" in said


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("ERROR: No matching distribution found for torch==2.13.0", "check the connection"),
        ("NewConnectionError: Connection refused", "a download failed"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("The virtual environment was not created: ensurepip is not available.", "apt install python3-venv"),
        ("something new", "see what it says"),
    ],
)
def test_a_failed_download_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str, remedy: str
) -> None:
    monkeypatch.setattr(course, "LOG", str(tmp_path / "setup.log"))
    with open(course.LOG, "w", encoding="utf-8") as log, pytest.raises(course.SetupError, match=remedy) as caught:
        course.run([sys.executable, "-c", f"import sys; print({words!r}); sys.exit(1)"], log, "No luck")
    assert "\n" not in str(caught.value)
    assert "run the same command again" in str(caught.value)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, list[str]]:
    """An empty house, and the list of the commands that its set-up ran instead of running them."""
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    venv = tmp_path / ".venv"
    paths = {
        "ROOT": tmp_path,
        "VENV": venv,
        "STAMP": venv / "course-stamp.txt",
        "LOG": tmp_path / "build" / "setup.log",
    }
    for name, path in paths.items():
        monkeypatch.setattr(course, name, str(path))
    ran: list[str] = []

    def run(command: list[str], log: TextIO, failure: str) -> None:
        ran.append(" ".join(command))
        if "venv" in command:
            python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
            python.parent.mkdir(parents=True)
            python.touch()

    monkeypatch.setattr(course, "run", run)
    monkeypatch.setattr(course, "precompile", lambda python, log: None)
    return tmp_path, ran


def test_set_up_twice_the_second_time_does_nothing(house: tuple[Path, list[str]]) -> None:
    _, ran = house
    python = course.setup()
    assert [[option in c.split() for option in ("venv", "-r", "-e")] for c in ran] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]
    assert Path(python).exists()
    ran.clear()
    assert course.setup() == python
    assert ran == []


def test_a_new_lock_is_installed_over_the_old_one(house: tuple[Path, list[str]]) -> None:
    root, ran = house
    course.setup()
    kept = root / ".venv" / "kept"
    kept.touch()
    with open(root / "requirements.lock", "a", encoding="utf-8") as file:
        file.write("another==1\n")
    ran.clear()
    course.setup()
    assert len(ran) == 2
    assert kept.exists()


@pytest.mark.parametrize("case", ["interrupted", "another Python", "moved"])
def test_half_or_foreign_set_ups_are_made_anew(house: tuple[Path, list[str]], case: str) -> None:
    root, ran = house
    course.setup()
    left = root / ".venv" / "left"
    left.touch()
    if case == "interrupted":
        (root / ".venv" / "unfinished.txt").touch()
    else:
        old, new = ("Python 3.", "Python 2.") if case == "another Python" else (str(root), str(root) + "-old")
        stamp = Path(course.STAMP)
        stamp.write_text(stamp.read_text("utf-8").replace(old, new), encoding="utf-8")
    ran.clear()
    course.setup()
    assert len(ran) == 3
    assert not left.exists()
    assert not (root / ".venv-old").exists()


def test_a_failed_set_up_is_not_taken_for_a_whole_one(
    house: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _root, ran = house
    works = course.run

    def fails(command: list[str], log: TextIO, failure: str) -> None:
        works(command, log, failure)
        if "-r" in command:
            raise course.SetupError("no network")

    monkeypatch.setattr(course, "run", fails)
    with pytest.raises(course.SetupError):
        course.setup()
    monkeypatch.setattr(course, "run", works)
    ran.clear()
    course.setup()
    assert len(ran) == 3


def test_labs_are_copied_once_and_never_overwritten(house: tuple[Path, list[str]]) -> None:
    root, _ = house
    (root / "labs").mkdir()
    for name in ("lab_1.ipynb", "lab_2.ipynb"):
        (root / "labs" / name).write_text("blank", encoding="utf-8")
    (root / "my_labs").mkdir()
    (root / "my_labs" / "lab_1.ipynb").write_text("my work", encoding="utf-8")
    course.copy_labs()
    assert (root / "my_labs" / "lab_1.ipynb").read_text("utf-8") == "my work"
    assert (root / "my_labs" / "lab_2.ipynb").read_text("utf-8") == "blank"


def test_lab_opens_the_first_page_of_the_whole_course_quietly(
    house: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _ = house
    ran: list[list[str]] = []
    monkeypatch.setattr(os, "environ", dict(os.environ))  # what lab sets for its kernels stays here
    monkeypatch.setattr(course, "call", lambda command: ran.append(command) or 0)
    monkeypatch.setattr(course.subprocess, "Popen", lambda command, **_: ran.append(command))
    assert course.lab("python", ["--no-browser"]) == 0
    assert ran[0][:3] == ["python", "-m", "nbformat.sign"]
    assert ran[1][-1] == "--no-browser"
    options = dict(option.split("=") for option in ran[1] if "=" in option)
    assert options["--ServerApp.root_dir"] == str(root)
    first_page = options["--LabApp.default_url"].removeprefix("/lab/tree/")
    assert (ROOT / first_page).with_suffix(".py").exists()
    assert options["--LabApp.app_settings_dir"] == str(root / "tools" / "lab_settings")
    settings = json.loads((ROOT / "tools" / "lab_settings" / "overrides.json").read_text("utf-8"))
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"


@pytest.mark.parametrize("bare", [True, False])
def test_a_lab_is_checked_with_and_without_make(
    house: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, bare: bool
) -> None:
    root, ran = house
    commands: list[list[str]] = []
    monkeypatch.setattr(course, "call", lambda command: commands.append(command) or 1)
    (root / "my_labs").mkdir()
    (root / "my_labs" / "a.ipynb").touch()
    monkeypatch.chdir(root / "my_labs")
    monkeypatch.setattr(sys, "argv", ["course.py", "check", "a.ipynb", *(["--no-venv"] if bare else [])])
    assert course.main() == 1
    assert bool(ran) != bare  # no .venv is made for a Python that has all that it needs
    (command,) = commands
    assert (command[0] == sys.executable) == bare
    assert command[1:] == [os.path.join("tools", "check.py"), str(root / "my_labs" / "a.ipynb")]
    recipe = (ROOT / "Makefile").read_text("utf-8").split("\ncheck:")[1].split("\n\n")[0]
    assert "$(COURSE) check" in recipe
    assert "setup" not in recipe


def test_the_tests_see_what_the_builder_saw(house: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    root, _ = house
    for folder in ("lectures", "labs", "solutions"):
        (root / folder).mkdir()
        (root / folder / "a.ipynb").touch()
    environments: list[dict[str, str]] = []
    commands: list[list[str]] = []

    def call(command: list[str]) -> int:
        environments.append(dict(os.environ))
        commands.append(command)
        return len(commands) == 2

    monkeypatch.setattr(os, "environ", dict(os.environ, GENLIB_MAX_STEPS="3"))
    monkeypatch.setattr(course, "call", call)
    assert course.test("python", ["-x"]) == 1  # later successes do not hide a failure
    assert [env.get("GENLIB_MAX_STEPS") for env in environments] == [None, None, "20"]
    for env in environments:
        assert env.items() >= build_notebooks.KERNEL_ENV.items()
    assert commands[0][-1] == "--check"
    assert commands[1][-3:] == [os.path.join("lectures", "a.ipynb"), os.path.join("solutions", "a.ipynb"), "-x"]
    assert commands[2][-2:] == [os.path.join("labs", "a.ipynb"), "-x"]


# -- What its papers say


def test_the_version_is_the_same_everywhere() -> None:
    version = PROJECT["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_readme_names_every_dependency_and_notebook() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in requirements():
        assert re.search(rf"\b{re.escape(name)}\b", readme, re.IGNORECASE), f"{name} is not in the README"
    for path in [*(ROOT / "lectures").glob("*.ipynb"), *(ROOT / "labs").glob("*.ipynb")]:
        assert path.stem in readme, f"{path.stem} is not in the README's contents"
    for target in re.findall(r"\]\((?!http|#)([^)]+)\)", readme):
        assert (ROOT / target).exists(), f"the README points to {target}"


def test_every_tool_that_is_named_is_there() -> None:
    papers = [*ROOT.glob("*.md"), ROOT / "Makefile", *ROOT.glob(".ci/*"), *ROOT.glob(".github/**/*.yml")]
    sources = [
        path
        for folder in ("genlib", "gencourse", "tools", "lectures", "solutions")
        for path in (ROOT / folder).rglob("*.py")
    ]
    named = {
        (path.relative_to(ROOT).as_posix(), tool)
        for path in [*papers, *sources]
        if path.is_file()
        for tool in re.findall(r"\btools[/\\](\w+\.py)", path.read_text("utf-8"))
    }
    assert {tool for _, tool in named} >= {"course.py", "build_notebooks.py", "runs.py"}
    assert not [(where, tool) for where, tool in sorted(named) if not (ROOT / "tools" / tool).exists()]


def test_contributing_takes_at_most_ten_lines_a_task() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    for task in ("Change a notebook", "Add an exercise", "Add a wrong answer", "Add a widget"):
        assert 0 < len(sections[task].strip().splitlines()) <= 10, task
