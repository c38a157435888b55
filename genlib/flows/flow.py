"""A normalizing flow: a bijection from data to a simple density, and with it the density of the data."""

import math
from collections.abc import Iterable
from typing import Annotated, Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Integer
from torch import Generator, Tensor, nn
from torch.nn.modules import batchnorm, dropout

from genlib.arguments import Count, Label, Levels, Natural, NonNegative, Sizes, Width, checked, weight
from genlib.common import BITS, evaluating, n_told, told
from genlib.flows.layer import INVERSE, Compose, Pair, through, total
from genlib.flows.linear import BatchNorm
from genlib.flows.preprocessing import dequantize

X = Float[Tensor, "B {self.shape}"]
CHANCE = (BatchNorm, batchnorm._BatchNorm, dropout._DropoutNd)  # in training, another map at every call


@runtime_checkable
class Density(Protocol):
    """Anything with a density, (B,), nats, and samples, (n, ...), will do, such as a `data.GaussianMixture`."""

    def log_prob(self, z: Tensor, /) -> Tensor: ...

    def sample(self, n: int, generator: Generator | None = None) -> Tensor: ...


class Normal:
    """N(0, I), of the same dimension as x: a bijection cannot change it. log p(z) = −½ |z|² − ½ D log 2π

    `shape` is that of one z, (D,) or (C, H, W). Raises: ValueError for another.
    """

    @checked
    def __init__(self, shape: Sizes) -> None:
        self.shape = shape

    @checked
    def log_prob(self, z: X) -> Tensor:
        """(B,), nats."""
        return -0.5 * total(z.square()) - 0.5 * math.prod(self.shape) * math.log(2 * math.pi)

    @checked
    def sample(self, n: Natural, generator: Generator | None = None) -> Tensor:
        """(n, *shape), float32, on the generator's device."""
        device = "cpu" if generator is None else generator.device
        return torch.randn(n, *self.shape, dtype=torch.float32, device=device, generator=generator)


