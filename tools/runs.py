"""The stored trainings that lectures load: `make runs`, or one of them, `make runs ONLY=ddpm_digits`.

Each ends in two files in lectures/runs/: NAME.safetensors, the model's weights, in half precision to keep them small
(or, of a strip, pictures), and NAME.json, the history, with the command that made both.
"""

import argparse
import copy
import itertools
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import side_by_side
import torch
from lab_seeds import lab_3_seeds
from safetensors.torch import save_file

from genlib import data, diffusion, flows, gan, metrics, recipes, train
from genlib.autoencoder import VAE

RUNS = Path(__file__).parents[1] / "lectures" / "runs"
LARGEST, FLAGSHIP = 500_000, 3_000_000  # bytes
FLAGSHIPS = ("emoji_ddpm", "emoji_colours")  # the two that draw in colour
LAMBDAS = (0.0, 1.0, 5.0, 20.0, 100.0)
TEXTURE_STEPS = 900
FACTOR_STEPS = 1200
SHOWN = 10  # maps and pictures of the strip
SEEDS = (0, 1, 2)
OUTLINE_STEPS = 300
EMOJI_FLOW_STEPS = 2000
MIXING = ("learned", "rotation", "fixed")  # 1×1 convolutions; such as stay as they were drawn; none
EMOJI = {  # what differs from run to run, in the settings of the recipe pix2pix-emoji
    "both": {"lam": 100.0},
    "cgan": {"lam": 0.0},
    "unconditional": {"lam": 0.0, "conditional": False},
    "l1": {"lam": 100.0, "adversarial": 0.0},
}
AFTER_DRAWS = 5  # of 300 digits each; this and what follows is for the lecture after_2021
AFTER_LABEL = torch.arange(10).repeat(30)
CALLS = (1, 2, 4, 8)
SCALES = (1.0, 0.1, 10.0)  # of the latents
LATENT_STEPS = 4000
NETS: dict[str, Callable[[], torch.nn.Module]] = {"unet": diffusion.UNet.digits, "dit": diffusion.DiT.digits}
DIT_STEPS = {"unet": (600, 2000), "dit": (600, 1040, 3460)}  # as many as the U-Net's, and of its seconds (`step_cost`)
MASKED_STEPS = {570: SEEDS, 3800: SEEDS[:1]}  # in the seconds of 600 and of 4000 steps of the pixel model
FEW_STEPS = {"stage": 800, "euler": 4000, "reflow": 3200}
FEW_PAIRS = 6000
RING_STEPS, RING_STAGE_STEPS, RING_PAIRS, RING_POINTS = 3000, 1000, 20_000, 5000
OUTLINES = {  # what differs from run to run, in the arguments of `gan.Pix2Pix`
    "l1": {"lam": 100.0, "adversarial": 0.0},
    "both": {"lam": 100.0},
    "lam5": {"lam": 5.0},
    "cgan": {"lam": 0.0},
    "minimax": {"lam": 0.0, "objective": "minimax"},
    "fast": {"lam": 0.0, "lr_D": 2e-2},
    "minimax_fast": {"lam": 0.0, "objective": "minimax", "lr_D": 2e-2},
}


def ddpm_digits() -> tuple[torch.nn.Module, train.History]:
    """The class-conditional model of lecture 04b, trained ten times as long as there."""
    recipe = recipes.find("ddpm-digits")
    torch.manual_seed(0)
    objective: Any = recipe.objective(recipe.defaults())
    return objective.model, train.fit(objective, recipe.data("train", None), steps=4000, seed=0, log_every=40)


def emoji_ddpm() -> tuple[torch.nn.Module, train.History]:
    """The model in colour of lectures 04 and 04b: a recipe, an hour and a half of one core; stopped, it goes on."""
    recipe, out = recipes.find("ddpm-emoji"), RUNS.parents[1] / "trained" / "ddpm-emoji"
    history = recipes.train(recipe, out, resume=out.exists(), device="cpu")
    return recipes.load(recipe, out, device="cpu"), history


