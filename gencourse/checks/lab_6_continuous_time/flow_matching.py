"""The loss of flow matching: on a straight line from data to noise, the velocity towards the data. Lecture 05b (28)."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_3_diffusion.chain import FLOAT32_TOL, normal, recognised
from gencourse.checks.lab_6_continuous_time.fields import refuse
from gencourse.checks.spec import Exercise

Net = Callable[[Tensor, Tensor], Tensor]


def flow_matching_loss(net: Net, x_0: Tensor, eps: Tensor, s: Tensor) -> Tensor:
    each = s.view(-1, *[1] * (x_0.dim() - 1))
    x_s = (1 - each) * x_0 + each * eps
    return ((net(x_s, s) - (x_0 - eps)) ** 2).mean()  # over examples and entries at once


FLOW_MATCHING_LOSS = Exercise(
    "continuous.flow_matching_loss",
    flow_matching_loss,
    returns=["loss"],
    second="Shape s as (B, 1, ..., 1), and make x_s = (1 − s) x_0 + s eps. Ask net(x_s, s), with s as it came. The "
    "target "
    "is x_0 − eps; then the difference, squared, and its mean over everything: mean() without arguments.",
    why="No schedule, no table, no variance: a line, its slope, and a mean of squares train a generator.",
)

Numbers = tuple[Net, Tensor, Tensor, Tensor]
TIMES = (
    "The network is told the time of each example, as it came: s, of shape (B,). For x_s it takes another shape; keep "
    "both, under two names."
)
POINTS = (
    "The network is shown points shaped as the data are. In which order does it take x_s and s? And has s as many axes "
    "as the data, where it meets them?"
)
OUTSIDE = "The network is told a time outside 0 to 1. Which time is it that belongs to x_s?"


class Guess:
    """A net like any other: some smooth function of x_s and s, with a weight to be trained."""

    def __init__(self, weight: float, shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> None:
        self.weight, self.shape = torch.tensor(weight, dtype=dtype, requires_grad=True), shape

    def __repr__(self) -> str:
        return f"a small net, its weight {float(self.weight.detach()):.3g}"

    def __call__(self, x_s: Tensor, s: Tensor) -> Tensor:
        if not isinstance(x_s, Tensor) or x_s.dim() != len(self.shape) or x_s.shape[1:] != self.shape[1:]:
            came = f"shape {tuple(x_s.shape)}" if isinstance(x_s, Tensor) else repr(x_s)
            refuse(
                f"the net was called with x_s of {came}, expected (B, {', '.join(map(str, self.shape[1:]))})", POINTS
            )
        if not isinstance(s, Tensor) or s.shape != x_s.shape[:1] or not s.is_floating_point():
            came = f"shape {tuple(s.shape)}, {s.dtype}" if isinstance(s, Tensor) else repr(s)
            refuse(f"the net was called with s of {came}, expected shape ({len(x_s)},), float", TIMES)
        if float(s.detach().min()) < 0 or float(s.detach().max()) > 1:
            refuse(f"the net was called with s = {s.tolist()}, expected times in [0, 1]", OUTSIDE)
        return self.weight * torch.sin(x_s + 2 * s.view(-1, *[1] * (x_s.dim() - 1))) + 0.3


class Oracle(Guess):
    """A net that knows the one x_0 that there is, and is wrong by error(s)."""

    def __init__(self, x_0: Tensor) -> None:
        super().__init__(1.0, tuple(x_0.shape))
        self.x_0 = x_0

    def __repr__(self) -> str:
        return "a net that answers the velocity, wrong by 1 + s"

    def __call__(self, x_s: Tensor, s: Tensor) -> Tensor:
        super().__call__(x_s, s)
        each = s.view(-1, *[1] * (x_s.dim() - 1))
        eps = (x_s - (1 - each) * self.x_0) / each
        return self.x_0 - eps + 1 + each


def _numbers(shape: tuple[int, ...], g: Generator) -> Numbers:
    s = 0.1 + 0.8 * (torch.randperm(shape[0], generator=g) + torch.rand(1, generator=g, dtype=torch.float64)) / shape[0]
    return Guess(0.8, shape), normal(shape, g), normal(shape, g), s


def _expected(net: Net, x_0: Tensor, eps: Tensor, s: Tensor) -> Tensor:
    """Example by example."""
    squares = []
    for data, noise, time in zip(x_0, eps, s, strict=True):
        says = net((data + time * (noise - data))[None], time[None])[0].detach()
        squares.append((says - data + noise) ** 2)
    return torch.stack(squares).sum() / x_0.numel()


@FLOW_MATCHING_LOSS.check(
    "any net is asked about x_s at s, and compared with x_0 − ε",
    "Three lines: what does the net see, what should it answer, how far is its answer from that?",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in ((4, 4), (3, 2, 5, 7), (5, 3)):
        net, x_0, eps, s = _numbers(shape, g)
        recognised(answer, [net, x_0, eps, s], _expected(net, x_0, eps, s))


@FLOW_MATCHING_LOSS.check(
    "a net that is wrong by 1 + s has the loss mean (1 + s)²",
    "A net that knows the data reads ε off x_s: the loss is what it is wrong by, squared, on average.",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in ((4, 3), (3, 2, 5, 7)):
        _, x_0, eps, s = _numbers(shape, g)
        one = x_0[:1]
        answer.gives([Oracle(one), one.expand_as(x_0), eps, s], ((1 + s) ** 2).mean(), tol=1e-8)


@FLOW_MATCHING_LOSS.check(
    "at the two ends the net is shown the data, and the noise",
    "s = 0 is the data, s = 1 the noise. Which of the two has the factor s?",
)
def _(answer: Answer, g: Generator) -> None:
    net, x_0, eps, s = _numbers((4, 3), g)
    for end, shown in ((0 * s, x_0), (0 * s + 1, eps)):
        expected = ((net(shown, end).detach() - x_0 + eps) ** 2).mean()
        answer.gives([net, x_0, eps, end], expected, tol=1e-8)


@FLOW_MATCHING_LOSS.check(
    "the net can learn from it: gradients reach its weights", "Stay in torch, and detach nothing."
)
def _(answer: Answer, g: Generator) -> None:
    net, x_0, eps, s = _numbers((4, 3), g)
    assert isinstance(net, Guess)
    out = answer(net, x_0, eps, s)
    gradient = torch.autograd.grad(out, net.weight, allow_unused=True)[0] if out.requires_grad else None
    if gradient is None:
        answer.wrong(
            "detached",
            "The net's answer was cut off from its weights: no detach, no .item(), no float(), no no_grad on the "
            "way, and "
            "no new tensor made of the result.",
            expected="loss depends on the net's weights for autograd",
            got=f"loss.requires_grad = {out.requires_grad}, without the net in its history",
        )
    each = s.view(-1, 1)
    says = net((1 - each) * x_0 + each * eps, s).detach()
    answer.agrees("gradient", (2 * (says - x_0 + eps) * (says - 0.3) / 0.8).mean(), gradient)


@FLOW_MATCHING_LOSS.check("it takes float32 too", "Nothing in the formula depends on the precision of x_0.")
def _(answer: Answer, g: Generator) -> None:
    net, x_0, eps, s = _numbers((4, 3), g)
    expected = _expected(net, x_0, eps, s)
    single = Guess(0.8, (4, 3), torch.float32)
    answer.gives([single, x_0.float(), eps.float(), s.float()], expected, tol=10 * FLOAT32_TOL)


@FLOW_MATCHING_LOSS.pace
def _(g: Generator) -> Numbers:
    s = torch.rand(2000, generator=g, dtype=torch.float64)
    return Guess(0.8, (2000, 2)), normal((2000, 2), g), normal((2000, 2), g), s
