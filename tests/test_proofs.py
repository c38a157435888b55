"""The map from statement to proof: nothing dangles, the page is up to date, and the tool sees what does dangle."""

import proofs
import pytest

from gencourse import checks


@pytest.fixture(scope="module")
def found() -> proofs.Map:
    return proofs.collect()


def test_nothing_dangles(found: proofs.Map) -> None:
    assert proofs.dangling(found) == []


def test_the_page_is_up_to_date(found: proofs.Map) -> None:
    assert proofs.PAGE.read_text(encoding="utf-8") == proofs.page(found), "run `make map`"


def test_every_lecture_and_every_exercise_has_its_place(found: proofs.Map) -> None:
    assert {place.lecture[:2] for place in found.places.values()} == {f"0{n}" for n in range(1, 9)}
    assert found.exercises == {exercise.name for exercise in checks.exercises()}
    assert sum(key.startswith("erratum") for key in found.places) == 30


def test_what_a_text_names() -> None:
    assert proofs.tags("Ref: Ho et al., eq. 3; lecture 04 (12), (13).") == ["04 (12)", "04 (13)"]
    assert proofs.tags("Lecture 04b (20), and erratum 9") == ["04 (20)", "erratum 9"]
    assert proofs.tags("Lecture 02, section 11. Lecture 2 (1)") == ["02, section 11"]


def test_what_dangles_is_named(found: proofs.Map) -> None:
    lost = found._replace(
        shown={k: [] if k == "01 (7)" else v for k, v in found.shown.items()},
        tested=found.tested | {"03 (6)": []},
        asked=found.asked | {"09 (1)": ["flows.sample"]},
    )
    said = proofs.dangling(lost)
    assert said[0] == "09 (1) is named, and stands nowhere"
    assert said[1] == "01 (7) is shown by no check"
    assert said[2].startswith("03 (6) is written in genlib, and no test")
