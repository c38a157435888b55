"""`train.fit`: held against closed forms and loops written by hand."""

import json
import math
import os
import random
import subprocess
import sys
import time
import weakref
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from train_objectives import (
    ONES,
    Climber,
    Pairs,
    Regression,
    TwoPlayers,
    assert_same,
    draw_from_all,
    points,
    quiet_fit,
    regression_data,
    state,
)

from genlib import train
from genlib.train.loop import lr_factor
from genlib.train.players import Player

# --- the average ---------------------------------------------------------------------------------------------------


def test_the_average_with_growing_memory_is_a_binomial_mean() -> None:
    """With decay k/(k + 8) alone, θ_k has weight C(k + 7, 7)/C(K + 8, 8), K the last step."""
    K = 29
    objective = Climber()
    quiet_fit(objective, ONES, steps=K + 1, ema_decay=1, decay=None, clip=None)
    expected = sum(math.comb(k + 7, 7) * (k + 1) for k in range(K + 1)) / math.comb(K + 8, 8)
    assert objective.theta.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("decay", [0.95, 0.99])
def test_the_average_with_a_fixed_decay_lags_behind_by_its_memory(decay: float) -> None:
    """Of a parameter that grows by 1 a step, an average of decay d is d/(1 − d) behind, once the start is forgotten."""
    objective, steps = Climber(), 4000
    quiet_fit(objective, ONES, steps=steps, ema_decay=decay, decay=None, clip=None)
    assert objective.theta.item() == pytest.approx(steps - decay / (1 - decay), abs=1e-6)


@pytest.mark.parametrize("how", [{"averaged": False}, {"ema_decay": 0.0}])
def test_raw_weights_are_left_where_no_average_is_wanted(how: dict) -> None:
    objective = Climber(averaged=how.pop("averaged", True))
    history = quiet_fit(objective, ONES, steps=20, decay=None, clip=None, **how)
    assert objective.theta.item() == 20
    assert history.raw is None


def test_buffers_are_copied_even_when_a_module_replaces_them() -> None:
    class Counting(Climber):
        def __init__(self) -> None:
            super().__init__()
            self.count: Tensor
            self.register_buffer("count", torch.tensor(0))

        def losses(self, batch, generator):
            self.count = self.count + 1
            yield from super().losses(batch, generator)

    objective = Counting()
    quiet_fit(objective, ONES, steps=7)
    assert objective.count == 7
    assert objective.count.dtype == torch.int64


# --- turns ---------------------------------------------------------------------------------------------------------


def by_hand(objective: TwoPlayers, batches: list[Tensor], generator: torch.Generator, clip: float) -> None:
    """The same training as a user would write it, with backward() and zero_grad()."""
    optimizers = objective.optimizers()
    for k, batch in enumerate(batches):
        for group, lr in ((optimizers["D"].param_groups[0], 2e-3), (optimizers["G"].param_groups[0], 1e-2)):
            group["lr"] = lr * (1 - k / len(batches))
        fake = objective.G(torch.randn(batch.shape, generator=generator))
        loss = (
            nn.functional.softplus(-objective.D(batch)).mean()
            + nn.functional.softplus(objective.D(fake.detach())).mean()
        )
        optimizers["D"].zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(objective.D.parameters(), clip)
        optimizers["D"].step()
        loss = nn.functional.softplus(-objective.D(fake)).mean()
        optimizers["G"].zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(objective.G.parameters(), clip)
        optimizers["G"].step()


def test_two_players_as_written_by_hand() -> None:
    """The order of turns, one forward pass of G, no gradient that leaks, clipping, linear decay: all at once."""
    batches = list(points(80).split(8))
    objective, other = TwoPlayers(), TwoPlayers()
    generators = []

    class Watched(TwoPlayers):
        averaged = False

        def losses(self, batch, generator):
            if not generators:
                generators.append(generator.clone_state())
            yield from super().losses(batch, generator)

    objective = Watched()
    for t in (objective, other):
        t.D[2] = nn.Identity()
    quiet_fit(objective, batches, steps=len(batches), clip=0.05, decay="linear")
    by_hand(other, batches, generators[0], clip=0.05)
    for (name, x), (_, y) in zip(objective.state_dict().items(), other.state_dict().items(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-6, msg=name)
    assert not torch.equal(state(objective)["G.0.weight"], state(TwoPlayers())["G.0.weight"])
    assert objective.calls == len(batches)


def test_a_turn_changes_its_own_parameters_only_and_leaves_no_gradients() -> None:
    class Game(nn.Module):
        averaged = False

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))

        def optimizers(self):
            return {"a": torch.optim.SGD([self.a], 0.1), "b": torch.optim.SGD([self.b], 0.1)}

        def losses(self, batch, generator):
            yield "a", (self.a * self.b).sum(), {}
            assert self.a.item() == pytest.approx(0.9)
            assert self.b.item() == 1
            assert self.a.grad is None
            assert self.b.grad is None
            yield "b", -(self.a * self.b).sum(), {}
            assert self.a.item() == pytest.approx(0.9)
            assert self.b.item() == pytest.approx(1.09)

    game = Game()
    game.b.grad = torch.full((1,), 1e6)  # left over from something else
    quiet_fit(game, ONES, steps=1, decay=None)
    assert game.a.grad is None
    assert game.b.grad is None


