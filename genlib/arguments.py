"""What an argument must be stands in its annotation, and `checked` holds it to that: a `ValueError` that names it.

    @checked
    def q_sample(self, x_0: Float[Tensor, "B *S"], t: Annotated[Int64[Tensor, " B"], "[1, {self.T}]"]): ...

Shapes and dtypes are jaxtyping's: a name is a size that the arguments of one call share (B; *S for all that follow), a
number an exact size, "..." any further ones, and {self.dim} what the arguments say: a size, a tuple of several, or ...
`Annotated` adds an interval, or "finite"; a `Literal` is a choice. Numbers arrive as Python's own, sequences as tuples.
A method takes float tensors of the dtype and on the device of the Module's weights, or of each other (under autocast,
of any dtype).

Values of tensors are looked at on the CPU alone: a GPU would have to wait; only `check` looks wherever they are. While
torch compiles or exports, nothing is checked; inside `torch.func`'s transforms, shapes and dtypes are.
"""

import difflib
import functools
import inspect
import math
import operator
import re
import types
import typing
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, Union

import torch
from torch import Tensor, nn

P = ParamSpec("P")
R = TypeVar("R")

Count = Annotated[int, "[1, 100000000]"]  # of examples, steps, ...
Natural = Annotated[int, "[0, 100000000]"]
Width = Annotated[int, "[1, 16384]"]  # features, channels, pixels along a side
Depth = Annotated[int, "[1, 1000]"]  # layers one after the other
Levels = Annotated[int, "[2, 65536]"]  # the values that a pixel can have
Seed = Annotated[int, "[0, 9223372036854775807]"]
Positive = Annotated[float, "[1e-30, 1e15]"]  # and in float32 some room for what is made of it
NonNegative = Annotated[float, "[0, 1e15]"]
Share = Annotated[float, "[0, 1]"]
Dropout = Annotated[float, "[0, 1)"]  # the share of features that is dropped in training
Sizes = Sequence[Width]  # a shape
# (B,) int64 where self.n_classes says how many there are, or (B, n) float where self.n_condition does
Label = Annotated[Tensor | int | None, "label"]
LabelOrNone = Annotated[Tensor | int | None, "label or none"]

NO = object()  # what does not fit
FLOATS = ("float16", "bfloat16", "float32", "float64")
INTS = ("uint8", "int8", "int16", "int32", "int64")
TEXTS = (str, bytes, bytearray, memoryview)
LONGEST = 1_000_000  # of a sequence


def checked(function: Callable[P, R], within: Callable[[], AbstractContextManager] = nullcontext) -> Callable[P, R]:
    """The function, with its arguments held against their annotations first, `within` a context."""
    names, hints = list(inspect.signature(function).parameters), {}

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        arguments = dict(zip(names, args, strict=False), **kwargs)
        if torch.compiler.is_compiling() or len(arguments) < len(args) + len(kwargs):
            return function(*args, **kwargs)  # too many, or one given twice: Python says so itself
        if not hints:  # at the first call, for an annotation may name a class that is written further down
            # What refers to other arguments is looked at after them.
            found = typing.get_type_hints(function, include_extras=True).items()
            hints.update(sorted(found, key=lambda item: bool(re.search(r"\{(?!self)", str(item[1])))))
        with within():
            _hold(arguments, hints, arguments)
        return function(**arguments)  # type: ignore[call-arg]

    wrapper.__code__ = wrapper.__code__.replace()  # type: ignore  # one of its own: torch compiles so many versions of each and no more
    return wrapper  # type: ignore[return-value]


def check(name: str, value: Any, hint: Any, **context: Any) -> Any:
    """The value, held against an annotation where no function is entered, such as a part of a batch.

    The values of a tensor are looked at on a GPU as well, which waits for that: not at every step.
    """
    held = {name: value}
    if not torch.compiler.is_compiling():
        _hold(held, {name: hint}, context, everywhere=True)
    return held[name]


