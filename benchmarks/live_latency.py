"""How soon a trained network answers in a page, without a kernel: the first picture, and those that follow.

    make slides
    python benchmarks/live_latency.py [--times 25]

Opens the decks as files, in a browser that is new each time. The first picture counts from the click, loading and
compiling of onnxruntime-web included; each later one from the choice of another seed. Needs playwright and chromium.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright  # pyright: ignore[reportMissingImports]  (no dependency)

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tools"))
import web  # noqa: E402

DECKS = {
    "16 digits in ten steps": "04b_learning_and_sampling",
    "four photos": "02_conditional_gans",
    "600 points there and back": "03_normalizing_flows",
}
DRAWN = (
    "new Promise((done) => document.addEventListener('live:drawn', (event) => done(event.detail.ms), { once: true }))"
)


def opened(browser: Any, name: str) -> Any:
    """A page that shows the slide with the live model."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.goto((ROOT / "build" / "slides" / name / "index.html").as_uri())
    page.wait_for_selector("html[data-ready]")
    page.evaluate("globalThis.genlibWidgets")
    page.evaluate(
        """() => Reveal.slide([...document.querySelectorAll(".slides > section")]
          .findIndex((slide) => slide.querySelector(".output.live")))"""
    )
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=25, help="pictures after the first")
    times = parser.parse_args().times
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print(f"{'milliseconds':<28} {'first, of 3 pages':>20} {'later, median':>14} {'largest':>8}")
    with sync_playwright() as playwright:
        for what, name in DECKS.items():
            firsts, later = [], []
            for _ in range(3):
                browser = web.launched(playwright)
                page = opened(browser, name)
                button = "section.present .output.live button"
                firsts.append(
                    page.evaluate(
                        f"""async () => {{ const drawn = {DRAWN}, began = performance.now();
                        [...document.querySelectorAll("{button}")].find((b) => b.textContent.includes("loads")).click();
                        await drawn; return performance.now() - began; }}"""
                    )
                )
                for seed in range(1, times + 1) if len(firsts) == 3 else ():
                    later.append(
                        page.evaluate(
                            f"""async (seed) => {{ const drawn = {DRAWN}, began = performance.now();
                            const input = document.querySelector("section.present .output.live [aria-label='seed']");
                            input.value = seed; input.dispatchEvent(new Event("change", {{ bubbles: true }}));
                            await drawn; return performance.now() - began; }}""",
                            seed,
                        )
                    )
                browser.close()
            first = " ".join(f"{ms:6.0f}" for ms in firsts)
            print(f"{what:<28} {first:>20} {statistics.median(later):>14.0f} {max(later):>8.0f}")


if __name__ == "__main__":
    main()
