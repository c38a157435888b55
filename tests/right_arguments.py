"""Right arguments of all that is public, from which tests/test_wrong_arguments.py makes wrong ones.

A class has one entry: what its constructor needs, and what its methods need, by the name of the argument; "self" makes
the object that has the methods, where the constructor's arguments alone would not. What has a default may be missing.
"""

from collections.abc import Callable
from typing import Any

import torch
from matplotlib.figure import Figure as Canvas
from torch import Tensor, nn

from gencourse import plots
from genlib import autoencoder, data, diffusion, flows, gan, train


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(len(shape))) / 2 + 0.2


def pictures(n: int = 4, channels: int = 1, size: int = 8) -> Tensor:
    return noise(n, channels, size, size)


def vae() -> autoencoder.VAE:
    return autoencoder.VAE(6, 2, 8, n_classes=3)


def ddpm(**options: Any) -> diffusion.DDPM:
    net = diffusion.MLP(2, width=8, depth=1, n_classes=3)
    return diffusion.DDPM(net, S, shape=(2,), **options)


def flow(**options: Any) -> flows.Flow:
    return flows.RealNVP.for_vectors(2, n_couplings=2, width=8, depth=1, **options).eval()


def unet(in_channels: int = 1) -> gan.UNetGenerator:
    return gan.UNetGenerator(in_channels, 1, width=2, depth=2, noise=1)


def pix2pix() -> dict[str, Any]:
    return {"G": unet(), "D": gan.PatchDiscriminator(2, width=2, n_layers=1)}


def by_class() -> dict[str, Any]:
    return {
        "G": gan.MLPGenerator((1, 4, 4), 3, latent=2, width=4, depth=1),
        "D": gan.ProjectionDiscriminator((1, 4, 4), 3, width=4, depth=1),
    }


def canvas() -> Canvas:
    shown = Canvas(figsize=(1, 1))
    shown.add_subplot().plot([0, 1])
    return shown


X, T, LABEL = noise(4, 2), torch.tensor([1, 2, 3, 4]), torch.tensor([0, 1, 2, 1])
S = diffusion.Schedule.linear(5)
RING = data.GaussianMixture.ring(3)
MASK = torch.tensor([True, False])
DIGITS = data.digits("test")
ALONG = [0.0, 0.5, 1.0]
SQUARE = {"x": noise(4, 2), "z": noise(4, 2)}
PICTURE = {"x": pictures(2, 4, 4), "z": pictures(2, 4, 4)}
LAYER = {**SQUARE, "n": 2, "mask": MASK}
CONVERTED = {"value": X, "x_t": X, "t": T, "source": "eps", "target": "v", "x_0": X, "eps": X, "steps": [2, 5], "n": 2}
SAMPLED = {"model": ddpm(), "shape": (3, 2), "steps": 2, "label": LABEL[:3], "x_T": noise(3, 2)}
SETTINGS = {
    "title": "t", "xlabel": "x", "xlim": (0.1, 1), "ylim": (None, 1), "xscale": "log", "xticks": [0.5, 1],
}  # fmt: skip

