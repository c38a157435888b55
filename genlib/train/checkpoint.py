"""The whole state of a training in one file, and how it is found to belong to another one."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genlib.train.processes import Processes
from genlib.train.weights import check_same_weights, replacing

FORMAT = "genlib training state, version 1"


def write_state(path: Path, state: dict) -> None:
    """Write the state as a .pt file; whoever kills us meanwhile leaves the older one whole."""
    with replacing(path) as part:
        torch.save({"format": FORMAT, **to_cpu(state)}, part)


def read_state(path: Path, processes: Processes) -> dict:
    """Read it: tensors, numbers and names, never code. `ValueError` for a file that is damaged or something else."""
    content = processes.broadcast_bytes(path.read_bytes() if processes.first else None)
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"checkpoint: {path} is damaged, or no training state ({reason})") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"checkpoint: {path} is no training state of this version of genlib ({FORMAT})")
    return state


def check_same_training(path: Path, stored: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise `ValueError` that names each setting in which the training differs from the one in the checkpoint."""
    check_same_weights(f"checkpoint: {path} is of another task", stored.pop("weights"), now.pop("weights"))
    differences = [
        f"{name} was {stored.get(name)!r}, now {now.get(name)!r}" for name in now if stored.get(name) != now[name]
    ]
    if differences:
        raise ValueError(
            f"resume: {path} is of a training with other settings: {'; '.join(differences)}. "
            "To start a new training from its weights, use train.load, with the .safetensors file beside it"
        )


def describe_optimizer(optimizer: torch.optim.Optimizer, base_lr: list[Any]) -> str:
    """Class and settings, such as "Adam(lr=0.001, betas=(0.9, 0.99), …)": what has to be the same after a resume."""
    groups = []
    for group, lr in zip(optimizer.param_groups, base_lr, strict=True):
        settings = {**group, "lr": float(lr)}
        groups.append(", ".join(f"{k}={v!r}" for k, v in sorted(settings.items()) if k not in ("params", "initial_lr")))
    return f"{type(optimizer).__name__}({'; '.join(groups)})"


def module_state(module: nn.Module) -> dict[str, Tensor]:
    """The state_dict, with the buffers that are not part of it: they may change in training, too."""
    return {**dict(module.named_buffers()), **module.state_dict()}


@torch.no_grad()
def load_module_state(module: nn.Module, state: dict[str, Tensor]) -> None:
    known = module.state_dict()
    module.load_state_dict({name: value for name, value in state.items() if name in known})
    for name, buffer in module.named_buffers():
        if name not in known:
            buffer.copy_(state[name])


def to_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {key: to_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(to_cpu(item) for item in value)
    return value
