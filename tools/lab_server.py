"""JupyterLab as `make lab` starts it: a notebook that was only opened and read is not written again.

As soon as a kernel runs, JupyterLab notes its name and version in the notebook, and its browser writes 1.0 as 1; then
it saves the notebook, though nobody changed it, and an update of the course would be refused.  The manager of
contents below writes no such change, whatever the kernel's version.
"""

import copy
import json
import os
import sys
from typing import Any

import nbformat
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from traitlets import Bool

# What a kernel says of itself, and what has to be the same for the stored words to stand.
OF_THE_KERNEL = {"kernelspec": ("name", "language"), "language_info": ("name",)}


class CourseContents(AsyncLargeFileManager):
    """Files as JupyterLab has them, but for what it alone would change in a notebook.

    Attributes:
        folded: whether a notebook is opened with its code folded, as for presenting; it is stored as it was.
    """

    folded = Bool(False, config=True)

    async def get(self, path: str, content: bool = True, *args: Any, **more: Any) -> dict[str, Any]:
        model = await super().get(path, content, *args, **more)
        if self.folded and content and model["type"] == "notebook":
            fold(model["content"])
        return model

    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        if model.get("type") == "notebook" and model.get("content"):
            stored = self._stored(path)
            if stored is not None:
                model = {**model, "content": kept(model["content"], stored, self.folded)}
                if as_stored(model["content"]) == stored:
                    return await self.get(path, content=False)
        return await super().save(model, path)

    def _stored(self, path: str) -> dict[str, Any] | None:
        """The notebook on disk; None where there is none that can be read."""
        try:
            with open(self._get_os_path(path.strip("/")), encoding="utf-8") as file:
                stored = json.load(file)
        except (OSError, ValueError):
            return None
        return stored if isinstance(stored, dict) and stored.get("nbformat") == 4 else None


def fold(notebook: dict[str, Any]) -> None:
    """Hide each cell's code, as JupyterLab's own "Collapse All Code" does."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["metadata"].setdefault("jupyter", {})["source_hidden"] = True


def kept(notebook: dict[str, Any], stored: dict[str, Any], folded: bool) -> dict[str, Any]:
    """The notebook, with what its kernel says of itself as it is stored; code that `fold` has hidden, too."""
    notebook = copy.deepcopy(notebook)
    for key, same in OF_THE_KERNEL.items():
        said, was = notebook["metadata"].get(key), stored["metadata"].get(key)
        if said and was and all(said.get(name) == was.get(name) for name in same if name in was):
            notebook["metadata"][key] = was
    if folded:
        hidden = {cell.get("id"): cell["metadata"].get("jupyter", {}).get("source_hidden") for cell in stored["cells"]}
        for cell in notebook["cells"]:
            look = cell["metadata"].setdefault("jupyter", {})
            look.pop("source_hidden", None)
            if hidden.get(cell.get("id")) is not None:
                look["source_hidden"] = hidden[cell["id"]]
            if not look:
                del cell["metadata"]["jupyter"]
    return notebook


def as_stored(notebook: dict[str, Any]) -> dict[str, Any]:
    """What is read from the file that JupyterLab would write; in it, 1 equals 1.0."""
    return json.loads(nbformat.writes(nbformat.from_dict(notebook)))


if __name__ == "__main__":
    from jupyterlab.labapp import main

    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # PYTHONSAFEPATH leaves it out
    sys.exit(main([*sys.argv[1:], "--ServerApp.contents_manager_class=lab_server.CourseContents"]))
