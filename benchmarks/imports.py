"""What importing the families and `train` costs on top of torch: `python benchmarks/imports.py` (Linux).

Each time in a process of its own. The goal, for the medians: at most 0.2 s of a processor and 15 MB.
"""

import statistics
import subprocess
import sys

PROGRAM = """
import time, torch
from pathlib import Path
def used():
    return time.process_time(), int(Path("/proc/self/statm").read_text().split()[1]) * 4096
before = used()
from genlib import data, gan, flows, diffusion, train
print(*(after - start for after, start in zip(used(), before)))
"""


def main() -> None:
    runs = [subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True).stdout for _ in range(7)]
    seconds, memory = (statistics.median(column) for column in zip(*(map(float, r.split()) for r in runs), strict=True))
    word = "met" if seconds <= 0.2 and memory <= 15e6 else "missed"
    print(f"{seconds:.2f} s of a processor (goal: 0.20 s), {memory / 1e6:.1f} MB (goal: 15 MB): {word}")


if __name__ == "__main__":
    main()