def weight(module: nn.Module) -> Tensor | None:
    """One of a module's tensors, whose device and dtype are the module's; None if it has no numbers of its own."""
    for tensor in (*module._parameters.values(), *module._buffers.values()):
        if tensor is not None and tensor.is_floating_point():
            return tensor
    for child in module._modules.values():
        if child is not None and (found := weight(child)) is not None:
            return found
    return None


@dataclass
class Call:
    """What is known while the arguments of one call are looked at."""

    arguments: dict[str, Any]
    like: Tensor | None  # whose dtype and device all float tensors have: a weight of the Module that is called
    everywhere: bool  # whether to look at values on a GPU, too
    sizes: dict[str, Any] = field(default_factory=dict)  # that the arguments share so far
    whose: str = "the weights"


def _hold(arguments: dict[str, Any], hints: dict[str, Any], others: dict[str, Any], everywhere: bool = False) -> None:
    owner = others.get("self")
    own = weight(owner) if isinstance(owner, nn.Module) and "_modules" in vars(owner) else None  # not yet in `__init__`
    call = Call(others, own, everywhere)
    for name, hint in hints.items():
        if name in arguments or hint is Label:  # one left out is None, which some models refuse
            value = arguments.get(name)
            arguments[name] = taken = _take(value, hint, call)
            if taken is NO:
                raise ValueError(_complaint(name, value, hint, call))


def _take(value: Any, hint: Any, call: Call) -> Any:
    """The value as the function is to get it, or NO."""
    kind, inner, extra = _kind(hint)
    if kind is Union:
        for option in inner:
            if (taken := _take(value, option, call)) is not NO:
                return taken
        return NO
    if kind is Literal:
        return value if isinstance(value, str | int) and not isinstance(value, bool) and value in inner else NO
    take = TAKERS.get(kind)
    return take(value, inner, extra, call) if take else value if isinstance(value, kind) else NO


@functools.cache
def _kind(hint: Any) -> tuple[Any, Any, Any]:
    """What kind of annotation it is, what stands in it, and what `Annotated` adds."""
    hint = getattr(hint, "__bound__", hint)  # of a TypeVar
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        kind, within, _ = _kind(inner[0])
        return "label" if "label" in inner[1] else kind, within, inner[1]
    if hasattr(hint, "dim_str"):  # of jaxtyping's dtypes those that can be computed with: some are there in name only
        dtypes = [getattr(torch, dtype) for dtype in (*FLOATS, *INTS, "bool") if dtype in hint.dtypes]
        return "tensor", (dtypes, hint.dim_str.split()), None
    if origin in (tuple, Sequence):
        return Sequence, (inner[0], len(inner) if origin is tuple and ... not in inner else None), None
    return Union if origin is types.UnionType else object if hint is Any else origin or hint, inner, None


def _number(kind: type, value: Any, _: Any, interval: str | None, call: Call) -> Any:
    """A whole number, or a finite one, in an interval. A bool, a text and a complex number do not count as either."""
    try:
        if isinstance(value, bool) or not re.search("int|float", str(getattr(value, "dtype", "float"))):
            return NO
        number = operator.index(value) if kind is int else value.__float__()  # float() would read a text, too
    except (AttributeError, TypeError, ValueError, RuntimeError, OverflowError):
        return NO
    interval = interval or "(-inf, inf)"
    low, high = (_read(end, call) for end in interval[1:-1].split(", "))
    excluded = (number == low and interval[0] == "(") or (number == high and interval[-1] == ")")
    return number if low <= number <= high and not excluded else NO


def _sequence(value: Any, inner: Any, _: Any, call: Call) -> Any:
    item, length = inner
    try:
        if not isinstance(value, Sequence):
            value = value.tolist() if value.ndim == 1 else NO
        if isinstance(value, TEXTS) or (len(value) > LONGEST if length is None else len(value) != length):
            return NO
    except (AttributeError, TypeError, RuntimeError, OverflowError):  # no length, no values, or too many for an int
        return NO
    taken = [_take(part, item, call) for part in value]
    return NO if id(NO) in map(id, taken) else tuple(taken)


