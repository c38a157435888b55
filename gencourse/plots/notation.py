"""Names as code and plain text write them, x_t and β̃, as figures and tables show them: with indices below."""

import re
import unicodedata
from html import escape

# A letter that begins a word, its accent, its index: a number, a letter, what is in braces; L_simple, but not p_value.
SYMBOL = re.compile(
    r"(?<!\w)(?P<letter>[^\W\d_])(?P<accent>[\u0302-\u0304]?)"
    r"(?:_(?:\{(?P<several>[\w−+:,= -]+)\}|(?P<one>\d+|[^\W_])(?!\w)|(?<=[A-Z]_)(?P<word>[^\W\d_]+)(?!\w)))?"
)
ACCENTS = {"\u0302": "hat", "\u0303": "tilde", "\u0304": "bar"}


def typeset(text: str) -> str:
    """The text with its symbols as matplotlib sets formulas; one that has formulas already stays as it is."""
    if "$" in text:
        return text

    def formula(found: re.Match) -> str:
        letter, accent, index = found["letter"], found["accent"], _index(found)
        if not accent and not index:
            return letter
        shown = f"\\{ACCENTS[accent]}{{{letter}}}" if accent else letter
        return f"${shown}" + f"_{{{index.replace('−', '-')}}}" * bool(index) + "$"

    return SYMBOL.sub(formula, text)


def to_html(text: str) -> str:
    """The text for a page."""

    def below(found: re.Match) -> str:
        index = _index(found)
        return found["letter"] + found["accent"] + f"<sub>{index}</sub>" * bool(index)

    return SYMBOL.sub(below, escape(text))


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """The text as wide as that many columns of a terminal, where an accent stands above its letter and takes none."""
    space = " " * (columns - sum(not unicodedata.combining(letter) for letter in text))
    return space + text if right else text + space


def _index(found: re.Match) -> str:
    return found["several"] or found["one"] or found["word"] or ""
