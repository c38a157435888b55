"""All that changes while an objective is trained: put together, gone on with, saved, and left in order."""

import copy
import itertools
import math
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from genlib.arguments import Count, check
from genlib.memory import freed_memory_kept
from genlib.train.around import derive_seed, preserved_rng, seed_all, signals_noted
from genlib.train.average import Average
from genlib.train.batches import LoaderBatches, TensorBatches
from genlib.train.checkpoint import Stored
from genlib.train.files import file_at
from genlib.train.history import History, Interrupted, NotFiniteError, scalar
from genlib.train.players import Player, autocast_in, device_of, players_of
from genlib.train.processes import Alone, processes_here
from genlib.train.weights import differences, refuse


@contextmanager
def prepared(asked: SimpleNamespace) -> Iterator["Training"]:
    """The training that `fit` is asked for. What can be refused is refused here, before anything has changed."""
    processes = processes_here()
    with ExitStack() as stack:
        with processes.agreeing():
            device = device_of(asked.objective)
            stack.enter_context(preserved_rng(device))  # for optimizers() and loaders, too, are the user's code
            seed_all(device, derive_seed("global", asked.seed, processes.rank))
            now = Training(asked, device, processes)
            content = b"" if now.path is None else now.claim(now.path, stack)
        own = now.fingerprint() if processes.size > 1 or now.path else {}  # which may be refused, too
        first, content = processes.gather((own, content))[0]
        with processes.agreeing():
            if first != own:
                refuse("processes: the first one trains something else", differences(first, own))
            state = now.find_place(content) if content else {}
            batches = iter(now.batches)
            now.stream = itertools.chain([batch := next(batches)], batches)
            if hasattr(now.objective, "check"):
                with preserved_rng(device):
                    now.objective.check(batch)
        if state:
            now.go_on_from(state)
        stack.enter_context(torch.enable_grad())
        stack.enter_context(freed_memory_kept())
        now.received = stack.enter_context(signals_noted())
        try:
            now.objective.train()
            now.join()
            processes.broadcast(now.objective)
            if asked.progress and processes.first and os.environ.get("TQDM_DISABLE", "") in ("", "0"):
                now.show_bar()
            now.start = time.perf_counter() - now.elapsed
            yield now
        finally:
            now.leave()
        processes.broadcast(now.objective)
        processes.gather("")  # the others wait until the first one has saved
    if now.received or (now.stopped and not now.enough):
        kept = f"{now.path} has the state: resume=True goes on from it" if now.path else "no checkpoint was asked for"
        message = f"stopped after step {now.step}, the objective keeps its weights, {kept}"
        if now.received[:1] != [signal.SIGTERM]:  # Ctrl-C; or another process got the signal
            raise Interrupted(message, now.history)
        if callable(signal.getsignal(signal.SIGTERM)):
            signal.raise_signal(signal.SIGTERM)  # somebody else's handler
        sys.exit(128 + signal.SIGTERM)


