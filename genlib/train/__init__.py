"""Training: one `fit` for every family. It knows no model, only objectives.

An *objective* is a Module with the first two of these; the others count if they are there:

    optimizers()              a dict of name: torch.optim.Optimizer
    losses(batch, generator)  a Python generator of (optimizer's name, loss, logs): `fit` updates that optimizer's
                              parameters before it asks for the next. Logs are a dict of name: detached scalar
    averaged                  True (if left out): `fit` leaves averaged weights in the objective; False: the raw ones
    check(batch)              looks at the values of the first batch, before the first step
    config()                  what must be the same for a training to go on, in plain values
    model                     whose weights are stored beside a checkpoint; if left out, the objective's

`OWN.md`, beside this folder, has one of one's own in a dozen lines.
"""

from genlib.train.history import History, Interrupted, NotFiniteError
from genlib.train.loop import fit
from genlib.train.processes import ProcessLostError
from genlib.train.weights import load, save

__all__ = ["History", "Interrupted", "NotFiniteError", "ProcessLostError", "fit", "load", "save"]
