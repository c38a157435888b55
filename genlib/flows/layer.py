"""What every layer of a flow is: a bijection that can say how much it stretches space, there and back."""

import itertools
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from genlib.arguments import check_tensor


class Layer(nn.Module):
    """A bijection z = f(x): `z, log_det = layer(x)` and `x, log_det = layer.inverse(z)`.

        log_det = log |det ∂z/∂x| of the forward map, log |det ∂x/∂z| of the inverse: (B,), nats

    A layer defines `push` and `pull`, the two maps, which put what they know about log |det ∂z/∂x| into a list. The
    list is added up once, at the end: also for a whole flow.

    Ref: Dinh et al. 2017, eqs. 2 and 3.
    """

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z = f(x) and log |det ∂z/∂x|.

        Args:
            x: (B, D) or (B, C, H, W), float.
            condition: what the networks are told beside x, (B, n), float; None if they were built for nothing.
        Returns:
            z; log_det, (B,), nats.
        """
        check_dtype("x", x, self)
        self.check("x", x)
        terms: list[Tensor] = []
        z = self.push(x, condition, terms)
        return z, total(terms, x)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x = f⁻¹(z) and log |det ∂x/∂z|, minus that of the forward map at x. Arguments as for `forward`."""
        check_dtype("z", z, self)
        self.check("z", z)
        terms: list[Tensor] = []
        x = self.pull(z, condition, terms)
        return x, -total(terms, z)

    def check(self, name: str, x: Tensor) -> None:
        """Raise `ValueError` unless x has a shape that the layer takes. `name` is "x" or "z"."""
        check_tensor(name, x, ("B", "D", "..."))
        if x.dim() not in (2, 4):
            raise ValueError(f"{name}: expected shape (B, D) or (B, C, H, W), got {tuple(x.shape)}")

    def push(self, x: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        """f(x). What is appended to `terms`, of shape (B,) or (B, n), adds up to log |det ∂z/∂x|."""
        raise NotImplementedError

    def pull(self, z: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        """f⁻¹(z). What is appended to `terms` is what `push` would append: that of the forward map."""
        raise NotImplementedError


class Compose(Layer):
    """Layers one after the other: f = f_N ∘ … ∘ f_1, and log-determinants add.

        f⁻¹ = f_1⁻¹ ∘ … ∘ f_N⁻¹       log |det J| = Σ_n log |det J_n|, each at the point that its layer gets

    Ref: Dinh et al. 2017, §3.5.
    """

    def __init__(self, layers: Iterable[Layer]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(layers)
        for i, layer in enumerate(self.parts):
            if not isinstance(layer, Layer):
                raise ValueError(f"layers: expected Layers, number {i} is a {type(layer).__name__}")

    @property
    def layers(self) -> list[Layer]:
        """The layers one by one, those inside of others of this kind too: data first, base last."""
        return [inner for part in self.parts for inner in getattr(part, "layers", [part])]

    def push(self, x: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        for part in self.parts:
            check_part(part, "x", x)
            x = part.push(x, condition, terms)  # type: ignore[operator]
        return x

    def pull(self, z: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        for part in reversed(self.parts):
            check_part(part, "z", z)
            z = part.pull(z, condition, terms)  # type: ignore[operator]
        return z


class Inverse(Layer):
    """A layer the other way round: its forward map is the other's inverse."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer

    def check(self, name: str, x: Tensor) -> None:
        super().check(name, x)
        self.layer.check("z" if name == "x" else "x", x)

    def push(self, x: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        inner: list[Tensor] = []
        z = self.layer.pull(x, condition, inner)
        terms.extend(-term for term in inner)
        return z

    def pull(self, z: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        inner: list[Tensor] = []
        x = self.layer.push(z, condition, inner)
        terms.extend(-term for term in inner)
        return x


def check_part(part: nn.Module, name: str, x: Tensor) -> None:
    """Check the shape that came out of the layer before: it may be another one than this layer takes."""
    try:
        part.check(name, x)  # type: ignore[operator]
    except ValueError as error:
        raise ValueError(f"{error} (on the way through {type(part).__name__})") from None


def check_dtype(name: str, x: object, module: nn.Module) -> None:
    """Raise `ValueError` unless x has the dtype of the module's weights, if it has any."""
    like = weight(module)
    if isinstance(x, Tensor) and x.is_floating_point() and like is not None and x.dtype != like.dtype:
        raise ValueError(f"{name}: expected dtype {like.dtype}, that of the weights, got {x.dtype}")


def weight(module: nn.Module) -> Tensor | None:
    """One of a module's tensors, whose device and dtype are the module's; None if it has no numbers of its own."""
    values = itertools.chain(module.parameters(), module.buffers())
    return next((value for value in values if value.is_floating_point()), None)


def total(terms: list[Tensor], like: Tensor) -> Tensor:
    """The sum of all terms, for each example: (B,)."""
    if not terms:
        return like.new_zeros(len(like))
    columns = [term if term.dim() == 2 else term[:, None] for term in terms]
    return torch.cat(columns, dim=1).sum(1)


def per_example(log_scale: Tensor) -> Tensor:
    """A term as `push` wants it. That of pictures is summed at once: to keep it would take as much memory as x."""
    return log_scale if log_scale.dim() == 2 else log_scale.flatten(1).sum(1)
