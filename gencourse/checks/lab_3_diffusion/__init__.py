"""What the exercises of lab 3 answer: a diffusion model, from the forward chain to guided samples.

The truths come from the chain itself, step by step, from Bayes' rule on a grid, from autograd and from torch's own
distributions; the last check of most exercises compares with genlib.
"""

from gencourse.checks.lab_3_diffusion.alpha_bar import ALPHA_BAR
from gencourse.checks.lab_3_diffusion.ancestral_mistakes import ANCESTRAL
from gencourse.checks.lab_3_diffusion.ddim_step_mistakes import DDIM_STEP
from gencourse.checks.lab_3_diffusion.ddim_steps import DDIM_STEPS
from gencourse.checks.lab_3_diffusion.guide import GUIDE
from gencourse.checks.lab_3_diffusion.loss_mistakes import LOSS
from gencourse.checks.lab_3_diffusion.posterior_levels_mistakes import BOUND_TERM, POSTERIOR
from gencourse.checks.lab_3_diffusion.q_sample import Q_SAMPLE
from gencourse.checks.lab_3_diffusion.reverse_step_mistakes import REVERSE_STEP
from gencourse.checks.lab_3_diffusion.target import TARGET
from gencourse.checks.lab_3_diffusion.training_step_mistakes import TRAINING_STEP

EXERCISES = [
    ALPHA_BAR,
    Q_SAMPLE,
    POSTERIOR,
    TARGET,
    LOSS,
    REVERSE_STEP,
    ANCESTRAL,
    DDIM_STEPS,
    DDIM_STEP,
    TRAINING_STEP,
    GUIDE,
    BOUND_TERM,
]
