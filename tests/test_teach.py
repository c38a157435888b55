"""The instructor's kit: what it names is there, its minutes add up, and its counts are those of today."""

import re
from pathlib import Path

import mistakes
import pytest

from gencourse import checks, widgets

ROOT = Path(__file__).parent.parent
TEACH = ROOT / "teach"
PAGES = {
    path.relative_to(TEACH).as_posix(): path.read_text("utf-8")
    for path in sorted([*TEACH.glob("*.md"), *TEACH.glob("plans/*.md")])
}
PLANS = {name.removeprefix("plans/").removesuffix(".md"): text for name, text in PAGES.items() if "plans/" in name}
README = (ROOT / "README.md").read_text("utf-8")
MINUTES = {
    name: int(minutes)  # of lectures and labs; lab 4's are given as a range, of which the longer counts
    for name, minutes in re.findall(r"\]\((?:lectures|labs)/(\w+)\.ipynb\) \| (?:\d+ to )?(\d+) \|", README)
}
LECTURES = {path.stem: path.read_text("utf-8") for path in sorted((ROOT / "lectures").glob("*.py"))}
SHORT = {name.split("_")[0]: name for name in LECTURES}  # "03b": "03b_other_flows"
ROW = re.compile(r"^\| (\d+)–(\d+) \| ([^|]+) \| (.*) \|$", re.MULTILINE)


def plain(text: str) -> str:
    """Prose as it is read: no marks of emphasis or code, one space between words."""
    return re.sub(r"\s+", " ", re.sub(r"[*`#]", "", text)).lower()


def in_turn(rows: list[tuple[str, ...]]) -> int:
    """The minutes of rows of which each begins where the one before has ended, from 0 on."""
    end = 0
    for row in rows:
        assert int(row[0]) == end < int(row[1]), row
        end = int(row[1])
    return end


def played(text: str) -> set[str]:
    """The widgets that are named in a text."""
    return set(re.findall(r"`([A-Z]\w+)`", text))


# -- Plans


def test_each_lecture_has_its_plan_and_each_plan_is_linked() -> None:
    assert list(PLANS) == list(LECTURES)
    for name in PLANS:
        assert f"(plans/{name}.md)" in PAGES["README.md"]


@pytest.mark.parametrize("name", LECTURES)
def test_a_plan_takes_the_minutes_of_its_lecture(name: str) -> None:
    assert in_turn(ROW.findall(PLANS[name])) == MINUTES[name]
    assert f"({MINUTES[name]} minutes)" in PLANS[name].splitlines()[0]


@pytest.mark.parametrize("name", LECTURES)
def test_a_plan_names_what_is_in_its_lecture(name: str) -> None:
    text = plain(LECTURES[name])
    for _, _, section, rest in ROW.findall(PLANS[name]):
        assert plain(section) in text, section
        for question in re.findall("“(.+?)”", rest):
            assert plain(question) in text, question
    before = LECTURES["04_diffusion_models"] if name.startswith("04b") else ""
    tags = re.findall(r"\\tag\{(\w+)\}", LECTURES[name] + before)
    named = set(re.findall(r"\((\d+[a-z]?)\)", PLANS[name]))
    assert named <= set(tags), named - set(tags)


@pytest.mark.parametrize("name", LECTURES)
def test_ten_minutes_that_are_lost_can_be_saved(name: str) -> None:
    (saved,) = re.findall(r"^\*\*If ten minutes are lost\*\*(.+)$", PLANS[name], re.MULTILINE)
    minutes = [int(n) for n in re.findall(r"\((\d+) min[;)]", saved)]
    kept = MINUTES[name] - sum(minutes)
    assert sum(minutes) >= 10 or f"takes {kept} minutes" in saved
    lengths = [int(end) - int(begin) for begin, end, *_ in ROW.findall(PLANS[name])]
    for n in minutes:  # each is the length of a row of its own
        lengths.remove(n)


def test_every_widget_has_its_place_in_a_plan() -> None:
    assert set().union(*map(played, PLANS.values())) == set(widgets.__all__) - {"Prediction"}
    for name, text in PLANS.items():
        for widget in played(text):
            assert f"widgets.{widget}" in LECTURES[name], (name, widget)


# -- The syllabus


def test_the_one_lecture_takes_80_minutes_and_names_what_is_there() -> None:
    rows = ROW.findall(PAGES["syllabus.md"])
    assert in_turn(rows) == 80
    for _, _, where, rest in rows:
        lecture, section = where.split(", ", 1)
        assert plain(section) in plain(LECTURES[SHORT[lecture]]), where
        for widget in played(rest):
            assert f"widgets.{widget}" in LECTURES[SHORT[lecture]]


