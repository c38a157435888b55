"""x_t from x_0, in one go. Lecture 04 (5)."""

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_3_diffusion.chain import (
    FLOAT32_TOL,
    SQUARE,
    chain,
    each,
    normal,
    piece,
    recognised,
    some_beta,
    steps,
)
from gencourse.checks.spec import Exercise
from genlib.diffusion import Schedule


def q_sample(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    a = alpha_bar[t].view(-1, *[1] * (x_0.dim() - 1))  # (B, 1, ..., 1): one number for each example, whatever its shape
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps  # the roots, for ᾱ_t and 1 − ᾱ_t are variances


Q_SAMPLE = Exercise(
    "diffusion.q_sample",
    q_sample,
    returns=["x_t"],
    batched=["x_0", "t", "eps"],
    second="By hand, with alpha_bar[3] = 0.64: at t = 3, x_t is 0.8 x_0 + 0.6 eps. For a batch, alpha_bar[t] is (B,); "
    "viewed as (B, 1, ..., 1), with x_0.dim() − 1 ones, it multiplies whole examples, and both factors come from it.",
    why="A training step costs one call of the network, however many steps the chain has: x_t is one jump away.",
)


@Q_SAMPLE.check(
    "x_t is what the chain makes of x_0 in t steps",
    "What is left of the signal, and how much noise has come in?",
)
def _(answer: Answer, g: Generator) -> None:
    signal, variance = chain(some_beta(8, g))
    x_0, eps, t = normal(SQUARE, g), normal(SQUARE, g), steps(1, 7, 4, g)
    expected = each(signal, t, x_0) * x_0 + each(variance, t, x_0).sqrt() * eps
    recognised(answer, [x_0, t, eps, signal**2], expected)


@Q_SAMPLE.check(
    "without noise, x_t is x_0 as t steps of the chain shrink it",
    "Set eps to 0. Each step multiplies x by √(1 − β_t): what is the product of t of them, written with ᾱ_t?",
)
def _(answer: Answer, g: Generator) -> None:
    signal, variance = chain(some_beta(8, g))
    x_0, t = normal(SQUARE, g), steps(1, 7, 4, g)
    piece(answer, "x_t", each(signal, t, x_0) * x_0, answer(x_0, t, torch.zeros_like(x_0), 1 - variance))


@Q_SAMPLE.check(
    "of x_0 = 0 only noise is left, with the variance that t steps bring",
    "Set x_0 to 0. Then x_t is eps times a standard deviation: which one?",
)
def _(answer: Answer, g: Generator) -> None:
    signal, variance = chain(some_beta(8, g))
    eps, t = normal(SQUARE, g), steps(1, 7, 4, g)
    piece(answer, "x_t", each(variance, t, eps).sqrt() * eps, answer(torch.zeros_like(eps), t, eps, signal**2))


@Q_SAMPLE.check(
    "x_t is signal plus noise, whatever the shape of an example",
    "The same line has to serve points (B, 2) and images (B, C, H, W): how many axes the data has, x_0 itself knows.",
)
def _(answer: Answer, g: Generator) -> None:
    signal, variance = chain(some_beta(8, g))
    for shape in ((3, 2, 5, 7), (6, 2)):
        x_0, eps, t = normal(shape, g), normal(shape, g), steps(1, 7, shape[0], g)
        expected = each(signal, t, x_0) * x_0 + each(variance, t, x_0).sqrt() * eps
        answer.gives([x_0, t, eps, signal**2], expected)


@Q_SAMPLE.check(
    "the first step and the last are where they belong",
    "alpha_bar[0] is the data before any noise; t runs from 1 to T, and alpha_bar[t] is ᾱ_t without any shift.",
)
def _(answer: Answer, g: Generator) -> None:
    for T in (1, 2, int(torch.randint(5, 40, (1,), generator=g))):
        signal, variance = chain(some_beta(T, g))
        x_0, eps, t = normal((2, 3), g), normal((2, 3), g), torch.tensor([1, T])
        expected = each(signal, t, x_0) * x_0 + each(variance, t, x_0).sqrt() * eps
        answer.gives([x_0, t, eps, signal**2], expected)


@Q_SAMPLE.check("it takes float32 too", "Nothing in the formula depends on the precision of x_0.")
def _(answer: Answer, g: Generator) -> None:
    signal, variance = chain(some_beta(8, g))
    x_0, eps, t = normal(SQUARE, g), normal(SQUARE, g), steps(1, 7, 4, g)
    expected = each(signal, t, x_0) * x_0 + each(variance, t, x_0).sqrt() * eps
    answer.gives([x_0.float(), t, eps.float(), (signal**2).float()], expected, tol=FLOAT32_TOL)
    answer.keeps_dtype("x_0")


@Q_SAMPLE.check("it agrees with genlib on the linear schedule", "Compare with diffusion.Schedule.linear().q_sample.")
def _(answer: Answer, g: Generator) -> None:
    schedule = Schedule.linear(T=1000)
    x_0, eps, t = normal((8, 2), g), normal((8, 2), g), steps(1, 1000, 8, g)
    answer.gives([x_0, t, eps, schedule.alpha_bar], schedule.q_sample(x_0, t, eps))


def signal_and_noise(x_0: Tensor, t: Tensor, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    bar = each(alpha_bar, t, x_0)
    return bar.sqrt(), (1 - bar).sqrt()


@Q_SAMPLE.mistake("The factor of x_0 is ᾱ_t here. ᾱ_t is what is left of the signal's variance: and of the signal?")
def signal_not_rooted(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t, alpha_bar)
    return signal**2 * x_0 + noise * eps


@Q_SAMPLE.mistake("eps is multiplied by a variance here. What turns standard noise into noise of that variance?")
def noise_not_rooted(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t, alpha_bar)
    return signal * x_0 + noise**2 * eps


@Q_SAMPLE.mistake("1 − √ᾱ_t is no standard deviation here. Variances add up to 1, standard deviations do not.")
def one_minus_root(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, _ = signal_and_noise(x_0, t, alpha_bar)
    return signal * x_0 + (1 - signal) * eps


@Q_SAMPLE.mistake("The noise is right, but x_0 has its full size. What did the chain do to it on the way?")
def not_shrunk(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    _, noise = signal_and_noise(x_0, t, alpha_bar)
    return x_0 + noise * eps


@Q_SAMPLE.mistake("No noise comes in: where does eps enter?")
def no_noise(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, _ = signal_and_noise(x_0, t, alpha_bar)
    return signal * x_0


@Q_SAMPLE.mistake("The two factors have changed places: for small t nearly all of x_0 is left.")
def swapped(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t, alpha_bar)
    return noise * x_0 + signal * eps


@Q_SAMPLE.mistake(
    "The sign of the noise is turned. As a draw that is as good, but a network that learns eps sees −eps."
)
def noise_subtracted(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t, alpha_bar)
    return signal * x_0 - noise * eps


@Q_SAMPLE.mistake("One step too early. alpha_bar has T + 1 entries, and its entry 0 belongs to t = 0.")
def one_step_early(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t - 1, alpha_bar)
    return signal * x_0 + noise * eps


@Q_SAMPLE.mistake("One step too late. alpha_bar[t] needs no shift.")
def one_step_late(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t + 1, torch.cat([alpha_bar, alpha_bar[-1:]]))
    return signal * x_0 + noise * eps


@Q_SAMPLE.mistake("All examples get the noise of the first one's step. t holds one step for each example.")
def first_step_for_all(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t[:1].expand(len(x_0)), alpha_bar)
    return signal * x_0 + noise * eps


@Q_SAMPLE.mistake(
    "alpha_bar[t] has shape (B,), and met the last axis of x_0: each column got the step of another example. "
    "Shapes are aligned from the right. Which shape puts B first, and works for any number of axes?"
)
def along_the_last_axis(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    bar = alpha_bar[t]
    return bar.sqrt() * x_0 + (1 - bar).sqrt() * eps


@Q_SAMPLE.mistake("The examples of the batch have been added up. Each keeps its own x_t.")
def batch_summed(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t, alpha_bar)
    return (signal * x_0 + noise * eps).sum(0)


@Q_SAMPLE.mistake("x_t is cut to [−1, 1]. Data lies there, but noise goes beyond, and x_t with it.")
def clamped(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t, alpha_bar)
    return (signal * x_0 + noise * eps).clamp(-1, 1)


@Q_SAMPLE.mistake("A product over the steps is taken once more. The bar says that alpha_bar holds it already.")
def multiplied_again(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t, alpha_bar.cumprod(0))
    return signal * x_0 + noise * eps


@Q_SAMPLE.mistake("This is one step, from t − 1 to t, with α_t. From x_0 to x_t there are t of them.")
def one_step_alone(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t, torch.cat([alpha_bar[:1], alpha_bar[1:] / alpha_bar[:-1]]))
    return signal * x_0 + noise * eps


@Q_SAMPLE.mistake("The variance of the noise is squared. Which power makes a deviation of it?")
def noise_squared(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t, alpha_bar)
    return signal * x_0 + noise**4 * eps


@Q_SAMPLE.mistake(
    "Each row of a picture got the step of another example: (B, 1) meets the last two axes. A picture has three axes "
    "beside B, a point has one. Which shape puts B first for both?"
)
def along_the_rows(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    bar = alpha_bar[t].view(-1, 1)
    return bar.sqrt() * x_0 + (1 - bar).sqrt() * eps


@Q_SAMPLE.mistake("One factor multiplies both x_0 and eps: where do the parentheses end?")
def signal_for_both(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, _ = signal_and_noise(x_0, t, alpha_bar)
    return signal * (x_0 + eps)


@Q_SAMPLE.mistake("√(1 − ᾱ_t) multiplies x_0 as well: where do the parentheses begin?")
def noise_for_both(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t, alpha_bar)
    return noise * (signal * x_0 + eps)


@Q_SAMPLE.mistake("x_0 is divided by √ᾱ_t, so it grows. What does a step do to the signal?")
def divided(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t, alpha_bar)
    return x_0 / signal + noise * eps


@Q_SAMPLE.mistake(
    "Each step of the chain gets the same eps, so the noises add up in step. Independent ones add their variances."
)
def one_noise_for_all_steps(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    left, rows = alpha_bar[1:] / alpha_bar[:-1], []
    for x, step, e in zip(x_0, t.tolist(), eps, strict=True):
        for a in left[:step]:
            x = a.sqrt() * x + (1 - a).sqrt() * e
        rows.append(x)
    return torch.stack(rows)


@Q_SAMPLE.mistake("eps comes in at full size at every t: a step brings noise of a certain variance only.")
def noise_at_full_size(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, _ = signal_and_noise(x_0, t, alpha_bar)
    return signal * x_0 + eps


@Q_SAMPLE.mistake("x_0 goes into the noise as a factor. Noise is added, whatever the data is.")
def noise_times_x_0(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t, alpha_bar)
    return signal * x_0 + noise * eps * x_0


@Q_SAMPLE.mistake("All examples get the noise of the largest step. t holds one step for each example.")
def last_step_for_all(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t.max().expand(len(x_0)), alpha_bar)
    return signal * x_0 + noise * eps


@Q_SAMPLE.mistake("Both factors lack their roots: ᾱ_t and 1 − ᾱ_t are variances. What are amplitudes?")
def not_rooted(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t, alpha_bar)
    return signal**2 * x_0 + noise**2 * eps


@Q_SAMPLE.mistake("x_0 has the factor ᾱ_t, and eps what its square leaves of 1. ᾱ_t is a square already.")
def squared_again(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    signal, noise = signal_and_noise(x_0, t, alpha_bar**2)
    return signal * x_0 + noise * eps
