"""What a layer of a flow is: a bijection that says how much it stretches space, there and back.

Any `nn.Module` with these two methods is one, such as one of your own:

    forward(x, condition=None) -> z, log_det        log_det = log |det ∂z/∂x|, (B,), nats
    inverse(z, condition=None) -> x, log_det        log_det = log |det ∂x/∂z|, (B,), nats

x and z are (B, D) or (B, C, H, W); `condition` is what networks are told beside them, (B, n), float, or None.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from genlib.arguments import checked
from genlib.common import wide

X = Float[Tensor, "B D ..."]
Condition = Float[Tensor, "B n"] | None
Pair = tuple[Tensor, Tensor]
INVERSE = attrgetter("inverse")


class Compose(nn.ModuleList):
    """Layers one after the other, in a list: f = f_N ∘ … ∘ f_1, and log-determinants add.

        f⁻¹ = f_1⁻¹ ∘ … ∘ f_N⁻¹       log |det J| = Σ_n log |det J_n|, each at the point that its layer gets

    Raises: ValueError for what is no layer; in use, for a layer that x does not fit. Ref: Dinh et al. 2017, §3.5;
    lecture 03 (7).
    """

    def __init__(self, layers: Iterable[nn.Module] = ()) -> None:
        super().__init__()
        try:
            for layer in layers:
                self.append(as_layer("layers", layer))
        except (TypeError, RuntimeError) as error:
            raise ValueError(f"layers: expected Modules with an inverse, but {error}") from None

    @checked
    def forward(self, x: X, condition: Condition = None) -> Pair:
        return through(self, x, condition)

    @checked
    def inverse(self, z: X, condition: Condition = None) -> Pair:
        return through(map(INVERSE, reversed(self)), z, condition)


def as_layer(name: str, layer: nn.Module) -> Any:
    if not hasattr(layer, "inverse"):
        raise ValueError(f"{name}: expected a Module with an inverse, got a {type(layer).__name__}")
    return layer


def through(maps: Iterable[Any], x: Tensor, condition: Tensor | None) -> Pair:
    """What the last of these maps makes of x, and the sum of their log-determinants, (B,)."""
    log_det = x.new_zeros(len(x), dtype=wide(x))
    for i, layer in enumerate(maps):
        x, more = layer(x, condition)
        if more.shape != log_det.shape:
            raise ValueError(f"layers: expected log_det of shape {(len(x),)}, got {tuple(more.shape)} from number {i}")
        log_det = log_det + more
    return x, log_det


class Inverse(nn.Module):
    """A layer the other way round: its forward map is the other's inverse. Raises: ValueError for what is no layer."""

    @checked
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = as_layer("layer", layer)

    @checked
    def forward(self, x: X, condition: Condition = None) -> Pair:
        return self.layer.inverse(x, condition)

    @checked
    def inverse(self, z: X, condition: Condition = None) -> Pair:
        return self.layer(z, condition)


def total(log_s: Tensor) -> Tensor:
    """The sum for each example, (B,), in float32 or better."""
    return log_s.flatten(1).sum(1, dtype=wide(log_s))


def alike(log_s: Tensor, x: Tensor) -> Tensor:
    """What channels that are stretched alike everywhere add up to, for each example: H · W · Σ log_s, (B,)."""
    return (log_s.sum(dtype=wide(log_s)) * x.shape[2:].numel()).expand(len(x))


def per_channel(value: Tensor, x: Tensor) -> Tensor:
    """(D,) or (C,) in the shape that multiplies x, (B, D) or (B, C, H, W); (C, H, W) has it already."""
    return value.view(*value.shape, *[1] * (x.dim() - 1 - value.dim()))
