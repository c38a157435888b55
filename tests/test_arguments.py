"""What is said about wrong arguments: each message names the argument, what came and what was expected."""

import math
from typing import Literal

import pytest
import torch

from genlib.arguments import check_int, check_label, check_number, check_tensor

LABEL = torch.tensor([0, 2])


@pytest.mark.parametrize(
    ("inside", "ends", "interval"),
    [
        (False, (True, True), r"\[0, 1\]"),
        (True, (False, False), r"\(0, 1\)"),
        ("low", (False, True), r"\(0, 1\]"),
        ("high", (True, False), r"\[0, 1\)"),
    ],
)
def test_each_end_of_an_interval_is_in_it_or_not(
    inside: bool | Literal["low", "high"], ends: tuple[bool, bool], interval: str
) -> None:
    assert check_number("p", 0.5, 0, 1, inside=inside) == 0.5
    for value, is_in in zip((0, 1), ends, strict=True):
        if is_in:
            assert check_number("p", value, 0, 1, inside=inside) == value
        else:
            with pytest.raises(ValueError, match=f"^p: expected a finite number in {interval}, got {value}$"):
                check_number("p", value, 0, 1, inside=inside)


@pytest.mark.parametrize("value", [None, "1", True, [1.0], math.nan, math.inf])
def test_what_is_no_finite_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^p: expected a"):
        check_number("p", value)


@pytest.mark.parametrize("value", [1.0, "1", True, None, 0, 4])
def test_what_is_no_whole_number_in_the_range_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^n: expected a whole number"):
        check_int("n", value, 1, 3)


@pytest.mark.parametrize(
    ("label", "n_classes", "message"),
    [
        (LABEL, 2, r"expected classes 0\.\.1, got 0\.\.2"),
        (LABEL - 1, 3, r"expected classes 0\.\.2, got -1\.\.1"),
        (LABEL.int(), 3, r"expected dtype torch.int64, got torch.int32"),
        (LABEL.to(torch.uint8), 3, r"expected dtype torch.int64, got torch.uint8"),
        (LABEL > 0, 3, r"expected an int tensor of shape \(2,\), got dtype torch.bool"),
        (LABEL.float(), 3, r"expected an int tensor of shape \(2,\), got dtype torch.float32"),
        (LABEL[:1], 3, r"expected an int tensor of shape \(2,\), got shape \(1,\)"),
        (LABEL[:, None], 3, r"expected an int tensor of shape \(2,\), got shape \(2, 1\)"),
        ([0, 2], 3, r"expected an int tensor of shape \(2,\), got list"),
    ],
)
def test_a_label_that_is_none_is_refused(label: object, n_classes: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^label: {message}$"):
        check_label(label, n_classes, 2)


def test_labels_in_range_are_given_back() -> None:
    assert check_label(LABEL, 3) is LABEL
    assert check_label(LABEL, 3, 2) is LABEL
    assert len(check_label(LABEL[:0], 3, 0)) == 0
    assert check_label(LABEL - 1, 3, low=-1).min() == -1
    check_label(LABEL, None)
    check_label(LABEL, 2, values=False)


@pytest.mark.parametrize(("n_classes", "known"), [(3, r"0\.\.2"), (None, r"0\.\.")])
def test_no_class_is_minus_one_and_nothing_below(n_classes: int | None, known: str) -> None:
    with pytest.raises(ValueError, match=rf"^label: expected classes {known}, or -1 for none, got -2\.\.0$"):
        check_label(LABEL - 2, n_classes, low=-1)


def test_a_shape_is_read_as_it_is_written() -> None:
    x = torch.zeros(2, 3, 4)
    for shape in (("B", 3, 4), ("B", "..."), ("B", 3, "n", "..."), None):
        assert check_tensor("x", x, shape) is x
    for shape in (("B", 3), ("B", 4, "..."), ("B", 3, 4, "n", "...")):
        with pytest.raises(ValueError, match=r"^x: expected a float tensor of shape .*, got shape \(2, 3, 4\)$"):
            check_tensor("x", x, shape)
