"""Two processes that train together, on this machine, with gloo; each scenario is compared with one process."""

import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from train_objectives import ONES, Climber, Regression, TwoPlayers, assert_same, points, quiet_fit, regression_data

from genlib import train

STEPS = 12  # of 8 examples, from 40: more than two epochs


class Uneven(nn.Module):
    """A parameter that only the second process uses, and one that nobody does."""

    averaged = False

    def __init__(self) -> None:
        super().__init__()
        self.both, self.second = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
        self.nobody = nn.Parameter(torch.ones(1))  # weight decay would shrink it

    def optimizers(self):
        return {"all": torch.optim.AdamW(self.parameters(), lr=0.1, weight_decay=0.5)}

    def losses(self, batch, generator):
        rank = int(os.environ.get("RANK", "0"))
        yield "all", (self.both + 1).square().sum() + (self.second.sum() if rank == 1 else 0.0), {}


class Fragile(Climber):
    """What comes over rank 1 in its fifth step."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what, self.k = what, 0

    def losses(self, batch, generator):
        self.k += 1
        now = self.k == 5 and os.environ["RANK"] == "1"
        if now and self.what == "signal":
            os.kill(os.getpid(), signal.SIGINT)
        factor = math.nan if now and self.what == "nan" else 1.0
        yield "theta", -self.theta.sum() * factor, {}


class Described(Regression):
    """What it says and checks may be another in each process."""

    def __init__(self, refuse: bool = False, lam: float = 1.0, **adam) -> None:
        super().__init__(**adam)
        self.refuse, self.lam = refuse, lam

    def config(self):
        return {"lam": self.lam}

    def check(self, batch):
        if self.refuse:
            raise ValueError("batch: expected other values")


def second_alone(rank: int, folder: Path) -> dict[str, tuple]:
    """What is wrong in one process only: name, then the objective, the data and the arguments."""
    data, second = regression_data(40), rank == 1
    return {
        "lr": (Described(lr=0.01 * (1 + second)), data, {}),
        "config": (Described(lam=1.0 + second), data, {}),
        "width": (Described(width=8 + second), data, {}),
        "steps": (Described(), data, {"steps": 3 + second}),
        "accumulate": (Described(), data, {"accumulate": 1 + second}),
        "argument": (Described(), data, {"clip": -1.0 if second else 1.0}),
        "unknown": (Described(), data, {"decay": "cubic" if second else None}),
        "objective": ("none" if second else Described(), data, {}),
        "data": (Described(), (data[0][:30], data[1]) if second else data, {}),
        "check": (Described(refuse=second), data, {}),
        "callback": (Described(), data, {"callback": (lambda step, objective: 3) if not second else lambda *a: None}),
        "no callback": (Described(), data, {"callback": None if second else lambda *a: None}),
        "checkpoint": (Described(), data, {"checkpoint": folder / ("run.txt" if second else "new.pt")}),
        "damaged": (Described(), data, {"checkpoint": folder / "damaged.pt", "resume": True}),
    }


def scenarios(folder: Path) -> None:
    """Run by both processes."""
    rank = int(os.environ["RANK"])
    if rank == 0:
        (folder / "damaged.pt").write_bytes(b"nonsense")
    for name, (objective, data, arguments) in second_alone(rank, folder).items():
        before = [x.clone() for x in objective.parameters()] if isinstance(objective, nn.Module) else []
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            quiet_fit(objective, data, **{"steps": 3, "log_every": 1, **arguments})
        (folder / f"refused {name}-{rank}.txt").write_text(str(caught.value))
        if name != "callback":
            assert all(
                torch.equal(x, y) for x, y in zip(before, getattr(objective, "parameters", list)(), strict=False)
            )

    objective = Regression()
    quiet_fit(objective, regression_data(40), steps=STEPS, batch_size=2, accumulate=2)
    train.save(objective, folder / f"accumulated-{rank}.safetensors")

    objective = Climber()
    history = quiet_fit(objective, ONES, steps=50, log_every=4, callback=lambda step, _: False if step == 8 else None)
    assert history.step == [4, 8]
    train.save(objective, folder / f"enough-{rank}.safetensors")

    def keep(name: str, objective: nn.Module) -> None:
        train.save(objective, folder / f"{name}-{rank}.safetensors")

    objective = Regression()
    with torch.no_grad():
        next(objective.parameters()).add_(rank)  # other weights in the beginning: rank 0's count
    quiet_fit(objective, regression_data(40), steps=STEPS, batch_size=4)
    keep("tensors", objective)

    objective = Regression()
    x, y = regression_data(40)
    quiet_fit(objective, list(zip(x.split(4), y.split(4), strict=True)), steps=5)
    keep("batches", objective)

    objective = Uneven()
    quiet_fit(objective, ONES, steps=3, decay=None, clip=None)
    keep("uneven", objective)

    objective = TwoPlayers()
    quiet_fit(objective, points(), steps=9, checkpoint=folder / "run.pt", checkpoint_every=4)
    keep("players", objective)
    objective = TwoPlayers()
    history = quiet_fit(objective, points(), steps=9, checkpoint=folder / "run.pt", resume=True)
    assert history.step[-1] == 9
    keep("resumed", objective)

    objective = Climber()
    quiet_fit(objective, ONES, seconds=0.3, decay=None, clip=None)
    keep("seconds", objective)

    for what, error in (("signal", KeyboardInterrupt), ("nan", train.NotFiniteError)):
        objective = Fragile(what)
        with pytest.raises(error):
            quiet_fit(objective, ONES, steps=50, decay=None, clip=None, ema_decay=0)
        keep(what, objective)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the two processes have left their weights."""
    folder = tmp_path_factory.mktemp("two")
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        __file__,
        str(folder),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("GENLIB_MAX_STEPS", None)
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def loaded(folder: Path, name: str, make) -> nn.Module:
    """The weights of both processes, which have to be the same."""
    first, second = (train.load(make(), folder / f"{name}-{rank}.safetensors") for rank in (0, 1))
    assert_same(first, second)
    return first


