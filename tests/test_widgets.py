"""Widgets without a browser: what they send, what they refuse, and what stands in where no front end is at hand."""

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from ipywidgets.embed import dependency_state

from gencourse import widgets
from gencourse.widgets.beta_schedule import CONTROLS, LEVELS, _tables
from gencourse.widgets.explorer import HERE, fill, in_use, joined, keys, pack, show, unpack
from genlib.data import digits
from genlib.diffusion import Schedule

TABLES = ("beta", "alpha_bar")


def state_size(widget: widgets.BetaScheduleExplorer) -> int:
    """Bytes that a notebook or a page stores for the widget: JSON, with base64 for the tables, style and script."""
    return len(json.dumps(dependency_state([widget], drop_defaults=False)).encode())


@pytest.mark.parametrize(
    ("chosen", "schedule"),
    [
        ({}, Schedule.linear()),
        ({"T": 20, "beta_1": 0.005, "beta_T": 0.005}, Schedule.linear(20, 0.005, 0.005)),
        ({"T": 317, "beta_T": 0.0123}, Schedule.linear(317, 1e-4, 0.0123)),
        ({"schedule": "linear, unscaled", "T": 3, "beta_1": 0.25, "beta_T": 0.5}, Schedule([0.25, 0.375, 0.5])),
        ({"schedule": "linear, unscaled", "T": 1, "beta_1": 0.25, "beta_T": 0.5}, Schedule([0.5])),
        ({"schedule": "cosine", "T": 100}, Schedule.cosine(100)),
        ({"schedule": "cosine", "T": 1, "s": 0.3}, Schedule.cosine(1, 0.3)),
    ],
)
def test_what_is_drawn_is_the_schedule(chosen: dict[str, Any], schedule: Schedule) -> None:
    widget = widgets.BetaScheduleExplorer(**chosen)
    drawn, T = widget.drawn(), schedule.T
    for name in TABLES:
        np.testing.assert_allclose(drawn[name], getattr(schedule, name), rtol=1e-6)
    alpha_bar = schedule.alpha_bar[1:].numpy()
    np.testing.assert_allclose(drawn["log_snr"][1:], np.log(alpha_bar) - np.log1p(-alpha_bar), rtol=1e-5, atol=1e-6)
    assert torch.equal(widget.to_schedule().beta, schedule.beta)

    # L_T against the divergence that torch computes between the two Gaussians
    x, label = digits("train")
    for digit in range(10):
        x_0 = x[label == digit][0].double().flatten()
        q = torch.distributions.Normal(schedule.alpha_bar[T].sqrt() * x_0, (1 - schedule.alpha_bar[T]).sqrt())
        nats = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum()
        np.testing.assert_allclose(drawn["L_T"][digit], float(nats), rtol=1e-5, atol=1e-12)
        np.testing.assert_allclose(drawn["L_T_bits"][digit], float(nats) / 64 / math.log(2), rtol=1e-5, atol=1e-12)


def test_no_frame_is_sent_for_the_page_computes_them() -> None:
    widget = widgets.BetaScheduleExplorer(T=317)
    widget.beta_T = 0.3
    assert (widget.frames, widget.live) == ([], {})
    x, label = digits("train")
    power = [float((x[label == digit][0] ** 2).sum()) for digit in range(10)]
    np.testing.assert_allclose(unpack(widget.shared)["power"], power, rtol=1e-6)


def test_every_step_has_one_of_the_stored_pictures() -> None:
    for schedule in ("linear", "cosine", "linear, unscaled"):
        level = widgets.BetaScheduleExplorer(schedule).drawn()["level"]
        assert level.shape == (1001,)
        assert (np.diff(level.astype(int)) >= 0).all()
        assert level.max() < LEVELS


@pytest.mark.parametrize("schedule", ["linear", "cosine", "linear, unscaled"])
def test_the_pictures_are_the_noised_digits(schedule: str) -> None:
    # Undo it with the schedule's own ᾱ_t: where a pixel was not clipped, what is left must be one and the same ε.
    widget = widgets.BetaScheduleExplorer(schedule)
    drawn, alpha_bar = widget.drawn(), widget.to_schedule().alpha_bar.numpy()
    x, label = digits("train")
    x_0 = np.stack([x[label == c][0, 0].numpy() for c in range(10)])
    estimates = []
    for t in (200, 400, 500, 700):
        picture = drawn["digits"][drawn["level"][t]]
        eps = (picture / 127.5 - 1 - math.sqrt(alpha_bar[t]) * x_0) / math.sqrt(1 - alpha_bar[t])
        estimates.append(np.where((picture > 0) & (picture < 255), eps, np.nan))
    eps = np.stack(estimates)[:, np.isfinite(estimates).sum(axis=0) >= 2]
    assert eps.shape[1] > 200
    spread = np.nanmax(eps, axis=0) - np.nanmin(eps, axis=0)
    assert spread.max() < 0.15  # neighbouring levels are 0.024 apart in angle


