"""The settings of a training: checked once, and stored so that a resumed training can be held against them."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from genlib.arguments import check_choice, check_int, check_number
from genlib.train.weights import check_file

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Settings:
    """How long, how fast, how exact. At least one of `steps` and `seconds` is given."""

    steps: int | None
    seconds: float | None
    batch_size: int
    seed: int
    ema: float
    clip: float | None
    decay: str | None
    warmup: int
    precision: str | None

    @classmethod
    def checked(
        cls,
        steps: int | None,
        seconds: float | None,
        batch_size: int,
        seed: int,
        ema: float,
        clip: float | None,
        decay: str | None,
        warmup: int,
        precision: str | None,
    ) -> "Settings":
        if (steps is None) == (seconds is None):
            got = "neither" if steps is None else f"steps={steps!r} and seconds={seconds!r}"
            raise ValueError(f"steps, seconds: expected exactly one of the two, got {got}")
        return cls(
            steps=None if steps is None else check_int("steps", steps),
            seconds=None if seconds is None else check_number("seconds", seconds, 0, inside=True),
            batch_size=check_int("batch_size", batch_size),
            seed=check_int("seed", seed, low=0),
            ema=check_number("ema", ema, 0, 1),
            clip=None if clip is None else check_number("clip", clip, 0, inside=True),
            decay=None if decay is None else check_choice("decay", decay, ("cosine", "linear")),
            warmup=check_int("warmup", warmup, low=0),
            precision=None if precision is None else check_choice("precision", precision, PRECISIONS),
        )

    def share(self, step: int, elapsed: float) -> float:
        """How much of the budget is used: 0 at the start, 1 at the end."""
        shares = [step / self.steps if self.steps else 0, elapsed / self.seconds if self.seconds else 0]
        return min(1.0, max(shares))

    def lr_factor(self, step: int, elapsed: float) -> float:
        """What the learning rates are multiplied by in this step, counted from 0.

        cosine: ½ (1 + cos(π · share))      linear: 1 − share      warm-up: times (step + 1)/warmup, at most 1
        """
        share = self.share(step, elapsed)
        decay = {"cosine": (1 + math.cos(math.pi * share)) / 2, "linear": 1 - share, None: 1.0}[self.decay]
        return decay * min(1.0, (step + 1) / max(1, self.warmup))

    def finished(self, step: int, elapsed: float) -> bool:
        return self.share(step, elapsed) >= 1


def max_steps() -> int | None:
    """GENLIB_MAX_STEPS: an upper bound from outside, so that notebooks can be run through quickly."""
    text = os.environ.get("GENLIB_MAX_STEPS", "").strip()
    if not text:
        return None
    try:
        return check_int("GENLIB_MAX_STEPS", int(text))
    except ValueError:
        raise ValueError(f"GENLIB_MAX_STEPS: expected a whole number, at least 1, got {text!r}") from None


def check_precision(precision: str | None, device: torch.device) -> torch.dtype | None:
    """The dtype of autocast; `ValueError` where the device cannot do it."""
    if precision is None:
        return None
    able = torch.amp.is_autocast_available(device.type)
    if precision == "fp16":
        able = able and device.type != "cpu"
    elif device.type == "cuda":
        able = able and torch.cuda.is_bf16_supported()
    if not able:
        other = ' (try "bf16")' if precision == "fp16" and device.type == "cuda" else ""
        raise ValueError(f"precision: {precision} is not possible on {device}, expected None{other}")
    return PRECISIONS[precision]


def check_checkpoint(path: str | os.PathLike[str] | None, resume: bool | None) -> tuple[Path | None, bool]:
    """Where to keep the training state, and whether there is one to go on from."""
    if resume not in (None, True, False):
        raise ValueError(f"resume: expected True, False or None, got {resume!r}")
    if path is None:
        if resume:
            raise ValueError("resume: expected checkpoint= as well, the file to go on from")
        return None, False
    path = check_file("checkpoint", path)
    if path.suffix != ".pt":
        raise ValueError(f"checkpoint: expected a file that ends in .pt, got {path}")
    for folder in path.parents:  # the folder is made later, but whether that is possible is asked now
        if folder.exists():
            if not folder.is_dir() or not os.access(folder, os.W_OK):
                raise ValueError(f"checkpoint: {folder} is no folder that can be written to")
            break
    if path.exists() and resume is None:
        raise ValueError(
            f"checkpoint: {path} exists. resume=True goes on from it, resume=False starts anew and overwrites it"
        )
    return path, bool(resume) and path.exists()
