"""Layouts: how each kind of operation is written, and how strongly it binds.

A layout never prints an operand itself. It answers with pieces, strings and `Slot`s, and the printer's loop fills the
slots, so depth costs no recursion. A slot says how strongly its operand must bind to stand there without parentheses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from minigrad.notation.names import (
    ANY,
    ATOM,
    BIG,
    CASES,
    GLYPHS,
    NUMBER_LEVEL,
    POWER_LEVEL,
    PRODUCT_LEVEL,
    QUOTIENT_LEVEL,
    SUM,
    Spelling,
    escape_latex,
    escape_xml,
    spell_index,
    spell_leaf,
)

# Layouts are compared by identity and print no fields: each method that dataclass generates costs time at import.


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


@dataclass(eq=False, repr=False)
class Atom(Shape):
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


@dataclass(eq=False, repr=False)
class Call(Shape):
    """name(x, …, axis=0): a function call that also shows the parameters named in `params`, but for None and False."""

    name: str
    tex: str
    ml: str
    params: tuple[str, ...] = ()

    def _named(self, params: Params) -> list[tuple[str, str]]:
        return [(n, _plain(v)) for n in self.params if (v := params.get(n)) is not None and v is not False]

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


@dataclass(eq=False, repr=False)
class Infix(Shape):
    """a SIGN b, associating to the left; with `chain=False` both operands need parentheses at the same level."""

    signs: tuple[str, str, str]
    prec: int
    chain: bool = True

    def binding(self, math: bool) -> int:
        return self.prec

    def _lay(self, args: Args, sign: str) -> Pieces:
        a, b = args
        # Products, quotients and matrix products share one level of Python's grammar: none may follow another bare.
        tops = PRODUCT_LEVEL if QUOTIENT_LEVEL <= self.prec <= PRODUCT_LEVEL else self.prec
        return [Slot(a, self.prec + (not self.chain)), sign, Slot(b, tops + 1)]

    def text(self, args: Args, params: Params) -> Pieces:
        return self._lay(args, self.signs[0])

    def latex(self, args: Args, params: Params) -> Pieces:
        return self._lay(args, self.signs[1])

    def mathml(self, args: Args, params: Params) -> Pieces:
        return self._lay(args, self.signs[2])


@dataclass(eq=False, repr=False)
class Prefix(Shape):
    """SIGN a, binding as a sum does: negation."""

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


@dataclass(eq=False, repr=False)
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


@dataclass(eq=False, repr=False)
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


@dataclass(eq=False, repr=False)
class Power(Shape):
    """a^b in text, a superscript in mathematics.

    The exponent is the second operand, or the parameter that `exponent` names, or the number that `exponent` is.
    """

    exponent: str | float = ""

    def binding(self, math: bool) -> int:
        return POWER_LEVEL

    def _parts(self, args: Args, params: Params) -> Args:
        if self.exponent == "":
            return args
        return args[0], params[self.exponent] if isinstance(self.exponent, str) else self.exponent

    def text(self, args: Args, params: Params) -> Pieces:
        base, exponent = self._parts(args, params)
        return [Slot(base, NUMBER_LEVEL), "^", Slot(exponent, NUMBER_LEVEL)]

    def latex(self, args: Args, params: Params) -> Pieces:
        base, exponent = self._parts(args, params)
        return [Slot(base, NUMBER_LEVEL), "^{", Slot(exponent), "}"]

    def mathml(self, args: Args, params: Params) -> Pieces:
        base, exponent = self._parts(args, params)
        return ["<msup><mrow>", Slot(base, NUMBER_LEVEL), "</mrow><mrow>", Slot(exponent), "</mrow></msup>"]


@dataclass(eq=False, repr=False)
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


@dataclass(eq=False, repr=False)
class Reduction(Shape):
    """sum(x, axis=0) in text, a big operator with its axes as a subscript in mathematics."""

    signs: tuple[str, str, str]
    axis: str = ""  # the parameter that holds the axes; by default "axis", or else "axes"

    def binding(self, math: bool) -> int:
        return BIG if math else ATOM

    def _axes(self, params: Params) -> tuple[Any, ...] | None:
        axis = params.get(self.axis) if self.axis else params.get("axis", params.get("axes"))
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


@dataclass(eq=False, repr=False)
class Indexed(Shape):
    """x[i], or with a name `name(x, [i])`, x put where an index points.

    The index is the other operands, or a parameter, named here or computed from all of them; in a parameter the
    operands stand where it says "array".
    """

    index: str | Callable[[Params], Any] = "index"
    name: str = ""

    def _inside(self, args: Args, params: Params) -> Pieces:
        index = params.get(self.index) if isinstance(self.index, str) else self.index(params)
        if len(args) == 1 or index is None:
            return _commas(args[1:], ", ") if len(args) > 1 else [spell_index(index)]
        operands = iter(args[1:])
        pieces: Pieces = []
        for entry in index if isinstance(index, tuple) else (index,):
            piece = Slot(next(operands)) if isinstance(entry, str) and entry == "array" else spell_index(entry)
            pieces += [", ", piece] if pieces else [piece]
        return pieces

    def text(self, args: Args, params: Params) -> Pieces:
        inside = ["[", *self._inside(args, params), "]"]
        return [self.name, "(", Slot(args[0]), ", ", *inside, ")"] if self.name else [Slot(args[0], ATOM), *inside]

    def latex(self, args: Args, params: Params) -> Pieces:
        inside = [escape_latex(p) if isinstance(p, str) else p for p in self._inside(args, params)]
        inside = [r"\left[", *inside, r"\right]"]
        if not self.name:
            return [Slot(args[0], NUMBER_LEVEL), *inside]
        return [rf"\operatorname{{{escape_latex(self.name)}}}\left(", Slot(args[0]), ", ", *inside, r"\right)"]

    def mathml(self, args: Args, params: Params) -> Pieces:
        inside = [f"<mtext>{escape_xml(p)}</mtext>" if isinstance(p, str) else p for p in self._inside(args, params)]
        inside = ["<mrow><mo>[</mo>", *inside, "<mo>]</mo></mrow>"]
        if not self.name:
            return ["<mrow>", Slot(args[0], NUMBER_LEVEL), *inside, "</mrow>"]
        return [f"<mrow><mi>{escape_xml(self.name)}</mi><mo>&#x2061;</mo><mrow><mo>(</mo>", Slot(args[0]),
                "<mo>,</mo>", *inside, "<mo>)</mo></mrow></mrow>"]  # fmt: skip


@dataclass(eq=False, repr=False)
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


@dataclass(eq=False, repr=False)
class AsIs(Shape):
    """The first operand and nothing else: what changes no value, a reshape, a broadcast, a cast."""
