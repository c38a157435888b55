"""Masks: what is kept and what is changed."""

import pytest
import torch

from genlib.flows import AffineCoupling, masks


@pytest.mark.parametrize("dim", [2, 3, 8, 17])
def test_halves_by_hand(dim: int) -> None:
    mask = masks.halves(dim)
    assert mask.tolist() == [i < dim // 2 for i in range(dim)]
    assert torch.equal(masks.halves(dim, swap=True), ~mask)


@pytest.mark.parametrize("dim", [2, 3, 8, 17])
def test_random_keeps_half_and_follows_its_seed(dim: int) -> None:
    mask = masks.random(dim, seed=3)
    assert mask.dtype == torch.bool
    assert int(mask.sum()) == dim // 2
    assert torch.equal(mask, masks.random(dim, seed=3))
    assert torch.equal(masks.random(dim, swap=True, seed=3), ~mask)


def test_random_draws_from_a_generator() -> None:
    g = torch.Generator().manual_seed(0)
    first, second = masks.random(64, generator=g), masks.random(64, generator=g)
    assert not torch.equal(first, second)
    assert torch.equal(first, masks.random(64, generator=torch.Generator().manual_seed(0)))


def test_random_keeps_every_coordinate_as_often() -> None:
    share = torch.stack([masks.random(7, seed=s) for s in range(2000)]).float().mean(0)
    assert (share - 3 / 7).abs().max() < 5 * (3 / 7 * 4 / 7 / 2000) ** 0.5


def test_checkerboard_by_hand() -> None:
    """Kept where row + column is odd."""
    assert masks.checkerboard((2, 2, 3)).int().tolist() == [[[0, 1, 0], [1, 0, 1]]] * 2


@pytest.mark.parametrize("shape", [(1, 2, 1), (3, 4, 4), (2, 3, 5)])
def test_checkerboard_has_no_equal_neighbours(shape: tuple[int, int, int]) -> None:
    mask = masks.checkerboard(shape)
    assert mask.shape == shape
    assert (mask[:, 1:] != mask[:, :-1]).all()
    assert (mask[:, :, 1:] != mask[:, :, :-1]).all()
    assert (mask == mask[:1]).all()
    assert torch.equal(masks.checkerboard(shape, swap=True), ~mask)
    assert torch.equal(masks.checkerboard(shape[1:]), mask[:1])


def test_channel_keeps_whole_channels() -> None:
    mask = masks.channel((3, 2, 5))
    assert mask.shape == (3, 2, 5)
    assert torch.equal(mask.float().mean((1, 2)), torch.tensor([1.0, 0.0, 0.0]))
    assert torch.equal(masks.channel((3, 2, 5), swap=True), ~mask)


@pytest.mark.parametrize(
    "make",
    [
        lambda: masks.halves(1),
        lambda: masks.random(1),
        lambda: masks.random(4, seed=-1),
        lambda: masks.checkerboard((3, 1, 1)),
        lambda: masks.checkerboard((4,)),
        lambda: masks.channel((1, 4, 4)),
        lambda: masks.channel((2, 0, 4)),
        lambda: masks.channel("abc"),  # type: ignore
        lambda: masks.as_mask(torch.ones(4, dtype=torch.bool)),
        lambda: masks.as_mask(torch.zeros(4, dtype=torch.bool)),
        lambda: masks.as_mask(torch.tensor([0, 1])),
        lambda: masks.as_mask(torch.zeros(2, 2, dtype=torch.bool)),
        lambda: masks.as_mask("halves"),  # type: ignore
        lambda: masks.as_mask(None),  # type: ignore
        lambda: masks.as_mask(torch.nested.nested_tensor([torch.zeros(2)])),
        lambda: masks.as_mask(torch.ones(2, device="meta").bool()),
        lambda: masks.as_mask(torch.tensor(True)),
        lambda: masks.as_mask(torch.ones(2)),
        lambda: masks.in_short([True]),  # type: ignore
        lambda: masks.halves(10**12),
    ],
)
def test_masks_that_leave_nothing_are_refused(make) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()


def test_whole_coordinates_are_told_from_pixels() -> None:
    for mask, apart in ((masks.checkerboard((2, 2, 2)), False), (masks.channel((4, 2, 2)), True)):
        assert AffineCoupling(mask).apart == apart
    assert AffineCoupling.sizes(masks.checkerboard((2, 2, 2))) == (2, 2)
    assert AffineCoupling.sizes(masks.channel((5, 2, 2))) == (2, 3)
