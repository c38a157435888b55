"""What else a user waits for, or has to have room for: `python benchmarks/rest.py` (Linux).

    python benchmarks/rest.py [--quick] [--long]

Imports, the first training step and the memory of a training, in processes of their own; sizes of the checkout, of its
notebooks and of the site; how soon the site's pages are painted and how soon a widget has redrawn, in a real browser.
With `--long`, how long `make setup` and `make test` take in a fresh clone, which is minutes: build/bench/rest.json
keeps that, and whoever does not ask for it gets what stands there. Each row has a goal where there is one. What cannot
be measured here has no value, and says why.
"""

import argparse
import functools
import http.server
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SITE, KEPT = ROOT / "build" / "site", ROOT / "build" / "bench" / "rest.json"
PAGES = {"landing page": "index.html", "lecture 04": "lectures/04_diffusion_models.html"}
MB = 1e6
KINDS = {".safetensors": "networks", ".ipynb": "notebooks", ".npz": "drawings"}

# What is there before is told apart from what a line of imports adds.
IMPORT = """
import sys, time, torch
from pathlib import Path
{before}
def used():
    memory = int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    return time.process_time(), memory, len(sys.modules)
start = used()
{line}
print(*(now - then for now, then in zip(used(), start)))
"""
OURS = "from genlib import data, gan, flows, diffusion, train"
THEIRS = "from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel"
DECLARED = "from peers import declare_torchvision; declare_torchvision()"

TRAINING = """
import resource, torch
torch.set_num_threads(1)
from genlib import data, diffusion, train
ddpm = diffusion.DDPM(diffusion.UNet.digits(), diffusion.Schedule.cosine(), predict="v", levels=17)
train.fit(diffusion.Denoising(ddpm), data.digits(), steps={steps}, progress=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def row(name: str, value: float | None, unit: str = "", goal: float | None = None, note: str = "") -> dict[str, Any]:
    """A line of the table; a value is to be at most the goal."""
    value = value if value is None else float(f"{value:.4g}")
    return {"name": name, "value": value, "unit": unit, "goal": goal, "note": note}


# -- Processes


def told(program: str, python: str = sys.executable) -> list[float]:
    """The numbers that a program prints, in a process of its own."""
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [python, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["it has ended"])[-1])
    return [float(number) for number in done.stdout.split()]


def imports(times: int, python: str = sys.executable) -> list[dict[str, Any]]:
    """Seconds of a processor, memory and modules, on top of torch; of ours, and of three classes of diffusers'."""
    found = []
    goals: tuple[float | None, ...]
    for name, line, before, goals in (
        ("import of genlib's families and train", OURS, "", (0.2, 15.0, 80)),
        ("import of three classes of diffusers", THEIRS, DECLARED, (None, None, None)),
    ):
        try:
            runs = [told(IMPORT.format(before=before, line=line), python) for _ in range(times)]
        except RuntimeError as error:
            found.append(row(name, None, note=str(error)))
            continue
        seconds, memory, modules = (statistics.median(column) for column in zip(*runs, strict=True))
        values = ((seconds, "s of a processor"), (memory / MB, "MB"), (modules, "modules"))
        found += [row(name, value, unit, goal) for (value, unit), goal in zip(values, goals, strict=True)]
    return found


