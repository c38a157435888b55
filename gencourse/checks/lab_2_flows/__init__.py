"""What the exercises of lab 2 answer: a normalizing flow, from one dimension to pictures.

The truths come from quadrature, from autograd's Jacobian, from densities in closed form, and from moving one input to
see which outputs move; the last check of most exercises compares with genlib.
"""

from gencourse.checks.lab_2_flows.affine import AFFINE
from gencourse.checks.lab_2_flows.bits_per_dim_mistakes import BITS
from gencourse.checks.lab_2_flows.checkerboard import CHECKERBOARD
from gencourse.checks.lab_2_flows.compose import COMPOSE
from gencourse.checks.lab_2_flows.coupling_inverse_mistakes import INVERSE
from gencourse.checks.lab_2_flows.coupling_mistakes import COUPLING
from gencourse.checks.lab_2_flows.density_1d import DENSITY_1D
from gencourse.checks.lab_2_flows.dependence_mistakes import DEPENDENCE
from gencourse.checks.lab_2_flows.fit_mistakes import FIT
from gencourse.checks.lab_2_flows.log_prob_mistakes import LOG_PROB
from gencourse.checks.lab_2_flows.logit_mistakes import LOGIT

EXERCISES = [
    DENSITY_1D,
    AFFINE,
    LOG_PROB,
    COUPLING,
    INVERSE,
    CHECKERBOARD,
    COMPOSE,
    DEPENDENCE,
    FIT,
    LOGIT,
    BITS,
]
