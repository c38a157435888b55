"""A training that goes on: from the same settings, data and random numbers, or not at all."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from train_objectives import (
    ONES,
    Climber,
    Crash,
    Regression,
    TwoPlayers,
    assert_same,
    draw_from_all,
    points,
    quiet_fit,
    regression_data,
    state,
    stop_at,
    trained,
)

from genlib import train

# --- what has to be the same ---------------------------------------------------------------------------------------


class Described(Regression):
    """An objective that says what it is."""

    def __init__(self, lr: float = 0.01, **config) -> None:
        super().__init__(lr=lr)
        self.model = self.net
        self.said = {"predict": "eps", "lam": 1.0, "levels": None, "schedule": {"T": 50}, **config}

    def config(self):
        return self.said


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"predict": "v"}, "predict was 'eps', now 'v'"),
        ({"lam": np.float64(2)}, "lam was 1.0, now 2.0"),
        ({"levels": 17}, "levels was None, now 17"),
        ({"schedule": {"T": 1000}}, "T was 50, now 1000"),
        ({"gamma": 0.5}, "gamma was None, now 0.5"),
    ],
)
def test_another_config_is_refused_and_the_difference_named(tmp_path: Path, change: dict, difference: str) -> None:
    """Nothing compared them before: the training went on in silence."""
    path = tmp_path / "run.pt"
    quiet_fit(Described(), regression_data(), steps=4, checkpoint=path)
    before = path.read_bytes()
    other = Described(**change)
    weights = state(other)
    with pytest.raises(ValueError, match=f"of another training.*: {difference}$"):
        quiet_fit(other, regression_data(), steps=8, checkpoint=path, resume=True)
    assert path.read_bytes() == before
    assert all(torch.equal(value, weights[name]) for name, value in other.state_dict().items())
    assert other.training
    quiet_fit(Described(lam=np.float64(1)), regression_data(), steps=8, checkpoint=path, resume=True)


def test_a_config_that_is_not_plain_is_refused() -> None:
    for config in ({"schedule": object()}, [1], {(1, 2): 3}, {"f": lambda x: x}):
        objective = Described()
        objective.said = config  # type: ignore[assignment]
        with pytest.raises(ValueError, match="config: expected a dict of plain values"):
            train.save(objective, "never.safetensors")
    assert not Path("never.safetensors").exists()


def test_the_weights_beside_a_checkpoint_are_the_models(tmp_path: Path) -> None:
    objective = Described()
    quiet_fit(objective, regression_data(), steps=4, checkpoint=tmp_path / "run.pt")
    model = train.load(Described().model, tmp_path / "run.safetensors")
    assert_same(model, objective.model)


@pytest.mark.parametrize("decay", [None, "cosine"])
def test_a_training_may_get_longer(tmp_path: Path, decay: str | None) -> None:
    """Without decay it ends where the longer one would; with it, the rates are from then on those of the longer one."""
    path = tmp_path / "run.pt"
    data, arguments = regression_data(), {"batch_size": 7, "decay": decay, "log_every": 1}
    quiet_fit(Regression(), data, steps=25, checkpoint=path, **arguments)
    longer, again = Regression(), Regression()
    history = quiet_fit(longer, data, steps=60, checkpoint=path, resume=True, **arguments)
    whole = quiet_fit(again, data, steps=60, **arguments)
    assert history.step == whole.step == list(range(1, 61))
    assert history.lr["net"][25:] == whole.lr["net"][25:]
    if decay is None:
        assert_same(longer, again)
    with pytest.raises(ValueError, match="steps was 60, now 59"):
        quiet_fit(Regression(), data, steps=59, checkpoint=path, resume=True, **arguments)
    with pytest.raises(ValueError, match=r"steps was 60, now None; seconds was None, now 1.0"):
        quiet_fit(Regression(), data, seconds=1.0, checkpoint=path, resume=True, **arguments)


def test_parameters_that_are_frozen_meanwhile_are_named(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    quiet_fit(Regression(), regression_data(), steps=3, checkpoint=path)
    objective = Regression()
    next(objective.parameters()).requires_grad_(False)
    with pytest.raises(ValueError, match="trained was 4, now 3"):
        quiet_fit(objective, regression_data(), steps=6, checkpoint=path, resume=True)


# --- settings that a checkpoint cannot hold ------------------------------------------------------------------------


def test_numbers_of_numpy_become_plain_ones(tmp_path: Path) -> None:
    lr = np.logspace(-3, -1, 3)[2]
    path, data = tmp_path / "run.pt", regression_data()
    arguments = {"steps": np.int64(5), "seed": np.int32(3), "clip": np.float32(1), "ema_decay": np.float64(0.9)}

    def look(step: int, objective: nn.Module) -> dict:
        return {"size": np.float64(step), "more": np.float32(1), "count": np.int64(2), "mean": torch.tensor(1.0)}

    objective = Regression(lr=lr, betas=(np.float64(0.5), np.float64(0.75)))
    quiet_fit(objective, data, checkpoint=path, **arguments, callback=look, log_every=2)
    resumed = Regression(lr=float(lr), betas=(0.5, 0.75))
    history = quiet_fit(resumed, data, checkpoint=path, **arguments, resume=True)
    assert_same(objective, resumed)
    assert [type(value) for value in (history.logs["size"][0], history.step[0])] == [float, int]


@pytest.mark.parametrize("value", [{1, 2}, lambda step: step, np.random, object()])
def test_settings_that_no_checkpoint_can_hold_are_refused_before_training(tmp_path: Path, value) -> None:
    class Odd(Climber):
        def optimizers(self):
            return {"theta": torch.optim.SGD([{"params": [self.theta], "odd": value}], lr=1.0)}

    objective = Odd()
    with pytest.raises(ValueError, match=r"optimizers.*'odd'.*expected numbers, texts or tensors"):
        quiet_fit(objective, ONES, steps=3, checkpoint=tmp_path / "run.pt")
    assert objective.seen == []
    assert quiet_fit(objective, ONES, steps=3).step == [3]  # without a checkpoint all is well


class Extra(Climber):
    """It keeps something beside its weights."""

    def __init__(self, extra) -> None:
        super().__init__()
        self.extra = extra

    def get_extra_state(self):
        return self.extra

    def set_extra_state(self, state) -> None:
        if state.numel() > 4:
            raise KeyError("too long")
        self.extra = state


def test_extra_state_that_is_a_tensor_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    quiet_fit(Extra(torch.tensor([3, 4])), ONES, steps=3, checkpoint=path)
    objective = Extra(torch.tensor([], dtype=torch.int64))
    quiet_fit(objective, ONES, steps=6, checkpoint=path, resume=True)
    assert objective.extra.tolist() == [3, 4]
    assert train.load(Extra(torch.zeros(1).long()), tmp_path / "run.safetensors").extra.tolist() == [3, 4]


@pytest.mark.parametrize("extra", [{"a": 1}, None, "text", torch.ones(2).to_sparse(), torch.ones(2, device="meta")])
def test_extra_state_of_another_kind_is_refused_before_training(tmp_path: Path, extra) -> None:
    objective = Extra(extra)
    with pytest.raises(ValueError, match=r"objective: expected a state of plain tensors.*_extra_state"):
        quiet_fit(objective, ONES, steps=3, checkpoint=tmp_path / "run.pt")
    assert objective.seen == []
    with pytest.raises(ValueError, match=r"module: expected a state of plain tensors.*_extra_state"):
        train.save(objective, tmp_path / "w.safetensors")
    quiet_fit(objective, ONES, steps=3)


def test_what_a_module_does_not_take_back_leaves_it_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    quiet_fit(Extra(torch.zeros(5)), ONES, steps=3, checkpoint=path)
    for go_on in (
        lambda objective: quiet_fit(objective, ONES, steps=6, checkpoint=path, resume=True),
        lambda objective: train.load(objective, tmp_path / "run.safetensors"),
    ):
        objective = Extra(torch.ones(2))
        with pytest.raises(ValueError, match="Extra does not take its state"):
            go_on(objective)
        assert objective.theta.item() == 0
        assert objective.extra.tolist() == [1, 1]
        assert objective.training


# --- random numbers ------------------------------------------------------------------------------------------------


class Dice(Climber):
    """Draws from everything there is."""

    def losses(self, batch, generator):
        draws = np.random.randn() + random.gauss(0, 1) + torch.randn(()).item()  # noqa: NPY002
        draws += torch.randn((), generator=generator).item()
        yield "theta", -self.theta.sum() * draws, {}


def test_numpys_and_pythons_random_numbers_are_seeded_put_back_and_kept(tmp_path: Path) -> None:
    arguments = {"steps": 30, "checkpoint": tmp_path / "run.pt", "checkpoint_every": 7, "log_every": 1}
    whole, other, killed, resumed = Dice(), Dice(), Dice(), Dice()
    quiet_fit(whole, ONES, steps=30)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    before = random.getstate(), str(np.random.get_state())  # noqa: NPY002
    quiet_fit(other, ONES, steps=30)
    assert (random.getstate(), str(np.random.get_state())) == before  # noqa: NPY002
    assert_same(whole, other)
    with pytest.raises(Crash):
        quiet_fit(killed, ONES, **arguments, callback=stop_at(17))
    quiet_fit(resumed, ONES, **arguments, resume=True)
    assert_same(whole, resumed)


def test_random_states_of_another_device_are_replaced_by_new_ones(tmp_path: Path, capsys) -> None:
    path = tmp_path / "run.pt"
    with pytest.raises(Crash):
        trained(path, callback=stop_at(32))
    stored = torch.load(path, weights_only=True)
    stored["rng"]["losses"] = torch.zeros(16, dtype=torch.uint8)  # such as a GPU's
    stored["rng"]["device"] = torch.zeros(16, dtype=torch.uint8)
    torch.save(stored, path)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    objective, history = trained(path, resume=True)
    assert history.step[-1] == 60
    assert "random states of another device" in capsys.readouterr().out
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(state(objective)["G.0.weight"], state(trained()[0])["G.0.weight"])


# --- loaders -------------------------------------------------------------------------------------------------------

X = torch.arange(103.0)[:, None]


class Sum(Climber):
    """What it ends with depends on the order of the examples."""

    def losses(self, batch, generator):
        self.seen.append(batch)
        yield "theta", (self.theta - batch.double()).square().mean(), {}

    def optimizers(self):
        return {"theta": torch.optim.SGD([self.theta], lr=0.01)}


def with_workers() -> torch.utils.data.DataLoader:
    return torch.utils.data.DataLoader(X, 20, shuffle=True, num_workers=1, persistent_workers=True)  # type: ignore


def with_a_sampler_of_its_own() -> torch.utils.data.DataLoader:
    sampler = torch.utils.data.RandomSampler(X, generator=torch.Generator().manual_seed(1))  # type: ignore[arg-type]
    return torch.utils.data.DataLoader(X, 20, sampler=sampler)  # type: ignore[arg-type]


def with_batches_of_its_own() -> torch.utils.data.DataLoader:
    sampler = torch.utils.data.RandomSampler(X, generator=torch.Generator().manual_seed(1))  # type: ignore[arg-type]
    batches = torch.utils.data.BatchSampler(sampler, 20, drop_last=False)
    return torch.utils.data.DataLoader(X, batch_sampler=batches)  # type: ignore[arg-type]


class Shuffled:
    """An iterable of somebody's own, which shuffles by one of the global generators."""

    def __init__(self, shuffle) -> None:
        self.shuffle = shuffle

    def __iter__(self):
        order = list(range(103))
        self.shuffle(order)
        return iter([X[order[i : i + 20]] for i in range(0, 103, 20)])


