"""The stored trainings that lectures load: `make runs`, or one of them, `make runs ONLY=ddpm_digits`.

Each ends in two files in lectures/runs/: NAME.safetensors, the weights, in half precision to keep them small, and
NAME.json, the history, with the command that made both.
"""

import argparse
import copy
from collections.abc import Callable
from pathlib import Path

import torch

from genlib import data, diffusion, train

RUNS = Path(__file__).parents[1] / "lectures" / "runs"
LARGEST = 500_000  # bytes


def ddpm_digits() -> tuple[torch.nn.Module, train.History]:
    """The class-conditional model of lecture 04, trained ten times as long as there."""
    torch.manual_seed(0)
    task = diffusion.DDPM(diffusion.UNet.digits(), diffusion.Schedule.cosine(T=1000), predict="v", levels=17, lr=4e-3)
    return task, train.fit(task, data.digits("train"), steps=4000, seed=0, log_every=40)


ALL: dict[str, Callable[[], tuple[torch.nn.Module, train.History]]] = {"ddpm_digits": ddpm_digits}


def store(name: str) -> None:
    """Train, then write weights and history."""
    task, history = ALL[name]()
    weights, curves = RUNS / f"{name}.safetensors", RUNS / f"{name}.json"
    train.save(copy.deepcopy(task).half(), weights)
    history.command = f"make runs ONLY={name}"
    history.save(curves)
    for file in (weights, curves):
        if file.stat().st_size > LARGEST:
            raise SystemExit(f"{file}: {file.stat().st_size:,} bytes, more than the {LARGEST:,} that a run may have")
    print(f"{name}: {history.step[-1]} steps in {history.seconds:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(ALL), help="this run alone")
    only = parser.parse_args().only
    torch.set_num_threads(1)
    for name in [only] if only else ALL:
        store(name)


if __name__ == "__main__":
    main()
