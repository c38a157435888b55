"""Diffusion models: noise is added by a fixed chain, and a network learns to take it away again."""

from genlib.diffusion.bound import Bound
from genlib.diffusion.ddpm import DDPM, Denoised
from genlib.diffusion.mlp import MLP
from genlib.diffusion.samplers import ancestral, ddim, last
from genlib.diffusion.schedule import Schedule
from genlib.diffusion.unet import UNet

__all__ = ["DDPM", "MLP", "Bound", "Denoised", "Schedule", "UNet", "ancestral", "ddim", "last"]
