"""What the mistake may be: it is recognised by what it does, never by the text of the code.

First the exercise's own mistakes are tried: what would each give on the same arguments? All that is wrong has to be so,
but for outputs that the mistake leaves open (NaN). Then come mistakes that any function can have: a tensor of the
notebook in an argument's place, an argument that is ignored, examples that influence each other, a sign, a number that
is added or multiplied everywhere.
"""

import contextlib
import io
import itertools
import math
import types
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gencourse.checks.compare import copies, same

if TYPE_CHECKING:
    from gencourse.checks.answer import Answer

TOL = 1e-9  # for values computed in float64


def diagnose(answer: "Answer", named_only: bool = False) -> tuple[str, str]:
    """The name of the mistake behind the latest outputs, and its hint; two empty strings where none is recognised."""
    exercise, args, outputs = answer.exercise, answer.args, answer.outputs
    own = exercise.outputs(exercise.own(*copies(args)))
    off = [i for i, (output, truth) in enumerate(zip(outputs, own, strict=True)) if not same(output, truth, TOL)]
    if not off:
        return "", ""
    if exercise.tempts_to_draw:
        with contextlib.suppress(Exception):
            found = next(filter(None, (_random(answer, own) for _ in range(3))), None)
            if found is not None:
                return found
    for name, mistake in exercise.mistakes.items():
        with contextlib.suppress(Exception):  # a mistake may be impossible on these arguments
            would = exercise.outputs(mistake.function(*copies(args)))
            alike = [same(would[i], outputs[i], TOL) for i in off]
            if any(alike) and all(a or _left_open(would[i]) for a, i in zip(alike, off, strict=True)):
                return name, mistake.hint
    if named_only:
        return "", ""
    for look in (_random, foreign, _deaf, _mixing, _rough, _negative, _offset, _factor):
        with contextlib.suppress(Exception):  # the answer itself may fail on the arguments tried there
            found = look(answer, own)
            if found is not None:
                return found
    return "", ""


def _left_open(would: Tensor) -> bool:
    """The mistake does not say what becomes of this output: it gives NaN alone."""
    return bool(would.isnan().all())


def _again(answer: "Answer", args: tuple[Any, ...]) -> tuple[Tensor, ...]:
    with contextlib.redirect_stdout(io.StringIO()):
        return answer.exercise.outputs(answer.function(*copies(args)))


def _random(answer: "Answer", own: tuple[Tensor, ...]) -> tuple[str, str] | None:
    if all(same(a, b) for a, b in zip(_again(answer, answer.args), answer.outputs, strict=True)):
        return None
    return "random", "Called twice with the same arguments, it gives two answers: use the numbers given, draw none."


def foreign(answer: "Answer", own: tuple[Tensor, ...] = ()) -> tuple[str, str] | None:
    """Numbers of another cell: without the notebook's tensors, tables and whole numbers, a name is missing."""
    function = answer.function
    if not isinstance(function, types.FunctionType):
        return None
    kept = {k: v for k, v in function.__globals__.items() if callable(v) or isinstance(v, _HELPFUL)}
    alone = types.FunctionType(function.__code__, kept, function.__name__, function.__defaults__, function.__closure__)
    alone.__kwdefaults__ = function.__kwdefaults__
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            alone(*copies(answer.args))
    except NameError as error:
        if error.name not in function.__globals__:
            return None
        return "foreign", (
            f"{error.name} is no argument: it comes from another cell, and keeps the numbers that it has there. Which "
            "argument belongs in its place, or what do the arguments say about it?"
        )
    except Exception:
        return None
    return None


# what one may well take from another cell, as are functions
_HELPFUL = (types.ModuleType, float, str, bool, torch.dtype, torch.device)


def _deaf(answer: "Answer", own: tuple[Tensor, ...]) -> tuple[str, str] | None:
    """Arguments that matter and are not used."""
    ignored = []
    for i, name in enumerate(answer.exercise.parameters):
        new = _moved(answer.args[i])
        if new is None:
            continue
        args = (*answer.args[:i], new, *answer.args[i + 1 :])
        with contextlib.suppress(Exception):
            moved = answer.exercise.outputs(answer.exercise.own(*copies(args)))
            matters = not all(same(a, b, TOL) for a, b in zip(moved, own, strict=True))
            if matters and all(same(a, b) for a, b in zip(_again(answer, args), answer.outputs, strict=True)):
                ignored.append(name)
    if not ignored:
        return None
    names, verb = " and ".join(ignored), "is" if len(ignored) == 1 else "are"
    return f"ignores_{'_'.join(ignored)}", f"The answer stays the same whatever {names} {verb}. Is all of it used?"


