"""How long a lecture takes to present, from its source; `tests/test_minutes.py` holds README and lectures to it.

    text         130 words a minute, without what is folded, without formulas, and without where to read on
    half         a minute for each displayed equation, each figure or table, and each training
    1.5 minutes  for each widget

`python tools/minutes.py` prints a line for each lecture.
"""

import re
from pathlib import Path

from build_notebooks import read_source

LECTURES = Path(__file__).parent.parent / "lectures"
FOLDED = re.compile(r"<details>.*?</details>", re.DOTALL)
EQUATION = re.compile(r"\$\$.*?\$\$", re.DOTALL)
INLINE = re.compile(r"\$[^$]+\$")
LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
WORD = re.compile(r"\w[\w’'-]*")
UNREAD = ("## Where to read on",)  # a list of titles


def minutes(source: Path) -> float:
    """Of one lecture, not rounded. A formula in a line is read as one word."""
    spoken, half, widgets = 0, 0, 0
    for cell in read_source(source).cells:
        if cell.cell_type == "code":
            figures = len(re.findall(r"\bplots\.(?:figure|image_rows|table)\(", cell.source))
            half += figures + len(re.findall(r"\btrain\.fit\(|\boptimizer\.step\(", cell.source))
            widgets += len(re.findall(r"\bwidgets\.[A-Z]\w*\(", cell.source))
        elif not cell.source.startswith(UNREAD):
            text = FOLDED.sub("", cell.source)
            half += len(EQUATION.findall(text))
            spoken += words(text)
    return spoken / 130 + half / 2 + 1.5 * widgets


def words(text: str) -> int:
    """How many words are read aloud: a link by its name, a formula in a line as one, a displayed one not at all."""
    return len(WORD.findall(LINK.sub(r"\1", INLINE.sub("x", EQUATION.sub("", text)))))


def main() -> None:
    for source in sorted(LECTURES.glob("*.py")):
        print(f"{source.stem:25} {minutes(source):5.1f}")


if __name__ == "__main__":
    main()
