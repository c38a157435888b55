"""Decks: lectures for the room, each in a folder of its own that needs nothing else.

    slides.py                 build, measure and print every deck into build/slides
    slides.py --only NAME     build one; may be repeated
    slides.py --no-pdf        without the printed decks
    slides.py --pace          build nothing: list the slides whose text takes longer than their minutes

A deck comes from site/decks/NAME.md (tools/deck.py says how it is written) and from the lecture's stored outputs.
Every slide is measured in a browser: where something lies outside 1280 by 720, or a text is smaller than 18 px, the
build fails and says which.
"""

import argparse
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import deck as decks
import jinja2
import live
import web
from playwright.sync_api import sync_playwright

from genlib import __version__

SOURCES, OUT = web.SITE / "decks", web.ROOT / "build" / "slides"
LEAST = 18  # px, of any text at 1280 by 720


def build(source: Path, out: Path) -> decks.Deck:
    """Write one deck: index.html, and all that it loads beside it."""
    deck = decks.read(source)
    shutil.rmtree(out, ignore_errors=True)
    assets = out / "assets"
    assets.mkdir(parents=True)
    npm = web.npm()
    reveal = npm / "reveal.js"
    files = [reveal / "dist/reveal.css", reveal / "dist/reveal.js", npm / "mathjax/es5/tex-svg.js"]
    files += [web.SITE / name for name in ("host.js", "deck.css", "speaker.js", "deck.js")]
    for file in files:
        shutil.copy(file, assets)
    if any('class="output live"' in slide.body for slide in deck.slides):
        live.build(assets / "live")
    env = jinja2.Environment(loader=jinja2.FileSystemLoader(web.SITE), undefined=jinja2.StrictUndefined)
    page = env.get_template("deck.html").render(deck=deck, edition=edition())
    (out / "index.html").write_text(page, encoding="utf-8")
    return deck


def edition() -> str:
    """The course's name, its version and its year, which is the licence's."""
    year = re.search(r"Copyright \(c\) (\d{4})", (web.ROOT / "LICENSE").read_text(encoding="utf-8"))
    return f"{web.COURSE} · genlib {__version__} · {year[1] if year else ''}"


def pace(deck: decks.Deck, name: str) -> list[str]:
    """The slides of a deck whose text takes longer than their minutes."""
    return [
        f"{name}, slide {i} ({slide.title}): {slide.too_long}"
        for i, slide in enumerate(deck.slides, 2)
        if slide.too_long
    ]


def length(deck: decks.Deck) -> str:
    """How long a deck takes, and how much of it can be left out."""
    return f"{deck.minutes:g} min" + (f" ({deck.optional:g} can be skipped)" if deck.optional else "")


def faults(page: Any, address: str, pictures: Path | None = None) -> list[str]:
    """What does not fit, on any slide, with everything shown that comes by and by; and a picture of each."""
    page.goto(address)
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    page.evaluate("globalThis.genlibWidgets")
    measure = (web.SITE / "measure.js").read_text(encoding="utf-8")
    found = []
    for number in range(page.evaluate("Reveal.getTotalSlides()")):
        slide = page.evaluate_handle(
            """(i) => { Reveal.slide(i, 0, 99); const slide = Reveal.getCurrentSlide();
              slide.querySelectorAll(".fragment").forEach((part) => part.classList.add("visible")); return slide; }""",
            number,
        )
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        if pictures:
            page.screenshot(path=pictures / f"{number + 1:02d}.png")
        title = page.evaluate("slide => slide.querySelector('h1, h2').textContent", slide)
        found += [f"slide {number + 1} ({title}): {fault}" for fault in page.evaluate(measure, [slide, LEAST])]
    return found


def printed(page: Any, address: str, path: Path) -> list[str]:
    """The deck as a PDF, a slide a page; returns what does not fit there."""
    page.goto(f"{address}?print-pdf")
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    page.evaluate("globalThis.genlibWidgets")
    page.wait_for_selector(".pdf-page")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    measure, found = (web.SITE / "measure.js").read_text(encoding="utf-8"), []
    for number, slide in enumerate(page.query_selector_all(".pdf-page > section"), 1):
        found += [f"page {number}: {fault}" for fault in page.evaluate(measure, [slide, LEAST])]
    page.pdf(path=path, prefer_css_page_size=True, print_background=True, tagged=True, outline=True)
    return found


def contents(names: dict[str, decks.Deck], out: Path) -> None:
    """The page that leads to every deck."""
    rows = ""
    for name, deck in names.items():
        links = f'<a href="{name}/index.html">{deck.title}</a>: {deck.subtitle} (<a href="{name}/{name}.pdf">PDF</a>)'
        rows += f"<li>{links}</li>\n"
    head = '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Decks</title>'
    style = "<style>body{font:20px/1.5 system-ui,sans-serif;max-width:50em;margin:3em auto;padding:0 1em}</style>"
    (out / "index.html").write_text(f"{head}{style}<h1>Decks</h1>\n<ol>\n{rows}</ol>\n</html>\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", help="a deck's name; may be repeated")
    parser.add_argument("--no-pdf", action="store_true", help="do not print")
    parser.add_argument("--pace", action="store_true", help="list the slides whose text is too long, and build nothing")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="a picture of each slide, into DIR/NAME")
    parser.add_argument("--out", type=Path, default=OUT, help="where to (build/slides)")
    args = parser.parse_args(argv)
    sources = {path.stem: path for path in sorted(SOURCES.glob("*.md"))}
    if unknown := set(args.only or ()) - set(sources):
        parser.error(f"--only {min(unknown)}: no such deck; there are: {', '.join(sources)}")
    if args.pace:
        for name in args.only or sources:
            deck = decks.read(sources[name])
            print(f"{name}: {length(deck)}", *pace(deck, name), sep="\n  ")
        return 0
    built, wrong = {}, []
    with sync_playwright() as playwright:
        browser = web.launched(playwright)
        for name in args.only or sources:
            out = args.out / name
            try:
                built[name] = build(sources[name], out)
            except decks.DeckError as error:
                wrong.append(str(error))
                continue
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            address = (out / "index.html").as_uri()
            if args.pictures:
                (args.pictures / name).mkdir(parents=True, exist_ok=True)
            found = faults(page, address, args.pictures and args.pictures / name)
            if not args.no_pdf:
                found += printed(page, address, out / f"{name}.pdf")
            wrong += [f"{name}, {fault}" for fault in found]
            page.close()
            fit = "all fit" if not found else f"{len(found)} faults"
            print(f"{name}: {len(built[name].slides) + 1} slides, {length(built[name])}, {fit}")
        browser.close()
    if not args.only:
        contents(built, args.out)
    print(*wrong, sep="\n", file=sys.stderr, end="\n" if wrong else "")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
