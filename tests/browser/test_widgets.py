"""Explorers on a page without a kernel, as the site has them: by mouse, by keyboard, on a phone, in the dark."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from widget_page import EXPLORERS, ready, value, write_page

from gencourse.widgets.explorer import Explorer

LABELS = {
    "beta": ("step t", "t"),
    "masks": ("number of layers", "n_layers"),
    "warp": ("layer (0: data, 8: base)", "layer"),
    "losses": ("generated point y", "place"),
    "lambda": ("λ, weight of L1", "place"),
    "ways": ("steps taken", "taken"),
}
TEXT = "document.querySelector('.genlib-text').textContent"
# The pixels of one canvas, as [r, g, b, a] in a row.
PIXELS = """k => { const canvas = document.querySelectorAll("canvas")[k];
  if (!canvas) return false; // not drawn yet
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Array.from({ length: data.length / 4 }, (_, i) => [...data.subarray(4 * i, 4 * i + 4)]); }"""
CUT = """() => {
  const outside = (part, frame) => {
    const [a, b] = [part, frame].map((e) => e.getBoundingClientRect());
    return a.width && (a.left < b.left - 2 || a.right > b.right + 2 || a.bottom > b.bottom + 2);
  };
  const root = document.querySelector(".genlib-explorer");
  const parts = root.querySelectorAll("text, canvas, input, select, .genlib-caption, .genlib-text, .genlib-control");
  const frame = (e) => e.closest("svg") ?? e.closest(".genlib-figure") ?? root;
  return [...parts].filter((e) => outside(e, frame(e))).map((e) => e.outerHTML);
}"""
COLOURS = """() => { // of what is drawn, on what is behind it
  const ink = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  const paper = getComputedStyle(document.body).backgroundColor;
  return [...document.querySelectorAll(".genlib-curve, .genlib-axis, .genlib-dots, .genlib-swatch")].map((e) => {
    const style = getComputedStyle(e);
    for (const colour of ["white", paper, e.localName === "i" ? style.backgroundColor : style.stroke]) {
      ink.fillStyle = colour;
      ink.fillRect(0, 0, 1, 1);
    }
    return [...ink.getImageData(0, 0, 1, 1).data].slice(0, 3);
  });
}"""


class Shown:
    """One explorer on a page."""

    def __init__(self, page: Any, widget: Explorer) -> None:
        self.page, self.widget = page, widget

    def pixels(self, k: int) -> list[list[int]]:
        """Of a canvas, once it is there."""
        return self.page.wait_for_function(PIXELS, arg=k).json_value()

    def press(self, label: str, *keys: str) -> None:
        self.page.locator(f"[aria-label='{label}']").focus()
        for key in keys:
            self.page.keyboard.press(key)

    def get(self, name: str) -> Any:
        return value(self.page, name)

    def check(self) -> None:
        """The text is what Python says of the values that the page shows."""
        for name in self.widget.values():
            setattr(self.widget, name, self.get(name))
        assert self.page.evaluate(TEXT) == re.sub(r"_(\w)", r"\1", self.widget.text())


@pytest.fixture
def show(open_page: Any, tmp_path: Path) -> Callable[..., Shown]:
    def one(name: str, width: int = 930, dark: bool = False, style: str = "", **chosen: Any) -> Shown:
        widget = EXPLORERS[name](**chosen)
        address = write_page(tmp_path / "page.html", widget, dark=dark, style=style)
        return Shown(ready(open_page(address, width=width, dark=dark)), widget)

    return one


@pytest.mark.parametrize("name", EXPLORERS)
def test_by_keyboard_and_by_mouse(show: Any, name: str) -> None:
    shown = show(name)
    label, trait = LABELS[name]
    shown.press(label, "Home")
    first = shown.get(trait)
    shown.check()
    shown.press(label, "ArrowRight")
    assert shown.get(trait) == first + 1
    shown.check()
    box = shown.page.locator(f"[aria-label='{label}']").bounding_box()
    shown.page.mouse.click(box["x"] + box["width"] - 10, box["y"] + box["height"] / 2)
    assert shown.get(trait) > first + 1
    shown.check()
    for select in shown.page.locator("select").all():
        select.select_option(index=1)
        shown.check()


@pytest.mark.parametrize("name", EXPLORERS)
def test_everything_can_be_reached_by_tab_and_has_a_name(show: Any, name: str) -> None:
    shown = show(name)
    inputs = shown.page.evaluate(
        """[...document.querySelectorAll('.genlib-explorer :is(input, select)')].filter((e) => e.offsetParent).map(
        (e) => [e.ariaLabel, e.dataset.lmSuppressShortcuts, Math.min(e.offsetWidth, e.offsetHeight)])"""
    )
    assert all(label and quiet == "true" and size >= 24 for label, quiet, size in inputs)
    names = [label for label, *_ in inputs]
    assert len(set(names)) == len(names)
    reached = []
    for _ in names:
        shown.page.keyboard.press("Tab")
        reached.append(shown.page.evaluate("document.activeElement.ariaLabel"))
        assert shown.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached == names
    assert shown.page.evaluate("[...document.querySelectorAll('[role=img]')].every((e) => e.ariaLabel)")
    assert shown.page.evaluate("document.querySelectorAll('[id]').length") == 0  # so no two can clash
    classes = "[...document.querySelectorAll('.genlib-explorer *')].flatMap((e) => [...e.classList])"
    assert all(name.startswith("genlib-") for name in shown.page.evaluate(classes))


@pytest.mark.parametrize("name", EXPLORERS)
def test_it_fits_and_nothing_is_cut(show: Any, name: str) -> None:
    """In JupyterLab at 1280 with the file browser open, in a deck, on a page, on two phones."""
    shown = show(name)
    for width, size in ((876, 15), (1184, 18), (700, 15), (390, 15), (320, 15)):
        shown.page.set_viewport_size({"width": width, "height": 900})
        shown.page.evaluate("size => document.documentElement.style.setProperty('--genlib-size', size)", f"{size}px")
        shown.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        least, tall, wide = shown.page.evaluate(
            """() => { const root = document.querySelector('.genlib-explorer');
            const size = (e) => parseFloat(getComputedStyle(e).fontSize);
            return [Math.min(...[...root.querySelectorAll('text, span, p, input, select')].map(size)),
              root.offsetHeight, document.documentElement.scrollWidth]; }"""
        )
        assert least == pytest.approx(size)
        assert wide <= width
        if width >= 700:
            assert tall <= 590
        assert shown.page.evaluate(CUT) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", EXPLORERS)
def test_it_is_accessible_in_light_and_dark(show: Any, axe: Any, name: str, dark: bool) -> None:
    shown = show(name, dark=dark)
    assert axe(shown.page, ".genlib-explorer") == []
    colours = shown.page.evaluate(COLOURS)
    assert len(colours) >= 3
    paper = luminance([0x12] * 3) if dark else 1.0
    for colour in colours:
        bright, dim = sorted((luminance(colour), paper), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 3, colour


def luminance(colour: list[int]) -> float:
    parts = [c / 255 for c in colour]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_screen_reader_is_told_once_the_picture_has_come_to_rest(open_page: Any, tmp_path: Path) -> None:
    page = open_page(width=930)
    page.clock.install()
    page.goto(write_page(tmp_path / "page.html", EXPLORERS["beta"]()))
    page.clock.run_for(2000)
    said = "document.querySelector('[aria-live]').textContent"
    page.wait_for_function(f"{said} === {TEXT} && {TEXT} !== ''")
    before = page.evaluate(said)
    page.locator("[aria-label='step t']").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
        page.clock.run_for(100)
    assert page.evaluate(said) == before != page.evaluate(TEXT)
    page.clock.run_for(700)
    assert page.evaluate(said) == page.evaluate(TEXT)


def test_parameters_are_continuous_though_no_kernel_answers(show: Any) -> None:
    shown = show("beta")
    shown.press("number of steps T, exact value", "Control+a", *"317", "Enter")
    assert (shown.get("T"), shown.get("t")) == (317, 79)  # t keeps its place
    shown.press("β T at T = 1000, exact value", "Control+a", *"0.0123", "Enter")
    shown.check()
    shown.press("β 1 at T = 1000", *["ArrowRight"] * 7)
    assert shown.get("beta_1") == 0.0015
    shown.check()
    shown.press("schedule", "ArrowDown")
    assert shown.page.locator("[aria-label='offset s']").is_visible()
    assert not shown.page.locator("[aria-label='β T at T = 1000']").is_visible()
    shown.press("offset s", "End")
    shown.check()
    assert shown.page.locator(".genlib-note").text_content() == ""

    shown = show("masks", mask="random")
    shown.press("seed", "End")
    shown.press("side of the picture, exact value", "Control+a", "6", "Enter")
    assert (shown.get("seed"), shown.get("size")) == (19, 6)
    shown.check()


def test_the_digits_are_the_bytes_that_python_sent(show: Any) -> None:
    shown = show("beta", t=321)
    drawn = shown.widget.drawn()
    for k in (0, 9):
        grey = [pixel[0] for pixel in shown.pixels(k)]
        assert grey == drawn["digits"][drawn["level"][321], k].flatten().tolist()


def test_masks_and_patterns_are_drawn_as_python_has_them(show: Any) -> None:
    shown = show("masks", mask="random", size=3, n_layers=3)
    shown.press("number of layers", "ArrowRight")
    drawn, ink = shown.widget.drawn(), []
    for k in range(9):
        pixels = shown.pixels(k)
        table = drawn["masks" if k < 4 else "layers" if k < 8 else "composed"].flatten()
        bit = k % 4 + 1 if k < 8 else 4
        assert [pixel[3] == 255 for pixel in pixels] == (table >> bit & 1 == 1).tolist()
        ink.append({tuple(pixel[:3]) for pixel in pixels if pixel[3]})
    recent = drawn["composed"].flatten() >> 3 & 3 == 2  # set in bit 4, not in bit 3
    assert [pixel == [0xD5, 0x5E, 0x00, 255] for pixel in pixels] == recent.tolist()
    assert ink == [{(0x00, 0x9E, 0x73)}] * 4 + [{(0x00, 0x72, 0xB2)}] * 4 + [{(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)}]


def test_the_plane_is_drawn_as_python_sent_it_and_the_legend_has_what_is_seen(show: Any) -> None:
    shown = show("warp")
    lines = "() => document.querySelector('.genlib-lines').getAttribute('d')"
    dots = "() => [...document.querySelectorAll('.genlib-dots')].map((e) => e.getAttribute('d'))"
    entries = "[...document.querySelectorAll('.genlib-entry')].filter((e) => e.offsetParent)"
    legend = f"() => {entries}.map((e) => e.innerText)"
    drawn = shown.widget.drawn()
    for layer in (1, 8):
        shown.press("layer (0: data, 8: base)", "ArrowRight" if layer == 1 else "End")
        numbers = [int(v) for v in re.findall(r"-?\d+", shown.page.evaluate(lines))]
        assert numbers == drawn["grid"][layer].flatten().tolist()
        for colour, path in enumerate(shown.page.evaluate(dots)):
            points = [int(v) for v in re.findall(r"-?\d+", path.replace("h0", " "))]
            assert points == drawn["samples"][layer][drawn["colour"] == colour].flatten().tolist()
        ink = [pixel[3] for pixel in shown.pixels(0)]
        assert ink == drawn["density"][layer].flatten().tolist()
    assert len(shown.page.evaluate(legend)) == 4 + 1 + 1 + 3
    shown.press("show", "ArrowDown")
    assert shown.get("show") == "grid"
    assert shown.page.evaluate(lines)
    assert not any(shown.page.evaluate(dots))
    assert not any(pixel[3] for pixel in shown.pixels(0))
    assert shown.page.evaluate(legend)[0] == "a square grid of the base"
    assert len(shown.page.evaluate(legend)) == 1 + 3
    assert shown.page.get_attribute(".genlib-plane > svg", "aria-label") == "the plane after 8 layers: grid"


def test_the_ways_are_drawn_as_python_walked_them(show: Any) -> None:
    shown = show("ways", eta=0.5, steps=8)
    trails = "() => [...document.querySelectorAll('.genlib-trail')].map((e) => e.getAttribute('d'))"
    heights = """() => { const axis = document.querySelector(".genlib-axis").getBBox();
      return [...document.querySelectorAll(".genlib-dots")].flatMap((e) => [...e.getAttribute("d").matchAll(
        /M(\\S+) (\\S+)h0/g)].map(([, x, y]) => [Number(x), 1 - 2 * (y - axis.y) / axis.height])); }"""
    clip = """() => { const { x, y, width, height } = document.querySelector(".genlib-ways svg svg").viewBox.baseVal;
      return [x, y, width, height]; }"""
    for eta in (0.5, 1.0):
        if eta == 1.0:
            shown.press("noise η (0: ODE, 1: SDE)", "ArrowRight")
        assert shown.get("eta") == eta
        shown.check()
        drawn = shown.widget.drawn()["paths"]
        above = drawn[0] > 0
        for trail, part in zip(shown.page.evaluate(trails), (drawn[:, above], drawn[:, ~above]), strict=True):
            numbers = [[int(v) for v in re.findall(r"-?\d+", path)] for path in trail.split("M")[1:]]
            assert [path[::2] for path in numbers] == [list(range(9))] * part.shape[1]
            assert [path[1::2] for path in numbers] == part.T.tolist()
    shown.press("steps taken", "Home", *["ArrowRight"] * 3)
    assert shown.page.evaluate(clip) == [0, -4000, 3, 8000]
    places = shown.page.evaluate(heights)
    row = drawn[3] / 4000
    row = [*row[above], *row[~above]]
    assert [y for _, y in places] == pytest.approx([y for y in row if abs(y) <= 1], abs=2e-3)
    assert len({x for x, _ in places}) == 1
    assert "steps taken" in shown.page.evaluate("document.activeElement.ariaLabel")
    shown.page.locator("[aria-label='number of steps']").select_option("32")
    assert (shown.get("taken"), shown.get("steps")) == (12, 32)  # at the same noise level
    shown.widget.steps = 32  # which have to be there before the twelfth is taken
    shown.check()
    names = shown.page.evaluate("[...document.querySelectorAll('svg text')].map((e) => e.textContent)")
    assert {"20", "5", "2", "1", "0.5", "0", "noise level σ = √((1 − ᾱ)/ᾱ)", "density", "x"} <= set(names)


def test_axes_and_sliders_carry_the_quantity(show: Any) -> None:
    shown = show("lambda")
    texts = shown.page.evaluate("[...document.querySelectorAll('svg text')].map((e) => e.textContent)")
    assert all(texts.count(lam) >= 2 for lam in ("1", "5", "20", "100", "λ, weight of L1"))
    said = "[aria-label='λ, weight of L1']"
    shown.press("λ, weight of L1", "End")
    assert shown.page.get_attribute(said, "aria-valuetext") == "100"
    shown.press("λ, weight of L1, exact value", "Control+a", *"17", "Enter")
    assert shown.get("place") == 3  # the nearest there is, λ = 20
    assert shown.page.input_value("[aria-label='λ, weight of L1, exact value']") == "20"
    shown.check()

    shown = show("losses")
    shown.press("generated point y, exact value", "Control+a", *"-1.52", "Enter")
    assert shown.get("place") == 25  # y = −1.5
    shown.check()
    texts = shown.page.evaluate("[...document.querySelectorAll('svg text')].map((e) => e.textContent)")
    assert texts.count("−4") == texts.count("4") == 4


def test_every_step_is_drawn(show: Any) -> None:
    """How soon, benchmarks/widget_latency.py measures."""
    shown = show("beta")
    shown.page.evaluate(
        "() => { window.drawings = 0; document.addEventListener('explorer:drawn', () => { drawings += 1; }); }"
    )
    shown.press("step t", *["ArrowRight"] * 20)
    assert shown.page.evaluate("drawings") == 20
