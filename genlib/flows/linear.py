"""Layers that mix or scale channels by numbers of their own, the same for every x: actnorm and 1 × 1 convolutions."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from genlib.arguments import check_int, check_tensor
from genlib.flows.layer import Layer


class PerChannel(Layer):
    """What these layers share: they are built for a number of coordinates or channels.

    Args:
        n: that number.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = check_int("n", n)

    def check(self, name: str, x: Tensor) -> None:
        super().check(name, x)
        check_tensor(name, x, ("B", self.n, "..."))


class ActNorm(PerChannel):
    """A scale and a shift for each coordinate or channel, which start so that the first batch comes out normalised.

        z = exp(log_s) · x + shift        log |det ∂z/∂x| = H · W · Σ log_s    (H = W = 1 for vectors)

    At the first forward pass in training mode, log_s and shift are set so that z has mean 0 and variance 1 in every
    channel; from then on they are parameters like any others. Until then the layer is the identity.

    Args:
        n: the number of coordinates or channels.
    Raises:
        ValueError: for a first batch with fewer than two values of each channel, such as a single vector.
    Ref: Kingma & Dhariwal 2018, §3.1.
    """

    initialised: Tensor

    def __init__(self, n: int) -> None:
        super().__init__(n)
        self.log_s = nn.Parameter(torch.zeros(self.n))
        self.shift = nn.Parameter(torch.zeros(self.n))
        self.register_buffer("initialised", torch.tensor(False))
        self._done = False  # so that a GPU is not asked at every step
        self.register_load_state_dict_post_hook(lambda module, _: setattr(module, "_done", False))

    def push(self, x: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        if self.training and not self._done:
            self._initialise(x)
        self._count(x, terms)
        return torch.addcmul(channels(self.shift, x), x, channels(self.log_s.exp(), x))

    def pull(self, z: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        self._count(z, terms)
        return (z - channels(self.shift, z)) * channels(torch.exp(-self.log_s), z)

    def _count(self, x: Tensor, terms: list[Tensor]) -> None:
        terms.append((self.log_s.sum() * pixels(x)).expand(len(x)))

    @torch.no_grad()
    def _initialise(self, x: Tensor) -> None:
        if bool(self.initialised):
            self._done = True
            return
        check_statistics(x)
        self._done = True
        var, mean = torch.var_mean(x.transpose(0, 1).flatten(1), dim=1, correction=0)
        var = torch.where(var > 1e-12, var, 1.0)  # a channel that never changes is only moved to 0
        self.log_s.copy_(-0.5 * var.log())
        self.shift.copy_(-mean * self.log_s.exp())
        self.initialised.fill_(True)


class InvertibleConv(PerChannel):
    """A 1 × 1 convolution with an invertible matrix: every pixel's channels, or a vector's coordinates, are mixed.

        z = W x,   W = P L (U + diag(sign · exp(log_d)))        log |det ∂z/∂x| = H · W · Σ log_d

    P is a fixed permutation, L is unit lower triangular, U strictly upper triangular: so W can never become singular,
    and its determinant needs no decomposition. It starts as a random rotation.

    Args:
        n: the number of channels or coordinates.
        seed: of the rotation.
    Ref: Kingma & Dhariwal 2018, eqs. 9–11.
    """

    P: Tensor
    sign: Tensor

    def __init__(self, n: int, seed: int = 0) -> None:
        super().__init__(n)
        generator = torch.Generator().manual_seed(check_int("seed", seed, 0))
        rotation = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=generator)).Q
        P, L, U = torch.linalg.lu(rotation)
        dtype = torch.get_default_dtype()
        diagonal = U.diagonal()
        self.register_buffer("P", P.to(dtype))
        self.register_buffer("sign", diagonal.sign().to(dtype))
        self.lower = nn.Parameter(L.tril(-1).to(dtype))
        self.upper = nn.Parameter(U.triu(1).to(dtype))
        self.log_d = nn.Parameter(diagonal.abs().log().to(dtype))

    def weight(self) -> Tensor:
        """W, (n, n)."""
        L, U = self._factors()
        return self.P @ L @ U

    def push(self, x: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        terms.append((self.log_d.sum() * pixels(x)).expand(len(x)))
        W = self.weight()
        return functional.linear(x, W) if x.dim() == 2 else functional.conv2d(x, W[:, :, None, None])

    def pull(self, z: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        terms.append((self.log_d.sum() * pixels(z)).expand(len(z)))
        L, U = self._factors()
        columns = z.transpose(0, 1).flatten(1)  # (n, B · H · W)
        y = torch.linalg.solve_triangular(L, self.P.mT @ columns, upper=False, unitriangular=True)
        x = torch.linalg.solve_triangular(U, y, upper=True)
        return x.view(self.n, len(z), *z.shape[2:]).transpose(0, 1)

    def _factors(self) -> tuple[Tensor, Tensor]:
        eye = torch.eye(self.n, dtype=self.lower.dtype, device=self.lower.device)
        return self.lower.tril(-1) + eye, self.upper.triu(1) + torch.diag(self.sign * self.log_d.exp())


def channels(value: Tensor, x: Tensor) -> Tensor:
    """(n,) in the shape that multiplies x: (n,) for (B, n), (n, 1, 1) for (B, n, H, W)."""
    return value.view(-1, *[1] * (x.dim() - 2))


def pixels(x: Tensor) -> int:
    """H · W of pictures, 1 for vectors."""
    return x.shape[2:].numel()


def check_statistics(x: Tensor) -> None:
    """Raise `ValueError` where a channel's mean and variance would be those of a single value, or of none."""
    if len(x) * pixels(x) < 2:
        raise ValueError(f"x: expected at least two values of each channel in training, got shape {tuple(x.shape)}")
