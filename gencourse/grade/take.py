"""What is taken from a submission: an exercise's function, and the helpers, constants and imports that it uses.

The notebook is text here, and nothing of it runs. All other cells are left out, whatever they do.
"""

import ast
import builtins
import importlib
import itertools
import json
import re
import symtable
from collections.abc import Iterator
from dataclasses import dataclass, field

from gencourse import checks
from gencourse.checks.spec import Exercise
from gencourse.grade.allowed import ATTRIBUTES, MODULES
from gencourse.grade.look import bound, own_attributes, refusals

LARGEST = 20_000_000  # bytes of a notebook
LONGEST = 200_000  # letters of a cell
CELL = "<ipython cell {}>"  # the file of a cell's code; `checks.answer` calls such a place a cell
NAMED = r"""checks\.exercise\(\s*["']([\w.]+)["']"""


class Unreadable(Exception):  # noqa: N818
    """Why a file is no submission, in one line."""


@dataclass(eq=False)
class Statement:
    """One statement of a cell, what it binds, and which of the notebook's names it uses."""

    cell: int
    node: ast.stmt
    binds: set[str]
    uses: set[str]
    exercise: str = ""  # that it answers, by its decorator

    @property
    def lasting(self) -> bool:
        """Its names are looked up when it is called, not where it stands."""
        return isinstance(self.node, ast.FunctionDef | ast.ClassDef)


@dataclass
class Taken:
    """The statements that make up an answer, the name of its function, and the other exercises' that it calls."""

    statements: list[Statement]
    name: str
    calls: list[str] = field(default_factory=list)  # exercises whose answers, or genlib's versions, are to be there
    refused: list[str] = field(default_factory=list)


@dataclass
class Notebook:
    statements: list[Statement]
    broken: dict[str, str]  # exercises in cells that are no Python, with what is wrong there
    lab: str
    times: dict[str, int]  # how often each exercise is answered
    sources: dict[int, str]  # each cell's text

    def take(self, exercise: Exercise, passed: set[str]) -> Taken | None:
        """What answers an exercise; None where nothing does.

        `passed` are the exercises whose answers are right: of those above that are not, genlib's version stands in.
        """
        answer = self._answer(exercise)
        if answer is None:
            return None
        name = _function(answer, exercise)
        above = itertools.takewhile(lambda e: e is not exercise, checks.exercises())
        stand_ins = {e.name.rpartition(".")[2]: e.name for e in above if e.lab == self.lab and e.name not in passed}
        taken, calls, refused = {answer}, [], []
        todo = [answer]
        while todo:
            user = todo.pop()
            for used in sorted(user.uses - {name}):
                if used in stand_ins:
                    calls.append(stand_ins[used])
                    continue
                helper = self._binding(used, user, answer)
                if helper is None and not hasattr(builtins, used):
                    helper = self._starred(used)
                if helper is not None and helper not in taken:
                    taken.add(helper)
                    todo.append(helper)
        used = set().union(*(statement.uses for statement in taken)) | {name}
        ordered = [_only(s, used) for s in sorted(taken, key=self._place)]
        own = {name for statement in ordered for name in own_attributes(statement.node)}
        for statement in ordered:
            refused += [f"cell {statement.cell}, {why}" for why in refusals(statement.node, own)]
        return Taken(ordered, name, calls, list(dict.fromkeys(refused)))

    def _answer(self, exercise: Exercise) -> Statement | None:
        """The last function under the exercise's name; where the decorator is gone, the last of the function's name."""
        marked = [s for s in self.statements if s.exercise == exercise.name]
        called = exercise.name.rpartition(".")[2]
        named = [s for s in self.statements if called in s.binds and (s.lasting or _is_lambda(s.node))]
        found = marked or named
        return found[-1] if found else None

    def _binding(self, name: str, user: Statement, answer: Statement) -> Statement | None:
        """The statement that gave the name its value when the answer was checked."""
        ends = self._place(answer) if user.lasting or user is answer else self._place(user) - 1
        there = [(self._place(s), s) for s in self.statements if name in s.binds and s is not user]
        above = [s for place, s in there if place <= ends or (user.lasting and s.cell == answer.cell)]
        if above:
            return above[-1]
        return there[0][1] if there and user.lasting else None

    def _place(self, statement: Statement) -> int:
        return self.statements.index(statement) if statement in self.statements else -1

    def _starred(self, name: str) -> Statement | None:
        """The import of one name, where the notebook imports all names of a module that is allowed."""
        for statement in reversed(self.statements):
            node = statement.node
            if not isinstance(node, ast.ImportFrom) or node.names[0].name != "*" or node.module not in MODULES:
                continue
            if name in ATTRIBUTES and hasattr(importlib.import_module(node.module), name):
                one = ast.copy_location(ast.ImportFrom(node.module, [ast.alias(name)], 0), node)
                return Statement(statement.cell, ast.fix_missing_locations(one), {name}, set())
        return None


