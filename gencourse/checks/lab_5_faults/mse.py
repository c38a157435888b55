"""A mean over more pairs than there are: shapes that broadcast. Lecture 05b (28) is such a mean."""

import torch
from torch import Tensor

from gencourse.checks.lab_5_faults.given import DOUBLE, SINGLE
from gencourse.checks.lab_5_faults.hunt import Hunt


def _own_test_mse(candidate):
    p = torch.randn(7, 1, dtype=torch.float64, requires_grad=True)
    y = torch.randn(7, dtype=torch.float64)
    loss = candidate(p, y)
    pairs = zip(p.flatten().tolist(), y.tolist(), strict=True)
    want = sum((a - b) ** 2 for a, b in pairs) / 7  # a second implementation, without any shape
    assert loss.shape == ()
    assert loss.requires_grad
    assert abs(float(loss) - want) < 1e-4
    (slope,) = torch.autograd.grad(loss, p)
    assert ((slope - 2 * (p - y[:, None]) / 7).abs() < 1e-4).all()


MSE = Hunt(
    "faults.test_mse",
    _own_test_mse,
    returns=["verdict"],
    second="Draw seven predictions (7, 1) and seven targets (7,). Add the seven squares up in a loop over plain "
    "numbers, where nothing can broadcast, and divide by seven.",
    why="Two shapes that broadcast make no error, and a mean hides how many numbers it was taken of.",
)


@MSE.fault(
    "Take a batch of seven different targets: is the number that comes back the mean of seven squares, or of more?",
    "(B, 1) minus (B,) is (B, B): every prediction is compared with every target. Any batch of two different targets "
    "tells, if what is expected was computed pair by pair.",
)
def every_pair(prediction: Tensor, target: Tensor) -> Tensor:
    return ((prediction - target) ** 2).mean()


@MSE.fault(
    "How does the number change with the size of the batch? Take a batch of more than one.",
    "The squares are added up, and never divided by B.",
)
def summed(prediction: Tensor, target: Tensor) -> Tensor:
    return ((prediction[:, 0] - target) ** 2).sum()


@MSE.fault(
    "Two errors of opposite signs: what should their loss be? A batch in which errors cancel tells.",
    "The errors are averaged first, and squared then.",
)
def errors_cancel(prediction: Tensor, target: Tensor) -> Tensor:
    return (prediction[:, 0] - target).mean() ** 2


@MSE.fault(
    "The order matters: which prediction belongs to which target? Take numbers whose order differs in the two.",
    "Predictions and targets are sorted before they are compared.",
)
def by_rank(prediction: Tensor, target: Tensor) -> Tensor:
    return ((prediction[:, 0].sort().values - target.sort().values) ** 2).mean()


@MSE.fault(
    "An error of 1 or 0 cannot tell a square from something else. Which numbers can?",
    "Absolute values are averaged, not squares.",
)
def absolute(prediction: Tensor, target: Tensor) -> Tensor:
    return (prediction[:, 0] - target).abs().mean()


@MSE.fault(
    "A loss is for learning: which number, beside its value, does a training need of it?",
    "The value is right, and no gradient comes back: the prediction is detached on the way.",
)
def no_gradient(prediction: Tensor, target: Tensor) -> Tensor:
    return ((prediction.detach()[:, 0] - target) ** 2).mean()


@MSE.fault(
    "A gradient has a size as well. What is ∂loss/∂prediction, in a closed form?",
    "The value is right, the gradient is half of what it should be.",
)
def half_a_gradient(prediction: Tensor, target: Tensor) -> Tensor:
    error = prediction[:, 0] - target
    return (error * error.detach()).mean()


@MSE.fault(
    "A loss is one number. Which axes has what comes back?",
    "The value is right, and comes in the shape (1,) instead of ().",
)
def kept_as_a_row(prediction: Tensor, target: Tensor) -> Tensor:
    return ((prediction[:, 0] - target) ** 2).mean(0, keepdim=True)


@MSE.right("by torch's own loss")
def own_loss(prediction: Tensor, target: Tensor) -> Tensor:
    return torch.nn.functional.mse_loss(prediction, target[:, None])


@MSE.right("in float32", SINGLE)
def single(prediction: Tensor, target: Tensor) -> Tensor:
    return ((prediction.float().squeeze(1) - target.float()) ** 2).mean()


@MSE.right("in float64", DOUBLE)
def double(prediction: Tensor, target: Tensor) -> Tensor:
    return ((prediction.double().squeeze(1) - target.double()) ** 2).mean()


@MSE.right("by mean and variance")
def mean_and_variance(prediction: Tensor, target: Tensor) -> Tensor:
    error = prediction.flatten() - target
    return error.mean() ** 2 + error.var(unbiased=False)


@MSE.right("by a dot product")
def dot_product(prediction: Tensor, target: Tensor) -> Tensor:
    error = prediction.view_as(target) - target
    return error @ error / len(target)
