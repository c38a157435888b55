"""Make .venv complete: what the locks name, as they name it, and only if it is not."""

import contextlib
import csv
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
from collections.abc import Callable, Iterator
from typing import TextIO

from course_run import BASE, SetupError, hold, pip_environment, read, run

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STAMP, SITE_STAMP = (os.path.join(VENV, f"course-{part}stamp.txt") for part in ("", "site-"))
# tools/lock.py says what is in each.
LOCKS = TORCH_LOCK, LOCK_OF_ALL, CUDA_LOCK = ("requirements-torch.lock", "requirements.lock", "requirements-cuda.lock")
SITE_LOCK = "requirements-site.lock"
LOG = os.path.join(ROOT, "build", "setup.log")
LOCK = os.path.join(ROOT, "build", "setup.lock")
WINDOWS, LINUX = os.name == "nt", sys.platform == "linux"

# What a notebook or a test imports, and what is slow to import for the first time.
USED = [
    *("torch", "torch._dynamo"),  # the latter comes with the first optimizer: 800 modules
    *("sklearn.datasets", "matplotlib.figure", "matplotlib.backends.backend_agg", "safetensors.torch"),
    *("anywidget", "ipykernel.kernelapp", "ipykernel.ipkernel", "jupyterlab.labapp", "nbconvert", "nbval.plugin"),
    *("jupytext", "nbclient", "hypothesis", "xdist.plugin", "_pytest.doctest", "tqdm.auto", "jaxtyping"),
]
USED_BY_SITE = ["sphinx", "myst_nb", "sphinx_book_theme", "playwright.sync_api", "onnx", "onnxscript"]


def setup(every_file: bool = False, site: bool = False) -> str:
    """Make .venv complete, unless it is, and return its Python; until this process ends, nobody else changes it.

    With site, also what decks, site, handouts and browser tests need, which a student never waits for.
    With every_file, each file of each package is looked for, which takes a second; otherwise, each package.
    """
    # A list of paths cannot hold such a name, nor a line of pyvenv.cfg, nor a file in UTF-8.
    unfit = [c for c in ROOT if c == os.pathsep or ord(c) < 32 or 0xD800 <= ord(c) < 0xE000]
    if unfit:
        raise SetupError(f"The folder {ROOT!a} has {unfit[0]!a} in its name, and no .venv can lie there: rename it.")
    hold(LOCK, shared=True)
    while missing(every_file) or (site and site_missing()):
        hold(LOCK, shared=False)
        lacks = missing(every_file)  # somebody else may have made it complete
        if lacks:
            build(lacks)
        if site and site_missing():
            add_site()
        hold(LOCK, shared=True)
    return venv_python()


def build(lacks: list[str]) -> None:
    """Make .venv, or what it lacks."""
    unfinished = os.path.join(VENV, "unfinished.txt")
    python, old, config = venv_python(), read(STAMP), read(os.path.join(VENV, "pyvenv.cfg"))
    sound = config is not None and venv_version(config) == version() and works(python)
    if os.path.exists(VENV) and os.listdir(VENV) and old is None and not os.path.exists(unfinished) and not sound:
        what = f"Python {venv_version(config or '')}" if venv_version(config or "") else "something else"
        raise SetupError(f"There is a .venv of {what} here, which the course did not make: remove it and try again.")
    started = time.time()
    if old is not None and old.startswith(stamp()) and not os.path.exists(unfinished):
        print(f"Mending .venv, which lacks {', '.join(lacks[:3])}{' ...' * (len(lacks) > 3)}", flush=True)
    else:
        print("Setting up the course in .venv (once; some minutes, 1.6 GB; with CUDA 5.2 GB) ...", flush=True)
    # Half a set-up, another Python or another place, or nothing that could mend itself.
    foreign = old is not None and old.split("\n")[0] != stamp().split("\n")[0]
    if os.path.exists(VENV) and (os.path.exists(unfinished) or foreign or not sound):
        remove(VENV)
    os.makedirs(VENV, exist_ok=True)
    write(unfinished, "")
    install(python)
    write(STAMP, stamp() + names())
    os.remove(unfinished)
    print(f"Set up in {time.time() - started:.0f} s.", flush=True)


