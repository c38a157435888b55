"""Training: one `fit` for every family. It knows no model, only objectives.

An *objective* is a Module with two methods and a flag:

    optimizers()              a dict of name: torch.optim.Optimizer
    losses(batch, generator)  a Python generator of (optimizer's name, loss, logs): `fit` updates that optimizer's
                              parameters before it asks for the next. Logs are a dict of name: detached scalar
    averaged                  True (if left out): `fit` leaves averaged weights in the objective; False: the raw ones

    >>> from genlib import train
    >>> import torch
    >>> class Mean(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.mu = torch.nn.Parameter(torch.zeros(1))
    ...     def optimizers(self):
    ...         return {"mu": torch.optim.Adam(self.parameters(), lr=0.1)}
    ...     def losses(self, batch, generator):
    ...         yield "mu", (batch - self.mu).square().mean(), {}
    >>> objective = Mean()
    >>> history = train.fit(objective, torch.ones(100, 1), steps=200, progress=False)
    >>> round(objective.mu.item(), 2), history.step[-1]
    (1.0, 200)
"""

from genlib.train.history import History, Interrupted, NotFiniteError
from genlib.train.loop import fit
from genlib.train.weights import load, save

__all__ = ["History", "Interrupted", "NotFiniteError", "fit", "load", "save"]
