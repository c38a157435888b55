"""The command line: recipes that are trained into a folder, stopped, gone on with, sampled from and measured."""

import errno
import io
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genlib import __main__ as command_line
from genlib import data, diffusion, recipes, train
from genlib.recipes.measures import bits_of, streamed
from genlib.recipes.pictures import write_grid
from genlib.recipes.recipe import settings_in, value_of

SMALL = {  # settings with which each trains in a second, and how its samples come sooner
    "ddpm-digits": (["width=4", "T=20"], ["steps=4"]),
    "ddpm-emoji": (["width=4", "T=20", "batch_size=8"], ["steps=3"]),
    "realnvp-digits": (["width=8", "n_couplings=2"], ["temperature=0.7"]),
    "pix2pix-emoji": (["width=4", "batch_size=4"], []),
    "pix2pix-textures": (["width=4", "batch_size=4"], []),
    "ddpm-cifar10": (["width=8", "n_blocks=1", "T=20", "batch_size=4"], ["steps=3"]),
    "iddpm-cifar10": (["width=8", "n_blocks=1", "T=20", "batch_size=4"], ["steps=3"]),
    "realnvp-cifar10": (["width=4", "n_blocks=1", "batch_size=4"], []),
    "pix2pix-facades": (["width=4", "depth=8"], []),
}
QUICK = ["steps=6", "log_every=2", "checkpoint_every=2", "sample_every=3"]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process, no bound from outside, no bar."""
    for name in ("GENLIB_MAX_STEPS", "RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TQDM_DISABLE", "1")


def cifar10_archive() -> bytes:
    """Emoji as CIFAR-10's binary version has its photos: a class, then red, green and blue."""
    x = ((data.emoji("test").y + 1) * 127.5).round().byte().flatten(1)
    rows = torch.cat([torch.arange(len(x)).byte()[:, None] % 10, x], 1).numpy().tobytes()
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(rows)
            archive.addfile(member, io.BytesIO(rows))
    return content.getvalue()


def embedded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the place of data that would be downloaded: a small file of the true format, and pairs of the true size."""
    loaders = sys.modules["genlib.data.loaders"]
    file = tmp_path / "cifar.tar.gz"
    file.write_bytes(cifar10_archive())
    monkeypatch.setattr(loaders, "fetched", lambda remote, folder, mirrors: file)
    x, y = (torch.nn.functional.interpolate(part[:4], 256) for part in data.emoji("test"))
    pairs = data.Pairs(x.expand(-1, 3, -1, -1).contiguous(), y)
    monkeypatch.setattr(data, "facades", lambda split, data_dir=None: pairs)


def lines_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()]


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What the command says that ends with an error: one line."""
    monkeypatch.setattr(sys, "argv", ["genlib", *arguments])
    capsys.readouterr()
    assert command_line.main() == 1
    said = capsys.readouterr().err
    assert said.startswith("genlib: ")
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize("name", SMALL)
def test_every_recipe_trains_samples_and_is_measured(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    embedded(monkeypatch, tmp_path)
    out, (settings, options) = tmp_path / "out", SMALL[name]
    steps = ["steps=2", "log_every=1", "sample_every=2"] if name == "pix2pix-facades" else QUICK
    command_line.run(["train", name, "--out", str(out), "--device", "cpu", "--set", *settings, *steps])
    said = capsys.readouterr().out
    for word in (name, "parameters on cpu", recipes.find(name).takes, "steps = ", str(out)):
        assert word in said
    entries = lines_of(out)
    assert [entry["step"] for entry in entries] == ([1, 2] if name == "pix2pix-facades" else [2, 4, 6])
    assert all(math.isfinite(value) for entry in entries for value in entry.values())
    assert len(list((out / "samples").glob("*.png"))) >= 1

    # Going on, to twice as many steps.
    more = f"steps={2 * entries[-1]['step']}"
    command_line.run(["train", name, "--out", str(out), "--device", "cpu", "--resume", "--set", more])
    assert [entry["step"] for entry in lines_of(out)][-1] == 2 * entries[-1]["step"]

    file = tmp_path / "some.png"
    command_line.run(
        ["sample", name, "--out", str(out), "-n", "5", "--file", str(file), "--set", *options, "--device=cpu"]
    )
    assert np.asarray(Image.open(file)).std() > 1
    command_line.run(["evaluate", name, "--out", str(out), "--limit", "3", "--device", "cpu"])
    card = json.loads((out / "card.json").read_text("utf-8"))
    assert card["steps"] == 2 * entries[-1]["step"]
    numbers = [v for value in card["measured"].values() for v in (value if isinstance(value, list) else [value])]
    assert numbers
    assert all(math.isfinite(number) for number in numbers)
    text = (out / "card.md").read_text("utf-8")
    assert name in text
    assert ("not run" in text) == bool(set(card["paper"]) - set(card["measured"]))


def test_the_papers_recipes_have_the_papers_sizes() -> None:
    def sizes(name: str) -> list[int]:
        recipe = recipes.find(name)
        with torch.device("meta"):
            objective = recipe.objective(recipe.defaults())
        return [sum(p.numel() for p in part.parameters()) for part in objective.children()]

    assert sizes("ddpm-cifar10") == [35_746_307]
    assert sizes("pix2pix-facades") == [54_413_955, 2_768_705]
    defaults = {name: recipes.find(name).defaults() for name in ("ddpm-cifar10", "iddpm-cifar10", "pix2pix-facades")}
    ddpm, improved, pix2pix = defaults.values()
    assert (ddpm["T"], ddpm["lr"], ddpm["batch_size"], ddpm["steps"]) == (1000, 2e-4, 128, 800_000)
    assert (ddpm["ema_decay"], ddpm["warmup"], ddpm["dropout"], ddpm["decay"]) == (0.9999, 5000, 0.1, None)
    assert (improved["T"], improved["lr"], improved["steps"], improved["dropout"]) == (4000, 1e-4, 500_000, 0.3)
    assert (pix2pix["batch_size"], pix2pix["lr"], pix2pix["lam"], pix2pix["steps"]) == (1, 2e-4, 100.0, 80_000)
    assert type(recipes.find("iddpm-cifar10").objective({**improved, "width": 8})).__name__ == "VariationalBound"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-1e-3", -1e-3),
        ("true", True),
        ("None", None),
        ("(1, 2)", (1, 2)),
        ("[1,2]", (1, 2)),
        ("bf16", "bf16"),
    ],
)
def test_values_of_settings(text: str, value: Any) -> None:
    assert value_of(text) == value
    assert settings_in([f"a={text}", "b=x=y"]) == {"a": value, "b": "x=y"}


