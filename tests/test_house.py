"""The house around the course: what is pinned, and that its papers agree (what sets it up: test_house_setup)."""

import ast
import functools
import operator
import os
import re
import sys
import tomllib
from pathlib import Path

import course
import course_commands
import course_setup
import lock
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import genlib

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
TEXTS = {path.name: path.read_text("utf-8") for path in lock.WRITTEN}
# A package, and the hashes below it.
PINS = {name: re.findall(r"^(\w.*?) \\\n((?:    .+\n)+)", text, re.MULTILINE) for name, text in TEXTS.items()}
LOCK, CUDA_LOCK, SITE_LOCK = ([Requirement(line) for line, _ in pins] for pins in PINS.values())
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "jupyter-server": "jupyter_server"}
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


def requirements(*extras: str) -> dict[str, SpecifierSet]:
    """What pyproject.toml asks for, everything or with these extras alone, by name."""
    asked = [lines for name, lines in PROJECT["optional-dependencies"].items() if not extras or name in extras]
    lines = functools.reduce(operator.iadd, asked, [*PROJECT["dependencies"]])
    return {r.name: r.specifier for r in map(Requirement, lines) if r.name != PROJECT["name"]}


# -- What is pinned


def test_conda_has_the_names_and_bounds_of_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    assert environment[-1] == {"pip": ["-e ."]}
    theirs = {r.name: r.specifier for r in map(Requirement, environment[:-1])}
    assert theirs.pop("python") == SpecifierSet(PROJECT["requires-python"])
    assert theirs.pop("pip") == SpecifierSet()
    assert theirs == of_conda(requirements("notebooks", "course", "dev"))


def of_conda(ours: dict[str, SpecifierSet]) -> dict[str, SpecifierSet]:
    """Requirements by conda's names."""
    return {CONDA_NAMES.get(name, name): bounds for name, bounds in ours.items()}


def test_binder_has_what_notebooks_need_within_the_same_bounds() -> None:
    environment = yaml.safe_load((ROOT / ".binder" / "environment.yml").read_text("utf-8"))["dependencies"]
    python, *others = environment
    assert python.removeprefix("python=") in SpecifierSet(PROJECT["requires-python"])
    theirs = {r.name: r.specifier for r in map(Requirement, others)}
    assert theirs.pop("pip") == SpecifierSet()
    (builder,) = map(
        Requirement, tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    )
    assert theirs.pop(builder.name) == builder.specifier  # postBuild installs the course without another
    assert theirs == of_conda(requirements("notebooks", "course"))
    script = ROOT / ".binder" / "postBuild"
    assert os.name == "nt" or os.access(script, os.X_OK)
    words = script.read_text("utf-8")
    assert "course_commands.copy_labs()" in words
    assert callable(course_commands.copy_labs)
    assert (ROOT / re.findall(r"^cp (\S+)", words, re.MULTILINE)[0]).exists()


@pytest.mark.parametrize("name", TEXTS)
def test_the_lock_is_exact_and_names_no_host_nor_build(name: str) -> None:
    for requirement in map(Requirement, (line for line, _ in PINS[name])):
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), requirement
        assert requirement.url is None
    assert not re.search(r"://|^-", TEXTS[name], re.MULTILINE)
    assert TEXTS[name].startswith(lock.HEADER)


@pytest.mark.parametrize("name", TEXTS)
def test_the_lock_holds_each_file_to_its_hash(name: str) -> None:
    assert len(PINS[name]) == len(re.findall(r"^[\w.-]+==", TEXTS[name], re.MULTILINE))  # no line without
    for line, hashes in PINS[name]:
        assert re.fullmatch(r"(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", hashes), line


