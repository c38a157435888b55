"""Batch norm as a layer of a flow: in training another map for each batch, in evaluation one and the same."""

import torch
from torch import Tensor

from genlib.arguments import check_number
from genlib.flows.linear import PerChannel, channels, check_statistics, pixels


class BatchNorm(PerChannel):
    """Each coordinate or channel minus its mean, over its deviation; and what that does to volumes is counted.

        z = (x − mean)/√(var + ε)        log |det ∂z/∂x| = −½ H · W · Σ log(var + ε)

    In training mode mean and variance are the batch's, and running averages follow them; in evaluation mode they are
    the running ones: a fixed map, which alone can be inverted.

    Args:
        n: the number of coordinates or channels.
        momentum: the rate of the running averages, in (0, 1].
        eps: ε > 0.
    Raises:
        ValueError: in training mode, for fewer than two values of each channel, such as a single vector.
    Ref: Dinh et al. 2017, §3.7 and app. E.
    """

    mean: Tensor
    var: Tensor

    def __init__(self, n: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__(n)
        self.momentum = check_number("momentum", momentum, 0, 1, inside="low")
        self.eps = check_number("eps", eps, 0, inside=True)
        self.register_buffer("mean", torch.zeros(self.n))
        self.register_buffer("var", torch.ones(self.n))

    def push(self, x: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        mean, var = self.mean, self.var
        if self.training:
            check_statistics(x)
            var, mean = torch.var_mean(x, dim=[0, *range(2, x.dim())], correction=0)
            with torch.no_grad():
                self.mean.lerp_(mean.to(self.mean), self.momentum)
                self.var.lerp_(var.to(self.var), self.momentum)
        log_s = -0.5 * torch.log(var + self.eps)
        terms.append((log_s.sum() * pixels(x)).expand(len(x)))
        return (x - channels(mean, x)) * channels(log_s.exp(), x)

    def pull(self, z: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        if self.training:
            raise ValueError("inverse: batch norm has one in evaluation mode only; call eval() first")
        log_s = -0.5 * torch.log(self.var + self.eps)
        terms.append((log_s.sum() * pixels(z)).expand(len(z)))
        return z * channels(torch.exp(-log_s), z) + channels(self.mean, z)
