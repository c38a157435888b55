"""`fit`: the loop that trains every family."""

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genlib.arguments import check_int
from genlib.train import checkpoint as checkpoints
from genlib.train.average import Average
from genlib.train.batches import derive_seed, make_batches
from genlib.train.history import History, Means
from genlib.train.processes import Processes
from genlib.train.progress import Bar
from genlib.train.settings import Settings, check_checkpoint, check_precision, max_steps
from genlib.train.stopping import Signals, preserved_rng, rng_state, seed_rng, set_rng_state
from genlib.train.task import check_task, check_turn, make_optimizers
from genlib.train.turns import PATIENCE, Outcome, Turns
from genlib.train.weights import save, shapes

Callback = Callable[[int, nn.Module], Mapping[str, float] | None]


class NotFiniteError(FloatingPointError):
    """A loss or a gradient is NaN or infinite: training has stopped, the task is as the last good step left it."""


def fit(
    task: nn.Module,
    data: Any,
    *,
    steps: int | None = None,
    seconds: float | None = None,
    batch_size: int = 64,
    seed: int = 0,
    ema: float = 0.004,
    clip: float | None = 1.0,
    decay: str | None = "cosine",
    warmup: int = 0,
    precision: str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1000,
    resume: bool | None = None,
    log_every: int = 10,
    progress: bool = True,
    callback: Callback | None = None,
) -> History:
    """Train a task, where its parameters are, and leave it in evaluation mode with the averaged weights.

        θ ← θ − update(clipped gradient, lr · decay)      ema ← ema + rate (θ − ema),   rate = max(`ema`, 8/(k + 8))

    Args:
        task: a Module with `optimizers()` and `losses(batch, generator)`; see `genlib.train`. If its attribute
            `averaged` is False, as a GAN's, it keeps its raw weights.
        data: a tensor (N, ...) or a (named) tuple of them, moved to the task's device once, shuffled anew in every
            epoch; or a DataLoader, or a list of batches. A batch is a tensor, or a tuple like `data`.
        steps, seconds: exactly one of them: how many batches, or how long by the clock (callbacks not counted).
            Only with `steps` does the same seed give the same weights.
        batch_size: examples in a batch, for each process; a last batch that would not be full is left out, and data
            smaller than a batch makes one batch. A loader has a batch size of its own.
        seed: of the order, of the generator handed to `losses`, and of the global generators, which are put back.
        ema: the final rate of the average, in [0, 1]; 1 means no averaging.
        clip: the largest norm of one optimizer's gradients, None for no bound.
        decay: of the learning rates, from what the optimizers say to 0 over the budget: "cosine", "linear" or None.
        warmup: steps over which the learning rates first rise.
        precision: None: as the parameters are; "bf16" or "fp16": matrix products in half precision (torch.amp).
        checkpoint: a file ending in ".pt" that gets the state of the training every `checkpoint_every` steps and at
            the end; beside it, ending in ".safetensors", the weights that `fit` would leave, for `train.load`.
        resume: if `checkpoint` exists: True goes on from it, False starts anew, None refuses. A training that goes on
            needs the same settings; with `steps`, one process and the same machine it ends in the very same weights.
        log_every: an entry in the history every so many steps.
        progress: whether to show a bar (tqdm); TQDM_DISABLE=1 hides it as well.
        callback: called as callback(step, task) at each entry, the task in evaluation mode with the weights that `fit`
            would leave; a dict of numbers that it returns goes into the history.
    Returns:
        The history, with `seconds`, how long it took.
    Raises:
        ValueError: for wrong arguments, before anything is changed, and for a task that breaks the rules.
        NotFiniteError: when a loss or gradient is NaN or infinite; it names the step and likely causes.
        Interrupted: a KeyboardInterrupt, after Ctrl-C, once the step is finished and the state saved. SIGTERM does the
            same and then ends the process. A second signal ends it at once.
    Notes:
        GENLIB_MAX_STEPS in the environment bounds the number of steps. Under `torchrun` the processes train together.
    """
    settings = Settings.checked(steps, seconds, batch_size, seed, ema, clip, decay, warmup, precision)
    checkpoint_every = check_int("checkpoint_every", checkpoint_every)
    log_every = check_int("log_every", log_every)
    if callback is not None and not callable(callback):
        raise ValueError(f"callback: expected a function of (step, task), got {type(callback).__name__}")
    path, go_on = check_checkpoint(checkpoint, resume)
    device = check_task(task)
    check_precision(precision, device)

    processes = Processes(device)
    go_on = bool(processes.broadcast_bytes(bytes([1] * go_on)))
    settings = _within_max_steps(settings, processes.first)
    with preserved_rng(device):  # for optimizers() and loaders, too, are the user's code
        seed_rng(device, derive_seed("global", seed, processes.rank))
        training = _Training(task, data, settings, device, processes, path)
        if go_on:
            training.resume()
        with Signals() as signals, torch.enable_grad():
            training.run(signals, checkpoint_every, log_every, progress, callback)
    if training.stopped:
        signals.stop(training.where_it_stopped(), training.history)
    return training.history


