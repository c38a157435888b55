"""Couplings in a row, on vectors, without putting x together in between.

A coupling splits x, changes one part and joins the two again; the next one splits it anew. Where it changes the part
that was kept, splitting and joining is wasted: the two parts only trade places. Same numbers, fewer steps.
"""

from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from genlib.arguments import checked
from genlib.flows.coupling import X
from genlib.flows.flow import Flow
from genlib.flows.layer import Condition, Pair, total


@checked
def fused(flow: Flow) -> Flow:
    """A flow that computes the same, on the same parameters, faster: couplings in a row keep the parts of x apart.

    To train `fused(flow)` trains `flow`; store and load that one.

    Args:
        flow: one whose layers are couplings with masks that take turns, such as `RealNVP.for_vectors`.
    Raises:
        ValueError: for what is no flow.
    """
    layers: list[nn.Module] = []
    for parts, group in groupby(flow.layers, lambda layer: getattr(layer, "halves", None)):
        run = list(group)
        layers += [Chain(run)] if parts and len(run) > 1 else run
    options = {name: getattr(flow, name) for name in ("base", "levels", "n_classes", "n_condition")}
    return Flow(layers, flow.shape, **options).train(flow.training)


class Chain(nn.Module):
    """Couplings that deal x out in the same two parts."""

    def __init__(self, couplings: list[Any]) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(couplings)
        self.n, self.rest, self.halves = couplings[0].n, couplings[0].rest, couplings[0].halves

    @checked
    def forward(self, x: X, condition: Condition = None) -> Pair:
        """z; log |det ∂z/∂x|, (B,), nats."""
        return self._through("there", list(self.couplings), x, condition)

    @checked
    def inverse(self, z: X, condition: Condition = None) -> Pair:
        """x; log |det ∂x/∂z|, (B,), nats."""
        x, log_det = self._through("back", list(self.couplings)[::-1], z, condition)
        return x, -log_det

    def _through(self, way: str, couplings: list[Any], x: Tensor, condition: Tensor | None) -> Pair:
        kept, changed = couplings[0].parts(x)
        step, stretches = couplings[0].step, []
        for coupling in couplings:
            if coupling.halves != self.halves:
                raise ValueError("couplings: another mask was loaded since they were fused; fuse them anew")
            if coupling.step != step:
                kept, changed, step = changed, kept, coupling.step
            changed, log_s = getattr(coupling, way)(kept, changed, condition)
            stretches.append(log_s)
        return couplings[-1].whole(kept, changed), total(torch.cat(stretches, dim=1))
