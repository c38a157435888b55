"""Weights and training states on the disk: killed, damaged, foreign, and still the same to the bit."""

import math
import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import train_objectives
from torch import nn
from train_objectives import (
    LONG,
    ONES,
    Climber,
    Crash,
    Regression,
    TwoPlayers,
    assert_same,
    points,
    quiet_fit,
    regression_data,
    state,
    stop_at,
    trained,
)

from genlib import train
from genlib.train.around import signals_noted
from genlib.train.history import Interrupted

# --- weights -------------------------------------------------------------------------------------------------------


def test_weights_come_back_tied_ones_too(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
            self.b.weight = self.a.weight
            self.register_buffer("count", torch.tensor(int(value)))
            nn.init.constant_(self.a.weight, value)

    train.save(Tied(5.0), tmp_path / "deep" / "down" / "w.safetensors")
    other = train.load(Tied(0.0), tmp_path / "deep" / "down" / "w.safetensors")
    assert (other.b.weight == 5).all()
    assert other.count == 5
    assert not other.training
    assert os.listdir(tmp_path / "deep" / "down") == ["w.safetensors"]


def test_weights_of_another_module_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    train.save(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), path)
    other = nn.Sequential(nn.Linear(2, 4), nn.Identity(), nn.Linear(3, 1))
    before = state(other)
    with pytest.raises(
        ValueError,
        match=r"2.weight is missing.*0.weight is .* \(3, 2\), expected .* \(4, 2\).*1.weight is not expected",
    ):
        train.load(other, path)
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\x00" * 100])
def test_damaged_weights_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="is damaged, or no safetensors file"):
        train.load(nn.Linear(1, 1), tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="got the folder"):
        train.load(nn.Linear(1, 1), tmp_path)
    with pytest.raises(FileNotFoundError):
        train.load(nn.Linear(1, 1), tmp_path / "none")


# --- checkpoints ---------------------------------------------------------------------------------------------------


def loader() -> torch.utils.data.DataLoader:
    return torch.utils.data.DataLoader(points(), batch_size=7, shuffle=True)  # type: ignore[arg-type]


def loader_with_a_generator() -> torch.utils.data.DataLoader:
    g = torch.Generator().manual_seed(1)
    return torch.utils.data.DataLoader(points(), batch_size=7, shuffle=True, generator=g)  # type: ignore[arg-type]


@pytest.mark.parametrize("make_data", [points, loader, loader_with_a_generator])
def test_resumed_is_as_never_stopped(tmp_path: Path, make_data) -> None:
    """Crashed in step 32, gone on from step 27: the same weights and curves to the bit."""
    path = tmp_path / "new" / "run.pt"
    whole, history = trained(data=make_data())
    with pytest.raises(Crash):
        trained(path, make_data(), callback=stop_at(32))
    resumed, again = trained(path, make_data(), resume=True)
    assert_same(resumed, whole)
    assert again.logs == history.logs
    assert again.step == history.step
    assert again.lr == history.lr
    assert_same(train.load(TwoPlayers(), path.with_suffix(".safetensors")), whole)
    finished, _ = trained(path, make_data(), resume=True)  # nothing left to do
    assert_same(finished, whole)
    assert sorted(os.listdir(path.parent)) == ["run.pt", "run.safetensors"]