class Flow(nn.Module):
    """Layers, from data to base, and the base density: `z, log_det = flow(x)`, `x, log_det = flow.inverse(z)`.

    In training mode dropout and batch statistics make it another map at every call, which has no inverse.

    Args:
        layers: from data to base; see `Compose`.
        shape: that of one x, (D,) or (C, H, W).
        base: p_Z; N(0, I) if left out.
        levels: how many values a pixel has, if the data are whole numbers 0..levels − 1. `flow(x)` then takes
            dequantized x in [0, 1], and all preprocessing is among the layers, so in log_det.
        n_classes: every network is told one of so many classes; or `n_condition`, a vector of so many numbers.
    Raises: ValueError for what is no layer, shape or density; in use, for x or labels that do not fit, or where a layer
        has no value.
    Ref: Dinh et al. 2017, eqs. 2 and 3.
    """

    @checked
    def __init__(
        self,
        layers: Iterable[nn.Module],
        shape: Sizes,
        *,
        base: Density | None = None,
        levels: Levels | None = None,
        n_classes: Width | None = None,
        n_condition: Width | None = None,
    ) -> None:
        super().__init__()
        if len(shape) not in (1, 3):
            raise ValueError(f"shape: expected (D,) or (C, H, W), got {shape}")
        self.n_told = n_told(n_classes, n_condition)
        self.shape, self.levels, self.n_classes, self.n_condition = shape, levels, n_classes, n_condition
        self.base: Density = Normal(shape) if base is None else base
        if isinstance(self.base, Normal) and self.base.shape != shape:
            raise ValueError(f"base: expected a density for z of shape {shape}, got one for {self.base.shape}")
        self.layers = Compose(layers)

    @checked
    def forward(self, x: X, label: Label = None) -> Pair:
        """z, like x, and log |det ∂z/∂x| of the whole map, (B,), nats, in float32 or better.
        Args: label, (B,) int64 in 0..n_classes − 1, or (B, n_condition), float; None for a flow without either.
        """
        return through(self.layers, x, told(label, self.n_classes, x))

    @checked
    def inverse(self, z: X, label: Label = None) -> Pair:
        """x, like z, and log |det ∂x/∂z|, (B,), nats. Raises: ValueError in training mode, where there is none."""
        for part in self.modules() if self.training else []:
            if isinstance(part, CHANCE) and getattr(part, "p", 1):
                raise ValueError("inverse: dropout and batch statistics leave none in training mode; call eval() first")
        return through(map(INVERSE, reversed(self.layers)), z, told(label, self.n_classes, z))

    @checked
    def log_prob(self, x: Annotated[X, "finite"], label: Label = None) -> Tensor:
        """log p_X(x) = log p_Z(f(x)) + log |det ∂f/∂xᵀ|, given the label if there is one: (B,), nats. Exact.
        Raises: ValueError for NaN or infinite x; for a base that takes no such z. Lecture 03 (2), (3).
        """
        z, log_det = through(self.layers, x, told(label, self.n_classes, x))
        try:
            log_p = self.base.log_prob(z.to(log_det.dtype))
        except ValueError as error:
            raise ValueError(f"base: expected a density for z of shape {tuple(z.shape)}, it answers: {error}") from None
        if log_p.shape != log_det.shape:
            raise ValueError(f"base: expected log_prob of shape {tuple(log_det.shape)}, got {tuple(log_p.shape)}")
        return log_p + log_det

    @checked
    def sample(
        self, n: Natural, label: Label = None, generator: Generator | None = None, *, temperature: NonNegative = 1.0
    ) -> Tensor:
        """n independent draws, (n, *shape): z from the base, then x = f⁻¹(z). In evaluation mode, without gradients.
        Args: label, as for `forward`, n of them, or one class for all; temperature, by which z is multiplied, below 1
            for fewer odd ones and less variety, only for N(0, I).
        Returns: for a flow with `levels` they are dequantized: `quantize(x, levels)` makes whole numbers of them.
        Raises: ValueError for another number of labels, a temperature with another base, a base of another shape.
        Ref: temperature: Kingma & Dhariwal 2018, §6.
        """
        if temperature != 1 and not isinstance(self.base, Normal):
            raise ValueError(f"temperature: expected 1 for a base that is not N(0, I), got {temperature:g}")
        with evaluating(self):
            z = self.base.sample(n, generator=generator)
            if z.shape != (n, *self.shape):
                raise ValueError(f"base: expected draws of shape {(n, *self.shape)}, got {tuple(z.shape)}")
            z = temperature * z.to(self.like())
            return through(map(INVERSE, reversed(self.layers)), z, told(label, self.n_classes, z))[0]

    @checked
    def bits_per_dim(
        self,
        x_int: Integer[Tensor, "B {self.shape}"],
        label: Label = None,
        *,
        n_importance: Annotated[int, "[1, 65536]"] = 1,
        batch_size: Count = 512,
        generator: Generator | None = None,
    ) -> Tensor:
        """A code length for whole-numbered data, in bits per dimension: an upper bound, in expectation. No gradients.

            −1/(D log 2) · [log 1/K Σ_k p((x_int + u_k)/L) − D log L],    u_k uniform on [0, 1)^D

        With K = n_importance = 1 it is the usual one; with more draws it comes down towards −log₂ P(x_int)/D.
        Args: batch_size, how many go through the flow at once. Returns: (B,), float64.
        Raises: ValueError for a flow without `levels`, floats, or values that are no such levels.
        Ref: Theis et al. 2016, §3.1; K > 1: Burda et al. 2016, eq. 8; Ho et al. 2019, §4.2; lecture 03 (9), (10).
        """
        if self.levels is None:
            raise ValueError("levels: expected a flow built with levels=, the number of values of a pixel; got None")
        log_p, dims = [], math.prod(self.shape)
        with evaluating(self):
            for _ in range(n_importance):
                x = dequantize(x_int, self.levels, generator, self.like().dtype).split(batch_size)
                labels = [None] * len(x) if label is None else label.split(batch_size)  # type: ignore
                log_p.append(torch.cat([self.log_prob(*pair) for pair in zip(x, labels, strict=True)]).cpu().double())
        log_P = torch.stack(log_p).logsumexp(0) - math.log(n_importance) - dims * math.log(self.levels)
        return -log_P * (BITS / dims)

    def config(self) -> dict[str, Any]:
        """What the weights do not say: of each layer its class and settings (its `extra_repr`), and the flow's own."""
        base = f"{type(self.base).__name__}{self.shape}"
        if not isinstance(self.base, Normal):  # another one of the same class has another density somewhere
            z = torch.linspace(-1, 1, math.prod(self.shape), device=self.like().device).view(1, *self.shape)
            base += f", log p {self.base.log_prob(z).item():.4g} at ±1"
        own = {"base": base, "levels": self.levels, "n_classes": self.n_classes, "n_condition": self.n_condition}
        layers = {k: m for k, m in self.layers.named_modules(prefix="layers") if hasattr(m, "inverse")}
        return {k: f"{type(m).__name__}({m.extra_repr()})" for k, m in layers.items() if type(m) is not Compose} | own

    def like(self) -> Tensor:
        """A tensor whose device and dtype are the flow's."""
        own = weight(self)
        return torch.empty(0) if own is None else own
