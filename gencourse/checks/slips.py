"""Slips: what comes out if the worked answer is written down with one thing wrong.

A slip is an edit of the worked answer's syntax tree: a sign turned, a root forgotten, an index one place too early, a
sum for a mean, one name for another, at one place or at all of its kind. Nobody has to foresee it in an exercise. What
it gives is compared with what the answer gives; its hint says what is wrong in the names of the exercise's arguments,
and not what belongs there instead.
"""

import ast
import contextlib
import inspect
import itertools
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from inspect import signature
from types import CodeType
from typing import Any, NamedTuple

from gencourse.checks.said import SHAPES, Inlined, Said, called
from gencourse.checks.slip_kinds import KINDS


class Slip(NamedTuple):
    hint: str
    function: Callable[..., Any]


class Edit(NamedTuple):
    """In a node's field, at an index where it is a list: another node."""

    parent: ast.AST
    field: str
    index: int | None
    new: ast.AST
    hint: str

    def make(self) -> ast.AST:
        """Put the new node in; gives the old one."""
        value = getattr(self.parent, self.field)
        if self.index is None:
            setattr(self.parent, self.field, self.new)
            return value
        old, value[self.index] = value[self.index], self.new
        return old


def slips(worked_answer: Callable[..., Any]) -> Iterator[Slip]:
    """Every slip in a worked answer, the likely ones first; none where it is not written out as a function."""
    worked = _worked(worked_answer)
    for k in range(len(worked.edits)):
        yield from worked.slip(k)


@cache
def _worked(answer: Callable[..., Any]) -> "_Worked":
    return _Worked(answer)


def _source(answer: Callable[..., Any]) -> ast.Module:
    """Its text as a tree; an empty one where there is none, or where it is no `def`."""
    with contextlib.suppress(OSError, SyntaxError):
        source = ast.parse(textwrap.dedent(inspect.getsource(answer)))
        if isinstance(function := source.body[0], ast.FunctionDef):
            function.decorator_list = []  # what is done with it is not done with its slips
            return source
    return ast.parse("def nothing(): pass")


class _Worked:
    """An exercise's worked answer, as it is written and with its names for parts written out, and all edits of both.

    An edit is one change, or the same one at all its places: where a part has a name, at all uses or at one alone.
    """

    def __init__(self, answer: Callable[..., Any]) -> None:
        source, parameters = _source(answer), tuple(signature(answer).parameters)
        tree = _function(source)
        self.name, self.scope = tree.name, dict(getattr(answer, "__globals__", {}))
        said = Said(parameters, tree)
        self.edits: list[tuple[ast.Module, Sequence[Edit]]] = []
        for module in (source, _written_out(source, said)):
            nodes = [
                node for node in _nodes(_function(module)) if module is source or not isinstance(node[-1], ast.Assign)
            ]
            for kind in KINDS:
                found = [
                    Edit(parent, field, index, ast.fix_missing_locations(new), hint)
                    for parent, field, index, node in nodes
                    for new, hint in kind(node, said)
                ]
                self.edits += [(module, [edit]) for edit in found]
                self.edits += [(module, edits) for edits in _everywhere(found)]
        self.edits += [(source, edits) for edits in _exchanged_names(parameters, list(_nodes(tree)))]
        self.compiled: dict[int, CodeType | None] = {}  # each is tried on answer after answer

    def slip(self, k: int) -> Iterator[Slip]:
        """The worked answer with the k-th of its edits; nothing where that is no program."""
        module, edits = self.edits[k]
        if k not in self.compiled:
            self.compiled[k] = _compiled(module, edits)
        if (code := self.compiled[k]) is not None:
            exec(code, self.scope)
            yield Slip(" ".join(dict.fromkeys(edit.hint for edit in edits)), self.scope[self.name])


def _compiled(module: ast.Module, edits: Sequence[Edit]) -> CodeType | None:
    """The module with these edits, which are undone again; None where that is no program."""
    before = [edit.make() for edit in edits]
    try:
        return compile(module, "<slip>", "exec")
    except (SyntaxError, ValueError, TypeError):
        return None
    finally:
        for edit, old in zip(reversed(edits), reversed(before), strict=True):
            edit._replace(new=old).make()


def _function(module: ast.Module) -> ast.FunctionDef:
    (function,) = module.body
    assert isinstance(function, ast.FunctionDef)
    return function


def _written_out(module: ast.Module, said: "Said") -> ast.Module:
    """Every use of a name for a part is replaced by the part, so that each use can be wrong alone."""
    new = ast.parse(ast.unparse(module))
    for statement in _function(new).body:
        if not isinstance(statement, ast.Assign):
            Inlined(said.once, shapes=True).visit(statement)
    return ast.fix_missing_locations(new)


def _everywhere(found: Iterable[Edit]) -> Iterator[Sequence[Edit]]:
    """What is the same slip but for its place, at all its places at once: of the same part, or of any few."""
    alike: dict[str, list[Edit]] = {}
    for edit in found:
        for words in {edit.hint, edit.hint.partition(":")[0]}:
            alike.setdefault(words, []).append(edit)
    return (edits for edits in alike.values() if 1 < len(edits) <= 4)


def _name(name: str) -> ast.expr:
    return ast.fix_missing_locations(ast.Name(name, ast.Load()))


def _exchanged_names(parameters: Sequence[str], nodes: Sequence[Any]) -> Iterator[Sequence[Edit]]:
    for a, b in itertools.combinations(parameters, 2):
        hint = f"{a} and {b} have changed places."
        other = {a: _name(b), b: _name(a)}
        yield [
            Edit(parent, field, index, other[n.id], hint)
            for parent, field, index, n in nodes
            if isinstance(n, ast.Name) and n.id in other
        ]


def _nodes(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Each part of a function with its place, but not what is about shapes alone."""
    for field, value in ast.iter_fields(node):
        about_shapes = isinstance(node, ast.Call) and field == "args" and called(node) in SHAPES
        if isinstance(node, ast.arguments) or field == "returns" or about_shapes:
            continue
        for index, part in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(part, ast.AST):
                yield node, field, index, part
                yield from _nodes(part)
