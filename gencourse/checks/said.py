"""How a hint calls a part of the worked answer: by the exercise's arguments, for a student knows no other names."""

import ast
import re
from collections.abc import Sequence
from typing import Any

NAMED = 30  # letters of an expression that a hint shows; longer ones are named by what they are made of
SHAPES = ("view", "reshape", "expand", "flatten", "to", "permute", "unsqueeze", "zip", "len")


def called(node: ast.Call) -> str:
    """The last name of the function that is called."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


class Said:
    """Called with a part of a function, it says what the part is."""

    def __init__(self, parameters: Sequence[str], tree: ast.FunctionDef) -> None:
        self.parameters = parameters
        self.counts = [a.arg for a in tree.args.args if getattr(a.annotation, "id", "") == "int"]
        self._said: dict[ast.AST | str, str] = {}
        self.made: dict[str, ast.expr] = {}  # what a name stands for at first
        bound = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                self._bind(node.targets[0], node.value)
        self.names = [*parameters, *self.made]
        self.once = {name: value for name, value in self.made.items() if bound.count(name) == 1}

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name) and target.id not in self.parameters:
            self.made.setdefault(target.id, value)
        elif isinstance(target, ast.Tuple):
            parts = [value.elts[i] for i in range(len(target.elts))] if isinstance(value, ast.Tuple) else None
            if isinstance(value, ast.GeneratorExp) and isinstance(several := value.generators[0].iter, ast.Tuple):
                one = ast.unparse(value.generators[0].target)  # one thing is done to each of several
                parts = [Inlined({one: part}, shapes=True).visit(_copy(value.elt)) for part in several.elts]
            for name, part in zip(target.elts, parts or (), strict=False):
                self._bind(name, part)

    def parts(self, node: ast.AST) -> list[str]:
        """The arguments that it is made of."""
        names = [n.id for n in ast.walk(Inlined(self.made, shapes=True).visit(_copy(node))) if isinstance(n, ast.Name)]
        return [name for name in dict.fromkeys(names) if name in self.parameters]

    def __call__(self, node: ast.AST) -> str:
        key = getattr(node, "id", node)  # a name means the same wherever it stands
        if key not in self._said:
            self._said[key] = self._say(node)
        return self._said[key]

    def _say(self, node: ast.AST) -> str:
        written = ast.unparse(Inlined(self.made).visit(_copy(node)))
        if len(written) <= NAMED and not re.search(r"\b_", written):  # a helper's name says nothing
            return written
        parts = self.parts(node)
        return f"the part with {' and '.join(parts)}" if 0 < len(parts) <= 3 else "a larger part"


class Inlined(ast.NodeTransformer):
    """Names replaced by what they stand for; what is about shapes is left out, unless `shapes`."""

    def __init__(self, made: dict[str, ast.expr], shapes: bool = False, deep: int = 5) -> None:
        self.made, self.shapes, self.deep = made, shapes, deep

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self.made and self.deep and isinstance(node.ctx, ast.Load):
            return Inlined(self.made, self.shapes, self.deep - 1).visit(_copy(self.made[node.id]))
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if not self.shapes and isinstance(node.func, ast.Attribute) and called(node) in SHAPES:
            return self.visit(node.func.value)
        return self.generic_visit(node)


def _copy(node: ast.AST) -> Any:
    return ast.parse(ast.unparse(node), mode="eval").body if isinstance(node, ast.expr) else node
