"""Flows on the digits, from nothing, against their goals: `python benchmarks/flow_digits.py`.

One thread, three seeds, two flows: one given the class, one without. Each is trained by `fit` on the 1500 digits, and
judged by bits per dimension on the 297 held out, over four draws of the dequantizing noise. The goals, for the medians:
at most 2.15 given the class and 2.30 without, each after at most 30 s inside `fit`; and f⁻¹(f(x)) within 1e-5 of x in
float32. The clock means little on a busy machine, so the load and the seconds of processor time stand beside it.

Two references go through the same `bits_per_dim`: the uniform distribution, and a Gaussian with the training digits'
mean and full covariance.
"""

import argparse
import os
import statistics
import time

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from genlib import data, flows, train

DRAWS = 4


class Uniform:
    """On the unit cube."""

    def log_prob(self, z: Tensor) -> Tensor:
        return z.new_zeros(len(z))

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.rand(n, 64, generator=generator)


class Gaussian:
    """With the mean and covariance of the dequantized training digits."""

    def __init__(self, x_int: Tensor) -> None:
        x = (x_int.double() + 0.5) / data.LEVELS
        noise = torch.eye(x.shape[1], dtype=x.dtype) / (12 * data.LEVELS**2)  # that of dequantization, known exactly
        self.normal = MultivariateNormal(x.mean(0), x.T.cov() + noise)

    def log_prob(self, z: Tensor) -> Tensor:
        return self.normal.log_prob(z.double())

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        raise NotImplementedError("a reference is not sampled")


def bits(flow: flows.Flow, x_int: Tensor, label: Tensor | None, n_importance: int = 1) -> float:
    generator, n = torch.Generator().manual_seed(0), DRAWS
    label = None if label is None else label.repeat(n)
    return float(flow.bits_per_dim(x_int.repeat(n, 1), label, n_importance=n_importance, generator=generator).mean())


def measure(seed: int, given: bool, steps: int, batch_size: int, lr: float) -> list[float]:
    (x, label), (x_new, label_new) = data.digits("train", integers=True), data.digits("test", integers=True)
    x, x_new = x.flatten(1), x_new.flatten(1)
    told = label_new if given else None
    torch.manual_seed(seed)
    flow = flows.RealNVP.for_vectors(
        dim=64,
        n_couplings=16,
        width=96,
        levels=data.LEVELS,
        n_classes=10 if given else None,
        mask="random",
        dropout=0.3,
        actnorm=True,
        seed=seed,
    )
    cpu = time.process_time()
    objective = flows.MaximumLikelihood(flow, lr=lr)
    history = train.fit(objective, (x, label), steps=steps, batch_size=batch_size, seed=seed, progress=False)
    cpu = time.process_time() - cpu
    flow.eval()
    seen, held_out = bits(flow, x, label if given else None), bits(flow, x_new, told)
    tighter = bits(flow, x_new, told, n_importance=32)
    points = flows.dequantize(x_new, data.LEVELS, torch.Generator().manual_seed(0))
    with torch.no_grad():
        back, _ = flow.inverse(flow(points, told)[0], told)
    error = float((back - points).abs().max())
    print(
        f"{seed:>4}  {'given' if given else 'no':>5}  {history.seconds:>8.1f}  {cpu:>8.1f}  {os.getloadavg()[0]:>5.1f}"
        f"  {seen:>8.3f}  {held_out:>8.3f}  {tighter:>10.3f}  {error:>13.1e}",
        flush=True,
    )
    return [history.seconds, cpu, seen, held_out, tighter, error]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    x, x_new = (data.digits(split, integers=True).x.flatten(1) for split in ("train", "test"))
    for base in (Uniform(), Gaussian(x)):
        reference = flows.Flow([], (64,), base=base, levels=data.LEVELS)
        print(f"{type(base).__name__}: {bits(reference, x_new, None):.3f} bits per dimension, held out")
    print(f"flows: {arguments.steps} steps of {arguments.batch_size} digits, one thread")
    print("seed  class   seconds  of a cpu   load  training  held out  32 samples  inverse error")
    for given, goal in ((True, 2.15), (False, 2.30)):
        settings = arguments.steps, arguments.batch_size, arguments.lr
        rows = [measure(seed, given, *settings) for seed in range(arguments.seeds)]
        seconds, cpu, seen, held_out, tighter, error = (statistics.median(column) for column in zip(*rows, strict=True))
        print(
            f"med.  {'':>5}  {seconds:>8.1f}  {cpu:>8.1f}  {'':>5}  {seen:>8.3f}  {held_out:>8.3f}  {tighter:>10.3f}"
            f"  {error:>13.1e}"
        )
        print(f"goal            <= 30                               <= {goal:.2f}                    <= 1e-5")


if __name__ == "__main__":
    main()