def test_fused_adam_sees_gradients_in_the_layout_of_the_weights() -> None:
    """autograd hands out gradients in any layout; fused kernels would read them in the wrong order."""

    class Picture(nn.Module):
        averaged = False

        def __init__(self) -> None:
            super().__init__()
            with torch.random.fork_rng():
                torch.manual_seed(0)
                self.conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                self.w, self.v = nn.Parameter(torch.randn(3, 5)), nn.Parameter(torch.zeros(50))

        def optimizers(self):
            return {"all": torch.optim.Adam(self.parameters(), lr=0.1, fused=True)}

        def losses(self, batch, generator):
            tilt = (self.w.t() * (torch.arange(15.0).view(5, 3) - 7)).sum() + self.v.sum()  # transposed, expanded
            yield "all", self.conv(batch).square().mean() + tilt, {}

    batch = torch.randn(2, 3, 6, 6)
    objective, other = Picture(), Picture()
    quiet_fit(objective, [batch], steps=5, decay=None, clip=None)
    optimizer = other.optimizers()["all"]
    for _ in range(5):
        optimizer.zero_grad()
        next(other.losses(batch, None))[1].backward()
        optimizer.step()
    for x, y in zip(objective.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(x, y)


def test_clipping_counts_a_shared_gradient_once_for_each_parameter() -> None:
    class Sum(nn.Module):
        averaged = False

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
            self.idle = nn.Parameter(torch.ones(1))

        def optimizers(self):
            return {"all": torch.optim.SGD(self.parameters(), lr=1.0, weight_decay=0.0)}

        def losses(self, batch, generator):
            yield "all", 100 * (self.a + self.b).sum(), {}

    objective = Sum()
    quiet_fit(objective, ONES, steps=1, decay=None, clip=1.0)
    assert torch.allclose(objective.a, torch.full((2,), -0.5))  # four equal entries of norm 1
    assert torch.allclose(objective.b, torch.full((2,), -0.5))
    assert objective.idle.item() == 1  # without a gradient, left alone


@pytest.mark.parametrize(
    ("losses", "complaint"),
    [
        (lambda self, b, g: iter([("E", self.theta.sum(), {})]), "one of .'theta'.*got \\('E'"),
        (lambda self, b, g: iter([("theta", self.theta, {}, 1)]), "expected \\(name, loss, logs\\)"),
        (lambda self, b, g: iter([("theta", self.theta.sum().detach(), {})]), "detached"),
        (
            lambda self, b, g: iter([("theta", self.theta.expand(2), {})]),
            "scalar tensor .*got \\('theta', float64 of shape \\(2,\\)",
        ),
        (lambda self, b, g: iter([("theta", 1.0, {})]), "scalar tensor .*got \\('theta', 1.0"),
        (lambda self, b, g: iter([("theta", torch.ones(1, requires_grad=True).sum(), {})]), "none of that optimizer"),
        (
            lambda self, b, g: iter([("theta", self.theta.sum(), {"x": torch.ones(3)})]),
            "logs: expected 'x' to be a scalar, got shape .3,.",
        ),
        (lambda self, b, g: ("theta", self.theta.sum(), {}), "expected a generator"),
        (lambda self, b, g: iter(()), "at least one, got"),
    ],
)
def test_a_task_that_breaks_the_rules_is_told_which(losses, complaint: str) -> None:
    objective = type("Broken", (Climber,), {"losses": losses})()
    with pytest.raises(ValueError, match=complaint):
        quiet_fit(objective, ONES, steps=2)


# --- learning rates, history, callback -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decay", "at_quarters"),
    [
        ("cosine", [1, (2 + math.sqrt(2)) / 4, 0.5, (2 - math.sqrt(2)) / 4]),
        ("linear", [1, 0.75, 0.5, 0.25]),
        (None, [1] * 4),
    ],
)
def test_the_learning_rate_decays_over_the_budget(decay: str | None, at_quarters: list[float]) -> None:
    objective = Climber(lr=3.0)
    history = quiet_fit(objective, ONES, steps=400, decay=decay, log_every=1)
    assert [history.lr["theta"][k] / 3 for k in (0, 100, 200, 300)] == pytest.approx(at_quarters)
    assert history.lr["theta"][-1] / 3 == pytest.approx({"cosine": 0, "linear": 1 / 400, None: 1}[decay], abs=1e-4)
    assert objective.optimizer is not None
    assert objective.optimizer.param_groups[0]["lr"] == 3.0  # as it was handed over


