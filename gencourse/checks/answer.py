"""A student's function, called with care.

`Answer` hands the function copies of its arguments, and looks at every output before a check sees it: is it there, a
tensor, of the right shape and precision, finite, and are the arguments unchanged?
"""

import dis
import itertools
import linecache
import sysconfig
import types
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Generator, Tensor

import gencourse
import genlib
from gencourse.checks import limit
from gencourse.checks.causes import error_hint, order_hint, shape_hint
from gencourse.checks.compare import at, copies, difference, in_short, same, two_numbers
from gencourse.checks.content import content
from gencourse.checks.diagnose import TOL, Call, diagnose, foreign
from gencourse.checks.limit import TooLong, TooMuch, limited
from gencourse.checks.spec import Check, Exercise

PLACES = [sysconfig.get_path(place) for place in ("stdlib", "purelib", "platlib")]
ELSEWHERE = (11, 12, 13)  # seeds of the other numbers on which a mistake has to fit
LIBRARIES = tuple(str(Path(place)) for place in (*PLACES, *genlib.__path__, *gencourse.__path__))


class Wrong(Exception):  # noqa: N818 (a finding, not an error)
    """A check failed. `found` holds the fields of a `Result` that are known where it failed."""

    def __init__(self, mistake: str, hint: str, **found: Any) -> None:
        super().__init__(mistake)
        self.found = {"mistake": mistake, "hint": hint, **found}


class Unattempted(Exception):  # noqa: N818
    """The stub itself answered: nothing was returned yet."""


