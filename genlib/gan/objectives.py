"""What D and G minimise, on D's logits.

D gives a logit for "real"; sigmoid(logit) = P(real). Each objective is three functions of a logit: what D pays for a
real one and for a fake one, and what G pays for a fake one. Which D is best follows from them, point by point.

    D's loss = E[real(D(y))] + E[fake(D(G))]        G's loss = E[fool(D(G))]
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from genlib.arguments import check_choice, check_tensor

Name = Literal["minimax", "non_saturating", "least_squares", "hinge"]
Pointwise = Callable[[Tensor], Tensor]


class Objective(NamedTuple):
    """Functions of a logit, and the best D as a function of log p_data − log p_G."""

    real: Pointwise
    fake: Pointwise
    fool: Pointwise
    best: Pointwise


# −log sigmoid(l) = softplus(−l) and −log(1 − sigmoid(l)) = softplus(l): never a sigmoid, so never log 0.
_OBJECTIVES = {
    "minimax": Objective(
        real=lambda logit: softplus(-logit),
        fake=softplus,
        fool=lambda logit: -softplus(logit),
        best=lambda log_ratio: log_ratio,
    ),
    "non_saturating": Objective(
        real=lambda logit: softplus(-logit),
        fake=softplus,
        fool=lambda logit: softplus(-logit),
        best=lambda log_ratio: log_ratio,
    ),
    "least_squares": Objective(
        real=lambda logit: 0.5 * (logit - 1).square(),
        fake=lambda logit: 0.5 * logit.square(),
        fool=lambda logit: 0.5 * (logit - 1).square(),
        best=torch.sigmoid,
    ),
    "hinge": Objective(
        real=lambda logit: relu(1 - logit),
        fake=lambda logit: relu(1 + logit),
        fool=lambda logit: -logit,
        best=torch.sign,
    ),
}
OBJECTIVES = tuple(_OBJECTIVES)


def discriminator_loss(real: Tensor, fake: Tensor, objective: Name = "non_saturating") -> Tensor:
    """What D minimises: its mean loss on real logits plus that on fake ones.

        minimax, non_saturating    −E[log sigmoid(real)] − E[log(1 − sigmoid(fake))]
        least_squares              ½ E[(real − 1)²] + ½ E[fake²]
        hinge                      E[max(0, 1 − real)] + E[max(0, 1 + fake)]

    Args:
        real, fake: logits, of any shape: a patch discriminator's patches count alike.
        objective: one of `OBJECTIVES`.
    Returns:
        a scalar, in nats for the first two.
    Ref: Goodfellow et al. 2014, eq. 1; Mao et al. 2017, eq. 9; Lim & Ye 2017.

    >>> discriminator_loss(torch.zeros(3), torch.zeros(3))  # D that cannot tell: 2 log 2
    tensor(1.3863)
    """
    rule = _objective(objective)
    _check_logits("real", real)
    _check_logits("fake", fake)
    return rule.real(real).mean() + rule.fake(fake).mean()


def loss_on_fakes(fake: Tensor, objective: Name = "non_saturating") -> Tensor:
    """The second term of `discriminator_loss` alone, a scalar: what D pays for pairs that it is to call fake."""
    rule = _objective(objective)
    _check_logits("fake", fake)
    return rule.fake(fake).mean()


def generator_loss(fake: Tensor, objective: Name = "non_saturating") -> Tensor:
    """What G minimises, on the logits of what it made.

        minimax           E[log(1 − sigmoid(fake))]: its gradient vanishes where D wins
        non_saturating    −E[log sigmoid(fake)]: the same fixed point, and a gradient where D wins
        least_squares     ½ E[(fake − 1)²]
        hinge             −E[fake]

    Args:
        fake: logits, of any shape.
        objective: one of `OBJECTIVES`.
    Returns:
        a scalar.
    Ref: Goodfellow et al. 2014, §3; Mao et al. 2017, eq. 9; Lim & Ye 2017.
    """
    rule = _objective(objective)
    _check_logits("fake", fake)
    return rule.fool(fake).mean()


def best_discriminator(log_ratio: Tensor, objective: Name = "non_saturating") -> Tensor:
    """What the best D answers where log p_data − log p_G = `log_ratio`.

        minimax, non_saturating    log_ratio itself: sigmoid of it is p_data / (p_data + p_G)
        least_squares              p_data / (p_data + p_G)
        hinge                      +1 where p_data is larger, −1 where p_G is

    Each point is minimised alone: p_data · real(l) + p_G · fake(l) over l.

    Args:
        log_ratio: of any shape, nats.
        objective: one of `OBJECTIVES`.
    Returns:
        like log_ratio.
    Ref: Goodfellow et al. 2014, prop. 1; Mao et al. 2017, eq. 10; Lim & Ye 2017, eq. 25.
    """
    rule = _objective(objective)
    return rule.best(check_tensor("log_ratio", log_ratio))


def r1(logits: Tensor, y: Tensor) -> Tensor:
    """R1 = E‖∇_y D(y)‖², which keeps D from leaning too hard on the data. Multiply by γ/2.

    Args:
        logits: D(x, y) for real y: (B, ...); those of one example are added up.
        y: (B, ...), float, with `requires_grad`, from which the logits were computed.
    Returns:
        a scalar that can be differentiated again.
    Raises:
        ValueError: where y requires no gradient, or the logits do not depend on it.
    Ref: Mescheder et al. 2018, eq. 9.
    """
    _check_logits("logits", logits)
    check_tensor("y", y)
    if not y.requires_grad or not logits.requires_grad:
        raise ValueError("y: expected a tensor with requires_grad=True, from which the logits were computed")
    (gradient,) = torch.autograd.grad(logits.sum(), y, create_graph=True, allow_unused=True)
    if gradient is None:
        raise ValueError("logits: expected logits computed from y, but they do not depend on it")
    return gradient.square().flatten(1).sum(1).mean()


def _check_logits(name: str, value: object) -> None:
    """A mean over no logits would be NaN."""
    if check_tensor(name, value).numel() == 0:
        raise ValueError(f"{name}: expected at least one logit, got none")


def _objective(name: str) -> Objective:
    return _OBJECTIVES[check_choice("objective", name, OBJECTIVES)]
