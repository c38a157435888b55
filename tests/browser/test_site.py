"""The site in a browser, opened as files: nothing is cut or raw, links lead somewhere, search finds, axe is content."""

import itertools
import json
import re
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import build_site
import pytest
import site_sources

COURSE = site_sources.contents()
LABS = [entry for entry in COURSE if entry.kind == "lab"]
NOTEBOOKS = [entry.path for entry in COURSE] + [entry.solution for entry in LABS]
TEACHING = [path.removesuffix(".md") for path in site_sources.teaching(solutions=True)]
OTHERS = ["index", "search", "lectures/proofs", "genlib/OWN", "CHANGELOG", "CONTRIBUTING", *TEACHING]
FAMILIES = ("data", "gan", "autoencoder", "flows", "diffusion", "train", "metrics", "optimizers")
REFERENCE = ["reference/index", *(f"reference/{name}" for name in FAMILIES)]
NAMES = [path.removesuffix(".ipynb") for path in NOTEBOOKS] + OTHERS + REFERENCE
# One page of each kind; a solution has all that its blank lab has, and the panels.
KINDS = ["index", "search", "lectures/04_diffusion_models", "solutions/lab_3_diffusion", "reference/diffusion"]
KINDS += ["teach/README", "source/genlib/common.py"]
OPEN = "document.querySelectorAll('details').forEach((details) => (details.open = true))"
# What sticks out of the page and is in no box that scrolls. A box that only hides what sticks out is none.
CUT = """() => {
  const width = document.documentElement.clientWidth;
  const scrolls = (e) => e && e !== document.body
    && (["auto", "scroll"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  return [...document.querySelectorAll(".bd-article *")].filter((e) => {
    const { left, right, width: w } = e.getBoundingClientRect();
    return w && (right > width + 1 || left < -1) && !e.closest("mjx-assistive-mml, svg") && !scrolls(e);
  }).map((e) => `${e.tagName} ${e.className} ${e.textContent.slice(0, 40)}`);
}"""
STROKES = "document.querySelectorAll('mjx-container svg').forEach((svg) => svg.replaceChildren())"
# TeX that was not understood: MathJax shows it, or its error, as text.
TEX = """() => [...document.querySelectorAll("mjx-merror, [data-mjx-error], mjx-assistive-mml mtext")]
  .filter((e) => !e.matches("mtext") || e.textContent.includes("\\\\")).map((e) => e.textContent.slice(0, 60))"""
WIDE = """() => [...document.querySelectorAll(".bd-article .genlib-scrolls")].filter((e) =>
  e.matches(".math, .pst-scrollable-table-container")).map((e) => e.textContent.slice(0, 60))"""
SMALL = "axe.run({ runOnly: ['target-size'], preload: false }).then((found) => found.violations.length)"
RAW = """() => { const copy = document.querySelector(".bd-article, #main-content").cloneNode(true);
  copy.querySelectorAll("mjx-container, pre, code, script, style, .genlib-widget").forEach((e) => e.remove());
  return copy.textContent.match(/\\\\[a-zA-Z(\\[]+|\\$[^$\\n]+\\$/g) ?? []; }"""
UNREACHED = """() => [...document.querySelectorAll(".bd-article *")].filter((e) => {
  const over = getComputedStyle(e).overflowX;
  return ["auto", "scroll"].includes(over) && e.scrollWidth > e.clientWidth + 1 && e.tabIndex < 0
    && !e.querySelector("a, button, input, select, [tabindex='0']") && e.clientWidth > 0;
}).map((e) => `${e.tagName} ${e.className} ${e.textContent.slice(0, 40)}`)"""
STRUCTURE = """() => ({
  titles: document.querySelectorAll(".bd-article h1").length,
  levels: [...document.querySelectorAll(".bd-article :is(h1, h2, h3, h4, h5)")].map((e) => Number(e.tagName[1])),
  silent: [...document.querySelectorAll("img:not([alt])")].length,
})"""


@pytest.fixture(scope="session")
def site() -> Path:
    """The built site; built here where `make site` has not."""
    if not (build_site.OUT / "index.html").exists():
        build_site.build(solutions=True)
    return build_site.OUT


