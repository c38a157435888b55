"""From statement to proof: each numbered equation and each erratum, where it is shown, written, tested and asked for.

    proofs.py             write lectures/proofs.md
    proofs.py --check     write nothing; fail where it is out of date, or where something dangles

An equation is a `\\tag{n}` in a lecture, an erratum a heading `### Row n`. The rest is found where it stands:

    shown        by the checks whose names hold the number, as in "the best discriminator (7)"; by a row's own cell
    written      by the functions of genlib whose docstrings name it, as "lecture 01 (7)"; by those a row's cell calls
    tested       by the tests that name it, and by those that fail when a line of such a function is broken,
                 which tests/breaks/genlib.toml lists and `make mutants` shows
    asked for    by the exercises whose file in gencourse/checks names it, or a section, or "erratum 11"
"""

import argparse
import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from build_notebooks import read_source

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "lectures" / "proofs.md"
TAG = re.compile(
    r"\b[Ll]ecture (0\d)b? (\(\d+[a-z]?\)(?:, \(\d+[a-z]?\))*)|\b([Ee]rratum) (\d+)|\b[Ll]ecture (0\d)b?, section (\d+)"
)
NAME = re.compile(r'checks\.(?:identity|at_most)\(\s*f?"((?:[^"\\]|\\.)*)"')
NO_CHECK = {  # what claims nothing that could be computed: what it is instead
    "01 (6)": "the game",
    "02 (1)": "the game, given x",
    "02 (5)": "the objective of pix2pix",
    "03 (4)": "the affine coupling",
    "03 (14)": "the spline, whose slope is (15) and whose inverse is (16)",
    "04 (1)": "the step of the chain",
    "04 (10)": "the model of the way back",
    "05 (1)": "the process in continuous time",
    "05 (4)": "Langevin dynamics",
    "05 (25)": "the interpolant",
    "05 (26)": "the best velocity",
    "05 (28)": "the objective of flow matching",
    "erratum 21": "a name",
    "erratum 28": "where a word comes from",
}


class Place(NamedTuple):
    """Where a statement stands: a lecture's source, the title of the section, the equation or the row's subject."""

    lecture: str
    section: str
    text: str


class Map(NamedTuple):
    """By "04 (5)", "erratum 9" or "04, section 3": where it stands, and what shows, writes, tests and asks for it."""

    places: dict[str, Place]
    shown: dict[str, list[str]]
    written: dict[str, list[str]]
    tested: dict[str, list[str]]
    asked: dict[str, list[str]]
    sections: set[str]
    exercises: set[str]


def tags(text: str) -> list[str]:
    """The statements that a text names."""
    found = []
    for lecture, numbers, erratum, row, of, section in TAG.findall(text):
        found += [f"{lecture} {n}" for n in numbers.split(", ") if n]
        found += [f"erratum {row}"] * bool(erratum) + [f"{of}, section {section}"] * bool(section)
    return found


def lectures() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """A lecture's name, and its cells: kind, source, and the title under which they stand."""
    for path in sorted((ROOT / "lectures").glob("0[1-9]*.py")):
        cells, title = [], ""
        for cell in read_source(path).cells:
            headings = re.findall(r"^##+ (.*)$", cell.source, re.M) if cell.cell_type == "markdown" else []
            title = headings[0] if headings else title
            cells.append((cell.cell_type, cell.source, title))
        yield path.stem, cells


