"""Write requirements.lock: one exact version of everything, for Linux, macOS and Windows, Python 3.11 to 3.14.

Needs uv (`pip install uv`), which only resolves here and installs nothing.  torch's own companions for GPUs are left
out: they exist for Linux alone, torch pins them itself, and its CPU builds do without.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
TORCH = "torch==2.13.0"  # the version the course's numbers were measured with
GPU_ONLY = re.compile(r"(nvidia-|cuda-|triton\b)")
HEADER = """\
# Made by `make lock` from pyproject.toml, and torch's version in tools/lock.py: change those, not this.
# Exact versions for Linux, macOS and Windows, Python 3.11 to 3.14.
"""


def resolve(root: Path = ROOT) -> str:
    """The text of the lock."""
    with open(root / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)
    # setuptools is locked too: genlib itself is then installed without another download.
    pinned = [TORCH, *project["build-system"]["requires"]]
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--no-header", "--no-annotate"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "--python-version", "3.11", "--extra", "dev"]
    command += [str(root / "pyproject.toml"), "-"]
    done = subprocess.run(command, input="\n".join(pinned), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"uv could not resolve:\n{done.stderr}")
    lines = [line for line in done.stdout.splitlines() if line and not GPU_ONLY.match(line)]
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    LOCK.write_text(resolve(), encoding="utf-8", newline="\n")
    print(f"{LOCK.name}: {len(LOCK.read_text().splitlines()) - 2} lines")
