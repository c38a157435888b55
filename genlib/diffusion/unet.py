"""The network that looks at a noisy picture and says what the noise is: down, across, up again, with skips."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from genlib.arguments import Depth, Dropout, LabelOrNone, Width, checked
from genlib.diffusion.mlp import StepEmbedding, linear


class UNet(nn.Module):
    """A denoiser for pictures: `unet(x_t, t, label)`, like x_t. Before training a block does nothing, the answer is 0.

    Level i works on pictures of 1/2^i the size, with width · mults[i] channels, in n_blocks residual blocks down and
    one more up; each is told the step, and the label if there is one. In the middle, at the smallest size, there is
    attention between all pixels.

    Args:
        channels: C of the pictures. H and W must be divisible by patch · 2^(len(mults) − 1).
        attention: where else to attend, as fractions of the size: 2 means at the level of half the size.
        heads: of attention; must divide the widths it meets.
        n_classes: of labels 0..n_classes − 1; or `n_condition`, the entries of labels that are vectors; or neither.
        dropout: the share of features dropped inside the blocks while training, 0 <= dropout < 1.
        learned_variance: give 2C channels, the second half for `DDPM(variance="learned")`.
        patch: the network works on squares of patch × patch pixels, each square one pixel of patch² · C channels:
            patch² times fewer places to compute at.
    Raises: ValueError for other numbers, no level, heads that do not divide, both n_classes and n_condition.
    Ref: Ho et al. 2020, app. B; class embedding and heads: Dhariwal & Nichol 2021, §3; patches: Hoogeboom et al. 2023,
    "simple diffusion", §3.
    """

    @checked
    def __init__(
        self,
        channels: Width = 1,
        width: Width = 32,
        mults: Sequence[Width] = (1, 2, 2),
        n_blocks: Depth = 2,
        attention: Sequence[Width] = (),
        heads: Width = 1,
        n_classes: Width | None = None,
        dropout: Dropout = 0.0,
        learned_variance: bool = False,
        n_condition: Width | None = None,
        patch: Width = 1,
    ) -> None:
        super().__init__()
        widths, fractions = [width * mult for mult in mults], [2**i for i in range(len(mults))]
        if not 1 <= len(mults) <= 16:
            raise ValueError(f"mults: expected one for each level, such as (1, 2, 2), got {mults}")
        if not set(attention) <= set(fractions):
            raise ValueError(f"attention: expected fractions of the size among {fractions}, got {attention}")
        attends = [fraction in attention for fraction in fractions]
        if any(C % heads for C, wanted in zip(widths, [*attends[:-1], True], strict=True) if wanted):
            raise ValueError(f"heads: expected a divisor of the channels attended to, {widths}, got {heads}")
        self.channels, self.fraction, self.learned_variance = channels, patch * fractions[-1], learned_variance
        self.patch = patch
        self.n_classes, self.n_condition, self.heads, self.dropout = n_classes, n_condition, heads, dropout
        self.embedding = StepEmbedding(width, 4 * width, n_classes, n_condition)

        def block(n_in: int, n_out: int, attend: bool) -> list[nn.Module]:
            return [ResidualBlock(n_in, n_out, 4 * width, dropout), *([Attention(n_out, heads)] if attend else [])]

        self.first, self.down, self.up = _conv(patch**2 * channels, width), nn.ModuleList(), nn.ModuleList()
        skips, last = [width], len(mults) - 1
        for i, C in enumerate(widths):
            for _ in range(n_blocks):
                self.down.append(nn.ModuleList(block(skips[-1], C, attends[i])))
                skips.append(C)
            if i < last:
                self.down.append(nn.ModuleList([_conv(C, C, stride=2)]))
                skips.append(C)
        C = widths[-1]
        self.middle = nn.ModuleList([*block(C, C, True), *block(C, C, False)])
        for i, n_out in reversed(list(enumerate(widths))):
            for k in range(n_blocks + 1):
                stage, C = block(C + skips.pop(), n_out, attends[i]), n_out
                if i > 0 and k == n_blocks:  # twice the size: every pixel four times, then a convolution
                    stage.append(nn.Sequential(OrderedDict(twice=nn.Upsample(scale_factor=2.0), conv=_conv(C, C))))
                self.up.append(nn.ModuleList(stage))
        self.last_norm = _group_norm(C)
        self.last = _conv(C, patch**2 * (2 * channels if learned_variance else channels), gain=0.0)

    @classmethod
    @checked
    def paper(cls, size: Literal[32, 256] = 32, **changes: Any) -> "UNet":
        """The networks of the DDPM paper, for size 32 (CIFAR-10; 35,746,307 parameters) and 256 (113,673,219).
        Args: changes, further arguments of `UNet`. Raises: ValueError for others. Ref: Ho et al. 2020, app. B.
        """
        presets = {
            32: {"mults": (1, 2, 2, 2), "attention": (2,), "dropout": 0.1},
            256: {"mults": (1, 1, 2, 2, 4, 4), "attention": (16,)},
        }
        return cls(**{"channels": 3, "width": 128, **presets[size], **changes})

    @classmethod
    def digits(cls, **changes: Any) -> "UNet":
        """The small network of this course for its 8 × 8 digits: 164,689 parameters, 10 classes; changed as `paper`."""
        return cls(**{"channels": 1, "width": 16, "mults": (1, 2), "n_blocks": 1, "n_classes": 10, **changes})

    def config(self) -> dict[str, Any]:
        """What the weights do not say."""
        return {"heads": self.heads} | ({"patch": self.patch} if self.patch > 1 else {})

    def _check_shape(self, shape: Sequence[int], name: str = "x_t") -> None:
        check_pictures(shape, name, self.channels, self.fraction)

    @checked
    def forward(self, x_t: Float[Tensor, "B ..."], t: Int64[Tensor, " B"], label: LabelOrNone = None) -> Tensor:
        """The answer to x_t (B, C, H, W) at step t, (B,); label as for `sampler`. Raises: ValueError for others."""
        self._check_shape(x_t.shape)
        told = self.embedding(t, label)
        skips = [self._laid(self.first(functional.pixel_unshuffle(x_t, self.patch)))]
        for stage in self.down:
            skips.append(_through(stage, skips[-1], told))
        x = _through(self.middle, skips[-1], told)
        for stage in self.up:
            x = _through(stage, torch.cat([x, skips.pop()], dim=1), told)
        return functional.pixel_shuffle(self.last(functional.silu(self.last_norm(x))), self.patch)

    def _laid(self, x: Tensor) -> Tensor:
        """x, channels last where the weights are: of one channel `first` cannot tell, and every layer after it follows
        the features it is given."""
        last = self.last.weight.is_contiguous(memory_format=torch.channels_last) and x.shape[1] > 1
        return x.contiguous(memory_format=torch.channels_last) if last else x


def check_pictures(shape: Sequence[int], name: str, C: int, n: int) -> None:
    """Raise `ValueError`, about this name, unless the shape is that of pictures of C channels that n divides."""
    if len(shape) != 4 or shape[1] != C or not all(side and side % n == 0 for side in shape[2:]):
        raise ValueError(f"{name}: expected shape (B, {C}, H, W), both divisible by {n}, got {tuple(shape)}")


class ResidualBlock(nn.Module):
    """x plus what two convolutions make of it; the step comes in between them."""

    def __init__(self, n_in: int, n_out: int, n_told: int, dropout: float) -> None:
        super().__init__()
        self.norm_1, self.conv_1 = _group_norm(n_in), _conv(n_in, n_out)
        self.condition = linear(n_told, n_out)
        self.norm_2, self.conv_2 = _group_norm(n_out), _conv(n_out, n_out, gain=0.0)
        self.dropout = nn.Dropout(dropout)
        self.skip = nn.Identity() if n_in == n_out else _conv(n_in, n_out, size=1)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        h = self.conv_1(functional.silu(self.norm_1(x))) + self.condition(told)[:, :, None, None]
        return self.skip(x) + self.conv_2(self.dropout(functional.silu(self.norm_2(h))))


class Attention(nn.Module):
    """x plus what each pixel gathers from all others: softmax(q kᵀ/√d) v, in every head."""

    def __init__(self, n: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.q_k_v, self.out = _group_norm(n), _conv(n, 3 * n, size=1), _conv(n, n, size=1, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        B, C, H, W = x.shape
        q, k, v = self.q_k_v(self.norm(x)).view(B, 3, self.heads, C // self.heads, H * W).transpose(3, 4).unbind(1)
        gathered = functional.scaled_dot_product_attention(q, k, v)  # (B, heads, H·W, C/heads)
        return x + self.out(gathered.transpose(2, 3).reshape(B, C, H, W))


def _through(stage: nn.Module, x: Tensor, told: Tensor) -> Tensor:
    for part in stage.children():
        x = part(x, told) if isinstance(part, ResidualBlock) else part(x)
    return x


def _group_norm(n: int) -> nn.GroupNorm:
    """At most 32 groups, of at least 4 channels each where n allows: the most that divide n, so that any n will do."""
    groups = max(g for g in range(1, max(1, min(32, n // 4)) + 1) if n % g == 0)
    return nn.GroupNorm(groups, n, eps=1e-6)


def _conv(n_in: int, n_out: int, size: int = 3, stride: int = 1, gain: float = 1.0) -> nn.Conv2d:
    conv = nn.Conv2d(n_in, n_out, size, stride, padding=size // 2)
    nn.init.xavier_uniform_(conv.weight, gain)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv
