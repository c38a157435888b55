"""What the network is asked to say: the noise, the data, or the velocity. Lecture 04 (12), (13)."""

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_3_diffusion.chain import (
    FLOAT32_TOL,
    SQUARE,
    chain,
    each,
    normal,
    recognised,
    some_beta,
    steps,
)
from gencourse.checks.lab_3_diffusion.names import name_mistakes, names_apart
from gencourse.checks.spec import Exercise
from genlib.diffusion import Schedule

PREDICT = ("eps", "x_0", "v")


def target(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    if predict == "eps":
        return eps
    if predict == "x_0":
        return x_0
    a = alpha_bar[t].view(-1, *[1] * (x_0.dim() - 1))
    return a.sqrt() * eps - (1 - a).sqrt() * x_0  # d/dφ of cos φ x_0 + sin φ eps


TARGET = Exercise(
    "diffusion.target",
    target,
    returns=["target"],
    batched=["x_0", "eps", "t"],
    second='Three cases: for "eps" and "x_0" an argument comes back as it is. For "v", take a = alpha_bar[t], shaped '
    "(B, 1, ..., 1), so that √a = cos φ and √(1 − a) = sin φ, and differentiate cos φ x_0 + sin φ eps by φ.",
    why="Which of the three a network learns decides at which steps its errors count; with x_t it gives the others.",
)


def _numbers(shape: tuple[int, ...], g: Generator, T: int = 8) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x_0, eps, t and the table."""
    signal, _ = chain(some_beta(T, g))
    return normal(shape, g), normal(shape, g), steps(1, T - 1, shape[0], g), signal**2


def velocity(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor) -> Tensor:
    """How fast x_t = cos φ x_0 + sin φ ε moves as φ grows, where cos² φ = ᾱ_t: by autograd."""
    angle = each(alpha_bar, t, x_0).sqrt().acos().requires_grad_()
    (speed,) = torch.autograd.grad((angle.cos() * x_0 + angle.sin() * eps).sum(), angle)
    return speed


@TARGET.check(
    "it is what `predict` names: the noise, the data or the velocity",
    "Which of the three is asked for, and what is it made of?",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, eps, t, alpha_bar = _numbers(SQUARE, g)
    targets = {"v": velocity(x_0, eps, t, alpha_bar), "eps": eps, "x_0": x_0}  # v first, where no two mistakes agree
    names_apart(answer, [x_0, eps, t, alpha_bar], targets)
    for predict, wanted in targets.items():
        recognised(answer, [x_0, eps, t, alpha_bar, predict], wanted)


@TARGET.check(
    '"eps" asks for the noise, "x_0" for the data',
    "Two of the three answers need no computation. Which argument is it that `predict` names?",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, eps, t, alpha_bar = _numbers(SQUARE, g)
    answer.gives([x_0, eps, t, alpha_bar, "eps"], eps)
    answer.gives([x_0, eps, t, alpha_bar, "x_0"], x_0)


@TARGET.check(
    '"v" asks for the velocity: together with x_t it gives the data back',
    "√ᾱ_t x_t − √(1 − ᾱ_t) v has to be x_0. Put x_t in, and look at what is left for v.",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, eps, t, alpha_bar = _numbers(SQUARE, g)
    signal, noise = each(alpha_bar, t, x_0).sqrt(), (1 - each(alpha_bar, t, x_0)).sqrt()
    x_t = signal * x_0 + noise * eps
    answer.agrees("√ᾱ_t x_t − √(1 − ᾱ_t) v", x_0, signal * x_t - noise * answer(x_0, eps, t, alpha_bar, "v"), tol=1e-8)


@TARGET.check(
    "v is how fast x_t turns from x_0 towards eps",
    "With √ᾱ_t = cos φ and √(1 − ᾱ_t) = sin φ, v is the derivative of x_t by φ.",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in ((5, 3), (3, 2, 5, 7)):
        x_0, eps, t, alpha_bar = _numbers(shape, g)
        answer.gives([x_0, eps, t, alpha_bar, "v"], velocity(x_0, eps, t, alpha_bar), tol=1e-8)


@TARGET.check("it takes float32 too", "Nothing in the formula depends on the precision of x_0.")
def _(answer: Answer, g: Generator) -> None:
    x_0, eps, t, alpha_bar = _numbers(SQUARE, g)
    args = [x_0.float(), eps.float(), t, alpha_bar.float(), "v"]
    answer.gives(args, velocity(x_0, eps, t, alpha_bar), tol=FLOAT32_TOL)


@TARGET.check("it agrees with genlib on the cosine schedule", "Compare with diffusion.Schedule.cosine().convert.")
def _(answer: Answer, g: Generator) -> None:
    s = Schedule.cosine(T=200)
    x_0, eps, t = normal((8, 2), g), normal((8, 2), g), steps(1, 200, 8, g)
    for predict in PREDICT:
        expected = s.convert(eps, s.q_sample(x_0, t, eps), t, "eps", predict)  # type: ignore[arg-type]
        answer.gives([x_0, eps, t, s.alpha_bar, predict], expected, tol=1e-6)


def _either(x_0: Tensor, eps: Tensor, predict: str, v: Tensor) -> Tensor:
    return {"eps": eps, "x_0": x_0, "v": v}[predict]


def _factors(x_0: Tensor, t: Tensor, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    bar = each(alpha_bar, t, x_0)
    return bar.sqrt(), (1 - bar).sqrt()


@TARGET.mistake(
    "It is the noise, whatever is asked for. Does the answer depend on `predict`, and are its names spelt as they come?"
)
def always_eps(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    return eps


@TARGET.mistake(
    "It is the data, whatever is asked for. Does the answer depend on `predict`, and are its names spelt as they come?"
)
def always_x_0(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    return x_0


@TARGET.mistake("The names are exchanged: the noise comes where the data was asked for.")
def exchanged(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, noise = _factors(x_0, t, alpha_bar)
    return _either(eps, x_0, predict, signal * eps - noise * x_0)


@TARGET.mistake("This is x_t, the position. v is its velocity: the same two factors, in other places, and a sign.")
def x_t_for_v(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, noise = _factors(x_0, t, alpha_bar)
    return _either(x_0, eps, predict, signal * x_0 + noise * eps)


@TARGET.mistake("The factors stand at the wrong ends. For small t, x_t is nearly x_0, and moves towards ...?")
def swapped(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, noise = _factors(x_0, t, alpha_bar)
    return _either(x_0, eps, predict, noise * eps - signal * x_0)


@TARGET.mistake("This is −v. The noise comes in with growing t, so which of the two has the minus?")
def v_turned(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, noise = _factors(x_0, t, alpha_bar)
    return _either(x_0, eps, predict, noise * x_0 - signal * eps)


@TARGET.mistake("The factors are right, but they are added. As the noise grows, what happens to the share of x_0?")
def added(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, noise = _factors(x_0, t, alpha_bar)
    return _either(x_0, eps, predict, signal * eps + noise * x_0)


@TARGET.mistake("The factors are ᾱ_t and 1 − ᾱ_t, shares of a variance. Amplitudes are wanted, as in x_t.")
def not_rooted(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, noise = _factors(x_0, t, alpha_bar)
    return _either(x_0, eps, predict, signal**2 * eps - noise**2 * x_0)


@TARGET.mistake("The plain difference of noise and data: that is another model's velocity, on a straight line.")
def straight(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    return _either(x_0, eps, predict, eps - x_0)


@TARGET.mistake("One step too early. alpha_bar has T + 1 entries, and its entry 0 belongs to t = 0.")
def one_step_early(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, noise = _factors(x_0, t - 1, alpha_bar)
    return _either(x_0, eps, predict, signal * eps - noise * x_0)


@TARGET.mistake(
    "alpha_bar[t] has shape (B,), and met the last axis of the data: each column got the step of another example."
)
def along_the_last_axis(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    bar = alpha_bar[t]
    return _either(x_0, eps, predict, bar.sqrt() * eps - (1 - bar).sqrt() * x_0)


@TARGET.mistake(
    "It is the velocity, whatever is asked for. Does the answer depend on `predict`, and are its names spelt as they "
    "come?"
)
def always_v(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, noise = _factors(x_0, t, alpha_bar)
    return signal * eps - noise * x_0


@TARGET.mistake("1 − √ᾱ_t is no amplitude. The squares of the two factors add up to 1, the factors do not.")
def one_minus_root(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, _ = _factors(x_0, t, alpha_bar)
    return _either(x_0, eps, predict, signal * eps - (1 - signal) * x_0)


@TARGET.mistake("Both terms of v have the factor √ᾱ_t. As the share of one falls, what does the other do?")
def signal_for_both(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, _ = _factors(x_0, t, alpha_bar)
    return _either(x_0, eps, predict, signal * (eps - x_0))


@TARGET.mistake("In v, x_0 and eps have changed places. Which of the two comes in as t grows?")
def v_exchanged(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, noise = _factors(x_0, t, alpha_bar)
    return _either(x_0, eps, predict, signal * x_0 - noise * eps)


@TARGET.mistake("Asked for the noise, it gives x_t. The noise by itself is an argument.")
def x_t_for_eps(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, noise = _factors(x_0, t, alpha_bar)
    return {"eps": signal * x_0 + noise * eps, "x_0": x_0, "v": signal * eps - noise * x_0}[predict]


@TARGET.mistake("Noise and data come scaled, as they are inside x_t. The network is asked for them as they are.")
def scaled(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, noise = _factors(x_0, t, alpha_bar)
    return {"eps": noise * eps, "x_0": signal * x_0, "v": signal * eps - noise * x_0}[predict]


@TARGET.mistake("This is the difference of x at two steps, or a derivative by t. v is the derivative by the angle φ.")
def by_t(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    (signal, noise), (later, noisier) = (_factors(x_0, i, alpha_bar) for i in (t, t + 1))
    return _either(x_0, eps, predict, (later - signal) * x_0 + (noisier - noise) * eps)


@TARGET.mistake("This is a derivative by ᾱ_t. v is the derivative by the angle φ.")
def by_alpha_bar(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, noise = _factors(x_0, t, alpha_bar)
    return _either(x_0, eps, predict, x_0 / (2 * signal) - eps / (2 * noise))


@TARGET.mistake("The factor of x_0 in v lacks its root: 1 − ᾱ_t is a variance.")
def noise_not_rooted(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, noise = _factors(x_0, t, alpha_bar)
    return _either(x_0, eps, predict, signal * eps - noise**2 * x_0)


@TARGET.mistake("The factor of eps in v lacks its root: ᾱ_t is a share of a variance.")
def signal_not_rooted(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, noise = _factors(x_0, t, alpha_bar)
    return _either(x_0, eps, predict, signal**2 * eps - noise * x_0)


@TARGET.mistake("The noise minus x_t: that points from here to eps. A velocity points along the way, the ellipse.")
def towards_eps(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, noise = _factors(x_0, t, alpha_bar)
    return _either(x_0, eps, predict, eps - signal * x_0 - noise * eps)


@TARGET.mistake("One step too late. alpha_bar[t] is ᾱ_t without any shift.")
def one_step_late(x_0: Tensor, eps: Tensor, t: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    signal, noise = _factors(x_0, t + 1, torch.cat([alpha_bar, alpha_bar[-1:]]))
    return _either(x_0, eps, predict, signal * eps - noise * x_0)


name_mistakes(TARGET, "comes")
