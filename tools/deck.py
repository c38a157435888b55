"""A deck from its source: Markdown in which a slide shows what a stored notebook's cell has put out.

    ---
    title: Diffusion models
    subtitle: What does it mean to undo a step of noise?
    notebook: 04_diffusion_models
    ---

    # The way there                                 a section: all slides up to the next one (a deck may have none)

    ## One message, as the heading                  a slide; its heading is a sentence or a question

    Text, mathematics in $...$ and $$...$$; a list written with + comes item by item, one with - at once.

    ::: figure NEEDLE                               the figure of the one cell whose code contains NEEDLE
    :::                                             also: table, printed, widget, live, code
    ::: notes 2 min                                 on every slide: minutes, what to say, what to ask
    **Say** ...
    **Ask** ... (*the answer*)
    :::

`::: printed NEEDLE | WORDS` keeps the printed lines that contain WORDS, and `::: table NEEDLE | WORDS` the part of that
name; before the needle may stand another lecture, `04b_learning_and_sampling: NEEDLE`. `::: fragment` comes at the next
key, `::: key` frames what the room is to remember (`::: fragment key` does both), and `:::: columns` holds
`::: column` blocks side by side. Nothing that is computed is typed: a slide shows the cell's own output, and its code
at the press of a key.

The sections are the outline on the title slide, and each slide names its own at the foot. Slides before the first
section belong to none. `## A detail {optional}` marks a slide that may be skipped: notes and speaker's view say so, and
the build sums up the minutes. What stands after **Say** is spoken at 130 words a minute, a formula as one word; it may
take 15 % more than the slide's minutes (`slides.py --pace` lists the slides that take longer). In the notes, x_t or
x_(t−1) without dollars is a subscript as well.
"""

import html
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import minutes as spoken
import nbformat
import web
import yaml
from markdown_it import MarkdownIt
from mdit_py_plugins.attrs import attrs_plugin
from mdit_py_plugins.container import container_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers.python import PythonLexer

OUTPUTS = ("figure", "table", "printed", "widget", "live", "code")
BLOCKS = ("fragment", "columns", "column", "key")
WORDS_A_MINUTE = 130
LONGER = 1.15  # how much longer than its minutes a slide's text may take


class DeckError(Exception):
    """A deck's source that must be mended; says where."""


@dataclass
class Slide:
    """One slide: its heading and body as HTML, the code behind it, and what the speaker has before them."""

    heading: str
    body: str = ""
    minutes: float = 0.0
    notes: str = ""
    codes: list[str] = field(default_factory=list)
    words: int = 0  # that are said
    optional: bool = False
    section: int = 0  # its number, from 1; 0 before the first
    title: str = ""  # the heading as it is written

    @property
    def too_long(self) -> str:
        """How long the text takes, where that is more than the slide's minutes allow."""
        takes = self.words / WORDS_A_MINUTE
        if takes <= self.minutes * LONGER:
            return ""
        return f"{self.words} words to say take {takes:.1f} min, the slide has {self.minutes:g}"

    @property
    def code(self) -> str:
        """The code of every cell that the slide shows, as HTML."""
        return highlight("\n\n# ---\n\n".join(self.codes), PythonLexer(), HtmlFormatter(nowrap=True))


@dataclass
class Deck:
    """A deck: what stands at its head, and its slides."""

    title: str
    subtitle: str
    notebook: str
    slides: list[Slide]
    sections: list[str] = field(default_factory=list)  # their titles, as HTML

    @property
    def minutes(self) -> float:
        """Of all slides."""
        return sum(slide.minutes for slide in self.slides)

    @property
    def optional(self) -> float:
        """The minutes of the slides that may be skipped."""
        return sum(slide.minutes for slide in self.slides if slide.optional)

    @property
    def outline(self) -> list[tuple[str, int, float]]:
        """Of each section the title, its first slide (the title slide is 0) and its minutes."""
        rows = []
        for number, title in enumerate(self.sections, 1):
            inside = [i for i, slide in enumerate(self.slides, 1) if slide.section == number]
            rows.append((title, inside[0], sum(self.slides[i - 1].minutes for i in inside)))
        return rows


