"""The machinery of exercises, and identities."""

import contextlib
import itertools
import math
import signal
import subprocess
import sys
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient

from gencourse import checks
from gencourse.checks import limit
from gencourse.checks.compare import copies, difference, in_short, two_numbers
from gencourse.checks.panel import Result, Summary
from gencourse.checks.spec import Exercise
from genlib.diffusion import Schedule

machinery = sys.modules["gencourse.checks.exercise"]  # gencourse.checks.exercise is the function


@pytest.fixture
def toy(monkeypatch):
    """Makes an exercise that is known while the test runs."""
    monkeypatch.setattr(machinery, "_results", {})

    def make(name, own, kind=Exercise, **settings):
        exercise = kind(name, own, **settings)
        monkeypatch.setitem(machinery._known(), name, exercise)
        return exercise

    return make


@pytest.fixture
def double(toy):
    """A small exercise: twice x, for each example."""

    def own(x):
        return 2 * x

    exercise = toy("toy.double", own, returns=["y"], batched=["x"])

    @exercise.check("y is x + x", "Count again.")
    def _(answer, g):
        x = torch.randn(3, 2, generator=g, dtype=torch.float64)
        answer.gives([x], x + x)

    @exercise.mistake("That is the square.")
    def squared(x):
        return x * x

    return exercise


@pytest.fixture
def here(monkeypatch):
    """The answer runs in this process, as on systems that cannot fork."""
    monkeypatch.setattr(machinery, "possible", lambda: False)


DATA = torch.arange(14.0, dtype=torch.float64).reshape(7, 2)  # what another cell of the notebook holds
ROWS = 7
TWO = 2.0
DTYPE = torch.float64


def changed_in_place(x):
    y = (2 * x.requires_grad_()).exp()
    total = y.sum()
    y += 1
    return torch.autograd.grad(total, x)[0]


def found(function, seed: int | None = 0) -> Result:
    return checks.run("toy.double", function, seed=seed)


