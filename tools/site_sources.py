"""What Sphinx reads: the course's notebooks and pages, copied into a work folder and rewritten for a reader on the web.

The folders are those of the repository, so links between pages stay as they are. A link to another file of the
repository leads to a page of its source; an output that is a widget becomes HTML that runs without a kernel.
"""

import json
import os
import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import site_landing
import web

ROOT = web.ROOT
PAGES = ("lectures/proofs.md", "genlib/RECIPES.md", "genlib/OWN.md", "genlib/data/textures.md", "genlib/data/emoji.md")
PAGES += ("benchmarks/RESULTS.md", "CONTRIBUTING.md", "CHANGELOG.md")
ANSWERS = ("solutions/", "teach/exam_answers", "gencourse/checks/lab_", "tests/wrong_answers/")
WRITTEN = (".py", ".md", ".toml", ".cff", ".js", ".css", ".yml", ".txt", "")  # what has a page of its source
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^():]+\.png)\)")
MINE = re.compile(r"(?<!\[)(`my_labs/(lab_\w+\.ipynb)`)(?!\])")  # a lab as it is worked on: here it has a page
# A letter with an index, as in x_t or L_{t−1}; or what holds none: code, formulas, tags, targets of links, headings.
LETTER = re.compile(
    r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$\n]+\$|<[^<>]+>|\]\([^)]*\)|^#.*?$"
    r"|(?<![\w\\/.])(?P<letter>[^\W\d_][\u0300-\u036f]?)_(?:\{(?P<long>[^{}\s]+)\}|(?P<index>[^\W_²³]+))(?![^\W²³])",
    re.S | re.M,
)
ROW = re.compile(r"\| (lecture|lab) \| \[[^\]]+\]\(([^)]+)\) \| ([^|]+) \| ([^|]+) \|")


@dataclass(frozen=True)
class Entry:
    """A lecture or lab, as the README's table has it."""

    kind: str
    path: str
    minutes: str
    able: str

    @property
    def number(self) -> str:
        """01, 03b; Lab 1."""
        stem = Path(self.path).stem
        return f"Lab {stem.split('_')[1]}" if self.kind == "lab" else stem.split("_")[0]

    @property
    def solution(self) -> str:
        return f"solutions/{Path(self.path).name}"

    @property
    def title(self) -> str:
        """The notebook's first heading, without the number that it may bear."""
        for cell in read(self.path)["cells"]:
            if found := re.match(r"# (.+)", "".join(cell["source"])):
                return re.sub(r"^Lab \d+[ ·:]*", "", found[1])
        raise ValueError(f"{self.path}: no heading")


@dataclass
class Pages:
    """The site's pages by their paths in the repository, and the files of source that they link to."""

    paths: set[str]
    solutions: bool
    sources: set[str] = field(default_factory=set)

    def link(self, page: str, text: str, target: str) -> str:
        """A Markdown link, as it is to stand on a page of the site."""
        path, _, anchor = target.partition("#")
        if not path or "://" in path or path.startswith("mailto:"):
            return f"[{text}]({target})"
        folder = os.path.dirname(page)
        path = os.path.normpath(os.path.join(folder, unquote(path)))
        if path.startswith(ANSWERS) and not self.solutions:
            return text
        if path == "README.md":
            return f"[{text}]({os.path.relpath('index.md', folder or '.')})"
        if path in self.paths:
            return f"[{text}]({target})"
        if not (ROOT / path).is_file():
            return text if (ROOT / path).is_dir() else f"[{text}]({target})"
        if Path(path).suffix not in WRITTEN:
            return text
        self.sources.add(path)
        to = os.path.relpath(f"source/{path}.html", folder or ".") + (
            f"#{anchor.replace('L', 'L-', 1)}" if anchor else ""
        )
        return f'<a href="{to}">{text}</a>'

    def text(self, page: str, text: str) -> str:
        """A page's Markdown: links rewritten, examples of Python as code."""
        lines, fenced, example = [], False, False
        for line in text.split("\n"):
            if line.lstrip().startswith(("```", "~~~")):
                fenced = not fenced
            starts = line.startswith(">>>") and not fenced
            if starts and not example:
                lines.append("```pycon")
            elif example and not line.strip():
                lines.append("```")
            example = bool((starts or example) and line.strip())
            free = not fenced and not example
            line = MINE.sub(r"[\1](../labs/\2)", line) if free else line
            lines.append(LINK.sub(lambda m: self.link(page, m[1], m[2]), line) if free else line)
            if free and line.strip() == "</details>":
                lines.append("")  # or what follows is HTML still
        return "\n".join([*lines, "```"] if example else lines)


def lettered(text: str) -> str:
    """Markdown whose letters bear their indices below the line, as its formulas do."""
    return LETTER.sub(lambda m: f"{m['letter']}<sub>{m['long'] or m['index']}</sub>" if m["letter"] else m[0], text)


def read(path: str) -> dict[str, Any]:
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def contents() -> list[Entry]:
    """The course in its order."""
    rows = ROW.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    return [Entry(kind, path, minutes.strip(), able.strip()) for kind, path, minutes, able in rows]


def teaching(solutions: bool) -> list[str]:
    """The instructor's pages, the way in first."""
    found = [path.relative_to(ROOT).as_posix() for path in (ROOT / "teach").rglob("*.md")]
    found = [path for path in found if "/." not in path]  # what an editor keeps beside a file
    found = [path for path in found if solutions or not path.startswith(ANSWERS)]
    return sorted(found, key=lambda path: (path != "teach/README.md", path))


