"""The networks of pix2pix: G goes down to a point and up again, D judges every patch of an image by itself."""

import itertools
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, relu

from genlib.arguments import Count, Dropout, Width, checked
from genlib.common import draw, evaluating

Norm = Literal["batch", "instance", "none"]
Layers = Annotated[int, "[0, 5]"]
Maps = Annotated[int, "[0, 16384]"]  # channels, or none
Picture = Annotated[Float[Tensor, "B {self.in_channels} H W"], "finite"]
Noise = Annotated[Float[Tensor, "B {self.noise} H W"], "finite"]


class UNetGenerator(nn.Module):
    """G(x, z): an image from a picture of the same size, `y = G(x)`.

        down    a_1 = conv(x),   a_i = norm(conv(leaky(a_{i−1}))),   i = 2..depth, each half as large
        up      u_depth = norm(deconv(relu(a_depth))),   u_i = norm(deconv(relu([leaky(a_i), u_{i+1}])))
        y       tanh(deconv(relu([leaky(a_1), u_2])))

    No norm after the first and the innermost convolution down, nor after the last one up; only that has a bias. Two
    ways to be random: `noise` channels of z beside x; or `dropout` in up to three inner decoder blocks, never switched
    off: the paper's z. The first convolution makes `width` feature maps; each one doubles them, up to 8 times as many.
    Raises: ValueError for dropout at depth 2, where there is no inner block. Ref: Isola et al. 2017, §3.2 and §6.1.1.
    """

    @checked
    def __init__(
        self,
        in_channels: Width,
        out_channels: Width,
        width: Width = 64,
        depth: Annotated[int, "[2, 14]"] = 8,
        *,
        noise: Maps = 0,
        dropout: Dropout = 0.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.in_channels, self.depth, self.noise = in_channels, depth, noise
        self.dropout, self.norm = dropout, norm
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
        """y, (B, out_channels, H, W), in [−1, 1], for x, (B, in_channels, H, W); z, (B, noise, H, W), is drawn if None.
        Raises: ValueError unless H and W are divisible by 2^depth, or for no examples."""
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
        """n answers, (n, out_channels, H, W), to x = label: one picture, or n. Raises: ValueError for others."""
        if len(label) not in (1, n):
            raise ValueError(f"label: expected one picture, or as many as n = {n}, got {len(label)}")
        return generate(self, label.expand(n, -1, -1, -1), None, generator)

    def config(self) -> dict[str, Any]:
        """What its weights do not say."""
        return {"noise": self.noise, "dropout": self.dropout, "norm": self.norm}

    def _drop(self, u: Tensor, generator: Generator | None) -> Tensor:
        """Dropout that is on in evaluation, too: it is where the paper's G gets its noise from."""
        device = u.device if generator is None else generator.device
        kept = torch.rand(u.shape, device=device, generator=generator).to(u.device) >= self.dropout
        return u * kept / (1 - self.dropout)


class PatchDiscriminator(nn.Module):
    """D(x, y): a logit for each patch of y, seen together with x; sigmoid of it is P(real).

    `n_layers` convolutions with stride 2, then two with stride 1, all 4 × 4. A pixel of the logits sees a patch of

        r_last = 1,    r_{i−1} = stride_i · (r_i − 1) + kernel_i    from the last layer to the first

    which is 9 · 2ⁿ − 2 pixels wide for n > 0 layers; with 0 all is 1 × 1: the PixelGAN. Feature maps start at `width`,
    and double up to 8 times as many. The first layer sees x and y side by side: `in_channels` are those of both. With a
    `projection` of that many channels it sees y alone, and x comes in last, as a factor:

        logit = v_0 · φ(y) + Σ_c x̄_c (v_c · φ(y)),   φ the last features, x̄ the map x, resized to the logits

    Ref: Isola et al. 2017, §3.2.2 and §6.1.2; projection: Miyato & Koyama 2018, eq. 6, here patch by patch.
    """

    @checked
    def __init__(
        self, in_channels: Width, width: Width = 64, n_layers: Layers = 3, *, norm: Norm = "batch", projection: Maps = 0
    ) -> None:
        super().__init__()
        self.in_channels, self.n_layers, self.norm, self.projection = in_channels, n_layers, norm, projection
        kernel, padding = (4, 1) if n_layers else (1, 0)
        strides = [2] * n_layers + [1] if n_layers else [1, 1]
        widths = [width * min(2**i, 8) for i in range(len(strides))]
        layers: list[nn.Module] = [nn.Conv2d(in_channels, width, kernel, strides[0], padding)]
        for (n_in, n_out), stride in zip(itertools.pairwise(widths), strides[1:], strict=True):
            conv = nn.Conv2d(n_in, n_out, kernel, stride, padding, bias=norm != "batch")
            layers += [nn.LeakyReLU(0.2), conv, norm_layer(norm, n_out)]
        layers += [nn.LeakyReLU(0.2), nn.Conv2d(widths[-1], 1 + projection, kernel, 1, padding)]
        self.layers = nn.Sequential(*layers)
        initialise(self)

    @classmethod
    def paper(cls, in_channels: int = 6) -> "PatchDiscriminator":
        """The 70 × 70 discriminator of the paper: 2,768,705 parameters for three channels each of x and y."""
        return cls(in_channels)

    @property
    def receptive_field(self) -> int:
        """Width of the patch that one logit sees, in pixels, norms left aside, which look at all. Lecture 02 (7)."""
        return 9 * 2**self.n_layers - 2 if self.n_layers else 1

    @checked
    def forward(self, x: Float[Tensor, "B C H W"] | None, y: Float[Tensor, "B K H W"]) -> Tensor:
        """Logits, (B, 1, h, w), of images y, (B, C', H, W), that belong to x, (B, C, H, W), if D is shown it.
        Raises: ValueError for other channels, and for images of which no patch, or a norm of one number, is left."""
        of_x, of_y = 0 if x is None else x.shape[1], y.shape[1]
        last = x is not None and self.projection
        wanted = (self.projection, self.in_channels) if last else (of_x, self.in_channels - of_x)
        if (of_x, of_y) != wanted:
            raise ValueError(f"x, y: expected {wanted[0]} and {wanted[1]} channels, got {of_x} and {of_y}")
        least = 3 * 2**self.n_layers if self.n_layers else 1
        normed = y.shape[2:].numel() * (len(y) if self.norm == "batch" else 1)  # a norm of one number would be 0
        if len(y) == 0 or min(y.shape[2:]) < least or (normed == 1 and self.norm != "none"):
            expected = f"at least one example, {least} × {least} or larger, and to norm more than one pixel"
            raise ValueError(f"y: expected {expected}, got {tuple(y.shape)}")
        if not self.projection:
            return self.layers(y if x is None else torch.cat([x, y], dim=1))
        logits, factors = self.layers(y).split([1, self.projection], dim=1)
        if x is None:
            return logits
        return logits + (interpolate(x, logits.shape[2:], mode="bilinear") * factors).sum(1, keepdim=True)

    def config(self) -> dict[str, Any]:
        """What its weights do not say."""
        return {"norm": self.norm, "projection": self.projection}


def norm_layer(norm: Norm, width: int) -> nn.Module:
    """The norm with a learned scale and shift. As in pix2pix its statistics are always those of the batch, or picture,
    at hand: what is trained and what generates are the same function."""
    if norm == "batch":
        return nn.BatchNorm2d(width, track_running_stats=False)
    return nn.InstanceNorm2d(width, affine=True) if norm == "instance" else nn.Identity()


@torch.no_grad()
def initialise(network: nn.Module) -> None:
    """Weights N(0, 0.02²), scales N(1, 0.02²), biases and shifts 0. Ref: Isola et al. 2017, §6.2."""
    for module in network.modules():
        is_norm = isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d)
        if is_norm or isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.weight.normal_(float(is_norm), 0.02)
            if module.bias is not None:
                module.bias.zero_()


@checked
def generate(G: nn.Module, x_or_label: Tensor, z: Tensor | None = None, generator: Generator | None = None) -> Tensor:
    """G(x, z), or G(label, z), in evaluation and without gradients: (B, ...), in [−1, 1]; z is drawn if left out.
    G is any Module that is called as G(x, z, generator). Raises: ValueError for what G refuses."""
    with evaluating(G):
        return G(x_or_label, z, generator)
