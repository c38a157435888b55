"""What a student costs a server: memory and processor of each notebook's kernel, and of the server beside it.

    python tools/hosting.py                    lectures and solutions, one after the other
    python tools/hosting.py lab_3_diffusion    some

A line of teach/hosting.md's table for each notebook, run from top to bottom with one thread, as `make lab` sets it.
Memory is asked for four times a second. *Most* is the kernel's peak resident size, what a container is charged at
worst; *own* is what the kernel, and the processes that it starts to examine answers, share with nobody: each further
student on the same machine costs this. Linux alone: both come from /proc.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
PORT = 8797
EVERY = 0.25  # seconds between two looks at memory
QUIET = ["--IPKernelApp.log_level=ERROR", "--HistoryManager.enabled=False"]
HEAD = """| notebook | memory, most, MB | own, MB | processor, s |
|---|---|---|---|"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sources = {p.stem: p for folder in ("lectures", "solutions") for p in sorted((ROOT / folder).glob("*.ipynb"))}
    parser.add_argument("names", nargs="*", help="such as lab_3_diffusion; all, if none is named")
    names = parser.parse_args(argv).names or [*sources, "server"]
    if unknown := set(names) - {*sources, "server"}:
        parser.error(f"expected some of {', '.join([*sources, 'server'])}, got {', '.join(sorted(unknown))}")
    os.environ.update(OMP_NUM_THREADS="1", TQDM_DISABLE="1")
    os.environ.pop("GENLIB_MAX_STEPS", None)
    print(HEAD)
    for name in names:
        numbers = server() if name == "server" else notebook(sources[name])
        print(f"| {name} | {' | '.join(f'{number:.0f}' for number in numbers)} |", flush=True)
    return 0


def notebook(path: Path) -> tuple[float, float, float]:
    """Peak resident MB of the kernel, peak own MB of all its processes, its seconds of processor."""
    client = NotebookClient(
        nbformat.read(path, 4), timeout=1200, extra_arguments=QUIET, resources={"metadata": {"path": str(path.parent)}}
    )
    with client.setup_kernel():
        assert client.km is not None
        pid = client.km.provisioner.pid  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
        with watched(pid) as seen:
            for index, cell in enumerate(client.nb.cells):
                client.execute_cell(cell, index)
        return peak(pid), max(seen), processor(pid)


def server() -> tuple[float, float, float]:
    """The same of a JupyterLab server that has handed out its first page and lists the lectures."""
    with tempfile.TemporaryDirectory() as scratch:
        runtime = {"JUPYTER_RUNTIME_DIR": scratch, "JUPYTER_CONFIG_DIR": scratch, "JUPYTER_DATA_DIR": scratch}
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={PORT}", f"--notebook-dir={ROOT}"]
        process = subprocess.Popen(
            [*command, "--IdentityProvider.token=", "--allow-root"], env=os.environ | runtime, stderr=subprocess.DEVNULL
        )
        try:
            for page in ("lab", "api/contents/lectures", "api/contents/lectures/04_diffusion_models.ipynb"):
                ask(f"http://localhost:{PORT}/{page}")
            return peak(process.pid), own(process.pid), processor(process.pid)
        finally:
            process.terminate()
            process.wait()


def ask(address: str, patience: float = 60) -> bytes:
    """What stands there, as soon as something answers."""
    end = time.perf_counter() + patience
    while True:
        try:
            with urllib.request.urlopen(address) as answer:
                return answer.read()
        except OSError:
            if time.perf_counter() > end:
                raise
            time.sleep(EVERY)


@contextmanager
def watched(pid: int) -> Iterator[list[float]]:
    """What a process and all below it have for themselves, in MB, again and again."""
    seen, done = [0.0], threading.Event()

    def look() -> None:
        while not done.wait(EVERY):
            seen.append(sum(own(p) for p in family(pid)))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def family(pid: int) -> Iterator[int]:
    """A process and those below it."""
    yield pid
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def own(pid: int) -> float:
    """MB that no other process has."""
    with suppress(OSError):
        rows = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]]
        return sum(int(row[1]) for row in rows if row[0] in ("Private_Clean:", "Private_Dirty:")) / 1024
    return 0.0


def peak(pid: int) -> float:
    """The largest resident size so far, in MB."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def processor(pid: int) -> float:
    """Seconds of processor so far, those of processes that have ended below it included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    raise SystemExit(main())
