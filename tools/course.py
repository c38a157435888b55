"""Set the course up, and open or test it.  `make` calls this; where there is no make, call it yourself:

    python tools/course.py lab [--no-browser ...]     open JupyterLab; more arguments go to it
    python tools/course.py test [-k NAME ...]         run every test; more arguments go to pytest
    python tools/course.py check NOTEBOOK             run a lab as you left it, and list its exercises
    python tools/course.py setup                      only make .venv, once

Everything goes into .venv, from requirements.lock.  With `--no-venv` nothing is installed, and the Python that runs
this is used as it is (a conda environment, say).
"""

# This file must parse on a Python that is too old, to be able to say so: nothing newer than 3.6 here.

import glob
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from typing import TextIO

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "course-stamp.txt")
LOG = os.path.join(ROOT, "build", "setup.log")
OLDEST, NEWEST = (3, 11), (3, 14)  # what requirements.lock is made for
WINDOWS = os.name == "nt"

# What a notebook or a test imports, and what is slow to import for the first time.
USED = [
    *("torch", "torch._dynamo"),  # the latter comes with the first optimizer: 800 modules
    *("sklearn.datasets", "matplotlib.figure", "matplotlib.backends.backend_agg", "safetensors.torch"),
    *("anywidget", "ipykernel.kernelapp", "ipykernel.ipkernel", "jupyterlab.labapp", "nbconvert", "nbval.plugin"),
    *("jupytext", "nbclient", "hypothesis", "xdist.plugin", "_pytest.doctest", "tqdm.auto"),
]

# What pip's log may contain, and what to do about it.
REMEDIES = [
    ("ensurepip is not available", "install its venv package (Debian, Ubuntu: apt install python3-venv)"),
    ("No space left on device", "the disk is full; 3 GB are needed: make room"),
    ("No matching distribution", "a package could not be found for this Python and system: check the connection"),
    ("Read timed out", "a download broke off: check the connection"),
    ("Connection", "a download failed: check the connection"),
    ("Name or service not known", "a download failed: check the connection"),
    ("Permission denied", "this folder cannot be written to: move the course to one that can"),
]


class SetupError(Exception):
    """Something that the user must do first, in one line."""


def main() -> int:
    """The command line; returns the exit status."""
    arguments = sys.argv[1:]
    bare = "--no-venv" in arguments
    if bare:
        arguments.remove("--no-venv")
    commands = {"setup": lambda _python, _arguments: 0, "lab": lab, "test": test, "check": check}
    if not arguments or arguments[0] not in commands:
        print(__doc__)
        return 2
    try:
        python = sys.executable if bare else setup()
        return commands[arguments[0]](python, arguments[1:])
    except SetupError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"The course could not be set up: {error}.", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nStopped; the same command goes on from here.", file=sys.stderr)
    return 1


# -- Set-up


def setup() -> str:
    """Make .venv complete, unless it is, and return its Python."""
    base, version = find_python()
    python = os.path.join(VENV, "Scripts", "python.exe") if WINDOWS else os.path.join(VENV, "bin", "python")
    unfinished = os.path.join(VENV, "unfinished.txt")
    old, wanted = read(STAMP), stamp(version)
    if old == wanted and os.path.exists(python) and not os.path.exists(unfinished):
        return python
    started = time.time()
    print("Setting up the course in .venv (once; some minutes, 1.6 GB) ...", flush=True)
    if os.path.exists(unfinished) or (old and old.split("\n")[0] != wanted.split("\n")[0]):
        remove(VENV)  # half a set-up, another Python or another place
    elif old is None and read(os.path.join(VENV, "pyvenv.cfg")) is not None and venv_version() != version:
        raise SetupError(f"There is a .venv of another Python ({venv_version()}) here: remove it and try again.")
    os.makedirs(VENV, exist_ok=True)
    os.makedirs(os.path.dirname(LOG), exist_ok=True)
    write(unfinished, "")
    with open(LOG, "w", encoding="utf-8") as log:
        if not os.path.exists(python):
            run([base, "-m", "venv", VENV], log, "Python could not make .venv")
        pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--progress-bar", "off"]
        lock = os.path.join(ROOT, "requirements.lock")
        run([*pip, "--no-compile", "-r", lock], log, "The packages could not be installed")
        run([*pip, "--no-deps", "--no-build-isolation", "-e", ROOT], log, "genlib could not be installed")
        precompile(python, log)
    write(STAMP, wanted)
    os.remove(unfinished)
    print(f"Set up in {time.time() - started:.0f} s.", flush=True)
    return python


