"""The stored trainings of lecture 06: latents, a transformer, few calls, masks.

`python tools/after_2021.py` measures what a step of each network costs beside the U-Net's, for as many seconds of each.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import side_by_side
import torch
from stored_runs import RUNS, SEEDS, keep, store_tensors

from genlib import data, diffusion, flows, metrics, train
from genlib.autoencoder import VAE

DRAWS = 5  # of 300 digits each
LABEL = torch.arange(10).repeat(30)
CALLS = (1, 2, 4, 8)
SCALES = (1.0, 0.1, 10.0)  # of the latents
LATENT_STEPS = 4000
NETS: dict[str, Callable[[], torch.nn.Module]] = {"unet": diffusion.UNet.digits, "dit": diffusion.DiT.digits}
DIT_STEPS = {"unet": (600, 2000), "dit": (600, 1040, 3460)}  # as many as the U-Net's, and of its seconds (`step_cost`)
MASKED_STEPS = {570: SEEDS, 3800: SEEDS[:1]}  # in the seconds of 600 and of 4000 steps of the pixel model
FEW_STEPS = {"stage": 800, "euler": 4000, "reflow": 3200}
FEW_PAIRS = 6000
RING_STEPS, RING_STAGE_STEPS, RING_PAIRS, RING_POINTS = 3000, 1000, 20_000, 5000


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cosine(net: torch.nn.Module, **options: Any) -> diffusion.DDPM:
    return diffusion.DDPM(net, diffusion.Schedule.cosine(T=1000), predict="v", **options)


def straight(net: torch.nn.Module, **options: Any) -> diffusion.DDPM:
    return diffusion.DDPM(net, diffusion.Schedule.straight(T=1000), predict="u", **options)


def nearest_level(x: torch.Tensor) -> torch.Tensor:
    return ((x.clamp(-1, 1) + 1) * 8).round() / 8 - 1


def to_levels(x: torch.Tensor) -> torch.Tensor:
    return ((x.clamp(-1, 1) + 1) * 8).round().byte()


def multiple(x: torch.Tensor) -> float:
    return metrics.digits_report(x).frechet_multiple


def after_draw(model: diffusion.DDPM, steps: int, seed: int) -> torch.Tensor:
    """300 digits, by DDIM."""
    return nearest_level(model.sample(300, LABEL, seeded(seed), steps=steps, clip=True))


def busy(work: Callable[[], train.History]) -> train.History:
    """The history, with the processor's seconds in the place of the clock's."""
    start = time.process_time()
    history = work()
    history.seconds = time.process_time() - start
    return history


def vae_of_digits() -> VAE:
    """The one of lecture 07."""
    return train.load(side_by_side.on_digits("vae").model, RUNS / "side_digits_vae.safetensors")  # type: ignore


@torch.no_grad()
def latents(vae: VAE) -> tuple[torch.Tensor, torch.Tensor]:
    """A code drawn for each of 20 dequantized copies of every digit, and its class."""
    x, label = side_by_side.examples("digits", "vae")
    mean, log_s = vae.encode(x, label)
    return mean + log_s.exp() * torch.randn(mean.shape, generator=seeded(1)), label  # type: ignore[return-value]


def pictures(vae: VAE, z: torch.Tensor, label: torch.Tensor = LABEL) -> torch.Tensor:
    """What the decoder makes of codes, in 17 levels."""
    with torch.no_grad():
        x = vae.decode(z, label)
    return flows.quantize((x + 1) / 2, 17).view(-1, 1, 8, 8) / 8 - 1


def latent_model() -> diffusion.DDPM:
    return cosine(diffusion.MLP(dim=16, width=96, depth=3, n_classes=10), shape=(16,))


def after_latent() -> None:
    """Fréchet multiples of the latent model, (scale, seed, draw), with 25 calls; kept are the weights of seed 0."""
    vae, rows = vae_of_digits(), []
    z, label = latents(vae)
    mean, std = z.mean(0), z.std(0)
    for scale in SCALES:
        for seed in SEEDS:
            torch.manual_seed(seed)
            objective = diffusion.Denoising(latent_model(), lr=2e-3)
            batches, options = ((z - mean) / std * scale, label), {"batch_size": 128, "seed": seed, "log_every": 200}
            history = busy(partial(train.fit, objective, batches, steps=LATENT_STEPS, **options))
            model = copy.deepcopy(objective.model).half().float()
            made = [model.sample(300, LABEL, seeded(k), steps=25) / scale * std + mean for k in range(DRAWS)]
            rows.append([multiple(pictures(vae, codes)) for codes in made])
            print(
                f"latents × {scale:g}, seed {seed}, {history.seconds:.0f} s: {statistics.mean(rows[-1]):.2f}",
                flush=True,
            )
            if scale == 1 and seed == 0:
                keep("after_latent", objective.model, history, made_by="after_latent_seeds")
    tensors = {"multiple": torch.tensor(rows).view(len(SCALES), len(SEEDS), DRAWS), "scale": torch.tensor(SCALES)}
    store_tensors("after_latent_seeds", tensors, LATENT_STEPS)


@torch.no_grad()
def held_out_loss(model: diffusion.DDPM) -> float:
    """The mean squared error of v on held-out digits, each with 40 draws of step and noise, the same for all."""
    x, label = data.digits("test")
    x, label, g = x.repeat(40, 1, 1, 1), label.repeat(40), seeded(7)
    t = torch.randint(1, 1001, (len(x),), generator=g)
    eps = torch.randn(x.shape, generator=g)
    x_t = model.schedule.q_sample(x, t, eps)
    target = model.schedule.convert(eps, x_t, t, "eps", "v")
    parts = zip(*(value.split(1000) for value in (x_t, t, label, target)), strict=True)
    errors = [(model(a, b, c)[0] - d).square().flatten(1).mean(1) for a, b, c, d in parts]
    return float(torch.cat(errors).mean())


def after_dit() -> None:
    """Of each network, steps and seed: seconds, held-out loss, label accuracy, and Fréchet multiples of five draws."""
    tensors = {}
    for name, counts in DIT_STEPS.items():
        for steps in counts:
            rows = []
            for seed in SEEDS:
                torch.manual_seed(seed)
                objective = diffusion.Denoising(cosine(NETS[name](), levels=17))
                options = {"batch_size": 64, "seed": seed, "clip": 1.0, "log_every": 50}
                history = busy(partial(train.fit, objective, tuple(data.digits("train")), steps=steps, **options))
                model = copy.deepcopy(objective.model).half().float()
                made = [after_draw(model, 25, k) for k in range(DRAWS)]
                accuracy = statistics.mean(metrics.label_accuracy(x, LABEL) for x in made)
                rows.append([history.seconds, held_out_loss(model), accuracy, *map(multiple, made)])
                print(name, steps, seed, " ".join(f"{value:.3f}" for value in rows[-1]), flush=True)
                if name == "dit" and steps == counts[-1] and seed == 0:
                    keep("after_dit", objective.model, history, made_by="after_dit_seeds")
            tensors[f"{name}.{steps}"] = torch.tensor(rows)
    store_tensors("after_dit_seeds", tensors, DIT_STEPS)


def stages(teacher: diffusion.DDPM, x: Any, steps: int, lr: float, batch_size: int, seed: int):
    """Yields (n, the student of n steps) for n = 8, 4, 2, 1: each begins as its teacher, and teaches the next."""
    for n in reversed(CALLS):
        student = copy.deepcopy(teacher)
        objective = diffusion.Progressive(student, teacher, n, lr=lr)
        history = busy(partial(train.fit, objective, x, steps=steps, batch_size=batch_size, seed=seed, log_every=100))
        yield n, student, history
        teacher = student


def after_few_digits() -> None:
    """Fréchet multiples with 1, 2, 4 and 8 calls, (calls, draw), and twenty digits, as levels, of each: of two teachers
    and of what learns from them.

    "ddim" is the stored model of lecture 04b, "progressive" its students, each for its number of calls; "euler" a model
    by flow matching, "reflow" what began with its weights and learned its pairs.
    """
    x, label = data.digits("train")
    teacher = cosine(diffusion.UNet.digits(), levels=17)
    train.load(teacher, RUNS / "ddpm_digits.safetensors")
    made: dict[str, list[torch.Tensor]] = {"ddim": [], "progressive": [], "euler": [], "reflow": []}

    def several(model: diffusion.DDPM, n: int) -> torch.Tensor:
        return torch.stack([to_levels(after_draw(model, n, k)) for k in range(DRAWS)])

    def report(name: str, seconds: float) -> None:
        values = ", ".join(f"{statistics.mean(multiple(x.float() / 8 - 1) for x in sets):.2f}" for sets in made[name])
        print(f"{name}, {seconds:.0f} s: {values}", flush=True)

    made["ddim"] = [several(teacher, n) for n in CALLS]
    report("ddim", 0)
    seconds, students = 0.0, {}
    for n, student, history in stages(teacher, (x, label), FEW_STEPS["stage"], 1e-3, 64, 0):
        student = copy.deepcopy(student).half().float()
        students[n], seconds = several(student, n), seconds + history.seconds
        if n == 1:
            keep("after_student", student, history, made_by="after_few_digits")
    made["progressive"] = [students[n] for n in CALLS]
    report("progressive", seconds)

    torch.manual_seed(0)
    first = straight(diffusion.UNet.digits(), levels=17)
    history = busy(
        partial(train.fit, diffusion.Denoising(first), (x, label), steps=FEW_STEPS["euler"], batch_size=64, seed=0)
    )
    made["euler"] = [several(first, n) for n in CALLS]
    report("euler", history.seconds)
    classes = torch.arange(10).repeat(FEW_PAIRS // 10)
    pairs = diffusion.pairs_of(first, FEW_PAIRS, seeded(0), label=classes, steps=50)
    second = copy.deepcopy(first)
    objective = diffusion.Reflow(second, lr=2e-3)
    history = busy(partial(train.fit, objective, (pairs, classes), steps=FEW_STEPS["reflow"], batch_size=64, seed=0))
    made["reflow"] = [several(second, n) for n in CALLS]
    report("reflow", history.seconds)
    tensors = {name: torch.stack(sets)[:, 0, :20].contiguous() for name, sets in made.items()}
    for name, sets in made.items():
        found = [[multiple(x.float() / 8 - 1) for x in draws] for draws in sets]
        tensors[f"{name}.multiple"] = torch.tensor(found)
    store_tensors("after_few_digits", tensors, FEW_STEPS)


def after_few_ring() -> None:
    """Energy distances × 1000 on the ring, (seed, calls), with 1, 2, 4, 8 and 64 calls, and of the truth's.

    "euler" is a model by flow matching; "reflow" began with its weights and learned its pairs; "shuffled" did the same
    with other partners; "progressive" are students of "euler", for 1 to 8 calls.
    """
    ring, tensors = side_by_side.ring(), {}
    truth, *others = (ring.sample(RING_POINTS, seeded(k)) for k in range(100, 113))
    tensors["truth"] = torch.tensor([1000 * metrics.energy_distance(truth, again) for again in others])

    def note(name: str, values: list[float]) -> None:
        tensors.setdefault(name, []).append(values)
        print(name, " ".join(f"{value:.2f}" for value in values), flush=True)

    def energy(model: diffusion.DDPM, n: int) -> float:
        return 1000 * metrics.energy_distance(model.sample(RING_POINTS, generator=seeded(5), steps=n), truth)

    for seed in SEEDS:
        torch.manual_seed(seed)
        first = straight(diffusion.MLP(dim=2, width=64), shape=(2,))
        points = ring.sample(side_by_side.POINTS, seeded(seed))
        options: dict[str, Any] = {"steps": RING_STEPS, "batch_size": 256, "seed": seed}
        train.fit(diffusion.Denoising(first), points, **options)
        note("euler", [energy(first, n) for n in (*CALLS, 64)])
        pairs = diffusion.pairs_of(first, RING_PAIRS, seeded(seed), steps=64)
        order = torch.randperm(RING_PAIRS, generator=seeded(seed))
        shuffled = torch.stack([pairs[:, 0], pairs[order, 1]], dim=1)
        for name, learned in (("reflow", pairs), ("shuffled", shuffled)):
            second = copy.deepcopy(first)
            train.fit(diffusion.Reflow(second), learned, **options)
            note(name, [energy(second, n) for n in (*CALLS, 64)])
        students = stages(first, points, RING_STAGE_STEPS, 2e-3, 256, seed)
        found = {n: energy(student, n) for n, student, _ in students}
        note("progressive", [found[n] for n in CALLS])
    store_tensors("after_few_ring", {k: torch.as_tensor(v) for k, v in tensors.items()}, RING_STEPS)


def masked_model() -> diffusion.MaskedDiffusion:
    net = diffusion.UNet(18, width=16, mults=(1, 2), n_blocks=1, n_classes=10)
    return diffusion.MaskedDiffusion(net, levels=17, shape=(1, 8, 8))


def after_masked() -> None:
    """For each number of steps the bits per pixel of the 297 held-out digits, (seed, digit), and Fréchet multiples of
    drawn ones, (seed, draw); kept are the weights of the longest training."""
    x, label = data.digits("train", integers=True)
    held, held_label = data.digits("test", integers=True)
    tensors = {}
    for steps, seeds in MASKED_STEPS.items():
        bits, multiples = [], []
        for seed in seeds:
            torch.manual_seed(seed)
            objective = diffusion.Unmasking(masked_model(), label_dropout=0.1)
            options = {"batch_size": 64, "seed": seed, "clip": 1.0, "log_every": 50}
            history = busy(partial(train.fit, objective, (x, label), steps=steps, **options))
            model = copy.deepcopy(objective.model).half().float()
            bits.append(model.bits_per_dim(held, held_label, seeded(0), draws=50))
            made = [model.sample(300, LABEL, seeded(k), steps=64) / 8 - 1 for k in range(DRAWS)]
            multiples.append([multiple(images) for images in made])
            values = f"{bits[-1].mean():.3f} bits, × {statistics.mean(multiples[-1]):.2f}"
            print(f"masked, {steps} steps, seed {seed}, {history.seconds:.0f} s: {values}", flush=True)
        tensors |= {f"bits.{steps}": torch.stack(bits).half(), f"multiple.{steps}": torch.tensor(multiples)}
    keep("after_masked", objective.model, history, made_by="after_masked_seeds")
    store_tensors("after_masked_seeds", tensors, list(MASKED_STEPS))


def step_cost(rounds: int = 7) -> dict[str, float]:
    """Seconds of a processor for a training step of the U-Net, the transformer and the masked model: the median of
    several rounds, the three in turn. `DIT_STEPS` and `MASKED_STEPS` were taken from there."""
    digits, levels = tuple(data.digits("train")), tuple(data.digits("train", integers=True))
    tasks: dict[str, tuple[Any, Any]] = {
        name: (diffusion.Denoising(cosine(net(), levels=17)), digits) for name, net in NETS.items()
    }
    tasks["masked"] = diffusion.Unmasking(masked_model()), levels
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, (objective, batches) in tasks.items():
            fit = partial(train.fit, objective, batches, steps=20, batch_size=64, progress=False)
            seconds[name].append(busy(fit).seconds / 20)
    return {name: statistics.median(values) for name, values in seconds.items()}


ALL = {
    "after_latent_seeds": after_latent,  # writes after_latent, too, and so on
    "after_dit_seeds": after_dit,
    "after_few_digits": after_few_digits,
    "after_few_ring": after_few_ring,
    "after_masked_seeds": after_masked,
}


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    print(step_cost())
