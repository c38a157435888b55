"""tools/build_notebooks.py, on small sources: what it makes, and what it refuses."""

import base64
import importlib
import json
from pathlib import Path

import build_notebooks as build
import nbformat
import pytest

LECTURE = """\
# %% [markdown] slideshow={"slide_type": "slide"}
# # A lecture
#
# One sentence a line.

# %% slideshow={"slide_type": "subslide"}
import ipywidgets as widgets

print("hello")

# %%
box = widgets.HBox([widgets.IntSlider(description="a"), widgets.Label("b")])
box

# %% tags=["nbval-ignore-output"]
import time

time.time_ns()
"""

SOLUTION = '''\
# %% [markdown]
# Implement it.

# %%
def double(x):
    """Twice x."""
    if x is not None:
        ### BEGIN SOLUTION
        y = x + x
        return y
        ### END SOLUTION


# %%
### BEGIN SOLUTION
answer = double(2)
### END SOLUTION

# %%
print(answer)
'''


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A house with no notebooks yet."""
    for folder in ("lectures", "labs", "solutions"):
        (tmp_path / folder).mkdir()
    return tmp_path


def lecture(house: Path, *cells: str) -> Path:
    """Write a lecture of code cells; each may start with options after its marker."""
    path = house / "lectures" / "01_small.py"
    path.write_text("\n\n".join(f"# %%\n{cell}" for cell in cells) + "\n", encoding="utf-8")
    return path


def solution(house: Path, source: str = SOLUTION) -> Path:
    path = house / "solutions" / "lab_1_small.py"
    path.write_text(source, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A lecture and a solution, built once for this file; the texts of all files."""
    house = tmp_path_factory.mktemp("house")
    for folder in ("lectures", "labs", "solutions"):
        (house / folder).mkdir()
    (house / "lectures" / "01_small.py").write_text(LECTURE, encoding="utf-8")
    solution(house)
    assert build.main(["--root", str(house)]) == 0
    return {p.relative_to(house).as_posix(): p.read_text("utf-8") for p in house.rglob("*") if p.is_file()}


@pytest.fixture
def finished(built: dict[str, str], house: Path) -> Path:
    """A house with everything built, to break something in."""
    for name, text in built.items():
        (house / name).write_text(text, encoding="utf-8", newline="\n")
    assert build.faults(house) == []
    return house


def edit(path: Path, change) -> None:
    """Change a stored notebook by hand."""
    notebook = nbformat.reads(path.read_text("utf-8"), as_version=4)
    change(notebook)
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")


# -- What it makes


def test_a_lecture_is_executed_and_keeps_slides_and_tags(built: dict[str, str]) -> None:
    notebook = nbformat.reads(built["lectures/01_small.ipynb"], as_version=4)
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code", "code", "code"]
    assert notebook.cells[0].source == "# A lecture\n\nOne sentence a line."
    assert notebook.cells[0].metadata == {"slideshow": {"slide_type": "slide"}}
    assert notebook.cells[3].metadata == {"tags": ["nbval-ignore-output"]}
    assert notebook.cells[1].outputs[0].text == "hello\n"
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2, 3]
    assert notebook.metadata.kernelspec.name == "python3"
    assert "version" not in notebook.metadata.language_info


def test_a_widget_is_stored_with_its_state(built: dict[str, str]) -> None:
    notebook = nbformat.reads(built["lectures/01_small.ipynb"], as_version=4)
    models = build.widget_models(notebook)
    shown = notebook.cells[2].outputs[0].data[build.WIDGET_VIEW]["model_id"]
    assert models[shown]["model_name"] == "HBoxModel"
    children = [child.removeprefix("IPY_MODEL_") for child in models[shown]["state"]["children"]]
    assert [models[child]["model_name"] for child in children] == ["IntSliderModel", "LabelModel"]


def test_only_the_answer_differs_between_solution_and_lab(built: dict[str, str]) -> None:
    done = nbformat.reads(built["solutions/lab_1_small.ipynb"], as_version=4)
    lab = nbformat.reads(built["labs/lab_1_small.ipynb"], as_version=4)
    assert lab.cells[1].source.endswith("    if x is not None:\n        raise NotImplementedError")
    assert lab.cells[2].source == "raise NotImplementedError"
    assert [c.source for c in lab.cells[::3]] == [c.source for c in done.cells[::3]]
    assert [c.metadata for c in lab.cells] == [c.metadata for c in done.cells]
    assert all(c.outputs == [] and c.execution_count is None for c in lab.cells if c.cell_type == "code")
    assert "x + x" not in built["labs/lab_1_small.ipynb"]
    assert done.cells[3].outputs[0].text == "4\n"


