"""Seconds per step beside the libraries that a user would pick instead: `python benchmarks/steps.py`.

Each table is one piece of work of one size: the same arithmetic everywhere, as many parameters as widths allow. Each
library lives in a process of its own; they take turns, so that whatever else the machine does hits all of them alike,
and what is printed are medians over the rounds, of seconds and of ratios, with their quartiles.

Twice: "as used", each with the optimizer and the clipping that its users take, over ours inside `train.fit`, which also
clips, averages the weights, checks that all is finite, and keeps a history; and "equal", a fused Adam and nothing else
for all, over ours in the same bare loop. On one thread the clock is that of the processor: on a quiet machine it is the
one on the wall, on a busy one it leaves out the waiting. On two threads it is the one on the wall.

Then ours alone: the share of the best speed that a plain convolution reaches here, forward and backward; and how the
cost grows with size, batch, T and depth, as the slope of log seconds over the log of each.

The peers are no dependencies of genlib; those that are missing are left out. To have them without touching torch:

    python -m venv --system-site-packages /tmp/peers
    /tmp/peers/bin/pip install --no-deps normflows nflows FrEIA UMNN zuko smalldiffusion denoising-diffusion-pytorch \
        ema-pytorch einops diffusers accelerate huggingface_hub torchvision
    /tmp/peers/bin/python benchmarks/steps.py
"""

import argparse
import importlib.metadata
import importlib.util
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peers import Dense, declare_torchvision
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from genlib import diffusion, flows, gan, train

Clock = Callable[[], float]
Timed = Callable[[int, Clock], float]  # so many steps, and how many seconds they took
Built = tuple[nn.Module, Timed]  # a model, whose parameters are counted, and its steps
Builder = Callable[[bool, bool], Built]  # of `equal`, whether at equal settings, and `quick`, whether small
Ask = Callable[..., dict[str, Any]]

IMPORTED = {"denoising-diffusion-pytorch": "denoising_diffusion_pytorch", "plain torch": "torch"}


# -- What a step is


def repeated(step: Callable[[], object]) -> Timed:
    def run(n: int, clock: Clock) -> float:
        begun = clock()
        for _ in range(n):
            step()
        return clock() - begun

    return run


def peer(
    model: nn.Module, loss: Callable[[], Tensor], equal: bool, used: Any = torch.optim.Adam, clip: float | None = None
) -> Built:
    """Loss, gradients, and the optimizer that is used, after clipping; or, at equal settings, a fused Adam."""
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, 1e-3, fused=True) if equal else used(parameters, 1e-3)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        if clip and not equal:
            nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()

    return model, repeated(step)


def bare(objective: Any, data: Sequence[Any]) -> Built:
    """An objective of ours in the shortest loop that trains it."""
    optimizers, batches = objective.optimizers(), itertools.cycle(data)

    def step() -> None:
        for name, loss, _ in objective.losses(next(batches)):
            optimizer = optimizers[name]
            optimizer.zero_grad()
            loss.backward(inputs=[p for group in optimizer.param_groups for p in group["params"]])
            optimizer.step()

    return objective, repeated(step)


def in_fit(objective: Any, data: Sequence[Any]) -> Built:
    """The same in `fit`, which shuffles; the first step, before which it prepares, does not count."""
    together = torch.cat(list(data)) if isinstance(data[0], Tensor) else tuple(map(torch.cat, zip(*data, strict=True)))
    batch_size = len(data[0] if isinstance(data[0], Tensor) else data[0][0])

    def run(n: int, clock: Clock) -> float:
        times: list[float] = []
        options = {"log_every": 1, "progress": False, "report": lambda _: times.append(clock())}
        train.fit(objective, together, steps=n + 1, batch_size=batch_size, **options)
        return times[-1] - times[0]

    return objective, run


def ours(make: Callable[[bool], tuple[Any, Sequence[Any]]], loop: Callable[..., Built], **to: Any) -> Builder:
    """The builder of a side of ours, which is the same at equal settings."""

    def build(equal: bool, quick: bool) -> Built:
        objective, data = make(quick)
        return loop(objective.to(**to) if to else objective, data)

    return build


# -- DDPM: a U-Net of 2.6 M parameters, of two levels, one block each, on 1 × 16 × 16, batch 64


def pictures(n: int, *shape: int) -> list[Tensor]:
    """Four batches in [−1, 1]."""
    return [2 * torch.rand(n, *shape) - 1 for _ in range(4)]


