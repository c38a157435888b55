"""What Sphinx does not do by itself: pages of source, anchors as JupyterLab has them, answers behind a click."""

import inspect
import json
import os
import re
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes

ROOT = Path(os.environ["COURSE_ROOT"])
HIDDEN = ("solutions/", "teach/exam")  # one click before they are seen
LEXERS = {".py": "python", ".toml": "toml", ".js": "js", ".css": "css", ".md": "markdown", "": "text"}


def setup(app: Any) -> dict[str, bool]:
    app.connect("html-collect-pages", source_pages)
    app.connect("html-page-context", behind_a_click)
    app.connect("doctree-read", formulas)
    app.connect("autodoc-skip-member", torchs_own)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def torchs_own(_app: Any, _what: str, _name: str, member: Any, _skip: bool, _options: Any) -> bool | None:
    """Leave out what a class of ours takes over from torch as it is: its docstring is torch's."""
    return True if str(getattr(member, "__module__", "")).startswith("torch.") else None


def formulas(_app: Any, document: nodes.document) -> None:
    """A formula's lines end, where they must, between its statements.

    One of several lines is set as it is written: Sphinx would put it into a split, where no tag may stand.
    """
    for formula in document.findall(nodes.math_block):
        tex = re.sub(r"\\q?quad(?![a-zA-Z])", r"\g<0>\\goodbreak ", formula.astext())
        if r"\\" in tex and not formula.get("nowrap"):
            tex = rf"\[{tex}\]"
            formula["no-wrap"] = True
        formula[:] = [nodes.Text(tex)]


def slug(title: str) -> str:
    """A heading's anchor in JupyterLab, so that links that work there work here."""
    return title.strip().replace(" ", "-")


def sources() -> list[str]:
    """The files of the repository that have a page here: `tools/build_site.py` lists them."""
    return json.loads((Path(__file__).parent / "sources.json").read_text(encoding="utf-8"))


def source_pages(app: Any) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page for each of these files, its lines as anchors: `source/genlib/common.py.html#L-12`."""
    for path in sources():
        text = (ROOT / path).read_text(encoding="utf-8")
        lexer = LEXERS.get(Path(path).suffix, "text")
        code = app.builder.highlighter.highlight_block(text, lexer, linespans="L", opts={})
        body = f'<h1><code>{escape(path)}</code></h1>\n<div class="genlib-source">{code}</div>'
        yield f"source/{path}", {"title": path, "body": body, "parents": []}, "page.html"


def behind_a_click(_app: Any, pagename: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Fold what stands below the title of a page of answers."""
    if pagename.startswith(HIDDEN) and "</h1>" in context.get("body", ""):
        head, rest = context["body"].split("</h1>", 1)
        rest, end = rest.rsplit("</section>", 1)
        said = "<summary>Show the answers on this page</summary>"
        lab = f'<a class="genlib-button" href="../{pagename.replace("solutions", "labs")}.html">Back to the lab</a>'
        head += f'</h1><p class="genlib-actions">{lab}</p>' if pagename.startswith("solutions/") else "</h1>"
        context["body"] = f'{head}<details class="genlib-answers">{said}{rest}</details></section>{end}'


def linkcode_resolve(_domain: str, info: dict[str, str]) -> str | None:
    """Where an object of genlib is written, seen from a page one folder deep."""
    found: Any = sys.modules.get(info["module"])
    for name in filter(None, info["fullname"].split(".")):
        found = getattr(found, name, None)
    found = inspect.unwrap(getattr(found, "fget", None) or found) if found is not None else None
    try:
        path = Path(inspect.getsourcefile(found) or "").relative_to(ROOT).as_posix()  # type: ignore[arg-type]
        line = inspect.getsourcelines(found)[1]  # type: ignore[arg-type]
    except (TypeError, ValueError, OSError):
        return None
    return f"../source/{path}.html#L-{line}" if re.match(r"genlib/", path) else None
