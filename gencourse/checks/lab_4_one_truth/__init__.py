"""What the exercises of lab 4 answer: how far a model is from a truth that nobody has seen.

The truths come from sums written out by hand, from closed forms of Gaussians, and from what must not change: a linear
map, a constant, an order. The last check of most exercises compares with genlib. The order of the imports is the lab's.
"""

from gencourse.checks.lab_4_one_truth import distances, responsibilities, coverage, gap  # isort: skip
from gencourse.checks.lab_4_one_truth import bound_gap, importance, energy, p_value  # isort: skip

__all__ = [
    "bound_gap",
    "coverage",
    "distances",
    "energy",
    "gap",
    "importance",
    "p_value",
    "responsibilities",
]
