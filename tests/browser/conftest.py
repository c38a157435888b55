"""Pages in a real browser: nothing leaves the machine, nothing is written to the console as an error."""

import functools
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import web

PATIENCE = 120  # seconds that a page may take, on a machine that has much else to do
LOCAL = ("http://127.0.0.1", "http://localhost", "http://widget.test", "file:", "data:", "blob:", "about:")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One chromium for all tests of a process."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="make test-browser installs what it needs")
    with sync_api.sync_playwright() as playwright:
        chromium = web.launched(playwright)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module", autouse=True)
def _nothing_was_predicted() -> None:
    """A process keeps the latest answer to each question: another file's tests may have answered the same one."""
    from gencourse.widgets import prediction

    prediction._kept.clear()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """`open_page(url, width=1280, height=720, dark=False, **context)`: a page whose faults fail the test at its end.

    `page.faults` lists what was written to the console as an error, was raised, or asked for another machine;
    `page.of_others` says how those begin that another program is to blame for.
    """
    contexts: list[Any] = []
    pages: list[Any] = []

    def open_one(url: str | None = None, width: int = 1280, height: int = 720, dark: bool = False, **more: Any) -> Any:
        scheme = "dark" if dark else "light"
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **more)
        context.set_default_timeout(1000 * PATIENCE)
        page = context.new_page()
        page.faults, page.of_others = [], ()
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("console", lambda message: message.type == "error" and page.faults.append(message.text))
        page.on("request", lambda request: request.url.startswith(LOCAL) or page.faults.append(request.url))
        contexts.append(context)
        pages.append(page)
        if url is not None:
            page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    ours = [[fault for fault in page.faults if not fault.startswith(page.of_others)] for page in pages]
    assert ours == [[] for _ in pages]


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """`serve(folder)`: the address of a static server of that folder."""
    servers: list[http.server.ThreadingHTTPServer] = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    def start(folder: Path) -> str:
        handler = functools.partial(Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()


@pytest.fixture(scope="session")
def axe() -> Callable[..., list[str]]:
    """`axe(page, selector=None)`: violations of WCAG 2.2 A and AA that axe-core finds, "rule: where"."""
    source = (web.npm() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

    def run(page: Any, selector: str | None = None) -> list[str]:
        if not page.evaluate("typeof axe !== 'undefined'"):
            page.evaluate(source)
        where = json.dumps(selector) if selector else "document"
        # Style sheets are not asked for again: a page that is a file may not.
        found = page.evaluate(f"axe.run({where}, {{ runOnly: {json.dumps(tags)}, preload: false }})")
        return [
            f"{rule['id']}: {' '.join(map(str, node['target']))}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]

    return run
