"""What the exercises of lab 4 answer: how far a model is from a truth that nobody has seen.

The truths come from sums written out by hand, from closed forms of Gaussians, and from what must not change: a linear
map, a constant, an order. The last check of most exercises compares with genlib.
"""

from gencourse.checks.lab_4_one_truth.bound_gap import BOUND_GAP
from gencourse.checks.lab_4_one_truth.coverage import COVERAGE
from gencourse.checks.lab_4_one_truth.distances import DISTANCES
from gencourse.checks.lab_4_one_truth.energy_mistakes import ENERGY
from gencourse.checks.lab_4_one_truth.gap import GAP
from gencourse.checks.lab_4_one_truth.importance import IMPORTANCE
from gencourse.checks.lab_4_one_truth.p_value_mistakes import P_VALUE
from gencourse.checks.lab_4_one_truth.responsibilities_mistakes import RESPONSIBILITIES
from gencourse.checks.lab_4_one_truth.step import STEP

EXERCISES = [DISTANCES, RESPONSIBILITIES, COVERAGE, GAP, BOUND_GAP, IMPORTANCE, ENERGY, P_VALUE, STEP]
