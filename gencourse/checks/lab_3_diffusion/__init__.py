"""What the exercises of lab 3 answer: a diffusion model, from the forward chain to guided samples.

The truths come from the chain itself, step by step, from Bayes' rule on a grid, from autograd and from torch's own
distributions; the last check of most exercises compares with genlib. The order of the imports is the lab's.
"""

from gencourse.checks.lab_3_diffusion import (  # isort: skip
    alpha_bar,
    q_sample,
    posterior,
    target,
    loss,
    reverse_step,
    ancestral,
    ddim_steps,
    ddim_step,
    guide,
    bound_term,
)

__all__ = [
    "alpha_bar",
    "ancestral",
    "bound_term",
    "ddim_step",
    "ddim_steps",
    "guide",
    "loss",
    "posterior",
    "q_sample",
    "reverse_step",
    "target",
]
