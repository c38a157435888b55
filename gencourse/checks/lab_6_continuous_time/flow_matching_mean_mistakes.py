"""What goes wrong where the errors of flow matching become one number."""

import torch
from torch import Tensor

from gencourse.checks.lab_6_continuous_time.flow_matching import FLOW_MATCHING_LOSS
from gencourse.checks.lab_6_continuous_time.flow_matching_mistakes import mistake

__all__ = ["FLOW_MATCHING_LOSS"]


@mistake("The squares are added up over everything. A mean does not change when the batch or the data grow.")
def summed(error: Tensor) -> Tensor:
    return (error**2).sum()


@mistake("The squares are added up over the entries, and averaged over the batch alone. Average over both.")
def summed_over_entries(error: Tensor) -> Tensor:
    return (error**2).sum() / len(error)


@mistake("The squares are averaged over the entries, and added up over the batch. Average over both.")
def summed_over_batch(error: Tensor) -> Tensor:
    return (error**2).mean() * len(error)


@mistake("One number for each example. The optimiser wants a single one: how is it made from B of them?")
def for_each_example(error: Tensor) -> Tensor:
    return (error**2).flatten(1).mean(1)


@mistake("One number for each entry. The optimiser wants a single one.")
def for_each_entry(error: Tensor) -> Tensor:
    return error**2


@mistake("The differences are averaged without a square: positive and negative ones cancel.")
def not_squared(error: Tensor) -> Tensor:
    return error.mean()


@mistake("These are absolute values: their best guess is a median. A velocity is a mean, and a mean asks for squares.")
def absolute(error: Tensor) -> Tensor:
    return error.abs().mean()


@mistake("This is the root of the mean square. The mean square itself is asked for.")
def rooted(error: Tensor) -> Tensor:
    return (error**2).mean().sqrt()


@mistake("A root is taken of each example's mean square, and these are averaged. The mean square itself is asked for.")
def rooted_each(error: Tensor) -> Tensor:
    return (error**2).flatten(1).mean(1).sqrt().mean()


@mistake("Divided by the number of entries twice: a mean over all entries has done that already.")
def divided_again(error: Tensor) -> Tensor:
    return (error**2).mean() / error[0].numel()


@mistake(
    "In each example the errors are averaged over the entries first, and squared then: they cancel before they count."
)
def averaged_in_each_first(error: Tensor) -> Tensor:
    return (error.flatten(1).mean(1) ** 2).mean()


@mistake("The loss is halved. Half the square has a nicer derivative, but the mean of the squares was asked for.")
def halved(error: Tensor) -> Tensor:
    return (error**2).mean() / 2


@mistake("The errors are averaged first, and squared then. Positive and negative ones cancel before they count.")
def squared_too_late(error: Tensor) -> Tensor:
    return error.mean() ** 2


@mistake("This is the length of all errors together, the root of their sum. The mean of the squares is asked for.")
def length(error: Tensor) -> Tensor:
    return error.norm()


@mistake("These are lengths, averaged over the batch: one root for each example. The squares themselves are averaged.")
def lengths_averaged(error: Tensor) -> Tensor:
    return error.flatten(1).norm(dim=1).mean()


@mistake("This is Huber's loss: a square near 0, straight beyond. A velocity is a mean, and a mean asks for squares.")
def huber(error: Tensor) -> Tensor:
    return torch.nn.functional.smooth_l1_loss(error, torch.zeros_like(error))


@mistake("The squares are added up along the last axis, and averaged over the others. Average over all of them.")
def summed_over_the_last_axis(error: Tensor) -> Tensor:
    return (error**2).sum(-1).mean()


@mistake("This is a variance: the mean error is taken away, and a net that is off by a constant would not be told.")
def variance_of_errors(error: Tensor) -> Tensor:
    return error.var()


@mistake("This is a variance: the mean error is taken away, and only the spread around it is left.")
def variance_of_all(error: Tensor) -> Tensor:
    return error.var(correction=0)