def find_python() -> "tuple[str, str]":
    """A Python that will do, and its version; the one that runs this, if it will."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return getattr(sys, "_base_executable", sys.executable), "{}.{}".format(*sys.version_info[:2])
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        version = f"{OLDEST[0]}.{minor}"
        commands = [["python" + version]] + ([["py", "-" + version]] if WINDOWS else [])
        for command in commands:
            ask = [*command, "-c", "import ensurepip, sys, venv; print(sys.executable); print(sys.version_info[:2])"]
            try:
                answer = subprocess.check_output(ask, stderr=subprocess.DEVNULL).decode().splitlines()
            except (OSError, subprocess.CalledProcessError):
                continue
            if answer[1] == f"({OLDEST[0]}, {minor})":
                return answer[0], version
    raise SetupError(
        "The course needs Python {}.{} to {}.{}, and this is {}: install one (python.org), "
        "then run this again with it (make: PYTHON=/path/to/it).".format(
            *(OLDEST + NEWEST + (platform.python_version(),))
        )
    )


def stamp(version: str) -> str:
    """What .venv was made from: its first line says for which Python and place, its second from which files."""
    digest = hashlib.sha256()
    for name in ("requirements.lock", "pyproject.toml"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return f"Python {version} in {ROOT}\n{digest.hexdigest()}\n"


def venv_version() -> "str | None":
    """Major and minor version of the Python in .venv."""
    for line in (read(os.path.join(VENV, "pyvenv.cfg")) or "").splitlines():
        key, _, value = line.partition("=")
        if key.strip() in ("version", "version_info"):
            return ".".join(value.strip().split(".")[:2])
    return None


def run(command: "list[str]", log: TextIO, failure: str) -> None:
    """Run a command with its words in the log, showing that it lives; raise SetupError where it fails."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    started = time.time()
    try:
        while process.poll() is None:
            time.sleep(0.1)
            if sys.stdout.isatty():
                last = (read(LOG) or "").strip().split("\n")[-1].strip()
                print("\r" + f"{time.time() - started:4.0f} s  {last}"[:78].ljust(78), end="", flush=True)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        if sys.stdout.isatty():
            print("\r" + " " * 78 + "\r", end="", flush=True)
    if process.returncode:
        log.flush()
        words = read(LOG) or ""
        remedy = next((remedy for sign, remedy in REMEDIES if sign in words), "see what it says")
        where = os.path.relpath(LOG, ROOT)
        raise SetupError(f"{failure}: {remedy}; then run the same command again (details: {where}).")


def precompile(python: str, log: TextIO) -> None:
    """Import what the course uses once, so that Python keeps it compiled; all of it would take a minute more."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.call([python, "-c", "import " + ", ".join(USED)], env=env, cwd=ROOT, stdout=log, stderr=log)


def remove(folder: str) -> None:
    """Remove a folder; out of the way first, so that half of it is never taken for the whole."""
    aside = folder + "-old"
    shutil.rmtree(aside, ignore_errors=True)
    os.rename(folder, aside)
    shutil.rmtree(aside, ignore_errors=True)


def read(path: str) -> "str | None":
    """A text file's content; None where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def write(path: str, text: str) -> None:
    """Write a text file."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


# -- The course


def lab(python: str, arguments: "list[str]") -> int:
    """Open JupyterLab on the first notebook; labs not yet in my_labs/ are copied there."""
    copy_labs()
    # JupyterLab shows a stored widget only in a notebook that it trusts: these are the course's own, and are signed
    # while it starts.
    sign = [python, "-m", "nbformat.sign", *notebooks("lectures", "solutions")]
    subprocess.Popen(sign, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # Not the file as an argument: JupyterLab would then show its folder alone, and my_labs/ lies beside it.
    command = [python, "-m", "jupyterlab", "--ServerApp.root_dir=" + ROOT]
    command.append("--LabApp.default_url=/lab/tree/lectures/00_start_here.ipynb")
    # Its settings are the course's: no question about news, no look for updates.
    command.append("--LabApp.app_settings_dir=" + os.path.join(ROOT, "tools", "lab_settings"))
    # JupyterLab refuses to run as root unless told so; in a container one often is.
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    # The networks are small: one thread trains them faster than two, and much faster beside a busy browser.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return call(command + arguments)


def copy_labs() -> None:
    """Copy the blank labs to my_labs/, where students work; nothing there is ever overwritten."""
    mine = os.path.join(ROOT, "my_labs")
    os.makedirs(mine, exist_ok=True)
    for path in sorted(glob.glob(os.path.join(glob.escape(ROOT), "labs", "*.ipynb"))):
        if not os.path.exists(os.path.join(mine, os.path.basename(path))):
            shutil.copy(path, mine)


def test(python: str, arguments: "list[str]") -> int:
    """Run every test; two workers, one thread each, and what the kernels see is what they saw while building."""
    os.environ.update(TQDM_DISABLE="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", PYTHONHASHSEED="0")
    os.environ.pop("GENLIB_MAX_STEPS", None)
    pytest = [python, "-m", "pytest", "-q", "-n", "2", "--dist", "loadscope"]
    nbval = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=180"]
    nbval += ["--nbval-sanitize-with", os.path.join("tools", "nbval_sanitize.cfg")]
    status = call([python, os.path.join("tools", "build_notebooks.py"), "--check"])
    # Explicit notebooks: their sources lie beside them, and are no modules to look for doctests in.
    status |= call(
        pytest
        + nbval
        + ["--doctest-modules", "genlib", "gencourse", "tests"]
        + notebooks("lectures", "solutions")
        + arguments
    )
    if notebooks("labs"):
        # Blank labs are stored without outputs, so nbval only runs them; trainings are cut short.
        os.environ["GENLIB_MAX_STEPS"] = "20"
        status |= call(pytest + nbval + notebooks("labs") + arguments)
    return status


def check(python: str, arguments: "list[str]") -> int:
    """Run a lab as a student left it, and say how its exercises stand: tools/check.py."""
    if not os.path.samefile(os.getcwd(), ROOT):  # a path is the caller's, and the command runs in the course's folder
        arguments = [os.path.abspath(a) if os.path.exists(a) else a for a in arguments]
    return call([python, os.path.join("tools", "check.py"), *arguments])


def notebooks(*folders: str) -> "list[str]":
    """The notebooks in these folders, as paths from the root."""
    found = [path for folder in folders for path in glob.glob(os.path.join(glob.escape(ROOT), folder, "*.ipynb"))]
    return sorted(os.path.relpath(path, ROOT) for path in found)


def call(command: "list[str]") -> int:
    """Run a command in the course's folder; Ctrl-C is its own to answer."""
    process = subprocess.Popen(command, cwd=ROOT)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


if __name__ == "__main__":
    sys.exit(main())
