"""A diffusion model: a network, with the schedule of the chain that it undoes one step at a time.

p_θ(x_{t−1} | x_t) = N(μ_θ(x_t, t), σ_t² I),   μ_θ = the mean of q(x_{t−1} | x_t, x_0) at the x_0 that the net guesses
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn

from genlib.arguments import Count, LabelOrNone, Levels, Natural, Sizes, checked, weight
from genlib.common import evaluating
from genlib.diffusion.edm import Preconditioned
from genlib.diffusion.samplers import Denoised, Guidance, Weight, ddim, last
from genlib.diffusion.schedule import Schedule, q_posterior
from genlib.memory import freed_memory_kept

Data = Annotated[Float[Tensor, "B D ..."], "finite"]
Times = Annotated[Int64[Tensor, " B"], "[1, {self.schedule.T}]"]
MANY = 100_000_000  # classes that a formula may be told, which does not say how many it knows


class DDPM(nn.Module):
    """A denoiser with its schedule: a model that samples. `Denoising` trains it, `vlb` bounds its likelihood.

    Args:
        net: a `UNet`, an `MLP`, a formula: any `net(x_t, t, label)` that gives a tensor like x_t (with a learned
            variance twice the channels: the prediction, then v). t is (B,) int64 in 1..T. If it has `n_classes` or
            `n_condition`, these say what it is told; a formula may be told any classes.
        predict: what the net's answer is.
        variance: σ_t² of the step back: "beta" is β_t, "beta_tilde" is β̃_t (β̃_2 at t = 1), "learned" is
            exp(v log β_t + (1 − v) log β̃_t), for any v; the last two need T >= 2.
        levels: how many values a pixel has, such as 17; L_0 is −log of a probability. None for points: of a density.
        shape: of one x, such as (1, 8, 8), for `sample`; if left out, that of the first batch it is trained on.
    Raises: ValueError for other arguments, or a net and a variance that do not go together.
    Ref: Ho et al. 2020, eq. 11; learned variance: Nichol & Dhariwal 2021, eq. 15; v: Salimans & Ho 2022.

    >>> from genlib.data import GaussianMixture
    >>> s, gmm = Schedule.cosine(T=50), GaussianMixture.ring()
    >>> best = DDPM(lambda x_t, t, label: gmm.optimal_eps(x_t, t, s), s, predict="eps", shape=(2,))
    >>> best.sample(16, steps=10).shape
    torch.Size([16, 2])
    """

    @checked
    def __init__(
        self,
        net: Callable[[Tensor, Tensor, Any], Tensor],
        schedule: Schedule,
        predict: Literal["eps", "x_0", "v", "u"] = "eps",
        variance: Literal["beta", "beta_tilde", "learned"] = "beta",
        *,
        levels: Levels | None = None,
        shape: Sizes | None = None,
    ) -> None:
        super().__init__()
        if variance != "beta" and schedule.T == 1:
            raise ValueError(f"variance: {variance!r} needs a schedule of at least 2 steps, for β̃_1 is 0; got T = 1")
        if predict == "eps" and schedule.alpha_bar[-1] == 0:
            raise ValueError("predict: expected 'v', 'u' or 'x_0' where no signal is left at T, got 'eps'")
        if isinstance(net, Preconditioned) and (predict != "x_0" or repr(net.schedule) != repr(schedule)):
            raise ValueError(f"net: expected predict = 'x_0' and the net's own schedule, got {predict!r}, {schedule!r}")
        if getattr(net, "learned_variance", variance == "learned") != (variance == "learned"):
            raise ValueError(f"variance: got {variance!r} for a net with learned_variance={variance != 'learned'}")
        self.net: Any = net
        self.schedule, self.predict, self.variance = schedule, predict, variance
        self.levels, self.shape, self.n_condition = levels, shape, getattr(net, "n_condition", None)
        self.n_classes = getattr(net, "n_classes", None if self.n_condition else MANY)

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The net's answer, in the precision of x_t: the prediction, and v or None. Raises: ValueError for another."""
        own, parts = weight(self), 2 if self.variance == "learned" else 1
        out = self.net(x_t if own is None else x_t.to(own.dtype), t, label)
        shape = (len(x_t), parts * x_t.shape[1], *x_t.shape[2:])
        if not isinstance(out, Tensor) or out.shape != shape:
            raise ValueError(f"net: expected a tensor of shape {shape}, got {tuple(getattr(out, 'shape', ())) or out}")
        return (*out.to(x_t.dtype).chunk(parts, dim=1), None)[:2]  # type: ignore[return-value]

    def guess(
        self,
        x_t: Tensor,
        t: Tensor,
        label: Tensor | None,
        guidance: Guidance,
        clip: bool = False,
        gradients: bool = False,
    ) -> Denoised:
        """`denoise` of what has been checked: for samplers, which ask the same model many times."""
        with evaluating(self), torch.enable_grad() if gradients else nullcontext():
            w = guidance.w if label is not None else 0.0
            if w:
                labels = torch.cat([label, torch.full_like(label, none(label))])  # type: ignore[list-item, arg-type]
                value, v = self(torch.cat([x_t, x_t]), torch.cat([t, t]), labels)
                given, free = value.chunk(2)
                # The formula is that of ε. x_0 and v are affine in ε, and 1 + w − w = 1: so it is theirs too.
                value, v = (1 + w) * given - w * free, None if v is None else v.chunk(2)[0]
            else:
                value, v = self(x_t, t, label)
                given = value
            x_0, eps = self.schedule._x_0_and_eps(value, x_t, t, self.predict)
            if w and guidance.rescale:
                alone, _ = self.schedule._x_0_and_eps(given, x_t, t, self.predict)
                s, guided = (x.flatten(1).std(1, correction=0).view(-1, *[1] * (x.dim() - 1)) for x in (alone, x_0))
                ratio = torch.where(guided > 0, s / guided, 1.0)  # of one dimension there is no deviation
                x_0 = (guidance.rescale * ratio + 1 - guidance.rescale) * x_0
            if clip:
                x_0 = x_0.clamp(-1, 1)
            if clip or (w and guidance.rescale):
                x_0, eps = self.schedule._x_0_and_eps(x_0, x_t, t, "x_0")
            return Denoised(x_0, eps, v)

    def step_back(self, guess: Denoised, x_t: Tensor, t: Tensor, chain: Schedule) -> tuple[Tensor, Tensor]:
        """Mean and log σ_t² of p_θ(x_{t−1} | x_t), in a chain of which t is a step: its own, or a respaced one."""
        mean, _ = q_posterior(chain, guess.x_0, x_t, t)
        if guess.v is None:
            return mean, chain._at("log_" + self.variance, t, x_t)
        return mean, guess.v * chain._at("log_beta", t, x_t) + (1 - guess.v) * chain._at("log_beta_tilde", t, x_t)

    @checked
    def label_for(self, n: Natural, label: LabelOrNone, guidance: Weight = 0.0) -> Tensor | None:
        """The label of n examples, if the net is told such; if not, `ValueError`."""
        if guidance and label is None:
            raise ValueError(f"label: expected one to guide towards, for guidance = {guidance:g}; got None")
        return label  # type: ignore[return-value]

    def check_shape(self, shape: Sequence[int], name: str) -> None:
        """Raise `ValueError`, about this name, if the net says that it cannot take an x of this shape."""
        if hasattr(self.net, "_check_shape"):
            self.net._check_shape(shape, name)  # type: ignore[operator, union-attr]

    @checked
    def denoise(
        self, x_t: Data, t: Times, label: Any = None, *, guidance: Weight | Guidance = 0.0, clip: bool = False
    ) -> Denoised:
        """What the model makes of x_t, without gradients and without dropout: (1 + w) ε(x_t, label) − w ε(x_t, none).
        A `Guidance` guides here at every t, whatever its noise levels are.
        Args: x_t (B, D, ...), float, finite; t (B,) int64 in 1..T; label, guidance, clip: as for every `sampler`.
        Raises: ValueError for what does not fit, and guidance without a label.
        Ref: Ho & Salimans 2022, eq. 6; lecture 04 (28).
        """
        guidance = guidance if isinstance(guidance, Guidance) else Guidance(guidance)
        return self.guess(x_t, t, self.label_for(len(x_t), label, guidance.w), guidance, clip)

    def reverse(self, x_t: Tensor, t: Tensor, label: Tensor | int | None = None) -> tuple[Tensor, Tensor]:
        """Mean and variance of p_θ(x_{t−1} | x_t): like x_t; and (B, 1, ..., 1), or like x_t where it is learned.

        Args, Raises: as for `denoise`. Ref: Ho et al. 2020, eq. 11; lecture 04 (10).
        """
        mean, log_var = self.step_back(self.denoise(x_t, t, label), x_t, t, self.schedule)
        return mean, log_var.exp()

    @checked
    def sample(
        self,
        n: Count,
        label: Any = None,
        generator: Generator | None = None,
        *,
        steps: Any = 50,
        sampler: Callable[..., Iterator[Tensor]] = ddim,
        shape: Sizes | None = None,
        **options: Any,
    ) -> Tensor:
        """n samples, x_0: the end of a sampler's walk, (n, *shape), of the net's dtype, or float32 if that is less.
        Args: label, generator, steps (50: all of a shorter chain) and options: as for every `sampler`, such as `ddim`,
            `ancestral`, `heun` or one of your own; shape, of one x, if not the model's own.
        Raises: ValueError for what the net or the sampler refuses, or if no shape is known.
        """
        shape = shape or self.shape
        if shape is None:
            raise ValueError("shape: expected that of one x, such as (1, 8, 8), for this model has seen none; got None")
        steps = min(steps, self.schedule.T) if isinstance(steps, int) and steps == 50 else steps
        with freed_memory_kept():
            return last(sampler(self, (n, *shape), steps=steps, label=label, generator=generator, **options))

    def config(self) -> dict[str, Any]:
        """What the weights do not say; of the schedule so much that another one is told apart."""
        own = {name: getattr(self, name) for name in ("predict", "variance", "levels")}
        return own | {"schedule": repr(self.schedule)} | (self.net.config() if hasattr(self.net, "config") else {})

    def get_extra_state(self) -> Tensor:
        """The shape of one x, in as many entries whether it is known or not."""
        return torch.tensor([*(self.shape or ()), *[0] * 8][:8], device="cpu")

    def set_extra_state(self, state: Tensor) -> None:
        self.shape = tuple(n for n in state.tolist() if n) or self.shape


def none(label: Tensor) -> float:
    """What stands for "no label" in the place of one: −1, or NaN."""
    return math.nan if label.is_floating_point() else -1


def hidden(label: Tensor, share: float, generator: Generator | None) -> Tensor:
    """The labels, a share of them hidden at random, so that one net learns to do with and without."""
    where = label.device if generator is None else generator.device
    hide = torch.rand(len(label), generator=generator, device=where).to(label.device) < share
    return label.masked_fill(hide.view(-1, *[1] * (label.dim() - 1)), none(label))
