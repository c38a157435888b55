"""RealNVP: couplings, one after the other, for vectors and for pictures."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from genlib.arguments import Depth, Dropout, Levels, Seed, Width, checked
from genlib.flows import masks
from genlib.flows.coupling import AffineCoupling, Bound
from genlib.flows.flow import Density, Flow
from genlib.flows.layer import Compose, Inverse
from genlib.flows.linear import ActNorm, BatchNorm, InvertibleConv
from genlib.flows.nets import MLP, Blocks, ConvNet
from genlib.flows.preprocessing import Logit
from genlib.flows.shape import FactorOut, Squeeze


class RealNVP(Flow):
    """A flow of affine couplings: `for_vectors`, `for_images`, and the paper's own, `paper`. Ref: Dinh et al. 2017."""

    @classmethod
    @checked
    def for_vectors(
        cls,
        dim: masks.Several = 2,
        n_couplings: Depth = 8,
        width: Width = 64,
        *,
        depth: Depth = 2,
        levels: Levels | None = None,
        n_classes: Width | None = None,
        n_condition: Width | None = None,
        mask: Literal["halves", "random"] = "halves",
        dropout: Dropout = 0.0,
        bound: Bound = 2.0,
        actnorm: bool = False,
        he: bool | None = None,
        base: Density | None = None,
        seed: Seed = 0,
    ) -> "RealNVP":
        """Couplings on vectors; every second one changes what the one before it kept.

        Args:
            dim, width, depth, dropout: D, at least 2; of the networks, as for `MLP`.
            levels, n_classes, n_condition, base: as for `Flow`. With `levels`, a `Logit` comes first.
            mask: "random" draws new halves for every second coupling, which mixes quicker in many dimensions.
            bound: log_s stays inside ±bound.
            actnorm: an `ActNorm` before every second coupling.
            he: see `MLP`. Left out, True without `levels`: points are learned faster so, few pictures generalise worse.
        Raises: ValueError for sizes and numbers out of range.
        """
        layers: list[nn.Module] = [] if levels is None else [Logit()]
        kept, generator = ~masks.halves(dim), torch.Generator().manual_seed(seed)
        he = levels is None if he is None else he
        for k in range(n_couplings):
            if k % 2 == 0 and mask == "random":
                kept = ~masks.random(dim, generator=generator)
            if k % 2 == 0 and actnorm:
                layers.append(ActNorm(dim))
            kept = ~kept
            n_kept, n_changed = int(kept.sum()), int((~kept).sum())
            net = MLP(n_kept, 2 * n_changed, width, depth, n_classes or n_condition or 0, dropout, he)
            layers.append(AffineCoupling(kept, net, bound=bound))
        return cls(layers, (dim,), base=base, levels=levels, n_classes=n_classes, n_condition=n_condition)

    @classmethod
    @checked
    def for_images(
        cls,
        shape: tuple[Width, Width, Width],
        levels: Levels = 256,
        *,
        n_scales: Annotated[int, "[1, 14]"] | None = None,
        width: Width = 32,
        n_blocks: Blocks = 2,
        n_classes: Width | None = None,
        n_condition: Width | None = None,
        norm: bool = False,
        dropout: Dropout = 0.0,
        bound: Bound = 2.0,
        one_by_one: bool = False,
        base: Density | None = None,
    ) -> "RealNVP":
        """The multi-scale flow of the paper, for pictures.

        At each scale: three couplings with checkerboard masks, then four pixels become one of four times the channels,
        then three couplings with channel masks; half of the channels are finished there, the others go on. At the last
        scale: four couplings with checkerboard masks. What is finished goes back to its pixels: z has the shape of x.

        Args:
            shape: (C, H, W) of one picture; H and W divisible by 2^(n_scales − 1).
            levels, n_classes, n_condition, base: as for `for_vectors`.
            n_scales: left out, as many as there are until a side has 4 pixels, or is odd.
            width, n_blocks, dropout: as for `ConvNet`; the width is doubled each time that H and W are halved.
            norm: batch norm and weight norm in the networks, batch norm after each coupling, log_s of learned scale.
            bound: log_s stays inside ±bound; with `norm`, where the learned scale starts.
            one_by_one: an `InvertibleConv` before each coupling, as in Glow: channels are mixed, not only exchanged.
        Raises: ValueError for sizes that cannot be halved so often, and numbers out of range.
        Ref: Dinh et al. 2017, §3.4–3.7 and §4.1; 1×1 convolutions: Kingma & Dhariwal 2018, §3.2.
        """
        C, H, W = shape
        if n_scales is None:
            n_scales = 1
            while H % 2**n_scales == W % 2**n_scales == 0 and min(H, W) > 2 ** (n_scales + 1):
                n_scales += 1
        side = 2 ** (n_scales - 1)
        if H % side or W % side:
            raise ValueError(f"shape: expected height and width divisible by {side}, for {n_scales} scales, got {H, W}")
        if n_scales > 1 and side == H == W:
            raise ValueError(f"n_scales: expected fewer, for one pixel is left at the last scale, got {n_scales}")

        def couplings(kept: Sequence[Tensor], width: int) -> list[nn.Module]:
            layers: list[nn.Module] = []
            for mask in kept:
                layers += [InvertibleConv(len(mask), seed=len(layers))] if one_by_one else []
                n_in, n_out = AffineCoupling.sizes(mask)
                net = ConvNet(n_in, 2 * n_out, width, n_blocks, n_classes or n_condition or 0, norm, dropout)
                layers.append(AffineCoupling(mask, net, bound=bound, learned=norm))
                layers += [BatchNorm(len(mask))] if norm else []
            return layers

        def scale(C: int, H: int, W: int, width: int, left: int) -> list[nn.Module]:
            board = masks.checkerboard((C, H, W))
            if left == 1:
                return couplings([board, ~board, board, ~board], width)
            layers = [*couplings([board, ~board, board], width), Squeeze()]
            inner = Compose(scale(2 * C, H // 2, W // 2, 2 * width, left - 1))
            channel = masks.channel((4 * C, H // 2, W // 2))
            layers += couplings([channel, ~channel, channel], 2 * width)
            # Two opposite corners of each square of pixels go on, so that what is finished is a checkerboard.
            corner = torch.arange(4 * C) // C
            return [*layers, FactorOut(inner, (corner == 0) | (corner == 3)), Inverse(Squeeze())]

        layers = [Logit(), *scale(C, H, W, width, n_scales)]
        return cls(layers, shape, base=base, levels=levels, n_classes=n_classes, n_condition=n_condition)

    @classmethod
    def paper(cls, shape: Sequence[int] = (3, 32, 32), **changes: Any) -> "RealNVP":
        """The paper's, for CIFAR-10; further arguments are those of `for_images`. Ref: Dinh et al. 2017, §4.1."""
        preset = {"n_scales": 2, "width": 64, "n_blocks": 8, "norm": True, "bound": 1.0}
        return cls.for_images(shape, **{**preset, **changes})  # type: ignore[arg-type]
