"""Training a flow: what it says about the data should be likely."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

import torch
from jaxtyping import Float, Integer
from torch import Generator, Tensor, nn

from genlib.arguments import Label, NonNegative, check, checked
from genlib.common import BITS, Turn, unpack
from genlib.flows.flow import Flow
from genlib.flows.nets import MLP
from genlib.flows.preprocessing import dequantize
from genlib.optimizers import Muon, adam, fusible

POINTS = Annotated[Float[Tensor, "B {flow.shape}"], "finite"]
INTEGERS = Annotated[Integer[Tensor, "B {flow.shape}"], "[0, {flow.levels})"]


class MaximumLikelihood(nn.Module):
    """Minimise −E[log p(x)], nats; for whole numbers, bits per dimension of (x_int + u)/levels, with new noise u.

    A batch is x, (B, *shape), or (x, label) for a flow with classes or conditions; a flow without leaves labels alone.
    Args: flow, what is trained, from then on `model`; lr, weight_decay, of Adam, or AdamW; muon, the learning rate of
        `Muon`, such as 0.05, for the matrices between the hidden layers of each `MLP`, so that points are learned in
        half the steps; at 0 they are Adam's, too.
    Raises: ValueError for negative numbers; for `muon` with a flow that has no such matrices.
    Ref: Dinh et al. 2017, eq. 3; dequantization: Theis et al. 2016, §3.1; lecture 03 (8).
    """

    @checked
    def __init__(
        self, flow: Flow, lr: NonNegative = 2e-3, weight_decay: NonNegative = 0.0, *, muon: NonNegative = 0.0
    ) -> None:
        super().__init__()
        self.model, self.lr, self.weight_decay, self.muon = flow, lr, weight_decay, muon
        if muon and not any(net.hidden for net in self._nets()):
            raise ValueError(f"muon: expected 0 for a flow without matrices between hidden layers, got {muon:g}")

    def _nets(self) -> list[MLP]:
        return [net for net in self.model.modules() if isinstance(net, MLP)]

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One for the flow: Adam, or with `muon` both."""
        parameters = list(self.model.parameters())
        if not self.muon:
            return {"flow": adam(parameters, self.lr, weight_decay=self.weight_decay)}
        matrices: dict[Tensor, None] = {layer.weight: None for net in self._nets() for layer in net.hidden}  # type: ignore[misc]
        others = [p for p in parameters if p not in matrices]
        options = {"weight_decay": self.weight_decay, "fused": fusible(parameters)}
        return {"flow": Muon(list(matrices), others, self.muon, self.lr, **options)}

    @checked
    def losses(self, batch: Any, generator: Generator | None = None) -> Iterator[Turn]:
        """("flow", the loss, {}), once. Raises: ValueError for what is no batch of this flow."""
        flow, (x, label) = self.model, self._parts(batch)
        if flow.levels is None:
            yield "flow", -flow.log_prob(x, label).mean(), {}
            return
        log_p = flow.log_prob(dequantize(x, flow.levels, generator, flow.like().dtype), label)
        yield "flow", (math.log(flow.levels) - log_p.mean() / math.prod(flow.shape)) * BITS, {}

    def check(self, batch: Any) -> None:
        """Look at the values of a batch. Raises: ValueError for x or labels that the flow does not know."""
        flow, (x, label) = self.model, self._parts(batch)
        check("x", x, POINTS if flow.levels is None else INTEGERS, flow=flow)
        check("label", label, Label, self=flow, n=len(x))

    def config(self) -> dict[str, Any]:
        """That of the flow, and the shares that its networks drop in training."""
        return self.model.config() | {"dropout": [net.dropout.p for net in self._nets()]}

    def _parts(self, batch: Any) -> tuple[Tensor, Tensor | None]:
        return unpack(batch, None if self.model.n_told else False)
