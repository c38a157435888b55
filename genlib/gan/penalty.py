"""A penalty on how steep D is."""

import torch
from jaxtyping import Float
from torch import Tensor

from genlib.arguments import checked


@checked
def r1(logits: Float[Tensor, "..."], y: Float[Tensor, "B ..."]) -> Tensor:
    """R1 = E‖∇_y D(y)‖², which keeps D from leaning too hard on the data: a scalar. Multiply by γ/2.

    Args:
        logits: D(x, y), (B, ...), of a real y, (B, ...), with `requires_grad`; those of one example are added up.
    Raises: ValueError where there are no logits, or they do not depend on y.
    Ref: Mescheder et al. 2018, eq. 9.
    """
    known = y.requires_grad and logits.requires_grad and logits.numel() > 0
    (slope,) = torch.autograd.grad(logits.sum(), y, create_graph=True, allow_unused=True) if known else (None,)
    if slope is None:
        raise ValueError(
            "logits: expected at least one logit, of a y with requires_grad=True; these do not depend on it"
        )
    return slope[..., None].square().flatten(1).sum(1).mean()  # y may be (B,)
