"""How a training is kept in lectures/runs/: in few bytes, with the command that made it."""

import copy
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from genlib import train

RUNS = Path(__file__).parents[1] / "lectures" / "runs"
LARGEST, FLAGSHIP = 500_000, 3_000_000  # bytes
FLAGSHIPS = ("emoji_ddpm", "emoji_colours")  # the two that draw in colour
SEEDS = (0, 1, 2)


def keep(name: str, model: torch.nn.Module, history: train.History, made_by: str | None = None) -> None:
    weights, curves = RUNS / f"{name}.safetensors", RUNS / f"{name}.json"
    train.save(copy.deepcopy(model).half(), weights)
    history.command = f"make runs ONLY={made_by or name}"
    history.save(curves)
    check_size(weights, curves)
    print(f"{name}: {history.step[-1]} steps in {history.seconds:.0f} s")


def store_tensors(name: str, tensors: dict[str, torch.Tensor], steps: object) -> None:
    """What is kept of several trainings in place of their weights, and the command that made it."""
    values, command = RUNS / f"{name}.safetensors", RUNS / f"{name}.json"
    save_file(tensors, values)
    command.write_text(json.dumps({"command": f"make runs ONLY={name}", "steps": steps}) + "\n", encoding="utf-8")
    check_size(values, command)


def to_bytes(images: torch.Tensor) -> torch.Tensor:
    return ((images.clamp(-1, 1) + 1) * 127.5).round().byte().contiguous()


def check_size(*files: Path) -> None:
    for file in files:
        largest = FLAGSHIP if file.stem in FLAGSHIPS else LARGEST
        if file.stat().st_size > largest:
            raise SystemExit(f"{file}: {file.stat().st_size:,} bytes, more than the {largest:,} that a run may have")