class TestStates:
    def test_passed_prints_one_line_and_leaves_the_function_alone(self, double, capsys):
        def y(x):
            return x + x

        assert checks.exercise("toy.double")(y) is y
        assert capsys.readouterr().out == "passed: toy.double\n"

    def test_a_wrong_answer_stays_bound(self, double, capsys):
        def y(x):
            return x * x

        assert checks.exercise("toy.double")(y) is y
        out = capsys.readouterr().out
        assert out.startswith("wrong: toy.double\n")
        assert "y is x + x" in out
        assert "That is the square." in out

    def test_a_blank_one_is_replaced_by_genlibs_own(self, double, capsys):
        def y(x):
            raise NotImplementedError

        assert checks.exercise("toy.double")(y) is double.own
        assert capsys.readouterr().out == f"{Result('toy.double', 'not attempted')}\n"

    def test_half_written_is_not_attempted(self, double):
        def y(x):
            z = x + 1
            raise NotImplementedError("later: " + str(z.shape))

        assert found(y).state == "not attempted"

    def test_what_has_returned_once_is_an_answer(self, double):
        calls = []

        def y(x):
            calls.append(x)
            if len(calls) > 1:
                raise NotImplementedError
            return 2 * x

        @double.check("twice", "Both times.")
        def _(answer, g):
            answer.gives([torch.ones(2)], torch.full((2,), 2.0))

        result = found(y)
        assert (result.state, result.mistake, result.check) == ("wrong", "error", "twice")

    @pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system cannot interrupt a function")
    def test_a_loop_that_never_ends_is_stopped(self, double, monkeypatch):
        monkeypatch.setattr(limit, "SECONDS", 0.2)

        def y(x):
            n = 0
            while n < len(x):
                with contextlib.suppress(Exception):
                    n *= 2
            return 2 * x

        before = signal.getsignal(signal.SIGALRM)
        result = found(y)
        assert (result.state, result.mistake) == ("wrong", "endless")
        assert "after 0.2 s" in result.got
        assert "in y: " in result.got
        assert signal.getsignal(signal.SIGALRM) is before
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)

    def test_a_slow_import_is_not_cut_off(self, double, monkeypatch, tmp_path):
        # the alarm rings while the module is being imported, whatever the clock says
        source = "import signal\nif hasattr(signal, 'SIGALRM'):\n    signal.raise_signal(signal.SIGALRM)\nTWO = 2\n"
        (tmp_path / "slow_to_load.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)

        def y(x):
            import slow_to_load  # type: ignore[import-not-found]

            return slow_to_load.TWO * x

        assert found(y).state == "passed"

    @pytest.mark.parametrize(
        "y", [lambda x: torch.nn.Module()(x), lambda x: x.to("meta").cpu()], ids=["in Python", "in C++"]
    )
    def test_torchs_own_not_implemented_is_an_error(self, double, y):
        result = found(y)
        assert (result.state, result.mistake) == ("wrong", "error")
        assert result.error.startswith("NotImplementedError")

    def test_an_exception_names_the_students_line_and_no_other(self, double):
        def y(x):
            z = 2 * x
            return torch.cat([z, "two"])  # type: ignore[list-item]

        error = found(y).error
        assert error.startswith("TypeError: ")
        assert "in y: return torch.cat([z, " in error
        assert f"line {y.__code__.co_firstlineno + 2} " in error
        assert "site-packages" not in str(found(y))

    def test_an_exception_of_genlibs_names_the_students_line_too(self, double):
        def y(x):
            return Schedule.linear(T=2 + x.sum())  # type: ignore[operator]

        assert "in y: return Schedule.linear(T=2 + x.sum())" in found(y).error

    def test_an_interrupt_is_not_swallowed(self, double, here):
        def y(x):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            found(y)


class TestDiagnosis:
    def test_an_unforeseen_mistake_gets_the_checks_hint(self, double):
        result = found(lambda x: 2 * x + x**3)
        assert (result.mistake, result.hint) == ("", "Count again.")

    @pytest.mark.parametrize(
        ("mistake", "y"),
        [
            ("squared", lambda x: x**2),
            ("none", lambda x: None),
            ("type", lambda x: (2 * x).numpy()),
            ("type", lambda x: (2 * x, x)),
            ("type", lambda x: (2 * x,)),
            ("type", lambda x: (2 * x).to_sparse()),
            ("type", lambda x: (2 * x).to("meta")),
            ("dtype", lambda x: 2 * x.float()),
            ("dtype", lambda x: (2 * x).long()),
            ("shape", lambda x: 2 * x[:, None] + x),
            ("shape", lambda x: 2 * x.sum(0)),
            ("shape", lambda x: 2 * x[:2]),
            ("shape", lambda x: (2 * x)[..., None]),
            ("shape", lambda x: torch.stack([2 * x, x], dim=2)),
            ("offset", lambda x: 2 * x + 1),
            ("factor", lambda x: x / 3),
            ("foreign", lambda x: 2 * DATA),
            ("foreign", lambda x: x + DATA[: len(x)]),
            ("foreign", lambda x: torch.stack([x[i] + x[i] for i in range(ROWS)])),
            ("not_finite", lambda x: 2 * x + (x - x) / 0),
            ("in_place", lambda x: x.mul_(2)),
            ("rough", lambda x: (2 * x.float()).double()),
            ("negative", lambda x: -2 * x),
            ("mixing", lambda x: x + x.mean(0)),
            ("random", lambda x: 2 * x + torch.randn_like(x)),
            ("ignores_x", lambda x: torch.ones_like(x)),
            ("signature", lambda data: 2 * data),
            ("signature", lambda x, y: 2 * x),
            ("signature", lambda *args: 2 * args[0]),
            ("error", lambda x: 2 * y),  # type: ignore[name-defined]
        ],
    )
    def test_general_mistakes_are_recognised(self, double, mistake, y):
        for seed in range(5):
            result = found(y, seed)
            assert (result.state, result.mistake) == ("wrong", mistake), result
            assert result.hint

    def test_hints_for_one_failure_differ_with_its_cause(self, double):
        answers = [
            lambda x: 2 * x[:, None] + x,
            lambda x: 2 * x.sum(0),
            lambda x: 2 * x[:2],
            lambda x: (2 * x)[..., None],
            lambda x: torch.stack([2 * x, x], dim=2),
        ]
        assert len({found(y).hint for y in answers}) == 5

    def test_numbers_of_another_cell_are_named(self, double):
        assert found(lambda x: 2 * DATA).hint.startswith("DATA is no argument")
        assert found(lambda x: 3 * TWO * x).mistake == "factor"  # a number that helps is nobody's mistake
        assert found(lambda x: 2 * x + DATA.mean() - DATA.mean()).state == "passed"
        assert found(lambda x: 3 * x.to(DTYPE)).mistake == "slip"

    def test_outputs_in_another_order(self, toy):
        exercise = toy("toy.two", lambda x: (2 * x, x.sum(1)), returns=["y", "total"], batched=["x"])

        @exercise.check("both", "Both.")
        def _(answer, g):
            answer(torch.randn(3, 2, generator=g, dtype=torch.float64))

        assert "another order" in checks.run("toy.two", lambda x: (x.sum(1), 2 * x)).hint
        assert "another order" not in checks.run("toy.two", lambda x: (2 * x, x)).hint

    @pytest.mark.parametrize(
        ("y", "words"),
        [
            (lambda x: torch.exp(x.split(1)), "tuple"),
            (lambda x: x(2), "as if it were a function"),
            (lambda x: x.sum(2), "fewer axes"),
            (lambda x: torch.ones(2, dtype=x.dtype).add_(x), "in place"),
            (lambda x: x[: torch.arange(3)], "one whole number"),
            (lambda x: x @ torch.eye(2), "Two dtypes met"),
            (lambda x: npp.abs(x), "imported"),  # type: ignore[name-defined]
            (changed_in_place, "Changed in place"),
            (lambda x: x if x > 0 else 2 * x, "joined"),
            (lambda x: torch.cat(x, x, dim=1), "one list of tensors"),  # pyright: ignore[reportCallIssue]
            (lambda x: torch.nn.Linear(2, 2).grad, "parameters()"),
            (lambda x: x[:, torch.ones(5, dtype=torch.bool)], "a size fixed"),
            (lambda x: (2 * x,), "tuple of one"),
            (lambda x: (2 * x, x), "a tuple came"),
            (lambda x: torch.stack([2 * row for row in x[:1]]), "inside a loop"),
            (lambda x: 2 * x[0, :1], "fewer axes"),
        ],
    )
    def test_an_errors_hint_says_what_usually_causes_it(self, double, y, words):
        assert words in found(y).hint

    def test_a_hint_may_come_with_the_exception(self, double):
        def y(x):
            error = ValueError("the net was called with x, expected t")
            error.add_note("Which of the two comes first?")
            raise error

        assert found(y).hint == "Which of the two comes first?"

    def test_no_hint_is_read_out_of_a_message_that_anybody_may_write(self, double):
        def y(x):
            raise ValueError("the net was called with x, expected t")

        assert found(y).hint == "Count again."

    def test_of_shapes_the_checks_hint_says_more(self, double):
        assert found(lambda x: x + torch.ones(5)).hint.endswith("as many axes as the data. Count again.")

    def test_whole_numbers_in_a_tuple(self, toy):
        exercise = toy("toy.whole", lambda kernels: torch.tensor(kernels) - 1.0, returns=["less"])

        @exercise.check("one less", "Count.")
        def _(answer, g):
            answer.gives([(3, 2)], torch.tensor([2.0, 1.0]))

        assert "kernels" in checks.run("toy.whole", lambda kernels: kernels - 1).hint

    def test_all_outputs_that_are_wrong_belong_to_the_mistake(self, toy):
        exercise = toy("toy.pair", lambda x: (2 * x, 3 * x), returns=["y", "z"])

        @exercise.check("both", "Both.")
        def _(answer, g):
            x = torch.randn(3, 2, generator=g, dtype=torch.float64)
            answer.gives([x], 2 * x, 3 * x)

        @exercise.mistake("z is a square.")
        def squared_z(x):
            return 2 * x, x * x

        @exercise.mistake("y is a square, whatever z is.")
        def squared_y(x):
            return x * x, torch.full_like(x, torch.nan)

        assert checks.run("toy.pair", lambda x: (2 * x, x**2)).mistake == "squared_z"
        assert checks.run("toy.pair", lambda x: (x.exp(), x**2)).mistake == ""
        assert checks.run("toy.pair", lambda x: (x**2, x.exp())).mistake == "squared_y"
        assert checks.run("toy.pair", lambda x: (x**2, 3 * x)).mistake == "squared_y"
        assert checks.run("toy.pair", lambda x: (2 * x, x.exp())).mistake == ""

    def test_a_network_that_stays_frozen(self, toy):
        exercise = toy("toy.net", lambda x, net: net(x).sum(1), returns=["y"])
        net = torch.nn.Linear(2, 1).double()

        @exercise.check("it is the net's", "Ask it.")
        def _(answer, g):
            x = torch.randn(3, 2, generator=g, dtype=torch.float64)
            answer.gives([x, net], net(x).sum(1))

        def frozen(x, net):
            net.requires_grad_(False)
            return net(x).sum(1)

        def thawed(x, net):
            y = frozen(x, net)
            net.requires_grad_(True)
            return y

        assert checks.run("toy.net", frozen).mistake == "frozen"
        assert all(weight.requires_grad for weight in net.parameters())
        assert checks.run("toy.net", thawed).state == "passed"

    def test_an_ignored_argument_explains_only_what_it_would_change(self, toy):
        def own(x, least):
            return x.mean(0), (x.mean(0) >= least).double()

        exercise = toy("toy.two", own, returns=["mean", "enough"])

        @exercise.check("both are right", "Count again.")
        def _(answer, g):
            x = torch.rand(5, 3, generator=g, dtype=torch.float64)
            answer.gives([x, 0.4], *own(x, 0.4))

        result = checks.run("toy.two", lambda x, least: (x.round().mean(0), torch.zeros(3, dtype=x.dtype)))
        assert "least" not in result.mistake

    def test_every_call_trains_a_copy_of_the_network_and_its_optimizer(self, toy):
        class Step(Exercise):
            def seen(self, raw, given):
                return raw, given[0].weight.detach().clone()

        def step(net, optimizer, x):
            optimizer.zero_grad()
            loss = net(x).sum()
            loss.backward()
            optimizer.step()
            return loss.detach()

        exercise = toy("toy.step", step, kind=Step, returns=["loss", "weight"])
        net = torch.nn.Linear(2, 1).double()
        net.weight.grad = torch.ones_like(net.weight)
        optimizer, before = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.5), net.weight.detach().clone()
        x = torch.ones(1, 2, dtype=torch.float64)

        @exercise.check("the weights move once", "They do not.")
        def _(answer, g):
            answer.gives([net, optimizer, x], net(x).sum(), before - 0.1)

        @exercise.mistake("The gradients pile up.")
        def piled_up(net, optimizer, x):
            net(x).sum().backward()
            optimizer.step()
            return net(x).sum().detach()

        assert checks.run("toy.step", step).state == "passed"
        assert checks.run("toy.step", step).state == "passed"
        result = checks.run("toy.step", lambda net, optimizer, x: piled_up(net, optimizer, x))
        assert result.mistake == "piled_up"
        assert torch.equal(net.weight, before)

    def test_what_lies_in_grad_is_copied_with_the_network(self):
        net = torch.nn.Linear(2, 1)
        net.weight.grad = torch.ones_like(net.weight)
        optimizer = torch.optim.Adam(net.parameters())
        new, its = copies((net, optimizer))
        assert torch.equal(new.weight.grad, net.weight.grad)
        assert new.weight.grad is not net.weight.grad
        assert new.bias.grad is None
        assert its.param_groups[0]["params"][0] is new.weight

    def test_a_function_that_is_not_called(self, toy):
        exercise = toy("toy.call", lambda x, f, g: f(g(x)), returns=["y"])

        @exercise.check("f after g", "Which comes first?")
        def _(answer, g):
            answer.gives([torch.ones(3), abs, torch.neg], torch.ones(3))

        assert checks.run("toy.call", lambda x, f, g: 2 * f).hint.startswith("A function has to be called")

    def test_a_further_parameter_with_a_default_is_fine(self, double):
        assert found(lambda x, factor=2: factor * x).state == "passed"

    def test_a_result_says_which_numbers(self, double):
        result = found(lambda x: x * x)
        assert result.inputs[0][0] == "x"
        assert result.inputs[0][1].startswith("tensor (3, 2) float64: ")
        assert result.expected.startswith("y[0, 0] = ")
        assert result.got.endswith("(differs at 6 of 6 places)")

    def test_one_wrong_entry_is_found(self, double):
        def y(x):
            out = 2 * x
            out[2, 1] += 1e-6
            return out

        result = found(y)
        assert result.expected.startswith("y[2, 1] = ")
        assert result.expected != result.got.split("   ")[0]
        assert "1 of 6 places" in result.got

    def test_what_the_function_prints_is_shown_with_its_failure_alone(self, double, capsys):
        def y(x):
            print("shape", tuple(x.shape))
            return x * x

        assert found(y).printed == "shape (3, 2)"
        assert capsys.readouterr().out == ""


