"""What an argument must be stands in its annotation, and `checked` holds it to that: a `ValueError` that names it.

    @checked
    def q_sample(self, x_0: Float[Tensor, "B *S"], t: Annotated[Int64[Tensor, " B"], "[1, {self.T}]"]): ...

Shapes and dtypes are jaxtyping's: a name is a size that the arguments of one call share (B; *S for all that follow), a
number an exact size, "..." any further ones, and {self.dim} what the arguments say: a size, a tuple of several, or ...
`Annotated` adds an interval, or "finite"; a `Literal` is a choice. Numbers arrive as Python's own, sequences as tuples.
A method of a Module takes float tensors of the dtype and on the device of its weights (under autocast, of any dtype).

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
from contextlib import AbstractContextManager, nullcontext
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
Number = Annotated[float, "[-1e15, 1e15]"]  # and in float32 some room for what is made of it
Positive = Annotated[float, "[1e-30, 1e15]"]
NonNegative = Annotated[float, "[0, 1e15]"]
Share = Annotated[float, "[0, 1]"]
Dropout = Annotated[float, "[0, 1)"]  # the share of features that is dropped in training
Sizes = Sequence[Width]  # a shape
# (B,) int64 where self.n_classes says how many there are, or (B, n) float where self.n_condition does; see `_label`
Label = Annotated[Tensor | int | None, "label"]
LabelOrNone = Annotated[Tensor | int | None, "label or none"]

Call = dict[str, Any]  # under "" the arguments of one call, by name; and the sizes that they share so far, by theirs
NO = object()  # what does not fit
LOOK = "at values on a GPU, too"
FLOATS = ("float16", "bfloat16", "float32", "float64")
INTS = ("uint8", "int8", "int16", "int32", "int64")
TEXTS = (str, bytes, bytearray, memoryview)
LONGEST = 1_000_000  # of a sequence


def checked(function: Callable[P, R], within: Callable[[], AbstractContextManager] = nullcontext) -> Callable[P, R]:
    """The function, with its arguments held against their annotations first, `within` a context."""
    names, hints = list(inspect.signature(function).parameters), {}

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return function(*args, **kwargs)
        if not hints:  # at the first call, for an annotation may name a class that is written further down
            # What refers to other arguments is looked at after them.
            found = typing.get_type_hints(function, include_extras=True).items()
            hints.update(sorted(found, key=lambda item: bool(re.search(r"\{(?!self)", str(item[1])))))
        arguments = dict(zip(names, args, strict=False), **kwargs)
        if len(arguments) < len(args) + len(kwargs):  # too many, or one given twice: Python says so itself
            return function(*args, **kwargs)
        with within():
            _hold(arguments, hints, {"": arguments})
        return function(**arguments)  # type: ignore[call-arg]

    wrapper.__code__ = wrapper.__code__.replace()  # type: ignore  # one of its own: torch compiles so many versions of each and no more
    return wrapper  # type: ignore[return-value]


def check(name: str, value: Any, hint: Any, **context: Any) -> Any:
    """The value, held against an annotation where no function is entered, such as a part of a batch.

    The values of a tensor are looked at on a GPU as well, which waits for that: not at every step.
    """
    held = {name: value}
    if not torch.compiler.is_compiling():
        _hold(held, {name: hint}, {"": context, LOOK: True})
    return held[name]


def weight(module: nn.Module) -> Tensor | None:
    """One of a module's tensors, whose device and dtype are the module's; None if it has no numbers of its own."""
    for tensor in (*module._parameters.values(), *module._buffers.values()):
        if tensor is not None and tensor.is_floating_point():
            return tensor
    for child in module._modules.values():
        found = None if child is None else weight(child)
        if found is not None:
            return found
    return None


def _hold(arguments: dict[str, Any], hints: dict[str, Any], call: Call) -> None:
    for name, hint in hints.items():
        if name in arguments or hint is Label:  # one left out is None, which some models refuse
            value = arguments.get(name)
            arguments[name] = taken = _take(value, hint, call)
            if taken is NO:
                raise ValueError(_complaint(name, value, hint, call))


def _take(value: Any, hint: Any, call: Call) -> Any:
    """The value as the function is to get it, or NO."""
    kind, inner, extra = _kind(hint)
    if kind is not Union:
        take = TAKERS.get(kind)
        return take(value, inner, extra, call) if take else value if isinstance(value, kind) else NO
    for option in inner:
        taken = _take(value, option, call)
        if taken is not NO:
            return taken
    return NO


@functools.cache
def _kind(hint: Any) -> tuple[Any, Any, Any]:
    """What kind of annotation it is, what stands in it, and what `Annotated` adds."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        if inner[1] in ("label", "label or none"):
            return "label", None, inner[1]
        kind, within, _ = _kind(inner[0])
        return kind, [Annotated[option, inner[1]] for option in within] if kind is Union else within, inner[1]
    if hasattr(hint, "dim_str"):  # of jaxtyping's dtypes those that can be computed with: some are there in name only
        dtypes = [getattr(torch, dtype) for dtype in (*FLOATS, *INTS, "bool") if dtype in hint.dtypes]
        return "tensor", (dtypes, hint.dim_str.split()), None
    if isinstance(hint, TypeVar):
        return _kind(hint.__bound__)
    kind = Union if origin is types.UnionType else object if hint is Any else origin or hint
    if origin in (tuple, Sequence):
        return Sequence, (inner[0], len(inner) if kind is tuple and ... not in inner else None), None
    return kind, inner, None


