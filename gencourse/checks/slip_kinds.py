"""The kinds of slips: for a part of the worked answer, what may stand there instead, and a hint.

The kinds come in the order in which they are likely. Of hints that agree up to a colon, all can be meant at once.
"""

import ast
import itertools
from collections.abc import Iterator

from gencourse.checks.said import Said, called

Found = Iterator[tuple[ast.AST, str]]  # another node, and the hint


def _signs(node: ast.AST, said: Said) -> Found:
    """A plus for a minus, a factor for a divisor, a difference or a quotient the other way round."""
    if isinstance(node, ast.BinOp):
        left, op, right = node.left, node.op, node.right
        if isinstance(op, ast.Add | ast.Sub):
            other = ast.Sub() if isinstance(op, ast.Add) else ast.Add()
            yield ast.BinOp(left, other, right), f"A plus and a minus are exchanged: {said(left)} and {said(right)}."
        if isinstance(op, ast.Sub):
            yield ast.BinOp(right, op, left), f"A difference is taken the other way round: {said(node)}."
        if isinstance(op, ast.Mult | ast.Div):
            other = ast.Div() if isinstance(op, ast.Mult) else ast.Mult()
            yield (
                ast.BinOp(left, other, right),
                f"Something divides that should multiply, or the other way round: {said(right)}.",
            )
        if isinstance(op, ast.Div):
            yield ast.BinOp(right, op, left), f"A quotient stands upside down: {said(node)}."
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield node.operand, f"The sign is turned: {said(node.operand)}."


def _missing(node: ast.AST, said: Said) -> Found:
    """A term, a factor, a power, a function, a step that is left out."""
    if isinstance(node, ast.BinOp):
        left, op, right = node.left, node.op, node.right
        if isinstance(op, ast.Pow):
            yield left, f"A power is missing: {said(left)}."
        if isinstance(op, ast.Mult | ast.Div):
            yield left, f"A {'factor' if isinstance(op, ast.Mult) else 'divisor'} is missing: {said(right)}."
        if isinstance(op, ast.Mult):
            yield right, f"A factor is missing: {said(left)}."
        if isinstance(op, ast.Div):
            yield ast.BinOp(ast.Constant(1.0), op, right), f"What is divided is missing: {said(left)}."
        if isinstance(op, ast.Add | ast.Sub):
            yield left, f"A term is missing: {said(right)}."
            yield (
                right if isinstance(op, ast.Add) else ast.UnaryOp(ast.USub(), right),
                f"A term is missing: {said(left)}.",
            )
    if isinstance(node, ast.Call) and (inner := _inner(node)) is not None and called(node) in NOUNS:
        yield inner, f"The {NOUNS[called(node)]} is missing: {said(inner)}."
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
        yield node.operand, f"What {said(node.operand)} picks, and what it leaves, are exchanged."
    if isinstance(node, ast.Expr | ast.AugAssign) and not isinstance(node.value, ast.Constant):
        about = node.value if isinstance(node, ast.Expr) else node.target
        yield ast.Pass(), f"A step is left out, which has to do with {said(about)}."


NOUNS = {
    "sqrt": "square root", "log": "logarithm", "exp": "exponential", "abs": "absolute value", "square": "square",
    "floor": "rounding down", "round": "rounding", "clamp": "bound", "detach": "cut, which no gradient passes,",
    "logdet": "logarithm of the determinant", "inv": "inverse", "cumprod": "running product", "sigmoid": "sigmoid",
    "softplus": "softplus", "softmax": "softmax", "mean": "mean", "sum": "sum", "expand": "one number for each example",
    "view": "shape (B, 1, ..., 1), without which the last axis is met,",
}  # fmt: skip


def _exchanged(node: ast.AST, said: Said) -> Found:
    """One function for another, a comparison turned, results in another order."""
    if isinstance(node, ast.Call) and (inner := _inner(node)) is not None:
        for other in EXCHANGED.get(called(node), ()):
            function = node.func
            if isinstance(function, ast.Attribute):
                new = ast.Attribute(function.value, other, ast.Load())
            else:
                new = ast.parse(f"torch.nn.functional.{other}", mode="eval").body
            yield (
                ast.Call(new, node.args, node.keywords),
                f"Not the function that belongs here: {other}, of {said(inner)}.",
            )
    if isinstance(node, ast.Return) and node.value is not None:
        yield (
            ast.Return(ast.Call(ast.Attribute(node.value, "flip", ast.Load()), [ast.Constant(0)], [])),
            "From the end to the beginning: turned round.",
        )
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in COMPARED.get(type(node.ops[0]), ()):
            yield (
                ast.Compare(node.left, [other()], node.comparators),
                f"A comparison is not the right one, at {said(node.left)}: which side is to be the larger, and what "
                "holds where both are equal?",
            )
    if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and 2 <= len(node.elts) <= 3:
        for order in itertools.permutations(node.elts):
            if list(order) != node.elts:
                yield ast.Tuple(list(order), ast.Load()), "All parts are there, but in another order."


