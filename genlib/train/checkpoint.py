"""What a checkpoint holds, all that changes in a training; and how a damaged one, or another's, is told apart."""

import io
import json
import zipfile
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genlib.train.around import derive_seed, rng_state, seed_all, set_rng_state
from genlib.train.average import Average
from genlib.train.batches import LoaderBatches, TensorBatches
from genlib.train.files import locked, write_whole
from genlib.train.history import History
from genlib.train.players import Player
from genlib.train.processes import Alone
from genlib.train.weights import config_of, crc_of, differences, kind_of, put, refuse, save, tensors_of

FORMAT = "genlib training state, version 2"
MAY_CHANGE = ("log_every", "checkpoint_every", "calls back")  # when a training goes on; its budget may grow
NO_SETTINGS = ("objective", "data", "checkpoint", "resume", "progress", "callback", "report")


class Stored:
    """The part of a training that is stored, and gone on with; `asked` are the arguments of `fit`."""

    asked: SimpleNamespace
    device: torch.device
    processes: Alone
    objective: Any
    path: Any  # a Path, or None
    batches: TensorBatches | LoaderBatches
    generator: torch.Generator
    players: dict[str, Player]
    average: Average
    history: History
    sums: dict[str, tuple[Any, int]]  # of what was logged since the last entry, and of how many
    step, elapsed = 0, 0.0
    saved_at: int | None = None

    def tensors(self) -> dict[str, Tensor]:
        """The objective's state_dict, and the buffers that are not part of it: they may change in training, too."""
        return {**dict(self.objective.named_buffers()), **tensors_of("objective", self.objective)}

    def fingerprint(self) -> dict[str, Any]:
        """What has to be the same in all processes, and but for `MAY_CHANGE` for a training to go on; JSON's values."""
        settings = {name: value for name, value in vars(self.asked).items() if name not in NO_SETTINGS}
        settings |= {"calls back": self.asked.callback is not None, "processes": self.processes.size}
        settings |= {"averaged": bool(self.average.mean), "config": config_of(self.objective)}
        settings["trained"] = sum(p.requires_grad for p in self.objective.parameters())
        for player in self.players.values():
            settings |= player.settings()
        for name, x in self.tensors().items():
            settings[f"tensor {name}"] = str(x.dtype) if name.endswith("_extra_state") else kind_of(x)
        return json.loads(json.dumps(settings, default=lambda x: x.tolist() if hasattr(x, "tolist") else str(x)))

    def claim(self, path: Path, stack: ExitStack) -> bytes:
        """Nobody else may use the checkpoint meanwhile. What is in it, if the training is to go on from there."""
        if path.suffix != ".pt":
            raise ValueError(f"checkpoint: expected a file that ends in .pt, got {path}")
        plain("optimizers", {name: player.state_dict() for name, player in self.players.items()})
        if not self.processes.first:
            return b""
        stack.enter_context(locked("checkpoint", path))
        if path.exists() and self.asked.resume is None:
            other = "resume=True goes on from it, resume=False starts anew and overwrites it"
            raise ValueError(f"checkpoint: {path} exists. {other}")
        return (path.read_bytes() or b"nothing") if path.exists() and self.asked.resume else b""

    def find_place(self, content: bytes) -> dict[str, Any]:
        """The state in a checkpoint, if it is this training's. Batches and random numbers go on from there."""
        state, first = read_state(self.path, content), self.processes.first
        if first:
            refuse_another(self.path, state["settings"], {**self.fingerprint(), "data": self.batches.describe()})
        self.batches.load_state_dict(state["batches"])
        try:
            rng = state["rng"] if first else {}  # the others' are not kept
            self.generator.set_state(rng["losses"])
            set_rng_state(self.device, rng)
        except (LookupError, TypeError, ValueError, RuntimeError):
            seed = derive_seed("resumed", self.asked.seed, self.processes.rank, state["step"])
            seed_all(self.device, seed)
            self.generator.manual_seed(seed)
            if first:
                print(f"resume: {self.path} has random states of another device; the training goes on with new ones")
        return state

    def go_on_from(self, state: dict[str, Any]) -> None:
        for name, player in self.players.items():
            player.load_state_dict(state["players"][name])
        put("checkpoint", self.objective, state["objective"])
        self.average = Average(self.objective, self.asked.ema_decay)
        for name, mean in self.average.mean.items():
            mean.copy_(state["average"][name])
        self.sums, self.history = state["means"], History.from_dict(json.loads(state["history"]))
        self.step, self.elapsed, self.saved_at = state["step"], state["elapsed"], state["step"]

    def save(self) -> None:
        """The state, and beside it the weights that `fit` would leave."""
        self.saved_at = self.step
        if self.path is None or not self.processes.first:
            return
        state: dict[str, Any] = {"settings": {**self.fingerprint(), "data": self.batches.describe()}}
        state |= {"step": self.step, "elapsed": self.elapsed, "history": json.dumps(self.history.to_dict())}
        state |= {"objective": self.tensors(), "average": self.average.mean, "batches": self.batches.state_dict()}
        state["players"] = {name: player.state_dict() for name, player in self.players.items()}
        state["means"] = {name: (float(total), n) for name, (total, n) in self.sums.items()}
        state["rng"] = {**rng_state(self.device), "losses": self.generator.get_state()}
        write_state(self.path, state)
        model = getattr(self.objective, "model", None)
        with self.average.inside():
            save(model if isinstance(model, nn.Module) else self.objective, self.path.with_suffix(".safetensors"))


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write the state as a .pt file; whoever kills us meanwhile leaves the older one whole."""
    state = plain("checkpoint", {"format": FORMAT, **state})
    content = io.BytesIO()  # not the file at once, for torch does not say when a disk is full
    torch.save({**state, "checksum": _crc_of(state)}, content)
    write_whole(path, content.getbuffer())


def read_state(path: Path, content: bytes) -> dict[str, Any]:
    """What `write_state` has written: tensors, numbers and names, never code. `ValueError` for anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)  # as torch does not
            if packed or sum(member.file_size for member in members) > len(content) or archive.testzip():
                raise ValueError
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        sound = state["format"] == FORMAT and state.pop("checksum") == _crc_of(state)
    except Exception:  # anything can come of a file that somebody else has made
        sound = False
    if not sound:
        raise ValueError(f"checkpoint: {path} is damaged, or no training state of this version of genlib ({FORMAT})")
    return state


