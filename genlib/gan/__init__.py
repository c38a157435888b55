"""Generative adversarial networks: a loss that is learned, and images that belong to what is given."""

from genlib.gan.class_conditional import ClassConditional, MLPGenerator, ProjectionDiscriminator
from genlib.gan.networks import PatchDiscriminator, UNetGenerator, generate
from genlib.gan.objectives import OBJECTIVES, best_discriminator, discriminator_loss, generator_loss, r1
from genlib.gan.pix2pix import Pix2Pix

__all__ = ["OBJECTIVES", "ClassConditional", "MLPGenerator", "PatchDiscriminator", "Pix2Pix"]
__all__ += ["ProjectionDiscriminator", "UNetGenerator", "best_discriminator", "discriminator_loss", "generate"]
__all__ += ["generator_loss", "r1"]
