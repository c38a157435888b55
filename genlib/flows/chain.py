"""Couplings in a row, on vectors, without putting x together in between.

A coupling splits x, changes one part and joins the two again; the next one splits it anew. Where it changes the part
that was kept, splitting and joining is wasted: the two parts only trade places. Same numbers, fewer steps.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from genlib.flows.coupling import Coupling
from genlib.flows.layer import Layer


class CouplingChain(Layer):
    """What `Compose(couplings)` computes, faster: the parts stay apart as long as the masks allow.

    Args:
        couplings: all of whole coordinates or channels (`apart`), for one number of them.
    """

    def __init__(self, couplings: Iterable[Coupling]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(couplings)
        if not len(self.parts):
            raise ValueError("couplings: expected at least one, got none")
        for i, coupling in enumerate(self.parts):
            if not isinstance(coupling, Coupling) or not coupling.apart:
                raise ValueError(f"couplings: expected Couplings with their halves apart, number {i} is not")
        sizes = {len(coupling.order) for coupling in self.parts}  # type: ignore[arg-type]
        if len(sizes) > 1:
            raise ValueError(f"couplings: expected masks of one size, got sizes {sorted(sizes)}")
        self._plan()
        self.register_load_state_dict_post_hook(lambda module, _: module._plan())

    @property
    def layers(self) -> list[Layer]:
        """The couplings, one by one."""
        return list(self.parts)  # type: ignore[arg-type]

    def check(self, name: str, x: Tensor) -> None:
        self.parts[0].check(name, x)  # type: ignore[operator]

    def push(self, x: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        parts: tuple[Tensor, ...] = (x,)
        for coupling, step in zip(self._couplings, self._steps[:-1], strict=True):
            kept, changed = self._arrange(parts, step, False, coupling.split)
            parts = kept, coupling.transform(changed, kept, condition, terms)
        return self._arrange(parts, self._steps[-1], False, None)[0]

    def pull(self, z: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        parts: tuple[Tensor, ...] = (z,)
        for coupling, step in zip(reversed(self._couplings), reversed(self._steps[1:]), strict=True):
            kept, changed = self._arrange(parts, step, True, coupling.split)
            parts = kept, coupling.restore(changed, kept, condition, terms)
        return self._arrange(parts, self._steps[0], True, None)[0]

    def _plan(self) -> None:
        """How to get from each coupling's order of coordinates to the next one's: by a name, or by a permutation."""
        self._couplings: list[Any] = list(self.parts)
        n = len(self._couplings[0].order)
        natural = torch.arange(n, device=self._couplings[0].order.device)
        orders = [natural, *(coupling.order for coupling in self._couplings), natural]
        self._steps: list[str] = []
        for i in range(len(orders) - 1):
            before, after = orders[i], orders[i + 1]
            inside = 0 < i < len(orders) - 2
            if torch.equal(before, after):
                split = [c.split for c in self._couplings[i - 1 : i + 1]] if inside else [[], []]
                step = "stay" if split[0] == split[1] else "join"
            elif inside and torch.equal(self._couplings[i - 1].mask, ~self._couplings[i].mask):
                step = "swap"
            else:
                step = f"move_{i}"
                there = torch.argsort(before)[after]
                self.register_buffer(f"{step}_there", there, persistent=False)
                self.register_buffer(f"{step}_back", torch.argsort(there), persistent=False)
            self._steps.append(step)

    def _arrange(self, parts: tuple[Tensor, ...], step: str, back: bool, split: list[int] | None) -> tuple[Tensor, ...]:
        """The parts that the next coupling wants, (kept, changed); for `split` None, all in one."""
        if step == "stay" and len(parts) == 2 and split is not None:
            return parts
        if step == "swap":
            return parts[1], parts[0]
        x = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        if step.startswith("move"):
            there, inverse = getattr(self, f"{step}_there"), getattr(self, f"{step}_back")
            x = permuted(x, inverse, there) if back else permuted(x, there, inverse)
        return (x,) if split is None else x.split(split, dim=1)


class _Permuted(torch.autograd.Function):
    """x[:, order]. Its gradient is the permutation back, where autograd would add up rows: ten times slower."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, order: Tensor, back: Tensor) -> Tensor:
        return x.index_select(1, order)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        _, ctx.order, ctx.back = inputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return permuted(gradient, ctx.back, ctx.order), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: Any) -> Tensor:  # type: ignore[override]
        return tangent.index_select(1, ctx.order)


def permuted(x: Tensor, order: Tensor, back: Tensor) -> Tensor:
    """x[:, order], where `back` is the inverse permutation."""
    return _Permuted.apply(x, order, back)  # type: ignore[return-value]
