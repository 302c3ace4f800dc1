"""Glyphs, names and numbers: how a leaf of a formula is spelled in text, LaTeX and MathML.

One table of glyphs, one of Greek letters, one of accents; every printer reads them here. This file never looks at
a formula: it spells leaves and indices and escapes what people call their tensors.
"""

from __future__ import annotations

import numbers
import re
from typing import Any, NamedTuple

# Binding strengths, weakest first. An operand is put in parentheses when it binds weaker than its place demands.
ANY, CASES, COMPARISON, SUM, BIG = 0, 10, 15, 20, 25
QUOTIENT_LEVEL, MATMUL_LEVEL, PRODUCT_LEVEL = 38, 39, 40
POWER_LEVEL, NUMBER_LEVEL, ATOM = 60, 65, 70


class Spelling(NamedTuple):
    """One leaf in the three notations, with its binding strength in text and in mathematics."""

    text: str
    latex: str
    mathml: str
    prec: int = ATOM
    math_prec: int = ATOM
    signed: bool = False


# name -> (text, LaTeX, MathML). Text keeps to characters that the fonts of a pure-wasm Graphviz can draw.
GLYPHS: dict[str, tuple[str, str, str]] = {
    "plus": (" + ", " + ", "<mo>+</mo>"),
    "minus": (" - ", " - ", "<mo>−</mo>"),
    "negative": ("-", "-", "<mo>−</mo>"),
    "times": ("·", r" \cdot ", "<mo>⋅</mo>"),
    "over": (" / ", " / ", "<mo>/</mo>"),
    "matmul": (" @ ", r" \mathbin{@} ", "<mo>@</mo>"),
    "<": (" < ", " < ", "<mo>&lt;</mo>"),
    "<=": (" <= ", r" \le ", "<mo>≤</mo>"),
    ">": (" > ", " > ", "<mo>&gt;</mo>"),
    ">=": (" >= ", r" \ge ", "<mo>≥</mo>"),
    "==": (" == ", " = ", "<mo>=</mo>"),
    "!=": (" != ", r" \ne ", "<mo>≠</mo>"),
    "∑": ("sum", r"\sum", "<mo>∑</mo>"),
    "∏": ("prod", r"\prod", "<mo>∏</mo>"),
    "…": ("...", r"\ldots ", "<mo>…</mo>"),
}

GREEK: dict[str, str] = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ϵ", "zeta": "ζ", "eta": "η", "theta": "θ",
    "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ",
    "tau": "τ", "upsilon": "υ", "phi": "ϕ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ",
    "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Upsilon": "Υ", "Phi": "Φ", "Psi": "Ψ",
    "Omega": "Ω",
}  # fmt: skip
_LETTER_TO_GREEK = {letter: name for name, letter in GREEK.items()} | {"ε": "epsilon", "φ": "phi"}
_SHORT = {"eps": "epsilon"}
ACCENTS = {"hat": (r"\hat", "^"), "bar": (r"\bar", "¯"), "tilde": (r"\tilde", "~"), "dot": (r"\dot", "˙")}

_LATEX_SPECIAL = {
    "\\": r"\backslash ", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\hat{\ }", "~": r"\sim ", "<": "{<}", ">": "{>}", "\n": " ", "\r": " ", "\t": " ",
}  # fmt: skip
_XML_SPECIAL = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


def escape_xml(text: str) -> str:
    """`text` as the content of an XML element: markup escaped, characters that XML forbids shown as U+FFFD."""
    return "".join(_XML_SPECIAL.get(c, c) if _in_xml(c) else "\ufffd" for c in text)


def _in_xml(c: str) -> bool:
    return " " <= c < "\ud800" or c in "\t\n\r" or (c >= "\ue000" and c not in "\ufffe\uffff")


def escape_latex(text: str) -> str:
    """`text` inside a LaTeX formula, every special character made harmless."""
    return "".join(_LATEX_SPECIAL.get(c, c) for c in text)


def _word(word: str) -> tuple[str, str]:
    """One word without subscript, in LaTeX and MathML."""
    greek = _SHORT.get(word, _LETTER_TO_GREEK.get(word, word))
    if greek in GREEK:
        return "\\" + greek, f"<mi>{GREEK[greek]}</mi>"
    if word.isdecimal():
        return word, f"<mn>{word}</mn>"
    if len(word) == 1:
        return escape_latex(word), f"<mi>{escape_xml(word)}</mi>"
    return rf"\mathrm{{{escape_latex(word)}}}", f"<mi>{escape_xml(word)}</mi>"