CELLS = """
def double(x):
    {body}
"""


def cell(names, body):
    """A function as a notebook's cell defines it: in a namespace that other cells share."""
    exec(CELLS.format(body=body), names)
    return names["double"]


GAPS = """
import math

def right(log_p, log_p_theta):
    return (log_p - log_p_theta).mean(), (log_p - log_p_theta).std() / len(log_p) ** 0.5

def no_root(log_p, log_p_theta):
    return (log_p - log_p_theta).mean(), (log_p - log_p_theta).std() / len(log_p)

def no_error(log_p, log_p_theta):
    return (log_p - log_p_theta).mean()

def honest(log_p, L_T, L_t, L_0, dims):
    return gap(log_p, -math.log(2) * dims * (L_T + L_t.sum(1) + L_0))

def by_a_helper(log_p, L_T, L_t, L_0, dims):
    return averaged(log_p, L_T + L_t.sum(1) + L_0, dims)

def averaged(log_p, bits, dims):
    return gap(log_p, -bits * dims * math.log(2))

def in_bits(log_p, L_T, L_t, L_0, dims):
    return gap(log_p, -dims * (L_T + L_t.sum(1) + L_0))

def alone(log_p, L_T, L_t, L_0, dims):
    surplus = math.log(2) * dims * (L_T + L_t.sum(1) + L_0) + log_p
    return surplus.mean(), surplus.std() / len(surplus) ** 0.5
"""


