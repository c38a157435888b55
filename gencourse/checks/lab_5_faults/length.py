"""A masked branch whose gradient is no number. Lecture 01, section 11."""

import torch
from torch import Tensor

from gencourse.checks.lab_5_faults.given import DOUBLE, SINGLE
from gencourse.checks.lab_5_faults.hunt import Hunt


def _own_test_length(candidate):
    v = torch.tensor([[3.0, -4.0], [0.0, 0.0], [0.0, 0.01], [-1.0, 1.0]], dtype=torch.float64)
    v.requires_grad_()
    want = torch.tensor([5.0, 0.0, 0.01, 2**0.5], dtype=torch.float64)
    length = candidate(v)
    torch.testing.assert_close(length.double(), want, rtol=0, atol=1e-4)
    assert length.requires_grad
    (slope,) = torch.autograd.grad(length.sum(), v)
    torch.testing.assert_close(slope, v.detach() / want.clamp(min=1e-9)[:, None], rtol=0, atol=1e-4)


LENGTH = Hunt(
    "faults.test_length",
    _own_test_length,
    returns=["verdict"],
    second="Put a row of zeros into the batch, beside rows that are none and one that is short. Ask for the values, "
    "and then for autograd.grad of their sum: v/‖v‖, and 0 where v is 0.",
    why="A value can be right, and its gradient no number: one such row makes every weight NaN in the next step.",
)


@LENGTH.fault(
    "Its values are right everywhere. What does a training need beside values, and at which v would you ask?",
    "At v = 0 the gradient is NaN: torch.where differentiates both branches, and 0 · ∞ is no number.",
)
def masked_root(v: Tensor) -> Tensor:
    square = (v**2).sum(1)
    return torch.where(square > 0, square.sqrt(), torch.zeros_like(square))


@LENGTH.fault(
    "A gradient that is finite may still be wrong. What is it away from 0?",
    "The gradient is 0 everywhere: the length is detached.",
)
def no_gradient(v: Tensor) -> Tensor:
    return (v.detach() ** 2).sum(1).sqrt() + 0 * v.sum(1)


@LENGTH.fault(
    "What is the length of a short vector, of 0.01? Something added under a root shows there.",
    "0.001 is added under the root.",
)
def something_added(v: Tensor) -> Tensor:
    return ((v**2).sum(1) + 1e-3).sqrt()


@LENGTH.fault(
    "What is the length of a short vector, and where does its gradient point?",
    "Lengths below 0.1 come out as 0.1, without a gradient.",
)
def short_ones_cut(v: Tensor) -> Tensor:
    return (v**2).sum(1).clamp(min=0.01).sqrt()


@LENGTH.fault(
    "One row of zeros: what becomes of the gradients of the other rows?",
    "If one row is 0, all gradients are dropped.",
)
def all_dropped(v: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(v, dim=1)
    return length.detach() + 0 * v.sum(1) if (length == 0).any() else length


@LENGTH.fault(
    "In which direction does the gradient point, for a v with coordinates of both signs?",
    "The gradient is that of Σ|v_i|, though the value is the length.",
)
def gradient_of_another_norm(v: Tensor) -> Tensor:
    length, other = torch.linalg.vector_norm(v, dim=1), v.abs().sum(1)
    return length.detach() + other - other.detach()


@LENGTH.fault(
    "Right at 0, and right for long vectors. How short is the shortest of yours that is not 0?",
    "Lengths below 0.03 come out as 0, and so do their gradients.",
)
def short_ones_zero(v: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(v, dim=1)
    return torch.where(length < 0.03, 0 * length, length)


@LENGTH.right("by torch's own norm")
def own_norm(v: Tensor) -> Tensor:
    return torch.linalg.vector_norm(v, dim=1)


@LENGTH.right("masked twice")
def masked_twice(v: Tensor) -> Tensor:
    square = (v**2).sum(1)
    safe = torch.where(square > 0, square, torch.ones_like(square))
    return torch.where(square > 0, safe.sqrt(), torch.zeros_like(square))


@LENGTH.right("in float32", SINGLE)
def single(v: Tensor) -> Tensor:
    return torch.linalg.vector_norm(v.float(), dim=1)


@LENGTH.right("in float64", DOUBLE)
def double(v: Tensor) -> Tensor:
    return torch.linalg.vector_norm(v.double(), dim=1)


@LENGTH.right(
    "cut at 10⁻¹²",
    "This right one gives 10⁻¹² for the length of 0: far below any tolerance that is needed here.",
)
def cut_very_low(v: Tensor) -> Tensor:
    return (v.double() ** 2).sum(1).clamp(min=1e-24).sqrt()


@LENGTH.right("only where v is not 0")
def where_not_0(v: Tensor) -> Tensor:
    length, there = 0 * v.sum(1), (v != 0).any(1)
    return length.index_put((there,), (v[there] ** 2).sum(1).sqrt())
