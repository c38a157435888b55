"""How an answer runs: with few of Python's own names, and asked before each attribute that is not plain mathematics.

`look` has read the code, and does not know what a name stands for when it runs: `self` may be torch. So the code is
rewritten: an attribute is set only on what the answer's own classes made (and `requires_grad`, `grad` and `data` on a
tensor), and a name that is not torch's, NumPy's or Python's is asked only of such an object.
"""

import ast
import builtins
import sys
import types
from collections.abc import Callable
from typing import Any

import torch

from gencourse.grade.allowed import ATTRIBUTES, BUILTINS, CALLED, may_import

OWN, SET, PART = "own?", "set?", "part?"  # names that no source can spell
OF_TENSORS = {"requires_grad", "grad", "data"}
BASES = (object, Exception, ArithmeticError, ValueError, TypeError, RuntimeError)


class Refused(BaseException):
    """The answer did something that it may not."""


class Guard:
    """What an answer may do while it runs; `found` has what it tried beyond that, whatever it caught."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._made: list[type] = []

    def refuse(self, why: str) -> None:
        if why not in self.found and len(self.found) < 10:
            self.found.append(why)
        raise Refused(why)

    def names(self) -> dict[str, Any]:
        """The globals in which an answer runs."""
        sys.modules.setdefault("answer", types.ModuleType("answer"))  # where dataclass looks for a class's module
        known: dict[str, Any] = {name: getattr(builtins, name) for name in BUILTINS | CALLED}
        known |= {"getattr": self._getattr, "hasattr": self._hasattr}
        known |= {"__build_class__": self._class, "__import__": self._import, "__name__": "answer"}
        return {"__builtins__": known, "__name__": "answer", OWN: self._own, SET: self._set}

    def _is_own(self, thing: Any) -> bool:
        of = type(thing.__self__) if type(thing) is super else type(thing)  # pyright: ignore
        return any(of is made or thing is made for made in self._made)

    def _own(self, thing: Any) -> Any:
        if not self._is_own(thing):
            self.refuse(f"it asks a {type(thing).__name__} for a name of its own classes")
        return thing

    def _set(self, thing: Any, name: str, value: Any) -> None:
        if not (self._is_own(thing) or (isinstance(thing, torch.Tensor) and name in OF_TENSORS)):
            self.refuse(f"it sets .{name} of a {type(thing).__name__}")
        setattr(thing, name, value)

    def _getattr(self, thing: Any, name: Any, *default: Any) -> Any:
        if type(name) is not str or name.startswith("__") or not (name in ATTRIBUTES or self._is_own(thing)):
            self.refuse(f"it asks a {type(thing).__name__} for {name!r}"[:80])
        return getattr(thing, name, *default)

    def _hasattr(self, thing: Any, name: Any) -> bool:
        missing = object()
        return self._getattr(thing, name, missing) is not missing

    def _class(self, body: Callable[..., Any], name: str, *bases: Any, **others: Any) -> type:
        for base in bases:
            networks = isinstance(base, type) and base.__module__.startswith("torch.nn.modules.")
            tuples = getattr(base, "__module__", "") == "typing" and getattr(base, "__name__", "") == "NamedTuple"
            if others or not (base in BASES or networks or tuples or any(base is made for made in self._made)):
                self.refuse(f"its class {name} is made from {getattr(base, '__name__', 'something')}")
        made = builtins.__build_class__(body, name, *bases)
        self._made.append(made)
        return made

    def _import(self, name: str, where: Any = None, local: Any = None, parts: Any = (), level: int = 0) -> Any:
        by_library = isinstance(parts, list)  # torch's own code in C imports with the names of whoever called it
        allowed = by_library or (all(may_import(name, part) for part in parts) if parts else may_import(name))
        if level or not allowed:
            self.refuse(f"it imports {name}")
        return __import__(name, where, local, parts, level)


def rewritten(statement: ast.stmt) -> list[ast.stmt]:
    """The statement, asking the guard."""
    new = _Rewrite().visit(statement)
    new = new if isinstance(new, list) else [new]
    return [ast.fix_missing_locations(ast.copy_location(part, statement)) for part in new]


class _Rewrite(ast.NodeTransformer):
    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load) and node.attr not in ATTRIBUTES | {"__init__", "format"}:
            node.value = _call(OWN, node.value)
        return node

    def visit_Assign(self, node: ast.Assign) -> list[ast.stmt]:
        self.generic_visit(node)
        later: list[ast.stmt] = []
        node.targets = [self._aside(target, later) for target in node.targets]
        return [node, *later]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt | list[ast.stmt]:
        if isinstance(node.target, ast.Attribute) and node.value is not None:
            return self.visit_Assign(ast.copy_location(ast.Assign([node.target], node.value), node))
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt | list[ast.stmt]:
        if not isinstance(node.target, ast.Attribute):
            return self.generic_visit(node)  # type: ignore[return-value]
        target = node.target
        before = ast.Attribute(target.value, target.attr, ast.Load())
        new = ast.Assign([target], ast.BinOp(before, node.op, node.value))
        return self.visit_Assign(ast.fix_missing_locations(ast.copy_location(new, node)))

    def _aside(self, target: ast.expr, later: list[ast.stmt]) -> ast.expr:
        """The target without attributes: what they were to get has a name, and is set by the guard afterwards."""
        if isinstance(target, ast.Attribute):
            name = f"{PART}{len(later)}"
            value = _call(SET, target.value, ast.Constant(target.attr), ast.Name(name, ast.Load()))
            later.append(ast.fix_missing_locations(ast.copy_location(ast.Expr(value), target)))
            return ast.copy_location(ast.Name(name, ast.Store()), target)
        if isinstance(target, ast.Tuple | ast.List):
            target.elts = [self._aside(part, later) for part in target.elts]
        elif isinstance(target, ast.Starred):
            target.value = self._aside(target.value, later)
        return target


def _call(name: str, *args: ast.expr) -> ast.Call:
    call = ast.Call(ast.Name(name, ast.Load()), list(args), [])
    return ast.fix_missing_locations(ast.copy_location(call, args[0]))
