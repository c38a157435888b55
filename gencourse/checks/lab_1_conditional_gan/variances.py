"""Is the noise used? What of a pixel's variance is the noise's, and what is the map's. Lecture 02, section 11."""

import itertools

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_1_conditional_gan.given import FLOAT32_TOL, normal, scalar
from gencourse.checks.spec import Exercise


def _own_variances(samples: Tensor) -> tuple[Tensor, Tensor]:
    K = len(samples)
    by_noise = samples.var(0).mean()
    # a mean of K draws still varies by a K-th of the noise's variance, from map to map: that is not the map's
    by_map = samples.mean(0).var(0).mean() - by_noise / K
    return by_noise, by_map


VARIANCES = Exercise(
    "gan.variances",
    _own_variances,
    returns=["by_noise", "by_map"],
    plain=True,
    second="by_noise: samples.var over the axis of the draws, then the mean of all that is left. by_map: the mean over "
    "the draws, then its variance over the maps, then the mean; minus by_noise / K. torch's var divides by n − 1.",
    why="A G that ignores its noise, and one that ignores its map, each show up in one number, whatever they paint.",
)
Pair = tuple[Tensor, Tensor]
SHAPE = (4, 6, 2, 5, 7)


@VARIANCES.pace
def _(g: Generator) -> tuple[Tensor]:
    return (normal((4, 64, 1, 32, 32), g),)


def _variance(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return sum((v - mean) ** 2 for v in values) / (len(values) - 1)


def _by_hand(samples: Tensor) -> tuple[Tensor, Tensor]:
    K, B = samples.shape[:2]
    pixels = samples.flatten(2).permute(2, 1, 0).tolist()  # for each pixel and each map its K draws
    noise = sum(_variance(draws) for maps in pixels for draws in maps) / (len(pixels) * B)
    means = sum(_variance([sum(draws) / K for draws in maps]) for maps in pixels) / len(pixels)
    return scalar(noise), scalar(means - noise / K)


@VARIANCES.check(
    "they are the two parts of each pixel's variance, averaged over the pixels",
    "samples[k, b] is the k-th picture for map number b. Over which axis does only the noise change? And what is left "
    "of the noise in a mean of K draws?",
)
def _(answer: Answer, g: Generator) -> None:
    samples = normal(SHAPE, g) + 3 * normal(SHAPE[1:], g)
    for draws in (samples, samples[:3]):
        answer.gives([draws], *_by_hand(draws))


@VARIANCES.check(
    "a G that ignores its noise has nothing by noise, one that ignores its map nothing by map",
    "With noise alone the means of K draws still differ from map to map, by a K-th of the noise's variance.",
)
def _(answer: Answer, g: Generator) -> None:
    pictures = normal((1, *SHAPE[1:]), g)
    answer.gives([pictures.expand(SHAPE)], scalar(0.0), pictures[0].var(0).mean(), tol=1e-7)
    # each pixel is one of the 64 ways in which two draws for three maps are −1 or 1: on average nothing is the map's
    ways = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=6)), dtype=torch.float64)
    answer.gives([ways.T.reshape(2, 3, 1, 8, 8)], scalar(1.0), scalar(0.0))


@VARIANCES.check(
    "twice the contrast is four times the variance, and an estimate may fall below 0",
    "These are estimates of variances: that of the map's part is a difference, and with few draws it may be negative.",
)
def _(answer: Answer, g: Generator) -> None:
    samples = normal((3, *SHAPE[1:]), g)
    answer.gives([2 * samples + 1], *(4 * part for part in _by_hand(samples)))
    half = normal((1, *SHAPE[1:]), g)
    opposite = torch.cat([half, 0.1 * normal(half.shape, g) - half])  # means near 0
    answer.gives([opposite], *_by_hand(opposite))


@VARIANCES.check("two draws are enough, and it takes float32", "Nothing in it depends on the precision.")
def _(answer: Answer, g: Generator) -> None:
    samples = normal((2, 3, 1, 4, 5), g)
    answer.gives([samples.float()], *_by_hand(samples), tol=FLOAT32_TOL)


def _open(like: Tensor) -> Tensor:
    """What a mistake in the other part says of this one: nothing."""
    return like.new_tensor(torch.nan)


def _parts(noise: Tensor, means: Tensor, K: int) -> Pair:
    """From the noise's variance and that of the means, each in its place."""
    return noise.mean(), means.mean() - noise.mean() / K


