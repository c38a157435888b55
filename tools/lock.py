"""Write the locks: one exact version of everything, for Linux, macOS and Windows, Python 3.11 to 3.14, with hashes.

requirements.lock is for every machine, and the two others for Linux alone: requirements-cuda.lock holds what PyPI's
torch needs there besides, its companions for GPUs, several GB; requirements-cpu.lock holds torch's own builds for the
CPU, which do without.  PyPI has none of these: they are for whoever has told pip where some lie.

Needs uv (`pip install uv`), which only resolves here and installs nothing.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = [ROOT / name for name in ("requirements.lock", "requirements-cuda.lock", "requirements-cpu.lock")]
# The version that the course's numbers were measured with. To take another one, write it into requirements.lock and its
# builds below, and run `make lock`.
TORCH = re.findall(r"^torch==[\w.]+", LOCKS[0].read_text(encoding="utf-8"), re.MULTILINE)[0]
# The hashes of that version's own builds (+cpu) for Python 3.11 to 3.14, each aarch64 and x86_64.
CPU_BUILDS = (
    "84453b69508ec79902f899c5ed9495acb9e2bbe9fda5f1d5d6f19e3c3842e1a7",
    "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
    "6f307c2c32d764ffc6ff6893b801fad6d4752f3e67966cb8abf1843427c02604",
    "4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2",
    "0b8f7d0423027ae8b90c7977c627f3379f325363a08224dffad9b4b2d684a83d",
    "3fbf9c9d1f3c10c2d59d04aca426dee9ccc6ceb32d255c61e93acc3b4f75fae6",
    "ca021f9eb2f8345c83fa03e3a04587308afb8df71bd472670b3ece00df58621c",
    "d20fa53ee744502fa4c69818a720b05ca0d37abd055d4f6e66cae155114bc691",
)
GPU_ONLY = re.compile(r"(nvidia-|cuda-|triton\b)")
HEADER = """\
# Made by `make lock` from pyproject.toml, which is to be changed, not this; but torch stays at the version given here.
"""


def resolve(root: Path = ROOT) -> list[str]:
    """The texts of the locks."""
    with open(root / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)
    # setuptools is locked too: genlib itself is then built without another download.
    pinned = [TORCH, *project["build-system"]["requires"]]
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--no-header", "--no-annotate"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "--python-version", "3.11", "--extra", "dev"]
    command += ["--generate-hashes", str(root / "pyproject.toml"), "-"]
    done = subprocess.run(command, input="\n".join(pinned), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"uv could not resolve:\n{done.stderr}")
    return split(done.stdout)


def split(resolved: str) -> list[str]:
    """The texts of the locks, from one: a package, and its hashes below it."""
    texts = [HEADER, HEADER, HEADER]
    for package in re.findall(r"^\S.*\n(?:[ \t].*\n)*", resolved, re.MULTILINE):
        texts[bool(GPU_ONLY.match(package))] += package
    texts[2] += " \\\n    ".join([f"{TORCH}+cpu", *(f"--hash=sha256:{build}" for build in CPU_BUILDS)]) + "\n"
    return texts


if __name__ == "__main__":
    for path, text in zip(LOCKS, resolve(), strict=True):
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"{path.name}: {len(re.findall('^[^ #]', text, re.MULTILINE))} packages")
