"""Which D is best where both densities are known."""

import torch
from jaxtyping import Float
from torch import Tensor

from genlib.arguments import checked
from genlib.gan.objectives import Name


@checked
def best_discriminator(log_ratio: Float[Tensor, "..."], objective: Name = "non_saturating") -> Tensor:
    """What the best D answers where log p_data − log p_G = `log_ratio`, in nats: of the same shape.

        minimax, non_saturating    log_ratio itself: sigmoid of it is p_data / (p_data + p_G)
        least_squares              p_data / (p_data + p_G)
        hinge                      +1 where p_data is larger, −1 where p_G is

    Each point is minimised alone: p_data · real(l) + p_G · fake(l) over l, by the table of `objectives`.

    Ref: Goodfellow et al. 2014, prop. 1; Mao et al. 2017, eq. 10; Lim & Ye 2017, eq. 25.
    """
    if objective == "least_squares":
        return torch.sigmoid(log_ratio)
    return torch.sign(log_ratio) if objective == "hinge" else log_ratio
