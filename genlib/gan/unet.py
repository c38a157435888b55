"""The generator of pix2pix: down to a point and up again, with skips that carry what the way down has seen."""

import itertools
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn.functional import leaky_relu, relu

from genlib.arguments import Count, Dropout, Width, checked
from genlib.common import draw, evaluating
from genlib.gan.layers import Norm, initialise, norm_layer

Picture = Annotated[Float[Tensor, "B {self.in_channels} H W"], "finite"]
Noise = Annotated[Float[Tensor, "B {self.noise} H W"], "finite"]


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
        dropout: the share dropped in up to three inner decoder blocks.
        norm: "batch" as in the paper, "instance" or "none".
    Raises: ValueError for dropout at depth 2, where there is no inner block.
    Ref: Isola et al. 2017, §3.2 and §6.1.1.

    >>> UNetGenerator(3, 1, width=8, depth=2, noise=2)(torch.zeros(5, 3, 8, 12)).shape
    torch.Size([5, 1, 8, 12])
    """

    @checked
    def __init__(
        self,
        in_channels: Width,
        out_channels: Width,
        width: Width = 64,
        depth: Annotated[int, "[2, 14]"] = 8,
        *,
        noise: Annotated[int, "[0, 16384]"] = 0,
        dropout: Dropout = 0.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.in_channels, self.depth, self.noise, self.dropout, self.norm = in_channels, depth, noise, dropout, norm
        self.dropped = range(max(0, depth - 5), depth - 2)
        if dropout and not self.dropped:
            raise ValueError(f"dropout: expected 0 at depth {depth}, which has no inner decoder block, got {dropout:g}")
        widths = [width * min(2**i, 8) for i in range(depth)]
        self.down = nn.ModuleList([nn.Conv2d(in_channels + noise, width, 4, 2, 1, bias=False)])
        self.down_norms = nn.ModuleList([nn.Identity()])
        self.up, self.up_norms = nn.ModuleList(), nn.ModuleList()
        for outer, inner in itertools.pairwise(widths):
            innermost = len(self.down) == depth - 1
            self.down.append(nn.Conv2d(outer, inner, 4, 2, 1, bias=False))
            self.down_norms.append(norm_layer("none" if innermost else norm, inner))
            self.up.append(nn.ConvTranspose2d(inner if innermost else 2 * inner, outer, 4, 2, 1, bias=False))
            self.up_norms.append(norm_layer(norm, outer))
        self.last = nn.ConvTranspose2d(2 * width, out_channels, 4, 2, 1)
        initialise(self)

    @classmethod
    def paper(cls, in_channels: int = 3, out_channels: int = 3) -> "UNetGenerator":
        """The generator of the paper for 256 × 256: 54,413,955 parameters for three channels each."""
        return cls(in_channels, out_channels, dropout=0.5)

    @checked
    def forward(self, x: Picture, z: Noise | None = None, generator: Generator | None = None) -> Tensor:
        """y, (B, out_channels, H, W), in [−1, 1].

        Args:
            x: (B, in_channels, H, W); H and W divisible by 2^depth.
            z: (B, noise, H, W), standard normal; drawn if left out.
            generator: of z, and of what is dropped.
        Raises: ValueError for x of another size, or of no examples.
        """
        side = 2**self.depth
        if x.numel() == 0 or x.shape[2] % side or x.shape[3] % side:
            raise ValueError(f"x: expected at least one example, height and width divisible by {side}, got {x.shape}")
        if self.noise:
            z = draw((len(x), self.noise, *x.shape[2:]), x, generator) if z is None else z
            x = torch.cat([x, z], dim=1)
        skips, h = [], self.down[0](x)
        for conv, norm in zip(self.down[1:], self.down_norms[1:], strict=True):  # type: ignore[index]
            skips.append(leaky_relu(h, 0.2))
            h = norm(conv(skips[-1]))
        for i in reversed(range(self.depth - 1)):
            u = self.up_norms[i](self.up[i](relu(h)))
            if self.dropout and i in self.dropped:
                u = self._drop(u, generator)
            h = torch.cat([skips[i], u], dim=1)
        return torch.tanh(self.last(relu(h)))

    @checked
    def sample(self, n: Count, label: Picture, generator: Generator | None = None) -> Tensor:
        """n answers, (n, out_channels, H, W), in evaluation and without gradients, to x = label: n pictures, or one.

        Raises: ValueError for any other number of pictures.
        """
        if len(label) not in (1, n):
            raise ValueError(f"label: expected one picture, or as many as n = {n}, got {len(label)}")
        with evaluating(self):
            return self(label.expand(n, -1, -1, -1), generator=generator)

    def config(self) -> dict[str, Any]:
        """What its weights do not say."""
        return {"noise": self.noise, "dropout": self.dropout, "norm": self.norm}

    def _drop(self, u: Tensor, generator: Generator | None) -> Tensor:
        """Dropout that is on in evaluation, too: it is where the paper's G gets its noise from."""
        device = u.device if generator is None else generator.device
        kept = torch.rand(u.shape, device=device, generator=generator).to(u.device) >= self.dropout
        return u * kept / (1 - self.dropout)
