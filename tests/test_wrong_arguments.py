"""All that is public, with one argument after the other replaced by something wrong or odd.

Each call must give a result or a `ValueError` that names the argument; never another error, never a result from what
the annotation has no place for. What means the same as the right argument must give the same result.

WRONG_ARGUMENTS=10 in the environment tries ten times as many.
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
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_values import FREE, ODD, SAME, Make
from right_arguments import RIGHT
from torch import Tensor, nn

from gencourse import plots
from genlib import autoencoder, data, diffusion, flows, gan, metrics, train

TIMES = float(os.environ.get("WRONG_ARGUMENTS", "1"))
CASES = {"plots": 2}  # of each parameter; elsewhere 5, but drawing takes its time
PATIENCE, MEMORY = 30, 2 << 30  # seconds and bytes for one call; more is a hang
PACKAGES = (data, metrics, diffusion, flows, flows.masks, gan, autoencoder, train, plots)
# Records hold what they are given; these names are for those who write a class or decorate a function of their own.
RECORDS = ("Images", "Pairs", "Row", "DigitsReport", "ModeCoverage", "Bound", "Denoised")
RECORDS += ("Interrupted", "NotFiniteError")
# What genlib calls with arguments that it has checked, and what a sampler of one's own is made of.
INSIDE = r"diffusion\.(sampler|DDPM\.(forward|guess|step_back|check_shape|[gs]et_extra_state)|Chain\.\w+)"
INSIDE += r"|flows\.AffineCoupling\.log_s_and_shift|train\.History(\.append)?"
# What an argument consists of, or becomes, under which name it may be refused.
PARTS = {"batch": ("x", "y", "label", "levels"), "x": ("z", "net"), "z": ("x", "net")}
PARTS |= {"data": ("batch", *PARTS["batch"]), "settings": ("title",), "columns": ("values",)}
SLOW = {"seconds"}  # a large one is right, and takes as long


# -- What is public


class Target(NamedTuple):
    name: str  # such as "data.Moons.sample"
    owner: str  # whose right arguments it takes: "data.Moons"
    function: Callable[..., Any]  # of the class, if it is a method
    method: bool


def public() -> Iterator[Target]:
    seen = set()
    for package in PACKAGES:
        short = package.__name__.partition(".")[2]
        names = getattr(package, "__all__", None) or [n for n in vars(package) if _is_own(package, n)]
        for name in names:
            thing, owner = getattr(package, name), f"{short}.{name}"
            if inspect.isclass(thing) and name not in RECORDS and not getattr(thing, "_is_protocol", False):
                yield Target(owner, owner, thing, False)
                for part, function in _methods(thing):
                    if inspect.unwrap(function) not in seen:
                        seen.add(inspect.unwrap(function))
                        bound = isinstance(inspect.getattr_static(thing, part), classmethod | staticmethod)
                        yield Target(f"{owner}.{part}", owner, getattr(thing, part) if bound else function, not bound)
            elif inspect.isfunction(thing):
                yield Target(owner, owner, thing, False)


def _is_own(module: types.ModuleType, name: str) -> bool:
    thing = getattr(module, name)
    return name[0] != "_" and inspect.isfunction(thing) and thing.__module__ == module.__name__


def _methods(kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in dir(kind):
        base = next((base for base in kind.__mro__ if name in vars(base)), kind)
        thing = inspect.getattr_static(kind, name)
        function = getattr(thing, "__func__", thing)
        own = base.__module__.startswith(("genlib", "gencourse"))
        if name[0] != "_" and own and inspect.isfunction(function):
            yield name, function


TARGETS = {target.name: target for target in public() if not re.fullmatch(INSIDE, target.name)}


# -- Right calls


def right_call(target: Target) -> tuple[Callable[..., Any], dict[str, Any], list[str]]:
    """The function, its arguments, and the names of those that can be replaced."""
    torch.manual_seed(0)
    known = RIGHT.get(target.owner, dict)()
    function = target.function
    if target.method:
        make = known.get("self")
        kind = _class(target)
        thing = make() if make else kind(**_some(kind, known))
        function = function.__get__(thing)
    arguments, parameters = _some(function, known), _parameters(function)
    more = known.get("**", {}) if any(p.kind is p.VAR_KEYWORD for p in parameters.values()) else {}
    return function, {**arguments, **more}, [*(n for n, p in parameters.items() if p.kind is not p.VAR_KEYWORD), *more]


def _class(target: Target) -> Any:
    package, _, name = target.owner.rpartition(".")
    return getattr(next(p for p in PACKAGES if p.__name__.endswith(package)), name)


def _some(function: Callable[..., Any], known: dict[str, Any]) -> dict[str, Any]:
    parameters = _parameters(function).values()
    missing = [p.name for p in parameters if p.default is p.empty and p.kind in KINDS and p.name not in known]
    assert not missing, f"tests/right_arguments.py has no {', '.join(missing)} for {function}"
    return {p.name: known[p.name] for p in parameters if p.name in known}


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    own = getattr(function, "__init__", None) if inspect.isclass(function) else function
    return {} if own is nn.Module.__init__ else inspect.signature(function).parameters


KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_POSITIONAL)


def called(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """The result; what comes one after the other, in a list."""
    star = [p.name for p in _parameters(function).values() if p.kind is p.VAR_POSITIONAL]
    torch.manual_seed(0)
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
    if hint is type(None):
        return value is not None
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
    function, arguments, _ = right_call(target)
    try:
        value = make(arguments.get(name))
    except (TypeError, ValueError, RuntimeError, IndexError, KeyError):
        return None  # there is no such variant of it
    if name in SLOW and isinstance(value, int | float) and not value <= 0.01:
        return None
    typed = inspect.unwrap(function.__init__ if inspect.isclass(function) else function)  # type: ignore[misc]
    hint = typing.get_type_hints(typed, include_extras=True).get(name, Any)
    theirs = callable(value) and re.search("Callable|Module", str(hint))  # a function may raise and give what it likes
    try:
        result = called(function, {**arguments, name: value})
    except ValueError as error:
        # Two arguments may not go together any more: then either is named. x_or_label is one of the two, beta_1 a beta.
        first = str(error).partition(":")[0]
        named = re.search(rf"\b{name}\b", str(error)) or first in {*arguments, *name.split("_"), *PARTS.get(name, ())}
        return None if named or theirs else f"does not name it: {error}"
    except (train.NotFiniteError, OSError) as error:
        return None if name in ("path", "data", "objective", "checkpoint") else f"{type(error).__name__}: {error}"
    except (Exception, Hang) as error:
        return None if theirs else f"{type(error).__name__}: {str(error)[:200]}"
    if has_no_place(hint, value):
        return f"taken in silence, gives {type(result).__name__}"
    if kind in SAME and name in arguments and not alike(result, called(*right_call(target)[:2])):
        return "another result than from the same value"
    return None


def alike(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape:
        return bool(torch.isclose(a.double(), b.double(), rtol=1e-3, atol=1e-5, equal_nan=True).all())
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, float):
        return math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-5) or (math.isnan(a) and math.isnan(b))
    return type(a) is type(b)


@pytest.fixture(autouse=True, scope="module")
def _aside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Files are written elsewhere, warnings are no matter, and what hangs is interrupted."""

    def hang(*_: Any) -> None:
        raise Hang(f"no answer in {PATIENCE} seconds")

    before, old, limits = os.getcwd(), signal.signal(signal.SIGALRM, hang), resource.getrlimit(resource.RLIMIT_AS)
    os.chdir(tmp_path_factory.mktemp("odd"))
    if sys.platform == "linux":  # what asks for more has not refused a size
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, limits[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    resource.setrlimit(resource.RLIMIT_AS, limits)
    signal.signal(signal.SIGALRM, old)
    os.chdir(before)


@pytest.mark.parametrize("name", TARGETS)
def test_a_wrong_argument_is_refused_by_name(name: str) -> None:
    target = TARGETS[name]
    function, arguments, names = right_call(target)
    called(function, arguments)  # it is right
    values = st.one_of(
        st.sampled_from([*ODD, *SAME]).map(lambda kind: (kind, {**ODD, **SAME}[kind])),
        FREE.map(lambda value: (repr(value), lambda _: value)),
    )

    cases = int(CASES.get(name.partition(".")[0], 5) * TIMES * len(names))

    @settings(max_examples=max(1, cases), derandomize=True, database=None, deadline=None)
    @given(st.sampled_from(names or [""]), values)
    def refused(parameter: str, odd: tuple[str, Make]) -> None:
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        complaint = attempt(target, parameter, *odd) if parameter else None
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert complaint is None, f"{name}({parameter}={odd[0]}): {complaint}"

    refused()