@pytest.fixture
def opened(open_page: Any, site: Path) -> Callable[..., Any]:
    """`opened(name)`: a page whose mathematics is set."""

    def show(name: str, **how: Any) -> Any:
        path = site / f"{name}.html"
        if not path.exists() and name.startswith(site_sources.ANSWERS):
            pytest.skip("built with SOLUTIONS=0")
        page = open_page(path.as_uri(), **how)
        page.wait_for_selector("html[data-genlib=ready]", state="attached", timeout=120_000)
        return page

    return show


@pytest.mark.parametrize("name", NAMES)
def test_on_a_phone_nothing_is_cut_and_nothing_is_raw(opened: Any, name: str) -> None:
    page = opened(name, width=390, height=844)
    page.evaluate(OPEN)
    page.evaluate("genlibPage.settle()")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate(CUT) == []
    assert page.evaluate(WIDE) == []  # formulas break, tables are stacked
    assert page.evaluate(TEX) == []
    assert page.evaluate(UNREACHED) == []
    assert page.evaluate(RAW) == []
    structure = page.evaluate(STRUCTURE)
    levels = structure["levels"]
    assert structure["titles"] == 1 or name == "search"  # its title stands outside an article
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels)), levels
    assert structure["silent"] == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", KINDS)
def test_axe_finds_nothing(opened: Any, axe: Any, name: str, dark: bool) -> None:
    known = json.loads((Path(__file__).parent / "axe_theme.json").read_text(encoding="utf-8"))
    page = opened(name, dark=dark)
    page.evaluate(OPEN)
    page.evaluate(STROKES)
    assert [found for found in axe(page) if not any(re.search(theme, found) for theme in known)] == []


def test_what_is_wide_is_reached_by_the_keyboard_and_shows_how_far_it_goes(opened: Any) -> None:
    page = opened("lectures/04_diffusion_models", width=390, height=844)
    box = page.locator("pre.genlib-scrolls").first
    there = "(box) => ['--before', '--after'].map((name) => box.style.getPropertyValue(name)).join(' ')"
    assert box.evaluate(there) == "0 1"
    box.focus()
    for _ in range(60):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(600)
    assert box.evaluate(there) == "1 0"
    assert "code" in box.get_attribute("aria-label")


def test_a_formula_breaks_its_lines_where_the_page_is_narrow(opened: Any) -> None:
    page = opened("lectures/04b_learning_and_sampling", width=390, height=844)
    page.evaluate(OPEN)
    page.evaluate("genlibPage.settle()")
    count = "document.querySelectorAll('[data-mjx-lineno=\"1\"]').length"
    narrow = page.evaluate(count)
    page.set_viewport_size({"width": 1280, "height": 720})
    page.evaluate("genlibPage.settle()")
    assert narrow > 20
    assert page.evaluate(count) < narrow / 2


def test_a_figure_opens_in_a_size_that_can_be_read(opened: Any) -> None:
    page = opened("lectures/04_diffusion_models", width=390, height=844)
    button = page.locator(".genlib-larger").nth(1)
    small = page.locator(".cell_output img").nth(1).bounding_box()
    button.click()
    shown = page.locator("dialog.genlib-enlarged img")
    assert shown.bounding_box()["width"] >= 2 * small["width"]
    assert shown.get_attribute("alt")
    page.keyboard.press("Escape")
    assert page.locator("dialog.genlib-enlarged").count() == 0
    assert button.evaluate("(button) => button === document.activeElement")


def test_a_widgets_controls_stay_beside_what_they_move(opened: Any) -> None:
    page = opened("lectures/04_diffusion_models", width=390, height=844)
    page.evaluate("globalThis.genlibWidgets")
    page.locator(".genlib-strip").first.scroll_into_view_if_needed()
    page.wait_for_timeout(600)
    controls, pictures = (page.locator(f".genlib-{name}").first.bounding_box() for name in ("controls", "strip"))
    assert controls["y"] >= 0
    assert controls["y"] + controls["height"] <= pictures["y"] <= 844


