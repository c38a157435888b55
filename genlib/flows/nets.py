"""What couplings ask for log_s and shift: arbitrary networks, which nobody ever has to invert.

Their last layers start at zero: then log_s = shift = 0, and a new coupling changes nothing.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from genlib.arguments import check_int, check_number


class MLP(nn.Module):
    """Dense layers for vectors: `mlp(x, condition)`, (B, n_in) to (B, n_out).

    Args:
        n_in, n_out: features in and out.
        width: features of the hidden layers.
        depth: how many hidden layers, at least 1; each is dense, ReLU, dropout.
        n_condition: features of the condition, which enters the first layer; 0 for none.
        dropout: the share of hidden features that is dropped in training, in [0, 1).
        he: whether the weights between hidden layers start as N(0, 2/width), which keeps the size of features from
            ReLU to ReLU; else as in torch, with a sixth of that variance.
    Ref: He et al. 2015, eq. 10.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        width: int = 64,
        depth: int = 2,
        n_condition: int = 0,
        dropout: float = 0.0,
        he: bool = False,
    ) -> None:
        super().__init__()
        n_in, n_out, width = check_int("n_in", n_in), check_int("n_out", n_out), check_int("width", width)
        depth = check_int("depth", depth)
        self.n_condition = check_int("n_condition", n_condition, 0)
        self.dropout = check_number("dropout", dropout, 0, 1, inside="high")
        self.first = nn.Linear(n_in, width)
        self.condition = nn.Linear(self.n_condition, width, bias=False) if self.n_condition else None
        self.hidden = nn.ModuleList([nn.Linear(width, width) for _ in range(depth - 1)])
        if he:
            for layer in self.hidden:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]
        self.last = nn.Linear(width, n_out)
        zero(self.last)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        check_condition(condition, self.n_condition, len(x))
        h = _dense(self.first, x)
        if self.condition is not None:
            h = h + self.condition(condition)
        h = functional.relu_(h)
        for layer in self.hidden:
            h = functional.relu_(_dense(layer, self._dropped(h)))
        return _dense(self.last, self._dropped(h))

    def _dropped(self, h: Tensor) -> Tensor:
        return functional.dropout(h, self.dropout) if self.dropout and self.training else h


class ConvNet(nn.Module):
    """Residual convolutions for pictures: `net(x, condition)`, (B, n_in, H, W) to (B, n_out, H, W).

    Args:
        n_in, n_out: channels in and out.
        width: feature maps of the hidden layers.
        n_blocks: residual blocks of two 3 × 3 convolutions.
        n_condition: features of the condition, which enters after the first convolution; 0 for none.
        norm: batch norm before each ReLU and weight norm on every convolution, as in the paper.
        dropout: the share of feature maps' values dropped in training, in each block.
    Ref: Dinh et al. 2017, §3.7 and §4.1; He et al. 2016.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        width: int = 32,
        n_blocks: int = 2,
        n_condition: int = 0,
        norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        n_in, n_out, width = check_int("n_in", n_in), check_int("n_out", n_out), check_int("width", width)
        self.n_condition = check_int("n_condition", n_condition, 0)
        dropout = check_number("dropout", dropout, 0, 1, inside="high")
        self.first = _conv(n_in, width, norm)
        self.condition = nn.Linear(self.n_condition, width) if self.n_condition else None
        n_blocks = check_int("n_blocks", n_blocks, 0)
        self.blocks = nn.ModuleList([_Block(width, norm, dropout) for _ in range(n_blocks)])
        self.norm = _norm(width, norm)
        self.last = zero(nn.Conv2d(width, n_out, 1))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        check_condition(condition, self.n_condition, len(x))
        h = self.first(x)
        if self.condition is not None:
            h = h + self.condition(condition)[:, :, None, None]
        for block in self.blocks:
            h = block(h)
        return self.last(functional.relu(self.norm(h)))


class _Block(nn.Module):
    """h plus what two convolutions make of it."""

    def __init__(self, width: int, norm: bool, dropout: float) -> None:
        super().__init__()
        self.norm_1, self.conv_1 = _norm(width, norm), _conv(width, width, norm)
        self.norm_2, self.conv_2 = _norm(width, norm), _conv(width, width, norm)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        inner = self.conv_1(functional.relu(self.norm_1(h)))
        return h + self.conv_2(self.dropout(functional.relu(self.norm_2(inner))))


def _dense(layer: nn.Module, x: Tensor) -> Tensor:
    """layer(x) without the detour through hooks: in a small network it costs as much as the ReLU."""
    return functional.linear(x, layer.weight, layer.bias)  # type: ignore[arg-type]


def _conv(n_in: int, n_out: int, norm: bool) -> nn.Module:
    conv = nn.Conv2d(n_in, n_out, 3, padding=1)
    return parametrizations.weight_norm(conv) if norm else conv


def _norm(width: int, norm: bool) -> nn.Module:
    return nn.BatchNorm2d(width) if norm else nn.Identity()


def zero(layer: nn.Module) -> nn.Module:
    """Set weight and bias to zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def check_condition(condition: Tensor | None, n: int, batch: int) -> None:
    """Raise `ValueError` unless there is a condition of the right size, or none where none is wanted."""
    if condition is None:
        if n:
            raise ValueError(f"condition: expected a tensor of shape ({batch}, {n}), got None")
    elif not n:
        raise ValueError("condition: expected None, this network was built without one")
    elif not isinstance(condition, torch.Tensor) or condition.shape != (batch, n):
        came = tuple(condition.shape) if isinstance(condition, torch.Tensor) else type(condition).__name__
        raise ValueError(f"condition: expected shape ({batch}, {n}), got {came}")
