"""Random maps that the exercises of lab 2 are tried on, and their Jacobians by autograd."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from genlib import flows

FLOAT32_TOL = 1e-4
CONSTANT_TOL = 1e-6  # in float64, with a constant such as log 2π from a float32 tensor, torch's usual one
Map = Callable[[Tensor], tuple[Tensor, Tensor]]


def normal(shape: Sequence[int], g: Generator) -> Tensor:
    return torch.randn(*shape, generator=g, dtype=torch.float64)


class Net:
    """A random dense network that gives log_s and shift, both like x: each of them depends on all of x."""

    def __init__(self, shape: Sequence[int], g: Generator) -> None:
        self.shape, D = tuple(shape), math.prod(shape)
        self.first, self.bias = normal((D, 8), g) / math.sqrt(D), normal((8,), g)
        self.last = normal((8, 2 * D), g) / 2

    def __repr__(self) -> str:
        return f"a random network for x of shape (B, {', '.join(map(str, self.shape))})"

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"the network takes all of x, shape (B, {', '.join(map(str, self.shape))}), with zeros "
                             f"where it may not look; got {tuple(x.shape)}")  # fmt: skip
        h = torch.tanh(x.flatten(1) @ self.first.to(x) + self.bias.to(x))
        log_s, shift = (h @ self.last.to(x)).chunk(2, dim=1)
        return torch.tanh(log_s).reshape(x.shape), shift.reshape(x.shape)


class Coupling:
    """A coupling: `z, log_det = layer(x)`, and `layer.inverse` is such a function, too."""

    def __init__(self, name: str, mask: Tensor, g: Generator) -> None:
        self.name, self.mask, self.net = name, mask, Net(mask.shape, g)
        self.inverse = _Inverse(self)

    def __repr__(self) -> str:
        return self.name

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_s, shift = self.parts(x)
        return log_s.exp() * x + shift, log_s.flatten(1).sum(1)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """log_s and shift, 0 where x is kept."""
        log_s, shift = self.net(torch.where(self.mask, x, 0.0))
        return torch.where(self.mask, 0.0, log_s), torch.where(self.mask, 0.0, shift)


class _Inverse:
    def __init__(self, layer: Coupling) -> None:
        self.layer = layer

    def __repr__(self) -> str:
        return f"inverse of {self.layer}"

    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        log_s, shift = self.layer.parts(z)
        return (z - shift) * torch.exp(-log_s), -log_s.flatten(1).sum(1)


class Bent:
    """Every coordinate is bent by itself: here log_det at z is another one than at x."""

    def __init__(self, name: str, D: int, g: Generator) -> None:
        self.name = name
        self.a, self.b = 0.5 + torch.rand(2, D, generator=g, dtype=torch.float64)

    def __repr__(self) -> str:
        return self.name

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = self.a.to(x).reshape(x.shape[1:]), self.b.to(x).reshape(x.shape[1:])
        bend = torch.tanh(x)
        return a * x + b * bend, (a + b * (1 - bend**2)).log().flatten(1).sum(1)


class Linear:
    """z = A x + b, with |det A| that is not 1: what it makes of a Gaussian is known in closed form."""

    def __init__(self, D: int, g: Generator) -> None:
        rotation, _ = torch.linalg.qr(normal((D, D), g))
        stretch = 0.4 + torch.rand(D, generator=g, dtype=torch.float64)
        self.A, self.b = torch.diag(stretch) @ rotation, normal((D,), g)

    def __repr__(self) -> str:
        return f"a random linear map of {len(self.b)} coordinates"

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        A = self.A.to(x)
        return x @ A.T + self.b.to(x), torch.linalg.slogdet(A)[1].expand(len(x))


class Named:
    """A function with a name to be shown."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name, self.function = name, function

    def __repr__(self) -> str:
        return self.name

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)


def stack(masks: Sequence[Tensor], g: Generator) -> tuple[Coupling, ...]:
    return tuple(Coupling(f"layer {k}", mask, g) for k, mask in enumerate(masks))


def through(layers: Sequence[Map], x: Tensor) -> Tensor:
    for layer in layers:
        x, _ = layer(x)
    return x


def jacobian(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """∂f/∂xᵀ of each example, (B, D, D), by autograd."""
    shape = (1, *x.shape[1:])
    rows = [torch.autograd.functional.jacobian(lambda v: f(v.reshape(shape)).flatten(), one.flatten()) for one in x]
    return torch.stack([row for row in rows if isinstance(row, Tensor)])


def log_volume(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """log |det ∂f/∂xᵀ| of each example, (B,)."""
    return torch.linalg.slogdet(jacobian(f, x))[1]


def random_flow(dim: int, g: Generator, n_couplings: int = 4) -> flows.RealNVP:
    """genlib's flow for vectors, in float64, with random weights (new ones start as the identity)."""
    flow = flows.RealNVP.for_vectors(dim, n_couplings, width=8).double().requires_grad_(False)
    for p in flow.parameters():
        p.copy_(0.4 * torch.randn(p.shape, generator=g, dtype=p.dtype))
    return flow


def passes_gradients(answer: Answer, to: str) -> None:
    """The latest outputs depend, for autograd, on the argument that asked for gradients."""
    for name, output in zip(answer.exercise.returns, answer.outputs, strict=True):
        if not output.requires_grad:
            answer.wrong(
                "detached",
                "The flow learns through this function: no detach, no .data, no NumPy, no no_grad on the way.",
                expected=f"{name} depends on {to} for autograd",
                got=f"{name}.requires_grad = False",
            )
