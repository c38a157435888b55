"""Widgets in a real browser: explorer.js with a keyboard alone, with a kernel, and without one.

The page holds only explorer.js and a stand-in for the model that anywidget hands it; the kernel, where there is one, is
the real widget in this process. JupyterLab itself is measured by benchmarks/widget_latency.py.
"""

import base64
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from gencourse import widgets
from gencourse.widgets import CouplingMaskExplorer, FlowWarpExplorer
from gencourse.widgets.explorer import Explorer

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, and a browser")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

# A model as anywidget hands it to `render`: Backbone's events, in as many lines as the test needs.
MODEL = """
const bytes = (base64) => new DataView(Uint8Array.from(atob(base64), (c) => c.charCodeAt()).buffer);
const decode = (x) => x && x.base64 !== undefined ? bytes(x.base64)
  : Array.isArray(x) ? x.map(decode)
  : x && typeof x === "object" ? Object.fromEntries(Object.entries(x).map(([k, v]) => [k, decode(v)])) : x;
function makeModel(state, kernel) {
  const handlers = {}, changed = {};
  state = decode(state);
  const receive = (answer) => {
    for (const [name, value] of Object.entries(answer)) {
      state[name] = decode(value);
      model.fire(name === "custom" ? "msg:custom" : `change:${name}`);
    }
  };
  const model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = changed[name] = value; model.fire(`change:${name}`); },
    save_changes: () => { kernel?.({ ...changed }).then(receive); for (const k in changed) delete changed[k]; },
    send: (content) => kernel?.({ custom: content }).then(receive),
    on: (name, f) => (handlers[name] ??= []).push(f),
    off: (name, f) => { handlers[name] = (handlers[name] ?? []).filter((g) => g !== f); },
    fire: (name) => (handlers[name] ?? []).forEach((f) => f(model)),
    listeners: () => Object.values(handlers).flat().length,
  };
  return model;
}
window.show = async (state, withKernel) => {
  window.model = makeModel(state, withKernel ? window.kernel : undefined);
  window.module = await import("/explorer.js");
  window.views = [];
  addView();
};
window.addView = () => {
  const el = document.body.appendChild(document.createElement("div"));
  views.push({ el, close: module.default.render({ model, el }) });
};
"""


def encode(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: encode(part) for key, part in value.items()}
    return [encode(part) for part in value] if isinstance(value, list) else value


class Page:
    """One widget on a page, driven by keys."""

    def __init__(self, page: Any, widget: Explorer, kernel: bool) -> None:
        self.page, self.widget, self.errors = page, widget, []
        self.alive = True
        self.controls = tuple(widget.values())
        self.names = ("spec", "frames", "live", "shared", *self.controls)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.route("http://widget.test/**", self._serve)
        page.goto("http://widget.test/")
        page.expose_function("kernel", self._kernel)
        state = {name: encode(getattr(widget, name)) for name in self.names}
        page.evaluate("([state, kernel]) => show(state, kernel)", [state, kernel])
        page.wait_for_selector(".genlib-explorer svg path")

    def _serve(self, route: Any) -> None:
        if route.request.url.endswith("explorer.js"):
            route.fulfill(body=str(self.widget._esm), content_type="text/javascript")
        else:
            page = f"<!DOCTYPE html><title>test</title><style>{self.widget._css}</style><script>{MODEL}</script><body>"
            route.fulfill(body=page, content_type="text/html; charset=utf-8")

    def _kernel(self, changes: dict[str, Any]) -> dict[str, Any]:
        if not self.alive:
            return {}
        if "custom" in changes:
            return {"custom": "here"}
        before = {name: getattr(self.widget, name) for name in self.names}
        self.widget.set_state(changes)
        return {n: encode(getattr(self.widget, n)) for n in self.names if getattr(self.widget, n) is not before[n]}

    def press(self, label: str, *keys: str) -> None:
        self.page.locator(f"[aria-label='{label}']").first.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def get(self, name: str) -> Any:
        return self.page.evaluate("name => model.get(name)", name)

    def text(self) -> str:
        return self.page.evaluate("document.querySelector('.genlib-explorer [aria-live]').textContent")

    def note(self) -> str:
        return self.page.evaluate("document.querySelector('.genlib-explorer [role=status]').textContent")

    def expected_text(self) -> str:
        """What Python says of the values that the page shows, with subscripts instead of underscores."""
        values = {name: self.get(name) for name in self.controls}
        return re.sub(r"_(\w)", r"\1", type(self.widget)(**values).text())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Any]:
    pages = []

    def show(
        kind: type[Explorer] = widgets.BetaScheduleExplorer, kernel: bool = False, width: int = 1000, **chosen: Any
    ) -> Page:
        page = browser.new_page(viewport={"width": width, "height": 900})
        pages.append(Page(page, kind(**chosen), kernel))
        return pages[-1]

    yield show
    for page in pages:
        page.page.close()
        assert page.errors == []


