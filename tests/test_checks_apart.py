"""Answers that would harm the kernel: each is stopped, the result says so, and the kernel lives on."""

import ctypes
import gc
import itertools
import os
import signal
import sys
import threading
import time

import pytest
import torch

from gencourse import checks
from gencourse.checks import apart, compare, limit
from gencourse.checks.spec import Exercise

machinery = sys.modules["gencourse.checks.exercise"]
pytestmark = pytest.mark.skipif(not apart.possible(), reason="this system cannot run an answer in a process of its own")
TORCH = torch  # what a hostile answer would patch


@pytest.fixture
def double(monkeypatch):
    monkeypatch.setattr(machinery, "_results", {})
    monkeypatch.setattr(machinery, "_answers", {})
    monkeypatch.setattr(limit, "SECONDS", 0.3)
    monkeypatch.setattr(apart, "SILENCE", 0.3)
    exercise = Exercise("toy.double", lambda x: 2 * x, returns=["y"], batched=["x"])
    monkeypatch.setitem(machinery._known(), "toy.double", exercise)

    @exercise.check("y is x + x", "Count again.")
    def _(answer, g):
        x = torch.randn(3, 2, generator=g, dtype=torch.float64)
        answer.gives([x], x + x)

    return exercise


class Hides:
    def __repr__(self):
        while True:
            pass


class Refuses(Exception):  # noqa: N818
    def __str__(self):
        raise RuntimeError


def for_ever(x):
    while True:
        pass


def catches_everything(x):
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            continue


def catches_in_turn(x):
    while True:
        try:
            try:
                for_ever(x)
            finally:
                for_ever(x)
        except BaseException:
            continue


def counts_in_c(x):
    return sum(itertools.count())


def allocates(x):
    kept = [x]
    while True:
        kept.append(torch.ones(10**7))


def allocates_lists(x):
    kept = [0]
    while True:
        kept = kept + kept


def one_large_tensor(x):
    return torch.ones(10**12) * x.sum()


def prints(x):
    while True:
        print("once more")


def prints_below(x):
    while True:
        os.write(1, b"once more\n")


def leaves(x):
    sys.exit()


def leaves_at_once(x):
    os._exit(0)


def kills_itself(x):
    os.kill(os.getpid(), signal.SIGKILL)


def crashes(x):
    return ctypes.string_at(0)


def interrupts(x):
    raise KeyboardInterrupt


def ends_generators(x):
    raise GeneratorExit


def cannot_be_told(x):
    raise Refuses


def cannot_be_shown(x):
    return Hides()


def recurses(x):
    return recurses(x)


def fills_the_disk(x):
    import tempfile

    with tempfile.TemporaryFile() as file:
        while True:
            file.write(bytes(1 << 20))


def leaves_a_thread(x):
    threading.Thread(target=for_ever, args=(x,)).start()
    return 3 * x


def leaves_a_child(x):
    if os.fork() == 0:
        for_ever(x)
    return 3 * x


HOSTILE = [
    for_ever, catches_everything, catches_in_turn, counts_in_c, allocates, allocates_lists, one_large_tensor, prints,
    prints_below, leaves, leaves_at_once, kills_itself, crashes, interrupts, ends_generators, cannot_be_told,
    cannot_be_shown, recurses, fills_the_disk, leaves_a_thread, leaves_a_child,
]  # fmt: skip


@pytest.mark.parametrize("answer", HOSTILE, ids=lambda f: f.__name__)
def test_it_is_stopped_and_the_result_says_so(double, answer, capfd):
    short = limit.SECONDS
    limit.SECONDS = 60.0  # an honest answer's time is the machine's affair; the fixture puts it back
    checks.exercise("toy.double")(lambda x: 2 * x)
    limit.SECONDS = short
    assert checks.exercise("toy.double")(answer) is answer
    (result,) = (r for r in machinery._results.values() if r.name == "toy.double")
    assert result.state == "wrong"
    assert result.check == "y is x + x"
    assert result.mistake
    assert result.hint
    assert len(str(result)) < 4000
    assert len(capfd.readouterr().out) < 8000
    limit.SECONDS = 60.0
    assert checks.run("toy.double", lambda x: 2 * x).state == "passed", "and the next one is examined as ever"


