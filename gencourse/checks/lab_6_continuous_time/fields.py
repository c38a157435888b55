"""Velocities that are known, for exercises that are given one. They refuse what a real one would misread."""

import math
from typing import NoReturn

import torch
from torch import Generator, Tensor

PLAIN = (
    "The velocity is asked at one angle for the whole batch: a number, phi. Which of the arguments of your function is "
    "the angle, and which is a step, or a whole table?"
)
SHAPE = (
    "The velocity is asked at points that are shaped as those that were handed over. In which order does it take x and "
    "phi?"
)


def refuse(text: str, hint: str) -> NoReturn:
    """Raise `ValueError`; for whoever called the velocity, it carries a hint."""
    error = ValueError(text)
    error.add_note(hint)
    raise error


class Field:
    """A velocity that looks at x and φ:  v = a sin(x + 2φ) + b cos(3φ) x,  entry by entry.

    Both terms change with the angle, and the second one its sign, so that another place or another angle shows.
    """

    def __init__(self, a: float, b: float, shape: tuple[int, ...]) -> None:
        self.a, self.b, self.shape = a, b, shape

    def __repr__(self) -> str:
        return f"a velocity, {self.a:.3g} sin(x + 2φ) + {self.b:.3g} cos(3φ) x"

    def _phi(self, x: object, phi: object) -> float:
        if not isinstance(x, Tensor) or x.dim() != len(self.shape) or x.shape[1:] != self.shape[1:]:
            came = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"x = {x!r}"
            refuse(f"the velocity was called with {came}, expected (B, {', '.join(map(str, self.shape[1:]))})", SHAPE)
        if isinstance(phi, Tensor) and phi.numel() == 1:
            phi = float(phi.detach())
        if isinstance(phi, bool) or not isinstance(phi, int | float):
            came = f"shape {tuple(phi.shape)}" if isinstance(phi, Tensor) else repr(phi)
            refuse(f"the velocity was called with phi of {came}, expected one number", PLAIN)
        return float(phi)

    def __call__(self, x: Tensor, phi: float) -> Tensor:
        phi = self._phi(x, phi)
        return self.a * torch.sin(x + 2 * phi) + self.b * math.cos(3 * phi) * x

    def divergence(self, x: Tensor, phi: float) -> Tensor:
        """Σ_i ∂v_i/∂x_i, (B,)."""
        phi = self._phi(x, phi)
        return (self.a * torch.cos(x + 2 * phi) + self.b * math.cos(3 * phi)).flatten(1).sum(1)


class Divergence:
    """The divergence of a field, as a function that knows its own name."""

    def __init__(self, field: Field) -> None:
        self.field = field

    def __repr__(self) -> str:
        return "its divergence"

    def __call__(self, x: Tensor, phi: float) -> Tensor:
        return self.field.divergence(x, phi)


class Known(Field):
    """v = rate · x + drift: what moves away from 0, or towards it, and drifts; its solution is known."""

    def __init__(self, rate: float, drift: float, shape: tuple[int, ...]) -> None:
        super().__init__(rate, drift, shape)

    def __repr__(self) -> str:
        return f"a velocity, {self.a:.3g} x + {self.b:.3g}"

    def __call__(self, x: Tensor, phi: float) -> Tensor:
        self._phi(x, phi)
        return self.a * x + self.b

    def divergence(self, x: Tensor, phi: float) -> Tensor:
        self._phi(x, phi)
        return torch.full_like(x, self.a).flatten(1).sum(1)


class Clock(Field):
    """v = a + b φ, everywhere: what depends on the angle alone."""

    def __repr__(self) -> str:
        return f"a velocity, {self.a:.3g} + {self.b:.3g} φ"

    def __call__(self, x: Tensor, phi: float) -> Tensor:
        return torch.full_like(x, self.a + self.b * self._phi(x, phi))

    def divergence(self, x: Tensor, phi: float) -> Tensor:
        self._phi(x, phi)
        return torch.zeros_like(x).flatten(1).sum(1)


class Counted(Field):
    """A field that counts how often it is asked."""

    def __init__(self, field: Field) -> None:
        super().__init__(field.a, field.b, field.shape)
        self.calls = 0

    def __call__(self, x: Tensor, phi: float) -> Tensor:
        self.calls += 1
        return super().__call__(x, phi)


def some_field(shape: tuple[int, ...], g: Generator) -> Field:
    a, b = (0.6 + 0.6 * torch.rand(2, generator=g, dtype=torch.float64)).tolist()
    return Field(a, b, shape)