@VARIANCES.mistake(
    "by_map is the variance of the means as it is. A mean of K draws still holds a K-th of the noise's variance, and "
    "so does this: a G that ignores its map would not get 0."
)
def uncorrected(samples: Tensor) -> Pair:
    return samples.var(0).mean(), samples.mean(0).var(0).mean()


@VARIANCES.mistake("All of the noise's variance is taken off by_map. In a mean of K draws only a K-th of it is left.")
def not_divided(samples: Tensor) -> Pair:
    return samples.var(0).mean(), samples.mean(0).var(0).mean() - samples.var(0).mean()


@VARIANCES.mistake("The noise's part in by_map is divided by the number of maps. It is draws that were averaged: K.")
def divided_by_maps(samples: Tensor) -> Pair:
    return samples.var(0).mean(), samples.mean(0).var(0).mean() - samples.var(0).mean() / samples.shape[1]


@VARIANCES.mistake(
    "The noise's part in by_map is divided by K − 1. That was for the variance; a mean of K draws has a K-th of it."
)
def divided_by_less(samples: Tensor) -> Pair:
    return samples.var(0).mean(), samples.mean(0).var(0).mean() - samples.var(0).mean() / (len(samples) - 1)


@VARIANCES.mistake("The noise's part is added to by_map. The variance of the means has it already, and too much of it.")
def added(samples: Tensor) -> Pair:
    return samples.var(0).mean(), samples.mean(0).var(0).mean() + samples.var(0).mean() / len(samples)


@VARIANCES.mistake("by_map is cut off at 0. An estimate may fall below 0; cut off, it would be too large on average.")
def cut_off(samples: Tensor) -> Pair:
    by_noise, by_map = _own_variances(samples)
    return by_noise, by_map.clamp(min=0)


@VARIANCES.mistake(
    "by_map is cut off at 0 for each pixel. An estimate may fall below 0, and only so they are right on average."
)
def cut_off_each(samples: Tensor) -> Pair:
    each = samples.mean(0).var(0) - samples.var(0).mean(0) / len(samples)
    return samples.var(0).mean(), each.clamp(min=0).mean()


@VARIANCES.mistake("The two have changed places: first what the noise does, then what the map does.")
def exchanged(samples: Tensor) -> Pair:
    by_noise, by_map = _own_variances(samples)
    return by_map, by_noise


@VARIANCES.mistake(
    "The axes have changed places: samples[k, b] is the k-th draw for map b. Along axis 0 only the noise changes."
)
def axes_exchanged(samples: Tensor) -> Pair:
    return _own_variances(samples.transpose(0, 1))


@VARIANCES.mistake("by_noise is the variance over the batch: that is how much pictures for *different* maps differ.")
def over_the_batch(samples: Tensor) -> Pair:
    return samples.var(1).mean(), _open(samples)


@VARIANCES.mistake("by_noise is one variance of all numbers together. Which axis holds the draws?")
def over_everything(samples: Tensor) -> Pair:
    return samples.var(), _open(samples)


@VARIANCES.mistake("by_noise is the variance over draws and maps together. The noise's is over the draws of one map.")
def over_draws_and_maps(samples: Tensor) -> Pair:
    return samples.flatten(0, 1).var(0).mean(), _open(samples)


@VARIANCES.mistake("by_noise is the variance over the pixels: that is the contrast of each picture.")
def over_the_pixels(samples: Tensor) -> Pair:
    return samples.flatten(2).var(2).mean(), _open(samples)


@VARIANCES.mistake("These are standard deviations. Variances can be added and taken apart, deviations cannot.")
def deviations(samples: Tensor) -> Pair:
    return samples.std(0).mean(), _open(samples)


@VARIANCES.mistake("by_noise is the square of the mean deviation. The variances themselves are averaged.")
def square_of_the_mean(samples: Tensor) -> Pair:
    return samples.std(0).mean().square(), _open(samples)


@VARIANCES.mistake("by_noise is right, and by_map is made of standard deviations: do without the root there, too.")
def deviation_by_map(samples: Tensor) -> Pair:
    return samples.var(0).mean(), samples.mean(0).std(0).mean() - samples.std(0).mean() / len(samples)


@VARIANCES.mistake(
    "Divided by K, not by K − 1: with few draws that is too small, since the mean was estimated from the same draws. "
    "And so for the maps."
)
def divided_by_n(samples: Tensor) -> Pair:
    return _parts(samples.var(0, correction=0), samples.mean(0).var(0, correction=0), len(samples))


