"""Small objectives for the tests of `train`. Run as a script, it trains until somebody kills it."""

import random
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from genlib import train

ONES = torch.ones(8, 1)


class Pairs(NamedTuple):
    x: Tensor
    label: Tensor


class Climber(nn.Module):
    """Its parameter grows by 1 in each step: θ = k + 1 after step k."""

    def __init__(self, lr: float = 1.0, averaged: bool = True) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.averaged = averaged
        self.lr, self.seen = lr, []
        self.optimizer: torch.optim.Optimizer | None = None

    def optimizers(self):
        self.optimizer = torch.optim.SGD([self.theta], lr=self.lr)
        return {"theta": self.optimizer}

    def losses(self, batch, generator):
        self.seen.append(batch)
        yield "theta", -self.theta.sum(), {"theta": self.theta.detach().sum()}


class Regression(nn.Module):
    def __init__(self, width: int = 8, **adam) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.net = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 1))
        self.adam = {"lr": 0.01, **adam}

    def optimizers(self):
        return {"net": torch.optim.Adam(self.net.parameters(), **self.adam)}

    def losses(self, batch, generator):
        x, y = batch
        yield "net", (self.net(x) - y).square().mean(), {}


class TwoPlayers(nn.Module):
    """A GAN with everything that a resume can forget: two optimizers, momentum, dropout, statistics, a generator."""

    averaged = True

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(4)
            self.G = nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))
            self.D = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 1))
        self.calls = 0

    def optimizers(self):
        return {
            "D": torch.optim.AdamW(self.D.parameters(), lr=2e-3, betas=(0.5, 0.99)),
            "G": torch.optim.SGD(self.G.parameters(), lr=1e-2, momentum=0.9),
        }

    def losses(self, batch, generator):
        self.calls += 1
        fake = self.G(torch.randn(batch.shape, generator=generator, device=batch.device))  # once for both
        real_logits, fake_logits = self.D(batch), self.D(fake.detach())
        loss_D = nn.functional.softplus(-real_logits).mean() + nn.functional.softplus(fake_logits).mean()
        yield "D", loss_D, {"real": real_logits.detach().mean()}
        yield "G", nn.functional.softplus(-self.D(fake)).mean(), {}


def points(n: int = 60) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(7))


def regression_data(n: int = 60) -> tuple[Tensor, Tensor]:
    x = points(n)
    return x, x.prod(1, keepdim=True)


def state(objective: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in objective.state_dict().items()}


def assert_same(a: nn.Module, b: nn.Module) -> None:
    for (name, x), (other, y) in zip(a.state_dict().items(), b.state_dict().items(), strict=True):
        assert name == other
        assert torch.equal(x, y), name


def draw_from_all() -> None:
    """One number from each global generator."""
    torch.rand(1)
    np.random.rand()  # noqa: NPY002
    random.random()


def quiet_fit(objective, data, **arguments):
    return train.fit(objective, data, **{"progress": False, **arguments})


LONG = {"steps": 60, "batch_size": 7, "seed": 2, "checkpoint_every": 9, "log_every": 4}


def trained(checkpoint: Path | None = None, data=None, **arguments) -> tuple[TwoPlayers, train.History]:
    objective = TwoPlayers()
    return objective, quiet_fit(
        objective, points() if data is None else data, **{**LONG, "checkpoint": checkpoint, **arguments}
    )


class Crash(Exception):  # noqa: N818
    pass


def stop_at(step: int):
    def callback(now: int, objective: nn.Module) -> None:
        if now >= step:
            raise Crash

    return callback


def main(path: str) -> None:
    """The training that is killed: it says how far it is, and waits for an answer."""

    def say(step: int, objective: nn.Module) -> None:
        print(step, flush=True)
        sys.stdin.readline()

    trained(Path(path), callback=say)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1])
