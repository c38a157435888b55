"""What races share about other libraries: how to import some of them, and the loop that their examples train by."""

import importlib
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from racing import Setting
from torch import Tensor, nn

_declared: list[torch.library.Library] = []  # what is declared lasts as long as these do


def declare_torchvision() -> None:
    """Make torchvision importable, which diffusers, smalldiffusion and denoising-diffusion-pytorch import."""
    if _declared or "torchvision" in sys.modules:
        return
    try:
        importlib.import_module("torchvision")
    except ImportError:
        return
    except (
        RuntimeError
    ):  # PyPI's is built for CUDA: beside a torch for the CPU its operators, never called, are missing
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)


def batches(data: tuple[Tensor, ...], steps: int, batch_size: int) -> Iterator[tuple[Tensor, ...]]:
    """Examples in a new order in every epoch, without the rest that would not fill a batch."""
    n = len(data[0])
    epochs = (torch.randperm(n)[: n // batch_size * batch_size].split(batch_size) for _ in itertools.count())
    for rows in itertools.islice(itertools.chain.from_iterable(epochs), steps):
        yield tuple(part[rows] for part in data)


def descend(
    model: nn.Module, loss: Callable[..., Tensor], batches: Iterable[tuple[Tensor, ...]], steps: int, setting: Setting
) -> None:
    """Train a model for so many steps, each with a batch, whose parts the loss is given, and leave it in evaluation.

    Setting: "optimizer", its name in torch.optim, and "fused", whether one kernel updates all; "lr", "betas",
    "weight_decay"; "warmup", steps, and "decay", "cosine" or None; "clip", the largest norm of the gradients, or None;
    "average", what becomes of the weights in the end: a running average as `ema_decay` names it, or None.
    """
    more: dict[str, Any] = {"fused": True} if setting["fused"] else {}  # not every optimizer has the argument
    more |= {"betas": setting["betas"]} if setting["betas"] else {}
    parameters = list(model.parameters())
    kind = getattr(torch.optim, setting["optimizer"])
    optimizer = kind(parameters, lr=setting["lr"], weight_decay=setting["weight_decay"], **more)
    mean = [p.detach().clone() for p in parameters] if setting["average"] else []
    model.train()
    for k, batch in zip(range(steps), batches, strict=False):
        for group in optimizer.param_groups:
            group["lr"] = setting["lr"] * lr_share(k, steps, setting)
        optimizer.zero_grad()
        value = loss(*batch)
        value.backward()
        norm = nn.utils.clip_grad_norm_(parameters, setting["clip"]) if setting["clip"] else value.detach()
        if value.isfinite() and norm.isfinite():  # normflows' examples leave other steps out
            optimizer.step()
        if mean:
            with torch.no_grad():
                torch._foreach_lerp_(mean, parameters, 1 - ema_decay(k, setting["average"]))  # type: ignore
    with torch.no_grad():
        for parameter, value in zip(parameters, mean, strict=False):
            parameter.copy_(value)
    model.eval()


def lr_share(k: int, steps: int, setting: Setting) -> float:
    """What is left of the learning rate in step k: it rises on a line while warming up, and falls as half a cosine."""
    if k < setting["warmup"]:
        return k / setting["warmup"]
    left = (k - setting["warmup"]) / max(1, steps - setting["warmup"])
    return 0.5 * (1 + math.cos(math.pi * min(1.0, left))) if setting["decay"] else 1.0


def ema_decay(k: int, kind: str | float) -> float:
    """The decay of the average after step k, counted from 0: "young" as genlib's, "power" as diffusers' EMAModel with
    inv_gamma = 1 and power = 3/4, or a number, which young averages stay below."""
    if kind == "young":
        return min(0.996, k / (k + 8))
    if kind == "power":
        return min(0.9999, 1 - (1 + k) ** -0.75)
    return min(float(kind), (1 + k) / (10 + k))


class Dense(nn.Module):
    """Two hidden layers of ReLUs, for libraries whose users bring a network; the context stands beside x.

    With `zero` the last layer starts at zero.
    """

    def __init__(
        self, n_in: int, n_out: int, width: int, n_context: int = 0, dropout: float = 0.0, zero: bool = False
    ) -> None:
        super().__init__()
        first, hidden = nn.Linear(n_in + n_context, width), nn.Linear(width, width)
        parts = [first, nn.ReLU(), nn.Dropout(dropout), hidden, nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*(part for part in parts if dropout or not isinstance(part, nn.Dropout)))
        self.layers.append(last := nn.Linear(width, n_out))
        for p in last.parameters() if zero else ():
            nn.init.zeros_(p)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.layers(x if context is None else torch.cat([x, context], dim=1))


def setting_of(lr: float, batch_size: int, **changes: Any) -> dict[str, Any]:
    """A setting for `descend`: Adam as torch has it, and nothing else."""
    plain = {"optimizer": "Adam", "fused": False, "betas": None, "weight_decay": 0.0, "warmup": 0, "decay": None}
    return {"lr": lr, "batch_size": batch_size, **plain, "clip": None, "average": None, **changes}


EQUAL: dict[str, Any] = {"optimizer": "AdamW", "fused": True, "betas": None, "weight_decay": 0.0, "warmup": 0}
EQUAL |= {"decay": "cosine", "clip": 1.0, "average": "young"}
