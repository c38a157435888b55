"""Data: densities whose truth is known, and real pictures small enough for a laptop."""

from genlib.data.densities import Checkerboard, Moons, Rings
from genlib.data.digits import LEVELS, Images, digits
from genlib.data.mixture import GaussianMixture
from genlib.data.outlines import outlines
from genlib.data.textures import TEXTURES, Pairs, texture_crops, textures

__all__ = [
    "LEVELS",
    "TEXTURES",
    "Checkerboard",
    "GaussianMixture",
    "Images",
    "Moons",
    "Pairs",
    "Rings",
    "digits",
    "outlines",
    "texture_crops",
    "textures",
]