def notebook(pages: Pages, path: str, aside: str = "") -> dict[str, Any]:
    """A stored notebook as the site shows it; `aside` is HTML that stands below its title."""
    stored = read(path)
    cells: list[dict[str, Any]] = []
    for cell in stored["cells"]:
        cell = cell | {"source": "".join(cell["source"])}
        if cell["cell_type"] == "markdown":
            cell["source"] = lettered(pages.text(path, cell["source"]))
        else:
            cell["source"] = re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", cell["source"], flags=re.M)
            cell["outputs"] = [output(stored, each) for each in cell.get("outputs", [])]
        cells.append(cell)
    demote(cells)
    if aside:
        first = cells[0]["source"].split("\n", 1)
        cells[0]["source"] = "\n".join([first[0], "", aside, "", *first[1:]])
    metadata = {name: value for name, value in stored["metadata"].items() if name != "widgets"}
    if path.startswith("solutions/"):
        metadata |= {"orphan": True, "nosearch": True}
        cells[0]["source"] = re.sub(r"^# .*", r"\g<0>: worked answers", cells[0]["source"], count=1)
    return stored | {"cells": cells, "metadata": metadata}


def demote(cells: list[dict[str, Any]]) -> None:
    """A page has one title: from the first part on that has a title like the notebook's, headings go down a level."""
    titles = 0

    def lower(heading: re.Match[str]) -> str:
        nonlocal titles
        titles += heading[0] == "# "
        return f"#{heading[0]}" if titles > 1 else heading[0]

    for cell in cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = re.sub(r"^#+ ", lower, cell["source"], flags=re.M)


def output(stored: dict[str, Any], each: dict[str, Any]) -> dict[str, Any]:
    """An output; a widget as HTML that runs where there is no kernel."""
    if web.WIDGET_VIEW not in each.get("data", {}):
        return each
    return each | {"data": {"text/html": web.embedded(stored, each)}, "metadata": {}}


def button(path: str, said: str, page: str, *, download: bool = False) -> str:
    to = os.path.relpath(path, os.path.dirname(page) or ".")
    return f'<a class="genlib-button" href="{to}"{" download" * download}>{said}</a>'


def write(work: Path, solutions: bool) -> None:
    """Fill Sphinx's folder: pages, notebooks to download, the list of source files."""
    course, teach = contents(), teaching(solutions)
    notebooks = [entry.path for entry in course]
    notebooks += [entry.solution for entry in course if entry.kind == "lab" and solutions]
    pages = Pages({*notebooks, *PAGES, *teach}, solutions)
    labs = {entry.path: entry for entry in course if entry.kind == "lab"}
    for path in notebooks:
        size = (ROOT / path).stat().st_size
        large = f"{size / 1e6:.1f} MB" if size > 500_000 else f"{size // 1000} kB"
        buttons = [button(f"files/{path}", f"Download this notebook ({large})", path, download=True)]
        if path in labs and solutions:
            buttons.append(button(labs[path].solution.replace(".ipynb", ".html"), "Worked answers", path))
        aside = f'<p class="genlib-actions">{" ".join(buttons)}</p>'
        save(work / path, json.dumps(notebook(pages, path, aside), ensure_ascii=False))
        save(work / "extra" / "files" / path, (ROOT / path).read_text(encoding="utf-8"))
    for path in (*PAGES, *teach):
        text = lettered(pages.text(path, (ROOT / path).read_text(encoding="utf-8")))
        hidden = "---\nnosearch: true\n---\n\n" if path.startswith(ANSWERS) else ""
        save(work / path, hidden + text)
        for picture in PICTURE.findall(text):
            shutil.copy(ROOT / os.path.dirname(path) / picture, work / os.path.dirname(path))
    own = [path.relative_to(ROOT).as_posix() for path in (ROOT / "genlib").rglob("*.py")]
    pages.sources.update(own)
    save(work / "sources.json", json.dumps(sorted(pages.sources), indent=1))
    fill(work / "index.md", course, teach, pages)
    archive(work, solutions)


def archive(work: Path, solutions: bool) -> None:
    """Put the whole course, which holds its solutions, beside the pages, and a link to it on the landing page; a copy
    of the course that is no git repository has none."""
    path, index = work / "extra" / "files" / "genlib-course.zip", work / "index.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["git", "archive", "--format=zip", "--prefix=genlib-course/", "-o", str(path), "HEAD"]
    with suppress(OSError):
        if solutions:
            subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    link = ""
    if path.exists():
        size = f"{path.stat().st_size / 1e6:.0f} MB"
        link = f'<a href="files/{path.name}" download>download the course</a> ({size}), unpack it; in its folder, '
    index.write_text(index.read_text(encoding="utf-8").replace("<!-- archive -->", link), encoding="utf-8")


def fill(index: Path, course: list[Entry], teach: list[str], pages: Pages) -> None:
    """Put the course's table and its contents into the landing page."""
    rows = [f"| {e.number} | [{e.title}]({e.path}) | {e.minutes} | {e.able} |" for e in course]
    table = ["{.genlib-contents}", "| | | minutes | what you will be able to do |", "|---|---|---|---|", *rows]
    tree = [f"{e.number}{' ·' * (e.kind == 'lab')} {e.title} <{e.path.removesuffix('.ipynb')}>" for e in course]
    text = index.read_text(encoding="utf-8")
    for name, lines in {"course": table, "tree": tree, "teach": [p.removesuffix(".md") for p in teach]}.items():
        text = text.replace(f"<!-- {name} -->", "\n".join(lines))
    for name, shown in site_landing.parts(read).items():
        text = text.replace(f"<!-- {name} -->", re.sub(r"\n\s*\n", "\n", shown))  # HTML ends at an empty line
    index.write_text(text, encoding="utf-8")


def save(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
