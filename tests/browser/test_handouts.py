"""The handouts: tagged, whole, answers in an appendix; and what is too wide for the paper is found."""

# pyright: reportIndexIssue=false, reportOperatorIssue=false, reportOptionalMemberAccess=false

import re
from collections.abc import Callable
from typing import Any

import build_site
import handouts
import pypdf
import pytest
import site_sources
import web

COURSE = {handouts.name(entry): entry for entry in site_sources.contents()}
Printed = Callable[[str, str], pypdf.PdfReader]


@pytest.fixture(scope="session")
def printed(browser: Any) -> Printed:
    """`printed("a4", "04")`: a handout, printed here where `make handouts` has not."""

    def read(folder: str, name: str) -> pypdf.PdfReader:
        path = handouts.OUT / folder / f"{name}.pdf"
        if not path.exists():
            if not (build_site.OUT / "index.html").exists():
                build_site.build(solutions=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            assert handouts.printed(browser, COURSE[name], build_site.OUT, solutions=True) == []
        return pypdf.PdfReader(path)

    return read


def letters(text: str) -> str:
    """Without spaces and line ends, which paper moves."""
    return re.sub(r"\s+", "", text)


def last_code(name: str) -> str:
    cells = [cell for cell in site_sources.read(COURSE[name].path)["cells"] if cell["cell_type"] == "code"]
    return "".join(cells[-1]["source"]).strip().split("\n")[-1]


def tags(reader: pypdf.PdfReader) -> list[dict[str, Any]]:
    """The elements of the structure tree."""
    found: list[dict[str, Any]] = []
    left = [reader.trailer["/Root"]["/StructTreeRoot"]]
    while left:
        element = left.pop().get_object()
        if isinstance(element, list):
            left += element
        elif isinstance(element, dict):
            if "/S" in element:
                found.append(element)
            if "/K" in element and not isinstance(element["/K"], int):
                left.append(element["/K"])
    return found


@pytest.mark.parametrize("folder", handouts.PAPERS)
@pytest.mark.parametrize("name", COURSE)
def test_each_is_tagged_with_an_outline_on_its_paper(printed: Printed, folder: str, name: str) -> None:
    reader = printed(folder, name)
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"].startswith("en")
    assert COURSE[name].title in reader.metadata.title
    assert reader.outline
    assert 2 <= len(reader.pages) <= 60
    width = float(reader.pages[0].mediabox.width)
    assert width == pytest.approx({"a4": 595, "letter": 612}[folder], abs=1.5)


@pytest.mark.parametrize("name", ["00", "04", "lab_3"])
def test_the_text_is_whole(printed: Printed, name: str) -> None:
    reader = printed("a4", name)
    text = letters("".join(page.extract_text() for page in reader.pages))
    assert letters(last_code(name)) in text
    stored = site_sources.read(COURSE[name].path)["cells"]
    pictures = sum(
        "<img" in "".join(o.get("data", {}).get("text/html", "")) for c in stored for o in c.get("outputs", [])
    )
    described = [element for element in tags(reader) if element["/S"] == "/Figure" and element.get("/Alt")]
    assert len(described) >= pictures
    assert {element["/S"] for element in tags(reader)} >= {"/H1", "/H2", "/P"}


def test_answers_stand_in_the_appendix_with_links_both_ways(printed: Printed) -> None:
    reader = printed("a4", "04")
    text = [page.extract_text() for page in reader.pages]
    appendix = next(i for i, page in enumerate(text) if "Appendix: answers" in page)
    assert "Answer 1" in text[appendix]
    assert any("Answer 1, in the appendix" in page for page in text[:appendix])
    places = {str(name).removeprefix("/") for name in reader.named_destinations}
    assert {"answer-1", "question-1"} <= places


def test_a_lab_has_its_worked_answers_at_the_end(printed: Printed) -> None:
    text = letters("".join(page.extract_text() for page in printed("a4", "lab_3").pages))
    blank, worked = text.split(letters("Appendix: worked answers of the exercises"))
    line = letters("return torch.cat([beta.new_ones(1), (1 - beta).cumprod(0)])")
    assert line in worked
    assert line not in blank


def test_what_is_wider_than_the_paper_is_found(open_page: Any) -> None:
    if not (build_site.OUT / "index.html").exists():
        build_site.build(solutions=True)
    page = open_page((build_site.OUT / "lectures" / "00_start_here.html").as_uri())
    page.wait_for_selector("html[data-genlib=ready]", state="attached", timeout=120_000)
    page.add_script_tag(path=str(web.SITE / "print.js"))
    page.evaluate("genlibPaper.prepare('')")
    page.add_style_tag(path=str(web.SITE / "print.css"))
    assert page.evaluate("genlibPaper.fit(670)") == []
    wide = '<p><span style="display: inline-block; width: 900px">wide</span></p>'  # not in one that paper may hide
    page.evaluate("(wide) => document.querySelector('article').insertAdjacentHTML('beforeend', wide)", wide)
    assert [found for found in page.evaluate("genlibPaper.fit(670)") if "wide" in found]