class TestTutor:
    """Whose fault it is, hints in steps, and what comes with a pass."""

    def test_while_it_is_checked_its_own_name_means_the_answer(self, double):
        names = {"double": lambda x: 2 * x}  # what the cell above it left
        calls_itself = cell(names, "return double(x)")
        names["double"] = right = lambda x: 2 * x
        assert checks.run("toy.double", calls_itself, seed=0).state == "wrong"
        assert names["double"] is right, "and the name is given back"
        recursive = cell(
            names, "return 2 * x if len(x) == 1 else __import__('torch').cat([double(v) for v in x.split(1)])"
        )
        names["double"] = lambda x: 3 * x
        assert checks.run("toy.double", recursive, seed=0).state == "passed"

    def test_a_wrong_function_that_it_calls_is_blamed_first(self, double, toy, capsys):
        toy("toy.six", lambda x: 6 * x, returns=["y"]).check("six times", "Count.")(
            lambda answer, g: answer.gives([torch.ones(3)], torch.full((3,), 6.0))
        )
        names = {}
        checks.exercise("toy.double")(cell(names, "return x * x"))
        exec("def helper(x): return double(x)\ndef six(x): return 3 * helper(x)", names)
        six = names["six"]
        result = checks.run("toy.six", six)
        assert result.check == "toy.double, which this calls, is still wrong: mend it first"
        assert result.mistake == "calls_a_wrong_one"
        checks.exercise("toy.double")(cell(names, "return 2 * x"))
        assert checks.run("toy.six", six).state == "passed"
        checks.exercise("toy.double")(cell(names, "return x * x"))
        exec("def six(x): return 5 * x", names)
        assert checks.run("toy.six", names["six"]).check == "six times", "which does not call it"

    def test_who_only_calls_a_wrong_function_is_not_offered_the_answer(self, double, toy, capsys):
        toy("toy.four", lambda x: 4 * x, returns=["y"]).check("four times", "Count.")(
            lambda answer, g: answer.gives([torch.ones(3)], torch.full((3,), 4.0))
        )
        names = {}
        checks.exercise("toy.double")(cell(names, "return x * x"))
        exec("def four(x): return double(double(x)) + x - x", names)
        for _ in range(4):
            capsys.readouterr()
            checks.exercise("toy.four")(names["four"])
            assert "stuck?" not in capsys.readouterr().out
        exec("def four(x): return 5 * x", names)
        checks.exercise("toy.four")(names["four"])
        assert machinery._results["toy.four"].step == 1, "the first failure of its own"

    def test_the_gap_of_a_bound_that_calls_a_wrong_gap_is_not_blamed_for_it(self, monkeypatch, capsys):
        """Lab 4: exercise 5 may be written with exercise 4, and at once is as wrong as that."""
        monkeypatch.setattr(machinery, "_results", {})
        names = {}
        exec(GAPS, names)

        def asked(gap, of_the_bound):
            names["gap"] = checks.exercise("one_truth.gap")(names[gap])
            return [checks.run("one_truth.bound_gap", names[of_the_bound], seed) for seed in range(3)]

        for wrong in ("no_root", "no_error"):
            for calls_it in ("honest", "by_a_helper", "in_bits"):
                for result in asked(wrong, calls_it):
                    assert result.mistake == "calls_a_wrong_one"
                    assert result.check == "one_truth.gap, which this calls, is still wrong: mend it first"
        assert {result.state for result in asked("no_root", "alone")} == {"passed"}, "which does not call it"
        for honest in ("honest", "by_a_helper"):
            assert {result.state for result in asked("right", honest)} == {"passed"}
        assert {result.mistake for result in asked("right", "in_bits")} == {"bits"}, "and now it is its own mistake"

    def test_a_mistake_is_named_where_it_fits_on_other_numbers_too(self, toy):
        exercise = toy("toy.sign", lambda x: x.sign(), returns=["y"])

        @exercise.check("its sign", "Count.")
        def _(answer, g):
            x = torch.randn(1, generator=g, dtype=torch.float64)
            answer.gives([x], x.sign())

        @exercise.mistake("Always 1.")
        def one(x):
            return torch.ones_like(x)

        @exercise.mistake("The sign is turned.")
        def turned(x):
            return -x.sign()

        for seed in range(8):
            assert checks.run("toy.sign", lambda x: -x.sign(), seed).mistake == "turned", "also where x is below 0"
            assert checks.run("toy.sign", lambda x: torch.ones_like(x), seed).mistake in ("one", "")

    def test_an_answer_in_steps_does_not_ignore_its_argument(self, double):
        assert found(lambda x: x.round()).mistake != "ignores_x"
        assert found(lambda x: torch.ones_like(x)).mistake == "ignores_x"

    def test_plain_numbers_and_arrays_count_where_no_gradients_are_asked_for(self, toy):
        exercise = toy("toy.plain", lambda x: (x.mean(), 2 * x), returns=["mean", "y"], plain=True)

        @exercise.check("mean and double", "Count.")
        def _(answer, g):
            x = torch.randn(3, generator=g, dtype=torch.float64)
            answer.gives([x], x.mean(), 2 * x)

        assert checks.run("toy.plain", lambda x: (float(x.mean()), 2 * x.numpy())).state == "passed"
        assert checks.run("toy.plain", lambda x: (np.mean(x.numpy()), x + x)).state == "passed"
        assert checks.run("toy.plain", lambda x: (True, x + x)).state == "wrong"

    def test_hints_go_in_steps_and_start_again_after_a_pass(self, double, capsys):
        double.second, double.why = "Add x to itself.", "Twice is more."
        double.mistakes["squared"] = double.mistakes["squared"]._replace(second="What is 3 squared?")
        said = []
        for y in (lambda x: x + 1, lambda x: x + 1, lambda x: x * x, lambda x: 2 * x, lambda x: x + 1):
            checks.exercise("toy.double")(y)
            said.append(capsys.readouterr().out)
        assert ["Add x to itself." in text for text in said] == [False, True, False, False, False]
        assert "What is 3 squared?" in said[2]
        assert said[3] == "passed: toy.double\n  why:      Twice is more.\n"

    def test_the_third_failure_brings_the_worked_answer_folded(self, double, capsys):
        results = []
        for _ in range(3):
            checks.exercise("toy.double")(lambda x: x * x)
            results.append(machinery._results["toy.double"].html())
        assert ["<details>" in html for html in results] == [False, False, True]
        assert "return 2 * x" in results[2]

    def test_hint_and_solution_on_request(self, double, capsys):
        double.second, double.why = "Add x to itself.", "Twice is more."
        checks.hint("toy.double")
        assert capsys.readouterr().out == "toy.double: hint\n  Add x to itself.\n"
        checks.solution("toy.double")
        out = capsys.readouterr().out
        assert "def double(x):" in out
        assert "Twice is more." in out
        for ask in (checks.hint, checks.solution):
            with pytest.raises(ValueError, match=r"Did you mean 'toy.double'"):
                ask("toy.duble")

    def test_one_that_is_fifty_times_slower_passes_with_a_warning(self, double, monkeypatch):
        double.pace(lambda g: (torch.randn(1000, 2, generator=g, dtype=torch.float64),))
        examined = sys.modules["gencourse.checks.examine"]
        for ours, theirs, warned in ((0.01, 0.6, True), (0.01, 0.4, False), (0.0001, 0.04, False), (0.0, 0.4, True)):
            spans = itertools.chain.from_iterable([(0.0, ours)] * 3 + [(0.0, theirs)])
            monkeypatch.setattr(examined, "clock", lambda spans=spans: next(spans))
            monkeypatch.setattr(machinery, "possible", lambda: False)
            result = found(lambda x: x + x)
            assert result.state == "passed"
            assert bool(result.warning) == warned


