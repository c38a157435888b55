"""What D and G minimise, on D's logits l: sigmoid(l) = P(real). And what the best D answers, and how steep D may be.

    D's loss = E[real(D(y))] + E[fake(D(G))]        G's loss = E[fool(D(G))]

    objective         real               fake                    fool
    minimax           −log sigmoid(l)    −log(1 − sigmoid(l))    log(1 − sigmoid(l)), without a gradient where D wins
    non_saturating    −log sigmoid(l)    −log(1 − sigmoid(l))    −log sigmoid(l), with one: the same fixed point
    least_squares     ½ (l − 1)²         ½ l²                    ½ (l − 1)²
    hinge             max(0, 1 − l)      max(0, 1 + l)           −l

Ref: Goodfellow et al. 2014, eq. 1 and §3; Mao et al. 2017, eq. 9; Lim & Ye 2017.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import relu, softplus

from genlib.arguments import checked
from genlib.common import wide

Name = Literal["minimax", "non_saturating", "least_squares", "hinge"]
Logits = Float[Tensor, "..."]  # a patch discriminator's patches count alike

# −log sigmoid(l) = softplus(−l) and −log(1 − sigmoid(l)) = softplus(l): never a sigmoid, so never log 0.
_COSTS = {  # where there is no "fool", G pays what a real one would cost
    "minimax": {"real": lambda x: softplus(-x), "fake": softplus, "fool": lambda x: -softplus(x)},
    "non_saturating": {"real": lambda x: softplus(-x), "fake": softplus},
    "least_squares": {"real": lambda x: 0.5 * (x - 1).square(), "fake": lambda x: 0.5 * x.square()},
    "hinge": {"real": lambda x: relu(1 - x), "fake": lambda x: relu(1 + x), "fool": lambda x: -x},
}
OBJECTIVES = tuple(_COSTS)


@checked
def discriminator_loss(real: Logits, fake: Logits, objective: Name = "non_saturating") -> Tensor:
    """E[real(l)] + E[fake(l)] by the table above, for logits of any shape: a scalar. Raises: ValueError for none.
    Lecture 01 (6)."""
    return mean_cost("real", real, objective) + mean_cost("fake", fake, objective)


@checked
def generator_loss(fake: Logits, objective: Name = "non_saturating") -> Tensor:
    """E[fool(l)] by the table above, for logits of what G made: a scalar. Raises: ValueError for none.
    Lecture 02 (3)."""
    return mean_cost("fool", fake, objective)


def mean_cost(part: Literal["real", "fake", "fool"], logits: Tensor, objective: Name) -> Tensor:
    if logits.numel() == 0:
        raise ValueError(f"{'fake' if part == 'fool' else part}: expected at least one logit, got none")
    costs = _COSTS[objective].get(part, _COSTS[objective]["real"])(logits)
    return costs.mean(dtype=wide(costs))


@checked
def best_discriminator(log_ratio: Logits, objective: Name = "non_saturating") -> Tensor:
    """What the best D answers where log p_data − log p_G = `log_ratio`, in nats: of the same shape.

        minimax, non_saturating    log_ratio itself: sigmoid of it is p_data / (p_data + p_G)
        least_squares              p_data / (p_data + p_G)
        hinge                      +1 where p_data is larger, −1 where p_G is

    It minimises p_data · real(l) + p_G · fake(l) at each point.
    Ref: Goodfellow et al. 2014, prop. 1; Mao et al. 2017, eq. 10; Lim & Ye 2017, eq. 25; lecture 01 (7).
    """
    if objective == "least_squares":
        return log_ratio.sigmoid()
    return log_ratio.sign() if objective == "hinge" else log_ratio


@checked
def r1(logits: Float[Tensor, "..."], y: Float[Tensor, "B ..."]) -> Tensor:
    """R1 = E‖∇_y D(y)‖², which keeps D from leaning too hard on the data: a scalar. Multiply by γ/2.

    Logits D(x, y), (B, ...), are those of a real y, (B, ...), with `requires_grad`; those of one example are added up.
    Raises: ValueError where there are none, or they do not depend on y. Ref: Mescheder et al. 2018, eq. 9.
    """
    known = y.requires_grad and logits.requires_grad and logits.numel() > 0
    (slope,) = torch.autograd.grad(logits.sum(), y, create_graph=True, allow_unused=True) if known else (None,)
    if slope is None:
        raise ValueError("logits: expected at least one logit, of a y with requires_grad; these do not depend on it")
    return slope[..., None].square().flatten(1).sum(1).mean()  # y may be (B,)
