"""genlib's imports run downwards only, and what they load stays small."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("genlib", "gencourse")

# From the top down: a unit may import from lower lines, and from no other unit of its own line.
LAYERS = [
    {"gencourse.grade"},
    {"gencourse.checks", "gencourse.widgets"},
    {"gencourse.plots", "gencourse.progress", "gencourse.runs"},
    {"genlib.__main__"},
    {"genlib.recipes"},
    {"genlib.metrics"},
    {"genlib.train"},
    {"genlib.autoencoder", "genlib.gan", "genlib.flows", "genlib.diffusion"},
    {"genlib.data"},
    {"genlib.common", "genlib.memory", "genlib.optimizers"},
    {"genlib.arguments"},
]
FAMILIES = LAYERS[7]
MAY_NOT_KNOW = {"gencourse.plots": {"genlib.train", *FAMILIES}, "genlib.train": FAMILIES}
DEPTH = {name: depth for depth, layer in enumerate(LAYERS) for name in layer}
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def module(path: Path) -> str:
    """Its dotted name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def unit(name: str) -> str:
    """The file or folder right below the package that a module belongs to."""
    return ".".join(name.split(".")[:2])


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    """What a module imports from the two packages, wherever the statement stands, types included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")
            start = above[: len(above) + 1 - node.level] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in PACKAGES)


def imports_of(path: Path) -> list[str]:
    name = module(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return list(imported(ast.parse(path.read_text("utf-8")), package))


def complaint(importer: str, target: str) -> str | None:
    """Why `importer` may not import `target`; None if it may."""
    if importer == target:
        return None
    if target in MAY_NOT_KNOW.get(importer, ()):
        return f"{importer} may not know {target}"
    return None if DEPTH[importer] < DEPTH[target] else f"{importer} imports {target}, which is not below it"


UNITS = [path for path in FILES if module(path) not in PACKAGES]


@pytest.mark.parametrize("path", UNITS, ids=module)
def test_imports_run_downwards(path: Path) -> None:
    assert unit(module(path)) in DEPTH, f"{module(path)} has no place in the list of layers"
    found = [complaint(unit(module(path)), unit(target)) for target in imports_of(path) if "." in target]
    assert not [why for why in found if why]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_package_itself_imports_nothing(package: str) -> None:
    assert not imports_of(ROOT / package / "__init__.py")


def test_no_file_leads_back_to_itself() -> None:
    """A package's __init__ only hands on what its files have; between files there is no circle, types included."""
    files = {module(path): path for path in FILES}
    arrows = {}
    for name, path in files.items():
        if path.name == "__init__.py":
            continue
        targets = [target if target in files else target.rpartition(".")[0] for target in imports_of(path)]
        arrows[name] = {target for target in targets if target in files and files[target].name != "__init__.py"}
    while arrows:
        free = [name for name, targets in arrows.items() if not targets & arrows.keys()]
        assert free, f"a circle among {sorted(arrows)}"
        for name in free:
            del arrows[name]


@pytest.mark.parametrize(
    ("importer", "package", "statement", "target"),
    [
        ("genlib.data", "genlib", "from gencourse import plots", "gencourse.plots"),
        ("genlib.gan", "genlib", "import genlib.flows", "genlib.flows"),
        ("gencourse.plots", "gencourse", "def f():\n    from genlib.train import fit", "genlib.train"),
        ("genlib.diffusion", "genlib.diffusion", "from ..train import fit", "genlib.train"),
        ("gencourse.widgets", "gencourse.widgets", "from gencourse.checks import exercise", "gencourse.checks"),
    ],
)
def test_arrows_that_point_up_are_seen(importer: str, package: str, statement: str, target: str) -> None:
    assert unit(next(iter(imported(ast.parse(statement), package)))) == target
    assert complaint(importer, target)


def test_the_families_load_little_besides_torch() -> None:
    """What that costs, in seconds and memory, benchmarks/rest.py measures."""
    program = """
import sys, torch
before = set(sys.modules)
from genlib import data, gan, flows, diffusion, train
print(*(set(sys.modules) - before))
"""
    new = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    packages = {name.split(".")[0] for name in new}
    assert not {"matplotlib", "IPython", "ipywidgets", "anywidget", "sklearn", "scipy", "tqdm"} & packages
    assert len(new) <= 80


def test_a_training_does_not_load_what_it_does_not_need() -> None:
    """torch's wrappers of its optimizers load the compiler, and scikit-learn scipy's statistics: a second each."""
    program = """
import sys
from genlib import data, diffusion, flows, train
from genlib.optimizers import adam
ddpm = diffusion.DDPM(diffusion.UNet.digits(width=8), diffusion.Schedule.cosine(20))
train.fit(diffusion.Denoising(ddpm), data.digits(), steps=1, progress=False)
train.fit(flows.MaximumLikelihood(flows.RealNVP.for_vectors(2)), data.Moons().sample(8), steps=1, progress=False)
optimizer = adam(ddpm.parameters(), 1e-3)
optimizer.load_state_dict(optimizer.state_dict())
print({"torch._dynamo", "sklearn", "scipy"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()"]
