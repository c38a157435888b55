"""`fit`: the loop that trains every family."""

import math
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any, Literal

from torch import nn

from genlib.arguments import Count, Natural, Positive, Seed, Share, checked
from genlib.train.average import EMA_DECAY
from genlib.train.history import History
from genlib.train.players import in_turn
from genlib.train.processes import processes_here
from genlib.train.training import prepared

Callback = Callable[[int, nn.Module], Mapping[str, float] | Literal[False] | None]


@partial(checked, within=lambda: processes_here().agreeing())  # what one process is refused, all are
def fit(
    objective: nn.Module,
    data: Any,
    *,
    steps: Count | None = None,
    seconds: Positive | None = None,
    batch_size: Count = 64,
    seed: Seed = 0,
    ema_decay: Share = EMA_DECAY,
    clip: Positive | None = 1.0,
    decay: Literal["cosine", "linear"] | None = "cosine",
    warmup: Natural = 0,
    accumulate: Count = 1,
    precision: Literal["bf16", "fp16"] | None = None,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: Count = 1000,
    resume: bool | None = None,
    log_every: Count = 10,
    progress: bool = True,
    callback: Callback | None = None,
    report: Callable[[dict[str, float]], object] | None = None,
) -> History:
    """Train an objective, where its parameters are, and leave it in evaluation mode with the averaged weights.

        θ ← θ − update(clipped gradient, lr · decay),      ema ← decay_k · ema + (1 − decay_k) θ
        decay_k = min(ema_decay, k/(k + 8)) in step k, counted from 0

    Args:
        objective: a Module with `optimizers()` and `losses(batch, generator)`; see `genlib.train`.
        data: a tensor (N, ...) or a (named) tuple of them, shuffled anew in every epoch; or a DataLoader, or a list of
            batches. A batch is a tensor, or a tuple like `data`.
        steps, seconds: exactly one: how many steps, or how long by the clock, callbacks not counted. Only with `steps`
            does the same seed give the same weights. GENLIB_MAX_STEPS in the environment bounds both.
        batch_size: examples in a batch, for each process (under `torchrun` they train together). What would not fill a
            step is left out; smaller data make one. A loader has a batch size of its own.
        seed: of the order, the generator of `losses`, and torch's, numpy's and Python's own, which are put back.
        ema_decay: the final decay of the average, in [0, 1], 0.996 only after 1,992 steps; 0 for none. Raw weights stay
            in `history.raw`; an objective whose `averaged` is False keeps them.
        clip: the largest norm of one optimizer's gradients, None for no bound.
        decay, warmup: how the learning rates fall from what the optimizers say to 0 over the budget, as half a cosine
            or on a line, or None if they stay; and over how many steps they first rise.
        accumulate: how many batches a step takes, for the mean of their gradients, at the memory of one, but for what
            an objective keeps from turn to turn. (What looks at a whole batch, such as batch norm, still sees one.)
        precision: None: as the parameters are; "bf16" or "fp16": matrix products in half precision (torch.amp).
        checkpoint: a file ending in ".pt" for the state of the training, every `checkpoint_every` steps and at the end.
            Beside it, ending in ".safetensors", are the weights of `objective.model` (if there is none, of the
            objective) that `fit` would leave, for `train.load`.
        resume: if `checkpoint` exists: True goes on from it, False starts anew, None refuses. A training that goes on
            needs the same settings, data and `objective.config()`; with `steps`, one process and the same machine it
            ends in the very same weights. Its budget may have grown: the learning rates are then the longer one's.
        log_every: an entry in the history every so many steps.
        progress: whether to show a bar (tqdm); TQDM_DISABLE=1 hides it as well.
        callback: called as callback(step, objective) at each entry, the objective in evaluation mode with the weights
            that `fit` would leave. A dict of numbers that it returns goes into the history; False ends the training.
        report: called with each entry once it is in the history: "step", "seconds", "lr", and what is logged.
    Returns: the history, with `seconds`, how long it took.
    Raises:
        ValueError: for wrong arguments and for a checkpoint that is damaged or another training's, before anything
            changes, with several processes in all of them; and for an objective that breaks the rules.
        NotFiniteError: when a loss or gradient is NaN or infinite; it names the step and likely causes.
        Interrupted: a KeyboardInterrupt, after Ctrl-C, once the step is finished and the state saved. SIGTERM does the
            same and then ends the process. A second signal ends it at once.
        OSError: when a checkpoint cannot be written; an older one is then as it was.
    """
    with prepared(SimpleNamespace(**locals())) as now:
        while not now.stopped and now.share() < 1:
            factor = lr_factor(now.step, now.share(), decay, warmup)
            # Generators: what they compute, they compute when a turn is asked for.
            losses = [objective.losses(next(now.stream), now.generator) for _ in range(accumulate)]  # type: ignore
            for player, loss, logs in in_turn(losses, now.players, now.autocast):
                player.set_lr(factor)
                clock = time.perf_counter() - now.start
                loss, now.stopped, now.elapsed = now.processes.mean(player, loss, bool(now.received), clock)
                loss, norm = player.measured(loss)
                if math.isfinite(loss) and math.isfinite(norm):
                    player.update(1.0 if clip is None or norm <= clip else clip / norm)
                else:
                    now.not_finite(player, loss)  # raises; in fp16 a smaller scale is tried first
                now.note({"loss" if len(now.players) == 1 else f"loss_{player.name}": loss}, *logs)
            now.average.update(now.step)
            now.step += 1
            if now.step == 1:  # a first forward pass may have set weights from its own batch, as actnorm's does
                now.processes.broadcast(objective)
            if now.step % log_every == 0 or now.share() == 1:
                now.log(callback)
            if now.bar is not None:
                now.show()
            if checkpoint and (now.step % checkpoint_every == 0 or now.stopped or now.share() == 1):
                now.save()
    return now.history


def lr_factor(step: int, share: float, decay: str | None, warmup: int) -> float:
    """What the learning rates are multiplied by in this step, counted from 0, when so much of the budget is used.

    cosine: ½ (1 + cos(π · share))      linear: 1 − share      warm-up: times (step + 1)/warmup, at most 1
    """
    factor = {"cosine": (1 + math.cos(math.pi * share)) / 2, "linear": 1 - share, None: 1.0}[decay]
    return factor * min(1.0, (step + 1) / max(1, warmup))
