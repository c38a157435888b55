"""What the landing page shows, taken from the real thing: a panel, a claim with its cell, a widget."""

import html
import re
import sys
from typing import Any

import web
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

sys.path[:0] = [str(web.SITE)]

CLAIM = ("lectures/04_diffusion_models.ipynb", "two noises merge into one (4)")
LIVE = "lectures/02_conditional_gans.ipynb", "OutlinePainter"
WRONG = '''\
def q_sample(x_0, t, eps, alpha_bar):
    """x_t, from x_0 and noise."""
    a = alpha_bar[t].view(-1, 1, 1, 1)
    return a * x_0 + (1 - a) * eps
'''


def panel() -> str:
    """A student's wrong answer in lab 3, and what the notebook says to it."""
    from gencourse import checks
    from gencourse.checks import lab_3_diffusion  # noqa: F401  its exercises

    names: dict[str, Any] = {}
    exec(WRONG, names)  # the text above
    result = checks.run("diffusion.q_sample", names["q_sample"], seed=0)
    if result.state != "wrong" or not result.mistake:
        raise ValueError("diffusion.q_sample: the answer of the landing page has no named mistake any more")
    return coded(WRONG) + short(result.html())


def short(shown: str) -> str:
    """The panel without the rows that repeat its numbers; it is a picture of an answer here, and alerts nobody."""
    for row in ("with", "again"):
        shown = re.sub(rf"<dt[^>]*>{row}</dt><dd[^>]*>.*?</dd>", "", shown, flags=re.S)
    return re.sub(r'role="alert"', 'role="group"', shown)


def claim(read: Any) -> str:
    """The cell below an equation of lecture 04, and what it printed."""
    path, name = CLAIM
    for cell in read(path)["cells"]:
        printed = "".join("".join(each.get("text", "")) for each in cell.get("outputs", []))
        if name in printed:
            source = "".join(cell["source"])
            out = f'<pre class="genlib-printed">{html.escape(printed.strip())}</pre>'
            return coded(source) + out
    raise ValueError(f"{path}: no cell prints {name!r}")


def live(read: Any) -> str:
    """The live outline, as the lecture stores it."""
    path, kind = LIVE
    stored = read(path)
    states = stored["metadata"]["widgets"][web.WIDGET_STATE]["state"]
    for cell in stored["cells"]:
        for output in cell.get("outputs", []):
            view = output.get("data", {}).get(web.WIDGET_VIEW)
            if view and kind in states[view["model_id"]]["state"].get("_anywidget_id", ""):
                return web.embedded(stored, output)
    raise ValueError(f"{path}: no {kind} is stored for the landing page")


def coded(source: str) -> str:
    return (
        f'<div class="highlight">{highlight(source, PythonLexer(), HtmlFormatter(nowrap=False, cssclass="code"))}</div>'
    )


def parts(read: Any) -> dict[str, str]:
    """HTML by the name of its place on the landing page."""
    from picture import picture

    return {"panel": panel(), "claim": claim(read), "live": live(read), "picture": picture()}
