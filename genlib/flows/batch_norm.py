"""Batch norm as a layer of a flow: in training another map for each batch, in evaluation one and the same."""

from typing import Annotated

import torch
from torch import Tensor, nn

from genlib.arguments import Positive, Width, checked
from genlib.flows.layer import Condition, Pair, alike, per_channel
from genlib.flows.linear import X, check_statistics


class BatchNorm(nn.Module):
    """Each coordinate or channel minus its mean, over its standard deviation; and what that does to volumes is counted.

        z = (x − mean)/√(var + ε)        log |det ∂z/∂x| = −½ H · W · Σ log(var + ε)

    In training mode mean and variance are the batch's, and running averages follow them; in evaluation mode they are
    the running ones: a fixed map, which alone can be inverted.

    Args:
        n: the number of coordinates or channels.
        momentum: the rate of the running averages, in (0, 1].
        eps: ε > 0.
    Raises: ValueError for numbers out of range; in use, for x of another number of channels; in training mode, for
        fewer than two values of each channel, such as a single vector, and for the inverse.
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
            check_statistics(x)
            var, mean = torch.var_mean(x, dim=[0, *range(2, x.dim())], correction=0)
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