def add_site() -> None:
    """Put what decks, site, handouts and browser tests need beside the rest."""
    print("Adding to .venv what decks, site and handouts need (once; a minute or two, 280 MB) ...", flush=True)
    with contextlib.suppress(FileNotFoundError):
        os.remove(SITE_STAMP)
    python = venv_python()
    with open(LOG, "w", encoding="utf-8") as log, pip(python, log) as install_from:
        install_from(SITE_LOCK, "The packages for decks, site and handouts could not be installed")
        words = "The packages for decks, site and handouts do not work"
        run([python, "-I", "-c", f"import {', '.join(USED_BY_SITE)}"], log, words)
    write(SITE_STAMP, stamp(SITE_LOCK) + names())


def install(python: str) -> None:
    """Let pip install what the locks name, and nothing else."""
    with open(LOG, "w", encoding="utf-8") as log:
        if not os.path.exists(python):
            run([BASE, "-I", "-m", "venv", VENV], log, "Python could not make .venv")
        for record in damaged():  # pip installs again what has no record
            shutil.rmtree(os.path.join(packages(), record))
        with pip(python, log) as install_from:
            install_from(TORCH_LOCK, "torch could not be installed")
            install_from(LOCK_OF_ALL, "The packages could not be installed")
            if LINUX and not glob.glob(os.path.join(glob.escape(packages()), "torch-*+cpu.dist-info")):
                install_from(CUDA_LOCK, "CUDA could not be installed")
        link()
        # What is imported once, Python keeps compiled; all of it would take a minute more.
        used = f"import {', '.join(USED)}, importlib.util; assert importlib.util.find_spec('gencourse')"
        run([python, "-I", "-c", used], log, "The packages do not work")


@contextlib.contextmanager
def pip(python: str, log: TextIO) -> Iterator[Callable[[str, str], None]]:
    """A function that lets pip install what a lock names, and nothing else; its second argument is said if it fails."""
    # Downloads lie here: there may be less room elsewhere, and what a killed set-up leaves goes with .venv.
    downloads = os.path.join(VENV, "downloads")
    os.makedirs(downloads, exist_ok=True)
    env = {**pip_environment(python), "TMPDIR": downloads, "TEMP": downloads, "TMP": downloads}
    command = [python, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    command += ["--progress-bar", "off", "--no-deps", "--no-compile"]

    def install_from(lock: str, failure: str) -> None:
        hashes = ["--require-hashes"] if lock != TORCH_LOCK else []  # torch's builds differ from machine to machine
        run([*command, *hashes, "-r", os.path.join(ROOT, lock)], log, failure, env)

    yield install_from
    shutil.rmtree(downloads, ignore_errors=True)


def link() -> None:
    """Make genlib and gencourse importable from this folder, as `pip install -e` would.

    Its builder, setuptools, takes the $ or { in a folder's name for a variable.
    """
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        project = tomllib.load(file)["project"]
    metadata = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project['version']}"]
    metadata += [f"Requires-Dist: {requirement}" for requirement in project["dependencies"]]
    for extra, requirements in project["optional-dependencies"].items():
        metadata += [f"Provides-Extra: {extra}"]
        metadata += [f'Requires-Dist: {requirement}; extra == "{extra}"' for requirement in requirements]
    for old in glob.glob(os.path.join(glob.escape(packages()), "genlib[-_]*.dist-info")):
        shutil.rmtree(old)
    record = f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    files = {
        "genlib.pth": f"import sys; sys.path.append({ROOT!a})\n",  # in ASCII: its encoding depends on the machine
        f"{record}/METADATA": "\n".join(metadata) + "\n",
        f"{record}/INSTALLER": "the course\n",
    }
    os.mkdir(os.path.join(packages(), record))
    for path, text in {**files, f"{record}/RECORD": "".join(f"{f},,\n" for f in [*files, f"{record}/RECORD"])}.items():
        write(os.path.join(packages(), path), text)


