"""The network that looks at a noisy picture and says what the noise is: down, across, up again, with skips.

Every block is told the step t, and the class if there is one, by a vector that is added to its features. The last
convolution of each block, and of the network, starts at zero: before training a block does nothing, and the
network's answer is 0 everywhere.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from genlib.arguments import check_choice, check_int, check_number, check_tensor
from genlib.diffusion.embedding import StepEmbedding, linear


class UNet(nn.Module):
    """A denoiser for pictures: `unet(x_t, t, label)`, like x_t.

    Level i works on pictures of 1/2^i the size, with width · mults[i] channels, in n_blocks residual blocks down and
    one more up. In the middle, at the smallest size, there is attention between all pixels.

    Args:
        channels: C of the pictures.
        width: channels of the first level; any number, group norm finds groups that divide it.
        mults: the width of each level, in multiples of `width`. H and W must be divisible by 2^(len(mults) − 1).
        n_blocks: residual blocks in each level, on the way down.
        attention: where else to attend, as fractions of the size: 2 means at the level of half the size.
        heads: how many heads attention has; must divide the widths it meets.
        n_classes: classes 0..n_classes − 1; None is a network without labels.
        dropout: the share of features dropped inside the blocks while training, 0 <= dropout < 1.
        learned_variance: give 2C channels, the second half for `DDPM(variance="learned")`.
    Ref: Ho et al. 2020, app. B; class embedding and heads: Dhariwal & Nichol 2021, §3.

    >>> unet = UNet(channels=1, width=8)
    >>> unet(torch.zeros(5, 1, 8, 8), torch.full((5,), 3)).shape
    torch.Size([5, 1, 8, 8])
    """

    def __init__(
        self,
        channels: int = 1,
        width: int = 32,
        mults: Sequence[int] = (1, 2, 2),
        n_blocks: int = 2,
        attention: Sequence[int] = (),
        heads: int = 1,
        n_classes: int | None = None,
        dropout: float = 0.0,
        learned_variance: bool = False,
    ) -> None:
        super().__init__()
        self.channels = check_int("channels", channels)
        width, n_blocks, heads = check_int("width", width), check_int("n_blocks", n_blocks), check_int("heads", heads)
        if isinstance(mults, str) or not isinstance(mults, Sequence) or len(mults) == 0:
            raise ValueError(f"mults: expected one whole number for each level, such as (1, 2, 2), got {mults!r}")
        widths = [width * check_int("mults", mult) for mult in mults]
        if isinstance(attention, str) or not isinstance(attention, Sequence):
            raise ValueError(f"attention: expected fractions of the size such as (2, 4), got {attention!r}")
        for fraction in attention:
            check_choice("attention", str(fraction), [str(2**i) for i in range(len(widths))])
        attends = [2**i in attention for i in range(len(widths))]
        for C in {widths[-1], *(C for C, wanted in zip(widths, attends, strict=True) if wanted)}:
            if C % heads:
                raise ValueError(f"heads: expected a divisor of the {C} channels attended to, got {heads}")
        self.n_classes = None if n_classes is None else check_int("n_classes", n_classes)
        dropout = check_number("dropout", dropout, 0, 1, inside="high")
        self.learned_variance = bool(learned_variance)
        self.fraction = 2 ** (len(widths) - 1)
        self.embedding = StepEmbedding(width, 4 * width, n_classes)

        def block(n_in: int, n_out: int, attend: bool) -> list[nn.Module]:
            return [ResidualBlock(n_in, n_out, 4 * width, dropout), *([Attention(n_out, heads)] if attend else [])]

        self.first = _conv(channels, width)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        C, skips = width, [width]
        for i, (n_out, attend) in enumerate(zip(widths, attends, strict=True)):
            for _ in range(n_blocks):
                self.down.append(nn.ModuleList(block(C, n_out, attend)))
                C = n_out
                skips.append(C)
            if i + 1 < len(widths):
                self.down.append(nn.ModuleList([_conv(C, C, stride=2)]))
                skips.append(C)
        self.middle = nn.ModuleList([*block(C, C, True), *block(C, C, False)])
        for i, (n_out, attend) in reversed(list(enumerate(zip(widths, attends, strict=True)))):
            for k in range(n_blocks + 1):
                stage = block(C + skips.pop(), n_out, attend)
                self.up.append(nn.ModuleList([*stage, Upsample(n_out)] if i > 0 and k == n_blocks else stage))
                C = n_out
        self.last_norm = _group_norm(C)
        self.last = _zero(_conv(C, 2 * channels if learned_variance else channels))

    @classmethod
    def paper(cls, size: int = 32, **changes: object) -> "UNet":
        """The networks of the DDPM paper, for size 32 (CIFAR-10; 35,746,307 parameters) and 256 (113,673,219).

        Further arguments of `UNet` change it, as in `UNet.paper(n_classes=10)`.
        Ref: Ho et al. 2020, app. B.
        """
        presets = {
            32: {"mults": (1, 2, 2, 2), "attention": (2,), "dropout": 0.1},
            256: {"mults": (1, 1, 2, 2, 4, 4), "attention": (16,), "dropout": 0.0},
        }
        if size not in presets:
            raise ValueError(f"size: expected 32 or 256, the paper's, got {size!r}")
        return cls(**{"channels": 3, "width": 128, "n_blocks": 2, **presets[size], **changes})

    @classmethod
    def digits(cls, **changes: object) -> "UNet":
        """The small network of this course for its 8 × 8 digits: 164,689 parameters, ten classes.

        Further arguments of `UNet` change it, as in `UNet.digits(learned_variance=True)`.
        """
        return cls(**{"channels": 1, "width": 16, "mults": (1, 2), "n_blocks": 1, "n_classes": 10, **changes})

    def check_shape(self, shape: Sequence[int]) -> None:
        """Raise `ValueError` unless pictures of this shape, (B, C, H, W), can go through."""
        C, n = self.channels, self.fraction
        if len(shape) != 4 or shape[1] != C:
            raise ValueError(f"x_t: expected shape (B, {C}, H, W), got {tuple(shape)}")
        if min(shape[2:]) < 1 or shape[2] % n or shape[3] % n:
            raise ValueError(
                f"x_t: expected height and width divisible by {n} (they are halved {int(math.log2(n))} times), "
                f"got {tuple(shape[2:])}"
            )

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """What the network says about x_t.

        Args:
            x_t: (B, C, H, W), float.
            t: (B,) int64, the step.
            label: (B,) int64, −1 where there is none; or None, for none at all.
        Returns:
            (B, C, H, W), or (B, 2C, H, W) with `learned_variance`.
        """
        check_tensor("x_t", x_t, ("B", "..."))
        self.check_shape(x_t.shape)
        condition = self.embedding(t, label, x_t)
        x = self.first(x_t)
        skips = [x]
        for stage in self.down:
            x = _through(stage, x, condition)
            skips.append(x)
        x = _through(self.middle, x, condition)
        for stage in self.up:
            x = _through(stage, torch.cat([x, skips.pop()], dim=1), condition)
        return self.last(functional.silu(self.last_norm(x)))


class ResidualBlock(nn.Module):
    """x plus what two convolutions make of it; the step comes in between them."""

    def __init__(self, n_in: int, n_out: int, n_condition: int, dropout: float) -> None:
        super().__init__()
        self.norm_1, self.conv_1 = _group_norm(n_in), _conv(n_in, n_out)
        self.condition = linear(n_condition, n_out)
        self.norm_2, self.conv_2 = _group_norm(n_out), _zero(_conv(n_out, n_out))
        self.dropout = nn.Dropout(dropout)
        self.skip = nn.Identity() if n_in == n_out else _conv(n_in, n_out, size=1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        h = self.conv_1(functional.silu(self.norm_1(x))) + self.condition(condition)[:, :, None, None]
        return self.skip(x) + self.conv_2(self.dropout(functional.silu(self.norm_2(h))))


class Attention(nn.Module):
    """x plus what each pixel gathers from all others: softmax(q kᵀ/√d) v, in every head."""

    def __init__(self, n: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.q_k_v, self.out = _group_norm(n), _conv(n, 3 * n, size=1), _zero(_conv(n, n, size=1))

    def forward(self, x: Tensor) -> Tensor:
        B, C, H, W = x.shape
        q, k, v = self.q_k_v(self.norm(x)).view(B, 3, self.heads, C // self.heads, H * W).transpose(3, 4).unbind(1)
        gathered = functional.scaled_dot_product_attention(q, k, v)  # (B, heads, H·W, C/heads)
        return x + self.out(gathered.transpose(2, 3).reshape(B, C, H, W))


class Upsample(nn.Module):
    """Twice the size: every pixel four times, then a convolution."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.conv = _conv(n, n)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))


def _through(stage: nn.Module, x: Tensor, condition: Tensor) -> Tensor:
    for part in stage.children():
        x = part(x, condition) if isinstance(part, ResidualBlock) else part(x)
    return x


def _group_norm(n: int) -> nn.GroupNorm:
    """At most 32 groups, of at least 4 channels each where n allows: the most that divide n, so that any n will do."""
    groups = max(g for g in range(1, max(1, min(32, n // 4)) + 1) if n % g == 0)
    return nn.GroupNorm(groups, n, eps=1e-6)


def _conv(n_in: int, n_out: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(n_in, n_out, size, stride, padding=size // 2)
    nn.init.xavier_uniform_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _zero(conv: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(conv.weight)
    return conv
