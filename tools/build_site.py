"""Build the site, build/site: Sphinx, from the stored notebooks, nothing from outside; SOLUTIONS=0 leaves answers out.

    python tools/build_site.py [--out build/site] [--add slides handouts]

The pages work from a static server and from the disk. `--add` puts the decks (build/slides) and the handouts
(build/handouts), once they are made, into a site that stands, and links them; nothing is built then.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import site_sources
import web

ROOT = web.ROOT
OUT = ROOT / "build" / "site"


def solutions_wanted() -> bool:
    """Whether worked answers are part of the site: SOLUTIONS=0 in the environment says no."""
    return os.environ.get("SOLUTIONS", "1") != "0"


def build(out: Path = OUT, solutions: bool = True) -> None:
    """Build everything anew; what was there before is gone once the new site stands, and stays if it fails."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix="site-") as folder:
        work, site = Path(folder) / "source", Path(folder) / "site"
        ignore = shutil.ignore_patterns("package*.json", "deck*", "host.js", "__pycache__")
        shutil.copytree(web.SITE, work, ignore=ignore)
        shutil.copy(web.SITE / "host.js", work / "static")
        mathematics(work / "static" / "mathjax")
        site_sources.write(work, solutions)
        environment = os.environ | {"COURSE_ROOT": str(ROOT), "PYTHONPATH": "", "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going", "-E", "-j", "2"]
        subprocess.run([*command, "-d", f"{folder}/doctrees", str(work), str(site)], env=environment, check=True)
        # The trained networks that run in the page.
        subprocess.run([sys.executable, str(ROOT / "tools" / "live.py"), str(site / "live")], check=True)
        for unused in ("objects.inv", ".buildinfo"):
            (site / unused).unlink(missing_ok=True)
        shutil.rmtree(site / "_sources", ignore_errors=True)  # empty
        shutil.rmtree(out, ignore_errors=True)
        site.rename(out)


def mathematics(folder: Path) -> None:
    """MathJax with its letters, of which a page asks for those that it needs."""
    packages = web.npm()
    for name in ("tex-svg.js", "a11y/assistive-mml.js"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(packages / "mathjax-4" / name, folder / name)
    shutil.copytree(packages / "@mathjax" / "mathjax-newcm-font" / "svg", folder / "newcm" / "svg")


def add(name: str, out: Path = OUT) -> None:
    """Put build/<name>, decks or handouts, into the site, and show the links to it that wait there."""
    made = ROOT / "build" / name
    if not made.is_dir() or not out.is_dir():
        sys.exit(f"There is no {made if out.is_dir() else out} to add: make it first.")
    shutil.rmtree(out / name, ignore_errors=True)
    shutil.copytree(made, out / name)
    for page in out.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        shown = text.replace(f'hidden data-added="{name}"', f'data-added="{name}"')
        if shown != text:
            page.write_text(shown, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--add", nargs="+", choices=("slides", "handouts"), help="put these into the site that stands")
    arguments = parser.parse_args()
    if arguments.add:
        for name in arguments.add:
            add(name, arguments.out)
    else:
        build(arguments.out.resolve(), solutions_wanted())


if __name__ == "__main__":
    main()
