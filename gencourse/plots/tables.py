"""A table of numbers, as a page shows it and as text, in which the best of each row is found, and not typed in."""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_type_hints

from gencourse.plots.notation import padded, to_html
from genlib.arguments import check, checked

FORM = re.compile(r"[-+ ]?[,_]?(\.\d\d?)?[eEfFgG%]?")
Value = float | str | None  # a number; words; or nothing, shown as a dash


class Row(NamedTuple):
    """One line of a table; without values it is a heading for the lines below it.

    Attributes:
        name: what was measured, with its unit.
        values: one for each column.
        form: how a number is written, as in `format(value, form)`.
        best: which number wins, the "low" or the "high" one; None if there is nothing to win.
    """

    name: str
    values: Sequence[Value] = ()
    form: str = ".2f"
    best: Literal["low", "high"] | None = None


class Table:
    """What `table` returns: HTML in a notebook, text in a terminal. The best of a row is bold, or has a *."""

    @checked
    def __init__(
        self, columns: Sequence[str], rows: Sequence[Row], *, caption: str, reference: Sequence[str] = ()
    ) -> None:
        if not rows:
            raise ValueError("rows: expected at least one, got none")
        if not caption.strip():
            raise ValueError("caption: expected a sentence, got nothing")
        for name in reference:
            if name not in columns:
                raise ValueError(f"reference: expected some of the columns {', '.join(columns)}, got {name!r}")
        self._columns, self._caption = columns, caption
        self._rows = [(row, *_written(row, columns, reference)) for row in rows]

    def __repr__(self) -> str:
        first = max(len(row.name) for row, _, _ in self._rows)
        lines = [self._caption, " " * first + "".join(padded(name, 12, right=True) for name in self._columns)]
        for row, texts, won in self._rows:
            marked = (text + ("*" if best else " ") for text, best in zip(texts, won, strict=True))
            lines.append(padded(row.name, first) + "".join(padded(text, 12, right=True) for text in marked))
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col" style="text-align: right">{to_html(name)}</th>' for name in self._columns)
        lines = [
            f"<table><caption>{to_html(self._caption)}</caption>",
            f"<thead><tr><td></td>{head}</tr></thead><tbody>",
        ]
        for row, texts, won in self._rows:
            if not row.values:
                span = len(self._columns) + 1
                lines.append(
                    f'<tr><th scope="rowgroup" colspan="{span}" style="text-align: left">{to_html(row.name)}</th></tr>'
                )
                continue
            cells = "".join(
                f'<td style="text-align: right">{f"<b>{to_html(text)}</b>" if best else to_html(text)}</td>'
                for text, best in zip(texts, won, strict=True)
            )
            lines.append(f'<tr><td style="text-align: left">{to_html(row.name)}</td>{cells}</tr>')
        return "\n".join([*lines, "</tbody></table>"])


def table(columns: Sequence[str], rows: Sequence[Row], *, caption: str, reference: Sequence[str] = ()) -> Table:
    """Numbers in rows and columns. Of each row, the best as printed is marked; several, where they are printed alike.

    Args:
        columns: a name each.
        rows: what is in them.
        caption: what the table shows, in a sentence.
        reference: columns that stand beside the others and win nothing, such as the truth.
    Raises:
        ValueError: without a row, or where one does not fit the columns.

    >>> table(["a", "b"], [Row("error", [0.5, 0.25], best="low")], caption="Two models.")
    Two models.
                    a           b
    error       0.50        0.25*
    """
    return Table(columns, rows, caption=caption, reference=reference)


def _written(row: Row, columns: Sequence[str], reference: Sequence[str]) -> tuple[list[str], list[bool]]:
    """The row's texts, and which of them win."""
    for part, hint in get_type_hints(Row).items():
        check(part, getattr(row, part), hint)
    if not FORM.fullmatch(row.form):
        raise ValueError(f"form: expected how a number is written, such as '.2f', got {row.form!r}")
    if not row.values:
        return [], []
    if len(row.values) != len(columns):
        raise ValueError(f"values: expected {len(columns)} of {row.name!r}, one for each column, got {len(row.values)}")
    texts = [_text(value, row.form) for value in row.values]
    compete = [
        (float(value), text)
        for value, text, name in zip(row.values, texts, columns, strict=True)
        if name not in reference and value is not None and not isinstance(value, str)
    ]
    if row.best is None or not compete:
        return texts, [False] * len(texts)
    best = (min if row.best == "low" else max)(compete)[1]
    inside = [name not in reference for name in columns]
    return texts, [text == best and ok for text, ok in zip(texts, inside, strict=True)]


def _text(value: Value, form: str) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else format(float(value), form)
