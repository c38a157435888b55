"""What D should answer where both densities are known, and a penalty on how steep its answers are."""

import torch
from jaxtyping import Float
from torch import Tensor

from genlib.arguments import checked
from genlib.gan.objectives import Logits, Name


@checked
def best_discriminator(log_ratio: Logits, objective: Name = "non_saturating") -> Tensor:
    """What the best D answers where log p_data − log p_G = `log_ratio`, in nats: of the same shape.

        minimax, non_saturating    log_ratio itself: sigmoid of it is p_data / (p_data + p_G)
        least_squares              p_data / (p_data + p_G)
        hinge                      +1 where p_data is larger, −1 where p_G is

    Each point is minimised alone: p_data · real(l) + p_G · fake(l) over l.
    Ref: Goodfellow et al. 2014, prop. 1; Mao et al. 2017, eq. 10; Lim & Ye 2017, eq. 25.
    """
    if objective == "least_squares":
        return log_ratio.sigmoid()
    return log_ratio.sign() if objective == "hinge" else log_ratio


@checked
def r1(logits: Float[Tensor, "..."], y: Float[Tensor, "B ..."]) -> Tensor:
    """R1 = E‖∇_y D(y)‖², which keeps D from leaning too hard on the data: a scalar. Multiply by γ/2.

    Logits D(x, y), (B, ...), are those of a real y, (B, ...), with `requires_grad`; those of one example are added up.
    Raises: ValueError where there are no logits, or they do not depend on y.
    Ref: Mescheder et al. 2018, eq. 9.
    """
    known = y.requires_grad and logits.requires_grad and logits.numel() > 0
    (slope,) = torch.autograd.grad(logits.sum(), y, create_graph=True, allow_unused=True) if known else (None,)
    if slope is None:
        raise ValueError("logits: expected at least one logit, of a y with requires_grad; these do not depend on it")
    return slope[..., None].square().flatten(1).sum(1).mean()  # y may be (B,)
