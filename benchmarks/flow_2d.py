"""A 2-D flow on a density with known entropy, from nothing, against its goal: `python benchmarks/flow_2d.py`.

One thread, three seeds: 8 couplings of width 64, float32, trained by `fit` on samples of two moons (std 0.05), whose
density is known exactly, so that no sample is needed twice and nothing is learned by heart. What counts is how far the
flow's code length for 100,000 other points lies above the truth's, KL = E[log p(x) − log q(x)] in nats. The goal, for
the median: at most 0.03 after at most 8 s inside `fit`. The clock means little on a busy machine, so the load and the
seconds of processor time stand beside it.
"""

import argparse
import os
import statistics
import time

import torch

from genlib import data, flows, train

DENSITIES = {
    "moons": lambda: data.Moons(),
    "rings": lambda: data.Rings(),
    "mixture": lambda: data.GaussianMixture.ring(),
}


def measure(density, seed: int, steps: int, batch_size: int, lr: float, muon: float) -> list[float]:
    torch.manual_seed(seed)
    flow = flows.RealNVP.for_vectors(dim=2, n_couplings=8, width=64)
    points = density.sample(steps * batch_size, torch.Generator().manual_seed(seed))  # each is seen once
    new = density.sample(100_000, torch.Generator().manual_seed(1000 + seed))
    cpu = time.process_time()
    objective = flows.MaximumLikelihood(flows.fused(flow), lr=lr, muon=muon)
    history = train.fit(objective, points, steps=steps, batch_size=batch_size, seed=seed, progress=False)
    cpu = time.process_time() - cpu
    flow.eval()
    with torch.no_grad():
        gap = float((density.log_prob(new) - flow.log_prob(new)).double().mean())
        error = float((flow.inverse(flow(new)[0])[0] - new).norm() / new.norm())
    load = os.getloadavg()[0]
    print(f"{seed:>4}  {history.seconds:>8.1f}  {cpu:>8.1f}  {load:>5.1f}  {gap:>8.4f}  {error:>14.1e}", flush=True)
    return [history.seconds, cpu, gap, error]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--density", choices=list(DENSITIES), default="moons")
    parser.add_argument("--steps", type=int, default=480)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--lr", type=float, default=7e-3)
    parser.add_argument("--muon", type=float, default=0.02, help="learning rate of the hidden matrices; 0: all Adam's")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    density = DENSITIES[arguments.density]()
    print(
        f"{arguments.density}, entropy {density.entropy():.4f} nats; {arguments.steps} steps of {arguments.batch_size}"
    )
    print("seed   seconds  of a cpu   load  KL, nats  inverse, error")
    settings = arguments.steps, arguments.batch_size, arguments.lr, arguments.muon
    rows = [measure(density, seed, *settings) for seed in range(arguments.seeds)]
    seconds, cpu, gap, error = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"med.  {seconds:>8.1f}  {cpu:>8.1f}  {'':>5}  {gap:>8.4f}  {error:>14.1e}")
    print("goal      <= 8                     <= 0.03")


if __name__ == "__main__":
    main()
