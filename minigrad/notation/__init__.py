"""Formulas: symbols in, formula out, and its text, LaTeX and MathML.

`names` spells leaves, `layouts` arranges operations, `shapes` names them, `printers` write, `expr` is the
formula. Knows no array library and nothing else of minigrad.
"""

from minigrad.notation.brief import written_as
from minigrad.notation.expr import ONE, ZERO, Expr, cotangent, formula, symbol
from minigrad.notation.layouts import Indexed, Power, Shape
from minigrad.notation.names import COMPARISON, MATMUL_LEVEL, PRODUCT_LEVEL, SUM
from minigrad.notation.shapes import (
    ABS,
    DIFFERENCE,
    EQUAL,
    GREATER,
    GREATER_EQUAL,
    LESS,
    LESS_EQUAL,
    MATMUL,
    NEGATE,
    NOT_EQUAL,
    POWER,
    PRODUCT,
    QUOTIENT,
    SQRT,
    SUM_OF,
    TRANSPOSE,
    WHERE,
    as_is,
    fn,
    indexed,
    infix,
    postfix,
    prefix,
    reduction,
)

__all__ = [
    "ABS", "COMPARISON", "DIFFERENCE", "EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "MATMUL",
    "MATMUL_LEVEL", "NEGATE", "NOT_EQUAL", "ONE", "POWER", "PRODUCT", "PRODUCT_LEVEL", "QUOTIENT", "SQRT", "SUM",
    "SUM_OF", "TRANSPOSE", "WHERE", "ZERO", "Expr", "Indexed", "Power", "Shape", "as_is", "cotangent", "fn", "formula",
    "indexed", "infix", "postfix", "prefix", "reduction", "symbol", "written_as",
]  # fmt: skip
