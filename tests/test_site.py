"""What the site is made from: links that lead somewhere, docstrings as they stand, answers that can be left out."""

import json
import sys
import zipfile
from pathlib import Path

import build_site
import handouts
import pytest
import site_sources
import web
from site_sources import Pages

sys.path[:0] = [str(web.SITE)]

import picture  # noqa: E402
import plain  # noqa: E402

HERE = "lectures/01_learned_losses.ipynb"
COURSE = site_sources.contents()


def pages(solutions: bool = True) -> Pages:
    return Pages({HERE, "genlib/OWN.md", "labs/lab_2_flows.ipynb", "solutions/lab_2_flows.ipynb"}, solutions)


def test_the_course_is_what_lies_in_its_folders() -> None:
    there = {
        path.relative_to(web.ROOT).as_posix()
        for kind in ("lectures", "labs")
        for path in (web.ROOT / kind).glob("*.ipynb")
    }
    assert {entry.path for entry in COURSE} == there
    assert all((web.ROOT / entry.solution).exists() for entry in COURSE if entry.kind == "lab")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("[own](../genlib/OWN.md)", "[own](../genlib/OWN.md)"),
        ("[above](#Row-3)", "[above](#Row-3)"),
        ("[far](https://example.org/a.py)", "[far](https://example.org/a.py)"),
        ("[course](../README.md#contents)", "[course](../index.md)"),
        ("[`VAE`](../genlib/autoencoder.py#L7)", '<a href="../source/genlib/autoencoder.py.html#L-7">`VAE`</a>'),
        ("[folder](../labs)", "folder"),
        ("[answer](../solutions/lab_2_flows.ipynb)", "[answer](../solutions/lab_2_flows.ipynb)"),
        ("`my_labs/lab_2_flows.ipynb`", "[`my_labs/lab_2_flows.ipynb`](../labs/lab_2_flows.ipynb)"),
        ("$[f](x_1)$", "$[f](x_1)$"),
        ("```\n[own](../README.md)\n```", "```\n[own](../README.md)\n```"),
    ],
)
def test_a_link_leads_to_its_page(written: str, shown: str) -> None:
    assert pages().text(HERE, written) == shown


def test_a_file_that_is_linked_gets_a_page() -> None:
    course = pages()
    course.text(HERE, "[tests](../tests/test_flows_flow.py) [weights](../genlib/data/textures.npz)")
    assert course.sources == {"tests/test_flows_flow.py"}


def test_examples_become_code() -> None:
    assert (
        pages().text("genlib/OWN.md", "So:\n\n>>> 1 + 1\n2\n\nAnd on.")
        == "So:\n\n```pycon\n>>> 1 + 1\n2\n```\n\nAnd on."
    )


@pytest.mark.parametrize("path", ["solutions/lab_2_flows.ipynb", "gencourse/checks/lab_2_flows/affine.py"])
def test_without_solutions_no_link_leads_to_one(path: str) -> None:
    course = pages(solutions=False)
    assert course.text(HERE, f"[the answer](../{path})") == "the answer"
    assert not course.sources


@pytest.fixture(scope="module", params=[True, False], ids=["with", "without"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bool]:
    work = tmp_path_factory.mktemp("site")
    (work / "index.md").write_text((web.SITE / "index.md").read_text(encoding="utf-8"), encoding="utf-8")
    site_sources.write(work, request.param)
    return work, request.param


def test_answers_are_all_there_or_nowhere(written: tuple[Path, bool]) -> None:
    work, solutions = written
    files = {
        path.relative_to(work).as_posix(): path
        for path in work.rglob("*")
        if path.is_file() and path.suffix not in (".zip", ".png")
    }
    assert any("solutions/" in name for name in files) == solutions
    assert ("teach/exam_answers.md" in files) == solutions
    line = "return torch.cat([beta.new_ones(1), (1 - beta).cumprod(0)])"  # lab 3, its first answer
    assert any(line in path.read_text(encoding="utf-8") for path in files.values()) == solutions
    labs = [path.read_text(encoding="utf-8") for name, path in files.items() if name.startswith("labs/")]
    assert any("solutions/" in text for text in labs) == solutions
    sources = json.loads(files["sources.json"].read_text(encoding="utf-8"))
    assert any(path.startswith(site_sources.ANSWERS) for path in sources) <= solutions


def test_stored_state_stays_out(written: tuple[Path, bool]) -> None:
    work, _ = written
    for entry in COURSE:
        shown = json.loads((work / entry.path).read_text(encoding="utf-8"))
        assert "widgets" not in shown["metadata"]
        views = [
            output
            for cell in shown["cells"]
            for output in cell.get("outputs", [])
            if web.WIDGET_VIEW in output.get("data", {})
        ]
        assert not views


def test_a_page_has_one_title(written: tuple[Path, bool]) -> None:
    for entry in COURSE:
        cells = json.loads((written[0] / entry.path).read_text(encoding="utf-8"))["cells"]
        lines = [line for cell in cells if cell["cell_type"] == "markdown" for line in cell["source"].split("\n")]
        assert len([line for line in lines if line.startswith("# ")]) == 1


def test_what_is_downloaded_is_the_notebook_itself(written: tuple[Path, bool]) -> None:
    work, _ = written
    for entry in COURSE:
        assert (work / "extra" / "files" / entry.path).read_bytes() == (web.ROOT / entry.path).read_bytes()
        assert f"files/{entry.path}" in (work / entry.path).read_text(encoding="utf-8")


@pytest.mark.skipif(not (web.ROOT / ".git").exists(), reason="what is no repository cannot be packed")
def test_the_course_is_there_to_be_downloaded_if_its_solutions_may_be(written: tuple[Path, bool]) -> None:
    work, solutions = written
    path = work / "extra" / "files" / "genlib-course.zip"
    assert path.exists() == solutions
    assert ("download the course" in (work / "index.md").read_text("utf-8")) == solutions
    if solutions:
        with zipfile.ZipFile(path) as packed:
            assert {"genlib-course/Makefile", "genlib-course/requirements.lock"} <= set(packed.namelist())


def test_the_landing_page_shows_the_real_thing(written: tuple[Path, bool]) -> None:
    text = (written[0] / "index.md").read_text(encoding="utf-8")
    assert "Both factors lack their roots" in text  # the panel, of the checks
    assert "two noises merge into one (4): equal within 1e-09" in text  # the stored output
    assert 'class="genlib-state"' in text
    assert "<!--" not in text
    for entry in COURSE:
        assert f"]({entry.path})" in text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("a * b * c, |x| and x_ are letters; `f(*a)` is code", "a * b * c, |x| and x_ are letters; f(*a) is code"),
        ("the `T`s of \\alpha", "the Ts of \\alpha"),
        ("Raises: ValueError for others.", "Raises: ValueError for others."),
        ("Args: x, as for `f`,\n    `g` or h.", "Args: x, as for f,\ng or h."),
    ],
)
def test_a_docstring_is_shown_as_it_stands(line: str, text: str) -> None:
    docutils = pytest.importorskip("docutils.core", reason="make site installs it")
    document = docutils.publish_doctree(
        "\n".join(plain.rewritten(line.split("\n"))), settings_overrides={"report_level": 1, "halt_level": 2}
    )
    assert document.astext() == text