def _tensor(value: Any, inner: Any, values: str | None, call: Call) -> Any:
    """A plain tensor of the wanted kind and shape; with "finite" or an interval, its values too."""
    dtypes, dims = inner
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_nested or value.dtype not in dtypes:
        return NO
    if (own := call.like) is not None:
        alike = value.dtype == own.dtype or not value.is_floating_point()
        fits = value.device == own.device and (alike or torch.is_autocast_enabled(value.device.type))
    else:
        fits = "self" in call.arguments or not value.is_meta  # a method may only hand the numbers on
    if not (fits and _has_shape(value.shape, dims, call) and _has_values(value, values, call)):
        return NO
    if own is None and "self" in call.arguments and value.is_floating_point():
        call.like, call.whose = value, "the others"
    return value


def _has_shape(shape: Sequence[int], dims: Sequence[str], call: Call) -> bool:
    for i, dim in enumerate(dims):
        wanted = call.sizes.setdefault(dim, tuple(shape[i:])) if dim[0] == "*" else _read(dim, call)
        if wanted is ... or isinstance(wanted, tuple):
            return wanted is ... or tuple(shape[i:]) == wanted
        if i >= len(shape) or shape[i] != (call.sizes.setdefault(dim, shape[i]) if wanted is None else wanted):
            return False
    return len(shape) == len(dims)


def _has_values(value: Tensor, wanted: str | None, call: Call) -> bool:
    """Whether its values, where they are to be looked at, are as wanted."""
    if not wanted or not _is_visible(value, call.everywhere):
        return True
    if wanted == "finite":
        return math.isfinite(value.detach().sum()) or bool(torch.isfinite(value).all())  # a sum alone might overflow
    return not value.numel() or NO not in [_number(float, end, (), wanted, call) for end in value.detach().aminmax()]


def _is_visible(value: Tensor, everywhere: bool = False) -> bool:
    """Whether looking at values is free, or wanted, and is allowed: not inside of `vmap`, `grad` and the like."""
    free = value.device.type == "cpu" or (everywhere and not value.is_meta)
    return free and torch._C._functorch.peek_interpreter_stack() is None  # type: ignore


def _label(value: Any, _: Any, kind: str, call: Call) -> Any:
    """What a model is told beside x. An int stands for that class n times, where n are to be drawn."""
    n_classes, inner, values = _told(kind, call)
    if value is None or inner is None:
        return None if value is None and (inner is None or kind == "label or none") else NO
    if type(value) is int and "n" in call.arguments and -1 <= value < (n_classes or 0):
        device = None if call.like is None else call.like.device
        value = torch.full((call.arguments["n"],), value, device=device)
    return _tensor(value, inner, values, call)


def _told(kind: str, call: Call) -> tuple[int | None, Any, str | None]:
    """How many classes the model knows, and what kind of tensor its label is: classes, or vectors.
    Where labels are optional, −1 and a row of NaN stand for none."""
    model, B = call.arguments["self"], "{n}" if "n" in call.arguments else "B"
    n_classes, n_condition = getattr(model, "n_classes", None), getattr(model, "n_condition", None)
    if n_classes:
        return n_classes, ([torch.int64], [B]), f"[{-1 if kind == 'label or none' else 0}, {n_classes})"
    vectors = ([getattr(torch, name) for name in FLOATS], [B, str(n_condition)]) if n_condition else None
    return None, vectors, None if kind == "label or none" else "finite"


TAKERS: dict[Any, Callable[..., Any]] = {"tensor": _tensor, "label": _label, Sequence: _sequence}
TAKERS |= {int: functools.partial(_number, int), float: functools.partial(_number, float)}


