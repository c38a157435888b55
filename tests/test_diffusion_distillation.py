"""Fewer steps: a student that lands where its teacher does, and pairs whose lines do not cross."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from genlib import train
from genlib.data import GaussianMixture
from genlib.diffusion import DDPM, MLP, Denoising, Progressive, Reflow, Schedule, ancestral, ddim, last, pairs_of

P = GaussianMixture([[-0.5], [1.0]], [[[0.05]], [[0.04]]], [0.6, 0.4])
SCHEDULES = {"cosine": Schedule.cosine(T=48), "straight": Schedule.straight(T=48)}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def known(s: Schedule) -> DDPM:
    def net(x_t: Tensor, t: Tensor, label: None) -> Tensor:
        return s.convert(P.optimal_eps(x_t, t.clamp(max=s.T - 1), s), x_t, t.clamp(max=s.T - 1), "eps", "v")

    return DDPM(net, s, predict="v", shape=(1,))


def perfect(teacher: DDPM, n: int, predict: Any) -> DDPM:
    """The student that goes where two steps of its teacher lead: x_0-guess such that one step of ddim leads there."""
    s = teacher.schedule
    visited = [0, *s.visited(2 * n)]

    def net(x_t: Tensor, t: Tensor, label: None) -> Tensor:
        guess = torch.empty_like(x_t)
        for row, step in enumerate(t.tolist()):
            place, x = visited.index(step), x_t[row : row + 1]
            steps = [*visited[1 : place - 1], visited[place - 1], step]
            walk = list(ddim(DDPM(teacher.net, tail(s, step), "v"), (1, 1), steps=steps, x_T=x))
            a, b = (one_step(s, x, step, visited[place - 2], value) for value in (0.0, 1.0))
            guess[row] = (walk[2] - a) / (b - a)  # one step is affine in its guess
        return s.convert(guess, x_t, t, "x_0", predict)

    return DDPM(net, s, predict=predict, shape=(1,))


def tail(s: Schedule, step: int) -> Schedule:
    """The chain up to this step."""
    return s.respaced(list(range(1, step + 1)))


def one_step(s: Schedule, x: Tensor, t: int, after: int, x_0: float) -> Tensor:
    chain = s.respaced([after, t] if after else [t])
    fixed = DDPM(lambda x_t, t, label: torch.full_like(x_t, x_0), chain, predict="x_0")
    return list(ddim(fixed, (1, 1), x_T=x))[1]


@pytest.mark.parametrize("predict", ["v", "x_0", "u"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_the_student_arrives_where_its_teacher_is_after_two_steps(name: str, predict: Any) -> None:
    """The one with which every step does so has no loss, and walks as its teacher does; another one has some."""
    teacher, n = known(SCHEDULES[name]), 4
    student, x_0 = perfect(teacher, n, predict), P.sample(40, generator()).double()
    ((_, loss, _),) = Progressive(student, teacher, n).losses(x_0, generator())
    assert float(loss) < 1e-18
    x_T = torch.linspace(-2, 2, 7, dtype=torch.float64)[:, None]
    slow, fast = (list(ddim(model, (7, 1), steps=k, x_T=x_T)) for model, k in ((teacher, 2 * n), (student, n)))
    for one, other in zip(slow[::2], fast, strict=True):
        assert torch.allclose(one, other, atol=1e-8)
    same = DDPM(teacher.net, teacher.schedule, "v")
    ((_, loss, _),) = Progressive(same, teacher, n).losses(x_0, generator())
    assert float(loss) > 1e-6


def test_a_student_gets_nearer_to_its_teacher_and_the_teacher_stays() -> None:
    torch.manual_seed(0)
    nets = [MLP(2, width=32, depth=2) for _ in range(2)]
    s, ring = SCHEDULES["cosine"], GaussianMixture.ring()
    teacher, student = (DDPM(net, s, predict="v") for net in nets)
    points = ring.sample(2000, generator())
    train.fit(Denoising(teacher), points, steps=400, seed=0, progress=False)
    student.load_state_dict(teacher.state_dict())
    before = [weight.clone() for weight in teacher.parameters()]
    x_T = torch.randn(400, 2, generator=generator())
    target = last(ddim(teacher, (400, 2), steps=8, x_T=x_T))

    def off() -> float:
        return float((last(ddim(student, (400, 2), steps=4, x_T=x_T)) - target).square().mean())

    at_first = off()
    train.fit(Progressive(student, teacher, 4), points, steps=300, seed=0, progress=False)
    assert off() < 0.5 * at_first
    assert all(torch.equal(a, b) for a, b in zip(before, teacher.parameters(), strict=True))


def test_the_target_does_not_cancel_where_steps_are_small() -> None:
    """Of a teacher that always says 0.5, in float32, with half as many steps as the chain has."""
    s = Schedule.linear(T=10_000)

    def net(x_t: Tensor, t: Tensor, label: None) -> Tensor:
        return torch.full_like(x_t, 0.5)

    teacher, student = (DDPM(net, s, predict="x_0") for _ in range(2))
    loss = next(Progressive(student, teacher, 5000).losses(torch.randn(500, 1, generator=generator()), generator()))[1]
    assert float(loss) < 1e-12


def test_the_guidance_of_the_teacher_is_learned() -> None:
    torch.manual_seed(0)
    net = MLP(1, width=8, depth=1, n_classes=2).double()
    torch.nn.init.normal_(net.last.weight)
    teacher = DDPM(net, SCHEDULES["cosine"], predict="v")
    batch = P.sample(30, generator()).double(), torch.arange(30) % 2
    losses = [next(Progressive(teacher, teacher, 4, guidance=w).losses(batch, generator()))[1] for w in (0.0, 2.0)]
    assert losses[1] > 1.5 * losses[0]


@pytest.mark.parametrize("a", [0.3, 2.0])
def test_lines_that_do_not_cross_leave_no_loss(a: float) -> None:
    """x_0 = a ε + b, a > 0: then the velocity is a function of the place, and one step of Euler's is enough."""
    s, b = Schedule.straight(T=1000), 0.7

    def net(x_t: Tensor, t: Tensor, label: None) -> Tensor:
        time = t.double()[:, None] / 1000
        z = x_t * torch.hypot(1 - time, time)
        eps = (z - (1 - time) * b) / ((1 - time) * a + time)
        return (a - 1) * eps + b

    model, eps = DDPM(net, s, predict="u", shape=(1,)), torch.randn(50, 1, generator=generator(), dtype=torch.float64)
    pairs = torch.stack([a * eps + b, eps], dim=1)
    ((_, loss, _),) = Reflow(model).losses(pairs, generator())
    assert float(loss) < 1e-18
    assert torch.allclose(last(ddim(model, (50, 1), steps=1, x_T=eps)), pairs[:, 0])
    for other in (Reflow(model).losses(torch.stack([a * eps + b, eps.flip(0)], dim=1), generator()),
                  Denoising(model).losses(pairs[:, 0], generator())):  # fmt: skip
        assert float(next(other)[1]) > 0.1


