"""Small faults in rules, one at a time, as people make them: signs, operands, factors, constants, calls left out.

A rule is read from its source and changed as a syntax tree; what it calls on the way (`_length`, `spread`: plain
functions of minigrad that are neither primitives nor public) counts as part of it. `faulty` gives the variants of a
primitive's rules, `declared` declares a primitive with one of them.
"""

from __future__ import annotations

import ast
import copy
import inspect
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import minigrad as mg
from minigrad.core import PRIMITIVES

Tree = ast.Lambda | ast.FunctionDef

OPPOSITE: dict[type, tuple[type, ...]] = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,),
    ast.Gt: (ast.Lt, ast.GtE), ast.Lt: (ast.Gt, ast.LtE), ast.GtE: (ast.Lt, ast.Gt), ast.LtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.And: (ast.Or,), ast.Or: (ast.And,),
}  # fmt: skip
SIBLING = {
    a: b
    for pair in ("sin cos", "sinh cosh", "exp log", "sqrt square", "tril triu", "hypot add", "sign abs",
                 "sigmoid tanh", "floor_divide divide")
    for a, b in itertools.permutations(pair.split())
}  # fmt: skip
# Exchanged arguments say the same.
SYMMETRIC = "equal not_equal logical_and logical_or hypot maximum minimum max min".split()
OTHER_FUNCTIONS: dict[str, Any] = {name: getattr(mg, name) for name in SIBLING}
SLIGHTLY = 1.0001


class Fault(NamedTuple):
    """One variant of the rule of input `k`: what it says now, where it stands, and the function."""

    k: int
    text: str
    rule: Callable[..., Any]


# ---- from a function to its tree and back


@cache
def _trees(path: str) -> tuple[Tree, ...]:
    whole = ast.parse(Path(path).read_text(encoding="utf-8"))
    return tuple(n for n in ast.walk(whole) if isinstance(n, (ast.Lambda, ast.FunctionDef)))


def tree_of(function: Any) -> Tree:
    """The lambda or def that a function was compiled from; two lambdas of one line are told apart by their columns."""
    code = function.__code__
    (found,) = (t for t in _trees(code.co_filename) if _stands_at(t, code))
    return found


def _stands_at(tree: Tree, code: CodeType) -> bool:
    if isinstance(tree, ast.FunctionDef):
        first = min([tree.lineno, *(d.lineno for d in tree.decorator_list)])
        return tree.name == code.co_name and first <= code.co_firstlineno <= tree.body[0].lineno
    first, last = (tree.body.lineno, tree.body.col_offset), (tree.body.end_lineno, tree.body.end_col_offset)
    spans = [((a, c), (b, d)) for a, b, c, d in code.co_positions() if d]  # those without a column stand for the start
    return tree.lineno == code.co_firstlineno and all(first <= a and b <= last for a, b in spans)


def compiled(tree: Tree, like: Any, space: dict[str, Any]) -> Any:
    """The function of a tree, with the defaults of `like` and the globals `space`."""
    if isinstance(tree, ast.FunctionDef):
        tree.decorator_list = []  # `written_as`, which says how the formula reads
    whole = ast.Module([ast.Expr(tree) if isinstance(tree, ast.Lambda) else tree], [])
    outer = compile(ast.fix_missing_locations(whole), inspect.getfile(like), "exec")
    (code,) = (c for c in outer.co_consts if isinstance(c, CodeType))
    made = FunctionType(code, space, like.__name__, like.__defaults__)
    made.__kwdefaults__ = like.__kwdefaults__
    return made


