"""Scenes of textures: the map, the photo, that one tells only the class of the other; and where they come from."""

import sys
import tomllib
from pathlib import Path

import make_textures
import numpy as np
import pytest
import torch
from torch import Tensor

from genlib import data
from genlib.data.textures import FILE, SIDE, TRAIN_ROWS

ROOT = Path(__file__).parents[1]
MODULE = sys.modules["genlib.data.textures"]


@pytest.fixture(scope="module")
def whole() -> Tensor:
    """The three textures, (3, 128, 128), as crops of their full size."""
    x, label = data.texture_crops(50, size=SIDE)
    return torch.stack([x[label == c][0, 0] for c in range(3)])


def found_at(crop: Tensor, texture: Tensor) -> list[list[int]]:
    """Every row and column of a texture at which a crop lies, to the last bit."""
    size = crop.shape[-1]
    windows = texture.unfold(0, size, 1).unfold(1, size, 1)
    return (windows == crop).all(-1).all(-1).nonzero().tolist()


# the map


@pytest.mark.parametrize("size", [1, 2, 7, 32, 33, 64, 65, 200])
def test_any_size(size: int) -> None:
    x, y = data.textures(1, size, seed=3)
    assert (x.shape, y.shape) == ((1, 3, size, size), (1, 1, size, size))
    assert x.dtype == y.dtype == torch.float32
    assert torch.equal(x.sum(1), torch.ones(1, size, size))
    assert bool(((x == 0) | (x == 1)).all())
    assert float(y.abs().max()) <= 1


def test_each_pixel_belongs_to_the_nearest_point() -> None:
    points = 9 * torch.rand(2, 5, 2, generator=torch.Generator().manual_seed(0))
    got = MODULE._nearest(points, 9)
    for i in range(2):
        for row in range(9):
            for column in range(9):
                apart = [(float(p[0]) - row - 0.5) ** 2 + (float(p[1]) - column - 0.5) ** 2 for p in points[i]]
                assert got[i, row, column] == apart.index(min(apart))


def test_the_classes_are_equally_likely_and_cells_counts_the_points() -> None:
    share = data.textures(2000, 8).x.mean((0, 2, 3))
    torch.testing.assert_close(share, torch.full((3,), 1 / 3), rtol=0, atol=0.03)
    one = data.textures(50, 16, cells=1).x.mean((2, 3))
    assert bool(((one == 0) | (one == 1)).all())
    edges = [float((data.textures(200, 32, cells=k).x.diff(dim=3) != 0).double().mean()) for k in (2, 4, 16)]
    assert edges == sorted(edges)


# the photo


def test_every_texture_has_mean_zero_and_the_same_deviation(whole: Tensor) -> None:
    torch.testing.assert_close(whole.mean((1, 2)), torch.zeros(3), rtol=0, atol=1e-6)
    torch.testing.assert_close(whole.std((1, 2)), torch.full((3,), 0.35), rtol=0, atol=1e-4)
    assert float(whole.abs().max()) <= 1


def test_each_region_shows_its_texture(whole: Tensor) -> None:
    """In every photo and class there is one place of the real texture that explains all pixels of the class."""
    x, y = data.textures(6, 20, seed=5)
    windows = whole.unfold(1, 20, 1).unfold(2, 20, 1)
    for i in range(6):
        for c in range(3):
            right = (windows[c] == y[i, 0]) | (x[i, c] == 0)
            assert bool(right.all(-1).all(-1).any())


def test_given_the_map_nothing_but_a_flat_tone_is_left_to_say() -> None:
    """The mean and the median of many photos of one texture have next to no structure, though each photo has."""
    x, y = data.textures(4000, 12, cells=1)
    for c in range(3):
        photos = y[x[:, c, 0, 0] == 1, 0]
        assert float(photos.std((1, 2)).mean()) > 0.25
        assert float(photos.mean(0).abs().max()) < 0.05
        assert float(photos.median(0).values.std()) < 0.03


def test_two_classes_in_one_photo_lie_at_unrelated_places() -> None:
    places = MODULE._places((20_000, 2), 32, torch.Generator().manual_seed(0)).double()
    correlation = torch.corrcoef(places.flatten(1).T)
    torch.testing.assert_close(correlation, torch.eye(4).double(), rtol=0, atol=0.03)
    assert (float(places.min()), float(places.max())) == (0, SIDE - 32)


def test_beyond_its_edge_a_texture_is_mirrored() -> None:
    y = data.textures(1, 600, cells=1).y[0, 0]
    torch.testing.assert_close(y[: 600 - 256], y[256:], rtol=0, atol=0)  # twice the side is a period
    steps = y.diff(dim=0).abs().mean(1)
    assert int((steps == 0).sum()) in (4, 5)  # at each mirror, every 128 rows, two rows are equal


