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


def run(**environment: str) -> list[float]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", FAULTS]
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
