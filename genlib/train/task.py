"""What `fit` asks of a task, and says when it does not get it."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def check_task(task: Any) -> torch.device:
    """The device that all parameters are on."""
    if not isinstance(task, nn.Module) or not all(callable(getattr(task, m, None)) for m in ("optimizers", "losses")):
        raise ValueError(
            f"task: expected a Module with optimizers() and losses(batch, generator), got {type(task).__name__}"
        )
    parameters = dict(task.named_parameters())
    if not any(p.requires_grad for p in parameters.values()):
        raise ValueError("task: expected parameters to train, got none")
    devices = {p.device for p in parameters.values()}
    if len(devices) > 1:
        raise ValueError(f"task: expected all parameters on one device, got {sorted(map(str, devices))}")
    for name, p in parameters.items():
        if p.requires_grad and p.dtype in (torch.bfloat16, torch.float16):
            raise ValueError(
                f'task: expected float32 parameters, {name} is {p.dtype}; for speed, see precision="bf16"'
            )  # small updates would vanish in the rounding, those of the average first
    return next(iter(devices))


def make_optimizers(task: Any, device: torch.device) -> dict[str, torch.optim.Optimizer]:
    optimizers = task.optimizers()
    if not isinstance(optimizers, dict) or not optimizers:
        raise ValueError(f"optimizers: expected a dict of name: torch.optim.Optimizer, got {optimizers!r}")
    for name, optimizer in optimizers.items():
        if not isinstance(name, str) or not isinstance(optimizer, torch.optim.Optimizer):
            raise ValueError(f"optimizers: expected a torch.optim.Optimizer, {name!r} is {type(optimizer).__name__}")
        if any(p.device != device for group in optimizer.param_groups for p in group["params"]):
            raise ValueError(f"optimizers: {name!r} has parameters that are not on {device}")
    return optimizers


def check_turn(turn: Any, names: Collection[str]) -> tuple[str, Tensor, Mapping[str, Tensor | float]]:
    if not isinstance(turn, tuple) or len(turn) != 3 or not isinstance(turn[2], Mapping):
        raise ValueError(f"losses: expected (name, loss, logs) with logs a dict, got {type(turn).__name__}")
    if turn[0] not in names:
        raise ValueError(f"losses: there is no optimizer {turn[0]!r}, expected one of {sorted(names)}")
    return turn
