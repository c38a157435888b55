"""Training: one `fit` for every family. It knows no model, only objectives.

An *objective* is a Module with two methods and a flag:

    optimizers()              a dict of name: torch.optim.Optimizer
    losses(batch, generator)  a Python generator of (optimizer's name, loss, logs): `fit` updates that optimizer's
                              parameters before it asks for the next. Logs are a dict of name: detached scalar
    averaged                  True (if left out): `fit` leaves averaged weights in the objective; False: the raw ones
    check(batch)              if there is one: `fit` has it look at the values of the first batch, before the first step
    config()                  if there is one: what must be the same for a training to go on, in plain values

`OWN.md`, beside this folder, has one of one's own in a dozen lines.
"""

from genlib.train.history import History, Interrupted, NotFiniteError
from genlib.train.loop import fit
from genlib.train.weights import load, save

__all__ = ["History", "Interrupted", "NotFiniteError", "fit", "load", "save"]
