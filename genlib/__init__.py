"""genlib: conditional GANs, normalizing flows and diffusion models, written to be read.

The modules are imported one by one, `from genlib import data, diffusion`: none loads more than it needs.

`Lecture 04 (5)` in a docstring is equation (5) of that lecture of the course, or of its second part, 04b.
"""

__version__ = "0.1.0"
