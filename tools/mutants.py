"""Can the checks fail? Breaks genlib or a statement, one place at a time, and looks which checks turn red.

    mutants.py                  every notebook, and genlib's own tests; fails if a check stays green, or a break unseen
    mutants.py NAME ...         some of them: 03_normalizing_flows, lab_2_flows, genlib

A break is an entry in tests/breaks/NAME.toml, where NAME is a notebook or `genlib`:

    [[break]]
    old = "1 - self.alpha_bar"                # stands once in the file, or in the cell
    new = "self.alpha_bar"
    file = "genlib/diffusion/schedule.py"     # left out: the notebook itself
    red = ["x_t has variance 1 (3)"]          # checks of one cell of the notebook; every one has to fail
    cell = "..."                              # text of that cell, where its name does not stand there as it is printed
    since = "..."                             # text of an earlier cell to start from; left out: the one that is broken
    test = "tests/test_schedule.py::test_snr" # in genlib.toml, in the place of red: a test that fails

A notebook is run once. Its trainings take a few steps, unless its list begins with `trained = true`: where a check is
about what they reach it would fail as it is, or a break be unseen.
Before a cell that a break is about the process forks, and the child runs the cell broken. Another child runs it as it
is: what then fails, or draws other numbers when it is run again, shows nothing.
"""

