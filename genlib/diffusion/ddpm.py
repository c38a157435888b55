"""A diffusion model: a network, with the schedule of the chain that it undoes one step at a time.

p_θ(x_{t−1} | x_t) = N(μ_θ(x_t, t), σ_t² I),   μ_θ = the mean of q(x_{t−1} | x_t, x_0) at the x_0 that the net guesses
"""

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from genlib.arguments import Count, LabelOrNone, Levels, NonNegative, Share, Sizes, check, checked, weight
from genlib.common import evaluating
from genlib.diffusion.samplers import Denoised, ddim, last
from genlib.diffusion.schedule import Schedule

ANY = 100_000_000  # as many classes has a formula, which does not say how many it knows
# The mathematics without its checks: a network's answer is what it is.
convert, q_posterior = inspect.unwrap(Schedule.convert), inspect.unwrap(Schedule.q_posterior)


class DDPM(nn.Module):
    """A denoiser with its schedule: a model that samples. `Denoising` trains it, `vlb` bounds its likelihood.

    Args:
        net: any callable `net(x_t, t, label)` that gives a tensor like x_t (with a learned variance twice the channels:
            the prediction, then v). A `UNet`, an `MLP`, or a formula. t is (B,) int64 in 1..T. If it has `n_classes`
            or `n_condition`, these say what label is: (B,) int64, −1 for none; (B, n_condition) float, a row of NaN
            for none; or None. A formula may be told any classes.
        schedule: the chain that it undoes.
        predict: what the net's answer is: "eps", "x_0" or "v".
        variance: σ_t² of the step back: "beta" is β_t, "beta_tilde" is β̃_t (β̃_2 at t = 1), "learned" is
            exp(v log β_t + (1 − v) log β̃_t), between them for v in [0, 1]; v is taken as it comes. The last two need
            T >= 2.
        levels: how many values a pixel has, 17 for the digits; L_0 is then −log of a probability. None for points,
            where it is −log of a density.
        shape: of one x, such as (1, 8, 8), for `sample`; if left out, that of the first batch it is trained on.
    Raises: ValueError for other arguments, or a net and a variance that do not go together.
    Ref: Ho et al. 2020, eq. 11; learned variance: Nichol & Dhariwal 2021, eq. 15; v: Salimans & Ho 2022.

    >>> from genlib.data import GaussianMixture
    >>> s, gmm = Schedule.cosine(T=50), GaussianMixture.ring()
    >>> truth = DDPM(lambda x_t, t, label: gmm.optimal_eps(x_t, t, s), s, predict="eps", shape=(2,))
    >>> truth.denoise(torch.zeros(4, 2), torch.full((4,), 50)).x_0.shape
    torch.Size([4, 2])
    >>> truth.sample(16, steps=10).shape
    torch.Size([16, 2])
    """

    @checked
    def __init__(
        self,
        net: Callable[[Tensor, Tensor, Any], Tensor],
        schedule: Schedule,
        predict: Literal["eps", "x_0", "v"] = "eps",
        variance: Literal["beta", "beta_tilde", "learned"] = "beta",
        *,
        levels: Levels | None = None,
        shape: Sizes | None = None,
    ) -> None:
        super().__init__()
        if variance != "beta" and schedule.T == 1:
            raise ValueError(f"variance: {variance!r} needs a schedule of at least 2 steps, for β̃_1 is 0; got T = 1")
        learns = getattr(net, "learned_variance", variance == "learned")
        if learns != (variance == "learned"):
            raise ValueError(f"variance: got {variance!r} for a net built with learned_variance={learns}")
        self.net, self.schedule, self.predict, self.variance = net, schedule, predict, variance
        self.levels, self.shape, self.n_condition = levels, shape, getattr(net, "n_condition", None)
        self.n_classes = getattr(net, "n_classes", None if self.n_condition else ANY)

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The net's answer, in the precision of x_t, whatever that of the net: the prediction, and v or None.

        Raises: ValueError for what the net refuses, or if it gives something else.
        """
        own = weight(self)
        out = self.net(x_t if own is None else x_t.to(own.dtype), t, label)
        parts = 2 if self.variance == "learned" else 1
        check("net", out, Float[Tensor, "{answer}"], answer=(x_t.shape[0], parts * x_t.shape[1], *x_t.shape[2:]))
        value, *v = out.to(x_t.dtype).chunk(parts, dim=1)
        return value, v[0] if v else None

    def guess(self, x_t: Tensor, t: Tensor, label: Tensor | None, guidance: float, clip: bool) -> Denoised:
        """What `denoise` says, with gradients, and in the mode that the net has."""
        if guidance and label is not None:
            labels = torch.cat([label, torch.full_like(label, none(label))])
            value, v = self(torch.cat([x_t, x_t]), torch.cat([t, t]), labels)
            given, free = value.chunk(2)
            # The formula is that of ε. x_0 and v are affine in ε, and 1 + w − w = 1: so it is theirs too.
            value, v = (1 + guidance) * given - guidance * free, None if v is None else v.chunk(2)[0]
        else:
            value, v = self(x_t, t, label)
        x_0 = convert(self.schedule, value, x_t, t, self.predict, "x_0")
        if not clip:
            return Denoised(x_0, convert(self.schedule, value, x_t, t, self.predict, "eps"), v)
        x_0 = x_0.clamp(-1, 1)
        return Denoised(x_0, convert(self.schedule, x_0, x_t, t, "x_0", "eps"), v)

    def step_back(
        self, x_0: Tensor, v: Tensor | None, x_t: Tensor, t: Tensor, schedule: Schedule
    ) -> tuple[Tensor, Tensor]:
        """Mean and log σ_t² of p_θ(x_{t−1} | x_t) at a guess of x_0 and v, in a chain of which t is a step."""
        mean, _ = q_posterior(schedule, x_0, x_t, t)
        if v is None:
            return mean, schedule._at("log_" + self.variance, t, x_t)
        return mean, v * schedule._at("log_beta", t, x_t) + (1 - v) * schedule._at("log_beta_tilde", t, x_t)

    def told(self, name: str, shape: Sequence[int], label: Any, guidance: float = 0.0) -> Tensor | None:
        """The label, if the net takes an x of this shape and is told such labels; if not, `ValueError`."""
        if hasattr(self.net, "check_shape"):
            self.net.check_shape(shape, name)  # type: ignore[operator, union-attr]
        label = check("label", label, LabelOrNone, self=self, n=shape[0])
        if guidance and label is None:
            raise ValueError(f"label: expected one to guide towards, for guidance = {guidance:g}; got None")
        return label

    @checked
    def denoise(
        self,
        x_t: Annotated[Float[Tensor, "B D ..."], "finite"],
        t: Annotated[Int64[Tensor, " B"], "[1, {self.schedule.T}]"],
        label: Any = None,
        *,
        guidance: NonNegative = 0.0,
        clip: bool = False,
    ) -> Denoised:
        """What the model makes of x_t, without gradients and without dropout.

            guided: (1 + w) ε(x_t, t, label) − w ε(x_t, t, none)

        Args:
            x_t: (B, D, ...), float, finite.
            t: (B,) int64 in 1..T.
            label: (B,) int64 in 0..n_classes − 1, −1 for none; (B, n_condition) float, a row of NaN for none; one class
                for all; or None.
            guidance: w >= 0; more than 0 needs a label.
            clip: clamp x_0 to [−1, 1], and give the ε that belongs to the clamped one.
        Raises: ValueError for what does not fit the net or the schedule, and guidance without a label.
        Ref: Ho & Salimans 2022, eq. 6.
        """
        label = self.told("x_t", x_t.shape, label, guidance)
        with evaluating(self):
            guess = self.guess(x_t.to(torch.promote_types(x_t.dtype, torch.float32)), t, label, guidance, clip)
        return Denoised(*(part if part is None else part.to(x_t.dtype) for part in guess))  # type: ignore[arg-type]

    def reverse(self, x_t: Tensor, t: Tensor, label: Tensor | int | None = None) -> tuple[Tensor, Tensor]:
        """Mean and variance of p_θ(x_{t−1} | x_t): like x_t; and (B, 1, ..., 1), or like x_t where it is learned.

        Args, Raises: as for `denoise`.
        Ref: Ho et al. 2020, eq. 11.
        """
        guess = self.denoise(x_t, t, label)
        mean, log_var = self.step_back(guess.x_0, guess.v, x_t, t, self.schedule)
        return mean, log_var.exp()

    @checked
    def sample(
        self,
        n: Count,
        label: Any = None,
        generator: torch.Generator | None = None,
        *,
        steps: Any = 50,
        guidance: NonNegative = 0.0,
        eta: Share = 0.0,
        clip: bool = False,
        sampler: Callable[..., Iterator[Tensor]] = ddim,
        shape: Sizes | None = None,
    ) -> Tensor:
        """n samples, x_0: the end of a sampler's walk.

        Args:
            n: how many; and label, generator, guidance, clip: as for every `sampler`.
            steps: as for every sampler; 50, or all of a shorter chain, if left out.
            eta: the noise of `ddim`, from 0 to 1.
            sampler: `ddim`, `ancestral`, `heun` or one of your own.
            shape: of one x, if not the model's own.
        Returns: (n, *shape), of the net's dtype, or float32 where that is half precision.
        Raises: ValueError for what the net or the sampler refuses, or if no shape is known.
        """
        shape = shape or self.shape
        if shape is None:
            raise ValueError(
                "shape: expected that of one x, such as (1, 8, 8), which this model has not seen; got None"
            )
        if isinstance(steps, int) and steps == 50:
            steps = min(50, self.schedule.T)
        options = {"steps": steps, "label": label, "guidance": guidance, "clip": clip, "generator": generator}
        return last(sampler(self, (n, *shape), **options, **({"eta": eta} if eta else {})))

    def config(self) -> dict[str, Any]:
        """What the weights do not say; of the schedule so much that another one is told apart."""
        of_net = self.net.config() if hasattr(self.net, "config") else {}  # type: ignore[operator, union-attr]
        own = {"predict": self.predict, "variance": self.variance, "levels": self.levels}
        return {**own, "schedule": repr(self.schedule), **of_net}

    def get_extra_state(self) -> Tensor:
        """The shape of one x, stored beside the weights, in as many entries whether it is known or not."""
        shape = self.shape or ()
        return torch.tensor([*shape, *[0] * (8 - len(shape))], device="cpu")

    def set_extra_state(self, state: Tensor) -> None:
        self.shape = tuple(n for n in state.tolist() if n) or self.shape


def none(label: Tensor) -> float:
    """What stands for "no label" in the place of one: −1, or NaN."""
    return math.nan if label.is_floating_point() else -1