RIGHT: dict[str, Callable[[], dict[str, Any]]] = {
    # data
    "data.Checkerboard": lambda: {"x": X, "n": 3},
    "data.Moons": lambda: {"x": X, "n": 3},
    "data.Rings": lambda: {"x": X, "n": 3},
    "data.GaussianMixture": lambda: {
        "means": RING.means,
        "covs": RING.covs,
        "weights": RING.weights,
        "x": X,
        "n": 3,
        "other": RING,
        "alpha_bar": 0.5,
        "x_t": X,
        "t": T,
        "schedule": S,
    },
    "data.texture_crops": lambda: {"n": 2, "size": 4},
    "data.textures": lambda: {"n": 2, "size": 4},
    # metrics
    "metrics.Judge": lambda: {"width": 2, "n_features": 2, "x": pictures()},
    "metrics.class_histogram": lambda: {"x": pictures()},
    "metrics.classify": lambda: {"x": pictures()},
    "metrics.copying": lambda: {"x": DIGITS.x[:4], "train": DIGITS.x[4:9], "held_out": DIGITS.x[9:14]},
    "metrics.detail": lambda: {"images": pictures(), "truth": pictures()},
    "metrics.digits_report": lambda: {"x": DIGITS.x[:9], "label": DIGITS.label[:9]},
    "metrics.diversity": lambda: {"samples": noise(3, 2, 4)},
    "metrics.energy_distance": lambda: {"x": X, "y": noise(5, 2)},
    "metrics.frechet_distance": lambda: {"x": DIGITS.x[:9], "reference": DIGITS.x[9:18]},
    "metrics.frechet_gaussian": lambda: {"mean1": X[0], "cov1": X.T.cov(), "mean2": X[1], "cov2": X.T.cov()},
    "metrics.label_accuracy": lambda: {"x": DIGITS.x[:9], "label": DIGITS.label[:9]},
    "metrics.mode_coverage": lambda: {"x": X, "mixture": RING},
    "metrics.spectrum": lambda: {"images": pictures()},
    "metrics.spectrum_error": lambda: {"images": pictures(), "truth": pictures()},
    "metrics.texture_accuracy": lambda: dict(zip("xy", data.textures(2, 32), strict=True)),
    "metrics.texture_confusion": lambda: dict(zip("xy", data.textures(2, 32), strict=True)),
    # diffusion
    "diffusion.Schedule": lambda: {"beta": [0.1, 0.2, 0.3, 0.4, 0.5], **CONVERTED},
    "diffusion.MLP": lambda: {"dim": 2, "width": 8, "depth": 1, "n_classes": 3, "x_t": X, "t": T, "label": LABEL},
    "diffusion.UNet": lambda: {
        "channels": 1,
        "width": 8,
        "mults": (1, 2),
        "n_blocks": 1,
        "attention": (2,),
        "n_classes": 3,
        "x_t": pictures(),
        "t": T,
        "label": LABEL,
        "**": {"width": 8},
    },
    "diffusion.DDPM": lambda: {
        "self": ddpm,
        "net": diffusion.MLP(2, width=8, depth=1, n_classes=3),
        "schedule": S,
        "x_t": X,
        "t": T,
        "label": LABEL,
        "n": 4,
        "steps": 2,
        "**": {"guidance": 1.0, "clip": True, "eta": 0.5},
    },
    "diffusion.Denoising": lambda: {"ddpm": ddpm(), "batch": (X, LABEL)},
    "diffusion.Chain": lambda: {**SAMPLED, "guidance": 1.0, "clip": False, "generator": torch.Generator()},
    "diffusion.ancestral": lambda: {**SAMPLED},
    "diffusion.ddim": lambda: {**SAMPLED, "**": {"eta": 0.5}},
    "diffusion.heun": lambda: {**SAMPLED},
    "diffusion.last": lambda: {"x_ts": [X, X]},
    "diffusion.vlb": lambda: {"ddpm": ddpm(), "x_0": X, "label": LABEL, "steps": 3},
    # flows
    "flows.MLP": lambda: {"n_in": 2, "n_out": 3, "width": 8, "n_condition": 3, "x": X, "condition": noise(4, 3)},
    "flows.ConvNet": lambda: {"n_in": 1, "n_out": 2, "width": 4, "n_blocks": 1, "x": pictures()},
    "flows.ActNorm": lambda: {**LAYER},
    "flows.BatchNorm": lambda: {**LAYER, "self": lambda: flows.BatchNorm(2).eval()},
    "flows.InvertibleConv": lambda: {**LAYER},
    "flows.AdditiveCoupling": lambda: {**LAYER},
    "flows.AffineCoupling": lambda: {**LAYER},
    "flows.Coupling": lambda: {**LAYER, "self": lambda: flows.AffineCoupling(MASK)},
    "flows.Compose": lambda: {**LAYER, "layers": [flows.AffineCoupling(MASK)]},
    "flows.Inverse": lambda: {**LAYER, "layer": flows.AffineCoupling(MASK)},
    "flows.FactorOut": lambda: {**LAYER, "inner": flows.Logit()},
    "flows.Squeeze": lambda: {**PICTURE},
    "flows.Logit": lambda: {**LAYER},
    "flows.Standardise": lambda: {**LAYER},
    "flows.Normal": lambda: {"shape": (2,), "z": X, "n": 3},
    "flows.Flow": lambda: {
        "self": lambda: flow(n_classes=3, levels=4),
        "layers": [flows.AffineCoupling(MASK)],
        "shape": (2,),
        "x": X,
        "z": X,
        "label": LABEL,
        "n": 4,
        "x_int": torch.tensor([[0, 3], [1, 2], [3, 3], [0, 0]]),
    },
    "flows.RealNVP": lambda: {
        "self": flow,
        "layers": [flows.AffineCoupling(MASK)],
        "shape": (1, 4, 4),
        "dim": 2,
        "n_couplings": 2,
        "width": 4,
        "n_blocks": 1,
        "**": {"width": 4, "n_blocks": 1},
    },
    "flows.MaximumLikelihood": lambda: {"flow": flow(n_classes=3), "batch": (X, LABEL)},
    "flows.Muon": lambda: {"matrices": [nn.Parameter(noise(3, 3))], "others": [nn.Parameter(noise(3))]},
    "flows.dequantize": lambda: {"x_int": torch.tensor([[0, 3], [1, 2]]), "levels": 4},
    "flows.quantize": lambda: {"x": X, "levels": 4},
    "flows.fused": lambda: {"flow": flow()},
    "flows.masks.halves": lambda: {"dim": 4},
    "flows.masks.random": lambda: {"dim": 4},
    "flows.masks.checkerboard": lambda: {"shape": (1, 4, 4)},
    "flows.masks.channel": lambda: {"shape": (2, 4, 4)},
    "flows.masks.as_mask": lambda: {"mask": MASK},
    "flows.masks.by_coordinate": lambda: {"mask": MASK},
    "flows.masks.in_short": lambda: {"mask": MASK},
    # gan
    "gan.MLPGenerator": lambda: {
        "shape": (1, 4, 4),
        "n_classes": 3,
        "latent": 2,
        "width": 4,
        "label": LABEL,
        "z": noise(4, 2),
        "n": 4,
    },
    "gan.ProjectionDiscriminator": lambda: {
        "shape": (1, 4, 4),
        "n_classes": 3,
        "width": 4,
        "label": LABEL,
        "y": pictures(4, 1, 4),
    },
    "gan.UNetGenerator": lambda: {
        "in_channels": 1,
        "out_channels": 1,
        "width": 2,
        "depth": 2,
        "noise": 1,
        "x": pictures(),
        "z": pictures(),
        "n": 4,
        "label": pictures(),
    },
    "gan.PatchDiscriminator": lambda: {"in_channels": 2, "width": 2, "n_layers": 1, "x": pictures(), "y": pictures()},
    "gan.Pix2Pix": lambda: {**pix2pix(), "batch": (pictures(), pictures())},
    "gan.ClassConditional": lambda: {**by_class(), "batch": (pictures(4, 1, 4), LABEL)},
    "gan.best_discriminator": lambda: {"log_ratio": noise(3)},
    "gan.discriminator_loss": lambda: {"real": noise(3), "fake": noise(3)},
    "gan.generator_loss": lambda: {"fake": noise(3)},
    "gan.generate": lambda: {"G": unet(), "x_or_label": pictures(), "z": pictures()},
    "gan.r1": lambda: (lambda y: {"logits": (y**2).sum(1), "y": y})(noise(3, 2).requires_grad_()),
    # autoencoders
    "autoencoder.Autoencoder": lambda: {
        "dim": 6,
        "latent": 2,
        "width": 8,
        "n_classes": 3,
        "x": noise(4, 6),
        "z": noise(4, 2),
        "label": LABEL,
        "n": 4,
    },
    "autoencoder.VAE": lambda: {
        "dim": 6,
        "latent": 2,
        "width": 8,
        "n_classes": 3,
        "x": noise(4, 6),
        "z": noise(4, 2),
        "label": LABEL,
        "n": 4,
    },
    "autoencoder.ELBO": lambda: {"vae": vae(), "batch": (noise(4, 6), LABEL)},
    "autoencoder.Reconstruction": lambda: {"ae": autoencoder.Autoencoder(6, 2, 8), "batch": noise(4, 6)},
    # train
    "train.fit": lambda: {
        "objective": flows.MaximumLikelihood(flow()),
        "data": X,
        "steps": 1,
        "batch_size": 2,
        "progress": False,
    },
    "train.save": lambda: {"module": nn.Linear(2, 2), "path": "weights.safetensors"},
    "train.load": lambda: {"module": nn.Linear(2, 2), "path": stored()},
    "train.History": lambda: {
        "step": 3,
        "time": 0.5,
        "lr": {"w": 0.1},
        "values": {"loss": 1.0},
        "path": kept(),
        "content": train.History().to_dict(),
        "self": train.History,
    },
    # plots
    "plots.Figure": lambda: {"canvas": canvas(), "alt": "a line", "path": "figure.png"},
    "plots.Panel": lambda: {"draw": lambda ax: None, "settings": {"title": "t"}},
    "plots.Table": lambda: {"columns": ["a", "b"], "rows": [plots.Row("r", [1.0, 2.0])], "caption": "Numbers."},
    "plots.table": lambda: {"columns": ["a", "b"], "rows": [plots.Row("r", [1.0, 2.0])], "caption": "Numbers."},
    "plots.areas": lambda: {"x": ALONG, "density": ALONG, "intervals": [(0, 0.5)], "**": SETTINGS},
    "plots.arrows": lambda: {"at": X, "vectors": X, "sets": {"a": X}, "**": SETTINGS},
    "plots.figure": lambda: {"panels": plots.lines(ALONG, {"a": ALONG}), "alt": "a line"},
    "plots.heatmap": lambda: {"values": X, "extent": (0, 1, 0, 1), "**": SETTINGS},
    "plots.histogram": lambda: {
        "samples": {"a": ALONG},
        "x": ALONG,
        "density": {"p": ALONG},
        "span": (0, 1),
        "marks": {"m": 0.5},
        "**": SETTINGS,
    },
    "plots.image_rows": lambda: {"columns": ["1", "2", "3", "4"], "**": {"row": pictures()}},
    "plots.lines": lambda: {
        "x": ALONG,
        "curves": {"a": ALONG, "b": ALONG},
        "points": {"c": (ALONG, ALONG)},
        "band": (ALONG, ALONG),
        "marks": {"m": 0.5},
        "notes": [("n", 0.5, 0.5)],
        "**": SETTINGS,
    },
    "plots.pictures": lambda: {"images": pictures(), "**": SETTINGS},
    "plots.points": lambda: {"sets": {"a": X, "b": X}, "**": SETTINGS},
}


def stored() -> str:
    train.save(nn.Linear(2, 2), "stored.safetensors")
    return "stored.safetensors"


def kept() -> str:
    train.History().save("kept.json")
    return "kept.json"
