"""All that is public, with one argument after the other replaced by something wrong or odd.

Each call must give a result, without NaN, or a `ValueError` that names the argument; never another error, never a
result from what the annotation has no place for. What means the same as the right argument must give the same result,
and what a class makes of an odd argument must work. A function or a foreign Module that is handed over may raise and
give what it likes: that is not genlib's to refuse.

WRONG_ARGUMENTS=10 in the environment tries ten times as many, others every time; --hypothesis-seed=N repeats them.
"""

import inspect
import math
import os
import re
import resource
import signal
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from odd_values import FREE, ODD, SAME, Make
from right_arguments import RIGHT
from torch import Tensor

from gencourse import plots
from genlib import autoencoder, data, diffusion, flows, gan, metrics, train

TIMES = os.environ.get("WRONG_ARGUMENTS")
CASES = {"plots": 3}  # of each parameter; elsewhere 5, but drawing takes its time
PATIENCE, MEMORY = 30, 2 << 30  # seconds and bytes for one case; more is a hang
PACKAGES = (data, metrics, diffusion, flows, flows.masks, gan, autoencoder, train, plots)
# Records hold what they are given; these names are for those who write a class or decorate a function of their own.
RECORDS = ("EmojiName", "Images", "Pairs", "Row", "DigitsReport", "ModeCoverage", "Bound", "Denoised")
RECORDS += ("Interrupted", "NotFiniteError")
# What genlib calls with arguments that it has checked, and what a sampler of one's own is made of.
INSIDE = r"diffusion\.(sampler|DDPM\.(forward|guess|step_back|check_shape|[gs]et_extra_state)|Chain\.\w+)"
# What asks the network is asked wrongly in tests/test_data_loaders.py.
INSIDE += r"|data\.(mnist|fashion_mnist|cifar10|facades|edges2shoes|DownloadError)"
INSIDE += r"|flows\.AffineCoupling\.log_s_and_shift|train\.History(\.append)?"
# What an argument consists of, or becomes, under which name it may be refused; `figure` draws panels.
PARTS = {"batch": ("x", "y", "label", "levels"), "x": ("z", "net"), "z": ("x", "net")}
PARTS |= {"data": ("batch", *PARTS["batch"]), "settings": ("title",), "columns": ("values",)}
SLOW = {"seconds"}  # a large one is right, and takes as long


# -- What is public


class Target(NamedTuple):
    owner: str  # whose right arguments it takes, such as "data.Moons"
    function: Callable[..., Any]  # a class, a function, or a method
    kind: Any = None  # the class of the object that the method needs


def public() -> Iterator[tuple[str, Target]]:
    """Such as ("data.Moons.sample", ...). What is inherited comes once, with the first class that has it."""
    seen = set()
    for package in PACKAGES:
        short = package.__name__.partition(".")[2]
        own = [name for name, thing in vars(package).items() if getattr(thing, "__module__", "") == package.__name__]
        for name in getattr(package, "__all__", own):
            thing, owner = getattr(package, name), f"{short}.{name}"
            if name in RECORDS or getattr(thing, "_is_protocol", False) or not is_ours(thing):
                continue
            yield owner, Target(owner, thing)
            for part in dir(thing) if inspect.isclass(thing) else ():
                method = getattr(thing, part)
                code = inspect.unwrap(getattr(method, "__func__", method))
                if part[0] != "_" and is_ours(method) and code not in seen:
                    seen.add(code)
                    alone = isinstance(inspect.getattr_static(thing, part), classmethod | staticmethod)
                    yield f"{owner}.{part}", Target(owner, method, None if alone else thing)


def is_ours(thing: Any) -> bool:
    return callable(thing) and (getattr(thing, "__module__", "") or "").startswith(("genlib", "gencourse"))


TARGETS = {name: target for name, target in public() if not re.fullmatch(INSIDE, name)}


# -- Right calls


def right_call(target: Target, thing: Any = None) -> tuple[Callable[..., Any], dict[str, Any], dict[str, Any]]:
    """The function, its arguments, and all that could be, with the defaults; a method's of `thing`, if given."""
    torch.default_generator.manual_seed(0)
    known, function = RIGHT.get(target.owner, dict)(), target.function
    if target.kind:
        make = known.get("self", lambda: target.kind(**some(target.kind, known)))
        function = getattr(make() if thing is None else thing, target.function.__name__)
    arguments, defaults = some(function, known), {}
    for p in parameters(function):
        if p.kind is p.VAR_KEYWORD:
            arguments |= known.get("more", {})
        else:
            defaults[p.name] = p.default
    return function, arguments, {**defaults, **arguments}


