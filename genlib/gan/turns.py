"""What both tasks have in common: D's turn, and what is looked at before any compute."""

from torch import Tensor, nn

from genlib.arguments import check_number
from genlib.gan.objectives import Name, discriminator_loss, r1

Turn = tuple[str, Tensor, dict[str, Tensor]]  # whose turn, its loss, logs: what `train.fit` takes


def discriminator_turn(
    D: nn.Module, condition: Tensor | None, y: Tensor, fake: Tensor, objective: Name, gamma: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """D's turn: half the sum of its losses on real and fake, plus γ/2 R1; and how sure it is of each."""
    if gamma:
        y = y.detach().requires_grad_()
    real_logits, fake_logits = D(condition, y), D(condition, fake)
    loss = 0.5 * discriminator_loss(real_logits, fake_logits, objective)
    logs = {"D_real": real_logits.detach().mean(), "D_fake": fake_logits.detach().mean()}
    if gamma:
        penalty = r1(real_logits, y)
        loss = loss + 0.5 * gamma * penalty
        logs["r1"] = penalty.detach()
    return loss, logs


def check_network(name: str, network: object) -> nn.Module:
    if not isinstance(network, nn.Module):
        raise ValueError(f"{name}: expected a Module, got {type(network).__name__}")
    return network


def check_betas(betas: object) -> tuple[float, float]:
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise ValueError(f"betas: expected two numbers, got {betas!r}")
    first, second = (check_number("betas", beta, 0, 1, inside="high") for beta in betas)
    return first, second


def check_images(name: str, y: Tensor) -> None:
    """Raise `ValueError` unless all values lie in [−1, 1], as what G makes does."""
    low, high = (float(y.min()), float(y.max())) if y.numel() else (0.0, 0.0)
    if not (low >= -1 and high <= 1):
        raise ValueError(f"{name}: expected images in [−1, 1], got values from {low:g} to {high:g}")
