"""A diffusion model: a denoiser, trained to undo the chain of its schedule one step at a time.

p_θ(x_{t−1} | x_t) = N(μ_θ(x_t, t), σ_t² I),   μ_θ = the mean of q(x_{t−1} | x_t, x_0) at the x_0 that the net guesses
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from genlib.arguments import check_choice, check_finite, check_int, check_label, check_number, check_tensor
from genlib.common import adam, draw, evaluating
from genlib.diffusion import bound
from genlib.diffusion.schedule import Quantity, Schedule

Denoiser = Callable[[Tensor, Tensor, Any], Tensor]  # net(x_t, t, label)


class Denoised(NamedTuple):
    """What the model makes of x_t: its guess of x_0, of ε, and v of the learned variance (None if it is fixed)."""

    x_0: Tensor
    eps: Tensor
    v: Tensor | None


class DDPM(nn.Module):
    """A denoiser with its schedule: a task for `train.fit`, a model for the samplers, a bound on the likelihood.

    Training minimises, for a random step t of each example,

        L_simple = ‖target − net(x_t, t, label)‖², the mean over dimensions;   the target is ε, x_0 or v

    and with a learned variance L_simple + λ Σ_t L_t, where only the variance follows the second part.

    Args:
        net: any callable `net(x_t, t, label)` that gives a tensor like x_t (with a learned variance twice the channels:
            the prediction, then v). A `UNet`, an `MLP`, or a formula. t is (B,) int64 in 1..T; label is (B,) int64, −1
            where there is none, or None. If it has `n_classes`, then that says whether it takes labels.
        schedule: the chain that it undoes.
        predict: what the net's answer is: "eps", "x_0" or "v".
        variance: σ_t² of the step back: "beta" is β_t, "beta_tilde" is β̃_t (β̃_2 at t = 1), "learned" is
            exp(v log β_t + (1 − v) log β̃_t), between them for v in [0, 1]; v is taken as it comes. The last two need
            T >= 2.
        levels: how many values a pixel has, 17 for the digits; L_0 is then −log of a probability. None for points,
            where it is −log of a density.
        label_dropout: the share of labels hidden in training, so that one net is both conditional and not.
        lr: learning rate of Adam; 4e-3 suits small nets, the paper's take 2e-4 (256²: 2e-5).
        lam: λ, the weight of the bound where the variance is learned; the bound is in bits per dimension.
    Ref: Ho et al. 2020, eqs. 11 and 14; learned variance: Nichol & Dhariwal 2021, eqs. 15 and 16;
        v: Salimans & Ho 2022; hidden labels: Ho & Salimans 2022.

    >>> from genlib.data import GaussianMixture
    >>> s, gmm = Schedule.cosine(T=50), GaussianMixture.ring()
    >>> truth = DDPM(lambda x_t, t, label: gmm.optimal_eps(x_t, t, s), s, predict="eps")
    >>> truth.denoise(torch.zeros(4, 2), torch.full((4,), 50)).x_0.shape
    torch.Size([4, 2])
    """

    averaged = True  # train.fit leaves the averaged weights in it

    def __init__(
        self,
        net: Denoiser,
        schedule: Schedule,
        predict: Literal["eps", "x_0", "v"] = "eps",
        variance: Literal["beta", "beta_tilde", "learned"] = "beta",
        *,
        levels: int | None = None,
        label_dropout: float = 0.1,
        lr: float = 4e-3,
        lam: float = 1e-3,
    ) -> None:
        super().__init__()
        if not callable(net):
            raise ValueError(f"net: expected a callable net(x_t, t, label), got {type(net).__name__}")
        if not isinstance(schedule, Schedule):
            raise ValueError(f"schedule: expected a Schedule, got {type(schedule).__name__}")
        self.net, self.schedule = net, schedule
        self.predict: Quantity = check_choice("predict", predict, ("eps", "x_0", "v"))  # type: ignore[assignment]
        self.variance = check_choice("variance", variance, ("beta", "beta_tilde", "learned"))
        if variance != "beta" and schedule.T == 1:
            raise ValueError(f"variance: {variance!r} needs a schedule of at least 2 steps, for β̃_1 is 0; got T = 1")
        learns = getattr(net, "learned_variance", variance == "learned")
        if learns != (variance == "learned"):
            raise ValueError(f"variance: got {variance!r} for a net built with learned_variance={learns}")
        self.levels = None if levels is None else check_int("levels", levels, 2)
        self.label_dropout = check_number("label_dropout", label_dropout, 0, 1)
        self.lr = check_number("lr", lr, 0)
        self.lam = check_number("lam", lam, 0)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam for the net."""
        parameters = list(self.parameters())
        if not parameters:
            raise ValueError("net: expected a module with parameters to train, got none")
        return {"net": adam(parameters, self.lr)}

    def losses(
        self, batch: Tensor | Sequence[Tensor], generator: torch.Generator | None = None
    ) -> Iterator[tuple[str, Tensor, dict[str, Tensor]]]:
        """("net", the loss, its parts "simple" and "vlb" where there are two), once.

        Args:
            batch: x_0, (B, ...), float in [−1, 1]; or (x_0, label) with label (B,) int64.
        """
        x_0, label = self._unpack(batch)
        B = len(x_0)
        where = x_0.device if generator is None else generator.device
        t = torch.randint(1, self.schedule.T + 1, (B,), generator=generator, device=where).to(x_0.device)
        eps = draw(x_0.shape, x_0, generator)
        if label is not None and self.label_dropout:
            hidden = torch.rand(B, generator=generator, device=where).to(x_0.device) < self.label_dropout
            label = torch.where(hidden, -1, label)

        x_t = self.schedule._q_sample(x_0, t, eps)
        value, v = self._call(x_t, t, label)
        simple = functional.mse_loss(value, self.schedule._convert(eps, x_t, t, "eps", self.predict))
        if v is None:
            yield "net", simple, {}
            return
        # The bound moves the variance only: its pull on the mean is noisy, and L_simple is there for that.
        guess = self.schedule._convert(value.detach(), x_t, t, self.predict, "x_0")
        mean, _ = self.schedule._q_posterior(guess, x_t, t)
        term = bound.step_term(self.schedule, x_0, x_t, t, mean, self.log_variance(v, t, x_t), self.levels)
        # One random t stands for the sum over all T.
        vlb = self.schedule.T * term.mean() * (bound.BITS / x_0[0].numel())
        yield "net", simple + self.lam * vlb, {"simple": simple.detach(), "vlb": vlb.detach()}

    def denoise(
        self, x_t: Tensor, t: Tensor, label: Tensor | None = None, *, guidance: float = 0.0, clip: bool = False
    ) -> Denoised:
        """What the model makes of x_t, without gradients and without dropout.

            guided: (1 + w) ε(x_t, t, label) − w ε(x_t, t, none)

        Args:
            x_t: (B, ...), float, finite.
            t: (B,) int64 in 1..T.
            label: (B,) int64 in 0..n_classes − 1, −1 for none; or None.
            guidance: w >= 0; more than 0 needs a label.
            clip: clamp x_0 to [−1, 1], and give the ε that belongs to the clamped one.
        Ref: Ho & Salimans 2022, eq. 6.
        """
        check_tensor("x_t", x_t, ("B", "D", "..."))
        check_finite("x_t", x_t)
        self.schedule.check_t(t, len(x_t))
        guidance = self.check(x_t.shape, label, guidance)
        return self.denoised(x_t, t, label, guidance, clip)

    def reverse(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and variance of p_θ(x_{t−1} | x_t): like x_t; and (B, 1, ..., 1), or like x_t where it is learned.

        Args: as for `denoise`.
        Ref: Ho et al. 2020, eq. 11.
        """
        at = self.denoise(x_t, t, label)
        mean, _ = self.schedule._q_posterior(at.x_0, x_t, t)
        return mean, self.log_variance(at.v, t, x_t).exp()

    def vlb(
        self,
        x_0: Tensor,
        label: Tensor | None = None,
        *,
        levels: int | None = None,
        n_steps: int | None = None,
        batch_size: int = 256,
        generator: torch.Generator | None = None,
    ) -> bound.Bound:
        """The variational bound on −log p_θ(x_0), every term, in bits per dimension; one draw of x_t for each.

        Args:
            x_0: (B, ...), float; pictures on the grid of their `levels` from −1 to 1, as x/8 − 1 for the digits.
            label: as for `denoise`.
            levels: instead of the model's own.
            n_steps: evaluate that many of the steps 2..T, evenly spread; all of them if left out.
            batch_size: pairs of an example and a step that go through the net at once.
        Raises:
            ValueError: for pictures without `levels`, or off their grid.
        Ref: Ho et al. 2020, eq. 5.
        """
        return bound.vlb(self, x_0, label, levels=levels, n_steps=n_steps, batch_size=batch_size, generator=generator)

    def check(self, shape: Sequence[int], label: Tensor | None = None, guidance: float = 0.0) -> float:
        """Raise `ValueError` if the net cannot take this shape or these labels; gives back w."""
        check_shape = getattr(self.net, "check_shape", None)
        if check_shape is not None:
            check_shape(shape)
        guidance = check_number("guidance", guidance, 0)
        n_classes = getattr(self.net, "n_classes", None)
        if label is None:
            if guidance:
                raise ValueError(f"label: expected classes to guide towards, for guidance = {guidance:g}; got None")
            return guidance
        if n_classes is None and hasattr(self.net, "n_classes"):
            raise ValueError("label: expected None, for the net was built without classes")
        check_label(label, n_classes, shape[0], low=-1)
        return guidance

    def denoised(
        self, x_t: Tensor, t: Tensor, label: Tensor | None = None, guidance: float = 0.0, clip: bool = False
    ) -> Denoised:
        """`denoise` without its checks of values, which would stall a GPU at every step: for samplers."""
        with evaluating(self):
            if guidance:
                assert label is not None
                twice = torch.cat([x_t, x_t]), torch.cat([t, t]), torch.cat([label, torch.full_like(label, -1)])
                value, v = self._call(*twice)
                given, none = value.chunk(2)
                # The formula is that of ε. x_0 and v are affine in ε, and 1 + w − w = 1: so it is theirs too.
                value, v = (1 + guidance) * given - guidance * none, None if v is None else v.chunk(2)[0]
            else:
                value, v = self._call(x_t, t, label)
            x_0 = self.schedule._convert(value, x_t, t, self.predict, "x_0")
            if clip:
                x_0 = x_0.clamp(-1, 1)
                eps = self.schedule._convert(x_0, x_t, t, "x_0", "eps")
            else:
                eps = self.schedule._convert(value, x_t, t, self.predict, "eps")
        return Denoised(x_0, eps, v)

    def log_variance(self, v: Tensor | None, t: Tensor, like: Tensor) -> Tensor:
        """log σ_t²: (B, 1, ..., 1), or like v."""
        if v is None:
            return self.schedule.at("log_" + self.variance, t, like)
        log_beta, log_beta_tilde = self.schedule.at("log_beta", t, like), self.schedule.at("log_beta_tilde", t, like)
        return v * log_beta + (1 - v) * log_beta_tilde

    def weight(self) -> Tensor | None:
        """One of the net's tensors, whose device and dtype are the net's; None for a formula."""
        values = itertools.chain(self.parameters(), self.buffers())
        return next((value for value in values if value.is_floating_point()), None)

    def _call(self, x_t: Tensor, t: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The net's answer: the prediction, and v or None."""
        out = self.net(x_t, t, label)
        parts = 2 if self.variance == "learned" else 1
        expected = (x_t.shape[0], parts * x_t.shape[1], *x_t.shape[2:])
        if not isinstance(out, Tensor) or out.shape != expected:
            came = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise ValueError(f"net: expected it to give a tensor of shape {expected}, got {came}")
        out = out.to(x_t.dtype)  # under autocast the net may answer in half precision
        if parts == 1:
            return out, None
        value, v = out.chunk(2, dim=1)
        return value, v

    def _unpack(self, batch: Tensor | Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        if not isinstance(batch, Tensor) and not (isinstance(batch, Sequence) and len(batch) in (1, 2)):
            raise ValueError(f"batch: expected x_0 or (x_0, label), got {type(batch).__name__}")
        x_0, label = (batch, None) if isinstance(batch, Tensor) else (*batch, None)[:2]
        x_0 = check_tensor("batch", x_0, ("B", "D", "..."))
        if len(x_0) == 0:
            raise ValueError("batch: expected at least one example, got none")
        if self.variance == "learned" and self.levels is None and x_0.dim() == 4:
            raise ValueError("levels: expected the grey levels of the pictures, such as 17 or 256, got None")
        if getattr(self.net, "n_classes", 0) is None:
            return x_0, None  # a net without classes learns from labelled data all the same
        if label is None and hasattr(self.net, "n_classes"):
            raise ValueError("batch: expected (x_0, label), for the net was built with classes; got x_0 alone")
        if label is not None:
            check_label(label, None, len(x_0), values=False)  # a GPU would wait; the net looks at them on the CPU
        return x_0, label