def test_two_processes_are_one_with_batches_of_twice_the_size(folder: Path) -> None:
    one = Regression()
    quiet_fit(one, regression_data(40), steps=STEPS, batch_size=8)
    for x, y in zip(loaded(folder, "tensors", Regression).parameters(), one.parameters(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-6)


def test_two_processes_with_two_batches_each_are_one_with_four(folder: Path) -> None:
    one = Regression()
    quiet_fit(one, regression_data(40), steps=STEPS, batch_size=8)
    for x, y in zip(loaded(folder, "accumulated", Regression).parameters(), one.parameters(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-6)


def test_batches_of_a_loader_are_dealt_out(folder: Path) -> None:
    one = Regression()
    x, y = regression_data(40)
    quiet_fit(one, list(zip(x.split(8), y.split(8), strict=True)), steps=5)
    for x, y in zip(loaded(folder, "batches", Regression).parameters(), one.parameters(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-6)


def test_a_parameter_that_one_process_uses_is_updated_in_both(folder: Path) -> None:
    objective = loaded(folder, "uneven", Uneven)
    assert isinstance(objective, Uneven)
    assert objective.second.item() == pytest.approx(-0.3, abs=0.05)
    assert objective.nobody.item() == 1


def test_dropout_and_statistics_end_the_same_and_resume(folder: Path) -> None:
    players = loaded(folder, "players", TwoPlayers)
    assert_same(players, loaded(folder, "resumed", TwoPlayers))
    assert_same(players, train.load(TwoPlayers(), folder / "run.safetensors"))


def test_both_stop_at_the_same_step(folder: Path) -> None:
    assert isinstance(objective := loaded(folder, "seconds", Climber), Climber)
    assert objective.theta.item() >= 1
    loaded(folder, "enough", Climber)
    assert isinstance(objective := loaded(folder, "signal", Climber), Climber)
    assert objective.theta.item() == 5  # the step was finished
    assert isinstance(objective := loaded(folder, "nan", Climber), Climber)
    assert objective.theta.item() == 4


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("lr", "process 1 .*lr of 'net'", "lr of 'net', group 0 was 0.01, now 0.02"),
        ("config", "process 1 .*lam was 1.0", "lam was 1.0, now 2.0"),
        ("width", "process 1 .*net.0.weight", "net.0.weight was .*8, 2.*, now .*9, 2"),
        ("steps", "process 1 .*steps was 3, now 4", "steps was 3, now 4"),
        ("accumulate", "process 1 .*accumulate", "accumulate was 1, now 2"),
        ("argument", "process 1 .*clip: expected .* got -1.0", "clip: expected .* got -1.0"),
        ("unknown", "process 1 .*decay: expected .*'cubic'", "decay: expected .*'cubic'"),
        ("objective", "process 1 .*objective: expected a Module", "objective: expected a Module"),
        ("data", r"process 1 .*data: expected .*\[30, 40\]", r"data: expected .*\[30, 40\]"),
        ("check", "process 1 .*batch: expected other values", "batch: expected other values"),
        ("callback", "callback: expected", "process 0 .*callback: expected"),
        ("no callback", "process 1 .*calls back was True", "calls back was True, now False"),
        ("checkpoint", "process 1 .*checkpoint: expected .*run.txt", "checkpoint: expected .*run.txt"),
        ("damaged", "checkpoint: .*damaged.pt", "checkpoint: .*damaged.pt"),
    ],
)
def test_what_one_process_refuses_all_refuse(folder: Path, name: str, first: str, second: str) -> None:
    for rank, expected in enumerate((first, second)):
        said = (folder / f"refused {name}-{rank}.txt").read_text()
        assert re.search(expected, said), said


if __name__ == "__main__":
    torch.set_num_threads(1)
    scenarios(Path(sys.argv[1]))
