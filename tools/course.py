"""Set the course up, and open or test it.  `make` calls this; where there is no make, call it yourself:

    python tools/course.py lab [--no-browser ...]     open JupyterLab (--present: for a room); more arguments go to it
    python tools/course.py test [-k NAME ...]         run every test; more arguments go to pytest
    python tools/course.py check NOTEBOOK             run a lab as you left it, and list its exercises
    python tools/course.py grade FOLDER [--help ...]  grade the submissions in a folder
    python tools/course.py nbgrader                   write the labs for nbgrader
    python tools/course.py slides | site | handouts   write decks, the site, handouts into build/
    python tools/course.py test-browser               run the tests that need a browser
    python tools/course.py update                     bring the newest version, and say which labs have changed
    python tools/course.py setup [site]               only make .venv; mend what is missing from it; for these four, too

Everything goes into .venv, from the locks.  With `--no-venv` nothing is installed, and the Python that runs
this is used as it is (a conda environment, say).
"""

# The first file that a newcomer's Python reads, and it may be any: this one must run on Python 2.7 as well, to say so.
# What it starts, course_commands.py and course_setup.py, is for the Pythons that will do.

import os
import platform
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 14)  # what requirements.lock is made for
TOO_OLD = (
    "The course needs Python {}.{} to {}.{}, and this is {}: install one (python.org), "
    "then run this again with it (make: PYTHON=/path/to/it).\n"
)


def main(arguments):
    """Run the command with a Python that will do: this one, or one that is found; return the exit status."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # PYTHONSAFEPATH leaves it out
        import course_commands

        return course_commands.main(arguments, __doc__)
    python = None if "--no-venv" in arguments else find_python()
    if python is None:
        sys.stderr.write(TOO_OLD.format(*(OLDEST + NEWEST + (platform.python_version(),))))
        return 1
    # What says where this Python finds its modules would lead that one astray.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [python, os.path.abspath(__file__)] + arguments
    if os.name == "nt":
        return subprocess.call(command, env=environment)
    return os.execve(python, command, environment)


def find_python():
    """The newest Python that will do, of those on the PATH; None where there is none."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        version = "{}.{}".format(OLDEST[0], minor)
        for command in [["python" + version]] + ([["py", "-" + version]] if os.name == "nt" else []):
            ask = "import ensurepip, sys, venv; print(sys.executable); print(sys.version_info[:2])"
            try:
                with open(os.devnull, "w") as nowhere:
                    answer = subprocess.check_output(command + ["-I", "-c", ask], stderr=nowhere).decode().splitlines()
            except (OSError, subprocess.CalledProcessError):
                continue
            if answer[1] == str((OLDEST[0], minor)):
                return answer[0]
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
