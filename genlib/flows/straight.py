"""Couplings one after the other, with their gradient written out: fewer calls than modules and autograd need."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.autograd.function import once_differentiable

from genlib.flows.layer import total
from genlib.flows.nets import MLP, coins

HOOKS = "_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks"
relu_backward = torch.ops.aten.threshold_backward.default  # (g, h, 0): g where h > 0, else 0
tanh_backward = torch.ops.aten.tanh_backward.default  # (g, tanh): g (1 − tanh²)
Hidden = Sequence[tuple[Tensor, Tensor | None]]


class Net(NamedTuple):
    """A network as an `MLP` is: h_1 = relu(W_0 x + C c + b_0), h_2 = relu(W_1 h_1 + b_1), …, answer = W_n h_n + b_n."""

    W: Sequence[Tensor]
    b: Sequence[Tensor]
    C: Tensor | None
    dropout: float

    def answer(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, Hidden]:
        """And each h, with what dropout has multiplied it by."""
        h, hidden = torch.addmm(self.b[0], x, self.W[0].t()), []
        if self.C is not None:
            h.addmm_(c, self.C.t())  # type: ignore[arg-type]
        for W, b in zip(self.W[1:], self.b[1:], strict=True):
            factor = coins(h, self.dropout) if self.dropout else None
            h = h.relu_() if factor is None else h.relu_().mul_(factor)
            hidden.append((h, factor))
            h = torch.addmm(b, h, W.t())
        return h, hidden

    def back(self, g: Tensor, x: Tensor, c: Tensor | None, hidden: Hidden) -> tuple[Tensor, list[Tensor]]:
        """From the gradient by the answer: by W_0 x + C c + b_0, and by each of the `parameters`."""
        by_b, by_W = [], []
        for W, (h, factor) in zip(self.W[:0:-1], reversed(hidden), strict=True):
            by_b.append(g.sum(0))
            by_W.append(torch.mm(g.t(), h))
            g = relu_backward(torch.mm(g, W), h, 0)
            g = g if factor is None else g.mul_(factor)
        by_C = [] if self.C is None else [torch.mm(g.t(), c)]  # type: ignore[arg-type]
        return g, [torch.mm(g.t(), x), *reversed(by_W), g.sum(0), *reversed(by_b), *by_C]

    def parameters(self) -> list[Tensor]:
        return [*self.W, *self.b, *([] if self.C is None else [self.C])]


class Step(NamedTuple):
    """A coupling: whether x_1 and x_2 trade places before it, its network, and its bound."""

    swap: bool
    net: Net
    bound: float


class Straight(torch.autograd.Function):
    """Affine couplings, one after the other: from (x_1, x_2) to (z_1, z_2) and log |det|, (B,).

        (raw, shift) = net(x_1),    log_s = bound · tanh(raw),    x_2 ← exp(log_s) x_2 + shift,    log |det| = Σ Σ log_s

    With g_1, g_2 and g for the loss's gradients by x_1, x_2 and log |det|, from the last coupling to the first:

        by shift: g_2,    by raw: (g + g_2 exp(log_s) x_2) · bound · (1 − tanh²(raw))
        g_2 ← g_2 exp(log_s),    g_1 ← g_1 + what the network hands on of both

    There are no second derivatives.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x_1: Tensor, x_2: Tensor, c: Tensor | None, steps: Sequence[Step], *parameters: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(x_1, x_2, c, *parameters)  # so that a change of them is noticed
        seen, stretches = [], []
        for swap, net, bound in steps:
            if swap:
                x_1, x_2 = x_2, x_1
            answer, hidden = net.answer(x_1, c)
            raw, shift = answer.unsafe_chunk(2, 1)
            tanh = torch.tanh(raw)
            log_s = tanh * bound
            scale = log_s.exp()
            seen.append((x_1, x_2, hidden, tanh, scale))
            stretches.append(log_s)
            x_2 = torch.addcmul(shift, x_2, scale)
        ctx.steps, ctx.c, ctx.seen = steps, c, seen
        return x_1.clone(), x_2, total(torch.cat(stretches, 1))  # outputs in `seen` would never be let go

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_1: Tensor, g_2: Tensor, g: Tensor) -> Any:  # type: ignore[override]
        _, by_c, by_parameters = ctx.saved_tensors, None, []  # raises if one was changed
        g = g.to(g_2.dtype)[:, None]
        for (swap, net, bound), (x_1, x_2, hidden, tanh, scale) in zip(ctx.steps[::-1], ctx.seen[::-1], strict=True):
            by_shift, g_2 = g_2, g_2 * scale
            by_raw = tanh_backward(torch.addcmul(g, g_2, x_2), tanh).mul_(bound)
            h, found = net.back(torch.cat([by_raw, by_shift], 1), x_1, ctx.c, hidden)
            g_1 = torch.addmm(g_1, h, net.W[0])
            if ctx.needs_input_grad[2]:
                by_c = h @ net.C if by_c is None else by_c.addmm_(h, net.C)
            by_parameters[:0] = found
            if swap:
                g_1, g_2 = g_2, g_1
        return g_1, g_2, by_c, None, *by_parameters


def steps_of(couplings: Sequence[Any], swaps: Sequence[bool], x: Tensor, c: Tensor | None) -> list[Step] | None:
    """What `Straight` takes, or None where a coupling asks for more: another network than an `MLP`, a learned scale,
    hooks, half precision, a transformation of torch.func; or where something does not fit, which others will say."""
    transformed = torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0
    if transformed or torch.compiler.is_compiling() or torch.is_autocast_enabled(x.device.type) or x.dim() != 2:
        return None
    steps = []
    for coupling, swap in zip(couplings, swaps, strict=True):
        net = coupling.net
        if type(net) is not MLP or coupling.scale is not None or hooked(net):
            return None
        # Dicts, for a Module's own way to its parts takes longer than a small layer does.
        parts: dict[str, Any] = net._modules
        layers = [parts["first"], *parts["hidden"]._modules.values(), parts["last"]]
        W, b = ([layer._parameters.get(name) for layer in layers] for name in ("weight", "bias"))
        told = parts.get("condition")
        C = None if told is None else told._parameters.get("weight")
        # A weight or a bias that is computed, or none, is no parameter.
        if any(p is None for p in [*W, *b]) or (told is not None and (C is None or hooked(told))):
            return None
        fits = (W[0].shape[1], W[-1].shape[0], W[0].dtype) == (*coupling.features, x.dtype)
        expected = None if C is None else (len(x), C.shape[1], x.dtype)
        if not fits or expected != (None if c is None else (*c.shape, c.dtype)):
            return None
        dropout = parts["dropout"].p if net.training else 0.0
        steps.append(Step(swap, Net(W, b, C, dropout), coupling.bound))
    return steps


def hooked(module: nn.Module) -> bool:
    return any(getattr(module, hooks) for hooks in HOOKS)
