"""The exam: each number among its answers is found again (exam_numbers.py), and points add up to what is stated."""

import re
from pathlib import Path

import exam
import pytest
from exam_numbers import COMPUTED

TEACH = Path(__file__).parent.parent / "teach"
QUESTIONS, ANSWERS = ((TEACH / name).read_text("utf-8") for name in ("exam.md", "exam_answers.md"))
ASKED = {
    int(n): (title, int(points), kind, where)
    for n, title, points, kind, where in re.findall(
        r"^### (\d+) · (.+) \((\d+) points, (\w+); (.+)\)$", QUESTIONS, re.MULTILINE
    )
}
ANSWERED = {
    int(n): (title, text)
    for n, title, text in re.findall(r"^### (\d+) · ([^\n]+)\n(.*?)(?=^##|\Z)", ANSWERS, re.MULTILINE | re.DOTALL)
}


def test_every_question_has_an_answer_and_the_points_are_those_that_are_stated() -> None:
    assert list(ASKED) == list(range(1, 41)) == list(ANSWERED)
    for n, (title, points, _, _) in ASKED.items():
        assert ANSWERED[n][0] == title
        (scheme,) = re.findall(r"^Points: (.+)$", ANSWERED[n][1], re.MULTILINE)
        each = re.findall(r"(\d) for each(?: of (?:the )?(?:four|\(a\) to \(d\)|column))?", scheme)
        given = [int(p) for p in re.findall(r"(\d) for (?!each)", scheme)]
        if each:  # of so many parts that the sum is right; other points stand beside it
            assert (points - sum(given)) % int(each[0]) == 0
        else:
            assert sum(given) == points, n
    stated = re.findall(r"together they have (\d+) points", QUESTIONS)
    assert stated == [str(sum(points for _, points, _, _ in ASKED.values()))]


def test_half_of_the_questions_and_more_are_computed() -> None:
    kinds = [kind for _, _, kind, _ in ASKED.values()]
    assert set(kinds) == {"computed", "derived", "explained"}
    said = re.findall(r"(\d+) questions ask for numbers .* four for a derivation .* six for an explanation", QUESTIONS)
    assert said == [str(kinds.count("computed"))]
    assert (kinds.count("derived"), kinds.count("explained")) == (4, 6)
    computed = {n for n, (_, _, kind, _) in ASKED.items() if kind == "computed"}
    assert computed == set(COMPUTED) == {n for n, (_, text) in ANSWERED.items() if "`answer:" in text}
    assert len(computed) >= 20


def test_the_papers_have_the_points_that_they_state() -> None:
    papers = re.findall(r"^\| (after[^|]*) \| (\d+) \| ([\d, ]+) \| (\d+) \|$", QUESTIONS, re.MULTILINE)
    assert len(papers) == 3
    for name, minutes, numbers, stated in papers:
        chosen = [int(n) for n in numbers.split(",")]
        assert sorted(set(chosen)) == chosen, name
        assert sum(ASKED[n][1] for n in chosen) == int(stated) <= int(minutes) <= int(stated) + 2, name


def test_questions_give_no_answer_away() -> None:
    assert "answer:" not in QUESTIONS
    assert "Points:" not in QUESTIONS


@pytest.mark.parametrize("n", [n for n, (_, _, kind, _) in ASKED.items() if kind == "computed"])
def test_the_numbers_are_found_again(n: int) -> None:
    (line,) = re.findall(r"^`answer: (.+)`$", ANSWERED[n][1], re.MULTILINE)
    given = dict(part.split(" = ") for part in line.split("; "))
    found = COMPUTED[n]()
    assert list(found) == list(given)
    for name, text in given.items():
        digits = len(text.partition(".")[2])
        # Half of the last digit that is given; a little more, where the number itself ends in a half.
        assert abs(float(found[name]) - float(text)) <= 0.5001 * 10**-digits, name


def test_no_question_needs_another() -> None:
    assert not re.search(r"\bquestion \d", QUESTIONS)


def test_an_exam_is_put_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exam.main(["28", "1", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("8 points")
    paper, answers = ((tmp_path / name).read_text("utf-8") for name in ("exam.md", "answers.md"))
    assert re.findall(r"^## (.+)$", paper, re.MULTILINE) == ["1 · Three steps (4 points)", "2 · Two answers (4 points)"]
    assert "Given: $" in paper
    assert "answer:" not in paper
    assert re.findall(r"`answer: (\w+) =", answers) == ["alpha_bar", "mean"]
    for name, points in {"one": 24, "three": 60, "six": 100}.items():
        assert exam.exam([name])[2] == points
    with pytest.raises(ValueError, match="got 41"):
        exam.exam(["1", "41"])


def test_a_question_says_where_its_answer_is_taught() -> None:
    lectures = {path.stem.split("_")[0]: path.read_text("utf-8") for path in (TEACH.parent / "lectures").glob("*.py")}
    for n, (_, _, _, where) in ASKED.items():
        if where == "lab 4":
            continue
        match = re.fullmatch(r"lecture (\w+)(?:, sections? (\d+)(?: (?:to|and) (\d+))?)?", where)
        assert match, (n, where)
        for section in filter(None, match.groups()[1:]):
            assert re.search(rf"^# ## {section}\. ", lectures[match[1]], re.MULTILINE), (n, where)
