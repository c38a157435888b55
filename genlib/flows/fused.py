"""Couplings in a row without putting x together in between: where one changes what the one before it kept, the two
parts only trade places."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from genlib.arguments import checked
from genlib.flows.coupling import Coupling, X
from genlib.flows.flow import Flow
from genlib.flows.layer import Condition, Pair, total


@checked
def fused(flow: Flow) -> Flow:
    """A flow that computes the same on the same parameters, faster. To train it trains `flow`; store and load that one.

    A training step on the plane (8 couplings of width 64, batches of 256 or 512, one thread) takes 15 % less time, one
    of 64 coordinates 17 %; with actnorm after every second coupling 5 %.

    Raises: ValueError for what is no flow.
    """
    layers: list[nn.Module] = []
    for halves, group in groupby(flow.layers, _halves):
        run = list(group)
        layers += [Chain(run)] if halves and len(run) > 1 else run
    options = {name: getattr(flow, name) for name in ("base", "levels", "n_classes", "n_condition")}
    return Flow(layers, flow.shape, **options).train(flow.training)


def _halves(layer: nn.Module) -> Any:
    return layer.halves if isinstance(layer, Coupling) and layer.apart else None


class Chain(nn.Module):
    """Couplings that split x into the same two parts."""

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
        first, *_ = couplings = list(couplings)
        kept, changed = first._parts(x)
        step, stretches = first.step, []
        for coupling in couplings:
            if coupling.halves != self.halves:
                raise ValueError("couplings: another mask was loaded since they were fused; fuse them anew")
            if coupling.step != step:
                kept, changed, step = changed, kept, coupling.step
            changed, log_s = coupling._change(kept, changed, condition, back)
            stretches.append(log_s)
        return couplings[-1]._whole(kept, changed), total(torch.cat(stretches, dim=1))