def training(times: int) -> list[dict[str, Any]]:
    """How long a new process takes until its first step is done, and the most memory that a training needs."""
    found = []
    for name, program in (("torch is imported", "import torch"), ("a DDPM's first step", TRAINING.format(steps=1))):
        seconds = []
        for _ in range(times):
            before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            told(program)
            after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - begun
            seconds.append((wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
        wall, busy = map(statistics.median, zip(*seconds, strict=True))
        found.append(row(f"a new process, until {name}", wall, "s", note=f"{busy:.1f} s of a processor"))
    (most,) = told(TRAINING.format(steps=30))
    return [*found, row("memory of a DDPM's training on digits", most / MB, "MB", note="at most, torch included")]


# -- Files


def sizes() -> list[dict[str, Any]]:
    """Of what git keeps, of the notebooks among that, and of the site."""
    listed = git("ls-files", "-z")
    files = [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]
    notebooks = [path for path in files if path.suffix == ".ipynb"]
    largest = max(notebooks, key=lambda path: path.stat().st_size)
    found = [
        row("checkout", sum(path.stat().st_size for path in files) / MB, "MB", 15.0, kinds(files)),
        row("largest notebook", largest.stat().st_size / MB, "MB", 1.0, f"{largest.name}, of {len(notebooks)}"),
    ]
    if not SITE.exists():
        return [*found, row("site", None, "MB", note="make site writes it")]
    pages = [path for path in SITE.rglob("*") if path.is_file()]
    return [*found, row("site", sum(path.stat().st_size for path in pages) / MB, "MB", note=f"{len(pages)} files")]


def kinds(files: Sequence[Path]) -> str:
    """What the megabytes are, the most first."""
    sizes: dict[str, float] = {}
    for path in files:
        kind = KINDS.get(path.suffix, "code and texts")
        sizes[kind] = sizes.get(kind, 0.0) + path.stat().st_size / MB
    parts = sorted(sizes.items(), key=lambda item: -item[1])
    return f"{len(files)} files; " + ", ".join(f"{kind} {size:.1f}" for kind, size in parts)


# -- A browser


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a static server of that folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def paints(times: int) -> list[dict[str, Any]]:
    """From the request of a page to its first contentful paint, each time in a browser that has seen none of it."""
    try:
        from playwright.sync_api import sync_playwright  # pyright: ignore[reportMissingImports]  (no dependency)

        sys.path.append(str(ROOT / "tools"))
        import web
    except ImportError:
        return [row("first paint of the site", None, "ms", note="make test-browser installs playwright")]
    if not SITE.exists():
        return [row("first paint of the site", None, "ms", note="make site writes it")]
    found = []
    with served(SITE) as address, sync_playwright() as playwright:
        browser = web.launched(playwright)
        for name, path in PAGES.items():
            values = []
            for _ in range(times + 1):  # the first one finds neither the browser nor the files awake
                context = browser.new_context(viewport={"width": 1280, "height": 720})
                page = context.new_page()
                page.goto(f"{address}/{path}", wait_until="load")
                entry = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
                page.wait_for_function(entry)
                values.append(page.evaluate(entry))
                context.close()
            found.append(
                row(f"first paint of the site's {name}", statistics.median(values[1:]), "ms", note="from disk")
            )
        browser.close()
    return found


def widget(presses: int) -> list[dict[str, Any]]:
    """From a key press to the end of drawing, in JupyterLab: benchmarks/widget_latency.py, in a process."""
    python = os.environ.get("COURSE_PYTHON", sys.executable)  # the peers' one has no JupyterLab of its own
    command = [python, str(HERE / "widget_latency.py"), "--presses", str(presses)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return [row("widget", None, "ms", note=(done.stderr.strip().splitlines() or ["it has ended"])[-1])]
    found = []
    for line in done.stdout.splitlines():
        if match := re.fullmatch(r"(.+?) +\d+ +([\d.]+) +[\d.]+ +([\d.]+) +[\d.]+", line):
            name, drawn, painted = match[1], float(match[2]), float(match[3])
            goal = {"the harness alone": None}.get(name, 60.0 if "kernel" in name else 16.0)
            found.append(row(f"widget, {name}: drawn", drawn, "ms", goal, f"painted after {painted:g}"))
    return found


# -- What takes minutes


def measure_clone() -> None:
    """Set up a fresh clone of what is committed, test it, and keep the seconds of both."""
    found: dict[str, Any] = {"commit": git("rev-parse", "--short", "HEAD"), "processors": os.cpu_count()}
    with tempfile.TemporaryDirectory() as folder:
        git("clone", "--quiet", str(ROOT), folder)
        for target in ("setup", "test"):
            begun, load = time.perf_counter(), os.getloadavg()[0]
            done = subprocess.run(["make", target], cwd=folder)
            found[target] = {"seconds": round(time.perf_counter() - begun, 1), "load before": round(load, 1)}
            if done.returncode:
                sys.exit(f"make {target} has failed, and nothing is kept")
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    KEPT.write_text(json.dumps(found, indent=1) + "\n")


def clone() -> list[dict[str, Any]]:
    """What `measure_clone` has kept."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    found = []
    for target, goal in (("setup", 180.0), ("test", 600.0)):
        one = kept.get(target)
        about = f"commit {kept['commit']}, load {one['load before']}" if one else "--long measures it"
        found.append(row(f"make {target}, fresh clone", one and one["seconds"], "s", goal, about))
    return found


def git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True, text=True).stdout.strip()


# -- All of it


def rows(quick: bool = False, python: str = sys.executable) -> list[dict[str, Any]]:
    """The table; `python` is the one that finds diffusers."""
    times = 2 if quick else 7
    found = [*imports(times, python), *training(1 if quick else 3), *sizes(), *clone(), *paints(1 if quick else 5)]
    return found if quick else [*found, *widget(25)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, and no widget")
    parser.add_argument("--long", action="store_true", help="set up and test a fresh clone first")
    parser.add_argument("--peers", default=sys.executable, help="a Python that finds diffusers")
    arguments = parser.parse_args()
    if arguments.long:
        measure_clone()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    for each in rows(arguments.quick, arguments.peers):
        value = "not measured" if each["value"] is None else f"{each['value']:g} {each['unit']}"
        goal = "" if each["goal"] is None else f"≤ {each['goal']:g}"
        print(f"{each['name']:<48}{value:>24}{goal:>8}  {each['note']}".rstrip())


if __name__ == "__main__":
    main()
