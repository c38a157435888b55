"""What a student sees: a result as a small panel in a notebook, and as plain text everywhere else.

Both forms are the same on every run and every machine where an exercise is passed or not attempted. A panel takes its
text colour and background from the page, so it suits light and dark; the state is a word and a sign, and never a
colour alone.
"""

import re
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

State = Literal["passed", "wrong", "not attempted"]
SIGNS: dict[State, str] = {"passed": "✓", "wrong": "✗", "not attempted": "○"}
COLOURS: dict[State, str] = {"passed": "#009E73", "wrong": "#D55E00", "not attempted": "#2A85C7"}
STAND_IN = "genlib's own version stands in, so the rest of the notebook works"
GO_ON = "To go on without it, put `raise NotImplementedError` back and run the cell: genlib's own version stands in."
SOLVED_AFTER = 3  # failures, after which the worked answer is shown, folded
WIDTH = 100
PROSE = ("check", "hint", "more", "stuck?", "why", "warning")
GRID = (
    "display: grid; align-items: baseline; grid-template-columns: max-content minmax(0, 1fr); gap: 0.15em 1em; "
    "margin: 0.4em 0 0"
)
CODE = (
    "margin: 0; padding: 0; background: none; color: inherit; white-space: pre-wrap; word-break: normal; "
    "overflow-wrap: anywhere"
)


@dataclass(frozen=True)
class Result:
    """What the checks of one exercise found.

    `check` is the check that failed; `mistake` the name of the mistake that was recognised, if one was; `error` the
    exception and the student's own line; `inputs`, `expected` and `got` are short texts; `seed` repeats the numbers.
    `step` counts the failures in a row: with the second comes the hint `second`, with the third `solution`, the worked
    answer. A pass may come with `why`, what it is good for, and a `warning`.
    """

    name: str
    state: State
    check: str = ""
    mistake: str = ""
    hint: str = ""
    inputs: tuple[tuple[str, str], ...] = ()
    expected: str = ""
    got: str = ""
    error: str = ""
    printed: str = ""
    seed: int | None = None
    second: str = ""
    solution: str = ""
    why: str = ""
    warning: str = ""
    step: int = 0

    def rows(self) -> list[tuple[str, str]]:
        """The labelled lines under the headline; a value may have several lines."""
        if self.state == "passed":
            return [(label, value) for label, value in (("warning", self.warning), ("why", self.why)) if value]
        if self.state != "wrong":
            return []
        called = self.name.rpartition(".")[2]
        numbers = "\n".join(f"{name} = {text}" for name, text in self.inputs)
        again = f'checks.run("{self.name}", {called}, seed={self.seed})  repeats this on the same numbers'
        more = f'checks.hint("{self.name}") says more, checks.solution("{self.name}") shows a worked answer'
        rows = [
            ("check", self.check),
            ("error", self.error),
            ("expected", self.expected),
            ("got", self.got),
            ("hint", self.hint),
            ("more", self.second if self.step > 1 else ""),
            ("with", numbers),
            ("printed", self.printed),
            ("again", again if self.seed is not None else ""),
            ("stuck?", f"{more}.\n{GO_ON}" if self.step else ""),
        ]
        return [(label, value) for label, value in rows if value]

    def __str__(self) -> str:
        headline = f"{self.state}: {self.name}"
        if self.state == "not attempted":
            return f"{headline}\n  {STAND_IN}"
        return "\n".join([headline, *(_text_row(label, value) for label, value in self.rows())])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.html()}

    def html(self) -> str:
        aside = f" — {escape(STAND_IN)}" if self.state == "not attempted" else ""
        headline = f"<div>{_sign(self.state)} <b>{self.state}</b>: <code>{escape(self.name)}</code>{aside}</div>"
        rows = "".join(_html_row(label, value) for label, value in self.rows())
        if rows:
            rows = f'<dl style="{GRID}">{rows}</dl>'
        if self.state == "wrong" and self.step >= SOLVED_AFTER:
            rows += _folded("a worked answer", self.solution)
        role = "alert" if self.state == "wrong" else "status"
        label = escape(f"{self.state}: {self.name}", quote=True)
        return f'<div role="{role}" aria-label="{label}" style="{_box(self.state)}">{headline}{rows}</div>'


