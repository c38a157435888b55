"""Memory that a step frees stays with the process while it trains or samples, and goes back to the system after."""

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from genlib.memory import freed_memory_kept

def faults(times=60):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.ones(10_000_000)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / times

faults(3)
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096
start = resident()
alone = faults()
with freed_memory_kept():
    with freed_memory_kept():  # a callback samples
        faults(1)
    kept, most = faults(), resident()
print(alone, kept, most - start, resident() - start)
"""


SAMPLING = """
import resource, sys, torch
from genlib import diffusion

used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
counts = []

class Net(torch.nn.Module):
    def forward(self, x_t, t, label=None):
        torch.ones(10_000_000)
        counts.append(used())
        return torch.zeros_like(x_t)

torch.set_grad_enabled(False)
made = {
    "ddpm": lambda: diffusion.DDPM(Net(), diffusion.Schedule.cosine(60), shape=(1, 8, 8)),
    "masked": lambda: diffusion.MaskedDiffusion(Net(), 3, (1, 8, 8)),
}
model = made[sys.argv[1]]()
for _ in range(20):
    model.net(torch.zeros(1, 1, 8, 8), None)
alone = counts[-1] - counts[-11]
model.sample(1, steps=60)
print(alone / 10, (counts[-1] - counts[-11]) / 10)
"""


def run(script: str = FAULTS, *arguments: str, **environment: str) -> list[float]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, env=own | environment, capture_output=True, text=True, check=True)
    return [float(number) for number in done.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_a_freed_block_is_not_asked_for_again() -> None:
    """40 MB are some ten thousand pages, which the system clears each time that they are asked for.

    At first something small may lie behind a freed block, and the next one is put behind that: pages are new again.
    """
    alone, kept, most, after = run()
    assert kept < 0.3 * alone
    assert most > 35e6
    assert after < 5e6


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_thresholds_of_the_environment_stay() -> None:
    alone, kept, *_ = run(MALLOC_MMAP_THRESHOLD_="1000000", MALLOC_TRIM_THRESHOLD_="1000000")
    assert kept > 0.9 * alone


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
@pytest.mark.parametrize("model", ["ddpm", "masked"])
def test_samplers_keep_it_too(model: str) -> None:
    """What their network frees in one step of many, it is not given anew in the last ones."""
    alone, kept = run(SAMPLING, model)
    assert alone > 5000
    assert kept < 0.3 * alone
