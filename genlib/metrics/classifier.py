"""The judge: a small classifier of 8 × 8 digits that every generator of digits is measured with.

Trained once, on the 1500 training digits alone, by tools/train_judge.py; its shipped weights are the scale of every
number that is read off it.
"""

from collections.abc import Callable
from copy import deepcopy
from functools import cache, partial
from pathlib import Path
from typing import Annotated

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from genlib.arguments import checked

WEIGHTS = Path(__file__).with_name("judge.safetensors")
CLASSES = 10
CHUNK = 1024
Digits = Annotated[Float[Tensor, "B 1 8 8"], "finite"]
Size = Annotated[int, "[1, 256]"]
Side = Annotated[int, "[2, 64]"]


class Judge(nn.Module):
    """Three convolutions, a layer of features, a linear classifier; 44 thousand parameters.

    There is no dropout and no batch norm in it (those of the training are folded into the weights), so that it gives
    the same answer in training and evaluation mode, for one picture and for many. `width` is the number of channels of
    the convolutions, `side` of pixels along a side of a picture.
    Raises: ValueError for an odd side.
    """

    @checked
    def __init__(self, width: Size = 32, n_features: Size = 48, *, side: Side = 8, classes: Size = CLASSES) -> None:
        super().__init__()
        if side % 2:
            raise ValueError(f"side: expected an even number, which can be halved, got {side}")
        self.side, features = side, (side // 2) ** 2 * width
        conv = partial(nn.Conv2d, out_channels=width, kernel_size=3, padding=1)
        near = conv(1), nn.ReLU(), conv(width), nn.ReLU(), nn.MaxPool2d(2)
        wide = conv(width), nn.ReLU(), nn.Flatten(), nn.Linear(features, n_features), nn.ReLU()
        self.body = nn.Sequential(*near, *wide)
        self.head = nn.Linear(n_features, classes)

    @checked
    def features(self, x: Float[Tensor, "B 1 {self.side} {self.side}"]) -> Tensor:
        """The penultimate layer, (B, n_features), >= 0, for x of shape (B, 1, side, side) in [−1, 1]."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (B, classes)."""
        return self.head(self.features(x))


@checked
def judge(device: str | torch.device = "cpu") -> Judge:
    """The judge with the shipped weights, float32, frozen: a copy of its own for each caller, on the wanted device.

    Raises: ValueError if there is no such device.
    """
    return own_copy(Judge, WEIGHTS, device)


@checked
def classify(x: Digits) -> Tensor:
    """The class that the judge sees in each picture of x, (B, 1, 8, 8): (B,) int64 in 0..9, on the device of x.

    Values outside [−1, 1] are clamped to it, as a screen would.
    Raises: ValueError without a picture.
    """
    x = as_pictures("x", x)
    return in_chunks(lambda part: shared(Judge, WEIGHTS, x.device)(part).argmax(1), x)


def as_pictures(name: str, x: Tensor) -> Tensor:
    """Digits as the judge sees them: float32, clamped to [−1, 1]. At least one."""
    if len(x) == 0:
        raise ValueError(f"{name}: expected at least one picture, got none")
    return x.detach().float().clamp(-1, 1)


def own_copy(make: Callable[[], Judge], weights: Path, device: str | torch.device) -> Judge:
    """A judge that its caller may change."""
    try:
        return deepcopy(shared(make, weights, torch.device("cpu"))).to(device)
    except (RuntimeError, AssertionError) as error:  # what torch raises depends on the device
        raise ValueError(f"device: expected one that torch can use here, got {device!r} ({error})") from None


@cache
def shared(make: Callable[[], Judge], weights: Path, device: torch.device) -> Judge:
    """The judge that the measures use: read once, and never handed out, so that no caller moves their scale."""
    with torch.device("meta"):  # no random weights, which would move the global generator
        model = make()
    model.load_state_dict(load_file(weights), assign=True)
    return model.to(device, torch.float32).eval().requires_grad_(False)


@torch.no_grad()
def in_chunks(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The function of each picture, without holding all that it computes at once."""
    return torch.cat([function(part) for part in x.split(CHUNK)])
