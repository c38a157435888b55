"""Diffusion models: noise is added by a fixed chain, and a network learns to take it away again."""

from genlib.diffusion.bound import Bound, vlb
from genlib.diffusion.ddpm import DDPM
from genlib.diffusion.denoising import Denoising
from genlib.diffusion.importance import VariationalBound
from genlib.diffusion.mlp import MLP
from genlib.diffusion.samplers import Chain, Denoised, ancestral, ddim, heun, last, sampler
from genlib.diffusion.schedule import Schedule
from genlib.diffusion.unet import UNet

__all__ = ["DDPM", "MLP", "Bound", "Chain", "Denoised", "Denoising", "Schedule", "UNet", "VariationalBound"]
__all__ += ["ancestral", "ddim", "heun", "last", "sampler", "vlb"]
