"""How long an answer may take for one call, and how much it may print; then it is stopped, where the system can."""

import contextlib
import io
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import torch

HERE = str(Path(__file__).parent)
SECONDS = 10.0  # of the process's own time that an answer may take for one call; honest ones need some milliseconds
PATIENCE = 6.0  # times as long by the clock, which also runs while an answer sleeps and while other programs work
AGAIN = 0.01  # seconds until the alarm rings once more, if the answer caught what it raised
LETTERS = 200_000  # that an answer may print in one call
beats: list[Callable[[], None]] = []  # called before each call: a fork tells its parent that it lives


class TooLong(BaseException):
    """The time was up: so many seconds of it."""


class TooMuch(BaseException):
    """It printed more than anybody reads."""


class Stopped(Exception):  # noqa: N818
    """What it raised is no error, but would end the program."""


class Page(io.StringIO):
    """What is printed, up to a length."""

    def write(self, text: str) -> int:
        if self.tell() + len(text) > LETTERS:
            raise TooMuch
        return super().write(text)


@contextmanager
def limited() -> Iterator[Page]:
    """Catch what is printed inside the block, raise `TooMuch` beyond `LETTERS`, and `TooLong` after `SECONDS`.

    These are seconds in which the process works; by the clock it may take `PATIENCE` times as many. A module that is
    being imported comes on top. (torch imports parts of itself when they are first used. An import that is cut off
    leaves half a module behind.) Where the block catches what is raised, the alarm rings again and again.

    The time is limited only in the main thread of a POSIX system, where cells and tests run; elsewhere, and by an
    alarm that is somebody else's already, nothing is.
    """
    for beat in beats:
        beat()
    graded = torch.set_grad_enabled(torch.is_grad_enabled())  # a generator may keep no_grad open for ever
    with contextlib.redirect_stdout(Page()) as page, _alarm(), graded:
        yield page


def called(function: Callable[..., Any], *args: Any) -> Any:
    """What a function gives when it is called once more, where an error of any kind says only that it cannot be."""
    try:
        with limited():
            return function(*args)
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise Stopped from error


@contextmanager
def _alarm() -> Iterator[None]:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    mine = [alarm for alarm in _alarms() if not signal.getitimer(alarm.timer)[0]]
    rings = 0

    def ring(number: int, frame: FrameType | None) -> None:
        nonlocal rings
        if frame is None or not _at_work(frame):
            return
        rings += 1
        up = TooLong(next(alarm.seconds for alarm in mine if alarm.number == number))
        if rings % 2:
            raise up

        def next_line(frame: FrameType, event: str, arg: Any) -> Any:
            if event == "line":
                raise up
            return next_line

        frame.f_trace = next_line  # where a try catches what is raised inside it, the line after it may stand outside
        sys.settrace(next_line)

    traced, before = sys.gettrace(), [signal.signal(alarm.number, ring) for alarm in mine]
    for alarm in mine:
        signal.setitimer(alarm.timer, alarm.seconds, AGAIN)
    try:
        yield
    finally:
        for alarm in mine:
            signal.setitimer(alarm.timer, 0)
        if rings > 1:
            sys.settrace(traced)
        for alarm, handler in zip(mine, before, strict=True):
            signal.signal(alarm.number, handler if handler is not None else signal.SIG_DFL)


class Alarm(NamedTuple):
    timer: int
    number: int  # of its signal
    seconds: float


def _alarms() -> tuple[Alarm, Alarm]:
    return (
        Alarm(signal.ITIMER_PROF, signal.SIGPROF, SECONDS),
        Alarm(signal.ITIMER_REAL, signal.SIGALRM, PATIENCE * SECONDS),
    )


def _at_work(frame: FrameType | None) -> bool:
    """The block's own code stands on the stack, above the checks, and no import above it."""
    files = []
    while frame is not None and not frame.f_code.co_filename.startswith(HERE):
        files.append(frame.f_code.co_filename)
        frame = frame.f_back
    importing = any(file.startswith("<frozen importlib") for file in files)
    return not importing and any(file != contextlib.__file__ for file in files)
