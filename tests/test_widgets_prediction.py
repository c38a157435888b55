"""Predictions: kept under their question, shown beside what came out, and stored in few bytes."""

from typing import Any

import pytest
import torch

from gencourse.widgets import Prediction
from gencourse.widgets import prediction as module
from gencourse.widgets.prediction import POINTS


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_kept", {})


def one_of_each() -> list[Prediction]:
    return [
        Prediction.number("How many bits?", unit="bits"),
        Prediction.choice("By what factor?", ["about 1.1", "about 6", "about 600"]),
        Prediction.order("Which comes first?", ["GAN", "flow", "diffusion"]),
        Prediction.curve("How does the loss fall?", (0, 10, "step"), (0, 2, "loss")),
    ]


ANSWERS = [3.5, "about 6", ["flow", "GAN", "diffusion"], [None, *[1.0] * (POINTS - 1)]]
RESULTS = [2.17, "about 600", ["diffusion", "flow", "GAN"], torch.linspace(2, 0, POINTS)]


def test_an_answer_is_kept_and_shown_beside_the_result() -> None:
    for asked, answer, result in zip(one_of_each(), ANSWERS, RESULTS, strict=True):
        assert repr(asked) == f"{asked.question}\n  no prediction was made"
        asked.value = answer
        beside = asked.compare(result)
        assert beside.value == answer
        assert repr(beside).startswith(f"{asked.question}\n  predicted ")
        assert "; it is " in repr(beside)
    for again, answer in zip(one_of_each(), ANSWERS, strict=True):
        assert again.value == answer, "the cell ran again"


def test_without_an_answer_the_result_is_shown_too() -> None:
    assert repr(one_of_each()[0].compare(2.1719)) == "How many bits?\n  no prediction was made; it is 2.172 bits"


def test_the_text_is_in_the_notebook() -> None:
    data, _ = one_of_each()[1]._repr_mimebundle_()
    assert data["text/plain"] == "By what factor?\n  no prediction was made"


@pytest.mark.parametrize("wrong", ["much", 3, ["GAN"], [1.0, 2.0], None])
def test_a_result_that_is_no_possible_answer_is_refused(wrong: Any) -> None:
    for asked in one_of_each():
        if asked.kind == "number" and wrong == 3:
            continue
        with pytest.raises(ValueError, match=r"^result: expected "):
            asked.compare(wrong)


@pytest.mark.parametrize("options", [[], ["one"], ["a", "a"], "ab", [1, 2], None])
def test_what_are_no_options_is_refused(options: Any) -> None:
    for make in (Prediction.choice, Prediction.order):
        with pytest.raises(ValueError, match=r"^options: expected "):
            make("Which?", options)


def test_other_wrong_arguments() -> None:
    with pytest.raises(ValueError, match=r"^question: expected "):
        Prediction.number(" ")
    with pytest.raises(ValueError, match=r"^x: expected the least below the largest"):
        Prediction.curve("Which?", (1, 1, "x"), (0, 1, "y"))


def test_a_notebook_stores_no_more_script_than_a_kind_needs() -> None:
    *others, curve = one_of_each()
    assert len({widget._esm for widget in others}) == 1
    assert curve._esm.startswith(others[0]._esm)
    assert len(others[0]._esm.encode()) < 5000  # twenty in a notebook
