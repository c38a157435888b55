"""An answer is examined in a process of its own, where the system can: whatever it does there, the kernel lives on.

A fork knows all that the notebook knows, and what it changes is gone with it. It may take so much time, memory and
output, and no more; it reports as it goes, and is killed if it falls silent. Windows has no fork, macOS none that is
safe, and a GPU does not survive one: there the answer runs in the kernel itself, with `limit`'s alarm alone.
"""

import contextlib
import gc
import json
import os
import select
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from gencourse.checks import limit
from gencourse.checks.panel import Result

MEMORY = 2 << 30  # bytes that an answer may ask for, beyond what the kernel holds
FILES = 16 << 20  # bytes in a file
SILENCE = 5.0  # seconds beyond those of one call, after which nothing will come any more
LOOK = 0.2  # seconds until the parent looks again how long the fork has worked
TOTAL = 240.0  # seconds for all checks together

Told = Callable[[str], None]


def possible() -> bool:
    return (
        sys.platform == "linux"
        and threading.current_thread() is threading.main_thread()
        and not torch.cuda.is_initialized()
    )


def apart(name: str, work: Callable[[Told], Result]) -> Result:
    """`work(told)`, in a fork. `told` is called with each check's title; what has been told is known if it dies."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of threads: ours are not needed there
        child = os.fork()
    if child == 0:
        os.close(read)
        _work(write, work)
    os.close(write)
    try:
        return _listen(name, read, child)
    finally:
        os.close(read)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _work(write: int, work: Callable[[Told], Result]) -> None:
    """In the fork: it never returns."""

    def say(what: dict[str, Any]) -> None:
        os.write(write, json.dumps(what).encode() + b"\n")

    try:
        os.setsid()  # so that it can be killed with all that it starts, and no Ctrl-C reaches it
        gc.disable()  # it would copy all of the memory that both processes share
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (the kernel's own have threads)
        torch.set_num_threads(1)  # the others stayed behind
        _bounds()
        limit.beats.append(lambda: say({}))
        say({"result": asdict(work(lambda title: say({"check": title})))})
    except BaseException as error:
        with contextlib.suppress(BaseException):
            say({"escaped": type(error).__name__})
    finally:
        os._exit(0)


def _bounds() -> None:
    import resource

    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    for what, most in ((resource.RLIMIT_AS, now + MEMORY), (resource.RLIMIT_FSIZE, FILES), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most, most) if hard == resource.RLIM_INFINITY else (min(most, hard), hard))


def _worked(child: int) -> float:
    """Seconds in which a process has worked."""
    with open(f"/proc/{child}/stat") as file:
        after_its_name = file.read().rpartition(")")[2].split()
    return sum(map(int, after_its_name[11:13])) / os.sysconf("SC_CLK_TCK")


def _silent(read: int, child: int, ends: float) -> float:
    """Wait for a word; 0 when one comes, else the seconds after which none will."""
    worked, heard, most = _worked(child), time.monotonic(), limit.SECONDS + SILENCE
    while (now := time.monotonic()) < ends:
        if select.select([read], [], [], LOOK)[0]:
            return 0.0
        if now - heard > limit.PATIENCE * most:
            return now - heard
        if _worked(child) - worked > most:
            return most
    return TOTAL


def _listen(name: str, read: int, child: int) -> Result:
    check, rest, ends = "", b"", time.monotonic() + TOTAL
    while True:
        if seconds := _silent(read, child, ends):
            return Result(
                name,
                "wrong",
                check=check,
                mistake="endless",
                hint="It did not come to an end, and could not be interrupted. Is there a loop without an end, a "
                "number that is far too large, or an except that catches everything, the end of its time included?",
                expected="an answer within some milliseconds",
                got=f"none after {seconds:.0f} s; its process was ended",
            )
        piece = os.read(read, 1 << 16)
        *lines, rest = (rest + piece).split(b"\n")
        for said in map(json.loads, lines):
            check = said.get("check", check)
            if "result" in said:
                return Result(**said["result"] | {"inputs": tuple(map(tuple, said["result"]["inputs"]))})
            if "escaped" in said:
                piece = b""
        if not piece:
            return Result(
                name,
                "wrong",
                check=check,
                mistake="died",
                hint="The process that ran it ended before an answer came. A function answers with return; does it "
                "leave the program, or ask for more memory than there is?",
                expected="an answer",
                got="none: its process ended",
            )
