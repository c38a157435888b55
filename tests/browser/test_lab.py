"""JupyterLab as `make lab` opens it: reading changes no file, widgets fit, and a room sees large letters."""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(f"{p.parent.name}/{p.name}" for f in ("lectures", "solutions") for p in (ROOT / f).glob("*.ipynb"))
WITH_WIDGETS = [name for name in NOTEBOOKS if "widget-view+json" in (ROOT / name).read_text("utf-8")]
HIGHEST = 590  # pixels, of a widget, at 1280 wide
PATIENCE = 300  # seconds, on a machine that has much else to do

IDLE = "() => jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
TOLD = "() => jupyterapp.shell.currentWidget.model.getMetadata('language_info')?.version"
SAVED = "() => !jupyterapp.shell.currentWidget.model.dirty"
# Cells with a widget, by their number.
SHOWS = """() => jupyterapp.shell.currentWidget.content.widgets
    .map((cell, i) => JSON.stringify(cell.model.toJSON().outputs ?? "").includes("widget-view+json") ? i : -1)
    .filter((i) => i >= 0)"""
# A cell's widget when it has been drawn: its height, the room for it, and JupyterLab's mark above it. It is missed if
# JupyterLab drew it before it had read the notebook's models, which happens where a kernel is slow to answer.
WIDGET = """async (i) => {
  const notebook = jupyterapp.shell.currentWidget.content;
  const root = () => notebook.widgets[i].node.querySelector('[class*="jupyter-widgets"] > [class^="genlib-"]');
  for (let frames = 0, until = Date.now() + 120_000; Date.now() < until && !(root()?.offsetHeight > 20); frames++) {
    if (frames % 20 === 0) await notebook.scrollToItem(i, "start");
    await new Promise(requestAnimationFrame);
    if (notebook.widgets[i].node.textContent.includes("Error displaying widget: model not found")) return "missed";
  }
  return { height: root()?.offsetHeight, room: notebook.node.clientHeight,
    mark: root() && getComputedStyle(root().parentElement, "::before").content };
}"""


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that one opens, and a git repository that says whether they have changed."""
    root = tmp_path_factory.mktemp("lab") / "course"
    shutil.copytree(ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for name in [*NOTEBOOKS, *(f"labs/{path.name}" for path in (ROOT / "labs").glob("*.ipynb")), ".gitignore"]:
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for command in (["init"], ["add", "--all"], ["commit", "--message", "as stored"]):
        subprocess.run([*git, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return root


def answers(url: str) -> bool:
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(url, timeout=PATIENCE).status == 200
    return False


@contextlib.contextmanager
def started(course: Path, home: Path, *arguments: str) -> Iterator[Callable[[str], str]]:
    """`make lab` without a screen, which saves every second; yields the address of a notebook."""
    settings = home / "settings" / "@jupyterlab" / "docmanager-extension" / "plugin.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"autosaveInterval": 1}), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    command = [sys.executable, str(course / "tools" / "course.py"), "lab", "--no-venv", "--no-browser", *arguments]
    command += [f"--port={port}", f"--IdentityProvider.token={token}", "--LabApp.expose_app_in_browser=True"]
    places = {"SETTINGS": "settings", "WORKSPACES": "workspaces"}
    env = {**os.environ, **{f"JUPYTERLAB_{name}_DIR": str(home / folder) for name, folder in places.items()}}
    with (home / "log.txt").open("w") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    base = f"http://127.0.0.1:{port}"
    workspace = "workspaces/present/" if "--present" in arguments else ""
    try:
        while not answers(f"{base}/api?token={token}"):
            if server.poll() is not None:
                pytest.fail((home / "log.txt").read_text("utf-8"))
            time.sleep(0.2)
        yield lambda name: f"{base}/lab/{workspace}tree/{name}?token={token}&reset"  # nothing open of before
    finally:
        server.terminate()
        server.wait(PATIENCE)


@pytest.fixture(scope="module")
def lab(course: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    with started(course, tmp_path_factory.mktemp("home")) as address:
        yield address


@pytest.fixture(scope="module")
def room(course: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    with started(course, tmp_path_factory.mktemp("home"), "--present") as address:
        yield address


def changed(course: Path) -> str:
    return subprocess.check_output(["git", "-C", str(course), "status", "--porcelain"], text=True)


def show(page: Any, name: str) -> None:
    """Open a notebook, and wait as `settled` does."""
    page.evaluate("async (path) => { await jupyterapp.commands.execute('docmanager:open', { path }); }", name)
    settled(page, name)


def settled(page: Any, name: str) -> None:
    """Wait until a notebook has a kernel, has been told so, and has been saved by itself."""
    page.wait_for_function(f"() => window.jupyterapp?.shell?.currentWidget?.context?.path === {json.dumps(name)}")
    page.wait_for_function(IDLE)
    page.wait_for_function(TOLD)
    page.wait_for_function(SAVED)


def close(page: Any) -> None:
    """Close the notebook and end its kernel, when JupyterLab's debugger, which asks by itself, has its answer."""
    page.evaluate(
        """async () => {
          const notebook = jupyterapp.shell.currentWidget, { sessionContext } = notebook;
          const question = { seq: 1, type: "request", command: "debugInfo" };
          for (const _ of [1, 2]) await sessionContext.session.kernel.requestDebug(question).done;
          await sessionContext.shutdown();
          notebook.dispose();
        }"""
    )