class Training(Stored):
    """What there is of a training besides the loop; `asked` are the arguments of `fit`."""

    start = 0.0  # by the clock, less the seconds before it was last stopped
    received: list[int]  # signals
    stopped = enough = False  # by a signal or by the callback; by the callback
    stream: Iterator[Any]  # of batches
    bar: Any = None

    def __init__(self, asked: SimpleNamespace, device: torch.device, processes: Alone) -> None:
        if (asked.steps is None) == (asked.seconds is None):
            got = f"steps={asked.steps} and seconds={asked.seconds}"
            raise ValueError(f"steps, seconds: expected exactly one of the two, got {got}")
        if asked.resume and asked.checkpoint is None:
            raise ValueError("resume: expected checkpoint= as well, the file to go on from")
        self.asked, self.device, self.processes = asked, device, processes
        self.objective: Any = asked.objective
        self.path = None if asked.checkpoint is None else file_at("checkpoint", asked.checkpoint)
        self.autocast = nullcontext if asked.precision is None else autocast_in(asked.precision, device)
        batches = TensorBatches if isinstance(asked.data, Tensor | tuple) else LoaderBatches
        self.batches = batches(asked, device, processes)
        self.generator = torch.Generator(device).manual_seed(derive_seed("losses", asked.seed, processes.rank))
        self.players = players_of(self.objective, asked.precision == "fp16")
        self.average, self.history = Average(self.objective, asked.ema_decay), History()
        self.sums = {}
        if "GENLIB_MAX_STEPS" in os.environ:
            asked.steps = within_max_steps(asked.steps, asked.seconds, say=processes.first)

    def join(self) -> None:
        """Small parameters are trained and averaged together, until `leave`."""
        for player in self.players.values():
            player.join()
        self.average.join(small for player in self.players.values() for small in player.together)

    def show_bar(self) -> None:
        from tqdm.auto import tqdm

        look: dict[str, Any] = {"total": self.asked.steps, "initial": self.step, "unit": "step"}
        if self.asked.steps is None:
            look = {"total": self.asked.seconds, "bar_format": "{l_bar}{bar}| {n:.0f}/{total:.0f} s{postfix}"}
        self.bar = tqdm(**look)

    def share(self) -> float:
        """How much of the budget is used, by steps or by time: 0 at the start, 1 at the end."""
        steps, seconds = self.asked.steps, self.asked.seconds
        return min(1.0, max(self.step / steps if steps else 0.0, self.elapsed / seconds if seconds else 0.0))

    def note(self, *logs: Mapping[str, Any]) -> None:
        """Scalars are added up where they are: a GPU is asked once for all the steps of an entry."""
        for values in logs:
            for name, value in values.items():
                total, n = self.sums.get(name, (0.0, 0))
                self.sums[name] = total + scalar("logs", name, value), n + 1

    def log(self, callback: Any) -> None:
        """One entry in the history."""
        lr = {name: float(player.optimizer.param_groups[0]["lr"]) for name, player in self.players.items()}
        means, self.sums = {name: float(total) / n for name, (total, n) in self.sums.items()}, {}
        answer = {} if callback is None else self.answered(callback)
        self.history.append(self.step, self.elapsed, lr, means | answer)
        if self.asked.report is not None and self.processes.first:
            rate = {"lr" if len(lr) == 1 else f"lr_{name}": value for name, value in lr.items()}
            self.asked.report({"step": self.step, "seconds": self.elapsed, **rate, **means, **answer})

    def show(self) -> None:
        """How far it is, on the bar."""
        done = self.step if self.asked.steps else min(self.elapsed, self.asked.seconds)
        self.bar.set_postfix({name: f"{curve[-1]:.3g}" for name, curve in self.history.logs.items()}, refresh=False)
        self.bar.update(done - self.bar.n)

    def answered(self, callback: Any) -> dict[str, float]:
        """What the user says who looks at what `fit` would leave; what that takes does not count."""
        begin, answer = time.perf_counter(), None
        with self.processes.agreeing():
            if self.processes.first:
                self.objective.eval()
                with preserved_rng(self.device), self.average.inside():
                    answer = callback(self.step, self.objective)
                self.objective.train()
            if not (answer is None or answer is False or isinstance(answer, Mapping)):
                raise ValueError(f"callback: expected a dict of numbers, False or None, got {type(answer).__name__}")
            values = {name: float(scalar("callback", name, value)) for name, value in (answer or {}).items()}
        if any(self.processes.gather(answer is False)):
            self.enough = self.stopped = True
        self.start += time.perf_counter() - begin
        return values

    def not_finite(self, player: Player, loss: float) -> None:
        """fp16 tries a smaller scale; otherwise this is the end."""
        if math.isfinite(loss) and player.overflow():
            return
        self.average.restore_buffers()
        what = "the loss is finite, its gradient is not" if math.isfinite(loss) else f"the loss is {loss}"
        half = f"; too little range or accuracy in {self.asked.precision}" if self.asked.precision else ""
        lr = max(float(group["lr"]) for group in player.optimizer.param_groups)
        but = "" if self.average.mean or len(self.players) == 1 else ", but for earlier turns in this one"
        kept = f"The last good checkpoint is {self.path}, from step {self.saved_at}"
        kept = kept if self.saved_at else "There is no checkpoint"
        causes = f"a learning rate that is too high (it was {lr:.3g}); data on another scale than the model expects; "
        causes += f"a logarithm, a division or the derivative of a root at 0; an exp without bound{half}"
        left = f"The objective is left as step {self.step} left it{but}. {kept}"
        where = f"step {self.step + 1}, optimizer {player.name!r}"
        raise NotFiniteError(f"{where}: {what}. {left}. Likely causes: {causes}.")

    def leave(self) -> None:
        """The objective and the optimizers as they are to be left."""
        if self.stopped and self.sums:
            self.log(None)  # for whoever catches the interruption; the state was saved without this odd entry
        if self.bar is not None:
            self.bar.close()
        for player in self.players.values():
            player.set_lr(1)
            player.part()
        self.objective.zero_grad()
        if self.average.mean and self.asked.ema_decay:
            self.history.raw = copy.deepcopy(self.objective.state_dict())
        self.average.put(self.average.mean)
        self.objective.eval()


def within_max_steps(steps: int | None, seconds: float | None, say: bool) -> int | None:
    """The steps, bounded by GENLIB_MAX_STEPS in the environment, so that notebooks can be run through quickly."""
    text = os.environ.get("GENLIB_MAX_STEPS", "").strip() or None
    most = check("GENLIB_MAX_STEPS", int(text) if text and text.isdecimal() else text, Count | None)
    if most is None or (steps is not None and steps <= most):
        return steps
    if say:
        print(f"GENLIB_MAX_STEPS: {most} steps instead of {f'{seconds:g} s' if steps is None else f'{steps} steps'}")
    return most
