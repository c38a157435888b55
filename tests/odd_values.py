"""Values that are wrong for most arguments, or odd: of other kinds, and what can be made of the right value."""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from genlib import data, diffusion, flows

PLAIN: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3.5, 2**31, 10**12, 2**63, -(2**63), 1e300, -1e300, 1e-300, math.nan, math.inf,
    -math.inf, 1j, Decimal(2), Fraction(1, 2), "", "x", "eps", "train", "1", b"x", [], [1], [0.5, 0.25], ["a"], [None],
    [[1, 2], [3]], (), (1,), (0, 0), {}, {"a": 1}, {1: "a"}, set(), range(3), range(10**12), int, str, len, math, torch,
    object(), ..., NotImplemented, ValueError, torch.float32, torch.device("cpu"), np.float32,
)  # fmt: skip

Make = Callable[[Any], Any]  # from the right value, which is None where it was left out
ODD: dict[str, Make] = {
    **{f"{type(value).__name__} {value!r:.20}": (lambda _, value=value: value) for value in PLAIN},
    "10**400": lambda _: 10**400,
    "-10**400": lambda _: -(10**400),
    "bytearray": lambda _: bytearray(b"12"),
    "memoryview": lambda _: memoryview(b"12"),
    "iterator": lambda _: iter([1, 2]),
    "lambda": lambda _: lambda *args, **kwargs: None,
    "generator": lambda _: torch.Generator(),
    "numpy's generator": lambda _: np.random.default_rng(0),
    "module": lambda _: nn.Linear(2, 2),
    "parameter": lambda _: nn.Parameter(torch.ones(2)),
    "schedule": lambda _: diffusion.Schedule.linear(3),
    "flow": lambda _: flows.RealNVP.for_vectors(3, n_couplings=1, width=4),
    "mixture": lambda _: data.GaussianMixture.ring(2),
    "text in an array": lambda _: np.array("1.5"),
    "objects in an array": lambda _: np.array([None, "a"]),
    "numbers in an array": lambda _: np.arange(3.0),
    "no numbers": lambda _: np.zeros((0, 2)),
    "a complex array": lambda _: np.ones((2, 2)) * 1j,
    "0-d tensor": lambda _: torch.tensor(0.5),
    "no tensor at all": lambda _: torch.tensor([]),
    "tensor": lambda _: torch.full((3, 5), 0.5),
    "pictures": lambda _: torch.full((2, 3, 4, 4), 0.5),
    "whole numbers": lambda _: torch.arange(4),
    "no examples": lambda x: like(x)[:0],
    "one example": lambda x: like(x)[:1],
    "one axis more": lambda x: like(x)[..., None],
    "one axis less": lambda x: like(x)[0] if like(x).dim() else like(x),
    "twice as wide": lambda x: torch.cat([like(x), like(x)], -1),
    "turned": lambda x: like(x).mT if like(x).dim() > 1 else like(x).flip(0),
    "NaN inside": lambda x: like(x) * math.nan,
    "infinite inside": lambda x: like(x).double() / 0,
    "large": lambda x: like(x).double() * 1e30 + 1e30,
    "negative": lambda x: -like(x) - 1,
    "half": lambda x: like(x).half(),
    "bfloat16": lambda x: like(x).bfloat16(),
    "double": lambda x: like(x).double(),
    "bool": lambda x: like(x) > 0,
    "int32": lambda x: like(x).int(),
    "uint8": lambda x: like(x).byte(),
    "complex": lambda x: like(x) + 1j,
    "sparse": lambda x: like(x).to_sparse(),
    "on meta": lambda x: like(x).to("meta"),
    "float8": lambda x: like(x).to(torch.float8_e4m3fn),
    "uint64": lambda x: like(x).abs().to(torch.uint64),
    "quantized": lambda x: torch.quantize_per_tensor(like(x).float(), 0.1, 0, torch.quint8),
    "nested": lambda x: torch.nested.nested_tensor([like(x).float(), like(x).float()]),
    "a list of it": lambda x: [x],
    "a tuple of it": lambda x: (x, x, x),
    "as a list": lambda x: like(x).tolist(),
    "as an array": lambda x: like(x).numpy(),
    "a part missing": lambda x: x[:-1] if isinstance(x, Sequence) else None,
    "a dict with NaN": lambda x: dict.fromkeys(x, math.nan) if isinstance(x, dict) else {"a": math.nan},
    "a dict with text": lambda x: dict.fromkeys(x, "b") if isinstance(x, dict) else {"a": "b"},
    "a dict of numbers": lambda x: {1: 2.0},
}
SAME: dict[str, Make] = {  # what means the same; the right value itself, where there is no such thing
    "scattered in memory": lambda x: torch.stack([x.detach(), x.detach()], -1)[..., 0] if isinstance(x, Tensor) else x,
    "with gradients": lambda x: x.clone().requires_grad_() if isinstance(x, Tensor) and x.is_floating_point() else x,
    "a number of numpy's": lambda x: np.array(x)[()] if is_number(x) else x,
    "a number in a tensor": lambda x: torch.tensor(x) if is_number(x) else x,
    "a list": lambda x: list(x) if type(x) is tuple else x,
}
FREE = st.one_of(
    st.integers(-50, 12), st.integers(10**9), st.floats(), st.text(max_size=4), st.binary(max_size=3),
    st.lists(st.one_of(st.none(), st.integers(-3, 9), st.floats(), st.text(max_size=2)), max_size=3),
)  # fmt: skip


def like(x: Any) -> Tensor:
    """The right value, if it is a tensor; or another one."""
    return x.detach() if isinstance(x, Tensor) and x.layout == torch.strided else torch.full((4, 2), 0.5)


def is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool)