def spell_name(name: str) -> Spelling:
    r"""A symbol's name in the three notations: Greek letters by name, accents and subscripts from trailing `_x`.

    After a word of several letters only numbers are subscripts: `running_mean` stays one name.


    >>> spell_name("gamma").latex, spell_name("x_hat").latex, spell_name("W_out").latex, spell_name("x1").latex
    ('\\gamma', '\\hat{x}', 'W_{\\mathrm{out}}', 'x_{1}')
    """
    head, *tail = [part for part in name.split("_") if part] or [name]
    if not tail and (match := re.fullmatch(r"([^\W\d_]+)(\d+)", head)):
        head, tail = match[1], [match[2]]
    if len(head) > 1 and head not in GREEK and head not in _SHORT:  # a word, which goes on in words: running_mean
        while tail and not tail[0].isdecimal() and tail[0] not in ACCENTS:
            head = f"{head}_{tail.pop(0)}"
    latex, mathml = _word(head)
    while tail and tail[0] in ACCENTS:
        command, mark = ACCENTS[tail.pop(0)]
        latex, mathml = f"{command}{{{latex}}}", f'<mover accent="true">{mathml}<mo>{mark}</mo></mover>'
    if tail:
        words = [_word(part) for part in tail]
        latex += f"_{{{','.join(w for w, _ in words)}}}"
        mathml = f"<msub><mrow>{mathml}</mrow><mrow>{'<mo>,</mo>'.join(m for _, m in words)}</mrow></msub>"
    return Spelling(name, latex, mathml)


def spell_number(value: Any) -> Spelling:
    """A number without noise: 2 and not 2.0, six digits, powers of ten as such.

    >>> spell_number(2.0).text, spell_number(1e-5).text, spell_number(1e-5).latex, spell_number(-0.5).signed
    ('2', '1e-5', '10^{-5}', True)
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        text = str(value)
        return Spelling(text, rf"\mathrm{{{escape_latex(text)}}}", f"<mi>{escape_xml(text)}</mi>")
    if isinstance(value, numbers.Integral):
        text = str(int(value))
    else:
        text = re.sub(r"e([+-])0*(\d+)", lambda m: "e" + m[1].strip("+") + m[2], f"{float(value):.6g}")
    digits, negative = text.removeprefix("-"), text.startswith("-")
    mantissa, e, exponent = digits.partition("e")
    math_prec = NUMBER_LEVEL
    if digits in ("inf", "nan"):
        latex, mathml = (r"\infty", "<mi>∞</mi>") if digits == "inf" else (r"\mathrm{nan}", "<mi>nan</mi>")
    elif e:
        power = f"<msup><mn>10</mn><mn>{exponent}</mn></msup>"
        latex, mathml, math_prec = f"10^{{{exponent}}}", power, POWER_LEVEL
        if mantissa != "1":
            latex, math_prec = rf"{mantissa} \cdot {latex}", PRODUCT_LEVEL
            mathml = f"<mrow><mn>{mantissa}</mn><mo>⋅</mo>{power}</mrow>"
    else:
        latex, mathml = digits, f"<mn>{digits}</mn>"
    if negative:
        return Spelling(text, "-" + latex, f"<mrow><mo>−</mo>{mathml}</mrow>", SUM, SUM, True)
    return Spelling(text, latex, mathml, NUMBER_LEVEL, math_prec)


def spell_leaf(value: Any) -> Spelling:
    """Whatever stands in a formula without being one: a number, an array, None, a string."""
    if isinstance(value, (bool, numbers.Number)):
        return spell_number(value)
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        if not shape and type(value).__module__ == "numpy":  # reading a 0-d array elsewhere would be a host copy
            return spell_number(value.item())
        text = "array" + (f"({shape[0]})" if len(shape) == 1 else str(shape))
        return Spelling(text, rf"\mathrm{{{text}}}", f"<mi>{text}</mi>")
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return Spelling(text, rf"\mathrm{{{escape_latex(text)}}}", f"<mi>{escape_xml(text)}</mi>")


def spell_index(index: Any) -> str:
    """An index as Python writes it between the brackets.

    >>> spell_index((slice(1, None), Ellipsis, None, 3))
    '1:, ..., None, 3'
    """
    if isinstance(index, tuple) and len(index) == 4 and index[0] == "slice":  # a slice as a hashable parameter holds it
        index = slice(*index[1:])
    if isinstance(index, tuple):
        return ", ".join(map(spell_index, index)) if index else "()"
    if index is Ellipsis:
        return "..."
    if isinstance(index, slice):
        start, stop, step = ("" if part is None else str(part) for part in (index.start, index.stop, index.step))
        return f"{start}:{stop}" + (f":{step}" if step else "")
    return spell_leaf(index).text
