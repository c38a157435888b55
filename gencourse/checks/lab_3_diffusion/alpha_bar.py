"""ᾱ_t from β: the table that everything else reads. Lecture 04 (2), erratum 17."""

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_3_diffusion.chain import FLOAT32_TOL, chain, some_beta
from gencourse.checks.spec import Exercise
from genlib.diffusion import Schedule


def alpha_bar(beta: Tensor) -> Tensor:
    # ᾱ_0 = 1: before the first step nothing is lost. Each step multiplies what is left by 1 − β_t.
    return torch.cat([beta.new_ones(1), (1 - beta).cumprod(0)])


ALPHA_BAR = Exercise(
    "diffusion.alpha_bar",
    alpha_bar,
    returns=["alpha_bar"],
    second="By hand, for β = (0.1, 0.2, 0.5): ᾱ_0 = 1, ᾱ_1 = 0.9, ᾱ_2 = 0.9 · 0.8, ᾱ_3 = 0.9 · 0.8 · 0.5. Which "
    "function of torch makes all such running products at once, and what has to go in front of them?",
    why="Everything else in this lab reads this table: with it any x_t is one line, and nobody has to walk.",
)


@ALPHA_BAR.check(
    "alpha_bar[t] is the square of what t steps leave of a signal of 1",
    "Each step multiplies the signal by √(1 − β_t). What do t steps multiply its square by?",
)
def _(answer: Answer, g: Generator) -> None:
    beta = some_beta(5, g)
    signal, _ = chain(beta)
    answer.gives([beta], signal**2)


@ALPHA_BAR.check(
    "1 − alpha_bar[t] is the variance that the noise has after t steps",
    "Signal and noise share a variance of 1: what the one loses, the other gains.",
)
def _(answer: Answer, g: Generator) -> None:
    beta = some_beta(12, g)
    _, variance = chain(beta)
    answer.agrees("1 − alpha_bar", variance, 1 - answer(beta))


@ALPHA_BAR.check(
    "it works for any number of steps, one included",
    "How long the table is follows from beta alone: nothing else about T is known.",
)
def _(answer: Answer, g: Generator) -> None:
    for T in (1, 2, int(torch.randint(20, 60, (1,), generator=g))):
        b = float(some_beta(1, g))
        powers = torch.tensor([(1 - b) ** t for t in range(T + 1)], dtype=torch.float64)
        answer.gives([torch.full((T,), b, dtype=torch.float64)], powers)


@ALPHA_BAR.check("it takes float32 too", "Nothing in the definition depends on the precision of beta.")
def _(answer: Answer, g: Generator) -> None:
    beta = some_beta(10, g).float()
    signal, _ = chain(beta.double())
    answer.gives([beta], signal**2, tol=FLOAT32_TOL)
    answer.keeps_dtype("beta")


@ALPHA_BAR.check("it agrees with genlib on the schedules of the papers", "Compare with diffusion.Schedule.linear().")
def _(answer: Answer, g: Generator) -> None:
    for schedule in (Schedule.linear(T=1000), Schedule.cosine(T=100)):
        answer.gives([schedule.beta[1:]], schedule.alpha_bar)


@ALPHA_BAR.mistake("Where is the data before any noise? alpha_bar[0] belongs to t = 0, so the table has T + 1 entries.")
def no_step_0(beta: Tensor) -> Tensor:
    return (1 - beta).cumprod(0)


@ALPHA_BAR.mistake("The table is one entry too short: the last step is missing.")
def no_last_step(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), (1 - beta).cumprod(0)[:-1]])


@ALPHA_BAR.mistake("These are products of β. What survives a step is α_t = 1 − β_t.")
def beta_for_alpha(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), beta.cumprod(0)])


@ALPHA_BAR.mistake("1 − Σ β is only the first order in β, and becomes negative. Do factors add up, or multiply?")
def sum_for_product(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), 1 - beta.cumsum(0)])


@ALPHA_BAR.mistake("exp(−Σ β) is the limit of many small steps. With finitely many, a step's factor is 1 − β_t itself.")
def continuous_time(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), (-beta.cumsum(0)).exp()])


@ALPHA_BAR.mistake("These are the α_t, one step each. The bar stands for all steps up to t.")
def alpha_without_bar(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), 1 - beta])


@ALPHA_BAR.mistake("This is √ᾱ_t, the factor of the signal. The table holds its square.")
def rooted(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), (1 - beta).sqrt().cumprod(0)])


