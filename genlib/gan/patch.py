"""The discriminator of pix2pix: a convolution that judges every patch of an image by itself."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from genlib.arguments import check_int, check_tensor
from genlib.gan.layers import Norm, check_batch, initialise, norm_layer


class PatchDiscriminator(nn.Module):
    """D(x, y): a logit for each patch of y, seen together with x; sigmoid of it is P(real).

    `n_layers` convolutions with stride 2, then two with stride 1, all 4 × 4. A pixel of the logits sees a patch of

        r_last = 1,    r_{i−1} = stride_i · (r_i − 1) + kernel_i    from the last layer to the first

    which is 16, 34, 70, 142, 286 pixels wide for 1 to 5 layers. With 0 layers all is 1 × 1: the PixelGAN.

    The first layer sees x and y side by side. With `projection` it sees y alone, and x comes in last, as a factor:

        logit = v_0 · φ(y) + Σ_c x̄_c (v_c · φ(y)),   φ the last features, x̄ the map x, resized to the logits

    Args:
        in_channels: those of x and y together; of y alone for a D that is not shown x, or only at the end.
        width: feature maps of the first convolution; doubled with each one, up to 8 times as many.
        n_layers: 0 to 5.
        norm: "batch" as in the paper, "instance" or "none". A norm looks at all of a picture: to measure the receptive
            field by the gradient, take "none".
        projection: channels of an x that comes in at the end; 0 for an x beside y.
    Ref: Isola et al. 2017, §3.3 and §6.1.2; projection: Miyato & Koyama 2018, eq. 6, here patch by patch.

    >>> D = PatchDiscriminator(4, width=8, n_layers=2)
    >>> D(torch.zeros(5, 3, 32, 32), torch.zeros(5, 1, 32, 32)).shape, D.receptive_field
    (torch.Size([5, 1, 6, 6]), 34)
    """

    def __init__(
        self, in_channels: int, width: int = 64, n_layers: int = 3, *, norm: Norm = "batch", projection: int = 0
    ) -> None:
        super().__init__()
        self.in_channels, width = check_int("in_channels", in_channels), check_int("width", width)
        self.n_layers, self.norm = check_int("n_layers", n_layers, 0, 5), norm
        self.projection = check_int("projection", projection, 0)
        widths = [width * min(2**i, 8) for i in range(self.n_layers + 1)] if n_layers else [width, 2 * width]
        kernel, padding = (4, 1) if n_layers else (1, 0)
        strides = [2] * self.n_layers + [1, 1] if n_layers else [1, 1, 1]

        layers: list[nn.Module] = [nn.Conv2d(self.in_channels, widths[0], kernel, strides[0], padding)]
        for n_in, n_out, stride in zip(widths, widths[1:], strides[1:], strict=False):
            conv = nn.Conv2d(n_in, n_out, kernel, stride, padding, bias=norm != "batch")
            layers += [nn.LeakyReLU(0.2), conv, norm_layer(norm, n_out)]
        layers += [nn.LeakyReLU(0.2), nn.Conv2d(widths[-1], 1 + projection, kernel, strides[-1], padding)]
        self.layers = nn.Sequential(*layers)
        initialise(self)

    @classmethod
    def paper(cls, in_channels: int = 6) -> "PatchDiscriminator":
        """The 70 × 70 discriminator of the paper: 2,768,705 parameters for three channels each of x and y."""
        return cls(in_channels, width=64, n_layers=3)

    @property
    def receptive_field(self) -> int:
        """Width of the patch that one logit sees, in pixels."""
        r = 1
        for conv in reversed(self._convs()):
            r = conv.stride[0] * (r - 1) + conv.kernel_size[0]
        return r

    def forward(self, x: Tensor | None, y: Tensor) -> Tensor:
        """Logits, (B, 1, h, w).

        Args:
            x: the input that y belongs to, (B, C, H, W), float; None for a D that is not shown it (of a D with
                `projection`: for v_0 · φ(y) alone).
            y: an image, (B, C', H, W), float, in [−1, 1].
        """
        check_tensor("y", y, ("B", "C", "H", "W"))
        if x is not None:
            check_tensor("x", x, (len(y), "C", *y.shape[2:]))
        self._check_channels(x, y)
        check_batch("y", y, self)
        self._check_size(y)
        if not self.projection:
            return self.layers(y if x is None else torch.cat([x.to(y.dtype), y], dim=1))
        logits, factors = self.layers(y).split([1, self.projection], dim=1)
        if x is None:
            return logits
        x = interpolate(x.to(y.dtype), logits.shape[2:], mode="bilinear")
        return logits + (x * factors).sum(1, keepdim=True)

    def _check_channels(self, x: Tensor | None, y: Tensor) -> None:
        of_x, of_y = 0 if x is None else x.shape[1], y.shape[1]
        if self.projection:
            if of_y != self.in_channels or of_x not in (0, self.projection):
                expected = f"{self.projection} channels of x and {self.in_channels} of y"
                raise ValueError(f"x, y: expected {expected}, got {of_x} and {of_y}")
        elif of_x + of_y != self.in_channels:
            got = f"{'none' if x is None else of_x} of x and {of_y} of y"
            raise ValueError(f"x, y: expected {self.in_channels} channels together, got {got}")

    def _check_size(self, y: Tensor) -> None:
        for size in y.shape[2:]:
            for conv in self._convs():
                kernel, padding = conv.kernel_size[0], int(conv.padding[0])
                size = (size + 2 * padding - kernel) // conv.stride[0] + 1
            if size < 1:
                raise ValueError(f"y: too small for {self.n_layers} layers, no patch is left; got {tuple(y.shape[2:])}")
        seen = y.shape[2:].numel() * (len(y) if self.norm == "batch" else 1)  # what a PixelGAN's norm averages over
        if self.n_layers == 0 and self.norm != "none" and seen == 1:
            raise ValueError(f"y: expected more than one pixel, a norm of one is 0; got {tuple(y.shape)}")

    def _convs(self) -> list[nn.Conv2d]:
        return [layer for layer in self.layers if isinstance(layer, nn.Conv2d)]
