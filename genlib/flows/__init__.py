"""Normalizing flows: bijections with cheap Jacobians, and so densities that can be computed, learned and drawn from."""

from genlib.flows import masks
from genlib.flows.coupling import AffineCoupling, fused
from genlib.flows.flow import Density, Flow, Normal
from genlib.flows.layer import Compose, Inverse
from genlib.flows.likelihood import MaximumLikelihood
from genlib.flows.linear import ActNorm, BatchNorm, InvertibleConv
from genlib.flows.nets import MLP, ConvNet
from genlib.flows.preprocessing import Logit, dequantize, quantize
from genlib.flows.realnvp import RealNVP
from genlib.flows.shape import FactorOut, Squeeze
from genlib.optimizers import Muon

__all__ = ["MLP", "ActNorm", "AffineCoupling", "BatchNorm", "Compose", "ConvNet"]
__all__ += ["Density", "FactorOut", "Flow", "Inverse", "InvertibleConv", "Logit", "MaximumLikelihood", "Muon"]
__all__ += ["Normal", "RealNVP", "Squeeze", "dequantize", "fused", "masks", "quantize"]
