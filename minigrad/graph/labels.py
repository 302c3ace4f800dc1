"""What stands in a box: Graphviz's HTML-like labels, with every name and value escaped, and arrays in few words."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.backend import BACKENDS, backend_of

SANS, MONO = "Helvetica", "Courier"
NAME, LINE = 40, 60  # characters of a name and of a line that a drawing shows; tooltips hold all of them
WIDE = 0.72  # of the size of the letters: how wide they are on average in DejaVu Sans Bold
SMALL, COLUMNS, ROWS = 24, 6, 6  # an array with at most so many elements, columns and rows is written out
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


def visible(text: str) -> str:
    """`text` on one line, with Python's escapes for control characters (which neither XML nor DOT can hold)."""
    return "".join(_escaped(c) for c in text)


def _escaped(c: str) -> str:
    code = ord(c)
    if c == "\n":
        return "¶"  # which the fonts of a Graphviz without font files have
    return repr(c)[1:-1] if code < 32 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or code >> 1 == 0x7FFF else c


def short(text: str, limit: int = NAME) -> str:
    """`text` with its middle left out where it is longer than `limit`."""
    if len(text) <= limit:
        return text
    head = (limit - 3) * 2 // 3
    return f"{text[:head]}...{text[len(text) - (limit - 3 - head) :]}"


def escape(text: str) -> str:
    """`text` inside an HTML-like label: it comes out as it went in, whatever it holds."""
    return "".join(_MARKUP.get(c, c) for c in text)


def literal(text: str) -> str:
    """`text` for a plain attribute: its backslashes are no escapes, `<...>` is no markup.

    What XML cannot hold, which an SVG would then be full of, is shown by the sign for what cannot be shown.

    A newline is written as the escape: the graphviz package leaves the quotes off a word that ends in one.
    """
    import graphviz  # only a drawing needs it

    held = "".join(c if c in "\n\t" or len(_escaped(c)) == 1 else "\ufffd" for c in text)
    out: str = graphviz.nohtml(graphviz.escape(held).replace("\n", r"\n"))
    return out


def font(text: str, size: float, colour: str, face: str = SANS, bold: bool = False) -> str:
    """One run of text; `text` is escaped here."""
    inner = f"<B>{escape(text)}</B>" if bold and text else escape(text)
    return f'<FONT FACE="{face}" POINT-SIZE="{size:g}" COLOR="{colour}">{inner}</FONT>'


def block(lines: Iterable[str], size: float, colour: str) -> str:
    """Several lines of fixed width, left-aligned; spaces in front are such as no engine takes away (2.43 does)."""
    kept = ["\u00a0" * (len(line) - len(line.lstrip(" "))) + escape(line.lstrip(" ")) for line in lines]
    body = "".join(f'{line}<BR ALIGN="LEFT"/>' for line in kept) if len(kept) > 1 else "".join(kept)
    return f'<FONT FACE="{MONO}" POINT-SIZE="{size:g}" COLOR="{colour}">{body}</FONT>'


def table(rows: Iterable[str]) -> str:
    """An HTML-like label of rows, each a run of text or a block."""
    cells = "".join(f"<TR><TD{_room(row)}>{row}</TD></TR>" for row in rows)
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{cells}</TABLE>>'


def _room(row: str) -> str:
    """A title's cell is as wide as the title in a wide font: viewers seldom have the one that the engine measured."""
    found = re.match(r'<FONT FACE="[^"]*" POINT-SIZE="([\d.]+)"[^>]*><B>(.*?)</B></FONT>(.*)', row)
    if found is None:
        return ""
    size, rest = float(found[1]), re.sub(r"<[^>]*>", "", found[3])
    letters = len(html.unescape(found[2])) + 0.8 * len(html.unescape(rest))
    return f' WIDTH="{math.ceil(WIDE * size * letters)}"'


# ---- arrays


def dims(shape: Any) -> str:
    """(64, 32) is 64×32, () is scalar, several outputs are separated by commas."""
    if shape and isinstance(shape[0], tuple):
        return ", ".join(map(dims, shape))
    return "×".join(map(str, shape)) if shape else "scalar"


def kind_of(dtype: Any) -> str:
    """The name of a dtype, or of those of several outputs."""
    if isinstance(dtype, tuple):
        return ", ".join(dict.fromkeys(map(kind_of, dtype)))
    return "" if dtype is None else str(np.dtype(dtype))


def on_host(value: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """A value of any backend, or a number, as a NumPy array to read."""
    if type(value) in BACKENDS and not isinstance(value, (np.ndarray, np.generic)):
        host: np.ndarray[Any, np.dtype[Any]] = backend_of(value).to_host(value)
        return host
    return np.asarray(value)


def number(value: Any) -> str:
    """Four significant digits, and whole numbers as such."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    return re.sub(r"e([+-])0(?=\d)", r"e\1", f"{float(value) + 0.0:.4g}").replace("e+", "e")  # -0 is shown as 0


def array_lines(value: Any) -> list[str]:
    """A small array as its numbers in columns, a large one as its mean and range."""
    if isinstance(value, tuple):
        return [line for v in value for line in (["not computed"] if v is None else array_lines(v))]
    a = on_host(value)
    if a.size == 0:
        return ["empty"]
    if a.ndim == 0:
        return [number(a[()])]
    if a.size <= SMALL and a.shape[-1] <= COLUMNS and a.size // a.shape[-1] <= ROWS:
        rows = a.reshape(-1, a.shape[-1])
        cells = [[number(v) for v in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
    if a.dtype.kind == "b":
        return [f"{100 * float(a.mean()):.3g} % true"]
    return _summary(a)


def _summary(a: np.ndarray[Any, np.dtype[Any]]) -> list[str]:
    finite = a if a.dtype.kind in "iu" else a[np.isfinite(a)]
    wrong = [f"{count} {what}" for what, count in _odd(a) if count]
    if finite.size == 0:
        return [", ".join(wrong)]
    with np.errstate(over="ignore"):
        mean = float(finite.mean(dtype=np.float64))
    lines = [f"mean {number(mean)}", f"{number(finite.min())} .. {number(finite.max())}"]
    return [*lines, ", ".join(wrong)] if wrong else lines


def _odd(a: np.ndarray[Any, np.dtype[Any]]) -> list[tuple[str, int]]:
    if a.dtype.kind in "iu":
        return []
    return [("NaN", int(np.isnan(a).sum())), ("inf", int(np.isinf(a).sum()))]
