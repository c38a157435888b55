"""Mistakes that nobody named for an exercise, recognised as slips in its worked answer."""

import pytest
import torch

from gencourse import checks
from gencourse.checks.slips import slips

EXERCISES = {exercise.name: exercise for exercise in checks.exercises()}


def per_example(v, x):
    return v.view(-1, *[1] * (x.dim() - 1))


def q_sample(noise_level, by=lambda a, x_0, b, eps: a * x_0 + b * eps):
    def answer(x_0, t, eps, alpha_bar):
        a, b = noise_level(alpha_bar, t)
        return by(per_example(a, x_0), x_0, per_example(b, x_0), eps)

    return answer


def right(alpha_bar, t):
    return alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()


@pytest.fixture
def hint(monkeypatch):
    """What an answer is told where the exercise names no mistake of its own."""

    def told(name, function):
        monkeypatch.setattr(EXERCISES[name], "mistakes", {})
        result = checks.run(name, function)
        assert result.state == "wrong"
        return result.hint if result.mistake == "slip" else ""

    return told


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (q_sample(lambda s, t: (s[t], (1 - s[t]).sqrt())), "The square root is missing: alpha_bar[t]."),
        (q_sample(lambda s, t: (s[t - 1].sqrt(), (1 - s[t - 1]).sqrt())), "alpha_bar is read one place too early."),
        (q_sample(lambda s, t: (s[t].sqrt(), (1 - s[t - 1]).sqrt())), "alpha_bar is read one place too early."),
        (q_sample(lambda s, t: (s[t].sqrt(), (1 + s[t]).sqrt())), "A plus and a minus are exchanged"),
        (q_sample(right, lambda a, x_0, b, eps: a * x_0 - b * eps), "A plus and a minus are exchanged"),
        (q_sample(right, lambda a, x_0, b, eps: a * x_0 + eps), "A factor is missing: (1 - alpha_bar[t]).sqrt()."),
        (
            q_sample(right, lambda a, x_0, b, eps: a * eps + b * x_0),
            "A quantity and 1 minus it are exchanged: alpha_bar[t].",
        ),
        (q_sample(right, lambda a, x_0, b, eps: a * x_0 + b * eps / 2), "A half too many, or a 2 too few"),
    ],
)
def test_what_is_wrong_is_said_in_the_arguments_names(hint, answer, words):
    assert words in hint("diffusion.q_sample", answer)


def test_each_output_may_have_a_slip_of_its_own(hint):
    def posterior(x_0, x_t, t, beta, alpha_bar):
        now, before, b = (per_example(v, x_0) for v in (alpha_bar[t], alpha_bar[t - 1], beta[t]))
        mean = before * b / (1 - now) * x_0 + (1 - b).sqrt() * (1 - before) / (1 - now) * x_t
        return mean, (1 - before) / (1 - now)

    said = hint("diffusion.posterior", posterior)
    assert "In mean: The square root is missing: alpha_bar[t - 1]." in said
    assert "In var: A factor is missing: beta[t]." in said


def test_what_agrees_in_one_place_alone_is_no_slip(hint):
    def q_sample(x_0, t, eps, alpha_bar):  # as if the root were missing, but for images only
        a = per_example(alpha_bar[t], x_0)
        return (a if x_0.dim() == 4 else a.square()) * x_0 + (1 - a).sqrt() * eps

    assert hint("diffusion.q_sample", q_sample) == ""


def test_slips_leave_the_worked_answer_as_it_was():
    exercise = EXERCISES["diffusion.guide"]
    args = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.7]), 2.0
    before = exercise.results(exercise.own, args)
    first, again = ([slip.hint for slip in slips(exercise.own)] for _ in range(2))
    assert first == again
    assert len(first) > 50
    assert all(torch.equal(a, b) for a, b in zip(before, exercise.results(exercise.own, args), strict=True))


def test_an_answer_that_is_wrong_once_and_never_again_is_only_wrong(monkeypatch):
    monkeypatch.setattr(EXERCISES["diffusion.q_sample"], "mistakes", {})
    calls = []

    def q_sample(x_0, t, eps, alpha_bar):
        calls.append(t)
        a = per_example(alpha_bar[t], x_0)
        x_t = a.sqrt() * x_0 + (1 - a).sqrt() * eps
        return x_t[:1] if len(calls) == 4 else x_t

    result = checks.run("diffusion.q_sample", q_sample)
    assert (result.state, result.mistake) == ("wrong", "shape")


def test_what_stands_above_a_function_is_not_done_with_its_slips():
    known = []

    @lambda function: known.append(function) or function
    def double(x):
        return x + x

    assert len(list(slips(double))) > 10
    assert known == [double]


def as_many(n: int, x):
    return x + torch.arange(n)


def test_of_a_number_of_things_there_is_no_square():
    """So many things fill the memory of a machine, where a test has asked for 20,000."""
    assert not [slip.hint for slip in slips(as_many) if slip.hint == "One square too many: n."]
    assert [slip.hint for slip in slips(as_many) if slip.hint == "One square too many: x."]
