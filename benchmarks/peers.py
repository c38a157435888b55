"""What races share about other libraries: how to import some of them, and the loop that their examples train by."""

import importlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

import torch
from racing import Setting
from torch import Tensor, nn

from genlib.train.average import EMA_DECAY, Average
from genlib.train.loop import lr_factor

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


def descend(
    model: nn.Module, loss: Callable[..., Tensor], batches: Iterable[tuple[Tensor, ...]], steps: int, setting: Setting
) -> None:
    """Train a model for so many steps, each with a batch, whose parts the loss is given, and leave it in evaluation.

    Setting: "optimizer", its name in torch.optim, and "fused", whether one kernel updates all; "lr", "weight_decay";
    "decay", "cosine" or None; "clip", the largest norm of the gradients, or None; "average", whether the weights in the
    end are the running average that `fit` leaves.
    """
    more = {"fused": True} if setting["fused"] else {}  # not every optimizer has the argument
    kind = getattr(torch.optim, setting["optimizer"])
    optimizer = kind(model.parameters(), lr=setting["lr"], weight_decay=setting["weight_decay"], **more)
    average = Average(model, EMA_DECAY) if setting["average"] else None
    model.train()
    for k, batch in zip(range(steps), batches, strict=False):
        for group in optimizer.param_groups:
            group["lr"] = setting["lr"] * lr_factor(k, k / steps, setting["decay"], 0)
        optimizer.zero_grad()
        value = loss(*batch)
        value.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), setting["clip"]) if setting["clip"] else value.detach()
        if value.isfinite() and norm.isfinite():  # normflows' examples leave other steps out
            optimizer.step()
        if average:
            average.update(k)
    if average:
        average.put(average.mean)
    model.eval()


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
    plain = {"optimizer": "Adam", "fused": False, "weight_decay": 0.0, "decay": None, "clip": None, "average": False}
    return {"lr": lr, "batch_size": batch_size, **plain, **changes}


EQUAL: dict[str, Any] = {"optimizer": "AdamW", "fused": True, "decay": "cosine", "clip": 1.0, "average": True}