@pytest.mark.parametrize(
    "make",
    [
        with_workers,
        with_a_sampler_of_its_own,
        with_batches_of_its_own,
        lambda: Shuffled(random.shuffle),
        lambda: Shuffled(np.random.shuffle),
    ],
)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_loader_goes_on_in_the_same_order(tmp_path: Path, make, accumulate: int) -> None:
    """103 examples in batches of 20, stopped in the third pass: workers that persist had another order after it."""
    path = tmp_path / "run.pt"
    arguments = {"steps": 24 // accumulate, "accumulate": accumulate, "log_every": 1, "seed": 4, "decay": None}
    whole, resumed = Sum(), Sum()
    quiet_fit(whole, make(), **arguments)
    stop = lambda step, objective: None if step < 16 // accumulate else False  # noqa: E731
    quiet_fit(Sum(), make(), **arguments, checkpoint=path, callback=stop)
    quiet_fit(resumed, make(), **arguments, checkpoint=path, resume=True)
    assert_same(whole, resumed)
    assert torch.equal(torch.cat(resumed.seen), torch.cat(whole.seen[16:]))
    assert torch.cat(whole.seen[:6]).sort(0).values.equal(X)


def test_a_loader_that_does_not_repeat_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    data = Shuffled(np.random.default_rng(1).shuffle)
    quiet_fit(Sum(), data, steps=16, checkpoint=path)
    objective = Sum()
    with pytest.raises(ValueError, match="data: pass 3 over them is not what it was"):
        quiet_fit(objective, data, steps=20, checkpoint=path, resume=True)
    assert objective.theta.item() == 0


# --- values are looked at once -------------------------------------------------------------------------------------


class Careful(TwoPlayers):
    def __init__(self, refuse: bool = False) -> None:
        super().__init__()
        self.checked: list[Tensor] = []
        self.refuse = refuse

    def check(self, batch):
        draw_from_all()
        self.checked.append(batch)
        if self.refuse:
            raise ValueError("batch: expected other values")


def test_the_first_batch_is_looked_at_once_and_nothing_changes_by_it(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    careful, other = Careful(), TwoPlayers()
    quiet_fit(careful, points(), steps=10, batch_size=7, checkpoint=path)
    quiet_fit(other, points(), steps=10, batch_size=7)
    assert_same(careful, other)
    assert len(careful.checked) == 1
    assert len(careful.checked[0]) == 7
    objective = Careful(refuse=True)
    before = state(objective)
    for resume in (True, False):
        with pytest.raises(ValueError, match="batch: expected other values"):
            quiet_fit(objective, points(), steps=20, batch_size=7, checkpoint=path, resume=resume)
    assert all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())
    assert objective.training
    assert objective.calls == 0


def test_a_buffer_named_as_a_setting_hides_none(tmp_path: Path) -> None:
    def named() -> Climber:
        objective = Climber()
        objective.register_buffer("seed", torch.zeros(1))
        return objective

    path = tmp_path / "run.pt"
    quiet_fit(named(), ONES, steps=3, seed=0, checkpoint=path)
    with pytest.raises(ValueError, match="seed was 0, now 1"):
        quiet_fit(named(), ONES, steps=3, seed=1, checkpoint=path, resume=True)
