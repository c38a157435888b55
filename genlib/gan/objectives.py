"""What D and G minimise, on D's logits l: sigmoid(l) = P(real).

    D's loss = E[real(D(y))] + E[fake(D(G))]        G's loss = E[fool(D(G))]

    objective         real               fake                    fool
    minimax           −log sigmoid(l)    −log(1 − sigmoid(l))    log(1 − sigmoid(l)), without a gradient where D wins
    non_saturating    −log sigmoid(l)    −log(1 − sigmoid(l))    −log sigmoid(l), with one: the same fixed point
    least_squares     ½ (l − 1)²         ½ l²                    ½ (l − 1)²
    hinge             max(0, 1 − l)      max(0, 1 + l)           −l

Ref: Goodfellow et al. 2014, eq. 1 and §3; Mao et al. 2017, eq. 9; Lim & Ye 2017.
"""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, float32, promote_types
from torch.nn.functional import relu, softplus

from genlib.arguments import checked

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
    """What D minimises, E[real(l)] + E[fake(l)] by the table above, on logits of any shape: a scalar.
    Raises: ValueError for no logits."""
    return mean_cost("real", real, objective) + mean_cost("fake", fake, objective)


@checked
def generator_loss(fake: Logits, objective: Name = "non_saturating") -> Tensor:
    """What G minimises, E[fool(l)] by the table above, on the logits of what it made: a scalar.
    Raises: ValueError for no logits."""
    return mean_cost("fool", fake, objective)


def mean_cost(part: Literal["real", "fake", "fool"], logits: Tensor, objective: Name) -> Tensor:
    if logits.numel() == 0:
        raise ValueError(f"{'fake' if part == 'fool' else part}: expected at least one logit, got none")
    costs = _COSTS[objective].get(part, _COSTS[objective]["real"])(logits)
    return costs.mean(dtype=promote_types(costs.dtype, float32))
