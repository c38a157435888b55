"""Every recipe from the command line: killed after its first minute, gone on with, sampled from, measured.

    recipes.py                 all of them; the laptop's to their end, whose cards go into benchmarks/cards
    recipes.py NAME ...        some of them

The papers' recipes are tried at their full width, on files of the true formats in the place of downloads, with batches
of two, and stopped by Ctrl-C a minute after they have gone on.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CARDS = ROOT / "benchmarks" / "cards"
MINUTE = 60.0
AS_PAPERS = ["batch_size=2", "log_every=1", "checkpoint_every=2", "sample_every=1000000"]


def begin(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """`python -m genlib ...`, without downloads, in a process group of its own."""
    command = [sys.executable, __file__, "--child", str(folder), *arguments]
    return subprocess.Popen(command, env={**os.environ, "TQDM_DISABLE": "1"}, start_new_session=True)


def stopped(process: subprocess.Popen[bytes], seconds: float, by: signal.Signals) -> int:
    """How it ended: of itself within these seconds, or by the signal."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(by)
        return process.wait()


def last_step(out: Path) -> int:
    lines = (out / "log.jsonl").read_text(encoding="utf-8").splitlines() if (out / "log.jsonl").exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


def one(name: str, folder: Path) -> str:
    """A row of the table."""
    from genlib.recipes.laptop import LAPTOP

    small, out = name in [recipe.name for recipe in LAPTOP], folder / name
    settings = [] if small else ["--set", *AS_PAPERS]
    train = ["train", name, "--out", str(out), "--device", "cpu"]
    stopped(begin(folder, *train, *settings), MINUTE, signal.SIGKILL)
    at = last_step(out)
    begun, process = time.monotonic(), begin(folder, *train, "--resume")
    status = process.wait() if small else stopped(process, MINUTE, signal.SIGINT)
    seconds, end = time.monotonic() - begun, last_step(out)
    for arguments in (["sample", name, "-n", "4"], ["evaluate", name]) if small else ():
        status |= begin(folder, *arguments, "--out", str(out), "--device", "cpu").wait()
    if small and not status:
        CARDS.mkdir(exist_ok=True)
        shutil.copy(out / "card.json", CARDS / f"{name}.json")
    return f"| {name} | {at} | {end} | {seconds:.0f} | {status} |"


def child(folder: Path, arguments: list[str]) -> None:
    """The command line, for which downloads lie ready: emoji in CIFAR-10's and the facades' formats."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has it ignored
    sys.path.insert(0, str(ROOT / "tests"))
    import test_recipes

    from genlib import __main__ as command_line

    class Here:  # what a test's monkeypatch does, for as long as this process lives
        setattr = staticmethod(setattr)

    test_recipes.embedded(Here(), folder)  # type: ignore[arg-type]
    sys.argv = ["genlib", *arguments]
    sys.exit(command_line.main())


def main(names: list[str]) -> None:
    from genlib.recipes import RECIPES

    rows = ["| recipe | step when killed | step at the end | seconds gone on | status |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        for name in names or RECIPES:
            rows.append(one(name, Path(folder)))
            print(rows[-1], flush=True)
    print("\n".join(rows))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), sys.argv[3:])
    main(sys.argv[1:])
