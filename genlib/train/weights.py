"""On the disk, with a checksum: weights, as safetensors, and the whole state of a training, as a .pt file."""

import json
import os
import zlib
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from genlib.arguments import checked
from genlib.train.files import file_at, write_whole

AnyModule = TypeVar("AnyModule", bound=nn.Module)
HALF = (torch.float16, torch.bfloat16)
NARROWER = {torch.float32: HALF, torch.float64: (*HALF, torch.float32)}


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
