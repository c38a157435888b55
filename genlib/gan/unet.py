"""The generator of pix2pix: down to a point and up again, with skips that carry what the way down has seen."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from genlib.arguments import check_int, check_number, check_tensor
from genlib.common import draw
from genlib.gan.layers import Norm, check_batch, initialise, norm_layer


class UNetGenerator(nn.Module):
    """G(x, z): an image from a picture of the same size, `y = G(x)`.

        down    a_1 = conv(x),   a_i = norm(conv(leaky(a_{i−1}))),   i = 2..depth, each half as large
        up      u_depth = norm(deconv(relu(a_depth))),   u_i = norm(deconv(relu([leaky(a_i), u_{i+1}])))
        y       tanh(deconv(relu([leaky(a_1), u_2])))

    No norm after the first and the innermost convolution down, nor after the last one up; only that has a bias. Two
    ways to be random: `noise` channels of z beside x; or `dropout` in the decoder, never switched off: the paper's z.

    Args:
        in_channels, out_channels: of x and of y.
        width: feature maps of the first convolution; doubled with each one, up to 8 times as many.
        depth: how often the size is halved.
        noise: channels of z; 0 for none.
        dropout: the share dropped in up to three inner decoder blocks, in [0, 1); there are some from depth 3 on.
        norm: "batch" as in the paper, "instance" or "none".
    Ref: Isola et al. 2017, §3.2 and §6.1.1.

    >>> G = UNetGenerator(3, 1, width=8, depth=2, noise=2)
    >>> G(torch.zeros(5, 3, 8, 12)).shape
    torch.Size([5, 1, 8, 12])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        depth: int = 8,
        *,
        noise: int = 0,
        dropout: float = 0.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.in_channels = check_int("in_channels", in_channels)
        self.out_channels = check_int("out_channels", out_channels)
        width, self.depth = check_int("width", width), check_int("depth", depth, 2)
        self.noise = check_int("noise", noise, 0)
        self.dropout = check_number("dropout", dropout, 0, 1, inside="high")
        self.dropped = range(max(0, depth - 5), depth - 2)
        if self.dropout and not self.dropped:
            raise ValueError(f"dropout: expected 0 at depth {depth}, which has no inner decoder block, got {dropout:g}")
        widths = [width * min(2**i, 8) for i in range(depth)]

        self.down = nn.ModuleList([_down(self.in_channels + self.noise, widths[0])])
        self.down_norms = nn.ModuleList([nn.Identity()])
        self.up, self.up_norms = nn.ModuleList(), nn.ModuleList()
        for i, (outer, inner) in enumerate(itertools.pairwise(widths), start=1):
            innermost = i == depth - 1
            self.down.append(_down(outer, inner))
            self.down_norms.append(nn.Identity() if innermost else norm_layer(norm, inner))
            self.up.append(_up(inner if innermost else 2 * inner, outer, bias=False))
            self.up_norms.append(norm_layer(norm, outer))
        self.last = _up(2 * widths[0], self.out_channels, bias=True)
        initialise(self)

    @classmethod
    def paper(cls, in_channels: int = 3, out_channels: int = 3) -> "UNetGenerator":
        """The generator of the paper for 256 × 256: 54,413,955 parameters for three channels each."""
        return cls(in_channels, out_channels, width=64, depth=8, dropout=0.5)

    def forward(self, x: Tensor, z: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """y, (B, out_channels, H, W), in [−1, 1].

        Args:
            x: (B, in_channels, H, W), float; H and W divisible by 2^depth.
            z: (B, noise, H, W), standard normal; drawn if left out. None for a G without noise channels.
            generator: of z, and of what is dropped.
        """
        self._check(x, z)
        if self.noise:
            z = draw((len(x), self.noise, *x.shape[2:]), x, generator) if z is None else z
            x = torch.cat([x, z], dim=1)
        skips: list[Tensor] = []
        h = self.down[0](x)
        for conv, norm in zip(self.down[1:], self.down_norms[1:], strict=True):  # type: ignore[index]
            skips.append(functional.leaky_relu(h, 0.2))
            h = norm(conv(skips[-1]))
        u = h
        for i in reversed(range(self.depth - 1)):
            u = self.up_norms[i](self.up[i](functional.relu(u)))
            if self.dropout and i in self.dropped:
                u = self._drop(u, generator)
            u = torch.cat([skips[i], u], dim=1)
        return torch.tanh(self.last(functional.relu(u)))

    def _drop(self, u: Tensor, generator: torch.Generator | None) -> Tensor:
        """Dropout that is on in evaluation, too: it is where the paper's G gets its noise from."""
        device = u.device if generator is None else generator.device
        kept = torch.rand(u.shape, device=device, generator=generator).to(u.device) >= self.dropout
        return u * kept / (1 - self.dropout)

    def _check(self, x: Tensor, z: Tensor | None) -> None:
        check_tensor("x", x, ("B", self.in_channels, "H", "W"))
        check_batch("x", x, self)
        side = 2**self.depth
        if any(size == 0 or size % side for size in x.shape[2:]):
            raise ValueError(
                f"x: expected height and width divisible by {side}, to be halved {self.depth} times, "
                f"got {tuple(x.shape[2:])}"
            )
        if z is not None:
            if not self.noise:
                raise ValueError("z: expected None, this generator was built without noise channels (noise=0)")
            check_tensor("z", z, (len(x), self.noise, *x.shape[2:]))
            check_batch("z", z, self)


def _down(n_in: int, n_out: int) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, 4, stride=2, padding=1, bias=False)


def _up(n_in: int, n_out: int, bias: bool) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1, bias=bias)
