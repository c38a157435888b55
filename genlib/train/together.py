"""Small parameters side by side in one vector: what a step does to each of them, it then does once."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

SMALL = 2**14  # numbers; with larger ones there is nothing to save, and a copy of their gradients takes memory


class Together:
    """The small parameters of one group of an optimizer that treats every number alike, as Adam does.

    While they are together each is a view of the vector, and the optimizer has the vector in their place. Two cases end
    that: a step in which one of them has no gradient, for that one is then left as it is; and a parameter that somebody
    has put elsewhere in memory.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> None:
        self.optimizer, self.group, self.all = optimizer, group, group["params"]
        self.parameters = small_ones(optimizer, self.all)
        chosen = set(map(id, self.parameters))
        self.rest = [p for p in self.all if id(p) not in chosen]
        self.orders, self.laid = [order(p) for p in self.parameters], [(p.shape, p.stride()) for p in self.parameters]
        self.lasts = len(self.parameters) > 1
        if not self.lasts:
            return
        self.vector = nn.Parameter(self.flat(self.parameters))
        for p, view in zip(self.parameters, self.views(self.vector.detach()), strict=True):
            p.data = view
        self.places = [p.data_ptr() for p in self.parameters]
        self.hand_over()

    @torch.no_grad()
    def flat(self, tensors: Sequence[Tensor | None]) -> Tensor:
        """One tensor like each of the parameters: all their numbers, in the order in which the parameters' lie."""
        pairs = zip(tensors, self.orders, strict=True)
        lines = [x.permute(order) if order else x for x, order in pairs]  # type: ignore[union-attr]
        return torch._utils._flatten_dense_tensors(lines)  # pyright: ignore

    def views(self, vector: Tensor) -> list[Tensor]:
        parts = vector.split([p.numel() for p in self.parameters])
        return [part.as_strided(*laid) for part, laid in zip(parts, self.laid, strict=True)]

    def gather(self) -> None:
        """The gradients become the vector's."""
        if not self.lasts:
            return
        gradients = [p.grad for p in self.parameters]
        if all(g is not None for g in gradients) and [p.data_ptr() for p in self.parameters] == self.places:
            self.vector.grad = self.flat(gradients)
        else:
            self.part()

    def hand_over(self) -> None:
        """The optimizer gets the vector, and what it knows of the parameters is put together as well."""
        state = self.optimizer.state
        if own := [state.pop(p) for p in self.parameters if p in state]:
            means = {name: self.flat([known[name] for known in own]) for name in own[0] if name != "step"}
            state[self.vector] = {"step": own[0]["step"], **means}
        self.group["params"] = [self.vector, *self.rest]

    def hand_back(self) -> None:
        """The optimizer has the parameters again, as if it had never seen the vector."""
        for name, value in self.optimizer.state.pop(self.vector, {}).items():
            values = [value.clone() for _ in self.parameters] if name == "step" else self.views(value)
            for p, own in zip(self.parameters, values, strict=True):
                self.optimizer.state[p][name] = own
        self.group["params"] = self.all

    def part(self) -> None:
        """For good: each parameter has memory of its own again."""
        if self.lasts:
            self.lasts = False
            self.hand_back()
            for p, place in zip(self.parameters, self.places, strict=True):
                if p.data_ptr() == place:
                    p.data = p.data.clone()


def small_ones(optimizer: torch.optim.Optimizer, parameters: list[Tensor]) -> list[Tensor]:
    """Those that can stand together: small, of one dtype, with memory of their own, and as old as one another."""
    own = [p for p in parameters if p.requires_grad and 0 < p.numel() <= SMALL and (p.is_contiguous() or order(p))]
    own = [p for p in own if p.untyped_storage().nbytes() == p.numel() * p.element_size() and p.dtype == own[0].dtype]
    shared = len({p.data_ptr() for p in own}) < len(own)
    ages = {float(optimizer.state.get(p, {}).get("step", 0.0)) for p in own}
    return [] if shared or len(ages) > 1 else own


def order(p: Tensor) -> tuple[int, ...]:
    """The order of its axes in memory, if they lie channels last."""
    last = p.dim() == 4 and not p.is_contiguous() and p.is_contiguous(memory_format=torch.channels_last)
    return (0, 2, 3, 1) if last else ()