def test_torch_stands_apart_by_its_version_alone() -> None:
    lines = [line for line in lock.TORCH.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert lines == [lock.torch()]
    (version,) = Requirement(lock.torch()).specifier
    assert version.version in requirements()["torch"]
    assert version.contains(f"{version.version}+cpu")  # whatever its build
    assert "torch" not in [r.name for r in (*LOCK, *CUDA_LOCK, *SITE_LOCK)]
    # What only builds for GPUs need is not asked of others, nor of other systems.
    assert not [r.name for r in LOCK if lock.GPU_ONLY.match(r.name)]
    assert all(lock.GPU_ONLY.match(r.name) for r in CUDA_LOCK)
    machines = [m for m in MACHINES if m["sys_platform"] != "linux"]
    assert not [r.name for r in CUDA_LOCK for m in machines if r.marker is None or r.marker.evaluate(m)]
    assert sorted((*course_setup.LOCKS, course_setup.SITE_LOCK)) == sorted((*TEXTS, lock.TORCH.name))
    assert sorted(path.name for path in ROOT.glob("*.lock")) == sorted((*TEXTS, lock.TORCH.name))


def test_the_locks_are_split_by_whom_they_are_for() -> None:
    digest = "    --hash=sha256:" + 64 * "0"
    one = f"a==1 \\\n{digest}\n"
    gpu = f"triton==2 ; sys_platform == 'linux' \\\n{digest} \\\n{digest}\n"
    torch = f"torch==2 \\\n{digest}\n"
    more = f"b==3 ; python_full_version < '3.12' \\\n{digest}\n"
    every, cuda, site = lock.split(one + gpu + torch + one, one + more + gpu + torch + one)
    assert every == lock.HEADER + one + one
    assert cuda == lock.HEADER + gpu
    assert site == lock.HEADER + more


def test_the_workflow_names_each_action_by_its_commit() -> None:
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        uses = re.findall(r"uses: *(.*)", path.read_text("utf-8"))
        assert uses
        for action in uses:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}  # v[\d.]+", action), action


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: f"{m['sys_platform']}-{m['python_version']}")
def test_the_lock_pins_each_requirement_once_and_within_bounds(machine: dict[str, str]) -> None:
    here = [r for r in LOCK if r.marker is None or r.marker.evaluate(machine)]
    pins = {r.name: str(r.specifier).removeprefix("==") for r in here}
    assert len(pins) == len(here), "a package is pinned twice"
    for name, bounds in requirements("notebooks", "course", "dev").items():
        assert name == "torch" or pins[name] in bounds, f"{name}=={pins[name]} is outside {bounds}"
    # What the site needs besides: each once, and nothing that is here in another version.
    more = [r for r in SITE_LOCK if r.marker is None or r.marker.evaluate(machine)]
    site = {r.name: str(r.specifier).removeprefix("==") for r in more}
    assert len(site) == len(more), "a package is pinned twice"
    assert {**pins, **site} == {**site, **pins}
    for name, bounds in requirements("site").items():
        assert name == "torch" or {**pins, **site}[name] in bounds, f"{name} is outside {bounds}"
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
    """What the library needs, and with an extra what notebooks, tools, tests, or decks and site need besides."""
    extras = ["none", "notebooks", "course", "dev", "site"]
    return set(requirements(*extras[: extras.index(name or "none") + 1]))


RUN_BY_STUDENTS = ("course.py", "course_commands.py", "course_run.py", "course_setup.py", "check.py", "lab_server.py")
SITE_TOOLS = ("build_site.py", "handouts.py", "slides.py", "web.py", "deck.py", "live.py", "pictures.py")


def for_the_site(path: Path) -> bool:
    """Whether a file runs only where the site's packages are installed."""
    where = path.relative_to(ROOT)
    return (
        where.parts[0] == "site"
        or where.parts[:2] == ("tests", "browser")
        or where.name.startswith(("site_", *SITE_TOOLS))
    )


IMPORTERS = {
    "": [*(ROOT / "genlib").rglob("*.py")],
    "notebooks": [
        *(ROOT / "gencourse").rglob("*.py"),
        *(p for folder in ("lectures", "solutions") for p in (ROOT / folder).glob("*.py")),
    ],
    "course": [ROOT / "tools" / name for name in RUN_BY_STUDENTS],
    "dev": [p for folder in ("tools", "tests") for p in (ROOT / folder).rglob("*.py") if not for_the_site(p)],
    "site": [p for folder in ("site", "tools", "tests") for p in (ROOT / folder).rglob("*.py") if for_the_site(p)],
}
OTHER_NAMES = {
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "myst_nb": "myst-nb",
    "jupyter_server": "jupyter-server",
}
OTHER_NAMES |= {"markdown_it": "markdown-it-py", "mdit_py_plugins": "mdit-py-plugins"}


@pytest.mark.parametrize("name", IMPORTERS)
def test_what_is_imported_is_asked_for(name: str) -> None:
    """By each part's own list: whoever uses the library alone has none of what notebooks or tests need."""
    own = {path.stem for folder in ("tools", "tests", "site") for path in (ROOT / folder).rglob("*.py")}
    own |= {"genlib", "gencourse", "wrong_answers", *sys.stdlib_module_names}
    own |= {"slow_to_load"}  # a test writes it, and imports it
    own |= {"torch_fidelity"}  # the extra `fid`, which is imported where it is asked for
    own |= {"resvg_py"}  # which tools/make_emoji.lock asks for, once
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


# -- What its papers say


def test_the_version_is_the_same_everywhere() -> None:
    version = PROJECT["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == version
    assert genlib.__version__ == version
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
