"""How much each noise level counts in a training: weights of the loss, and how often a step is drawn."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from genlib.arguments import Positive, checked
from genlib.diffusion.schedule import Schedule

Predicted = Literal["eps", "x_0", "v", "u"]


@checked
def min_snr(schedule: Schedule, predict: Predicted = "v", gamma: Positive = 5.0) -> Callable[[Tensor], Tensor]:
    """For `Denoising(weight=...)`: min(SNR, γ) for a network that predicts x_0, and what is the same for the others.

        w = min(SNR, γ) · c,     c = 1 for x_0,  1/SNR for ε,  1/(SNR + 1) for v,  1/(√SNR + 1)² for u

    since c ‖ε − ε-guess‖², and so on, is ‖x_0 − x_0-guess‖² whichever of them it is. A step at which no signal is left
    has the weight 0, so that nothing is learned there. Ref: Hang et al. 2023 (min-SNR).
    """
    snr = schedule.alpha_bar[1:] / schedule.one_minus_alpha_bar[1:]
    of_one = {"x_0": torch.ones_like(snr), "eps": snr, "v": snr + 1, "u": (snr.sqrt() + 1) ** 2}[predict]
    table = (snr.clamp(max=gamma) / of_one).nan_to_num(1.0)  # for ε where no signal is left: min(SNR, γ)/SNR → 1

    def weight(t: Tensor) -> Tensor:
        return table.to(t.device, torch.float32)[t - 1]

    weight.__qualname__ = f"min_snr(predict={predict!r}, gamma={gamma:g})"
    return weight


@checked
def log_normal(schedule: Schedule, mean: float = -1.2, std: Positive = 1.2) -> Tensor:
    """For `Denoising(steps=...)`: (T,), how often each step is drawn if log σ_t is to be N(mean, std²), as in EDM.

    The density at log σ_t, times the distance of the neighbours in log σ, so that it does not matter how the schedule
    spreads its steps. A step at which no signal is left is never drawn. Raises: ValueError if no step is near the mean.
    Ref: Karras et al. 2022, §5 and table 1.
    """
    log_sigma = schedule.sigma[1:][schedule.sigma[1:].isfinite()].log()
    gap = torch.gradient(log_sigma)[0] if len(log_sigma) > 1 else torch.ones_like(log_sigma)
    density = torch.exp(-0.5 * ((log_sigma - mean) / std) ** 2) * gap
    if not float(density.sum()) > 0:
        raise ValueError(f"mean, std: expected some log σ_t of the schedule near them, got {mean:g} and {std:g}")
    return nn.functional.pad(density / density.sum(), (0, schedule.T - len(density))).float()
