"""Lab 5: the notebook shows the faults that the tests are tried on, and verdicts do not hang on luck or on order."""

import ast
import inspect
import itertools
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from gencourse import checks
from gencourse.checks.lab_5_faults import HUNTS

SOURCE = Path(__file__).parent.parent / "solutions" / "lab_5_faults.py"


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    monkeypatch.setattr(sys.modules["gencourse.checks.exercise"], "possible", lambda: False)


def body(function: ast.FunctionDef) -> str:
    return "\n".join(map(ast.unparse, function.body))


@pytest.mark.parametrize("hunt", HUNTS, ids=lambda hunt: hunt.name)
def test_the_notebook_shows_the_fault_that_is_hunted(hunt):
    functions = {f.name: f for f in ast.parse(SOURCE.read_text("utf-8")).body if isinstance(f, ast.FunctionDef)}
    source = ast.parse(textwrap.dedent(inspect.getsource(hunt.faults[0].function))).body[0]
    assert isinstance(source, ast.FunctionDef)
    assert body(functions[f"faulty_{hunt.called}"]) == body(source)


def mse_is_right(candidate):
    p, y = torch.tensor([[1.0], [2.0], [-4.0]], requires_grad=True), torch.tensor([3.0, -1.0, 0.5])
    loss = candidate(p, y)
    assert loss.requires_grad
    assert loss.shape == ()
    (slope,) = torch.autograd.grad(loss, p)
    assert (loss - 33.25 / 3).abs() < 1e-4
    assert ((slope - 2 / 3 * (p - y[:, None])).abs() < 1e-4).all()


def test_a_test_that_lets_faults_pass_now_and_then_is_found_out():
    turn = itertools.count()

    def test_mse(candidate):
        candidate(torch.zeros(1, 1, requires_grad=True), torch.zeros(1))
        if next(turn) < 20 or next(turn) % 3:
            mse_is_right(candidate)

    result = checks.run("faults.test_mse", test_mse, seed=0)
    assert result.mistake == "sometimes"
    assert "accepted in" in result.got


def test_a_test_that_counts_its_calls_is_found_out():
    turn = itertools.count()

    def test_mse(candidate):
        candidate(torch.zeros(1, 1), torch.zeros(1))
        assert next(turn) < 4  # the right ones come first

    assert checks.run("faults.test_mse", test_mse, seed=0).state == "wrong"


def test_what_a_test_sets_is_put_back():
    def test_mse(candidate):
        torch.set_default_dtype(torch.float64)
        mse_is_right(candidate)

    before = torch.get_rng_state()
    checks.run("faults.test_mse", test_mse, seed=0)
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(torch.get_rng_state(), before)
