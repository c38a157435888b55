"""What trains all families: Adam; and Muon, for networks whose hidden layers are small."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import torch
from torch import Tensor

from genlib.arguments import NonNegative, checked

# Five rounds bring every singular value to about 1, between .7 and 1.2, that is not much smaller than the largest.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def adam(
    parameters: Iterable[Tensor], lr: float, betas: tuple[float, float] = (0.9, 0.999), weight_decay: float = 0.0
) -> "Adam":
    """Adam; with `weight_decay`, AdamW. All parameters are updated by one kernel where the device has it.
    Ref: Kingma & Ba 2015; Loshchilov & Hutter 2019.
    """
    parameters = list(parameters)
    more = {"weight_decay": weight_decay, "decoupled_weight_decay": True, "fused": fusible(parameters)}
    return Adam(parameters, lr=lr, betas=betas, **more)


def fusible(parameters: Iterable[Tensor]) -> bool:
    """Whether torch has the fused Adam for the devices of all of them."""
    return all(p.device.type in ("cpu", "cuda", "mps") for p in parameters)


class Adam(torch.optim.Adam):
    """torch's own, without what torch wraps around it: a wrapper loads the compiler at the first call, for a second."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    _step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; what is fused takes numbers as they lie in memory, so that all of a parameter's must lie alike."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"] if group["fused"] else ():
                self._lay_alike(p)
        self._step()
        return loss

    def _lay_alike(self, p: Tensor) -> None:
        """p's gradient and its means, in memory in the order of p: after `p.to(memory_format=...)` they are not."""
        if p.grad is not None and p.grad.stride() != p.stride():
            p.grad = torch.empty_like(p).copy_(p.grad)
        state = self.state.get(p, {})
        for name in ("exp_avg", "exp_avg_sq"):
            if name in state and state[name].stride() != p.stride():
                state[name] = torch.empty_like(p).copy_(state[name])

    def elementwise(self) -> list[dict[str, Any]]:
        """The groups in which each number's step depends on its own gradients alone."""
        return self.param_groups


class Muon(Adam):
    """Steps that are as long in every direction, for square matrices; Adam for all the rest.

        m ← μ m + (1 − μ) g,    W ← W − lr · √max(1, rows/columns) · orth((1 − μ) g + μ m),    orth(U S Vᵀ) ≈ U Vᵀ

    A gradient of a matrix has a few large singular values and many small ones, and Adam follows the large ones. `orth`
    sets them all to about 1, so that rare directions are learned as soon as frequent ones. (torch.optim.Muon does so in
    bfloat16, which is slow on a CPU.)

    Args:
        matrices, others: parameters with two axes, best those between hidden layers; and all others, which are Adam's.
        lr, lr_adam: the length of a step of the matrices; of the others, in Adam's units.
        momentum, rounds: μ; of the iteration for `orth`.
        weight_decay: of both, times their learning rates.
        fused: whether Adam updates the others in one kernel; not every device has it (`fusible`).
    Raises: ValueError for numbers out of range, and for matrices that are none.
    Ref: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; Loshchilov & Hutter 2019.
    """

    @checked
    def __init__(
        self,
        matrices: Sequence[Tensor],
        others: Sequence[Tensor],
        lr: NonNegative = 0.05,
        lr_adam: NonNegative = 2e-3,
        *,
        momentum: Annotated[float, "[0, 1)"] = 0.95,
        rounds: Annotated[int, "[1, 100]"] = 5,
        weight_decay: NonNegative = 0.0,
        fused: bool = False,
    ) -> None:
        if any(matrix.dim() != 2 for matrix in matrices):
            raise ValueError(f"matrices: expected tensors with two axes, got {[m.dim() for m in matrices]}")
        own = {"params": list(matrices), "lr": lr, "momentum": momentum, "rounds": rounds}
        options: dict[str, Any] = {"weight_decay": weight_decay, "decoupled_weight_decay": True, "fused": fused}
        super().__init__([own, {"params": list(others)}], lr=lr_adam, **options)

    def elementwise(self) -> list[dict[str, Any]]:
        """That of the others."""
        return self.param_groups[1:]

    @torch.no_grad()
    @checked
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of both."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        own, adam = self.param_groups
        self.param_groups = [adam]
        super().step()
        self.param_groups = [own, adam]
        alike = defaultdict(list)
        for p in own["params"]:
            if p.grad is not None:
                alike[p.shape].append(p)
        for matrices in alike.values():
            self._step_alike(matrices, own)
        return loss

    def _step_alike(self, matrices: list[Tensor], group: dict[str, Any]) -> None:
        for p in matrices:
            if not self.state[p]:  # Adam looks for a "step" wherever it loads a state
                self.state[p].update(step=torch.zeros(()), momentum=torch.zeros_like(p))
        g, m = [p.grad for p in matrices], [self.state[p]["momentum"] for p in matrices]
        mu, lr = group["momentum"], group["lr"]
        torch._foreach_lerp_(m, g, 1 - mu)  # pyright: ignore
        steps = orthogonal(torch.stack(torch._foreach_lerp(g, m, mu)), group["rounds"])  # pyright: ignore
        rows, columns = steps.shape[-2:]  # a tall matrix adds as much to its layer's output as a square one
        torch._foreach_mul_(matrices, 1 - lr * group["weight_decay"])  # pyright: ignore
        torch._foreach_add_(matrices, list(steps), alpha=-lr * max(1.0, rows / columns) ** 0.5)  # pyright: ignore


def orthogonal(matrices: Tensor, rounds: int = 5) -> Tensor:
    """About U Vᵀ for each matrix U S Vᵀ: (..., n, m), like `matrices`. Zero stays zero.

    X ← a X + b X Xᵀ X + c (X Xᵀ)² X: the same polynomial of every singular value, from X/|X| on.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    X = matrices.mT if tall else matrices
    X = X / X.norm(dim=(-2, -1), keepdim=True).clamp(min=torch.finfo(X.dtype).tiny)
    for _ in range(rounds):
        A = X @ X.mT
        X = a * X + (b * A + c * A @ A) @ X
    return X.mT if tall else X
