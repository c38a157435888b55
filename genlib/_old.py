"""What every public function says about a wrong argument.

Each check raises `ValueError` with the argument's name, what came, and what was expected, before any compute.
"""

import difflib
import math
from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor


def check_tensor(name: str, value: object, shape: Sequence[int | str] | None = None, dtype: str = "float") -> Tensor:
    """Return `value` if it is a tensor of the wanted kind ("float", "int" or "any") and shape.

    A shape is written as it is read: an int is an exact size, a string any size, and "..." at the end any further
    dimensions, as in ("B", "...") or ("B", 2).
    """
    if isinstance(value, Tensor) and _is(value, dtype) and (shape is None or _fits(value.shape, shape)):
        return value
    wanted = {"float": "a float tensor", "int": "an int tensor", "any": "a tensor"}[dtype]
    if shape is not None:
        wanted += f" of shape ({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: expected {wanted}, got {type(value).__name__}")
    came = f"shape {tuple(value.shape)}" if _is(value, dtype) else f"dtype {value.dtype}"
    raise ValueError(f"{name}: expected {wanted}, got {came}")


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
    name: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    inside: bool | Literal["low", "high"] = False,
) -> float:
    """A finite number, low <= value <= high; strictly between them if `inside`, with "low" or "high" at that end only.

    >>> check_number("dropout", 1.0, 0, 1, inside="high")
    Traceback (most recent call last):
    ValueError: dropout: expected a finite number in [0, 1), got 1
    """
    try:
        if isinstance(value, bool | str | bytes):
            raise TypeError
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name}: expected a number, got {value!r}") from None
    above, below = inside in (True, "low"), inside in (True, "high")
    fits = (low < number if above else low <= number) and (number < high if below else number <= high)
    if not (math.isfinite(number) and fits):
        left, right = "(" if above else "[", ")" if below else "]"
        raise ValueError(f"{name}: expected a finite number in {left}{low:g}, {high:g}{right}, got {number:g}")
    return number


def check_label(
    label: object, n_classes: int | None, batch: int | None = None, *, low: int = 0, values: bool = True
) -> Tensor:
    """Classes, one for each example: (batch,) int64 in low..n_classes − 1.

    Args:
        n_classes: None where it is not known how many there are.
        batch: how many examples; None for any number.
        low: −1 where that stands for "no class".
        values: whether to look at them, too. On a GPU that waits: not for inner loops.
    """
    tensor = check_tensor("label", label, ("B" if batch is None else batch,), dtype="int")
    if tensor.dtype != torch.int64:
        raise ValueError(f"label: expected dtype torch.int64, got {tensor.dtype}")
    if values and tensor.numel():
        least, most = int(tensor.min()), int(tensor.max())
        if least < low or (n_classes is not None and most >= n_classes):
            known = f"0..{'' if n_classes is None else n_classes - 1}" + (", or -1 for none" if low == -1 else "")
            raise ValueError(f"label: expected classes {known}, got {least}..{most}")
    return tensor


def check_choice(name: str, value: object, choices: Iterable[str]) -> str:
    """One of the known names; a near miss is pointed out."""
    known = sorted(choices)
    if not isinstance(value, str) or value not in known:
        near = difflib.get_close_matches(str(value), known, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, known))}, got {value!r}.{meant}")
    return value


def _is(value: Tensor, dtype: str) -> bool:
    if dtype == "int":
        return not (value.is_floating_point() or value.is_complex() or value.dtype == torch.bool)
    return dtype == "any" or value.is_floating_point()


def _fits(sizes: torch.Size, shape: Sequence[int | str]) -> bool:
    if len(shape) and shape[-1] == "...":
        shape, sizes = shape[:-1], sizes[: len(shape) - 1]
    return len(sizes) == len(shape) and all(
        n == size or isinstance(n, str) for n, size in zip(shape, sizes, strict=True)
    )