@pytest.mark.parametrize("words", [["steps"], ["=3"], ["a=1", "a=2"]])
def test_what_is_no_setting_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match="key=value"):
        settings_in(words)


def test_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is computed, and with nothing written."""
    out = tmp_path / "out"

    def told(*arguments: str) -> str:
        return fails([*arguments, "--out", str(out)], capsys, monkeypatch)

    assert "did you mean ddpm-digits?" in told("train", "ddpm-digit")
    assert "did you mean width?" in told("train", "ddpm-digits", "--set", "widht=3")
    assert "width: expected a whole number" in told("train", "ddpm-digits", "--set", "width=wide")
    assert "compile: expected one of" in told("train", "ddpm-digits", "--set", "compile=fast")
    assert "sample_every: expected" in told("train", "ddpm-digits", "--set", "sample_every=0")
    assert "device: 'gpu'" in told("train", "ddpm-digits", "--device", "gpu")
    assert "steps: expected" in told("train", "ddpm-digits", "--set", "steps=0")
    assert "nothing in" in told("train", "ddpm-digits", "--resume")
    assert not out.exists() or not list(out.glob("*.safetensors"))


def test_a_folder_that_holds_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ["--set", *SMALL["realnvp-digits"][0], *QUICK]
    out = tmp_path / "out"
    command_line.run(["train", "realnvp-digits", "--out", str(out), *small])
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def told(*arguments: str) -> str:
        return fails(list(arguments), capsys, monkeypatch)

    assert "--resume goes on" in told("train", "realnvp-digits", "--out", str(out), *small)
    assert "holds the recipe realnvp-digits, not ddpm-digits" in told(
        "train", "ddpm-digits", "--out", str(out), "--resume"
    )
    assert "of another training" in told("train", "realnvp-digits", "--out", str(out), "--resume", "--set", "clip=2.0")
    assert "is a file" in told("train", "ddpm-digits", "--out", str(out / "recipe.json"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    assert "holds something else (thesis.tex" in told("train", "ddpm-digits", "--out", str(tmp_path / "mine"))
    assert "nothing in" in told("sample", "ddpm-digits", "--out", str(tmp_path / "none"))
    assert "label: expected" in told("sample", "realnvp-digits", "--out", str(out), "--set", "label=12")
    assert "torch-fidelity" in told("evaluate", "realnvp-digits", "--out", str(out), "--limit", "2", "--fid", "4")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_full_disk_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Any, target: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    said = fails(["train", "realnvp-digits", "--out", str(tmp_path / "out"), "--set", *QUICK], capsys, monkeypatch)
    assert "No space left" in said
    assert not list((tmp_path / "out").glob("*.part"))


def started(out: Path, *settings: str, name: str = "realnvp-digits", **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "genlib", "train", name, "--out", str(out), "--device=cpu", *settings]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", **environment}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it has not come to that"
        time.sleep(0.02)


def weights(out: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(out / "state.safetensors")


def test_killed_and_gone_on_with_it_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    """kill −9 in the middle; the log has each step once, the weights are those of a training that was never stopped."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    settings = ["--set", *SMALL["realnvp-digits"][0], "steps=200", "log_every=5", "checkpoint_every=20"]
    assert started(whole, *settings).wait(300) == 0
    process = started(killed, *settings)
    wait_for(lambda: (killed / "state.pt").exists() and len((killed / "log.jsonl").read_text().splitlines()) >= 9)
    process.kill()
    assert process.wait(300) == -signal.SIGKILL
    again = started(killed, "--resume")
    said, error = again.communicate(timeout=300)
    assert again.returncode == 0, error
    assert "200 steps" in said
    assert [entry["step"] for entry in lines_of(killed)] == [entry["step"] for entry in lines_of(whole)]
    assert all(torch.equal(x, weights(killed)[name]) for name, x in weights(whole).items())