def _number(kind: type, value: Any, _: Any, interval: str | None, call: Call) -> Any:
    """A whole number, or a finite one, in an interval. A bool, a text and a complex number do not count as either."""
    interval = interval or "(-inf, inf)"
    try:
        if isinstance(value, bool) or not re.search("int|float", str(getattr(value, "dtype", "float"))):
            return NO
        number = operator.index(value) if kind is int else value.__float__()  # float() would read a text, too
        low, high = (_read(end, call) for end in interval[1:-1].split(", "))
        inside = (
            low <= number <= high and (number != low or interval[0] == "[") and (number != high or interval[-1] == "]")
        )
        return number if inside and (kind is int or math.isfinite(number)) else NO
    except (AttributeError, TypeError, ValueError, RuntimeError, OverflowError):
        return NO


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
    return NO if any(part is NO for part in taken) else tuple(taken)


def _tensor(value: Any, inner: Any, values: str | None, call: Call) -> Any:
    """A tensor of the wanted kind and shape; with "finite" or an interval, its values too."""
    dtypes, dims = inner
    if not isinstance(value, Tensor) or value.dtype not in dtypes or not _is_at_home(value, call):
        return NO
    fits = _has_shape(value.shape, dims, call) and (
        not values or not _is_visible(value, call) or _has_values(value, values, call)
    )
    return value if fits else NO


def _is_at_home(value: Tensor, call: Call) -> bool:
    """Whether it is a plain tensor and, where a Module is asked, of the dtype and on the device of its weights."""
    if value.layout != torch.strided or value.is_nested:
        return False
    own = _own(call)
    if own is None:
        alone = "self" not in call[""]  # a function looks at numbers; a method may only hand them on
        return not value.is_meta if alone else value.device == call.setdefault("device", value.device)
    alike = value.dtype == own.dtype or not value.is_floating_point() or torch.is_autocast_enabled(value.device.type)
    return alike and value.device == own.device


def _own(call: Call) -> Tensor | None:
    owner = call[""].get("self")
    return weight(owner) if isinstance(owner, nn.Module) and "_modules" in vars(owner) else None


def _has_shape(shape: Sequence[int], dims: Sequence[str], call: Call) -> bool:
    for i, dim in enumerate(dims):
        wanted = _read(dim, call)
        if dim[0] == "*":
            wanted = call.setdefault(dim, tuple(shape[i:]))
        if wanted is ... or isinstance(wanted, tuple):
            return wanted is ... or tuple(shape[i:]) == wanted
        if i >= len(shape) or shape[i] != (call.setdefault(dim, shape[i]) if wanted is None else wanted):
            return False
    return len(shape) == len(dims)


def _has_values(value: Tensor, wanted: str, call: Call) -> bool:
    value = value.detach()
    if wanted == "finite":
        return math.isfinite(value.sum()) or bool(torch.isfinite(value).all())  # a sum alone might overflow
    return not value.numel() or NO not in [_number(float, end, (), wanted, call) for end in value.aminmax()]


def _is_visible(value: Tensor, call: Call) -> bool:
    """Whether looking at values is free, or wanted, and is allowed: not inside of `vmap`, `grad` and the like."""
    free = value.device.type == "cpu" or (LOOK in call and not value.is_meta)
    return free and torch._C._functorch.peek_interpreter_stack() is None  # type: ignore