def test_built_twice_the_bytes_are_the_same(built: dict[str, str], house: Path) -> None:
    for name in ("lectures/01_small.py", "solutions/lab_1_small.py"):
        (house / name).write_text(built[name], encoding="utf-8")
    assert build.main(["--root", str(house)]) == 0
    assert (house / "labs/lab_1_small.ipynb").read_text("utf-8") == built["labs/lab_1_small.ipynb"]
    assert (house / "solutions/lab_1_small.ipynb").read_text("utf-8") == built["solutions/lab_1_small.ipynb"]
    first, second = (json.loads(text) for text in (built["lectures/01_small.ipynb"], read(house, "01_small")))
    assert first["cells"][3].pop("outputs") != second["cells"][3].pop("outputs")  # it tells the time
    assert first == second
    assert list(house.rglob("*.part")) == []


def read(house: Path, name: str) -> str:
    return (house / "lectures" / f"{name}.ipynb").read_text("utf-8")


def test_a_cells_id_does_not_depend_on_the_cells_before_it(house: Path) -> None:
    before = build.read_source(lecture(house, "a = 1", "b = 2", "a = 1"))
    after = build.read_source(lecture(house, "new = 0", "a = 1", "b = 2", "a = 1"))
    assert [cell.id for cell in before.cells] == [cell.id for cell in after.cells[1:]]
    assert len({cell.id for cell in after.cells}) == 4


def test_only_builds_what_it_names(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (finished / "lectures" / "01_small.ipynb").unlink()
    (finished / "labs" / "lab_1_small.ipynb").unlink()
    assert build.main(["--root", str(finished), "--only", "lab_1_small"]) == 0
    assert not (finished / "lectures" / "01_small.ipynb").exists()
    assert (finished / "labs" / "lab_1_small.ipynb").exists()
    assert build.main(["--root", str(finished), "--only", "lab_2"]) == 2
    assert "lab_2: no such source; there are: 01_small, lab_1_small" in capsys.readouterr().err


def test_a_notebook_runs_in_its_own_folder_without_shortened_trainings(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENLIB_MAX_STEPS", "20")
    names = ["TQDM_DISABLE", "OMP_NUM_THREADS", "GENLIB_MAX_STEPS"]
    path = lecture(house, f"import os\nprint(os.path.basename(os.getcwd()), [os.environ.get(n) for n in {names}])")
    build.build(path)
    notebook = nbformat.reads(path.with_suffix(".ipynb").read_text("utf-8"), as_version=4)
    assert notebook.cells[0].outputs[0].text == "lectures ['1', '1', None]\n"


def test_text_sent_in_pieces_is_stored_in_one(house: Path) -> None:
    path = lecture(house, "import time\nfor i in range(3):\n    print(i, flush=True)\n    time.sleep(0.3)")
    build.build(path)
    notebook = nbformat.reads(path.with_suffix(".ipynb").read_text("utf-8"), as_version=4)
    assert [output.text for output in notebook.cells[0].outputs] == ["0\n1\n2\n"]


# -- What it refuses in a source

BEGIN, END = build.BEGIN, build.END


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        (f"def f():\n    {BEGIN}\n    return 1", "without '### END SOLUTION'"),
        (f"def f():\n    return 1\n    {END}", "without '### BEGIN SOLUTION'"),
        (f"{BEGIN}\na = 1\n{BEGIN}\nb = 2\n{END}", "twice in a row"),
        (f"{BEGIN}\na = 1\n{END}\n{END}", "without '### BEGIN SOLUTION'"),
        (f"{BEGIN}\n{END}", "no answer between the marks"),
        ("#### begin solution\na = 1\n### END SOLUTION", "is not a mark"),
        ("a = 1  ### BEGIN SOLUTION\n### END SOLUTION", "is not a mark"),
        ("a = 1", "has no exercise"),
        ("a = 1\na;", "ends in `;`"),
        ("a = 1\na;  # quietly", "ends in `;`"),
        ("%time a = 1;", "ends in `;`"),
        ("", "is empty"),
    ],
)
def test_a_source_is_refused_with_file_cell_and_reason(
    house: Path, capsys: pytest.CaptureFixture[str], cell: str, why: str
) -> None:
    solution(house, f"# %% [markdown]\n# Text\n\n# %%\n{cell}\n\n# %% [markdown]\n# More\n")
    assert build.main(["--root", str(house)]) == 1
    said = capsys.readouterr().err
    assert "lab_1_small.py" in said
    assert why in said
    if why != "has no exercise":
        assert "cell 2" in said
    assert why in " ".join(build.faults(house))
    assert not list(house.rglob("*.ipynb"))


