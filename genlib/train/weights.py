"""On the disk, with a checksum: weights, as safetensors, and the whole state of a training, as a .pt file."""

import io
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from genlib.arguments import checked
from genlib.train.files import file_at, write_whole

AnyModule = TypeVar("AnyModule", bound=nn.Module)
HALF = (torch.float16, torch.bfloat16)
NARROWER = {torch.float32: HALF, torch.float64: (*HALF, torch.float32)}
FORMAT = "genlib training state, version 2"
MAY_CHANGE = ("log_every", "checkpoint_every", "calls back")  # when a training goes on; its budget may grow


@checked
def save(module: nn.Module, path: str | os.PathLike) -> None:
    """Write a module's parameters and buffers, and its `config()` if it has one, to a safetensors file.

    Folders are made, an older file is replaced.
    Raises: ValueError for a path that is no file's, a module whose state is not all tensors, a config that is not
        plain; OSError if it cannot be written, and an older file is then as it was.
    """
    from safetensors.torch import save as to_bytes

    file = file_at("path", path)
    # Copies, because safetensors refuses tensors that share memory, as tied weights do.
    tensors = {name: x.detach().cpu().contiguous().clone() for name, x in tensors_of("module", module).items()}
    about = {"config": config_of(module), "checksum": crc_of(tensors)}
    write_whole(file, to_bytes(tensors, {"genlib": json.dumps(about, sort_keys=True)}))


@checked
def load(module: AnyModule, path: str | os.PathLike) -> AnyModule:
    """Read what `save` has written into a module like the one it was, and return it, in evaluation mode as after `fit`.

    Its parameters and buffers are overwritten, where they are, once all has been found in order. A safetensors file
    that `save` has not written says nothing of a config, and is taken without.
    Raises: ValueError for another config, other names, shapes or dtypes (narrower floats are widened), all of them
        named, for NaN, and for a file that is damaged or something else; FileNotFoundError if there is none.
    """
    from safetensors import SafetensorError, safe_open

    file, config, wanted = file_at("path", path), config_of(module), tensors_of("module", module)
    try:
        with safe_open(file, "pt") as content:
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
            about = json.loads((content.metadata() or {}).get("genlib", "null"))
        about = about or {"config": config, "checksum": crc_of(tensors)}
        found, sound = differences(about["config"], config), about["checksum"] == crc_of(tensors)
    except (SafetensorError, ValueError, TypeError, LookupError, AttributeError):
        found, sound = [], False
    if not sound:
        raise ValueError(f"path: {file} is damaged, or no safetensors file")
    found += [f"{name} is missing" for name in wanted if name not in tensors]
    for name, x in tensors.items():
        like: Any = wanted.get(name, x)
        resized = x.shape != like.shape and not name.endswith("_extra_state")  # which may be of any length
        if name not in wanted:
            found.append(f"{name} is not expected")
        elif resized or x.dtype not in (like.dtype, *NARROWER.get(like.dtype, ())):
            found.append(f"{name} is {kind_of(x)}, expected {kind_of(like)}")
        elif x.is_floating_point() and x.isnan().any():
            found.append(f"{name} has NaN")
    refuse(f"path: {file} does not fit this {type(module).__name__}", found)
    put("path", module, tensors)
    return module.eval()


def config_of(module: nn.Module) -> dict[str, Any]:
    """What the weights of a module do not say, in plain values; empty where it has no `config()`."""
    config = getattr(module, "config", None)
    try:  # numpy's numbers and tensors become plain
        plain = json.loads(json.dumps(config() if callable(config) else {}, default=lambda value: value.tolist()))
        return dict(plain.items())
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"config: expected a dict of plain values from {type(module).__name__} ({error})") from None


def tensors_of(name: str, module: nn.Module) -> dict[str, Tensor]:
    """The state_dict, if all of it is tensors that a file can hold."""
    state = module.state_dict()
    for key, x in state.items():
        lazy = not isinstance(x, Tensor) or nn.parameter.is_lazy(x)
        if lazy or x.layout != torch.strided or x.is_nested or x.is_meta or x.is_quantized:
            raise ValueError(f"{name}: expected a state of plain tensors with values, {key} is a {type(x).__name__}")
    return state


@torch.no_grad()
def put(name: str, module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """All of these tensors, which have been found to fit, into a module; or none of them."""
    state, buffers = module.state_dict(), dict(module.named_buffers())
    before = {key: x.clone() for key, x in state.items()}
    try:
        module.load_state_dict({key: x for key, x in tensors.items() if key in state})
    except Exception as error:  # a module may refuse its extra state
        module.load_state_dict(before)
        raise ValueError(f"{name}: {type(module).__name__} does not take its state ({error})") from None
    for key in tensors.keys() - state.keys():
        buffers[key].copy_(tensors[key])


def differences(was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Such as "predict was 'eps', now 'v'"."""
    found = []
    for name in {**was, **now}:
        a, b = was.get(name), now.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            found += differences(a, b)
        elif a != b and repr(a) != repr(b):  # NaN is not equal to itself
            found.append(f"{name} was {a!r}, now {b!r}")
    return found


def refuse(complaint: str, found: list[str]) -> None:
    """Raise `ValueError` for whatever was found."""
    if found:
        rest = f"; and {len(found) - 8} more" if len(found) > 8 else ""
        raise ValueError(f"{complaint}: {'; '.join(found[:8])}{rest}")


def crc_of(value: Any, crc: int = 0) -> int:
    """A CRC-32 of tensors and plain values, whatever holds them."""
    if isinstance(value, Tensor):
        crc = zlib.crc32(kind_of(value).encode(), crc)
        return zlib.crc32(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data, crc)
    if isinstance(value, dict):
        value = [item for key in sorted(value, key=str) for item in (key, value[key])]
    if isinstance(value, list | tuple):
        for item in value:
            crc = crc_of(item, crc)
        return zlib.crc32(f"{len(value)} items".encode(), crc)
    plain = value is None or isinstance(value, bool | int | float | str)
    return zlib.crc32(repr(value if plain else type(value)).encode(), crc)


def kind_of(x: Tensor) -> str:
    return f"{str(x.dtype)[6:]} of shape {tuple(x.shape)}"


# -- The whole state of a training


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
