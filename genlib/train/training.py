"""All that changes while an objective is trained: put together, gone on with, saved, and left in order."""

import copy
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from genlib.train.average import Average
from genlib.train.batches import make_batches
from genlib.train.budget import Bar, Budget, within_max_steps
from genlib.train.checkpoint import check_same_training, plain, read_state, write_state
from genlib.train.files import check_file, locked
from genlib.train.history import History, Means, scalar
from genlib.train.players import Player, autocast_in, device_of, players_of
from genlib.train.processes import Processes
from genlib.train.seeds import derive_seed, preserved_rng, rng_state, seed_all, set_rng_state
from genlib.train.stopping import NotFiniteError, signals_noted, stop
from genlib.train.weights import config_of, differences, put, refuse, save, tensors_of

NO_SETTINGS = ("objective", "data", "checkpoint", "resume", "progress", "callback")


@contextmanager
def prepared(asked: SimpleNamespace) -> Iterator["Training"]:
    """The training that `fit` is asked for. What can be refused is refused here, before anything has changed.

    However it ends, the objective is left in evaluation mode with the weights that it is to have.
    """
    processes = Processes()
    with ExitStack() as stack:
        with processes.agreeing():
            device = device_of(asked.objective)
            stack.enter_context(preserved_rng(device))  # for optimizers() and loaders, too, are the user's code
            seed_all(device, derive_seed("global", asked.seed, processes.rank))
            now = Training(asked, device, processes)
            content = b"" if asked.checkpoint is None else now.claim_checkpoint(stack)
        if processes.size > 1:
            content = now.compare_with_first(content)
        with processes.agreeing():
            state = now.find_place(content) if content else {}
            now.check_first_batch()
        with processes.agreeing():
            if state:
                now.go_on_from(state)
        stack.enter_context(torch.enable_grad())
        now.received = stack.enter_context(signals_noted())
        try:
            now.begin()
            yield now
        finally:
            now.leave()
        processes.broadcast(asked.objective.buffers())
        processes.gather(None)  # until the first one has saved
    if now.stopped and not now.enough:
        kept = f"{now.path} has the state: resume=True goes on from it" if now.path else "no checkpoint was asked for"
        stop(now.received, f"stopped after step {now.step}, the objective keeps its weights, {kept}", now.history)


