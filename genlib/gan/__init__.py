"""Generative adversarial networks: a loss that is learned, and images that belong to what is given."""

from genlib.gan.best import best_discriminator
from genlib.gan.class_conditional import ClassConditional
from genlib.gan.generate import generate
from genlib.gan.mlp import MLPGenerator, ProjectionDiscriminator
from genlib.gan.objectives import OBJECTIVES, discriminator_loss, generator_loss
from genlib.gan.patch import PatchDiscriminator
from genlib.gan.penalty import r1
from genlib.gan.pix2pix import Pix2Pix
from genlib.gan.unet import UNetGenerator

__all__ = [
    "OBJECTIVES",
    "ClassConditional",
    "MLPGenerator",
    "PatchDiscriminator",
    "Pix2Pix",
    "ProjectionDiscriminator",
    "UNetGenerator",
    "best_discriminator",
    "discriminator_loss",
    "generate",
    "generator_loss",
    "r1",
]