@pytest.mark.parametrize("name", KINDS)
def test_axe_finds_nothing_on_a_phone(opened: Any, axe: Any, name: str) -> None:
    page = opened(name, width=390, height=844)
    page.evaluate(OPEN)
    page.evaluate("genlibPage.settle()")
    page.evaluate(STROKES)
    assert axe(page) == []
    assert page.evaluate(SMALL) == 0


def test_search_works_from_the_disk_and_does_not_tell_answers(opened: Any, open_page: Any, site: Path) -> None:
    page = open_page((site / "search.html").as_uri() + "?q=posterior")
    page.wait_for_selector("#search-results li a")
    page.wait_for_function("!document.querySelector('#search-results').matches(':has(.search-progress)')")
    page.wait_for_timeout(1000)
    found = page.locator("#search-results li a").evaluate_all(
        "(links) => links.map((link) => link.getAttribute('href'))"
    )
    assert any("04_diffusion_models" in to for to in found)
    assert not any("solutions/" in to or "exam_answers" in to for to in found)


@pytest.mark.parametrize("width", [390, 1280])
def test_light_and_dark_are_chosen_by_a_button(opened: Any, axe: Any, width: int) -> None:
    page = opened("lectures/00_start_here", width=width)
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    light = page.evaluate(ground)
    button = page.locator(".bd-header-article .theme-switch-button").first
    choice = page.locator('.bd-header-article .theme-change-button[data-mode="dark"]').first
    button.click()
    assert axe(page, ".bd-header-article") == []
    choice.click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate(ground) != light
    assert not choice.is_visible()
    button.click()
    page.keyboard.press("Escape")
    assert not choice.is_visible()


def test_previous_and_next_follow_the_course(opened: Any) -> None:
    page = opened("lectures/02_conditional_gans")
    assert page.locator("a.left-prev").get_attribute("href") == "01_learned_losses.html"
    assert page.locator("a.right-next").get_attribute("href") == "../labs/lab_1_conditional_gan.html"


def test_the_first_tab_skips_to_the_text(opened: Any) -> None:
    page = opened("lectures/00_start_here")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main-content"


@pytest.mark.parametrize("entry", LABS, ids=lambda entry: Path(entry.path).stem)
def test_worked_answers_show_after_one_click(opened: Any, entry: Any) -> None:
    page = opened(entry.solution.removesuffix(".ipynb"))
    cell = page.locator(".genlib-answers div.cell").first
    assert not cell.is_visible()
    assert "worked answers" in page.title()
    page.locator(".genlib-answers > summary").click()
    assert cell.is_visible()
    page.get_by_role("link", name="Back to the lab").click()
    assert page.url.endswith(entry.path.replace(".ipynb", ".html"))


def test_a_widget_answers_in_the_page(opened: Any) -> None:
    page = opened("lectures/04_diffusion_models")
    page.evaluate("globalThis.genlibWidgets")
    number = page.locator(".genlib-widget input").first
    number.scroll_into_view_if_needed()
    before = page.locator(".genlib-widget").first.inner_text()
    number.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    assert page.locator(".genlib-widget").first.inner_text() != before


class Links(HTMLParser):
    """What a page links to or loads, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.to: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(unescape(value))
            asks = name in ("href", "src") and tag in ("a", "img", "script", "link")
            if asks and value and not value.startswith(("data:", "mailto:")):
                self.to.append(("" if tag == "a" else "loaded ") + value)


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_outside(site: Path) -> None:
    others = ("_static", "slides", "handouts")
    paths = [path for path in site.rglob("*.html") if path.relative_to(site).parts[0] not in others]
    pages = {path.resolve(): Links(path.read_text(encoding="utf-8")) for path in paths}
    lost = []
    for path, links in pages.items():
        for link in links.to:
            to = urlsplit(link.removeprefix("loaded "))
            if to.scheme or to.netloc:
                lost += [f"{path.name}: {link}"] if link.startswith("loaded ") else []
                continue
            target = (path.parent / unquote(to.path)).resolve() if to.path else path
            later = target.relative_to(site.resolve()).parts[:1] in (("slides",), ("handouts",))
            there = target.exists() or later
            if there and to.fragment and target in pages:
                there = unquote(to.fragment) in pages[target].anchors
            lost += [] if there else [f"{path.name}: {link}"]
    assert lost == []