def test_an_equation_in_a_docstring_is_a_block() -> None:
    docutils = pytest.importorskip("docutils.core", reason="make site installs it")
    lines = ["The step:", "", "    x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε", "", "for each t.", "", ">>> 1 + 1", "2"]
    document = docutils.publish_doctree("\n".join(plain.rewritten(lines)), settings_overrides={"halt_level": 2})
    assert [child.tagname for child in document.children] == [
        "paragraph",
        "literal_block",
        "paragraph",
        "doctest_block",
    ]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("x_0, L_{t−1} and p_θ(x), σ_G²", "x<sub>0</sub>, L<sub>t−1</sub> and p<sub>θ</sub>(x), σ<sub>G</sub>²"),
        ("ᾱ_t and β̃_1.", "ᾱ<sub>t</sub> and β̃<sub>1</sub>."),
        ("`x_0`, $x_0$, log_s, a/x_t.md", "`x_0`, $x_0$, log_s, a/x_t.md"),
        ("$$\nx_0\n$$\n```\nx_0\n```", "$$\nx_0\n$$\n```\nx_0\n```"),
        ('# x_0\n<a href="x_0">[to](#x_0)', '# x_0\n<a href="x_0">[to](#x_0)'),
    ],
)
def test_letters_bear_their_indices_below(written: str, shown: str) -> None:
    assert site_sources.lettered(written) == shown


def test_a_formula_of_several_lines_may_bear_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = pytest.importorskip("docutils.nodes", reason="make site installs it")
    utils = pytest.importorskip("docutils.utils", reason="make site installs it")
    monkeypatch.setenv("COURSE_ROOT", str(web.ROOT))
    import pages as extension  # of Sphinx

    document = utils.new_document("")
    tex = r"a = \begin{pmatrix} 1 \\ 2 \end{pmatrix}, \qquad b \tag{1}"
    document += nodes.math_block(tex, tex, nowrap=False)
    extension.formulas(None, document)
    assert document[0]["no-wrap"]  # or Sphinx puts it into a split
    assert document.astext() == rf"\[{tex.replace('qquad', 'qquad' + chr(92) + 'goodbreak ')}\]"


def test_the_picture_says_in_words_what_it_shows() -> None:
    drawn = picture.picture()
    assert 'role="img"' in drawn
    for family in ("autoencoder", "GAN", "flow", "diffusion"):
        assert family in picture.ALT
    assert drawn.count("<svg") == 2  # for a screen, for a phone


def test_decks_and_handouts_are_linked_once_they_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_site, "ROOT", tmp_path)
    site = tmp_path / "build" / "site"
    site.mkdir(parents=True)
    page = site / "index.html"
    page.write_text('<li hidden data-added="slides">a</li><li hidden data-added="handouts">b</li>', encoding="utf-8")
    with pytest.raises(SystemExit, match="make it first"):
        build_site.add("slides", site)
    (tmp_path / "build" / "slides").mkdir()
    (tmp_path / "build" / "slides" / "index.html").write_text("decks", encoding="utf-8")
    build_site.add("slides", site)
    assert page.read_text(encoding="utf-8") == '<li data-added="slides">a</li><li hidden data-added="handouts">b</li>'
    assert (site / "slides" / "index.html").read_text(encoding="utf-8") == "decks"


def test_every_exercise_has_its_worked_answer_on_paper() -> None:
    for entry in COURSE:
        if entry.kind == "lab":
            lab = "".join("".join(cell["source"]) for cell in site_sources.read(entry.path)["cells"])
            names = handouts.EXERCISE.findall(lab)
            answers = handouts.worked(entry)
            assert names
            assert all(f'data-name="{name}"' in answers for name in names)
            assert "SOLUTION" not in answers
            assert "NotImplementedError" not in answers
