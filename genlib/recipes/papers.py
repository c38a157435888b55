"""Recipes at the papers' sizes, with the papers' settings, for GPUs. Data are downloaded once."""

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader, Dataset

from genlib import data, diffusion, flows, gan
from genlib.arguments import Count, Dropout, NonNegative, Positive, Width, checked
from genlib.recipes.laptop import mirrored
from genlib.recipes.recipe import Recipe

CHEAP = {"checkpoint_every": 1000, "log_every": 50, "sample_every": 5000, "decay": None}


@checked
def ddpm_cifar10(
    width: Width = 128,
    n_blocks: Width = 2,
    T: Count = 1000,
    variance: Literal["beta", "beta_tilde"] = "beta",
    dropout: Dropout = 0.1,
    lr: Positive = 2e-4,
) -> nn.Module:
    net = diffusion.UNet.paper(width=width, n_blocks=n_blocks, dropout=dropout)
    schedule = diffusion.Schedule.linear(T=T)
    ddpm = diffusion.DDPM(net, schedule, predict="eps", variance=variance, levels=256, shape=(3, 32, 32))
    return diffusion.Denoising(ddpm, lr=lr)


@checked
def iddpm_cifar10(
    width: Width = 128,
    n_blocks: Width = 3,
    T: Count = 4000,
    minimise: Literal["vlb", "hybrid"] = "vlb",
    dropout: Dropout = 0.3,
    lr: Positive = 1e-4,
) -> nn.Module:
    changes = {"width": width, "n_blocks": n_blocks, "attention": (2, 4), "heads": 4, "dropout": dropout}
    net = diffusion.UNet.paper(**changes, learned_variance=True)
    schedule = diffusion.Schedule.cosine(T=T)
    ddpm = diffusion.DDPM(net, schedule, predict="eps", variance="learned", levels=256, shape=(3, 32, 32))
    return (diffusion.VariationalBound if minimise == "vlb" else diffusion.Denoising)(ddpm, lr=lr)


@checked
def realnvp_cifar10(
    width: Width = 64, n_blocks: Width = 8, lr: Positive = 1e-3, weight_decay: NonNegative = 5e-5
) -> nn.Module:
    return flows.MaximumLikelihood(flows.RealNVP.paper(width=width, n_blocks=n_blocks), lr, weight_decay)


@checked
def pix2pix_facades(
    width: Width = 64, depth: Width = 8, lam: NonNegative = 100.0, dropout: Dropout = 0.5, lr: Positive = 2e-4
) -> nn.Module:
    G = gan.UNetGenerator(3, 3, width=width, depth=depth, dropout=dropout)
    return gan.Pix2Pix(G, gan.PatchDiscriminator(6, width=width), lam=lam, lr=lr)


def cifar10(split: str, data_dir: Path | None) -> Any:
    x = data.cifar10(split, data_dir=data_dir).x  # type: ignore[arg-type]
    return mirrored(x)[0] if split == "train" else x


def cifar10_integers(split: str, data_dir: Path | None) -> Any:
    x = data.cifar10(split, integers=True, data_dir=data_dir).x.byte()  # type: ignore[arg-type]
    return mirrored(x)[0] if split == "train" else x


class Jittered(Dataset):
    """Pairs, enlarged to 286 pixels and cut out again at a random place, one half of them mirrored.
    Ref: Isola et al. 2017, §6.2."""

    def __init__(self, x: Tensor, y: Tensor, enlarged: int = 286) -> None:
        self.side, self.enlarged, self.pairs = x.shape[-1], enlarged, torch.cat([x, y], 1)
        self.n_x = x.shape[1]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        pair = interpolate(self.pairs[i : i + 1], self.enlarged, mode="bicubic", antialias=True).clamp(-1, 1)[0]
        top, left = torch.randint(self.enlarged - self.side + 1, (2,)).tolist()
        pair = pair[:, top : top + self.side, left : left + self.side]
        pair = pair.flip(2) if torch.rand(()) < 0.5 else pair
        return pair[: self.n_x], pair[self.n_x :]


def facades(split: str, data_dir: Path | None) -> Any:
    pairs = data.facades(split, data_dir=data_dir)  # type: ignore[arg-type]
    return DataLoader(Jittered(*pairs), batch_size=1, shuffle=True) if split == "train" else pairs


PAPERS = [
    Recipe(
        "ddpm-cifar10",
        "The diffusion model of the DDPM paper, on CIFAR-10.",
        ddpm_cifar10,
        cifar10,
        "long; not measured (10.6 hours on a TPU v3-8 in the paper)",
        "Ho et al. 2020, §4 and app. B",
        {**CHEAP, "steps": 800_000, "batch_size": 128, "warmup": 5000, "ema_decay": 0.9999},
        {"FID": 3.17, "bits/dim": 3.75},
        {"steps": 100},
    ),
    Recipe(
        "iddpm-cifar10",
        "The diffusion model of Improved DDPM, on CIFAR-10: the bound itself, t drawn by importance.",
        iddpm_cifar10,
        cifar10,
        "long; not measured",
        "Nichol & Dhariwal 2021, §3 and app. A",
        {**CHEAP, "steps": 500_000, "batch_size": 128, "ema_decay": 0.9999},
        {"FID": 11.47, "bits/dim": 2.94},
        {"steps": 100},
    ),
    Recipe(
        "realnvp-cifar10",
        "The flow of the RealNVP paper, on CIFAR-10.",
        realnvp_cifar10,
        cifar10_integers,
        "long; not measured",
        "Dinh et al. 2017, §4.1; the number of steps is ours, for the paper gives none",
        {**CHEAP, "steps": 400_000, "batch_size": 64, "channels_last": True},
        {"bits/dim": 3.49},
    ),
    Recipe(
        "pix2pix-facades",
        "pix2pix from labels to photos of house fronts, 256 × 256.",
        pix2pix_facades,
        facades,
        "long; not measured",
        "Isola et al. 2017, §6.2: 200 passes over 400 pairs, one at a time",
        {**CHEAP, "steps": 80_000, "batch_size": 1, "clip": None},
    ),
]
