"""Layers that scale or mix channels, every x alike: actnorm, batch norm, and 1 × 1 convolutions."""

from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from genlib.arguments import Positive, Seed, Width, checked
from genlib.common import wide
from genlib.flows.layer import Condition, Pair, alike, per_channel

X = Float[Tensor, "B {self.n} ..."]


class ActNorm(nn.Module):
    """A scale and a shift for each coordinate or channel, which start so that the first batch comes out normalised.

        z = exp(log_s) · x + shift        log |det ∂z/∂x| = H · W · Σ log_s    (H = W = 1 for vectors)

    The first forward pass in training mode sets log_s and shift so that z has mean 0 and variance 1 in every channel;
    from then on they are parameters like any others. Until then the layer is the identity.
    Raises: ValueError for x of another number of channels; for a first batch with fewer than two values of each.
    Ref: Kingma & Dhariwal 2018, §3.1.
    """

    initialised: Tensor

    @checked
    def __init__(self, n: Width) -> None:
        super().__init__()
        self.n = n
        self.log_s, self.shift = nn.Parameter(torch.zeros(n)), nn.Parameter(torch.zeros(n))
        self.register_buffer("initialised", torch.tensor(False))
        self.waits = True  # so that a GPU is not asked at every step

    @checked
    def forward(self, x: X, condition: Condition = None) -> Pair:
        if self.training and self.waits:
            self._initialise(x)
        return torch.addcmul(per_channel(self.shift, x), x, per_channel(self.log_s.exp(), x)), alike(self.log_s, x)

    @checked
    def inverse(self, z: X, condition: Condition = None) -> Pair:
        return (z - per_channel(self.shift, z)) * per_channel(torch.exp(-self.log_s), z), -alike(self.log_s, z)

    @torch.no_grad()
    def _initialise(self, x: Tensor) -> None:
        if torch.compiler.is_compiling() or not self.initialised:
            var, mean = statistics(x)
            var = torch.where(var > 1e-12, var, 1.0)  # a channel that never changes is only moved to 0
            self.log_s.copy_(-0.5 * var.log())
            self.shift.copy_(-mean * self.log_s.exp())
            self.initialised.fill_(True)
        self.waits = False

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self.waits = True


class BatchNorm(nn.Module):
    """Each coordinate or channel minus its mean, over its standard deviation; and what that does to volumes is counted.

        z = (x − mean)/√(var + ε)        log |det ∂z/∂x| = −½ H · W · Σ log(var + ε)

    In training mode mean and variance are the batch's, and running averages follow them; in evaluation mode they are
    the running ones: a fixed map, which alone can be inverted.
    Args: n, the number of channels; momentum, the rate of the running averages, in (0, 1]; eps, ε > 0.
    Raises: ValueError as `ActNorm`, for numbers out of range, and for the inverse in training mode.
    Ref: Dinh et al. 2017, §3.7 and app. E.
    """

    mean: Tensor
    var: Tensor

    @checked
    def __init__(self, n: Width, momentum: Annotated[float, "(0, 1]"] = 0.1, eps: Positive = 1e-5) -> None:
        super().__init__()
        self.n, self.momentum, self.eps = n, momentum, eps
        self.register_buffer("mean", torch.zeros(n))
        self.register_buffer("var", torch.ones(n))

    @checked
    def forward(self, x: X, condition: Condition = None) -> Pair:
        mean, var = self.mean, self.var
        if self.training:
            var, mean = statistics(x)
            with torch.no_grad():
                self.mean.lerp_(mean.to(self.mean), self.momentum)
                self.var.lerp_(var.to(self.var), self.momentum)
        log_s = -0.5 * torch.log(var + self.eps)
        return (x - per_channel(mean, x)) * per_channel(log_s.exp(), x), alike(log_s, x)

    @checked
    def inverse(self, z: X, condition: Condition = None) -> Pair:
        if self.training:
            raise ValueError("inverse: batch norm has one in evaluation mode only; call eval() first")
        log_s = -0.5 * torch.log(self.var + self.eps)
        return z * per_channel(torch.exp(-log_s), z) + per_channel(self.mean, z), -alike(log_s, z)

    def extra_repr(self) -> str:
        return f"eps={self.eps}"


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Variance and mean of each channel. Raises: ValueError for those of a single value, or of none."""
    if x[:, :1].numel() < 2:
        raise ValueError(f"x: expected at least two values of each channel in training, got shape {tuple(x.shape)}")
    return torch.var_mean(x, dim=[0, *range(2, x.dim())], correction=0)


class InvertibleConv(nn.Module):
    """A 1 × 1 convolution with an invertible matrix: every pixel's channels, or a vector's coordinates, are mixed.

        z = W x,   W = P L (U + diag(sign · exp(log_d)))        log |det ∂z/∂x| = H · W · Σ log_d

    P is a fixed permutation, L is unit lower triangular, U strictly upper triangular: so W can never become singular,
    and its determinant needs no decomposition. It starts as a random rotation.
    Raises: ValueError for n out of range, and x of another. Ref: Kingma & Dhariwal 2018, eqs. 9–11; lecture 03 (18).
    """

    P: Tensor
    sign: Tensor

    @checked
    def __init__(self, n: Annotated[int, "[1, 4096]"], seed: Seed = 0) -> None:
        super().__init__()
        self.n, generator, dtype = n, torch.Generator().manual_seed(seed), torch.get_default_dtype()
        rotation = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=generator)).Q
        P, L, U = torch.linalg.lu(rotation)
        self.register_buffer("P", P.to(dtype))
        self.register_buffer("sign", U.diagonal().sign().to(dtype))
        self.lower, self.upper = nn.Parameter(L.tril(-1).to(dtype)), nn.Parameter(U.triu(1).to(dtype))
        self.log_d = nn.Parameter(U.diagonal().abs().log().to(dtype))

    def weight(self) -> Tensor:
        """W, (n, n)."""
        P, L, U = self._factors()
        return P @ L @ U

    @checked
    def forward(self, x: X, condition: Condition = None) -> Pair:
        W = self.weight().to(x.dtype)
        return functional.linear(x.movedim(1, -1), W).movedim(-1, 1), alike(self.log_d, x)

    @checked
    def inverse(self, z: X, condition: Condition = None) -> Pair:
        P, L, U = self._factors()
        columns = z.transpose(0, 1).flatten(1).to(P.dtype)  # (n, B · H · W)
        y = torch.linalg.solve_triangular(L, P.mT @ columns, upper=False, unitriangular=True)
        x = torch.linalg.solve_triangular(U, y, upper=True).to(z.dtype)
        return x.view(self.n, len(z), *z.shape[2:]).transpose(0, 1), -alike(self.log_d, z)

    def _factors(self) -> tuple[Tensor, Tensor, Tensor]:
        """P, L and U, in float32 or better."""
        dtype = wide(self.P)
        L = self.lower.to(dtype).tril(-1) + torch.eye(self.n, dtype=dtype, device=self.P.device)
        diagonal = self.sign.to(dtype) * self.log_d.to(dtype).exp()
        return self.P.to(dtype), L, self.upper.to(dtype).triu(1) + torch.diag(diagonal)
