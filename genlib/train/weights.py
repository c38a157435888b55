"""Weights on the disk: safetensors, written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def save(module: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write a module's parameters and buffers to a safetensors file. Folders are made, an older file is replaced.

    Args:
        module: any Module.
        path: the file, by custom ending in ".safetensors".
    Raises:
        ValueError: if `path` is a folder.
    """
    from safetensors.torch import save_file

    path = check_file("path", path)
    # Copies, because safetensors refuses tensors that share memory, as tied weights do.
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in _tensors(module).items()}
    with replacing(path) as part:
        save_file(tensors, part)


def load(module: AnyModule, path: str | os.PathLike[str]) -> AnyModule:
    """Read what `save` has written into a module of the same shape, and return it, in evaluation mode as after `fit`.

    Args:
        module: its parameters and buffers are overwritten, where they are.
        path: a safetensors file.
    Raises:
        ValueError: for names or shapes that differ, all of them named, or a file that is damaged or something else.
        FileNotFoundError: if there is none.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = check_file("path", path)
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"path: {path} is damaged, or no safetensors file ({error})") from None
    check_same_weights(
        f"path: {path} does not fit this {type(module).__name__}", shapes(tensors), shapes(_tensors(module))
    )
    module.load_state_dict(tensors)
    return module.eval()


def shapes(tensors: dict[str, Tensor]) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in tensors.items()}


def check_same_weights(complaint: str, stored: dict[str, list[int]], wanted: dict[str, list[int]]) -> None:
    """Raise `ValueError` that names what is missing, what is too much, and which shapes differ."""
    differences = [f"{name} is missing" for name in wanted if name not in stored]
    differences += [f"{name} is not expected" for name in stored if name not in wanted]
    differences += [
        f"{name} has shape {tuple(stored[name])}, expected {tuple(shape)}"
        for name, shape in wanted.items()
        if name in stored and list(stored[name]) != list(shape)
    ]
    if differences:
        rest = f"; and {len(differences) - 8} more" if len(differences) > 8 else ""
        raise ValueError(f"{complaint}: {'; '.join(differences[:8])}{rest}")


def check_file(name: str, path: str | os.PathLike[str]) -> Path:
    """A path that is no folder. (Whether the file exists is another question.)"""
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise ValueError(f"{name}: expected a path, got {path!r}")
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{name}: expected a file, got the folder {path}")
    return path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file to write, which takes the place of `path` in one instant, once it is whole and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name, too, should outlive a power cut
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in module.state_dict().items() if isinstance(value, torch.Tensor)}