def test_pairs_are_those_of_the_sampler_and_reflow_trains_on_them() -> None:
    torch.manual_seed(0)
    model = DDPM(MLP(2, width=8, depth=1, n_classes=3), SCHEDULES["straight"], predict="u", shape=(2,))
    torch.nn.init.normal_(model.net.last.weight)  # type: ignore[union-attr, arg-type]
    pairs = pairs_of(model, 20, generator(), label=1, steps=5)
    assert pairs.shape == (20, 2, 2)
    assert torch.equal(pairs[:, 0], last(ddim(model, (20, 2), label=1, steps=5, x_T=pairs[:, 1])))
    again = [pairs_of(model, 3, generator(), label=1, steps=5, sampler=ancestral) for _ in range(2)]
    assert torch.equal(*again)
    again = DDPM(MLP(2, width=8, depth=1, n_classes=3), SCHEDULES["straight"], predict="u")
    loss = train.fit(Reflow(again), (pairs, torch.ones(20, dtype=torch.int64)), steps=40, seed=0, progress=False)
    assert loss.logs["loss"][-1] < loss.logs["loss"][0]
    assert again.shape == (2,)


def test_what_does_not_fit_is_refused() -> None:
    s = SCHEDULES["cosine"]
    model = DDPM(MLP(2, width=4, depth=1), s, predict="v")
    eps, learned = (
        DDPM(MLP(2, width=4, depth=1), s),
        DDPM(MLP(2, width=4, depth=1, learned_variance=True), s, "v", "learned"),
    )
    other = DDPM(MLP(2, width=4, depth=1), Schedule.linear(T=48), predict="v")
    wrong: list[tuple[Any, str]] = [
        (lambda: Progressive(eps, model, 4), "ddpm: expected one that predicts"),
        (lambda: Progressive(learned, model, 4), "ddpm: expected one that predicts"),
        (lambda: Progressive(model, other, 4), "teacher: expected one on the student's schedule"),
        (lambda: Progressive(model, model, 25), "steps: expected at most half"),
        (lambda: Progressive(model, model, 4, guidance=1.0, label_dropout=0.1), "label_dropout: expected 0"),
        (lambda: Reflow(learned), "ddpm: expected one with a fixed variance"),
        (lambda: Reflow(model).check(torch.zeros(3, 2)), "batch: expected"),
        (lambda: Reflow(model).check(torch.zeros(3, 2, 5)), "batch: expected shape"),
        (lambda: pairs_of(model, 3), "ddpm: expected one that knows the shape"),
    ]
    for make, message in wrong:
        with pytest.raises(ValueError, match=message):
            make()
    assert len(list(itertools.islice(Progressive(model, model, 24).losses(torch.zeros(3, 2)), 1))) == 1
