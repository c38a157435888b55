"""The base density: what z should look like. Chosen once, never learned."""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from genlib.arguments import check_int, check_tensor


class Density(Protocol):
    """Anything with a density and samples will do, such as a `data.GaussianMixture`."""

    def log_prob(self, z: Tensor, /) -> Tensor:
        """(B,), nats."""
        ...

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, ...)."""
        ...


class Normal:
    """N(0, I), of the same dimension as x: a bijection cannot change it.

        log p(z) = −½ |z|² − ½ D log 2π

    Args:
        shape: that of one z, (D,) or (C, H, W).
    """

    def __init__(self, shape: Sequence[int]) -> None:
        if isinstance(shape, str) or not isinstance(shape, Sequence):
            raise ValueError(f"shape: expected (D,) or (C, H, W), got {shape!r}")
        self.shape = tuple(check_int("shape", size) for size in shape)
        self.constant = 0.5 * math.prod(self.shape) * math.log(2 * math.pi)

    def __repr__(self) -> str:
        return f"Normal({self.shape})"

    def log_prob(self, z: Tensor) -> Tensor:
        """(B,), nats."""
        if z.shape[1:] != self.shape:
            check_tensor("z", z, ("B", *self.shape))
        return -0.5 * z.square().flatten(1).sum(1) - self.constant

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, *shape), float32, on the generator's device."""
        device = "cpu" if generator is None else generator.device
        return torch.randn(n, *self.shape, dtype=torch.float32, device=device, generator=generator)
