"""What decks, pages and browser tests share: packages of npm, the browser, and stored widgets on a page."""

import hashlib
import html
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "site"
NPM = ROOT / "build" / "npm"
COURSE = "Generative models, computed"
WIDGET_STATE, WIDGET_VIEW = (f"application/vnd.jupyter.widget-{kind}+json" for kind in ("state", "view"))
BROWSER_FLAGS = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]


def npm() -> Path:
    """The folder of npm's packages, as site/package-lock.json names them; installed once for each lock."""
    modules, stamp = NPM / "node_modules", NPM / "installed.txt"
    files = [SITE / "package.json", SITE / "package-lock.json"]
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return modules
    if not shutil.which("npm"):
        sys.exit("Decks and pages need Node.js with npm (Debian: apt install npm; macOS: brew install node).")
    NPM.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, NPM)
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=NPM, check=True)
    stamp.write_text(wanted)
    return modules


def chromium() -> str:
    """The browser that measures and prints."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not found:
        sys.exit("This needs chromium (Debian: apt install chromium; elsewhere: CHROMIUM=/path/to/chrome).")
    return found


def launched(playwright: Any) -> Any:
    """A browser of playwright's that does not phone home; root, as in a container, has no sandbox."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    flags = BROWSER_FLAGS + ["--no-sandbox"] * root
    return playwright.chromium.launch(executable_path=chromium(), args=flags)


# -- Stored widgets


def embedded(notebook: Any, output: Any) -> str:
    """The HTML of an output's widget, for a page with site/host.js: its stored state, behind its still picture."""
    model_id = output["data"][WIDGET_VIEW]["model_id"]
    model = notebook["metadata"]["widgets"][WIDGET_STATE]["state"][model_id]
    unused = ("_dom_classes", "_view_", "_model_", "_anywidget_id", "layout", "tabbable", "tooltip")
    state = {name: value for name, value in model["state"].items() if not name.startswith(unused)}
    stored = {"state": state, "buffers": [[buffer["path"], buffer["data"]] for buffer in model.get("buffers", [])]}
    text = json.dumps(stored, ensure_ascii=False).replace("</", "<\\/")
    return (
        f'<div class="genlib-widget">{still(output)}'
        f'<script type="application/json" class="genlib-state">{text}</script></div>'
    )


def still(output: Any) -> str:
    """The picture that stands in for an output's widget where nothing runs."""
    picture = output["data"].get("image/png")
    if picture is None:
        return f"<p>{html.escape(''.join(output['data'].get('text/plain', '')))}</p>"
    about = output["metadata"].get("image/png", {})
    size = "".join(f' {side}="{about[side]}"' for side in ("width", "height") if side in about)
    source = "".join(picture).replace("\n", "")
    return f'<img src="data:image/png;base64,{source}" alt="{html.escape(about.get("alt", ""))}"{size}>'


if __name__ == "__main__":
    chromium()
    npm()
