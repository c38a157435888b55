"""Train the flow on moons that FlowWarpExplorer shows, and write the weights that the package ships.

python tools/train_warp.py                # about a minute on one core; the same weights each time on one machine
"""

import argparse
from pathlib import Path

import torch

from gencourse.widgets.flow_warp import MOONS, WEIGHTS, untrained
from genlib import train
from genlib.flows import MaximumLikelihood

STEPS, BATCH_SIZE, EXAMPLES = 4000, 256, 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # one order of summation

    torch.manual_seed(arguments.seed)
    flow = untrained()
    x = MOONS.sample(EXAMPLES, torch.Generator().manual_seed(arguments.seed + 1))
    train.fit(MaximumLikelihood(flow), x, steps=STEPS, batch_size=BATCH_SIZE, seed=arguments.seed)
    train.save(flow, arguments.out)
    x = MOONS.sample(EXAMPLES, torch.Generator().manual_seed(arguments.seed + 2))
    with torch.no_grad():
        nats = -float(flow.log_prob(x).mean())
    print(f"{arguments.out.name}: {nats:.3f} nats a point, where the truth has {MOONS.entropy():.3f}")


if __name__ == "__main__":
    main()