def read(path: Path) -> Deck:
    """The deck that a source describes.

    Raises:
        DeckError: for a source that says too little, or names a cell that is not there once.
    """
    match = re.fullmatch(r"---\n(.*?)\n---\n(.*)", path.read_text(encoding="utf-8"), re.DOTALL)
    if not match:
        raise DeckError(f"{path.name}: expected a head between two lines of ---")
    head = yaml.safe_load(match[1])
    if set(head) != {"title", "subtitle", "notebook"}:
        raise DeckError(f"{path.name}: expected title, subtitle and notebook at its head, got {', '.join(head)}")
    notebook = _lecture(head["notebook"])
    slides: list[Slide] = []
    sections: list[str] = []
    _, *parts = re.split(r"^(##?) +(.*)\n", match[2], flags=re.MULTILINE)
    for mark, heading, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        try:
            if mark == "#":
                sections.append(_section(heading.strip(), text))
                continue
            slides.append(_slide(heading.strip(), text, notebook))
            slides[-1].section = len(sections)
        except DeckError as error:
            raise DeckError(f"{path.name}, slide {len(slides) + 1} ({heading.strip()}): {error}") from None
    used = {slide.section for slide in slides}
    if empty := [title for number, title in enumerate(sections, 1) if number not in used]:
        raise DeckError(f"{path.name}, section {empty[0]}: has no slide")
    return Deck(head["title"], head["subtitle"], head["notebook"], slides, sections)


@cache
def _lecture(name: str) -> Any:
    path = web.ROOT / "lectures" / f"{name}.ipynb"
    if not path.is_file():
        raise DeckError(f"there is no lecture {name}")
    return nbformat.read(path, as_version=4)


def _section(title: str, text: str) -> str:
    """A section's title as HTML; what it has to show stands on slides."""
    if text.strip():
        raise DeckError("a section has slides and no text of its own")
    return _markdown().renderInline(title)


def _slide(heading: str, text: str, notebook: Any) -> Slide:
    """One slide from its Markdown: the notes taken out, the outputs put in."""
    noted = re.findall(r"^::: notes +([\d.]+) min\n(.*?)^:::$", text, re.MULTILINE | re.DOTALL)
    if len(noted) != 1:
        raise DeckError(f"expected one block of notes, `::: notes 2 min`, got {len(noted)}")
    minutes, notes = noted[0]
    missing = [word for word in ("**Say**", "**Ask**") if word not in notes]
    if missing:
        raise DeckError(f"its notes lack {' and '.join(missing)}")
    text = re.sub(r"^::: notes .*?^:::$", "", text, flags=re.MULTILINE | re.DOTALL)
    title = heading.removesuffix(" {optional}")
    slide = Slide(_markdown().renderInline(title), title=title, optional=title != heading)
    slide.minutes, slide.notes = float(minutes), _markdown().render(_subscripts(notes))
    slide.words = sum(map(spoken.words, re.findall(r"\*\*Say\*\*(.*?)(?=\*\*Ask\*\*|\Z)", notes, re.DOTALL)))
    slide.body = _markdown(lambda kind, what: _shown(kind, what, notebook, slide.codes)).render(text)
    if ":::" in slide.body:
        raise DeckError("a ::: that opens or closes nothing; a block around another one has a colon more")
    return slide


def _subscripts(notes: str) -> str:
    """Notes in which x_t, α_(t−1) or L_simple, typed without dollars, have subscripts; code and formulas stay."""
    typed = re.compile(r"\$[^$]*\$|`[^`]*`|\b(\w|alpha|beta|sigma|bar|tilde)_(?:\(([^()]*)\)|(\w+))")

    def low(match: re.Match[str]) -> str:
        return f"{match[1]}<sub>{match[2] or match[3]}</sub>" if match[1] else match[0]

    return typed.sub(low, notes)


def _markdown(shown: Callable[[str, str], str] | None = None) -> MarkdownIt:
    """Markdown with mathematics, blocks, and (where `shown` is given) outputs of cells."""
    md = MarkdownIt("commonmark", {"html": True}).enable("table")
    md.use(dollarmath_plugin, renderer=_mathematics, allow_space=False).use(attrs_plugin)
    for name in BLOCKS:
        container_plugin(md, name, render=_block(name))
    if shown:
        for name in OUTPUTS:
            container_plugin(md, name, render=_output(name, shown))
    md.core.ruler.push("fragments", _fragments)
    return md


def _mathematics(text: str, options: dict[str, Any]) -> str:
    """For MathJax, as it stands."""
    return html.escape(rf"\[{text}\]" if options["display_mode"] else rf"\({text}\)", quote=False)


def _block(name: str) -> Callable[..., str]:
    def render(_self: Any, tokens: Any, index: int, *_rest: Any) -> str:
        extra = html.escape(tokens[index].info.strip().removeprefix(name).strip())
        return f'<div class="{name} {extra}">\n' if tokens[index].nesting == 1 else "</div>\n"

    return render


