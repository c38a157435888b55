"""Emoji, each drawn twice: an outline, and the same in colour (OpenMoji; see emoji.md). Small, real, and free."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genlib.arguments import checked
from genlib.data.digits import Images, Pairs, Split

FILE = Path(__file__).with_name("emoji.npz")
SIDE = 32
EMOJI_GROUPS = (
    "smileys-emotion", "people-body", "animals-nature", "food-drink", "travel-places", "activities", "objects",
    "symbols",
)  # fmt: skip

EMOJI_KINDS = {  # six kinds of drawings that are alike among themselves, and their subgroups
    "face": "face-.*", "person": "person(-role|-gesture|-fantasy)?", "hand": "hand.*", "heart": "heart",
    "animal": "animal-mammal|cat-face|monkey-face", "clock": "time",
}  # fmt: skip


class EmojiName(NamedTuple):
    """What a drawing is called, as Unicode has it: name, group and subgroup."""

    name: str
    group: str
    subgroup: str


@checked
def emoji(split: Split = "train") -> Pairs:
    """Outlines x, (N, 1, 32, 32), and the same drawings in colour y, (N, 3, 32, 32), float32 in [−1, 1], white 1.

    Always split alike, by drawing: 1500 to train and 144 to test; what differs from another picture in its colours,
    its hair or the hands of its clock alone is on the same side. Ref: OpenMoji 17.0.0, HfG Schwäbisch Gmünd
    (CC BY-SA 4.0).

    >>> x, y = emoji("test")
    >>> x.shape, y.shape, float(y.min()), float(y.max())
    (torch.Size([144, 1, 32, 32]), torch.Size([144, 3, 32, 32]), -1.0, 1.0)
    """
    outline, colour, _ = _drawn()
    rows = _rows(split)
    return Pairs(outline[rows].float() / 127.5 - 1, colour[rows].float() / 127.5 - 1)


@checked
def emoji_groups(split: Split = "train") -> Images:
    """The drawings in colour, as y of `emoji(split)`, and their groups' indices in `EMOJI_GROUPS`, (N,) int64.

    >>> x, label = emoji_groups("test")
    >>> x.shape, EMOJI_GROUPS[label[0]]
    (torch.Size([144, 3, 32, 32]), 'smileys-emotion')
    """
    label = [EMOJI_GROUPS.index(name.group) for name in emoji_names(split)]
    return Images(emoji(split).y, torch.tensor(label))


@checked
def emoji_kinds(split: Split = "train") -> Images:
    """The drawings of `emoji_groups(split)` that are of a kind in `EMOJI_KINDS`, and its place there, (N,) int64.

    >>> x, label = emoji_kinds("train")
    >>> len(x), label.bincount().tolist()
    (437, [111, 159, 40, 24, 72, 31])
    """
    kinds = [
        [place for place, subgroups in enumerate(EMOJI_KINDS.values()) if re.fullmatch(subgroups, name.subgroup)]
        for name in emoji_names(split)
    ]
    shown = torch.tensor([bool(kind) for kind in kinds])
    return Images(emoji(split).y[shown], torch.tensor([kind[0] for kind in kinds if kind]))


@checked
def emoji_names(split: Split = "train") -> list[EmojiName]:
    """What `emoji(split)` shows, in its order.

    >>> emoji_names("all")[0]
    EmojiName(name='grinning face', group='smileys-emotion', subgroup='face-smiling')
    """
    _, _, names = _drawn()
    return [names[i] for i in _rows(split).tolist()]


@cache
def _drawn() -> tuple[Tensor, Tensor, list[EmojiName]]:
    """Outlines, colours (channels first), both uint8, and names."""
    with np.load(FILE, allow_pickle=False) as file:
        outline, colour = (torch.from_numpy(file[name]) for name in ("outline", "colour"))
        names = [EmojiName(*map(str, row)) for row in zip(file["name"], file["group"], file["subgroup"], strict=True)]
    return outline[:, None], colour.movedim(3, 1).contiguous(), names


@cache
def _rows(split: str) -> Tensor:
    with np.load(FILE, allow_pickle=False) as file:
        held_out = torch.from_numpy(file["held_out"])
    return {"train": ~held_out, "test": held_out, "all": torch.ones_like(held_out)}[split].nonzero()[:, 0]
