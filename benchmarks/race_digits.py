"""Digits by diffusion, given the class: which library's are good first. U-Nets are as near to one size as widths allow.

The judge is `metrics.digits_report`, on 300 digits, 30 of each class, drawn by each library's own sampler. Every side
has a training of its own in `DEFAULTS`, as its authors run it, with the class given where they do not give one; in
`GRID` all have the same ones. What is drawn at random for a batch (examples, steps, noise) each draws its own way, and
data lie in one tensor for all: nobody waits for a loader.
"""

from collections.abc import Callable
from typing import Any

import torch
from peers import EQUAL, batches, declare_torchvision, descend, setting_of
from racing import Setting, grid
from torch import Tensor, nn

from genlib import data, diffusion, metrics, train

LABEL = torch.arange(10).repeat_interleave(30)
SEEN = 2  # sets of 300 samples that the judge looks at

# Equal for all: what the course's recipe chooses among. Each is sampled in 25 steps of DDIM from its last step,
# with w = 0.3 of guidance and x_0 clipped, after a cosine schedule.
SAME: dict[str, Any] = {"own": False, "schedule": "cosine", "label_dropout": 0.1, "w": 0.3, "steps": 25}
GRID = grid(lr=[1e-3, 2e-3, 4e-3], batch_size=[32, 64], predict=["eps", "v"], average=["young", 0.995])
GRID = [{**EQUAL, **SAME, **setting} for setting in GRID]

BY, GOALS = "frechet", (4.0, 1.9, 1.3)
OWN_BUDGETS, GRID_BUDGETS, BUDGETS = (7.5, 15.0, 30.0), (8.0,), (5.0, 10.0, 20.0, 40.0)

OWN: dict[str, Any] = {"own": True, "predict": "eps"}
DEFAULTS: dict[str, dict[str, Any]] = {
    "genlib": {**EQUAL, **SAME, "lr": 4e-3, "batch_size": 64, "predict": "v"},  # the recipe ddpm-digits
    # examples/unconditional_image_generation/train_unconditional.py
    "diffusers": {
        **setting_of(1e-4, 16, optimizer="AdamW", betas=(0.95, 0.999), weight_decay=1e-6, decay="cosine", warmup=500),
        **{**OWN, "clip": 1.0, "average": "power", "schedule": "linear", "label_dropout": 0.0, "w": 0.0, "steps": 50},
    },
    # the defaults of its classifier_free_guidance and of its Trainer
    "denoising-diffusion-pytorch": {
        **setting_of(1e-4, 16, betas=(0.9, 0.99), clip=1.0, average=0.995),
        **{**OWN, "schedule": "cosine", "label_dropout": 0.5, "w": 5.0, "steps": 50},
    },
    # examples/fashion_mnist_dit_cond.py (class, rate, average), with the U-Net of examples/fashion_mnist_unet.py
    "smalldiffusion": {
        **setting_of(1e-3, 1024, optimizer="AdamW", weight_decay=1e-2, average=0.99),
        **{**OWN, "schedule": "linear", "label_dropout": 0.1, "w": 0.0, "steps": 20},
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
        self.ddpm.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.parameters = sum(p.numel() for p in self.ddpm.parameters())

    def objective(self) -> diffusion.Denoising:
        return diffusion.Denoising(self.ddpm, lr=self.setting["lr"], label_dropout=self.setting["label_dropout"])

    def train(self, steps: int, **options: Any) -> None:
        if self.setting["average"] != "young":
            options["ema_decay"] = self.setting["average"]
        options |= {"batch_size": self.setting["batch_size"], "seed": self.seed, "progress": False}
        train.fit(self.objective(), data.digits(), steps=steps, **options)

    def quality(self) -> dict[str, float]:
        generator, w = torch.Generator().manual_seed(self.seed), self.setting["w"]
        return judged(
            lambda: self.ddpm.sample(
                300, LABEL, generator, steps=self.setting["steps"], guidance=w, clip=True, shape=(1, 8, 8)
            )
        )


class Peer:
    """A library's network, loss and sampler in the loop of its training script."""

    model: nn.Module  # with all that is trained

    def __init__(self, setting: Setting, seed: int) -> None:
        torch.manual_seed(seed)
        self.setting, self.seed = setting, seed
        self.build()
        self.parameters = sum(p.numel() for p in self.model.parameters())

    def build(self) -> None:
        raise NotImplementedError

    def loss(self, x_0: Tensor, label: Tensor) -> Tensor:
        raise NotImplementedError

    def sample(self, label: Tensor) -> Tensor:
        raise NotImplementedError

    def train(self, steps: int) -> None:
        descend(self.model, self.loss, batches(data.digits(), steps, self.setting["batch_size"]), steps, self.setting)

    @torch.no_grad()
    def quality(self) -> dict[str, float]:
        torch.manual_seed(self.seed)
        return judged(lambda: self.sample(LABEL))


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
    """smalldiffusion, with 8 groups in each norm: of its own 32, each would be one of these few channels, whose mean is
    all that it is told of step and class."""

    def build(self) -> None:
        declare_torchvision()
        import smalldiffusion as sd  # type: ignore
        from smalldiffusion import model_unet  # type: ignore

        model_unet.Normalize = lambda ch: nn.GroupNorm(8, ch, eps=1e-6)
        kind = sd.Scaled(sd.Unet) if self.setting["predict"] == "eps" else sd.PredV(sd.Scaled(sd.Unet))
        told = sd.CondEmbedderLabel(64, 10, self.setting["label_dropout"])
        self.model = kind(8, 1, 1, ch=16, ch_mult=(1, 2), num_res_blocks=1, attn_resolutions=(), cond_embed=told)
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
