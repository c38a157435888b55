"""Is the noise used? How much the outputs differ that G gives for one and the same x. Lecture 02, section 11."""

from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_1_conditional_gan.given import FLOAT32_TOL, normal, scalar
from gencourse.checks.spec import Exercise
from genlib import metrics


def _own_diversity(samples: Tensor) -> Tensor:
    return samples.new_tensor(metrics.diversity(samples))


DIVERSITY = Exercise("gan.diversity", _own_diversity, returns=["d"])
SHAPE = (4, 3, 2, 3, 5)


def _by_hand(samples: Tensor) -> float:
    draws = samples.flatten(1).T.tolist()  # for each pixel of each x, its K values
    deviations = []
    for values in draws:
        mean = sum(values) / len(values)
        deviations.append((sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5)
    return sum(deviations) / len(deviations)


@DIVERSITY.check(
    "it is the deviation of each pixel over the K draws, averaged over all pixels and all x",
    "samples[k, b] is the k-th picture for x number b. Over which axis does only the noise change?",
)
def _(answer: Answer, g: Generator) -> None:
    samples = normal(SHAPE, g) + 3 * normal(SHAPE[1:], g)
    answer.gives([samples], scalar(_by_hand(samples)))


@DIVERSITY.check(
    "a G that ignores its noise has diversity 0, however much its pictures differ from x to x",
    "Pictures for different x are meant to differ, and do not count.",
)
def _(answer: Answer, g: Generator) -> None:
    samples = normal((1, 5, 1, 3, 3), g).expand(4, -1, -1, -1, -1)
    answer.gives([samples], scalar(0.0), tol=1e-7)


@DIVERSITY.check(
    "twice the contrast is twice the diversity, and brightness does not matter",
    "A deviation grows with its numbers, a variance with their squares.",
)
def _(answer: Answer, g: Generator) -> None:
    samples = normal(SHAPE, g)
    answer.gives([2 * samples + 1], scalar(2 * _by_hand(samples)))


@DIVERSITY.check("two draws are enough, and it takes float32", "Nothing in it depends on the precision.")
def _(answer: Answer, g: Generator) -> None:
    samples = normal((2, 3, 1, 4, 4), g)
    answer.gives([samples.float()], scalar(_by_hand(samples)), tol=FLOAT32_TOL)


@DIVERSITY.mistake("The deviation is taken over the batch: that is how much pictures for *different* x differ.")
def over_the_batch(samples: Tensor) -> Tensor:
    return samples.std(1).mean()


@DIVERSITY.mistake("One deviation of all numbers together: pixels and x differ, too. Which axis holds the draws?")
def over_everything(samples: Tensor) -> Tensor:
    return samples.std()


@DIVERSITY.mistake("Draws and batch are thrown together before the deviation is taken.")
def draws_and_batch(samples: Tensor) -> Tensor:
    return samples.flatten(0, 1).std(0).mean()


@DIVERSITY.mistake("The deviation is taken over the pixels: that is the contrast of each picture.")
def over_the_pixels(samples: Tensor) -> Tensor:
    return samples.flatten(2).std(2).mean()


@DIVERSITY.mistake("This is a variance. In units of the pixels it is a deviation: its root.")
def variance(samples: Tensor) -> Tensor:
    return samples.var(0).mean()


@DIVERSITY.mistake("The root of the averaged variance. The deviation of each pixel comes first, then the average.")
def root_of_the_mean(samples: Tensor) -> Tensor:
    return samples.var(0).mean().sqrt()


@DIVERSITY.mistake(
    "Divided by K, not by K − 1: with few draws that is too small, since the mean was estimated from the same draws."
)
def divided_by_k(samples: Tensor) -> Tensor:
    return samples.std(0, correction=0).mean()


@DIVERSITY.mistake("The mean absolute deviation. Here it is the standard deviation, with squares and a root.")
def absolute(samples: Tensor) -> Tensor:
    return (samples - samples.mean(0)).abs().mean()


@DIVERSITY.mistake("The largest minus the smallest draw: it grows with K. Take the standard deviation.")
def spread(samples: Tensor) -> Tensor:
    return (samples.max(0).values - samples.min(0).values).mean()


@DIVERSITY.mistake("Each picture is averaged to one grey value first, and the details of the draws cancel in it.")
def of_the_means(samples: Tensor) -> Tensor:
    return samples.flatten(2).mean(2).std(0).mean()


@DIVERSITY.mistake("The deviations are summed. Larger pictures would count as more diverse: average them.")
def summed(samples: Tensor) -> Tensor:
    return samples.std(0).sum()


@DIVERSITY.mistake("One number for each pixel, and their average was asked for.")
def per_pixel(samples: Tensor) -> Tensor:
    return samples.std(0)


@DIVERSITY.mistake("One number for each x, and their average was asked for.")
def per_example(samples: Tensor) -> Tensor:
    return samples.std(0).flatten(1).mean(1)
