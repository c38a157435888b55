"""A class-conditional GAN on the digits, from nothing, against its goals: `python benchmarks/gan_digits.py`.

One thread, three seeds; each is trained by `fit` and then makes 300 digits, 30 of each class. The goal, for the median:
in at most 10 s inside `fit`, label accuracy of at least .97, a Fréchet distance of at most 1.5 times that of held-out
digits, and copying of at most .10. On a busy machine the clock says little; the load and the seconds of processor time
stand beside it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import torch

from genlib import data, gan, metrics, train

LABEL = torch.arange(10).repeat_interleave(30)


def measure(seed: int, steps: int, batch_size: int, settings: dict[str, float]) -> list[float]:
    """Seconds, seconds of a processor, accuracy, Fréchet multiple and copying of one training."""
    torch.manual_seed(seed)
    G = gan.MLPGenerator(width=128)
    D = gan.ProjectionDiscriminator(width=256, dropout=settings["dropout"])
    objective = gan.ClassConditional(G, D, lr=settings["lr"], gamma=settings["gamma"])
    y, label = data.digits()
    cpu = time.process_time()
    history = train.fit(objective, (y, label), steps=steps, batch_size=batch_size, seed=seed, clip=None, progress=False)
    cpu = time.process_time() - cpu
    made = G.sample(len(LABEL), LABEL, torch.Generator().manual_seed(seed))
    report = metrics.digits_report(made, LABEL)
    row = [history.seconds, cpu, report.label_accuracy or 0.0, report.frechet_multiple, report.copying]
    show(str(seed), row, f"{os.getloadavg()[0]:.1f}", " ".join(map(str, report.class_histogram)))
    return row


def show(name: str, row: list[float], load: str = "", histogram: str = "") -> None:
    seconds, cpu, accuracy, frechet, copied = row
    print(
        f"{name:<6}{seconds:>9.1f}{cpu:>9.1f}{load:>7}{accuracy:>10.3f}{frechet:>9.2f}{copied:>9.3f}  {histogram}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1120)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--gamma", type=float, default=0.0)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    print(f"{arguments.steps} steps of {arguments.batch_size} digits, one thread")
    print("seed   seconds cpu sec.   load  accuracy  Fréchet  copying  digits of each class, 30 asked for")
    runs = [measure(seed, arguments.steps, arguments.batch_size, vars(arguments)) for seed in range(arguments.seeds)]
    show("median", [statistics.median(column) for column in zip(*runs, strict=True)])
    print("goal       <= 10                     >= .97   <= 1.5   <= .10")


if __name__ == "__main__":
    main()
