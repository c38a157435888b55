"""The base density: what z should look like. Chosen once, never learned."""

import math
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from genlib.arguments import Natural, Sizes, checked
from genlib.flows.layer import total


@runtime_checkable
class Density(Protocol):
    """Anything with a density, (B,), nats, and samples, (n, ...), will do, such as a `data.GaussianMixture`."""

    def log_prob(self, z: Tensor, /) -> Tensor: ...

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor: ...


class Normal:
    """N(0, I), of the same dimension as x: a bijection cannot change it. log p(z) = −½ |z|² − ½ D log 2π

    Args:
        shape: that of one z, (D,) or (C, H, W).
    Raises: ValueError for what is no shape; in use, for z of another.
    """

    @checked
    def __init__(self, shape: Sizes) -> None:
        self.shape = shape
        self.constant = 0.5 * math.prod(shape) * math.log(2 * math.pi)

    @checked
    def log_prob(self, z: Float[Tensor, "B {self.shape}"]) -> Tensor:
        """(B,), nats."""
        return -0.5 * total(z.square()) - self.constant

    @checked
    def sample(self, n: Natural, generator: torch.Generator | None = None) -> Tensor:
        """(n, *shape), float32, on the generator's device."""
        device = "cpu" if generator is None else generator.device
        return torch.randn(n, *self.shape, dtype=torch.float32, device=device, generator=generator)
