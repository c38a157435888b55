"""`make bench`: how races are run and read; and that its page is made of its numbers. None of it looks at a clock."""

import importlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[1]
RACE = """
class Side:
    def __init__(self, setting, seed):
        self.setting, self.seed, self.steps = setting, seed, 0

    def train(self, steps):
        if self.setting["lr"] > 1:
            raise FloatingPointError("it diverges")
        self.steps += sum(i * i for i in range(2000 * steps)) > 0 and steps

    def quality(self):
        print("a library talks")
        return {"loss": self.setting["lr"] * self.setting["factor"]}


SIDES = {"one": Side, "two": Side}
"""


@pytest.fixture
def racing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    racing = importlib.import_module("racing")
    monkeypatch.setattr(racing, "RUNS", tmp_path)
    return racing


def job(side: str, lr: float, seed: int = 0) -> dict[str, Any]:
    return {"side": side, "setting": {"lr": lr, "factor": {"one": 1, "two": 2}[side]}, "seed": seed, "budget": 0.02}


def test_sides_take_turns_and_what_is_found_is_not_found_again(
    racing: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "race_fake.py").write_text(RACE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    jobs = [job(side, lr, seed) for lr in (0.5, 0.25, 2.0) for seed in (0, 1) for side in ("one", "two")]
    found = racing.run("race_fake", jobs)
    assert [(entry["side"], entry["setting"], entry["seed"]) for entry in found] == [
        (one["side"], one["setting"], one["seed"]) for one in jobs
    ]
    for entry in found:
        if entry["setting"]["lr"] > 1:
            assert entry["error"] == "FloatingPointError: it diverges"
        else:
            assert entry["steps"] >= 1
            assert entry["loss"] == entry["setting"]["lr"] * entry["setting"]["factor"]
    assert {one["side"]: one["setting"]["lr"] for one in racing.best(found, "loss")} == {"one": 0.25, "two": 0.25}
    assert racing.curves(found, "loss")["two"][0][1][:2] == [1.0, 1.0]
    assert racing.curves(found, "loss")["two"][0][1][-2:] == [math.inf, math.inf]  # what diverges has lost
    monkeypatch.setattr(racing.subprocess, "Popen", None)  # nobody is started
    assert racing.run("race_fake", jobs) == found


def test_a_training_that_misses_its_budget_is_repeated(racing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, trained = [0.0], []

    class Side:
        def __init__(self, setting: dict[str, Any], seed: int) -> None:
            pass

        def train(self, steps: int) -> None:
            clock[0] += steps * (0.1 if len(trained) < 2 else 0.05)  # the trial was slower than what follows
            trained.append(steps)

        def quality(self) -> dict[str, float]:
            return {"loss": 1.0}

    monkeypatch.setattr(racing.time, "process_time", lambda: clock[0])
    assert racing.within(Side, {}, 0, 4.0) == {"seconds": 4.0, "steps": 80, "loss": 1.0}
    assert trained == [2, 8, 40, 80]


def test_the_profiler_finds_the_arithmetic_of_each_work(racing: Any) -> None:
    limits, page = map(importlib.import_module, ("limits", "page"))
    assert set(page.STEP_LIMITS) <= {*limits.WORKS, limits.DDIM}
    for name, (make, _) in limits.WORKS.items():
        if "×" not in name and "²" not in name:  # the others are large
            assert limits.measured(make, 1, rounds=1)["arithmetic"] > 0, name


def test_the_time_to_a_quality_is_exact_on_a_power_law(racing: Any) -> None:
    curve = [(t, [3 / t, 5 / t, 9 / t]) for t in (1.0, 2.0, 8.0)]  # the median is 5/t
    assert racing.time_to(curve, 5 / 3) == pytest.approx(3)
    assert racing.time_to(curve, 5 / 7) == pytest.approx(7)
    assert racing.time_to(curve, 6.0) == 1.0  # at the first budget already
    assert racing.time_to(curve, 0.5) is None
    assert racing.time_to([(1.0, [math.nan] * 3), (2.0, [1.0] * 3)], 2.0) == 2.0


def test_a_budget_gets_what_was_chosen_at_the_nearest(racing: Any) -> None:
    losses = {(1.0, "a"): 1.0, (1.0, "b"): 2.0, (8.0, "a"): 0.5, (8.0, "b"): 0.1}
    tried = [
        {"side": "one", "setting": name, "seed": seed, "budget": budget, "loss": loss + seed}
        for (budget, name), loss in losses.items()
        for seed in (0, 1)
    ]
    best = racing.best(tried, "loss")
    assert [racing.chosen(best, "one", budget) for budget in (0.5, 1.0, 2.0, 4.0, 8.0, 20.0)] == [*"aaabbb"]


def test_a_grid_has_every_combination_once(racing: Any) -> None:
    settings = racing.grid(lr=[1, 2, 3], batch_size=[32, 64])
    assert len({json.dumps(setting) for setting in settings}) == 6


@pytest.mark.parametrize("name", ["digits", "moons", "bits", "emoji"])
def test_our_side_of_each_race_trains_and_is_judged(racing: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(f"race_{name}")
    for fewer, of in (("SEEN", 1), ("NEW", 1000)):  # samples that the judge looks at
        monkeypatch.setattr(module, fewer, of, raising=False)
    trained = module.SIDES["genlib"]({**module.DEFAULTS["genlib"], "steps": 2}, 0)
    trained.train(2)
    assert math.isfinite(trained.quality()[module.BY])
    assert set(module.DEFAULTS) == set(module.SIDES)
    assert "genlib" in module.SIDES


def test_a_verdict_says_no_more_than_the_budgets_tell(racing: Any) -> None:
    def entries(side: str, *values: float) -> list[dict[str, Any]]:
        return [{"side": side, "budget": 2.0**i, "loss": v} for i, v in enumerate(values)]

    page = importlib.import_module("page_races")
    tuned = entries("genlib", 8.0, 4.0, 2.0) + entries("peer", 8.0, 6.0, 4.0)
    last = page.sooner({"by": "loss", "goals": (9.0, 4.0, 2.0, 1.0), "tuned": tuned}).splitlines()[-1]
    assert [cell.strip() for cell in last.split("|")[2:-1]] == [
        "not known: at least 1.00 times sooner",
        "met: 2.00 times sooner",
        "met: no peer reaches it",
        "missed: not reached",
    ]
    own = page.sooner({"by": "loss", "goals": (4.0, 1.0), "own": tuned}, "own").splitlines()[-1]
    assert [cell.strip() for cell in own.split("|")[2:-1]] == ["2.00 times sooner", "not reached"]


def test_every_candidate_trains_otherwise_than_the_recipe(racing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the same start, on the same batches, each leaves other weights; and what it patched is as before."""
    candidates = importlib.import_module("candidates")
    monkeypatch.setattr(importlib.import_module("race_digits"), "SEEN", 1)
    ends = {}
    for name, side in candidates.SIDES.items():
        trained = side({**candidates.SETTING, "batch_size": 8}, 0)
        trained.train(40)
        ends[name] = torch.cat([p.detach().flatten() for p in trained.ddpm.parameters()])
        assert ends[name].isfinite().all()
    same = candidates.SIDES["as it is"]({**candidates.SETTING, "batch_size": 8}, 0)
    same.train(40)
    assert torch.equal(torch.cat([p.detach().flatten() for p in same.ddpm.parameters()]), ends["as it is"])
    base = ends.pop("as it is")
    for name, end in ends.items():
        assert end.shape != base.shape or (end - base).norm() > 1e-3 * base.norm(), name


def test_a_number_beside_its_goal_says_on_which_side_it_is(racing: Any) -> None:
    page = importlib.import_module("page")
    assert [page.beside(reached, 1.25) for reached in (1.249, 1.2501, 1.244, 1.3)] == ["1.249", "1.250", "1.24", "1.30"]


def test_a_goal_of_steps_is_held_against_fit_and_not_the_bare_loop(racing: Any) -> None:
    page, column = importlib.import_module("page"), "as used, 1 thread: ratio"
    ratios = {"genlib": 0.5, "genlib in fit": 1.0, "normflows": 1.5}
    found = [{"table": "2-D flow step", "side": s, "column": column, "median": r} for s, r in ratios.items()]
    machine = dict.fromkeys(("date", "cores", "processor", "system", "python", "torch", "load before"), 1)
    part = {"found": found, "machine": machine}
    assert "normflows 1 thread 1.50 of 2, missed." in page.steps(part)
    half = [{"work": "moons, batch 512", "arithmetic": 0.5}]
    assert "1.50 of 2, missed (were all but arithmetic free, 3.00)" in page.steps(part, half)


def test_the_page_is_made_of_the_numbers(racing: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = importlib.import_module("page")
    monkeypatch.setattr(page, "PAGE", tmp_path / "RESULTS.md")
    monkeypatch.setattr(importlib.import_module("page_races"), "PLOT", tmp_path / "results.png")
    page.write(json.loads((ROOT / "benchmarks" / "results.json").read_text("utf-8")))
    written = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
    assert (tmp_path / "RESULTS.md").read_text("utf-8") == written
    assert sys.prefix not in written
