"""genlib: conditional GANs, normalizing flows and diffusion models, written to be read.

The modules are imported one by one, `from genlib import data, diffusion`: none loads more than it needs.
"""

__version__ = "0.1.0"
