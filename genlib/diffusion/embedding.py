"""What a denoiser is told beside x_t: the step t, and the class if there is one, as one vector for each example."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from genlib.arguments import check_label, check_tensor


class StepEmbedding(nn.Module):
    """A vector for the step t, plus one for the class: what the blocks are told. (B, n_out), after its SiLU."""

    def __init__(self, n_features: int, n_out: int, n_classes: int | None) -> None:
        super().__init__()
        self.n_features = 2 * math.ceil(n_features / 2)
        self.n_classes = n_classes
        self.hidden = linear(self.n_features, n_out)
        self.out = linear(n_out, n_out)
        # Row 0 stands for "none", row k + 1 for class k.
        self.classes = None if n_classes is None else nn.Embedding(n_classes + 1, n_out)

    def forward(self, t: Tensor, label: Tensor | None, like: Tensor) -> Tensor:
        B = len(like)
        check_tensor("t", t, (B,), dtype="int")
        weight = self.hidden.weight
        if like.dtype != weight.dtype and not torch.is_autocast_enabled(like.device.type):
            raise ValueError(f"x_t: expected the dtype of the weights, {weight.dtype}, got {like.dtype}")
        condition = self.out(functional.silu(self.hidden(time_features(t, self.n_features, weight.dtype))))
        if label is not None:
            check_label(label, None, B, values=False)
        if self.classes is not None:
            row = torch.zeros_like(t) if label is None else label + 1
            try:
                condition = condition + self.classes(row)
            except IndexError:
                raise ValueError(
                    f"label: expected classes in 0..{self.classes.num_embeddings - 2}, or -1 for none"
                ) from None
        elif label is not None:
            raise ValueError("label: this network was built without classes (n_classes=None), expected None")
        return functional.silu(condition)


def time_features(t: Tensor, n: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Sines and cosines of t, at n/2 frequencies from 1 down to 1/10000: (B, n). Slow ones tell early from late, quick
    ones tell neighbours apart.

    Ref: Vaswani et al. 2017, §3.5.
    """
    # In bfloat16 a step above 256 could not even be written down, so the angles are never below float32.
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    frequency = torch.exp(torch.arange(n // 2, device=t.device, dtype=exact) * (-math.log(10000) / max(n // 2 - 1, 1)))
    angle = t.to(exact)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1).to(dtype)


def linear(n_in: int, n_out: int) -> nn.Linear:
    linear = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
