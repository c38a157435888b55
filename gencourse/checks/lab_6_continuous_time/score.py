"""The score, from a guess of the noise: score = −ε̂/√(1 − ᾱ_t). Lecture 05 (6), (7)."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_3_diffusion.chain import (
    FLOAT32_TOL,
    SQUARE,
    chain,
    each,
    many,
    normal,
    recognised,
    some_beta,
    steps,
)
from gencourse.checks.spec import Exercise
from genlib import data
from genlib.diffusion import Schedule


def score(eps_hat: Tensor, t: Tensor, alpha_bar: Tensor) -> Tensor:
    deviation = (1 - alpha_bar[t]).sqrt()  # of the noise in x_t
    return -eps_hat / deviation.view(-1, *[1] * (eps_hat.dim() - 1))


SCORE = Exercise(
    "continuous.score",
    score,
    returns=["score"],
    batched=["eps_hat", "t"],
    second="x_t given x_0 is a Gaussian with mean √ᾱ_t x_0 and variance 1 − ᾱ_t: differentiate −(x_t − mean)²/(2 "
    "variance) "
    "by x_t, and put √(1 − ᾱ_t) ε in the place of x_t − mean. Each example has its own ᾱ_t: shape it (B, 1, ..., 1).",
    why="A network that removes noise is a network of scores: Langevin's walk, guidance and the ODE need nothing else.",
)

Numbers = tuple[Tensor, Tensor, Tensor]


def _numbers(shape: tuple[int, ...], g: Generator, T: int = 12) -> Numbers:
    """eps_hat, t in 2..T − 1, and the table."""
    signal, _ = chain(some_beta(T, g) / 2)
    return normal(shape, g), steps(2, T - 1, shape[0], g), signal**2


@SCORE.check(
    "the score is the guessed noise, turned round, in proportion to the noise in x_t",
    "Which way does log q(x_t | x_0) grow: along the noise, or against it? And is the slope steeper where there is "
    "little noise, or where there is much?",
)
def _(answer: Answer, g: Generator) -> None:
    eps_hat, t, alpha_bar = _numbers(SQUARE, g)
    expected = torch.stack([-e / (1 - float(alpha_bar[s])) ** 0.5 for e, s in zip(eps_hat, t.tolist(), strict=True)])
    recognised(answer, [eps_hat, t, alpha_bar], expected)


@SCORE.check(
    "with the noise that was added it is the gradient of log q(x_t | x_0)",
    "Write down the logarithm of the Gaussian of x_t given x_0, and differentiate it by x_t. What is x_t − √ᾱ_t x_0?",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in ((5, 3), (3, 2, 5, 7), (4, 1)):
        eps, t, alpha_bar = _numbers(shape, g)
        x_0, bar = normal(shape, g), each(alpha_bar, t, eps)
        x_t = (bar.sqrt() * x_0 + (1 - bar).sqrt() * eps).requires_grad_()
        log_q = torch.distributions.Normal(bar.sqrt() * x_0, (1 - bar).sqrt()).log_prob(x_t)
        (gradient,) = torch.autograd.grad(log_q.sum(), x_t)
        answer.gives([eps, t, alpha_bar], gradient, tol=1e-8)


@SCORE.check(
    "with the best guess of the noise it is the score of the noised data",
    "The same formula, with E[ε | x_t] in the place of ε. Nothing else depends on the data.",
)
def _(answer: Answer, g: Generator) -> None:
    points, schedule = data.GaussianMixture.ring(n=4), Schedule.cosine(T=30)
    x_t, t = normal((6, 2), g), steps(2, 29, 6, g)
    rows = [points.noised(float(schedule.alpha_bar[s])).score(x[None]) for x, s in zip(x_t, t.tolist(), strict=True)]
    answer.gives([points.optimal_eps(x_t, t, schedule), t, schedule.alpha_bar], torch.cat(rows), tol=1e-7)


@SCORE.check("where no signal is left it is −ε̂", "At ᾱ = 0 the data play no part: x_t is from N(0, I).")
def _(answer: Answer, g: Generator) -> None:
    eps_hat, _, alpha_bar = _numbers((4, 3), g)
    table = torch.cat([alpha_bar[:5], alpha_bar.new_zeros(1)])
    answer.gives([eps_hat, torch.full((4,), 5), table], -eps_hat)


@SCORE.check("it takes float32 too", "Nothing in the formula depends on the precision of eps_hat.")
def _(answer: Answer, g: Generator) -> None:
    eps_hat, t, alpha_bar = _numbers((4, 3), g)
    expected = -eps_hat / (1 - each(alpha_bar, t, eps_hat)).sqrt()
    answer.gives([eps_hat.float(), t, alpha_bar.float()], expected, tol=FLOAT32_TOL)


@SCORE.check(
    "it agrees with genlib on the cosine schedule",
    "Compare with diffusion.Schedule.cosine().convert. At t = 1 there is hardly any noise, and the score is large: is "
    "something kept away from 0 that may be small?",
)
def _(answer: Answer, g: Generator) -> None:
    s = Schedule.cosine(T=200)
    eps_hat, t = normal((8, 2), g), torch.cat([torch.tensor([1, 2, 200]), steps(3, 199, 5, g)])
    answer.gives([eps_hat, t, s.alpha_bar], s.convert(eps_hat, normal((8, 2), g), t, "eps", "score"), tol=1e-6)


@SCORE.pace
def _(g: Generator) -> Numbers:
    t = torch.randint(1, 201, (2000,), generator=g)
    return normal((2000, 2), g), t, torch.linspace(0.99, 0.01, 201).double()


def mistake(hint: str, second: str = "") -> Callable[[Callable[[Tensor, Tensor], Tensor]], None]:
    """Add a mistake, written for eps_hat and ᾱ_t, which is shaped to fit."""

    def add(function: Callable[[Tensor, Tensor], Tensor]) -> None:
        def gives(eps_hat: Tensor, t: Tensor, alpha_bar: Tensor) -> Tensor:
            return function(eps_hat, many(alpha_bar, t, eps_hat))

        gives.__name__ = function.__name__
        SCORE.mistake(hint, second)(gives)

    return add


@mistake(
    "The noise is divided by 1 − ᾱ_t, its variance. In (x_t − √ᾱ_t x_0)/(1 − ᾱ_t) something is left in the numerator.",
    "x_t − √ᾱ_t x_0 is √(1 − ᾱ_t) ε, not ε. Cancel.",
)
def not_rooted(eps_hat: Tensor, a: Tensor) -> Tensor:
    return -eps_hat / (1 - a)


@mistake("The divisor is √ᾱ_t, the share of the data. Whose deviation is it that makes x_t differ from its mean?")
def signal_for_noise(eps_hat: Tensor, a: Tensor) -> Tensor:
    return -eps_hat / a.sqrt()


@mistake("The divisor is ᾱ_t: the wrong one of two shares, and a variance where a deviation belongs.")
def signal_not_rooted(eps_hat: Tensor, a: Tensor) -> Tensor:
    return -eps_hat / a


@mistake(
    "The size is right, the sign is not. x_t lies where the noise has carried it: does log q grow further out, or on "
    "the way back?"
)
def along_the_noise(eps_hat: Tensor, a: Tensor) -> Tensor:
    return eps_hat / (1 - a).sqrt()


@mistake("Two things: the sign, for log q grows against the noise; and the divisor, which is a variance here.")
def along_and_not_rooted(eps_hat: Tensor, a: Tensor) -> Tensor:
    return eps_hat / (1 - a)


@mistake(
    "The noise is multiplied by its deviation, not divided: this is √ᾱ_t x_0 − x_t, the way back to the mean. A narrow "
    "Gaussian has steeper slopes than a wide one."
)
def multiplied(eps_hat: Tensor, a: Tensor) -> Tensor:
    return -eps_hat * (1 - a).sqrt()


@mistake("This is −ε̂ at every step. How much noise there is in x_t decides how steep log q is.")
def noise_level_ignored(eps_hat: Tensor, a: Tensor) -> Tensor:
    return -eps_hat


@mistake("1 − √ᾱ_t is no deviation: the root is taken of 1 − ᾱ_t as a whole.")
def one_minus_root(eps_hat: Tensor, a: Tensor) -> Tensor:
    return -eps_hat / (1 - a.sqrt())


@mistake("√(1 − √ᾱ_t) is no deviation: ᾱ_t is a share of the variance as it stands in the table.")
def rooted_twice(eps_hat: Tensor, a: Tensor) -> Tensor:
    return -eps_hat / (1 - a.sqrt()).sqrt()


@mistake(
    "The divisor is σ_t = √((1 − ᾱ_t)/ᾱ_t): that is the score in the units of x_t/√ᾱ_t, the process that does not "
    "shrink."
)
def in_other_units(eps_hat: Tensor, a: Tensor) -> Tensor:
    return -eps_hat / ((1 - a) / a).sqrt()


@mistake("There is a factor √ᾱ_t in the divisor that does not belong there: that is how x_0 is scaled, and ε̂ is not.")
def signal_in_the_divisor(eps_hat: Tensor, a: Tensor) -> Tensor:
    return -eps_hat / (a * (1 - a)).sqrt()


@mistake("The divisor is 1 + ᾱ_t under the root. What is the variance of the noise in x_t?")
def plus_for_minus(eps_hat: Tensor, a: Tensor) -> Tensor:
    return -eps_hat / (1 + a).sqrt()


@mistake("A half too many: the ½ in −(x_t − mean)²/(2 variance) is gone once the square is differentiated.")
def halved(eps_hat: Tensor, a: Tensor) -> Tensor:
    return -eps_hat / (2 * (1 - a).sqrt())


@SCORE.mistake("One step too early. alpha_bar has T + 1 entries, and its entry 0 belongs to t = 0.")
def one_step_early(eps_hat: Tensor, t: Tensor, alpha_bar: Tensor) -> Tensor:
    return score(eps_hat, t - 1, alpha_bar)


@SCORE.mistake("One step too late. alpha_bar[t] is ᾱ_t without any shift.")
def one_step_late(eps_hat: Tensor, t: Tensor, alpha_bar: Tensor) -> Tensor:
    return score(eps_hat, t + 1, torch.cat([alpha_bar, alpha_bar[-1:]]))


@SCORE.mistake(
    "alpha_bar[t] has shape (B,), and met the last axis of eps_hat: each column got the step of another example."
)
def along_the_last_axis(eps_hat: Tensor, t: Tensor, alpha_bar: Tensor) -> Tensor:
    if eps_hat.dim() == 1:
        raise ValueError("there is only one axis")
    return -eps_hat / (1 - alpha_bar[t]).sqrt()


@SCORE.mistake("Every example gets the noise level of the first one. Each has a step of its own, t[b].")
def one_step_for_all(eps_hat: Tensor, t: Tensor, alpha_bar: Tensor) -> Tensor:
    return score(eps_hat, t[:1].expand(len(t)), alpha_bar)


@SCORE.mistake(
    "This is β_t, the variance of the noise of one step. x_t holds the noise of all steps so far, of variance 1 − ᾱ_t."
)
def of_one_step(eps_hat: Tensor, t: Tensor, alpha_bar: Tensor) -> Tensor:
    beta = many(1 - alpha_bar[1:] / alpha_bar[:-1], t - 1, eps_hat)
    return -eps_hat / beta.sqrt()


@SCORE.mistake(
    "The deviations are shaped (B, 1), which fits points alone: of pictures they met the rows. One number for each "
    "example has as many axes as eps_hat."
)
def along_another_axis(eps_hat: Tensor, t: Tensor, alpha_bar: Tensor) -> Tensor:
    if eps_hat.dim() < 3:
        raise ValueError("there it is right, or has another shape")
    return -eps_hat / (1 - alpha_bar[t]).sqrt().view(-1, 1)


@SCORE.mistake("alpha_bar is the running product already: its entry t is ᾱ_t, and nothing is to be multiplied again.")
def multiplied_again(eps_hat: Tensor, t: Tensor, alpha_bar: Tensor) -> Tensor:
    return score(eps_hat, t, alpha_bar.cumprod(0))


@SCORE.mistake("The table is read from its other end. Its entry 0 is the data, and t counts up towards the noise.")
def read_from_the_end(eps_hat: Tensor, t: Tensor, alpha_bar: Tensor) -> Tensor:
    return score(eps_hat, t, alpha_bar.flip(0))


@mistake("The divisor is (1 − ᾱ_t)^(3/2): a variance and a deviation. One deviation is enough.")
def divided_twice(eps_hat: Tensor, a: Tensor) -> Tensor:
    return -eps_hat / (1 - a) ** 1.5
