"""The tool that breaks things: it sees what a break does, and says so where a break shows nothing."""

import subprocess
import sys
from pathlib import Path

import mutants
import pytest

NAMES = sorted(path.stem for path in mutants.BREAKS.glob("*.toml"))
NOTEBOOK = """
# %%
import torch
from gencourse import checks
from genlib.diffusion import Schedule

schedule, t = Schedule.cosine(T=9), torch.arange(1, 10)
x = torch.ones(9, 1, dtype=torch.float64)

# %%
x_t = schedule.q_sample(x, t, 0 * x)[:, 0]
checks.identity("signal", x_t**2, schedule.alpha_bar[1:], tol=1e-12)
checks.identity("both sides are one", x_t, x_t, tol=1e-12)
"""
SIGNAL = 'self._at("sqrt_alpha_bar", t, x_0) * x_0'


def found(tmp_path: Path, *entries: dict) -> list[str]:
    """What is found in the notebook above, in a process of its own: breaks are meant to last."""
    (tmp_path / "small.py").write_text(NOTEBOOK, encoding="utf-8")
    run = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(mutants.ROOT / "tools")!r})
import mutants
print(*mutants.run_notebook(Path("small.py").resolve(), {entries!r}), sep="\\n")
"""
    done = subprocess.run(
        [sys.executable, "-c", run], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    return [line.removeprefix("small: ") for line in done.stdout.splitlines()[1:]]


def test_what_is_found(tmp_path: Path) -> None:
    of_genlib = {"red": ["signal"], "file": "genlib/diffusion/schedule.py", "old": SIGNAL, "new": f"2 * {SIGNAL}"}
    of_the_cell = {"red": ["signal"], "old": "x_t**2", "new": "x_t"}
    idle = {"red": ["signal"], "old": "tol=1e-12)\nchecks", "new": "tol=1e-11)\nchecks"}
    crash = {"red": ["signal"], "old": "t, 0 * x)[:, 0]", "new": "t, 0 * x)[:, 1]"}
    gone = {"red": ["signal"], "old": "no such text", "new": "x"}
    said = found(tmp_path, of_genlib, of_the_cell, idle, crash, gone)
    assert "'no such text' stands in 0 cells" in said[0]
    assert "unseen by 'signal'" in said[1]
    assert "IndexError" in "".join(said[2:-1])
    assert said[-1] == "no break turns 'both sides are one' red"
    assert sum("unseen" in line for line in said) == 1


@pytest.mark.parametrize("name", NAMES)
def test_each_break_can_still_be_made(name: str) -> None:
    """The text that it replaces stands in its file; that somebody sees it, `make mutants` shows."""
    entries = mutants.breaks_of(name)
    source = "" if name == "genlib" else mutants.source_of(name).read_text(encoding="utf-8")
    for entry in entries:
        text = (mutants.ROOT / entry["file"]).read_text(encoding="utf-8") if "file" in entry else source
        assert entry["old"] in text, entry["old"]
        if name == "genlib":
            assert text.count(entry["old"]) == 1
            path, _, test = entry["test"].partition("::")
            assert f"def {test.rpartition('::')[2]}(" in (mutants.ROOT / path).read_text(encoding="utf-8"), entry[
                "test"
            ]
