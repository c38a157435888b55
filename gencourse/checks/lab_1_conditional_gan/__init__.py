"""What the exercises of lab 1 answer: a conditional GAN, from its losses to the numbers that judge it.

The truths come from probabilities counted by hand, from densities in closed form, from finite differences, and from
moving one pixel to see what moves with it.
"""

from gencourse.checks.lab_1_conditional_gan.discriminator_loss import D_LOSS
from gencourse.checks.lab_1_conditional_gan.generator_losses import G_LOSSES
from gencourse.checks.lab_1_conditional_gan.gradients import GRADIENTS
from gencourse.checks.lab_1_conditional_gan.objective import OBJECTIVE
from gencourse.checks.lab_1_conditional_gan.optimal_logit import OPTIMAL
from gencourse.checks.lab_1_conditional_gan.pair import PAIR
from gencourse.checks.lab_1_conditional_gan.pulls import PULLS
from gencourse.checks.lab_1_conditional_gan.r1 import R1
from gencourse.checks.lab_1_conditional_gan.receptive_field import FIELD
from gencourse.checks.lab_1_conditional_gan.spectrum_mistakes import SPECTRUM
from gencourse.checks.lab_1_conditional_gan.step_mistakes import STEP
from gencourse.checks.lab_1_conditional_gan.variances import VARIANCES

EXERCISES = [
    D_LOSS,
    OPTIMAL,
    G_LOSSES,
    PULLS,
    PAIR,
    OBJECTIVE,
    GRADIENTS,
    STEP,
    FIELD,
    SPECTRUM,
    VARIANCES,
    R1,
]
