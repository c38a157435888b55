"""Whether code may run at all: a walk over its syntax tree, against the lists of `allowed`; nothing is executed.

Everything that is not known to be harmless is refused, and said with its line.
"""

import ast
import builtins
import string
from collections.abc import Iterable, Iterator

from gencourse.grade.allowed import ATTRIBUTES, BUILTINS, CALLED, METHODS, may_import

NODES: tuple[type[ast.AST], ...] = (
    *(ast.Module, ast.FunctionDef, ast.Lambda, ast.ClassDef, ast.Return, ast.Delete, ast.Assign, ast.AugAssign),
    *(ast.AnnAssign, ast.For, ast.While, ast.If, ast.With, ast.Raise, ast.Try, ast.Assert, ast.Import, ast.ImportFrom),
    *(ast.Global, ast.Nonlocal, ast.Expr, ast.Pass, ast.Break, ast.Continue, ast.Match, ast.match_case, ast.arguments),
    *(ast.MatchValue, ast.MatchSingleton, ast.MatchSequence, ast.MatchStar, ast.MatchAs, ast.MatchOr, ast.arg),
    *(ast.BoolOp, ast.NamedExpr, ast.BinOp, ast.UnaryOp, ast.IfExp, ast.Dict, ast.Set, ast.ListComp, ast.SetComp),
    *(ast.DictComp, ast.GeneratorExp, ast.Yield, ast.YieldFrom, ast.Compare, ast.Call, ast.FormattedValue),
    *(ast.JoinedStr, ast.Constant, ast.Attribute, ast.Subscript, ast.Starred, ast.Name, ast.List, ast.Tuple, ast.Slice),
    *(ast.comprehension, ast.ExceptHandler, ast.keyword, ast.alias, ast.withitem),
    *(ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop),
)
SCOPES = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
OFFICIAL = set(dir(builtins)) - BUILTINS  # Python's names that an answer may not use
FOREIGN = ("genlib", "gencourse", "solutions", "tools", "tests")


def refusals(statement: ast.stmt, own: Iterable[str] = ()) -> list[str]:
    """Why this statement may not run, each reason with its line; empty if it may.

    `own` are the names that the answer's classes have. Annotations are taken to be gone: `take` leaves them out.
    """
    look = _Look(own)
    look.visit(statement)
    return list(dict.fromkeys(look.found))


def own_attributes(statement: ast.stmt) -> Iterator[str]:
    """What the answer's own classes have: names bound in their bodies, and `self.name = ...` in their methods."""
    for node in ast.walk(statement):
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                yield from bound(part)
            yield from (
                part.attr
                for part in ast.walk(node)
                if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
            )


