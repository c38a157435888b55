"""The bar."""

import os

from genlib.train.history import History
from genlib.train.settings import Settings


class Bar:
    """tqdm, loaded only when it is to be shown."""

    def __init__(self, settings: Settings, enabled: bool) -> None:
        self.bar = None
        self.by_time = settings.seconds is not None and settings.steps is None
        # tqdm's bar for notebooks does not look at this variable by itself.
        if enabled and os.environ.get("TQDM_DISABLE", "") in ("", "0"):
            from tqdm.auto import tqdm

            if self.by_time:
                look = "{l_bar}{bar}| {n:.0f}/{total:.0f} s{postfix}"
                self.bar = tqdm(total=settings.seconds, bar_format=look)
            else:
                self.bar = tqdm(total=settings.steps, unit="step")

    def show(self, step: int, elapsed: float) -> None:
        if self.bar is not None:
            done = min(elapsed, self.bar.total) if self.by_time else step
            self.bar.update(done - self.bar.n)

    def describe(self, history: History) -> None:
        if self.bar is not None:
            self.bar.set_postfix({name: f"{curve[-1]:.3g}" for name, curve in history.logs.items()}, refresh=False)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
