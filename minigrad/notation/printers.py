"""The printers: one loop with its own stack, for text, LaTeX and MathML.

A formula is a graph that shares parts, and written out it can be exponentially long. So the loop stops as soon as it
passes a limit, and what is too long is folded from below: parts deeper than some level become an ellipsis, and the
same level folds all three notations. Never recursive: a formula may be ten thousand operations deep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from minigrad.notation.layouts import Args, AsIs, Atom, Params, Pieces, Shape, Slot
from minigrad.notation.names import ANY, GLYPHS, PRODUCT_LEVEL, spell_leaf


class Style(NamedTuple):
    """One notation."""

    pieces: Callable[[Shape, Args, Params], Pieces]
    math: bool
    open: str
    close: str
    ellipsis: str


TEXT = Style(lambda shape, a, p: shape.text(a, p), False, "(", ")", GLYPHS["…"][0])
LATEX = Style(lambda shape, a, p: shape.latex(a, p), True, r"\left(", r"\right)", GLYPHS["…"][1])
MATHML = Style(lambda shape, a, p: shape.mathml(a, p), True, "<mrow><mo>(</mo>", "<mo>)</mo></mrow>", GLYPHS["…"][2])


def _write(root: Any, style: Style, level: int | None, room: int | None) -> tuple[str | None, int]:
    """Write `root` folded at `level`; None in place of the string once it is longer than `room`. And the depth seen."""
    out: list[str] = []
    size = deepest = 0
    stack: list[str | tuple[Any, int, int, bool]] = [(root, ANY, 0, True)]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            out.append(item)
            size += len(item)
            if room is not None and size > room:
                return None, deepest
            continue
        expr, prec, depth, fresh = item  # fresh: nothing stands to the left but an opening bracket
        shape = getattr(expr, "show", None)
        while isinstance(shape, AsIs):
            expr = expr.args[0]
            shape = getattr(expr, "show", None)
        if not isinstance(shape, Shape):
            shape = Atom(spell_leaf(expr))
        if isinstance(shape, Atom):
            pieces = style.pieces(shape, (), {})
        elif level is not None and depth >= level:
            stack.append(style.ellipsis)
            continue
        else:
            pieces = style.pieces(shape, expr.args, expr.params or {})
            deepest = max(deepest, depth)
        bare = shape.binding(style.math) >= prec or (shape.signed() and fresh and prec <= PRODUCT_LEVEL)
        if not bare:
            stack.append(style.close)
        for place in range(len(pieces) - 1, -1, -1):
            piece = pieces[place]
            if isinstance(piece, Slot):
                leads = piece.prec == ANY or (place == 0 and (fresh or not bare))
                stack.append((piece.arg, piece.prec, depth + 1, leads))
            elif piece:
                stack.append(piece)
        if not bare:
            stack.append(style.open)
    return "".join(out), deepest


def _fold(root: Any, limit: int | None) -> int | None:
    """The deepest level at which the text of `root` fits in `limit` characters; None when it need not be folded."""
    if limit is None:
        return None
    text, deepest = _write(root, TEXT, None, limit)
    if text is not None:
        return None
    fits, fails = 1, max(deepest + 1, 1)  # folding never makes a text longer, so the levels that fit are 0 … fits
    while fails - fits > 1:
        middle = (fits + fails) // 2
        if _write(root, TEXT, middle, limit)[0] is None:
            fails = middle
        else:
            fits = middle
    return fits


def write_text(root: Any, limit: int | None) -> str:
    """`root` as one line of plain text of at most `limit` characters."""
    text, _ = _write(root, TEXT, _fold(root, limit), None)
    assert text is not None
    if limit is not None and len(text) > limit:  # a single operation, or name, that is too long by itself
        return (text[: max(limit - len(TEXT.ellipsis), 0)] + TEXT.ellipsis)[:limit]
    return text


def write_latex(root: Any, limit: int | None) -> str:
    """`root` in LaTeX, folded where its text would pass `limit` characters."""
    text, _ = _write(root, LATEX, _fold(root, limit), None)
    assert text is not None
    return text


def write_mathml(root: Any, limit: int | None) -> str:
    """`root` as a presentation MathML element, folded where its text would pass `limit` characters."""
    text, _ = _write(root, MATHML, _fold(root, limit), None)
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML"><mrow>{text}</mrow></math>'
