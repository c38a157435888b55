"""How long after a key press a widget has redrawn, in JupyterLab in a real browser.

    python benchmarks/widget_latency.py [--presses 50] [--page ADDRESS]

`drawn` is the time from `keydown` to the end of drawing, layout included; `painted` ends when the browser has produced
the frame, so it includes up to 17 ms of waiting for the screen. The first line is the harness's own floor: an input
that draws nothing. With --page, a page that shows the β widget is measured instead, a deck or the site, where no kernel
answers. Needs playwright and chromium.
"""

import argparse
import contextlib
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Page, sync_playwright  # pyright: ignore[reportMissingImports]  (no dependency)

CELL = "from gencourse import widgets\n\nwidgets.BetaScheduleExplorer()"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

# One entry a press: when it was drawn, when it was painted, and whether the first drawing was complete (a preset) or
# had to wait for the kernel.
STOPWATCH = """() => {
  window.presses = [];
  let press;
  document.addEventListener("keydown", (event) => { press = { start: event.timeStamp, drawings: 0 }; }, true);
  document.addEventListener("explorer:drawn", (event) => {
    if (!press) return;
    press.drawings += 1;
    if (!event.detail.complete) return;
    event.target.getBoundingClientRect(); // so that layout is counted
    const done = press;
    press = undefined;
    done.drawn = performance.now() - done.start;
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => { done.painted = performance.now() - done.start; presses.push(done); };
      channel.port2.postMessage(0);
    });
  });
}"""


@contextlib.contextmanager
def jupyter_lab(folder: Path) -> Iterator[str]:
    """JupyterLab over `folder`, with settings of its own; yields the address of a notebook in it, less its name."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, home = secrets.token_hex(16), str(folder / ".home")
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
         f"--IdentityProvider.token={token}", "--LabApp.expose_app_in_browser=True"],
        cwd=folder, env=dict(os.environ, JUPYTERLAB_SETTINGS_DIR=home, JUPYTERLAB_WORKSPACES_DIR=home),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(120):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token={token}", timeout=2)
                break
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/doc/tree/{{name}}?token={token}"
    finally:
        server.terminate()
        server.wait(20)


def run_notebook(page: Page) -> None:
    idle = "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
    page.wait_for_function(idle, timeout=90_000)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_selector(".genlib-explorer svg path", timeout=90_000)
    page.wait_for_function(idle, timeout=90_000)


def press(page: Page, label: str, key: str, times: int) -> list[dict[str, Any]]:
    """Press a key on one input, again and again, each time waiting for the picture; every ten presses the other way,
    so that no slider comes to its end."""
    back = {"ArrowLeft": "ArrowRight", "ArrowRight": "ArrowLeft", "ArrowDown": "ArrowUp"}[key]
    page.locator(f".genlib-explorer [aria-label*='{label}']").first.focus()
    for i in range(times):
        seen = page.evaluate("presses.length")
        page.keyboard.press(back if i // 10 % 2 else key)
        page.wait_for_function("seen => presses.length > seen", arg=seen, timeout=10_000)
        page.wait_for_timeout(20 + 7 * (i % 5))  # so that presses fall anywhere between two frames
    return page.evaluate("n => presses.slice(-n)", times)


def floor(page: Page, times: int) -> list[dict[str, Any]]:
    """Presses on an input that says at once that it has been drawn."""
    page.evaluate(
        """() => {
          const input = Object.assign(document.createElement("input"), { type: "range", ariaLabel: "floor" });
          const root = document.createElement("div");
          root.className = "genlib-explorer";
          input.dataset.lmSuppressShortcuts = "true";
          input.addEventListener("input", () => input.dispatchEvent(
            new CustomEvent("explorer:drawn", { bubbles: true, detail: { complete: true } })));
          root.append(input);
          document.querySelector(".genlib-explorer").parentElement.append(root);
        }"""
    )
    found = press(page, "floor", "ArrowLeft", times)
    page.evaluate("document.querySelector('[aria-label=floor]').parentElement.remove()")
    return found


def report(name: str, presses: list[dict[str, Any]]) -> None:
    cells = []
    for what in ("drawn", "painted"):
        times = sorted(press[what] for press in presses)
        p95 = times[max(0, round(0.95 * len(times)) - 1)]
        cells.append(f"{statistics.median(times):7.1f} {p95:7.1f}")
    print(f"{name:<44} {len(presses):>7}  {cells[0]}  {cells[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presses", type=int, default=50)
    parser.add_argument("--page", help="an address, of a page that shows the widget, in place of JupyterLab")
    args = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with contextlib.ExitStack() as stack:
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        if args.page:
            page.goto(args.page)
            page.wait_for_selector(".genlib-explorer", state="attached", timeout=60_000)
            page.evaluate("""globalThis.Reveal && Reveal.slide([...document.querySelectorAll(".slides > section")]
              .findIndex((slide) => slide.querySelector("[aria-label='step t']")))""")
            page.wait_for_selector(".genlib-explorer svg path", timeout=60_000)
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
            notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
            nbformat.write(notebook, folder / "widget.ipynb")
            page.goto(stack.enter_context(jupyter_lab(folder)).format(name="widget.ipynb"))
            run_notebook(page)
        page.wait_for_timeout(3000)
        page.evaluate(STOPWATCH)

        print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
        print(f"{'milliseconds from keydown':<44} {'':>7}  {'drawn':^15}  {'painted':^15}")
        print(f"{'':<44} {'presses':>7}  {'median':>7} {'p95':>7}  {'median':>7} {'p95':>7}")
        report("the harness alone", floor(page, args.presses))
        press(page, "step t", "ArrowRight", 3)  # to warm up
        report("step t", press(page, "step t", "ArrowRight", args.presses))
        report("digit", press(page, "digit", "ArrowDown", 5))
        for name in ("number of steps T", "β T"):
            steps = press(page, name, "ArrowLeft", args.presses)
            for how, one in {"by the kernel": True, "in the page": False}.items():
                if some := [step for step in steps if (step["drawings"] > 1) == one]:
                    report(f"{name}, computed {how}", some)
        browser.close()


if __name__ == "__main__":
    main()
