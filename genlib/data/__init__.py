"""Data: densities whose truth is known, and real pictures small enough for a laptop."""

from genlib.data.densities import Checkerboard, Moons, Rings
from genlib.data.digits import LEVELS, Images, digits
from genlib.data.mixture import GaussianMixture

__all__ = ["LEVELS", "Checkerboard", "GaussianMixture", "Images", "Moons", "Rings", "digits"]
