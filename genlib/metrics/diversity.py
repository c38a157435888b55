"""Is the noise used? How much several answers to one question differ."""

from typing import Annotated

from jaxtyping import Float
from torch import Tensor

from genlib.arguments import checked


@checked
def diversity(samples: Annotated[Float[Tensor, "K B ..."], "[-1e100, 1e100]"]) -> float:
    """The standard deviation of a pixel over draws given the same input, averaged over pixels and inputs.

        mean over b, c, i of  ( Σ_k (y_kbci − mean over k)² / (K − 1) )^½

    0: the noise is ignored. What it should be, the same number says of real answers: `data.textures` are drawn anew for
    each photo, with a standard deviation of 0.35.

    Args:
        samples: (K, B, C, H, W), float, or (K, B, ...) in general: K >= 2 draws for each of B inputs. From few draws it
            comes out a little too small (Gaussian pixels: by 20 % from 2, by 3 % from 8).
    Returns:
        in the unit of the pixels, computed in float64.
    Raises:
        ValueError: for fewer than two draws.

    >>> import torch
    >>> diversity(torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1, 1))
    1.0
    """
    if len(samples) < 2 or samples.numel() == 0:
        raise ValueError(f"samples: expected at least two draws of at least one input, got {tuple(samples.shape)}")
    return float(samples.detach().cpu().double().std(0, correction=1).mean())
