"""Data: densities whose truth is known, and real pictures small enough for a laptop."""

from genlib.data.densities import Moons, Rings
from genlib.data.digits import LEVELS, Images, Pairs, digits, outlines
from genlib.data.emoji import EMOJI_GROUPS, EMOJI_KINDS, EmojiName, emoji, emoji_groups, emoji_kinds, emoji_names
from genlib.data.fetch import DownloadError
from genlib.data.loaders import CIFAR10_CLASSES, cifar10, edges2shoes, facades, fashion_mnist, mnist
from genlib.data.mixture import GaussianMixture
from genlib.data.textures import TEXTURES, texture_crops, textures

__all__ = ["CIFAR10_CLASSES", "EMOJI_GROUPS", "EMOJI_KINDS", "LEVELS", "TEXTURES", "DownloadError", "EmojiName"]
__all__ += ["GaussianMixture", "Images", "Moons", "Pairs", "Rings", "cifar10", "digits", "edges2shoes", "emoji"]
__all__ += [
    "emoji_groups",
    "emoji_kinds",
    "emoji_names",
    "facades",
    "fashion_mnist",
    "mnist",
    "outlines",
    "texture_crops",
    "textures",
]
