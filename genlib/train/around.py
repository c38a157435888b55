"""What a training changes around it, and puts back: random states, and handlers of signals."""

import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np
import torch


def derive_seed(*parts: int | str) -> int:
    """A seed for one purpose. Neighbouring seeds and epochs get unrelated ones, which a sum would not do."""
    return random.Random("/".join(map(str, parts))).getrandbits(63)


def _generators(device: torch.device) -> list[torch.Generator]:
    """torch's global ones: the CPU's, and that of this device alone (`torch.manual_seed` would seed all GPUs)."""
    if device.type == "cuda":
        return [torch.default_generator, torch.cuda.default_generators[device.index]]
    return [torch.default_generator, *([torch.mps._get_default_mps_generator()] if device.type == "mps" else [])]


def seed_all(device: torch.device, seed: int) -> None:
    """Seed what is global: Python, numpy, torch's CPU and this device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  (what users' code draws from)
    for generator in _generators(device):
        generator.manual_seed(seed)


def rng_state(device: torch.device) -> dict[str, Any]:
    """Their states."""
    states = list(map(torch.Generator.get_state, _generators(device)))
    return {"python": random.getstate(), "numpy": np.random.get_state(), "torch": states}  # noqa: NPY002


def set_rng_state(device: torch.device, state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    for generator, own in zip(_generators(device), state["torch"], strict=True):
        generator.set_state(own)


@contextmanager
def preserved_rng(device: torch.device) -> Iterator[None]:
    """Afterwards they are as they were before."""
    before = rng_state(device)
    try:
        yield
    finally:
        set_rng_state(device, before)


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """The first Ctrl-C or SIGTERM is only noted, in the list. A second one does at once what it always does."""
    received, before = [], {}

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            signal.signal(number, before[number])
            signal.raise_signal(number)

    main = threading.current_thread() is threading.main_thread()  # Python lets no other thread do this
    for number in (signal.SIGINT, signal.SIGTERM) if main else ():
        if signal.getsignal(number) not in (None, signal.SIG_IGN):  # ignored, as under nohup: it stays so
            before[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