class TestRuns:
    def test_numbers_are_fresh_and_a_seed_repeats_them(self, double):
        wrong = checks.run("toy.double", lambda x: x * x)
        other = checks.run("toy.double", lambda x: x * x)
        assert wrong.inputs != other.inputs
        assert found(lambda x: x * x, seed=wrong.seed) == wrong
        assert f"seed={wrong.seed})" in str(wrong)

    def test_the_global_random_state_is_left_alone(self, double):
        before = torch.get_rng_state()
        found(lambda x: torch.randn_like(x))
        assert torch.equal(torch.get_rng_state(), before)

    def test_it_works_inside_no_grad(self):
        own = next(e for e in checks.exercises() if e.name == "diffusion.posterior").own
        with torch.no_grad():
            assert checks.run("diffusion.posterior", own).state == "passed"

    def test_an_unknown_name_gets_the_nearest(self):
        with pytest.raises(ValueError, match=r"'diffusion.qsample'.*Did you mean 'diffusion.q_sample'"):
            checks.exercise("diffusion.qsample")

    def test_a_class_is_refused(self, double):
        with pytest.raises(ValueError, match=r"function: .*'toy.double', got a class"):
            checks.exercise("toy.double")(type("y", (), {}))

    @pytest.mark.parametrize("wrong", [3, None, 10**400, torch.ones(2), np.array(["a"]), [], {}, math.nan])
    def test_something_else_is_refused(self, double, wrong):
        def y(x):
            return 2 * x

        calls = {
            "function": lambda: checks.run("toy.double", wrong),
            "name": lambda: checks.run(wrong, y),
            "lab": lambda: checks.results(wrong),
            "seed": lambda: checks.run("toy.double", y, seed=[wrong]),  # type: ignore[arg-type]
        }
        for name, call in calls.items():
            with pytest.raises(ValueError, match=f"^{name}: expected "):
                call()
        for name, call in {"name": checks.exercise, "function": checks.exercise("toy.double")}.items():
            with pytest.raises(ValueError, match=f"^{name}: expected "):
                call(wrong)
        if wrong is not None:
            with pytest.raises(ValueError, match=r"^lab: expected "):
                checks.summary(wrong)

    @pytest.mark.parametrize("seed", ["x", -1, 2**63, 0.5, True, [1]])
    def test_what_is_no_seed_is_refused(self, double, seed):
        with pytest.raises(ValueError, match=r"^seed: expected "):
            found(lambda x: 2 * x, seed)

    def test_the_largest_seed_is_one(self, double):
        assert found(lambda x: 2 * x, 2**63 - 1).state == "passed"