@dataclass(frozen=True)
class Note:
    """Something said on request: a second hint, a worked answer."""

    name: str
    title: str
    text: str
    why: str = ""

    def __str__(self) -> str:
        why = [_text_row("why", self.why)] if self.why else []
        return "\n".join([f"{self.name}: {self.title}", textwrap.indent(self.text, "  "), *why])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.html()}

    def html(self) -> str:
        headline = f"<div><code>{escape(self.name)}</code>: <b>{escape(self.title)}</b></div>"
        text = (
            f'<pre style="{CODE}">{escape(self.text)}</pre>'
            if "\n" in self.text
            else f"<div>{_with_code(self.text)}</div>"
        )
        why = f"<div>{_with_code(self.why)}</div>" if self.why else ""
        label = escape(f"{self.title}: {self.name}", quote=True)
        return f'<div role="status" aria-label="{label}" style="{_box("not attempted")}">{headline}{text}{why}</div>'


@dataclass(frozen=True)
class Summary:
    """All exercises of a lab, one line each."""

    results: Sequence[Result]

    def total(self) -> str:
        passed = sum(result.state == "passed" for result in self.results)
        return f"{passed} of {len(self.results)} passed" if self.results else "no exercise has been run yet"

    def __str__(self) -> str:
        width = max((len(result.name) for result in self.results), default=0)
        lines = [f"{result.name:<{width}}  {_state(result)}" for result in self.results]
        return "\n".join([*lines, self.total()])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.html()}

    def html(self) -> str:
        left = 'style="text-align: left"'
        head = f'<tr><th scope="col" {left}>exercise</th><th scope="col" {left}>state</th></tr>'
        body = "".join(
            f"<tr><td {left}><code>{escape(r.name)}</code></td>"
            f"<td {left}>{_sign(r.state)} {escape(_state(r))}</td></tr>"
            for r in self.results
        )
        table = f'<table style="margin: 0">{head}{body}</table>' if self.results else ""
        done = all(result.state == "passed" for result in self.results) and len(self.results) > 0
        box = _box("passed" if done else "not attempted")
        return f'<div role="status" aria-label="summary" style="{box}">{table}<div><b>{self.total()}</b></div></div>'


def publish(what: Result | Note | Summary) -> None:
    """Show it: as a panel where IPython runs, printed elsewhere."""
    ipython = sys.modules.get("IPython")  # never imported for this: a plain script does without
    if ipython is not None and ipython.get_ipython() is not None:
        from IPython.display import display

        display(what)
    else:
        print(what)


def _state(result: Result) -> str:
    return f"wrong: {result.check}" if result.state == "wrong" and result.check else result.state


def _text_row(label: str, value: str) -> str:
    first, rest = f"  {label + ':':<10}", " " * 12
    lines: list[str] = []
    for line in value.splitlines():
        # numbers and code stay on their line; prose is wrapped
        lines += textwrap.wrap(line, WIDTH - 12) if label in PROSE else [line]
    return "\n".join(f"{rest if i else first}{line}" for i, line in enumerate(lines))


def _html_row(label: str, value: str) -> str:
    prose = label in PROSE
    inner = _with_code(value) if prose else f'<pre style="{CODE}">{escape(value)}</pre>'
    weight = "font-weight: bold" if label == "hint" else "opacity: 0.8"
    return f'<dt style="{weight}; margin: 0">{label}</dt><dd style="margin: 0">{inner}</dd>'


def _with_code(text: str) -> str:
    """Prose as HTML; what stands in backticks is code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _folded(title: str, code: str) -> str:
    return f'<details><summary>{escape(title)}</summary><pre style="{CODE}">{escape(code)}</pre></details>'


def _sign(state: State) -> str:
    style = f"color: {COLOURS[state]}; font-weight: bold"
    return f'<span aria-hidden="true" style="{style}">{SIGNS[state]}</span>'


def _box(state: State) -> str:
    return f"border-left: 5px solid {COLOURS[state]}; padding: 0.3em 0.9em; margin: 0.3em 0; max-width: 72em"
