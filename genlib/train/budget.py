"""How long a training is, how the learning rates go down over it, and the bar that shows it."""

import math
import os
from dataclasses import dataclass
from typing import Any


@dataclass
class Budget:
    """Steps or seconds; with GENLIB_MAX_STEPS both, and the one that is used up first counts."""

    steps: int | None
    seconds: float | None
    decay: str | None
    warmup: int

    def share(self, step: int, elapsed: float) -> float:
        """How much of it is used: 0 at the start, 1 at the end."""
        shares = step / self.steps if self.steps else 0.0, elapsed / self.seconds if self.seconds else 0.0
        return min(1.0, max(shares))

    def lr_factor(self, step: int, elapsed: float) -> float:
        """What the learning rates are multiplied by in this step, counted from 0.

        cosine: ½ (1 + cos(π · share))      linear: 1 − share      warm-up: times (step + 1)/warmup, at most 1
        """
        share = self.share(step, elapsed)
        decay = {"cosine": (1 + math.cos(math.pi * share)) / 2, "linear": 1 - share, None: 1.0}[self.decay]
        return decay * min(1.0, (step + 1) / max(1, self.warmup))


def within_max_steps(steps: int | None, seconds: float | None, say: bool) -> int | None:
    """The steps, bounded by GENLIB_MAX_STEPS in the environment, so that notebooks can be run through quickly."""
    text = os.environ.get("GENLIB_MAX_STEPS", "").strip()
    if text and not (text.isdecimal() and int(text) > 0):
        raise ValueError(f"GENLIB_MAX_STEPS: expected a whole number, at least 1, got {text!r}")
    if not text or (steps is not None and steps <= int(text)):
        return steps
    if say:
        print(f"GENLIB_MAX_STEPS: {text} steps instead of {f'{seconds:g} s' if steps is None else f'{steps} steps'}")
    return int(text)


class Bar:
    """tqdm, loaded only when it is to be shown."""

    def __init__(self, budget: Budget, step: int) -> None:
        from tqdm.auto import tqdm

        self.by_time = budget.steps is None
        look = "{l_bar}{bar}| {n:.0f}/{total:.0f} s{postfix}"
        by_steps = {"total": budget.steps, "initial": step, "unit": "step"}
        self.tqdm: Any = tqdm(**({"total": budget.seconds, "bar_format": look} if self.by_time else by_steps))

    def show(self, step: int, elapsed: float, logs: dict[str, list[float]]) -> None:
        done = min(elapsed, self.tqdm.total) if self.by_time else step
        self.tqdm.set_postfix({name: f"{curve[-1]:.3g}" for name, curve in logs.items()}, refresh=False)
        self.tqdm.update(done - self.tqdm.n)

    def close(self) -> None:
        self.tqdm.close()