def some(function: Callable[..., Any], known: dict[str, Any]) -> dict[str, Any]:
    needed = [p.name for p in parameters(function) if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    missing = set(needed) - known.keys()
    assert not missing, f"tests/right_arguments.py has no {', '.join(missing)} for {function}"
    return {p.name: known[p.name] for p in parameters(function) if p.name in known}


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    own = function.__init__ if inspect.isclass(function) else function  # type: ignore[misc]
    return list(inspect.signature(function).parameters.values()) if is_ours(own) else []  # nn.Module's takes *args


def called(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """The result; what comes one after the other, in a list."""
    star = [p.name for p in parameters(function) if p.kind is p.VAR_POSITIONAL]
    torch.default_generator.manual_seed(0)
    result = function(*[arguments[name] for name in star], **{k: v for k, v in arguments.items() if k not in star})
    if isinstance(result, plots.Panel):
        return plots.figure(result, alt="one panel").png
    return list(result) if isinstance(result, Iterator) else result


# -- What an annotation has no place for


def has_no_place(hint: Any, value: Any) -> bool:
    """Whether a value is of no kind that the annotation names: only what is beyond doubt."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return has_no_place(inner[0], value)
    if origin in (Union, types.UnionType):
        return all(has_no_place(option, value) for option in inner)
    if origin is Literal:
        return not any(type(value) is type(choice) and value == choice for choice in inner)
    if hasattr(hint, "dim_str"):
        plain = isinstance(value, Tensor) and value.layout == torch.strided and not value.is_nested
        return not plain or str(value.dtype)[6:] not in hint.dtypes
    if origin in (Sequence, tuple):
        rows = isinstance(value, Tensor | np.ndarray) and value.ndim == 1
        return not rows and (isinstance(value, str | bytes | bytearray) or not isinstance(value, Sequence))
    if hint in (int, float):
        number = isinstance(value, int | float | np.number | Decimal | Fraction | Tensor | np.ndarray)
        return not number or isinstance(value, bool) or (hint is int and isinstance(value, float | Decimal | Fraction))
    if hint is bool:
        return not isinstance(value, bool | np.bool_)
    kind = origin or hint
    if getattr(kind, "__name__", "") in ("Callable", "Iterable"):
        return not (callable(value) or isinstance(value, Iterable))
    named = inspect.isclass(kind) and kind not in (object, Any) and not getattr(kind, "_is_protocol", False)
    return named and not isinstance(value, kind)


# -- The attempt


class Hang(BaseException):
    pass


def attempt(target: Target, name: str, kind: str, make: Make) -> str | None:
    """What is wrong with how it takes this value; None if nothing is."""
    function, arguments, all_of_them = right_call(target)
    try:
        value = make(all_of_them[name])
    except (TypeError, ValueError, RuntimeError, IndexError, KeyError):
        return None  # there is no such variant of it
    if name in SLOW and isinstance(value, int | float) and not value <= 0.01:
        return None
    typed = inspect.unwrap(function.__init__ if inspect.isclass(function) else function)  # type: ignore[misc]
    hint = typing.get_type_hints(typed, include_extras=True).get(name, Any)
    theirs = callable(value) and re.search("Callable|Module", str(hint))
    try:
        result = called(function, {**arguments, name: value})
        results = [result, *used(target.owner, result)] if inspect.isclass(function) else [result]
        repr(results)
    except ValueError as error:
        # Two arguments may not go together any more: then either is named. x_or_label is one of the two, beta_1 a beta.
        others = {*arguments, *name.split("_"), *PARTS.get(name, ()), "panels"}
        named = re.search(rf"\b{name}\b", str(error)) or str(error).partition(":")[0] in others
        return None if named or theirs else f"does not name it: {error}"
    except (train.NotFiniteError, OSError) as error:
        return None if name in ("path", "data", "objective", "checkpoint") else f"{type(error).__name__}: {error}"
    except (Exception, Hang) as error:
        return None if theirs else f"{type(error).__name__}: {str(error)[:200]}"
    if has_no_place(hint, value):
        return f"taken in silence, gives {type(result).__name__}"
    if has_nan(results) and not has_nan(value) and not theirs:
        return f"gives NaN: {results}"
    if kind in SAME and not alike(result, called(*right_call(target)[:2])):
        return "another result than from the same value"
    return None


def used(owner: str, thing: Any) -> list[Any]:
    """What the methods of an object give; they may refuse what it was not made for."""
    results = []
    for method in TARGETS.values():
        if method.owner == owner and method.kind:
            with suppress(ValueError):
                results.append(called(*right_call(method, thing)[:2]))
    return results


def has_nan(x: Any) -> bool:
    if isinstance(x, tuple | list):
        return any(map(has_nan, x))
    if isinstance(x, Tensor | np.ndarray):
        return not x.is_meta and x.is_floating_point() and bool(x.isnan().any()) if isinstance(x, Tensor) else False
    return isinstance(x, float) and math.isnan(x)


def alike(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape:
        return bool(torch.isclose(a.double(), b.double(), rtol=1e-3, atol=1e-5).all())
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, float):
        return math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-5)
    return type(a) is type(b)


@pytest.fixture(autouse=True, scope="module")
def _aside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Files are written elsewhere, and what hangs is interrupted."""

    def hang(*_: Any) -> None:
        raise Hang(f"no answer in {PATIENCE} seconds")

    before, old, limits = os.getcwd(), signal.signal(signal.SIGALRM, hang), resource.getrlimit(resource.RLIMIT_AS)
    os.chdir(tmp_path_factory.mktemp("odd"))
    if sys.platform == "linux":  # what asks for more has not refused a size
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)
    signal.signal(signal.SIGALRM, old)
    os.chdir(before)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TARGETS)
def test_a_wrong_argument_is_refused_by_name(name: str) -> None:
    target = TARGETS[name]
    function, arguments, all_of_them = right_call(target)
    assert not has_nan(called(function, arguments)), "this was to be right"
    if not all_of_them:
        return
    odd = [*ODD.items(), *SAME.items()]
    free = FREE.map(lambda value: (repr(value), lambda _: value))
    cases = CASES.get(name.partition(".")[0], 5) * len(all_of_them) * float(TIMES or 1)

    @settings(max_examples=round(cases), derandomize=not TIMES, database=None, phases=[Phase.generate])
    @given(st.sampled_from(list(all_of_them)), st.one_of(st.sampled_from(odd), free))
    def refused(argument: str, odd: tuple[str, Make]) -> None:
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        complaint = attempt(target, argument, *odd)
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert complaint is None, f"{name}({argument}={odd[0]}): {complaint}"

    refused()