def _read(text: str, call: Call) -> Any:
    """What is written in an annotation: a number, or of "{self.dim}" what it is in this call; None for a name."""
    if text[0] == "{":
        return operator.attrgetter(text[1:-1])(types.SimpleNamespace(**call.arguments))
    if text.isidentifier() and text != "inf":
        return None
    return ... if text == "..." else int(text) if text.isdecimal() else float(text)


# -- What is said


def _complaint(name: str, value: Any, hint: Any, call: Call) -> str:
    expected = re.sub(r"\{[\w.]+\}", lambda path: _bare(_read(path[0], call)), _words(hint, call))
    known = re.findall("'([^']+)'", expected)
    near = difflib.get_close_matches(value, known, n=1) if isinstance(value, str) else []
    return f"{name}: expected {expected}, got {came(value)}" + "".join(f". Did you mean {meant!r}?" for meant in near)


def _words(hint: Any, call: Call) -> str:
    """What is expected."""
    kind, inner, extra = _kind(hint)
    if kind == "label":
        n_classes, inner, values = _told(extra, call)
        if inner is None:
            return "None, for this model was built without n_classes or n_condition"
        none = extra == "label or none"
        known = f"classes 0..{n_classes - 1}{', -1 for none' * none}, " if n_classes else ""
        return known + _tensor_words(inner, values, call) + " or None" * none
    if kind is Union:
        options = [_words(option, call) for option in inner if option is not type(None)]
        return " or ".join([*options, "None"] if 1 < len(options) < len(inner) else options)
    if kind == "tensor":
        return _tensor_words(inner, extra, call)
    if kind in (int, float):
        return f"a {'whole' if kind is int else 'finite'} number" + (f" in {extra}" if extra else "")
    if kind is Sequence:
        item, length = inner
        return f"{'a sequence' if length is None else f'{length} values'}, each {_words(item, call)}"
    if kind is Literal:
        return f"one of {', '.join(map(repr, inner))}"
    named = {bool: "True or False", Callable: "a function", type(None): "None", object: "anything"}
    name = named.get(kind) or getattr(kind, "__name__", str(kind))
    return name if kind in named else f"a{'n' * (name[0] in 'AEIOU')} {name}"


def _tensor_words(inner: Any, values: str | None, call: Call) -> str:
    dtypes, dims = inner
    word = str(dtypes[0])[6:] if len(dtypes) == 1 else "float" if torch.float32 in dtypes else "int"
    sizes = ", ".join(_bare(_read(dim, call) if dim[0] == "{" else call.sizes.get(dim, dim)) for dim in dims)
    sizes += "," * (sizes != "" and "," not in sizes)
    own = call.like if word == "float" else None
    mine = "" if own is None else f", {str(own.dtype)[6:]} on {own.device} as {call.whose}"
    more = "" if not values else ", all finite" if values == "finite" else f", in {values}"
    return f"{'an' if word[0] == 'i' else 'a'} {word} tensor of shape ({sizes}){mine}{more}"


def _bare(size: Any) -> str:
    return "..." if size is ... else str(tuple(size) if isinstance(size, tuple) else size).strip("(,)")


def came(value: Any) -> str:
    """What came, in short."""
    if not isinstance(value, Tensor):
        text = ""
        with suppress(Exception):
            text = repr(value) if value is None or isinstance(value, bool | int | float | str | tuple | list) else ""
        return text if 0 < len(text) <= 60 else type(value).__name__
    dtype = str(value.dtype)[6:]
    if value.is_nested or value.layout != torch.strided:
        return f"{dtype} ({'nested' if value.is_nested else value.layout})"
    text = f"{dtype} of shape {tuple(value.shape)}" + (f" on {value.device}" if value.device.type != "cpu" else "")
    if not value.numel() or dtype not in FLOATS + INTS or not _is_visible(value):
        return text
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        return f"{text} with NaN or infinite values"
    return f"{text} with values {value.min():g}..{value.max():g}"