def test_every_input_can_be_used_by_keyboard_and_screen_reader(opened: Any) -> None:
    page = opened()
    inputs = page.page.evaluate(
        """[...document.querySelectorAll('.genlib-explorer :is(input, select, button, textarea)')].map((e) => ({
        label: e.ariaLabel, quiet: e.dataset.lmSuppressShortcuts, tab: e.tabIndex, tag: e.localName}))"""
    )
    assert len(inputs) == 12
    assert all(i["label"] and i["quiet"] == "true" and i["tab"] >= 0 for i in inputs)
    assert len({i["label"] for i in inputs}) == len(inputs)
    assert page.page.evaluate("[...document.querySelectorAll('[role=img]')].every((e) => e.ariaLabel)")
    assert page.page.evaluate("document.querySelectorAll('[id]').length") == 0  # so no two can clash
    reached = []
    for _ in range(10):  # all that is shown: the offset s belongs to the other schedule
        page.page.keyboard.press("Tab")
        reached.append(page.page.evaluate("document.activeElement.ariaLabel"))
        assert page.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached == [i["label"] for i in inputs if "offset" not in i["label"]]


def test_keys_move_t_and_everything_follows_without_a_kernel(opened: Any) -> None:
    page = opened()
    dots = "() => [...document.querySelectorAll('circle')].map((c) => Number(c.getAttribute('cx')))"
    pixels = "() => document.querySelector('canvas').getContext('2d').getImageData(0, 0, 8, 8).data.join()"
    before, strip = page.page.evaluate(dots), page.page.evaluate(pixels)
    page.press("step t", *["ArrowRight"] * 3, "PageUp")
    assert page.get("t") > 253
    assert all(b > a for a, b in zip(before, page.page.evaluate(dots), strict=True))
    assert page.page.evaluate(pixels) != strip
    assert page.text() == page.expected_text()
    page.press("step t", "End")
    assert page.get("t") == 1000
    assert page.text() == page.expected_text()


def test_the_strip_shows_the_bytes_that_python_sent(opened: Any) -> None:
    page = opened(t=321)
    drawn = page.widget.drawn()
    for k in (0, 9):
        grey = page.page.evaluate(
            """k => [...document.querySelectorAll('canvas')[k].getContext('2d').getImageData(0, 0, 8, 8).data]
            .filter((_, i) => i % 4 === 0)""", k,
        )  # fmt: skip
        assert grey == drawn["digits"][drawn["level"][321], k].flatten().tolist()


def test_all_presets_are_alive_without_a_kernel(opened: Any) -> None:
    page = opened()
    page.press("number of steps T", "ArrowLeft")
    assert (page.get("T"), page.get("t")) == (100, 25)  # t keeps its place
    page.press("last β T", "Home")
    assert page.get("beta_T") == 0.005
    page.press("first β 1", "End")
    assert page.get("beta_1") == 0.005
    assert page.text() == page.expected_text()
    page.press("schedule", "ArrowDown")
    assert page.get("schedule") == "cosine"
    assert page.page.locator("[aria-label='offset s']").is_visible()
    assert not page.page.locator("[aria-label='last β T']").is_visible()
    page.press("digit", "ArrowUp")
    assert page.get("digit") == 2
    assert page.text() == page.expected_text()
    assert page.note() == ""


def test_without_a_kernel_other_values_snap_to_the_nearest_preset_and_it_says_so(opened: Any) -> None:
    page = opened()
    page.press("number of steps T, exact value", "Control+a", "1", "5", "0", "Enter")
    assert page.get("T") == 100
    assert page.note() == (
        "No kernel answers, so this is the nearest stored choice: number of steps T = 100 (stored: 20, 100, 1000)."
    )
    assert page.text() == page.expected_text()
    page.press("step t", "ArrowRight")
    assert page.note() == ""


