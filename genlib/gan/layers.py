"""What both networks of pix2pix are built of: norms without a memory, and the paper's first weights."""

from typing import Literal

import torch
from torch import nn

Norm = Literal["batch", "instance", "none"]


def norm_layer(norm: Norm, width: int) -> nn.Module:
    """The norm with a learned scale and shift; its statistics are always those of the batch, or picture, at hand.

    As in pix2pix no running average is kept: what is trained and what generates are the same function.
    """
    if norm == "batch":
        return nn.BatchNorm2d(width, track_running_stats=False)
    return nn.InstanceNorm2d(width, affine=True) if norm == "instance" else nn.Identity()


@torch.no_grad()
def initialise(network: nn.Module) -> None:
    """Weights N(0, 0.02²), scales N(1, 0.02²), biases and shifts 0. Ref: Isola et al. 2017, §6.2."""
    for module in network.modules():
        is_norm = isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d)
        if is_norm or isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.weight.normal_(float(is_norm), 0.02)
            if module.bias is not None:
                module.bias.zero_()