def test_warm_up() -> None:
    history = quiet_fit(Climber(), ONES, steps=20, decay=None, warmup=4, log_every=1)
    assert history.lr["theta"][:6] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_the_history_has_means_over_the_steps_between_entries() -> None:
    history = quiet_fit(Climber(), ONES, steps=25, decay=None, clip=None, log_every=10)
    assert history.step == [10, 20, 25]
    assert history.logs["theta"] == [4.5, 14.5, 22.0]  # θ before the update: 0..9, 10..19, 20..24
    assert history.logs["loss"] == [-4.5, -14.5, -22.0]
    assert history.time == sorted(history.time)
    assert history.seconds == history.time[-1] > 0
    assert repr(history) == "History of loss, theta"


def test_several_optimizers_have_several_losses() -> None:
    history = quiet_fit(TwoPlayers(), points(), steps=5)
    assert set(history.logs) == {"loss_D", "loss_G", "real"}
    assert set(history.lr) == {"D", "G"}


@given(
    st.lists(st.floats(width=64, allow_nan=True, allow_infinity=False), max_size=5),
    st.text(max_size=5),
)
@settings(max_examples=10, deadline=None)
def test_a_history_comes_back_from_the_disk(tmp_path_factory, values: list[float], name: str) -> None:
    history = train.History()
    for k, value in enumerate(values):
        history.append(k, k / 2, {"net": 0.1}, {name: value})
    path = tmp_path_factory.mktemp("history") / "run" / "history.json"
    history.save(path)
    again = train.History.load(path)
    assert str(again.to_dict()) == str(history.to_dict())  # as text, where nan equals nan
    json.loads(path.read_text(), parse_constant=pytest.fail)  # plain JSON: no NaN in it


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"step": 1}', '{"step": [1], "logs": {}, "lr": {}, "time": [], "seconds": 1}']
)
def test_a_damaged_history_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "h.json").write_text(content)
    with pytest.raises(ValueError, match=r"h\.json is damaged, or no history"):
        train.History.load(tmp_path / "h.json")


def test_a_callback_sees_what_fit_would_leave_and_disturbs_nothing() -> None:
    seen = []

    def look(step: int, objective: nn.Module) -> dict[str, float]:
        assert not objective.training
        seen.append((step, state(objective)))
        draw_from_all()
        return {"size": float(step)}

    objective, other = TwoPlayers(), TwoPlayers()
    history = quiet_fit(objective, points(), steps=12, log_every=4, callback=look)
    quiet_fit(other, points(), steps=12, log_every=4)
    assert_same(objective, other)
    assert [step for step, _ in seen] == history.step == [4, 8, 12]
    assert history.logs["size"] == [4, 8, 12]
    assert all(torch.equal(value, seen[-1][1][name]) for name, value in objective.state_dict().items())


class Clock:
    """In the place of the real one; it goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


class Slow(Climber):
    """A step takes a second."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def losses(self, batch, generator):
        self.clock.now += 1
        yield from super().losses(batch, generator)


def test_the_time_of_callbacks_does_not_count(clock: Clock) -> None:
    def look(step: int, objective: nn.Module) -> None:
        clock.now += 100

    history = quiet_fit(Slow(clock), ONES, steps=3, log_every=1, callback=look)
    assert history.time == [1, 2, 3]
    assert history.seconds == 3


