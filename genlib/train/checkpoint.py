"""The whole state of a training in one file, and how it is found to be damaged, or another training's."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlib.train.files import write_whole
from genlib.train.weights import crc_of, differences, refuse

FORMAT = "genlib training state, version 2"
MAY_CHANGE = ("log_every", "checkpoint_every", "calls back")  # when a training goes on; its budget may grow


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


def check_same_training(path: Path, stored: dict[str, Any], now: dict[str, Any]) -> None:
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
