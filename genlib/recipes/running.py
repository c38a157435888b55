"""A recipe that runs: trained into a folder, gone on with, sampled from, and measured."""

import json
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import genlib
from genlib import train as training
from genlib.recipes.card import as_text, command_of, hardware
from genlib.recipes.measures import measured
from genlib.recipes.pictures import drawn, write_grid
from genlib.recipes.recipe import TRAINING, Recipe
from genlib.train.files import write_whole
from genlib.train.processes import processes_here

ABOUT, STATE, WEIGHTS, LOG, CARD = "recipe.json", "state.pt", "state.safetensors", "log.jsonl", "card.json"


def device_of(name: str | None = None) -> torch.device:
    """This device, or the best that there is; of several GPUs the one that is this process's own.
    Raises: ValueError for a device that torch does not have here."""
    rank = os.environ.get("LOCAL_RANK", "0")
    own = f"cuda:{rank}" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(f"cuda:{rank}" if name == "cuda" else name or own)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device: {name!r} is none that torch has here ({str(error).splitlines()[0]})") from None
    return device


def train(
    recipe: Recipe,
    out: Path,
    changes: Mapping[str, Any] | None = None,
    *,
    resume: bool = False,
    data_dir: Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> training.History:
    """Train a recipe into a folder: settings, weights and state, a line of JSON for each entry, grids of samples.

    Args:
        changes: settings that are to differ from the recipe's. A training that goes on keeps those it was begun with.
        resume: go on with what lies in `out`, if it is this recipe's.
        data_dir: where downloaded data lie, as in `genlib.data`.
        device: the best that there is, if left out. Under `torchrun` every process gets a GPU of its own.
    Raises: ValueError for a setting that there is not or that does not fit, and a folder that holds something else;
        what `train.fit` and the data raise.
    """
    first = os.environ.get("RANK", "0") == "0"
    with processes_here().agreeing():  # nobody waits for one that has been refused
        before = _before(recipe, out, resume) if first or resume else {}
        settings = recipe.changed({**before, **(changes or {})})
    torch.manual_seed(settings["seed"])
    objective, here = recipe.objective(settings), device_of(device)
    pairs = recipe.data("train", data_dir)
    held_out = recipe.data("test", data_dir) if first else None
    objective.to(here)
    if settings["channels_last"]:
        objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if settings["compile"]:
        _compile(objective, settings["compile"])
    if first:
        _say(recipe, settings, objective, pairs, here, out)
    if first and not before:  # what is gone on with keeps its own until `fit` has accepted the settings
        write_whole(out / ABOUT, _about(recipe, settings))
    notes = Notes(out, settings, recipe, held_out)
    given = {name: settings[name] for name in TRAINING}
    try:
        return training.fit(
            objective,
            pairs,
            **given,
            checkpoint=out / STATE,
            resume=resume,
            progress=progress,
            callback=notes.draw,
            report=notes.report,
        )
    except ValueError:
        if first and not before and not notes.begun:  # refused: nothing has begun that could be gone on with
            (out / ABOUT).unlink(missing_ok=True)
        raise


class Notes:
    """What is written while a training goes on, by its first process."""

    def __init__(self, out: Path, settings: Mapping[str, Any], recipe: Recipe, held_out: Any) -> None:
        self.out, self.every, self.steps = out, settings["sample_every"], settings["steps"]
        self.recipe, self.held_out, self.settings, self.board = recipe, held_out, settings, None
        self.begun, self.drawn_at = False, 0

    def report(self, entry: dict[str, float]) -> None:
        """One line of JSON, and TensorBoard's numbers where it is installed."""
        if not self.begun:
            self._begin(entry["step"])
        plain = {name: value if value == value else None for name, value in entry.items()}  # nan is no JSON
        with (self.out / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(plain) + "\n")
        if self.board is not None:
            for name, value in entry.items():
                self.board.add_scalar(name, value, int(entry["step"]))

    def _begin(self, step: float) -> None:
        """The settings are accepted. A training that was killed has logged more than its last checkpoint knows."""
        self.begun, path = True, self.out / LOG
        write_whole(self.out / ABOUT, _about(self.recipe, self.settings))
        old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        write_whole(path, "".join(line + "\n" for line in old if _step_of(line) < step).encode())
        self.board = _board(self.out)

    def draw(self, step: int, objective: Any) -> None:
        """A grid of samples, every so many steps, and at the end."""
        if step // self.every > self.drawn_at // self.every or step == self.steps:
            self.drawn_at = step
            pictures = drawn(objective.model, 16, self.recipe.shows, self.held_out, seed=0, together=False)
            write_grid(self.out / "samples" / f"{step:07d}.png", pictures)


def load(recipe: Recipe, out: Path, device: str | None = None) -> nn.Module:
    """The model that was trained into this folder. Raises: ValueError or FileNotFoundError if there is none."""
    settings = recipe.changed(_before(recipe, out, resume=True))
    if not (out / WEIGHTS).exists():
        raise FileNotFoundError(f"out: {out} holds no weights yet: expected {out / WEIGHTS}")
    torch.manual_seed(settings["seed"])
    model: nn.Module = recipe.objective(settings).model  # type: ignore[assignment]
    return training.load(model, out / WEIGHTS).to(device_of(device))


def sample(
    recipe: Recipe,
    out: Path,
    n: int = 64,
    options: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    file: Path | None = None,
    data_dir: Path | None = None,
    device: str | None = None,
) -> Path:
    """Draw n samples of the model in this folder into a picture; several processes share the work.

    Args: options, of the model's `sample`, such as {"label": 3, "steps": 25}; file, where to, a PNG.
    Raises: ValueError for options that the model refuses, a folder without a model.
    """
    model = load(recipe, out, device)
    held_out = recipe.data("test", data_dir)
    pictures = drawn(model, n, {**recipe.shows, **(options or {})}, held_out, seed)
    path = file or out / "samples" / f"{n}-seed-{seed}.png"
    if os.environ.get("RANK", "0") == "0":
        write_grid(path, pictures)
    return path


def evaluate(
    recipe: Recipe,
    out: Path,
    *,
    limit: int | None = None,
    fid: int = 0,
    seed: int = 0,
    data_dir: Path | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    """Measure the model in this folder on what it was not trained on, and write its card.

    Args: limit, of held-out examples; fid, how many samples to compare with CIFAR-10's training set by Inception's
        features (torch-fidelity, an optional extra), 0 for none.
    Returns: the card: what was measured, with standard errors, beside what the paper reached.
    """
    model, begun = load(recipe, out, device), time.perf_counter()
    held_out = recipe.data("test", data_dir)
    found = measured(model, held_out, recipe, limit=limit, fid=fid, seed=seed, folder=out)
    about = json.loads((out / ABOUT).read_text(encoding="utf-8"))
    changed = {k: v for k, v in about["settings"].items() if v != _plain(recipe.defaults())[k]}
    last = _last_entry(out)
    card = {
        "recipe": recipe.name,
        "command": command_of(recipe.name, changed),
        "changed": changed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": last.get("step"),
        "training seconds": last.get("seconds"),
        "hardware": about["hardware"],
        "measured": found,
        "paper": dict(recipe.reached),
        "source": recipe.source,
        "evaluation seconds": round(time.perf_counter() - begun, 1),
    }
    if os.environ.get("RANK", "0") == "0":
        write_whole(out / CARD, json.dumps(card, indent=1, ensure_ascii=False).encode())
        write_whole(out / "card.md", as_text(card).encode())
    return card


def _before(recipe: Recipe, out: Path, resume: bool) -> dict[str, Any]:
    """The settings of what lies in this folder, if it may be gone on with."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"out: {out} is a file; expected a folder, or none yet")
    inside = sorted(path.name for path in out.iterdir()) if out.exists() else []
    if not inside:
        if resume:
            raise ValueError(f"out: there is nothing in {out} to go on from")
        return {}
    try:
        about = json.loads((out / ABOUT).read_text(encoding="utf-8"))
        name, settings = about["recipe"], about["settings"]
    except (OSError, ValueError, TypeError, LookupError):
        raise ValueError(f"out: {out} holds something else ({inside[0]}, ...): expected a new folder") from None
    if name != recipe.name:
        raise ValueError(f"out: {out} holds the recipe {name}, not {recipe.name}")
    if not resume:
        raise ValueError(f"out: {out} holds a training of {name}: --resume goes on with it, or name another folder")
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items() if k in recipe.defaults()}


def _about(recipe: Recipe, settings: Mapping[str, Any]) -> bytes:
    versions = {"genlib": genlib.__version__, "torch": torch.__version__, "python": platform.python_version()}
    about = {"recipe": recipe.name, "versions": versions, "hardware": hardware(), "settings": _plain(settings)}
    return json.dumps(about, indent=1).encode()


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has them."""
    return json.loads(json.dumps(dict(settings)))


def _say(
    recipe: Recipe, settings: Mapping[str, Any], objective: nn.Module, pairs: Any, device: torch.device, out: Path
) -> None:
    """What is about to happen, and how long it may take."""
    n = sum(p.numel() for p in objective.parameters())
    size = len(pairs.dataset if hasattr(pairs, "dataset") else pairs if isinstance(pairs, Tensor) else pairs[0])
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    many = f", in each of {processes} processes" if processes > 1 else ""
    changed = [f"{k} = {v}" for k, v in settings.items() if v != recipe.defaults()[k]]
    print(f"{recipe.name}: {recipe.about} ({recipe.source})")
    print(
        f"  {n:,} parameters on {device}; {settings['steps']:,} steps of {settings['batch_size']}{many}, from {size:,}"
    )
    print(f"  as it stands it takes {recipe.takes}; changed: {', '.join(changed) or 'nothing'}")
    print(f"  into {out}: {WEIGHTS}, {STATE} to go on from, {LOG}, samples/", flush=True)


def _compile(objective: nn.Module, mode: bool | str) -> None:
    """Compile the networks where they stand, so that their weights keep their names."""
    for network in objective.children():
        inner = getattr(network, "net", network)
        inner.compile(mode=None if mode is True or mode == "default" else mode)


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, TypeError, LookupError):
        return float("inf")  # broken off in the middle


def _last_entry(out: Path) -> dict[str, Any]:
    path = out / LOG
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    whole = [line for line in lines if _step_of(line) < float("inf")]
    return json.loads(whole[-1]) if whole else {}


def _board(out: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(out / "tensorboard"))
