"""Files that are damaged, foreign or malicious, and places where none can be: refused, and nothing changes."""

import io
import os
import random
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from train_objectives import ONES, Climber, Crash, TwoPlayers, assert_same, points, quiet_fit, state, stop_at, trained

from genlib import train
from genlib.train.files import locked


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a training that was killed in step 15, after a checkpoint in step 9."""
    path = tmp_path_factory.mktemp("good") / "run.pt"
    with pytest.raises(Crash):
        short(path, callback=stop_at(15))
    return path


def short(path: Path, objective: nn.Module | None = None, **arguments) -> nn.Module:
    objective = objective or TwoPlayers()
    more = {"steps": 20, "batch_size": 7, "checkpoint_every": 9, "log_every": 5, **arguments}
    quiet_fit(objective, points(), checkpoint=path, **more)
    return objective


def assert_refused(path: Path, **arguments) -> str:
    """A ValueError in plain text, and nothing has changed."""
    objective = TwoPlayers()
    before, content, files = state(objective), path.read_bytes(), sorted(os.listdir(path.parent))
    rng = torch.get_rng_state()
    with pytest.raises(ValueError, match=r"checkpoint: .*run\.pt is damaged, or no training state") as caught:
        short(path, objective, resume=True, **arguments)
    assert all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())
    assert objective.training
    assert objective.calls == 0
    assert torch.equal(torch.get_rng_state(), rng)
    assert path.read_bytes() == content
    assert sorted(os.listdir(path.parent)) == files
    message = str(caught.value)
    assert message.isprintable()  # no colours, no second line
    assert "weights_only" not in message
    return message


def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path: Path, checkpoint: Path) -> None:
    good, path = checkpoint.read_bytes(), tmp_path / "run.pt"
    draw = random.Random(0)
    whole = short(tmp_path / "whole.pt")
    refused = 0
    for _ in range(60):
        content = bytearray(good)
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
        objective = TwoPlayers()
        try:
            short(path, objective, resume=True)
            assert_same(objective, whole)
        except ValueError as error:
            assert "run.pt is damaged" in str(error)  # noqa: PT017
            refused += 1
    assert refused >= 30


def edited(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    """A file that somebody has read, changed and written again."""

    def edit(content: bytes) -> bytes:
        value = torch.load(io.BytesIO(content), weights_only=True)
        changed = change(value)
        out = io.BytesIO()
        torch.save(value if changed is None else changed, out)
        return out.getvalue()

    return edit


def packed(content: bytes) -> bytes:
    """The same, as a zip that unpacks to more."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    return out.getvalue()


def bomb(content: bytes) -> bytes:
    out = io.BytesIO()
    torch.save({"format": "genlib training state, version 2", "zeros": torch.zeros(2**26)}, out)
    return packed(out.getvalue())


def other_zip(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "no weights")
    return out.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"nonsense",
        lambda content: content[: len(content) // 2],
        packed,
        bomb,
        other_zip,
        edited(lambda value: {"format": value["format"]}),
        edited(lambda value: {"format": "genlib training state, version 1"}),
        edited(lambda value: [value]),
        edited(lambda value: 3),
        edited(lambda value: value["objective"]),
        edited(lambda value: {"state": "of something else"}),
        edited(lambda value: value.pop("checksum") and None),
        edited(lambda value: value.update(step=3)),
        edited(lambda value: value.update(step="3")),
        edited(lambda value: value["objective"].update({"G.0.weight": torch.zeros(16, 2)})),
        edited(lambda value: value["average"].update({"G.0.weight": torch.full((16, 2), float("nan"))})),
        edited(lambda value: value["players"]["D"]["optimizer"]["state"].clear()),
        edited(lambda value: value["players"].pop("G") and None),
        edited(lambda value: value["batches"].clear()),
        edited(lambda value: value.update(history="{")),
        edited(lambda value: value["settings"].update(seed=1)),
    ],
)
def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path: Path, checkpoint: Path, damage) -> None:
    path = tmp_path / "run.pt"
    path.write_bytes(damage(checkpoint.read_bytes()))
    assert_refused(path)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_no_code_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": "genlib training state, version 2", "bomb": Bomb()}, tmp_path / "run.pt")
    assert_refused(tmp_path / "run.pt")
    assert not (tmp_path / "exploded").exists()


# --- weights -------------------------------------------------------------------------------------------------------


def layer(value: float = 0.0) -> nn.Linear:
    made = nn.Linear(3, 2)
    nn.init.constant_(made.weight, value)
    return made


def assert_not_loaded(path: Path, match: str, module: nn.Module | None = None) -> None:
    module = module or layer()
    before = state(module)
    with pytest.raises(ValueError, match=match):
        train.load(module, path)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module.training


def test_every_flipped_bit_in_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    train.save(layer(1.0), path)
    good = path.read_bytes()
    for place in range(len(good)):
        content = bytearray(good)
        content[place] ^= 1 << random.Random(place).randrange(8)
        path.write_bytes(content)
        try:
            assert (train.load(layer(), path).weight == 1).all()  # the bit was in a name of the metadata, or a space
        except ValueError as error:
            assert "path: " in str(error)  # noqa: PT017
            continue
        assert place < 8 + int.from_bytes(good[:8], "little")


