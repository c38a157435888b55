"""What a denoiser is told beside x_t: the step t, and the condition if there is one, as one vector for each example."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class StepEmbedding(nn.Module):
    """A vector for the step t, plus one for the class or the condition: (B, n_out), after its SiLU."""

    def __init__(self, n_features: int, n_out: int, n_classes: int | None, n_condition: int | None) -> None:
        super().__init__()
        if n_classes and n_condition:
            raise ValueError(f"n_condition: expected None beside n_classes={n_classes}, got {n_condition}")
        self.hidden, self.out = linear(2 * math.ceil(n_features / 2), n_out), linear(n_out, n_out)
        # Row 0 stands for "none", row k + 1 for class k; of vectors, the last entry says "none".
        self.classes = nn.Embedding(n_classes + 1, n_out) if n_classes else None
        self.vectors = linear(n_condition + 1, n_out) if n_condition else None

    def forward(self, t: Tensor, label: Tensor | None) -> Tensor:
        features = time_features(t, self.hidden.in_features, self.hidden.weight.dtype)
        told = self.out(functional.silu(self.hidden(features)))
        if self.classes is not None:
            told = told + self.classes(torch.zeros_like(t) if label is None else label + 1)
        if self.vectors is not None:
            c = told.new_full((len(t), self.vectors.in_features - 1), math.nan) if label is None else label
            none = c.isnan().any(1, keepdim=True)
            told = told + self.vectors(torch.cat([c.masked_fill(none, 0), none.to(c.dtype)], dim=1))
        return functional.silu(told)


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