def test_a_callback_may_end_the_training(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    objective, other = TwoPlayers(), TwoPlayers()

    def enough(step: int, objective: nn.Module) -> bool | None:
        return False if step == 12 else None

    history = quiet_fit(objective, points(), steps=40, decay=None, log_every=4, callback=enough, checkpoint=path)
    assert history.step == [4, 8, 12]
    assert not objective.training
    quiet_fit(other, points(), steps=12, decay=None, log_every=4)
    assert_same(objective, other)
    assert_same(train.load(TwoPlayers(), tmp_path / "run.safetensors"), objective)
    again, whole = TwoPlayers(), TwoPlayers()
    quiet_fit(again, points(), steps=40, decay=None, log_every=4, checkpoint=path, resume=True)
    quiet_fit(whole, points(), steps=40, decay=None, log_every=4)
    assert_same(again, whole)


@pytest.mark.parametrize("answer", [True, 0, 3.5, "no", [1], {"a": "b"}, {"a": torch.ones(2)}, {"a": None}])
def test_another_answer_of_a_callback_is_refused(answer) -> None:
    with pytest.raises(ValueError, match="callback: "):
        quiet_fit(Climber(), ONES, steps=3, log_every=1, callback=lambda step, objective: answer)


def test_the_raw_weights_are_kept_beside_the_averaged_ones(tmp_path: Path) -> None:
    objective, raw = TwoPlayers(), TwoPlayers()
    history = quiet_fit(objective, points(), steps=30)
    raw.averaged = False
    quiet_fit(raw, points(), steps=30)
    assert history.raw is not None
    assert all(torch.equal(value, history.raw[name]) for name, value in raw.state_dict().items())
    assert not torch.equal(history.raw["G.0.weight"], state(objective)["G.0.weight"])
    history.save(tmp_path / "h.json")
    assert train.History.load(tmp_path / "h.json").raw is None
    history.raw["G.0.weight"].zero_()
    assert state(objective)["G.0.weight"].abs().sum() > 0  # copies, not the weights themselves


# --- several batches in a step -------------------------------------------------------------------------------------


class Plain(TwoPlayers):
    """Two players without what looks at a whole batch or draws numbers; the loss is a mean over examples."""

    averaged = False

    def __init__(self) -> None:
        super().__init__()
        self.G[1] = nn.Identity()
        self.D[2] = nn.Identity()
        self.sizes: list[int] = []

    def optimizers(self):
        groups = [{"params": self.D[0].parameters(), "lr": 1e-2}, {"params": self.D[3].parameters(), "lr": 1e-3}]
        return {"D": torch.optim.SGD(groups, lr=1.0), "G": torch.optim.SGD(self.G.parameters(), lr=1e-2)}

    def losses(self, batch, generator):
        self.sizes.append(len(batch))
        fake = self.G(batch.flip(1))
        loss_D = nn.functional.softplus(-self.D(batch)).mean() + nn.functional.softplus(self.D(fake.detach())).mean()
        yield "D", loss_D, {"real": batch.mean()}
        yield "G", nn.functional.softplus(-self.D(fake)).mean(), {}


@pytest.mark.parametrize("as_loader", [False, True])
def test_several_batches_are_one_of_so_many_times_the_size(as_loader: bool) -> None:
    """Both turns of a GAN, with clipping, rates of their own for groups, and what is left over of an epoch."""
    data = points(100)
    few, many = Plain(), Plain()
    parts = [list(data[:96].split(size)) if as_loader else data for size in (8, 24)]
    arguments = {"steps": 20, "clip": 0.3, "log_every": 5, "seed": 3}
    history = quiet_fit(many, parts[0], batch_size=8, accumulate=3, **arguments)
    whole = quiet_fit(few, parts[1], batch_size=24, **arguments)
    assert many.sizes == [8] * 60
    assert few.sizes == [24] * 20
    for (name, x), (_, y) in zip(many.state_dict().items(), few.state_dict().items(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-6, msg=name)
    for name in whole.logs:
        assert history.logs[name] == pytest.approx(whole.logs[name], rel=1e-5)
    assert history.lr == whole.lr


def test_accumulated_graphs_are_let_go_batch_by_batch() -> None:
    """That of one batch alone is alive at a time, or accumulating would save no memory."""
    alive = []

    class Watched(Regression):
        def guess(self, x: Tensor) -> Tensor:
            hidden = self.net[:2](x)
            alive.append(weakref.ref(hidden))
            assert sum(tensor() is not None for tensor in alive) == 1
            return self.net[2](hidden)

        def losses(self, batch, generator):
            x, y = batch
            yield "net", (self.guess(x) - y).square().mean(), {}

    quiet_fit(Watched(), regression_data(), steps=2, batch_size=5, accumulate=6)
    assert len(alive) == 12


def test_a_small_data_set_is_shared_out_among_the_batches_of_a_step() -> None:
    seen = seen_by(torch.arange(7), steps=2, batch_size=64, accumulate=3)
    assert [len(batch) for batch in seen] == [2] * 6
    assert len(torch.cat(seen[:3]).unique()) == 6
    with pytest.raises(ValueError, match="data: expected an example for each batch of a step, 8 in all, got 7"):
        seen_by(torch.arange(7), steps=2, accumulate=8)


@pytest.mark.parametrize("turns", [[1, 2], [2, 1], [1, 0]])
def test_batches_that_take_other_turns_are_refused(turns: list[int]) -> None:
    class Moody(Climber):
        def losses(self, batch, generator):
            for _ in range(int(batch)):
                yield from super().losses(batch, generator)

    with pytest.raises(ValueError, match="losses: expected the same turns for each batch"):
        quiet_fit(Moody(), [torch.tensor([n]) for n in turns], steps=2, accumulate=2)


# --- optimizers ----------------------------------------------------------------------------------------------------


class Closure(torch.optim.SGD):
    def step(self, closure):  # type: ignore[override]
        return super().step(closure)


@pytest.mark.parametrize(
    "make",
    [
        lambda self: torch.optim.LBFGS(self.parameters()),
        lambda self: torch.optim.SparseAdam(list(self.parameters())),
        lambda self: Closure(self.parameters(), lr=1.0),
    ],
)
def test_an_optimizer_that_needs_more_than_gradients_is_refused_before_training(make) -> None:
    objective = type("Other", (Climber,), {"optimizers": lambda self: {"theta": make(self)}})()
    with pytest.raises(ValueError, match=r"optimizers\['theta'\]: .*got (LBFGS|SparseAdam|Closure)"):
        quiet_fit(objective, ONES, steps=3)
    assert objective.seen == []


def test_parameters_that_are_not_the_objectives_are_refused() -> None:
    stranger = nn.Parameter(torch.ones(1))
    optimizers = lambda self: {"theta": torch.optim.SGD([self.theta, stranger], lr=1.0)}  # noqa: E731
    with pytest.raises(ValueError, match=r"optimizers\['theta'\]: expected parameters of the objective"):
        quiet_fit(type("Other", (Climber,), {"optimizers": optimizers})(), ONES, steps=3)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_sparse_gradients_work_as_dense_ones(accumulate: int) -> None:
    class Words(nn.Module):
        def __init__(self, sparse: bool) -> None:
            super().__init__()
            self.table = nn.Embedding(10, 3, sparse=sparse)
            nn.init.constant_(self.table.weight, 1.0)

        def optimizers(self):
            return {"table": torch.optim.Adam(self.parameters(), lr=0.1)}

        def losses(self, batch, generator):
            yield "table", self.table(batch).square().sum(1).mean(), {}

    sparse, dense = Words(True), Words(False)
    for objective in (sparse, dense):
        quiet_fit(objective, torch.arange(10).repeat(6), steps=9, batch_size=5, accumulate=accumulate)
    assert_same(sparse, dense)


# --- seeds and modes -----------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    objectives = [TwoPlayers() for _ in range(3)]
    for objective, seed in zip(objectives, (5, 5, 6), strict=True):
        torch.rand(random.randrange(5))  # whatever happened before
        quiet_fit(objective, points(), steps=10, batch_size=16, seed=seed)
    assert_same(objectives[0], objectives[1])
    assert not torch.equal(state(objectives[0])["D.0.weight"], state(objectives[2])["D.0.weight"])


@pytest.mark.parametrize("in_loader", [False, True])
def test_the_global_random_state_is_put_back(in_loader: bool) -> None:
    data = torch.utils.data.DataLoader(points(), batch_size=8, shuffle=True) if in_loader else points()  # type: ignore
    before = torch.get_rng_state()
    quiet_fit(TwoPlayers(), data, steps=5)
    assert torch.equal(torch.get_rng_state(), before)


def test_training_is_in_training_mode_and_ends_in_evaluation_mode() -> None:
    modes = []

    class Watched(Climber):
        def losses(self, batch, generator):
            modes.append((self.training, torch.is_grad_enabled(), generator.device.type))
            yield from super().losses(batch, generator)

    objective = Watched().eval()
    with torch.no_grad():
        quiet_fit(objective, ONES, steps=2)
    assert modes == [(True, True, "cpu")] * 2
    assert not objective.training


# --- data ----------------------------------------------------------------------------------------------------------


def seen_by(data, steps: int, **arguments) -> list:
    objective = Climber()
    quiet_fit(objective, data, steps=steps, **arguments)
    return objective.seen


def test_every_epoch_has_all_examples_once_in_a_new_order() -> None:
    seen = seen_by(torch.arange(12), steps=6, batch_size=4)
    first, second = torch.cat(seen[:3]), torch.cat(seen[3:])
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(12))
    assert first.tolist() != second.tolist()
    assert first.dtype == torch.int64


def test_an_incomplete_last_batch_is_left_out_and_small_data_is_one_batch() -> None:
    seen = seen_by(torch.arange(11), steps=4, batch_size=4)
    assert [len(batch) for batch in seen] == [4] * 4
    assert len(torch.cat(seen[:2]).unique()) == 8
    assert [len(batch) for batch in seen_by(torch.arange(5), steps=2, batch_size=64)] == [5, 5]


@pytest.mark.parametrize("kind", [tuple, Pairs._make])
def test_tuples_stay_tuples_and_rows_stay_together(kind) -> None:
    data = kind([torch.arange(10.0), torch.arange(10) * 2])
    for batch in seen_by(data, steps=5, batch_size=3):
        assert type(batch) is type(data)
        assert torch.equal(batch[0] * 2, batch[1])


def test_a_data_loader_is_a_list_of_its_batches() -> None:
    x, y = regression_data()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=20)
    objective, other = Regression(), Regression()
    quiet_fit(objective, loader, steps=9)
    quiet_fit(other, list(zip(x.split(20), y.split(20), strict=True)), steps=9)
    assert_same(objective, other)


