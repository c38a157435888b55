"""A training that is asked to stop: Ctrl-C and SIGTERM wait for the step to end. And the global RNG is put back."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch

from genlib.train.history import History


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during `fit`. The step was finished, the state saved; `history` has the curves so far."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


class Signals:
    """Inside the `with`, the first Ctrl-C or SIGTERM is only noted. A second one does at once what it always does."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread do this
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                if handler not in (None, signal.SIG_IGN):  # ignored, as under nohup: it stays so
                    self.previous[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = number
        else:
            self._restore()
            signal.raise_signal(number)

    def _restore(self) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def __exit__(self, *_: object) -> None:
        self._restore()

    def stop(self, message: str, history: History) -> None:
        """What the signal asks for, now that all is saved. Call it after the `with`."""
        if self.received != signal.SIGTERM:  # Ctrl-C; or another process got the signal
            raise Interrupted(message, history)
        if callable(self.previous.get(signal.SIGTERM)):
            signal.raise_signal(signal.SIGTERM)  # somebody else's handler
        sys.exit(128 + signal.SIGTERM)


@contextmanager
def preserved_rng(device: torch.device) -> Iterator[None]:
    """The global random states, of the CPU and of this device, are afterwards as they were before."""
    mps = torch.mps.get_rng_state() if device.type == "mps" else None
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            if mps is not None:
                torch.mps.set_rng_state(mps)


def seed_rng(device: torch.device, seed: int) -> None:
    """Seed the CPU and this device. (`torch.manual_seed` would seed all GPUs.)"""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def rng_state(device: torch.device) -> dict[str, torch.Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["device"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["device"] = torch.mps.get_rng_state()
    return state


def set_rng_state(device: torch.device, state: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "device" in state:
        torch.cuda.set_rng_state(state["device"], device)
    elif device.type == "mps" and "device" in state:
        torch.mps.set_rng_state(state["device"])