@dataclass(eq=False)
class Answer(Call):
    """What a check calls. `answer(x, t)` gives outputs that are whole; `gives` and `agrees` compare their values."""

    given: tuple[Any, ...] = ()  # the copies of the latest call's arguments that the function got
    fallback: str = ""  # the hint of the check at work, for mistakes that nobody foresaw
    _check: Check | None = None
    _calls: int = 0  # in the check at work
    _printed: str = ""
    _returned: bool = False

    def begins(self, check: Check) -> None:
        """The next check is at work."""
        self.fallback, self._check, self._calls = check.hint, check, 0

    def elsewhere(self) -> list[tuple[Any, ...]]:
        """What the check at work calls the answer with, at the same place, on other numbers."""
        if self._check is None:
            return []
        check, n = self._check, self._calls - 1
        return [args for seed in ELSEWHERE for args in asked(self.exercise, check, seed)[n : n + 1]]

    def everywhere(self) -> list[tuple[Any, ...]]:
        """What each check calls the answer with at first."""
        return [args for check in self.exercise.checks for args in asked(self.exercise, check, ELSEWHERE[0])[:2]]

    def __call__(self, *args: Any) -> Any:
        """The student's output on copies of `args`: one tensor, or a tuple where the exercise returns several."""
        self.args, self.outputs = args, ()
        self._calls += 1
        self.given = copies(args)
        raw = self.exercise.seen(self._call(), self.given)
        self._unchanged()
        self.outputs = self._whole(raw, self.exercise.truth(args))
        return self.outputs[0] if len(self.outputs) == 1 else self.outputs

    def gives(self, args: Sequence[Any], *expected: Tensor, tol: float = TOL) -> None:
        """Called on `args`, the answer is `expected`, one tensor for each thing returned."""
        self(*args)
        for name, want, got in zip(self.exercise.returns, expected, self.outputs, strict=True):
            self.agrees(name, want, got, tol)

    def keeps_dtype(self, of: str) -> None:
        """The latest outputs have the dtype of an argument, as the docstring of the exercise says."""
        want = self.args[self.exercise.parameters.index(of)].dtype
        for name, output in zip(self.exercise.returns, self.outputs, strict=True):
            if output.dtype != want:
                hint = f"{name} is to have the dtype of {of}: make tables with dtype={of}.dtype, or convert at the end."
                self.wrong("dtype", hint, expected=f"{name}: {want}", got=f"{name}: {output.dtype}")

    def passes_back(self, *of: str, hint: str = "", not_finite: str = "", tol: float = 1e-8) -> None:
        """The latest outputs, added up, have genlib's own gradients over these arguments, which asked for some."""
        for name in of:
            found = self._gradient(self.outputs, self.given, name)
            given = copies(self.args)
            expected = self._gradient(self.exercise.outputs(self.exercise.own(*given)), given, name)
            apart = difference(expected, found, tol)
            if apart is None:
                continue
            want, have = two_numbers(apart.expected + 0.0, apart.got)  # no −0
            total = " + ".join(f"Σ {output}" for output in self.exercise.returns)
            where = at(f"∂({total})/∂{name}" if len(self.outputs) > 1 else f"∂{total}/∂{name}", apart.index)
            mistake, why = "detached", "The value is right, its gradient is not: is a part of the way detached?"
            if not found.isfinite().all():
                mistake, hint = "nan_gradient", not_finite
                why = (
                    "The value is right, its gradient is not finite: torch.where differentiates both its branches, and "
                    "0 · ∞ is no number. Which function is safe everywhere, without a case?"
                )
            self.wrong(mistake, hint or why, expected=f"{where} = {want}", got=f"{where} = {have}")

    def _gradient(self, outputs: tuple[Tensor, ...], given: tuple[Any, ...], of: str) -> Tensor:
        argument = given[self.exercise.parameters.index(of)]
        total = torch.stack([output.sum() for output in outputs]).sum()
        if not total.requires_grad:
            return torch.zeros_like(argument)
        try:
            (found,) = torch.autograd.grad(total, argument, retain_graph=True, allow_unused=True)
        except RuntimeError as error:
            hint = error_hint(error, said(error), {})
            if not hint:
                raise
            self.wrong("in_place", f"What comes back cannot be differentiated. {hint}", error=f"RuntimeError: {error}")
        return torch.zeros_like(argument) if found is None else found

    def agrees(self, name: str, expected: Tensor, got: Tensor, tol: float = TOL) -> None:
        """A number made from the latest outputs, or an output itself, is as expected."""
        found = difference(expected, got, tol)
        if found is None:
            return
        want, have = two_numbers(found.expected, found.got)
        where = at(name, found.index)
        mistake, hint = diagnose(self)
        self.wrong(
            mistake,
            hint or self.fallback,
            expected=f"{where} = {want}",
            got=f"{where} = {have}"
            + (f"   (differs at {found.count} of {found.size} places)" if found.size > 1 else ""),
        )

    def wrong(self, mistake: str, hint: str, **found: Any) -> NoReturn:
        """End the check: the answer is wrong, on the arguments of the latest call."""
        names = self.exercise.parameters
        inputs = tuple((name, in_short(value)) for name, value in zip(names, self.args, strict=True))
        raise Wrong(mistake, hint, inputs=inputs, printed=self._printed, **found)

    def _call(self) -> Any:
        weights = [weight for arg in self.given if isinstance(arg, torch.nn.Module) for weight in arg.parameters()]
        asked, frozen = [weight.requires_grad for weight in weights], False
        try:
            with limited() as page:
                raw = self.function(*self.given)
        except TooLong as error:
            self._printed = _shortened(page.getvalue())
            self.wrong(
                "endless",
                "Does every loop come to its end? Look at what should stop it, and whether that ever changes. Or is "
                "the same work done again and again, where what is there already could be used?",
                expected="an answer within some milliseconds",
                got=f"none after {error.args[0]:g} s; it was stopped at\n{students_line(error).text}".rstrip(),
            )
        except TooMuch as error:
            self._printed = _shortened(page.getvalue())
            self.wrong(
                "prints_without_end",
                "It prints more than anybody reads. Is a print inside a loop that does not come to its end?",
                expected="an answer, and a few lines of print at most",
                got=f"{limit.LETTERS:,} letters printed; it was stopped at\n{students_line(error).text}".rstrip(),
            )
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            place = students_line(error)
            self._printed = _shortened(page.getvalue())
            if isinstance(error, NotImplementedError) and place.by_raise and not self._returned:
                raise Unattempted from None
            arguments = dict(zip(self.exercise.parameters, self.args, strict=True))
            mistake, hint = foreign(self) or ("error", error_hint(error, said(error), arguments, self.fallback))
            self.wrong(mistake, hint, error=f"{type(error).__name__}: {said(error)}\n{place.text}".strip())
        finally:
            for weight, before in zip(weights, asked, strict=True):
                frozen |= weight.requires_grad != before
                weight.requires_grad_(before)
        self._printed = _shortened(page.getvalue())
        self._returned = True
        if frozen:
            self.wrong(
                "frozen",
                "A network's weights ask for no gradients after the call: requires_grad_(False) holds until somebody "
                "undoes it. Who does?",
                expected="requires_grad of all weights as it was",
                got="requires_grad = False somewhere",
            )
        return raw

    def _unchanged(self) -> None:
        for name, before, after in zip(self.exercise.parameters, self.args, self.given, strict=True):
            if isinstance(before, Tensor) and not same(before, after):
                self.wrong(
                    "in_place",
                    f"The argument {name} belongs to the caller, and was changed in place. Methods that end in an "
                    "underscore, and *=, += and [...] =, write into their tensor: make a new one.",
                    expected=f"{name} unchanged: {in_short(before)}",
                    got=f"{name} after the call: {in_short(after)}",
                )

    def _whole(self, raw: Any, own: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The outputs, each a finite tensor of the right shape and precision."""
        returns, shown = self.exercise.returns, in_short(raw)
        if isinstance(raw, tuple | list):
            raw = tuple(self.exercise.tensor(output) for output in raw)
        else:
            raw = self.exercise.tensor(raw)
        if raw is None:
            hint = "Nothing came back. Is there a return, on every way through the function?"
            self.wrong("none", hint, expected=", ".join(returns), got="None")
        outputs = (raw,) if len(returns) == 1 else raw
        if len(returns) > 1 and not (isinstance(raw, tuple | list) and len(raw) == len(returns)):
            hint = f"Return {len(returns)} tensors, in this order: {', '.join(returns)}."
            self.wrong("count", hint, expected=f"{len(returns)} tensors", got=shown)
        for name, output in zip(returns, outputs, strict=True):
            if not isinstance(output, Tensor):
                hint = f"{name} is to be a torch tensor, so that the cells below can compute with it."
                if output is None:
                    hint = f"{name} is None. Has what should make it run at all, and is there a way that is not cut?"
                if isinstance(output, tuple | list) and any(isinstance(part, Tensor) for part in output):
                    hint = (
                        f"One tensor was asked for, {name}, and a {type(output).__name__} came. Is one of its entries "
                        "it, or are all of them, made one tensor by torch.tensor or torch.stack?"
                        if len(output) > 1
                        else f"{name} came in a tuple of one: autograd.grad returns such a one, and so does a comma "
                        "at the end of a line."
                    )
                self.wrong("type", hint, expected=f"{name}: a tensor", got=f"{name}: {shown}")
            if output.layout is not torch.strided or output.is_meta:
                hint = f"{name} is to be an ordinary tensor, with all its numbers in memory."
                self.wrong("type", hint, expected=f"{name}: a dense tensor", got=f"{name}: {shown}")

        outputs = self.exercise.outputs(tuple(outputs))
        self.outputs = outputs
        floats = [a.dtype for a in self.args if isinstance(a, Tensor) and a.is_floating_point()]
        least = min((torch.finfo(dtype).bits for dtype in floats), default=32)
        for name, output, like in zip(returns, outputs, own, strict=True):
            if output.shape != like.shape:
                mistake, hint = diagnose(self, named_only=True)
                shape, wanted = tuple(output.shape), tuple(like.shape)
                if not mistake:
                    mistake, hint = foreign(self) or ("shape", "")
                orders = map(self.exercise.outputs, itertools.permutations(outputs))
                self.wrong(
                    mistake,
                    hint or order_hint(returns, orders, own) or shape_hint(name, shape, wanted),
                    expected=f"{name} of shape {wanted}",
                    got=f"{name} of shape {shape}",
                )
            if output.is_complex():
                self.wrong(
                    "complex",
                    f"{name} is made of complex numbers. The square of one is complex; its size, squared, is real.",
                    expected=f"{name}: torch.float{least}",
                    got=f"{name}: {output.dtype}",
                )
            if not output.is_floating_point() or torch.finfo(output.dtype).bits < least:
                precise = f"The arguments are more precise than {name}"
                if not output.is_floating_point():
                    precise = f"{name} holds {'yes and no' if output.dtype is torch.bool else 'whole numbers'} here"
                self.wrong(
                    "dtype",
                    f"{precise}. New tensors come from old ones: x.new_ones(...), "
                    "torch.zeros_like(x), or dtype=x.dtype.",
                    expected=f"{name}: torch.float{least}",
                    got=f"{name}: {output.dtype}",
                )
            if not output.isfinite().all() and like.isfinite().all():
                mistake, hint = diagnose(self, named_only=True)
                index = tuple(int(i) for i in (~output.isfinite()).nonzero()[0])
                self.wrong(
                    mistake or "not_finite",
                    hint
                    or "Somewhere a number is divided by 0, a root or a logarithm is taken of a negative one, or an "
                    "exp grows too large.",
                    expected="finite numbers",
                    got=f"{at(name, index)} = {float(output[index])}",
                )
        return outputs


@dataclass(eq=False)
class _Own(Answer):
    """genlib's version in the answer's place, which notes what it is called with."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def __call__(self, *args: Any) -> Any:
        self.calls.append(copies(args))
        return super().__call__(*args)


def asked(exercise: Exercise, check: Check, seed: int) -> list[tuple[Any, ...]]:
    """What a check calls genlib's version with; asked again where an answer may have changed it since."""
    key = exercise, check, seed
    calls, as_it_was = _asked.get(key, ([], []))
    if not calls or [content(args) for args in calls] != as_it_was:
        own = _Own(exercise, exercise.own)
        torch.manual_seed(seed)
        check.function(own, Generator().manual_seed(seed))
        calls, as_it_was = own.calls, [content(args) for args in own.calls]
        if None not in as_it_was:
            _asked[key] = calls, as_it_was
    return calls


_asked: dict[tuple[Exercise, Check, int], tuple[list[tuple[Any, ...]], list[Hashable]]] = {}


class Place(NamedTuple):
    """Where in the student's code an exception came from; `by_raise`: thrown by a `raise` that stands there."""

    text: str
    by_raise: bool


def students_line(error: BaseException) -> Place:
    """The innermost line that is not a library's, and whether a `raise` written there threw the error.

    (torch throws NotImplementedError of its own, for instance for a dtype that an operation lacks.)
    """
    steps: list[types.TracebackType] = []
    step = error.__traceback__
    while step is not None:
        steps.append(step)
        step = step.tb_next
    theirs = [s for s in steps if not _is_library(s.tb_frame.f_code.co_filename)]
    if not theirs:
        return Place("", False)
    last = theirs[-1]
    code = last.tb_frame.f_code
    where = "of the cell" if "ipython" in code.co_filename or "ipykernel" in code.co_filename else "of the file"
    source = linecache.getline(code.co_filename, last.tb_lineno).strip()
    text = f"line {last.tb_lineno} {where}, in {code.co_name}" + (f": {source}" if source else "")
    return Place(text, last is steps[-1] and code.co_code[last.tb_lasti] == dis.opmap["RAISE_VARARGS"])


def said(error: BaseException) -> str:
    """An exception's message, cut; empty where it has none that can be read."""
    try:
        text = str(error)
    except Exception:
        return ""
    return text if len(text) <= 1000 else f"{text[:1000]} …"


def _is_library(filename: str) -> bool:
    return filename.startswith(("<frozen", *LIBRARIES))


def _shortened(text: str, lines: int = 8) -> str:
    kept = text.strip().splitlines()
    return "\n".join([*kept[:lines], "…"] if len(kept) > lines else kept)