EXCHANGED = {
    "sum": ("mean", "prod", "amax"), "mean": ("sum", "amax", "median"), "log": ("log2", "log10", "log1p"),
    "exp": ("expm1",),
    "softplus": ("sigmoid", "relu", "logsigmoid"), "sigmoid": ("softplus", "logsigmoid", "tanh"),
    "floor": ("round", "ceil"), "round": ("floor", "ceil"), "cumprod": ("cumsum",), "std": ("var",), "var": ("std",),
    "abs": ("square",), "square": ("abs",), "new_ones": ("new_zeros",), "new_zeros": ("new_ones",), "sqrt": ("square",),
    "softmax": ("log_softmax",), "logsumexp": ("sum", "mean"),
}  # fmt: skip
COMPARED = {
    ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.LtE), ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,),
}  # fmt: skip


def _axes(node: ast.AST, said: Said) -> Found:
    """A sum, a mean, a deviation over other axes, or with another divisor."""
    if not isinstance(node, ast.Call) or called(node) not in REDUCED or (inner := _inner(node)) is None:
        return
    name, own = called(node), [] if _inner(node) is getattr(node.func, "value", None) else node.args[:1]
    axes = [ast.unparse(a) for a in node.args[len(own) :]] + [
        ast.unparse(k.value) for k in node.keywords if k.arg == "dim"
    ]
    for other in ([], [0], [1], [-1], [2]):
        if [str(a) for a in other] != axes:
            call = ast.Call(node.func, [*own, *map(ast.Constant, other)], [])
            where = f"axis {other[0]}" if other else "all axes"
            yield call, f"The {name} is taken over {where}, of {said(inner)}. Over which is it to be taken?"
    if name in ("var", "std"):
        n = ast.keyword("correction", ast.Constant(0))
        yield (
            ast.Call(node.func, node.args, [*node.keywords, n]),
            f"The {name} of {said(inner)} divides by n. Which is unbiased?",
        )


REDUCED = ("sum", "mean", "logsumexp", "softmax", "var", "std", "cumprod", "amax")


def _places(node: ast.AST, said: Said) -> Found:
    """An index or a bound one place off."""
    if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice | ast.Tuple | ast.Constant):
        for n, way in ((-1, "early"), (1, "late")):
            index = ast.BinOp(node.slice, ast.Add(), ast.Constant(n))
            yield ast.Subscript(node.value, index, node.ctx), f"{said(node.value)} is read one place too {way}."
    if isinstance(node, ast.Call) and called(node) in ("range", "arange"):
        for i, bound in enumerate(node.args):
            for n in (-1, 1):
                args = [*node.args[:i], ast.BinOp(bound, ast.Add(), ast.Constant(n)), *node.args[i + 1 :]]
                yield (
                    ast.Call(node.func, args, node.keywords),
                    "A loop begins or ends one place off. Which is its first, and which its last?",
                )


def _numbers(node: ast.AST, said: Said) -> Found:
    """A plain number for another."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        for new in (0, 1, 2, 0.5, -1, 3, 4):
            if new != node.value:
                yield ast.Constant(new), f"A plain number is not the right one: it is {new:g} here."


def _names(node: ast.AST, said: Said) -> Found:
    """One argument, or what is made of it, for another."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in said.names:
        for other in said.names:
            if other != node.id:
                name = ast.Name(other, ast.Load())
                yield name, f"{said(name)} stands where something else belongs."


def _extra(node: ast.AST, said: Said) -> Found:
    """Something that is too much, or 1 − … for …."""
    if not isinstance(node, ast.Name | ast.Subscript | ast.Call | ast.BinOp) or not said.parts(node):
        return
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return
    yield ast.BinOp(ast.Constant(1), ast.Sub(), node), f"A quantity and 1 minus it are exchanged: {said(node)}."
    yield ast.BinOp(ast.Constant(1.0), ast.Div(), node), f"A quantity and 1 over it are exchanged: {said(node)}."
    yield ast.UnaryOp(ast.USub(), node), f"The sign is turned: {said(node)}."
    yield ast.BinOp(node, ast.Mult(), ast.Constant(0.5)), f"A half too many, or a 2 too few: at {said(node)}."
    yield ast.BinOp(node, ast.Mult(), ast.Constant(2)), f"A 2 too many, or a half too few: at {said(node)}."
    if getattr(node, "id", "") not in said.counts:  # of so many things, their square may be more than memory holds
        yield ast.BinOp(node, ast.Pow(), ast.Constant(2)), f"One square too many: {said(node)}."
    for name in ("sqrt", "abs", "exp", "log", "sigmoid"):
        yield ast.Call(ast.Attribute(node, name, ast.Load()), [], []), f"One {NOUNS[name]} too many: {said(node)}."


KINDS = (_signs, _missing, _exchanged, _axes, _places, _numbers, _names, _extra)


def _inner(node: ast.Call) -> ast.expr | None:
    """What a function is taken of: the first argument, or what a method belongs to."""
    if isinstance(node.func, ast.Attribute) and not ast.unparse(node.func.value).startswith(("torch", "math")):
        return node.func.value
    return node.args[0] if node.args and not isinstance(node.args[0], ast.Starred) else None
