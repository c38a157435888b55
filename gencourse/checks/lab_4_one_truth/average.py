"""An average over points and its standard error: the mistakes that both gaps can have."""

from collections.abc import Callable

import torch
from torch import Tensor

from gencourse.checks.lab_4_one_truth.given import Pair
from gencourse.checks.spec import Exercise


def mean_and_error(values: Tensor) -> Pair:
    return values.mean(), values.std() / len(values) ** 0.5


def left_open(gap: Tensor) -> Pair:
    """A wrong average, which tells the mistake; its error may have it or not."""
    return gap, torch.full_like(gap, torch.nan)


def mistakes(exercise: Exercise, values: Callable[..., Tensor]) -> None:
    """Add the mistakes of averaging what `values` gives for each point, from the exercise's arguments."""

    def add(hint: str) -> Callable[[Callable[[Tensor], Pair]], None]:
        def named(function: Callable[[Tensor], Pair]) -> None:
            def mistake(*args: Tensor) -> Pair:
                return function(values(*args))

            mistake.__name__ = function.__name__
            exercise.mistake(hint)(mistake)

        return named

    @add("error and gap have changed places: the gap comes first.")
    def swapped(v: Tensor) -> Pair:
        return mean_and_error(v)[::-1]  # type: ignore[return-value]

    @add("The absolute value of the average is taken. A gap may come out below 0, and that says something, too.")
    def absolute_mean(v: Tensor) -> Pair:
        return v.mean().abs(), v.std() / len(v) ** 0.5

    @add("The sign is turned. The points come from the truth, the best code for them: a model costs more than that.")
    def turned_round(v: Tensor) -> Pair:
        return mean_and_error(-v)

    @add("There is a gap for each point. Their average was asked for.")
    def per_point(v: Tensor) -> Pair:
        return v, v.std() / len(v) ** 0.5

    @add("The sum over the points, and their average was asked for.")
    def summed(v: Tensor) -> Pair:
        return left_open(v.sum())

    @add("The sum is divided by B − 1. That is for variances; an average of B numbers is divided by B.")
    def mean_over_b_minus_1(v: Tensor) -> Pair:
        return left_open(v.sum() / (len(v) - 1))

    @add("The median. An expectation is estimated by the mean: rare points at which the model is bad have to count.")
    def median(v: Tensor) -> Pair:
        return left_open(v.median())

    @add("The squares are averaged. The divergence is the plain average.")
    def squares(v: Tensor) -> Pair:
        return left_open(v.square().mean())

    @add("Below 0 it is cut off. The expectation is above 0; what is measured of it on a few points need not be.")
    def cut_at_zero(v: Tensor) -> Pair:
        return v.mean().clamp(min=0), v.std() / len(v) ** 0.5

    @add("What is below 0 at single points is cut off. They make up for others: all of them count.")
    def each_cut_at_zero(v: Tensor) -> Pair:
        return left_open(v.clamp(min=0).mean())

    @add("The absolute value is taken at each point. At some points p_θ is above p, and that counts, too.")
    def absolute(v: Tensor) -> Pair:
        return left_open(v.abs().mean())

    @add("This is how much single points vary. The average of B of them varies less: by which factor?")
    def deviation(v: Tensor) -> Pair:
        return v.mean(), v.std()

    @add("This is the variance of single points. The error of their average is smaller, and it is a root.")
    def variance(v: Tensor) -> Pair:
        return v.mean(), v.var()

    @add("A variance divided by B is the variance of the average. Its error is the root.")
    def variance_of_the_mean(v: Tensor) -> Pair:
        return v.mean(), v.var() / len(v)

    @add("√B divides a variance here: its unit is nats², and that of an error is nats.")
    def variance_over_root_b(v: Tensor) -> Pair:
        return v.mean(), v.var() / len(v) ** 0.5

    @add("The deviation is divided by B. Variances are divided by B, so deviations are divided by less.")
    def divided_by_b(v: Tensor) -> Pair:
        return v.mean(), v.std() / len(v)

    @add("The variance is divided by B, though the mean came from the same points: then it is B − 1.")
    def biased_deviation(v: Tensor) -> Pair:
        return v.mean(), v.std(correction=0) / len(v) ** 0.5

    @add("Divided by √(B − 1), although the deviation has its B − 1 already: an average of B numbers has √B.")
    def root_of_b_minus_1(v: Tensor) -> Pair:
        return v.mean(), v.std() / (len(v) - 1) ** 0.5

    @add("The deviation is multiplied by √B. The more points, the *smaller* is the error of their average.")
    def multiplied(v: Tensor) -> Pair:
        return v.mean(), v.std() * len(v) ** 0.5

    @add("The error is that of an interval of 95 %, 1.96 standard errors. One standard error was asked for.")
    def interval_of_95(v: Tensor) -> Pair:
        return v.mean(), 1.96 * v.std() / len(v) ** 0.5

    @add("The error is twice what it should be, as for an interval of about 95 %. One standard error was asked for.")
    def two_errors(v: Tensor) -> Pair:
        return v.mean(), 2 * v.std() / len(v) ** 0.5

    @add("These are the two ends of an interval. The average and its standard error were asked for.")
    def two_ends(v: Tensor) -> Pair:
        mean, error = mean_and_error(v)
        return mean - error, mean + error

    @add("The error is a mean of absolute deviations. A standard error has squares, averaged, and a root.")
    def absolute_deviation(v: Tensor) -> Pair:
        return v.mean(), (v - v.mean()).abs().mean() / len(v) ** 0.5

    @add("The error is given as a part of the gap. It was to be in nats, as the gap is.")
    def relative_error(v: Tensor) -> Pair:
        mean, error = mean_and_error(v)
        return mean, error / mean.abs()
