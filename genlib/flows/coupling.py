"""Couplings: some coordinates are kept, and tell a network how to change the others.

z_1 = x_1,    z_2 = exp(log_s(x_1)) · x_2 + shift(x_1)

∂z/∂xᵀ = [[I, 0], [∗, diag(exp(log_s))]]    lower triangular, so log |det| = Σ log_s, whatever the network is
"""

from collections.abc import Callable
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from genlib.arguments import checked
from genlib.flows.layer import Condition, Pair, per_channel, total
from genlib.flows.masks import Mask, Split, as_mask, by_coordinate
from genlib.flows.nets import MLP, ConvNet

Net = Callable[[Tensor, Tensor | None], Tensor]
X = Float[Tensor, "B {self.n} {self.rest}"]
LARGEST = 80.0  # nats: a factor of 6e34. float32 ends at exp(88.7)
Bound = Annotated[float, f"(0, {LARGEST}]"]


class Coupling(Split):
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
    Raises: ValueError for a mask that changes nothing, or keeps nothing, or cannot be obeyed `apart`; in use, for x of
        another shape, and for a network that gives more or fewer numbers, which broadcasting might let pass.
    """

    n_out = 1  # numbers that the network gives for each changed one

    @checked
    def __init__(self, mask: Mask, net: Net | None = None, *, apart: bool | None = None) -> None:
        super().__init__(mask)
        n_in, n_out = self.sizes(self.mask, apart)
        self.net = (MLP if self.mask.dim() == 1 else ConvNet)(n_in, self.n_out * n_out) if net is None else net
        self.apart, self.n_answers = apart is not False and by_coordinate(self.mask) is not None, self.n_out * n_out

    @staticmethod
    @checked
    def sizes(mask: Mask, apart: bool | None = None) -> tuple[int, int]:
        """How many features the network is given, and how many it answers for; times 2 if affine: log_s and shift."""
        mask = as_mask(mask)
        kept = by_coordinate(mask)
        if apart and kept is None:
            raise ValueError("apart: expected False, for this mask differs from pixel to pixel; got True")
        return (len(mask), len(mask)) if kept is None or apart is False else (int(kept.sum()), int((~kept).sum()))

    @checked
    def forward(self, x: X, condition: Condition = None) -> Pair:
        kept, changed = self._parts(x)
        changed, log_s = self._there(kept, changed, condition)
        return self._whole(kept, changed), self._stretch(log_s)

    @checked
    def inverse(self, z: X, condition: Condition = None) -> Pair:
        kept, changed = self._parts(z)
        changed, log_s = self._back(kept, changed, condition)
        return self._whole(kept, changed), -self._stretch(log_s)

    def _there(self, kept: Tensor, changed: Tensor, condition: Tensor | None) -> Pair:
        """z_2 from x_2, as x_1 says, and the logarithm of how much each number of it is stretched."""
        raise NotImplementedError

    def _back(self, kept: Tensor, changed: Tensor, condition: Tensor | None) -> Pair:
        """x_2 from z_2, and what `_there` would say of it."""
        raise NotImplementedError

    def _parts(self, x: Tensor) -> Pair:
        """x_1, what the network sees, and x_2, what is changed; by mask, both have the shape of x."""
        return super()._parts(x) if self.apart else (x * self._like(x), x)

    def _whole(self, x_1: Tensor, x_2: Tensor) -> Tensor:
        return super()._whole(x_1, x_2) if self.apart else torch.where(self._like(x_1), x_1, x_2)

    def _stretch(self, log_s: Tensor) -> Tensor:
        """log |det|, (B,): the sum over what is changed."""
        return total(log_s if self.apart else log_s * ~self._like(log_s))

    def _answer(self, kept: Tensor, condition: Tensor | None) -> Tensor:
        """What the network says of x_1."""
        answer, (B, _, *rest) = self.net(kept, condition), kept.shape
        if not isinstance(answer, Tensor) or answer.shape != (B, self.n_answers, *rest):
            came = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
            raise ValueError(f"net: expected shape {(B, self.n_answers, *rest)}, got {came}")
        return answer if answer.dtype == kept.dtype else answer.to(kept.dtype)  # autocast makes it half as precise

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, apart={self.apart}"

    def _like(self, x: Tensor) -> Tensor:
        """The mask in a shape that multiplies x."""
        return self.mask if self.mask.dim() == 3 else per_channel(self.mask, x)


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
    Raises: ValueError as `Coupling`, and for a bound out of range.
    Ref: Dinh et al. 2017, eqs. 4–8; the learned scale: §4.1.

    >>> layer = AffineCoupling([True, False])
    >>> z, log_det = layer(torch.ones(3, 2))
    """

    n_out = 2

    @checked
    def __init__(
        self,
        mask: Mask,
        net: Net | None = None,
        *,
        bound: Bound = 2.0,
        learned: bool = False,
        apart: bool | None = None,
    ) -> None:
        super().__init__(mask, net, apart=apart)
        self.bound = bound
        self.scale = nn.Parameter(torch.full((self.n_answers // 2,), bound)) if learned else None

    def _there(self, kept: Tensor, changed: Tensor, condition: Tensor | None) -> Pair:
        log_s, shift = self.log_s_and_shift(kept, condition)
        return torch.addcmul(shift, changed, log_s.exp()), log_s

    def _back(self, kept: Tensor, changed: Tensor, condition: Tensor | None) -> Pair:
        log_s, shift = self.log_s_and_shift(kept, condition)
        return (changed - shift) * torch.exp(-log_s), log_s

    def log_s_and_shift(self, kept: Tensor, condition: Tensor | None = None) -> Pair:
        """What the network makes of x_1: like x_2 each; by mask, like x, and only used where x is changed."""
        raw, shift = self._answer(kept, condition).chunk(2, dim=1)
        scale = self.bound if self.scale is None else per_channel(self.scale.clamp(-LARGEST, LARGEST), raw)
        return scale * torch.tanh(raw), shift

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, bound={'learned' if self.scale is not None else self.bound}"


class AdditiveCoupling(Coupling):
    """The coupling of NICE: z_1 = x_1, z_2 = x_2 + shift(x_1). It keeps volumes: log |det ∂z/∂x| = 0.

    Args:
        mask, net, apart: as for `Coupling`; the network gives as many numbers as are changed.
    Raises: ValueError as `Coupling`. Ref: Dinh et al. 2015, §3.2.
    """

    def _there(self, kept: Tensor, changed: Tensor, condition: Tensor | None) -> Pair:
        return changed + self._answer(kept, condition), torch.zeros_like(changed)

    def _back(self, kept: Tensor, changed: Tensor, condition: Tensor | None) -> Pair:
        return changed - self._answer(kept, condition), torch.zeros_like(changed)
