"""What the exercises of lab 1 answer: a conditional GAN, from its losses to the numbers that judge it.

The truths come from probabilities counted by hand, from densities in closed form, from finite differences, and from
moving one pixel to see what moves with it. The order of the imports is the lab's.
"""

from gencourse.checks.lab_1_conditional_gan import discriminator_loss, optimal_logit  # isort: skip
from gencourse.checks.lab_1_conditional_gan import minimax_loss, non_saturating_loss, pulls  # isort: skip
from gencourse.checks.lab_1_conditional_gan import pair, objective, gradients, receptive_field  # isort: skip
from gencourse.checks.lab_1_conditional_gan import spectrum, diversity, r1  # isort: skip

__all__ = [
    "discriminator_loss",
    "diversity",
    "gradients",
    "minimax_loss",
    "non_saturating_loss",
    "objective",
    "optimal_logit",
    "pair",
    "pulls",
    "r1",
    "receptive_field",
    "spectrum",
]
