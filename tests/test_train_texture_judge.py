"""The command that made the judge of textures: it learns, repeats, and varies its crops within bounds."""

import pytest
import torch
import train_judge
import train_texture_judge

from genlib import data


def test_two_epochs_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_texture_judge, "EPOCHS", 2)
    judge = train_texture_judge.train(*data.texture_crops(1920, 12, split="train"), 1)
    assert train_judge.accuracy_of(judge, *data.texture_crops(600, 12, split="test")) > 0.7


def test_the_same_seed_gives_the_same_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_texture_judge, "EPOCHS", 1)
    x, label = data.texture_crops(256, 12, split="train")
    before = torch.random.get_rng_state()
    first, second = (train_texture_judge.train(x, label, 1) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_half_of_the_crops_are_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_texture_judge, "NOISE", 0)
    x, _ = data.texture_crops(400, 12)
    varied = train_texture_judge.mirror(x, torch.Generator().manual_seed(0))
    same, mirrored = ((varied == other).flatten(1).all(1) for other in (x, x.flip(-1)))
    assert bool((same | mirrored).all())
    assert 150 < int(mirrored.sum()) < 250
