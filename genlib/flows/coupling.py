"""Couplings: some coordinates are kept, and from them a network says how to change the others."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, pairwise
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from genlib.arguments import checked
from genlib.flows.flow import Flow
from genlib.flows.layer import Condition, Pair, per_channel, total
from genlib.flows.masks import Mask, as_mask, in_short
from genlib.flows.nets import MLP, ConvNet
from genlib.flows.straight import Straight, steps_of

Net = Callable[[Tensor, Tensor | None], Tensor]
X = Float[Tensor, "B {self.n} {self.rest}"]
LARGEST = 80.0  # nats: a factor of 6e34. float32 ends at exp(88.7)
Bound = Annotated[float, f"(0, {LARGEST}]"]


class AffineCoupling(nn.Module):
    """The coupling of RealNVP: some of x is kept, the rest is scaled and shifted, as a network says from what is kept.

        z_1 = x_1,    z_2 = exp(log_s) · x_2 + shift,    log_s = scale · tanh(raw),    (raw, shift) = net(x_1)
        x_2 = exp(−log_s) · (z_2 − shift)
        ∂z/∂xᵀ = [[I, 0], [∗, diag(exp(log_s))]]    lower triangular, so log |det| = Σ log_s, whatever the network is

    log_s never leaves ±scale, nor the scale ±80, beyond which exp soon overflows in float32: so every factor is finite,
    and none is ever zero. (A raw s that crosses 0 has no inverse.)

    The mask is obeyed in one of two ways. *Apart*, the faster one: x is split, and the network sees what is kept and
    answers for what is changed alone, (B, n_kept, ...) to (B, 2 n_changed, ...). *By mask*, as for a checkerboard: it
    sees all of x, zero where it is changed, and answers for all, (B, C, ...) to (B, 2C, ...); what it says of kept
    pixels is not used.

    Args:
        mask: (D,) or (C, H, W) bool, True where x is kept; see `masks`. For networks that take pictures, (C,) will do.
        net: a callable `net(x, condition)`; left out, an `MLP` for vectors, a `ConvNet` for a (C, H, W) mask.
        bound: the scale, in nats, above 0 and at most 80, or where it starts.
        learned: whether the scale is learned, one for each changed coordinate or channel, as in the paper.
        apart: True or False to insist on one of the two ways; None takes the faster one.
    Raises: ValueError for a mask that changes nothing, or keeps nothing, or cannot be obeyed `apart`; in use, for x of
        another shape, and for a network that gives more or fewer numbers, which broadcasting might let pass.
    Ref: Dinh et al. 2017, eqs. 4–8; the learned scale: §4.1; lecture 03 (4), (5), (6).
    """

    mask: Tensor
    order: Tensor | None
    before: Tensor | None

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
        super().__init__()
        self.register_buffer("mask", as_mask(mask))
        self.n, self.rest = len(self.mask), tuple(self.mask.shape[1:]) or ...
        pixels = self.mask.reshape(self.n, -1)
        whole = bool((pixels == pixels[:, :1]).all())
        if apart and not whole:
            raise ValueError("apart: expected False, for this mask differs from pixel to pixel; got True")
        self.apart = whole and apart is not False
        self._index()
        n_in, n_changed = self.widths[:: self.step] if self.apart else (self.n, self.n)
        self.features = n_in, 2 * n_changed
        self.net = (MLP if self.mask.dim() == 1 else ConvNet)(*self.features) if net is None else net
        self.bound, self.scale = bound, nn.Parameter(torch.full((n_changed,), bound)) if learned else None

    def _index(self) -> None:
        """Where the two parts of x are, that with the first coordinate first; anew when a mask was loaded."""
        kept = self.mask.reshape(self.n, -1)[:, 0]
        self.halves = (kept == kept[0]).tolist()  # True in the first part
        self.widths = [sum(self.halves), self.n - sum(self.halves)]
        self.step = 1 if kept[0] else -1  # parts[::step]: what is kept, what is changed
        # Where each coordinate goes so that the first part comes first, and back; None if they stand so already.
        order, mixed = torch.argsort(kept != kept[0], stable=True), sorted(self.halves)[::-1] != self.halves
        self.register_buffer("order", order if mixed else None, persistent=False)
        self.register_buffer("before", torch.argsort(order) if mixed else None, persistent=False)

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._index()

    @staticmethod
    @checked
    def sizes(mask: Mask, apart: bool | None = None) -> tuple[int, int]:
        """How many features the network is given, and for how many it answers, with log_s and shift."""
        n_in, n_out = AffineCoupling(mask, nn.Identity(), apart=apart).features
        return n_in, n_out // 2

    @checked
    def forward(self, x: X, condition: Condition = None) -> Pair:
        x_1, x_2 = self._parts(x)
        z_2, log_s = self._change(x_1, x_2, condition)
        return self._whole(x_1, z_2), total(log_s)

    @checked
    def inverse(self, z: X, condition: Condition = None) -> Pair:
        z_1, z_2 = self._parts(z)
        x_2, log_s = self._change(z_1, z_2, condition, back=True)
        return self._whole(z_1, x_2), total(log_s)

    def _parts(self, x: Tensor) -> Sequence[Tensor]:
        if not self.apart:
            return x * per_channel(self.mask, x), x
        ordered = x if self.order is None else x.index_select(1, self.order)
        return ordered.split_with_sizes(self.widths, 1)[:: self.step]

    def _whole(self, x_1: Tensor, x_2: Tensor) -> Tensor:
        if not self.apart:
            return x_2
        x = torch.cat([x_1, x_2][:: self.step], dim=1)
        return x if self.before is None else x.index_select(1, self.before)

    def _change(self, x_1: Tensor, x_2: Tensor, condition: Tensor | None, back: bool = False) -> Pair:
        """z_2, or x_2 from z_2 on the way back; and the logarithm of how much each number is stretched."""
        log_s, shift = self.log_s_and_shift(x_1, condition)
        if back:
            return torch.exp(-log_s) * (x_2 - shift), -log_s
        return torch.addcmul(shift, x_2, log_s.exp()), log_s

    def log_s_and_shift(self, kept: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the network makes of x_1: like x_2 each; by mask, like x, and zero where it is kept."""
        answer, shape = self.net(kept, condition), (len(kept), self.features[1], *kept.shape[2:])
        if not isinstance(answer, Tensor) or answer.shape != shape:
            raise ValueError(f"net: expected shape {shape}, got {tuple(getattr(answer, 'shape', [type(answer)]))}")
        raw, shift = answer.to(kept.dtype).chunk(2, dim=1)  # autocast makes them half as precise
        if not self.apart:
            raw, shift = (part.masked_fill(per_channel(self.mask, kept), 0) for part in (raw, shift))
        scale = self.bound if self.scale is None else per_channel(self.scale.clamp(-LARGEST, LARGEST), raw)
        return scale * torch.tanh(raw), shift

    def extra_repr(self) -> str:
        mask = "..." if self.mask.is_meta else in_short(self.mask)
        return f"mask={mask}, apart={self.apart}, bound={'learned' if self.scale is not None else self.bound}"