def test_a_shuffling_loader_shuffles_by_the_seed() -> None:
    loader = torch.utils.data.DataLoader(torch.arange(12), batch_size=4, shuffle=True)  # type: ignore[arg-type]
    a, b, c = (torch.cat(seen_by(loader, steps=6, seed=seed)).tolist() for seed in (0, 0, 1))
    assert a == b != c
    assert a[:12] != a[12:]
    assert sorted(a[:12]) == list(range(12))


class OneThenNothing:
    def __init__(self) -> None:
        self.passes = 0

    def __iter__(self):
        self.passes += 1
        return iter([ONES] if self.passes == 1 else [])


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (torch.ones(0, 2), "at least one example.* got \\[0\\]"),
        (torch.tensor(1.0), "shape \\(N, ...\\).* got float32 of shape \\(\\)"),
        ((), "got none"),
        ((torch.ones(3), torch.ones(4)), "one length, got \\[3, 4\\]"),
        (Pairs(torch.ones(3), [1, 2, 3]), "data.label: expected a .*tensor.* got .1, 2, 3."),  # type: ignore[arg-type]
        (torch.tensor([[1.0], [float("nan")]]), "finite, got .* with NaN"),
        (Pairs(torch.full((2,), math.inf), torch.ones(2)), "data.x: expected .* finite, got .* with NaN or infinite"),
        ((batch for batch in [ONES]), "more than one pass, got"),
        (iter([ONES]), "more than one pass, got"),
        (ONES.numpy(), "got ndarray.*torch.as_tensor"),
        (torch.utils.data.TensorDataset(ONES), "got TensorDataset.*DataLoader"),
        ("digits", "got str"),
        (None, "got NoneType"),
        ([], "expected batches, but in pass 1 there is none"),
        (OneThenNothing(), "pass 2 there is none"),
    ],
)
def test_wrong_data_is_refused(data, complaint: str) -> None:
    objective = Climber()
    with pytest.raises(ValueError, match=f"data.*{complaint}|{complaint}"):
        quiet_fit(objective, data, steps=3)


