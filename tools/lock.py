"""Write the locks: one exact version of everything, for Linux, macOS and Windows, Python 3.11 to 3.14, with hashes.

requirements.lock is for every machine; requirements-site.lock holds what decks, site, handouts and browser tests need
besides (the extra "site"); requirements-cuda.lock what PyPI's torch needs on Linux alone, its companions for GPUs,
several GB.  torch itself stands apart, in requirements-torch.lock, by its version alone and without hashes: its builds
differ from machine to machine, and pip takes the one for the CPU (+cpu) where it has been told of one.

Needs uv (`pip install uv`), which only resolves here and installs nothing.  `--keep` leaves each version that is locked
already where it is, as far as pyproject.toml allows: for a new package, without new versions of all others.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EVERY, CUDA, SITE, TORCH = (ROOT / f"requirements{part}.lock" for part in ("", "-cuda", "-site", "-torch"))
WRITTEN = [EVERY, CUDA, SITE]  # but not that of torch, which is where its version is chosen
GPU_ONLY = re.compile(r"(nvidia-|cuda-|triton\b)")
HEADER = """\
# Made by `make lock` from pyproject.toml, which is to be changed, not this.
"""


def torch() -> str:
    """The requirement of torch that its lock holds: the version that the course's numbers were measured with."""
    return re.findall(r"^torch==[\w.]+$", TORCH.read_text(encoding="utf-8"), re.MULTILINE)[0]


def resolve(root: Path = ROOT, keep: bool = False) -> list[str]:
    """The texts of the locks that are written."""
    old = "".join(path.read_text(encoding="utf-8") for path in WRITTEN if path.exists()) if keep else ""
    joint = compiled(root, ["dev", "site"], old)
    # Both parts have the versions of the whole.
    return split(compiled(root, ["dev"], joint), joint)


def compiled(root: Path, extras: list[str], preferred: str) -> str:
    """All that genlib with these extras needs, as uv resolves it; versions that are preferred win where they can."""
    with open(root / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)
    # setuptools is locked too: genlib itself is then built without another download.
    pinned = [torch(), *project["build-system"]["requires"]]
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--no-header", "--no-annotate"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "--python-version", "3.11", "--generate-hashes"]
    command += [word for name in extras for word in ("--extra", name)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "preferred.txt"  # what stands where uv is to write, it prefers
        out.write_text(preferred, encoding="utf-8")
        command += [str(root / "pyproject.toml"), "-", "-o", str(out)]
        done = subprocess.run(command, input="\n".join(pinned), capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"uv could not resolve:\n{done.stderr}")
        return out.read_text(encoding="utf-8")


def split(base: str, joint: str) -> list[str]:
    """The texts of the locks, from two resolutions, without and with the site: a package, and its hashes below it."""
    texts = [HEADER, HEADER, HEADER]
    first, both = (re.findall(r"^\S.*\n(?:[ \t].*\n)*", resolved, re.MULTILINE) for resolved in (base, joint))
    for package in first:
        if not package.startswith("torch=="):
            texts[bool(GPU_ONLY.match(package))] += package
    texts[2] += "".join(package for package in both if package not in first)
    return texts


if __name__ == "__main__":
    for path, text in zip(WRITTEN, resolve(keep="--keep" in sys.argv[1:]), strict=True):
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"{path.name}: {len(re.findall('^[^ #]', text, re.MULTILINE))} packages")
