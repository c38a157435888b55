"""JupyterLab's files: a notebook that was only opened and read stays as it is, byte for byte and by the clock."""

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from lab_server import CourseContents

SAYS = {"name": "python", "version": "3.14.0", "mimetype": "text/x-python", "pygments_lexer": "ipython3"}
STORED = {
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["Two\n", "lines."]},
        {
            "cell_type": "code",
            "execution_count": 1,
            "id": "b",
            "metadata": {"tags": ["kept"]},
            "outputs": [{"output_type": "stream", "name": "stdout", "text": ["1\n"]}],
            "source": ["print(1)"],
        },
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "c",
            "metadata": {"jupyter": {"source_hidden": False}},
            "outputs": [],
            "source": ["x = 1"],
        },
    ],
    "metadata": {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "mimetype": "text/x-python"},
        "widgets": {"state": {"low": 1.0}},
    },
    "nbformat": 4,
    "nbformat_minor": 5,
}


class Lab:
    """What JupyterLab does with one notebook."""

    def __init__(self, root: Path, folded: bool = False) -> None:
        self.path = root / "a.ipynb"
        self.contents = CourseContents(root_dir=str(root), folded=folded)

    def open(self) -> dict[str, Any]:
        """As the browser has it when a kernel has started: 1.0 is 1, and the kernel has said what it is."""
        model = asyncio.run(self.contents.get("a.ipynb", type="notebook", format="json"))
        notebook = json.loads(json.dumps(model["content"]))
        assert notebook["metadata"]["widgets"]["state"]["low"] == 1
        notebook["metadata"]["widgets"]["state"]["low"] = 1
        notebook["metadata"]["language_info"] = SAYS
        notebook["metadata"]["kernelspec"] = {"display_name": "Python 3.14", "language": "python", "name": "python3"}
        return notebook

    def save(self, notebook: dict[str, Any]) -> dict[str, Any]:
        model = {"type": "notebook", "format": "json", "content": notebook}
        before = copy.deepcopy(model)
        saved = asyncio.run(self.contents.save(model, "a.ipynb"))
        assert model == before
        assert (saved["type"], saved["path"], saved["content"]) == ("notebook", "a.ipynb", None)
        return json.loads(self.path.read_text("utf-8"))


@pytest.fixture(params=[False, True], ids=["lab", "presented"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    lab = Lab(tmp_path, request.param)
    lab.path.write_text(nbformat.writes(nbformat.from_dict(STORED)) + "\n", encoding="utf-8")
    return lab


def test_what_was_only_read_is_not_written(lab: Lab) -> None:
    before, clock = lab.path.read_bytes(), lab.path.stat().st_mtime_ns
    lab.save(lab.open())
    assert lab.path.read_bytes() == before
    assert lab.path.stat().st_mtime_ns == clock


@pytest.mark.parametrize("what", ["source", "outputs", "tags", "order", "title"])
def test_what_a_person_changed_is_written_and_nothing_else(lab: Lab, what: str) -> None:
    notebook = lab.open()
    wanted = copy.deepcopy(STORED)
    for one in (notebook, wanted):
        if what == "source":
            one["cells"][2]["source"] = "x = 2"
        elif what == "outputs":
            one["cells"][1]["outputs"] = []
        elif what == "tags":
            one["cells"][1]["metadata"]["tags"] = ["kept", "more"]
        elif what == "order":
            one["cells"].reverse()
        else:
            one["metadata"]["title"] = "mine"
    assert lab.save(notebook) == json.loads(nbformat.writes(nbformat.from_dict(wanted)))


def test_a_new_cell_and_another_kernel_are_a_persons_doing(lab: Lab) -> None:
    notebook = lab.open()
    new = {"cell_type": "code", "execution_count": None, "id": "d", "metadata": {}, "outputs": [], "source": "y = 1"}
    notebook["cells"].append(new)
    notebook["metadata"]["kernelspec"] = {"display_name": "R", "language": "R", "name": "ir"}
    notebook["metadata"]["language_info"] = {"name": "R", "version": "4.5"}
    saved = lab.save(notebook)
    assert saved["cells"][3] == {**new, "source": ["y = 1"]}
    assert saved["cells"][:3] == STORED["cells"]
    assert saved["metadata"]["kernelspec"]["name"] == "ir"
    assert saved["metadata"]["language_info"] == {"name": "R", "version": "4.5"}


def test_presented_code_is_folded_on_the_screen_alone(tmp_path: Path) -> None:
    lab = Lab(tmp_path, folded=True)
    lab.path.write_text(nbformat.writes(nbformat.from_dict(STORED)) + "\n", encoding="utf-8")
    notebook = lab.open()
    assert [cell["metadata"].get("jupyter") for cell in notebook["cells"]] == [None, *2 * [{"source_hidden": True}]]
    del notebook["cells"][1]["metadata"]["jupyter"]  # shown again
    notebook["cells"][0]["source"] = "changed"
    saved = lab.save(notebook)
    assert saved["cells"][0]["source"] == ["changed"]
    assert saved["cells"][1:] == STORED["cells"][1:]


@pytest.mark.parametrize("there", [None, "no notebook", "[]", '{"nbformat": 3, "metadata": {}, "worksheets": []}'])
def test_what_is_no_notebook_yet_becomes_one(tmp_path: Path, there: str | None) -> None:
    lab = Lab(tmp_path)
    if there is not None:
        lab.path.write_text(there, encoding="utf-8")
    assert lab.save(json.loads(json.dumps(STORED))) == STORED


def test_other_files_are_files(tmp_path: Path) -> None:
    contents = CourseContents(root_dir=str(tmp_path), folded=True)
    asyncio.run(contents.save({"type": "file", "format": "text", "content": "words"}, "a.txt"))
    asyncio.run(contents.save({"type": "directory"}, "b"))
    assert asyncio.run(contents.get("a.txt"))["content"] == "words"
    assert sorted(one["name"] for one in asyncio.run(contents.get(""))["content"]) == ["a.txt", "b"]
