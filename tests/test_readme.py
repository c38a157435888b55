"""The commands that the README and the landing page name: each is run, those that take long in a form that is cheap.

`make ...` runs dry (`make -n`), which shows what it would start: that has to be a command of tools/course.py, or a
tool that is there and says `--help`. `python tools/...` runs with `--help`, tools/minutes.py as it stands;
`python -m genlib` is parsed, its recipe and settings looked up. conda would install for minutes: its file is read
instead. What the long ones do is tested where it is written: test_house_setup.py, test_check.py, test_grade.py,
test_recipes.py, tests/browser.
"""

import re
import shlex
import shutil
import subprocess
import sys

import pytest
import web
import yaml

import genlib.__main__
from genlib import recipes
from genlib.recipes.recipe import settings_in

COMMAND = re.compile(r"(?:`|<code>)((?:make|python|conda) [^`<]+)(?:`|</code>)|^((?:make|python|conda) [^#\n]+)", re.M)
PAGES = [web.ROOT / "README.md", web.SITE / "index.md"]
FOUND = [found for page in PAGES for found in COMMAND.findall(page.read_text("utf-8"))]
COMMANDS = sorted({" ".join("".join(found).split()) for found in FOUND})


def run(*command: str) -> str:
    """What a command prints; it has to end well."""
    done = subprocess.run(command, cwd=web.ROOT, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def usage() -> set[str]:
    """The commands that tools/course.py has, as it says itself."""
    done = subprocess.run([sys.executable, "tools/course.py"], cwd=web.ROOT, capture_output=True, text=True, timeout=60)
    lines = re.findall(r"python tools/course\.py ([a-z |-]+)", done.stdout)
    return {name for line in lines for name in re.findall(r"[a-z][a-z-]+", line)}


def check_tool(words: list[str], usage: set[str]) -> None:
    """`tools/x.py ...` is there and can be asked; one of the course's commands is known to it."""
    if words[:2] == ["-m", "genlib"]:  # its words are parsed, and its recipes and settings found
        asked = genlib.__main__.parser().parse_args(words[2:])
        if asked.command == "train":
            recipes.find(asked.name).changed(settings_in(asked.set))
        return
    path = web.ROOT / words[0]
    assert path.exists()
    if path.name == "course.py":
        assert words[1] in usage
    elif path.name == "minutes.py":
        assert "04_diffusion_models" in run(sys.executable, str(path))
    else:
        assert "usage:" in run(sys.executable, str(path), "--help").lower()


def test_there_are_commands_to_test() -> None:
    assert {"make lab", "make test", "conda activate genlib"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_runs(command: str, usage: set[str]) -> None:
    program, *words = shlex.split(command.replace("\\", "/"))
    if program == "make":
        if not shutil.which("make"):
            pytest.skip("no make here")
        shown = run("make", "-n", *words)
        started = re.findall(r"((?:tools|benchmarks)/\w+\.py)([^\n]*)", shown)
        assert started, shown
        for tool, rest in started:
            check_tool([tool, *shlex.split(rest)], usage)
    elif program == "python":
        check_tool(words, usage)
    else:
        environment = yaml.safe_load((web.ROOT / "environment.yml").read_text("utf-8"))
        assert command in ("conda env create -f environment.yml", f"conda activate {environment['name']}")


def test_a_command_that_is_not_there_is_found(usage: set[str]) -> None:
    with pytest.raises(AssertionError):
        check_tool(["tools/course.py", "teach"], usage)
    with pytest.raises(AssertionError):
        check_tool(["tools/no_such_tool.py"], usage)
    if shutil.which("make"):
        with pytest.raises(AssertionError, match="No rule"):
            run("make", "-n", "no-such-target")