def unet_objective(
    quick: bool, side: int = 16, batch: int = 64, T: int = 1000, n_blocks: int = 1, width: int = 64
) -> tuple[Any, list[Tensor]]:
    net = diffusion.UNet(1, 32 if quick else width, (1, 2), n_blocks)
    ddpm = diffusion.DDPM(net, diffusion.Schedule.linear(T), shape=(1, side, side))
    return diffusion.Denoising(ddpm, lr=1e-3), pictures(batch // 16 if quick else batch, 1, side, side)


def sizes(quick: bool) -> tuple[int, int]:
    """Width and batch size of the U-Nets."""
    return (32, 4) if quick else (64, 64)


def diffusers_unet(width: int) -> nn.Module:
    declare_torchvision()
    import diffusers  # type: ignore

    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    shapes = {"layers_per_block": 1, "block_out_channels": (width, 2 * width)}
    return diffusers.UNet2DModel(sample_size=16, in_channels=1, out_channels=1, **shapes, **blocks)


def diffusers_step(equal: bool, quick: bool) -> Built:
    """As in its train_unconditional.py."""
    width, n = sizes(quick)
    model = diffusers_unet(width)
    import diffusers  # type: ignore

    chain, batches = diffusers.DDPMScheduler(), itertools.cycle(pictures(n, 1, 16, 16))

    def loss() -> Tensor:
        x_0 = next(batches)
        noise, t = torch.randn_like(x_0), torch.randint(0, 1000, (len(x_0),))
        return functional.mse_loss(model(chain.add_noise(x_0, noise, t), t).sample, noise)

    return peer(model, loss, equal, torch.optim.AdamW, clip=1.0)


def small_unet(width: int) -> nn.Module:
    declare_torchvision()
    import smalldiffusion  # type: ignore

    shapes = {"ch": width, "ch_mult": (1, 2), "num_res_blocks": 1, "attn_resolutions": ()}
    return smalldiffusion.Scaled(smalldiffusion.Unet)(16, 1, 1, dropout=0.0, **shapes)


def small_step(equal: bool, quick: bool) -> Built:
    """As in its training_loop."""
    width, n = sizes(quick)
    model = small_unet(width)
    import smalldiffusion  # type: ignore

    schedule, batches = smalldiffusion.ScheduleDDPM(), itertools.cycle(pictures(n, 1, 16, 16))

    def loss() -> Tensor:
        x_0, sigma, eps, told = smalldiffusion.generate_train_sample(next(batches), schedule)
        return model.get_loss(x_0, sigma, eps, cond=told)  # type: ignore

    return peer(model, loss, equal, torch.optim.AdamW)


def lucidrains_model(width: int, **options: Any) -> nn.Module:
    """Its blocks have other layers: at 29/32 of the width, which must be even, there are as many parameters."""
    declare_torchvision()
    from denoising_diffusion_pytorch import GaussianDiffusion, Unet  # type: ignore

    unet = Unet(2 * (29 * width // 64), dim_mults=(1, 2), channels=1)
    return GaussianDiffusion(unet, image_size=16, objective="pred_noise", beta_schedule="linear", **options)


def lucidrains_step(equal: bool, quick: bool) -> Built:
    """As in its Trainer, but for the average of the weights at every tenth step."""
    width, n = sizes(quick)
    model = lucidrains_model(width)
    batches = itertools.cycle(pictures(n, 1, 16, 16))
    return peer(model, lambda: model(next(batches)), equal, clip=1.0)


# -- 50 steps of DDIM with these networks, 4 pictures


def sampled(quick: bool) -> tuple[int, int]:
    """Steps and pictures."""
    return (4, 2) if quick else (50, 4)


def ours_ddim(equal: bool, quick: bool, steps: int | None = None) -> Built:
    objective, _ = unet_objective(quick)
    calls, n = sampled(quick)
    return objective, repeated(lambda: objective.model.sample(n, steps=steps or calls))


def diffusers_ddim(equal: bool, quick: bool) -> Built:
    model, (steps, n) = diffusers_unet(sizes(quick)[0]), sampled(quick)
    import diffusers  # type: ignore

    pipeline = diffusers.DDIMPipeline(model, diffusers.DDIMScheduler())
    pipeline.set_progress_bar_config(disable=True)
    return model, repeated(lambda: pipeline(batch_size=n, num_inference_steps=steps, output_type="np"))


def small_ddim(equal: bool, quick: bool) -> Built:
    model, (steps, n) = small_unet(sizes(quick)[0]), sampled(quick)
    import smalldiffusion  # type: ignore

    sigmas, accelerator = smalldiffusion.ScheduleDDPM().sample_sigmas(steps), smalldiffusion.diffusion.Accelerator()
    options = {"gam": 1, "batchsize": n, "accelerator": accelerator}
    return model, repeated(lambda: [None for _ in smalldiffusion.samples(model, sigmas, **options)])


def lucidrains_ddim(equal: bool, quick: bool) -> Built:
    steps, n = sampled(quick)
    model = lucidrains_model(sizes(quick)[0], sampling_timesteps=steps)
    return model, repeated(lambda: model.sample(n))  # type: ignore


# -- Flows on the plane: 8 couplings, networks of two hidden layers of 64 ReLUs, batch 512


def plane_objective(quick: bool, n_couplings: int = 8, batch: int = 512) -> tuple[Any, list[Tensor]]:
    flow = flows.fused(flows.RealNVP.for_vectors(2, n_couplings, 64))
    return flows.MaximumLikelihood(flow), points(quick, batch)


def points(quick: bool, batch: int = 512) -> list[Tensor]:
    return [torch.randn(batch // 8 if quick else batch, 2) for _ in range(4)]


def flow_peer(model: Any, log_prob: Callable[[Tensor], Tensor], data: Sequence[Tensor], equal: bool) -> Built:
    batches = itertools.cycle(data)
    return peer(model, lambda: -log_prob(next(batches)).mean(), equal)


def normflows_plane(equal: bool, quick: bool) -> Built:
    import normflows as nf  # type: ignore

    layers = []
    for _ in range(8):
        layers.append(nf.flows.AffineCouplingBlock(nf.nets.MLP([1, 64, 64, 2], init_zeros=True)))
        layers.append(nf.flows.Permute(2, mode="swap"))
    model = nf.NormalizingFlow(nf.distributions.base.DiagGaussian(2, trainable=False), layers)
    return flow_peer(model, model.log_prob, points(quick), equal)


def nflows_plane(equal: bool, quick: bool) -> Built:
    from nflows.distributions.normal import StandardNormal  # type: ignore
    from nflows.flows.base import Flow  # type: ignore
    from nflows.transforms import AffineCouplingTransform, CompositeTransform  # type: ignore

    masks = [[1.0, -1.0] if k % 2 else [-1.0, 1.0] for k in range(8)]
    layers = [AffineCouplingTransform(mask, partial(Dense, width=64)) for mask in masks]
    model = Flow(CompositeTransform(layers), StandardNormal([2]))
    return flow_peer(model, model.log_prob, points(quick), equal)


def freia_plane(equal: bool, quick: bool) -> Built:
    import FrEIA.framework as ff  # type: ignore

    return freia(ff.SequenceINN(2), partial(Dense, width=64), points(quick), equal)


def freia(model: Any, net: Callable[[int, int], nn.Module], data: Sequence[Tensor], equal: bool) -> Built:
    """A sequence with 8 more couplings, and N(0, I) up to a constant."""
    import FrEIA.modules as fm  # type: ignore

    for _ in range(8):
        model.append(fm.AllInOneBlock, subnet_constructor=net)

    def log_prob(x: Tensor) -> Tensor:
        z, log_det = model(x)
        return log_det - 0.5 * z.flatten(1).square().sum(1)

    return flow_peer(model, log_prob, data, equal)


def zuko_plane(equal: bool, quick: bool) -> Built:
    import zuko  # type: ignore

    model = zuko.flows.RealNVP(2, transforms=8, hidden_features=(64, 64))
    return flow_peer(model, lambda x: model().log_prob(x), points(quick), equal)


# -- Flows on pictures: 1 × 28 × 28 squeezed once, 8 couplings, three 3 × 3 convolutions of width 64 in each, batch 32


class Conv(nn.Module):
    """The network that all of them are given."""

    def __init__(self, n_in: int, n_out: int, width: int) -> None:
        super().__init__()
        widths = itertools.pairwise((n_in, width, width, n_out))
        first, hidden, last = (nn.Conv2d(*pair, 3, padding=1) for pair in widths)
        self.layers = nn.Sequential(first, nn.ReLU(), hidden, nn.ReLU(), last)

    def forward(self, x: Tensor, context: None = None) -> Tensor:
        return self.layers(x)


def image_size(quick: bool) -> tuple[Callable[[int, int], nn.Module], list[Tensor]]:
    """The network's constructor, and batches."""
    return partial(Conv, width=8 if quick else 64), pictures(2 if quick else 32, 1, 28, 28)


def image_objective(quick: bool) -> tuple[Any, list[Tensor]]:
    net, data = image_size(quick)
    masks = [flows.masks.channel((4, 14, 14), swap=k % 2 == 1) for k in range(8)]
    couplings = [flows.AffineCoupling(mask, net(2, 4)) for mask in masks]
    flow = flows.Flow([flows.Squeeze(), *couplings, flows.Inverse(flows.Squeeze())], (1, 28, 28))
    return flows.MaximumLikelihood(flows.fused(flow)), data


def normflows_image(equal: bool, quick: bool) -> Built:
    import normflows as nf  # type: ignore

    (net, data), layers = image_size(quick), []
    for _ in range(8):
        layers += [nf.flows.AffineCouplingBlock(net(2, 4)), nf.flows.Permute(4, mode="swap")]
    base = nf.distributions.base.DiagGaussian((4, 14, 14), trainable=False)
    model = nf.NormalizingFlow(base, [*layers, nf.flows.Squeeze()])
    return flow_peer(model, model.log_prob, data, equal)


def nflows_image(equal: bool, quick: bool) -> Built:
    from nflows.distributions.normal import StandardNormal  # type: ignore
    from nflows.flows.base import Flow  # type: ignore
    from nflows.transforms import AffineCouplingTransform, CompositeTransform, SqueezeTransform  # type: ignore

    net, data = image_size(quick)
    masks = [[1.0, 1.0, -1.0, -1.0] if k % 2 else [-1.0, -1.0, 1.0, 1.0] for k in range(8)]
    layers = [SqueezeTransform(), *(AffineCouplingTransform(mask, net) for mask in masks)]
    model = Flow(CompositeTransform(layers), StandardNormal([4, 14, 14]))
    return flow_peer(model, model.log_prob, data, equal)


def freia_image(equal: bool, quick: bool) -> Built:
    import FrEIA.framework as ff  # type: ignore
    import FrEIA.modules as fm  # type: ignore

    net, data = image_size(quick)
    model = ff.SequenceINN(1, 28, 28)
    model.append(fm.IRevNetDownsampling)
    return freia(model, net, data, equal)


# -- pix2pix, beside the layers of its reference in plain torch: each size inside the next, and its skip joined by cat


def pairs(batch: int, side: int) -> list[tuple[Tensor, Tensor]]:
    return list(zip(pictures(batch, 3, side, side), pictures(batch, 3, side, side), strict=True))


def gan_size(quick: bool, side: int) -> tuple[int, int, list[tuple[Tensor, Tensor]]]:
    """Width, depth and batches."""
    if quick:
        return 4, 5, pairs(1, 32)
    return 64, int(math.log2(side)), pairs(1 if side == 256 else 4, side)


def gan_objective(quick: bool, side: int) -> tuple[Any, list[tuple[Tensor, Tensor]]]:
    width, depth, data = gan_size(quick, side)
    G, D = gan.UNetGenerator(3, 3, width, depth, dropout=0.5), gan.PatchDiscriminator(6, width)
    return gan.Pix2Pix(G, D), data


class Beside(nn.Module):
    """Layers, and beside what they give their input, which the first of them has activated in place."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.layers(x)], dim=1)


def reference_generator(width: int, depth: int) -> nn.Module:
    widths, inside = [width * min(2**i, 8) for i in range(depth)], []
    for i in reversed(range(depth - 1)):
        outer, inner, innermost = widths[i], widths[i + 1], i == depth - 2
        down = [nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(outer, inner, 4, 2, 1, bias=False)]
        up = nn.ConvTranspose2d(inner if innermost else 2 * inner, outer, 4, 2, 1, bias=False)
        inside = [
            Beside(
                *down,
                *([] if innermost else [nn.BatchNorm2d(inner)]),
                *inside,
                nn.ReLU(inplace=True),
                up,
                nn.BatchNorm2d(outer),
                *([nn.Dropout(0.5)] if depth - 5 <= i < depth - 2 else []),
            )
        ]
    ends = nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.ConvTranspose2d(2 * width, 3, 4, 2, 1)
    return nn.Sequential(ends[0], *inside, nn.ReLU(inplace=True), ends[1], nn.Tanh())


def reference_discriminator(width: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(6, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
    for i, stride in enumerate((2, 2, 1)):
        n_in, n_out = width * 2**i, width * 2 ** (i + 1)
        conv = nn.Conv2d(n_in, n_out, 4, stride, 1, bias=False)
        layers += [conv, nn.BatchNorm2d(n_out), nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))


def reference_step(equal: bool, quick: bool, side: int) -> Built:
    """One step for D, whose loss is halved, then one for G, with 100 times L1."""
    width, depth, data = gan_size(quick, side)
    G, D, batches = reference_generator(width, depth), reference_discriminator(width), itertools.cycle(data)
    fused = {"fused": True} if equal else {}
    adam_G, adam_D = (torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999), **fused) for net in (G, D))

    def cost(x: Tensor, y: Tensor, real: float) -> Tensor:
        logits = D(torch.cat([x, y], dim=1))
        return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, real))

    def step() -> None:
        x, y = next(batches)
        fake = G(x)
        D.requires_grad_(True)
        adam_D.zero_grad()
        (0.5 * (cost(x, fake.detach(), 0.0) + cost(x, y, 1.0))).backward()
        adam_D.step()
        D.requires_grad_(False)
        adam_G.zero_grad()
        (cost(x, fake, 1.0) + 100 * functional.l1_loss(fake, y)).backward()
        adam_G.step()

    return nn.ModuleList([G, D]), repeated(step)


# -- The tables


@dataclass(frozen=True)
class Table:
    """What is compared: so many rounds, in each so many steps of each side."""

    sides: dict[str, Builder]
    steps: int
    rounds: int
    columns: tuple[str, ...] = ("as used", "equal")


LAST = {"memory_format": torch.channels_last}


def gan_table(side: int) -> Table:
    make = partial(gan_objective, side=side)
    sides: dict[str, Builder] = {"genlib": ours(make, bare), "genlib in fit": ours(make, in_fit)}
    if side < 256:  # there channels last is slower
        sides["genlib in fit, channels last"] = ours(make, in_fit, **LAST)
    return Table({**sides, "plain torch": partial(reference_step, side=side)}, 1, 3)


TABLES: dict[str, Table] = {
    "DDPM step, 2.6 M, 1×16×16, batch 64": Table(
        {
            "genlib": ours(unet_objective, bare),
            "genlib in fit": ours(unet_objective, in_fit),
            "diffusers": diffusers_step,
            "smalldiffusion": small_step,
            "denoising-diffusion-pytorch": lucidrains_step,
        },
        1,
        3,
    ),
    "DDIM, 50 steps, 4 pictures, the same U-Nets": Table(
        {
            "genlib": ours_ddim,
            "diffusers": diffusers_ddim,
            "smalldiffusion": small_ddim,
            "denoising-diffusion-pytorch": lucidrains_ddim,
        },
        1,
        3,
        ("as used",),
    ),
    "2-D flow step, 8 couplings, width 64, batch 512": Table(
        {
            "genlib": ours(plane_objective, bare),
            "genlib in fit": ours(plane_objective, in_fit),
            "normflows": normflows_plane,
            "nflows": nflows_plane,
            "FrEIA": freia_plane,
            "zuko": zuko_plane,
        },
        20,
        9,
    ),
    "image flow step, 1×28×28, width 64, batch 32": Table(
        {
            "genlib": ours(image_objective, bare),
            "genlib in fit": ours(image_objective, in_fit),
            "genlib in fit, channels last": ours(image_objective, in_fit, **LAST),
            "normflows": normflows_image,
            "nflows": nflows_image,
            "FrEIA": freia_image,
        },
        1,
        5,
    ),
    "pix2pix step, 256², batch 1": gan_table(256),
    "pix2pix step, 64², batch 4": gan_table(64),
}


def grown(make: Callable[..., tuple[Any, Sequence[Any]]], name: str, values: Sequence[int], **fixed: Any) -> Table:
    """Bare steps of ours, of several sizes."""
    return Table({str(v): ours(partial(make, **{name: v}, **fixed), bare) for v in values}, 1, 5, ("equal",))


SMALL = {"width": 32, "batch": 16}
SLOPES: dict[str, Table] = {
    "U-Net step over the side of a picture": grown(unet_objective, "side", (8, 16, 32), **SMALL),
    "U-Net step over the batch": grown(unet_objective, "batch", (16, 32, 64), width=32),
    "U-Net step over T": grown(unet_objective, "T", (100, 1000, 4000), **SMALL),
    "U-Net step over the blocks of a level": grown(unet_objective, "n_blocks", (1, 2, 4), **SMALL),
    "DDIM over its steps": Table(
        {str(k): partial(ours_ddim, steps=k) for k in (5, 10, 20)}, steps=1, rounds=5, columns=("equal",)
    ),
    "2-D flow step over the batch": grown(plane_objective, "batch", (128, 512, 2048)),
    "2-D flow step over the couplings": grown(plane_objective, "n_couplings", (4, 8, 16, 32)),
}


# -- In the process of a library


def worker() -> None:
    """Read jobs, a line of JSON each, and answer each with one."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    built: dict[str, tuple[Timed, dict[str, float]]] = {}
    cell = None
    for line in sys.stdin:
        job = json.loads(line)
        torch.set_num_threads(job["threads"])
        clock = time.process_time if job["threads"] == 1 else time.perf_counter
        if job["do"] == "limit":
            print(json.dumps({"flops": limit(clock, job["quick"])}), file=answers, flush=True)
            continue
        if cell != (job["table"], job["column"]):  # the models of one cell at a time
            built, cell = {}, (job["table"], job["column"])
        if job["side"] not in built:
            table = (TABLES | SLOPES)[job["table"]]
            torch.manual_seed(0)
            model, timed = table.sides[job["side"]](job["column"] == "equal", job["quick"])
            with FlopCounterMode(display=False) as counter:
                timed(1, clock)  # and warms up
            n = sum(p.numel() for p in model.parameters())
            counts: dict[str, float] = {"parameters": n, "flops": counter.get_total_flops()}
            built[job["side"]] = timed, counts
        timed, counts = built[job["side"]]
        seconds = timed(job["steps"], clock) / job["steps"] if job["do"] == "time" else 0.0
        print(json.dumps({"seconds": seconds, **counts}), file=answers, flush=True)


def limit(clock: Clock, quick: bool) -> float:
    """FLOP/s of a plain 3 × 3 convolution, forward and backward: the best of some shapes and tries."""
    best = 0.0
    for batch, width, side in ((4, 16, 8),) if quick else ((64, 64, 16), (64, 128, 8), (16, 128, 32), (8, 256, 32)):
        conv, x = nn.Conv2d(width, width, 3, padding=1), torch.randn(batch, width, side, side, requires_grad=True)
        for layout in (torch.contiguous_format, torch.channels_last):
            conv, x = conv.to(memory_format=layout), x.detach().to(memory_format=layout).requires_grad_()  # type: ignore
            step = repeated(lambda conv=conv, x=x: conv(x).sum().backward())
            step(1, clock)
            seconds = min(step(1, clock) for _ in range(1 if quick else 5))
            best = max(best, 3 * 2 * 9 * width**2 * batch * side**2 / seconds)
    return best


# -- Outside


@contextmanager
def workers() -> Iterator[Ask]:
    """A process for each library, started when it is first asked."""
    running: dict[str, Any] = {}

    def ask(library: str, **job: Any) -> dict[str, Any]:
        if library not in running:
            command = [sys.executable, str(Path(__file__).resolve()), "--worker"]
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            quiet = os.environ | {"TQDM_DISABLE": "1"}
            running[library] = subprocess.Popen(command, env=quiet, **pipes)
        process = running[library]
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{library} has ended with {job}")
        return json.loads(answer)

    try:
        yield ask
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def library(side: str) -> str:
    """Which process a side lives in; those of ours, also those that are named by a size, in one."""
    return "genlib" if side.startswith("genlib") or side.isdecimal() else side


def present(table: Table) -> list[str]:
    names = {side: library(side) for side in table.sides}
    return [side for side, name in names.items() if importlib.util.find_spec(IMPORTED.get(name, name))]


def in_turn(ask: Ask, name: str, table: Table, column: str, threads: int, quick: bool) -> dict[str, list[float]]:
    """Seconds a step, for each side in each round."""
    sides, seconds = present(table), {side: [] for side in present(table)}
    steps, rounds = (1, 2) if quick else (table.steps, table.rounds)
    job = {"table": name, "column": column, "threads": threads, "quick": quick, "steps": steps}
    for side in sides:
        ask(library(side), do="build", side=side, **job)
    for r in range(rounds):
        for side in sides if r % 2 else reversed(sides):
            seconds[side].append(ask(library(side), do="time", side=side, **job)["seconds"])
    return seconds


def row(table: str, side: str, column: str, values: Sequence[float]) -> dict[str, Any]:
    """Median, and the quartiles if there are several values."""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else (0.0, 0.0, 0.0)
    spread = [low, high] if len(values) > 1 else None
    return {"table": table, "side": side, "column": column, "median": statistics.median(values), "spread": spread}


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Of log y over log x, by least squares."""
    return statistics.linear_regression([math.log(a) for a in x], [math.log(b) for b in y]).slope


def counted(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """All that is measured, seconds, ratios, shares and slopes: {"table", "side", "column", "median", "spread"}.

    With `quick` the models are tiny and each is timed twice, on one thread: the numbers mean nothing.
    """
    found, n_threads = [], (1,) if quick else (1, 2)
    with workers() as ask:
        best = {n: ask("genlib", do="limit", threads=n, quick=quick)["flops"] for n in n_threads}
        for n in n_threads:
            found.append(row("convolution", "plain torch", f"GFLOP/s, {counted(n)}", [best[n] / 1e9]))
        for name, table in TABLES.items():
            job = {"do": "build", "table": name, "column": table.columns[0], "threads": 1, "quick": quick}
            counts = {side: ask(library(side), side=side, **job) for side in present(table)}
            found += [row(name, side, "parameters", [count["parameters"]]) for side, count in counts.items()]
            for column, n in itertools.product(table.columns, n_threads):
                seconds = in_turn(ask, name, table, column, n, quick)
                over = seconds["genlib in fit" if column == "as used" and "genlib in fit" in seconds else "genlib"]
                for side, values in seconds.items():
                    found.append(row(name, side, f"{column}, {counted(n)}: seconds", values))
                    ratios = [a / b for a, b in zip(values, over, strict=True)]
                    found.append(row(name, side, f"{column}, {counted(n)}: ratio", ratios))
                if column == table.columns[-1] and "2-D" not in name:
                    shares = [counts["genlib"]["flops"] / best[n] / s for s in seconds["genlib"]]
                    found.append(row("share of the convolution's speed", name, counted(n), shares))
        for name, table in SLOPES.items():
            seconds = in_turn(ask, name, table, "equal", 1, quick)
            x = [float(side) for side in seconds]
            slopes = [slope(x, y) for y in zip(*seconds.values(), strict=True)]
            found.append(row("cost of ours", f"{name}, {x[0]:g} to {x[-1]:g}", "slope", slopes))
    return found


def version(side: str) -> str:
    try:
        return f"{side} {importlib.metadata.version(side)}"
    except importlib.metadata.PackageNotFoundError:
        return side


def show(found: Sequence[dict[str, Any]]) -> None:
    """Under each title a line for each side: medians, each with its quartiles."""
    tables: dict[str, dict[str, dict[str, str]]] = {}
    for r in found:
        cells = tables.setdefault(r["table"], {}).setdefault(version(r["side"]), {})
        column, _, what = r["column"].partition(": ")
        scale, unit = (1e3, " ms") if what == "seconds" else (1, "")
        text = f"{r['median']:,.0f}" if column == "parameters" else f"{scale * r['median']:.3g}{unit}"
        if r["spread"]:
            text += f" ({scale * r['spread'][0]:.3g}–{scale * r['spread'][1]:.3g})"
        cells[column] = f"{cells[column]}, × {text}" if what == "ratio" else text
    for title, sides in tables.items():
        columns = list(dict.fromkeys(column for cells in sides.values() for column in cells))
        lines = [["", *columns], *([side, *(cells.get(c, "") for c in columns)] for side, cells in sides.items())]
        widths = [max(map(len, texts)) for texts in zip(*lines, strict=True)]
        print(f"\n{title}")
        for line in lines:
            print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny models, to see that all of it runs")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each row")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker()
        return
    names = dict.fromkeys(library(side) for table in TABLES.values() for side in table.sides)
    missing = [name for name in names if not importlib.util.find_spec(IMPORTED.get(name, name))]
    for name in missing:
        print(f"{name} is not installed and left out; see the top of this file", file=sys.stderr)
    found = rows(arguments.quick)
    if arguments.json:
        print(*map(json.dumps, found), sep="\n")
    else:
        print(f"torch {torch.__version__}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
        show(found)


if __name__ == "__main__":
    main()