class Training:
    """What there is of a training besides the loop.

    Args:
        asked: the arguments of `fit`.
        device: where the objective is.
        processes: who train it.
    """

    def __init__(self, asked: SimpleNamespace, device: torch.device, processes: Processes) -> None:
        if (asked.steps is None) == (asked.seconds is None):
            got = f"steps={asked.steps} and seconds={asked.seconds}"
            raise ValueError(f"steps, seconds: expected exactly one of the two, got {got}")
        if asked.resume and asked.checkpoint is None:
            raise ValueError("resume: expected checkpoint= as well, the file to go on from")
        self.asked, self.device, self.processes = asked, device, processes
        self.objective: Any = asked.objective
        self.path = None if asked.checkpoint is None else check_file("checkpoint", asked.checkpoint)
        self.autocast = nullcontext if asked.precision is None else autocast_in(asked.precision, device)
        self.batches = make_batches(asked.data, asked.batch_size, asked.accumulate, asked.seed, device, processes)
        self.generator = torch.Generator(device).manual_seed(derive_seed("losses", asked.seed, processes.rank))
        self.players = players_of(self.objective, asked.precision == "fp16")
        self.average = Average(self.objective, asked.ema_decay)
        asked.steps = within_max_steps(asked.steps, asked.seconds, processes.first)
        self.budget = Budget(asked.steps, asked.seconds, asked.decay, asked.warmup)
        self.step, self.elapsed, self.start = 0, 0.0, 0.0
        self.saved_at: int | None = None
        self.stopped = self.enough = False  # by a signal or by the callback; by the callback
        self.means, self.history = Means(), History()
        self.bar: Bar | None = None
        self.received: list[int] = []  # signals

    # --- before the first step ---------------------------------------------------------------------------------------

    def fingerprint(self) -> dict[str, Any]:
        """What has to be the same in all processes, and for a training to go on; plain values (JSON's)."""
        settings = {name: value for name, value in vars(self.asked).items() if name not in NO_SETTINGS}
        settings |= {"calls back": self.asked.callback is not None, "processes": self.processes.size}
        settings |= {"averaged": bool(self.average.mean), "config": config_of(self.objective)}
        settings["trained"] = sum(p.requires_grad for p in self.objective.parameters())
        for player in self.players.values():
            settings |= player.settings()
        for name, x in self.tensors().items():
            shape = "" if name.endswith("_extra_state") else f" of shape {tuple(x.shape)}"
            settings[name] = f"{str(x.dtype)[6:]}{shape}"
        return json.loads(json.dumps(settings, default=lambda x: x.tolist() if hasattr(x, "tolist") else str(x)))

    def tensors(self) -> dict[str, torch.Tensor]:
        """The objective's state_dict, and the buffers that are not part of it: they may change in training, too."""
        return {**dict(self.objective.named_buffers()), **tensors_of("objective", self.objective)}

    def claim_checkpoint(self, stack: ExitStack) -> bytes:
        """Nobody else may use the file meanwhile. What is in it, if the training is to go on from there."""
        assert self.path is not None
        if self.path.suffix != ".pt":
            raise ValueError(f"checkpoint: expected a file that ends in .pt, got {self.path}")
        plain("optimizers", {name: player.state_dict() for name, player in self.players.items()})
        self.fingerprint()
        if not self.processes.first:
            return b""
        stack.enter_context(locked("checkpoint", self.path))
        if self.path.exists() and self.asked.resume is None:
            other = "resume=True goes on from it, resume=False starts anew and overwrites it"
            raise ValueError(f"checkpoint: {self.path} exists. {other}")
        return (self.path.read_bytes() or b"nothing") if self.path.exists() and self.asked.resume else b""

    def compare_with_first(self, content: bytes) -> bytes:
        """That all processes do the same, and what the first one has read."""
        own = self.fingerprint()
        first, content = self.processes.gather((own, content))[0]
        with self.processes.agreeing():
            refuse("processes: the first one trains something else", differences(first, own))
        return content

    def find_place(self, content: bytes) -> dict[str, Any]:
        """The state in a checkpoint, if it is this training's. Batches and random numbers go on from there."""
        assert self.path is not None
        state = read_state(self.path, content)
        if self.processes.first:
            check_same_training(self.path, state["settings"], {**self.fingerprint(), "data": self.batches.describe()})
        self.batches.load_state_dict(state["batches"])
        try:
            rng = state["rng"] if self.processes.first else {}  # the others' are not kept
            self.generator.set_state(rng["losses"])
            set_rng_state(self.device, rng)
        except (LookupError, TypeError, ValueError, RuntimeError):
            seed = derive_seed("resumed", self.asked.seed, self.processes.rank, state["step"])
            seed_all(self.device, seed)
            self.generator.manual_seed(seed)
            if self.processes.first:
                print(f"resume: {self.path} has random states of another device; the training goes on with new ones")
        return state

    def check_first_batch(self) -> None:
        """The objective may look at its values."""
        batch = self.batches.peek()
        if callable(getattr(self.objective, "check", None)):
            with preserved_rng(self.device):
                self.objective.check(batch)

    def go_on_from(self, state: dict[str, Any]) -> None:
        for name, player in self.players.items():
            player.load_state_dict(state["players"][name])
        put("checkpoint", self.objective, state["objective"])
        self.average.load(state["average"])
        self.means, self.history = Means(state["means"]), History.from_dict(json.loads(state["history"]))
        self.step = self.saved_at = state["step"]
        self.elapsed = state["elapsed"]

    def begin(self) -> None:
        self.objective.train()
        for player in self.players.values():
            player.optimizer.zero_grad()
        self.broadcast()
        if self.asked.progress and self.processes.first and os.environ.get("TQDM_DISABLE", "") in ("", "0"):
            self.bar = Bar(self.budget, self.step)
        self.start = time.perf_counter() - self.elapsed

    # --- while it runs -----------------------------------------------------------------------------------------------

    def spent(self) -> bool:
        """Whether the budget is."""
        return self.budget.share(self.step, self.elapsed) >= 1

    def broadcast(self) -> None:
        self.processes.broadcast([*self.objective.parameters(), *self.objective.buffers()])

    def log(self) -> None:
        """One entry in the history."""
        lr = {name: float(player.optimizer.param_groups[0]["lr"]) for name, player in self.players.items()}
        self.history.append(self.step, self.elapsed, lr, self.means.pop())
        self.history.seconds = self.elapsed

    def call(self, callback: Any) -> None:
        """Let the user look, at what `fit` would leave; what that takes does not count."""
        begin, answer = time.perf_counter(), None
        with self.processes.agreeing():
            if self.processes.first:
                self.objective.eval()
                with preserved_rng(self.device), self.average.inside():
                    answer = callback(self.step, self.objective)
                self.objective.train()
            if not (answer is None or answer is False or isinstance(answer, Mapping)):
                raise ValueError(f"callback: expected a dict of numbers, False or None, got {type(answer).__name__}")
            for name, value in (answer or {}).items():
                curve = self.history.logs.setdefault(name, [math.nan] * len(self.history.step))
                curve[-1] = float(scalar(f"callback: {name}", value))
        if any(self.processes.gather(answer is False)):
            self.enough = self.stopped = True
        self.start += time.perf_counter() - begin

    def not_finite(self, player: Player, loss: float) -> None:
        """fp16 tries a smaller scale; otherwise this is the end."""
        if math.isfinite(loss) and player.overflow():
            return
        self.average.restore_buffers()
        last = "There is no checkpoint"
        if self.path is not None and self.saved_at is not None:
            last = f"The last good checkpoint is {self.path}, from step {self.saved_at}"
        what, cause = f"the loss is {loss}", "a logarithm or a division at 0, an exp without bound"
        if math.isfinite(loss):
            what, cause = "the loss is finite, its gradient is not", "the derivative of a root or a norm at 0"
        if self.asked.precision is not None:
            cause += f"; too little range or accuracy in {self.asked.precision}"
        lr = max(float(group["lr"]) for group in player.optimizer.param_groups)
        but = "" if self.average.mean or len(self.players) == 1 else ", but for what came before in this one"
        raise NotFiniteError(
            f"step {self.step + 1}, optimizer {player.name!r}: {what}. The objective is left as step {self.step} left "
            f"it{but}. {last}. Likely causes: a learning rate that is too high (it was {lr:.3g}); data on a scale that the "
            f"model does not expect; {cause}."
        )

    def save(self) -> None:
        """The state, and beside it the weights that `fit` would leave."""
        self.saved_at = self.step
        if self.path is None or not self.processes.first:
            return
        state = {
            "settings": {**self.fingerprint(), "data": self.batches.describe()},
            "step": self.step,
            "elapsed": self.elapsed,
            "objective": self.tensors(),
            "average": self.average.mean,
            "players": {name: player.state_dict() for name, player in self.players.items()},
            "batches": self.batches.state_dict(),
            "rng": {**rng_state(self.device), "losses": self.generator.get_state()},
            "means": {name: (float(total), n) for name, (total, n) in self.means.sums.items()},
            "history": json.dumps(self.history.to_dict()),
        }
        write_state(self.path, state)
        model = getattr(self.objective, "model", None)
        with self.average.inside():
            save(model if isinstance(model, nn.Module) else self.objective, self.path.with_suffix(".safetensors"))

    def leave(self) -> None:
        """The objective and the optimizers as they are to be left."""
        if self.stopped and self.means.sums:
            self.log()  # for whoever catches the interruption; the state was saved without this odd entry
        if self.bar is not None:
            self.bar.close()
        for player in self.players.values():
            player.set_lr(1)
            player.optimizer.zero_grad()
        if self.average.mean and self.asked.ema_decay:
            self.history.raw = copy.deepcopy(self.objective.state_dict())
        self.average.put(self.average.mean)
        self.objective.eval()
