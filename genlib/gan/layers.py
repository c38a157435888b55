"""What both networks of pix2pix are built of: convolutions that halve or double, and norms without a memory."""

from typing import Literal

import torch
from torch import Tensor, nn

from genlib.arguments import check_choice

Norm = Literal["batch", "instance", "none"]
NORMS = ("batch", "instance", "none")


def norm_layer(norm: Norm, width: int) -> nn.Module:
    """The norm with a learned scale and shift; its statistics are always those of the batch, or picture, at hand.

    As in pix2pix no running average is kept: what is trained and what generates are the same function.
    """
    check_choice("norm", norm, NORMS)
    if norm == "batch":
        return nn.BatchNorm2d(width, track_running_stats=False)
    return nn.InstanceNorm2d(width, affine=True) if norm == "instance" else nn.Identity()


@torch.no_grad()
def initialise(network: nn.Module) -> None:
    """Weights N(0, 0.02²), scales N(1, 0.02²), biases and shifts 0. Ref: Isola et al. 2017, §6.2."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.weight.normal_(0, 0.02)
        elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d) and module.affine:
            module.weight.normal_(1, 0.02)
        else:
            continue
        if module.bias is not None:
            module.bias.zero_()


def check_batch(name: str, value: Tensor, network: nn.Module) -> None:
    """At least one example, in the dtype of the network's weights (under autocast, in any)."""
    if len(value) == 0:
        raise ValueError(f"{name}: expected at least one example, got none")
    dtype = next(network.parameters()).dtype
    if value.dtype != dtype and not torch.is_autocast_enabled(value.device.type):
        raise ValueError(f"{name}: expected {dtype}, the dtype of the network's weights, got {value.dtype}")
