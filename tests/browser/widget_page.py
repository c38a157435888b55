"""Pages and decks with widgets on them, as the site and the slides have them: stored state, shown by site/host.js."""

from pathlib import Path
from typing import Any

import web
from ipywidgets.embed import dependency_state

from gencourse import widgets
from gencourse.widgets import Prediction

RUNS = web.ROOT / "lectures" / "runs"
EXPLORERS = {
    "beta": widgets.BetaScheduleExplorer,
    "masks": widgets.CouplingMaskExplorer,
    "warp": widgets.FlowWarpExplorer,
    "losses": widgets.LearnedLossExplorer,
    "lambda": lambda **chosen: widgets.LambdaExplorer.load(RUNS / "textures_lambda", **chosen),
    "ways": widgets.WaysBack,
}
# The model that host.js hands to a widget, kept where a test can ask it.
WATCHED = """function makeModel(state) {
    const model = unwatched(state);
    (globalThis.models ??= {})[state.kind ?? state.spec.title] = model;
    return model;
  }
  function unwatched(state)"""


def stored(widget: Any) -> str:
    """A widget as tools/web.py puts it on a page."""
    model = dependency_state([widget], drop_defaults=False)[widget.model_id]
    notebook = {"metadata": {"widgets": {web.WIDGET_STATE: {"state": {widget.model_id: model}}}}}
    output = {"data": {web.WIDGET_VIEW: {"model_id": widget.model_id}, "text/plain": "still"}, "metadata": {}}
    return web.embedded(notebook, output)


def host() -> str:
    script = (web.SITE / "host.js").read_text(encoding="utf-8")
    assert "function makeModel(state)" in script
    return script.replace("function makeModel(state)", WATCHED)


def write_page(file: Path, *shown: Any, dark: bool = False, style: str = "") -> str:
    """A page with these widgets; its address."""
    body = "".join(f"<main>{stored(widget)}</main>" if i == 0 else stored(widget) for i, widget in enumerate(shown))
    colours = "body { background: #121212; color: #ced6dd }" if dark else ""
    file.write_text(
        f'<!DOCTYPE html><html lang="en" data-theme="{"dark" if dark else "light"}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>widgets</title>'
        f"<style>body {{ font-family: sans-serif; margin: 8px }} {colours} {style}</style>"
        f"<body>{body}<script>{host()}</script>",
        encoding="utf-8",
    )
    return file.as_uri()


DECK = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>deck</title><style>{style}</style>
<style>:root {{ --genlib-size: 18px }} .reveal h2 {{ font-size: 40px; margin: 0 }}</style>
<body><div class="reveal"><div class="slides"><section>first</section>{slides}<section>last</section></div></div>
<script>{reveal}</script><script>{host}</script>
<script>Reveal.initialize({{ width: 1280, height: 720, margin: 0, center: false, transition: "none" }})</script>"""


def write_deck(folder: Path, *shown: Any) -> str:
    """A deck of reveal.js with a slide before, one for each widget, and one after; its address."""
    source = web.npm() / "reveal.js" / "dist"
    style, theme, reveal = (
        (source / name).read_text("utf-8") for name in ("reveal.css", "theme/white.css", "reveal.js")
    )
    style = "\n".join(line for line in (style + theme).splitlines() if "@import" not in line)
    slides = "".join(f"<section><h2>A heading</h2>{stored(widget)}</section>" for widget in shown)
    deck = folder / "deck.html"
    deck.write_text(DECK.format(style=style, slides=slides, reveal=reveal, host=host()), encoding="utf-8")
    return deck.as_uri()


def ready(page: Any) -> Any:
    """The page, once its widgets are drawn."""
    page.evaluate("genlibWidgets")
    page.wait_for_function("!document.querySelector('.genlib-state')")
    return page


def value(page: Any, name: str, which: str | None = None) -> Any:
    """A value of the widget with this title, or of the prediction of this kind; of the only one, if none is named."""
    return page.evaluate("([name, which]) => (models[which] ?? Object.values(models)[0]).get(name)", [name, which])


def one_of_each() -> list[Prediction]:
    return [
        Prediction.number("How many bits?", unit="bits"),
        Prediction.choice("By what factor?", ["about 1.1", "about 6", "about 600"]),
        Prediction.order("Which comes first?", ["GAN", "flow", "diffusion"]),
        Prediction.curve("How does the loss fall?", (0, 10, "step"), (0, 2, "loss")),
    ]
