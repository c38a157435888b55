"""Right arguments of all that is public, from which tests/test_wrong_arguments.py makes wrong ones.

A class has one entry: what its constructor needs, and what its methods need, by the name of the argument; `self` makes
the object that has the methods, where the constructor's arguments alone would not; `more` is for **options. What has a
default may be missing.
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


def of(**arguments: Any) -> dict[str, Any]:
    return arguments


def ddpm() -> diffusion.DDPM:
    return diffusion.DDPM(diffusion.MLP(2, width=8, depth=1, n_classes=3), S, shape=(2,))


def v() -> diffusion.DDPM:
    return diffusion.DDPM(diffusion.MLP(2, width=8, depth=1, n_classes=3), S, "v", shape=(2,))


def masked() -> diffusion.MaskedDiffusion:
    return diffusion.MaskedDiffusion(diffusion.DiT(4, 8, 1, 2), 3, (1, 4, 4), T=5)


def flow(**options: Any) -> flows.Flow:
    return flows.RealNVP.for_vectors(2, n_couplings=2, width=8, depth=1, **options).eval()


def unet() -> gan.UNetGenerator:
    return gan.UNetGenerator(1, 1, width=2, depth=2, noise=1)


def canvas() -> Canvas:
    shown = Canvas(figsize=(1, 1))
    shown.add_subplot().plot([0, 1])
    return shown


X, T, LABEL = noise(4, 2), torch.tensor([1, 2, 3, 4]), torch.tensor([0, 1, 2, 1])
S = diffusion.Schedule.linear(5)
RING = data.GaussianMixture.ring(3)
LEVELS = torch.arange(32).view(2, 1, 4, 4) % 3
MASK = torch.tensor([True, False])
DIGITS = data.digits("test")
ALONG = [0.0, 0.5, 1.0]
TOLD = of(x=X, z=X, label=LABEL, n=4)
LAYER = of(x=noise(4, 2), z=noise(4, 2), n=2, mask=MASK)
LAYERS = [flows.AffineCoupling(MASK)]
CONVERTED = of(value=X, x_t=X, t=T, source="eps", target="v", x_0=X, eps=X, steps=[2, 5], n=2)
SAMPLED = of(model=ddpm(), shape=(3, 2), steps=2, label=LABEL[:3], x_T=noise(3, 2))
SETTINGS = of(title="t", xlabel="x", xlim=(0.1, 1), ylim=(None, 1), xscale="log", xticks=[0.5, 1])
AUTOENCODER = of(dim=6, latent=2, width=8, n_classes=3, x=noise(4, 6), z=noise(4, 2), label=LABEL, n=4)

RIGHT: dict[str, Callable[[], dict[str, Any]]] = {
    # data
    "data.Moons": lambda: of(x=X, n=3),
    "data.Rings": lambda: of(x=X, n=3),
    "data.GaussianMixture": lambda: of(
        **CONVERTED, means=RING.means, covs=RING.covs, weights=RING.weights, x=X, other=RING, alpha_bar=0.5, schedule=S
    ),
    "data.texture_crops": lambda: of(n=2, size=4),
    "data.textures": lambda: of(n=2, size=4),
    # metrics
    "metrics.Judge": lambda: of(width=2, n_features=2, x=pictures()),
    "metrics.classify": lambda: of(x=pictures()),
    "metrics.colour_intersection": lambda: of(images=noise(2, 3, 4, 4), truth=noise(3, 3, 4, 4)),
    "metrics.lab": lambda: of(images=noise(2, 3, 4, 4)),
    "metrics.saturation": lambda: of(images=noise(2, 3, 4, 4)),
    "metrics.copying": lambda: of(x=DIGITS.x[:4], train=DIGITS.x[4:9], held_out=DIGITS.x[9:14]),
    "metrics.coverage": lambda: of(made=X, real=noise(5, 2)),
    "metrics.detail": lambda: of(images=pictures(), truth=pictures()),
    "metrics.digits_report": lambda: of(x=DIGITS.x[:9], label=DIGITS.label[:9]),
    "metrics.diversity": lambda: of(samples=noise(3, 2, 4)),
    "metrics.energy_distance": lambda: of(x=X, y=noise(5, 2)),
    "metrics.frechet_distance": lambda: of(x=DIGITS.x[:9], reference=DIGITS.x[9:18]),
    "metrics.frechet_gaussian": lambda: of(mean1=X[0], cov1=X.T.cov(), mean2=X[1], cov2=X.T.cov()),
    "metrics.label_accuracy": lambda: of(x=DIGITS.x[:9], label=DIGITS.label[:9]),
    "metrics.mode_coverage": lambda: of(x=X, mixture=RING),
    "metrics.precision": lambda: of(made=X, real=noise(5, 2)),
    "metrics.recall": lambda: of(made=X, real=noise(5, 2)),
    "metrics.spectrum": lambda: of(images=pictures()),
    "metrics.spectrum_error": lambda: of(images=pictures(), truth=pictures()),
    "metrics.texture_accuracy": lambda: dict(zip("xy", data.textures(2, 32), strict=True)),
    "metrics.texture_confusion": lambda: dict(zip("xy", data.textures(2, 32), strict=True)),
    # diffusion
    "diffusion.Schedule": lambda: of(beta=[0.1, 0.2, 0.3, 0.4, 0.5], **CONVERTED),
    "diffusion.MLP": lambda: of(dim=2, width=8, depth=1, n_classes=3, x_t=X, t=T, label=LABEL),
    "diffusion.UNet": lambda: of(
        channels=1,
        width=8,
        mults=(1, 2),
        n_blocks=1,
        attention=(2,),
        n_classes=3,
        x_t=pictures(),
        t=T,
        label=LABEL,
        more=of(width=8),
    ),
    "diffusion.DiT": lambda: of(
        channels=1, width=8, depth=1, heads=2, n_classes=3, x_t=pictures(), t=T, label=LABEL, more=of(width=48)
    ),
    "diffusion.DDPM": lambda: of(
        self=ddpm,
        net=diffusion.MLP(2, width=8, depth=1, n_classes=3),
        schedule=S,
        x_t=X,
        t=T,
        label=LABEL,
        n=4,
        steps=2,
        more=of(guidance=1.0, clip=True, eta=0.5),
    ),
    "diffusion.Denoising": lambda: of(ddpm=ddpm(), batch=(X, LABEL)),
    "diffusion.flow_matching": lambda: of(net=diffusion.MLP(2, width=8, depth=1, n_classes=3)),
    "diffusion.VariationalBound": lambda: of(ddpm=ddpm(), batch=(X, LABEL)),
    "diffusion.MaskedDiffusion": lambda: of(self=masked, net=masked().net, levels=3, shape=(1, 4, 4), x_0=LEVELS, n=2),
    "diffusion.Unmasking": lambda: of(model=masked(), batch=LEVELS),
    "diffusion.Progressive": lambda: of(ddpm=v(), teacher=v(), steps=2, batch=(X, LABEL)),
    "diffusion.Reflow": lambda: of(ddpm=v(), batch=(noise(4, 2, 2), LABEL)),
    "diffusion.pairs_of": lambda: of(ddpm=v(), n=3, more=of(steps=2)),
    "diffusion.Chain": lambda: of(**SAMPLED, guidance=1.0, clip=False, generator=torch.Generator()),
    "diffusion.ancestral": lambda: SAMPLED,
    "diffusion.ddim": lambda: of(**SAMPLED, more=of(eta=0.5)),
    "diffusion.dpm_solver": lambda: of(**SAMPLED, more=of(eta=0.5)),
    "diffusion.heun": lambda: SAMPLED,
    "diffusion.Guidance": lambda: of(w=1.0),
    "diffusion.Preconditioned": lambda: of(net=diffusion.MLP(2, width=8, depth=1), schedule=S, x_t=X, t=T),
    "diffusion.min_snr": lambda: of(schedule=S),
    "diffusion.log_normal": lambda: of(schedule=S),
    "diffusion.ode_log_prob": lambda: of(ddpm=ddpm(), x_0=X, label=LABEL, steps=2),
    "diffusion.last": lambda: of(x_ts=[X, X]),
    "diffusion.vlb": lambda: of(ddpm=ddpm(), x_0=X, label=LABEL, steps=3),
    # flows
    "flows.MLP": lambda: of(n_in=2, n_out=3, width=8, n_condition=3, x=X, condition=noise(4, 3)),
    "flows.ConvNet": lambda: of(n_in=1, n_out=2, width=4, n_blocks=1, x=pictures()),
    "flows.ActNorm": lambda: LAYER,
    "flows.BatchNorm": lambda: of(**LAYER, self=lambda: flows.BatchNorm(2).eval()),
    "flows.InvertibleConv": lambda: LAYER,
    "flows.AffineCoupling": lambda: LAYER,
    "flows.Compose": lambda: of(**LAYER, layers=LAYERS),
    "flows.Inverse": lambda: of(**LAYER, layer=flows.AffineCoupling(MASK)),
    "flows.FactorOut": lambda: of(**LAYER, inner=flows.Logit()),
    "flows.Squeeze": lambda: of(x=pictures(2, 4, 4), z=pictures(2, 4, 4)),
    "flows.Logit": lambda: LAYER,
    "flows.Normal": lambda: of(shape=(2,), z=X, n=3),
    "flows.Flow": lambda: of(
        self=lambda: flow(n_classes=3, levels=4), layers=LAYERS, shape=(2,), **TOLD, x_int=torch.tensor([[0, 3]] * 4)
    ),
    "flows.RealNVP": lambda: of(
        self=flow, layers=LAYERS, shape=(1, 4, 4), dim=2, n_couplings=2, width=4, n_blocks=1, more=of(width=4)
    ),
    "flows.MaximumLikelihood": lambda: of(flow=flow(n_classes=3), batch=(X, LABEL)),
    "flows.Muon": lambda: of(matrices=[nn.Parameter(noise(3, 3))], others=[nn.Parameter(noise(3))]),
    "flows.dequantize": lambda: of(x_int=torch.tensor([[0, 3], [1, 2]]), levels=4),
    "flows.quantize": lambda: of(x=X, levels=4),
    "flows.fused": lambda: of(flow=flow()),
    "flows.masks.halves": lambda: of(dim=4),
    "flows.masks.random": lambda: of(dim=4),
    "flows.masks.checkerboard": lambda: of(shape=(1, 4, 4)),
    "flows.masks.channel": lambda: of(shape=(2, 4, 4)),
    "flows.masks.Split": lambda: of(mask=MASK),
    "flows.masks.as_mask": lambda: of(mask=MASK),
    "flows.masks.in_short": lambda: of(mask=MASK),
    # gan
    "gan.MLPGenerator": lambda: of(shape=(1, 4, 4), n_classes=3, latent=2, width=4, label=LABEL, z=noise(4, 2), n=4),
    "gan.ProjectionDiscriminator": lambda: of(shape=(1, 4, 4), n_classes=3, width=4, label=LABEL, y=pictures(4, 1, 4)),
    "gan.UNetGenerator": lambda: of(
        in_channels=1, out_channels=1, width=2, depth=2, noise=1, x=pictures(), z=pictures(), n=4, label=pictures()
    ),
    "gan.PatchDiscriminator": lambda: of(in_channels=2, width=2, n_layers=1, x=pictures(), y=pictures()),
    "gan.Pix2Pix": lambda: of(
        G=unet(), D=gan.PatchDiscriminator(2, width=2, n_layers=1), batch=(pictures(), pictures())
    ),
    "gan.ClassConditional": lambda: of(
        G=gan.MLPGenerator((1, 4, 4), 3, latent=2, width=4, depth=1),
        D=gan.ProjectionDiscriminator((1, 4, 4), 3, width=4, depth=1),
        batch=(pictures(4, 1, 4), LABEL),
    ),
    "gan.best_discriminator": lambda: of(log_ratio=noise(3)),
    "gan.discriminator_loss": lambda: of(real=noise(3), fake=noise(3)),
    "gan.generator_loss": lambda: of(fake=noise(3)),
    "gan.generate": lambda: of(G=unet(), x_or_label=pictures(), z=pictures()),
    "gan.r1": lambda: (lambda y: {"logits": (y**2).sum(1), "y": y})(noise(3, 2).requires_grad_()),
    # autoencoders
    "autoencoder.Autoencoder": lambda: AUTOENCODER,
    "autoencoder.VAE": lambda: AUTOENCODER,
    "autoencoder.ELBO": lambda: of(vae=autoencoder.VAE(6, 2, 8, n_classes=3), batch=(noise(4, 6), LABEL)),
    "autoencoder.Reconstruction": lambda: of(ae=autoencoder.Autoencoder(6, 2, 8), batch=noise(4, 6)),
    # train
    "train.fit": lambda: of(objective=flows.MaximumLikelihood(flow()), data=X, steps=1, batch_size=2, progress=False),
    "train.save": lambda: of(module=nn.Linear(2, 2), path="weights.safetensors"),
    "train.load": lambda: of(module=nn.Linear(2, 2), path=stored()),
    "train.History": lambda: of(path=kept(), content=train.History().to_dict()),
    # plots
    "plots.Figure": lambda: of(canvas=canvas(), alt="a line", path="figure.png"),
    "plots.Panel": lambda: of(draw=lambda ax: None, settings={"title": "t"}),
    "plots.Table": lambda: of(columns=["a", "b"], rows=[plots.Row("r", [1.0, 2.0])], caption="Numbers."),
    "plots.table": lambda: of(columns=["a", "b"], rows=[plots.Row("r", [1.0, 2.0])], caption="Numbers."),
    "plots.areas": lambda: of(x=ALONG, density=ALONG, intervals=[(0, 0.5)], more=SETTINGS),
    "plots.arrows": lambda: of(at=X, vectors=X, sets={"a": X}, more=SETTINGS),
    "plots.figure": lambda: of(panels=plots.lines(ALONG, {"a": ALONG}), alt="a line"),
    "plots.heatmap": lambda: of(values=X, extent=(0, 1, 0, 1), more=SETTINGS),
    "plots.histogram": lambda: of(
        samples={"a": ALONG}, x=ALONG, density={"p": ALONG}, span=(0, 1), marks={"m": 0.5}, more=SETTINGS
    ),
    "plots.image_rows": lambda: of(columns=["1", "2", "3", "4"], more=of(row=pictures())),
    "plots.lines": lambda: of(
        x=ALONG,
        curves={"a": ALONG, "b": ALONG},
        points={"c": (ALONG, ALONG)},
        band=(ALONG, ALONG),
        marks={"m": 0.5},
        notes=[("n", 0.5, 0.5)],
        more=SETTINGS,
    ),
    "plots.pictures": lambda: of(images=pictures(), more=SETTINGS),
    "plots.points": lambda: of(sets={"a": X, "b": X}, more=SETTINGS),
}


def stored() -> str:
    train.save(nn.Linear(2, 2), "stored.safetensors")
    return "stored.safetensors"


def kept() -> str:
    train.History().save("kept.json")
    return "kept.json"
