"""EDM's preconditioning: inputs and targets of unit variance at every noise level, whatever the data's deviation is."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from genlib.arguments import Positive, checked
from genlib.diffusion.schedule import Schedule

Data = Float[Tensor, "B D ..."]
Times = Annotated[Int64[Tensor, " B"], "[1, {self.schedule.T}]"]


class Preconditioned(nn.Module):
    """A network around another one, F: it answers x_0, for `DDPM(..., predict="x_0")`, by

        x_0-guess = c_skip x̄ + c_out F(c_in x̄, t, label),      x̄ = x_t/√ᾱ_t = x_0 + σ_t ε

        c_in = 1/√(σ² + s²)      c_skip = s²/(σ² + s²)      c_out = σ s/√(σ² + s²),       s that of the data

    c_in makes F's input of variance 1; of all c_skip, the one that leaves F least to say is s²/(σ² + s²); and c_out
    makes its target of variance 1. `weight` is 1/c_out², which makes every noise level's loss that of F itself. With
    s = 1 all of this is a network that predicts v: x_0-guess = √ᾱ x_t − √(1 − ᾱ) v with v = −F.
    (EDM tells F of σ as ¼ log σ; here it is told t, as all networks of this package are.) With weights in half
    precision the guess is no finer than these; under `amp`, whose weights are float32, it is.

    Args:
        net: F, a `UNet`, an `MLP`, or any `net(x, t, label)`, without a learned variance; `schedule`: the DDPM's.
        std: s, the standard deviation of the data.
    Raises: ValueError for others. Ref: Karras et al. 2022, §5 and app. B.6.
    """

    @checked
    def __init__(self, net: Callable[[Tensor, Tensor, Any], Tensor], schedule: Schedule, std: Positive = 0.5) -> None:
        super().__init__()
        if getattr(net, "learned_variance", False):
            raise ValueError("net: expected one without a learned variance")
        self.net, self.schedule, self.std, self.learned_variance = net, schedule, std, False
        self.n_condition, self.dropout = getattr(net, "n_condition", None), getattr(net, "dropout", 0.0)
        if hasattr(net, "n_classes"):
            self.n_classes = net.n_classes  # type: ignore[attr-defined]

    @checked
    def forward(self, x_t: Data, t: Times, label: Any = None) -> Tensor:
        """x_0-guess, like x_t (B, D, ...), at steps t (B,) int64 in 1..T. Raises: ValueError for what F refuses."""
        signal, noise = (self.schedule._at(f"sqrt_{name}alpha_bar", t, x_t) for name in ("", "one_minus_"))
        total = (noise.square() + (self.std * signal).square()).sqrt()  # √ᾱ √(σ² + s²)
        inner = self.net(x_t / total, t, label)
        return (self.std / total).square() * signal * x_t + self.std * noise / total * inner

    @checked
    def weight(self, t: Times) -> Tensor:
        """For `Denoising(weight=...)`: 1/c_out² = (σ² + s²)/(σ s)², (B,)."""
        sigma = self.schedule._at("sigma", t, t.new_empty(0, dtype=torch.float32))
        return 1 / sigma.square() + 1 / self.std**2

    def config(self) -> dict[str, Any]:
        """What the weights do not say."""
        return {"std": self.std} | (self.net.config() if hasattr(self.net, "config") else {})  # type: ignore[operator]

    def _check_shape(self, shape: Sequence[int], name: str = "x_t") -> None:
        if hasattr(self.net, "_check_shape"):
            self.net._check_shape(shape, name)  # type: ignore[operator, union-attr]
