"""From step t to any earlier step s, with as much new noise as one likes. Lecture 04 (27)."""

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_3_diffusion.chain import FLOAT32_TOL, SQUARE, chain, each, many, normal, some_beta, steps
from gencourse.checks.lab_3_diffusion.posterior import bayes
from gencourse.checks.spec import Exercise
from genlib import data, diffusion

Numbers = tuple[Tensor, Tensor, Tensor, Tensor, float, Tensor, Tensor]


def _own_ddim_step(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    x_0, sigma_2, before = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before - sigma_2).clamp(min=0).sqrt() * eps_hat + sigma_2.sqrt() * z


def _parts(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, alpha_bar: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The guess of x_0, σ², and ᾱ_s."""
    now, before = many(alpha_bar, t, x_t), many(alpha_bar, s, x_t)
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return x_0, eta**2 * (1 - before) / (1 - now) * (1 - now / before), before


DDIM_STEP = Exercise("diffusion.ddim_step", _own_ddim_step, returns=["x_s"], batched=["x_t", "eps_hat", "t", "s", "z"])


def _numbers(shape: tuple[int, ...], g: Generator, T: int = 12) -> tuple[Tensor, Numbers]:
    """x_0, and the arguments that belong to it: eps_hat is the noise that made x_t. 2 <= s <= t − 2."""
    signal, variance = chain(some_beta(T, g) / 2)
    x_0, eps = normal(shape, g), normal(shape, g)
    s, t = steps(2, 6, shape[0], g), steps(8, T, shape[0], g)
    x_t = each(signal, t, x_0) * x_0 + each(variance, t, x_0).sqrt() * eps
    eta = 0.3 + 0.4 * float(torch.rand(1, generator=g))
    return x_0, (x_t, eps, t, s, eta, normal(shape, g), signal**2)


@DDIM_STEP.check(
    "with η = 0 and a perfect guess, x_s is the same x_0 under the same noise, at level s",
    "First x_0 from x_t and eps_hat. Then put the two together again, in the proportions of step s.",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in (SQUARE, (5, 3)):
        x_0, (x_t, eps, t, s, _, z, alpha_bar) = _numbers(shape, g)
        bar = each(alpha_bar, s, x_0)
        answer.gives([x_t, eps, t, s, 0.0, z, alpha_bar], bar.sqrt() * x_0 + (1 - bar).sqrt() * eps)


@DDIM_STEP.check(
    "for any η, old and new noise have the variance 1 − ᾱ_s together",
    "New noise of variance σ² comes in. The old noise has to make room for it.",
)
def _(answer: Answer, g: Generator) -> None:
    _, (x_t, _, t, s, eta, z, alpha_bar) = _numbers(SQUARE, g)
    noise = (1 - each(alpha_bar, t, x_t)).sqrt()  # x_t of x_0 = 0, under a noise of 1
    one, zero = torch.ones_like(z), torch.zeros_like(z)
    old = answer(noise, one, t, s, eta, zero, alpha_bar)
    both = answer(noise, one, t, s, eta, -one, alpha_bar)
    answer.agrees("old² + new²", 1 - each(alpha_bar, s, x_t), old**2 + (both - old) ** 2)


@DDIM_STEP.check(
    "with η = 1 it is the posterior of a chain that goes from s to t in one step",
    "Then σ² is the variance of q(x_s | x_t, x_0). η stands for the share of that standard deviation.",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, (x_t, eps, t, s, eta, z, alpha_bar) = _numbers((4, 3), g)
    for b in range(len(x_0)):
        one = slice(b, b + 1)
        now, before = alpha_bar[t[b]], alpha_bar[s[b]]
        beta, table = torch.stack([0 * now, 1 - before, 1 - now / before]), torch.stack([0 * now + 1, before, now])
        mean, var = bayes(x_0[one], x_t[one], torch.tensor([2]), beta, table)
        args = x_t[one], eps[one], t[one], s[one]
        answer.gives([*args, 1.0, torch.ones_like(z[one]), alpha_bar], mean + var.sqrt(), tol=1e-6)
        still = answer(*args, 1.0, torch.zeros_like(z[one]), alpha_bar)
        answer.agrees("x_s without z", mean, still, tol=1e-7)
        moved = answer(*args, 1.0, torch.ones_like(z[one]), alpha_bar)
        answer.agrees("(change with z)²", var, (moved - still) ** 2, tol=1e-7)
        answer.agrees("change with z", var.sqrt(), moved - still, tol=1e-6)
    zero = torch.zeros_like(z)
    whole = answer(x_t, eps, t, s, 1.0, z, alpha_bar) - answer(x_t, eps, t, s, 1.0, zero, alpha_bar)
    part = answer(x_t, eps, t, s, eta, z, alpha_bar) - answer(x_t, eps, t, s, eta, zero, alpha_bar)
    answer.agrees("new noise with η, over new noise with 1", torch.full_like(z, eta), part / whole)


@DDIM_STEP.check(
    "the step to s = 0 gives x_0, without noise",
    "What is alpha_bar[0], and what does it make of σ?",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in ((3, 3, 5, 2), (5,)):
        x_0, (x_t, eps, t, s, eta, z, alpha_bar) = _numbers(shape, g)
        answer.gives([x_t, eps, t, 0 * s, eta, z, alpha_bar], x_0, tol=1e-8)
    x_0, (x_t, eps, t, s, _, z, alpha_bar) = _numbers((4, 3), g)
    s = torch.cat([0 * s[:1], s[1:]])  # one arrives, the others go on
    bar = each(alpha_bar, s, x_0)
    answer.gives([x_t, eps, t, s, 0.0, z, alpha_bar], bar.sqrt() * x_0 + (1 - bar).sqrt() * eps, tol=1e-8)


@DDIM_STEP.check("it takes float32 too", "Nothing in the formula depends on the precision of x_t.")
def _(answer: Answer, g: Generator) -> None:
    x_0, (x_t, eps, t, s, _, z, alpha_bar) = _numbers((4, 3), g)
    bar = each(alpha_bar, s, x_0)
    args = [x_t.float(), eps.float(), t, s, 0.0, z.float(), alpha_bar.float()]
    answer.gives(args, bar.sqrt() * x_0 + (1 - bar).sqrt() * eps, tol=10 * FLOAT32_TOL)


@DDIM_STEP.check("it agrees with genlib, step by step", "Compare with diffusion.ddim, on points.")
def _(answer: Answer, g: Generator) -> None:
    points, schedule = data.GaussianMixture.ring(n=4), diffusion.Schedule.cosine(T=12)
    model = diffusion.DDPM(lambda x_t, t, label: points.optimal_eps(x_t, t, schedule), schedule)
    way = list(diffusion.ddim(model, (6, 2), steps=3, x_T=normal((6, 2), g)))
    for i, x_t in enumerate(way[:-1]):
        t = torch.full((6,), 12 - 4 * i)
        args = [x_t, points.optimal_eps(x_t, t, schedule), t, t - 4, 0.0, normal((6, 2), g), schedule.alpha_bar]
        answer.gives(args, way[i + 1], tol=1e-8)


def _put(x_0: Tensor, eps: Tensor, before: Tensor, sigma_2: Tensor, z: Tensor, cut: bool = False) -> Tensor:
    room = 1 - before - sigma_2
    return before.sqrt() * x_0 + (room.clamp(min=0) if cut else room).sqrt() * eps + sigma_2.sqrt() * z


@DDIM_STEP.mistake("t and s have changed places: x_t is unpacked with ᾱ_s. At which step was it packed?")
def direction_turned(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    x_0, _, before = _parts(x_t, eps_hat, s, t, eta, alpha_bar)
    return _put(x_0, eps_hat, before, 0 * x_t, z)


@DDIM_STEP.mistake("One example goes to s = 0, and all others go there too. Each has a step of its own.")
def one_for_all(x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor) -> Tensor:
    if not (s == 0).any():
        raise ValueError("nobody goes to 0")
    return _parts(x_t, eps_hat, t, s, eta, alpha_bar)[0]


@DDIM_STEP.mistake("This is the guess of x_0. It has to be noised again, to the level of step s.")
def all_the_way(x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor) -> Tensor:
    return _parts(x_t, eps_hat, t, s, eta, alpha_bar)[0]


@DDIM_STEP.mistake(
    "A root of a negative number: σ² is larger than 1 − ᾱ_s, and nothing is left for the old noise. σ² has two ratios: "
    "is one missing, or turned?"
)
def no_room_left(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    if (s == 0).any():
        raise ValueError("there it has another cause, 0/0")
    return torch.full_like(x_t, torch.nan)


@DDIM_STEP.mistake("In σ², only the first of the two ratios is there. How much noise do the steps from s to t bring?")
def second_ratio_missing(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    x_0, _, before = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    sigma_2 = eta**2 * (1 - before) / (1 - many(alpha_bar, t, x_t))
    return _put(x_0, eps_hat, before, sigma_2, z, cut=True)


@DDIM_STEP.mistake("In σ², the first of the two ratios is missing: how much of the noise of step t is there at s?")
def first_ratio_missing(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    x_0, _, before = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    sigma_2 = eta**2 * (1 - many(alpha_bar, t, x_t) / before)
    return _put(x_0, eps_hat, before, sigma_2, z, cut=True)


@DDIM_STEP.mistake("x_0 is scaled to step s, but the old noise is missing.")
def no_old_noise(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    x_0, sigma_2, before = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + sigma_2.sqrt() * z


@DDIM_STEP.mistake("Both levels are read one step too early: entry 0 of alpha_bar is t = 0.")
def one_step_early(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    if (s == 0).any():
        raise IndexError("there is no step before 0")
    return _own_ddim_step(x_t, eps_hat, t - 1, s - 1, eta, z, alpha_bar)


@DDIM_STEP.mistake("The step goes to t − 1, whatever s is.")
def to_t_minus_1(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    return _own_ddim_step(x_t, eps_hat, t, t - 1, eta, z, alpha_bar)


@DDIM_STEP.mistake("The factors are ᾱ and 1 − ᾱ, shares of a variance. Amplitudes are wanted, as in x_t.")
def not_rooted(x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor) -> Tensor:
    now, before = each(alpha_bar, t, x_t), each(alpha_bar, s, x_t)
    _, sigma_2, _ = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before * (x_t - (1 - now) * eps_hat) / now + (1 - before - sigma_2) * eps_hat + sigma_2 * z


@DDIM_STEP.mistake("The guess of x_0 has the noise added once more. Which sign takes it out of x_t?")
def eps_added(x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor) -> Tensor:
    now = each(alpha_bar, t, x_t)
    _, sigma_2, before = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return _put((x_t + (1 - now).sqrt() * eps_hat) / now.sqrt(), eps_hat, before, sigma_2, z)


@DDIM_STEP.mistake("η does nothing: whatever it is, the answer is that of 0.")
def no_eta(x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor) -> Tensor:
    return _own_ddim_step(x_t, eps_hat, t, s, 0.0, z, alpha_bar)


@DDIM_STEP.mistake("The old noise keeps its full size beside the new: x_s is too noisy for step s.")
def no_room(x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor) -> Tensor:
    x_0, sigma_2, before = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before).sqrt() * eps_hat + sigma_2.sqrt() * z


@DDIM_STEP.mistake("Standard deviations are subtracted: √(1 − ᾱ_s) − σ. Variances add up, deviations do not.")
def deviations_subtracted(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    x_0, sigma_2, before = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + ((1 - before).sqrt() - sigma_2.sqrt()) * eps_hat + sigma_2.sqrt() * z


@DDIM_STEP.mistake("z is multiplied by the variance σ². What turns standard noise into noise of that variance?")
def noise_not_rooted(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    x_0, sigma_2, before = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before - sigma_2).sqrt() * eps_hat + sigma_2 * z


@DDIM_STEP.mistake("The old noise has made room, but nothing fills it: where does z enter?")
def no_new_noise(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    return _own_ddim_step(x_t, eps_hat, t, s, eta, 0 * z, alpha_bar)


@DDIM_STEP.mistake("The variance has the factor η. η scales the standard deviation: which factor has the variance?")
def eta_not_squared(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    return _own_ddim_step(x_t, eps_hat, t, s, eta**0.5, z, alpha_bar)


@DDIM_STEP.mistake("In σ², the first ratio is turned: the smaller noise, that of step s, stands above.")
def ratio_turned(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    if (s == 0).any():
        raise ZeroDivisionError("1 − ᾱ_0 is 0")
    x_0, sigma_2, before = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    sigma_2 = sigma_2 * ((1 - each(alpha_bar, t, x_t)) / (1 - before)) ** 2
    return _put(x_0, eps_hat, before, sigma_2, z)


@DDIM_STEP.mistake("σ² is that of one step of the chain. From t to s it is several: what is their α together?")
def sigma_of_one_step(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    if (s == 0).any():
        raise ValueError("no room for it in the last step")
    x_0, _, before = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    _, sigma_2, _ = _parts(x_t, eps_hat, t, t - 1, eta, alpha_bar)
    return _put(x_0, eps_hat, before, sigma_2, z)


@DDIM_STEP.mistake(
    "The table's entries met the last axis of x_t: each column got the step of another example. "
    "Shape them (B, 1, ..., 1)."
)
def along_the_last_axis(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    now, before = alpha_bar[t], alpha_bar[s]
    sigma_2 = eta**2 * (1 - before) / (1 - now) * (1 - now / before)
    return _put((x_t - (1 - now).sqrt() * eps_hat) / now.sqrt(), eps_hat, before, sigma_2, z)


@DDIM_STEP.mistake("x_t and eps_hat have changed places: from which is the other taken out?")
def exchanged(x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor) -> Tensor:
    x_0, sigma_2, before = _parts(eps_hat, x_t, t, s, eta, alpha_bar)
    return _put(x_0, eps_hat, before, sigma_2, z)


@DDIM_STEP.mistake("Old and new noise have changed places: σ belongs to z, the rest of the variance to eps_hat.")
def noises_exchanged(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    x_0, sigma_2, before = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return _put(x_0, z, before, sigma_2, eps_hat)


@DDIM_STEP.mistake("The guess of x_0 is cut to [−1, 1]. Many do so for pictures, but this formula does not.")
def clamped(x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor) -> Tensor:
    x_0, sigma_2, before = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return _put(x_0.clamp(-1, 1), eps_hat, before, sigma_2, z)


@DDIM_STEP.mistake("σ² is added to the old noise's variance. New noise comes, so which way does the old one change?")
def room_added(x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor) -> Tensor:
    x_0, sigma_2, before = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before + sigma_2).sqrt() * eps_hat + sigma_2.sqrt() * z


@DDIM_STEP.mistake("The old noise has the size of step t. We arrive at s, where there is less of it.")
def noise_of_t(x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor) -> Tensor:
    x_0, sigma_2, before = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    noise = (1 - many(alpha_bar, t, x_t) - sigma_2).sqrt()
    return before.sqrt() * x_0 + noise * eps_hat + sigma_2.sqrt() * z


@DDIM_STEP.mistake("x_0 is scaled as at step t. We arrive at s, where more of it is left.")
def signal_of_t(x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor) -> Tensor:
    x_0, sigma_2, before = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return _put((many(alpha_bar, t, x_t) / before).sqrt() * x_0, eps_hat, before, sigma_2, z)


@DDIM_STEP.mistake("The new noise is subtracted. As a draw that is as good, but it is not what z says.")
def noise_subtracted(
    x_t: Tensor, eps_hat: Tensor, t: Tensor, s: Tensor, eta: float, z: Tensor, alpha_bar: Tensor
) -> Tensor:
    x_0, sigma_2, before = _parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return _put(x_0, eps_hat, before, sigma_2, -z)