def _crc_of(state: dict[str, Any]) -> int:
    return crc_of({name: value for name, value in state.items() if name != "rng"})  # another device has others


def refuse_another(path: Path, stored: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise `ValueError` that names each setting in which a training differs from the one in the checkpoint."""
    longer = [name for name in ("steps", "seconds") if stored[name] and now[name] and stored[name] <= now[name]]
    was, new = ({**settings, **dict.fromkeys([*longer, *MAY_CHANGE])} for settings in (stored, now))
    refuse(f"resume: {path} is of another training (its weights alone: train.load)", differences(was, new))


def plain(name: str, value: Any) -> Any:
    """The value as a checkpoint can hold it, tensors on the CPU; `ValueError` for what it cannot."""
    if isinstance(value, np.generic | np.ndarray):
        return value.item() if isinstance(value, np.generic) else torch.from_numpy(value)
    if isinstance(value, Tensor) and value.layout == torch.strided:
        return value.detach().cpu()
    if isinstance(value, dict):
        return {plain(name, key): plain(f"{name}[{key!r}]", item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return (list if isinstance(value, list) else tuple)(plain(name, item) for item in value)
    if value is None or type(value) in (bool, int, float, str, torch.dtype, torch.device):
        return value
    raise ValueError(f"{name}: expected numbers, texts or tensors, which a checkpoint can hold, got {type(value)}")
