"""What the exercises of lab 6 answer: the score, the probability-flow ODE, its density, and straight paths.

The truths come from autograd, from equations whose solution is known, from an integral over the plane, and from plain
loops; a check of most exercises compares with genlib.
"""

from gencourse.checks.lab_6_continuous_time.flow_matching_mean_mistakes import FLOW_MATCHING_LOSS
from gencourse.checks.lab_6_continuous_time.heun_mistakes import HEUN_STEP
from gencourse.checks.lab_6_continuous_time.log_prob_mistakes import ODE_LOG_PROB
from gencourse.checks.lab_6_continuous_time.score import SCORE

EXERCISES = [SCORE, HEUN_STEP, ODE_LOG_PROB, FLOW_MATCHING_LOSS]
