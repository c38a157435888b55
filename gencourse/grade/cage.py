"""Where an answer runs: in processes that can do little, whatever code gets there.

`inner` puts the caller into a process table, a network and a set of signals of its own, where the system has them;
`confine` takes files away from it; `watch` has Python tell what the answer does, and refuses all but mathematics.
Each wall stands for itself: what one of them cannot do on this system, the next one does.
"""

import ctypes
import os
import resource
import signal
import struct
import sys
import sysconfig
import tokenize
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gencourse.grade.guard import Guard

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = {
    *(os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, *sysconfig.get_paths().values())),
    *(str(ROOT / "genlib"), str(ROOT / "gencourse"), os.path.realpath(Path(torch.__file__).parent.parent)),
}
SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/proc", "/sys/devices/system/cpu")
DEVICES = ("/dev/null", "/dev/urandom", "/dev/zero")

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_ALONE = {"process table": 0x20000000, "network": 0x40000000, "shared memory": 0x08000000}  # CLONE_NEWPID, NET, IPC
_NEW_USER, _NO_NEW_PRIVILEGES, _DIE_WITH_PARENT = 0x10000000, 38, 1
_CREATE, _ADD, _RESTRICT = 444, 445, 446  # landlock's system calls, the same on all machines
_READ, _WRITE, _TRUNCATE = 0b1101, 0b0110, 1 << 14  # execute, read a file, list a folder; write, read


def inner(work: Callable[[], None]) -> None:
    """Run `work` in a child that ends with this process, and whose own children end with it; then exit.

    To be called in a fork.
    """
    os.setsid()
    separate()
    child = os.fork()
    if child == 0:
        try:
            if _libc is not None:
                _libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
            work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os._exit(0)


def separate() -> list[str]:
    """What this process, or its children, no longer share with others."""
    if _libc is None:
        return []
    # A user without rights may have a network of his own only together with a table of users of his own.
    _libc.unshare(_NEW_USER)
    return [what for what, flag in _ALONE.items() if _libc.unshare(flag) == 0]


def walls() -> list[str]:
    """Which walls stand on this system, in words; tried in a fork."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        found = [f"a {what} of its own" for what in separate()]
        found += ["no files"] * confine()
        os.write(write, "\n".join(found).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(child, 0)
    return told.splitlines()


def confine() -> bool:
    """Take all files away but those of Python and its libraries, which can be read; whether the system can do that."""
    if _libc is None:
        return False
    version = _libc.syscall(_CREATE, None, 0, 1)
    if version < 1 or _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        return False
    files = (1 << 13) - 1 | (1 << 13 if version > 1 else 0) | (_TRUNCATE if version > 2 else 0)
    rules = struct.pack("QQQ", files, 3 if version > 3 else 0, 3 if version > 5 else 0)  # no TCP, no signals
    size = 8 * (1 + (version > 3) + (version > 5))
    ruleset = _libc.syscall(_CREATE, rules[:size], ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    readable = [(path, _READ) for path in (*LIBRARIES, *SYSTEM)]
    for path, what in readable + [(path, (_WRITE | _TRUNCATE) & files) for path in DEVICES]:
        try:
            handle = os.open(path, os.O_PATH)
        except OSError:
            continue
        _libc.syscall(_ADD, ruleset, 1, struct.pack("=Qi", what, handle), 0)
        os.close(handle)
    done = _libc.syscall(_RESTRICT, ruleset, 0) == 0
    os.close(ruleset)
    return done


def limit(seconds: int, memory: int) -> None:
    """Bound the caller and its children: processor time each, memory each; no file to write, few to open."""
    with open("/proc/self/statm") as file:
        memory += int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    for what, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


# -- What Python tells of itself (its audit events), and what of that is refused

NEVER = ("os.", "socket.", "subprocess.", "shutil.", "ctypes.", "pty.", "fcntl.", "mmap.", "gc.", "resource.")
NEVER += ("_thread.start_new_thread", "sys._current_frames", "sys.addaudithook", "sys.setprofile", "signal.")
NEVER += ("tempfile.", "urllib.", "winreg.", "syslog.", "cpython.")
QUIET = {"os.listdir", "os.scandir", "os.walk", "os.fwalk", "os.putenv", "os.unsetenv"}
DIRECTLY = {"compile", "exec", "import", "object.__getattr__", "object.__setattr__", "object.__delattr__", "open"}
DIRECTLY |= {"sys._getframe", "code.__new__", "function.__new__", "sys.settrace", "pickle.find_class", "marshal.loads"}
DIRECTLY |= {"builtins.input", "builtins.breakpoint", *QUIET}


def watch(guard: Guard, answers: str) -> None:
    """From here on, refuse what is no mathematics; `answers` begins the file names of the answer's code.

    Some is refused whoever asks: nothing that a check or torch does needs it. The rest is refused where the answer
    itself asks for it; a library may compile, import and read what is its own.
    """
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))  # holds for all users but root
    busy = False

    def hear(event: str, args: tuple[Any, ...]) -> None:
        nonlocal busy
        if busy:
            return
        busy = True
        try:
            place = sys._getframe(1).f_code.co_filename if event in DIRECTLY else ""
            bad_file = event == "open" and not _may_open(*args)
        finally:
            busy = False
        if bad_file and place == tokenize.__file__:
            raise FileNotFoundError(args[0])  # a line of source for a warning or a trace: they do without
        if bad_file or place.startswith(answers) or (event.startswith(NEVER) and event not in QUIET):
            guard.refuse(f"it asks Python for {event}" + f" of {args[0]!r}"[:80] * (event == "open"))

    sys.addaudithook(hear)


def _may_open(path: Any, mode: Any, flags: Any) -> bool:
    """A library's own file, to be read."""
    if isinstance(path, int) or path == os.devnull:
        return True
    writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    try:
        place = os.path.realpath(os.fsdecode(path))
    except (TypeError, ValueError):
        return False
    return not writes and any(place.startswith(library + os.sep) for library in (*LIBRARIES, *SYSTEM))
