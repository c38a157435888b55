"""The discriminator of pix2pix: a convolution that judges every patch of an image by itself."""

import itertools
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from genlib.arguments import Width, checked
from genlib.gan.layers import Norm, initialise, norm_layer


class PatchDiscriminator(nn.Module):
    """D(x, y): a logit for each patch of y, seen together with x; sigmoid of it is P(real).

    `n_layers` convolutions with stride 2, then two with stride 1, all 4 × 4. A pixel of the logits sees a patch of

        r_last = 1,    r_{i−1} = stride_i · (r_i − 1) + kernel_i    from the last layer to the first

    which is 9 · 2ⁿ − 2 = 16, 34, 70, 142, 286 pixels wide for n = 1 to 5. With 0 layers all is 1 × 1: the PixelGAN.

    The first layer sees x and y side by side. With `projection` it sees y alone, and x comes in last, as a factor:

        logit = v_0 · φ(y) + Σ_c x̄_c (v_c · φ(y)),   φ the last features, x̄ the map x, resized to the logits

    Args:
        in_channels: those of x and y together; of y alone for a D that is not shown x, or only at the end.
        width: feature maps of the first convolution; doubled with each one, up to 8 times as many.
        norm: "batch" as in the paper, "instance" or "none". A norm looks at all of a picture: to measure the receptive
            field by the gradient, take "none".
        projection: channels of an x that comes in at the end; 0 for an x beside y.
    Ref: Isola et al. 2017, §3.3 and §6.1.2; projection: Miyato & Koyama 2018, eq. 6, here patch by patch.

    >>> D = PatchDiscriminator(4, width=8, n_layers=2)
    >>> D(torch.zeros(5, 3, 32, 32), torch.zeros(5, 1, 32, 32)).shape, D.receptive_field
    (torch.Size([5, 1, 6, 6]), 34)
    """

    @checked
    def __init__(
        self,
        in_channels: Width,
        width: Width = 64,
        n_layers: Annotated[int, "[0, 5]"] = 3,
        *,
        norm: Norm = "batch",
        projection: Annotated[int, "[0, 16384]"] = 0,
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
        """Width of the patch that one logit sees, in pixels."""
        return 9 * 2**self.n_layers - 2 if self.n_layers else 1

    @checked
    def forward(self, x: Float[Tensor, "B C H W"] | None, y: Float[Tensor, "B K H W"]) -> Tensor:
        """Logits, (B, 1, h, w).

        Args:
            x: what y belongs to, (B, C, H, W); None for a D that is not shown it (with `projection`: for v_0 · φ(y)).
            y: an image, (B, C', H, W), in [−1, 1].
        Raises: ValueError for other channels, and for images of which no patch, or a norm of one number, is left.
        """
        of_x, of_y = 0 if x is None else x.shape[1], y.shape[1]
        wanted = (of_x and self.projection, self.in_channels) if self.projection else (of_x, self.in_channels - of_x)
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
        if not of_x or x is None:
            return logits
        return logits + (interpolate(x, logits.shape[2:], mode="bilinear") * factors).sum(1, keepdim=True)

    def config(self) -> dict[str, Any]:
        """What its weights do not say."""
        return {"norm": self.norm, "projection": self.projection}
