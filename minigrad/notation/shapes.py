"""Formula shapes: what a primitive passes as `show=`, each a value that lays out its operands in three notations.

A shape never prints an operand itself. It answers with pieces, strings and `Slot`s, and the printer's loop fills the
slots, so depth costs no recursion. A slot says how strongly its operand must bind to stand there without parentheses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from minigrad.notation.names import (
    ANY, ATOM, BIG, CASES, COMPARISON, GLYPHS, MATMUL_LEVEL, NUMBER_LEVEL, POWER_LEVEL, PRODUCT_LEVEL, QUOTIENT_LEVEL,
    SUM, Spelling, escape_latex, escape_xml, spell_index, spell_leaf, spell_name, spell_number,
)  # fmt: skip


class Slot(NamedTuple):
    """A place for an operand: it goes in parentheses when it binds weaker than `prec`."""

    arg: Any
    prec: int = ANY


Pieces = list[str | Slot]
Args = Sequence[Any]
Params = Mapping[str, Any]


class Shape:
    """How one operation is written: three lists of pieces and how strongly the whole binds."""

    def binding(self, math: bool) -> int:
        """The binding strength in text, or in LaTeX and MathML when `math`."""
        return ATOM

    def signed(self) -> bool:
        """Whether it begins with a minus: such a one may lead a product bare, `-a·b`, but not follow a sign."""
        return False

    def text(self, args: Args, params: Params) -> Pieces:
        raise NotImplementedError

    def latex(self, args: Args, params: Params) -> Pieces:
        raise NotImplementedError

    def mathml(self, args: Args, params: Params) -> Pieces:
        raise NotImplementedError


def _commas(args: Args, sign: str) -> Pieces:
    pieces: Pieces = []
    for arg in args:
        pieces += [sign, Slot(arg)] if pieces else [Slot(arg)]
    return pieces


@dataclass(frozen=True)
class Leaf(Shape):
    """A symbol or a constant: a spelling and nothing below it."""

    spelling: Spelling
    value: Any = None  # a number for a constant, None for a symbol

    def binding(self, math: bool) -> int:
        return self.spelling.math_prec if math else self.spelling.prec

    def signed(self) -> bool:
        return self.spelling.signed

    def text(self, args: Args, params: Params) -> Pieces:
        return [self.spelling.text]

    def latex(self, args: Args, params: Params) -> Pieces:
        return [self.spelling.latex]

    def mathml(self, args: Args, params: Params) -> Pieces:
        return [self.spelling.mathml]


@dataclass(frozen=True)
class Call(Shape):
    """name(x, …, axis=0): a function call that also shows the parameters named in `params`."""

    name: str
    tex: str
    ml: str
    params: tuple[str, ...] = ()

    def _named(self, params: Params) -> list[tuple[str, str]]:
        return [(name, _plain(params[name])) for name in self.params if params.get(name) is not None]

    def text(self, args: Args, params: Params) -> Pieces:
        named = [f"{name}={value}" for name, value in self._named(params)]
        return [self.name, "(", *_commas(args, ", "), ", " * bool(named and args) + ", ".join(named), ")"]

    def latex(self, args: Args, params: Params) -> Pieces:
        named = [rf"\mathrm{{{escape_latex(f'{name}={value}')}}}" for name, value in self._named(params)]
        tail = ", " * bool(named and args) + ", ".join(named)
        return [self.tex, r"\left(", *_commas(args, ", "), tail, r"\right)"]

    def mathml(self, args: Args, params: Params) -> Pieces:
        comma = "<mo>,</mo>"
        named = [f"<mi>{escape_xml(f'{name}={value}')}</mi>" for name, value in self._named(params)]
        tail = comma * bool(named and args) + comma.join(named)
        return [f"<mrow>{self.ml}<mo>&#x2061;</mo><mrow><mo>(</mo>", *_commas(args, comma), tail,
                "<mo>)</mo></mrow></mrow>"]  # fmt: skip


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_plain, value)) + ("," if len(value) == 1 else "") + ")"
    return spell_leaf(value).text


@dataclass(frozen=True)
class Infix(Shape):
    """a SIGN b, associating to the left; with `chain=False` both operands need parentheses at the same level."""

    signs: tuple[str, str, str]
    prec: int
    chain: bool = True

    def binding(self, math: bool) -> int:
        return self.prec

    def _lay(self, args: Args, sign: str) -> Pieces:
        a, b = args
        return [Slot(a, self.prec + (not self.chain)), sign, Slot(b, self.prec + 1)]

    def text(self, args: Args, params: Params) -> Pieces:
        return self._lay(args, self.signs[0])

    def latex(self, args: Args, params: Params) -> Pieces:
        return self._lay(args, self.signs[1])

    def mathml(self, args: Args, params: Params) -> Pieces:
        return self._lay(args, self.signs[2])


@dataclass(frozen=True)
class Prefix(Shape):
    """SIGN a: negation, or a big operator such as a sum when `prec` is BIG."""

    signs: tuple[str, str, str]

    def binding(self, math: bool) -> int:
        return SUM

    def signed(self) -> bool:
        return True

    def text(self, args: Args, params: Params) -> Pieces:
        return [self.signs[0], Slot(args[0], BIG)]

    def latex(self, args: Args, params: Params) -> Pieces:
        return [self.signs[1], Slot(args[0], BIG)]

    def mathml(self, args: Args, params: Params) -> Pieces:
        return ["<mrow>", self.signs[2], Slot(args[0], BIG), "</mrow>"]


@dataclass(frozen=True)
class Postfix(Shape):
    """a SIGN, in mathematics as a superscript: the transpose."""

    signs: tuple[str, str, str]

    def binding(self, math: bool) -> int:
        return POWER_LEVEL if math else ATOM

    def text(self, args: Args, params: Params) -> Pieces:
        return [Slot(args[0], ATOM), self.signs[0]]

    def latex(self, args: Args, params: Params) -> Pieces:
        return [Slot(args[0], NUMBER_LEVEL), "^{", self.signs[1], "}"]

    def mathml(self, args: Args, params: Params) -> Pieces:
        return ["<msup><mrow>", Slot(args[0], NUMBER_LEVEL), "</mrow>", self.signs[2], "</msup>"]


@dataclass(frozen=True)
class Quotient(Shape):
    """a / b in text, a fraction in mathematics."""

    def binding(self, math: bool) -> int:
        return POWER_LEVEL if math else QUOTIENT_LEVEL

    def text(self, args: Args, params: Params) -> Pieces:
        return [Slot(args[0], QUOTIENT_LEVEL), GLYPHS["over"][0], Slot(args[1], PRODUCT_LEVEL + 1)]

    def latex(self, args: Args, params: Params) -> Pieces:
        return [r"\frac{", Slot(args[0]), "}{", Slot(args[1]), "}"]

    def mathml(self, args: Args, params: Params) -> Pieces:
        return ["<mfrac><mrow>", Slot(args[0]), "</mrow><mrow>", Slot(args[1]), "</mrow></mfrac>"]


@dataclass(frozen=True)
class Power(Shape):
    """a^b in text, a superscript in mathematics. The exponent is a second operand or the parameter `exponent`."""

    exponent: str = ""

    def binding(self, math: bool) -> int:
        return POWER_LEVEL

    def _parts(self, args: Args, params: Params) -> Args:
        return (args[0], params[self.exponent]) if self.exponent else args

    def text(self, args: Args, params: Params) -> Pieces:
        base, exponent = self._parts(args, params)
        return [Slot(base, NUMBER_LEVEL), "^", Slot(exponent, NUMBER_LEVEL)]

    def latex(self, args: Args, params: Params) -> Pieces:
        base, exponent = self._parts(args, params)
        return [Slot(base, NUMBER_LEVEL), "^{", Slot(exponent), "}"]

    def mathml(self, args: Args, params: Params) -> Pieces:
        base, exponent = self._parts(args, params)
        return ["<msup><mrow>", Slot(base, NUMBER_LEVEL), "</mrow><mrow>", Slot(exponent), "</mrow></msup>"]


@dataclass(frozen=True)
class Fence(Shape):
    """A call in text, paired signs around the operand in mathematics: the root, the absolute value."""

    name: str
    tex: tuple[str, str]
    ml: tuple[str, str]

    def text(self, args: Args, params: Params) -> Pieces:
        return [self.name, "(", Slot(args[0]), ")"]

    def latex(self, args: Args, params: Params) -> Pieces:
        return [self.tex[0], Slot(args[0]), self.tex[1]]

    def mathml(self, args: Args, params: Params) -> Pieces:
        return [self.ml[0], Slot(args[0]), self.ml[1]]


@dataclass(frozen=True)
class Reduction(Shape):
    """sum(x, axis=0) in text, a big operator with its axes as a subscript in mathematics."""

    signs: tuple[str, str, str]
    axis: str = "axis"

    def binding(self, math: bool) -> int:
        return BIG if math else ATOM

    def _axes(self, params: Params) -> tuple[Any, ...] | None:
        axis = params.get(self.axis)
        return axis if axis is None or isinstance(axis, tuple) else (axis,)

    def text(self, args: Args, params: Params) -> Pieces:
        axes = self._axes(params)
        tail = "" if axes is None else f", axis={_plain(axes[0] if len(axes) == 1 else axes)}"
        return [self.signs[0], "(", Slot(args[0]), tail, ")"]

    def latex(self, args: Args, params: Params) -> Pieces:
        axes = self._axes(params)
        under = " " if axes is None else f"_{{{','.join(map(_plain, axes))}}} "
        return [self.signs[1] + under, Slot(args[0], BIG)]

    def mathml(self, args: Args, params: Params) -> Pieces:
        axes = self._axes(params)
        sign = self.signs[2]
        if axes is not None:
            under = "<mo>,</mo>".join(f"<mn>{escape_xml(_plain(axis))}</mn>" for axis in axes)
            sign = f"<munder>{sign}<mrow>{under}</mrow></munder>"
        return ["<mrow>", sign, Slot(args[0], BIG), "</mrow>"]


@dataclass(frozen=True)
class Indexed(Shape):
    """x[i]: the index is the second operand, or the parameter named here."""

    index: str = "index"

    def _inside(self, args: Args, params: Params) -> Pieces:
        return _commas(args[1:], ", ") if len(args) > 1 else [spell_index(params.get(self.index))]

    def text(self, args: Args, params: Params) -> Pieces:
        return [Slot(args[0], ATOM), "[", *self._inside(args, params), "]"]

    def latex(self, args: Args, params: Params) -> Pieces:
        inside = [escape_latex(p) if isinstance(p, str) else p for p in self._inside(args, params)]
        return [Slot(args[0], NUMBER_LEVEL), r"\left[", *inside, r"\right]"]

    def mathml(self, args: Args, params: Params) -> Pieces:
        inside = [f"<mtext>{escape_xml(p)}</mtext>" if isinstance(p, str) else p for p in self._inside(args, params)]
        return ["<mrow>", Slot(args[0], NUMBER_LEVEL), "<mo>[</mo>", *inside, "<mo>]</mo></mrow>"]


@dataclass(frozen=True)
class Cases(Shape):
    """c ? a : b in text, cases in mathematics."""

    def binding(self, math: bool) -> int:
        return CASES

    def text(self, args: Args, params: Params) -> Pieces:
        c, a, b = args
        return [Slot(c, CASES + 1), " ? ", Slot(a, CASES + 1), " : ", Slot(b, CASES + 1)]

    def latex(self, args: Args, params: Params) -> Pieces:
        c, a, b = args
        return [r"\begin{cases} ", Slot(a), r" & ", Slot(c), r" \\ ", Slot(b), r" & \text{otherwise} \end{cases}"]

    def mathml(self, args: Args, params: Params) -> Pieces:
        c, a, b = args
        return ["<mrow><mo>{</mo><mtable><mtr><mtd>", Slot(a), "</mtd><mtd>", Slot(c), "</mtd></mtr><mtr><mtd>",
                Slot(b), "</mtd><mtd><mtext>otherwise</mtext></mtd></mtr></mtable></mrow>"]  # fmt: skip


@dataclass(frozen=True)
class AsIs(Shape):
    """The first operand and nothing else: what changes no value, a reshape, a broadcast, a cast."""


# ---- what a primitive passes as show= ----


def fn(name: str, latex: str | None = None, params: tuple[str, ...] = ()) -> Shape:
    r"""A function call, `name(x, …)`; the parameters named in `params` follow as `axis=0` unless they are None.

    `latex` replaces the name in LaTeX, `r"\tanh"`; without it the name stands upright.
    """
    return Call(name, latex or rf"\operatorname{{{escape_latex(name)}}}", f"<mi>{escape_xml(name)}</mi>", params)


def infix(sign: str, prec: int, latex: str | None = None, mathml: str | None = None, chain: bool = True) -> Shape:
    """a SIGN b, associating to the left (`chain=False`: not at all), with binding strength `prec` (SUM, PRODUCT …)."""
    glyph = GLYPHS.get(sign, (f" {sign} ", f" {escape_latex(sign)} ", f"<mo>{escape_xml(sign)}</mo>"))
    return Infix((glyph[0], latex or glyph[1], mathml or glyph[2]), prec, chain)


def prefix(sign: str, latex: str | None = None, mathml: str | None = None) -> Shape:
    """SIGN a, binding as a sum does, as the minus sign."""
    return Prefix((sign, latex or escape_latex(sign), mathml or f"<mo>{escape_xml(sign)}</mo>"))


def postfix(sign: str, latex: str | None = None, mathml: str | None = None) -> Shape:
    """a SIGN in text, a superscript in mathematics."""
    return Postfix((sign, latex or escape_latex(sign), mathml or f"<mo>{escape_xml(sign)}</mo>"))


def reduction(sign: str, latex: str | None = None, axis: str = "axis") -> Shape:
    r"""A big operator over axes: `reduction("∑", r"\sum")`, `reduction("max")`; `axis` names the parameter it shows."""
    word = rf"\operatorname{{{escape_latex(sign)}}}", f"<mi>{escape_xml(sign)}</mi>"
    glyph = GLYPHS.get(sign, (sign, *word))
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
TRANSPOSE = postfix(".T", r"\top", "<mo>⊤</mo>")
WHERE = Cases()
indexed = Indexed()
as_is = AsIs()


def name_shape(name: str, latex: str | None = None) -> Leaf:
    """The leaf of a symbol."""
    spelling = spell_name(name)
    if latex is not None:  # braces, because TeX refuses a second superscript
        spelling = spelling._replace(latex=f"{{{latex}}}" if "^" in latex else latex)
    return Leaf(spelling)


def number_shape(value: float) -> Leaf:
    """The leaf of a constant."""
    return Leaf(spell_number(value), value)
