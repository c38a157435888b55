"""Digits by diffusion, given the class: which library's are good first. U-Nets are as near to one size as widths allow.

The judge is `metrics.digits_report`, on 300 digits, 30 of each class, drawn by each library's own sampler. Every side
has a training of its own in `DEFAULTS`, as its authors run it, with the class given where they do not give one; in
`GRID` all have the same ones. What is drawn at random for a batch (examples, steps, noise) each draws its own way, and
data lie in one tensor for all: nobody waits for a loader.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from peers import declare_torchvision
from racing import Setting, grid
from torch import Tensor, nn

from genlib import data, diffusion, metrics, train

LABEL = torch.arange(10).repeat_interleave(30)
SEEN = 2  # sets of 300 samples that the judge looks at

# Equal for all: what the course's recipe chooses among. Each is sampled in 25 steps of DDIM from its last step,
# with w = 0.3 of guidance and x_0 clipped, after a cosine schedule.
EQUAL: dict[str, Any] = {"decay": "cosine", "schedule": "cosine", "label_dropout": 0.1, "w": 0.3, "steps": 25}
EQUAL |= {"betas": (0.9, 0.999), "weight_decay": 0.0, "clip": 1.0, "warmup": 0, "own": False}
GRID = grid(lr=[1e-3, 2e-3, 4e-3], batch_size=[32, 64], predict=["eps", "v"], ema=["young", 0.995])
GRID = [{**EQUAL, **setting} for setting in GRID]

BY, GOALS = "frechet", (4.0, 1.9, 1.3)
OWN_BUDGETS, GRID_BUDGET, BUDGETS = (30.0,), 8.0, (5.0, 10.0, 20.0, 40.0)

DEFAULTS: dict[str, dict[str, Any]] = {
    "genlib": {"lr": 4e-3, "batch_size": 64, "predict": "v", "ema": "young", **EQUAL},
    # examples/unconditional_image_generation/train_unconditional.py
    "diffusers": {
        **{
            "lr": 1e-4,
            "batch_size": 16,
            "predict": "eps",
            "ema": "power",
            **EQUAL,
            "schedule": "linear",
            "warmup": 500,
        },
        **{"betas": (0.95, 0.999), "weight_decay": 1e-6, "label_dropout": 0.0, "w": 0.0, "steps": 50, "own": True},
    },
    # the defaults of its classifier_free_guidance and of its Trainer
    "denoising-diffusion-pytorch": {
        **{"lr": 1e-4, "batch_size": 16, "predict": "eps", "ema": 0.995, **EQUAL, "decay": None, "betas": (0.9, 0.99)},
        **{"label_dropout": 0.5, "w": 5.0, "steps": 50, "own": True},
    },
    # examples/fashion_mnist_dit_cond.py (class, rate, average), with the U-Net of examples/fashion_mnist_unet.py
    "smalldiffusion": {
        **{"lr": 1e-3, "batch_size": 1024, "predict": "eps", "ema": 0.99, **EQUAL, "decay": None, "clip": None},
        **{"weight_decay": 1e-2, "schedule": "linear", "w": 0.0, "steps": 20, "own": True},
    },
}


def judged(draw: Callable[[], Tensor]) -> dict[str, float]:
    """The four numbers, as means over several sets of samples."""
    reports = [metrics.digits_report(draw(), LABEL) for _ in range(SEEN)]
    n, classes = len(reports), [max(abs(k - 30) for k in report.class_histogram) for report in reports]
    return {
        "accuracy": round(sum(report.label_accuracy or 0.0 for report in reports) / n, 4),
        "frechet": round(sum(report.frechet_multiple for report in reports) / n, 4),
        "copying": round(sum(report.copying for report in reports) / n, 4),
        "farthest class": sum(classes) / n,
    }


class Ours:
    """genlib: `Denoising` in `train.fit`."""

    def __init__(self, setting: Setting, seed: int) -> None:
        torch.manual_seed(seed)
        self.setting, self.seed = setting, seed
        self.ddpm = diffusion.DDPM(
            diffusion.UNet.digits(), diffusion.Schedule.cosine(), predict=setting["predict"], levels=17
        )
        self.parameters = sum(p.numel() for p in self.ddpm.parameters())

    def train(self, steps: int) -> None:
        objective = diffusion.Denoising(self.ddpm, lr=self.setting["lr"], label_dropout=self.setting["label_dropout"])
        ema = {} if self.setting["ema"] == "young" else {"ema_decay": self.setting["ema"]}
        train.fit(
            objective,
            data.digits(),
            steps=steps,
            batch_size=self.setting["batch_size"],
            seed=self.seed,
            progress=False,
            **ema,
        )

    def quality(self) -> dict[str, float]:
        generator, w = torch.Generator().manual_seed(self.seed), self.setting["w"]
        return judged(
            lambda: self.ddpm.sample(
                300, LABEL, generator, steps=self.setting["steps"], guidance=w, clip=True, shape=(1, 8, 8)
            )
        )


class Peer:
    """A library's network, loss and sampler in the loop that its training script has."""

    model: nn.Module  # with all that is trained

    def __init__(self, setting: Setting, seed: int) -> None:
        torch.manual_seed(seed)
        self.setting, self.seed = setting, seed
        self.build()
        self.parameters = sum(p.numel() for p in self.model.parameters())
        self.mean = [p.detach().clone() for p in self.model.parameters()]

    def build(self) -> None:
        raise NotImplementedError

    def loss(self, x_0: Tensor, label: Tensor) -> Tensor:
        raise NotImplementedError

    def sample(self, label: Tensor) -> Tensor:
        raise NotImplementedError

    def train(self, steps: int) -> None:
        setting, parameters = self.setting, list(self.model.parameters())
        kind = torch.optim.AdamW if setting["own"] else torch.optim.Adam
        rates: dict[str, Any] = {"betas": setting["betas"], "weight_decay": setting["weight_decay"]}
        if not setting["own"]:
            rates["fused"] = True
        optimizer = kind(parameters, setting["lr"], **rates)
        shape = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: lr_share(k, steps, setting))
        self.model.train()
        for k, (x_0, label) in enumerate(batches(setting["batch_size"], steps)):
            optimizer.zero_grad()
            self.loss(x_0, label).backward()
            if setting["clip"]:
                nn.utils.clip_grad_norm_(parameters, setting["clip"])
            optimizer.step()
            shape.step()
            with torch.no_grad():
                torch._foreach_lerp_(self.mean, parameters, 1 - ema_decay(k, setting["ema"]))  # type: ignore

    @torch.no_grad()
    def quality(self) -> dict[str, float]:
        for parameter, mean in zip(self.model.parameters(), self.mean, strict=True):
            parameter.copy_(mean)
        self.model.eval()
        torch.manual_seed(self.seed)
        return judged(lambda: self.sample(LABEL))


