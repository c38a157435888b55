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
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from genlib._old import *  # noqa: F403  (until nobody asks for them)

P = ParamSpec("P")
R = TypeVar("R")

Count = Annotated[int, "[1, 100000000]"]  # of examples, steps, ...
Natural = Annotated[int, "[0, 100000000]"]
Width = Annotated[int, "[1, 16384]"]  # features, channels, pixels along a side
Depth = Annotated[int, "[1, 1000]"]  # layers one after the other
Levels = Annotated[int, "[2, 65536]"]  # the values that a pixel can have
Seed = Annotated[int, "[0, 9223372036854775807]"]
Number = Annotated[float, "(-inf, inf)"]
Positive = Annotated[float, "(0, inf)"]
NonNegative = Annotated[float, "[0, inf)"]
Share = Annotated[float, "[0, 1]"]
Dropout = Annotated[float, "[0, 1)"]  # the share of features that is dropped in training
Sizes = Sequence[Width]  # a shape
# (B,) int64 where self.n_classes says how many there are, or (B, n) float where self.n_condition does; see `_label`
Label = Annotated[Tensor | int | None, "label"]
LabelOrNone = Annotated[Tensor | int | None, "label or none"]


Call = dict[str, Any]  # under "" the arguments of one call, by name; and the sizes that they share so far, by theirs
Take = Callable[[Any, Call], Any]  # the value as the function is to get it; or NO
Rule = tuple[str | Callable[[Call], str], Take]  # what is expected, in words
NO = object()
LOOK = "at values on a GPU, too"
TEXTS = (str, bytes, bytearray, memoryview)
LONGEST = 1_000_000  # of a sequence


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with its arguments held against their annotations first."""
    names = list(inspect.signature(function).parameters)
    rules: dict[str, Rule] | None = None

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal rules
        if torch.compiler.is_compiling():
            return function(*args, **kwargs)
        if rules is None:  # at the first call, for an annotation may name a class that is written further down
            rules = _rules(function)
        arguments = dict(zip(names, args, strict=False), **kwargs)
        if len(arguments) < len(args) + len(kwargs):  # too many, or one given twice: Python says so itself
            return function(*args, **kwargs)
        call: Call = {"": arguments}
        for name, rule in rules.items():
            if name in arguments:
                value = arguments[name]
                arguments[name] = taken = rule[1](value, call)
                if taken is NO:
                    raise ValueError(_complain(name, rule, value, call))
        return function(**arguments)  # type: ignore[call-arg]

    return wrapper  # type: ignore[return-value]


def check(name: str, value: Any, hint: Any, **context: Any) -> Any:
    """The value, held against an annotation where no function is entered, such as a part of a batch.

    The values of a tensor are looked at on a GPU as well, which waits for that: not at every step.
    """
    if torch.compiler.is_compiling():
        return value
    call: Call = {"": context, LOOK: True}
    rule = _rule(hint)
    assert rule is not None
    taken = rule[1](value, call)
    if taken is NO:
        raise ValueError(_complain(name, rule, value, call))
    return taken


def weight(module: nn.Module) -> Tensor | None:
    """One of a module's tensors, whose device and dtype are the module's; None if it has no numbers of its own."""
    for tensors in (module._parameters, module._buffers):
        for tensor in tensors.values():
            if tensor is not None and tensor.is_floating_point():
                return tensor
    for child in module._modules.values():
        found = None if child is None else weight(child)
        if found is not None:
            return found
    return None


# -- From annotations to rules


def _rules(function: Callable[..., Any]) -> dict[str, Rule]:
    hints = typing.get_type_hints(function, include_extras=True)
    later = {name for name, hint in hints.items() if re.search(r"\{(?!self)", str(hint))}  # what refers to the others
    rules = {name: _rule(hints[name]) for name in sorted(hints, key=later.__contains__) if name != "return"}
    return {name: rule for name, rule in rules.items() if rule is not None}


def _rule(hint: Any, extras: tuple[str, ...] = ()) -> Rule | None:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        words = tuple(word for word in hint.__metadata__ if isinstance(word, str))
        return _label(words[0].endswith("none")) if words[0].startswith("label") else _rule(hint.__origin__, words)
    if origin in (typing.Union, types.UnionType):
        return _union([_rule(option, extras) for option in inner])
    if origin is Literal:
        choices = inner
        return f"one of {', '.join(map(repr, choices))}", lambda v, _: v if isinstance(v, str) and v in choices else NO
    if origin is not None and isinstance(origin, type) and issubclass(origin, Sequence):
        return _sequence(inner, exact=origin is tuple and inner[-1] is not ...)
    if origin is not None and issubclass(origin, Callable):  # type: ignore[arg-type]
        return "a function", lambda value, _: value if callable(value) else NO
    if isinstance(hint, TypeVar):
        hint = hint.__bound__
    if hint is type(None):
        return "None", lambda value, _: None if value is None else NO
    if hasattr(hint, "dim_str"):
        return _tensor(hint, extras)
    if hint in (int, float):
        return _number(hint, *extras)
    if hint is bool:
        return "True or False", lambda value, _: value if isinstance(value, bool) else NO
    if isinstance(hint, type) and hint not in (Any, object):
        return f"a {hint.__name__}", lambda value, _: value if isinstance(value, hint) else NO
    return None


def _union(rules: list[Rule | None]) -> Rule | None:
    options = [rule for rule in rules if rule is not None]
    if len(options) < len(rules):
        return None  # one of them is anything

    def take(value: Any, call: Call) -> Any:
        for _, option in options:
            taken = option(value, call)
            if taken is not NO:
                return taken
        return NO

    words = [expected for expected, _ in options]
    if len(words) == 2 and "None" in words:  # the words of the other one may depend on the call
        return next(expected for expected in words if expected != "None"), take
    return " or ".join(map(str, words)), take


def _sequence(items: tuple[Any, ...], exact: bool) -> Rule:
    rules = [_rule(item) for item in items if item is not ...]
    expected, item_take = rules[0] or ("values", lambda value, _: value)

    def take(value: Any, call: Call) -> Any:
        try:
            if not isinstance(value, Sequence):
                value = value.tolist() if value.ndim == 1 else NO
            if isinstance(value, TEXTS) or (len(value) != len(rules) if exact else len(value) > LONGEST):
                return NO
        except (AttributeError, TypeError, RuntimeError, OverflowError):  # no length, no values, or too many for an int
            return NO
        taken = tuple(item_take(item, call) for item in value)
        return NO if any(item is NO for item in taken) else taken

    return f"{f'{len(rules)} values' if exact else 'a sequence'}, each {expected}", take


def _number(kind: type, interval: str = "(-inf, inf)") -> Rule:
    """A whole number, or a finite one, in an interval. A bool, a text and a complex number do not count as either."""
    low, high = map(_reader, interval[1:-1].split(", "))
    above = operator.lt if interval[0] == "(" else operator.le
    below = operator.lt if interval[-1] == ")" else operator.le

    def take(value: Any, call: Call) -> Any:
        try:
            if isinstance(value, bool) or not re.search("int|float", str(getattr(value, "dtype", "float"))):
                return NO
            number = value.__index__() if kind is int else value.__float__()  # float() would read a text, too
            fits = above(_read(low, call), number) and below(number, _read(high, call))
        except (AttributeError, TypeError, ValueError, RuntimeError, OverflowError):
            return NO
        return number if fits and math.isfinite(number) else NO

    what = "a whole number" if kind is int else "a finite number"
    return (what if interval == "(-inf, inf)" else f"{what} in {interval}"), take


def _tensor(hint: Any, extras: tuple[str, ...]) -> Rule:
    """A tensor of the wanted kind and shape; with "finite" or an interval, its values too."""
    dtypes, dims = _dtypes(hint), [(dim, _reader(dim)) for dim in hint.dim_str.split()]
    known = {getattr(torch, dtype) for dtype in dtypes}
    kind = dtypes[0] if len(dtypes) == 1 else "float" if "float32" in dtypes else "int"
    values = _finite if "finite" in extras else _within(extras[0]) if extras else None
    more = "" if not extras else ", all finite" if "finite" in extras else f", in {extras[0]}"

    def take(value: Any, call: Call) -> Any:
        if not isinstance(value, Tensor) or value.dtype not in known:
            return NO
        if not (_at_home(value, call) and _fits(value.shape, dims, call)):
            return NO
        return NO if values is not None and _visible(value, call) and not values(value, call) else value

    def expected(call: Call) -> str:
        sizes = ", ".join(str(call.get(dim, dim)).strip("(,)") for dim, _ in dims)
        mine = _own(call) if kind == "float" else ""
        return f"{'an' if kind[0] == 'i' else 'a'} {kind} tensor of shape ({sizes}{',' * (len(dims) == 1)}){mine}{more}"

    return expected, take


FLOATS = ("float16", "bfloat16", "float32", "float64")
INTS = ("uint8", "int8", "int16", "int32", "int64")


def _own(call: Call) -> str:
    own = weight(call[""]["self"]) if isinstance(call[""].get("self"), nn.Module) else None
    return "" if own is None else f", {str(own.dtype)[6:]} on {own.device} as the weights"


def _dtypes(hint: Any) -> tuple[str, ...]:
    """Those that can be computed with: jaxtyping knows some that torch has in name only."""
    return tuple(dtype for dtype in (*FLOATS, *INTS, "bool") if dtype in hint.dtypes)


def _fits(shape: Sequence[int], dims: Sequence[tuple[str, Any]], call: Call) -> bool:
    for i, (dim, wanted) in enumerate(dims):
        if dim[0] in ".*":
            return dim == "..." or call.setdefault(dim, tuple(shape[i:])) == tuple(shape[i:])
        if callable(wanted):
            wanted = wanted(call)
            if wanted is ... or isinstance(wanted, tuple):
                return wanted is ... or shape[i:] == wanted
        if i >= len(shape) or shape[i] != (call.setdefault(dim, shape[i]) if wanted is None else wanted):
            return False
    return len(shape) == len(dims)


def _at_home(value: Tensor, call: Call) -> bool:
    """Whether it is a plain tensor and, where a Module is asked, of the dtype and on the device of its weights."""
    if value.layout != torch.strided or value.is_nested:
        return False
    owner = call[""].get("self")
    own = weight(owner) if isinstance(owner, nn.Module) and "_modules" in vars(owner) else None
    if own is None:
        return not value.is_meta
    alike = value.dtype == own.dtype or not value.is_floating_point() or torch.is_autocast_enabled(value.device.type)
    return alike and value.device == own.device


def _label(optional: bool) -> Rule:
    """What a model is told beside x. An int stands for that class n times, where n are to be drawn; where labels are
    optional, −1 and a row of NaN stand for none."""

    def take(value: Any, call: Call) -> Any:
        n_classes, n_condition = (getattr(call[""]["self"], name, None) for name in ("n_classes", "n_condition"))
        if value is None:
            return None if optional or not (n_classes or n_condition) else NO
        B, low = call[""].get("n", call.get("B")), -1 if optional else 0
        if isinstance(value, int) and not isinstance(value, bool) and n_classes and "n" in call[""]:
            if not low <= value < n_classes:
                return NO
            like = weight(call[""]["self"])
            value = torch.full((B,), value, device=None if like is None else like.device)
        if not isinstance(value, Tensor) or not _at_home(value, call) or not value.dim():
            return NO
        if B is None:  # where the label comes first, as in D(label, y), it says how many there are
            B = call["B"] = len(value)
        if n_condition and not n_classes:
            fits = value.is_floating_point() and value.shape == (B, n_condition)
            return value if fits and (optional or not _visible(value, call) or _finite(value, call)) else NO
        if not n_classes or value.dtype != torch.int64 or value.shape != (B,):
            return NO
        within = _within(f"[{low}, {n_classes - 1}]")
        return value if not _visible(value, call) or within(value, call) else NO

    def expected(call: Call) -> str:
        n_classes, n_condition = (getattr(call[""]["self"], name, None) for name in ("n_classes", "n_condition"))
        if not n_classes and not n_condition:
            return "None, for this model was built without n_classes or n_condition"
        none = ", or None" if optional else ""
        B = call[""].get("n", call.get("B", "B"))
        if not n_classes:
            return f"a float tensor of shape ({B}, {n_condition}){_own(call)}{none}"
        return f"classes 0..{n_classes - 1}{', -1 for none' * optional}, an int64 tensor of shape ({B},){none}"

    return expected, take


def _finite(value: Tensor, call: Call) -> bool:
    value = value.detach()
    return math.isfinite(value.sum()) or bool(torch.isfinite(value).all())  # a sum alone might overflow


def _within(interval: str) -> Callable[[Tensor, Call], bool]:
    fits = _number(float, interval)[1]

    def inside(value: Tensor, call: Call) -> bool:
        return not value.numel() or NO not in [fits(end, call) for end in value.detach().aminmax()]

    return inside


def _visible(value: Tensor, call: Call) -> bool:
    """Whether looking at values is free, or wanted, and is allowed: not inside of `vmap`, `grad` and the like."""
    free = value.device.type == "cpu" or (LOOK in call and not value.is_meta)
    return free and torch._C._functorch.peek_interpreter_stack() is None


def _reader(text: str) -> Any:
    """What is written in an annotation: a number, or None for a name; of "{self.dim}" a function of the call."""
    if text[0] == "{":
        name, _, attributes = text.strip("{}").partition(".")
        get = operator.attrgetter(attributes) if attributes else lambda value: value
        return lambda call: get(call[""][name])
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return None


def _read(end: Any, call: Call) -> float:
    return end(call) if callable(end) else end


# -- What is said


def _complain(name: str, rule: Rule, value: Any, call: Call) -> str:
    said = functools.partial(_said, call)
    expected = re.sub(r"\{[\w.]+\}", said, rule[0] if isinstance(rule[0], str) else rule[0](call))
    known = re.findall(r"'([\w.]+)'", expected)
    near = difflib.get_close_matches(value, known, n=1) if isinstance(value, str) else []
    return f"{name}: expected {expected}, got {_came(value)}" + "".join(f". Did you mean {meant!r}?" for meant in near)


def _said(call: Call, path: re.Match[str]) -> str:
    value = _reader(path[0])(call)
    return "..." if value is ... else str(value).strip("(,)")


def _came(value: Any) -> str:
    """What came, in short."""
    if not isinstance(value, Tensor):
        try:
            text = repr(value)
        except Exception:
            text = ""
        plain = value is None or isinstance(value, bool | int | float | str | tuple | list)
        return text if plain and len(text) <= 60 else type(value).__name__
    words = [str(value.dtype).removeprefix("torch.")]
    words.append("(nested)" if value.is_nested else f"of shape {tuple(value.shape)}")
    if value.device.type != "cpu":
        words.append(f"on {value.device}")
    if value.layout != torch.strided:
        words.append(f"({value.layout})")
    elif value.numel() and not value.is_nested and _visible(value, {}) and str(value.dtype)[6:] in FLOATS + INTS:
        finite = value.is_floating_point() and not _finite(value, {})
        words.append("with NaN or infinite values" if finite else f"with values {value.min():g}..{value.max():g}")
    return " ".join(words)
