"""A class-conditional DDPM on the digits, from nothing, against its goals: `python benchmarks/ddpm_digits.py`.

One thread, three seeds; each is trained by `fit` and then draws 300 digits, 30 of each class, in 25 steps of DDIM. The
goal, for the median: in at most 30 s inside `fit`, label accuracy of at least .96, a Fréchet distance of at most 1.9
times that of held-out digits, and copying of at most .10. The clock means little on a busy machine, so the load and the
seconds of processor time stand beside it.
"""

import argparse
import os
import statistics
import time

import torch

from genlib import data, diffusion, metrics, train


def measure(seed: int, steps: int, batch_size: int, lr: float) -> list[float]:
    torch.manual_seed(seed)
    task = diffusion.DDPM(diffusion.UNet.digits(), diffusion.Schedule.cosine(), predict="v", levels=17, lr=lr)
    cpu = time.process_time()
    history = train.fit(task, data.digits(), steps=steps, batch_size=batch_size, seed=seed, progress=False)
    cpu = time.process_time() - cpu
    label = torch.arange(10).repeat_interleave(30)
    generator = torch.Generator().manual_seed(seed)
    x_0 = diffusion.last(diffusion.ddim(task, (300, 1, 8, 8), 25, label=label, clip=True, generator=generator))
    report = metrics.digits_report(x_0, label)
    print(
        f"{seed:>4}  {history.seconds:>8.1f}  {cpu:>8.1f}  {os.getloadavg()[0]:>5.1f}  {report.label_accuracy:>9.3f}  "
        f"{report.frechet_multiple:>8.2f}  {report.copying:>8.3f}  {' '.join(map(str, report.class_histogram))}",
        flush=True,
    )
    return [history.seconds, cpu, float(report.label_accuracy or 0), report.frechet_multiple, report.copying]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    n = sum(p.numel() for p in diffusion.UNet.digits().parameters())
    print(f"U-Net of {n:,} parameters, {arguments.steps} steps of {arguments.batch_size} digits, one thread")
    print("seed   seconds  of a cpu   load   accuracy   Fréchet   copying  digits of each class, 30 asked for")
    rows = [measure(seed, arguments.steps, arguments.batch_size, arguments.lr) for seed in range(arguments.seeds)]
    seconds, cpu, accuracy, frechet, copied = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"med.  {seconds:>8.1f}  {cpu:>8.1f}  {'':>5}  {accuracy:>9.3f}  {frechet:>8.2f}  {copied:>8.3f}")
    print("goal     <= 30                     >= .96    <= 1.9    <= .10")


if __name__ == "__main__":
    main()