def test_ctrl_c_stops_after_the_step_and_says_how_to_go_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = started(out, "--set", *SMALL["realnvp-digits"][0], "steps=100000", "log_every=1")
    wait_for(lambda: (out / "log.jsonl").exists() and (out / "log.jsonl").stat().st_size > 200)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "--resume goes on" in error
    assert "Traceback" not in error
    assert (out / "state.pt").exists()


def together(out: Path, *settings: str, name: str = "realnvp-digits") -> list[subprocess.Popen[str]]:
    """Two processes of one training, as torchrun starts them; torchrun itself would end the second one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    return [started(out, *settings, name=name, **where, RANK=rank, LOCAL_RANK=rank) for rank in "01"]


def test_two_processes_train_sample_and_measure_together(tmp_path: Path) -> None:
    out = tmp_path / "out"
    small = ["--set", *SMALL["realnvp-digits"][0], *QUICK]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "genlib"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    common = ["realnvp-digits", "--out", str(out), "--device=cpu"]
    for words in (["train", *common, *small], ["sample", *common, "-n", "5"], ["evaluate", *common, "--limit", "9"]):
        done = subprocess.run([*command, *words], capture_output=True, text=True, env=env, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
    assert len(lines_of(out)) == 3
    assert (out / "samples" / "5-seed-0.png").exists()
    assert "bits/dim" in done.stdout
    assert done.stdout.count("# realnvp-digits") == 1


THREADS_LEFT = """
import atexit, os
import torch

def left():
    print(*(open(f"/proc/self/task/{number}/comm").read().strip() for number in os.listdir("/proc/self/task")))

atexit.register(left)  # what is registered first is called last
from genlib.train.processes import Processes

Processes().gather(1)
torch.optim.Adam([torch.zeros(1, requires_grad=True)])
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux lists the threads of a process")
def test_no_thread_of_a_process_group_is_left_when_python_ends() -> None:
    """One that still has to free a tensor then aborts the process, now and then."""
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "WORLD_SIZE": "1", "RANK": "0", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", THREADS_LEFT]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **where}, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "gloo" not in done.stdout


def test_what_one_process_is_refused_all_are(tmp_path: Path) -> None:
    """Only the first looks into the folder; the other does not wait for it."""
    (tmp_path / "thesis.tex").write_text("x")
    both = together(tmp_path, "--set", *SMALL["realnvp-digits"][0])
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [1, 1]
    assert all("holds something else" in error for error in errors)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_when_one_process_is_killed_the_other_ends_with_a_clear_error(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first, second = together(out, "--set", *SMALL["realnvp-digits"][0], "steps=100000", "log_every=1")
    wait_for(lambda: (out / "log.jsonl").exists() and (out / "log.jsonl").stat().st_size > 200)
    second.kill()
    _, error = first.communicate(timeout=120)  # it does not hang
    assert first.returncode == 1
    lines = [line for line in error.splitlines() if line.startswith("genlib: ")]
    assert len(lines) == 1
    assert "another one has ended or does not answer" in lines[0]
    assert "--resume" in lines[0]


def test_the_mean_over_a_stream_and_its_standard_error() -> None:
    values = torch.randn(101, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean, error = streamed(lambda rows: values[rows], 101, batch_size=7)
    assert mean == pytest.approx(np.mean(values.numpy()))
    assert error == pytest.approx(np.std(values.numpy(), ddof=1) / np.sqrt(101))
    assert math.isnan(streamed(lambda rows: values[rows], 1)[1])


def test_tensorboards_format_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, float, int]] = []

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            assert folder.endswith("tensorboard")

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, value, step))

    module = types.SimpleNamespace(SummaryWriter=SummaryWriter)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)  # type: ignore[arg-type]
    out = tmp_path / "out"
    command_line.run(["train", "realnvp-digits", "--out", str(out), "--set", *SMALL["realnvp-digits"][0], *QUICK])
    losses = {step: value for name, value, step in written if name == "loss"}
    assert losses == {entry["step"]: entry["loss"] for entry in lines_of(out)}