def test_marks_belong_in_code_cells_of_solutions(house: Path) -> None:
    with pytest.raises(build.NotebookError, match=r"01_small.py, cell 1.*belongs in a code cell of a solution"):
        build.read_source(lecture(house, f"{BEGIN}\na = 1\n{END}"))
    with pytest.raises(build.NotebookError, match=r"lab_1_small.py, cell 1.*belongs in a code cell of a solution"):
        build.read_source(solution(house, f"# %% [markdown]\n# {BEGIN}\n#\n# {END}\n"))


def test_a_semicolon_elsewhere_is_fine(house: Path) -> None:
    build.read_source(lecture(house, "a = 1; b = 2", 'a = "x;"', "b = 3  # c;"))


def test_a_misspelt_tag_is_refused(house: Path) -> None:
    path = lecture(house, "a = 1")
    path.write_text('# %% tags=["nbval-ignore-outputs"]\na = 1\n', encoding="utf-8")
    with pytest.raises(build.NotebookError, match=r"cell 1.*nbval-ignore-outputs"):
        build.read_source(path)


# -- What it refuses when a cell has run

PIXEL = base64.b64encode(b"\x89PNG\r\n").decode()


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import os\nos._exit(1)", "the kernel died"),
        (f"print('x' * {build.OUTPUT_LIMIT})", "the limit is 400,000"),
        (f"import ipywidgets\nipywidgets.HTML('x' * {build.OUTPUT_LIMIT})", "the limit is 400,000"),
        ("object()", "prints a memory address"),
        (
            "from IPython.display import display\ndisplay({'text/plain': 'wrong: toy.f\\n  check: y is x'}, raw=True)",
            "holds an answer that does not pass",
        ),
        ("import warnings\nwarnings.warn('oh')", "writes to stderr"),
        ("print('HERE')", "prints a path of this machine"),
        (f"from IPython.display import display\ndisplay({{'image/png': {PIXEL!r}}}, raw=True)", "without alt text"),
        ("from IPython.display import HTML\nHTML('<img src=\"data:image/png;base64,AA==\">')", "without alt text"),
        (
            "from IPython.display import SVG\nSVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')",
            "figures are image/png",
        ),
    ],
)
def test_a_cell_is_refused_with_file_cell_and_reason(
    house: Path, capsys: pytest.CaptureFixture[str], cell: str, why: str
) -> None:
    lecture(house, "a = 1", cell := cell.replace("HERE", build.ROOT.as_posix()))
    assert build.main(["--root", str(house)]) == 1
    said = capsys.readouterr().err
    assert f"01_small.py, cell 2 ({cell.splitlines()[0][:60]!r})" in said
    assert why in said
    assert not list(house.rglob("*.ipynb"))


def test_a_cell_without_end_is_refused(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lecture(house, "while True:\n    pass")
    assert build.main(["--root", str(house), "--timeout", "2"]) == 1
    assert "01_small.py, cell 1 ('while True:'): took more than 2 s" in capsys.readouterr().err
    assert not list(house.rglob("*.ipynb"))


def test_a_notebook_that_is_too_large_in_all_is_refused(house: Path) -> None:
    path = lecture(house, *[f"print('{i}' * 390_000)" for i in range(3)])
    with pytest.raises(build.NotebookError, match="the limit is 1,000,000"):
        build.build(path)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (-0.0, "0"), (0.5, "0.5"), (2.0**60, "1152921504606847000"), (1e21, "1e+21"), (True, "true")],
)
def test_numbers_are_written_as_a_browser_writes_them(value: float, text: str) -> None:
    """The texts are what JSON.stringify gives in chromium, and Python then reads and writes."""
    assert json.dumps(build.as_browsers_write({"a": [value]})) == f'{{"a": [{text}]}}'


# -- What --check sees


