"""Decks: what a source may say, what is refused, and that each lecture has one which takes the lecture's minutes."""

import re
from pathlib import Path

import deck as decks
import pytest
import slides
import web

HEAD = "---\ntitle: A\nsubtitle: B\nnotebook: 04_diffusion_models\n---\n"
NOTES = "\n::: notes 1.5 min\n**Say** a.\n\n**Ask** b?\n:::\n"
LECTURES = sorted(path.stem for path in (web.ROOT / "lectures").glob("*.ipynb"))


def read(tmp_path: Path, text: str, head: str = HEAD) -> decks.Deck:
    path = tmp_path / "deck.md"
    path.write_text(head + text, encoding="utf-8")
    return decks.read(path)


def test_a_slide_has_heading_body_notes_and_minutes(tmp_path: Path) -> None:
    deck = read(tmp_path, f"\n## What is $x_t$?\n\n+ one\n- two\n\n$$a < b$$\n{NOTES}\n## Next\n\ntext\n{NOTES}")
    first, second = deck.slides
    assert r"\(x_t\)</span>?" in first.heading
    assert '<li class="fragment">' in first.body
    assert "<li>two" in first.body.replace("\n", "")
    assert r"\[a &lt; b\]" in first.body
    assert (first.minutes, second.minutes) == (1.5, 1.5)
    assert "<strong>Say</strong>" in first.notes
    assert "Say" not in first.body


def test_outputs_come_from_the_notebook_with_their_code(tmp_path: Path) -> None:
    (slide,) = read(tmp_path, f"\n## A widget\n\n::: widget BetaScheduleExplorer\nunder it\n:::\n{NOTES}").slides
    assert "genlib-state" in slide.body
    assert '<div class="under"><p>under it</p>' in slide.body.replace("\n", "")
    assert "BetaScheduleExplorer" in slide.codes[0]
    assert "<span" in slide.code


def test_sections_make_an_outline(tmp_path: Path) -> None:
    slide = f"text\n{NOTES}"
    text = (
        f"\n## Zero\n{slide}\n# The $x_t$\n\n## One\n{slide}\n## Two {{optional}}\n{slide}\n# Back\n\n## Three\n{slide}"
    )
    deck = read(tmp_path, text)
    assert [slide.section for slide in deck.slides] == [0, 1, 1, 2]
    assert [(first, minutes) for _, first, minutes in deck.outline] == [(2, 3.0), (4, 1.5)]
    assert r"\(x_t\)" in deck.sections[0]
    assert [slide.heading for slide in deck.slides if slide.optional] == ["Two"]
    assert (deck.minutes, deck.optional) == (6.0, 1.5)
    slides.build(tmp_path / "deck.md", tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert page.count('class="marker"') == 3
    assert page.count("skip if late") == 1
    assert page.count(" data-optional") == 1
    assert '<a href="#/4">Back</a>' in page
    assert "of which 1.5 can be skipped" in page
    assert slides.edition() in page


@pytest.mark.parametrize(
    ("text", "says"), [("# A\n\ntext\n", "has slides and no text"), (f"# A\n# B\n## C\n{NOTES}", "has no slide")]
)
def test_a_section_is_its_slides(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(decks.DeckError, match=says):
        read(tmp_path, text)


def test_a_text_takes_no_longer_than_its_slide(tmp_path: Path) -> None:
    """130 words a minute, 15 % more at most; a formula is one word, and what is asked is not counted."""
    notes = "\n::: notes 1 min\n**Say** {}\n\n**Ask** " + "b " * 200 + "?\n:::\n"
    fits, long = (notes.format("$a_t + b$ " * (n - 100) + "word " * 100) for n in (149, 150))
    deck = read(tmp_path, f"## A\n{fits}\n## B\n{long}")
    assert [slide.words for slide in deck.slides] == [149, 150]
    assert slides.pace(deck, "deck") == ["deck, slide 3 (B): 150 words to say take 1.2 min, the slide has 1"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\n## A\n\ntext\n", "one block of notes"),
        (f"\n## A\n{NOTES}{NOTES}", "got 2"),
        ("\n## A\n\n::: notes 2 min\n**Say** this\n:::\n", r"lack \*\*Ask\*\*"),
        (
            f"\n## A\n\n::: figure no such words\n:::\n{NOTES}",
            "got 'no such words', which is in 0",
        ),
        (f"\n## A\n\n::: figure checks\n:::\n{NOTES}", "in the code of one cell"),
        (f"\n## A\n\n::: figure BetaScheduleExplorer\n:::\n{NOTES}", "a cell with one figure, got 0"),
        (f"\n## A\n\n::: fragment\n::: column\n:::\n:::\n{NOTES}", "a colon more"),
        (f"\n## A\n\n::: code BetaScheduleExplorer | no such line\n:::\n{NOTES}", "no line contains"),
    ],
)
def test_what_a_source_lacks_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(decks.DeckError, match=rf"deck.md, slide 1 \(A\): .*{says}"):
        read(tmp_path, text)


def test_a_head_is_needed(tmp_path: Path) -> None:
    with pytest.raises(decks.DeckError, match=r"title, subtitle and notebook at its head, got title$"):
        read(tmp_path, "", "---\ntitle: A\n---\n")
    with pytest.raises(decks.DeckError, match="expected a head"):
        read(tmp_path, "text", "")


def test_every_lecture_has_a_deck() -> None:
    assert sorted(path.stem for path in slides.SOURCES.glob("*.md")) == LECTURES


@pytest.mark.parametrize("name", LECTURES)
def test_a_deck_takes_the_minutes_that_the_readme_gives(name: str) -> None:
    deck = decks.read(slides.SOURCES / f"{name}.md")
    assert deck.notebook == name
    row = re.search(rf"\[{name}\]\(.*?\) \| (\d+) \|", (web.ROOT / "README.md").read_text(encoding="utf-8"))
    assert row, f"README.md has no row for {name}"
    assert deck.minutes - deck.optional <= float(row[1]), "what may be skipped is enough to come to an end in time"
    assert abs(deck.minutes - float(row[1])) <= 10