def _output(name: str, shown: Callable[[str, str], str]) -> Callable[..., str]:
    def render(_self: Any, tokens: Any, index: int, *_rest: Any) -> str:
        what = tokens[index].info.strip().removeprefix(name).strip()
        return shown(name, what) + '<div class="under">' if tokens[index].nesting == 1 else "</div></div>\n"

    return render


def _fragments(state: Any) -> None:
    """Items of a list written with + come one at a time."""
    for token in state.tokens:
        if token.type == "list_item_open" and token.markup == "+":
            token.attrJoin("class", "fragment")


# -- What a cell has put out


def _shown(kind: str, what: str, notebook: Any, codes: list[str]) -> str:
    """The beginning of the block that shows an output; its code is kept."""
    needle, _, words = (part.strip() for part in what.partition(" | "))
    if elsewhere := re.match(r"(\d\d\w+): *", needle):
        notebook, needle = _lecture(elsewhere[1]), needle[elsewhere.end() :]
    cell = _cell(notebook, needle)
    if cell.source not in codes:
        codes.append(cell.source)
    if kind == "code":
        inner = f"<pre>{highlight(_lines(cell.source, words), PythonLexer(), HtmlFormatter(nowrap=True))}</pre>"
    elif kind == "printed":
        text = "".join(output.text for output in cell.outputs if output.output_type == "stream")
        inner = _narrow(_lines(text, words))
    elif kind in ("widget", "live"):
        output = _one(cell, lambda data: web.WIDGET_VIEW in data, "widget")
        inner = web.embedded(notebook, output)
    else:
        tag = "<img" if kind == "figure" else "<table"
        output = _one(cell, lambda data: tag in "".join(data.get("text/html", "")), kind)
        inner = "".join(output.data["text/html"])
        inner = _part(inner, words) if words else inner
    return f'<div class="output {kind}">{inner}'


def _cell(notebook: Any, needle: str) -> Any:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and needle in cell.source]
    if not needle or len(cells) != 1:
        raise DeckError(f"expected words that stand in the code of one cell, got {needle!r}, which is in {len(cells)}")
    return cells[0]


def _one(cell: Any, fits: Callable[[Any], bool], kind: str) -> Any:
    found = [output for output in cell.outputs if fits(output.get("data", {}))]
    if len(found) != 1:
        raise DeckError(f"expected a cell with one {kind}, got {len(found)}: {cell.source.splitlines()[0]!r}")
    return found[0]


def _part(table: str, words: str) -> str:
    """Of a table in parts, each below a row that names it, the part whose name contains the words."""
    head, *parts = re.split(r'(?=<tr><th scope="rowgroup")', table)
    chosen = [part for part in parts if words in part[: part.index("</tr>")]]
    if len(chosen) != 1:
        raise DeckError(f"expected one part of the table that is named {words!r}, got {len(chosen)}")
    return head + chosen[0].removesuffix("</tbody></table>") + "</tbody></table>"


def _narrow(text: str) -> str:
    """Printed lines in letters as large as they allow; a gap that all lines have is closed up to two blanks, or one."""
    lines = text.splitlines()
    for gap in (2, 1):
        if max(map(len, lines)) > 93 or gap == 2:
            lines = _closed(lines, gap)
    longest = max(map(len, lines))
    size = "" if longest < 78 else ' class="wide"' if longest < 94 else ' class="widest"'
    return f"<pre{size}>{_accented(html.escape(chr(10).join(lines)))}</pre>"


def _accented(text: str) -> str:
    """Letters such as β̃, whose accent is a character of its own: few fonts of one width set them well."""
    return re.sub(r"\w[\u0300-\u036f]+", r'<span class="accented">\g<0></span>', text)


def _closed(lines: list[str], gap: int) -> list[str]:
    """Lines without the columns of blanks that follow `gap` others."""
    if len(lines) == 1:
        return lines
    columns = list(itertools.zip_longest(*lines, fillvalue=" "))
    blank = [set(column) == {" "} for column in columns]
    kept = [column for i, column in enumerate(columns) if i < gap or not all(blank[i - gap : i + 1])]
    return ["".join(row).rstrip() for row in zip(*kept, strict=True)]


def _lines(text: str, words: str) -> str:
    kept = [line for line in text.splitlines() if words in line]
    if not kept:
        raise DeckError(f"no line contains {words!r}")
    return "\n".join(kept)
