"""Diffusion models: noise is added by a fixed chain, and a network learns to take it away again."""

from genlib.diffusion.bound import Bound, vlb
from genlib.diffusion.ddpm import DDPM
from genlib.diffusion.denoising import Denoising, flow_matching
from genlib.diffusion.distillation import Progressive, Reflow, pairs_of
from genlib.diffusion.dit import DiT
from genlib.diffusion.edm import Preconditioned
from genlib.diffusion.importance import VariationalBound
from genlib.diffusion.masked import MaskedDiffusion, Unmasking
from genlib.diffusion.mlp import MLP
from genlib.diffusion.ode import ode_log_prob
from genlib.diffusion.samplers import Chain, Denoised, Guidance, ancestral, ddim, dpm_solver, heun, last, sampler
from genlib.diffusion.schedule import Schedule
from genlib.diffusion.unet import UNet
from genlib.diffusion.weights import log_normal, min_snr

__all__ = ["DDPM", "MLP", "Bound", "Chain", "Denoised", "Denoising", "DiT", "Guidance", "MaskedDiffusion"]
__all__ += ["Preconditioned", "Progressive", "Reflow", "Schedule", "UNet", "Unmasking", "VariationalBound", "ancestral"]
__all__ += ["ddim", "dpm_solver", "flow_matching", "heun", "last", "log_normal", "min_snr", "ode_log_prob", "pairs_of"]
__all__ += ["sampler", "vlb"]
