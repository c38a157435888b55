"""Explorers with a kernel, and what they do when none answers.

The page holds the widget's script and a stand-in for the model that anywidget hands it; the kernel, where there is one,
is the real widget in this process.
"""

import base64
import re
from collections.abc import Callable
from typing import Any

import pytest

from gencourse import widgets
from gencourse.widgets.explorer import Explorer

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
KERNEL_IS_THERE = "document.querySelector('[aria-label=\"mean of the generator\"]').max > 5"
TEXTS = "[...document.querySelectorAll('.genlib-text')].map((e) => e.textContent)"


def encode(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: encode(part) for key, part in value.items()}
    return [encode(part) for part in value] if isinstance(value, list) else value


class Page:
    """One widget on a page, driven by keys."""

    def __init__(self, page: Any, widget: Explorer, kernel: bool) -> None:
        self.page, self.widget = page, widget
        self.alive = True
        self.controls = tuple(widget.values())
        self.names = ("spec", "frames", "live", "shared", *self.controls)
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
        return self.page.evaluate(TEXTS)[0]

    def note(self) -> str:
        return self.page.evaluate("document.querySelector('.genlib-explorer [role=status]').textContent")

    def expected_text(self) -> str:
        """What Python says of the values that the page shows, with subscripts instead of underscores."""
        values = {name: self.get(name) for name in self.controls}
        return re.sub(r"_(\w)", r"\1", type(self.widget)(**values).text())


@pytest.fixture
def opened(open_page: Any) -> Callable[..., Page]:
    def show(kind: type[Explorer] = widgets.LearnedLossExplorer, kernel: bool = False, **chosen: Any) -> Page:
        return Page(open_page(width=1000, height=900), kind(**chosen), kernel)

    return show


def test_without_a_kernel_all_presets_are_alive_and_other_values_snap_to_the_nearest(opened: Any) -> None:
    page = opened()
    page.press("mean of the generator", "ArrowRight")
    assert page.get("mean") == 1.5
    page.press("mean of the generator, exact value", "Control+a", *"-0.9", "Enter")
    assert page.get("mean") == -1.5
    page.press("data", "ArrowDown")
    assert page.get("data") == "one mode"
    assert page.text() == page.expected_text()
    page.press("its standard deviation, exact value", "Control+a", "1", "Enter")
    assert page.get("std") == 1.5
    assert page.note() == (
        "No kernel answers, so this is the nearest stored choice: its standard deviation = 1.5 (stored: 0.5, 1.5)."
    )
    assert page.text() == page.expected_text()
    page.press("generated point y", "ArrowRight")
    assert page.note() == ""


def test_with_a_kernel_parameters_are_continuous(opened: Any) -> None:
    page = opened(kernel=True)
    page.page.wait_for_function(KERNEL_IS_THERE)
    page.press("mean of the generator, exact value", "Control+a", *"1.25", "Enter")
    page.page.wait_for_function("document.querySelector('.genlib-text').textContent.includes('N(1.25,')")
    assert page.widget.mean == 1.25
    assert page.text() == page.expected_text()
    page.press("its standard deviation", "ArrowRight")
    page.page.wait_for_function("model.get('live').key.std === 0.6")
    assert page.text() == page.expected_text()
    assert page.note() == ""


def test_a_kernel_that_dies_is_noticed(opened: Any) -> None:
    page = opened(kernel=True)
    page.page.wait_for_function(KERNEL_IS_THERE)
    page.alive = False
    page.press("mean of the generator", "ArrowRight")
    assert page.get("mean") == 0.1
    page.page.wait_for_function("model.get('mean') === 0")
    assert page.note().startswith("No kernel answers")
    assert page.text() == page.expected_text()


def test_what_the_page_computes_is_told_the_kernel_and_not_sent_back(opened: Any) -> None:
    page = opened(widgets.BetaScheduleExplorer, kernel=True)
    page.press("number of steps T, exact value", "Control+a", *"150", "Enter")
    assert page.text() == page.expected_text()  # at once
    page.press("β T at T = 1000", "ArrowRight")
    assert page.text() == page.expected_text()
    assert page.get("live") == {}
    page.page.wait_for_function("model.get('beta_T') === 0.03")
    page.page.evaluate("window.kernel({ digit: 4 })")  # the kernel is asked in turn, so all is there now
    assert page.widget.values() == {name: page.get(name) for name in page.controls} | {"digit": 4}
    assert page.widget.live == {}


def test_two_views_of_one_widget_move_together_and_close_without_a_trace(opened: Any) -> None:
    page = opened(widgets.BetaScheduleExplorer)
    once = page.page.evaluate("model.listeners()")
    page.page.evaluate("addView()")
    page.page.wait_for_function("document.querySelectorAll('svg path').length === 12")
    page.press("step t", "ArrowRight")
    assert page.page.evaluate(TEXTS) == [page.expected_text()] * 2
    page.page.evaluate("views[1].close(), views[1].el.remove()")
    assert page.page.evaluate("model.listeners()") == once
    page.page.evaluate("views[0].close(), views[0].el.remove()")
    assert page.page.evaluate("model.listeners()") == 0


def test_a_change_from_python_is_drawn(opened: Any) -> None:
    page = opened(widgets.BetaScheduleExplorer)
    page.page.evaluate("model.set('T', 100)")  # for a moment t = 250 lies beyond it
    assert page.text().startswith("Step 100 of 100")
    page.page.evaluate("model.set('t', 7)")
    assert page.text() == page.expected_text()
