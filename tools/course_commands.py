"""What the course's commands do, once .venv is complete: open it, test it, check a lab."""

import contextlib
import glob
import os
import shutil
import signal
import subprocess
import sys

import course_setup
import update
from course_run import SetupError, isolate

TESTS_FAILED = 1  # pytest's
NOTHING_SELECTED = 5  # pytest's exit status where no test is


def main(arguments: list[str], usage: str | None = None) -> int:
    """The command line; returns the exit status."""
    bare = "--no-venv" in arguments
    command, *rest = [argument for argument in arguments if argument != "--no-venv"] or [""]
    commands = {"setup": lambda _python, _arguments: 0, "lab": lab, "test": test, "check": check}
    commands |= {"grade": grade, "nbgrader": nbgrader, **FOR_THE_SITE}
    if command not in [*commands, "update"]:
        print(usage)
        return 2
    try:
        if command == "update":  # needs nothing of .venv
            return update.update(rest)
        if not bare:
            isolate(course_setup.VENV)
        site = command in FOR_THE_SITE or (command == "setup" and "site" in rest)
        python = sys.executable if bare else course_setup.setup(every_file=command == "setup", site=site)
        return commands[command](python, rest)
    except SetupError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"The course could not be set up: {error}.", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nStopped; the same command goes on from here.", file=sys.stderr)
    return 1


