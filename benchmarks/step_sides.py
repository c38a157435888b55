"""What a step is, of ours and of each library, in `steps.py`: the same work of the same size, as many parameters as
widths allow. A builder makes a model and what takes so many of its steps; peers' modules are imported where they are
built, each in a process of its own."""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from peers import Dense, declare_torchvision
from torch import Tensor, nn
from torch.nn import functional

from genlib import diffusion, flows, gan, train

UNTIMED = 2  # steps, at the beginning of each `fit`
Clock = Callable[[], float]
Timed = Callable[[int, Clock], float]  # so many steps, and how many seconds they took
Built = tuple[nn.Module, Timed]  # a model, whose parameters are counted, and its steps
Builder = Callable[[bool, bool], Built]  # of `equal`, whether at equal settings, and `quick`, whether small


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
    """The same in `fit`, which shuffles; the first two steps do not count: it prepares, and asks the system for memory
    that it then keeps."""
    together = torch.cat(list(data)) if isinstance(data[0], Tensor) else tuple(map(torch.cat, zip(*data, strict=True)))
    batch_size = len(data[0] if isinstance(data[0], Tensor) else data[0][0])

    def run(n: int, clock: Clock) -> float:
        times: list[float] = []
        options = {"log_every": 1, "progress": False, "report": lambda _: times.append(clock())}
        train.fit(objective, together, steps=n + UNTIMED, batch_size=batch_size, **options)
        return times[-1] - times[UNTIMED - 1]

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


def ours_ddim(equal: bool, quick: bool, steps: int | None = None, **to: Any) -> Built:
    objective, _ = unet_objective(quick)
    objective = objective.to(**to) if to else objective
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