class TestSummary:
    def test_before_any_exercise(self, double, capsys):
        checks.summary()
        assert capsys.readouterr().out == "no exercise has been run yet\n"

    def test_the_latest_run_counts(self, double, capsys):
        checks.exercise("toy.double")(lambda x: x * x)
        checks.exercise("toy.double")(lambda x: x + x)
        capsys.readouterr()
        checks.summary()
        assert capsys.readouterr().out == "toy.double  passed\n1 of 1 passed\n"

    def test_all_exercises_of_the_lab_are_listed(self, double, capsys):
        def alpha_bar(beta):
            return torch.cumprod(1 - beta, 0)

        checks.exercise("diffusion.alpha_bar")(alpha_bar)
        capsys.readouterr()
        checks.summary()
        lines = capsys.readouterr().out.splitlines()
        lab = [e.name for e in checks.exercises() if e.lab == "lab_3_diffusion"]
        assert [line.split()[0] for line in lines[:-1]] == lab
        assert lines[0].split("  ", 1)[1].strip().startswith("wrong: alpha_bar[t] is")
        assert lines[1].endswith("  not attempted")
        assert lines[-1] == f"0 of {len(lab)} passed"

    def test_a_lab_by_name(self, double, capsys):
        checks.summary("lab_3_diffusion")
        assert ["diffusion.posterior", "not", "attempted"] in [x.split() for x in capsys.readouterr().out.splitlines()]
        with pytest.raises(ValueError, match="lab_3_diffusion"):
            checks.summary("lab_3")


