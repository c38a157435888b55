"""A normalizing flow: a bijection from data to a simple density, and with it the density of the data.

log p_X(x) = log p_Z(f(x)) + log |det ∂f/∂xᵀ|
"""

import itertools
import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from genlib.arguments import check_finite, check_int, check_label, check_number, check_tensor
from genlib.common import evaluating
from genlib.flows.base import Density, Normal
from genlib.flows.batch_norm import BatchNorm
from genlib.flows.chain import CouplingChain
from genlib.flows.coupling import Coupling
from genlib.flows.layer import Compose, Layer, check_dtype, total, weight
from genlib.flows.preprocessing import Logit, check_levels, dequantized

BITS = 1 / math.log(2)  # bits in a nat


class Flow(nn.Module):
    """Layers, from data to base, and the base density: `z, log_det = flow(x)`, `x, log_det = flow.inverse(z)`.

    A new flow is in evaluation mode, as `fit` leaves it. In training mode dropout and batch statistics make it another
    map at every call, which has no inverse.

    Args:
        layers: from data to base.
        shape: that of one x, (D,) or (C, H, W).
        base: p_Z, anything with `log_prob` and `sample`; N(0, I) if left out.
        levels: how many values a pixel has, if the data are whole numbers 0..levels − 1. `flow(x)` then takes
            dequantized x in [0, 1], and all preprocessing is among the layers, so in log_det.
        n_classes: classes 0..n_classes − 1, told to every network; None for a flow without labels.
    Ref: Dinh et al. 2017, eqs. 2 and 3.
    """

    def __init__(
        self,
        layers: Iterable[Layer],
        shape: Sequence[int],
        *,
        base: Density | None = None,
        levels: int | None = None,
        n_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.shape = tuple(check_int("shape", size) for size in shape)
        if len(self.shape) not in (1, 3):
            raise ValueError(f"shape: expected (D,) or (C, H, W), got {self.shape}")
        if base is not None and not (hasattr(base, "log_prob") and hasattr(base, "sample")):
            raise ValueError(f"base: expected a density with log_prob and sample, got {type(base).__name__}")
        if isinstance(base, Normal) and base.shape != self.shape:
            raise ValueError(f"base: expected a density for z of shape {self.shape}, got {base}")
        self.base: Density = Normal(self.shape) if base is None else base
        self.levels = None if levels is None else check_int("levels", levels, 2)
        self.n_classes = None if n_classes is None else check_int("n_classes", n_classes)
        self.steps = Compose(_chained(layers))
        self.eval()

    @property
    def layers(self) -> list[Layer]:
        """The layers one by one, data first: `for layer in flow.layers: x, log_det = layer(x, condition)`."""
        return self.steps.layers

    def forward(self, x: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """From data to base.

        Args:
            x: (B, *shape), float; for a flow with `levels`, dequantized, in [0, 1].
            label: (B,) int64 in 0..n_classes − 1, for a flow with classes; None for one without.
        Returns:
            z, like x; log_det, (B,), nats, of the whole map.
        Raises:
            ValueError: for another shape, dtype or class; for x where a first layer of `Logit` has no value: there is
                some room beside [0, 1], for samples that lie there, but none for whole numbers or for [−1, 1].
        """
        self._check("x", x, label)
        self._check_domain(x)
        return self._push(x, label)

    def inverse(self, z: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """From base to data: x, like z, and log |det ∂x/∂z|, (B,), nats. Arguments as for `forward`."""
        self._check("z", z, label)
        if self.training and any(_random(module) for module in self.modules()):
            raise ValueError(
                "inverse: in training mode dropout and batch statistics make this flow another map at every call; "
                "call eval() first"
            )
        return self._pull(z, label)

    def log_prob(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """log p(x), or log p(x | label): (B,), nats. Exact. Arguments as for `forward`.

        log p_X(x) = log p_Z(f(x)) + log |det ∂f/∂xᵀ|
        """
        self._check("x", x, label)
        check_finite("x", x)
        self._check_domain(x)
        return self._log_prob(x, label)

    def sample(
        self,
        n: int,
        label: Tensor | None = None,
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """n independent draws: z from the base, then x = f⁻¹(z). No gradients.

        Args:
            n: how many.
            label: (n,) int64, for a flow with classes.
            temperature: z is multiplied by it, >= 0; below 1 for fewer odd ones and less variety. Only for the base
                N(0, I).
        Returns:
            (n, *shape); for a flow with `levels`, dequantized: `quantize(x, levels)` makes whole numbers of it.
        Ref: temperature: Kingma & Dhariwal 2018, §6.
        """
        n = check_int("n", n, 0)
        temperature = check_number("temperature", temperature, 0)
        if temperature != 1 and not isinstance(self.base, Normal):
            raise ValueError(f"temperature: expected 1 for a base that is not N(0, I), got {temperature:g}")
        self._check_label(label, n)
        like = self._weight()
        with evaluating(self):
            z = self.base.sample(n, generator=generator).to(like)
            if z.shape != (n, *self.shape):
                raise ValueError(f"base: expected draws of shape {(n, *self.shape)}, got {tuple(z.shape)}")
            return self._pull(z if temperature == 1 else temperature * z, label)[0]

    def bits_per_dim(
        self,
        x_int: Tensor,
        label: Tensor | None = None,
        *,
        n_importance: int = 1,
        batch_size: int = 512,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A code length for whole-numbered data, in bits per dimension: an upper bound, in expectation. No gradients.

            −1/(D log 2) · [log 1/K Σ_k p((x_int + u_k)/L) − D log L],    u_k uniform on [0, 1)^D

        With K = 1 it is the usual one; with more draws of u it comes down towards −log₂ P(x_int)/D.

        Args:
            x_int: (B, *shape), whole numbers in 0..levels − 1.
            label: (B,) int64, for a flow with classes.
            n_importance: K, draws of u for each example.
            batch_size: how many go through the flow at once.
        Returns:
            (B,), float64.
        Raises:
            ValueError: for a flow without `levels`, floats, or values that are no such levels.
        Ref: Theis et al. 2016, §3.1; K > 1: Burda et al. 2016, eq. 8; Ho et al. 2019, §4.2.
        """
        levels = self._check_integers(x_int, label)
        check_levels(x_int, levels)
        K, batch_size = check_int("n_importance", n_importance), check_int("batch_size", batch_size)
        dtype, dims = self._weight().dtype, math.prod(self.shape)
        log_p = torch.empty(K, len(x_int), dtype=torch.float64)
        with evaluating(self):
            for k, rows in itertools.product(range(K), torch.arange(len(x_int)).split(batch_size)):
                rows = rows.to(x_int.device)
                x = dequantized(x_int[rows], levels, generator, dtype)
                log_p[k, rows.cpu()] = self._log_prob(x, None if label is None else label[rows]).double().cpu()
        log_P = log_p.logsumexp(0) - math.log(K) - dims * math.log(levels)
        return -log_P * (BITS / dims)

    def condition(self, label: Tensor | None) -> Tensor | None:
        """What the layers are told: one-hot labels, (B, n_classes), float; or None."""
        if label is None or self.n_classes is None:
            return None
        return functional.one_hot(label, self.n_classes).to(self._weight().dtype)

    def _push(self, x: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor]:
        terms: list[Tensor] = []
        z = self.steps.push(x, self.condition(label), terms)
        return z, total(terms, x)

    def _pull(self, z: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor]:
        terms: list[Tensor] = []
        x = self.steps.pull(z, self.condition(label), terms)
        return x, -total(terms, z)

    def _log_prob(self, x: Tensor, label: Tensor | None) -> Tensor:
        """`log_prob` without its checks of values, which would stall a GPU in training."""
        z, log_det = self._push(x, label)
        try:
            log_p = self.base.log_prob(z)
        except ValueError as error:
            raise ValueError(f"base: expected a density for z of shape {tuple(z.shape)}, it answers: {error}") from None
        if log_p.shape != log_det.shape:
            raise ValueError(f"base: expected log_prob of shape {tuple(log_det.shape)}, got {tuple(log_p.shape)}")
        return log_p + log_det

    def _weight(self) -> Tensor:
        """A tensor whose device and dtype are the flow's."""
        like = weight(self)
        return torch.empty(0) if like is None else like

    def _check(self, name: str, x: Tensor, label: Tensor | None) -> None:
        hint = ""
        if self.levels is not None and isinstance(x, Tensor) and not x.is_floating_point():
            hint = " (bits_per_dim and MaximumLikelihood take whole numbers, and dequantize them)"
        try:
            check_tensor(name, x, ("B", *self.shape))
        except ValueError as error:
            raise ValueError(f"{error}{hint}") from None
        check_dtype(name, x, self)
        self._check_label(label, len(x))

    def _check_domain(self, x: Tensor) -> None:
        """Raise `ValueError` for x where a first layer of `Logit` has no value. A GPU waits for it: not for losses."""
        first = self.layers[0] if len(self.steps.parts) else None
        if not isinstance(first, Logit) or not x.numel():
            return
        low, high = x.detach().aminmax()
        if bool((first.squeezed(low) <= 0) | (first.squeezed(high) >= 1)):
            wanted = "numbers in [0, 1]" if self.levels is None else "dequantized numbers in [0, 1]"
            raise ValueError(f"x: expected {wanted}, got {float(low):g}..{float(high):g}")

    def _check_label(self, label: Tensor | None, n: int, values: bool = True) -> None:
        if self.n_classes is None:
            if label is not None:
                raise ValueError("label: expected None, this flow was built without classes")
            return
        if label is None:
            raise ValueError(f"label: expected classes 0..{self.n_classes - 1} for each example, got None")
        check_label(label, self.n_classes, n, values=values)

    def _check_integers(self, x_int: Tensor, label: Tensor | None) -> int:
        if self.levels is None:
            raise ValueError("levels: expected a flow built with levels=, the number of values of a pixel; got None")
        check_tensor("x_int", x_int, ("B", *self.shape), dtype="int")
        self._check_label(label, len(x_int))
        return self.levels


def _chained(layers: Iterable[Layer]) -> list[Layer]:
    """The same layers, with couplings that follow each other and keep their halves apart put into chains."""
    groups: list[Layer] = []
    for apart, group in itertools.groupby(layers, lambda layer: isinstance(layer, Coupling) and layer.apart):
        run = list(group)
        groups += [CouplingChain(run)] if apart and len(run) > 1 else run  # type: ignore[arg-type]
    return groups


def _random(module: nn.Module) -> bool:
    """Whether in training mode the same input gives different outputs."""
    if isinstance(module, BatchNorm | nn.modules.batchnorm._BatchNorm):
        return True
    rate = getattr(module, "p" if isinstance(module, nn.modules.dropout._DropoutNd) else "dropout", 0)
    return isinstance(rate, int | float) and rate > 0
