"""What is measured of a model on held-out data: means with their standard errors, and what the course's judges say."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genlib import data, diffusion, metrics
from genlib.diffusion.ddpm import MANY
from genlib.gan import generate
from genlib.recipes.pictures import drawn, write_each
from genlib.train.processes import processes_here

SAMPLES = 300
BOUND_STEPS = 50  # of the chain's, at which the bound is looked at for each example


def streamed(values: Callable[[Tensor], Tensor], n: int, batch_size: int = 64) -> list[float]:
    """The mean of `values(rows)`, (len(rows),), over n examples, and its standard error; processes share the rows.

    mean = Σ v / n,    standard error = √( Σ (v − mean)² / (n (n − 1)) )
    """
    processes = processes_here()
    own = torch.arange(n)[processes.rank :: processes.size]
    parts = [values(rows).double().cpu() for rows in own.split(batch_size)]
    every = torch.cat([part for share in processes.gather(parts) for part in share])
    error = float(every.std() / math.sqrt(n)) if n > 1 else math.nan
    return [float(every.mean()), error]


def bits_of(
    model: Any, of: Callable[[Tensor], tuple[Tensor, Tensor | None]], generator: torch.Generator
) -> Callable[[Tensor], Tensor]:
    """Bits per dimension of the examples `of(rows)`: a flow's, or the bound of a diffusion model."""

    def bits(rows: Tensor) -> Tensor:
        if not hasattr(model, "schedule"):
            return model.bits_per_dim(*of(rows), generator=generator)
        steps = min(BOUND_STEPS, max(1, model.schedule.T - 1))
        bounds = [diffusion.vlb(model, *of(row), steps=steps, generator=generator) for row in rows.split(1)]
        return torch.cat([bound.total for bound in bounds])  # at other steps each: with the same, all would err alike

    return bits


def measured(
    model: Any, held_out: Any, recipe: Any, *, limit: int | None, fid: int, seed: int, folder: Path
) -> dict[str, Any]:
    """Each measure, as [mean, standard error] or a number, that fits the model."""
    x, second = held_out if isinstance(held_out, tuple) else (held_out, None)
    n = min(len(x), limit or len(x))
    where = next(model.parameters()).device
    if hasattr(model, "noise"):
        return _of_pairs(model, x[:n].to(where), second[:n].to(where), seed)  # type: ignore[index]
    label = second if second is not None and model.n_classes and model.n_classes < MANY else None
    generator = torch.Generator(where).manual_seed(seed + 1_000_003 * processes_here().rank)

    def of(rows: Tensor) -> tuple[Tensor, Tensor | None]:
        return x[rows].to(where), None if label is None else label[rows].to(where)

    found: dict[str, Any] = {"bits/dim": streamed(bits_of(model, of, generator), n)}
    if x.shape[1:].numel() == 64 and label is not None:
        asked = torch.arange(SAMPLES) % 10
        made = drawn(model, SAMPLES, recipe.shows, held_out, seed)
        report = metrics.digits_report(made, asked)
        found |= {"label accuracy": report.label_accuracy, "Fréchet, multiple": report.frechet_multiple}
        found |= {"copying": report.copying}
    if tuple(x.shape[1:]) == (3, 32, 32) and label is not None:
        made = drawn(model, n, recipe.shows, held_out, seed)
        found |= _colours(made, x[:n])
    if fid:
        made = drawn(model, fid, {**recipe.shows, "label": None}, held_out, seed)
        if processes_here().first:
            found["FID"] = _fid(made, folder)
    return found


def _of_pairs(G: nn.Module, x: Tensor, y: Tensor, seed: int) -> dict[str, Any]:
    generator = torch.Generator(x.device).manual_seed(seed)
    made = torch.cat([generate(G, part, generator=generator) for part in x.split(64)]).cpu()
    x, y = x.cpu(), y.cpu()
    l1 = (made - y).abs().flatten(1).mean(1).double()
    found: dict[str, Any] = {"L1": [float(l1.mean()), float(l1.std() / math.sqrt(len(l1)))]}
    if x.shape[1] == len(data.TEXTURES) and y.shape[1] == 1:
        found |= {"detail": metrics.detail(made, y), "log-spectrum error": metrics.spectrum_error(made, y)}
        found["texture accuracy"] = metrics.texture_accuracy(x, made)
    if y.shape[1] == 3:
        found |= _colours(made, y)
    return found


def _colours(made: Tensor, real: Tensor) -> dict[str, float]:
    shares = metrics.colour_intersection(made, real)
    ratio = float(metrics.saturation(made).mean() / metrics.saturation(real).mean())
    return {"saturation, of the real": ratio, **{f"colours in common, {axis}": v for axis, v in shares.items()}}


def _fid(pictures: Tensor, folder: Path) -> float:
    """By torch-fidelity, with its own Inception and its statistics of CIFAR-10's training set."""
    try:
        import torch_fidelity
    except ImportError:
        raise ValueError('fid: needs torch-fidelity: pip install "genlib-course[fid]"') from None
    place = folder / "fid-samples"
    write_each(place, pictures)
    found = torch_fidelity.calculate_metrics(input1=str(place), input2="cifar10-train", fid=True)
    return found["frechet_inception_distance"]