def widgets_of(page: Any, name: str) -> list[dict[str, Any]]:
    """The widgets of a notebook that is open; of a lab one, for its predictions are alike. If one was missed, the
    notebook is opened once more."""
    for _ in range(5):
        shows = page.evaluate(SHOWS)
        found = [page.evaluate(WIDGET, i) for i in (shows if name.startswith("lectures") else shows[:1])]
        if "missed" not in found:
            return found
        close(page)
        show(page, name)
    pytest.fail(f"{name}: JupyterLab found no models for its widgets, five times")


def begin(page: Any, address: Callable[[str], str], name: str) -> None:
    """Open JupyterLab on a notebook."""
    page.set_default_timeout(1000 * PATIENCE)
    page.of_others = (  # JupyterLab's own, of a kernel that is shut down, or slow
        "Could not restore the debugger state",
        "Error: widget model not found",
    )
    page.goto(address(name))
    settled(page, name)


def test_reading_changes_no_notebook_and_every_widget_fits(course: Path, lab: Any, open_page: Any) -> None:
    """Opened, given a kernel, and saved by JupyterLab itself; the file browser is open, the window 1280 by 720."""
    page = open_page()
    begin(page, lab, "lectures/00_start_here.ipynb")
    assert not page.evaluate("() => jupyterapp.shell.leftCollapsed")
    found: dict[str, list[dict[str, Any]]] = {}
    for name in NOTEBOOKS:
        show(page, name)
        found[name] = widgets_of(page, name)
        close(page)
    assert changed(course) == ""
    assert [name for name, widgets in found.items() if widgets] == WITH_WIDGETS
    too_high = {n: w for n, ws in found.items() for w in ws if not 20 < (w["height"] or 0) <= min(HIGHEST, w["room"])}
    assert too_high == {}
    assert {widget["mark"] for widgets in found.values() for widget in widgets} == {"none"}  # no broken link


def test_a_widget_that_is_moved_changes_no_notebook(course: Path, lab: Any, open_page: Any) -> None:
    page = open_page()
    begin(page, lab, "lectures/04_diffusion_models.ipynb")
    (widget,) = widgets_of(page, "lectures/04_diffusion_models.ipynb")
    assert widget["height"]
    slider = page.locator(".genlib-explorer input[type=range]").first
    before = slider.input_value()
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert slider.input_value() != before
    page.evaluate("() => jupyterapp.shell.currentWidget.model.dirty = true")  # as if a person had typed, and undone it
    page.wait_for_function(SAVED)
    assert changed(course) == ""
    close(page)


def test_what_a_person_writes_is_saved(course: Path, lab: Any, open_page: Any) -> None:
    page = open_page()
    name = "labs/lab_2_flows.ipynb"
    before = (course / name).read_bytes()
    begin(page, lab, name)
    page.evaluate("() => jupyterapp.shell.currentWidget.content.widgets[0].model.sharedModel.setSource('my words')")
    page.wait_for_function(SAVED)
    assert json.loads((course / name).read_text("utf-8"))["cells"][0]["source"] == ["my words"]
    close(page)
    assert changed(course) == f" M {name}\n"
    (course / name).write_bytes(before)


# The first figure, when it has been drawn: the size of its smallest letters on the screen, and whether all of it fits.
FIGURE = """async () => {
  const notebook = jupyterapp.shell.currentWidget.content;
  const outputs = notebook.widgets.map((cell) => JSON.stringify(cell.model.toJSON().outputs ?? ""));
  const i = outputs.findIndex((output) => output.includes("data-text"));
  const image = () => notebook.widgets[i].node.querySelector("img[data-text]");
  for (let frames = 0, until = Date.now() + 120_000; Date.now() < until && !(image()?.offsetHeight > 20); frames++) {
    if (frames % 20 === 0) await notebook.scrollToItem(i, "start");
    await new Promise(requestAnimationFrame);
  }
  const box = image().getBoundingClientRect(), pane = notebook.node.getBoundingClientRect();
  const scale = Math.min(box.width / image().naturalWidth, box.height / image().naturalHeight);
  const letters = scale * image().naturalWidth * image().dataset.text / image().getAttribute("width");
  return { letters, fits: box.right <= pane.right && box.height <= pane.height };
}"""


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080)])
def test_a_room_sees_large_letters_and_no_code(
    course: Path, room: Any, open_page: Any, width: int, height: int
) -> None:
    page = open_page(width=width, height=height)
    begin(page, room, "lectures/04_diffusion_models.ipynb")
    page.wait_for_function("() => jupyterapp.shell.presentationMode && jupyterapp.shell.leftCollapsed")
    assert page.evaluate("() => jupyterapp.shell.rightCollapsed")
    assert not page.locator("#jp-main-statusbar").is_visible()
    letters = "(where) => parseFloat(getComputedStyle(document.querySelector(where)).fontSize)"
    assert page.evaluate(letters, ".jp-Notebook .jp-RenderedMarkdown") >= width / 64
    code = "jupyterapp.shell.currentWidget.content.widgets.filter((cell) => cell.model.type === 'code')"
    assert page.evaluate(f"() => {code}.every((cell) => cell.inputHidden)")
    page.locator(".jp-InputPlaceholder").first.click()
    assert page.locator(".jp-CodeCell .jp-InputArea-editor").first.is_visible()

    figure = page.evaluate(FIGURE)
    assert figure["fits"]
    assert figure["letters"] >= 18
    widget = widgets_of(page, "lectures/04_diffusion_models.ipynb")[0]
    assert 20 < widget["height"] <= widget["room"]
    assert page.evaluate(letters, ".genlib-explorer") >= 17.9
    page.wait_for_function(SAVED)
    assert changed(course) == ""
    close(page)