def emoji_pairs() -> None:
    """Colours for outlines, for lecture 02: what differs stands in EMOJI; answers to held-out outlines, and measures.

    Kept are, of each case, answers to twelve held-out outlines from three seeds, and a row of numbers for each: L1,
    saturation over that of the real drawings, what L, a and b have in common with theirs, and the diversity of eight
    answers to one outline. Of the case that the live model runs, the generator of seed 0 is kept as well.
    """
    recipe, held_out = recipes.find("pix2pix-emoji"), data.emoji("test")
    pairs, settings, tensors = recipe.data("train", None), recipe.defaults(), {}
    given = {name: settings[name] for name in ("steps", "batch_size")}
    for name, changes in EMOJI.items():
        rows, shown = [], []
        for seed in SEEDS:
            torch.manual_seed(seed)
            objective: Any = recipe.objective(settings | changes)
            objective.to(memory_format=torch.channels_last)
            history, G = train.fit(objective, pairs, seed=seed, log_every=50, **given), objective.G
            many = torch.stack([G.sample(144, held_out.x, torch.Generator().manual_seed(k)) for k in range(8)])
            made = many[0]
            common = metrics.colour_intersection(made, held_out.y)
            ratio = metrics.saturation(made).mean() / metrics.saturation(held_out.y).mean()
            l1 = (made - held_out.y).abs().mean()
            rows.append([float(l1), float(ratio), *common.values(), metrics.diversity(many)])
            shown.append(to_bytes(made[::12]))
            numbers = " ".join(f"{value:.3f}" for value in rows[-1])
            print(f"{name}, seed {seed}, {history.seconds:.0f} s: {numbers}", flush=True)
            if name == "both" and seed == 0:
                keep("emoji_colours", G, history, made_by="emoji_pairs")
        tensors |= {name: torch.stack(shown), f"{name}.measured": torch.tensor(rows)}
    store_tensors("emoji_pairs", tensors, settings["steps"])


def emoji_flow(mixing: str = "learned", seed: int = 0) -> tuple[torch.nn.Module, train.History]:
    """The multi-scale flow of lecture 03b: all emoji and their mirror images, and what mixes channels in MIXING."""
    torch.manual_seed(seed)
    flow = flows.RealNVP.for_images((3, 32, 32), n_scales=3, width=8, n_blocks=1, one_by_one=mixing != "fixed")
    if mixing == "rotation":
        for layer in flow.modules():
            if isinstance(layer, flows.InvertibleConv):
                layer.requires_grad_(False)
    objective = flows.MaximumLikelihood(flow, lr=6e-3)
    objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x, held_out = emoji_levels("train"), emoji_levels("test")

    def measure(step: int, objective: torch.nn.Module) -> dict[str, float]:
        cases = {"train": x[::10], "held_out": held_out}
        return {case: float(emoji_bits(flow, levels).mean()) for case, levels in cases.items()}

    settings = {"steps": EMOJI_FLOW_STEPS, "batch_size": 16, "warmup": 50, "seed": seed, "log_every": 200}
    return flow, train.fit(objective, torch.cat([x, x.flip(3)]), callback=measure, **settings)  # type: ignore[arg-type]


def emoji_levels(split: str) -> torch.Tensor:
    return ((data.emoji(split).y + 1) * 127.5).round().long()  # type: ignore[arg-type]


def emoji_bits(flow: torch.nn.Module, levels: torch.Tensor) -> torch.Tensor:
    return flow.bits_per_dim(levels, batch_size=48, generator=torch.Generator().manual_seed(0))  # type: ignore


def moons(seed: int = 0) -> tuple[torch.nn.Module, train.History]:
    """A flow of lecture 03, section 9, trained three times as long as there."""
    torch.manual_seed(seed)
    flow = flows.RealNVP.for_vectors(dim=2, n_couplings=8, width=64, actnorm=True)
    points = data.Moons(std=0.1).sample(20_000, generator=torch.Generator().manual_seed(seed))
    objective = flows.MaximumLikelihood(flow, lr=4e-3)
    return flow, train.fit(objective, points, steps=1200, batch_size=256, seed=seed, log_every=50)


def textures(
    lam: float = 5.0, *, adversarial: float = 1.0, conditional: bool = True, seed: int = 0
) -> tuple[torch.nn.Module, train.History]:
    """pix2pix on textures, with a small patch D, which sees the map beside the photo; kept is the generator."""
    torch.manual_seed(seed)
    G = texture_generator()
    D = gan.PatchDiscriminator(4 if conditional else 1, width=24, n_layers=2)
    objective = gan.Pix2Pix(G, D, lam=lam, lr=4e-4, adversarial=adversarial, conditional=conditional)
    return G, fit_textures(objective, TEXTURE_STEPS, seed)


