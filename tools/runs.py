"""The stored trainings that lectures load: `make runs`, or one of them, `make runs ONLY=ddpm_digits`.

Each ends in two files in lectures/runs/: NAME.safetensors, the model's weights, in half precision to keep them small
(or, of a strip, pictures), and NAME.json, the history, with the command that made both.
"""

import argparse
import copy
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import after_2021
import side_by_side
import torch
from lab_seeds import lab_3_seeds
from stored_runs import RUNS, SEEDS, keep, store_tensors, to_bytes

from genlib import data, flows, gan, metrics, recipes, train

LAMBDAS = (0.0, 1.0, 5.0, 20.0, 100.0)
TEXTURE_STEPS = 900
FACTOR_STEPS = 1200
SHOWN = 10  # maps and pictures of the strip
OUTLINE_STEPS = 300
EMOJI_FLOW_STEPS = 2000
MIXING = ("learned", "rotation", "fixed")  # 1×1 convolutions; such as stay as they were drawn; none
EMOJI = {  # what differs from run to run, in the settings of the recipe pix2pix-emoji
    "both": {"lam": 100.0},
    "cgan": {"lam": 0.0},
    "unconditional": {"lam": 0.0, "conditional": False},
    "l1": {"lam": 100.0, "adversarial": 0.0},
}
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
    pairs, settings, tensors = recipe.data("train", None), recipe.defaults() | {"lr": 2e-4, "batch_size": 16}, {}
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = {name: partial(store, name) for name in ALL}
    names |= {"textures_lambda": textures_lambda, "textures_seeds": textures_seeds, "outlines": outlines}
    names["emoji_pairs"] = emoji_pairs  # writes emoji_colours, too
    names["emoji_flow_seeds"] = emoji_flow_seeds  # writes emoji_flow, too
    names["lab_3_seeds"] = lab_3_seeds  # writes no weights
    names |= after_2021.ALL
    parser.add_argument("--only", choices=sorted(names), help="this run alone")
    only = parser.parse_args().only
    torch.set_num_threads(1)
    for name in [only] if only else names:
        names[name]()


if __name__ == "__main__":
    main()
