"""A class-conditional DDPM on the digits, from nothing, against its goals: `python benchmarks/ddpm_digits.py`.

One thread, three seeds; each is trained by `fit` and then draws 300 digits, 30 of each class, in 25 steps of DDIM: with
a little guidance (w = 0.3) and without (w = 0), from the same noise. The goal, for the median: in at most 30 s inside
`fit`, label accuracy of at least .96, a Fréchet distance of at most 1.9 times that of held-out digits, and copying of
at most .10. On a busy machine the clock says little; the load and the seconds of processor time stand beside it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import torch

from genlib import data, diffusion, metrics, train

STEPS = 25  # of DDIM
LABEL = torch.arange(10).repeat_interleave(30)


def measure(seed: int, steps: int, batch_size: int, guidance: float) -> dict[float, list[float]]:
    """Seconds, seconds of a processor, accuracy, Fréchet multiple and copying of one training, for each guidance."""
    torch.manual_seed(seed)
    ddpm = diffusion.DDPM(diffusion.UNet.digits(), diffusion.Schedule.cosine(), predict="v", levels=17)
    objective = diffusion.Denoising(ddpm)
    cpu = time.process_time()
    history = train.fit(objective, data.digits(), steps=steps, batch_size=batch_size, seed=seed, progress=False)
    cpu = time.process_time() - cpu
    rows = {}
    for w in dict.fromkeys((guidance, 0.0)):
        generator = torch.Generator().manual_seed(seed)
        x_0 = ddpm.sample(300, LABEL, generator, steps=STEPS, guidance=w, clip=True, shape=(1, 8, 8))
        report = metrics.digits_report(x_0, LABEL)
        rows[w] = [history.seconds, cpu, report.label_accuracy or 0.0, report.frechet_multiple, report.copying]
        show(str(seed), w, rows[w], f"{os.getloadavg()[0]:.1f}", " ".join(map(str, report.class_histogram)))
    return rows


def show(name: str, w: float, row: list[float], load: str = "", histogram: str = "") -> None:
    seconds, cpu, accuracy, frechet, copied = row
    numbers = f"{seconds:>9.1f}{cpu:>9.1f}{load:>7}{accuracy:>10.3f}{frechet:>9.2f}{copied:>9.3f}"
    print(f"{name:<6}{w:>4.1f}{numbers}  {histogram}".rstrip(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--guidance", type=float, default=0.3)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    n = sum(p.numel() for p in diffusion.UNet.digits().parameters())
    print(f"U-Net of {n:,} parameters, {arguments.steps} steps of {arguments.batch_size} digits, one thread")
    print("seed     w  seconds  cpu sec.   load  accuracy  Fréchet  copying  digits of each class, 30 asked for")
    runs = [measure(seed, arguments.steps, arguments.batch_size, arguments.guidance) for seed in range(arguments.seeds)]
    for w in runs[0]:
        show("median", w, [statistics.median(column) for column in zip(*(run[w] for run in runs), strict=True)])
    print("goal          <= 30                     >= .96   <= 1.9   <= .10")


if __name__ == "__main__":
    main()
