"""What the exercises of lab 3 answer: the forward chain of a diffusion model.

The truths come from the chain itself, step by step, and from Bayes' rule on a grid; the last check of each exercise
compares with genlib. The order of the imports is the lab's.
"""

from genlib.checks.lab_3_diffusion import alpha_bar, q_sample, posterior  # isort: skip

__all__ = ["alpha_bar", "posterior", "q_sample"]