def _label(value: Any, _: Any, kind: str, call: Call) -> Any:
    """What a model is told beside x. An int stands for that class n times, where n are to be drawn; where labels are
    optional, −1 and a row of NaN stand for none."""
    n_classes, n_condition, B, low = _wanted_label(kind, call)
    if value is None:
        return None if low or not (n_classes or n_condition) else NO
    if isinstance(value, int) and n_classes and "n" in call[""]:
        like = _own(call)
        number = _number(int, value, (), f"[{low}, {n_classes})", call)
        return NO if number is NO else torch.full((B,), number, device=None if like is None else like.device)  # type: ignore
    if not isinstance(value, Tensor) or not _is_at_home(value, call) or not value.dim():
        return NO
    if B is None:  # where the label comes first, as in D(label, y), it says how many there are
        B = call["B"] = len(value)
    vectors = n_condition and not n_classes
    of_kind = value.is_floating_point() if vectors else n_classes and value.dtype == torch.int64
    if not of_kind or value.shape != ((B, n_condition) if vectors else (B,)):
        return NO
    values = "finite" if vectors else f"[{low}, {n_classes})"
    seen = _is_visible(value, call) and not (vectors and low)
    return value if not seen or _has_values(value, values, call) else NO


def _wanted_label(kind: str, call: Call) -> tuple[int | None, int | None, int | None, int]:
    """How many classes, or numbers, the model is told; for how many examples; the least class."""
    model, B = call[""]["self"], call[""].get("n", call.get("B"))
    n_classes, n_condition = getattr(model, "n_classes", None), getattr(model, "n_condition", None)
    return n_classes, n_condition, B, -1 if kind == "label or none" else 0


NUMBERS = {kind: functools.partial(_number, kind) for kind in (int, float)}
TAKERS: dict[Any, Callable[..., Any]] = {"tensor": _tensor, "label": _label, Sequence: _sequence, **NUMBERS}
TAKERS[Literal] = lambda value, options, *_: value if isinstance(value, str) and value in options else NO


def _read(text: str, call: Call) -> Any:
    """What is written in an annotation: a number, or of "{self.dim}" what it is in this call; None for a name."""
    if text[0] == "{":
        name, _, attributes = text[1:-1].partition(".")
        return operator.attrgetter(attributes)(call[""][name]) if attributes else call[""][name]
    if text.isidentifier() and text != "inf":
        return None
    return ... if text == "..." else None if text[0] == "*" else int(text) if text.isdecimal() else float(text)


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
        return _label_words(extra, call)
    if kind is Union:
        options = [_words(option, call) for option in inner if option not in (type(None), Annotated[None, extra])]
        return " or ".join(options if len(options) == 1 or len(options) == len(inner) else [*options, "None"])
    if kind == "tensor":
        dtypes, dims = inner
        word = str(dtypes[0])[6:] if len(dtypes) == 1 else "float" if torch.float32 in dtypes else "int"
        sizes = ", ".join(_bare(_read(dim, call) if dim[0] == "{" else call.get(dim, dim)) for dim in dims)
        sizes += "," * (sizes != "" and "," not in sizes)
        more = "" if not extra else ", all finite" if extra == "finite" else f", in {extra}"
        mine = _own_words(call) if word == "float" else ""
        return f"{'an' if word[0] == 'i' else 'a'} {word} tensor of shape ({sizes}){mine}{more}"
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


def _label_words(kind: str, call: Call) -> str:
    n_classes, n_condition, B, low = _wanted_label(kind, call)
    none = ", or None" * -low
    if n_classes:
        return f"classes 0..{n_classes - 1}{', -1 for none' * -low}, an int64 tensor of shape ({B},){none}"
    vectors = f"a float tensor of shape ({B}, {n_condition}){_own_words(call)}{none}"
    return vectors if n_condition else "None, for this model was built without n_classes or n_condition"


def _own_words(call: Call) -> str:
    own = _own(call)
    return "" if own is None else f", {str(own.dtype)[6:]} on {own.device} as the weights"


def _bare(size: Any) -> str:
    return "..." if size is ... else str(tuple(size) if isinstance(size, tuple) else size).strip("(,)")


def came(value: Any) -> str:
    """What came, in short."""
    if not isinstance(value, Tensor):
        try:
            text = repr(value) if value is None or isinstance(value, bool | int | float | str | tuple | list) else ""
        except Exception:
            text = ""
        return text if 0 < len(text) <= 60 else type(value).__name__
    dtype = str(value.dtype)[6:]
    if value.is_nested or value.layout != torch.strided:
        return f"{dtype} ({'nested' if value.is_nested else value.layout})"
    text = f"{dtype} of shape {tuple(value.shape)}" + (f" on {value.device}" if value.device.type != "cpu" else "")
    if not value.numel() or dtype not in FLOATS + INTS or not _is_visible(value, {}):
        return text
    if value.is_floating_point() and not _has_values(value, "finite", {}):
        return f"{text} with NaN or infinite values"
    return f"{text} with values {value.min():g}..{value.max():g}"
