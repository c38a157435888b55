"""What a recipe is: a model, its data and its training under one name, with settings that may be changed."""

import ast
import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

# What every recipe has, besides its own: arguments of `train.fit`, and what becomes of networks and samples.
TRAINING: dict[str, Any] = {
    "steps": 1000,
    "batch_size": 64,
    "seed": 0,
    "ema_decay": 0.996,
    "clip": 1.0,
    "decay": "cosine",
    "warmup": 0,
    "accumulate": 1,
    "precision": None,
    "checkpoint_every": 500,
    "log_every": 10,
}
RUNNING: dict[str, Any] = {
    "sample_every": 500,  # steps from one grid of samples to the next
    "channels_last": False,  # how pictures lie in memory
    "compile": False,  # True, or a mode of torch.compile: "reduce-overhead" uses CUDA graphs
}
MODES = (False, True, "default", "reduce-overhead", "max-autotune")


@dataclass(frozen=True)
class Recipe:
    """How one model is trained.

    Args:
        name, about: what it is called, and what it trains, in one sentence.
        build: makes the objective; its keywords, and what they are if nobody changes them, are the recipe's own
            settings.
        data: `data(split, data_dir)`, as `train.fit` takes them for "train", and as tensors for "test".
        settings: what differs from `TRAINING` and `RUNNING`.
        takes: how long it may take, and on what.
        source: the paper, and where in it the settings stand.
        reached: what the paper reached, by the name of the measure.
        shows: the model's options for the grids of samples.
    """

    name: str
    about: str
    build: Callable[..., nn.Module]
    data: Callable[[str, Path | None], Any]
    takes: str
    source: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    reached: Mapping[str, float] = field(default_factory=dict)
    shows: Mapping[str, Any] = field(default_factory=dict)

    def defaults(self) -> dict[str, Any]:
        """All settings, as they are if nobody changes them."""
        own = {name: parameter.default for name, parameter in inspect.signature(self.build).parameters.items()}
        return {**own, **TRAINING, **RUNNING, **self.settings}

    def changed(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The settings with some of them changed. Raises: ValueError for a name that there is not, or a wrong mode."""
        settings = self.defaults()
        for name in changes:
            if name not in settings:
                near = difflib.get_close_matches(name, settings, 1)
                hint = f"did you mean {near[0]}? " if near else ""
                raise ValueError(f"set: {self.name} has no setting {name!r}; {hint}It has {', '.join(settings)}")
        settings |= changes
        if settings["compile"] not in MODES:
            raise ValueError(f"compile: expected one of {MODES}, got {settings['compile']!r}")
        if not isinstance(settings["sample_every"], int) or settings["sample_every"] < 1:
            raise ValueError(f"sample_every: expected a number of steps, got {settings['sample_every']!r}")
        return settings

    def objective(self, settings: Mapping[str, Any]) -> nn.Module:
        """What is trained, as the settings say."""
        return self.build(**{name: settings[name] for name in inspect.signature(self.build).parameters})


def value_of(text: str) -> Any:
    """What stands behind the = of a setting: a number, a tuple, a name, True, False, None."""
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return tuple(value) if isinstance(value, list) else value


def settings_in(words: list[str]) -> dict[str, Any]:
    """`key=value`, each once. Raises: ValueError for anything else."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.strip() or name.strip() in found:
            raise ValueError(f"set: expected key=value, each key once, got {word!r}")
        found[name.strip()] = value_of(text.strip())
    return found
