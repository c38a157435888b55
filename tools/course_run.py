"""How the set-up runs a command: alone in its folder, cut off from what a shell passes on, and ended when it ends."""

import ast
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import TextIO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


BASE: str = getattr(sys, "_base_executable", sys.executable)  # which stays where it is when .venv is made anew


class SetupError(Exception):
    """Something that the user must do first, in one line; `sign` is what a log said."""

    sign = ""


# -- One at a time

_held = -1  # the lock file, as long as this process holds it
FAR = 1 << 30  # Windows locks bytes, and nobody can read those: one far behind the words in the file


def hold(path: str, shared: bool) -> None:
    """Wait until .venv may be used (shared) or changed, and hold it so: until the next call, or this process ends.

    The system itself frees what a process held that was killed.
    """
    global _held
    if _held >= 0:
        os.close(_held)
        _held = -1
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _held = os.open(path, os.O_RDWR | os.O_CREAT)
    except OSError:
        if shared:
            return  # a course that this user may only read: nobody changes it for them
        raise
    told = False
    while not _lock(_held, shared):
        if not told:
            told = True
            os.lseek(_held, 0, os.SEEK_SET)
            # Whoever may change .venv has written who that is; where nobody may, others use it.
            used = not shared and _lock(_held, shared=True)
            who = "a lab or tests, which use .venv, to end: it must be changed"
            if not used:
                who = f"{os.read(_held, 99).decode() or 'another process'}, which sets the course up in .venv"
            print(f"Waiting for {who} (Ctrl-C stops waiting) ...", flush=True)
        time.sleep(0.1)
    if not shared:
        os.ftruncate(_held, 0)
        os.lseek(_held, 0, os.SEEK_SET)
        os.write(_held, f"process {os.getpid()}".encode())


def _lock(file: int, shared: bool) -> bool:
    """Lock an open file, in place of how it is locked; False where another process is in the way."""
    if sys.platform == "win32":  # which knows no shared locks: a user only looks whether somebody changes it
        os.lseek(file, FAR, os.SEEK_SET)
        with contextlib.suppress(OSError):
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            if shared:
                os.lseek(file, FAR, os.SEEK_SET)
                msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
            return True
        return False
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    return True


# -- Cut off

# Of what a shell says to Python, what changes neither which modules are found nor what they do.
HARMLESS = {"PYTHONUTF8", "PYTHONIOENCODING", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
# Of pip's settings, those that say where packages come from.  Where they go, and which, is the course's to say.
SOURCES = {
    *("index-url", "extra-index-url", "no-index", "find-links", "trusted-host", "cert", "client-cert", "proxy"),
    *("timeout", "default-timeout", "retries", "cache-dir", "no-cache-dir", "keyring-provider", "use-feature"),
}


def isolate(venv: str) -> None:
    """Take from this process's environment, and so from its children's, what leads Python to modules outside .venv."""
    for name in list(os.environ):
        if (name.startswith("PYTHON") and name not in HARMLESS) or name == "__PYVENV_LAUNCHER__":
            del os.environ[name]
    os.environ["VIRTUAL_ENV"] = venv  # IPython adds the packages of the one that is named there


def pip_environment(python: str) -> dict[str, str]:
    """The environment for pip: of its settings, in files and variables, only where packages come from."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    here = {name: env.pop(name) for name in list(env) if name.startswith("PIP_")}
    sources = {"PIP_" + key.upper().replace("-", "_") for key in SOURCES}
    settings = {}
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        # `user` would show the user's own file alone; "0" is stronger than what a file says of it.
        asks = {**env, **{name: here[name] for name in here if name == "PIP_CONFIG_FILE"}, "PIP_USER": "0"}
        command = [python, "-I", "-m", "pip", "config", "list"]
        told = subprocess.check_output(command, env=asks, stderr=subprocess.DEVNULL).decode(errors="replace")
        for section in ("global", "install"):  # the latter is the stronger
            for key, value in re.findall(rf"^{section}\.([a-z-]+)=(.*)", told, re.MULTILINE):
                settings["PIP_" + key.upper().replace("-", "_")] = ast.literal_eval(value.strip())
    settings |= here
    return {**env, **{n: v for n, v in settings.items() if n in sources}, "PIP_CONFIG_FILE": os.devnull}


# -- Ended when the set-up ends

# A command runs under this.  When the set-up ends, in whatever way, the pipe to it closes, and both end.
GUARD = """
import os, subprocess, sys, threading

def watch():
    os.read(0, 1)
    if os.name == "nt":
        child.kill()
    else:
        os.killpg(0, 9)

child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
threading.Thread(target=watch, daemon=True).start()
status = child.wait()
os._exit(status if 0 <= status < 256 else 1)
"""

NO_SUCH_FILE = "No matching distribution"
# What a log may contain, and what to do about it.
REMEDIES = [
    ("ensurepip is not available", "install its venv package (Debian, Ubuntu: apt install python3-venv)"),
    ("No space left on device", "the disk is full; 3 GB are needed, 7 GB for torch with CUDA: make room"),
    ("DO NOT MATCH THE HASHES", "a file is not the one that the lock names: look where pip takes it from"),
    (NO_SUCH_FILE, "a package could not be found for this Python and system: check the connection"),
    ("Read timed out", "a download broke off: check the connection"),
    ("Connection", "a download failed: check the connection"),
    ("Name or service not known", "a download failed: check the connection"),
    ("Permission denied", "this folder cannot be written to: move the course to one that can"),
]


def run(command: list[str], log: TextIO, failure: str, env: dict[str, str] | None = None) -> None:
    """Run a command with its words in the log, showing that it lives; raise SetupError where it fails."""
    guard = [BASE, "-I", "-c", GUARD, *command]
    pipe, started, before = subprocess.PIPE, time.time(), log.tell()  # the command moves the end of the log, too
    process = subprocess.Popen(guard, stdin=pipe, stdout=log, stderr=subprocess.STDOUT, env=env, start_new_session=True)
    try:
        while process.poll() is None:
            time.sleep(0.1)
            if sys.stdout.isatty():
                last = (read(log.name) or "").strip().split("\n")[-1].strip()
                print("\r" + f"{time.time() - started:4.0f} s  {last}"[:78].ljust(78), end="", flush=True)
    finally:
        if process.stdin:
            process.stdin.close()
        process.wait()
        if process.returncode and sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # what outlived the guard, were it killed alone
        if sys.stdout.isatty():
            print("\r" + " " * 78 + "\r", end="", flush=True)
    if process.returncode:
        with open(log.name, "rb") as file:
            file.seek(before)
            words = file.read().decode(errors="replace")
        full = shutil.disk_usage(os.path.dirname(log.name)).free < 1 << 20  # no room for the words that would say so
        signs = words + full * "No space left on device"
        sign, remedy = next((pair for pair in REMEDIES if pair[0] in signs), ("", "see what it says"))
        where = os.path.join(*log.name.split(os.sep)[-2:])
        error = SetupError(f"{failure}: {remedy}; then run the same command again (details: {where}).")
        error.sign = sign
        raise error


def read(path: str) -> str | None:
    """A text file's content; None where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None
