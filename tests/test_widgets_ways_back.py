"""The widget of the ways back: its particles against the mixture in closed form, its size, what it refuses."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from ipywidgets.embed import dependency_state

from gencourse import widgets
from gencourse.widgets import ways_back
from gencourse.widgets.explorer import keys, unpack
from gencourse.widgets.ways_back import BINS, CONTROLS, FINEST, MIXTURE, REACH, ROWS, SHOWN, START, STEPS, TOP, UNIT, N

BOUND = 0.03  # a wrong factor before the score is beyond it by half and more, for every η at which it is wrong
ETAS = (0.0, 0.5, 1.0, 1.5)


def distance(x: torch.Tensor) -> float:
    """From the data's distribution function, by erf on a grid: another way than the widget's."""
    grid = torch.linspace(-2, 2, 801, dtype=torch.float64)
    parts = zip([-0.8, 0.6], [0.2, 0.3], [0.35, 0.65], strict=True)
    truth = sum(w * (1 + torch.erf((grid - mean) / (std * math.sqrt(2)))) / 2 for mean, std, w in parts)
    return float(((x[:, None] <= grid).double().mean(0) - truth).abs().max())


def wrong(eta: float, factor: float, n: int = FINEST) -> torch.Tensor:
    """The walk with another factor before the score, on the same noise."""
    start, dw = ways_back._noise()
    x = start
    for k, (tau, after) in enumerate(pairwise(ways_back._times(n).tolist())):
        score = MIXTURE.noised(math.exp(-tau)).score(x)
        x = x + (tau - after) * (x / 2 + factor * score) + eta * dw[k]
    return x[:, 0]


def test_every_eta_leads_to_the_data_in_many_steps_and_better_than_in_few():
    etas = torch.tensor([*ETAS, 0.3], dtype=torch.float64)
    last = {n: [distance(x) for x in ways_back.walk(etas, n)[-1]] for n in STEPS}
    assert max(last[64]) < BOUND
    assert min(last[4]) > 0.1
    for few, more in pairwise(STEPS):
        assert all(b < a for a, b in zip(last[few], last[more], strict=True))
    without_noise = [last[n][0] for n in STEPS]  # no chance in it: half the error with twice as many steps
    assert all(1.5 < a / b < 2.1 for a, b in pairwise(without_noise))


@pytest.mark.parametrize(
    ("eta", "factor"), [(0.0, 1.0), (0.5, 0.5), (0.5, 0.75), (1.0, 0.5), (1.0, 2.0), (1.5, 1.25), (1.5, 1.0)]
)
def test_another_factor_before_the_score_leads_elsewhere(eta, factor):
    assert distance(wrong(eta, factor)) > 1.5 * BOUND
    assert distance(wrong(eta, (1 + eta**2) / 2)) < BOUND


def test_on_the_way_the_particles_have_the_density_of_every_level():
    for eta in ETAS:
        drawn = widgets.WaysBack(eta, 64).drawn()
        assert drawn["difference"].max() < 0.04
        assert drawn["difference"][0] < 0.003  # they start as quantiles
        counts, q = drawn["counts"] * (TOP / 255), drawn["density"].reshape(FINEST + 1, BINS, -1).mean(2) * (TOP / 255)
        np.testing.assert_allclose(counts.sum(1) * (2 * REACH / BINS), 1, atol=0.02)
        assert np.abs(counts - q).mean() < 0.02
        assert drawn["counts"].max() < 255  # no bar is cut


def test_without_noise_no_two_particles_pass_each_other():
    drawn = widgets.WaysBack(0.0, 64).drawn()["paths"].astype(int)
    assert (np.diff(drawn, axis=1) >= 0).all()
    assert not (np.diff(widgets.WaysBack(1.0, 64).drawn()["paths"].astype(int), axis=1) >= 0).all()


def test_fewer_steps_are_driven_by_the_same_noise():
    walked = [ways_back.walk(torch.tensor([1.0], dtype=torch.float64), n)[-1, 0] for n in (32, 64)]
    assert float((walked[0] - walked[1]).abs().median()) < 0.1
    assert float(torch.corrcoef(torch.stack(walked))[0, 1]) > 0.9


def test_what_is_stored_is_what_was_walked():
    widget = widgets.WaysBack(0.7, 8)
    drawn, walked = widget.drawn(), ways_back.walk(torch.tensor([0.7], dtype=torch.float64), 8)[:, 0]
    assert drawn["paths"].shape == (9, SHOWN)
    np.testing.assert_allclose(drawn["paths"] * (REACH / UNIT), walked[:, N // SHOWN // 2 :: N // SHOWN], atol=4e-4)
    tau = torch.linspace(math.sqrt(START), 0, 9, dtype=torch.float64) ** 2
    np.testing.assert_allclose(drawn["sigma"], torch.sqrt((1 - torch.exp(-tau)) / torch.exp(-tau)), rtol=1e-6)
    x = (np.arange(ROWS) + 0.5) * (2 * REACH / ROWS) - REACH
    q = MIXTURE.noised(math.exp(-float(tau[3]))).log_prob(torch.from_numpy(x)[:, None]).exp()
    np.testing.assert_allclose(drawn["density"][3 * FINEST // 8] / 255, q, atol=2.1e-3)
    assert float(drawn["difference"][-1]) == pytest.approx(distance(walked[-1]), abs=2e-3)


def test_every_choice_of_presets_is_there_and_all_is_small_enough():
    widget = widgets.WaysBack()
    assert [frame["key"] for frame in widget.frames] == list(keys(CONTROLS))
    assert len(widget.frames) == len(ETAS) * len(STEPS)
    for frame in widget.frames:
        tables = unpack(frame)
        assert all(np.isfinite(table).all() for table in tables.values())
        assert {len(table) for table in tables.values()} == {frame["key"]["steps"] + 1}
    assert len(json.dumps(dependency_state([widget], drop_defaults=False)).encode()) <= 200_000
    assert SHOWN >= 60


def test_built_twice_it_is_the_same_to_the_byte():
    first = widgets.WaysBack()
    frames, shared = [frame["data"] for frame in first.frames], first.shared["data"]
    for made in (ways_back._frames, ways_back._noise, ways_back._shared):
        made.cache_clear()
    again = widgets.WaysBack()
    assert [frame["data"] for frame in again.frames] == frames
    assert again.shared["data"] == shared
    one, two = (widget._repr_mimebundle_()[0] for widget in (first, again))
    assert one["text/plain"] == two["text/plain"]
    assert one["image/png"] == two["image/png"]


def test_the_text_and_the_repr_say_what_is_drawn():
    widget = widgets.WaysBack(eta=0.0, steps=4)
    assert repr(widget) == "WaysBack(taken=4, eta=0.0, steps=4)"
    assert widget.text().startswith("4 of 4 steps with η = 0: noise level σ = 0. ")
    assert f"difference is {widget.drawn()['difference'][-1]:#.3g}; " in widget.text()
    assert widget.text().endswith(" would differ by 0.014 on average.")  # √(π/2) log 2/√4096
    widget.taken = 0
    assert "σ = 20.1" in widget.text()
    widget.eta, widget.steps = 0.3, 8  # no preset
    assert widget.text().startswith("0 of 8 steps with η = 0.300")
    assert widget.live["key"] == {"eta": 0.3, "steps": 8}


def test_the_picture_stands_in():
    widget = widgets.WaysBack()
    bundle, metadata = widget._repr_mimebundle_()
    assert bundle["image/png"]
    assert bundle["text/plain"] == f"{widget!r}\n{widget.text()}"
    assert metadata["image/png"]["alt"] == widget.text()


def test_the_steps_taken_are_held_within_the_steps():
    widget = widgets.WaysBack(steps=64)
    assert widget.taken == 64
    widget.steps = 8
    assert widget.taken == 8
    widget.set_state({"taken": 16, "steps": 32})
    assert (widget.taken, widget.steps) == (16, 32)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"eta": -0.1}, "^eta: .*got -0.1"),
        ({"eta": 1.6}, "^eta: .*got 1.6"),
        ({"eta": math.nan}, "^eta: .*got nan"),
        ({"eta": "ODE"}, "^eta: .*got 'ODE'"),
        ({"steps": 5}, "^steps: .*4, 8, 16, 32, 64.*got 5"),
        ({"steps": "16"}, "^steps: .*got '16'"),
        ({"taken": 17}, "^taken: .*16.*got 17"),
        ({"taken": -1}, "^taken: .*got -1"),
        ({"taken": 2.5}, "^taken: .*got 2.5"),
    ],
)
def test_bad_values_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        widgets.WaysBack(**values)
    widget = widgets.WaysBack()
    before = widget.values()
    with pytest.raises(ValueError, match=message):
        widget.set_state(values)
    assert widget.values() == before