def test_time_in_which_other_programs_work_is_not_its_own(double, monkeypatch):
    monkeypatch.setattr(limit, "PATIENCE", 1000.0)

    def waits(x):
        time.sleep(1.0)
        return 2 * x

    assert checks.run("toy.double", waits).state == "passed"
    monkeypatch.setattr(limit, "PATIENCE", 1.0)
    result = checks.run("toy.double", waits)
    assert (result.state, result.mistake) == ("wrong", "endless"), "it may not sleep for ever"


def test_one_that_never_ends_to_speak_is_ended(monkeypatch):
    monkeypatch.setattr(apart, "TOTAL", 0.5)

    def work(told):
        while True:
            told("again")

    result = apart.apart("toy.double", work)
    assert (result.state, result.mistake, result.check) == ("wrong", "endless", "again")


def test_what_it_changes_is_gone_with_it(double, monkeypatch):
    monkeypatch.setattr(limit, "SECONDS", 60.0)
    counted, threads = [], torch.get_num_threads()

    def patches(x):
        counted.append(x)
        gc.collect()
        TORCH.ones = None  # type: ignore[assignment]
        torch.manual_seed(0)
        return 2 * x

    before = torch.get_rng_state()
    assert checks.run("toy.double", patches).state == "passed"
    assert not counted
    assert torch.ones(1) == 1
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_an_interrupt_ends_it_and_leaves_no_old_result(double, monkeypatch):
    monkeypatch.setattr(limit, "SECONDS", 60.0)
    checks.exercise("toy.double")(lambda x: 2 * x)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        checks.exercise("toy.double")(for_ever)
    (result,) = (r for r in machinery._results.values() if r.name == "toy.double")
    assert result.state == "wrong"


def test_networks_and_gradients_work_after_many_threads_did(double, monkeypatch):
    """A fork has none of the threads that torch started; it must not wait for them."""
    monkeypatch.setattr(limit, "SECONDS", 30.0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 32, 3), torch.nn.ReLU(), torch.nn.Conv2d(32, 8, 3)).double()

    def asks_a_network(x):
        pictures = torch.randn(8, 3, 32, 32, dtype=torch.float64, requires_grad=True)
        net(pictures).square().sum().backward()
        (torch.randn(500, 500) @ torch.randn(500, 500)).sum()
        return 2 * x + 0 * pictures.grad.sum()  # type: ignore[union-attr]

    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        asks_a_network(torch.ones(1))
        assert checks.run("toy.double", asks_a_network).state == "passed"
    finally:
        torch.set_num_threads(threads)


def test_without_a_fork_the_alarm_rings_until_it_is_heard(double, monkeypatch):
    monkeypatch.setattr(machinery, "possible", lambda: False)
    result = checks.run("toy.double", catches_everything)
    assert (result.state, result.mistake) == ("wrong", "endless")
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


@pytest.mark.parametrize(
    "answer", [prints, leaves, ends_generators, cannot_be_told, recurses], ids=lambda f: f.__name__
)
def test_without_a_fork_errors_of_all_kinds_are_caught(double, answer, monkeypatch):
    monkeypatch.setattr(machinery, "possible", lambda: False)
    assert checks.run("toy.double", answer).state == "wrong"


def test_no_answer_leaves_gradients_off_nor_changes_a_list_that_it_got(double):
    """A generator that waits inside no_grad would keep them off, and then no gradient is ever missed."""
    waiting = []

    @double.check("gradients pass", "Detach nothing.")
    def _(answer, g):
        answer(torch.ones(2, requires_grad=True, dtype=torch.float64))
        answer.passes_back("x")

    def inside():
        with torch.no_grad():
            yield

    def switches_off(x):
        waiting.append(inside())
        next(waiting[-1])
        return 2 * x.detach()

    result = checks.run("toy.double", switches_off)
    assert (result.state, result.mistake) == ("wrong", "detached")
    given = [[torch.ones(1)], (torch.zeros(1), 3)]
    (copied, pair) = compare.copies(given)
    copied.clear()
    pair[0].add_(1)
    assert given == [[torch.ones(1)], (torch.zeros(1), 3)]
