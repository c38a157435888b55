"""Recipes on data that come with genlib: minutes on a laptop, but for emoji by diffusion, which take two hours."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from genlib import data, diffusion, flows, gan
from genlib.arguments import Count, Dropout, NonNegative, Positive, Share, Width, checked
from genlib.recipes.recipe import Recipe


def mirrored(*columns: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Each picture and its mirror image; what is no picture, twice."""
    return tuple(torch.cat([x, x.flip(3) if x.dim() == 4 else x]) for x in columns)


@checked
def ddpm_digits(
    width: Width = 16, T: Count = 1000, dropout: Dropout = 0.0, label_dropout: Share = 0.1, lr: Positive = 4e-3
) -> nn.Module:
    net = diffusion.UNet.digits(width=width, dropout=dropout)
    ddpm = diffusion.DDPM(net, diffusion.Schedule.cosine(T=T), predict="v", levels=17, shape=(1, 8, 8))
    return diffusion.Denoising(ddpm, lr=lr, label_dropout=label_dropout)


@checked
def ddpm_emoji(
    width: Width = 48,
    mults: tuple[Width, ...] = (1, 2),
    n_blocks: Width = 1,
    patch: Width = 2,
    T: Count = 1000,
    dropout: Dropout = 0.1,
    label_dropout: Share = 0.1,
    lr: Positive = 2e-3,
) -> nn.Module:
    classes = len(data.EMOJI_KINDS)
    net = diffusion.UNet(3, width, mults, n_blocks, n_classes=classes, dropout=dropout, patch=patch)
    ddpm = diffusion.DDPM(net, diffusion.Schedule.cosine(T=T), predict="v", levels=256, shape=(3, 32, 32))
    return diffusion.Denoising(ddpm, lr=lr, label_dropout=label_dropout)


@checked
def realnvp_digits(
    width: Width = 96, n_couplings: Width = 16, dropout: Dropout = 0.3, lr: Positive = 2e-3
) -> nn.Module:
    flow = flows.RealNVP.for_vectors(64, n_couplings, width, levels=17, n_classes=10, mask="random", dropout=dropout)
    return flows.MaximumLikelihood(flow, lr=lr)


@checked
def pix2pix_emoji(
    width: Width = 24,
    depth: Width = 4,
    n_layers: Width = 2,
    lam: NonNegative = 100.0,
    adversarial: NonNegative = 1.0,
    conditional: bool = True,
    noise: Width = 2,
    lr: Positive = 5e-4,
) -> nn.Module:
    G = gan.UNetGenerator(1, 3, width=width, depth=depth, noise=noise)
    D = gan.PatchDiscriminator(4 if conditional else 3, width=width, n_layers=n_layers)
    return gan.Pix2Pix(G, D, lam=lam, lr=lr, adversarial=adversarial, conditional=conditional)


@checked
def pix2pix_textures(
    width: Width = 24, lam: NonNegative = 5.0, mismatched: NonNegative = 2.0, variety: NonNegative = 5.0
) -> nn.Module:
    G = gan.UNetGenerator(3, 1, width=width, depth=3, noise=4)
    D = gan.PatchDiscriminator(1, width=width, n_layers=1, projection=3)
    return gan.Pix2Pix(G, D, lam=lam, lr=4e-4, lr_D=2e-3, mismatched=mismatched, variety=variety)


def digits(split: str, data_dir: Path | None) -> Any:
    return data.digits(split)  # type: ignore[arg-type]


def digits_as_vectors(split: str, data_dir: Path | None) -> Any:
    x, label = data.digits(split, integers=True)  # type: ignore[arg-type]
    return x.flatten(1), label


def emoji(split: str, data_dir: Path | None) -> Any:
    x, y = data.emoji(split)  # type: ignore[arg-type]
    return mirrored(x, y) if split == "train" else (x, y)


def emoji_kinds(split: str, data_dir: Path | None) -> Any:
    x, label = data.emoji_kinds(split)  # type: ignore[arg-type]
    return mirrored(x, label) if split == "train" else (x, label)


def textures(split: str, data_dir: Path | None) -> Any:
    return data.textures(2000, seed=0) if split == "train" else data.textures(256, seed=999)


LAPTOP = [
    Recipe(
        "ddpm-digits",
        "A class-conditional diffusion model of the 8 × 8 digits.",
        ddpm_digits,
        digits,
        "three to seven minutes on one core",
        "lecture 04b, section 12; as Ho et al. 2020, with v and a cosine schedule",
        {"steps": 4000, "log_every": 40, "channels_last": True},
        shows={"steps": 25, "guidance": 0.3},
    ),
    Recipe(
        "ddpm-emoji",
        "A class-conditional diffusion model of six kinds of emoji, 32 × 32, in colour.",
        ddpm_emoji,
        emoji_kinds,
        "two hours on one core",
        "lecture 04b; patches as in Hoogeboom et al. 2023, §3",
        {"steps": 16_000, "batch_size": 32, "warmup": 200, "ema_decay": 0.9995, "log_every": 100},
        shows={"steps": 50, "guidance": 1.0},
    ),
    Recipe(
        "realnvp-digits",
        "A flow of the 8 × 8 digits, given the class.",
        realnvp_digits,
        digits_as_vectors,
        "one to two minutes on one core",
        "lecture 03, section 10; couplings of Dinh et al. 2017 on vectors",
        {"steps": 3000, "log_every": 50},
    ),
    Recipe(
        "pix2pix-emoji",
        "Colours for the outline of an emoji, 32 × 32.",
        pix2pix_emoji,
        emoji,
        "one to two minutes on one core",
        "lecture 02, where batches are larger and rates lower; the losses of Isola et al. 2017",
        {"steps": 2500, "batch_size": 4, "channels_last": True},
    ),
    Recipe(
        "pix2pix-textures",
        "Brick, grass and gravel for a map that says where each is to be, 32 × 32.",
        pix2pix_textures,
        textures,
        "one to five minutes on one core",
        "lecture 02; the losses of Isola et al. 2017, the map as a factor in D",
        {"steps": 1200, "batch_size": 8, "channels_last": True},
    ),
]