# -- What is there


def missing(every_file: bool) -> list[str]:
    """What .venv lacks."""
    words = read(STAMP)
    if words is None or not words.startswith(stamp()) or os.path.exists(os.path.join(VENV, "unfinished.txt")):
        return ["packages"]
    if not (os.path.exists(venv_python()) and os.path.exists(os.path.join(VENV, "pyvenv.cfg"))):
        return ["Python"]
    gone = gone_since(words[len(stamp()) :])
    return gone or (damaged() if every_file else [])


def site_missing() -> bool:
    """Whether .venv lacks something of what decks, site, handouts and browser tests need."""
    words = read(SITE_STAMP)
    if words is None or not words.startswith(stamp(SITE_LOCK)):
        return True
    return bool(gone_since(words[len(stamp(SITE_LOCK)) :]))


def names() -> str:
    """What lies in the folder of the packages, a line each."""
    return "".join(f"{name}\n" for name in sorted(os.listdir(packages())))


def gone_since(names: str) -> list[str]:
    """What of these names does not lie in the folder of the packages."""
    there = set(os.listdir(packages())) if os.path.isdir(packages()) else set()
    return [name for name in names.splitlines() if name not in there]


def damaged() -> list[str]:
    """The records (dist-info folders) of the packages of which a file is missing, or has another length."""
    return [
        os.path.basename(r) for r in glob.glob(os.path.join(glob.escape(packages()), "*.dist-info")) if not whole(r)
    ]


def whole(record: str) -> bool:
    """Whether each file that a package's record names is there, in its length; what Python compiled is its own."""
    try:
        with open(os.path.join(record, "RECORD"), encoding="utf-8", newline="") as file:
            return all(
                int(size or 0) in (0, os.path.getsize(os.path.join(os.path.dirname(record), path)))
                for path, _, size in csv.reader(file)
                if not path.endswith(".pyc")
            )
    except (OSError, ValueError, csv.Error):
        return False


def stamp(*names: str) -> str:
    """What .venv is made from: a line says for which Python and place, the next from which files (or from these)."""
    digest = hashlib.sha256()
    for name in names or (*LOCKS, "pyproject.toml"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return f"Python {version()} in {ROOT}\n{digest.hexdigest()}\n"


def version() -> str:
    """Major and minor version of the Python that runs this."""
    return "{}.{}".format(*sys.version_info[:2])


def venv_version(config: str) -> str | None:
    """Major and minor version of a .venv's Python, from its pyvenv.cfg."""
    for line in config.splitlines():
        key, _, value = line.partition("=")
        if key.strip() in ("version", "version_info"):
            return ".".join(value.strip().split(".")[:2])
    return None


def venv_python() -> str:
    """The Python in .venv."""
    return os.path.join(VENV, "Scripts", "python.exe") if WINDOWS else os.path.join(VENV, "bin", "python")


def packages() -> str:
    """The folder in .venv that packages lie in."""
    return sysconfig.get_path("purelib", "venv", {"base": VENV, "platbase": VENV})


def works(python: str) -> bool:
    """Whether .venv's Python and its pip start, and have all that belongs to pip."""
    nowhere = subprocess.DEVNULL
    try:
        starts = not subprocess.call([python, "-I", "-m", "pip", "--version"], stdout=nowhere, stderr=nowhere)
    except OSError:
        return False
    return starts and not any(record.startswith("pip-") for record in damaged())


# -- Files


def remove(folder: str) -> None:
    """Remove a folder; out of the way first, so that half of it is never taken for the whole."""
    aside = folder + "-old"
    shutil.rmtree(aside, ignore_errors=True)
    os.rename(folder, aside)
    shutil.rmtree(aside, ignore_errors=True)


def write(path: str, text: str) -> None:
    """Write a text file."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
