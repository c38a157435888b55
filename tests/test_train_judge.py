"""The command that made the judge: the same weights each time, batch norm folded in exactly, distortions in bounds."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

from genlib import data
from genlib.metrics import Judge

TOOL = Path(__file__).parents[1] / "tools" / "train_judge.py"


@pytest.fixture
def tool(monkeypatch):
    spec = importlib.util.spec_from_file_location("train_judge", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "EPOCHS", 3)
    return module


def test_three_epochs_learn_and_repeat(tool):
    x, label = (part[:640] for part in data.digits("train"))
    before = torch.random.get_rng_state()
    first, second = tool.train(x, label, 1), tool.train(x, label, 1)
    assert torch.equal(torch.random.get_rng_state(), before)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert tool.accuracy_of(first, *data.digits("test")) > 0.8


def test_folding_changes_no_logit(tool):
    torch.manual_seed(0)
    student = tool.Student(Judge())
    x, _ = data.digits("test")
    for norm in student.norms:
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.normal_(norm.bias)
    for part in x.split(50):
        student(part)  # moves the running means and variances
    expected = student.eval()(x)
    torch.testing.assert_close(student.fold()(x), expected, rtol=1e-4, atol=1e-4)


def test_a_distorted_digit_is_still_nearly_the_digit(tool, monkeypatch):
    monkeypatch.setattr(tool, "NOISE", 0)
    x, _ = data.digits("test")
    moved = tool.distort(x, torch.Generator().manual_seed(0))
    assert moved.shape == x.shape
    assert -1 <= float(moved.min()) <= float(moved.max()) <= 1 + 1e-6
    ink, ink_moved = (x + 1).sum((1, 2, 3)), (moved + 1).sum((1, 2, 3))
    torch.testing.assert_close(ink_moved.mean(), ink.mean(), rtol=0.05, atol=0)
    assert 0.05 < float((moved - x).abs().mean()) < 0.3