class _Training:
    """All that changes while a task is trained."""

    def __init__(
        self,
        task: nn.Module,
        data: Any,
        settings: Settings,
        device: torch.device,
        processes: Processes,
        path: Path | None,
    ) -> None:
        self.task, self.settings, self.device, self.processes, self.path = task, settings, device, processes, path
        self.dtype = check_precision(settings.precision, device)
        seed, rank = settings.seed, processes.rank
        self.batches = make_batches(data, settings.batch_size, seed, device, rank, processes.size)
        self.generator = torch.Generator(device).manual_seed(derive_seed("losses", seed, rank))
        self.turns = {
            name: Turns(name, optimizer, settings.clip, settings.precision == "fp16", processes)
            for name, optimizer in make_optimizers(task, device).items()
        }
        self.average = Average(task, settings.ema, getattr(task, "averaged", True))
        self.step = 0
        self.elapsed = 0.0
        self.saved_at: int | None = None
        self.stopped = False
        self.means = Means()
        self.history = History()

    def run(
        self, signals: Signals, checkpoint_every: int, log_every: int, progress: bool, callback: Callback | None
    ) -> None:
        bar = Bar(self.settings, progress and self.processes.first)
        self.task.train()
        try:
            self.processes.broadcast(self._tensors())
            start = time.perf_counter() - self.elapsed
            bar.show(self.step, self.elapsed)
            while not self.stopped and not self.settings.finished(self.step, self.elapsed):
                clock = self._one_step(signals, start)
                self.step += 1
                self.elapsed = time.perf_counter() - start if clock is None else clock
                finished = self.settings.finished(self.step, self.elapsed)
                if self.step % log_every == 0 or finished:
                    self._log()
                    bar.describe(self.history)
                    if callback is not None and self.processes.first:
                        start += self._call(callback)
                bar.show(self.step, self.elapsed)
                if self.step % checkpoint_every == 0 or finished or self.stopped:
                    self._save()
            if self.stopped and self.means.counts:
                self._log()  # for whoever catches the interruption; the state was saved without this odd entry
        finally:
            bar.close()
            for turns in self.turns.values():
                turns.restore()
            self.average.leave_in_task()
            self.task.eval()
        self.processes.broadcast(self.task.buffers())
        self.processes.wait()  # until rank 0 has saved

    def _one_step(self, signals: Signals, start: float) -> float | None:
        """One batch, all turns; with several processes, what their clocks say on average."""
        factor = self.settings.lr_factor(self.step, self.elapsed)
        for turns in self.turns.values():
            turns.set_lr(factor)
        clock = None
        losses = self._losses(self.batches.next())
        n_turns = 0
        while (turn := self._next(losses)) is not None:
            n_turns += 1
            name, loss, logs = check_turn(turn, self.turns)
            outcome = self.turns[name].take(loss, signals.received is not None, time.perf_counter() - start)
            self._check_finite(name, outcome)
            self.means.add("loss" if len(self.turns) == 1 else f"loss_{name}", outcome.loss)
            for key, value in logs.items():
                self.means.add(key, value)
            if self.processes.size > 1:
                clock = outcome.elapsed
                self.stopped = self.stopped or outcome.stop > 0
        if n_turns == 0:
            raise ValueError("losses: expected at least one turn for each batch, but it yielded nothing")
        if self.processes.size == 1:
            self.stopped = signals.received is not None
        self.average.update(self.step)
        if self.step == 0:  # a first forward pass may have set weights from its own batch
            self.processes.broadcast(self._tensors())
        return clock

    def _losses(self, batch: Any) -> Any:
        losses = self.task.losses(batch, self.generator)  # type: ignore[operator]
        if not hasattr(losses, "__next__"):
            raise ValueError(f"losses: expected a generator of (name, loss, logs), got {type(losses).__name__}")
        return losses

    def _next(self, losses: Any) -> Any:
        if self.dtype is None:
            return next(losses, None)
        # Autocast is left between two turns: it keeps casts of the weights, and they are about to change.
        with torch.autocast(self.device.type, dtype=self.dtype):
            return next(losses, None)

    def _check_finite(self, name: str, outcome: Outcome) -> None:
        scale = self.turns[name].scale
        overflow = scale.enabled and math.isfinite(outcome.loss) and scale.bad < PATIENCE
        if (math.isfinite(outcome.loss) and math.isfinite(outcome.norm)) or overflow:
            return
        self.average.restore_buffers()
        last = "There is no checkpoint"
        if self.path is not None and self.saved_at is not None:
            last = f"The last good checkpoint is {self.path}, from step {self.saved_at}"
        what = (
            f"the loss is {outcome.loss}"
            if not math.isfinite(outcome.loss)
            else "the loss is finite, its gradient is not"
        )
        lr = max(float(group["lr"]) for group in self.turns[name].optimizer.param_groups)
        causes = [
            f"a learning rate that is too high (it was {lr:.3g})",
            "data on a scale that the model does not expect",
        ]
        if math.isfinite(outcome.loss):
            causes += ["the derivative of a root or a norm at 0"]
        else:
            causes += ["a logarithm or a division at 0, an exp without bound"]
        if self.settings.precision is not None:
            causes += [f"too little range or accuracy in {self.settings.precision}"]
        raise NotFiniteError(
            f"step {self.step + 1}, optimizer {name!r}: {what}. The task is left as step {self.step} left it. {last}. "
            f"Likely causes: {'; '.join(causes)}."
        )

    def _log(self) -> None:
        lr = {name: float(turns.optimizer.param_groups[0]["lr"]) for name, turns in self.turns.items()}
        self.history.append(self.step, self.elapsed, lr, self.means.pop())
        self.history.seconds = self.elapsed

    def _call(self, callback: Callback) -> float:
        """Let the user look; returns how long that took."""
        begin = time.perf_counter()
        self.task.eval()
        with preserved_rng(self.device), self.average.in_task():
            values = callback(self.step, self.task)
        self.task.train()
        for name, value in (values or {}).items():
            curve = self.history.logs.setdefault(name, [math.nan] * len(self.history.step))
            curve[-1] = float(value)
        return time.perf_counter() - begin

    def _tensors(self) -> list[Tensor]:
        return [*self.task.parameters(), *self.task.buffers()]

    # --- state -----------------------------------------------------------------------------------------------------

    def _fingerprint(self) -> dict[str, Any]:
        """What has to be the same for a training to go on."""
        return {
            **asdict(self.settings),
            "data": self.batches.describe(),
            "processes": self.processes.size,
            "averaged": bool(self.average.parameters),
            **{
                f"optimizer {n!r}": checkpoints.describe_optimizer(t.optimizer, t.base_lr)
                for n, t in self.turns.items()
            },
            "weights": shapes(checkpoints.module_state(self.task)),
        }

    def _save(self) -> None:
        if self.path is None:
            return
        if self.processes.first:
            state = {
                "settings": self._fingerprint(),
                "step": self.step,
                "elapsed": self.elapsed,
                "task": checkpoints.module_state(self.task),
                "average": self.average.state_dict(),
                "optimizers": {name: turns.optimizer.state_dict() for name, turns in self.turns.items()},
                "scales": {name: turns.scale.state_dict() for name, turns in self.turns.items()},
                "batches": self.batches.state_dict(),
                "rng": {**rng_state(self.device), "losses": self.generator.get_state()},
                "means": self.means.state_dict(),
                "history": self.history.to_dict(),
            }
            checkpoints.write_state(self.path, state)
            with self.average.in_task():
                save(self.task, self.path.with_suffix(".safetensors"))
        self.saved_at = self.step

    def resume(self) -> None:
        assert self.path is not None
        state = checkpoints.read_state(self.path, self.processes)
        checkpoints.check_same_training(self.path, state["settings"], self._fingerprint())
        checkpoints.load_module_state(self.task, state["task"])
        self.average.load_state_dict(state["average"])
        for name, turns in self.turns.items():
            turns.optimizer.load_state_dict(state["optimizers"][name])
            turns.scale.load_state_dict(state["scales"][name])
        self.batches.load_state_dict(state["batches"])
        self.means.load_state_dict(state["means"])
        self.history = History.from_dict(state["history"])
        self.step = self.saved_at = state["step"]
        self.elapsed = state["elapsed"]
        if self.processes.first:
            self.generator.set_state(state["rng"].pop("losses"))
            set_rng_state(self.device, state["rng"])
        else:  # only rank 0's random states are kept; the others' go on from new ones
            seed = derive_seed("resumed", self.settings.seed, self.processes.rank, self.step)
            self.generator.manual_seed(seed)
            seed_rng(self.device, seed)

    def where_it_stopped(self) -> str:
        kept = f"{self.path} has the state: resume=True goes on from it" if self.path else "no checkpoint was asked for"
        return f"stopped after step {self.step}, the task keeps its weights, {kept}"


def _within_max_steps(settings: Settings, say: bool) -> Settings:
    most = max_steps()
    if most is None or (settings.steps is not None and settings.steps <= most):
        return settings
    if say:
        asked = f"{settings.steps} steps" if settings.steps is not None else f"{settings.seconds:g} s"
        print(f"GENLIB_MAX_STEPS: {most} steps instead of {asked}")
    return Settings(**{**asdict(settings), "steps": most})