# --- arguments -----------------------------------------------------------------------------------------------------

NONSENSE = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=4),
    st.integers(-3, 3),
    st.floats(-2, 2),
    st.just(math.nan),
    st.just([1]),
    st.just(1j),
)
GOOD = {
    "steps": 2,
    "batch_size": 4,
    "seed": 1,
    "ema_decay": 0.1,
    "clip": 1.0,
    "decay": None,
    "warmup": 1,
    "precision": None,
}


@given(name=st.sampled_from(sorted([*GOOD, "checkpoint_every", "log_every", "seconds"])), value=NONSENSE)
@settings(max_examples=150, deadline=None)
def test_any_argument_works_or_is_refused_by_name(name: str, value) -> None:
    objective = Climber()
    arguments = {**GOOD, name: value}
    complaint = ""
    try:
        history = quiet_fit(objective, ONES, **arguments)
    except ValueError as error:
        complaint = str(error)
    if complaint:
        assert name in complaint
        assert objective.theta.item() == 0
        assert objective.seen == []
    else:
        assert history.step[-1] == len(objective.seen) >= 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({}, "steps, seconds: expected exactly one of the two, got steps=None and seconds=None"),
        ({"steps": 1, "seconds": 1.0}, "exactly one of the two, got steps=1 and seconds=1.0"),
        ({"steps": 0}, "steps: expected a whole number in .1, .* got 0"),
        ({"seconds": 0}, "seconds"),
        ({"steps": 1, "batch_size": -1}, "batch_size: .* got -1"),
        ({"steps": 1, "ema_decay": -0.1}, "ema_decay: .* got -0.1"),
        ({"steps": 1, "ema_decay": 1.1}, "ema_decay: .* got 1.1"),
        ({"steps": 1, "clip": 0}, "clip"),
        ({"steps": 1, "decay": "cosin"}, "Did you mean 'cosine'"),
        ({"steps": 1, "precision": "fp32"}, "precision: expected one of 'bf16', 'fp16'"),
        ({"steps": 1, "precision": "fp16"}, "precision: fp16 is not possible on cpu"),
        ({"steps": 1, "resume": True}, "resume: expected checkpoint= as well"),
        ({"steps": 1, "resume": "yes"}, "resume: expected True or False, got 'yes'"),
        ({"steps": 1, "checkpoint": "run"}, "ends in .pt"),
        ({"steps": 1, "checkpoint": 3}, "checkpoint: expected .* got 3"),
        ({"steps": 1, "callback": 3}, "callback"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        quiet_fit(Climber(), ONES, **arguments)


@pytest.mark.parametrize(
    ("objective", "complaint"),
    [
        (nn.Linear(1, 1), "expected a Module with optimizers"),
        ("objective", "objective: expected a Module, got 'objective'"),
        (
            type("Empty", (Climber,), {"__init__": lambda self: nn.Module.__init__(self)})(),
            "parameters to train, got Empty",
        ),
        (Climber().half(), "float32 parameters.* theta is float16"),
        (type("None_", (Climber,), {"optimizers": lambda self: {}})(), "at least one, got none"),
        (type("List", (Climber,), {"optimizers": lambda self: [1]})(), "expected a dict"),
        (type("Wrong", (Climber,), {"optimizers": lambda self: {"a": "Adam"}})(), "expected an Optimizer, got 'Adam'"),
    ],
)
def test_a_thing_that_is_no_task_is_refused(objective, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        quiet_fit(objective, ONES, steps=1)


# --- budget --------------------------------------------------------------------------------------------------------


def test_seconds_are_kept(clock: Clock) -> None:
    history = quiet_fit(Slow(clock), ONES, seconds=19.5, log_every=1)
    assert history.step[-1] == 20
    assert history.seconds == 20
    lr = history.lr["theta"]
    assert lr[0] == 1
    assert lr == sorted(lr, reverse=True)
    assert lr[-1] == pytest.approx((1 + math.cos(math.pi * 19 / 19.5)) / 2)


def test_max_steps_from_outside_is_obeyed_and_said(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("GENLIB_MAX_STEPS", "3")
    assert quiet_fit(Climber(), ONES, steps=5).step == [3]
    assert capsys.readouterr().out == "GENLIB_MAX_STEPS: 3 steps instead of 5 steps\n"
    assert quiet_fit(Climber(), ONES, seconds=30.0).step == [3]
    assert capsys.readouterr().out == "GENLIB_MAX_STEPS: 3 steps instead of 30 s\n"
    quiet_fit(Climber(), ONES, steps=2)
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("GENLIB_MAX_STEPS", "few")
    with pytest.raises(ValueError, match=r"GENLIB_MAX_STEPS: .* got 'few'"):
        quiet_fit(Climber(), ONES, steps=2)


def test_nothing_is_printed_but_the_bar(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1")
    train.fit(Climber(), ONES, steps=3)
    assert capsys.readouterr() == ("", "")


# --- not finite ----------------------------------------------------------------------------------------------------


class Cliff(nn.Module):
    """Good for five steps, then over the edge: in the loss, or in its gradient only."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.a, self.norm = nn.Parameter(torch.ones(2)), nn.BatchNorm1d(2)
        self.where, self.k = where, 0

    def optimizers(self):
        return {"first": torch.optim.SGD([self.a], 0.01), "second": torch.optim.Adam(self.norm.parameters(), 0.01)}

    def losses(self, batch, generator):
        self.k += 1
        batch = batch * (math.nan if self.where == "loss" and self.k == 6 else 1.0)
        yield "first", self.a.square().sum(), {}
        root = (self.norm.weight.sum() * (0.0 if self.where == "gradient" and self.k == 6 else 1.0)).sqrt()
        yield "second", self.norm(batch).square().mean() + root, {}


@pytest.mark.parametrize(("where", "what"), [("loss", "the loss is nan"), ("gradient", "its gradient is not")])
def test_nan_stops_with_all_that_helps(tmp_path: Path, where: str, what: str) -> None:
    objective, good = Cliff(where), Cliff("nowhere")
    path = tmp_path / "run.pt"
    with pytest.raises(train.NotFiniteError) as caught:
        quiet_fit(
            objective, torch.randn(32, 2), steps=100, decay=None, ema_decay=0, checkpoint=path, checkpoint_every=2
        )
    message = str(caught.value)
    for part in (
        "step 6, optimizer 'second'",
        what,
        "as step 5 left it",
        f"{path}, from step 4",
        "learning rate",
        "(it was 0.01)",
    ):
        assert part in message
    assert isinstance(caught.value, FloatingPointError)
    quiet_fit(good, torch.randn(32, 2), steps=5, decay=None, ema_decay=0)
    assert all(torch.isfinite(value).all() for value in objective.state_dict().values())  # buffers too
    assert objective.norm.num_batches_tracked == 5
    torch.testing.assert_close(objective.a, good.a)
    assert not objective.training
    assert all(p.grad is None for p in objective.parameters())


def test_nan_in_the_first_step_after_a_resume_leaves_the_checkpoint(tmp_path: Path) -> None:
    data, arguments = torch.randn(32, 2), {"steps": 100, "checkpoint": tmp_path / "run.pt", "checkpoint_every": 5}
    with pytest.raises(train.NotFiniteError):
        quiet_fit(Cliff("loss"), data, **arguments)
    objective = Cliff("loss")
    objective.k = 5
    with pytest.raises(train.NotFiniteError, match="from step 5"):
        quiet_fit(objective, data, **arguments, resume=True)
    assert_same(objective, train.load(Cliff("loss"), tmp_path / "run.safetensors"))


def test_nan_without_a_checkpoint_says_so() -> None:
    with pytest.raises(train.NotFiniteError, match="There is no checkpoint"):
        quiet_fit(Cliff("loss"), torch.randn(8, 2), steps=10)


# --- precision -----------------------------------------------------------------------------------------------------


class Curved(nn.Module):
    """Two turns, the second through weights that the first has changed."""

    averaged = False

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1, bias=False)
        nn.init.constant_(self.layer.weight, 1.0)
        self.outputs: list[Tensor] = []

    def optimizers(self):
        return {name: torch.optim.SGD(self.parameters(), lr=0.5) for name in "ab"}

    def losses(self, batch, generator):
        for name in "ab":
            out = self.layer(batch)
            self.outputs.append(out.detach())
            yield name, out.float().mean(), {}


def test_bf16_computes_in_bf16_and_never_with_old_weights() -> None:
    objective = Curved()
    quiet_fit(objective, torch.ones(8, 4), steps=1, precision="bf16", decay=None, clip=None)
    assert [out.dtype for out in objective.outputs] == [torch.bfloat16] * 2
    assert objective.outputs[0][0].item() == 4
    assert objective.outputs[1][0].item() == 2  # weights 1 − 0.5, not the cast of the old ones
    assert objective.layer.weight.dtype == torch.float32
    assert objective.layer.weight.flatten().tolist() == [0.0] * 4


class Overflowing(nn.Module):
    """A gradient of norm 5, then one that 2¹⁶ makes too large for float32, again and again."""

    averaged = False

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, 2.0]))
        self.k = 0

    def optimizers(self):
        return {"w": torch.optim.SGD([self.w], lr=1.0)}

    def losses(self, batch, generator):
        self.k += 1
        yield "w", (self.w * (torch.tensor([3.0, 4.0]) if self.k == 1 else 3e34)).sum(), {}


@pytest.fixture
def fp16_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The arithmetic of fp16, which only GPUs have, with a scale that is exact in float32."""
    monkeypatch.setattr("genlib.train.training.autocast_in", lambda precision, device: nullcontext)


@pytest.mark.usefixtures("fp16_on_the_cpu")
def test_a_scaled_loss_gives_the_same_update_and_skips_overflow(tmp_path: Path) -> None:
    objective = Overflowing()
    path = tmp_path / "run.pt"
    history = quiet_fit(objective, ONES, steps=4, precision="fp16", decay=None, clip=1.0, log_every=1, checkpoint=path)
    assert torch.allclose(objective.w, torch.tensor([0.4, 1.2]))  # clipped from norm 5 to 1, then skipped
    assert history.logs["loss"][0] == 11
    assert torch.load(path, weights_only=True)["players"]["w"]["scale"] == (2.0**13, 0, 3)


@pytest.mark.usefixtures("fp16_on_the_cpu")
def test_overflow_that_no_scale_helps_is_told() -> None:
    objective = Overflowing()
    with pytest.raises(train.NotFiniteError, match=r"its gradient is not.*too little range or accuracy in fp16"):
        quiet_fit(objective, torch.full((8, 1), math.inf).nan_to_num(), steps=100, precision="fp16", decay=None)


def test_the_scale_doubles_after_many_good_turns() -> None:
    w = nn.Parameter(torch.zeros(1))
    player = Player("w", torch.optim.SGD([w], lr=1.0), scaled=True)
    for _ in range(2000):
        w.grad = torch.ones(1)
        player.update(0.0)
    assert player.scale == 2.0**17
    other = Player("w", torch.optim.SGD([w], lr=1.0), scaled=True)
    other.load_state_dict(player.state_dict())
    assert (other.scale, other.good, other.bad) == (player.scale, player.good, player.bad)


# --- the house -----------------------------------------------------------------------------------------------------


def test_importing_train_loads_little_and_a_training_shows_a_bar() -> None:
    code = """
import sys, torch
before = set(sys.modules)
from genlib import train
new = {name for name in set(sys.modules) - before if not name.startswith("genlib")}
assert {name.split(".")[0] for name in new} <= {"jaxtyping", "numpy"}, sorted(new)
assert not new & {"tqdm", "safetensors", "matplotlib", "IPython", "sklearn", "scipy"}, sorted(new)
from train_objectives import ONES, Climber
train.fit(Climber(), ONES, steps=30)
train.fit(Climber(), ONES, seconds=0.1)
"""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("TQDM_DISABLE", "GENLIB_MAX_STEPS")
    }
    environment["TQDM_MININTERVAL"] = "0"
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), environment.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "30/30" in done.stderr
    assert "loss=" in done.stderr
    assert "0/0 s" in done.stderr
    assert done.stdout == ""


@given(
    steps=st.integers(1, 10**6),
    step=st.floats(0, 1),
    decay=st.sampled_from(["cosine", "linear", None]),
    warmup=st.integers(0, 100),
)
@settings(max_examples=50, deadline=None)
def test_learning_rates_stay_between_zero_and_what_was_asked(steps: int, step: float, decay, warmup: int) -> None:
    k = int(step * (steps - 1))
    assert 0 < lr_factor(k, k / steps, decay, warmup) <= 1
