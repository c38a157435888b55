"""What is computed once for all answers to an exercise: the same calls alone, and nothing that one has changed."""

from typing import Any

import pytest
import torch

from gencourse import checks
from gencourse.checks.answer import ELSEWHERE, asked
from gencourse.checks.content import LARGE, content
from gencourse.checks.lab_1_conditional_gan.given import Critic
from gencourse.checks.lab_2_flows.given import Coupling, Named

EXERCISES = {exercise.name: exercise for exercise in checks.exercises()}


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def scaled(by: Any) -> Any:
    return lambda x: by * x


def critic(**changes: float) -> Critic:
    D = Critic(generator())
    with torch.no_grad():
        D.weight[0] += changes.get("weight", 0.0)
    D.weight.grad = torch.full_like(D.weight, changes["grad"]) if "grad" in changes else None
    return D


X = torch.tensor([1.0, 2.0])
CALLS = [
    [X], [X + 1], [X.double()], [X[None]], [X.clone().requires_grad_()], [-0.0 * X], [0.0 * X],
    [1], [1.0], [True], ["1"], [-0.0], [0.0], [(X, 1)], [[X, 1]], [X, 1],
    [scaled(2.0)], [scaled(3.0)], [scaled(X)], [Named("a", scaled(2.0))], [Named("b", scaled(2.0))],
    [critic()], [critic(weight=1e-12)], [critic(grad=1.0)], [critic(grad=2.0)],
    [Coupling("a", X > 1, generator())], [Coupling("a", X < 2, generator())],
]  # fmt: skip


def test_calls_that_differ_in_anything_are_not_the_same() -> None:
    keys = [content(call) for call in CALLS]
    assert None not in keys
    assert len(set(keys)) == len(keys)
    with torch.no_grad():
        assert content([X]) not in keys


def test_calls_that_are_made_alike_are_the_same() -> None:
    makes = [lambda: X.clone(), lambda: scaled(X.clone()), critic, lambda: Coupling("a", X > 1, generator())]
    assert all(content([make()]) == content([make()]) is not None for make in makes)


def test_what_has_a_state_or_is_large_is_unknown() -> None:
    noted: list[int] = []
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)])
    unknown = [optimizer, generator(), lambda x: noted.append(x), iter([1]), torch.zeros(LARGE + 1), {1: 2}, object()]
    assert [content([one]) for one in unknown] == [None] * len(unknown)


@pytest.mark.parametrize("change", ["a weight", "a weight's gradient"])
def test_a_check_is_asked_again_where_an_answer_has_changed_what_it_got(change: str) -> None:
    exercise = EXERCISES["gan.r1"]
    check = exercise.checks[0]
    first = asked(exercise, check, ELSEWHERE[0])
    assert asked(exercise, check, ELSEWHERE[0]) is first
    D, before = first[0][0], content(first[0])
    with torch.no_grad():
        if change == "a weight":
            D.weight.add_(1)
        else:
            D.weight.grad = torch.ones_like(D.weight)
    again = asked(exercise, check, ELSEWHERE[0])
    assert again is not first
    assert content(again[0]) == before


def test_a_known_call_is_made_once_and_gives_no_more_than_numbers() -> None:
    exercise, made = EXERCISES["flows.logit"], []
    x = torch.tensor([[0.2, 0.7]], dtype=torch.float64, requires_grad=True)

    def mistake(*args: Any) -> Any:
        made.append(args)
        return exercise.own(*args)

    args = tuple(x if i == 0 else 0.05 for i in range(len(exercise.parameters)))
    first, again = (exercise.remembered(mistake, args) for _ in range(2))
    assert len(made) == 1
    assert all(a is b and not a.requires_grad for a, b in zip(first, again, strict=True))
    exercise.remembered(mistake, (x + 0.1, *args[1:]))
    assert len(made) == 2
