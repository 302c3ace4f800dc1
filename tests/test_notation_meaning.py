"""Formulas mean what they say: the text and the MathML are read back with Python's grammar and give the same numbers.

`WRITTEN` in test_notation.py pins how a formula looks; here no form is pinned, only that no parenthesis is missing.
"""

from __future__ import annotations

import ast
import itertools
import operator
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minigrad.notation import ONE, Expr, fn, symbol
from minigrad.notation import shapes as s

a, b, c = (symbol(name) for name in "abc")

LEAVES = st.one_of(st.sampled_from([a, b, c, ONE]), st.sampled_from([-2.0, -1, 0.5, 2, 3]))


def matmul(p: Any, q: Any) -> Any:
    """Stands for the matrix product on numbers: odd in both operands, and no more associative with `*` than that is."""
    return p * abs(p) * q * abs(q)


BINARY = {
    s.SUM_OF: operator.add, s.DIFFERENCE: operator.sub, s.PRODUCT: operator.mul, s.QUOTIENT: operator.truediv,
    s.POWER: operator.pow, s.MATMUL: matmul, s.LESS: operator.lt, s.EQUAL: operator.eq,
}  # fmt: skip
UNARY = {s.NEGATE: operator.neg, s.ABS: abs, s.SQRT: np.sqrt, fn("tanh"): np.tanh}
POINT = {"a": np.float64(0.7), "b": np.float64(-1.3), "c": np.float64(2.1)}


def strict_binary(draw: Any) -> Expr:
    """As the engine builds it: nothing simplified, so that every arrangement is met."""
    shape, left, right = draw
    apply = BINARY[shape]
    return Expr(shape, (left, right), None, lambda p, q: np.float64(apply(np.float64(p), np.float64(q))))


FORMULAS = st.recursive(
    LEAVES,
    lambda sub: st.one_of(
        st.tuples(st.sampled_from(list(BINARY)), sub, sub).map(strict_binary),
        st.tuples(st.sampled_from(list(UNARY)), sub).map(lambda t: Expr(t[0], (t[1],), None, UNARY[t[0]])),
        st.tuples(sub, sub).filter(lambda t: any(isinstance(i, Expr) for i in t)).map(lambda t: t[0] * t[1] - t[0]),
    ),
    max_leaves=12,
).filter(lambda e: isinstance(e, Expr))

NODES: dict[type, Any] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.MatMult: matmul, ast.Lt: operator.lt, ast.Eq: operator.eq, ast.USub: operator.neg,
}  # fmt: skip
CALLS = {"abs": abs, "sqrt": np.sqrt, "tanh": np.tanh}


def value_of(tree: ast.AST) -> Any:
    """Python's reading of an expression, on float64 scalars."""
    match tree:
        case ast.Expression(body):
            return value_of(body)
        case ast.BinOp(left, op, right):
            return NODES[type(op)](value_of(left), value_of(right))
        case ast.UnaryOp(op, operand):
            return NODES[type(op)](value_of(operand))
        case ast.Compare(left, [op], [right]):
            return np.float64(NODES[type(op)](value_of(left), value_of(right)))
        case ast.Call(ast.Name(name), [argument]):
            return CALLS[name](value_of(argument))
        case ast.Name(name):
            return POINT[name]
        case ast.Constant(value):
            return np.float64(value)
    raise AssertionError(ast.dump(tree))


def python_of(text: str) -> Any:
    return value_of(ast.parse(text.replace("·", "*").replace("^", "**"), mode="eval"))


def flat(element: ET.Element) -> str:
    """MathML as Python text. Only what the drawing itself delimits, fractions and exponents, gets parentheses here."""
    tag = element.tag.rpartition("}")[2]
    inside = [flat(child) for child in element]
    match tag:
        case "mfrac":
            return f"(({inside[0]})/({inside[1]}))"
        case "msup":
            return f"{inside[0]}**({inside[1]})"
        case "msqrt":
            return f"sqrt({''.join(inside)})"
        case "mrow" if inside[:1] == ["|"]:
            return f"abs({''.join(inside[1:-1])})"
    if inside:
        return "".join(inside)
    return {"−": "-", "⋅": "*", "=": "==", "\u2061": ""}.get(element.text or "", element.text or "")


def check_reads_back(expr: Expr) -> None:
    with np.errstate(all="ignore"):
        expected = np.float64(expr.evaluate(POINT))
        text, mathml = expr.text(None), flat(ET.fromstring(expr.mathml(None)))
        found = python_of(text), python_of(mathml)
    assert np.array_equal(found, (expected, expected), equal_nan=True), (text, mathml, expected, found)


def build(show: Any, *args: Any) -> Expr:
    return strict_binary((show, *args)) if show in BINARY else Expr(show, args, None, UNARY[show])


def over(show: Any, choices: list[Any]) -> list[Expr]:
    return [build(show, *args) for args in itertools.product(choices, repeat=2 if show in BINARY else 1)]


OPERATIONS = [*BINARY, *UNARY]
PAIRS = [build(show, *((a, b) if show in BINARY else (c,))) for show in OPERATIONS]


@pytest.mark.parametrize("outer", OPERATIONS, ids=lambda shape: type(shape).__name__)
def test_every_operation_inside_every_other_reads_back(outer: Any) -> None:
    for expr in over(outer, [a, -2.0, 3, *PAIRS]):
        check_reads_back(expr)


@pytest.mark.parametrize("outer", OPERATIONS, ids=lambda shape: type(shape).__name__)
def test_three_levels_with_a_sign_between_read_back(outer: Any) -> None:
    signed = [build(s.NEGATE, expr) for expr in PAIRS]
    led = [build(show, first, b) for show in BINARY for first in (*signed[:3], -0.5)]
    for inner in (*signed, *led):
        for args in ((inner, c), (c, inner)) if outer in BINARY else ((inner,),):
            check_reads_back(build(outer, *args))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(FORMULAS)
def test_deep_formulas_read_back(expr: Expr) -> None:
    check_reads_back(expr)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(FORMULAS, st.integers(3, 60))
def test_folded_forms_fit_and_stay_well_formed(expr: Expr, limit: int) -> None:
    assert len(expr.text(limit)) <= limit
    ET.fromstring(expr.mathml(limit))
    latex = expr.latex(limit)
    assert latex.count(r"\left") == latex.count(r"\right")
    depth = 0
    for character in latex:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.recursive(st.sampled_from("abc"), lambda sub: st.tuples(st.sampled_from("+-*/@n1"), sub, sub), max_leaves=8))
def test_simplifying_keeps_the_value(program: Any) -> None:
    def run(node: Any, env: Any) -> Any:
        if isinstance(node, str):
            return env[node]
        op, p, q = node[0], run(node[1], env), run(node[2], env)
        return {"+": p + q, "-": p - q, "*": p * q, "/": p / 4, "@": p + -q, "n": -p, "1": 1 * p + 0 * q}[op]

    expected = run(program, POINT)
    assume(np.isfinite(expected))
    found = run(program, {"a": a, "b": b, "c": c}).evaluate(POINT)
    assert abs(found - expected) <= 1e-12 * max(1.0, abs(expected))
