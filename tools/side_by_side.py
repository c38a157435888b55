"""The stored trainings of lecture 07: four families, the same data, the same seconds, about as many parameters.

`make runs ONLY=side_digits_flow` or `make runs ONLY=side_ring_flow_0`: digits with their classes, or points of a
mixture whose weights differ, the latter from three seeds.

`python tools/side_by_side.py` measures what a step of each costs, the families in turn, and says how many steps fit
into the same seconds of one processor. `STEPS` was taken from there: with fixed steps a training can be repeated.
A history holds the processor's seconds, not the clock's, which on a busy machine would say who else was at work.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from genlib import data, diffusion, flows, gan, train
from genlib.autoencoder import ELBO, VAE

Objective = ELBO | gan.ClassConditional | flows.MaximumLikelihood | diffusion.Denoising

FAMILIES = ("vae", "gan", "flow", "ddpm")
SEEDS = (0, 1, 2)
BATCH = {"ring": dict.fromkeys(FAMILIES, 256), "digits": {"vae": 64, "gan": 64, "flow": 128, "ddpm": 64}}
STEPS = {
    "ring": {"vae": 3100, "gan": 1950, "flow": 1600, "ddpm": 2800},
    "digits": {"vae": 8000, "gan": 5500, "flow": 1550, "ddpm": 600},
}
POINTS = 20_000
COPIES = 20  # of each digit, each with its own dequantizing noise, for the VAE


def ring() -> data.GaussianMixture:
    """Eight modes on a circle; mode k, counted from 1, has the weight k/36."""
    even = data.GaussianMixture.ring(n=8, radius=0.6, std=0.06)
    return data.GaussianMixture(even.means, even.covs, weights=torch.arange(1, 9) / 36)


def on_points(family: str) -> Objective:
    """An objective for points in the plane."""
    if family == "vae":
        return ELBO(VAE(dim=2, latent=2, width=128, std=0.1, learn_std=True))
    if family == "gan":
        G = gan.MLPGenerator(shape=(2,), n_classes=1, latent=2, width=128)
        return gan.ClassConditional(G, gan.ProjectionDiscriminator(shape=(2,), n_classes=1, width=128))
    if family == "flow":
        return flows.MaximumLikelihood(flows.RealNVP.for_vectors(dim=2, n_couplings=8, width=64, actnorm=True), lr=5e-3)
    ddpm = diffusion.DDPM(diffusion.MLP(dim=2, width=56), diffusion.Schedule.cosine(T=200), predict="v")
    return diffusion.Denoising(ddpm)


def on_digits(family: str) -> Objective:
    """An objective for digits, given their class."""
    if family == "vae":
        return ELBO(VAE(dim=64, latent=16, width=256, std=0.3, n_classes=10, learn_std=True))
    if family == "gan":
        return gan.ClassConditional(gan.MLPGenerator(width=256), gan.ProjectionDiscriminator(width=256))
    if family == "flow":
        flow = flows.RealNVP.for_vectors(
            dim=64, n_couplings=16, width=64, levels=17, n_classes=10, mask="random", dropout=0.3, actnorm=True
        )
        return flows.MaximumLikelihood(flow)
    ddpm = diffusion.DDPM(diffusion.UNet.digits(), diffusion.Schedule.cosine(T=1000), predict="v", levels=17)
    return diffusion.Denoising(ddpm)


def examples(what: str, family: str, seed: int = 0) -> Tensor | tuple[Tensor, ...]:
    """What an objective is trained on, in the form that its family takes."""
    generator = torch.Generator().manual_seed(seed)
    if what == "ring":
        points = ring().sample(POINTS, generator)
        return (points, torch.zeros(POINTS, dtype=torch.int64)) if family == "gan" else points
    x_int, label = data.digits("train", integers=True)
    if family == "vae":  # a density, so its pixels are dequantized as a flow's are
        x_int, label = x_int.flatten(1).repeat(COPIES, 1), label.repeat(COPIES)
        return 2 * flows.dequantize(x_int, data.LEVELS, generator) - 1, label
    return (x_int.flatten(1), label) if family == "flow" else tuple(data.digits("train"))


def side(what: str, family: str, seed: int = 0, steps: int | None = None) -> tuple[nn.Module, train.History]:
    """One of the trainings: the model, and its history."""
    torch.manual_seed(seed)
    objective = on_points(family) if what == "ring" else on_digits(family)
    batches, steps = examples(what, family, seed), steps or STEPS[what][family]
    options = {"batch_size": BATCH[what][family], "clip": None if family == "gan" else 1.0, "log_every": 100}
    busy = time.process_time()
    history = train.fit(objective, batches, steps=steps, seed=seed, **options)
    history.seconds = time.process_time() - busy
    return objective.model, history


ALL: dict[str, Callable[[], tuple[nn.Module, train.History]]] = {
    **{f"side_ring_{family}_{seed}": partial(side, "ring", family, seed) for family in FAMILIES for seed in SEEDS},
    **{f"side_digits_{family}": partial(side, "digits", family) for family in FAMILIES},
}


def cost(what: str, rounds: int = 7) -> dict[str, float]:
    """Seconds of a processor for one step of each family: the median of several rounds, the families in turn."""
    objectives = {family: (on_points if what == "ring" else on_digits)(family) for family in FAMILIES}
    seconds = {family: [] for family in FAMILIES}
    for _ in range(rounds):
        for family, objective in objectives.items():
            batches, busy = examples(what, family), time.process_time()
            train.fit(objective, batches, steps=20, batch_size=BATCH[what][family], progress=False)
            seconds[family].append((time.process_time() - busy) / 20)
    return {family: statistics.median(values) for family, values in seconds.items()}


def main() -> None:
    torch.set_num_threads(1)
    for what, slowest in (("ring", "flow"), ("digits", "ddpm")):
        each = cost(what)
        budget = each[slowest] * STEPS[what][slowest]
        steps = ", ".join(f"{family} {budget / seconds:.0f}" for family, seconds in each.items())
        print(f"{what}: {budget:.0f} s of a processor are the steps: {steps}")


if __name__ == "__main__":
    main()
