"""What every public function says about a wrong argument.

Each check raises `ValueError` with the argument's name, what came, and what was expected, before any compute.
"""

import difflib
import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def check_tensor(name: str, value: object, shape: Sequence[int | str] | None = None, dtype: str = "float") -> Tensor:
    """Return `value` if it is a tensor of the wanted kind ("float", "int" or "any") and shape.

    A shape is written as it is read: an int is an exact size, a string any size, and "..." at the end any further
    dimensions, as in ("B", "...") or ("B", 2).
    """
    wanted = f"a {dtype} tensor" if dtype != "any" else "a tensor"
    if shape is not None:
        wanted += f" of shape ({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: expected {wanted}, got {type(value).__name__}")
    kinds = {"float": value.is_floating_point(), "int": _is_integer(value), "any": True}
    if not kinds[dtype]:
        raise ValueError(f"{name}: expected {wanted}, got dtype {value.dtype}")
    if shape is not None:
        open_ended = len(shape) > 0 and shape[-1] == "..."
        sizes = shape[:-1] if open_ended else shape
        fits = value.dim() >= len(sizes) if open_ended else value.dim() == len(sizes)
        fits = fits and all(isinstance(size, str) or size == got for size, got in zip(sizes, value.shape, strict=False))
        if not fits:
            raise ValueError(f"{name}: expected {wanted}, got shape {tuple(value.shape)}")
    return value


def check_finite(name: str, value: Tensor) -> None:
    """No NaN and no infinity. Looks at the values, so it waits for a GPU: not for inner loops."""
    if not bool(torch.isfinite(value).all()):
        bad = int((~torch.isfinite(value)).sum())
        raise ValueError(f"{name}: {bad} of {value.numel()} values are NaN or infinite, expected finite ones")


def check_same_shape(name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    if value.shape != other.shape:
        raise ValueError(f"{name}: expected the shape of {other_name}, {tuple(other.shape)}, got {tuple(value.shape)}")


def check_int(name: str, value: object, low: int = 1, high: int | None = None) -> int:
    """A whole number, low <= value <= high. Python's bool does not count as one."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = value.__index__()  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        raise ValueError(f"{name}: expected a whole number, got {value!r}") from None
    if number < low or (high is not None and number > high):
        bounds = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name}: expected a whole number {bounds}, got {number}")
    return number


def check_number(
    name: str, value: object, low: float = -math.inf, high: float = math.inf, *, inside: bool = False
) -> float:
    """A finite number, low <= value <= high, or strictly between them if `inside`."""
    try:
        if isinstance(value, bool | str | bytes):
            raise TypeError
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name}: expected a number, got {value!r}") from None
    fits = low < number < high if inside else low <= number <= high
    if not (math.isfinite(number) and fits):
        left, right = ("(", ")") if inside else ("[", "]")
        raise ValueError(f"{name}: expected a finite number in {left}{low:g}, {high:g}{right}, got {number:g}")
    return number


def check_choice(name: str, value: object, choices: Iterable[str]) -> str:
    """One of the known names; a near miss is pointed out."""
    known = sorted(choices)
    if not isinstance(value, str) or value not in known:
        near = difflib.get_close_matches(str(value), known, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, known))}, got {value!r}.{meant}")
    return value


def _is_integer(value: Tensor) -> bool:
    return not (value.is_floating_point() or value.is_complex() or value.dtype == torch.bool)
