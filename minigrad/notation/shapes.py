"""Formula shapes: the values that a primitive passes as `show=`.

Factories for functions, signs and reductions, and one constant for each operation that has a notation of its own. What
they look like is decided in `layouts`; this file only names them.
"""

from __future__ import annotations

from minigrad.notation.layouts import (
    AsIs,
    Atom,
    Call,
    Cases,
    Fence,
    Indexed,
    Infix,
    Postfix,
    Power,
    Prefix,
    Quotient,
    Reduction,
    Shape,
)
from minigrad.notation.names import (
    COMPARISON,
    GLYPHS,
    MATMUL_LEVEL,
    PRODUCT_LEVEL,
    SUM,
    escape_latex,
    escape_xml,
    spell_name,
    spell_number,
)


def fn(name: str, latex: str | None = None, params: tuple[str, ...] = ()) -> Shape:
    r"""A function call, `name(x, …)`; parameters named in `params` follow as `axis=0` unless they are None or False.

    `latex` replaces the name in LaTeX; without it the name stands upright, or is LaTeX's own command if there is one.

    >>> from minigrad.notation import Expr, symbol
    >>> e = Expr(fn("softmax", params=("axis",)), (symbol("x"),), {"axis": -1})
    >>> e.text(), Expr(fn("tanh"), (symbol("x"),)).latex()
    ('softmax(x, axis=-1)', '\\tanh\\left(x\\right)')
    """
    return Call(name, latex or _operator(name), f"<mi>{escape_xml(name)}</mi>", params)


def _operator(name: str) -> str:
    return "\\" + name if name in _COMMANDS else rf"\operatorname{{{escape_latex(name)}}}"


_COMMANDS = frozenset({
    "arccos", "arcsin", "arctan", "cos", "cosh", "cot", "det", "exp", "inf", "ln", "log", "max", "min", "sin", "sinh",
    "sup", "tan", "tanh",
})  # functions for which LaTeX has a command  # fmt: skip


def infix(sign: str, prec: int, latex: str | None = None, mathml: str | None = None, chain: bool = True) -> Shape:
    """A SIGN b, associating to the left (`chain=False`: not at all), with binding strength `prec` (SUM, PRODUCT …)."""
    glyph = GLYPHS.get(sign, (f" {sign} ", f" {escape_latex(sign)} ", f"<mo>{escape_xml(sign)}</mo>"))
    return Infix((glyph[0], latex or glyph[1], mathml or glyph[2]), prec, chain)


def prefix(sign: str, latex: str | None = None, mathml: str | None = None) -> Shape:
    """SIGN a, binding as a sum does, as the minus sign."""
    return Prefix((sign, latex or escape_latex(sign), mathml or f"<mo>{escape_xml(sign)}</mo>"))


def postfix(sign: str, latex: str | None = None, mathml: str | None = None) -> Shape:
    """A SIGN in text, a superscript in mathematics."""
    return Postfix((sign, latex or escape_latex(sign), mathml or f"<mo>{escape_xml(sign)}</mo>"))


def reduction(sign: str, latex: str | None = None, axis: str = "") -> Shape:
    r"""A big operator over axes, `reduction("∑", r"\sum")` or `reduction("max")`.

    It shows as a subscript the parameter that `axis` names; by default `axis`, or else `axes`.
    """
    glyph = GLYPHS.get(sign, (sign, _operator(sign), f"<mi>{escape_xml(sign)}</mi>"))
    return Reduction((glyph[0], latex or glyph[1], glyph[2]), axis)


def _sign(name: str, prec: int, chain: bool = True) -> Shape:
    return Infix(GLYPHS[name], prec, chain)


SUM_OF, DIFFERENCE = _sign("plus", SUM), _sign("minus", SUM)
PRODUCT, MATMUL = _sign("times", PRODUCT_LEVEL), _sign("matmul", MATMUL_LEVEL)
QUOTIENT, POWER, NEGATE = Quotient(), Power(), Prefix(GLYPHS["negative"])
LESS, LESS_EQUAL = _sign("<", COMPARISON, False), _sign("<=", COMPARISON, False)
GREATER, GREATER_EQUAL = _sign(">", COMPARISON, False), _sign(">=", COMPARISON, False)
EQUAL, NOT_EQUAL = _sign("==", COMPARISON, False), _sign("!=", COMPARISON, False)
SQRT = Fence("sqrt", (r"\sqrt{", "}"), ("<msqrt>", "</msqrt>"))
ABS = Fence("abs", (r"\left|", r"\right|"), ("<mrow><mo>|</mo>", "<mo>|</mo></mrow>"))
TRANSPOSE = postfix(".T", r"\top", "<mi>⊤</mi>")
WHERE = Cases()
indexed = Indexed()
as_is = AsIs()


def name_shape(name: str, latex: str | None = None) -> Atom:
    """The leaf of a symbol."""
    spelling = spell_name(name)
    if latex is not None:  # braces, because TeX refuses a second superscript
        spelling = spelling._replace(latex=f"{{{latex}}}" if "^" in latex else latex)
    return Atom(spelling)


def number_shape(value: float) -> Atom:
    """The leaf of a constant."""
    return Atom(spell_number(value), value)