def test_the_strip_moves_smoothly() -> None:
    steps = np.abs(np.diff(unpack(widgets.BetaScheduleExplorer().shared)["digits"].astype(int), axis=0))
    assert steps.max() < 20  # of 255, so that no step jumps


def test_a_widget_stays_below_200_kilobytes() -> None:
    assert state_size(widgets.BetaScheduleExplorer()) <= 200_000
    assert state_size(widgets.BetaScheduleExplorer(T=999)) <= 200_000


def test_traits_can_be_observed_and_set() -> None:
    widget, seen = widgets.BetaScheduleExplorer(), []
    widget.observe(lambda change: seen.append((change["name"], change["new"])), names=["T", "t", "schedule", "s"])
    widget.t = 900
    widget.T = 500
    widget.schedule = "cosine"
    assert seen[0] == ("t", 900)
    assert ("T", 500) in seen
    assert widget.t == 500
    assert widget.key() == {"schedule": "cosine", "T": 500, "s": 0.008}
    computed = widget._latest
    assert computed["key"] == widget.key()
    widget.t = 10
    assert widget.text()
    assert widget._latest is computed, "moving t must compute nothing"


def test_what_the_sliders_offer_works() -> None:
    """1,014 of 19,764 choices left too little signal, and failed. At each T the ends of the other sliders stand for
    what lies between: ᾱ_T falls with β_1 and with β_T."""
    choices = {control["name"]: control.get("choices", []) for control in CONTROLS}
    for T in choices["T"]:
        ends = itertools.product(*((choices[name][0], choices[name][-1], 0.999) for name in ("beta_1", "beta_T")))
        keys = [{"schedule": "linear", "T": T, "beta_1": first, "beta_T": last} for first, last in ends if last > 1e-3]
        for key in [*keys, {"schedule": "cosine", "T": T, "s": choices["s"][-1]}]:
            tables = _tables(**key)
            assert all(np.isfinite(table[1:]).all() for table in tables.values())
            assert (np.diff(tables["log_snr"][1:]) < 0).all()
            assert tables["L_T"].shape == (10,)


def test_a_choice_that_leaves_no_signal_is_shown_all_the_same() -> None:
    widget = widgets.BetaScheduleExplorer(T=20)
    widget.beta_T = 0.05
    assert widget.values() == {**widget.values(), "T": 20, "beta_T": 0.05}
    beta = np.minimum(50 * np.linspace(1e-4, 0.05, 20), 0.999)
    np.testing.assert_allclose(widget.drawn()["beta"][1:], beta, rtol=1e-6)
    np.testing.assert_allclose(widget.drawn()["log_snr"][-1], np.log1p(-beta).sum(), rtol=1e-6)
    assert widget.picture().alt == widget.text()
    with pytest.raises(ValueError, match=r"^beta: .*1e-30"):  # but it is nothing to go on with
        widget.to_schedule()


class Choosy(widgets.BetaScheduleExplorer):
    """One that has no tables for a choice that its controls offer."""

    def tables(self, **key: Any) -> Any:
        if key.get("beta_T") == 0.05:
            raise ValueError("beta_T: nothing to show")
        return super().tables(**key)

    def send_state(self, key: Any = None) -> None:
        self.told = key


@pytest.mark.parametrize(
    ("start", "change"),
    [
        ({}, {"T": 20, "beta_T": 0.05}),
        ({"T": 150}, {"beta_T": 0.05, "T": 20}),
        ({"schedule": "cosine", "s": 0.5}, {"schedule": "linear", "T": 20, "beta_T": 0.05}),
        ({"T": 150}, {"T": 20, "t": 21}),
        ({}, {"schedule": "cosine", "s": 0.3, "T": 1001}),
        ({"T": 150}, {"digit": 10}),
    ],
)
def test_what_is_refused_leaves_all_as_it_was(start: dict[str, Any], change: dict[str, Any]) -> None:
    """Values, text and picture stay those of one schedule, whoever has chosen, and the front end is told."""
    widget = Choosy(**start)
    values, text, live = widget.values(), widget.text(), widget.live
    with pytest.raises(ValueError, match=r"^(beta_T|t|T|digit): "):
        widget.set_state(change)
    assert widget.told == list(change)
    assert widget.values() == values
    assert widget.text() == text == widget.picture().alt
    assert widget.live is live
    widget.t = 3  # and it goes on from there
    assert widget.text().startswith("Step 3 of")


def test_a_value_without_tables_is_not_taken() -> None:
    widget = Choosy(T=150)
    values, text, live = widget.values(), widget.text(), widget.live
    with pytest.raises(traitlets.TraitError, match=r"^beta_T: nothing to show"):
        widget.beta_T = 0.05
    assert (widget.values(), widget.text(), widget.live) == (values, text, live)
    with pytest.raises(ValueError, match=r"^beta_T: nothing to show"):
        Choosy(beta_T=0.05)


