"""Predictions: kept under their question, shown beside what came out, by mouse and by keyboard."""

import shutil
from typing import Any

import pytest
import torch

from gencourse.widgets import Prediction
from gencourse.widgets import prediction as module
from gencourse.widgets.prediction import POINTS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


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


# -- In a browser

PAGE = """<!DOCTYPE html><title>test</title><style>{css}</style><body><script type="module">
const {{ default: widget }} = await import("/prediction.js");
window.show = (state) => {{
  const handlers = [];
  const model = {{
    get: (name) => state[name],
    set: (name, value) => {{ state[name] = value; handlers.forEach((f) => f()); }},
    save_changes: () => {{ window.saved = state.value; }},
    on: (name, f) => handlers.push(f),
    off: () => {{}},
  }};
  const el = document.body.appendChild(document.createElement("div"));
  widget.render({{ model, el }});
}};
window.ready = true;
</script>"""


@pytest.fixture(scope="module")
def browser() -> Any:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, and a browser")
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Any:
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route("http://widget.test/**", lambda route: route.fulfill(
        body=Prediction._esm if route.request.url.endswith(".js") else PAGE.format(css=Prediction._css),
        content_type="text/javascript" if route.request.url.endswith(".js") else "text/html; charset=utf-8",
    ))  # fmt: skip
    page.goto("http://widget.test/")
    page.wait_for_function("window.ready")
    yield page
    assert not errors
    page.close()


def show(page: Any, widget: Prediction) -> None:
    names = ("kind", "question", "spec", "value", "result")
    page.evaluate("state => show(state)", {name: getattr(widget, name) for name in names})


def test_a_number_and_a_choice_by_keyboard(page: Any) -> None:
    number, choice, *_ = one_of_each()
    show(page, number)
    page.keyboard.press("Tab")
    page.keyboard.type("3.5")
    page.keyboard.press("Enter")
    assert page.evaluate("saved") == 3.5
    show(page, choice)
    page.locator("[role=radiogroup] input").first.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("saved") == "about 6"
    assert page.locator("[role=status]").nth(1).inner_text() == "Kept: about 6"


def test_an_order_by_keyboard(page: Any) -> None:
    show(page, one_of_each()[2])
    page.locator("[aria-label='flow: up']").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("saved") == ["flow", "GAN", "diffusion"]
    page.locator("[aria-label='GAN: down']").click()
    assert page.evaluate("saved") == ["flow", "diffusion", "GAN"]


def test_a_curve_by_mouse_and_by_keyboard(page: Any) -> None:
    show(page, one_of_each()[3])
    box = page.locator("svg").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 600, box["y"] + 200, steps=5)
    page.mouse.up()
    drawn = page.evaluate("saved")
    assert len(drawn) == POINTS
    heights = [v for v in drawn if v is not None]
    assert len(heights) > 35
    assert heights[0] > 1.5 > 0.5 > heights[-1]
    page.locator("[aria-label='clear the curve']").click()
    assert page.evaluate("saved") is None
    page.locator("svg").focus()
    for key in ("ArrowRight", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    assert page.evaluate("saved")[1] == pytest.approx(0.1)


def test_the_page_shows_it_beside_the_result_without_a_kernel(page: Any) -> None:
    asked = one_of_each()[1]
    show(page, asked)
    show(page, asked.compare("about 600"))
    beside = page.locator(".genlib-prediction").nth(1)
    assert "You made no prediction; it is about 600." in beside.inner_text()
    page.locator("[role=radiogroup] input").nth(1).click()
    assert "You predicted about 6; it is about 600." in beside.inner_text()
