"""What the exercises of lab 2 answer: a normalizing flow, from one dimension to pictures.

The truths come from quadrature, from autograd's Jacobian, from densities in closed form, and from moving one input to
see which outputs move; the last check of most exercises compares with genlib. The order of the imports is the lab's.
"""

from gencourse.checks.lab_2_flows import density_1d, affine, log_prob  # isort: skip
from gencourse.checks.lab_2_flows import coupling, coupling_inverse, checkerboard, compose, dependence  # isort: skip
from gencourse.checks.lab_2_flows import sample, dequantize, bits_per_dim  # isort: skip

__all__ = [
    "affine",
    "bits_per_dim",
    "checkerboard",
    "compose",
    "coupling",
    "coupling_inverse",
    "density_1d",
    "dependence",
    "dequantize",
    "log_prob",
    "sample",
]
