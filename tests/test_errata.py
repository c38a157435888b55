"""The corrections are all there: thirty rows, and a cell that decides each of them but the two that are words."""

import re
from pathlib import Path

import pytest
from build_notebooks import read_source

SOURCE = Path(__file__).parent.parent / "lectures" / "08_the_notes_corrected.py"
ROWS = range(1, 31)
WORDS = {21, 28}  # a name, and why a flow is called so: nothing to compute
HEADING = re.compile(r"^### Row (\d+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def cells() -> list:
    return read_source(SOURCE).cells


def headings(cells: list) -> dict[int, int]:
    """Row → index of the cell that opens with its heading."""
    found = [(int(row), i) for i, cell in enumerate(cells) for row in HEADING.findall(cell.source)]
    assert sorted(row for row, _ in found) == list(ROWS)
    return dict(found)


def test_every_row_is_there_once_and_complete(cells: list) -> None:
    for row, index in headings(cells).items():
        text = cells[index].source
        assert cells[index].cell_type == "markdown"
        assert text.startswith("### Row"), f"row {row}: the heading opens its cell"
        for part in ("The notes.", "What holds.", "Source.", "In the course."):
            assert f"**{part}**" in text, f"row {row} lacks {part!r}"


def test_every_row_but_two_is_followed_by_a_cell_that_runs(cells: list) -> None:
    followed = {row for row, i in headings(cells).items() if i + 1 < len(cells) and cells[i + 1].cell_type == "code"}
    assert followed == set(ROWS) - WORDS


def test_every_deciding_cell_checks_or_shows_numbers(cells: list) -> None:
    for row, index in headings(cells).items():
        if row not in WORDS:
            source = cells[index + 1].source
            assert re.search(r"\bchecks\.(identity|at_most)\(|\bprint\(", source), f"row {row}"
            assert len([line for line in source.splitlines() if line.strip()]) <= 20, f"row {row}: one idea a cell"


def test_contents_and_closing_table_link_to_every_row(cells: list) -> None:
    for title in ("## The rows", "## All in one table"):
        (table,) = [cell.source for cell in cells if cell.source.startswith(title)]
        assert sorted(int(row) for row in re.findall(r"\(#Row-(\d+)\)", table)) == list(ROWS)


def test_each_row_names_lectures_that_exist_or_are_part_of_the_course(cells: list) -> None:
    for row, index in headings(cells).items():
        linked = re.findall(r"\]\((\d\db?_\w+)\.ipynb\)", cells[index].source)
        assert linked, f"row {row}: a lecture to go to"
        for name in linked:
            assert (SOURCE.parent / f"{name}.py").exists(), f"row {row}: {name}"


def test_rows_and_lectures_name_each_other(cells: list) -> None:
    """(row, lecture) by the links of the rows, and by those of the lectures: the same pairs."""
    there = {
        (row, name)
        for row, index in headings(cells).items()
        for name in re.findall(r"\]\((\d\db?_\w+)\.ipynb", cells[index].source)
    }
    back = {
        (int(row), source.stem)
        for source in SOURCE.parent.glob("0[0-7]*.py")
        for row in re.findall(rf"\({SOURCE.stem}\.ipynb#Row-(\d+)\)", source.read_text(encoding="utf-8"))
    }
    assert there == back
