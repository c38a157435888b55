"""Training a flow: what it says about the data should be likely."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from genlib.arguments import check_number, check_tensor
from genlib.common import adam, fusible
from genlib.flows.flow import BITS, Flow
from genlib.flows.muon import Muon
from genlib.flows.nets import MLP
from genlib.flows.preprocessing import check_levels, dequantized


class MaximumLikelihood(nn.Module):
    """Minimise −E[log p(x)]: a task for `train.fit`.

        points:   loss = −mean log p(x), nats
        integers: loss = bits per dimension of (x_int + u)/levels, new noise u at every step

    A batch is x, or (x, label) for a flow with classes. (A flow without classes takes (x, label), too, and leaves the
    labels alone.)

    Args:
        flow: what is trained.
        lr: learning rate of Adam.
        weight_decay: how much all weights are pulled to zero in each step, times the learning rate (AdamW).
        muon: the learning rate of `Muon`, such as 0.05, for the matrices between the hidden layers of each `MLP`; at 0
            they are Adam's, too. Points are learned in half the steps so.
    Raises:
        ValueError: for negative numbers; for `muon` above 0 with a flow that has no such matrices.
    Ref: Dinh et al. 2017, eq. 3; dequantization: Theis et al. 2016, §3.1.
    """

    averaged = True  # train.fit leaves the averaged weights in it

    def __init__(self, flow: Flow, lr: float = 2e-3, weight_decay: float = 0.0, *, muon: float = 0.0) -> None:
        super().__init__()
        if not isinstance(flow, Flow):
            raise ValueError(f"flow: expected a Flow, got {type(flow).__name__}")
        self.flow = flow
        self.lr = check_number("lr", lr, 0)
        self.weight_decay = check_number("weight_decay", weight_decay, 0)
        self.muon = check_number("muon", muon, 0)
        if self.muon and not self._matrices():
            raise ValueError(f"muon: expected 0 for a flow without matrices between hidden layers, got {muon:g}")
        self._seen = False  # whether the values of a first batch were looked at

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One for the flow: Adam, or with `muon` both."""
        parameters = list(self.flow.parameters())
        if not self.muon:
            return {"flow": adam(parameters, self.lr, weight_decay=self.weight_decay)}
        matrices = self._matrices()
        others = [p for p in parameters if all(p is not matrix for matrix in matrices)]
        options = {"weight_decay": self.weight_decay, "fused": fusible(parameters)}
        return {"flow": Muon(matrices, others, self.muon, self.lr, **options)}

    def _matrices(self) -> list[Tensor]:
        """The weights between hidden layers."""
        return [layer.weight for net in self.flow.modules() if isinstance(net, MLP) for layer in net.hidden]  # type: ignore[misc]

    def losses(
        self, batch: Tensor | Sequence[Tensor], generator: torch.Generator | None = None
    ) -> Iterator[tuple[str, Tensor, dict[str, Tensor]]]:
        """("flow", the loss, {}), once.

        Args:
            batch: x, (B, *shape), float; for a flow with `levels`, x_int, whole numbers; or (x, label).
        """
        flow = self.flow
        x, label = (batch, None) if isinstance(batch, Tensor) else (*batch, None, None)[:2]
        if flow.n_classes is None:
            label = None
        x = check_tensor("batch", x, ("B", *flow.shape), dtype="float" if flow.levels is None else "int")
        if len(x) == 0:
            raise ValueError("batch: expected at least one example, got none")
        flow._check_label(label, len(x), values=not self._seen)
        if flow.levels is None:
            self._seen = True
            yield "flow", -flow._log_prob(x, label).mean(), {}
            return
        if not self._seen:  # once: to look at values makes a GPU wait
            check_levels(x, flow.levels)
        self._seen = True
        log_p = flow._log_prob(dequantized(x, flow.levels, generator, flow._weight().dtype), label)
        dims = math.prod(flow.shape)
        yield "flow", (math.log(flow.levels) - log_p.mean() / dims) * BITS, {}
