"""What comes out of grading: a table for Moodle, for Canvas or for people, and a page for each student."""

import csv
import hashlib
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from grade_people import Submission

from gencourse.checks.panel import COLOURS, Result
from gencourse.grade import Graded, Scored

Row = tuple[Submission, Graded]
SIGNS = {"passed": "✓", "wrong": "✗", "not attempted": "○", "refused": "⊘"}
STYLE = (
    "body { font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; "
    "background: Canvas; color: CanvasText; color-scheme: light dark } "
    "table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: 0.2em 0.8em 0.2em 0; "
    "border-bottom: 1px solid GrayText } td.n { text-align: right } section { margin: 1.2em 0 } "
    "code, pre { font-family: ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap }"
)


def number(points: float) -> str:
    return f"{points:.10g}"


def summary(graded: Graded) -> str:
    """What became of a submission, in one line."""
    if graded.problem:
        return graded.problem
    counts = {status: [e.name for e in graded.exercises if e.status == status] for status in SIGNS}
    said = [f"{len(names)} {status}" for status, names in counts.items() if names]
    return ", ".join(said)


def feedback(graded: Graded) -> str:
    """A few words on each exercise that has no points, for a cell of a table."""
    if graded.problem:
        return graded.problem
    lines = [f"{e.name}: {_why(e)}" for e in graded.exercises if e.status != "passed"]
    return "; ".join(lines) or "all exercises passed"


def _why(one: Scored) -> str:
    if one.status == "refused":
        return f"refused ({one.refused[0]})"
    return f"wrong ({one.result.check})" if one.status == "wrong" and one.result.check else one.status


# -- Tables


def best(rows: Iterable[Row]) -> list[Row]:
    """One submission for each student: the one with the most points, the first of equal ones."""
    chosen: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = (row[0].id, row[0].student)
        rank = (row[1].points, not row[1].problem)
        if key not in chosen or rank > (chosen[key][1].points, not chosen[key][1].problem):
            chosen[key] = row
    return list(chosen.values())


def write_table(path: Path, rows: Sequence[Row], system: str, lab: str) -> None:
    """The table that the system reads; teach/README.md says what its columns are."""
    chosen = best(rows)
    if system == "moodle":
        head = ["Identifier", "Full name", "Grade", "Maximum Grade", "Last modified (grade)", "Feedback comments"]
        lines = [
            [f"Participant {s.id}" if s.id else "", s.student, number(g.points), number(g.most), "", feedback(g)]
            for s, g in chosen
        ]
    elif system == "canvas":
        most = max((g.most for _, g in chosen), default=0.0)
        head = ["Student", "ID", "Section", lab]
        lines = [["Points Possible", "", "", number(most)]]
        lines += [[s.student, s.id, "", number(g.points)] for s, g in chosen]
    else:
        head = ["Student", "ID", "Lab", "Grade", "Maximum Grade", "Counts", "Feedback comments", "File"]
        lines = [
            [s.student, s.id, g.lab, number(g.points), number(g.most), "yes" if (s, g) in chosen else "no", feedback(g),
             str(s.path)]
            for s, g in rows
        ]  # fmt: skip
    _write(path, head, lines)


def write_exercises(path: Path, rows: Sequence[Row]) -> None:
    """One line for each exercise of each submission."""
    head = ["Student", "ID", "File", "Exercise", "Status", "Points", "Maximum", "Check", "Mistake", "Refused"]
    lines = [
        [s.student, s.id, str(s.path), e.name, e.status, number(e.points), number(e.most), e.result.check,
         e.result.mistake, "; ".join(e.refused)]
        for s, g in rows
        for e in g.exercises
    ]  # fmt: skip
    _write(path, head, lines)


def _write(path: Path, head: list[str], lines: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows([[_plain(cell) for cell in line] for line in lines])


def _plain(cell: str) -> str:
    """A text that no spreadsheet takes for a formula, on one line."""
    cell = re.sub(r"[\x00-\x1f\x7f]+", " ", cell)
    return "'" + cell if cell.startswith(("=", "+", "-", "@")) and not re.fullmatch(r"-?[\d.]+", cell) else cell


# -- Pages


def page_name(submission: Submission) -> str:
    """A file's name that any system can have, and that no other submission gets."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", submission.student).strip("_")[:40] or "student"
    return f"{plain}_{hashlib.sha256(str(submission.path).encode(errors='surrogateescape')).hexdigest()[:8]}.html"


def write_page(path: Path, submission: Submission, graded: Graded) -> None:
    """What one student is told; all of it is in the file."""
    title = f"{submission.student}: {number(graded.points)} of {number(graded.most)} points"
    parts = [f"<h1>{_html(title)}</h1>", f"<p>{_html(graded.lab)} · <code>{_html(submission.path.name)}</code></p>"]
    if graded.problem:
        parts.append(f"<p><b>Not graded:</b> {_html(graded.problem)}</p>")
    if graded.exercises:
        lines = "".join(
            f"<tr><td><a href='#{_html(e.name)}'><code>{_html(e.name)}</code></a></td>"
            f"<td>{SIGNS[e.status]} {e.status}</td><td class='n'>{number(e.points)} of {number(e.most)}</td></tr>"
            for e in graded.exercises
        )
        parts.append(f"<table><tr><th>exercise</th><th>state</th><th>points</th></tr>{lines}</table>")
    parts += [f"<section id='{_html(e.name)}'>{_panel(e)}</section>" for e in graded.exercises]
    _page(path, title, parts)


def write_index(path: Path, rows: Sequence[Row]) -> None:
    """All students, with links to their pages."""
    lines = "".join(
        f"<tr><td><a href='{page_name(s)}'>{_html(s.student)}</a></td><td>{_html(g.lab)}</td>"
        f"<td class='n'>{number(g.points)} of {number(g.most)}</td><td>{_html(summary(g))}</td></tr>"
        for s, g in rows
    )
    head = "<tr><th>student</th><th>lab</th><th>points</th><th>what was found</th></tr>"
    _page(path, "Grades", ["<h1>Grades</h1>", f"<table>{head}{lines}</table>"])


def _panel(one: Scored) -> str:
    if one.status == "refused":
        reasons = "".join(f"<li><code>{_html(why)}</code></li>" for why in one.refused)
        return (
            f"<div role='alert' style='border-left: 5px solid {COLOURS['wrong']}; padding: 0.3em 0.9em'>"
            f"<div>{SIGNS['refused']} <b>refused</b>: <code>{_html(one.name)}</code></div>"
            "<p>It was not run, or not to its end. An answer may use torch, NumPy and Python's own mathematics; this "
            f"one does more:</p><ul>{reasons}</ul></div>"
        )
    result = one.result
    if one.status == "not attempted":
        result = Result(one.name, "wrong", check="there is an answer", got="none")
        return result.html().replace("✗", SIGNS["not attempted"]).replace(">wrong<", ">not attempted<")
    several = f"<p>There are {one.times} answers in the notebook; the last one counts.</p>" if one.times > 1 else ""
    return result.html() + several


def _page(path: Path, title: str, parts: list[str]) -> None:
    text = (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{_html(title)}</title>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _html(text: str) -> str:
    return escape(text, quote=True)
