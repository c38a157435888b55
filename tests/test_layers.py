"""genlib's imports run downwards only, and what they load stays small."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

GENLIB = Path(__file__).resolve().parent.parent / "genlib"

# From the top down: a module may import from lower lines, and from no other module of its own.
LAYERS = [
    {"recipes", "__main__"},
    {"widgets", "checks"},
    {"plots"},
    {"train"},
    {"autoencoder", "gan", "flows", "diffusion"},
    {"nets"},
    {"metrics"},
    {"data"},
    {"arguments"},
]
FAMILIES = LAYERS[4]
MAY_NOT_KNOW = {"plots": {"train", *FAMILIES}, "train": FAMILIES}
DEPTH = {name: depth for depth, layer in enumerate(LAYERS) for name in layer}


def unit(path: Path) -> str:
    """The file or folder right below genlib/ that a file belongs to."""
    return path.relative_to(GENLIB).parts[0].removesuffix(".py")


def imported(tree: ast.AST, package: list[str]) -> Iterator[str]:
    """The units of genlib that a module imports, wherever the statement stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            start = start + (node.module.split(".") if node.module else [])
            names = [[*start, alias.name] for alias in node.names]
        else:
            continue
        yield from (name[1] for name in names if name[0] == "genlib" and len(name) > 1)


def complaint(importer: str, target: str) -> str | None:
    """Why `importer` may not import `target`; None if it may."""
    if importer == target:
        return None
    if target in MAY_NOT_KNOW.get(importer, ()):
        return f"{importer} may not know {target}"
    return None if DEPTH[importer] < DEPTH[target] else f"{importer} imports {target}, which is not below it"


FILES = [path for path in sorted(GENLIB.rglob("*.py")) if path != GENLIB / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(GENLIB).as_posix())
def test_imports_run_downwards(path: Path) -> None:
    assert unit(path) in DEPTH, f"{unit(path)} has no place in the list of layers"
    package = ["genlib", *path.relative_to(GENLIB).parts[:-1]]
    found = [complaint(unit(path), target) for target in imported(ast.parse(path.read_text("utf-8")), package)]
    assert not [why for why in found if why]


def test_the_package_itself_imports_nothing() -> None:
    assert not list(imported(ast.parse((GENLIB / "__init__.py").read_text("utf-8")), ["genlib"]))


@pytest.mark.parametrize(
    ("importer", "package", "statement", "target"),
    [
        ("data", ["genlib"], "from genlib import plots", "plots"),
        ("gan", ["genlib"], "import genlib.flows", "flows"),
        ("plots", ["genlib"], "def f():\n    from genlib.train import fit", "train"),
        ("diffusion", ["genlib", "diffusion"], "from ..train import fit", "train"),
        ("widgets", ["genlib", "widgets"], "from genlib.checks import exercise", "checks"),
    ],
)
def test_arrows_that_point_up_are_seen(importer: str, package: list[str], statement: str, target: str) -> None:
    assert next(iter(imported(ast.parse(statement), package))) == target
    assert complaint(importer, target)


def test_neighbours_inside_one_folder_may_know_each_other() -> None:
    found = list(imported(ast.parse("from . import schedule\nfrom .schedule import Schedule"), ["genlib", "diffusion"]))
    assert found == ["diffusion", "diffusion"]
    assert complaint("diffusion", "diffusion") is None


def test_the_families_load_little_besides_torch() -> None:
    present = [name for name in ("data", "gan", "flows", "diffusion", "train") if paths(name)]
    program = f"""
import sys, time, torch
from pathlib import Path
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 if sys.platform == "linux" else 0
before, memory, start = set(sys.modules), resident(), time.process_time()
from genlib import {", ".join(present)}
seconds = time.process_time() - start
new = set(sys.modules) - before
print(len(new), resident() - memory, seconds, *sorted({{name.split(".")[0] for name in new}}))
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    modules, memory, seconds = int(answer[0]), int(answer[1]), float(answer[2])
    assert not {"matplotlib", "IPython", "ipywidgets", "anywidget", "sklearn", "scipy", "tqdm"} & set(answer[3:])
    assert modules <= 80
    assert memory <= 15e6
    assert seconds <= 0.2


def paths(name: str) -> list[Path]:
    """Where a unit of genlib lies, if it is there yet: a file or a folder."""
    return [path for path in (GENLIB / f"{name}.py", GENLIB / name) if path.exists()]
