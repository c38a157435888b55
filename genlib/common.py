"""What the families share, since none imports another: where noise is drawn, Adam, a network that is only asked."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def draw(shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """N(0, I) of this shape, in the dtype and on the device of `like`; drawn where the generator lives, then moved."""
    device = like.device if generator is None else generator.device
    return torch.randn(shape, dtype=like.dtype, device=device, generator=generator).to(like.device)


def adam(
    parameters: Iterable[Tensor],
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Adam; with `weight_decay`, AdamW. All parameters are updated by one kernel where the device has it.

    Ref: Kingma & Ba 2015; Loshchilov & Hutter 2019.
    """
    parameters = list(parameters)
    fused = fusible(parameters)
    if weight_decay:
        return torch.optim.AdamW(parameters, lr=lr, betas=betas, weight_decay=weight_decay, fused=fused)
    return torch.optim.Adam(parameters, lr=lr, betas=betas, fused=fused)


def fusible(parameters: Iterable[Tensor]) -> bool:
    """Whether torch has the fused Adam for the devices of all of them."""
    return all(p.device.type in ("cpu", "cuda", "mps") for p in parameters)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """No gradients, no dropout, no batch statistics; afterwards every part is in the mode that it had. Never around
    a `yield` to a caller, who would find gradients switched off."""
    training = [part for part in module.modules() if part.training]
    try:
        for part in training:
            part.training = False
        with torch.no_grad():
            yield
    finally:
        for part in training:
            part.training = True
