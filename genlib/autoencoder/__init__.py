"""Autoencoders: a picture through a narrow place and back. The plain one, and the one that is a model of the data.

autoencoder   z = e(x),  x̂ = d(z)                     trained on |x − x̂|²
VAE           z ~ N(0, I),  x | z ~ N(d(z), std² I)   trained on a lower bound of log p(x), the ELBO

Both may be told a label of x; then every network and every density is one given the label.
"""

from genlib.autoencoder.autoencoder import Autoencoder
from genlib.autoencoder.objectives import ELBO, Reconstruction
from genlib.autoencoder.vae import VAE

__all__ = ["ELBO", "VAE", "Autoencoder", "Reconstruction"]
