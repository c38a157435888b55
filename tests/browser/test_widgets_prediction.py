"""Predictions on a page without a kernel: by mouse, by finger, by keyboard; the answer beside what came out."""

from pathlib import Path
from typing import Any

import pytest
from widget_page import one_of_each, ready, value, write_page

from gencourse.widgets import prediction
from gencourse.widgets.prediction import POINTS

CHOICE, CURVE = 1, 3  # of one_of_each


@pytest.fixture
def page(open_page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(prediction, "_kept", {})
    return ready(open_page(write_page(tmp_path / "page.html", *one_of_each()), height=900))


def test_a_number_and_a_choice_by_keyboard(page: Any) -> None:
    page.keyboard.press("Tab")
    page.keyboard.type("3.5")
    page.keyboard.press("Enter")
    assert value(page, "value", "number") == 3.5
    page.locator("[role=radiogroup] input").first.focus()
    page.keyboard.press("ArrowDown")
    assert value(page, "value", "choice") == "about 6"
    assert page.locator("[role=status]").nth(1).inner_text() == "Kept: about 6"


def test_an_order_by_keyboard_and_by_mouse(page: Any) -> None:
    page.locator("[aria-label='flow: up']").focus()
    page.keyboard.press("Enter")
    assert value(page, "value", "order") == ["flow", "GAN", "diffusion"]
    page.locator("[aria-label='GAN: down']").click()
    assert value(page, "value", "order") == ["flow", "diffusion", "GAN"]


@pytest.mark.parametrize("width", [1280, 390])
def test_a_curve_by_mouse_and_by_keyboard(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function("width => document.querySelector('svg').clientWidth < width", arg=width)
    frame = page.locator("svg rect").bounding_box()
    left, right, top, bottom = (
        frame["x"], frame["x"] + frame["width"], frame["y"], frame["y"] + frame["height"],
    )  # fmt: skip
    page.mouse.move(left, top + 1)
    page.mouse.down()
    page.mouse.move(right, bottom - 1, steps=5)
    page.mouse.up()
    drawn = value(page, "value", "curve")
    assert drawn == pytest.approx([2 - 2 * i / (POINTS - 1) for i in range(POINTS)], abs=0.05)
    page.locator("[aria-label='clear the curve']").click()
    assert value(page, "value", "curve") is None
    page.locator("svg").focus()
    for key in ("ArrowRight", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    assert value(page, "value", "curve")[1] == pytest.approx(0.1)
    assert page.locator("svg").get_attribute("aria-valuetext") == "step 0.25, loss 0.1"


def test_it_fits_a_phone_and_follows_the_size(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate("document.documentElement.style.setProperty('--genlib-size', '18px')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    sizes = page.evaluate(
        "[...document.querySelectorAll('.genlib-prediction :is(text, p, label, input, button, li)')].map("
        "(e) => getComputedStyle(e).fontSize)"
    )
    assert set(sizes) == {"18px"}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_accessible_in_light_and_dark(open_page: Any, tmp_path: Path, axe: Any, dark: bool) -> None:
    asked = one_of_each()
    compared = [asked[CHOICE].compare("about 600"), asked[CURVE].compare([1.0] * POINTS)]
    page = ready(open_page(write_page(tmp_path / "page.html", *asked, *compared, dark=dark), height=900, dark=dark))
    assert axe(page) == []
    sizes = page.evaluate(
        "[...document.querySelectorAll('input, button')].map((e) => Math.min(e.offsetWidth, e.offsetHeight))"
    )
    assert min(sizes) >= 24


def test_the_page_shows_it_beside_the_result(open_page: Any, tmp_path: Path) -> None:
    asked = one_of_each()[CHOICE]
    page = ready(open_page(write_page(tmp_path / "page.html", asked, asked.compare("about 600"))))
    beside = page.locator(".genlib-prediction").nth(1)
    assert "You made no prediction; it is about 600." in beside.inner_text()
    page.locator("[role=radiogroup] input").nth(1).click()
    assert "You predicted about 6; it is about 600." in beside.inner_text()


def test_a_curve_that_came_out_is_no_place_to_answer(open_page: Any, tmp_path: Path) -> None:
    asked = one_of_each()[CURVE]
    asked.value = [0.5] * POINTS
    page = ready(open_page(write_page(tmp_path / "page.html", asked.compare([1.0] * POINTS))))
    lines = "() => ['yours', 'came'].map((name) => document.querySelector(`.genlib-${name}`).getAttribute('d'))"
    before = page.evaluate(lines)
    assert all(before)
    assert before[0] != before[1]
    page.locator("svg").click()
    assert page.evaluate(lines) == before
    assert value(page, "value") == [0.5] * POINTS
