"""Training a flow: what it says about the data should be likely."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from genlib.arguments import Label, NonNegative, check, checked, weight
from genlib.common import Turn, adam, fusible, unpack
from genlib.flows.flow import BITS, Flow
from genlib.flows.muon import Muon
from genlib.flows.nets import MLP
from genlib.flows.preprocessing import dequantize


class MaximumLikelihood(nn.Module):
    """Minimise −E[log p(x)]: an objective for `train.fit`.

        points:   loss = −mean log p(x), nats
        integers: loss = bits per dimension of (x_int + u)/levels, new noise u at every step

    A batch is x, or (x, label) for a flow with classes or conditions. (A flow without takes (x, label), too, and
    leaves the labels alone.)

    Args:
        flow: what is trained, from then on `model`.
        lr: learning rate of Adam.
        weight_decay: how much all weights are pulled to zero in each step, times the learning rate (AdamW).
        muon: the learning rate of `Muon`, such as 0.05, for the matrices between the hidden layers of each `MLP`; at 0
            they are Adam's, too. Points are learned in half the steps so.
    Raises:
        ValueError: for negative numbers; for `muon` above 0 with a flow that has no such matrices.
    Ref: Dinh et al. 2017, eq. 3; dequantization: Theis et al. 2016, §3.1.
    """

    averaged = True  # train.fit leaves the averaged weights in it

    @checked
    def __init__(
        self, flow: Flow, lr: NonNegative = 2e-3, weight_decay: NonNegative = 0.0, *, muon: NonNegative = 0.0
    ) -> None:
        super().__init__()
        self.model, self.lr, self.weight_decay, self.muon = flow, lr, weight_decay, muon
        if muon and not self._matrices():
            raise ValueError(f"muon: expected 0 for a flow without matrices between hidden layers, got {muon:g}")

    def config(self) -> dict[str, Any]:
        """That of the flow, and what changes its training: the shares that its networks drop."""
        return self.model.config() | {"dropout": [m.dropout for m in self.modules() if isinstance(m, MLP)]}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One for the flow: Adam, or with `muon` both."""
        parameters = list(self.model.parameters())
        if not self.muon:
            return {"flow": adam(parameters, self.lr, weight_decay=self.weight_decay)}
        matrices = self._matrices()
        others = [p for p in parameters if all(p is not matrix for matrix in matrices)]
        options = {"weight_decay": self.weight_decay, "fused": fusible(parameters)}
        return {"flow": Muon(matrices, others, self.muon, self.lr, **options)}

    def check(self, batch: Any) -> None:
        """Look at the values of a first batch.

        Raises:
            ValueError: for x of another shape or kind, or no such whole numbers, NaN, and for no such labels.
        """
        flow = self.model
        x, label = self._unpacked(batch)
        points = Annotated[Float[Tensor, "B {flow.shape}"], "finite"]
        integers = Annotated[Integer[Tensor, "B {flow.shape}"], "[0, {flow.levels})"]
        check("x", x, points if flow.levels is None else integers, flow=flow)
        check("label", label, Label, self=flow, n=len(x))

    def losses(self, batch: Any, generator: torch.Generator | None = None) -> Iterator[Turn]:
        """("flow", the loss, {}), once.

        Args:
            batch: x, (B, *shape), float; for a flow with `levels`, x_int, whole numbers; or (x, label).
        Raises:
            ValueError: for anything else.
        """
        flow = self.model
        x, label = self._unpacked(batch)
        if flow.levels is None:
            yield "flow", -flow.log_prob(x, label).mean(), {}
            return
        like, dims = weight(flow), math.prod(flow.shape)
        dtype = None if like is None else like.dtype
        log_p = flow.log_prob(dequantize(x, flow.levels, generator, dtype), label)
        yield "flow", (math.log(flow.levels) - log_p.mean() / dims) * BITS, {}

    def _unpacked(self, batch: Any) -> tuple[Tensor, Tensor | None]:
        conditional = self.model.n_classes or self.model.n_condition
        return unpack(batch, None if conditional else False)

    def _matrices(self) -> list[Tensor]:
        """The weights between hidden layers."""
        return [layer.weight for net in self.model.modules() if isinstance(net, MLP) for layer in net.hidden]  # type: ignore[misc]
