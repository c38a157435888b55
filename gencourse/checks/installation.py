"""One call that says whether everything the course needs is there, and works."""

import re
import sys
from importlib import metadata
from pathlib import Path

PACKAGE = "genlib-course"  # as pip knows genlib and gencourse
CHECKOUT = (Path(__file__).parents[2] / "tools" / "course.py").exists()
HOW_TO_MEND = "run `make lab` again (without make: `python tools/course.py lab`)"
if not CHECKOUT:
    HOW_TO_MEND = f"run `pip install '{PACKAGE}[notebooks]'`, then start the kernel again"


def installation() -> None:
    """Print a line for each package of the course: ok, or what is wrong with it and what to do.

    Versions are compared with the bounds that genlib itself declares.

    Raises:
        RuntimeError: if anything is missing or too old, after all lines are printed.
    """
    problems = [f"Python: {sys.version.split()[0]}, expected 3.11 or newer"] if sys.version_info < (3, 11) else []
    print("Python: ok" if not problems else problems[0])
    for name, bounds in _requirements():
        problem = _problem(name, bounds)
        print(f"{name}: {problem or 'ok'}")
        problems += [name] if problem else []
    if problems:
        raise RuntimeError(f"the installation is not complete ({', '.join(problems)}): {HOW_TO_MEND}")
    _compute()
    print("a gradient, a figure and a widget: ok")


def _requirements() -> list[tuple[str, str]]:
    """Names and bounds of what genlib and a notebook need, from the metadata of the installed package."""
    wanted = []
    for line in metadata.requires(PACKAGE) or []:
        requirement, _, marker = line.partition(";")
        match = re.match(r"\s*([A-Za-z0-9_.-]+)\s*(.*)", requirement)
        if match and ("extra" not in marker or "notebooks" in marker):
            wanted.append((match[1], match[2].strip()))
    return sorted(wanted)


def _problem(name: str, bounds: str) -> str | None:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"missing, {HOW_TO_MEND}"
    from packaging.specifiers import SpecifierSet

    if not SpecifierSet(bounds).contains(version, prereleases=True):
        return f"version {version}, expected {bounds}, {HOW_TO_MEND}"
    return None


def _compute() -> None:
    """A little of each of the things that notebooks do. What is broken shows its own error here."""
    import anywidget
    import torch

    from gencourse import plots

    x = torch.tensor(3.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(x**2, x)
    assert gradient == 6
    plots.figure(plots.lines([0, 1], {"line": [0, 1]}), alt="a line")
    anywidget.AnyWidget(_esm="export default {}").close()  # the kind that all of the course's are of
