"""Every lab's exercises against wrong answers and right ones, its own solution, and its blank stub."""

import ast
import functools
import importlib
import math
import os
import pkgutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import wrong_answers
from wrong_answers import GIVEN, Given

from gencourse import checks
from gencourse.checks import examine, limit
from gencourse.checks.panel import Result
from gencourse.checks.spec import Exercise

ROOT = Path(__file__).parent.parent
EXERCISES = {exercise.name: exercise for exercise in checks.exercises()}
LABS = sorted({exercise.lab for exercise in EXERCISES.values()})
SEEDS = range(int(os.environ.get("ANSWER_SEEDS", 1)))  # further ones before a release: the checks try many inputs each

for module in pkgutil.iter_modules(wrong_answers.__path__):
    importlib.import_module(f"wrong_answers.{module.name}")

ORDER = list(EXERCISES)
ANSWERS = sorted(GIVEN, key=lambda given: ORDER.index(given.exercise))  # the next one shares what is computed for one
WRONG = [given for given in ANSWERS if given.mistake]
RIGHT = [given for given in ANSWERS if not given.mistake]
GENERAL = {"complex", "count", "detached", "dtype", "endless", "error", "factor", "foreign", "in_place", "mixing"}
GENERAL |= {"negative", "none", "not_finite", "offset", "random", "rough", "shape", "signature", "slip", "type"}
GENERAL |= {"unforeseen"}
GENERAL |= {"frozen", "leaves_a_trace", "nan_gradient", "weights_changed"}
# of an exercise whose answer is a test
GENERAL |= {"crashes", "falls_over", "flaky", "misuse", "never_calls", "refuses_all", "refuses_right", "returns"}
GENERAL |= {"not_a_number_passes", "sometimes", "wrong_itself"}


def name_of(given: Given) -> str:
    return f"{given.exercise}-{given.mistake}" if given.mistake else given.exercise


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    """In this process, and by no clock: what a fork and a warning are good for has tests of its own."""
    monkeypatch.setattr(sys.modules["gencourse.checks.exercise"], "possible", lambda: False)
    monkeypatch.setattr(examine, "_pace", lambda *_: "")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@functools.cache
def answered(given: Given, seed: int) -> Result:
    """Only what never ends is stopped soon: how long an honest answer takes is the machine's affair."""
    with pytest.MonkeyPatch.context() as patch:
        if given.mistake == "endless":
            patch.setattr(limit, "SECONDS", 0.25)
        return checks.run(given.exercise, given.function, seed=seed)


class Answers:
    """The answers to one lab; a class for each, so that two workers share them."""

    lab = ""

    def test_a_wrong_answer_is_rejected_with_the_hint_for_its_mistake(self, wrong: Given):
        exercise = EXERCISES[wrong.exercise]
        known = exercise.mistakes.get(wrong.mistake)
        for seed in SEEDS[:1] if wrong.mistake == "endless" else SEEDS:
            result = answered(wrong, seed)
            assert result.state == "wrong"
            assert (result.mistake or "unforeseen") == wrong.mistake, f"seed {seed}: {result}"
            assert result.check, "which check failed"
            assert result.hint, "and where to look"
            if known is not None:
                assert result.hint == known.hint

    def test_a_right_answer_passes_however_it_is_written(self, right: Given):
        for seed in SEEDS:
            result = checks.run(right.exercise, right.function, seed=seed)
            assert result.state == "passed", f"seed {seed}: {result}"

    def test_each_mistake_has_a_hint_of_its_own(self, exercise: Exercise):
        hints: dict[str, str] = {}
        for given in WRONG:
            if given.exercise == exercise.name:
                hint = answered(given, 0).hint
                assert hints.setdefault(hint, given.mistake) == given.mistake