def bound(node: ast.AST) -> set[str]:
    """The names that a node binds in its own scope, those in the functions inside it left out."""
    names: set[str] = set()
    for part in _scope(node):
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
            names.add(part.id)
        elif isinstance(part, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(part.name)
        elif isinstance(part, ast.alias):
            names.add(part.asname or part.name.partition(".")[0])
        elif isinstance(part, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and part.name:
            names.add(part.name)
    return names


def _scope(node: ast.AST) -> Iterator[ast.AST]:
    """The node and what is inside it, but not what is inside its functions and classes."""
    yield node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return
    for child in ast.iter_child_nodes(node):
        yield from _scope(child)


def _inside(function: ast.AST) -> set[str]:
    """The names that are a function's own."""
    names: set[str] = set()
    for part in ast.iter_child_nodes(function):
        names |= bound(part)
    arguments = getattr(function, "args", None)
    if isinstance(arguments, ast.arguments):
        names |= {argument.arg for argument in ast.walk(arguments) if isinstance(argument, ast.arg)}
    for part in ast.walk(function):
        if isinstance(part, ast.Global):
            names -= set(part.names)
    return names


class _Look(ast.NodeVisitor):
    def __init__(self, own: Iterable[str]) -> None:
        self.own = set(own)
        self.found: list[str] = []
        self.local: list[set[str]] = []  # the names of the functions around
        self.line = 0

    def no(self, why: str) -> None:
        self.found.append(f"line {self.line}: {why}")

    def visit(self, node: ast.AST) -> None:
        self.line = getattr(node, "lineno", self.line)
        if not isinstance(node, NODES):
            self.no(f"{type(node).__name__.lower()} is nothing that an exercise needs")
            return
        if isinstance(node, SCOPES):
            self.local.append(_inside(node))
            super().visit(node)
            self.local.pop()
        else:
            super().visit(node)

    def named(self, *names: str | None) -> None:
        for name in names:
            if name and name.startswith("__"):
                self.no(f"{name} belongs to Python itself")

    # -- Names

    def visit_Name(self, node: ast.Name) -> None:
        self.named(node.id)
        if not isinstance(node.ctx, ast.Load):
            if node.id in OFFICIAL and not self.local:
                self.no(f"{node.id} is Python's own name")
            return
        if any(node.id in names for names in self.local):
            return
        if node.id == "dataclass":
            self.no("dataclass may only stand above a class")
        elif node.id in OFFICIAL:
            self.no(f"{node.id} reaches beyond mathematics")

    def visit_arg(self, node: ast.arg) -> None:
        self.named(node.arg)

    def visit_keyword(self, node: ast.keyword) -> None:
        self.named(node.arg)
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        for name in node.names:
            self.named(name)
            if name in OFFICIAL:
                self.no(f"{name} is Python's own name")

    visit_Nonlocal = visit_Global  # noqa: N815

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self.named(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        self.named(node.name)
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs  # noqa: N815

    # -- Attributes

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr == "__init__" and _is_super(node.value):
            pass
        elif node.attr == "format" and isinstance(node.value, ast.Constant):
            self.formats(node.value.value)
        elif isinstance(node.ctx, ast.Del):
            self.no("attributes stay where they are")
        elif not self.harmless(node.attr):
            self.no(f".{node.attr} is not among the names that an exercise needs")
        self.generic_visit(node)

    def harmless(self, attribute: object) -> bool:
        return attribute in ATTRIBUTES or (attribute in self.own and not str(attribute).startswith("__"))

    def formats(self, text: object) -> None:
        """A text's fields are numbers or names, without a way into the objects: "{0.__class__}" is one."""
        with_ways = False
        try:
            todo = [str(text)]
            while todo:
                for _, field, spec, _ in string.Formatter().parse(todo.pop()):
                    with_ways |= any(letter in (field or "") for letter in ".[")
                    todo += [spec] if spec else []
        except ValueError:
            return  # it will fail by itself
        if with_ways:
            self.no("format may not look into what it shows")

    # -- Calls of functions whose arguments matter

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in CALLED and not any(name in names for names in self.local):
            self.named(name)
            if name == "type" and (len(node.args) != 1 or node.keywords or isinstance(node.args[0], ast.Starred)):
                self.no("type with more than one argument makes classes")
            asked = node.args[1] if name != "type" and len(node.args) > 1 else None
            if isinstance(asked, ast.Constant) and not self.harmless(asked.value):
                self.no(f"{name} asks for {asked.value!r}, which is no name that an exercise needs")
            for part in (*node.args, *node.keywords):
                self.visit(part)
            return
        self.generic_visit(node)

    # -- What is stored in attributes: `guard` sees to whose they are

    def visit_For(self, node: ast.For | ast.comprehension) -> None:
        self.no_attributes(node.target)
        self.generic_visit(node)

    visit_comprehension = visit_For

    def visit_withitem(self, node: ast.withitem) -> None:
        if node.optional_vars is not None:
            self.no_attributes(node.optional_vars)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Attribute) and not isinstance(node.target.value, ast.Name):
            self.no_attributes(node.target)
        self.generic_visit(node)

    def no_attributes(self, target: ast.expr) -> None:
        if any(isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store) for part in ast.walk(target)):
            self.no("an attribute is set in an unusual way")

    # -- Definitions

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.named(node.name)
        self.bind(node.name, depth=1)
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.named(node.name)
        self.bind(node.name)
        if node.keywords:
            self.no("a class with a metaclass, or with arguments")
        for base in node.bases:
            self.visit(base)
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if not (isinstance(called, ast.Name) and called.id == "dataclass"):
                self.visit(decorator)
            elif isinstance(decorator, ast.Call):
                for keyword in decorator.keywords:
                    self.visit(keyword)
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef) and statement.name in METHODS:
                self.local.append(_inside(statement))
                self.generic_visit(statement)
                self.local.pop()
            else:
                self.visit(statement)

    def bind(self, name: str, depth: int = 0) -> None:
        if name in OFFICIAL and len(self.local) <= depth:
            self.no(f"{name} is Python's own name")

    # -- Imports

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.imports(alias.name, may_import(alias.name))
            self.alias(alias)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        for alias in node.names:
            self.imports(f"{module}.{alias.name}", not node.level and may_import(module, alias.name))
            self.alias(alias)
            if alias.name == "dataclass" and alias.asname:
                self.no("dataclass keeps its name")

    def imports(self, name: str, allowed: bool) -> None:
        if not allowed:
            own = name.partition(".")[0] in FOREIGN
            why = "is the course's own: an answer is written without it" if own else "is nothing that an exercise needs"
            self.no(f"import of {name}, which {why}")

    def alias(self, alias: ast.alias) -> None:
        self.named(alias.asname)
        self.bind(alias.asname or alias.name.partition(".")[0])


def _is_super(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "super"
        and not (node.args or node.keywords)
    )
