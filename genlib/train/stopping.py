"""A training that ends before its time: Ctrl-C and SIGTERM wait for the step to end; NaN does not."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from genlib.train.history import History


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during `fit`. The step was finished, the state saved; `history` has the curves so far."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


class NotFiniteError(FloatingPointError):
    """A loss or a gradient is NaN or infinite: training has stopped, the objective is as the last good step left it."""


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """The first Ctrl-C or SIGTERM is only noted, in the list. A second one does at once what it always does."""
    received: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            signal.signal(number, before[number])
            signal.raise_signal(number)

    if threading.current_thread() is threading.main_thread():  # Python lets no other thread do this
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) not in (None, signal.SIG_IGN):  # ignored, as under nohup: it stays so
                before[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop(received: list[int], message: str, history: History) -> None:
    """What the signal asks for, now that all is saved and the handlers are what they were."""
    if received[:1] != [signal.SIGTERM]:  # Ctrl-C; or another process got the signal
        raise Interrupted(message, history)
    if callable(signal.getsignal(signal.SIGTERM)):
        signal.raise_signal(signal.SIGTERM)  # somebody else's handler
    sys.exit(128 + signal.SIGTERM)
