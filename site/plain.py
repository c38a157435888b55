"""genlib's docstrings, which are plain text, as reStructuredText: what would be markup there is taken as it stands."""

import re
from collections.abc import Iterator
from typing import Any

HEADINGS = ("Args:", "Attributes:", "Returns:", "Raises:", "Yields:")
WORDS = re.compile(r"(?<!\w)(Args|Attributes|Returns|Raises|Ref):(?= )")


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", rewrite, priority=400)  # before napoleon reads the sections
    return {"parallel_read_safe": True}


def rewrite(_app: Any, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Sphinx's event: the docstring of one object, in place."""
    lines[:] = list(rewritten(lines))


def rewritten(lines: list[str]) -> Iterator[str]:
    """Prose is escaped; indented equations and code become blocks; a heading with its text is a paragraph."""
    section = block = example = False
    before = ""
    for line in lines:
        bare, indented = line.strip(), line.startswith("    ")
        heading = bare in HEADINGS and not indented
        if not bare:
            example = block = False
        elif bare.startswith(">>>") and not example:
            example = True
            yield ""
        section = heading or (section and (indented or not bare))
        if example or heading:
            yield line
        elif indented and not section and (block or not before or before.endswith(":")):
            if not block:
                yield from ("", "::", "")
            block = True
            yield line
        else:
            if (block or WORDS.match(bare)) and before and not indented:
                yield ""
            block = False
            yield escaped(line if section else bare)
        before = bare


def escaped(line: str) -> str:
    """A line of prose: what is in backticks is code, everything else is as it stands, the headings inside it bold."""
    parts = re.split(r"`([^`]+)`", line)
    for i in range(0, len(parts), 2):
        text = re.sub(r"([\\*|`])", r"\\\1", parts[i])
        text = re.sub(r"_(?=\W|$)", r"\\_", text)
        parts[i] = WORDS.sub(r"**\1:**", text)
    for i in range(1, len(parts), 2):
        left, right = parts[i - 1][-1:], parts[i + 1][:1]
        parts[i] = ("\\ " if left.isalnum() else "") + f"``{parts[i]}``" + ("\\ " if right.isalnum() else "")
    return "".join(parts)
