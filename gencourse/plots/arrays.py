"""What the figures take: tensors, arrays and lists alike, as long as they hold numbers that can be drawn."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any

import numpy as np
from jaxtyping import Bool, Real
from matplotlib.cbook import is_math_text
from matplotlib.mathtext import MathTextParser
from torch import Tensor

from genlib.arguments import check

Values = Any  # a tensor, an array or a list of numbers
Named = Mapping[str, Values]
Place = Annotated[float, "[-1e100, 1e100]"]  # on an axis; matplotlib's own arithmetic overflows beyond
Interval = tuple[Place, Place]
MOST, MANY, LONG = 5_000_000, 200, 500  # numbers in one panel; things with a name; letters of one text


def as_array(name: str, values: Values, *shape: int | None, finite: bool = False) -> np.ndarray:
    """The numbers, as float64 on the CPU.

    Args:
        name: of the argument.
        shape: a size, or None for any; of any shape if left out.
        finite: whether NaN and infinity are refused; otherwise there is a gap in their place.
    Raises:
        ValueError: for anything that is no plain array of real numbers, or of another shape.
    """
    if isinstance(values, Tensor):
        array = check(name, values, Real[Tensor, "..."] | Bool[Tensor, "..."]).detach().cpu().double().numpy()
    else:
        try:
            array = np.asarray(None if hasattr(values, "__len__") and len(values) > MOST else values)
        except (TypeError, ValueError, RuntimeError, OverflowError):  # such as parts of many shapes
            array = np.asarray(None)
    if array.dtype.kind not in "buif" or array.size > MOST:
        raise ValueError(f"{name}: expected numbers in a tensor, an array or a list, got {type(values).__name__}")
    if shape and (array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True))):
        wanted = ", ".join("N" if n is None else str(n) for n in shape)
        raise ValueError(f"{name}: expected numbers of shape ({wanted}), got {array.shape}")
    array = array.astype(float)
    shown = array[np.isfinite(array)]
    if (finite and len(shown) < array.size) or (np.abs(shown) > 1e100).any():
        came = f"{array.min()}..{array.max()}"
        raise ValueError(f"{name}: expected {'finite ' * finite}numbers in [-1e100, 1e100], got {came}")
    return array


def row(name: str, values: Values, n: int | None = None, *, finite: bool = False) -> np.ndarray:
    """Numbers in one row; n of them, if given, and one at least."""
    array = as_array(name, values, finite=finite).ravel()
    if len(array) == 0 or n not in (None, len(array)):
        raise ValueError(f"{name}: expected {'at least one number' if n is None else f'{n} numbers'}, got {len(array)}")
    return array


def named(name: str, values: Named | None) -> dict[str, Values]:
    """What stands under each name; nothing, if left out."""
    if not isinstance(values, Mapping | None):
        raise ValueError(f"{name}: expected a dict, what is shown by its name, got {type(values).__name__}")
    few(name, values or ())
    return {words(name, str(key)): value for key, value in (values or {}).items()}


def few(name: str, values: Collection) -> None:
    """Not more than one could tell apart."""
    if len(values) > MANY:
        raise ValueError(f"{name}: expected at most {MANY}, got {len(values)}")


def words(name: str, text: Any) -> str:
    """A short text, whose formulas, between two dollars, matplotlib can read."""
    try:
        if len(check(name, text, str)) > LONG:
            raise ValueError(f"expected at most {LONG} letters")
        if is_math_text(text):
            MathTextParser("path").parse(text)
    except ValueError as error:
        raise ValueError(f"{name}: expected a short text with readable formulas, got {str(text)[:LONG]!r}") from error
    return text
