"""Couplings in a row, on vectors, without putting x together in between.

A coupling splits x, changes one part and joins the two again; the next one splits it anew. Where it changes the part
that was kept, splitting and joining is wasted: the two parts only trade places. Same numbers, fewer steps.
"""

import itertools
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
        for coupling in self._shapes:
            coupling.check(name, x)

    def push(self, x: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        parts: tuple[Tensor, ...] = (x,)
        for coupling, move in zip(self._couplings, self._moves, strict=False):
            kept, changed = self._arranged(parts, move, "there", coupling.split)
            parts = kept, coupling.transform(changed, kept, condition, terms)
        return self._arranged(parts, self._moves[-1], "there", None)[0]

    def pull(self, z: Tensor, condition: Tensor | None, terms: list[Tensor]) -> Tensor:
        parts: tuple[Tensor, ...] = (z,)
        for coupling, move in zip(reversed(self._couplings), reversed(self._moves), strict=False):
            kept, changed = self._arranged(parts, move, "back", coupling.split)
            parts = kept, coupling.restore(changed, kept, condition, terms)
        return self._arranged(parts, self._moves[0], "back", None)[0]

    def _plan(self) -> None:
        """Between couplings, and before and after them all: whether the parts stay, trade places, or are dealt anew.

        Each coupling has an order of the coordinates, (kept, changed); x and z have the natural one.
        """
        self._couplings: list[Any] = list(self.parts)
        self._shapes = list({coupling.shape: coupling for coupling in self._couplings}.values())  # one of each
        first, last = self._couplings[0], self._couplings[-1]
        natural = torch.arange(len(first.order), device=first.order.device)
        orders = [natural, *(coupling.order for coupling in self._couplings), natural]
        splits = [first.split[::-1], *(coupling.split for coupling in self._couplings), last.split[::-1]]
        self._moves: list[str] = []
        for i, (before, after) in enumerate(itertools.pairwise(orders)):
            left, right = splits[i], splits[i + 1]
            at_an_end = i in (0, len(orders) - 2)
            if torch.equal(before, after) and (at_an_end or left == right):
                move = "stay"
            elif torch.equal(before.roll(-left[0]), after) and left[::-1] == right:
                move = "swap"
            else:
                move = f"move_{i}"
                there = torch.argsort(before)[after]
                self.register_buffer(f"{move}_there", there, persistent=False)
                self.register_buffer(f"{move}_back", torch.argsort(there), persistent=False)
            self._moves.append(move)

    def _arranged(
        self, parts: tuple[Tensor, ...], move: str, direction: str, split: list[int] | None
    ) -> tuple[Tensor, ...]:
        """The parts that the next coupling wants, (kept, changed); for `split` None, all in one."""
        if move == "swap" and len(parts) == 1:
            assert split is not None
            parts = parts[0].split(split[::-1], dim=1)
        if move == "swap":
            parts = parts[::-1]
        if split is not None and len(parts) == 2 and move in ("stay", "swap"):
            return parts
        x = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        if move not in ("stay", "swap"):
            x = x.index_select(1, getattr(self, f"{move}_{direction}"))
        return (x,) if split is None else x.split(split, dim=1)