for lab in LABS:
    globals()[f"TestAnswersTo_{lab}"] = type(f"TestAnswersTo_{lab}", (Answers,), {"lab": lab})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    lab = getattr(metafunc.cls, "lab", "")
    for argument, all_of_them in {"wrong": WRONG, "right": RIGHT}.items():
        if argument in metafunc.fixturenames:
            mine = [given for given in all_of_them if EXERCISES[given.exercise].lab == lab]
            metafunc.parametrize(argument, mine, ids=name_of)
    if lab and "exercise" in metafunc.fixturenames:
        mine = [exercise for exercise in EXERCISES.values() if exercise.lab == lab]
        metafunc.parametrize("exercise", mine, ids=lambda e: e.name)


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=lambda e: e.name)
class TestEveryExercise:
    def test_genlibs_own_version_passes(self, exercise: Exercise):
        assert all(checks.run(exercise.name, exercise.own, seed=seed).state == "passed" for seed in SEEDS)

    def test_its_worked_answer_begins_as_in_the_lab(self, exercise: Exercise):
        first, *rest = exercise.solution().splitlines()
        assert first == f"def {exercise.name.rpartition('.')[2]}({', '.join(exercise.parameters)}):"
        assert rest[0].startswith("    ")

    def test_there_are_enough_answers(self, exercise: Exercise):
        mistakes = Counter(given.mistake for given in WRONG if given.exercise == exercise.name)
        assert len(mistakes) >= 8
        assert sum(given.exercise == exercise.name for given in RIGHT) >= 3

    def test_each_known_mistake_is_made_by_some_answer(self, exercise: Exercise):
        made = {given.mistake for given in WRONG if given.exercise == exercise.name}
        assert set(exercise.mistakes) <= made
        assert {m for m in made if not m.startswith("ignores_")} <= set(exercise.mistakes) | GENERAL

    def test_its_pace_is_taken_on_arguments_that_it_can_do(self, exercise: Exercise):
        if exercise.large is not None:
            exercise.results(exercise.own, exercise.large(torch.Generator().manual_seed(0)))

    def test_the_blank_stub_is_not_attempted_and_genlib_stands_in(self, exercise: Exercise, capsys):
        function = stub(exercise)
        decorated = checks.exercise(exercise.name)(function)
        assert decorated is exercise.own
        assert capsys.readouterr().out.startswith(f"not attempted: {exercise.name}\n")
        assert checks.run(exercise.name, decorated).state == "passed"


def stub(exercise: Exercise) -> Any:
    """The function as the blank lab has it."""
    scope: dict[str, Any] = {}
    exec(f"def f({', '.join(exercise.parameters)}):\n    raise NotImplementedError", scope)
    return scope["f"]


@pytest.mark.parametrize("lab", LABS)
class TestEverySolution:
    def test_its_answers_pass(self, lab: str):
        answers = solutions(lab)
        assert set(answers) == {name for name, exercise in EXERCISES.items() if exercise.lab == lab}
        for name, function in answers.items():
            assert all(checks.run(name, function, seed=seed).state == "passed" for seed in SEEDS)

    def test_its_answers_lie_between_marks(self, lab: str):
        text = source(lab)
        for function in exercise_functions(lab):
            body = ast.get_source_segment(text, function) or ""
            rest = text.splitlines()[function.lineno - 1 : (function.end_lineno or 0) + 1]
            assert "### BEGIN SOLUTION" in body
            assert any(line.strip() == "### END SOLUTION" for line in rest)

    def test_its_specifications_fit_the_cell(self, lab: str):
        """At 1280 pixels, with the file browser open, a cell of JupyterLab shows about 105 characters of a line."""
        lines = source(lab).splitlines()
        for function in exercise_functions(lab):
            specification = lines[function.lineno - 1 : function.body[0].end_lineno]
            assert max(map(len, specification)) <= 96, function.name


def source(lab: str) -> str:
    return (ROOT / "solutions" / f"{lab}.py").read_text(encoding="utf-8")


def exercise_functions(lab: str) -> list[ast.FunctionDef]:
    tree = ast.parse(source(lab))
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and exercise_name(node) is not None]


def exercise_name(node: ast.FunctionDef) -> str | None:
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "checks.exercise":
            return ast.literal_eval(decorator.args[0])
    return None


def solutions(lab: str) -> dict[str, Any]:
    """The solution's functions by their exercises, without running the rest of the notebook."""
    answers: dict[str, Any] = {}
    scope: dict[str, Any] = {"math": math, "torch": torch}
    for node in exercise_functions(lab):
        name = exercise_name(node)
        node.decorator_list = []
        exec(compile(ast.Module([node], []), f"{lab}.py", "exec"), scope)
        answers[str(name)] = scope[node.name]
    return answers
