"""Outlines of digits: what they are made of, and that each has one right answer."""

import pytest
import torch

from genlib import data


def test_the_targets_are_the_digits_in_their_order() -> None:
    for split in ("train", "test", "all"):
        assert torch.equal(data.outlines(split).y, data.digits(split).x)


def test_an_outline_is_drawn_by_hand() -> None:
    """Pixel by pixel, in plain Python, for a few digits: the most ink of the four neighbours, if it is more."""
    ink = data.digits("test", integers=True).x[:5, 0].tolist()
    got = data.outlines("test").x[:5, 0]
    for i, picture in enumerate(ink):
        for row in range(8):
            for column in range(8):
                places = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
                near = [picture[a][b] for a, b in places if 0 <= a < 8 and 0 <= b < 8]
                assert got[i, row, column] == max(0, max(near) - picture[row][column]) / 8 - 1


def test_range_and_type() -> None:
    for part in data.outlines("all"):
        assert part.shape == (1797, 1, 8, 8)
        assert part.dtype == torch.float32
        assert (float(part.min()), float(part.max())) == (-1, 1)


def test_no_two_digits_share_an_outline() -> None:
    x = data.outlines("all").x.flatten(1).double()
    apart = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(9)
    assert float(apart.min()) > 0.5


def test_a_smooth_map_finds_the_digit_of_a_new_outline() -> None:
    """Kernel regression on the training pairs: far better than the best answer that does not look at the outline."""
    from sklearn.kernel_ridge import KernelRidge

    (x, y), (x_new, y_new) = (
        tuple(part.flatten(1).numpy() for part in data.outlines(split)) for split in ("train", "test")
    )
    found = KernelRidge(kernel="rbf", gamma=0.025, alpha=0.01).fit(x, y).predict(x_new)  # pyright: ignore[reportArgumentType]
    blind = torch.as_tensor(y).median(0).values.numpy()
    assert abs(found - y_new).mean() < 0.06
    assert abs(blind - y_new).mean() > 0.3


def test_callers_own_what_they_get_and_unknown_splits_are_refused() -> None:
    data.outlines("test").x.zero_()
    assert data.outlines("test").x.min() == -1
    with pytest.raises(ValueError, match=r"split: .*Did you mean 'train'"):
        data.outlines("trian")  # type: ignore[arg-type]
