"""Emoji: an outline and its colours belong together, the split is by drawing, and the file is what its text says."""

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genlib import data

MODULE = sys.modules["genlib.data.emoji"]
ROOT = Path(__file__).resolve().parents[1]
SPLITS: tuple[Any, ...] = ("train", "test", "all")
PICTURES = {split: data.emoji(split) for split in SPLITS}
NAMES = {split: data.emoji_names(split) for split in PICTURES}


def colour_of(name: str) -> torch.Tensor:
    """Of the middle of a picture, as 0..1."""
    (i,) = (i for i, one in enumerate(NAMES["all"]) if one.name == name)
    return (PICTURES["all"].y[i, :, 14:18, 14:18].mean((1, 2)) + 1) / 2


def test_two_splits_make_the_whole() -> None:
    assert [len(PICTURES[split].x) for split in SPLITS] == [1500, 144, 1644]
    assert sorted(NAMES["train"] + NAMES["test"]) == sorted(NAMES["all"])
    for split, (x, y) in PICTURES.items():
        assert (x.shape[1:], y.shape[1:], len(x), len(y)) == ((1, 32, 32), (3, 32, 32), len(NAMES[split]), len(x))
        assert x.dtype == y.dtype == torch.float32
        assert (x.min(), x.max(), y.min(), y.max()) == (-1, 1, -1, 1)


# OpenMoji's palette: red, yellow, blue.
@pytest.mark.parametrize(
    ("name", "colour"), [("red heart", 0xD22F27), ("grinning face", 0xFCEA2B), ("blue heart", 0x1E50A0)]
)
def test_names_stand_beside_their_pictures(name: str, colour: int) -> None:
    wanted = torch.tensor([colour >> 16, colour >> 8 & 255, colour & 255]) / 255
    assert torch.allclose(colour_of(name), wanted, atol=0.02)


def test_an_outline_is_that_of_its_picture() -> None:
    """Where the outline is black the picture is dark; and the picture's own outline is nowhere else."""
    x, y = PICTURES["all"]
    dark = (y.mean(1, keepdim=True)[x < -0.8] < 0).double().mean()
    assert dark > 0.95
    other = (y.roll(1, 0).mean(1, keepdim=True)[x < -0.8] < 0).double().mean()
    assert other < 0.5


def test_no_drawing_is_on_both_sides() -> None:
    ink = {split: 1 - PICTURES[split].x.flatten(1) for split in ("train", "test")}
    unit = {split: torch.nn.functional.normalize(values, dim=1) for split, values in ink.items()}
    assert (unit["test"] @ unit["train"].T).max() <= 0.95
    for words in ("heart$", "o’clock", ": curly hair"):
        sides = {split for split in ("train", "test") for one in NAMES[split] if re.search(words, one.name)}
        assert sides == {"train"} or words == "heart$", words
    assert len(set(NAMES["all"])) == len(NAMES["all"])


def test_groups_are_those_of_the_names() -> None:
    x, label = data.emoji_groups("test")
    assert torch.equal(x, PICTURES["test"].y)
    assert [data.EMOJI_GROUPS[i] for i in label] == [one.group for one in NAMES["test"]]
    assert set(data.emoji_groups("all").label.tolist()) == set(range(len(data.EMOJI_GROUPS)))


def test_kinds_are_drawings_that_are_alike() -> None:
    """Of every kind there is one that anybody would look for there, and none of the others."""
    known = {"face": "grinning face", "person": "cook", "hand": "raised hand", "heart": "blue heart"}
    known |= {"animal": "dog face", "clock": "three o’clock"}
    assert tuple(known) == tuple(data.EMOJI_KINDS)
    x, label = data.emoji_kinds("all")
    for place, name in enumerate(known.values()):
        (i,) = (i for i, one in enumerate(NAMES["all"]) if one.name == name)
        found = (x == PICTURES["all"].y[i]).all(dim=(1, 2, 3))  # some have a twin by another name
        assert set(label[found].tolist()) == {place}
    arrow = next(i for i, one in enumerate(NAMES["all"]) if one.subgroup == "arrow")
    assert not (x == PICTURES["all"].y[arrow]).all(dim=(1, 2, 3)).any()


def test_nobody_can_change_them() -> None:
    data.emoji("test").y.zero_()
    assert data.emoji("test").y.std() > 0.1


def test_the_file_is_what_its_text_says() -> None:
    text = MODULE.FILE.with_suffix(".md").read_text("utf-8")
    with np.load(MODULE.FILE, allow_pickle=False) as file:
        assert set(file) == set(re.findall(r"`(outline|colour|name|group|subgroup|held_out)`", text))
        assert file["colour"].dtype == file["outline"].dtype == np.uint8
        assert str(len(file["name"])) == re.search(r"^([\d,]+) drawings", text, re.M)[1].replace(",", "")  # type: ignore[index]
        assert str(file["held_out"].sum()) in text
    assert MODULE.FILE.stat().st_size < 2.5e6
    assert "CC BY-SA 4.0" in (ROOT / "README.md").read_text("utf-8")