def parts(code: CodeType) -> Iterator[CodeType]:
    """A function's code and that of the lambdas and comprehensions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from parts(constant)


# Public functions have tables of their own, and what checks their arguments is no rule.
OFFERED = [getattr(home, name) for home in (mg, mg.linalg) for name in home.__all__]
PUBLIC = {inspect.unwrap(offered) for offered in OFFERED if callable(offered)}


def helpers(function: Any) -> dict[str, Any]:
    """The plain functions of minigrad that a rule calls, by name, and those that they call."""
    found: dict[str, Any] = {}
    waiting = [function]
    while waiting:
        f = waiting.pop()
        for name in (name for code in parts(f.__code__) for name in code.co_names):
            g = f.__globals__.get(name)
            g = g.__wrapped__ if isinstance(g, FunctionType) and hasattr(g, "short") else g  # how its formula reads
            plain = isinstance(g, FunctionType) and g.__module__.startswith("minigrad.") and g is not function
            if plain and not hasattr(g, "primitive") and inspect.unwrap(g) not in PUBLIC and name not in found:
                found[name] = g
                waiting.append(g)
    return found


# ---- the faults


def variants(tree: Tree, names: tuple[str, ...] = ()) -> Iterator[tuple[str, Tree]]:
    """The tree with one fault each, and the statement or expression that has it; no two alike.

    `names` are other arrays that the rule might have asked for in place of the one it did.
    """
    seen = {ast.unparse(tree)}
    nodes = list(_reached(tree))
    for i, node in enumerate(nodes):
        for new in _faults(node, tree, names):
            changed = copy.deepcopy(tree)
            old = list(_reached(changed))[i]
            changed = _Replace(old, new).visit(changed)
            _ask_for(changed, names)
            whole = ast.unparse(changed)
            if whole not in seen:
                seen.add(whole)
                yield _said(tree, changed), changed


def _reached(tree: Tree) -> Iterator[ast.AST]:
    """The nodes that run on arrays: no annotations, no tests for types, and not the formula that symbols get."""
    waiting: list[ast.AST] = list(tree.body) if isinstance(tree, ast.FunctionDef) else [tree.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):  # the docstring
            continue
        yield node
        if isinstance(node, (ast.IfExp, ast.If)) and "Expr" in ast.unparse(node.test):
            waiting.extend(node.orelse if isinstance(node.orelse, list) else [node.orelse])
        elif not (isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance"):
            waiting.extend(ast.iter_child_nodes(node))


def _faults(node: ast.AST, tree: Tree, names: tuple[str, ...]) -> Iterator[ast.AST]:
    if isinstance(node, ast.expr) and node in _results(tree):
        yield ast.UnaryOp(ast.USub(), node)
        yield ast.BinOp(ast.Constant(SLIGHTLY), ast.Mult(), node)
    match node:
        case ast.BinOp(left, op, right):
            yield from (ast.BinOp(left, other(), right) for other in OPPOSITE.get(type(op), ()))
            yield from (left, right)
            if isinstance(op, (ast.Sub, ast.Div, ast.Pow, ast.MatMult)):
                yield ast.BinOp(right, op, left)
            for side, number in ((0, left), (1, right)):
                if isinstance(number, ast.Constant) and isinstance(number.value, (int, float)):
                    off = ast.Constant(number.value * SLIGHTLY)
                    yield ast.BinOp(off, op, right) if side == 0 else ast.BinOp(left, op, off)
        case ast.UnaryOp(_, operand):
            yield operand
        case ast.Compare(left, [op], right):
            yield from (ast.Compare(left, [other()], right) for other in OPPOSITE.get(type(op), ()))
        case ast.BoolOp(op, values):
            yield from (ast.BoolOp(other(), values) for other in OPPOSITE[type(op)])
            yield from values
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.If(test, body, orelse):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Assign([ast.Name(name)]) if name in _before(node, tree):
            yield ast.Pass()
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() | float() as value):
            yield ast.Constant(value + 1)
        case ast.Subscript(value, ast.Slice(lower, upper)):
            yield value
            yield from (ast.Subscript(value, ast.Slice(*ends), ast.Load()) for ends in ((lower,), (None, upper)))
        case ast.Call(function, args, keywords):
            yield from (a for a in args if not isinstance(a, (ast.Starred, ast.GeneratorExp)))
            if len(args) > 1 and not isinstance(args[1], ast.Starred) and ast.unparse(function) not in SYMMETRIC:
                yield ast.Call(function, [args[1], args[0], *args[2:]], keywords)
            if isinstance(function, ast.Name) and function.id in SIBLING:
                yield ast.Call(ast.Name(SIBLING[function.id], ast.Load()), args, keywords)
            yield from (ast.Call(function, args, [k for k in keywords if k is not gone]) for gone in keywords)
        case ast.Name("like", ast.Load()) if "y" in names:  # in its place, the rule's own input would say the same
            yield ast.Name("y", ast.Load())
        case ast.Name(name, ast.Load()):
            mine = [a.arg for a in (*tree.args.args, *tree.args.kwonlyargs)]
            if name in mine or name in names:
                yield from (ast.Name(n, ast.Load()) for n in dict.fromkeys((*mine, *names)) if n not in (name, "like"))


def _results(tree: Tree) -> list[ast.AST]:
    """What a function gives back."""
    if isinstance(tree, ast.Lambda):
        return [tree.body]
    return [n.value for n in ast.walk(tree) if isinstance(n, ast.Return) and n.value is not None]


def _before(node: ast.stmt, tree: Tree) -> set[str]:
    """The names that have a value before a statement."""
    known = {a.arg for a in tree.args.args}
    return known | {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and _stored(n) and n.lineno < node.lineno}


def _stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _ask_for(tree: Tree, names: tuple[str, ...]) -> None:
    """A rule asks for what it now uses, and for nothing else."""
    if not names:
        return
    used = {n.id for part in ast.iter_child_nodes(tree) for n in ast.walk(part) if isinstance(n, ast.Name)}
    mine = tree.args.args
    mine[1:] = [a for a in mine[1:] if a.arg in used or a.arg not in names]
    mine += [ast.arg(n) for n in names if n in used and n not in {a.arg for a in mine}]


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        return self.new if node is self.old else self.generic_visit(node)


def _said(before: Tree, after: Tree) -> str:
    """The body of a lambda, or the first line of a function that is another."""
    if isinstance(after, ast.Lambda):
        return ast.unparse(after.body)
    pairs = zip(*(ast.unparse(t).splitlines() for t in (before, after)), strict=True)
    old, new = next((a.strip(), b.strip()) for a, b in pairs if a != b)
    return f"not {old}" if new == "pass" else new


def faulty(op: Any) -> Iterator[Fault]:
    """The faults of a primitive's rules, one at a time."""
    others = ("y", *op.inputs) if op.outputs == 1 and not op.variadic else ()
    for k, rule in enumerate(op.rules):
        if rule is None:
            continue
        space = {**OTHER_FUNCTIONS, **rule.__globals__}
        for text, tree in variants(tree_of(rule), others if isinstance(tree_of(rule), ast.Lambda) else ()):
            yield Fault(k, text, compiled(tree, rule, space))
        for name, helper in helpers(rule).items():
            for text, tree in variants(tree_of(helper)):
                yield Fault(k, f"{name}: {text}", _with_helper(rule, name, compiled(tree, helper, helper.__globals__)))


def _with_helper(rule: Any, name: str, helper: Any) -> Any:
    """A rule that finds another function under `name`, as do the helpers through which it calls it."""
    made = {n: _copied(helper if n == name else f, {}) for n, f in helpers(rule).items()}
    for function in made.values():
        function.__globals__.update({n: f for n, f in made.items() if n in function.__globals__})
    return _copied(rule, made)


def _copied(function: Any, names: dict[str, Any]) -> Any:
    space = {**OTHER_FUNCTIONS, **function.__globals__, **names}
    return FunctionType(function.__code__, space, function.__name__, function.__defaults__)


@contextmanager
def declared(op: Any, fault: Fault) -> Iterator[Any]:
    """A primitive like `op` but for one rule, registered for as long."""
    rules = (*op.rules[: fault.k], fault.rule, *op.rules[fault.k + 1 :])
    name = f"{op.name}_mutant"
    try:
        yield mg.primitive(
            *rules, show=op.show, samples=op.samples, kind=op.kind, c=op.c, reduce=op.reduce,
            infer=op.infer_with, outputs=op.outputs, name=name,
        )(op.forward).primitive  # fmt: skip
    finally:
        PRIMITIVES.pop(name, None)
