"""Autoencoders: a picture through a narrow place and back. The plain one, and the one that is a model of the data."""

from genlib.autoencoder.autoencoder import Autoencoder, Reconstruction
from genlib.autoencoder.vae import ELBO, VAE

__all__ = ["ELBO", "VAE", "Autoencoder", "Reconstruction"]
