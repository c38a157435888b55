"""L_simple: how far the network's answer is from its target, on given noise at given steps. Lecture 04 (20)."""

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_3_diffusion.chain import FLOAT32_TOL, chain, each, many, normal, some_beta, steps
from gencourse.checks.lab_3_diffusion.names import name_mistakes, names_apart
from gencourse.checks.lab_3_diffusion.nets import Net, check_call
from gencourse.checks.lab_3_diffusion.q_sample import q_sample
from gencourse.checks.lab_3_diffusion.target import PREDICT, target, velocity
from gencourse.checks.spec import Exercise


def loss(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    x_t = q_sample(x_0, t, eps, alpha_bar)
    wrong_by = net(x_t, t) - target(x_0, eps, t, alpha_bar, predict)
    return (wrong_by**2).mean()  # over batch and pixels at once, so that neither size changes it


Args = tuple[Net, Tensor, Tensor, Tensor, Tensor, str]
LOSS = Exercise(
    "diffusion.loss",
    loss,
    returns=["loss"],
    second="Make x_t = q_sample(x_0, t, eps, alpha_bar), ask net(x_t, t), and call target(x_0, eps, t, alpha_bar, "
    "predict). Then the difference of the two, squared, and its mean over everything: mean() without arguments.",
    why="This number is all that a network learns from; the many steps of the chain enter it one at a time, by chance.",
)


class Oracle:
    """A net that knows the one x_0 that there is, reads the noise off x_t, and is wrong by error[t] at step t."""

    def __init__(self, x_0: Tensor, alpha_bar: Tensor, predict: str, error: Tensor) -> None:
        self.x_0, self.alpha_bar, self.predict, self.error = x_0, alpha_bar, predict, error

    def __repr__(self) -> str:
        return f"a net that answers {self.predict}, wrong by a known amount"

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        check_call(x_t, t, len(self.alpha_bar) - 1)
        bar = many(self.alpha_bar, t, x_t)
        eps = (x_t - bar.sqrt() * self.x_0) / (1 - bar).sqrt()
        v = bar.sqrt() * eps - (1 - bar).sqrt() * self.x_0
        return {"eps": eps, "x_0": 0 * eps + self.x_0, "v": v}[self.predict] + self.error[t]


class Curve:
    """A net like any other: some smooth function of x_t and t, with a weight to be trained."""

    def __init__(self, weight: float, T: int, dtype: torch.dtype = torch.float64) -> None:
        self.weight, self.T = torch.tensor(weight, dtype=dtype, requires_grad=True), T

    def __repr__(self) -> str:
        return f"a small net, its weight {float(self.weight.detach()):.3g}"

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        check_call(x_t, t, self.T)
        return self.weight * torch.sin(x_t + t.to(x_t).view(-1, *[1] * (x_t.dim() - 1)))


def _numbers(shape: tuple[int, ...], g: Generator, T: int = 8) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x_0, t, eps and the table."""
    signal, _ = chain(some_beta(T, g))
    return normal(shape, g), steps(2, T, shape[0], g), normal(shape, g), signal**2


@LOSS.check(
    "a net that is wrong by d everywhere has the loss mean d²",
    "Three lines: what does the net see, what should it answer, how far is its answer from that?",
)
def _(answer: Answer, g: Generator) -> None:
    x_0, t, eps, alpha_bar = _numbers((4, 3), g)
    net = Curve(0.7, 8)
    says = net(q_sample(x_0, t, eps, alpha_bar), t).detach()
    wanted = {"v": velocity(x_0, eps, t, alpha_bar), "eps": eps, "x_0": x_0}
    expected = {predict: ((says - value) ** 2).mean() for predict, value in wanted.items()}
    names_apart(answer, [net, x_0, t, eps, alpha_bar], expected)
    x_0, t, eps, alpha_bar = _numbers((3, 2, 5, 7), g)
    one, error = x_0[:1], 0.5 + normal((len(alpha_bar), *x_0.shape[1:]), g)
    for predict in reversed(PREDICT):  # v first, where no two targets are alike
        args = [Oracle(one, alpha_bar, predict, error), one.expand_as(x_0), t, eps, alpha_bar, predict]
        answer.gives(args, (error[t] ** 2).sum() / x_0.numel(), tol=1e-8)


@LOSS.check(
    "any net is asked about x_t at step t, whatever the shape of an example",
    "The net takes x_t and t, and both go in as they are.",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in ((4, 3), (3, 2, 5, 7)):
        x_0, t, eps, alpha_bar = _numbers(shape, g)
        net, bar = Curve(0.7, 8), each(alpha_bar, t, x_0)
        says = net(bar.sqrt() * x_0 + (1 - bar).sqrt() * eps, t).detach()
        targets = {"eps": eps, "x_0": x_0, "v": velocity(x_0, eps, t, alpha_bar)}
        for predict, wanted in targets.items():
            expected = torch.stack([d**2 for d in (says - wanted).flatten()]).sum() / wanted.numel()
            answer.gives([net, x_0, t, eps, alpha_bar, predict], expected, tol=1e-8)


@LOSS.check("the net can learn from it: gradients reach its weights", "Stay in torch, and detach nothing.")
def _(answer: Answer, g: Generator) -> None:
    x_0, t, eps, alpha_bar = _numbers((4, 3), g)
    net = Curve(0.7, 8)
    out = answer(net, x_0, t, eps, alpha_bar, "eps")
    if not out.requires_grad:
        answer.wrong(
            "detached",
            "The net's answer was cut off from its weights: no detach, no .item(), no float(), no no_grad on the way.",
            expected="loss depends on the net's weights for autograd",
            got="loss.requires_grad = False",
        )
    (gradient,) = torch.autograd.grad(out, net.weight, allow_unused=True)
    if gradient is None:
        answer.wrong(
            "detached",
            "This is a new tensor, which asks for gradients but has forgotten the net. Return what was computed.",
            expected="loss depends on the net's weights for autograd",
            got="loss.requires_grad = True, but without the net in its history",
        )
    bar = each(alpha_bar, t, x_0)
    says = net(bar.sqrt() * x_0 + (1 - bar).sqrt() * eps, t).detach()
    answer.agrees("gradient", (2 * (says - eps) * says / 0.7).mean(), gradient)


@LOSS.check("it takes float32 too", "Nothing in the formula depends on the precision of x_0.")
def _(answer: Answer, g: Generator) -> None:
    x_0, t, eps, alpha_bar = (a.float() if a.is_floating_point() else a for a in _numbers((4, 3), g))
    one, error = x_0[:1], 0.5 + normal((len(alpha_bar), 3), g).float()
    args = [Oracle(one, alpha_bar, "eps", error), one.expand_as(x_0), t, eps, alpha_bar, "eps"]
    answer.gives(args, (error[t] ** 2).mean(), tol=10 * FLOAT32_TOL)


@LOSS.pace
def _(g: Generator) -> Args:
    x_0, eps = normal((2000, 2), g), normal((2000, 2), g)
    return (
        Curve(0.7, 200),
        x_0,
        torch.randint(1, 201, (2000,), generator=g),
        eps,
        torch.linspace(1, 0, 201).double(),
        "v",
    )


name_mistakes(LOSS, "is the target")
