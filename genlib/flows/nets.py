"""What couplings ask for log_s and shift: arbitrary networks, which nobody ever has to invert.

Their last layers start at zero: then log_s = shift = 0, and a new coupling changes nothing.
"""

from typing import Annotated, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from genlib.arguments import Depth, Dropout, Label, Width, check, checked

Blocks = Annotated[int, "[0, 1000]"]
Told = Annotated[int, "[0, 16384]"]
AnyModule = TypeVar("AnyModule", bound=nn.Module)


class MLP(nn.Module):
    """Dense layers for vectors: `mlp(x, condition)`, (B, n_in) to (B, n_out), with `depth` hidden ones of ReLUs.

    Args:
        n_condition: features of the condition, which enters the first layer; 0 for none.
        dropout: the share of hidden features that is dropped in training, in [0, 1).
        he: whether the weights between hidden layers start as N(0, 2/width), which keeps the size of features from
            ReLU to ReLU; else as in torch, with a sixth of that variance.
    Raises: ValueError for sizes out of range; in use, for x or a condition of another size.
    Ref: He et al. 2015, eq. 10.
    """

    @checked
    def __init__(
        self,
        n_in: Width,
        n_out: Width,
        width: Width = 64,
        depth: Depth = 2,
        n_condition: Told = 0,
        dropout: Dropout = 0.0,
        he: bool = False,
    ) -> None:
        super().__init__()
        self.n_condition, self.dropout = n_condition, nn.Dropout(dropout)
        self.first = nn.Linear(n_in, width)
        self.condition = nn.Linear(n_condition, width, bias=False) if n_condition else None
        self.hidden = nn.ModuleList()
        for _ in range(depth - 1):
            self.hidden.append(nn.Linear(width, width))
        for layer in self.hidden if he else []:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]
        self.last = _zero(nn.Linear(width, n_out))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        # In a small network hooks and checks cost as much as the ReLU does: so functional.linear goes without hooks,
        # and arguments are looked at where they do not fit.
        try:
            h = functional.linear(x, self.first.weight, self.first.bias)
            if self.condition is not None or condition is not None:
                h = h + self.condition(condition)  # type: ignore[misc]
        except (TypeError, RuntimeError):
            check("x", x, Float[Tensor, "B {self.first.in_features}"], self=self)
            check("condition", condition, Label, self=self, n=len(x))
            raise
        p = self.dropout.p if self.training else 0.0
        for layer in [*self.hidden, self.last]:
            h = functional.relu_(h)
            if p:
                h = dropped(h, p)
            h = functional.linear(h, layer.weight, layer.bias)  # type: ignore[arg-type]
        return h


class ConvNet(nn.Module):
    """Residual convolutions for pictures: `net(x, condition)`, (B, n_in, H, W) to (B, n_out, H, W).

    Args:
        n_blocks: how many residual blocks, of two 3 × 3 convolutions each.
        n_condition: features of the condition, which enters after the first convolution; 0 for none.
        norm: batch norm before each ReLU and weight norm on every convolution, as in the paper.
        dropout: the share of feature maps' values dropped in training, in each block, in [0, 1).
    Raises: ValueError as `MLP`. Ref: Dinh et al. 2017, §3.7 and §4.1; He et al. 2016.
    """

    @checked
    def __init__(
        self,
        n_in: Width,
        n_out: Width,
        width: Width = 32,
        n_blocks: Blocks = 2,
        n_condition: Told = 0,
        norm: bool = False,
        dropout: Dropout = 0.0,
    ) -> None:
        super().__init__()
        self.n_in, self.n_condition = n_in, n_condition
        self.first = _conv(n_in, width, norm)
        self.condition = nn.Linear(n_condition, width) if n_condition else None
        self.blocks = nn.ModuleList()
        for _ in range(n_blocks):
            first = *_active(width, norm), _conv(width, width, norm)
            second = *_active(width, norm), nn.Dropout(dropout), _conv(width, width, norm)
            self.blocks.append(nn.Sequential(*first, *second))
        self.norm, self.relu = _active(width, norm)
        self.last = _zero(nn.Conv2d(width, n_out, 1))

    @checked
    def forward(self, x: Float[Tensor, "B {self.n_in} H W"], condition: Label = None) -> Tensor:
        h = self.first(x)
        if self.condition is not None:
            h = h + self.condition(condition)[:, :, None, None]
        for block in self.blocks:
            h = h + block(h)
        return self.last(self.relu(self.norm(h)))


def dropped(x: Tensor, p: float) -> Tensor:
    """Dropout: each number is 0 with probability p, and else x/(1 − p); so it is x on average, like x.

    On a CPU, torch draws a random number for each, which takes longer than a small layer does. Here four share the 64
    bits of one: p becomes a multiple of 2⁻¹⁶, and the factor belongs to that one.
    """
    return functional.dropout(x, p) if x.device.type != "cpu" else x * coins(x, p)


def coins(like: Tensor, p: float) -> Tensor:
    """What dropout multiplies by: 0 with probability p, and else 1/(1 − p), of the shape of `like`."""
    if like.device.type != "cpu":
        return functional.dropout(torch.ones_like(like), p)
    kept = max(1, round((1 - p) * 2**16))  # of 2¹⁶ equally likely numbers, from −2¹⁵ on
    bits = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    return (bits[: like.numel()].view(like.shape) <= kept - 2**15 - 1).to(like.dtype).mul_(2**16 / kept)


def _active(width: int, norm: bool) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(width) if norm else nn.Identity(), nn.ReLU()


def _conv(n_in: int, n_out: int, norm: bool) -> nn.Module:
    conv = nn.Conv2d(n_in, n_out, 3, padding=1)
    return parametrizations.weight_norm(conv) if norm else conv


def _zero(layer: AnyModule) -> AnyModule:
    for p in layer.parameters():
        nn.init.zeros_(p)
    return layer