def functions(path: Path) -> Iterator[tuple[str, int, int]]:
    """Of each function and class of a file, inner ones last: its full name, its first and its last line."""

    def inside(node: ast.AST, prefix: str) -> Iterator[tuple[str, int, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                yield f"{prefix}{child.name}", child.lineno, child.end_lineno or child.lineno
                yield from inside(child, f"{prefix}{child.name}.")

    yield from inside(ast.parse(path.read_text(encoding="utf-8")), "")


def around(path: Path, line: int) -> str:
    """The innermost function or class of a file that holds a line; the file's name, if none does."""
    return [path.stem, *(name for name, first, last in functions(path) if first <= line <= last)][-1]


def link(path: Path, text: str, line: int | None = None) -> str:
    return f"[{text}](../{path.relative_to(ROOT)}{f'#L{line}' if line else ''})"


def calls(source: str) -> list[str]:
    """The functions of genlib that a cell calls, as it writes them: `flows.AffineCoupling`."""
    found = re.findall(r"\b((?:data|diffusion|flows|gan|metrics)\.[A-Za-z_.]+)\(", source)
    return list(dict.fromkeys(name for name in found if not name.startswith("data.")))


def collect() -> Map:
    shown, written, tested, asked = (defaultdict(list) for _ in range(4))
    out = Map({}, shown, written, tested, asked, sections=set(), exercises=set())
    for name, cells in lectures():
        row = ""
        for kind, source, title in cells:
            if kind == "markdown":
                if section := re.match(r"(\d+)\. ", title):
                    out.sections.add(f"{name[:2]}, section {section[1]}")
                for number in re.findall(r"\\tag\{(\d+[a-z]?)\}", source):
                    key, block = f"{name[:2]} ({number})", source.split(f"\\tag{{{number}}}")[0].split("$$")[-1]
                    if key in out.places:
                        raise ValueError(f"{name}: {key} stands twice")
                    out.places[key] = Place(name, title, " ".join(block.split()).rstrip(" ,."))
                found = re.match(r"### Row (\d+)\n+\*\*(.*?)\*\*", source)
                row = f"erratum {found[1]}" if found else "" if source.startswith("## ") else row
                if found:
                    out.places[row] = Place(name, f"Row {found[1]}", found[2].rstrip("."))
                continue
            names = NAME.findall(source)
            for check in names:
                for number in re.findall(r"\((\d+[a-z]?)\)", check):
                    out.shown[f"{name[:2]} ({number})"].append(check)
            if row:
                out.shown[row] += names or ["what the cell prints"]
                out.written[row] += [f"`{call}`" for call in calls(source) if f"`{call}`" not in out.written[row]]
    tests = defaultdict(set)  # by function of genlib
    for entry in tomllib.loads((ROOT / "tests" / "breaks" / "genlib.toml").read_text(encoding="utf-8"))["break"]:
        path = ROOT / entry["file"]
        line = path.read_text(encoding="utf-8").split(entry["old"])[0].count("\n") + 1
        tests[path, around(path, line)].add(entry["test"].split("[")[0])
    for path in sorted((ROOT / "genlib").rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for key in tags(line) if path.name != "__init__.py" else []:
                function = around(path, number)
                out.written[key].append(link(path, function, number))
                holding = {t for (p, f), held in tests.items() if p == path and f.startswith(function) for t in held}
                out.tested[key] += sorted(holding)
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for key in tags(line) if path.name != "test_proofs.py" else []:
                out.tested[key].insert(0, f"tests/{path.name}::{around(path, number)}")
    for path in sorted((ROOT / "gencourse" / "checks").glob("lab_*/*.py")):
        text = path.read_text(encoding="utf-8")
        for exercise in re.findall(r'^[A-Z\d_]+ = \w+\(\s*"(\w+\.\w+)"', text, re.MULTILINE):
            out.exercises.add(exercise)
            for key in tags(ast.get_docstring(ast.parse(text)) or ""):
                out.asked[key].append(link(ROOT / "labs" / f"{path.parent.name}.ipynb", exercise))
    return out


def dangling(out: Map) -> list[str]:
    """What names something that does not stand anywhere, and what nothing shows or holds."""
    known = {*out.places, *out.sections}
    found = [f"{key} is named, and stands nowhere" for part in out[1:5] for key in part if key not in known]
    for key in out.places:
        if bool(out.shown[key]) == (key in NO_CHECK):
            found.append(f"{key} {'is shown, and NO_CHECK has it' if out.shown[key] else 'is shown by no check'}")
        if out.written[key] and not out.tested[key] and not key.startswith("erratum"):
            found.append(f"{key} is written in genlib, and no test names it or breaks there")
    asked = " ".join(exercise for exercises in out.asked.values() for exercise in exercises)
    return found + [
        f"{exercise} asks for nothing" for exercise in sorted(out.exercises) if f"[{exercise}]" not in asked
    ]


def anchor(section: str) -> str:
    """A heading's address, as JupyterLab writes it."""
    return section.replace(" ", "-").replace("(", "%28").replace(")", "%29")


def page(out: Map) -> str:
    """The page, in Markdown."""
    lines = [
        "# From statement to proof",
        "",
        "Where is an equation derived, which cell shows that it holds, and where is it in the library?",
        "Below is each numbered equation of the lectures, and each row of "
        "[the notes, corrected](08_the_notes_corrected.ipynb).",
        "",
        "- *Shown by* names the checks: lines that a cell of that lecture prints. `make mutants` makes every one fail.",
        "- *genlib* is where the library writes it, and *tests* are those that name it, or fail if it is broken there.",
        "- *Exercise* is the function of a lab that asks for it.",
        "",
        "An equation without a check defines something, and claims nothing.",
        "`make map` writes this page from the sources.",
    ]
    lecture = None
    for key, place in out.places.items():
        if place.lecture != lecture:
            lecture = place.lecture
            title = re.findall(r"^# # (.*)$", (ROOT / "lectures" / f"{lecture}.py").read_text(encoding="utf-8"), re.M)[
                0
            ]
            lines += ["", f"## [{lecture.split('_')[0]} {title}]({lecture}.ipynb)"]
        title = f"**{key.split()[-1]}** {NO_CHECK.get(key, '')}".strip()
        where = f"[{place.section}]({place.lecture}.ipynb#{anchor(place.section)})"
        text = place.text if key.startswith("erratum") else f"$$ {place.text} $$"
        tests = [link(ROOT / t.split("::")[0], t.split("::")[-1].removeprefix("test_")) for t in out.tested[key]]
        parts = {
            "shown by": [f"`{name}`" for name in out.shown[key]],
            "genlib": out.written[key],
            "tests": tests,
            "exercise": out.asked[key],
        }
        lines += ["", f"{title}, in {where}" if not key.startswith("erratum") else f"**{where}** {text}", ""]
        lines += [] if key.startswith("erratum") else [text, ""]
        lines += [f"- {name}: {', '.join(dict.fromkeys(found))}" for name, found in parts.items() if found]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the page is out of date")
    out = collect()
    found, text = dangling(out), page(out)
    if parser.parse_args().check:
        stored = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        found += [] if stored == text else [f"{PAGE.relative_to(ROOT)} is out of date: run `make map`"]
    else:
        PAGE.write_text(text, encoding="utf-8")
        print(f"{PAGE.relative_to(ROOT)}: {len(out.places)} statements")
    print(*found, sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