@ALPHA_BAR.mistake("This is 1 − ᾱ_t, the variance of the noise. The table holds the signal's share.")
def noise_for_signal(beta: Tensor) -> Tensor:
    return 1 - torch.cat([beta.new_ones(1), (1 - beta).cumprod(0)])


@ALPHA_BAR.mistake("Every entry holds the product over all T steps. That of ᾱ_t ends at t.")
def whole_product(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), (1 - beta).prod().expand(len(beta))])


@ALPHA_BAR.mistake("The products start from the far end: ᾱ_t is to hold steps 1 to t, not t to T.")
def from_the_end(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), (1 - beta).flip(0).cumprod(0).flip(0)])


@ALPHA_BAR.mistake(
    "One factor is 0, and it takes all later ones with it. What is β at t = 0, where nothing has happened?"
)
def beta_0_is_1(beta: Tensor) -> Tensor:
    return torch.zeros(len(beta) + 1, dtype=beta.dtype)


@ALPHA_BAR.mistake("The 1 stands at the wrong end: it belongs to t = 0.")
def one_at_the_end(beta: Tensor) -> Tensor:
    return torch.cat([(1 - beta).cumprod(0), beta.new_ones(1)])


@ALPHA_BAR.mistake("alpha_bar[0] is 0 here. At t = 0 nothing has happened to the data: how much of it is left?")
def zero_first(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_zeros(1), (1 - beta).cumprod(0)])


@ALPHA_BAR.mistake("The α_t are added up. Each step multiplies what the one before it left.")
def alphas_added(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), (1 - beta).cumsum(0)])


@ALPHA_BAR.mistake("β_t is squared. It is a variance already, and α_t is what is left of 1.")
def beta_squared(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), (1 - beta**2).cumprod(0)])


@ALPHA_BAR.mistake("This is the last entry alone, what all T steps leave. Every t has its own: T + 1 entries.")
def last_alone(beta: Tensor) -> Tensor:
    return (1 - beta).prod()


@ALPHA_BAR.mistake("These are logarithms: the sums are right, and wait to be turned back into products.")
def logarithms(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_zeros(1), (1 - beta).log().cumsum(0)])


@ALPHA_BAR.mistake(
    "The β are multiplied, and the product taken from 1. What is left is 1 − β_t at each step: which comes first?"
)
def subtracted_too_late(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), 1 - beta.cumprod(0)])


@ALPHA_BAR.mistake(
    "The table is right, but one step late: one 1 too many stands at its beginning, and the last step is cut off."
)
def one_step_late(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(2), (1 - beta).cumprod(0)[:-1]])


@ALPHA_BAR.mistake("The products skip β_1, and begin with the second step: beta holds β_1 at its place 0.")
def first_skipped(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), (1 - beta[1:]).cumprod(0), beta.new_ones(1)])


@ALPHA_BAR.mistake("1 + β_t makes the signal grow. A step takes something away from it.")
def growing(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), (1 + beta).cumprod(0)])


@ALPHA_BAR.mistake(
    "These are the squares of the table: 1 − β_t is what a step leaves of the variance, and a square already."
)
def squared(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), (1 - beta).cumprod(0)]) ** 2


@ALPHA_BAR.mistake("A root is taken of β_t. β_t is the variance, and 1 − β_t what the noise leaves of 1.")
def beta_rooted(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), (1 - beta.sqrt()).cumprod(0)])


@ALPHA_BAR.mistake("This is α_t to the power t, as if all steps were like the last one. Each has a β of its own.")
def last_step_repeated(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), (1 - beta) ** torch.arange(1, len(beta) + 1)])


@ALPHA_BAR.mistake("This is the mean of the α up to t. How much is left after two steps that leave a half each?")
def averaged(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), (1 - beta).cumsum(0) / torch.arange(1, len(beta) + 1)])


@ALPHA_BAR.mistake("What was left is multiplied by β_t, and then taken from 1. Which of the two loses what?")
def left_turned(beta: Tensor) -> Tensor:
    left = [beta.new_ones(())]
    for b in beta:
        left.append(1 - b * left[-1])
    return torch.stack(left)


@ALPHA_BAR.mistake("At t = 0 one step has been taken already. What multiplies the data before any step?")
def first_is_alpha_1(beta: Tensor) -> Tensor:
    return torch.cat([1 - beta[:1], (1 - beta).cumprod(0)])


@ALPHA_BAR.mistake("The last entry was never filled: the loop ends one step too early.")
def last_left_at_1(beta: Tensor) -> Tensor:
    return torch.cat([alpha_bar(beta)[:-1], beta.new_ones(1)])
