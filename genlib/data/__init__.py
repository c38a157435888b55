"""Data: densities whose truth is known, and real pictures small enough for a laptop."""

from genlib.data.densities import Moons, Rings
from genlib.data.digits import LEVELS, Images, Pairs, digits, outlines
from genlib.data.emoji import EMOJI_GROUPS, EmojiName, emoji, emoji_groups, emoji_names
from genlib.data.mixture import GaussianMixture
from genlib.data.textures import TEXTURES, texture_crops, textures

__all__ = ["EMOJI_GROUPS", "LEVELS", "TEXTURES", "EmojiName", "GaussianMixture", "Images", "Moons", "Pairs", "Rings"]
__all__ += ["digits", "emoji", "emoji_groups", "emoji_names", "outlines", "texture_crops", "textures"]
