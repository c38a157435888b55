"""What the mistake may be: it is recognised by what it does, never by the text of the code.

First the exercise's own mistakes are tried: what would each give on the same arguments, and on others of the kind? All
that is wrong has to be so, but for outputs that the mistake leaves open (NaN). Then come mistakes that any function can
have: a tensor of the notebook in an argument's place, an argument that is ignored, examples that influence each other,
a sign, a number that is added or multiplied everywhere; and slips in the worked answer.
"""

import contextlib
import types
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gencourse.checks.compare import copies, same
from gencourse.checks.content import content
from gencourse.checks.limit import called
from gencourse.checks.slips import Slip, slips
from gencourse.checks.spec import Exercise

TOL = 1e-9  # for values computed in float64
PLACES = 8  # in which it is remembered what slips give
_tries: dict[tuple[Exercise, Hashable], tuple[list[tuple[Slip, tuple[Tensor, ...]]], Iterator[Slip]]] = {}


@dataclass(eq=False)
class Call:
    """A student's function, the arguments that it got, and what came back."""

    exercise: Exercise
    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    outputs: tuple[Tensor, ...] = ()

    def elsewhere(self) -> list[tuple[Any, ...]]:
        """Other arguments of the same kind."""
        return []

    def everywhere(self) -> list[tuple[Any, ...]]:
        """Arguments of every kind that the exercise is tried on."""
        return []


def diagnose(call: Call, named_only: bool = False) -> tuple[str, str]:
    """The name of the mistake behind the outputs, and its hint; two empty strings where none is recognised."""
    exercise, args, outputs = call.exercise, call.args, call.outputs
    own = exercise.truth(args)
    off = [i for i, (output, truth) in enumerate(zip(outputs, own, strict=True)) if not same(output, truth, TOL)]
    if not off:
        return "", ""
    if exercise.tempts_to_draw:
        with contextlib.suppress(Exception):
            found = next(filter(None, (_random(call, own) for _ in range(3))), None)
            if found is not None:
                return found
    for name, mistake in exercise.mistakes.items():
        with contextlib.suppress(Exception):  # a mistake may be impossible on these arguments
            would = exercise.remembered(mistake.function, args)
            alike = [same(would[i], outputs[i], TOL) for i in off]
            fits = any(alike) and all(a or _left_open(would[i]) for a, i in zip(alike, off, strict=True))
            if fits and all(_fits(call, mistake.function, args, off) for args in call.elsewhere()):
                return name, mistake.hint
    if named_only:
        return _slipped(call, off)
    for look in (_random, foreign, _deaf, _mixing, _rough, _negative):
        with contextlib.suppress(Exception):  # the answer itself may fail on the arguments tried there
            found = look(call, own)
            if found is not None:
                return found
    if (found := _slipped(call, off)) != ("", ""):
        return found
    for look in (_offset, _factor):
        with contextlib.suppress(Exception):  # the answer itself may fail on the arguments tried there
            found = look(call, own)
            if found is not None:
                return found
    return "", ""


def _slipped(call: Call, off: list[int]) -> tuple[str, str]:
    """One slip that explains all outputs; or for each wrong one a slip of its own."""
    whole, each = range(len(call.outputs)), {}
    places = [(args, _or_nothing(call, call.function, args)) for args in (call.args, *call.everywhere())]
    wrong = [place for place in places if not _agree(_or_nothing(call, call.exercise.own, place[0]), place[1], whole)]
    wrong.sort(key=lambda place: sum(a.numel() for a in place[0] if isinstance(a, Tensor)))
    args, have = wrong[0] if wrong else ((), ())  # where it is least work; an answer may be wrong once and never again
    with warnings.catch_warnings(action="ignore"):  # of a slip's own
        for slip, would in _tried(call, args) if have else ():
            for which in (whole, *([i] for i in off if i not in each)):
                if _agree(would, have, which) and all(
                    _agree(_or_nothing(call, slip.function, there), then, which) for there, then in places
                ):
                    if which is whole:
                        return "slip", slip.hint
                    each[which[0]] = slip.hint
    if len(whole) == 1 or set(each) != set(off):
        return "", ""
    return "slip", " ".join(f"In {call.exercise.returns[i]}: {each[i]}" for i in off)