def _moved(old: Any) -> Any:
    """Another value that will do as well; None for what has none."""
    if isinstance(old, Tensor):
        # a power keeps tables in (0, 1) and their order; steps are exchanged, so that they stay in 1..T
        return old.sign() * old.abs() ** 1.3 if old.is_floating_point() else old.flip(0)
    if isinstance(old, bool) or not isinstance(old, int | float):
        return None
    return 2 * old + 1 if isinstance(old, int) else 0.9 * old + 0.07


def _mixing(answer: "Answer", own: tuple[Tensor, ...]) -> tuple[str, str] | None:
    exercise = answer.exercise
    if not exercise.batched:
        return None
    pairs = list(zip(exercise.parameters, answer.args, strict=True))
    for one in (slice(0, 1), slice(-1, None)):
        args = tuple(arg[one] if name in exercise.batched else arg for name, arg in pairs)
        if not all(same(a, b[one], TOL) for a, b in zip(_again(answer, args), answer.outputs, strict=True)):
            break
    else:
        return None
    return "mixing", (
        "An example has another answer when it comes alone: the examples of a batch influence each other. "
        "Is something summed or averaged over the batch, or is a number meant for one example used for another?"
    )


def _rough(answer: "Answer", own: tuple[Tensor, ...]) -> tuple[str, str] | None:
    if not all(same(a, b, 1e-4) for a, b in zip(answer.outputs, own, strict=True)):
        return None
    return "rough", (
        "Right to a few digits and no further. Does something on the way have a lower precision, float32? Or is a "
        "number rounded, something small added, or a derivative replaced by a quotient?"
    )


def _negative(answer: "Answer", own: tuple[Tensor, ...]) -> tuple[str, str] | None:
    if any(same(-a, b, TOL) and not same(a, b, TOL) for a, b in zip(answer.outputs, own, strict=True)):
        return "negative", "The size is right everywhere, the sign is not."
    return None


def _offset(answer: "Answer", own: tuple[Tensor, ...]) -> tuple[str, str] | None:
    for name, output, truth in _off(answer, own):
        apart = output - truth
        if same(apart, apart.flatten()[0].expand_as(apart), TOL):
            return "offset", (
                f"Every entry of {name} is off by one and the same number, {float(apart.flatten()[0]):.4g}: a term is "
                "wrong that does not depend on the example. Which terms are of that kind, and do they fit these shapes?"
            )
    return None


def _factor(answer: "Answer", own: tuple[Tensor, ...]) -> tuple[str, str] | None:
    for name, output, truth in _off(answer, own):
        largest = truth.flatten().abs().argmax()
        factor = output.flatten()[largest] / truth.flatten()[largest]
        if factor != 0 and same(output, factor * truth, TOL):
            return "factor", (
                f"Every entry of {name} is right but for one and the same factor, {float(factor):.4g}. Where could it "
                "come from: a size, a half, a sum that should be a mean, or the other way round?"
            )
    return None


def _off(answer: "Answer", own: tuple[Tensor, ...]) -> list[tuple[str, Tensor, Tensor]]:
    """The wrong outputs, with their names and what they should be; those alone that have three values other than 0."""
    trios = zip(answer.exercise.returns, answer.outputs, own, strict=True)
    doubles = [(name, output.detach().double(), truth.detach().double()) for name, output, truth in trios]
    return [
        (name, output, truth)
        for name, output, truth in doubles
        if not same(output, truth, TOL) and len(truth[truth.abs() > TOL].unique()) > 2
    ]


def order_hint(answer: "Answer", outputs: tuple[Tensor, ...], own: tuple[Tensor, ...]) -> str:
    """For several outputs whose shapes fit in another order; empty where none does."""
    returns, wanted = answer.exercise.returns, [tuple(o.shape) for o in own]
    for other in itertools.permutations(outputs):
        if [tuple(o.shape) for o in other] == wanted:
            return f"All are there, but in another order. What comes first, and what next? Return {', '.join(returns)}."
    return ""


_WHICH = "Which is the first, which the last?"
_HOW_MANY = (
    "The arguments say how many there are: is a number used that is right in one place only, is it the wrong axis, or "
    "does a return stand inside the loop?"
)


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


