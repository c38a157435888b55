"""What the exercises of lab 1 answer: a conditional GAN, from its losses to the numbers that judge it.

The truths come from probabilities counted by hand, from densities in closed form, from finite differences, and from
moving one pixel to see what moves with it.
"""

from gencourse.checks.lab_1_conditional_gan.discriminator_loss import D_LOSS
from gencourse.checks.lab_1_conditional_gan.diversity import DIVERSITY
from gencourse.checks.lab_1_conditional_gan.gradients import GRADIENTS
from gencourse.checks.lab_1_conditional_gan.minimax_loss import MINIMAX
from gencourse.checks.lab_1_conditional_gan.non_saturating_loss import NON_SATURATING
from gencourse.checks.lab_1_conditional_gan.objective import OBJECTIVE
from gencourse.checks.lab_1_conditional_gan.optimal_logit import OPTIMAL
from gencourse.checks.lab_1_conditional_gan.pair import PAIR
from gencourse.checks.lab_1_conditional_gan.pulls import PULLS
from gencourse.checks.lab_1_conditional_gan.r1 import R1
from gencourse.checks.lab_1_conditional_gan.receptive_field import FIELD
from gencourse.checks.lab_1_conditional_gan.spectrum import SPECTRUM

EXERCISES = [
    D_LOSS,
    OPTIMAL,
    MINIMAX,
    NON_SATURATING,
    PULLS,
    PAIR,
    OBJECTIVE,
    GRADIENTS,
    FIELD,
    SPECTRUM,
    DIVERSITY,
    R1,
]
