"""What glibc's two allocator thresholds give a training step on the CPU: `python benchmarks/allocator.py` (Linux).

Two processes, one with the settings of the Makefile and one without, take turns on the same step: a few 3 x 3
convolutions with group norm, forward, backward and Adam.  Medians over all turns; one thread unless told otherwise.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn

NAMES = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def settings() -> dict[str, str]:
    """The Makefile's values, so that what is measured is what is used."""
    text = (Path(__file__).resolve().parent.parent / "Makefile").read_text(encoding="utf-8")
    return {name: re.findall(rf"{name} \?= (\d+)", text)[0] for name in NAMES}


def worker(threads: int, width: int, size: int, batch: int, steps: int) -> None:
    """Run `steps` steps for every line on stdin; answer with seconds a step, page faults a step, peak MiB."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(1, width, 3, padding=1)]
    for _ in range(4):
        layers += [nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)]
    net = nn.Sequential(*layers, nn.Conv2d(width, 1, 3, padding=1))
    adam = torch.optim.Adam(net.parameters(), fused=True)
    x = torch.randn(batch, 1, size, size)

    def step() -> None:
        loss = (net(x) - x).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()

    for _ in range(5):
        step()
    for _ in sys.stdin:
        faults, start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()
        for _ in range(steps):
            step()
        seconds = (time.perf_counter() - start) / steps
        usage = resource.getrusage(resource.RUSAGE_SELF)
        print(seconds, (usage.ru_minflt - faults) / steps, usage.ru_maxrss / 1024, flush=True)


def main() -> None:
    """Alternate between the two processes and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("threads", 1), ("width", 32), ("size", 16), ("batch", 64), ("steps", 10), ("turns", 12)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.threads, args.width, args.size, args.batch, args.steps)
    if sys.platform != "linux":
        sys.exit("These are settings of glibc: Linux only.")

    plain = {name: value for name, value in os.environ.items() if name not in NAMES}
    command = [sys.executable, __file__, "--worker", *sys.argv[1:]]
    sides = {}
    for side, env in (("plain", plain), ("raised", plain | settings())):
        sides[side] = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    turns: dict[str, list[list[float]]] = {side: [] for side in sides}
    for _ in range(args.turns):
        for side, process in sides.items():
            assert process.stdin
            assert process.stdout
            print(file=process.stdin, flush=True)
            turns[side].append([float(word) for word in process.stdout.readline().split()])
    for process in sides.values():
        process.communicate()

    print(f"{'thresholds':12}{'ms a step':>12}{'page faults a step':>22}{'peak MiB':>12}")
    medians = {side: [statistics.median(column) for column in zip(*rows, strict=True)] for side, rows in turns.items()}
    for side, (seconds, faults, peak) in medians.items():
        print(f"{side:12}{1e3 * seconds:12.1f}{faults:22.0f}{peak:12.0f}")
    print(f"plain / raised: {medians['plain'][0] / medians['raised'][0]:.2f}")


if __name__ == "__main__":
    main()
