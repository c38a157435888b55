"""What usually causes an exception, or an output of another shape.

Of torch's exceptions the message alone says what happened: `_MESSAGES` is the one place where messages are read.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

_WHICH = "Which is the first, which the last?"
_HOW_MANY = (
    "The arguments say how many there are: is a number used that is right in one place only, is it the wrong axis, are "
    "some left out, or does a return stand inside the loop?"
)


def order_hint(returns: Sequence[str], orders: Iterable[Sequence[Tensor]], own: Sequence[Tensor]) -> str:
    """For several outputs, in every order: where the shapes fit in one of them; else empty."""
    wanted = [o.shape for o in own]
    if any([o.shape for o in outputs] == wanted for outputs in orders):
        return f"All are there, but in another order. What comes first, and what next? Return {', '.join(returns)}."
    return ""


def shape_hint(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """What usually makes this of a shape."""
    if not wanted:
        return f"{name} is to be one number for the whole batch, of shape (): which axes are left, and why?"
    if len(shape) == len(wanted) == 1:
        many = f"{name} has {_entries(shape[0])} instead of {wanted[0]}."
        return f"{many} {_HOW_MANY if abs(shape[0] - wanted[0]) > 1 else _WHICH}"
    if shape != wanted and sorted(shape) == sorted(wanted):
        return f"{name} has its axes in another order: {shape} instead of {wanted}. Which comes first?"
    if [n for n in shape if n != 1] == [n for n in wanted if n != 1]:
        return (
            f"{name} has all its numbers, but in the shape {shape} instead of {wanted}: an axis of length 1 is too "
            "much, or missing. That changes what happens when it meets another tensor."
        )
    if math.prod(shape) == math.prod(wanted):
        return (
            f"{name} has as many numbers as it should, but the shape {shape} instead of {wanted}: which axis is what?"
        )
    if len(shape) > len(wanted) and shape[: len(wanted)] == wanted:
        return (
            f"{name} has several numbers where one is asked for: its shape should end after {wanted}. What becomes of "
            "the other axes: a sum, a mean, one of their entries?"
        )
    if len(shape) == len(wanted) and not all(a in (1, b, *wanted) for a, b in zip(shape, wanted, strict=True)):
        axis = next(i for i, (a, b) in enumerate(zip(shape, wanted, strict=True)) if a not in (1, b, *wanted))
        many = f"{name} has {_entries(shape[axis])} instead of {wanted[axis]} along axis {axis}."
        return f"{many} {_HOW_MANY if abs(shape[axis] - wanted[axis]) > 1 else _WHICH}"
    stretched = len(shape) == len(wanted) and any(a > b for a, b in zip(shape, wanted, strict=True))
    if len(shape) > len(wanted) or stretched:
        return (
            f"{name} has grown: two shapes did not line up, and broadcasting stretched both. Shapes are aligned from "
            "the right, so one number for each example has to be shaped (B, 1, ..., 1), with as many axes as the data."
        )
    if len(shape) < len(wanted):
        return f"{name} has fewer axes than expected. Is one summed, averaged or indexed away?"
    return f"{name} has too few entries along an axis. Where do they get lost? Does a return stand inside a loop?"


def _entries(n: int) -> str:
    return "1 entry" if n == 1 else f"{n} entries"


def error_hint(error: BaseException, text: str, arguments: dict[str, Any], fallback: str = "") -> str:
    """What usually causes this exception with this text, given the arguments by their names.

    `fallback` is what the exercise says: where nothing else is known, and of shapes, where it knows which ones. Notes
    that an exception carries come first.
    """
    notes = getattr(error, "__notes__", [])
    if isinstance(error, SystemExit):
        return "exit() and sys.exit() end the whole program. A function ends, and answers, with return."
    if isinstance(error, MemoryError) or "allocate memory" in text:
        return (
            "It asks for more memory than it may have. Does something grow with every round of a loop, or is a shape "
            "far too large?"
        )
    if notes:
        return " ".join(notes)
    if isinstance(error, AttributeError) and type(error.obj) is tuple and error.name in _LISTS_HAVE:
        return "A tuple cannot be changed, and a list would change for the caller, too: make a new one."
    if isinstance(error, NameError):
        return (
            "This name is not known here. Was it typed as in the first line of the function? Is it a module that "
            "nobody has imported here, or a function of yours in a cell that has not run yet?"
        )
    if isinstance(error, AttributeError) and isinstance(error.obj, torch.nn.Module):
        return (
            f"A network has no {error.name}. What has been learned, and what .backward() leaves behind, lies with its "
            "weights, one by one: see parameters()."
        )
    if isinstance(error, TypeError) and re.search("tuple of Tensors", text):
        return "torch.cat and torch.stack take one list of tensors, and here they came one by one."
    if isinstance(error, TypeError | AttributeError):
        uncalled = [n for n, a in arguments.items() if callable(a) and f"'{type(a).__name__}'" in text]
        if len(uncalled) > 1:
            return f"A function has to be called before one can compute with it: {', '.join(uncalled)} are functions."
        if uncalled:
            return f"{uncalled[0]} is a function: it has to be called, and what it gives then are numbers."
        if "can be converted to an index" in text:
            steps = [n for n, a in arguments.items() if isinstance(a, Tensor) and a.dim() and not a.is_floating_point()]
            several = f"{steps[0]} holds one for each example" if steps else "here are several"
            return f"A slice and a range take one whole number, and {several}: it is no single number."
        numbers = [n for n, a in arguments.items() if isinstance(a, tuple) and all(isinstance(v, int) for v in a)]
        if "tuple" in text and numbers:
            return (
                f"One cannot compute with a tuple of whole numbers ({', '.join(numbers)}): torch.tensor(...) makes "
                "numbers to compute with of it, or they are taken out one by one."
            )
        if "tuple" in text:
            return (
                "Something here is several tensors at once, a tuple: what a function returned, perhaps. Take it apart "
                "before you compute with it."
            )
    if re.search("must match the|not broadcastable|cannot be multiplied|Expected size for", text):
        return (
            "Two shapes do not line up, and the error names both sizes. All sizes follow from the arguments: is one "
            "fixed, or are two exchanged? Shapes are aligned from the right, so one number for each example has to be "
            f"shaped (B, 1, ..., 1), with as many axes as the data. {fallback}"
        )
    return next((hint for words, hint in _MESSAGES.items() if re.search(words, text)), fallback)


_LISTS_HAVE = ("append", "pop", "reverse", "sort")
_MESSAGES = {
    "'Tensor' object is not callable": "A tensor is called as if it were a function. Is a * missing, has a name been "
    "given twice, or is a function wanted where a tensor was handed over?",
    "must be Tensor, not": "torch's functions take tensors. A plain number has those of math, or becomes a tensor "
    "first.",
    "Boolean value of Tensor": "An `if`, `and`, `or`, `not`, or a chain like a <= b < c asks for one yes or no, and "
    "this tensor holds many. How are tensors compared entry by entry, and two such answers joined?",
    "doesn't match the broadcast shape": "A tensor cannot grow in place (+=, *=, a method with an underscore): make a "
    "new one.",
    "Dimension out of range": "A tensor has fewer axes than this line counts on. Print its shape: is it the one that "
    "you mean?",
    "can't be cast to the desired output type": "In place a tensor keeps its dtype, and whole numbers stay whole: "
    "make a new one.",
    "shape of the mask": "A mask picks along the axes that it has, and must have their sizes; the error names both. Is "
    "a size fixed that the arguments should give? Which axes come before those of the mask, and how are they written?",
    "out of bounds|index out of range": "An index is out of range. How many entries are there, and which of them is "
    "the first?",
    "requires grad": "Gradients have to pass through: stay in torch, and change no argument in place.",
    "not require grad": "Autograd finds nothing that asks for gradients. Was requires_grad_() forgotten on what is "
    "differentiated by, or is something on the way detached?",
    "only for scalar outputs": "Autograd differentiates one number. Add all of them up first: examples do not touch "
    "each other.",
    "cannot be concatenated|expected Tensor as element": "torch.cat joins tensors along an axis that each of them "
    "has; a number has none yet.",
    "cannot be converted to Scalar": "item() is for one single number. Here are several, and they are to stay a "
    "tensor.",
    "only one element tensors": "Functions of math take one number. torch has the same ones for whole tensors.",
    "modified by an inplace|being modified inplace": "Changed in place: autograd still needs the numbers that were "
    "there. Make a new tensor; or does an optimizer step before .backward()?",
    "same dtype": "Two dtypes met, float32 and float64 perhaps. New tensors take theirs from old ones: dtype=x.dtype.",
}