def read(content: bytes) -> Notebook:
    """The submission, taken apart.

    Raises:
        Unreadable: if it is no notebook of one of the labs.
    """
    statements: list[Statement] = []
    broken: dict[str, str] = {}
    sources = dict(_sources(content))
    for number, source in sources.items():
        try:
            found = list(_statements(number, source))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            where = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            why = error.msg if isinstance(error, SyntaxError) else "too deeply nested, or not to be read"
            broken |= dict.fromkeys(re.findall(NAMED, source), f"cell {number}{where}: {why}")
            continue
        statements += found
    names = [s.exercise for s in statements if s.exercise] + list(broken)
    lab = _lab(names) or _lab([e.name for e in checks.exercises() if _is_bound(e, statements)])
    if not lab:
        raise Unreadable("there is no exercise of any lab in it")
    return Notebook(statements, broken, lab, {name: names.count(name) for name in names}, sources)


def _sources(content: bytes) -> Iterator[tuple[int, str]]:
    """The code cells, each with its number among all code cells."""
    if not content.strip():
        raise Unreadable("the file is empty")
    if len(content) > LARGEST:
        raise Unreadable(f"the file has more than {LARGEST // 1_000_000} MB")
    try:
        notebook = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"this is no notebook: {str(error)[:80]}") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise Unreadable("this is no notebook, or one of a very old kind")
    code = [cell for cell in cells if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    for number, cell in enumerate(code, start=1):
        source = cell.get("source")
        if isinstance(source, list):
            source = "".join(line for line in source if isinstance(line, str))
        if isinstance(source, str) and len(source) <= LONGEST:
            yield number, source


def _statements(number: int, source: str) -> Iterator[Statement]:
    lines = source.split("\n")
    if lines[0].startswith("%%") and not re.match(r"%%(time|timeit|capture)\b", lines[0]):
        return  # a cell in another language
    # IPython's own lines do nothing here, and all others keep their numbers.
    plain = "\n".join(re.sub(r"^(\s*)[%!].*", r"\1pass", line) for line in lines)
    tree = ast.parse(plain, CELL.format(number))
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            continue
        exercise = _unmarked(node)
        node = _Bare().visit(node)
        yield Statement(number, node, bound(node), _uses(node), exercise)


def _unmarked(node: ast.stmt) -> str:
    """Take the exercise's decorator off; its name."""
    name = ""
    if isinstance(node, ast.FunctionDef):
        for decorator in list(node.decorator_list):
            if found := _exercise(decorator):
                name = found
                node.decorator_list.remove(decorator)
    return name


def _exercise(decorator: ast.expr) -> str:
    if not (isinstance(decorator, ast.Call) and len(decorator.args) == 1):
        return ""
    called, name = decorator.func, decorator.args[0]
    last = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if last == "exercise" and isinstance(name, ast.Constant) and isinstance(name.value, str):
        return name.value
    return ""


class _Bare(ast.NodeTransformer):
    """Without annotations: they mean nothing to Python, and may need imports that are not taken."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        # A class may be made from its annotations: a field's are kept, as a text.
        for part in node.body:
            if isinstance(part, ast.AnnAssign):
                part.annotation = ast.copy_location(ast.Constant("field"), part.annotation)
                if part.value is not None:
                    part.value = self.visit(part.value)
            else:
                self.visit(part)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign([node.target], node.value), node)


def _uses(node: ast.stmt) -> set[str]:
    """The notebook's names that a statement uses, those in its functions included."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return set()
    used: set[str] = set()

    def look(table: symtable.SymbolTable) -> None:
        for symbol in table.get_symbols():
            outer = table.get_type() == "module" or symbol.is_global() or table.get_type() == "class"
            if outer and symbol.is_referenced():
                used.add(symbol.get_name())
        for child in table.get_children():
            look(child)

    look(symtable.symtable(ast.unparse(node), "<answer>", "exec"))
    if isinstance(node, ast.AugAssign):
        used |= bound(node)
    return used - {"super"}


def _only(statement: Statement, used: set[str]) -> Statement:
    """An import, with only those of its names that are used."""
    node = statement.node
    if not isinstance(node, ast.Import | ast.ImportFrom):
        return statement
    names = [alias for alias in node.names if (alias.asname or alias.name.partition(".")[0]) in used]
    new = ast.Import(names) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, names, node.level)
    return Statement(statement.cell, ast.copy_location(new, node), statement.binds, set())


def _is_lambda(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda | ast.Name | ast.Call)


def _is_bound(exercise: Exercise, statements: list[Statement]) -> bool:
    called = exercise.name.rpartition(".")[2]
    return any(called in s.binds and (s.lasting or _is_lambda(s.node)) for s in statements)


def _function(answer: Statement, exercise: Exercise) -> str:
    called = exercise.name.rpartition(".")[2]
    return answer.node.name if isinstance(answer.node, ast.FunctionDef) else called


def _lab(names: list[str]) -> str:
    """The lab that most of these exercises are of."""
    labs = [exercise.lab for exercise in checks.exercises() if exercise.name in names]
    return max(sorted(set(labs)), key=labs.count, default="")
