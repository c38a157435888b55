"""Whether all is still what it was: an answer that patched torch, genlib or the checks is found out afterwards."""

import builtins
import math
import random
import sys
import types
from typing import Any

import numpy as np
import torch

from gencourse import checks

LIBRARY = (builtins, math, random, np, np.ndarray, np.linalg, np.random, torch, torch.Tensor, torch.nn, torch.linalg)
LIBRARY += (torch.nn.functional, torch.nn.Module, torch.autograd, torch.distributions, torch.fft, torch.special)
LIBRARY += (torch.distributions.Normal, torch.autograd.functional, torch.func, torch.optim)


class Kept:
    """What stands under each name of the libraries, of the course and of its exercises, when this is made."""

    def __init__(self) -> None:
        modules = [m for name, m in sys.modules.items() if name.partition(".")[0] in ("genlib", "gencourse")]
        classes = [thing for m in modules for thing in vars(m).values() if isinstance(thing, type)]
        course = [c for c in classes if c.__module__.partition(".")[0] in ("genlib", "gencourse")]
        self._all = {id(thing): thing for thing in (*LIBRARY, *modules, *course, *checks.exercises())}.values()
        self._before = [{name: _seen(value) for name, value in vars(thing).items()} for thing in self._all]
        self._inside = self._lists()
        self._modes = _modes()

    def changed(self) -> list[str]:
        """What is no longer as it was, in words."""
        found = []
        for thing, before in zip(self._all, self._before, strict=True):
            now = vars(thing)
            for name, seen in before.items():
                if name not in now or _seen(now[name])[:2] != seen[:2]:
                    where = getattr(thing, "__name__", type(thing).__name__)
                    found.append(f"afterwards {name} of {where} is another one")
        if self._inside != self._lists():
            found.append("afterwards the exercise is another one")
        found += [f"afterwards {what}" for what, before in self._modes.items() if _modes()[what] != before]
        return found[:5]

    def _lists(self) -> list[Any]:
        return [(list(exercise.checks), dict(exercise.mistakes)) for exercise in checks.exercises()]


def _seen(value: Any) -> tuple[Any, ...]:
    """A thing's identity, and that of a function's code; the thing itself, so that its place in memory stays taken."""
    if isinstance(value, types.FunctionType):
        return id(value), (id(value.__code__), id(value.__defaults__)), value, value.__code__, value.__defaults__
    return id(value), (), value


def _modes() -> dict[str, Any]:
    return {
        "gradients are switched on or off": torch.is_grad_enabled(),
        "torch's inference mode is on": torch.is_inference_mode_enabled(),
        "torch has another dtype": torch.get_default_dtype(),
    }