@checked
def fused(flow: Flow) -> Flow:
    """A flow that computes the same on the same parameters, faster: where a coupling changes what the one before it
    kept, x is not put together in between, and for `MLP`s the gradient is written out (see `straight`). To train it
    trains `flow`; store and load that one.

    A training step takes a fifth to a quarter less time (8 couplings of width 64 on 2 or 64 coordinates, one thread);
    with actnorm before every second coupling about an eighth. For gradients of gradients take `flow` itself.
    Raises: ValueError for what is no flow.
    """
    layers: list[nn.Module] = []
    for halves, group in groupby(flow.layers, _halves):
        run: list[Any] = list(group)
        layers += [Run(run)] if halves and len(run) > 1 else run
    options = {name: getattr(flow, name) for name in ("base", "levels", "n_classes", "n_condition")}
    same = Flow(layers, flow.shape, **options)
    same.training = flow.training  # its own alone: the layers are those of `flow`
    return same


def _halves(layer: nn.Module) -> Any:
    return layer.halves if isinstance(layer, AffineCoupling) and layer.apart else None


class Run(nn.Module):
    """Couplings one after the other that split x into the same two parts."""

    def __init__(self, couplings: list[Any]) -> None:
        super().__init__()
        self.couplings, first = nn.ModuleList(couplings), couplings[0]
        self.n, self.rest, self.halves = first.n, first.rest, first.halves

    @checked
    def forward(self, x: X, condition: Condition = None) -> Pair:
        return self._through(self.couplings, x, condition, back=False)

    @checked
    def inverse(self, z: X, condition: Condition = None) -> Pair:
        return self._through(reversed(self.couplings), z, condition, back=True)

    def _through(self, couplings: Iterable[Any], x: Tensor, condition: Tensor | None, back: bool) -> Pair:
        couplings = list(couplings)
        if any(coupling.halves != self.halves for coupling in couplings):
            raise ValueError("couplings: another mask was loaded since they were fused; fuse them anew")
        kept, changed = couplings[0]._parts(x)
        swaps = [False, *(before.step != after.step for before, after in pairwise(couplings))]
        steps = None if back or not torch.is_grad_enabled() else steps_of(couplings, swaps, x, condition)
        if steps is not None:
            parameters = [p for _, net, _ in steps for p in net.parameters()]
            kept, changed, log_det = Straight.apply(kept, changed, condition, steps, *parameters)
            return couplings[-1]._whole(kept, changed), log_det
        stretches = []
        for coupling, swap in zip(couplings, swaps, strict=True):
            if swap:
                kept, changed = changed, kept
            changed, log_s = coupling._change(kept, changed, condition, back)
            stretches.append(log_s)
        return couplings[-1]._whole(kept, changed), total(torch.cat(stretches, dim=1))