def textures_factor(lam: float = 5.0, *, beside: bool = False, seed: int = 0) -> tuple[torch.nn.Module, train.History]:
    """With the map as a factor in D, smaller patches, a faster D, mismatched pairs, variety, and for longer.

    The recipe of benchmarks/textures.py. `beside` changes one thing: D sees the map beside the photo, as above.
    """
    torch.manual_seed(seed)
    G = texture_generator()
    D = gan.PatchDiscriminator(4 if beside else 1, width=24, n_layers=1, projection=0 if beside else 3)
    objective = gan.Pix2Pix(G, D, lam=lam, lr=4e-4, lr_D=2e-3, mismatched=2.0, variety=5.0)
    return G, fit_textures(objective, FACTOR_STEPS, seed)


def fit_textures(objective: gan.Pix2Pix, steps: int, seed: int = 0) -> train.History:
    objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return train.fit(objective, data.textures(2000, seed=0), steps=steps, batch_size=8, seed=seed, log_every=10)


ALL: dict[str, Callable[[], tuple[torch.nn.Module, train.History]]] = {
    "ddpm_digits": ddpm_digits,
    "emoji_ddpm": emoji_ddpm,
    "emoji_flow": emoji_flow,
    **{f"moons_{seed}": partial(moons, seed) for seed in SEEDS},
    "textures_both": textures,
    "textures_factor": textures_factor,
    "textures_beside": partial(textures_factor, beside=True),
    "textures_l1": partial(textures, 100.0, adversarial=0.0),
    "textures_cgan": partial(textures, 0.0),
    "textures_unconditional": partial(textures, 0.0, conditional=False),
    **side_by_side.ALL,
}


def store(name: str) -> None:
    """Train, then write weights and history."""
    keep(name, *ALL[name]())


def keep(name: str, model: torch.nn.Module, history: train.History, made_by: str | None = None) -> None:
    weights, curves = RUNS / f"{name}.safetensors", RUNS / f"{name}.json"
    train.save(copy.deepcopy(model).half(), weights)
    history.command = f"make runs ONLY={made_by or name}"
    history.save(curves)
    check_size(weights, curves)
    print(f"{name}: {history.step[-1]} steps in {history.seconds:.0f} s")


