"""Training a flow: what it says about the data should be likely."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from genlib.arguments import check_number, check_tensor
from genlib.flows.flow import BITS, Flow
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
    Ref: Dinh et al. 2017, eq. 3; dequantization: Theis et al. 2016, §3.1.
    """

    averaged = True  # train.fit leaves the averaged weights in it

    def __init__(self, flow: Flow, lr: float = 2e-3, weight_decay: float = 0.0) -> None:
        super().__init__()
        if not isinstance(flow, Flow):
            raise ValueError(f"flow: expected a Flow, got {type(flow).__name__}")
        self.flow = flow
        self.lr = check_number("lr", lr, 0)
        self.weight_decay = check_number("weight_decay", weight_decay, 0)
        self._seen = False  # whether the values of a first batch were looked at

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam for the flow."""
        parameters = list(self.flow.parameters())
        fused = all(p.device.type in ("cpu", "cuda", "mps") for p in parameters)
        if self.weight_decay:
            return {"flow": torch.optim.AdamW(parameters, lr=self.lr, weight_decay=self.weight_decay, fused=fused)}
        return {"flow": torch.optim.Adam(parameters, lr=self.lr, fused=fused)}

    def losses(
        self, batch: Tensor | Sequence[Tensor], generator: torch.Generator | None = None
    ) -> Iterator[tuple[str, Tensor, dict[str, Tensor]]]:
        """("flow", the loss, {}), once.

        Args:
            batch: x, (B, *shape), float; for a flow with `levels`, x_int, whole numbers; or (x, label).
        """
        flow = self.flow
        x, label = (batch, None) if isinstance(batch, Tensor) else (batch[0], batch[1] if len(batch) > 1 else None)
        if flow.n_classes is None:
            label = None
        check_tensor("batch", x, ("B", *flow.shape), dtype="float" if flow.levels is None else "int")
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