def test_each_meeting_takes_80_minutes() -> None:
    three, six = re.split(r"^## ", PAGES["syllabus.md"], flags=re.MULTILINE)[2:4]
    meetings = re.findall(r"^\| \d \| 80 \| ([^|]+) \|", three, re.MULTILINE)
    meetings += [cell for row in re.findall(r"^\| \d \| ([^|]+) \| ([^|]+) \|", six, re.MULTILINE) for cell in row]
    assert len(meetings) == 6 + 12
    for meeting in meetings:
        assert sum(map(int, re.findall(r"\((\d+)\)", meeting))) == 80, meeting
    for lecture, minutes in re.findall(r"\b(0\d\w?)(?: and 01)? \((\d+)\)", three + six):
        assert int(minutes) == MINUTES[SHORT[lecture]], lecture


def test_the_students_minutes_add_up() -> None:
    variants = {
        name: (int(taught), int(sums))
        for name, taught, sums in re.findall(r"^\| ([a-z ]+) \| (\d+) \| (\d+) \|", PAGES["syllabus.md"], re.MULTILINE)
    }
    said = re.findall(r"^The student's sum: (.+?)(?:: | = )(\d+) minutes\.$", PAGES["syllabus.md"], re.MULTILINE)
    assert [int(total) for _, total in said] == [total for _, total in variants.values()]
    for (parts, total), (taught, _) in zip(said, variants.values(), strict=True):
        numbers = [int(n) for n in re.findall(r"\b(\d+)\b(?! minutes each)", parts)]
        assert numbers[0] == taught
        assert sum(numbers) == int(total), parts
    _, three, six = re.split(r"^## ", PAGES["syllabus.md"], flags=re.MULTILINE)[1:4]
    for section, work in ((three, 370), (six, 430)):
        rows = [line.split(" | ")[-1] for line in section.splitlines() if re.match(r"\| \d \|", line)]
        assert sum(int(n) for row in rows for n in re.findall(r"\((\d+)\)", row)) == work


# -- Mistakes, rubrics, hosting


def test_the_counts_of_mistakes_are_those_of_the_answers() -> None:
    found = mistakes.counts()
    page = PAGES["mistakes.md"]
    assert mistakes.renewed(page, found) == page, "python tools/mistakes.py --write"
    rows = [match.groups() for match in map(mistakes.OF_EXERCISE.match, page.splitlines()) if match]
    assert {exercise for exercise, *_ in rows} == {exercise.name for exercise in checks.exercises()}
    assert all(found[exercise, name] for exercise, name, _ in rows), "a mistake that nobody has made"
    names = {mistake for _, mistake in found}
    for line in page.splitlines():
        if mistakes.OF_KIND.match(line):
            assert set(re.findall(r"`(\w+)`", line.split("|")[2])) <= names, line


def test_the_reports_rubric_is_that_of_the_lab() -> None:
    lab = (ROOT / "solutions" / "lab_4_one_truth.py").read_text("utf-8")
    rows = re.findall(r"^# \| (choice|measurement|failure|comparison|limits) \|(.+)$", lab, re.MULTILINE)
    assert len(rows) == 5
    for name, levels in rows:
        assert f"| **{name.capitalize()}** |{levels}" in PAGES["rubrics.md"]


def test_what_is_asked_under_explain_is_asked_in_the_lab() -> None:
    asked = re.findall(r'^### Lab (\d), (?:"[^"]+"|exercise \d+): (.+)$', PAGES["rubrics.md"], re.MULTILINE)
    assert [lab for lab, _ in asked] == list("123456")
    for lab, question in asked:
        (source,) = (ROOT / "solutions").glob(f"lab_{lab}_*.py")
        text = plain(source.read_text("utf-8")).replace('"', "")
        for sentence in re.split(r"(?<=[.?]) ", question.replace('"', "")):
            assert plain(sentence).strip(" .?") in text, (lab, sentence)


def test_hosting_has_measured_every_notebook() -> None:
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \| (\d+) \|", PAGES["hosting.md"], re.MULTILINE)
    labs = [path.stem for path in sorted((ROOT / "solutions").glob("*.py"))]
    assert [name for name, *_ in rows] == [*LECTURES, *labs, "server"]
    largest = max(int(most) for name, most, *_ in rows if name != "server")
    assert f"{largest} MB" in PAGES["hosting.md"]


# -- All of it


def test_every_link_leads_somewhere() -> None:
    for name, text in PAGES.items():
        for target in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", text):
            assert (TEACH / name).parent.joinpath(target).exists(), (name, target)


def test_every_command_and_exercise_that_is_named_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+)(?: [a-z ]+)?:(?!=)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    phony = re.findall(r"^([\w -]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    targets |= {target for line in phony for target in line.split()}
    exercises = {exercise.name for exercise in checks.exercises()}
    families = {name.split(".")[0] for name in exercises}
    for name, text in PAGES.items():
        for command in re.findall(r"`make ([a-z-]+)", text):
            assert command in targets, (name, command)
        for tool in re.findall(r"\btools/(\w+\.py)", text):
            assert (ROOT / "tools" / tool).exists(), (name, tool)
        for path in re.findall(r"`((?:tests|tools|solutions|genlib|gencourse)/[\w/.]*)`", text):
            assert (ROOT / path).exists(), (name, path)
        for exercise in re.findall(r"`(\w+\.\w+)`", text):
            assert exercise.split(".")[0] not in families or exercise in exercises, (name, exercise)