def _tried(call: Call, args: tuple[Any, ...]) -> Iterator[tuple[Slip, tuple[Tensor, ...]]]:
    """Each slip with what it gives here; of the latest places it is remembered, for another answer may come there."""
    key = content(args)
    if key is None:
        yield from ((slip, _or_nothing(call, slip.function, args)) for slip in slips(call.exercise.own))
        return
    known, rest = _tries.pop((call.exercise, key), ([], slips(call.exercise.own)))
    _tries[call.exercise, key] = known, rest
    if len(_tries) > PLACES:
        del _tries[next(iter(_tries))]
    yield from known
    for slip in rest:
        known.append((slip, _or_nothing(call, slip.function, args)))
        yield known[-1]


def _or_nothing(call: Call, function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """What comes out; nothing where it ends in an error."""
    try:
        return called(call.exercise.results, function, args)
    except Exception:
        return ()


def _agree(a: tuple[Tensor, ...], b: tuple[Tensor, ...], which: Sequence[int]) -> bool:
    if not a or not b:
        return not a and not b
    return all(same(a[i], b[i], TOL if b[i].dtype is torch.float64 else 1e-4) for i in which)


def _fits(call: Call, mistake: Callable[..., Any], args: tuple[Any, ...], off: list[int]) -> bool:
    """The mistake gives what the answer gives on these arguments, too; one that is impossible there says nothing."""
    try:
        would, have = call.exercise.remembered(mistake, args), _again(call, args)
        return all(same(would[i], have[i], TOL) or _left_open(would[i]) for i in off)
    except Exception:
        return True


def _left_open(would: Tensor) -> bool:
    """The mistake does not say what becomes of this output: it gives NaN alone."""
    return bool(would.isnan().all())


def _again(call: Call, args: tuple[Any, ...]) -> tuple[Tensor, ...]:
    return called(call.exercise.results, call.function, args)


def _random(call: Call, own: tuple[Tensor, ...]) -> tuple[str, str] | None:
    if all(same(a, b) for a, b in zip(_again(call, call.args), call.outputs, strict=True)):
        return None
    return "random", "Called twice with the same arguments, it gives two answers: use the numbers given, draw none."


def foreign(call: Call, own: tuple[Tensor, ...] = ()) -> tuple[str, str] | None:
    """Numbers of another cell: without the notebook's tensors, tables and whole numbers, a name is missing."""
    function = call.function
    if not isinstance(function, types.FunctionType):
        return None
    kept = {
        k: v for k, v in function.__globals__.items() if callable(v) or isinstance(v, _HELPFUL) or k == "__builtins__"
    }
    alone = types.FunctionType(function.__code__, kept, function.__name__, function.__defaults__, function.__closure__)
    alone.__kwdefaults__ = function.__kwdefaults__
    try:
        called(alone, *copies(call.args))
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


def _deaf(call: Call, own: tuple[Tensor, ...]) -> tuple[str, str] | None:
    """Arguments that matter and are not used."""
    elsewhere = call.elsewhere()
    ignored = [name for i, name in enumerate(call.exercise.parameters) if _ignores(call, own, i, elsewhere)]
    if not ignored:
        return None
    names, verb = " and ".join(ignored), "is" if len(ignored) == 1 else "are"
    return f"ignores_{'_'.join(ignored)}", f"The answer stays the same whatever {names} {verb}. Is all of it used?"


def _ignores(call: Call, own: tuple[Tensor, ...], i: int, elsewhere: list[tuple[Any, ...]]) -> bool:
    """Other values of argument i change what genlib gives, and never what the answer gives."""
    old, ignored = call.args[i], False
    for new in (*_moved(old), *(args[i] for args in elsewhere if _alike(args[i], old))):
        args = (*call.args[:i], new, *call.args[i + 1 :])
        with contextlib.suppress(Exception):
            moved = call.exercise.truth(args)
            outputs = zip(call.outputs, own, moved, strict=True)
            if any(same(other, truth, TOL) and not same(output, truth, TOL) for output, truth, other in outputs):
                continue  # an output is wrong that does not depend on it: ignoring it would not explain that
            ignored = all(same(a, b) for a, b in zip(_again(call, args), call.outputs, strict=True))
            if not ignored:
                return False
    return ignored


def _moved(old: Any) -> list[Any]:
    """Other values that will do as well; none for what has none."""
    if isinstance(old, Tensor):
        # powers keep tables in (0, 1) and their order; steps are exchanged, so that they stay in 1..T
        return [old.sign() * old.abs() ** power for power in (1.3, 0.3)] if old.is_floating_point() else [old.flip(0)]
    if isinstance(old, bool) or not isinstance(old, int | float):
        return []
    return [2 * old + 1] if isinstance(old, int) else [0.9 * old + 0.07]


def _alike(new: Any, old: Any) -> bool:
    """Another value of the same kind; of functions nobody knows."""
    if isinstance(old, Tensor):
        return isinstance(new, Tensor) and new.shape == old.shape and new.dtype == old.dtype
    return isinstance(old, int | float) and type(new) is type(old)


def _mixing(call: Call, own: tuple[Tensor, ...]) -> tuple[str, str] | None:
    exercise = call.exercise
    if not exercise.batched:
        return None
    pairs = list(zip(exercise.parameters, call.args, strict=True))
    for one in (slice(0, 1), slice(-1, None)):
        args = tuple(arg[one] if name in exercise.batched else arg for name, arg in pairs)
        if not all(same(a, b[one], TOL) for a, b in zip(_again(call, args), call.outputs, strict=True)):
            break
    else:
        return None
    return "mixing", (
        "An example has another answer when it comes alone: the examples of a batch influence each other. "
        "Is something summed or averaged over the batch, or is a number meant for one example used for another?"
    )


def _rough(call: Call, own: tuple[Tensor, ...]) -> tuple[str, str] | None:
    if not all(same(a, b, 1e-4) for a, b in zip(call.outputs, own, strict=True)):
        return None
    return "rough", (
        "Right to a few digits and no further. Does something on the way have a lower precision, float32? Or is a "
        "number rounded, something small added, or a derivative replaced by a quotient?"
    )


def _negative(call: Call, own: tuple[Tensor, ...]) -> tuple[str, str] | None:
    wrong = [(a, b) for a, b in zip(call.outputs, own, strict=True) if not same(a, b, TOL)]
    if all(same(-a, b, TOL) for a, b in wrong):
        return "negative", "The size is right everywhere, the sign is not."
    return None


def _offset(call: Call, own: tuple[Tensor, ...]) -> tuple[str, str] | None:
    for name, output, truth in _off(call, own):
        apart = output - truth
        if same(apart, apart.flatten()[0].expand_as(apart), TOL):
            return "offset", (
                f"Every entry of {name} is off by one and the same number, {float(apart.flatten()[0]):.4g}: a term is "
                "wrong that does not depend on the example. Which terms are of that kind, and do they fit these shapes?"
            )
    return None


def _factor(call: Call, own: tuple[Tensor, ...]) -> tuple[str, str] | None:
    for name, output, truth in _off(call, own):
        largest = truth.flatten().abs().argmax()
        factor = output.flatten()[largest] / truth.flatten()[largest]
        if factor != 0 and same(output, factor * truth, TOL):
            return "factor", (
                f"Every entry of {name} is right but for one and the same factor, {float(factor):.4g}. Where could it "
                "come from: a size, a half, a logarithm's base, a sum that should be a mean, or the other way round?"
            )
    return None


def _off(call: Call, own: tuple[Tensor, ...]) -> list[tuple[str, Tensor, Tensor]]:
    """The wrong outputs, with their names and what they should be; those alone that have three values other than 0."""
    trios = zip(call.exercise.returns, call.outputs, own, strict=True)
    doubles = [(name, output.detach().double(), truth.detach().double()) for name, output, truth in trios]
    return [
        (name, output, truth)
        for name, output, truth in doubles
        if not same(output, truth, TOL) and len(truth[truth.abs() > TOL].unique()) > 2
    ]
