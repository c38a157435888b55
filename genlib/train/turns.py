"""One turn of the training: from a loss to an update of one optimizer's parameters, and of no others."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from genlib.train.processes import Processes

PATIENCE = 30  # fp16 gradients that overflow so many times in a row are not a matter of scale any more


class Outcome(NamedTuple):
    """What came of a turn, the same for all processes."""

    loss: float
    norm: float  # of the gradients, before clipping; inf or nan is possible with fp16, then nothing was updated
    stop: float  # above 0 if any process wants to stop
    elapsed: float  # seconds, by the clock of rank 0


class LossScale:
    """For fp16, whose smallest number is 6e-8: the loss times `scale`, so that small gradients do not vanish.

    It doubles after 2000 turns without overflow, and halves at each overflow. (torch.amp.GradScaler does the same, but
    asks the GPU once more in every turn. For the same reason there is one for each optimizer: turns are independent.)
    """

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self.scale = 2.0**16 if enabled else 1.0
        self.good = self.bad = 0  # turns in a row

    def turn(self, overflow: bool) -> None:
        if not self.enabled:
            return
        self.good, self.bad = (0, self.bad + 1) if overflow else (self.good + 1, 0)
        if overflow:
            self.scale /= 2
        elif self.good == 2000:
            self.scale, self.good = min(self.scale * 2, 2.0**24), 0

    def state_dict(self) -> dict:
        return {"scale": self.scale, "good": self.good, "bad": self.bad}

    def load_state_dict(self, state: dict) -> None:
        self.scale, self.good, self.bad = state["scale"], state["good"], state["bad"]


class Turns:
    """All turns of one optimizer.

    Args:
        name: the optimizer's, for messages.
        optimizer: whose parameters are updated.
        clip: the largest norm that the gradients may have together, or None.
        scaled: whether the loss is scaled, for fp16.
        processes: with whom gradients are averaged.
    """

    def __init__(
        self, name: str, optimizer: torch.optim.Optimizer, clip: float | None, scaled: bool, processes: Processes
    ) -> None:
        self.name, self.optimizer, self.clip, self.processes = name, optimizer, clip, processes
        self.scale = LossScale(scaled)
        self.parameters: list[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]
        self.base_lr = [group["lr"] for group in optimizer.param_groups]
        self.zero_grad()

    def set_lr(self, factor: float) -> None:
        for group, base in zip(self.optimizer.param_groups, self.base_lr, strict=True):
            group["lr"] = base * factor

    def restore(self) -> None:
        """Leave the optimizer as it was handed over, but for its state."""
        for group, base in zip(self.optimizer.param_groups, self.base_lr, strict=True):
            group["lr"] = base
        self.zero_grad()

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def take(self, loss: Tensor, stop: bool, elapsed: float) -> Outcome:
        """Update the parameters, unless the loss or a gradient is not finite. The device is waited for once."""
        self._check(loss)
        parameters = [p for p in self.parameters if p.requires_grad]
        scaled = loss * self.scale.scale if self.scale.enabled else loss
        grads = torch.autograd.grad(scaled, parameters, allow_unused=True)
        if all(grad is None for grad in grads):
            raise ValueError(f"losses: the loss of {self.name!r} depends on none of that optimizer's parameters")

        if self.processes.size == 1:
            used = [(p, g) for p, g in zip(parameters, grads, strict=True) if g is not None]
            parameters, gradients = [p for p, _ in used], [g for _, g in used]
            norm = torch.nn.utils.get_total_norm(gradients)
            value, scaled_norm = torch.stack([loss.detach().reshape(()).to(norm), norm]).tolist()
            outcome = Outcome(value, scaled_norm / self.scale.scale, float(stop), elapsed)
        else:
            parameters, gradients, outcome = self._average(parameters, grads, loss, stop, elapsed)

        finite = math.isfinite(outcome.norm)
        if math.isfinite(outcome.loss):
            self.scale.turn(overflow=not finite)
        if finite and math.isfinite(outcome.loss):
            self._update(parameters, gradients, outcome.norm)
        return outcome

    def _average(
        self, parameters: list[Tensor], grads: tuple[Tensor | None, ...], loss: Tensor, stop: bool, elapsed: float
    ) -> tuple[list[Tensor], list[Tensor], Outcome]:
        """Means over the processes: one flat vector, gradients first, then which there are, the loss and the wishes."""
        like = next(g for g in grads if g is not None)
        tail = like.new_tensor(
            [*(float(g is not None) for g in grads), 0.0, float(stop), elapsed if self.processes.first else 0.0]
        )
        tail[-3] = loss.detach().reshape(())
        pieces = [(torch.zeros_like(p) if g is None else g).reshape(-1) for p, g in zip(parameters, grads, strict=True)]
        flat = torch.cat([*pieces, tail])
        self.processes.mean_(flat)
        *pieces, tail = flat.split([*(p.numel() for p in parameters), len(tail)])
        norm = torch.nn.utils.get_total_norm(pieces)
        *present, value, stop_mean, elapsed_mean, scaled_norm = torch.cat([tail, norm.reshape(1).to(tail)]).tolist()
        used = [
            (p, g.view_as(p).to(p.dtype)) for p, g, share in zip(parameters, pieces, present, strict=True) if share > 0
        ]
        clock = elapsed_mean * self.processes.size  # rank 0's
        outcome = Outcome(value, scaled_norm / self.scale.scale, stop_mean, clock)
        return [p for p, _ in used], [g for _, g in used], outcome

    def _update(self, parameters: list[Tensor], gradients: list[Tensor], norm: float) -> None:
        factor = 1 / self.scale.scale
        if self.clip is not None and norm > self.clip:
            factor *= self.clip / norm
        if factor != 1:
            # Not in place: autograd may hand out one tensor for two parameters.
            gradients = list(torch._foreach_mul(gradients, factor))  # pyright: ignore
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = _laid_out_like(parameter, gradient)
        self.optimizer.step()
        for parameter in parameters:
            parameter.grad = None

    def _check(self, loss: Tensor) -> None:
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise ValueError(f"losses: expected the loss of {self.name!r} to be a scalar tensor, got {got}")
        if not loss.requires_grad:
            raise ValueError(f"losses: the loss of {self.name!r} depends on no parameter (was it detached?)")


def _laid_out_like(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient in the memory layout of its parameter: fused optimizers walk through both side by side."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)
