"""What the exercises of lab 5 answer: which implementations a student's test accepts, and which it refuses.

`hunt` runs a test; every other file holds what one test is tried on: a fault that was reported somewhere, as the
notebook shows it, relatives that are not shown, and right implementations that look different from each other.
"""

from gencourse.checks.lab_5_faults.before import BEFORE
from gencourse.checks.lab_5_faults.clip import CLIPPED_STEP
from gencourse.checks.lab_5_faults.compose import COMPOSE
from gencourse.checks.lab_5_faults.coupling import COUPLING
from gencourse.checks.lab_5_faults.ddim_step import DDIM_STEP
from gencourse.checks.lab_5_faults.eta import NOISY_STEP
from gencourse.checks.lab_5_faults.flow_matching import FLOW_LOSS
from gencourse.checks.lab_5_faults.generate import GENERATE
from gencourse.checks.lab_5_faults.length import LENGTH
from gencourse.checks.lab_5_faults.mse import MSE
from gencourse.checks.lab_5_faults.noise import DRAW
from gencourse.checks.lab_5_faults.q_sample import Q_SAMPLE
from gencourse.checks.lab_5_faults.steps import DRAW_STEPS

HUNTS = [MSE, Q_SAMPLE, BEFORE, DDIM_STEP, CLIPPED_STEP, NOISY_STEP, COUPLING, COMPOSE, LENGTH, GENERATE, FLOW_LOSS]
HUNTS += [DRAW, DRAW_STEPS]
EXERCISES = [hunt.complete() for hunt in HUNTS]
