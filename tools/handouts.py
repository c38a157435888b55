"""Print the handouts: each lecture and blank lab of the site, as build/handouts/a4/NN.pdf and letter/NN.pdf.

    python tools/handouts.py [--only 04 lab_3]

Tagged, with an outline; folded answers stand in an appendix, and a lab's worked answers with them, unless SOLUTIONS=0.
The site has to be there (`make site`). Nothing may be cut: what is wider than the paper stops the build.
"""

import argparse
import html
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import build_site
import site_sources
import web
from site_landing import coded
from site_sources import Entry

OUT = web.ROOT / "build" / "handouts"
MARGIN = 32.0  # both sides, in mm; print.css has them
PAPERS = {"a4": ("A4", 210.0), "letter": ("Letter", 215.9)}
FOOTER = (
    '<div style="width: 100%; margin: 0 16mm; font: 8pt sans-serif; color: #444; display: flex; '
    'justify-content: space-between"><span class="title"></span>'
    '<span><span class="pageNumber"></span> / <span class="totalPages"></span></span></div>'
)
SETTINGS: dict[str, Any] = {
    "tagged": True,
    "outline": True,
    "print_background": True,
    "display_header_footer": True,
    "margin": {"top": "16mm", "bottom": "18mm", "left": "16mm", "right": "16mm"},
}
EXERCISE = re.compile(r'@checks\.exercise\("([^"]+)"')


def name(entry: Entry) -> str:
    """01, 03b, lab_1."""
    return entry.number.lower().replace(" ", "_")


def worked(entry: Entry) -> str:
    """The worked answers of a lab's exercises, as print.js appends them."""
    parts = []
    for cell in site_sources.read(entry.solution)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and (found := EXERCISE.search(source)):
            title = html.escape(found[1])
            source = re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", source, flags=re.M)
            parts.append(
                f'<div class="genlib-answer genlib-worked" data-name="{title}">'
                f"<h3><code>{title}</code></h3>{coded(source)}</div>"
            )
    return "".join(parts)


def printed(browser: Any, entry: Entry, site: Path, solutions: bool) -> list[str]:
    """Print one page on both papers; returns what was cut."""
    context = browser.new_context(viewport={"width": 800, "height": 1000}, color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(300_000)  # a busy machine may take long
    page.route(re.compile(r"/host\.js"), lambda route: route.abort())  # a widget's still picture stays
    page.goto((site / entry.path).with_suffix(".html").as_uri())
    page.wait_for_selector('html[data-genlib="ready"]', state="attached")
    page.emulate_media(media="print")
    page.add_script_tag(path=str(web.SITE / "print.js"))
    page.evaluate("(worked) => genlibPaper.prepare(worked)", worked(entry) if solutions and entry.kind == "lab" else "")
    page.add_style_tag(path=str(web.SITE / "print.css"))
    cut: list[str] = []
    for folder, (paper, across) in PAPERS.items():
        width = int((across - MARGIN) / 25.4 * 96)
        page.set_viewport_size({"width": width, "height": 1000})
        cut += [f"{folder}/{name(entry)}: {each}" for each in page.evaluate("(width) => genlibPaper.fit(width)", width)]
        path = OUT / folder / f"{name(entry)}.pdf"
        page.pdf(path=str(path), format=paper, footer_template=FOOTER, header_template="<span></span>", **SETTINGS)
    context.close()
    return cut


def index(course: list[Entry]) -> str:
    """A page that lists them, for the site."""
    rows = "".join(
        f"<tr><td>{entry.number}</td><td>{html.escape(entry.title)}</td>"
        f'<td><a href="a4/{name(entry)}.pdf">A4<span> of {entry.number}</span></a></td>'
        f'<td><a href="letter/{name(entry)}.pdf">Letter<span> of {entry.number}</span></a></td></tr>'
        for entry in course
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>Handouts</title><style>:root { color-scheme: light dark }"
        "body { font: 1rem/1.5 system-ui; margin: 2rem }"
        "td { padding: 0.3rem 1rem 0.3rem 0 } a span { position: absolute; clip-path: inset(50%) }</style>"
        f'<main><h1>Handouts</h1><table>{rows}</table><p><a href="../index.html">The course</a></p></main></html>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], help="names as 04 or lab_3")
    arguments = parser.parse_args()
    site, solutions = build_site.OUT, build_site.solutions_wanted()
    if not (site / "index.html").exists():
        sys.exit("Handouts are printed from the site: make site first.")
    course = site_sources.contents()
    chosen = [entry for entry in course if not arguments.only or name(entry) in arguments.only]
    if not arguments.only:
        shutil.rmtree(OUT, ignore_errors=True)
    for folder in PAPERS:
        (OUT / folder).mkdir(parents=True, exist_ok=True)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = web.launched(playwright)
        cut = [each for entry in chosen for each in printed(browser, entry, site, solutions)]
        browser.close()
    (OUT / "index.html").write_text(index(course), encoding="utf-8")
    if cut:
        sys.exit("\n".join(["Wider than the paper:", *cut]))
    if not arguments.only:
        build_site.add("handouts")


if __name__ == "__main__":
    main()
