"""The widget of learned losses: its numbers against closed forms and quadrature, its size, what it refuses."""

import json
import math

import numpy as np
import pytest
import torch
from ipywidgets.embed import dependency_state

from gencourse import widgets
from gencourse.widgets.explorer import keys, unpack
from gencourse.widgets.learned_loss import CONTROLS, DATA


@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.6), (-1.5, 0.3), (2.3, 1.7)])
def test_one_gaussian_against_another_in_closed_form(mean, std):
    """Data N(1, ½²): the log-ratio is a quadratic, and every push follows from its slope."""
    widget = widgets.LearnedLossExplorer(mean=mean, std=std, data="one mode")
    drawn = {name: table.astype(np.float64) for name, table in widget.drawn().items()}
    x = drawn["y"]
    log_ratio = np.log(std / 0.5) - 0.5 * ((x - 1) / 0.5) ** 2 + 0.5 * ((x - mean) / std) ** 2
    slope = -(x - 1) / 0.25 + (x - mean) / std**2
    D = 1 / (1 + np.exp(-log_ratio))
    np.testing.assert_allclose(drawn["log_ratio"], log_ratio, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(drawn["D"], D, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(drawn["minimax"], D * slope, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(drawn["non_saturating"], (1 - D) * slope, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(drawn["squared"], 2 * (1 - x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(drawn["p"], np.exp(-0.5 * ((x - 1) / 0.5) ** 2) / (0.5 * math.sqrt(2 * math.pi)), 1e-5)


def test_the_divergence_is_what_d_earns():
    """2 JS − 2 log 2 = E_p[log D*] + E_G[log(1 − D*)], here by a plain sum on a fine grid."""
    widget = widgets.LearnedLossExplorer(mean=0.4, std=1.1, data="a rare mode")
    p, p_G = widget.to_densities()
    x = torch.linspace(-12, 12, 48_001, dtype=torch.float64)[:, None]
    a, b = p.log_prob(x).exp(), p_G.log_prob(x).exp()
    value = float((a * (a / (a + b)).log() + b * (b / (a + b)).log()).sum()) * 24 / 48_000
    drawn = widget.drawn()
    assert float(drawn["value"][0]) == pytest.approx(value, abs=1e-6)
    assert float(drawn["js"][0]) == pytest.approx(value / 2 + math.log(2), abs=1e-6)


def test_the_best_generator_is_left_in_peace():
    """Data N(1, ½²) met exactly: D* is ½ everywhere, and no learned loss pushes anything."""
    drawn = widgets.LearnedLossExplorer(mean=1.0, std=0.5, data="one mode").drawn()
    np.testing.assert_allclose(drawn["D"], 0.5, atol=1e-6)
    np.testing.assert_allclose(drawn["minimax"], 0, atol=1e-6)
    np.testing.assert_allclose(drawn["non_saturating"], 0, atol=1e-6)
    assert float(drawn["js"][0]) == pytest.approx(0, abs=1e-6)
    assert np.abs(drawn["squared"]).max() > 1


def test_every_choice_of_presets_is_there_and_all_is_small_enough():
    widget = widgets.LearnedLossExplorer()
    assert [frame["key"] for frame in widget.frames] == list(keys(CONTROLS))
    assert len(widget.frames) == 5 * 2 * len(DATA)
    for frame in widget.frames:
        assert all(np.isfinite(table).all() for table in unpack(frame).values())
    assert len(json.dumps(dependency_state([widget], drop_defaults=False)).encode()) <= 200_000


def test_presets_have_a_place_on_the_slider():
    for control in CONTROLS:
        assert set(control.get("presets", [])) <= set(control.get("choices", control.get("presets", [])))


def test_the_text_and_the_repr_say_what_is_drawn():
    widget = widgets.LearnedLossExplorer(mean=1.0, std=0.5, data="one mode", place=40)
    assert repr(widget) == "LearnedLossExplorer(mean=1.0, std=0.5, data='one mode', place=40)"
    text = widget.text()
    assert "Generator N(1, 0.500²), data with one mode." in text
    assert "At y = 0: D* = 0.500." in text
    assert "pushed by 2 under squared error" in text
    widget.mean = 1.2
    assert "Generator N(1.20, 0.500²)" in widget.text()


def test_the_picture_stands_in():
    bundle, metadata = widgets.LearnedLossExplorer()._repr_mimebundle_()
    assert bundle["image/png"]
    assert "Jensen–Shannon" in metadata["image/png"]["alt"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mean": 3.1}, "mean: .*got 3.1"),
        ({"std": 0.1}, "std: .*got 0.1"),
        ({"data": "two mode"}, "Did you mean 'two modes'"),
        ({"place": 81}, "place: .*80.*got 81"),
    ],
)
def test_bad_values_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        widgets.LearnedLossExplorer(**values)
