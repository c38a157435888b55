"""A student's loop that never ends is stopped, where the system can do that."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

HERE = str(Path(__file__).parent)
SECONDS = 10.0  # that an answer may take for one call; honest ones need some milliseconds


class TooLong(BaseException):
    """The time was up."""


@contextmanager
def limited() -> Iterator[None]:
    """Raise `TooLong` inside the block after `SECONDS`, by the clock; a module that is being imported comes on top.

    (torch imports parts of itself when they are first used. An import that is cut off leaves half a module behind.)

    Only in the main thread of a POSIX system, where cells and tests run; elsewhere, and where the alarm is somebody
    else's already, nothing is limited.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    if signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        if _importing(frame):
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            return
        raise TooLong

    before: Any = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before if before is not None else signal.SIG_DFL)


def _importing(frame: FrameType | None) -> bool:
    """An import stands on the stack, above the checks."""
    while frame is not None and not frame.f_code.co_filename.startswith(HERE):
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
