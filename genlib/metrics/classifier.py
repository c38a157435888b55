"""The judges: small classifiers of digits and of textures, and the scale of every number that is read off them.

Each was trained once, on training data alone, by tools/train_judge.py and tools/train_texture_judge.py.
"""

from collections.abc import Callable
from copy import deepcopy
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int64
from safetensors.torch import load_file
from torch import Tensor, nn

from genlib.arguments import checked

Kind = Literal["digits", "textures"]
SIZES = {"digits": {}, "textures": {"width": 24, "side": 12, "classes": 3}}
FILES = {kind: Path(__file__).with_name(f"{kind}_judge.safetensors") for kind in SIZES}
CHUNK = 1024
Digits = Annotated[Float[Tensor, "B 1 8 8"], "finite"]
Classes = Annotated[Int64[Tensor, " B"], "[0, 9]"]
Size = Annotated[int, "[1, 256]"]
Side = Annotated[int, "[2, 64]"]


class Judge(nn.Module):
    """For pictures `side` pixels wide: three convolutions of `width` channels, a layer of features, a linear one.

    Dropout and batch norm of the training are folded into the weights: it gives the same answer in training and
    evaluation mode, for one picture and for many. Raises: ValueError for an odd side.
    """

    @checked
    def __init__(self, width: Size = 32, n_features: Size = 48, *, side: Side = 8, classes: Size = 10) -> None:
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
def judge(kind: Kind = "digits", device: str | torch.device = "cpu") -> Judge:
    """A judge with the shipped weights, float32, frozen: a copy of its own for each caller. That of digits takes
    (B, 1, 8, 8), that of `data.TEXTURES` (B, 1, 12, 12). Raises: ValueError if there is no such device."""
    try:
        return deepcopy(shared(kind, torch.device("cpu"))).to(device)
    except (RuntimeError, AssertionError) as error:  # what torch raises depends on the device
        raise ValueError(f"device: expected one that torch can use here, got {device!r} ({error})") from None


@checked
def classify(x: Digits) -> Tensor:
    """The class that the judge sees in each picture of x, (B, 1, 8, 8), clamped to [−1, 1]: (B,) int64 in 0..9.
    Raises: ValueError without a picture."""
    x = as_pictures("x", x)
    return in_chunks(lambda part: shared("digits", x.device)(part).argmax(1), x)


@checked
def label_accuracy(x: Digits, label: Classes) -> float:
    """The share of pictures x, (B, 1, 8, 8), in which the judge sees the class that was asked for: label, (B,), 0..9.
    Raises: ValueError without a picture."""
    return int((classify(x) == label.to(x.device)).sum()) / len(x)


def as_pictures(name: str, x: Tensor) -> Tensor:
    """Digits as the judge sees them: float32, clamped to [−1, 1]. At least one."""
    if len(x) == 0:
        raise ValueError(f"{name}: expected at least one picture, got none")
    return x.detach().float().clamp(-1, 1)


@cache
def shared(kind: Kind, device: torch.device) -> Judge:
    """The judge that the measures use: read once, and never handed out, so that no caller moves their scale."""
    with torch.device("meta"):  # no random weights, which would move the global generator
        model = Judge(**SIZES[kind])
    model.load_state_dict(load_file(FILES[kind]), assign=True)
    return model.to(device, torch.float32).eval().requires_grad_(False)


@torch.no_grad()
def in_chunks(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The function of each picture, without holding all that it computes at once."""
    return torch.cat([function(part) for part in x.split(CHUNK)])
