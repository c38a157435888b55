"""genlib beside its peers, and the cost of everything else: `make bench`, into benchmarks/RESULTS.md.

    make bench                        every part, two and a half hours of two quiet cores
    make bench ARGS="digits calls"    some parts; what the others have found stays
    make bench ARGS=--again           from nothing; otherwise what an interrupted run has found is not found again

Peers come from their published packages, at the versions of benchmarks/peers.lock, into build/peers, which sees the
course's torch. One that cannot be installed is named, and left out. Numbers go into benchmarks/results.json, from which
`python benchmarks/bench.py --write` makes the page and its plot anew.
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import page
import racing

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEERS, RESULTS = ROOT / "build" / "peers", HERE / "results.json"
NAMES = ("diffusers", "denoising-diffusion-pytorch", "smalldiffusion", "normflows", "nflows", "zuko", "FrEIA")
SEEDS, CHOOSING = (0, 1, 2), (7,)  # to be reported, and to choose by, where a race has no others


# -- The peers


def peers() -> tuple[str, dict[str, str]]:
    """The Python that finds them, and for each its version, or why it is not there."""
    python = PEERS / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    lock, stamp = HERE / "peers.lock", PEERS / "installed.json"
    if stamp.exists() and (found := json.loads(stamp.read_text())).pop("lock") == lock.read_text():
        return str(python), found
    print("Installing the peers into build/peers (once; 100 MB) ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(PEERS)], check=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(PEERS), "platbase": str(PEERS)}))
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (site / "course.pth").write_text("\n".join([*ours, str(ROOT)]) + "\n")
    found = {}
    for entry in re.findall(r"^[^#\s].*\n(?:[ \t].*\n)*", lock.read_text(), re.MULTILINE):
        name, version = re.match(r"([\w.-]+)==(\S+)", entry).groups()  # type: ignore[union-attr]
        one = PEERS / "one.txt"
        one.write_text(entry)
        command = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", str(one)]
        done = subprocess.run(command, capture_output=True, text=True)
        said = (done.stderr.strip().splitlines() or ["?"])[-1]
        found[name] = f"not installed: {said}" if done.returncode else version
        print(f"  {name} {found[name]}", flush=True)
    stamp.write_text(json.dumps({**found, "lock": lock.read_text()}))
    return str(python), found


# -- The parts


def race(name: str, python: str, absent: Collection[str]) -> dict[str, Any]:
    """With the defaults of each side; and with the best of one grid for all, chosen by seeds that are not reported."""
    module = importlib.import_module(f"race_{name}")
    sides = {side: setting for side, setting in module.DEFAULTS.items() if side.split(" ")[0].lower() not in absent}

    def jobs(
        setting: Callable[[str, float], Any], budgets: Sequence[float], seeds: Sequence[int]
    ) -> list[dict[str, Any]]:
        return [
            {"side": side, "setting": setting(side, budget), "seed": seed, "budget": budget}
            for seed in seeds
            for budget in budgets
            for side in sides
        ]

    asked = f"race_{name}"
    seeds, choosing = getattr(module, "SEEDS", SEEDS), getattr(module, "CHOOSING", CHOOSING)
    own = racing.run(asked, jobs(lambda side, _: sides[side], module.OWN_BUDGETS, seeds), python)
    of_grid = [jobs(lambda *_, one=one: one, module.GRID_BUDGETS, choosing) for one in module.GRID]
    tried = racing.run(asked, [job for some in of_grid for job in some], python)
    best = racing.best(tried, module.BY)
    tuned = racing.run(asked, jobs(partial(racing.chosen, best), module.BUDGETS, seeds), python)
    about = {
        "by": module.BY,
        "goals": module.GOALS,
        "grid": len(module.GRID),
        "seeds": len(seeds),
        "choosing": len(choosing),
        "title": (module.__doc__ or name).splitlines()[0],
    }
    return {**about, "best": best, "defaults": sides, "own": own, "tried": tried, "tuned": tuned}


def candidates(name: str, python: str, absent: Collection[str]) -> dict[str, Any]:
    """Changes of our own recipe for digits, and torch's compiler."""
    module = importlib.import_module(name)
    return {"by": "frechet", "recipes": racing.run(name, module.JOBS, python), "compiled": module.compiled()}


def rows(name: str, python: str, absent: Collection[str]) -> list[dict[str, Any]]:
    """What a module's `rows` finds, in a process of the peers' Python; it sees for itself what is absent."""
    program = f"import json, torch, {name}; torch.set_num_threads(1); print(json.dumps({name}.rows()))"
    env = {**racing.as_it_comes(), "PYTHONPATH": str(HERE), "COURSE_PYTHON": sys.executable}
    done = subprocess.run([python, "-c", program], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


PARTS = {
    "digits": race, "moons": race, "bits": race, "emoji": race,
    "calls": rows, "steps": rows, "limits": rows, "candidates": candidates, "rest": rows,
}  # fmt: skip


def machine() -> dict[str, Any]:
    """What it was measured on."""
    info = Path("/proc/cpuinfo")
    models = re.findall(r"^model name\s*: (.*)$", info.read_text(), re.MULTILINE) if info.exists() else []
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "load before": round(os.getloadavg()[0], 1),
    }


def on_lines(value: Any, depth: int = 0) -> str:
    """JSON, each entry of a list on a line of its own."""
    if isinstance(value, dict) and depth < 3:
        parts = [f"{json.dumps(key)}: {on_lines(part, depth + 1)}" for key, part in value.items()]
        return "{\n" + ",\n".join(" " * depth + part for part in parts) + "\n}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in value) + "\n]"
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}; all, if none is named")
    parser.add_argument("--again", action="store_true", help="forget what has been found before")
    parser.add_argument("--write", action="store_true", help="only write the page anew")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"expected some of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not arguments.write:
        python, versions = peers()
        found["peers"] = {name: versions[name.lower()] for name in NAMES}
        absent = {name for name, version in versions.items() if version.startswith("not installed")}
        for name in arguments.parts or PARTS:
            if arguments.again:
                (racing.RUNS / f"race_{name}.jsonl").unlink(missing_ok=True)
            print(f"{name} ...", flush=True)
            where = machine()
            found[name] = {"machine": where, "found": PARTS[name](name, python, absent)}
            RESULTS.write_text(on_lines(found) + "\n")
    page.write(found)


if __name__ == "__main__":
    main()
