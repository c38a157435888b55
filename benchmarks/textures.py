"""pix2pix on photos of brick, grass and gravel, from nothing, against its goals: `python benchmarks/textures.py`.

Three seeds; each is trained by `fit` on 2000 pairs of a label map and a photo, and then answers 256 held-out maps. The
goal, for the median: in at most 60 s inside `fit`, on two threads, detail of .9 to 1.1 (power at high frequencies, over
the real photos') and an error of the log-spectrum of at most .2. For comparison, L1 alone. The accuracy is that of a
classifier of real crops, asked whether each region shows the texture that the map wants; `least` is that of the texture
which it finds least often: a D that cannot tell two of them leaves it near .5. `--beside` takes a D as in the paper,
which sees the map beside the photo. On a busy machine the clock says little, and two threads wait for each other; the
load and the seconds of processor time stand beside it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import torch

from genlib import data, gan, metrics, train

COLUMNS = "seed        seconds  cpu sec.   load   detail    error       L1  accuracy    least  diversity"


def new_objective(lam: float = 5.0, lr: float = 4e-4, adversarial: float = 1.0, beside: bool = False) -> gan.Pix2Pix:
    """U-Net and patch discriminator of width 24; channels last, which is faster on a processor.

    The map is a factor in D, which learns five times as fast and is shown mismatched pairs, and G pays for answers that
    are alike; or the map stands beside the photo, as in the paper.
    """
    G = gan.UNetGenerator(3, 1, width=24, depth=3, noise=4)
    if beside:
        objective = gan.Pix2Pix(G, gan.PatchDiscriminator(4, width=24, n_layers=2), lam, lr=lr, adversarial=adversarial)
    else:
        D = gan.PatchDiscriminator(1, width=24, n_layers=1, projection=3)
        objective = gan.Pix2Pix(G, D, lam, lr=lr, lr_D=5 * lr, adversarial=adversarial, mismatched=2.0, variety=5.0)
    return objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def report(x: torch.Tensor, y: torch.Tensor, truth: torch.Tensor) -> list[float]:
    """Detail, error of the log-spectrum, L1, accuracy, and the accuracy of the worst texture."""
    l1, seen = float((y - truth).abs().mean()), metrics.texture_confusion(x, y)
    least = float((seen.diagonal() / seen.sum(1)).min())
    return [metrics.detail(y, truth), metrics.spectrum_error(y, truth), l1, metrics.texture_accuracy(x, y), least]


def measure(seed: int, arguments: argparse.Namespace, adversarial: float) -> list[float]:
    """Seconds, seconds of a processor, and the numbers of `report` and the diversity, of one training."""
    torch.manual_seed(seed)
    objective = new_objective(arguments.lam, arguments.lr, adversarial, arguments.beside)
    scenes, held_out = data.textures(2000, seed=0), data.textures(256, seed=999)
    cpu = time.process_time()
    history = train.fit(
        objective, scenes, steps=arguments.steps, batch_size=arguments.batch_size, seed=seed, progress=False
    )
    cpu = time.process_time() - cpu
    generator = torch.Generator().manual_seed(seed)
    parts = held_out.x.split(64)
    y = torch.cat([gan.generate(objective.G, x, generator=generator) for x in parts])
    draws = torch.stack([gan.generate(objective.G, parts[0], generator=generator) for _ in range(8)])
    return [history.seconds, cpu, *report(held_out.x, y, held_out.y), metrics.diversity(draws)]


def show(name: str, row: list[float], load: str = "") -> None:
    seconds, cpu, detail, error, l1, accuracy, least, diversity = row
    numbers = f"{seconds:>9.1f}{cpu:>10.1f}{load:>7}{detail:>9.3f}{error:>9.3f}{l1:>9.3f}{accuracy:>10.3f}{least:>9.3f}"
    print(f"{name:<10}{numbers}{diversity:>11.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--lam", type=float, default=5.0)
    parser.add_argument("--lr", type=float, default=4e-4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--beside", action="store_true", help="the D of the paper")
    parser.add_argument("--without-l1-alone", action="store_true", help="leave out the comparison")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    objective = new_objective(beside=arguments.beside)
    networks = objective.G, objective.D
    n_G, n_D = (sum(p.numel() for p in network.parameters()) for network in networks)
    print(
        f"G of {n_G:,} and D of {n_D:,} parameters, {arguments.steps} steps of {arguments.batch_size} pairs, ", end=""
    )
    print(f"λ = {arguments.lam:g}, {arguments.threads} threads")
    print(COLUMNS)
    rows = []
    for seed in range(arguments.seeds):
        rows.append(measure(seed, arguments, 1.0))
        show(str(seed), rows[-1], f"{os.getloadavg()[0]:.1f}")
    show("median", [statistics.median(column) for column in zip(*rows, strict=True)])
    print("goal          <= 60                  .9–1.1    <= .2")
    if not arguments.without_l1_alone:
        show("L1 alone", measure(0, arguments, 0.0), f"{os.getloadavg()[0]:.1f}")
    truth, other = data.textures(256, seed=999), data.textures(256, seed=998)
    detail, error, *_ = report(other.x, other.y, truth.y)
    print(f"other real photos: detail {detail:.3f}, error {error:.3f}, ", end="")
    print(f"accuracy {metrics.texture_accuracy(truth.x, truth.y):.3f}")


if __name__ == "__main__":
    main()
