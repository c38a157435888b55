"""How much faster a training step could become at all: `python benchmarks/limits.py`.

The profiler says how long torch's convolutions and matrix products take, which every library calls alike; all the rest
of a step (other functions of torch, the optimizer, Python between them) could at best become nothing. So at equal
sizes and equal settings nobody's step can be shorter than this arithmetic, on one thread, with torch's own kernels.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import step_sides as work
import torch
from torch.profiler import ProfilerActivity, profile

from genlib import data, diffusion, flows, recipes

CONVOLUTIONS = "aten::convolution", "aten::convolution_backward"  # with what they call
PRODUCTS = (
    "aten::addmm", "aten::mm", "aten::bmm", "aten::baddbmm", "aten::_scaled_dot_product_flash_attention_for_cpu",
    "aten::_scaled_dot_product_flash_attention_for_cpu_backward",
)  # fmt: skip
LAST: dict[str, Any] = {"memory_format": torch.channels_last}
Made = tuple[Any, list[Any]]


def digits(batch: int) -> Made:
    ddpm = diffusion.DDPM(diffusion.UNet.digits(), diffusion.Schedule.cosine(), predict="v", levels=17)
    objective: Any = diffusion.Denoising(ddpm, lr=4e-3)
    return objective.to(**LAST), [tuple(part[:batch] for part in data.digits())]


def bits(batch: int) -> Made:
    options = {"levels": data.LEVELS, "n_classes": 10, "mask": "random", "dropout": 0.3, "actnorm": True}
    x, label = data.digits(integers=True)
    flow = flows.fused(flows.RealNVP.for_vectors(64, 16, 96, **options))
    return flows.MaximumLikelihood(flow, lr=4e-3), [(x[:batch].flatten(1), label[:batch])]


def emoji(batch: int) -> Made:
    recipe = recipes.find("pix2pix-emoji")
    objective: Any = recipe.objective(recipe.defaults())
    pairs = [tuple(part[:batch] for part in data.emoji())]
    return objective.to(**LAST), pairs


def unet() -> Made:
    objective, batches = work.unet_objective(False)
    return objective.to(**LAST), batches


WORKS: dict[str, tuple[Callable[[], Made], int]] = {  # and how many steps are timed at once
    "digits, batch 32": (lambda: digits(32), 20),
    "digits, batch 64": (lambda: digits(64), 20),
    "moons, batch 128": (lambda: work.plane_objective(False, batch=128), 100),
    "moons, batch 512": (lambda: work.plane_objective(False), 50),
    "bits, batch 64": (lambda: bits(64), 50),
    "bits, batch 128": (lambda: bits(128), 50),
    "emoji, batch 1": (lambda: emoji(1), 20),
    "emoji, batch 4": (lambda: emoji(4), 20),
    "emoji, batch 16": (lambda: emoji(16), 10),
    "DDPM, 2.6 M, 1×16×16, batch 64": (unet, 3),
    "image flow, 1×28×28, batch 32": (lambda: work.image_objective(False), 3),
    "pix2pix, 64², batch 4": (lambda: work.gan_objective(False, 64), 3),
    "pix2pix, 256², batch 1": (lambda: work.gan_objective(False, 256), 3),
}


DDIM = "DDIM, 50 steps, 2.6 M, 1×16×16, 4 pictures"


def measured(make: Callable[[], Made], n: int, rounds: int = 3) -> dict[str, float]:
    """Of a step inside `fit`."""
    torch.manual_seed(0)
    return shared(work.in_fit(*make())[1], n, work.UNTIMED, rounds)


def sampling() -> dict[str, float]:
    """Of 50 steps of DDIM, 4 pictures, with the same U-Net as the DDPM's."""
    return shared(work.ours_ddim(False, False, **LAST)[1], 1)


def shared(timed: work.Timed, n: int, untimed: int = 0, rounds: int = 3) -> dict[str, float]:
    """Seconds of a step, and what of it is arithmetic: medians of rounds, each timed and then profiled."""
    timed(n, time.process_time)
    seconds, arithmetic = [], []
    for _ in range(rounds):
        seconds.append(timed(n, time.process_time) / n)
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            timed(n, time.process_time)
        events = profiler.key_averages()
        spent = sum(event.cpu_time_total for event in events if event.key in CONVOLUTIONS)
        spent += sum(event.self_cpu_time_total for event in events if event.key in PRODUCTS)
        arithmetic.append(spent / (n + untimed) / 1e6)
    share = statistics.median(a / s for a, s in zip(arithmetic, seconds, strict=True))
    return {"seconds": float(f"{statistics.median(seconds):.4g}"), "arithmetic": round(share, 3)}


def rows() -> list[dict[str, Any]]:
    """One for each work: {"work", "seconds", "arithmetic": its share}."""
    found = [{"work": name, **measured(make, n)} for name, (make, n) in WORKS.items()]
    return [*found, {"work": DDIM, **sampling()}]


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    for row in rows():
        milliseconds, share = 1e3 * row["seconds"], row["arithmetic"]
        print(f"{row['work']:<34}{milliseconds:>9.2f} ms  arithmetic {share:.0%}, at most {1 / share:.2f} × faster")


if __name__ == "__main__":
    main()