class TestPanel:
    NASTY = Result(
        "toy.double", "wrong", check="a < b", mistake="x", hint="<b>no</b>", error="E: <script>&", got='"', seed=1
    )

    @pytest.mark.parametrize("result", [NASTY, Result("a", "passed"), Result("a", "not attempted")])
    def test_html_is_whole_escaped_and_named(self, result):
        tree = ElementTree.fromstring(result.html())
        assert tree.get("role") == ("alert" if result.state == "wrong" else "status")
        assert tree.get("aria-label") == f"{result.state}: {result.name}"
        assert "script" not in {e.tag for e in tree.iter()}
        text = "".join(tree.itertext())
        assert f"{result.state}: {result.name}" in text.replace("✓ ", "").replace("✗ ", "").replace("○ ", "")
        assert all(value in text for _, value in result.rows())

    def test_the_sign_differs_with_the_state(self):
        states = ("passed", "wrong", "not attempted")
        assert len({next(ElementTree.fromstring(Result("a", s).html()).iter("span")).text for s in states}) == 3

    def test_summary_html_is_whole(self):
        tree = ElementTree.fromstring(Summary([self.NASTY, Result("b", "passed")]).html())
        assert len(list(tree.iter("tr"))) == 3
        assert "1 of 2 passed" in "".join(tree.itertext())

    def test_lines_are_short(self, double):
        result = checks.run("diffusion.q_sample", lambda x_0, t, eps, alpha_bar: x_0 * t[:, None, None, None])
        assert max(map(len, str(result).splitlines())) <= 112