def answers(G: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """One answer to each x, 64 at a time, as in the lecture: the norms look at a batch."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        return torch.cat([G(part, generator=generator) for part in x.split(64)])


def outlines() -> None:
    """Digits from their outlines, for lecture 02: what differs stands in OUTLINES; answers and D's mean logits."""
    pairs, held_out = data.outlines("train"), data.outlines("test")
    tensors = {}
    for name, settings in OUTLINES.items():
        drawn, logits = [], []
        for seed in SEEDS:
            torch.manual_seed(seed)
            G, D = gan.UNetGenerator(1, 1, width=16, depth=2, noise=1), gan.PatchDiscriminator(2, width=16, n_layers=1)
            objective = gan.Pix2Pix(G, D, lr=2e-3, **settings)  # type: ignore[arg-type]
            history = train.fit(objective, pairs, steps=OUTLINE_STEPS, batch_size=32, seed=seed, log_every=5)
            drawn.append(to_bytes(answers(G, held_out.x)[:, 0]))
            logits.append(torch.tensor([history.logs.get(f"D_{who}", [0.0] * 60) for who in ("real", "fake")]))
            print(f"{name}, seed {seed}: {OUTLINE_STEPS} steps in {history.seconds:.0f} s", flush=True)
        tensors |= {name: torch.stack(drawn), f"{name}.logits": torch.stack(logits).half()}
    tensors["step"] = torch.tensor(history.step)
    store_tensors("outlines", tensors, OUTLINE_STEPS)


def textures_seeds() -> None:
    """How far the numbers of the texture runs of lecture 02 depend on the seed: (seed, what is measured) for each."""
    held_out = data.textures(256, seed=999)
    cases = {
        "cgan": partial(textures, 0.0),
        "both": textures,
        "beside": partial(textures_factor, beside=True),
        "factor": textures_factor,
    }
    tensors = {}
    for name, case in cases.items():
        rows = []
        for seed in SEEDS:
            stored = RUNS / f"textures_{name}.safetensors"  # of seed 0
            G = case(seed=seed)[0] if seed else train.load(texture_generator(), stored)
            y = answers(G, held_out.x)
            seen = metrics.texture_confusion(held_out.x, y)
            shares = (seen.diagonal() / seen.sum(1)).tolist()  # of brick, of grass, of gravel
            accuracy, l1 = float(seen.diagonal().sum() / seen.sum()), float((y - held_out.y).abs().mean())
            measures = metrics.detail(y, held_out.y), metrics.spectrum_error(y, held_out.y), l1, accuracy
            rows.append([*measures, *shares])
            print(f"{name}, seed {seed}: " + " ".join(f"{value:.3f}" for value in rows[-1]), flush=True)
        tensors[name] = torch.tensor(rows)
    store_tensors("textures_seeds", tensors, {"cgan, both": TEXTURE_STEPS, "beside, factor": FACTOR_STEPS})


def emoji_flow_seeds() -> None:
    """For lecture 03b: bits/dim of each held-out emoji, (mixing, seed, emoji), their means over all that are trained on
    and the curves, (mixing, seed, entry). Of the flow that is stored, what stands there in half precision.
    """
    x, held_out = emoji_levels("train"), emoji_levels("test")
    values: dict[str, list[torch.Tensor]] = {"held_out": [], "train": [], "held_out.curve": [], "train.curve": []}
    for mixing, seed in itertools.product(MIXING, SEEDS):
        flow, history = emoji_flow(mixing, seed)
        rounded = copy.deepcopy(flow).half().float()
        bits = emoji_bits(rounded, held_out)
        values["held_out"].append(bits.float())
        values["train"].append(emoji_bits(rounded, x).mean().float())
        for case in ("held_out", "train"):
            values[f"{case}.curve"].append(torch.tensor(history.logs[case]))
        print(f"{mixing}, seed {seed}: {bits.mean():.3f} held out, {history.seconds:.0f} s", flush=True)
        if (mixing, seed) == ("learned", 0):
            keep("emoji_flow", flow, history)
    tensors = {name: torch.stack(all_of).unflatten(0, (len(MIXING), len(SEEDS))) for name, all_of in values.items()}
    store_tensors("emoji_flow_seeds", tensors | {"step": torch.tensor(history.step)}, EMOJI_FLOW_STEPS)


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
    return nearest_level(model.sample(300, AFTER_LABEL, seeded(seed), steps=steps, clip=True))


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


def pictures(vae: VAE, z: torch.Tensor, label: torch.Tensor = AFTER_LABEL) -> torch.Tensor:
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
            made = [
                model.sample(300, AFTER_LABEL, seeded(k), steps=25) / scale * std + mean for k in range(AFTER_DRAWS)
            ]
            rows.append([multiple(pictures(vae, codes)) for codes in made])
            print(
                f"latents × {scale:g}, seed {seed}, {history.seconds:.0f} s: {statistics.mean(rows[-1]):.2f}",
                flush=True,
            )
            if scale == 1 and seed == 0:
                keep("after_latent", objective.model, history, made_by="after_latent_seeds")
    tensors = {"multiple": torch.tensor(rows).view(len(SCALES), len(SEEDS), AFTER_DRAWS), "scale": torch.tensor(SCALES)}
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
                made = [after_draw(model, 25, k) for k in range(AFTER_DRAWS)]
                accuracy = statistics.mean(metrics.label_accuracy(x, AFTER_LABEL) for x in made)
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
        return torch.stack([to_levels(after_draw(model, n, k)) for k in range(AFTER_DRAWS)])

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
    """Energy distances × 1000 on the ring, (seed, calls), with 1, 2, 4, 8 and 64 calls, and (seed,) of what is apart.

    "euler" is a model by flow matching; "reflow" began with its weights and learned its pairs; "shuffled" did the same
    with other partners; "progressive" are students of "euler", for 1 to 8 calls.
    """
    ring, tensors = side_by_side.ring(), {}
    truth, again = (ring.sample(RING_POINTS, seeded(k)) for k in (100, 101))
    tensors["truth"] = torch.tensor(1000 * metrics.energy_distance(truth, again))

    def note(name: str, values: list[float]) -> None:
        tensors.setdefault(name, []).append(values)
        print(name, " ".join(f"{value:.2f}" for value in values), flush=True)

    def energy(model: diffusion.DDPM, n: int) -> float:
        return 1000 * metrics.energy_distance(model.sample(RING_POINTS, generator=seeded(5), steps=n), truth)

    for seed in SEEDS:
        torch.manual_seed(seed)
        first = straight(diffusion.MLP(dim=2, width=64), shape=(2,))
        points = ring.sample(side_by_side.POINTS, seeded(seed))
        options = {"steps": RING_STEPS, "batch_size": 256, "seed": seed}
        train.fit(diffusion.Denoising(first), points, **options)
        note("euler", [energy(first, n) for n in (*CALLS, 64)])
        pairs = diffusion.pairs_of(first, RING_PAIRS, seeded(seed), steps=64)
        order = torch.randperm(RING_PAIRS, generator=seeded(seed))
        others = torch.stack([pairs[:, 0], pairs[order, 1]], dim=1)
        for name, learned in (("reflow", pairs), ("shuffled", others)):
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
            made = [model.sample(300, AFTER_LABEL, seeded(k), steps=64) / 8 - 1 for k in range(AFTER_DRAWS)]
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


def texture_generator() -> torch.nn.Module:
    return gan.UNetGenerator(3, 1, width=24, depth=3, noise=4)


def textures_lambda() -> None:
    """A strip for lecture 02: what generators make of the same maps and noise, each trained with another λ."""
    held_out = data.textures(256, seed=999)
    pictures, numbers = [], {"detail": [], "error": [], "l1": [], "accuracy": []}
    for lam in LAMBDAS:
        G, history = textures_factor(lam)
        y = answers(G, held_out.x)
        pictures.append(to_bytes(y[:SHOWN, 0]))
        numbers["detail"].append(metrics.detail(y, held_out.y))
        numbers["error"].append(metrics.spectrum_error(y, held_out.y))
        numbers["l1"].append(float((y - held_out.y).abs().mean()))
        numbers["accuracy"].append(metrics.texture_accuracy(held_out.x, y))
        print(f"λ = {lam:g}: {FACTOR_STEPS} steps in {history.seconds:.0f} s", flush=True)
    tensors = {name: torch.tensor(values) for name, values in numbers.items()}
    tensors |= {"lam": torch.tensor(LAMBDAS), "pictures": torch.stack(pictures)}
    tones = torch.tensor([0.8, 0.0, -0.8])[:, None, None]  # brick light, grass grey, gravel dark, as in the lecture
    tensors |= {"maps": to_bytes((held_out.x[:SHOWN] * tones).sum(1)), "real": to_bytes(held_out.y[:SHOWN, 0])}
    store_tensors("textures_lambda", tensors, FACTOR_STEPS)


def store_tensors(name: str, tensors: dict[str, torch.Tensor], steps: object) -> None:
    """What is kept of several trainings in place of their weights, and the command that made it."""
    values, command = RUNS / f"{name}.safetensors", RUNS / f"{name}.json"
    save_file(tensors, values)
    command.write_text(json.dumps({"command": f"make runs ONLY={name}", "steps": steps}) + "\n", encoding="utf-8")
    check_size(values, command)


def to_bytes(images: torch.Tensor) -> torch.Tensor:
    return ((images.clamp(-1, 1) + 1) * 127.5).round().byte().contiguous()


def check_size(*files: Path) -> None:
    for file in files:
        largest = FLAGSHIP if file.stem in FLAGSHIPS else LARGEST
        if file.stat().st_size > largest:
            raise SystemExit(f"{file}: {file.stat().st_size:,} bytes, more than the {largest:,} that a run may have")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = {name: partial(store, name) for name in ALL}
    names |= {"textures_lambda": textures_lambda, "textures_seeds": textures_seeds, "outlines": outlines}
    names["emoji_pairs"] = emoji_pairs  # writes emoji_colours, too
    names["emoji_flow_seeds"] = emoji_flow_seeds  # writes emoji_flow, too
    names["lab_3_seeds"] = lab_3_seeds  # writes no weights
    names |= {"after_latent_seeds": after_latent, "after_dit_seeds": after_dit, "after_masked_seeds": after_masked}
    names |= {"after_few_digits": after_few_digits, "after_few_ring": after_few_ring}
    parser.add_argument("--only", choices=sorted(names), help="this run alone")
    only = parser.parse_args().only
    torch.set_num_threads(1)
    for name in [only] if only else names:
        names[name]()


if __name__ == "__main__":
    main()