def test_the_front_end_sets_several_traits_at_once() -> None:
    widget = widgets.BetaScheduleExplorer()
    widget.set_state({"T": 2, "t": 1, "beta_1": 0.3})
    assert (widget.T, widget.t) == (2, 1)
    np.testing.assert_allclose(widget.drawn()["beta"], Schedule.linear(2, 0.3, 0.02).beta, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("schedule", "linaer", "schedule: expected .*'cosine'.*, got 'linaer'. Did you mean 'linear'?"),
        ("T", 0, "T: .*got 0"),
        ("T", 1001, "T: .*got 1001"),
        ("T", 2.5, "T: .*got 2.5"),
        ("t", 0, "t: .*got 0"),
        ("t", "half", "t: .*got 'half'"),
        ("beta_1", 0, r"beta_1: expected a finite number in \(0, 1\), got 0"),
        ("beta_T", 1.0, r"beta_T: expected a finite number in \(0, 1\), got 1"),
        ("beta_T", math.nan, r"beta_T: expected a finite number in \(0, 1\), got nan"),
        ("s", None, "s: .*got None"),
        ("digit", 10, "digit: .*got 10"),
    ],
)
def test_wrong_values_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        widgets.BetaScheduleExplorer(**{name: value})
    widget = widgets.BetaScheduleExplorer()
    before = widget.values()
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(widget, name, value)
    assert widget.values() == before


def test_the_step_is_held_within_the_steps() -> None:
    with pytest.raises(ValueError, match=r"t: .*100.*got 101"):
        widgets.BetaScheduleExplorer(T=100, t=101)
    assert widgets.BetaScheduleExplorer(T=100).t == 25
    assert widgets.BetaScheduleExplorer(T=1).t == 1


def test_the_stand_in_is_fixed() -> None:
    first, second = widgets.BetaScheduleExplorer(T=50), widgets.BetaScheduleExplorer(T=50)
    (one, about), (two, _) = first._repr_mimebundle_(), second._repr_mimebundle_()
    assert repr(first) == "BetaScheduleExplorer(t=12, schedule='linear', T=50, beta_1=0.0001, beta_T=0.02, digit=3)"
    assert repr(widgets.BetaScheduleExplorer("cosine", s=0.1)) == (
        "BetaScheduleExplorer(t=250, schedule='cosine', T=1000, s=0.1, digit=3)"
    )
    assert one["text/plain"] == two["text/plain"] == f"{first!r}\n{first.text()}"
    assert one["image/png"] == two["image/png"]
    assert about["image/png"]["alt"] == first.text()
    widget_view = "application/vnd.jupyter.widget-view+json"
    assert one[widget_view]["model_id"] != two[widget_view]["model_id"]


def test_the_text_says_what_the_schedule_says() -> None:
    # ᾱ_1000 = 4.04e-5 is the papers' number
    text = widgets.BetaScheduleExplorer(t=1000).text()
    assert text.startswith("Step 1000 of 1000, linear schedule: β_t = 0.0200, ᾱ_t = 4.04e−5, log-SNR −10.1 nats. ")
    assert " Digit 3 after " in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (1000, "1000"), (-3.0, "−3"), (0.5, "0.500"), (np.float32(0.1), "0.100"), (123.4, "123"),
        (0.00123, "0.00123"), (-12.34, "−12.3"), (4.0358e-5, "4.04e−5"), (999.7, "1.00e+3"), (2.5e7, "2.50e+7"),
        (math.inf, "∞"), (-math.inf, "−∞"), (math.nan, "undefined"), ("linear", "linear"), (True, "yes"), (False, "no"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits(value: Any, text: str) -> None:
    assert show(value) == text


def test_tables_come_back_as_they_were_packed() -> None:
    tables = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([1, 2, 255], dtype=np.uint8)}
    again = unpack(pack(tables, {"T": 3}))
    assert set(again) == set(tables)
    for name, table in tables.items():
        np.testing.assert_array_equal(again[name], table)
    assert fill("{b@i} of {n}", {"i": 2, "n": "all"}, again) == "255 of all"
    with pytest.raises(ValueError, match="c: expected dtype float32, int16, uint8, got float64"):
        pack({"c": np.zeros(3)})


def test_what_is_joined_is_the_same_code_in_fewer_bytes() -> None:
    for name in ("explorer.js", "prediction.js", "live.js", "live_paint.js", "explorer.css", "prediction.css"):
        text = joined(name)
        assert not any(line.startswith((" ", "//", "/*")) or not line for line in text.splitlines())
        whole = (HERE / name).read_text(encoding="utf-8")
        kept = [line.strip() for line in whole.splitlines() if line.strip() in text.splitlines()]
        assert "\n".join(kept) == text.strip()
        assert len(kept) > 0.8 * len(whole.splitlines())


def test_a_control_that_is_not_in_use_is_no_part_of_the_key() -> None:
    controls = [
        {"name": "a", "presets": [1, 2], "key": True},
        {"name": "b", "presets": [3, 4], "key": True, "when": {"a": [1]}},
        {"name": "c", "presets": [5]},
    ]
    assert list(keys(controls)) == [{"a": 1, "b": 3}, {"a": 1, "b": 4}, {"a": 2}]
    assert not in_use(controls[1], {"a": 2})