def test_with_a_kernel_parameters_are_continuous(opened: Any) -> None:
    page = opened(kernel=True)
    page.page.wait_for_function("document.querySelector('[aria-label=\"number of steps T\"]').max > 2")
    page.press("number of steps T, exact value", "Control+a", "1", "5", "0", "Enter")
    page.page.wait_for_function("document.querySelector('[aria-live]').textContent.includes('of 150')")
    assert (page.widget.T, page.widget.t) == (150, 38)
    assert page.text() == page.expected_text()
    page.press("last β T", "ArrowRight")
    page.page.wait_for_function("model.get('live').key.beta_T === 0.03")
    assert page.text() == page.expected_text()
    assert page.note() == ""


def test_a_kernel_that_dies_is_noticed(opened: Any) -> None:
    page = opened(kernel=True)
    page.page.wait_for_function("document.querySelector('[aria-label=\"number of steps T\"]').max > 2")
    page.alive = False
    page.press("number of steps T", "ArrowLeft")
    assert page.get("T") == 950
    page.page.wait_for_function("model.get('T') === 1000")
    assert page.note().startswith("No kernel answers")
    assert page.text() == page.expected_text()


def test_two_views_of_one_widget_move_together_and_close_without_a_trace(opened: Any) -> None:
    page = opened()
    once = page.page.evaluate("model.listeners()")
    page.page.evaluate("addView()")
    page.page.wait_for_function("document.querySelectorAll('svg path').length === 12")
    page.press("step t", "ArrowRight")
    texts = page.page.evaluate("[...document.querySelectorAll('[aria-live]')].map((e) => e.textContent)")
    assert texts[0] == texts[1] == page.expected_text()
    page.page.evaluate("views[1].close(), views[1].el.remove()")
    assert page.page.evaluate("model.listeners()") == once
    page.page.evaluate("views[0].close(), views[0].el.remove()")
    assert page.page.evaluate("model.listeners()") == 0


def test_a_change_from_python_is_drawn(opened: Any) -> None:
    page = opened()
    page.page.evaluate("model.set('T', 100)")  # for a moment t = 250 lies beyond it
    assert page.text().startswith("Step 100 of 100")
    page.page.evaluate("model.set('t', 7)")
    assert page.text() == page.expected_text()


