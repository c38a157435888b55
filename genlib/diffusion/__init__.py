"""Diffusion models: noise is added by a fixed chain, and a network learns to take it away again."""

from genlib.diffusion.schedule import Schedule

__all__ = ["Schedule"]
