"""Samples as a picture: drawn in one process or in several, laid out as a grid, written as a PNG."""

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from genlib.common import evaluating
from genlib.diffusion import ancestral, ddim, dpm_solver, heun
from genlib.diffusion.ddpm import MANY
from genlib.train.files import write_whole
from genlib.train.processes import Alone, processes_here

AT_ONCE = 256


def drawn(
    model: nn.Module, n: int, options: Mapping[str, Any], held_out: Any, seed: int, together: bool = True
) -> Tensor:
    """n samples, (n, C, H, W), in [−1, 1], on the CPU: of classes in turn where there are any and none is asked for; of
    what answers to pictures, rows of a held-out picture, the answer, and what it should be.

    Several processes draw a share each, from seeds of their own, and all get the whole; `together` is False where one
    alone is asked, as while they train.
    """
    processes = processes_here() if together else Alone()
    mine = torch.arange(n)[processes.rank :: processes.size]
    parts = []
    for k, rows in enumerate(mine.split(AT_ONCE)):
        parts.append(_some(model, rows, options, held_out, seed=seed + 1000 * k + processes.rank))
    shares = processes.gather(torch.cat(parts) if parts else torch.zeros(0))
    whole = torch.empty(n, *next(share.shape[1:] for share in shares if len(share)))
    for rank, share in enumerate(shares):
        whole[rank :: processes.size] = share
    return whole


def _some(model: Any, rows: Tensor, options: Mapping[str, Any], held_out: Any, seed: int) -> Tensor:
    where = next(model.parameters()).device
    generator = torch.Generator(where).manual_seed(seed)
    options = dict(options)
    if hasattr(model, "schedule") and isinstance(options.get("steps"), int):  # of a chain that may be a shorter one
        options["steps"] = min(options["steps"], model.schedule.T)
    if "sampler" in options:
        options["sampler"] = sampler_of(options["sampler"])
    with evaluating(model):
        if hasattr(model, "noise"):  # a generator that answers to pictures
            x, y = (column[rows % len(held_out[0])] for column in held_out)
            made = model.sample(len(x), x.to(where), generator, **options).cpu().float()
            return torch.cat([_as(x, made), made, _as(y, made)], dim=3)
        n_classes = getattr(model, "n_classes", None)
        known = n_classes if n_classes is not None and n_classes < MANY else None
        label = options.pop("label", None)
        if isinstance(label, int):
            label = torch.full((len(rows),), label)
        elif label is None and known:
            label = rows % known
        if label is None:
            options.pop("guidance", None)
        else:
            label = label.to(where)
        x = model.sample(len(rows), label, generator, **options).cpu().float()
    if not hasattr(model, "schedule"):  # a flow, whose pictures lie in [0, 1]
        x = 2 * x - 1
    if x.dim() == 2:
        side = math.isqrt(x.shape[1])
        x = x.view(-1, 1, side, side)
    return x.clamp(-1, 1)


def sampler_of(name: Any) -> Any:
    """One of genlib's samplers, by its name. Raises: ValueError for another name."""
    known = {each.__name__: each for each in (ancestral, ddim, dpm_solver, heun)}
    if name not in known:
        raise ValueError(f"sampler: expected one of {', '.join(known)}, got {name!r}")
    return known[name]


def _as(x: Tensor, other: Tensor) -> Tensor:
    """With as many channels: a map of classes as its first, grey as three times the same."""
    return x[:, :1].expand_as(other) if x.shape[1] != other.shape[1] else x


def write_grid(path: Path, pictures: Tensor, smallest: int = 64) -> None:
    """A PNG of pictures, (n, C, H, W), in [−1, 1], side by side in a square, enlarged to at least so many pixels."""
    n, C, H, W = pictures.shape
    columns = min(n, max(1, round(math.sqrt(n * H / W))))
    scale = max(1, round(smallest / H))
    gap = 2
    rows = math.ceil(n / columns)
    grid = np.full((rows * (H * scale + gap) + gap, columns * (W * scale + gap) + gap, 3), 255, np.uint8)
    values = ((pictures.clamp(-1, 1) + 1) * 127.5).round().byte()
    values = values.expand(-1, 3, -1, -1) if C == 1 else values[:, :3]
    for i, picture in enumerate(values.permute(0, 2, 3, 1).numpy()):
        top, left = gap + (i // columns) * (H * scale + gap), gap + (i % columns) * (W * scale + gap)
        grid[top : top + H * scale, left : left + W * scale] = picture.repeat(scale, 0).repeat(scale, 1)
    content = io.BytesIO()
    Image.fromarray(grid).save(content, "png")
    write_whole(path, content.getbuffer())


def write_each(folder: Path, pictures: Tensor) -> None:
    """A PNG of each picture, (n, C, H, W), in [−1, 1], as programs that compare folders want them."""
    folder.mkdir(parents=True, exist_ok=True)
    values = ((pictures.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    for i, picture in enumerate(values):
        Image.fromarray(picture.squeeze()).save(folder / f"{i:06d}.png")
