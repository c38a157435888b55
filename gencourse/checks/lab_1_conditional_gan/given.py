"""Small networks that the exercises of lab 1 are tried on, and numbers to try them with."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer, Wrong
from gencourse.checks.diagnose import diagnose

FLOAT32_TOL = 1e-5
FAR = 1000.0  # a logit so large that its sigmoid is 1, or 0, and its exp infinite, in float64


def normal(shape: Sequence[int], g: Generator) -> Tensor:
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def uniform(low: float, high: float, g: Generator) -> float:
    return low + (high - low) * float(torch.rand(1, generator=g, dtype=torch.float64))


def scalar(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def share(p: float) -> Tensor:
    """The logit of the probability p, one number in a tensor."""
    return scalar(math.log(p / (1 - p)))


def probabilities(n: int, g: Generator) -> list[float]:
    return (0.05 + 0.9 * torch.rand(n, generator=g, dtype=torch.float64)).tolist()


def logits(probabilities: Sequence[float]) -> Tensor:
    """(B, 1, 1, 1): what a discriminator outputs that gives these probabilities."""
    return torch.stack([share(p) for p in probabilities]).view(-1, 1, 1, 1)


def mean_log(values: Sequence[float]) -> float:
    return sum(math.log(v) for v in values) / len(values)


class _Net(torch.nn.Module):
    """A network with three weights; `stale` are the gradients that lie in `.grad` from an earlier step."""

    def __init__(self, g: Generator, stale: bool) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(normal((3,), g))
        self.stale = normal((3,), g) if stale else torch.zeros(3, dtype=torch.float64)
        if stale:
            self.weight.grad = self.stale.clone()


class Painter(_Net):
    """G(x, z), like x."""

    def __init__(self, g: Generator, stale: bool = False) -> None:
        super().__init__(g, stale)

    def __repr__(self) -> str:
        return "a small generator"

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        if x.shape != z.shape:
            raise ValueError(f"G takes x and z of one shape here, got {tuple(x.shape)} and {tuple(z.shape)}")
        a, b, c = (self.weight[i].to(x) for i in range(3))
        return torch.tanh(a * x + b * z + c)


class Critic(_Net):
    """D(x, y), logits of the shape of x; x and y do not play the same part."""

    def __init__(self, g: Generator, stale: bool = False) -> None:
        super().__init__(g, stale)

    def __repr__(self) -> str:
        return "a small discriminator"

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        if x.shape != y.shape:
            raise ValueError(f"D takes x and y of one shape here, got {tuple(x.shape)} and {tuple(y.shape)}")
        a, b, c = (self.weight[i].to(x) for i in range(3))
        return a * torch.tanh(x + 0.5) + b * y + c * x * y**2


class BlurredCritic(Critic):
    """A critic whose patches overlap: each logit has something of its left neighbour's."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        logits = super().forward(x, y)
        return logits + 0.7 * logits.roll(1, -1)


@contextmanager
def double() -> Iterator[None]:
    """Meanwhile torch.ones and the like are float64, as what the checks hand over: as precise, and no less right."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def pays_in_proportion(answer: Answer, args: Sequence[Any], *expected: float) -> None:
    """A logit far out costs its own size, or nothing; a loss that is cut off somewhere costs too little."""
    answer(*args)
    known, _ = diagnose(answer, named_only=True)
    for name, want, loss in zip(answer.exercise.returns, expected, answer.outputs, strict=True):
        if not known and abs(float(loss)) < 0.9 * abs(want):
            hint = answer.exercise.mistakes["cut_off"].hint
            answer.wrong("cut_off", hint, expected=f"{name} = {want:g}", got=f"{name} = {float(loss):g}")
        answer.agrees(name, scalar(want), loss)


@contextmanager
def told_as(answer: Answer, mistake: str, when: Callable[[dict[str, Any]], bool]) -> Iterator[None]:
    """What is found wrong meanwhile is this mistake of the exercise, where `when` says so of what was found."""
    try:
        yield
    except Wrong as wrong:
        if not when(wrong.found):
            raise
        more = {key: wrong.found[key] for key in ("expected", "got", "error") if key in wrong.found}
        answer.wrong(mistake, answer.exercise.mistakes[mistake].hint, **more)


def is_used_up(found: dict[str, Any]) -> bool:
    """A backward went through a graph that an earlier one had been through."""
    return found["mistake"] == "error" and "backward through the graph a second time" in found["error"]


def passes_gradients(answer: Answer, to: str, hint: str = "") -> None:
    """The latest outputs depend, for autograd, on the arguments that asked for gradients."""
    for name, output in zip(answer.exercise.returns, answer.outputs, strict=True):
        if not output.requires_grad:
            answer.wrong(
                "detached",
                hint
                or "Somebody learns through this function: no detach, no .data, no .item(), no no_grad on the way.",
                expected=f"{name} depends on {to} for autograd",
                got=f"{name}.requires_grad = False",
            )


def gradient(output: Tensor, weight: Tensor) -> Tensor:
    """∂output/∂weight, zeros where there is no way from one to the other."""
    found: Any = torch.autograd.grad(output, weight, retain_graph=True, allow_unused=True)[0]
    return torch.zeros_like(weight) if found is None else found


def slope(f: Callable[[], Tensor], weight: Tensor, h: float = 1e-4) -> Tensor:
    """∂f()/∂weight by finite differences; the weight is put back."""
    before, slopes = weight.detach().clone(), []
    with torch.no_grad():
        for i in range(len(weight)):
            values = []
            for step in (h, -h, 2 * h, -2 * h):
                weight.copy_(before)
                weight[i] += step
                values.append(f())
            slopes.append((8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * h))
        weight.copy_(before)
    return torch.stack(slopes)
