"""A generator that is only asked."""

from torch import Generator, Tensor, nn

from genlib.arguments import checked
from genlib.common import evaluating


@checked
def generate(G: nn.Module, x_or_label: Tensor, z: Tensor | None = None, generator: Generator | None = None) -> Tensor:
    """G(x, z), or G(label, z), in evaluation and without gradients: (B, ...), in [−1, 1].

    Args:
        G: any Module that is called as G(x, z, generator).
        x_or_label, z: as G takes them; z is drawn if left out.
    Raises: ValueError for what G refuses.
    """
    with evaluating(G):
        return G(x_or_label, z, generator)