def test_seeds_and_no_global_state(monkeypatch: pytest.MonkeyPatch) -> None:
    state = torch.get_rng_state()
    first, again, other = data.textures(5, 17, seed=1), data.textures(5, 17, seed=1), data.textures(5, 17, seed=2)
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.y, again.y)
    assert not torch.equal(first.y, other.y)
    monkeypatch.setattr(MODULE, "CHUNK", 300)  # made one by one, they are the same
    chunked = data.textures(5, 17, seed=1)
    assert torch.equal(first.x, chunked.x)
    assert torch.equal(first.y, chunked.y)
    assert torch.equal(data.texture_crops(9, seed=4).x, data.texture_crops(9, seed=4).x)
    assert torch.equal(torch.get_rng_state(), state)


def test_callers_own_what_they_get(whole: Tensor) -> None:
    x, label = data.texture_crops(50, size=SIDE)
    x.zero_()
    data.textures(3).y.zero_()
    assert torch.equal(data.texture_crops(50, size=SIDE).x[label == 0][0, 0], whole[0])


# crops


@pytest.mark.parametrize(("split", "first", "last"), [("train", 0, TRAIN_ROWS), ("test", TRAIN_ROWS, SIDE)])
def test_crops_lie_in_their_texture_and_split(whole: Tensor, split: str, first: int, last: int) -> None:
    x, label = data.texture_crops(60, size=12, seed=1, split=split)  # type: ignore[arg-type]
    assert x.shape == (60, 1, 12, 12)
    assert label.dtype == torch.int64
    assert set(label.tolist()) == {0, 1, 2}
    for crop, c in zip(x[:, 0], label, strict=True):
        places = found_at(crop, whole[c])
        assert any(first <= row and row + 12 <= last for row, _ in places)


def test_crops_reach_the_edges_of_what_they_may_see(whole: Tensor) -> None:
    x, label = data.texture_crops(400, size=127)
    rows = {place[0] for crop, c in zip(x[:40, 0], label, strict=False) for place in found_at(crop, whole[c])}
    assert rows == {0, 1}


# bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n: .*got 0"),
        ({"n": 2.5}, "n: .*got 2.5"),
        ({"n": 10**12}, "n: .*got 10{12}"),
        ({"n": 10**6}, "n: .*got 10{6}"),  # a gigabyte of pixels and more
        ({"n": 1, "size": 0}, "size: .*got 0"),
        ({"n": 1, "size": 10**5}, "size: .*got 10{5}"),
        ({"n": 1, "seed": -1}, "seed: .*got -1"),
        ({"n": 1, "cells": 0}, "cells: .*got 0"),
        ({"n": 1, "cells": 10**6}, "cells: .*got 10{6}"),
    ],
)
def test_textures_refuse(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.textures(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n: .*got 0"),
        ({"n": 10**6}, "n: .*got 10{6}"),
        ({"n": 1, "size": 129}, "size: .*128.*got 129"),
        ({"n": 1, "size": 41, "split": "test"}, "size: .*40.*got 41"),
        ({"n": 1, "split": "held out"}, "split: expected one of"),
        ({"n": 1, "seed": "a"}, "seed: .*got 'a'"),
    ],
)
def test_texture_crops_refuse(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.texture_crops(**arguments)


# where they come from


def test_the_copies_are_small_and_their_provenance_is_beside_them() -> None:
    assert FILE.stat().st_size < 50_000
    with np.load(FILE, allow_pickle=False) as file:
        assert tuple(file) == data.TEXTURES
        for name in data.TEXTURES:
            assert (file[name].shape, file[name].dtype) == ((128, 128), np.uint8)
    text = FILE.with_suffix(".md").read_text("utf-8")
    for word in (*data.TEXTURES, "CC0", "scikit-image 0.26.0", "Bricks25", "Grass-01", "Gravel04", "make_textures.py"):
        assert word in text
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]["*"]
    assert {"*.npz", "*.md"} <= set(shipped)


def test_the_tool_averages_squares_and_reads_only_the_pictures_it_knows(tmp_path: Path) -> None:
    levels = np.arange(64.0).reshape(8, 8)
    by_hand = [[sum(levels[r + a, c + b] for a in range(4) for b in range(4)) / 16 for c in (0, 4)] for r in (0, 4)]
    assert make_textures.shrunk(levels).tolist() == np.rint(by_hand).tolist()
    (tmp_path / "brick.png").write_bytes(b"another picture")
    with pytest.raises(SystemExit, match="expected SHA-256"):
        make_textures.read(tmp_path, "brick")


def test_scenes_do_not_depend_on_the_default_dtype() -> None:
    before = data.textures(3, size=16, seed=1)
    torch.set_default_dtype(torch.float64)
    try:
        after = data.textures(3, size=16, seed=1)
    finally:
        torch.set_default_dtype(torch.float32)
    assert after.x.dtype == after.y.dtype == torch.float32
    assert torch.equal(before.x, after.x)
    assert torch.equal(before.y, after.y)
