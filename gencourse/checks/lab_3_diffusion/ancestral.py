"""The sampler: from noise to data, one step after the other. Lecture 04, section 11."""

from collections.abc import Callable, Iterable

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer, Wrong
from gencourse.checks.lab_3_diffusion.chain import FLOAT32_TOL, chain, many, normal, some_beta
from gencourse.checks.lab_3_diffusion.nets import Net, check_call, refuse
from gencourse.checks.spec import Exercise

Step = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def ancestral(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    x_ts = [x_T]
    for i in range(len(z) - 1, 0, -1):  # T, ..., 1: z has T + 1 entries, and range stops before 0
        t = torch.full((len(x_T),), i)  # all examples are at the same step, and net and step want one for each
        eps_hat = net(x_ts[-1], t)
        x_ts.append(step(x_ts[-1], t, eps_hat, z[i]))
    return torch.stack(x_ts)


ANCESTRAL = Exercise(
    "diffusion.ancestral",
    ancestral,
    returns=["x_ts"],
    second="Begin with x_ts = [x_T], and let i go from T = len(z) − 1 down to 1. In each round t is "
    "torch.full((len(x_T),), i); ask the net about the last x and t; hand x, t, its guess and z[i] to step; append. "
    "Stack at the end.",
    why="The same loop samples with any network and any step, so one of them can change while the other stays.",
)


class OnePoint:
    """The best net for data that is a single point m: it knows the noise exactly."""

    def __init__(self, m: Tensor, alpha_bar: Tensor) -> None:
        self.m, self.alpha_bar = m, alpha_bar

    def __repr__(self) -> str:
        return "the best net for data that is one point"

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        check_call(x_t, t, len(self.alpha_bar) - 1)
        bar = many(self.alpha_bar, t, x_t)
        return (x_t - bar.sqrt() * self.m.to(x_t)) / (1 - bar).sqrt()


class Back:
    """One step back, as exercise 6 has it."""

    def __init__(self, beta: Tensor, alpha_bar: Tensor) -> None:
        self.beta, self.alpha_bar = torch.cat([beta.new_zeros(1), beta]), alpha_bar

    def __repr__(self) -> str:
        return "one step back, as in exercise 6"

    def __call__(self, x_t: Tensor, t: Tensor, eps_hat: Tensor, z: Tensor) -> Tensor:
        check_call(x_t, t, len(self.beta) - 1, "step")
        for name, value in (("eps_hat", eps_hat), ("z", z)):
            if not isinstance(value, Tensor) or value.shape != x_t.shape:
                came = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                refuse(f"the step was called with {name} of shape {came}, expected that of x_t")
        b, bar = many(self.beta, t, x_t), many(self.alpha_bar, t, x_t)
        mean = (x_t - b / (1 - bar).sqrt() * eps_hat) / (1 - b).sqrt()
        return mean + (0 if int(t[0]) == 1 else 1) * b.sqrt() * z


class Linear:
    """x ↦ a_t x + b_t eps_hat + c_t z: what many of them amount to is a sum that needs no loop over x."""

    def __init__(self, a: Tensor, b: Tensor, c: Tensor) -> None:
        self.a, self.b, self.c = a, b, c

    def __repr__(self) -> str:
        return "a_t x_t + b_t eps_hat + c_t z"

    def __call__(self, x_t: Tensor, t: Tensor, eps_hat: Tensor, z: Tensor) -> Tensor:
        check_call(x_t, t, len(self.a) - 1, "step")
        return many(self.a, t, x_t) * x_t + many(self.b, t, x_t) * eps_hat + many(self.c, t, x_t) * z


class Scale:
    """A net that answers d_t x_t."""

    def __init__(self, d: Tensor) -> None:
        self.d = d

    def __repr__(self) -> str:
        return "d_t x_t"

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        check_call(x_t, t, len(self.d) - 1)
        return many(self.d, t, x_t) * x_t


def _pieces(shape: tuple[int, ...], T: int, g: Generator) -> tuple[Tensor, OnePoint, Back, Tensor, Tensor]:
    beta = some_beta(T, g)
    signal, _ = chain(beta)
    m = normal(shape[1:], g)
    return m, OnePoint(m, signal**2), Back(beta, signal**2), normal(shape, g), normal((T + 1, *shape), g)


def walk(net: Net, step: Step, x_T: Tensor, z: Tensor, way: Iterable[int]) -> Tensor:
    x_ts = [x_T]
    for i in way:
        t = torch.full((len(x_T),), i)
        x_ts.append(step(x_ts[-1], t, net(x_ts[-1], t), z[i]))
    return torch.stack(x_ts)


@ANCESTRAL.check(
    "each x is one step from the one before, and x_T comes first",
    "The loop: t = T, ..., 1. The net and the step get t as a tensor, one number for each example; z[t] is the noise "
    "of step t. Collect T + 1 tensors, and stack them.",
)
def _(answer: Answer, g: Generator) -> None:
    T, B = 5, 4
    a, b, c, d = (0.5 + torch.rand(T + 1, generator=g, dtype=torch.float64) for _ in range(4))
    c[1] = 0  # as in exercise 6: the last step brings no noise, whatever z[1] is
    x_T, z = normal((B, 3), g), normal((T + 1, B, 3), g)
    kept = (a + b * d)[1:].flip(0)  # the factor of x in steps T, ..., 1
    rows = []
    for k in range(T + 1):  # after k steps: x_T and every z so far, each times the factors that came later
        x = kept[:k].prod() * x_T
        for i in range(k):
            x = x + kept[i + 1 : k].prod() * c[T - i] * z[T - i]
        rows.append(x)
    try:
        answer.gives([Scale(d), Linear(a, b, c), x_T, z], torch.stack(rows))
    except Wrong as wrong:
        if wrong.found.get("error", "").startswith("IndexError"):
            wrong.found["hint"] = (
                "An entry is read that is not there. Is the number of steps written down, where an argument should say "
                "it? z has T + 1 entries, from z[0] to z[T]."
            )
        raise


@ANCESTRAL.check(
    "for data that is one point, it ends at that point, whatever the noise",
    "With the exact noise at every step, the last step gives x_0 itself.",
)
def _(answer: Answer, g: Generator) -> None:
    for shape, T in (((2, 1, 4, 4), 12), ((6, 2), 1), ((3, 5), 30)):
        m, net, step, x_T, z = _pieces(shape, T, g)
        x_ts = answer(net, step, x_T, z)
        answer.agrees("x_ts[0]", x_T, x_ts[0])
        answer.agrees("x_ts[-1]", m.expand(shape), x_ts[-1], tol=1e-7)


@ANCESTRAL.check(
    "on the way, the walk passes where the chain passed",
    "Many walkers towards one point m, from where the chain ended: at step t, their mean is √ᾱ_t m.",
)
def _(answer: Answer, g: Generator) -> None:
    T, n = 6, 500
    m, net, step, _, _ = _pieces((1, 1), T, g)
    signal, spread = net.alpha_bar.sqrt().flip(0), (1 - net.alpha_bar).sqrt()
    x_ts = answer(net, step, signal[0] * m + spread[T] * normal((n, 1), g), normal((T + 1, n, 1), g))
    expected = (signal[:, None] * m).expand(T + 1, 1)
    answer.agrees("mean of the walkers", 0 * expected, x_ts.mean(1) - expected, tol=0.35)


@ANCESTRAL.check("it takes float32 too", "Nothing in the loop depends on the precision of x_T.")
def _(answer: Answer, g: Generator) -> None:
    m, net, step, x_T, z = _pieces((3, 2), 6, g)
    x_ts = answer(net, step, x_T.float(), z.float())
    answer.agrees("x_ts[-1]", m.expand(3, 2), x_ts[-1], tol=10 * FLOAT32_TOL)
