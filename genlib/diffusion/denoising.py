"""How a diffusion model is trained: noise is added, and the net is to say what it was."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional

from genlib.arguments import LabelOrNone, Levels, NonNegative, Share, Sizes, check, checked
from genlib.common import BITS, Turn, draw, unpack
from genlib.diffusion.bound import on_grid, step_term
from genlib.diffusion.ddpm import DDPM, MANY, Data, hidden
from genlib.diffusion.samplers import Denoised
from genlib.diffusion.schedule import Horizon, Schedule, convert, q_sample
from genlib.optimizers import adam


class Denoising(nn.Module):
    """The objective of a DDPM. For a random step t of each example, it is to minimise

        L_simple = w(t) ‖target − net(x_t, t, label)‖², the mean over dimensions;   the target is ε, x_0, v or u

    and with a learned variance L_simple + λ Σ_t L_t, where only the variance follows the second part.

    Args:
        lr: learning rate of Adam; 4e-3 suits small nets, the paper's take 2e-4 (256²: 2e-5).
        label_dropout: the share of labels hidden in training, so that one net is both conditional and not.
        lam: λ, the weight of the bound, in bits per dimension, where the variance is learned.
        weight: w, a function of t, (B,) int64, that gives (B,), such as `min_snr`; None for the papers' w = 1.
        steps: (T,), how often each of 1..T is drawn, up to a factor, such as `log_normal`'s; None: all alike. What is
            minimised has the weight w(t) times this.
    Raises: ValueError for other arguments.
    Ref: Ho et al. 2020, eq. 14; λ: Nichol & Dhariwal 2021, eq. 16; labels: Ho & Salimans 2022; w: Hang et al. 2023.
    Its weights against those of the bound: lecture 04 (20).
    """

    @checked
    def __init__(
        self,
        ddpm: DDPM,
        lr: NonNegative = 4e-3,
        label_dropout: Share = 0.1,
        lam: NonNegative = 1e-3,
        weight: Callable[[Tensor], Tensor] | None = None,
        steps: Annotated[Float[Tensor, " {ddpm.schedule.T}"], "[0, 1e15]"] | None = None,
    ) -> None:
        super().__init__()
        if steps is not None and not float(steps.sum()) > 0:
            raise ValueError("steps: expected some that are drawn, got 0 for all of them")
        self.model, self.lr, self.label_dropout, self.lam, self.weight = ddpm, lr, label_dropout, lam, weight
        self.steps = steps

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam for the net. Raises: ValueError if there is nothing in it to train."""
        return {"net": adam(self.parameters(), self.lr)}

    @checked
    def losses(self, batch: Any, generator: Generator | None = None) -> Iterator[Turn]:
        """("net", the loss, its parts "simple" and "vlb" where there are two), once.
        Args: batch, x_0, (B, D, ...), float in [−1, 1], or (x_0, label), as the net is told.
        Raises: ValueError for a batch that does not fit the net.
        """
        x_0, label = self._parts(batch, Float[Tensor, "B D ..."])
        x_0 = x_0.to(torch.promote_types(x_0.dtype, torch.float32))
        model, schedule, B = self.model, self.model.schedule, len(x_0)
        where = x_0.device if generator is None else generator.device
        if self.steps is None:
            t = torch.randint(1, schedule.T + 1, (B,), generator=generator, device=where).to(x_0.device)
        else:
            t = 1 + torch.multinomial(self.steps.to(where), B, replacement=True, generator=generator).to(x_0.device)
        x_0, x_t, eps, label = self._noised(x_0, label, t, generator)
        value, v = model(x_t, t, label)
        target = schedule._from_both(x_0, eps, t, model.predict)
        if self.weight is None:
            simple = functional.mse_loss(value, target)
        else:
            w = check("weight", self.weight(t), Float[Tensor, "{B}"], B=B)
            simple = (w.to(value) * functional.mse_loss(value, target, reduction="none").flatten(1).mean(1)).mean()
        if v is None:
            yield "net", simple, {}
            return
        # The bound moves the variance only: its pull on the mean is noisy, and L_simple is there for that.
        x_0_guess = convert(schedule, value.detach(), x_t, t, model.predict, "x_0")
        mean, log_var = model.step_back(Denoised(x_0_guess, eps, v), x_t, t, schedule)  # which looks at no ε
        term = step_term(schedule, x_0, x_t, t, mean, log_var, model.levels)
        if self.steps is not None:
            term = term / (schedule.T * self.steps / self.steps.sum()).to(term)[t - 1]
        vlb = schedule.T * term.mean() * (BITS / x_0[0].numel())  # one random t stands for the sum over all T
        yield "net", simple + self.lam * vlb, {"simple": simple.detach(), "vlb": vlb.detach()}

    def _noised(
        self, x_0: Tensor, label: Tensor | None, t: Tensor, generator: Generator | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """x_0, x_t, the ε in it, and the labels, some of them hidden."""
        x_0, eps = self._ends(x_0, generator)
        if label is not None and self.label_dropout:
            label = hidden(label, self.label_dropout, generator)
        return x_0, q_sample(self.model.schedule, x_0, t, eps), eps, label

    def _ends(self, x_0: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
        """The two that x_t is made of."""
        return x_0, draw(x_0.shape, x_0, generator)

    def check(self, batch: Any) -> None:
        """Look at a batch once; the model remembers the shape of an x, if it knew none.
        Raises: ValueError for one that does not fit the net, NaN, and pictures off the grid of the bound's levels.
        """
        x_0, label = self._parts(batch, Data)
        check("label", label, LabelOrNone, self=self.model, n=len(x_0))  # its values on a GPU, too
        if self.model.variance == "learned":
            on_grid("batch", x_0, self.model.levels)
        self.model.shape = self.model.shape or tuple(x_0.shape[1:])

    def _parts(self, batch: Any, kind: Any) -> tuple[Tensor, Tensor | None]:
        model = self.model
        x_0, label = unpack(batch, None if model.n_classes == MANY else bool(model.n_classes or model.n_condition))
        model.check_shape(check("batch", x_0, kind, self=model).shape, "batch")
        return x_0, model.label_for(len(x_0), label)

    def config(self) -> dict[str, Any]:
        """What must be the same to go on with a training: the model's, and what is minimised."""
        weight = self.weight and getattr(self.weight, "__qualname__", type(self.weight).__name__)
        own = {"label_dropout": self.label_dropout, "lam": self.lam, "weight": weight}
        if self.steps is not None:  # up to which step a tenth of the draws lies, two tenths, ...
            shares = (self.steps.double().cumsum(0) / self.steps.double().sum()).cpu()
            own |= {"steps": (1 + torch.searchsorted(shares, torch.arange(1, 10).double() / 10)).tolist()}
        return self.model.config() | own | {"dropout": getattr(self.model.net, "dropout", 0.0)}


@checked
def flow_matching(
    net: Callable[[Tensor, Tensor, Any], Tensor],
    T: Horizon = 1000,
    lr: NonNegative = 4e-3,
    label_dropout: Share = 0.1,
    *,
    levels: Levels | None = None,
    shape: Sizes | None = None,
) -> Denoising:
    """The objective of flow matching: for a random time s = t/T, t in 1..T, of each example, it is to minimise

        ‖net(x_t, t, label) − (x_0 − ε)‖²,     √((1 − s)² + s²) x_t = (1 − s) x_0 + s ε

    That is `Denoising` of a model that predicts u on `Schedule.straight`, which is here made around the net: it is
    `flow_matching(net).model`, and with `ddim` it walks in steps of Euler's method. Args: as for `DDPM`, `Schedule` and
    `Denoising`. Raises: ValueError for others. Ref: Lipman et al. 2023; Liu et al. 2023; lecture 05b (28).
    """
    return Denoising(DDPM(net, Schedule.straight(T), predict="u", levels=levels, shape=shape), lr, label_dropout)