import argparse
import ast
import contextlib
import gc
import io
import json
import linecache
import multiprocessing
import os
import signal
import sys
import tempfile
import tomllib
import traceback
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BREAKS = ROOT / "tests" / "breaks"
LIMIT = 180  # seconds of a processor's time for one break
KINDS = ("identity", "at_most")  # of checks
QUIET = {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MPLBACKEND": "agg"}
STEPS = {"GENLIB_MAX_STEPS": "20"}  # of a training in a notebook


class BreakError(Exception):
    """A break that cannot be made: its text has changed, or stands somewhere else."""


def list_of(name: str) -> dict[str, Any]:
    path = BREAKS / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def breaks_of(name: str) -> list[dict[str, Any]]:
    return list_of(name).get("break", [])


def replaced(text: str, old: str, new: str, where: str) -> str:
    if text.count(old) != 1 or old == new:
        raise BreakError(f"{old!r} stands {text.count(old)} times in {where}, expected once, and another text for it")
    return text.replace(old, new)


# -- Breaking a module that is loaded


def codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a module, and of every function in it, in order."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def functions_of_genlib() -> list[FunctionType]:
    """All that are loaded, wherever they are held. In a fork, a look at every object would copy all memory."""
    place = str(ROOT)
    return [f for f in gc.get_objects() if type(f) is FunctionType and f.__code__.co_filename.startswith(place)]


def break_module(file: str, old: str, new: str, loaded: Iterable[FunctionType]) -> None:
    """Give every function of a file that the break changes its new code."""
    path = ROOT / file
    source = path.read_text(encoding="utf-8")
    before, after = (
        list(codes(compile(text, str(path), "exec"))) for text in (source, replaced(source, old, new, file))
    )
    if len(before) != len(after):
        raise BreakError(f"{old!r} in {file}: the break adds or takes away a function")
    changed = {b: a for b, a in zip(before, after, strict=True) if b != a and b.co_name != "<module>"}
    functions = [f for f in loaded if f.__code__.co_filename == str(path) and f.__code__ in changed]
    if not functions:
        raise BreakError(f"{old!r} in {file} stands in no function that is loaded")
    for function in functions:
        function.__code__ = changed[function.__code__]


def in_a_fork(work: Callable[[], Any]) -> Any:
    """What `work` gives, in a process of its own, so that nothing it does is left; JSON's values."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.close(read)
        gc.disable()  # it would copy all of the memory that both processes share
        signal.setitimer(signal.ITIMER_PROF, LIMIT)  # other work on the machine is no fault of a break
        signal.alarm(10 * LIMIT)
        try:
            answer = work()
        except BreakError as error:
            answer = {"error": str(error)}
        except BaseException:
            answer = {"error": traceback.format_exc(limit=3)}
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        content = file.read()
    os.waitpid(child, 0)
    return json.loads(content) if content else {"error": f"took more than {LIMIT} s, or died"}


# -- A notebook


def checks_in(text: str) -> bool:
    return any(f"{kind}(" in text for kind in KINDS)


class Notebook:
    """The code cells of a source, run one after the other as a kernel would; its checks are noted, not obeyed."""

    def __init__(self, path: Path) -> None:
        import jupytext

        from gencourse import checks

        self.name, self.checks = path.stem, checks
        self.cells: list[str] = [
            str(cell.source) for cell in jupytext.read(path, fmt="py:percent").cells if cell.cell_type == "code"
        ]
        self.results: dict[str, bool] = {}  # by name: whether it holds
        for kind in KINDS:
            setattr(checks, kind, self.noting(getattr(checks, kind)))
        module = ModuleType("__main__")
        self.space = module.__dict__
        sys.modules["__main__"] = module
        os.chdir(path.parent)

    def noting(self, check: Callable[..., None]) -> Callable[..., None]:
        def note(name: str, *sides: Any, **tol: Any) -> None:
            try:
                check(name, *sides, **tol)
                holds = True
            except (AssertionError, ValueError):
                holds = False
            self.results[name] = self.results.get(name, True) and holds

        return note

    def run(self, index: int, source: str | None = None) -> None:
        source, file = source or self.cells[index], f"<cell {index}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, file, "exec"), self.space)

    def end(self) -> int:
        """Where the last check has been: after that no cell is run. A function that checks may be called anywhere."""
        asking = [i for i, cell in enumerate(self.cells) if checks_in(cell)]
        parts = [node for i in asking for node in ast.walk(ast.parse(self.cells[i]))]
        functions = [node for node in parts if isinstance(node, ast.FunctionDef | ast.Lambda)]
        if any(checks_in(ast.unparse(function)) for function in functions):
            return len(self.cells)
        return max(asking, default=-1) + 1

    def find(self, text: str) -> int:
        found = [i for i, cell in enumerate(self.cells) if text in cell]
        if len(found) != 1:
            raise BreakError(f"{text!r} stands in {len(found)} cells of {self.name}, expected one")
        return found[0]

    def span(self, entry: dict[str, Any]) -> tuple[int, int, int | None]:
        """The first and the last cell to run under a break, and the one that is broken, if it is a cell."""
        last = self.find(entry.get("cell", entry["red"][0]))
        broken = None
        if "file" not in entry:
            broken = last if entry["old"] in self.cells[last] else self.find(entry["old"])
        first = self.find(entry["since"]) if "since" in entry else last if broken is None else broken
        return first, last, broken

    def under(
        self,
        entry: dict[str, Any] | None,
        first: int,
        last: int,
        broken: int | None,
        loaded: Iterable[FunctionType] = (),
    ) -> list[str]:
        """The checks that fail in these cells under a break, or under none. A cell that ends early shows nothing."""
        source = None
        if entry is not None and broken is None:
            break_module(entry["file"], entry["old"], entry["new"], loaded)
        elif entry is not None and broken is not None:
            source = replaced(self.cells[broken], entry["old"], entry["new"], f"cell {broken} of {self.name}")
        self.results.clear()
        for index in range(first, last + 1):
            self.run(index, source if index == broken else None)
        return [name for name, holds in self.results.items() if not holds]


def source_of(name: str) -> Path:
    return next(p for p in (ROOT / "lectures" / f"{name}.py", ROOT / "solutions" / f"{name}.py") if p.exists())


def run_notebook(path: Path, entries: list[dict[str, Any]]) -> list[str]:
    """What is wrong with the checks of one notebook, and with its breaks."""
    name, book, found, red = path.stem, Notebook(path), [], set()
    planned: dict[int, list[tuple[dict[str, Any], tuple[int, int, int | None]]]] = {}
    for entry in entries:
        try:
            span = book.span(entry)
            planned.setdefault(span[0], []).append((entry, span))
        except BreakError as error:
            found.append(f"{name}: {error}")
    for index in range(max([book.end(), *(index + 1 for index in planned)])):
        for last in sorted({span[1] for _, span in planned.get(index, [])}):
            if answer := in_a_fork(partial(book.under, None, index, last, None)):
                found.append(f"{name}: unbroken, {book.cells[last].splitlines()[0]!r} gives {answer}")
        loaded = functions_of_genlib() if index in planned else []
        for entry, span in planned.get(index, []):
            answer = in_a_fork(partial(book.under, entry, *span, loaded))
            said = f"{name}: {entry['old']!r} to {entry['new']!r} in {entry.get('file', 'the notebook')}"
            if isinstance(answer, dict):
                found.append(f"{said}: {answer['error']}")
                continue
            red.update(answer)
            found += [f"{said}: unseen by {check!r}" for check in entry["red"] if check not in answer]
        book.run(index)
    found += [f"{name}: {check!r} fails as it is" for check, holds in book.results.items() if not holds]
    found += [f"{name}: no break turns {check!r} red" for check in book.results if check not in red]
    print(f"{name}: {len(book.results)} checks, {len(entries)} breaks", flush=True)
    return found


# -- genlib's own tests


class Failures:
    """Which tests failed."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.names += [report.nodeid] if report.failed else []

    pytest_collectreport = pytest_runtest_logreport  # a file that cannot even be read


def run_tests(entries: list[dict[str, Any]]) -> list[str]:
    """The breaks of single lines of genlib that no test sees."""
    import pkgutil

    import pytest

    import genlib

    for module in pkgutil.walk_packages(genlib.__path__, "genlib."):
        if not module.name.endswith("__main__"):
            __import__(module.name)
    os.chdir(ROOT)
    # The last two collect garbage, slowly; and no text is made for an assertion that fails, for nobody reads it.
    left_out = ("cacheprovider", "xdist", "unraisableexception", "threadexception")
    options = ["-x", "-q", "--assert=plain", *(part for name in left_out for part in ("-p", f"no:{name}"))]
    with contextlib.redirect_stdout(io.StringIO()):  # so that what the tests import is there
        pytest.main([*{entry["test"].partition("::")[0] for entry in entries}, "--collect-only", *options])

    loaded = functions_of_genlib()

    def failures(entry: dict[str, Any] | None) -> list[str]:
        if entry is not None:
            break_module(entry["file"], entry["old"], entry["new"], loaded)
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", "")).startswith(str(ROOT / "tests")) and name != "conftest":
                del sys.modules[name]  # what a test's module computes, it computes again
        note = Failures()
        with tempfile.TemporaryFile() as quiet:
            os.dup2(quiet.fileno(), 1)
            names = {one["test"] for one in (entries if entry is None else [entry])}
            pytest.main([*sorted(names), *options], plugins=[note])
        return note.names

    control = in_a_fork(partial(failures, None))
    found = [f"genlib: unbroken, the tests give {control}"] if control else []
    for entry in entries:
        answer = in_a_fork(partial(failures, entry))
        where = f"{entry['old']!r} to {entry['new']!r} in {entry['file']}"
        if isinstance(answer, dict):
            found.append(f"genlib: {where}: {answer['error']}")
        elif not answer:
            found.append(f"genlib: {where}: unseen by {entry['test']}")
    print(f"genlib: {len(entries)} breaks", flush=True)
    return found


def run(name: str) -> list[str]:
    os.environ.update(QUIET)
    entries = breaks_of(name)
    if not entries and not checks_in(source_of(name).read_text(encoding="utf-8")):
        print(f"{name}: no checks", flush=True)
        return []
    import torch

    torch.set_num_threads(1)
    if name == "genlib":
        return run_tests(entries)
    if not list_of(name).get("trained"):
        os.environ.update(STEPS)
    return run_notebook(source_of(name), entries)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="notebooks, or genlib; all of them if left out")
    names = parser.parse_args().names
    every = sorted(p.stem for folder in ("lectures", "solutions") for p in (ROOT / folder).glob("*.py"))
    if unknown := set(names) - {*every, "genlib"}:
        parser.error(f"expected genlib or some of {', '.join(every)}, got {', '.join(sorted(unknown))}")
    os.environ.update(QUIET)
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1), maxtasksperchild=1) as pool:
        found = [line for lines in pool.imap(run, names or ["genlib", *reversed(every)], chunksize=1) for line in lines]
    print(*found, sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
