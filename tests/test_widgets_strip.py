"""The strip of λ: what it shows is what was stored."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gencourse.widgets import LambdaExplorer

LAM = [0.0, 5.0, 100.0]


@pytest.fixture
def parts() -> dict:
    rng = np.random.default_rng(0)
    numbers = {name: np.linspace(0.1, 0.9, 3) for name in ("detail", "error", "l1", "accuracy")}
    return {
        "lam": LAM,
        "pictures": rng.integers(0, 256, (3, 4, 8, 8), dtype=np.uint8),
        "numbers": numbers,
        "maps": rng.integers(0, 256, (4, 8, 8), dtype=np.uint8),
        "real": rng.integers(0, 256, (4, 8, 8), dtype=np.uint8),
    }


def test_it_shows_what_was_stored_and_starts_in_the_middle(parts: dict) -> None:
    widget = LambdaExplorer(**parts)
    assert widget.place == 1
    tables = widget.drawn()
    assert np.array_equal(tables["pictures"], parts["pictures"])
    for name in ("maps", "real"):
        assert np.array_equal(tables[name][0], parts[name])
    assert widget.text().startswith("λ = 5: detail 0.500")
    widget.place = 2
    assert "λ = 100" in widget.text()
    assert widget.picture().png
    assert repr(widget) == "LambdaExplorer(place=2)"


def test_all_is_sent_at_once_in_few_bytes(parts: dict) -> None:
    widget = LambdaExplorer(**parts)
    assert not widget.live
    assert len(widget.shared["data"]) < 200_000
    assert [panel["kind"] for panel in widget.spec["panels"]] == ["images", "images", "images", "curves", "curves"]


def test_alts_and_labels_are_derived_from_what_is_shown(parts: dict) -> None:
    spec = LambdaExplorer(**parts).spec
    assert [panel["alt"] for panel in spec["panels"][:3]] == [
        "4 maps",
        "what the generator that was trained with λ = {lam@place} makes of the 4 maps",
        "real photos of the 4 maps",
    ]
    assert spec["controls"][0]["max"] == len(LAM) - 1


def test_a_stored_strip_is_read_again(parts: dict, tmp_path: Path) -> None:
    tensors = {name: torch.tensor(parts["numbers"][name]) for name in parts["numbers"]}
    tensors |= {name: torch.tensor(parts[name]) for name in ("lam", "pictures", "maps", "real")}
    save_file(tensors, tmp_path / "strip.safetensors")
    for path in (tmp_path / "strip", tmp_path / "strip.safetensors"):
        assert LambdaExplorer.load(path, place=0).text() == LambdaExplorer(**parts, place=0).text()


@pytest.mark.parametrize("place", [-1, 3, 1.5, True])
def test_places_outside_the_strip_are_refused(parts: dict, place: object) -> None:
    with pytest.raises(ValueError, match="place"):
        LambdaExplorer(**parts, place=place)  # type: ignore[arg-type]
    widget = LambdaExplorer(**parts)
    with pytest.raises(ValueError, match="place"):
        widget.place = place


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pictures", np.zeros((3, 4, 8, 8))),
        ("pictures", np.zeros((2, 4, 8, 8), np.uint8)),
        ("maps", np.zeros((4, 8, 9), np.uint8)),
        ("maps", np.zeros((4, 8, 8))),
        ("real", np.zeros((4, 8, 9), np.uint8)),
        ("numbers", {"detail": [1, 2, 3]}),
    ],
)
def test_what_does_not_fit_is_refused(parts: dict, name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        LambdaExplorer(**{**parts, name: value})