@pytest.mark.parametrize(
    ("stored", "wanted", "fits"),
    [
        (torch.float16, torch.float32, True),
        (torch.bfloat16, torch.float32, True),
        (torch.float32, torch.float64, True),
        (torch.float64, torch.float32, False),
        (torch.float32, torch.bfloat16, False),
        (torch.float16, torch.bfloat16, False),
        (torch.bfloat16, torch.float16, False),
    ],
)
def test_only_a_dtype_that_loses_nothing_is_loaded(tmp_path: Path, stored, wanted, fits: bool) -> None:
    path, module = tmp_path / "w.safetensors", nn.Linear(3, 2).to(stored)
    train.save(module, path)
    if not fits:
        match = f"weight is {str(stored)[6:]} .*, expected {str(wanted)[6:]} "
        assert_not_loaded(path, match, layer().to(wanted))
        return
    loaded = train.load(layer().to(wanted), path)
    assert loaded.weight.dtype == wanted
    assert torch.equal(loaded.weight, module.weight.to(wanted))


def test_weights_of_other_origin_are_taken_if_they_fit(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"weight": torch.ones(2, 3), "bias": torch.zeros(2)}, path, {"format": "pt"})
    assert (train.load(layer(), path).weight == 1).all()
    save_file({"weight": torch.ones(2, 3).int(), "bias": torch.zeros(2)}, path)
    assert_not_loaded(path, "weight is int32 .* expected float32")
    save_file({"weight": torch.ones(2, 3), "bias": torch.full((2,), torch.nan)}, path)
    assert_not_loaded(path, "bias has NaN")
    save_file({"weight": torch.ones(2, 3), "bias": torch.zeros(2)}, path, {"genlib": "[1, 2]"})
    assert_not_loaded(path, "is damaged, or no safetensors file")


class Sized(nn.Linear):
    def __init__(self, **config) -> None:
        super().__init__(3, 2)
        self.said = config

    def config(self):
        return self.said


def test_weights_of_another_config_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    train.save(Sized(predict="eps", levels=np.int64(17)), path)
    assert_not_loaded(path, "levels was 17, now 16; predict was 'eps', now 'v'", Sized(predict="v", levels=16))
    train.load(Sized(predict="eps", levels=17), path)
    train.save(layer(), path)  # says nothing
    assert_not_loaded(path, "predict was None, now 'eps'", Sized(predict="eps"))


@pytest.mark.parametrize(
    "module",
    [
        None,
        "model",
        nn.Linear,
        nn.LazyLinear(2),
        nn.Linear(2, 2, device="meta"),
        torch.ones(2),
    ],
)
def test_what_is_no_module_with_weights_is_refused(tmp_path: Path, module) -> None:
    train.save(layer(), tmp_path / "w.safetensors")
    for call in (train.save, train.load):
        with pytest.raises(ValueError, match="module: expected"):
            call(module, tmp_path / "w.safetensors")


# --- places --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [None, 3, b"w", "", "a\0b", "x" * 300, "/dev/null", "/dev/full", ["w"]])
def test_a_path_that_is_none_is_refused(path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for call in (
        lambda: train.save(layer(), path),
        lambda: train.load(layer(), path),
        lambda: train.History().save(path),
        lambda: train.History.load(path),
    ):
        with pytest.raises(ValueError, match="path: "):
            call()
    if path is not None:
        with pytest.raises(ValueError, match="checkpoint: "):
            quiet_fit(Climber(), ONES, steps=1, checkpoint=path)
    assert Path("/dev/null").is_char_device()


def test_files_get_the_mode_that_the_user_has_set(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        quiet_fit(Climber(), ONES, steps=1, checkpoint=tmp_path / "run.pt").save(tmp_path / "run.json")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("run.pt", "run.safetensors", "run.json"), 0o640)


def test_no_link_is_followed_and_nobody_elses_file_is_touched(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    for name in ("run.pt.part", "run.safetensors.part", ".run.pt.part"):
        (run / name).symlink_to(precious)
    quiet_fit(Climber(), ONES, steps=1, checkpoint=run / "run.pt")
    (run / "run.pt").unlink()
    (run / ".run.pt.lock").symlink_to(precious)
    with pytest.raises(ValueError, match=r"checkpoint: .*no folder that can be written to"):
        quiet_fit(Climber(), ONES, steps=1, checkpoint=run / "run.pt")
    assert precious.read_text() == "mine"


def test_two_trainings_do_not_share_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    inner: list[str] = []

    def again(step: int, objective: nn.Module) -> None:
        with pytest.raises(ValueError, match=r"checkpoint: .*run\.pt is in use by another training") as caught:
            quiet_fit(Climber(), ONES, steps=1, checkpoint=path, resume=False)
        inner.append(str(caught.value))
        quiet_fit(Climber(), ONES, steps=1, checkpoint=tmp_path / "other.pt", resume=False)

    quiet_fit(Climber(), ONES, steps=2, checkpoint=path, callback=again, log_every=1)
    assert len(inner) == 2
    quiet_fit(Climber(), ONES, steps=3, checkpoint=path, resume=True)
    assert sorted(os.listdir(tmp_path)) == ["other.pt", "other.safetensors", "run.pt", "run.safetensors"]


def test_a_training_in_another_process_holds_the_checkpoint_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    program = (
        "import sys, time; from pathlib import Path; from genlib.train.files import locked\n"
        "with locked('checkpoint', Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        with pytest.raises(ValueError, match="in use by another training"):
            quiet_fit(Climber(), ONES, steps=1, checkpoint=path)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    quiet_fit(Climber(), ONES, steps=1, checkpoint=path)
    with locked("checkpoint", path):
        pass
    assert sorted(os.listdir(tmp_path)) == ["run.pt", "run.safetensors"]


def test_trainings_at_once_in_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    """All of them save all the time: the same fixed name of the unfinished file killed one of two."""

    def train_again(step: int, objective: nn.Module) -> None:
        train.save(objective, tmp_path / "w.safetensors")

    a, _ = trained(tmp_path / "a.pt", checkpoint_every=1, callback=train_again)
    assert_same(a, trained()[0])
    assert_same(train.load(TwoPlayers(), tmp_path / "w.safetensors"), a)