def error_hint(error: Exception, arguments: dict[str, Any]) -> str:
    """What usually causes this exception, given the arguments by their names; empty where only the exercise can say."""
    text = str(error)
    if isinstance(error, TypeError | AttributeError):
        uncalled = [n for n, a in arguments.items() if callable(a) and f"'{type(a).__name__}'" in text]
        if len(uncalled) > 1:
            return f"A function has to be called before one can compute with it: {', '.join(uncalled)} are functions."
        if uncalled:
            return f"{uncalled[0]} is a function: it has to be called, and what it gives then are numbers."
        if any(f"'tuple' object has no attribute '{word}'" in text for word in ("append", "pop", "reverse", "sort")):
            return "A tuple cannot be changed, and a list would change for the caller, too: make a new one."
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
        if "'Tensor' object is not callable" in text:
            return (
                "A tensor is called as if it were a function. Is a * missing, has a name been given twice, or is a "
                "function wanted where a tensor was handed over?"
            )
        if "must be Tensor, not" in text:
            return "torch's functions take tensors. A plain number has those of math, or becomes a tensor first."
    shapes = ("must match the", "not broadcastable", "cannot be multiplied", "Expected size for")
    if isinstance(error, RuntimeError) and any(words in text for words in shapes):
        return (
            "Two shapes do not line up, and the error names both sizes. All sizes follow from the arguments: is one "
            "fixed, or are two exchanged? Shapes are aligned from the right, so one number for each example has to be "
            "shaped (B, 1, ..., 1), with as many axes as the data."
        )
    if isinstance(error, RuntimeError) and "Boolean value of Tensor" in text:
        return "An `if` cannot decide for a whole batch at once: the condition is one answer for each example."
    if isinstance(error, RuntimeError) and "doesn't match the broadcast shape" in text:
        return "A tensor cannot grow in place (+=, *=, a method with an underscore): make a new one."
    if isinstance(error, IndexError) and "Dimension out of range" in text:
        return "A tensor has fewer axes than this line counts on. Print its shape: is it the one that you mean?"
    if isinstance(error, RuntimeError) and "can't be cast to the desired output type" in text:
        return "In place a tensor keeps its dtype, and whole numbers stay whole: make a new one."
    if isinstance(error, IndexError) and "shape of the mask" in text:
        return "A mask picks along the axes that it has. Which axes come before them, and how are those written?"
    if isinstance(error, IndexError) and ("out of bounds" in text or "index out of range" in text):
        return "An index is out of range. How many entries are there, and which of them is the first?"
    if isinstance(error, RuntimeError) and "requires grad" in text:
        return "Gradients have to pass through: stay in torch, and change no argument in place."
    if isinstance(error, RuntimeError) and "not require grad" in text:
        return (
            "Autograd finds nothing that asks for gradients. Was requires_grad_() forgotten on what is differentiated "
            "by, or is something on the way detached?"
        )
    if isinstance(error, RuntimeError) and "only for scalar outputs" in text:
        return "Autograd differentiates one number. Add all of them up first: examples do not touch each other."
    if "cannot be concatenated" in text or "expected Tensor as element" in text:
        return "torch.cat joins tensors along an axis that each of them has; a number has none yet."
    if isinstance(error, ValueError) and " was called with " in text:
        return (
            "What was handed over does not fit; the error says what came and what was expected. Are the arguments in "
            "their order, and is each of them what it should be, t one whole number for each example?"
        )
    if isinstance(error, RuntimeError) and "cannot be converted to Scalar" in text:
        return "item() is for one single number. Here are several, and they are to stay a tensor."
    if isinstance(error, ValueError | TypeError) and "only one element tensors" in text:
        return "Functions of math take one number. torch has the same ones for whole tensors."
    if isinstance(error, RuntimeError) and ("modified by an inplace" in text or "being modified inplace" in text):
        return "Changed in place: autograd still needs the numbers that were there. Make a new tensor."
    if isinstance(error, RuntimeError) and "same dtype" in text:
        return "Two dtypes met, float32 and float64 perhaps. New tensors take theirs from old ones: dtype=x.dtype."
    if isinstance(error, NameError):
        return (
            "This name is not known here. Was it typed as in the first line of the function? Or is it a module that "
            "nobody has imported here?"
        )
    return ""
