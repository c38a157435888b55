"""Comparing numbers, and saying compactly what they are and where they differ."""

import contextlib
import copy
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from genlib.arguments import Positive, checked


class Difference(NamedTuple):
    """The first place where two tensors differ, and how many places there are."""

    index: tuple[int, ...]
    expected: float
    got: float
    count: int
    size: int


def difference(expected: Tensor, got: Tensor, tol: float) -> Difference | None:
    """Where |got − expected| > tol · max(1, |expected|); None where nowhere. NaN differs from everything.

    Both have one shape: nothing is broadcast, and nothing is averaged, so errors cannot cancel.
    """
    if expected.shape != got.shape:
        raise ValueError(f"got: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}")
    expected, got = expected.detach().double(), got.detach().double()
    differs = ~((got - expected).abs() <= tol * expected.abs().clamp(min=1))
    if not differs.any():
        return None
    index = tuple(int(i) for i in differs.nonzero()[0])
    return Difference(index, float(expected[index]), float(got[index]), int(differs.sum()), differs.numel())


def copies(args: Sequence[Any]) -> tuple[Any, ...]:
    """Tensors cloned, also in lists and tuples, all else as it is; whoever gets them may do as they like.

    Where an optimizer is among them, so are the networks that it moves: they are copied together, weights, gradients
    and the optimizer's state.
    """
    steps = any(isinstance(a, torch.optim.Optimizer) for a in args)
    memo: dict[int, Any] = {}

    def copied(a: Any) -> Any:
        if isinstance(a, Tensor):
            return a.detach().clone().requires_grad_(a.requires_grad)
        if type(a) in (list, tuple):
            return type(a)(map(copied, a))
        if steps and isinstance(a, torch.nn.Module):
            new = copy.deepcopy(a, memo)
            for old_weight, weight in zip(a.parameters(), new.parameters(), strict=True):  # deepcopy leaves gradients
                weight.grad = None if old_weight.grad is None else old_weight.grad.detach().clone()
            return new
        return copy.deepcopy(a, memo) if steps and isinstance(a, torch.optim.Optimizer) else a

    return tuple(map(copied, args))


def same(a: Any, b: Any, tol: float = 0.0) -> bool:
    """One shape and the same values; here NaN equals NaN."""
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)) or a.shape != b.shape:
        return False
    a, b = a.detach().double(), b.detach().double()
    return torch.allclose(a, b, rtol=tol, atol=tol, equal_nan=True)


def at(name: str, index: tuple[int, ...]) -> str:
    """`x_t[0, 2]`, or `x_t` alone for a single number."""
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def two_numbers(a: float, b: float) -> tuple[str, str]:
    """Both numbers, with as many digits as it takes to tell them apart."""
    for digits in range(4, 18):
        texts = f"{a:.{digits}g}", f"{b:.{digits}g}"
        if texts[0] != texts[1]:
            break
    return texts


def in_short(value: object, limit: int = 6) -> str:
    """A value on one line: a tensor's shape, dtype and first numbers; anything else by its `repr`, cut."""
    if isinstance(value, Tensor) and (value.layout is not torch.strided or value.is_meta):
        return f"tensor {tuple(value.shape)} {value.dtype}, {'meta' if value.is_meta else value.layout}"
    if isinstance(value, Tensor | np.ndarray):
        kind = "tensor" if isinstance(value, Tensor) else "NumPy array"
        flat = value.reshape(-1)
        numbers = ", ".join(_number(v) for v in flat[:limit].tolist())
        more = ", …" if flat.shape[0] > limit else ""
        dtype = str(value.dtype).removeprefix("torch.")
        return f"{kind} {tuple(value.shape)} {dtype}: {numbers}{more}"
    if isinstance(value, tuple | list) and any(isinstance(v, Tensor) for v in value):
        more = "; …" if len(value) > limit else ""
        return f"{type(value).__name__} of {len(value)}: " + "; ".join(in_short(v, 3) for v in value[:limit]) + more
    try:
        text = repr(value)
    except Exception:  # somebody's own
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "…"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@checked
def identity(name: str, lhs: object, rhs: object, tol: Positive) -> None:
    """Print `name: equal within tol` if |lhs − rhs| <= tol everywhere; the error itself is never printed.

    The error differs between processors, the sentence does not, so a notebook that prints it can be compared with
    what is stored.

    Args:
        name: what is claimed, in words or as a formula.
        lhs, rhs: tensors, NumPy arrays or numbers, of one shape (nothing is broadcast), not empty.
        tol: the largest absolute error allowed, > 0.
    Raises:
        AssertionError: if they differ, or if a value is NaN or infinite; says by how much and where.
        ValueError: for anything that cannot be compared.

    >>> identity("sin²x + cos²x = 1", math.sin(2.0) ** 2 + math.cos(2.0) ** 2, 1.0, tol=1e-12)
    sin²x + cos²x = 1: equal within 1e-12
    """
    left, right = _two_sides(name, lhs, rhs)

    error = (left - right).abs().nan_to_num(nan=math.inf, posinf=math.inf)
    worst = error.argmax()
    if not error.flatten()[worst] <= tol:
        index = tuple(int(i) for i in np.unravel_index(int(worst), left.shape))
        a, b = two_numbers(float(left[index]), float(right[index]))
        where = f" at {list(index)}" if index else ""
        raise AssertionError(
            f"{name}: not equal within {tol:g}; largest error {float((left - right).abs()[index]):.3g}{where}, "
            f"where lhs = {a} and rhs = {b}"
        )
    print(f"{name}: equal within {tol:g}")


@checked
def at_most(name: str, lhs: object, rhs: object) -> None:
    """Print `name: holds` if lhs <= rhs everywhere, as for a bound.

    Args and errors: as for `identity`.

    >>> at_most("log x ≤ x − 1", math.log(3.0), 3.0 - 1)
    log x ≤ x − 1: holds
    """
    left, right = _two_sides(name, lhs, rhs)
    holds = left <= right
    if not holds.all():
        index = tuple(int(i) for i in (~holds).nonzero()[0])
        a, b = two_numbers(float(left[index]), float(right[index]))
        raise AssertionError(f"{name}: does not hold{f' at {list(index)}' if index else ''}: lhs = {a} and rhs = {b}")
    print(f"{name}: holds")


def _two_sides(name: str, lhs: object, rhs: object) -> tuple[Tensor, Tensor]:
    """Both sides of a claim in float64, of one shape and not empty."""
    if not name:
        raise ValueError("name: expected the claim, in words or as a formula, got ''")
    left, right = _float64("lhs", lhs), _float64("rhs", rhs)
    if left.shape != right.shape:
        raise ValueError(f"rhs: expected the shape of lhs, {tuple(left.shape)}, got {tuple(right.shape)}")
    if left.numel() == 0:
        raise ValueError(f"lhs: expected at least one number to compare, got shape {tuple(left.shape)}")
    return left, right


def _float64(name: str, value: object) -> Tensor:
    if isinstance(value, int | float | np.number | np.ndarray) and np.asarray(value).dtype.kind in "biuf":
        return torch.from_numpy(np.array(value, dtype=np.float64))
    if isinstance(value, Tensor) and value.layout == torch.strided and not (value.is_complex() or value.is_nested):
        with contextlib.suppress(RuntimeError):  # of kinds that have no numbers to look at
            return value.detach().cpu().double()
    raise ValueError(f"{name}: expected a real tensor, NumPy array or number, got {type(value).__name__}")