def batches(batch_size: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The digits, shuffled anew in every epoch."""
    x, label = data.digits()
    order = torch.randperm(len(x))
    for _ in range(steps):
        if len(order) < batch_size:
            order = torch.randperm(len(x))
        mine, order = order[:batch_size], order[batch_size:]
        yield x[mine], label[mine]


def lr_share(k: int, steps: int, setting: Setting) -> float:
    """What is left of the learning rate in step k."""
    if k < setting["warmup"]:
        return k / setting["warmup"]
    left = (k - setting["warmup"]) / max(1, steps - setting["warmup"])
    return 0.5 * (1 + math.cos(math.pi * min(1.0, left))) if setting["decay"] else 1.0


def ema_decay(k: int, kind: str | float) -> float:
    """The decay of the average after step k, counted from 0."""
    if kind == "young":  # as genlib's
        return min(0.996, k / (k + 8))
    if kind == "power":  # as diffusers' EMAModel, inv_gamma = 1, power = 3/4
        return min(0.9999, 1 - (1 + k) ** -0.75)
    return min(float(kind), (1 + k) / (10 + k))


class Diffusers(Peer):
    """UNet2DModel; an eleventh class stands for none."""

    def build(self) -> None:
        declare_torchvision()
        import diffusers  # type: ignore

        blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
        shapes = {"layers_per_block": 1, "block_out_channels": (16, 32), "norm_num_groups": 8, "num_class_embeds": 11}
        self.model = diffusers.UNet2DModel(sample_size=8, in_channels=1, out_channels=1, **shapes, **blocks)
        kind = {"linear": "linear", "cosine": "squaredcos_cap_v2"}[self.setting["schedule"]]
        target = {"eps": "epsilon", "v": "v_prediction"}[self.setting["predict"]]
        chain = {"num_train_timesteps": 1000, "beta_schedule": kind, "prediction_type": target}
        self.schedule = diffusers.DDPMScheduler(**chain)
        spacing = {} if self.setting["own"] else {"timestep_spacing": "trailing"}
        self.sampler = diffusers.DDIMScheduler(**chain, **spacing)

    def loss(self, x_0: Tensor, label: Tensor) -> Tensor:
        noise, t = torch.randn_like(x_0), torch.randint(0, 1000, (len(x_0),))
        x_t = self.schedule.add_noise(x_0, noise, t)
        label = torch.where(torch.rand(len(label)) < self.setting["label_dropout"], 10, label)
        target = noise if self.setting["predict"] == "eps" else self.schedule.get_velocity(x_0, noise, t)
        return nn.functional.mse_loss(self.model(x_t, t, label).sample, target)

    def sample(self, label: Tensor) -> Tensor:
        w, none = self.setting["w"], torch.full_like(label, 10)
        self.sampler.set_timesteps(self.setting["steps"])
        x = torch.randn(len(label), 1, 8, 8)
        for t in self.sampler.timesteps:
            answer = self.model(x, t, label).sample
            if w:
                answer = answer + w * (answer - self.model(x, t, none).sample)
            x = self.sampler.step(answer, t, x).prev_sample
        return x.clamp(-1, 1)


class Lucidrains(Peer):
    """denoising-diffusion-pytorch: its classifier_free_guidance."""

    def build(self) -> None:
        declare_torchvision()
        from denoising_diffusion_pytorch import classifier_free_guidance as cfg  # type: ignore

        cfg.tqdm = lambda steps, **_: steps  # no bars
        unet = cfg.Unet(16, 10, cond_drop_prob=self.setting["label_dropout"], dim_mults=(1, 2), channels=1)
        self.model = cfg.GaussianDiffusion(
            unet,
            image_size=8,
            sampling_timesteps=self.setting["steps"],
            objective={"eps": "pred_noise", "v": "pred_v"}[self.setting["predict"]],
            **({} if self.setting["own"] else {"ddim_sampling_eta": 0.0}),
        )

    def loss(self, x_0: Tensor, label: Tensor) -> Tensor:
        return self.model((x_0 + 1) / 2, classes=label)

    def sample(self, label: Tensor) -> Tensor:
        plain = {} if self.setting["own"] else {"rescaled_phi": 0.0}
        return 2 * self.model.sample(label, cond_scale=1 + self.setting["w"], **plain) - 1  # type: ignore


class Small(Peer):
    """smalldiffusion; its group norm of 32 groups asks for 32 channels."""

    def build(self) -> None:
        declare_torchvision()
        import smalldiffusion as sd  # type: ignore

        kind = sd.Scaled(sd.Unet) if self.setting["predict"] == "eps" else sd.PredV(sd.Scaled(sd.Unet))
        told = sd.CondEmbedderLabel(128, 10, self.setting["label_dropout"])
        self.model = kind(8, 1, 1, ch=32, ch_mult=(1, 1), num_res_blocks=1, attn_resolutions=(), cond_embed=told)
        self.sd = sd
        self.schedule = {"linear": sd.ScheduleDDPM, "cosine": sd.ScheduleCosine}[self.setting["schedule"]]()

    def loss(self, x_0: Tensor, label: Tensor) -> Tensor:
        x_0, sigma, eps, told = self.sd.generate_train_sample((x_0, label), self.schedule, conditional=True)
        return type(self.model).get_loss(self.model, x_0, sigma, eps, cond=told)  # type: ignore

    def sample(self, label: Tensor) -> Tensor:
        gam = 1.6 if self.setting["own"] else 1.0
        sigmas = self.schedule.sample_sigmas(self.setting["steps"])
        if not self.setting["own"]:
            sigmas[0].clamp_(max=80.0)
        w = self.setting["w"]
        *_, x_0 = self.sd.samples(self.model, sigmas, gam=gam, cfg_scale=w, batchsize=len(label), cond=label)
        return x_0.clamp(-1, 1)


SIDES: dict[str, Callable[[Setting, int], Any]] = {
    "genlib": Ours,
    "diffusers": Diffusers,
    "denoising-diffusion-pytorch": Lucidrains,
    "smalldiffusion": Small,
}
