"""Decks in a browser, opened as files: mathematics, widgets by mouse and keyboard, notes, fragments, code, print."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deck as decks
import pypdf
import pytest
import slides

NAMES = sorted(path.stem for path in slides.SOURCES.glob("*.md"))


@pytest.fixture(scope="session")
def built() -> Callable[[str], tuple[decks.Deck, str]]:
    """`built(name)`: a deck and its address as a file; built once, by `make slides` or here."""
    known: dict[str, tuple[decks.Deck, str]] = {}

    def build(name: str) -> tuple[decks.Deck, str]:
        if name not in known:
            out = slides.OUT / name
            deck = decks.read(slides.SOURCES / f"{name}.md")
            if not (out / "index.html").exists():
                slides.build(slides.SOURCES / f"{name}.md", out)
            known[name] = deck, (out / "index.html").as_uri()
        return known[name]

    return build


@pytest.fixture
def opened(open_page: Any, built: Any) -> Callable[[str], Any]:
    """`opened(name)`: a page that shows a deck."""

    def show(name: str) -> Any:
        page = open_page(built(name)[1])
        page.wait_for_selector("html[data-ready]")
        page.evaluate("globalThis.genlibWidgets")
        return page

    return show


def go_to(page: Any, selector: str) -> Any:
    """Turn to the first slide that holds what is asked for, and return that."""
    page.evaluate(
        "(s) => Reveal.slide([...document.querySelectorAll('.slides > section')].findIndex((e) => e.querySelector(s)))",
        selector,
    )
    return page.locator(f".slides > section.present {selector}").first


@pytest.mark.parametrize("name", NAMES)
def test_no_mathematics_is_left_raw(opened: Any, name: str) -> None:
    page = opened(name)
    assert page.evaluate("document.querySelectorAll('.slides mjx-container').length") > 0 or name.startswith("00")
    words = page.evaluate(
        """() => { const copy = document.querySelector(".slides").cloneNode(true);
        copy.querySelectorAll("mjx-container, pre, script, style, code").forEach((e) => e.remove());
        return copy.textContent; }"""
    )
    for raw in ("\\(", "\\[", "$", "\\frac", "\\alpha"):
        assert raw not in words
    assert page.evaluate("document.querySelectorAll('mjx-merror, [data-mjx-error]').length") == 0


@pytest.mark.parametrize("name", NAMES)
def test_every_slide_has_notes_and_time_for_the_speaker(opened: Any, name: str) -> None:
    page = opened(name)
    lacking = page.evaluate(
        """() => [...document.querySelectorAll(".slides > section")].slice(1).filter((slide) => {
          const notes = Reveal.getSlideNotes(slide);
          return !(+slide.dataset.timing > 0 && notes.includes("Say") && notes.includes("Ask"));
        }).length"""
    )
    assert lacking == 0


@pytest.fixture
def planned(open_page: Any, tmp_path: Path) -> Any:
    """A deck of three slides in two sections, 2, 3 and 4 minutes; the first has code, the second may be skipped."""
    notes = "\n::: notes {} min\n**Say** At $x_t$, or x_(t−1).\n\n**Ask** b?\n:::\n"
    text = "---\ntitle: A\nsubtitle: B\nnotebook: 04_diffusion_models\n---\n"
    text += "# First\n## One\n\n+ now\n\n::: widget BetaScheduleExplorer\n:::\n" + notes.format(2)
    text += "## Two {optional}\n\ntext\n" + notes.format(3) + "# Second\n## Three\n\ntext\n" + notes.format(4)
    (tmp_path / "deck.md").write_text(text, encoding="utf-8")
    slides.build(tmp_path / "deck.md", tmp_path / "out")
    page = open_page((tmp_path / "out" / "index.html").as_uri())
    page.wait_for_selector("html[data-ready]")
    page.evaluate("globalThis.genlibWidgets")
    return page


def test_the_speakers_view_shows_notes_section_and_pace_without_a_server(planned: Any) -> None:
    with planned.expect_popup() as popup:
        planned.keyboard.press("s")
    view = popup.value

    def says(name: str) -> str:
        return view.locator(f"#{name}").inner_text()

    assert says("pace") == "time starts with slide 2"
    view.keyboard.press("ArrowRight")
    assert planned.evaluate("Reveal.getIndices().h") == 1, "its keys turn the slides"
    assert says("where") == "2 / 4"
    assert says("section").split() == ["1", "First"]
    assert says("pace") == "on time"
    pace = "of 9:00 · by the plan now at slide 2 · this slide 2 min, until 2:00; then 7 min, of which 3 min"
    assert pace in says("times")
    notes = view.locator("#notes")
    assert notes.locator("mjx-container svg").bounding_box()["width"] > 5
    assert notes.locator("sub").inner_text() == "t−1"
    assert view.locator("#now h2").inner_text() == "One"
    assert view.locator("#coming h2").inner_text() == "Two"
    shown = view.locator("#now li").evaluate("(item) => getComputedStyle(item).opacity")
    assert float(shown) < 0.5, "what is still to come is faint"
    planned.keyboard.press("ArrowRight")
    planned.keyboard.press("ArrowRight")
    assert view.locator("#optional").is_visible()
    assert says("pace") in ("1:59 ahead", "1:58 ahead", "1:57 ahead")

    planned.evaluate("sessionStorage.setItem(`genlib-began ${location.pathname}`, Date.now() - 400_000)")
    view.wait_for_function("document.getElementById('pace').className === 'behind'")
    assert says("pace") in ("1:40 behind", "1:41 behind")
    assert "at slide 4" in says("times")
    view.get_by_role("button", name="Time starts at this slide").click()
    assert says("pace") == "on time"
    assert says("times").startswith("2:00 of 9:00")
    assert view.evaluate("[innerHeight - document.body.scrollHeight, innerWidth - document.body.scrollWidth]") == [0, 0]


def test_the_speakers_view_can_be_read_by_all(planned: Any, axe: Any) -> None:
    with planned.expect_popup() as popup:
        planned.keyboard.press("s")
    planned.keyboard.press("ArrowRight")
    assert axe(popup.value) == []


def test_long_code_is_scrolled_and_closed_by_keys(planned: Any) -> None:
    planned.keyboard.press("ArrowRight")
    planned.evaluate("document.querySelector('section.present .code-behind pre').append('\\n'.repeat(90))")
    code = planned.locator(".slides > section.present .code-behind")

    def top() -> float:
        return code.evaluate("(code) => code.scrollTop")

    planned.keyboard.press("c")
    planned.keyboard.press("ArrowDown")
    assert top() == 60
    planned.evaluate("document.activeElement.blur()")  # the focus need not be there
    planned.keyboard.press("PageDown")
    assert top() > 300
    planned.keyboard.press("End")
    assert top() > 1000
    planned.keyboard.press("Home")
    assert top() == 0
    assert planned.evaluate("Reveal.getIndices().h") == 1
    planned.keyboard.press("Escape")
    assert code.is_hidden()
    assert not planned.evaluate("Reveal.isOverview()")
    planned.keyboard.press("c")
    planned.keyboard.press("End")
    planned.keyboard.press("PageDown")  # nothing is left: the key of a remote control turns the slide
    planned.keyboard.press("PageDown")
    assert planned.evaluate("Reveal.getIndices().h") == 2


def test_tab_stays_on_the_slide_that_is_seen(opened: Any) -> None:
    page = opened("04_diffusion_models")
    go_to(page, ".show-code")
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('section')?.matches('.present') ?? true")
    page.keyboard.press("Escape")
    page.wait_for_function("Reveal.isOverview()")
    page.evaluate("Reveal.getSlides()[3].click()")
    assert page.evaluate("Reveal.getIndices().h") == 3
    assert page.evaluate("Reveal.getSlides().filter((slide) => !slide.inert).length") == 1


def test_c_shows_the_code_and_hides_it(opened: Any) -> None:
    page = opened("04_diffusion_models")
    go_to(page, ".show-code")
    code = page.locator(".slides > section.present .code-behind")
    assert code.is_hidden()
    page.keyboard.press("c")
    assert code.is_visible()
    assert code.inner_text().strip()
    page.keyboard.press("c")
    assert code.is_hidden()
    page.locator(".slides > section.present .show-code").click()
    assert code.is_visible()
    page.keyboard.press("ArrowRight")  # the next slide is not covered, and neither is this one on the way back
    page.keyboard.press("ArrowLeft")
    assert page.locator(".code-behind:visible").count() == 0


@pytest.mark.parametrize(
    "name", ["01_learned_losses", "02_conditional_gans", "03_normalizing_flows", "04_diffusion_models"]
)
def test_a_widget_answers_to_keys_and_mouse_and_the_slide_stays(opened: Any, name: str) -> None:
    page = opened(name)
    slider = go_to(page, ".genlib-explorer input[type=range]:not([disabled])")
    where = page.evaluate("Reveal.getIndices().h")
    text = page.locator(".slides > section.present .genlib-explorer .genlib-text").first
    before = text.inner_text()
    slider.focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    by_keys = text.inner_text()
    assert by_keys != before
    box = slider.bounding_box()
    page.mouse.click(box["x"] + 0.1 * box["width"], box["y"] + box["height"] / 2)
    assert text.inner_text() != by_keys
    assert page.evaluate("Reveal.getIndices().h") == where
    page.keyboard.press("Escape")  # out of the widget; now the key is the deck's
    page.keyboard.press("ArrowRight")
    assert page.evaluate("Reveal.getIndices().h") >= where
    assert page.evaluate("document.activeElement === document.body")


@pytest.mark.parametrize("name", ["02_conditional_gans", "03_normalizing_flows", "04b_learning_and_sampling"])
def test_a_live_model_computes_in_the_deck(opened: Any, name: str) -> None:
    """Opened as a file: the network is loaded by the click, and draws."""
    page = opened(name)
    button = go_to(page, ".output.live").locator("button", has_text="loads")
    widget = page.locator(".slides > section.present .output.live")
    box, art = widget.bounding_box(), widget.locator(".genlib-live-panels").bounding_box()
    assert art["x"] + art["width"] == box["x"] + box["width"], "the slide is used in its width"
    assert art["height"] > 380
    before = widget.screenshot()
    page.evaluate("document.addEventListener('live:drawn', () => { globalThis.drawn = true; })")
    button.click()
    page.wait_for_function("globalThis.drawn")
    assert widget.screenshot() != before
    assert "Nothing new" not in widget.inner_text()


def test_fragments_come_one_at_a_time(opened: Any) -> None:
    page = opened("04_diffusion_models")
    go_to(page, ".fragment")
    page.keyboard.press("ArrowRight")
    assert page.locator(".slides > section.present .fragment.visible").count() == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_deck_can_be_read_by_all(opened: Any, axe: Any, name: str) -> None:
    page = opened(name)
    found = []
    for number in range(page.evaluate("Reveal.getTotalSlides()")):
        page.evaluate("(i) => Reveal.slide(i, 0, 99)", number)
        found += [f"slide {number + 1}: {fault}" for fault in axe(page, ".slides > section.present")]
    assert found == []


def test_a_deck_is_complete_in_its_folder(open_page: Any, built: Any, serve: Any, tmp_path: Path) -> None:
    """Taken away alone, opened from a server, with a network that refuses everything: the guards see no request."""
    built("04_diffusion_models")
    shutil.copytree(slides.OUT / "04_diffusion_models", tmp_path / "deck")
    page = open_page(f"{serve(tmp_path)}/deck/index.html")
    page.wait_for_selector("html[data-ready]")
    page.evaluate("globalThis.genlibWidgets")
    assert page.locator(".genlib-explorer").count() >= 1


def test_a_slide_that_does_not_fit_is_found(open_page: Any, tmp_path: Path) -> None:
    """The measurement that fails the build: a text too long, one too small, a picture beyond the edge."""
    too_much = [
        "word " * 900,
        '<p style="font-size: 12px">small</p>',
        '<img alt="wide" width="2000" height="20" style="flex: none; width: 2000px" src="data:image/gif;base64,'
        'R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==">',
    ]
    notes = "\n::: notes 1 min\n**Say** a.\n\n**Ask** b?\n:::\n"
    text = "---\ntitle: A\nsubtitle: B\nnotebook: 04_diffusion_models\n---\n\n## Fine\n\ntext\n" + notes
    source = tmp_path / "deck.md"
    source.write_text(text + "".join(f"\n## Bad {i}\n\n{bad}\n{notes}" for i, bad in enumerate(too_much)))
    slides.build(source, tmp_path / "out")
    address = (tmp_path / "out" / "index.html").as_uri()
    found = slides.faults(open_page(), address)
    on_paper = slides.printed(open_page(), address, tmp_path / "deck.pdf")
    assert {fault.partition(": ")[2] for fault in found} == {fault.partition(": ")[2] for fault in on_paper}
    for number, words in enumerate(("outside", "12.0 px", "outside")):
        assert any(f"(Bad {number})" in fault and words in fault for fault in found), found
    assert not any("(Fine)" in fault or "slide 1 " in fault for fault in found)


@pytest.mark.parametrize("name", NAMES)
def test_a_printed_slide_is_as_on_the_screen(open_page: Any, built: Any, tmp_path: Path, name: str) -> None:
    """A page for each, with its margins; nothing cut (`slides.printed` measures), and no page without words."""
    deck, address = built(name)
    page = open_page()
    assert slides.printed(page, address, tmp_path / "deck.pdf") == []
    left = "(part) => part.getBoundingClientRect().left - part.closest('.pdf-page').getBoundingClientRect().left"
    assert {heading.evaluate(left) for heading in page.query_selector_all(".pdf-page :is(h1, h2)")} == {56}
    pages = pypdf.PdfReader(tmp_path / "deck.pdf").pages
    assert len(pages) == len(deck.slides) + 1
    assert {tuple(map(float, sheet.mediabox[2:])) for sheet in pages} == {(960, 540)}
    assert min(len(sheet.extract_text()) for sheet in pages) > 10
