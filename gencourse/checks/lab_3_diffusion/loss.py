"""L_simple: how far the network's answer is from its target, on given noise at given steps. Lecture 04 (20)."""

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_3_diffusion.chain import FLOAT32_TOL, SQUARE, chain, each, many, normal, some_beta, steps
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
    x_0, t, eps, alpha_bar = _numbers(SQUARE, g)
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


def _apart(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    """Answer minus target, as it should be."""
    bar = each(alpha_bar, t, x_0)
    v = bar.sqrt() * eps - (1 - bar).sqrt() * x_0
    return net(bar.sqrt() * x_0 + (1 - bar).sqrt() * eps, t) - {"eps": eps, "x_0": x_0, "v": v}[predict]


@LOSS.mistake("The squares are added up over everything. A mean does not change when the batch or the pictures grow.")
def summed(*args: object) -> Tensor:
    return (_apart(*args) ** 2).sum()  # type: ignore[arg-type]


@LOSS.mistake("The squares are added up over the pixels, and averaged over the batch alone. Average over both.")
def summed_over_pixels(*args: object) -> Tensor:
    apart = _apart(*args)  # type: ignore[arg-type]
    return (apart**2).sum() / len(apart)


@LOSS.mistake("The squares are averaged over the pixels, and added up over the batch. Average over both.")
def summed_over_batch(*args: object) -> Tensor:
    apart = _apart(*args)  # type: ignore[arg-type]
    return (apart**2).mean() * len(apart)


@LOSS.mistake("One number for each example. The optimiser wants a single one: how is it made from B of them?")
def for_each_example(*args: object) -> Tensor:
    return (_apart(*args) ** 2).flatten(1).mean(1)  # type: ignore[arg-type]


@LOSS.mistake("One number for each pixel. The optimiser wants a single one.")
def for_each_pixel(*args: object) -> Tensor:
    return _apart(*args) ** 2  # type: ignore[arg-type]


@LOSS.mistake("The differences are averaged without a square: positive and negative ones cancel.")
def not_squared(*args: object) -> Tensor:
    return _apart(*args).mean()  # type: ignore[arg-type]


@LOSS.mistake("These are absolute values: their best guess is a median. The derivation needs the mean of squares.")
def absolute(*args: object) -> Tensor:
    return _apart(*args).abs().mean()  # type: ignore[arg-type]


@LOSS.mistake("This is the root of the mean square. The mean square itself is asked for.")
def rooted(*args: object) -> Tensor:
    return (_apart(*args) ** 2).mean().sqrt()  # type: ignore[arg-type]


@LOSS.mistake("The target is the noise, whatever the net predicts. Exercise 4 knows what it should be.")
def always_eps(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    return (_apart(net, x_0, t, eps, alpha_bar, "eps") ** 2).mean()


@LOSS.mistake("The net is shown x_0 itself: there is no noise in it to be found. What does it see when it samples?")
def shown_x_0(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    bar = each(alpha_bar, t, x_0)
    target = {"eps": eps, "x_0": x_0, "v": bar.sqrt() * eps - (1 - bar).sqrt() * x_0}[predict]
    return ((net(x_0, t) - target) ** 2).mean()


@LOSS.mistake("The net is told t − 1, and shown x_t. Which step does the noise that it sees belong to?")
def told_t_minus_1(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    return (_apart(lambda x_t, t: net(x_t, t - 1), x_0, t, eps, alpha_bar, predict) ** 2).mean()


@LOSS.mistake("What the net is shown is one step too early: alpha_bar[t] needs no shift, for entry 0 is t = 0.")
def one_step_early(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    shown, bar = each(alpha_bar, t - 1, x_0), each(alpha_bar, t, x_0)
    target = {"eps": eps, "x_0": x_0, "v": bar.sqrt() * eps - (1 - bar).sqrt() * x_0}[predict]
    return ((net(shown.sqrt() * x_0 + (1 - shown).sqrt() * eps, t) - target) ** 2).mean()


@LOSS.mistake("The loss is halved. Half the square has a nicer derivative, but the mean of the squares was asked for.")
def halved(*args: object) -> Tensor:
    return (_apart(*args) ** 2).mean() / 2  # type: ignore[arg-type]


@LOSS.mistake("The errors are averaged first, and squared then. Positive and negative ones cancel before they count.")
def squared_too_late(*args: object) -> Tensor:
    return _apart(*args).mean() ** 2  # type: ignore[arg-type]


@LOSS.mistake("This is the length of all errors together, the root of their sum. The mean of the squares is asked for.")
def length(*args: object) -> Tensor:
    return _apart(*args).norm()  # type: ignore[arg-type]


@LOSS.mistake("The sum is divided by 64, as for one digit. How many numbers there are, x_0 knows; mean counts them.")
def divided_by_64(*args: object) -> Tensor:
    return (_apart(*args) ** 2).sum() / 64  # type: ignore[arg-type]


@LOSS.mistake("The target is the data, whatever the net predicts. Exercise 4 knows what it should be.")
def always_x_0(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    return (_apart(net, x_0, t, eps, alpha_bar, "x_0") ** 2).mean()


@LOSS.mistake("The target is the velocity, whatever the net predicts: hand `predict` on.")
def always_v(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    return (_apart(net, x_0, t, eps, alpha_bar, "v") ** 2).mean()


def _made(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> tuple[Tensor, Tensor]:
    """x_t and the target."""
    bar = each(alpha_bar, t, x_0)
    v = bar.sqrt() * eps - (1 - bar).sqrt() * x_0
    return bar.sqrt() * x_0 + (1 - bar).sqrt() * eps, {"eps": eps, "x_0": x_0, "v": v}[predict]


@LOSS.mistake("x_0 and eps are exchanged in the target: in which order does exercise 4 take them?")
def target_exchanged(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    x_t, _ = _made(x_0, t, eps, alpha_bar, predict)
    _, wanted = _made(eps, t, x_0, alpha_bar, predict)
    return ((net(x_t, t) - wanted) ** 2).mean()


@LOSS.mistake("x_t itself is compared with the target. Where is the net's answer?")
def net_not_asked(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    x_t, wanted = _made(x_0, t, eps, alpha_bar, predict)
    return ((x_t - wanted) ** 2).mean()


@LOSS.mistake("Answer and target are added. How far apart two numbers are is a difference.")
def target_added(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    x_t, wanted = _made(x_0, t, eps, alpha_bar, predict)
    return ((net(x_t, t) + wanted) ** 2).mean()


@LOSS.mistake(
    "These are lengths, averaged over the batch: one root for each example. The squares themselves are averaged."
)
def lengths_averaged(*args: object) -> Tensor:
    return _apart(*args).flatten(1).norm(dim=1).mean()  # type: ignore[arg-type]


@LOSS.mistake("All is turned into noise before it is compared. The net is asked for `predict`: compare that.")
def in_eps(net: Net, x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    bar = each(alpha_bar, t, x_0)
    factor = {"eps": 1 + 0 * bar, "x_0": (bar / (1 - bar)).sqrt(), "v": bar.sqrt()}[predict]
    return ((factor * _apart(net, x_0, t, eps, alpha_bar, predict)) ** 2).mean()


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