@VARIANCES.mistake("by_noise is divided by K, not by K − 1: the mean was estimated from the same draws.")
def noise_divided_by_n(samples: Tensor) -> Pair:
    return _parts(samples.var(0, correction=0), samples.mean(0).var(0), len(samples))


@VARIANCES.mistake("In by_map the variance over maps is divided by B, not by B − 1.")
def maps_divided_by_n(samples: Tensor) -> Pair:
    return _parts(samples.var(0), samples.mean(0).var(0, correction=0), len(samples))


@VARIANCES.mistake("by_map is the variance of all draws, less by_noise. Take the means over the draws first.")
def total_less_noise(samples: Tensor) -> Pair:
    noise = samples.var(0).mean()
    return noise, samples.flatten(0, 1).var(0).mean() - noise


@VARIANCES.mistake("by_map is made of the first draw alone. The mean over all draws is nearer to what the map decides.")
def first_draw(samples: Tensor) -> Pair:
    return samples.var(0).mean(), samples[0].var(0).mean()


@VARIANCES.mistake("by_map is the variance over maps, draw by draw: the noise is still in it. Average the draws first.")
def variance_first(samples: Tensor) -> Pair:
    return samples.var(0).mean(), samples.var(1).mean()


@VARIANCES.mistake(
    "by_map is one variance of all the means: pixels differ, too. Over maps, at each pixel; then the average."
)
def maps_and_pixels(samples: Tensor) -> Pair:
    by_noise = samples.var(0).mean()
    return by_noise, samples.mean(0).var() - by_noise / len(samples)


@VARIANCES.mistake("Each picture is averaged to one grey value first, and what the noise does cancels in it.")
def of_the_means(samples: Tensor) -> Pair:
    return _own_variances(samples.flatten(2).mean(2)[:, :, None])


@VARIANCES.mistake("The variances are summed. Larger pictures would have more: average them.")
def summed(samples: Tensor) -> Pair:
    return samples.var(0).sum(), _open(samples)


@VARIANCES.mistake("One number for each pixel, and their average was asked for.")
def per_pixel(samples: Tensor) -> Pair:
    noise = samples.var(0)
    return noise, (samples.mean(0).var(0) - noise.mean(0) / len(samples))


@VARIANCES.mistake("by_noise has one number for each map, and their average was asked for.")
def per_map(samples: Tensor) -> Pair:
    noise = samples.var(0).flatten(1).mean(1)
    return noise, samples.mean(0).var(0).mean() - noise.mean() / len(samples)


@VARIANCES.mistake("These are mean absolute deviations. A variance is made of squares.")
def absolute(samples: Tensor) -> Pair:
    return (samples - samples.mean(0)).abs().mean(), _open(samples)


@VARIANCES.mistake("These are shares of the whole variance. Asked for are the variances themselves.")
def shares(samples: Tensor) -> Pair:
    return samples.var(0).mean() / samples.var(), _open(samples)


@VARIANCES.mistake("The noise's part in by_map is divided by K². A mean of K draws has a K-th of the variance.")
def divided_by_k_squared(samples: Tensor) -> Pair:
    return samples.var(0).mean(), samples.mean(0).var(0).mean() - samples.var(0).mean() / len(samples) ** 2


@VARIANCES.mistake("by_map is K times too large, as the numerator of an F test is. Divide all of it by K.")
def times_k(samples: Tensor) -> Pair:
    by_noise, by_map = _own_variances(samples)
    return by_noise, len(samples) * by_map


@VARIANCES.mistake("The maps are averaged before by_noise is taken, and what the noise does cancels in that.")
def maps_averaged(samples: Tensor) -> Pair:
    return samples.mean(1).var(0).mean(), _open(samples)


@VARIANCES.mistake("In by_map a deviation is subtracted from a variance. Both parts are variances.")
def deviation_subtracted(samples: Tensor) -> Pair:
    return samples.var(0).mean(), samples.mean(0).var(0).mean() - samples.std(0).mean() / len(samples)


@VARIANCES.mistake("by_map is made of means over the maps. It is over the draws that one averages first.")
def means_over_maps(samples: Tensor) -> Pair:
    return samples.var(0).mean(), samples.mean(1).var(0).mean() - samples.var(0).mean() / len(samples)


@VARIANCES.mistake("The noise's part in by_map is divided by 4, however many draws there are. samples says how many.")
def always_4(samples: Tensor) -> Pair:
    return samples.var(0).mean(), samples.mean(0).var(0).mean() - samples.var(0).mean() / 4
