"""Widgets inside reveal.js: their keys, drags and swipes turn no slide, and the mouse meets what it points at."""

from typing import Any

import pytest
from widget_page import EXPLORERS, one_of_each, ready, value, write_deck

from gencourse.widgets.prediction import POINTS

SLIDE = "Reveal.getIndices().h"
NUMBER, CHOICE, ORDER, CURVE = range(len(EXPLORERS) + 1, len(EXPLORERS) + 5)  # their slides


@pytest.fixture(scope="module")
def deck(tmp_path_factory: pytest.TempPathFactory) -> str:
    shown = [make() for make in EXPLORERS.values()] + one_of_each()
    return write_deck(tmp_path_factory.mktemp("deck"), *shown)


# What a slide shows has come to its place: nothing in it has moved for ten frames.
STANDS = """async () => {
  const all = () => [...document.querySelectorAll("section.present *")].map((el) => el.getBoundingClientRect());
  const places = () => JSON.stringify(all());
  for (let before = "", same = 0; same < 10; ) {
    await new Promise(requestAnimationFrame);
    const now = places();
    same = now === before ? same + 1 : 0;
    before = now;
  }
}"""


def opened(page: Any, slide: int) -> Any:
    ready(page)
    page.wait_for_function("Reveal.isReady()")
    page.evaluate("slide => Reveal.slide(slide)", slide)
    page.wait_for_selector("section.present :is(svg, input, button)")
    page.evaluate(STANDS)
    return page.locator("section.present")


@pytest.mark.parametrize("size", [(1280, 720), (960, 540), (1920, 1080)], ids=["1280", "960", "1920"])
def test_every_explorer_fits_its_slide_and_answers_to_mouse_and_keys(open_page: Any, deck: str, size: Any) -> None:
    page = open_page(deck, *size)
    scale = size[0] / 1280
    for slide in range(1, len(EXPLORERS) + 1):
        present = opened(page, slide)
        slider = present.locator("input[type=range]").first
        title = present.locator(".genlib-explorer").get_attribute("aria-label")
        trait = value(page, "spec", title)["controls"][0]["name"]
        slider.focus()
        page.keyboard.press("Home")
        first = value(page, trait, title)
        page.keyboard.press("ArrowRight")
        second = value(page, trait, title)
        assert second > first
        box = slider.bounding_box()
        page.mouse.move(box["x"] + 10 * scale, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 10 * scale, box["y"] + box["height"] / 2, steps=4)
        page.mouse.up()
        assert value(page, trait, title) > second
        for select in present.locator("select").all():
            select.focus()
            page.keyboard.press("ArrowDown")
        assert page.evaluate(SLIDE) == slide
        widget = present.locator(".genlib-explorer").bounding_box()
        assert widget["y"] + widget["height"] <= size[1]
        assert widget["height"] <= 590 * scale + 1
        sizes = present.evaluate(
            "(slide) => [...slide.querySelectorAll('.genlib-explorer :is(text, span, p, input, select)')].map("
            "(e) => parseFloat(getComputedStyle(e).fontSize))"
        )
        assert min(sizes) >= 18
        page.keyboard.press("Escape")  # gives the keys back
        page.keyboard.press("ArrowRight")
        assert page.evaluate(SLIDE) == slide + 1


def test_predictions_answer_to_mouse_and_keys(open_page: Any, deck: str) -> None:
    page = open_page(deck, 960, 540)
    opened(page, NUMBER).locator("input").fill("3.5")
    page.keyboard.press("Enter")
    assert value(page, "value", "number") == 3.5
    opened(page, CHOICE).locator("input").first.focus()
    page.keyboard.press("ArrowDown")
    assert value(page, "value", "choice") == "about 6"
    opened(page, ORDER).locator("[aria-label='flow: up']").focus()
    page.keyboard.press("Enter")
    assert value(page, "value", "order") == ["flow", "GAN", "diffusion"]
    assert page.evaluate(SLIDE) == ORDER

    present = opened(page, CURVE)
    frame = present.locator("svg rect").bounding_box()
    page.mouse.move(frame["x"], frame["y"] + 1)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"], frame["y"] + frame["height"] - 1, steps=5)
    page.mouse.up()
    line = [2 - 2 * i / (POINTS - 1) for i in range(POINTS)]
    assert value(page, "value", "curve") == pytest.approx(line, abs=0.05)
    present.locator("svg").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    assert page.evaluate(SLIDE) == CURVE


@pytest.mark.parametrize("where", ["svg rect", "h2"])
def test_a_finger_inside_draws_and_outside_turns_the_slide(open_page: Any, deck: str, where: str) -> None:
    page = open_page(deck, has_touch=True)
    box = opened(page, CURVE).locator(where).bounding_box()
    touch = page.context.new_cdp_session(page)

    def finger(kind: str, share: float) -> None:
        point = {"x": box["x"] + share * min(box["width"], 600), "y": box["y"] + box["height"] / 2}
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else [point]})

    finger("touchStart", 0.9)
    for share in (0.7, 0.5, 0.3, 0.1):
        finger("touchMove", share)
    finger("touchEnd", 0.1)
    answer = value(page, "value", "curve")
    if where == "h2":
        page.wait_for_function(f"{SLIDE} === {CURVE + 1}")
        assert answer is None
    else:
        assert len([height for height in answer if height is not None]) > 20
        assert page.evaluate(SLIDE) == CURVE


def test_a_line_that_is_begun_elsewhere_is_none(open_page: Any, deck: str) -> None:
    page = open_page(deck)
    present = opened(page, CURVE)
    heading, frame = (present.locator(where).bounding_box() for where in ("h2", "svg rect"))
    page.mouse.move(heading["x"] + 5, heading["y"] + 5)
    page.mouse.down()
    page.mouse.move(frame["x"] + 100, frame["y"] + 40, steps=5)
    page.mouse.up()
    assert value(page, "value", "curve") is None
