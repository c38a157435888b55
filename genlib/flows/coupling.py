"""Couplings: some coordinates are kept, and tell a network how to change the others.

z_1 = x_1,    z_2 = exp(log_s(x_1)) · x_2 + shift(x_1)

∂z/∂xᵀ = [[I, 0], [∗, diag(exp(log_s))]]    lower triangular, so log |det| = Σ log_s, whatever the network is
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from genlib.arguments import check_number, check_tensor
from genlib.flows.layer import Layer, per_example
from genlib.flows.masks import by_coordinate, check_mask
from genlib.flows.nets import MLP, ConvNet

Net = Callable[[Tensor, Tensor | None], Tensor]
LARGEST = 80.0  # nats: a factor of 6e34. float32 ends at exp(88.7)


class Coupling(Layer):
    """What all couplings share: the mask, and two ways to obey it.

    *Apart*: x is split into what is kept and what is changed, and the network sees and answers for nothing else:
    (B, n_kept, ...) to (B, n_out · n_changed, ...). It is the faster way, and the one taken wherever whole coordinates
    or channels are kept. *By mask*: the network sees all of x, zero where it is changed, and answers for all of it,
    (B, C, ...) to (B, n_out · C, ...), of which only that for the changed pixels is used: a checkerboard needs this.

    Args:
        mask: (D,) or (C, H, W) bool, True where x is kept; see `masks`. With a network for pictures, a (C,) mask does
            for those of any size.
        net: a callable `net(x, condition)`; left out, an `MLP` of width 64, which takes vectors alone, or for a
            (C, H, W) mask a `ConvNet`.
        apart: True or False to insist on one of the two ways; None takes the faster one.
    """

    n_out = 1  # numbers that the network gives for each changed one
    mask: Tensor
    order: Tensor
    back: Tensor

    def __init__(self, mask: Tensor | Sequence[bool], net: Net | None = None, *, apart: bool | None = None) -> None:
        super().__init__()
        mask = check_mask(mask)
        if apart and by_coordinate(mask) is None:
            raise ValueError("apart: expected False, for this mask differs from pixel to pixel; got True")
        self.apart = by_coordinate(mask) is not None if apart is None else bool(apart)
        self.register_buffer("mask", mask)
        self._index()
        self.register_load_state_dict_post_hook(lambda module, _: module._index())
        n_in, n_out = self.sizes(mask, apart)
        if net is None:
            net = MLP(n_in, self.n_out * n_out) if mask.dim() == 1 else ConvNet(n_in, self.n_out * n_out)
        elif not callable(net):
            raise ValueError(f"net: expected a callable net(x, condition), got {type(net).__name__}")
        self.net = net

    @staticmethod
    def sizes(mask: Tensor | Sequence[bool], apart: bool | None = None) -> tuple[int, int]:
        """How many features the network is given, and how many it answers for; times 2 if affine: log_s and shift."""
        mask = check_mask(mask)
        coordinates = by_coordinate(mask)
        if coordinates is None or apart is False:
            return len(mask), len(mask)
        return int(coordinates.sum()), int((~coordinates).sum())

    def check(self, name: str, x: Tensor) -> None:
        sizes: list[int | str] = [*self.shape]
        if len(sizes) == 1 and isinstance(x, Tensor) and x.dim() == 4:
            if isinstance(self.net, MLP):
                raise ValueError(f"{name}: expected vectors, (B, {sizes[0]}), for an MLP, got shape {tuple(x.shape)}")
            sizes += ["H", "W"]
        check_tensor(name, x, ("B", *sizes))

    def push(self, x: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        return self._through(x, condition, terms, self.transform)

    def pull(self, z: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        return self._through(z, condition, terms, self.restore)

    def transform(
        self, changed: Tensor, kept: Tensor, condition: Tensor | None, terms: list[Tensor], mask: Tensor | None = None
    ) -> Tensor:
        """z_2 from x_2 = `changed` and x_1 = `kept`; by mask, both have the shape of x."""
        raise NotImplementedError

    def restore(
        self, changed: Tensor, kept: Tensor, condition: Tensor | None, terms: list[Tensor], mask: Tensor | None = None
    ) -> Tensor:
        """x_2 from z_2 = `changed` and z_1 = x_1 = `kept`."""
        raise NotImplementedError

    def _through(self, x: Tensor, condition: Tensor | None, terms: list[Tensor], move: Callable[..., Tensor]) -> Tensor:
        if not self.apart:
            mask = self.mask if x.dim() != 4 or self.mask.dim() == 3 else self.mask[:, None, None]
            return move(x, x * mask, condition, terms, mask)
        kept, changed = x.index_select(1, self.order).split(self.split, dim=1)
        changed = move(changed, kept, condition, terms)
        return torch.cat([kept, changed], dim=1).index_select(1, self.back)

    def _answer(self, kept: Tensor, condition: Tensor | None) -> Tensor:
        answer = self.net(kept, condition)
        shape = kept.shape
        wanted = (shape[0], self.n_answers) if len(shape) == 2 else (shape[0], self.n_answers, *shape[2:])
        if not isinstance(answer, Tensor) or answer.shape != wanted:
            n, what = self.n_answers // self.n_out, "coordinates" if kept.dim() == 2 else "channels"
            came = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
            raise ValueError(f"net: expected shape {wanted}, {self.n_out} for each of {n} {what}, got {came}")
        return answer if answer.dtype == kept.dtype else answer.to(kept.dtype)  # autocast makes it half as precise

    def _index(self) -> None:
        """Where kept and changed coordinates are, and how many; anew whenever a mask was loaded."""
        self.shape = tuple(self.mask.shape)
        self.n_answers = self.n_out * self.sizes(self.mask, self.apart)[1]
        coordinates = by_coordinate(self.mask) if self.apart else None
        if coordinates is not None:
            self.register_buffer("order", torch.argsort(~coordinates, stable=True), persistent=False)
            self.register_buffer("back", torch.argsort(self.order), persistent=False)
            self.split = [int(coordinates.sum()), int((~coordinates).sum())]


class AffineCoupling(Coupling):
    """The coupling of RealNVP: scale and shift.

        z_1 = x_1,    z_2 = exp(log_s) · x_2 + shift,    log_s = scale · tanh(raw),    (raw, shift) = net(x_1)
        x_2 = exp(−log_s) · (z_2 − shift)                log |det ∂z/∂x| = Σ log_s

    log_s never leaves ±scale, nor the scale ±80, beyond which exp soon overflows in float32: so every factor is finite,
    and none is ever zero. (A raw s that crosses 0 has no inverse.)

    Args:
        mask, net, apart: as for `Coupling`; the network gives twice as many numbers as are changed: raw, then shift.
        bound: the scale, in nats, above 0 and at most 80; or where it starts, if it is learned.
        learned: whether the scale is learned, one for each changed coordinate or channel, as in the paper.
    Raises:
        ValueError: for a mask that changes nothing, or keeps nothing; in use, for a network that gives more or fewer
            numbers.
    Ref: Dinh et al. 2017, eqs. 4–8; the learned scale: §4.1.

    >>> layer = AffineCoupling([True, False])
    >>> z, log_det = layer(torch.ones(3, 2))
    """

    n_out = 2

    def __init__(
        self,
        mask: Tensor | Sequence[bool],
        net: Net | None = None,
        *,
        bound: float = 2.0,
        learned: bool = False,
        apart: bool | None = None,
    ) -> None:
        super().__init__(mask, net, apart=apart)
        self.bound = check_number("bound", bound, 0, LARGEST, inside="low")
        n = self.sizes(self.mask, apart)[1]
        self.scale = nn.Parameter(torch.full((n,), self.bound)) if learned else None

    def transform(
        self, changed: Tensor, kept: Tensor, condition: Tensor | None, terms: list[Tensor], mask: Tensor | None = None
    ) -> Tensor:
        log_s, shift = self.log_s_and_shift(kept, condition, mask)
        terms.append(per_example(log_s))
        return torch.addcmul(shift, changed, log_s.exp())

    def restore(
        self, changed: Tensor, kept: Tensor, condition: Tensor | None, terms: list[Tensor], mask: Tensor | None = None
    ) -> Tensor:
        log_s, shift = self.log_s_and_shift(kept, condition, mask)
        terms.append(per_example(log_s))
        return (changed - shift) * torch.exp(-log_s)

    def log_s_and_shift(
        self, kept: Tensor, condition: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What the network makes of x_1: like x_2 each; by mask, like x, and 0 where x is kept."""
        raw, shift = self._answer(kept, condition).chunk(2, dim=1)
        scale = self.bound
        if self.scale is not None:
            scale = self.scale.clamp(-LARGEST, LARGEST).view(-1, *[1] * (raw.dim() - 2))
        log_s = scale * torch.tanh(raw)
        return (log_s, shift) if mask is None else (log_s * ~mask, shift * ~mask)


class AdditiveCoupling(Coupling):
    """The coupling of NICE: shift alone. It keeps volumes: log |det ∂z/∂x| = 0.

        z_1 = x_1,    z_2 = x_2 + shift(x_1)

    Args:
        mask, net, apart: as for `Coupling`; the network gives as many numbers as are changed.
    Ref: Dinh et al. 2015, §3.2.
    """

    def transform(
        self, changed: Tensor, kept: Tensor, condition: Tensor | None, terms: list[Tensor], mask: Tensor | None = None
    ) -> Tensor:
        shift = self._answer(kept, condition)
        return changed + (shift if mask is None else shift * ~mask)

    def restore(
        self, changed: Tensor, kept: Tensor, condition: Tensor | None, terms: list[Tensor], mask: Tensor | None = None
    ) -> Tensor:
        shift = self._answer(kept, condition)
        return changed - (shift if mask is None else shift * ~mask)