@pytest.mark.parametrize("width", [320, 560, 700, 1200])
def test_nothing_is_wider_than_the_page(opened: Any, width: int) -> None:
    page = opened(width=width)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    page.page.set_viewport_size({"width": 500, "height": 900})
    page.page.wait_for_function("document.querySelector('svg').clientWidth < 500")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 500
    smallest = page.page.evaluate(
        "Math.min(...[...document.querySelectorAll('.genlib-explorer :is(text, span, p, input, select)')]"
        ".map((e) => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert smallest >= 15


# The pixels of one canvas, as 0xRRGGBBAA in a row.
PIXELS = """k => { const canvas = document.querySelectorAll("canvas")[k];
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Array.from({ length: data.length / 4 }, (_, i) => [...data.subarray(4 * i, 4 * i + 4)]); }"""


def test_masks_and_patterns_are_drawn_as_python_sent_them(opened: Any) -> None:
    page = opened(CouplingMaskExplorer, mask="random", size=3, n_layers=3)
    page.press("number of layers", "ArrowRight")
    assert page.get("n_layers") == 4
    assert page.text() == page.expected_text()
    drawn, ink = page.widget.drawn(), []
    for k in range(9):
        pixels = page.page.evaluate(PIXELS, k)
        table = drawn["masks" if k < 4 else "layers" if k < 8 else "composed"].flatten()
        bit = k % 4 + 1 if k < 8 else 4
        assert [pixel[3] == 255 for pixel in pixels] == (table >> bit & 1 == 1).tolist()
        ink.append({tuple(pixel[:3]) for pixel in pixels if pixel[3]})
    recent = drawn["composed"].flatten() >> 3 & 3 == 2  # set in bit 4, not in bit 3
    assert [pixel == [0xD5, 0x5E, 0x00, 255] for pixel in pixels] == recent.tolist()
    assert ink == [{(0x00, 0x9E, 0x73)}] * 4 + [{(0x00, 0x72, 0xB2)}] * 4 + [{(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)}]


def test_masks_without_a_kernel_and_with_one(opened: Any) -> None:
    page = opened(CouplingMaskExplorer)
    page.press("mask", "ArrowDown", "ArrowDown")
    page.press("swap in every second layer", "ArrowDown")
    page.press("seed", "ArrowRight")
    page.press("side of the picture", "ArrowLeft")
    assert [page.get(name) for name in ("mask", "swap", "seed", "size")] == ["random", False, 1, 3]
    assert page.text() == page.expected_text()
    page.press("side of the picture, exact value", "Control+a", "6", "Enter")
    assert page.get("size") == 4
    assert page.note().endswith("side of the picture = 4 (stored: 2, 3, 4).")

    page = opened(CouplingMaskExplorer, kernel=True)
    page.page.wait_for_function("document.querySelector('[aria-label=\"side of the picture\"]').max > 2")
    page.press("side of the picture", "End")
    page.page.wait_for_function("document.querySelector('[aria-live]').textContent.includes('3 × 6 × 6')")
    assert page.widget.size == 6
    assert page.text() == page.expected_text()
    assert page.note() == ""


def test_the_plane_is_drawn_as_python_sent_it(opened: Any) -> None:
    page = opened(FlowWarpExplorer)
    lines = "() => document.querySelector('.lines').getAttribute('d')"
    dots = "() => [...document.querySelectorAll('.dots')].map((e) => e.getAttribute('d'))"
    drawn = page.widget.drawn()
    for layer in (1, 8):
        page.press("layer (0: data, 8: base)", "ArrowRight" if layer == 1 else "End")
        assert page.get("layer") == layer
        assert page.text() == page.expected_text()
        numbers = [int(v) for v in re.findall(r"-?\d+", page.page.evaluate(lines))]
        assert numbers == drawn["grid"][layer].flatten().tolist()
        for colour, path in enumerate(page.page.evaluate(dots)):
            points = [int(v) for v in re.findall(r"-?\d+", path.replace("h0", " "))]
            assert points == drawn["samples"][layer][drawn["colour"] == colour].flatten().tolist()
        ink = [pixel[3] for pixel in page.page.evaluate(PIXELS, 0)]
        assert ink == drawn["density"][layer].flatten().tolist()
    page.press("show", "ArrowDown")
    assert page.get("show") == "grid"
    assert page.page.evaluate(lines)
    assert not any(page.page.evaluate(dots))
    assert not any(pixel[3] for pixel in page.page.evaluate(PIXELS, 0))
    assert page.page.evaluate("document.querySelector('.plane svg').ariaLabel") == "the plane after 8 layers: grid"


@pytest.mark.parametrize("kind", [CouplingMaskExplorer, FlowWarpExplorer])
def test_the_flows_widgets_fit_and_can_be_used_by_keyboard(opened: Any, kind: type[Explorer]) -> None:
    page = opened(kind, width=1200)
    inputs = page.page.evaluate(
        """[...document.querySelectorAll('.genlib-explorer :is(input, select)')].map(
        (e) => [e.ariaLabel, e.dataset.lmSuppressShortcuts, e.tabIndex])"""
    )
    assert all(label and quiet == "true" and tab >= 0 for label, quiet, tab in inputs)
    assert len({label for label, *_ in inputs}) == len(inputs)
    assert page.page.evaluate("[...document.querySelectorAll('[role=img]')].every((e) => e.ariaLabel)")
    for width in (1200, 700, 320):
        page.page.set_viewport_size({"width": width, "height": 900})
        page.page.wait_for_function(
            "width => document.querySelector('.genlib-explorer').clientWidth < width", arg=width
        )
        page.page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)


def test_every_step_is_drawn(opened: Any) -> None:
    """Without a kernel. How soon, benchmarks/widget_latency.py measures."""
    page = opened()
    page.page.evaluate(
        "() => { window.drawings = 0; document.addEventListener('explorer:drawn', () => { drawings += 1; }); }"
    )
    page.press("step t", *["ArrowRight"] * 20)
    assert page.page.evaluate("drawings") == 20