def lab(python: str, arguments: list[str]) -> int:
    """Open JupyterLab on the first notebook; labs not yet in my_labs/ are copied there.

    With --present it is set for a room: presentation mode, code folded, side bars closed, figures wide.
    """
    root, settings = course_setup.ROOT, os.path.join(course_setup.ROOT, "tools", "lab_settings")
    present, arguments = "--present" in arguments, [argument for argument in arguments if argument != "--present"]
    copy_labs()
    # JupyterLab shows a stored widget only in a notebook that it trusts: these are the course's own, and are signed
    # while it starts.
    sign = [python, "-m", "nbformat.sign", *notebooks("lectures", "solutions")]
    subprocess.Popen(sign, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # Not the file as an argument: JupyterLab would then show its folder alone, and my_labs/ lies beside it.
    command = [python, os.path.join("tools", "lab_server.py"), "--ServerApp.root_dir=" + root]
    workspace = "workspaces/present/" if present else ""  # what is open, and how, of presenting and of working
    command.append(f"--LabApp.default_url=/lab/{workspace}tree/lectures/00_start_here.ipynb")
    # Its settings are the course's: no question about news, no look for updates; pages of text are shown, not edited.
    command.append("--LabApp.app_settings_dir=" + settings)
    if present:
        command += [
            "--CourseContents.folded=True",
            "--LabApp.extra_labextensions_path=" + os.path.join(settings, "present"),
        ]
    # JupyterLab refuses to run as root unless told so; in a container one often is.
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    # The networks are small: one thread trains them faster than two, and much faster beside a busy browser.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with contextlib.suppress(KeyboardInterrupt):  # the way to end it
        return call(command + arguments)
    return 0


def copy_labs() -> None:
    """Copy the blank labs to my_labs/, where students work; nothing there is ever overwritten.

    A lab gets its name when all of it is there: a full disk leaves none, and the next time it is copied.
    """
    mine = os.path.join(course_setup.ROOT, "my_labs")
    os.makedirs(mine, exist_ok=True)
    for path in sorted(glob.glob(os.path.join(glob.escape(course_setup.ROOT), "labs", "*.ipynb"))):
        name = os.path.basename(path)
        part = os.path.join(mine, f".{name}.{os.getpid()}.part")
        if os.path.lexists(os.path.join(mine, name)):
            continue
        try:
            shutil.copy(path, part)
            if not os.path.lexists(os.path.join(mine, name)):  # a second `make lab` may have been faster
                os.rename(part, os.path.join(mine, name))
                update.note(name, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.remove(part)


def test(python: str, arguments: list[str]) -> int:
    """Run every test: three workers, one thread each; kernels see what they saw while building."""
    os.environ.update(TQDM_DISABLE="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", PYTHONHASHSEED="0")
    os.environ.pop("GENLIB_MAX_STEPS", None)
    pytest = [python, "-m", "pytest", "-q", "-n", "3", "--dist", "loadscope"]
    pytest += ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=180"]
    pytest += ["--nbval-sanitize-with", os.path.join("tools", "nbval_sanitize.cfg")]
    built = call([python, os.path.join("tools", "build_notebooks.py"), "--check"])
    # Explicit notebooks: their sources lie beside them, and are no modules to look for doctests in.
    # Blank labs are stored without outputs, which leaves nothing to compare: `make reruns` runs them.
    everything = ["--doctest-modules", "genlib", "gencourse", "tests", *notebooks("lectures", "solutions")]
    everything.append("--ignore=tests/browser")  # make test-browser
    status = call([*pytest, *everything, *arguments])
    if status == NOTHING_SELECTED:
        print(f"No test was run: none is selected by {' '.join(arguments) or 'no arguments'}.", file=sys.stderr)
    return 1 if built or status else 0


def check(python: str, arguments: list[str]) -> int:
    """Run a lab as a student left it, and say how its exercises stand: tools/check.py."""
    return tool(python, "check.py", arguments)


def grade(python: str, arguments: list[str]) -> int:
    """Grade a folder of submissions: tools/grade.py."""
    return tool(python, "grade.py", arguments)


def nbgrader(python: str, arguments: list[str]) -> int:
    """Write the labs for nbgrader: tools/nbgrader_labs.py."""
    return tool(python, "nbgrader_labs.py", arguments)


def slides(python: str, arguments: list[str]) -> int:
    """Write the decks into build/slides: tools/slides.py."""
    return tool(python, "slides.py", arguments)


def site(python: str, arguments: list[str]) -> int:
    """Write the site into build/site: tools/build_site.py."""
    return tool(python, "build_site.py", arguments)


def handouts(python: str, arguments: list[str]) -> int:
    """Write the handouts into build/handouts: tools/handouts.py."""
    return tool(python, "handouts.py", arguments)


def test_browser(python: str, arguments: list[str]) -> int:
    """Run the tests that need a browser: tests/browser; those that fail once more, alone, for a browser may be starved.

    What fails at first is shown, and fails the run if it fails again.
    """
    os.environ.update(TQDM_DISABLE="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    pytest, what = [python, "-m", "pytest", "-q"], [os.path.join("tests", "browser"), *arguments]
    if absent := tool(python, "web.py", []):  # whether the browser is there, in one line
        return absent
    status = call([*pytest, "-n", "2", "--dist", "loadfile", *what])
    return call([*pytest, "--last-failed", *what]) if status == TESTS_FAILED else status


# These need more packages than a student's, which the set-up adds when they are called.
FOR_THE_SITE = {"slides": slides, "site": site, "handouts": handouts, "test-browser": test_browser}


def tool(python: str, name: str, arguments: list[str]) -> int:
    root = course_setup.ROOT
    if not os.path.samefile(os.getcwd(), root):  # a path is the caller's, and the command runs in the course's folder
        arguments = [os.path.abspath(a) if os.path.exists(os.path.dirname(a) or a) else a for a in arguments]
    return call([python, os.path.join("tools", name), *arguments])


def notebooks(*folders: str) -> list[str]:
    """The notebooks in these folders, as paths from the root."""
    root = course_setup.ROOT
    found = [path for folder in folders for path in glob.glob(os.path.join(glob.escape(root), folder, "*.ipynb"))]
    return sorted(os.path.relpath(path, root) for path in found)


def call(command: list[str]) -> int:
    """Run a command in the course's folder, and end when it has: Ctrl-C and signals to end are its own to answer."""
    process = subprocess.Popen(command, cwd=course_setup.ROOT)
    ended: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        ended.append(number)
        if number != signal.SIGINT:  # which the terminal sends to both
            process.send_signal(number)

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]  # as nohup has it
    before = {number: signal.signal(number, pass_on) for number in heard}
    try:
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if signal.SIGINT in ended:
        raise KeyboardInterrupt
    if ended:
        raise SystemExit(128 + ended[0])
    return status
