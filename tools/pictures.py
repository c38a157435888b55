"""Take the README's three pictures from the site (`make site`): assets/panel.png, claim.png and live.png.

They are what the landing page shows: a mistake that is named, a claim with its cell, a model that has just answered.
"""

import sys
from pathlib import Path
from typing import Any

import build_site
import web
from PIL import Image

ASSETS = web.ROOT / "assets"
WIDTHS = {"panel": 540, "claim": 540, "live": 860}  # of the window, in CSS pixels: two stand side by side
COLOURS = 64  # in the file
DRAW = """() => new Promise((drawn) => {
  addEventListener("live:drawn", drawn, { once: true });
  document.querySelector(".genlib-live-controls > button").click();
}).then(() => true)"""
PLACES = {"panel": "section[aria-labelledby=named]", "claim": "section[aria-labelledby=computed]"}
PLACES |= {"live": "section[aria-labelledby=alive]"}


def take(page: Any, name: str) -> Path:
    """One picture, in few colours."""
    path = ASSETS / f"{name}.png"
    page.set_viewport_size({"width": WIDTHS[name], "height": 900})
    page.locator(PLACES[name]).screenshot(path=str(path))
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    return path


def main() -> None:
    index = build_site.OUT / "index.html"
    if not index.exists():
        sys.exit("The pictures are taken from the site: make site first.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = web.launched(playwright)
        page = browser.new_page(viewport={"width": WIDTHS["live"], "height": 900}, device_scale_factor=2)
        page.set_default_timeout(300_000)
        page.goto(index.as_uri())
        page.wait_for_selector("html[data-genlib=ready]", state="attached")
        page.evaluate("globalThis.genlibWidgets")
        page.evaluate(DRAW)
        for name in PLACES:
            print(take(page, name).relative_to(web.ROOT))
        browser.close()


if __name__ == "__main__":
    main()