def change_source(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[1].source += "\n"


def change_tags(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[3].metadata.tags = []


def change_slides(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[0].metadata.slideshow.slide_type = "fragment"


def change_order(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[1:3] = notebook.cells[2:0:-1]


def drop_a_cell(notebook: nbformat.NotebookNode) -> None:
    notebook.cells.pop()


def drop_the_outputs(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells[1:]:
        cell.outputs, cell.execution_count = [], None


def write_a_point(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[2].outputs[0].metadata["scale"] = 1.0


def change_the_kernel(notebook: nbformat.NotebookNode) -> None:
    notebook.metadata.kernelspec.name = "mine"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (change_source, "cell 2: source is"),
        (change_tags, "cell 4: metadata is"),
        (change_slides, "cell 1: metadata is"),
        (change_order, "cell 2: source is"),
        (drop_a_cell, "it has 3 cells, the source 4"),
        (drop_the_outputs, "were not executed once, in order"),
        (change_the_kernel, "its metadata is not"),
        (write_a_point, "is not written as JupyterLab would write it"),
    ],
)
def test_check_sees_a_notebook_that_was_changed(
    finished: Path, capsys: pytest.CaptureFixture[str], change, why: str
) -> None:
    assert build.main(["--root", str(finished), "--check"]) == 0
    edit(finished / "lectures" / "01_small.ipynb", change)
    assert build.main(["--root", str(finished), "--check"]) == 1
    said = capsys.readouterr().err
    assert "01_small.ipynb" in said
    assert why in said


def test_check_sees_a_source_that_was_changed(finished: Path) -> None:
    path = finished / "solutions" / "lab_1_small.py"
    path.write_text(path.read_text("utf-8").replace("Implement it", "Implement this"), encoding="utf-8")
    assert {fault.split(":")[0] for fault in build.faults(finished)} == {"lab_1_small.ipynb"}
    assert len([fault for fault in build.faults(finished) if "source is" in fault]) == 2  # solution and lab


def test_check_sees_a_lab_with_outputs(finished: Path) -> None:
    def run(notebook: nbformat.NotebookNode) -> None:
        notebook.cells[3].outputs = [nbformat.v4.new_output("stream", name="stdout", text="4\n")]

    edit(finished / "labs" / "lab_1_small.ipynb", run)
    assert any("cell 4: a blank lab is stored without outputs" in fault for fault in build.faults(finished))


@pytest.mark.parametrize("name", ["lectures/01_small", "labs/lab_1_small", "solutions/lab_1_small"])
def test_check_sees_what_is_missing_orphaned_or_broken(finished: Path, name: str) -> None:
    path = finished / f"{name}.ipynb"
    path.rename(path.with_stem("other"))
    short = Path(name).name
    assert build.faults(finished) == [f"{short}.ipynb: is missing", "other.ipynb: has no source"]
    path.with_stem("other").rename(path)
    path.write_text("{", encoding="utf-8")
    assert [fault[:30] for fault in build.faults(finished)] == [f"{short}.ipynb: is no notebook"[:30]]


def test_check_sees_an_output_that_was_added(finished: Path) -> None:
    def add(notebook: nbformat.NotebookNode) -> None:
        notebook.cells[1].outputs[0].text = "x" * (build.OUTPUT_LIMIT + 1)

    edit(finished / "lectures" / "01_small.ipynb", add)
    assert any("cell 2" in fault and "the limit is" in fault for fault in build.faults(finished))


# -- The stored notebooks


@pytest.mark.parametrize("name", [path.stem for path in build.sources(build.ROOT)])
def test_stored_widgets_carry_the_code_and_style_of_today(name: str) -> None:
    """`--check` cannot see it: a notebook's cells do not change when a widget's JavaScript does."""
    (path,) = [path for path in build.sources(build.ROOT) if path.stem == name]
    stored = nbformat.reads(path.with_suffix(".ipynb").read_text("utf-8"), as_version=4)
    for model in build.widget_models(stored).values():
        state = model["state"]
        origin = state.get("_anywidget_id", "")
        if origin.startswith("gencourse."):  # not anywidget's, with which `checks.installation` tries whether it works
            module, _, kind = origin.rpartition(".")
            widget = getattr(importlib.import_module(module), kind)
            # Of the script, a prediction has only what its kind needs.
            script = getattr(widget, "_esm", None) or importlib.import_module(module).script(state["kind"])
            today = {"_esm": str(script), "_css": str(widget._css)}
            assert {part: state[part] for part in today} == today, f"{name}: run `make notebooks ONLY={name}`"
