"""Data: densities whose truth is known, and real pictures small enough for a laptop."""

from genlib.data.densities import Moons, Rings
from genlib.data.digits import LEVELS, Images, Pairs, digits, outlines
from genlib.data.mixture import GaussianMixture
from genlib.data.textures import TEXTURES, texture_crops, textures

__all__ = ["LEVELS", "TEXTURES", "GaussianMixture", "Images", "Moons", "Pairs", "Rings", "digits"]
__all__ += ["outlines", "texture_crops", "textures"]