def test_compiled_and_in_channels_last_it_is_the_same_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights keep their names; what compiles is a stand-in here, for a compiler takes minutes."""
    compiled: list[Any] = []
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda self, mode=None: compiled.append((type(self).__name__, mode))
    )
    out = tmp_path / "out"
    settings = [*SMALL["ddpm-digits"][0], *QUICK, "compile=reduce-overhead", "channels_last=true"]
    command_line.run(["train", "ddpm-digits", "--out", str(out), "--set", *settings])
    assert compiled == [("UNet", "reduce-overhead")]
    recipe = recipes.find("ddpm-digits")
    model = recipes.load(recipe, out)
    assert all(p.isfinite().all() for p in model.parameters())


def test_the_list_names_all_and_the_settings_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    command_line.run(["list"])
    said = capsys.readouterr().out
    assert all(name in said for name in recipes.RECIPES)
    command_line.run(["list", "iddpm-cifar10"])
    said = capsys.readouterr().out
    assert "minimise=vlb" in said
    assert "T=4000" in said
    assert "Nichol & Dhariwal" in said


def test_the_page_of_recipes_is_up_to_date() -> None:
    """`make map` writes it; what it says of a training stands in that training's card."""
    import recipes_page

    assert recipes_page.PAGE.read_text("utf-8") == recipes_page.page()
    for card in recipes_page.CARDS.glob("*.json"):
        assert json.loads(card.read_text("utf-8"))["recipe"] == card.stem


def test_help_loads_no_torch() -> None:
    code = "import sys; from genlib.__main__ import parser; parser(); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (5, 3, 32, 32), (3, 3, 16, 48), (7, 1, 4, 4)])
def test_a_grid_shows_every_picture(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Each picture has a colour of its own, which is found in the file."""
    grey = torch.linspace(-1, 0.9, shape[0]).view(-1, 1, 1, 1).expand(shape)
    write_grid(tmp_path / "a" / "grid.png", grey)
    found = set(np.asarray(Image.open(tmp_path / "a" / "grid.png"))[..., 0].flatten().tolist())
    assert {round(float((v + 1) * 127.5)) for v in grey[:, 0, 0, 0]} <= found


def test_history_reports_what_it_holds() -> None:
    """`report` gets every entry once, as the history has it."""
    told: list[dict[str, float]] = []
    recipe = recipes.find("realnvp-digits")
    settings = recipe.changed({"width": 8, "n_couplings": 2})
    history = train.fit(
        recipe.objective(settings), recipe.data("train", None), steps=5, log_every=2, progress=False, report=told.append
    )
    assert [entry["step"] for entry in told] == history.step
    assert [entry["loss"] for entry in told] == history.logs["loss"]
    assert [entry["seconds"] for entry in told] == history.time


def test_the_standard_error_holds_for_a_bound_that_is_looked_at_at_some_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured again and again on the same pictures, bits/dim vary by no more than their standard error says."""
    monkeypatch.setattr("genlib.recipes.measures.BOUND_STEPS", 4)
    torch.manual_seed(0)
    recipe = recipes.find("ddpm-digits")
    model: Any = recipe.objective({**recipe.defaults(), "width": 4, "T": 60}).model
    x, label = (part[:48] for part in data.digits("test"))

    def bits(seed: int) -> list[float]:
        generator = torch.Generator().manual_seed(seed)
        return streamed(bits_of(model, lambda rows: (x[rows], label[rows]), generator), len(x))

    found = torch.tensor([bits(seed) for seed in range(24)], dtype=torch.float64)
    whole = diffusion.vlb(model, x, label, generator=torch.Generator().manual_seed(99)).total.mean()
    assert found[:, 0].std() < 1.3 * found[:, 1].mean()
    assert abs(found[:, 0].mean() - whole) < 4 * found[:, 0].std() / math.sqrt(24) + 0.02 * whole


def test_samples_by_another_sampler(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    out, small = tmp_path / "out", ["width=4", "T=20", "steps=2"]
    command_line.run(["train", "ddpm-digits", "--out", str(out), "--device", "cpu", "--set", *small])
    pictures = []
    for name in ("ddim", "heun", "dpm_solver"):
        file = tmp_path / f"{name}.png"
        told = ["-n", "4", "--file", str(file), "--set", "steps=5", f"sampler={name}"]
        command_line.run(["sample", "ddpm-digits", "--out", str(out), "--device", "cpu", *told])
        pictures.append(file.read_bytes())
    assert len(set(pictures)) == 3
    error = fails(["sample", "ddpm-digits", "--out", str(out), "--set", "sampler=huen"], capsys, monkeypatch)
    assert "expected one of ancestral, ddim, dpm_solver, heun" in error