def in_another_process(path: Path, until: int, how: signal.Signals) -> int:
    """Train in a process of its own, and send it a signal when it says that it has come so far, and waits."""
    command, pipe = [sys.executable, train_objectives.__file__, str(path)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= until:
                break
            process.stdin.write("go on\n")
            process.stdin.flush()
        process.send_signal(how)
    return process.returncode


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_killed_at_a_random_step_and_resumed(tmp_path: Path, how: signal.Signals) -> None:
    path = tmp_path / "run.pt"
    code = in_another_process(path, random.randrange(10, 45), how)
    stored = torch.load(path, weights_only=True)
    assert 9 <= stored["step"] < 60
    if how == signal.SIGKILL:
        assert code == -signal.SIGKILL
        assert stored["step"] % 9 == 0
    else:
        assert code == 128 + signal.SIGTERM
    whole, history = trained()
    resumed, again = trained(path, resume=True)
    assert_same(resumed, whole)
    assert again.logs == history.logs


def test_an_interruption_saves_then_stops_the_cell(tmp_path: Path) -> None:
    """Ctrl-C in the middle: the step is finished, the state is saved, the averaged weights are in the objective."""

    def interrupt(step: int, objective: nn.Module) -> None:
        if step == 20:
            os.kill(os.getpid(), signal.SIGINT)

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    path = tmp_path / "run.pt"
    objective = TwoPlayers()
    with pytest.raises(
        Interrupted, match=r"stopped after step 21, .* run.pt has the state|stopped after step 21"
    ) as caught:
        quiet_fit(objective, points(), **LONG, checkpoint=path, callback=interrupt)
    assert isinstance(caught.value, KeyboardInterrupt)
    assert caught.value.history.step == [4, 8, 12, 16, 20, 21]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert not objective.training
    assert_same(train.load(TwoPlayers(), path.with_suffix(".safetensors")), objective)
    whole, history = trained()
    resumed, again = trained(path, resume=True)
    assert_same(resumed, whole)
    assert again.logs == history.logs


@pytest.mark.parametrize("last", [6, 3])
def test_a_signal_after_the_last_update_is_not_forgotten(tmp_path: Path, last: int) -> None:
    """In the callback of the last step, or of one in which it ends the training itself."""

    def callback(step: int, objective: nn.Module) -> bool | None:
        if step == last:
            os.kill(os.getpid(), signal.SIGINT)
        return False if step == 3 == last else None

    with pytest.raises(Interrupted, match=f"stopped after step {last}"):
        quiet_fit(Climber(), ONES, steps=6, log_every=3, checkpoint=tmp_path / "run.pt", callback=callback)


def test_a_second_signal_does_at_once_what_it_always_does() -> None:
    with signals_noted() as received:
        signal.raise_signal(signal.SIGINT)
        assert received == [signal.SIGINT]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_training_works_in_a_thread_which_cannot_handle_signals() -> None:
    histories = []
    thread = threading.Thread(target=lambda: histories.append(quiet_fit(Climber(), ONES, steps=3)))
    thread.start()
    thread.join()
    assert histories[0].step == [3]


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file can be longer, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_leaves_the_older_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    with pytest.raises(Crash):
        trained(path, callback=stop_at(12))
    good = path.read_bytes()
    (tmp_path / ".run.pt.0123.part").write_bytes(good[: len(good) // 2])  # what kill -9 leaves behind while writing
    with disk_of(len(good) // 2), pytest.raises(OSError, match=r"not written .*File too large.*run\.pt"):
        trained(path, resume=True)
    assert path.read_bytes() == good
    assert sorted(os.listdir(tmp_path)) == ["run.pt", "run.safetensors"]
    assert_same(trained(path, resume=True)[0], trained()[0])


def test_the_new_file_takes_its_place_in_one_instant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the new name is given, the new file is whole and the old one still there."""
    path = tmp_path / "w.safetensors"
    layer, other = nn.Linear(2, 2), nn.Linear(2, 2)
    train.save(layer, path)
    real_replace, seen = os.replace, []

    def replace(new: Path, old: Path) -> None:
        seen.append(1)
        assert_same(train.load(nn.Linear(2, 2), new), other)
        assert_same(train.load(nn.Linear(2, 2), old), layer)
        real_replace(new, old)

    monkeypatch.setattr(os, "replace", replace)
    train.save(other, path)
    assert seen == [1]
    assert_same(train.load(nn.Linear(2, 2), path), other)


def test_an_existing_checkpoint_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    trained(path)
    with pytest.raises(ValueError, match=r"run.pt exists. resume=True goes on from it, resume=False starts anew"):
        trained(path)
    assert trained(path, resume=False, steps=61)[1].step[-1] == 61


def test_resume_without_a_checkpoint_yet_starts(tmp_path: Path) -> None:
    assert_same(trained(tmp_path / "run.pt", resume=True)[0], trained()[0])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"steps": 59}, "steps was 60, now 59"),
        ({"seed": 3}, "seed was 2, now 3"),
        ({"batch_size": 8, "clip": None}, "batch_size was 7, now 8; clip was 1.0, now None"),
        ({"ema_decay": 0.9}, "ema_decay was 0.996, now 0.9"),
        ({"accumulate": 2}, "accumulate was 1, now 2"),
        ({"data": points() + 1}, "data was '.*', now '.*'"),
    ],
)
def test_a_resume_with_other_settings_names_them(tmp_path: Path, change: dict, complaint: str) -> None:
    path = tmp_path / "run.pt"
    trained(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=complaint):
        trained(path, resume=True, **change)
    assert path.read_bytes() == before


def test_a_checkpoint_of_another_task_or_optimizer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    data = regression_data()
    quiet_fit(Regression(), data, steps=3, checkpoint=path)
    wide = Regression(width=9)
    before = state(wide)
    with pytest.raises(ValueError, match=r"net.0.weight was '.*\(8, 2\)', now '.*\(9, 2\)'"):
        quiet_fit(wide, data, steps=3, checkpoint=path, resume=True)
    assert all(torch.equal(value, before[name]) for name, value in wide.state_dict().items())
    with pytest.raises(ValueError, match=r"training.*: lr of 'net', group 0 was 0.01, now 0.02$"):
        quiet_fit(Regression(lr=0.02), data, steps=3, checkpoint=path, resume=True)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run.pt"
    trained(path)
    good = path.read_bytes()
    contents = [
        b"",
        b"nonsense",
        good[:1000],
        good[: len(good) // 2],
        pickle.dumps(Bomb(), 2),
        pickle.dumps({"step": 3}, 2),
    ]
    torch.save(Bomb(), path)
    contents.append(path.read_bytes())
    torch.save({"step": 3}, path)
    contents.append(path.read_bytes())
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"checkpoint: .*run\.pt is (damaged, or )?no training state|run.pt is damaged"
        ):
            trained(path, resume=True)
    assert not (tmp_path / "exploded").exists()


def test_impossible_places_are_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "file").write_text("")
    for path, complaint in ((tmp_path / "folder.pt", "got the folder"), (tmp_path / "file" / "run.pt", "no folder")):
        objective = Climber()
        with pytest.raises(ValueError, match=complaint):
            quiet_fit(objective, ONES, steps=1, checkpoint=path)
        assert objective.seen == []


@pytest.mark.gpu
@pytest.mark.parametrize("precision", [None, "bf16", "fp16"])
def test_on_a_gpu(tmp_path: Path, precision: str | None) -> None:
    path = tmp_path / "run.pt"
    before = torch.cuda.get_rng_state()
    objectives = [TwoPlayers().cuda() for _ in range(3)]
    quiet_fit(objectives[0], points(), **LONG, precision=precision)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    with pytest.raises(Crash):
        quiet_fit(objectives[1], points(), **LONG, precision=precision, checkpoint=path, callback=stop_at(32))
    history = quiet_fit(objectives[2], points(), **LONG, precision=precision, checkpoint=path, resume=True)
    assert all(math.isfinite(value) for value in history.logs["loss_G"])
    for (name, x), (_, y) in zip(objectives[2].state_dict().items(), objectives[0].state_dict().items(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-4, msg=name)