def test_in_a_notebook():
    """Cells as a student runs them: the panels have HTML and text, and an error names the line of its cell."""
    cells = [
        "from gencourse import checks",
        '@checks.exercise("diffusion.alpha_bar")\ndef alpha_bar(beta):\n    return (1 - beta).new_ones(1).flatten()\n',
        '@checks.exercise("diffusion.alpha_bar")\ndef alpha_bar(beta):\n    one = 1\n    return undefined * one\n',
        '@checks.exercise("diffusion.alpha_bar")\ndef alpha_bar(beta):\n    raise NotImplementedError\n',
        "alpha_bar.__module__",
        "checks.summary()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    outputs = [cell.outputs for cell in notebook.cells]
    assert all(len(shown) == 1 for shown in outputs[1:])
    data = [shown[0].data for shown in outputs[1:]]
    assert data[0]["text/plain"].startswith("wrong: diffusion.alpha_bar\n")
    assert "of shape (6,)" in data[0]["text/plain"]
    assert "line 4 of the cell, in alpha_bar: return undefined * one" in data[1]["text/plain"]
    assert "line 4 of the cell, in alpha_bar: return undefined * one" in data[1]["text/html"]
    assert data[2]["text/plain"] == str(Result("diffusion.alpha_bar", "not attempted"))
    assert "gencourse.checks" in data[3]["text/plain"]
    assert ["diffusion.alpha_bar", "not", "attempted"] in [x.split() for x in data[4]["text/plain"].splitlines()]


def test_importing_it_loads_no_plots_and_no_ipython():
    code = (
        "import sys; from gencourse import checks; checks.exercises(); "
        "print([m for m in ('matplotlib', 'IPython', 'ipywidgets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


class TestIdentity:
    @pytest.mark.parametrize(
        ("lhs", "rhs"),
        [
            (torch.arange(6.0).view(2, 3), torch.arange(6.0).view(2, 3) + 1e-8),
            (np.array([1.0, 2.0]), torch.tensor([1.0, 2.0])),
            (0.5, torch.tensor(0.5, dtype=torch.float64, requires_grad=True)),
            (1, np.float64(1.0)),
        ],
    )
    def test_equal_prints_the_tolerance_and_never_the_error(self, lhs, rhs, capsys):
        assert checks.identity("lhs = rhs", lhs, rhs, tol=1e-6) is None  # type: ignore[func-returns-value]
        assert capsys.readouterr().out == "lhs = rhs: equal within 1e-06\n"

    def test_the_worst_place_is_named(self):
        lhs, rhs = torch.zeros(2, 3, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64)
        rhs[0, 1], rhs[1, 2] = 1e-9, -3e-9
        with pytest.raises(AssertionError, match=r"largest error 3e-09 at \[1, 2\], where lhs = 0 and rhs = -3e-09"):
            checks.identity("a", lhs, rhs, tol=1e-10)

    def test_errors_do_not_cancel(self):
        with pytest.raises(AssertionError):
            checks.identity("a", torch.tensor([1.0, -1.0]), torch.zeros(2), tol=0.5)

    def test_the_tolerance_is_a_bound(self, capsys):
        checks.identity("a", 1.0, 1.5, tol=0.5)
        with pytest.raises(AssertionError):
            checks.identity("a", 1.0, 1.5, tol=0.4999)

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_what_is_not_finite_is_never_equal(self, value):
        for rhs in ([value, 1.0], [0.0, 1.0]):
            with pytest.raises(AssertionError, match=r"at \[0\]"):
                checks.identity("a", torch.tensor([value, 1.0]), torch.tensor(rhs), tol=1e9)

    @pytest.mark.parametrize(
        ("lhs", "rhs", "tol", "message"),
        [
            (torch.ones(3), torch.ones(1), 1e-6, "rhs: expected the shape of lhs"),
            (torch.ones(3), 1.0, 1e-6, "rhs: expected the shape of lhs"),
            (torch.ones(0), torch.ones(0), 1e-6, "at least one number"),
            (1.0, 1.0, 0, "tol"),
            (1.0, 1.0, -1e-6, "tol"),
            (1.0, 1.0, math.nan, "tol"),
            (1.0, 1.0, math.inf, "tol"),
            ("1", 1.0, 1e-6, "lhs: expected a real tensor"),
            (1.0, [1.0], 1e-6, "rhs: expected a real tensor"),
            (torch.ones(2) * 1j, torch.ones(2), 1e-6, "lhs: expected a real tensor"),
            (10**400, 1.0, 1e-6, "lhs: expected a real tensor"),
            (np.array(["1"]), np.ones(1), 1e-6, "lhs: expected a real tensor"),
            (np.array([None]), np.ones(1), 1e-6, "lhs: expected a real tensor"),
            (1.0, torch.ones(1).to_sparse(), 1e-6, "rhs: expected a real tensor"),
            (1.0, torch.ones(1, device="meta"), 1e-6, "rhs: expected a real tensor"),
            (1.0, torch.empty(1, dtype=torch.bits8), 1e-6, "rhs: expected a real tensor"),
            (1.0, torch.nested.nested_tensor([torch.ones(1)]), 1e-6, "rhs: expected a real tensor"),
            (1.0, 1.0, "small", "tol: expected .*'small'"),
            (1.0, 1.0, None, "tol"),
        ],
    )
    def test_what_cannot_be_compared_is_refused(self, lhs, rhs, tol, message):
        with pytest.raises(ValueError, match=message):
            checks.identity("a", lhs, rhs, tol)

    @pytest.mark.parametrize("name", ["", None, 3])
    def test_it_needs_a_name(self, name):
        with pytest.raises(ValueError, match="name"):
            checks.identity(name, 1.0, 1.0, 1e-6)


class TestComparing:
    def test_difference_is_relative_for_large_numbers_and_absolute_for_small_ones(self):
        big, small = torch.tensor([1e6]).double(), torch.tensor([1e-6]).double()
        assert difference(big, big * (1 + 1e-10), 1e-9) is None
        assert difference(big, big * (1 + 1e-8), 1e-9) is not None
        assert difference(small, small + 1e-10, 1e-9) is None

    def test_nan_differs_from_everything(self):
        nan = torch.tensor([1.0, math.nan])
        found = difference(nan, nan, 1.0)
        assert found is not None
        assert (found.index, found.count, found.size) == ((1,), 1, 2)

    def test_difference_broadcasts_nothing(self):
        with pytest.raises(ValueError, match="expected shape"):
            difference(torch.ones(2), torch.ones(1), 1.0)

    @pytest.mark.parametrize(("a", "b"), [(1.0, 2.0), (1.0, 1 + 1e-12), (0.1, 0.1 + 1e-16), (1e-9, -1e-9)])
    def test_two_numbers_can_be_told_apart(self, a, b):
        left, right = two_numbers(a, b)
        assert (left != right) == (a != b)

    def test_values_are_short(self):
        assert in_short(torch.arange(3)) == "tensor (3,) int64: 0, 1, 2"
        assert in_short(torch.ones(2, 10).double()) == "tensor (2, 10) float64: 1, 1, 1, 1, 1, 1, …"
        assert in_short(np.zeros(1)) == "NumPy array (1,) float64: 0"
        assert len(in_short(list(range(1000)))) <= 80
        assert in_short((torch.ones(1), 2)) == "tuple of 2: tensor (1,) float32: 1; 2"


def test_a_bound_that_holds_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    checks.at_most("a ≤ b", torch.tensor([1.0, 2.0]), np.array([1.0, 3.0]))
    assert capsys.readouterr().out == "a ≤ b: holds\n"


@pytest.mark.parametrize("lhs", [[1.0, 3.5], [1.0, math.nan]])
def test_a_bound_that_does_not_hold_says_where(lhs: list[float]) -> None:
    with pytest.raises(AssertionError, match=r"a ≤ b: does not hold at \[1\]: lhs = (3\.5|nan) and rhs = 3"):
        checks.at_most("a ≤ b", torch.tensor(lhs), torch.tensor([1.0, 3.0]))


def test_a_bound_between_different_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match="rhs: expected the shape of lhs"):
        checks.at_most("a ≤ b", torch.zeros(2), 1.0)
